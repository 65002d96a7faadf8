import pytest

from rooms import Room


@pytest.fixture
def room():
    """A place in memory to work in; for O_DIRECT and real flushes make a Room("disk")."""
    with Room("memory") as it:
        yield it
