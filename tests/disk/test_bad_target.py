"""Where nothing can be copied to: in use, too small, full, not ours. What is not ours stays as it was."""

import os
import random
import struct
import subprocess

import pytest

from copier import Copy, copied, copy
from layouts import FILLER, MIB
from refusal import as_nobody, make_raw, refused
from rooms import Room
import judge


def test_target_that_exists(room):
    raw = make_raw(room)
    room.path("target").write_text("mine")
    refused(room, raw, "conflict", "exists already", "--force", left=["target"])
    assert room.path("target").read_text() == "mine"


@pytest.mark.parametrize("force", [False, True])
def test_target_that_appears_meanwhile(room, force):
    """It is not ours to replace, unless we were told so; the finished image is kept."""
    raw, target = make_raw(room, 20 * MIB), room.path("target")
    with Copy(raw, (target, "qcow2"), limit_bytes_s=30 * MIB, force=force) as running:
        running.next_message()
        target.write_text("theirs")
        running.wish(wish="limit", limit_bytes_s=0)
        result = running.wait()
    if force:
        assert result.ok, str(result)
    else:
        assert result.kind == "conflict" and "exists already" in result.text, str(result)
        assert "image is complete and stays as" in result.text
        assert target.read_text() == "theirs"
        target.unlink()
        assert copied(raw, (target, "qcow2")).message["resumed_bytes"] == 20 * MIB
    judge.same(raw, target, "qcow2")


def test_target_that_becomes_a_directory(room):
    """It cannot be put there; hours of copying are not thrown away for it."""
    raw, target = make_raw(room, 20 * MIB), room.path("target")
    with Copy(raw, (target, "qcow2"), limit_bytes_s=30 * MIB, force=True) as running:
        running.next_message()
        target.mkdir()
        running.wish(wish="limit", limit_bytes_s=0)
        result = running.wait()
    assert not result.ok and "image is complete and stays as" in result.text, str(result)
    judge.same(raw, room.path("target.part"), "qcow2")
    target.rmdir()
    assert copied(raw, (target, "qcow2")).message["resumed_bytes"] == 20 * MIB


def test_target_that_is_a_directory(room):
    room.path("target").mkdir()
    refused(room, make_raw(room), "conflict", "exists already", left=["target"])
    refused(room, make_raw(room), "invalid", "directory", left=["target"], force=True)


def test_target_whose_directory_is_missing(room):
    refused(room, make_raw(room), "not-found", "No such file", target=(room.path("nowhere/target"), "qcow2"))


def test_target_without_permission(room):
    raw = make_raw(room)
    under = as_nobody(room)
    room.dir.chmod(0o555)
    for image_format in ("raw", "qcow2"):
        with Copy(raw, (room.path("target"), image_format), under=under) as running:
            result = running.wait()
        assert result.kind == "denied" and "target.part" in result.text, str(result)
    assert not list(room.dir.glob("target*"))


def test_target_that_is_the_source(room):
    raw = make_raw(room)
    before = raw.read_bytes()
    refused(room, raw, "invalid", "source and target", target=(raw, "raw"), force=True)
    os.link(raw, room.path("same"))
    refused(room, raw, "invalid", "source and target", target=(room.path("same"), "raw"), force=True)
    assert raw.read_bytes() == before


def test_target_format_that_is_unknown(room):
    refused(room, make_raw(room), "invalid", "vhdx", target=(room.path("target"), "vhdx"))


def test_device_that_is_too_small(room):
    small = make_raw(room, MIB, "small")
    before = small.read_bytes()
    refused(room, make_raw(room), "invalid", str(3 * MIB), str(MIB), target=(room.loop(small), "raw"))
    assert small.read_bytes() == before


def test_export_that_is_too_small(room):
    small = make_raw(room, MIB, "small")
    refused(room, make_raw(room), "invalid", str(3 * MIB), str(MIB), target=(room.nbdkit("file", small), "raw"))


def test_export_that_is_read_only(room):
    refused(room, make_raw(room), "denied", "read-only", target=(room.nbdkit("-r", "memory", "10M"), "raw"))


def test_export_in_another_format(room):
    refused(room, make_raw(room), "invalid", "raw", target=(room.nbdkit("memory", "10M"), "qcow2"))


def test_image_that_is_too_small_for_its_ranges(room):
    raw, small, listed = make_raw(room), make_raw(room, MIB, "target"), room.path("ranges")
    listed.write_text("0 100\n")
    refused(room, raw, "invalid", str(MIB), target=(small, "raw"), ranges=listed, left=["target"])


