"""Where the helpers of tests/behaviour are, and what the crash tests share."""

import os
import pathlib
import shutil
import sys
import tempfile

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.append(str(TOP / "tests/behaviour"))
import places  # noqa: E402,F401 pylint: disable=wrong-import-position,unused-import


@pytest.fixture(scope="session")
def programs():
    """The directory of the built programs: that of $VMFERRY, or the build directory."""
    cli = pathlib.Path(os.environ.get("VMFERRY") or TOP / "build/src/cli/vmferry").resolve()
    worker = cli.parent.parent / "worker/vmferry-worker"
    assert os.access(worker, os.X_OK), f"{worker} is not built; run make, or say VMFERRY=PROGRAM"
    return cli.parent.parent


@pytest.fixture(scope="module")
def workdir():
    """An empty directory on a real disk; gone after the tests of the module."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="vmferry-crash-", dir=os.environ.get("VMFERRY_TEST_DIR", "/var/tmp")))
    yield path
    shutil.rmtree(path)
