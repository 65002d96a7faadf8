"""What the tests of the programs share: the guest of the lab, the program under test, room to work in."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from places import LAB, TOP


@pytest.fixture(scope="session")
def lab_guest():
    """The directory of the lab's guest: system.raw, data.raw, guest.ova, guest.json. Read only.

    It is made when it is not in the cache; runners beside each other wait for the first.
    """
    if os.geteuid() != 0:
        pytest.skip("making the guest of the lab needs root")
    result = subprocess.run([LAB / "guest"], capture_output=True, text=True, check=False, timeout=1200)
    assert result.returncode == 0, f"lab/guest failed:\n{result.stderr}"
    return pathlib.Path(result.stdout.strip())


@pytest.fixture(scope="session")
def vmferry():
    """The built program: $VMFERRY, or that of the build directory."""
    program = pathlib.Path(os.environ.get("VMFERRY") or TOP / "build/src/cli/vmferry")
    assert os.access(program, os.X_OK), f"{program} is not built; run make, or say VMFERRY=PROGRAM"
    return program.resolve()


@pytest.fixture
def tmp_workdir():
    """An empty directory on a real disk (disk images fit, O_DIRECT works); gone after the test."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="vmferry-test-", dir=os.environ.get("VMFERRY_TEST_DIR", "/var/tmp")))
    yield path
    shutil.rmtree(path)