@pytest.mark.parametrize("image_format", ["qcow2", "raw"])
def test_target_that_qemu_has_open(room, image_format):
    target = room.path("target")
    assert judge.qemu_img("create", "-f", image_format, target, "3M")[0] == 0
    uri = room.qemu_nbd("-f", image_format, target)
    subprocess.run(["nbdinfo", "--size", uri], check=True, capture_output=True)   # now it has it open
    refused(room, make_raw(room), "conflict", "in use", left=["target"], force=True)
    listed = room.path("ranges")
    listed.write_text("0 100\n")
    refused(room, make_raw(room), "conflict", "in use", target=(target, image_format), ranges=listed, left=["target"])
    room.stop_server()


@pytest.mark.parametrize("image_format", ["qcow2", "raw"])
def test_target_of_another_copy(room, image_format):
    raw, target = make_raw(room, 30 * MIB), room.path("target")
    with Copy(raw, (target, image_format), limit_bytes_s=30 * MIB) as first:
        first.next_message()
        refused(room, raw, "conflict", "in use", target=(target, image_format), left=["target.part", "target.part.map"])
        first.wish(wish="limit", limit_bytes_s=0)
        assert first.wait().ok
    judge.same(raw, target, image_format)


def test_device_of_another_copy(room):
    raw, disk = make_raw(room, 30 * MIB), make_raw(room, 30 * MIB, "device")
    device = room.loop(disk)
    with Copy(raw, (device, "raw"), limit_bytes_s=30 * MIB) as first:
        first.next_message()
        refused(room, raw, "conflict", "in use", target=(device, "raw"))
        first.wish(wish="limit", limit_bytes_s=0)
        assert first.wait().ok
    judge.same(raw, disk, "raw")


def test_device_that_is_mounted(room):
    disk = room.path("device")
    with open(disk, "wb") as out:
        out.truncate(8 * MIB)
    subprocess.run(["/sbin/mke2fs", "-q", "-F", disk], check=True)
    device = room.loop(disk)
    room.mount(device)
    refused(room, make_raw(room), "conflict", "mounted", target=(device, "raw"))


@pytest.mark.parametrize("image_format", ["qcow2", "raw"])
def test_disk_full(image_format):
    """A real ENOSPC. What is there stays, and when there is room the same copy goes on."""
    with Room("memory") as room:
        raw = make_raw(room, 60 * MIB)
        small = room.tmpfs("40m")
        target = (small / "target", image_format)
        result = copy(raw, target)
        assert result.kind == "io" and "No space left on device" in result.text, str(result)
        assert "goes on from there" in result.text
        assert sorted(it.name for it in small.iterdir()) == ["target.part", "target.part.map"]
        subprocess.run(["mount", "-o", "remount,size=200m", small], check=True)
        result = copied(raw, target)
        judge.same(raw, *target)
        assert [it.name for it in small.iterdir()] == ["target"]


@pytest.mark.parametrize("image_format", ["qcow2", "raw"])
def test_disk_full_on_a_file_system_with_room_ahead(image_format):
    """Where room is reserved before it is needed, that must not be what fills the disk."""
    with Room("disk") as room:
        disk = room.path("ext4")
        with open(disk, "wb") as out:
            out.truncate(100 * MIB)
        subprocess.run(["/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", disk], check=True)
        small = room.mount(room.loop(disk))
        raw = room.path("disk.raw")
        raw.write_bytes(FILLER.make(random.Random(1), 60 * MIB))
        copied(raw, (small / "target", image_format))
        judge.same(raw, small / "target", image_format)
        (small / "target").unlink()
        ballast = small / "ballast"
        ballast.write_bytes(bytes(50 * MIB))
        result = copy(raw, (small / "target", image_format))
        assert result.kind == "io" and "No space left on device" in result.text, str(result)
        ballast.unlink()
        copied(raw, (small / "target", image_format))
        judge.same(raw, small / "target", image_format)


def test_disk_full_for_the_map(room):
    raw = make_raw(room, 60 * MIB)
    small = room.tmpfs("4k")
    target = (room.path("target"), "qcow2")
    (small / "ballast").write_bytes(b"x" * 4096)
    refused(room, raw, "io", "No space left on device", str(small), target=target, map=small / "map")
    assert not (small / "map").exists()
    subprocess.run(["mount", "-o", "remount,size=1m", small], check=True)
    copied(raw, target, map=small / "map")
    judge.same(raw, *target)


def test_disk_full_for_the_map_later(room):
    """It could be made, and has no room for its records."""
    raw = make_raw(room, 60 * MIB)
    small = room.tmpfs("12k")
    target = (room.path("target"), "qcow2")
    result = refused(room, raw, "io", "No space left on device", target=target, map=small / "map", left=["target.part"])
    assert "goes on from there" in result.text
    subprocess.run(["mount", "-o", "remount,size=1m", small], check=True)
    copied(raw, target, map=small / "map")
    judge.same(raw, *target)


