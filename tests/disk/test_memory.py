"""The most memory that a copy ever has, whatever its size."""

import random
import sys

import pytest

from copier import TOP, Copy
from layouts import CLUSTER, FILLER, MIB, TIB
from refusal import make_raw
from rooms import Room

sys.path.insert(0, str(TOP / "lab"))
import vmdk  # noqa: E402

MEMORY_MAX = 64 * MIB


def peak(source, target, **fields):
    with Copy(source, target, **fields) as running:
        result = running.wait(watch_memory=True)
    assert result.ok, str(result)
    assert result.peak_bytes > MIB, "it was not looked at"
    return result.peak_bytes


def test_memory_for_a_huge_sparse_disk():
    with Room("disk") as room:
        raw = room.path("disk.raw")
        with open(raw, "wb") as disk:
            disk.truncate(8 * TIB)
            for at in range(0, 8 * TIB, TIB // 32):
                disk.seek(at)
                disk.write(FILLER.make(random.Random(at), 3 * CLUSTER))
        for image_format in ("qcow2", "raw"):
            assert peak(raw, (room.path(f"target.{image_format}"), image_format)) <= MEMORY_MAX


@pytest.mark.parametrize("image_format", ["qcow2", "raw"])
@pytest.mark.parametrize("source_kind", ["file", "nbd", "vmdk", "vmdk-small-grains", "vmdk-large-grains"])
def test_memory_for_much_data(image_format, source_kind):
    with Room("memory") as room:
        raw = source = make_raw(room, (32 if "small" in source_kind else 300) * MIB)
        if source_kind == "nbd":
            source = room.nbdkit("-r", "file", raw)
        elif source_kind.startswith("vmdk"):
            source = room.path("disk.vmdk")
            grain = {"vmdk": 128, "vmdk-small-grains": 8, "vmdk-large-grains": 2048}[source_kind]
            vmdk.write(raw, source, vmdk.Options(level=0, grain_sectors=grain, order="shuffle", workers=1))
        assert peak(source, (room.path("target"), image_format)) <= MEMORY_MAX
        assert peak(source, (room.nbdkit("memory", "300M"), "raw"), map=room.path("map")) <= MEMORY_MAX


def test_memory_for_a_huge_stream():
    """A bit for each of its grains is what grows with a disk."""
    with Room("memory") as room:
        raw, source = room.path("disk.raw"), room.path("disk.vmdk")
        with open(raw, "wb") as disk:
            disk.truncate(8 * TIB)
            for at in range(0, 8 * TIB, TIB // 64):
                disk.seek(at)
                disk.write(b"x")
        vmdk.write(raw, source, vmdk.Options(workers=1))
        assert peak(source, (room.path("target"), "qcow2")) <= MEMORY_MAX
