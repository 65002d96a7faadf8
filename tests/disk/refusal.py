"""What the tests of bad input and bad targets share: a disk to copy, and how a refusal must look."""

import os
import random
import shutil

import pytest

from copier import copy
from layouts import FILLER, MIB


def make_raw(room, size=3 * MIB, name="disk.raw"):
    path = room.path(name)
    path.write_bytes(FILLER.make(random.Random(name), size))
    return path


def refused(room, source, kind, *words, target=None, left=(), **fields):
    """The copy fails in that way, with those words, and of its own files only LEFT stay."""
    target = target or (room.path("target"), "qcow2")
    result = copy(source, target, stdin=room.stdin, **fields)
    assert not result.ok, str(result)
    assert result.kind == kind, str(result)
    for word in words:
        assert word in result.text, f"{word!r} is not in: {result.text}"
    assert len(result.text) < 600 and "\n" not in result.text
    assert sorted(it.name for it in room.dir.glob("target*")) == sorted(left), str(result)
    return result


def as_nobody(room):
    """The command to run something under that may not do everything."""
    if os.geteuid() != 0:
        return ()
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed")
    room.dir.chmod(0o777)
    return ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