def test_ranges_that_are_wrong(room):
    raw, listed = make_raw(room), room.path("ranges")
    target = (room.path("target"), "raw")
    copied(raw, target)
    for text, *words in (("1\n", "line 1"), ("0 1\nx 2\n", "line 2"), ("0 1 2\n", "line 1"), ("0 0\n", "line 1"),
                         ("-1 5\n", "line 1"), ("0 -5\n", "line 1"), (f"{3 * MIB} 1\n", "outside"),
                         (f"0 {4 * MIB}\n", "outside"), ("18446744073709551615 2\n", "line 1"),
                         ("99999999999999999999 1\n", "line 1"), ("0 1\0 0 1\n", "zero byte"), ("0x 1\n", "line 1")):
        listed.write_text(text)
        refused(room, raw, "invalid", "ranges", *words, target=target, ranges=listed, left=["target"])
    refused(room, raw, "not-found", "nothing", target=target, ranges=room.path("nothing"), left=["target"])
    judge.same(raw, *target)


def test_ranges_cannot_be_verified_without_the_map(room):
    raw, listed = make_raw(room), room.path("ranges")
    target = (room.path("target"), "raw")
    copied(raw, target)
    listed.write_text("0 1\n")
    refused(room, raw, "invalid", "without the map", target=target, ranges=listed, verify="full", left=["target"])


@pytest.mark.parametrize("options, words", [
    (["-o", "cluster_size=4k"], "64 KiB"), (["-o", "compat=0.10"], "version 3"), (["-o", "refcount_bits=1"], "16 bits"),
    (["-o", "extended_l2=on"], "not supported")])
def test_qcow2_that_is_not_written_in_place(room, options, words):
    raw, listed, target = make_raw(room), room.path("ranges"), room.path("target")
    assert judge.qemu_img("convert", "-O", "qcow2", *options, raw, target)[0] == 0
    listed.write_text("0 1\n")
    before = target.read_bytes()
    refused(room, raw, "invalid", "cannot be written in place", words, "qemu-nbd", target=(target, "qcow2"),
            ranges=listed, left=["target"])
    assert target.read_bytes() == before


def test_qcow2_with_more_than_an_image(room):
    raw, listed, target = make_raw(room), room.path("ranges"), room.path("target")
    listed.write_text("0 1\n")
    source = {"uri": str(raw), "format": "raw"}
    for words, *commands in (("snapshots", ["create", "-f", "qcow2", target, "3M"], ["snapshot", "-c", "one", target]),
                             ("backing file", ["create", "-f", "qcow2", "-b", raw, "-F", "raw", target]),
                             ("bitmaps", ["create", "-f", "qcow2", target, "3M"], ["bitmap", "--add", target, "b"]),
                             ("encrypted", ["create", "-f", "qcow2", "--object", "secret,id=s,data=abc",
                                            # not LUKS: QEMU times that key, and gives up when it cannot
                                            "-o", "encrypt.format=aes,encrypt.key-secret=s", target, "3M"])):
        for command in commands:
            status, output = judge.qemu_img(*command)
            assert status == 0, output
        refused(room, source, "invalid", words, target=(target, "qcow2"), ranges=listed, left=["target"])
        target.unlink()
    raw.write_bytes(b"compress me " * (MIB // 4))
    assert judge.qemu_img("convert", "-c", "-O", "qcow2", raw, target)[0] == 0
    refused(room, source, "invalid", "compressed", target=(target, "qcow2"), ranges=listed, left=["target"])


def test_qcow2_that_is_damaged(room):
    """Tables that point anywhere are seen before anything is written."""
    raw, listed, target = make_raw(room), room.path("ranges"), room.path("target")
    listed.write_text(f"0 {3 * MIB}\n")
    copied(raw, (target, "qcow2"))
    whole = target.read_bytes()
    l1 = struct.unpack_from(">Q", whole, 40)[0]
    l2 = struct.unpack_from(">Q", whole, l1)[0] & 0x00fffffffffffe00
    for at, value in ((40, 3), (40, len(whole)), (40, 1 << 60), (48, 1 << 60), (48, 5), (24, 0), (24, 1 << 63),
                      (l1, (1 << 63) | 512), (l1, (1 << 63) | (1 << 50)),
                      (l2, (1 << 63) | (1 << 50)), (l2, (1 << 63) | 512), (l2, l1 | (1 << 63)), (l2, 1 << 62)):
        damaged = bytearray(whole)
        struct.pack_into(">Q", damaged, at, value)
        target.write_bytes(damaged)
        result = copy(raw, (target, "qcow2"), ranges=listed)
        assert not result.ok and result.kind == "invalid", f"{at} {value:#x}: {result}"
        assert target.read_bytes() == damaged, f"{at} {value:#x}: was written to"


