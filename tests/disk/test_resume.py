"""A copy that is killed goes on where it was, does little twice, and ends with the same image."""

import random
import re
import shutil
import subprocess
import sys

import pytest

from copier import TOP, Copy, copied, copy
from layouts import CLUSTER, FILLER, MIB, change, write_ranges
from meter import Meter
from rooms import Room
import judge

sys.path.insert(0, str(TOP / "lab"))
import vmdk  # noqa: E402

TWICE_MAX = 64 * MIB   # what may be copied again after a kill
KILLS = 24


def make_disk(path, size, rng, holes=True):
    """Mostly data; now and then a stretch of zeroes or of nothing."""
    with open(path, "wb") as disk:
        disk.truncate(size)
        at = 0
        while at < size:
            length = min(size - at, CLUSTER * rng.randint(1, 100))
            disk.seek(at)
            if not holes or rng.random() < 0.9:
                disk.write(FILLER.make(rng, length))
            elif rng.random() < 0.5:
                disk.write(bytes(length))
            at += length


def metered(room, meter, *arguments, one_connection=False):
    """Serve again under the same name: nbdkit 1.32 may die of a client that is killed."""
    one = ["--filter=multi-conn"] if one_connection else []
    return room.nbdkit(*one, "--filter=log", *arguments, meter.logfile, *(["multi-conn-mode=disable"] if one else []),
                       name=room.path("metered"))


def kill_again_and_again(meter, operation, rng, start, kills=KILLS, requests=80):
    """Run START() and kill it at random requests; then let it end. The most that any run did twice, and its result."""
    twice = []

    def run(*fuse):
        with start() as running:
            meter.begin_run(*fuse, *([running.process.kill] if fuse else []))
            result = running.wait()
        again = meter.end_run()
        # An image that is written in place, and was finished when the kill came, is done anew.
        finished = any("was finished" in it for it in result.logs)
        if not finished:
            twice.append(again)
        return result, finished or result.status >= 0
    result, finished = run(operation, rng.randint(1, requests))
    while not finished and len(twice) < kills:
        result, finished = run(operation, rng.randint(1, requests))
    assert len(twice) > kills // 2, "the copy ended before it was killed often enough: make the disk larger"
    if result.status < 0:
        result, _ = run()
    assert result.ok, str(result)
    return max(twice), result


@pytest.mark.parametrize("image_format", ["qcow2", "raw"])
@pytest.mark.parametrize("connections", ["many", "one"])
def test_killed_at_random_reads(image_format, connections):
    rng = random.Random(f"reads {image_format} {connections}")
    with Room("disk") as room:
        raw, target = room.path("disk.raw"), room.path("target")
        make_disk(raw, 700 * MIB, rng)
        meter = Meter(room)

        def start():
            uri = metered(room, meter, "-r", "file", raw, one_connection=connections == "one")
            return Copy(uri, (target, image_format))
        twice, result = kill_again_and_again(meter, "Read", rng, start)
        assert result.message["resumed_bytes"] > 0
        assert twice <= TWICE_MAX, f"{twice} bytes were copied twice after a kill"
        judge.same(raw, target, image_format)
        assert sorted(it.name for it in room.dir.iterdir() if "target" in it.name) == ["target"]


@pytest.mark.parametrize("source_kind", ["raw", "vmdk"])
@pytest.mark.parametrize("connections", ["many", "one"])
def test_killed_at_random_writes(source_kind, connections):
    """The other side of it: what a server is given twice. It had other content before."""
    rng = random.Random(f"writes {source_kind} {connections}")
    with Room("memory") as room:
        raw, exported, map_path = room.path("disk.raw"), room.path("exported"), room.path("map")
        size_mib = 1000 if source_kind == "raw" else 500   # a copy that is fast gets far before it is killed
        make_disk(raw, size_mib * MIB, rng)
        with open(exported, "wb") as out:
            for _ in range(size_mib):
                out.write(FILLER.make(rng, MIB))
        source = raw
        if source_kind == "vmdk":
            source = room.path("disk.vmdk")
            vmdk.write(raw, source, vmdk.Options(level=0, order="shuffle", duplicates=20, workers=1))
        meter = Meter(room)

        def start():
            uri = metered(room, meter, "file", exported, one_connection=connections == "one")
            return Copy(source, (uri, "raw"), map=map_path)
        twice, result = kill_again_and_again(meter, "Write", rng, start, requests=80 if source_kind == "raw" else 1000)
        assert result.message["resumed_bytes"] > 0
        # A stream that brings a grain twice has it stored twice.
        assert twice <= TWICE_MAX + (20 * CLUSTER if source_kind == "vmdk" else 0)
        room.stop_server()
        judge.same(raw, exported, "raw")


@pytest.mark.parametrize("image_format", ["qcow2", "raw"])
@pytest.mark.parametrize("grain_sectors", [16, 128, 512])
def test_stream_killed_at_random_progress(image_format, grain_sectors):
    rng = random.Random(f"stream {image_format} {grain_sectors}")
    with Room("disk") as room:
        raw, source, target = room.path("disk.raw"), room.path("disk.vmdk"), room.path("target")
        make_disk(raw, 320 * MIB, rng)
        vmdk.write(raw, source, vmdk.Options(level=0, grain_sectors=grain_sectors, workers=1))
        for _ in range(6):
            with Copy(source, (target, image_format), limit_bytes_s=60 * MIB) as running:
                for _ in range(rng.randint(1, 4)):
                    running.next_message()
                running.kill()
        result = copied(source, (target, image_format), verify="full")
        # A stream of grains that are smaller than what the map knows starts from its beginning.
        assert bool(result.message["resumed_bytes"]) == (grain_sectors >= 128)
        assert bool(result.logs) == (grain_sectors < 128)
        judge.same(raw, target, image_format)


# Every system call that makes something durable or visible, and where in its row the program is killed.
STEPS = [("pwrite64", 40), ("fdatasync", 14), ("ftruncate", 5), ("fsync", 4), ("unlink", 1), ("fallocate", 1),
         ("/^rename", 1), ("openat", 30), ("close", 12)]


@pytest.mark.parametrize("image_format", ["qcow2", "raw"])
@pytest.mark.parametrize("fields", [{}, {"verify": "full", "keep_map": True}], ids=["plain", "verified"])
def test_killed_at_every_step(image_format, fields):
    """At each of the steps from the first file made to the last one renamed."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    rng = random.Random("steps")
    killed = 0
    with Room("disk") as room:
        raw, target = room.path("disk.raw"), room.path("target")
        make_disk(raw, 3 * MIB + 512, rng)
        for call, most in STEPS:
            for nth in range(1, most + 1):
                inject = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
                          "-e", f"inject={call}:signal=SIGKILL:when={nth}"]
                with Copy(raw, (target, image_format), under=inject, **fields) as running:
                    if running.wait().status >= 0:
                        break   # there is no such step
                killed += 1
                if target.exists():
                    judge.same(raw, target, image_format)
                result = copied(raw, (target, image_format), force=True, **fields)
                judge.same(raw, target, image_format)
                assert not room.path("target.part").exists(), f"{call} {nth}: {result}"
                for path in room.dir.glob("target*"):
                    path.unlink()
    assert killed >= 35


# ---- flushes that fail ----

WRITTEN = re.compile(r'pwrite64\(\d+, "((?:\\x[0-9a-f]{2})*)", (\d+), (\d+)')
ZEROED = re.compile(r"fallocate\(\d+, FALLOC_FL_KEEP_SIZE\|FALLOC_FL_PUNCH_HOLE, (\d+), (\d+)\)")
CUT = re.compile(r"ftruncate\(\d+, (\d+)\)")


def traced(path, trace, *inject):
    """strace that writes down all that is done to the contents of that file."""
    return ["strace", "-f", "-qq", "-xx", "-s", str(2 * MIB), "-o", trace, "-P", path, "-e",
            "trace=pwrite64,fallocate,ftruncate,fdatasync", *inject]


def replay(trace, disk, kept):
    """Do to the file at `disk` what was done; what no flush has followed is lost, unless it is kept."""
    waiting = []
    with open(trace, encoding="ascii") as lines, open(disk, "r+b") as file:
        def carry_out():
            for act in waiting:
                act()
            waiting.clear()

        def write(data, offset):
            file.seek(offset)
            file.write(data)

        for line in lines:
            if match := WRITTEN.search(line):
                data = bytes.fromhex(match[1].replace("\\x", ""))
                assert len(data) == int(match[2]), "strace has cut it short"
                waiting.append(lambda data=data, offset=int(match[3]): write(data, offset))
            elif match := ZEROED.search(line):
                waiting.append(lambda offset=int(match[1]), size=int(match[2]): write(bytes(size), offset))
            elif match := CUT.search(line):
                waiting.append(lambda size=int(match[1]): file.truncate(size))
            elif "fdatasync" in line and "= 0" in line and "INJECTED" not in line:
                carry_out()
        if kept:
            carry_out()


@pytest.mark.parametrize("image_format", ["qcow2", "raw"])
def test_a_flush_that_failed_is_none(image_format):
    """What it did not bring to the disk is lost, though whoever reads sees it there, and the next flush succeeds: so the
    next copy writes all of it again."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    rng = random.Random("flush")
    failed = 0
    with Room("disk") as room:
        raw, target = room.path("disk.raw"), room.path("target")
        part, disk, trace = room.path("target.part"), room.path("lost"), room.path("trace")
        make_disk(raw, 3 * MIB + 512, rng)
        for nth in range(1, 20):
            inject = ["-e", f"inject=fdatasync:error=EIO:when={nth}"]
            with Copy(raw, (target, image_format), under=traced(part, trace, *inject)) as running:
                result = running.wait()
            if result.ok:
                break   # there is no such flush
            failed += 1
            assert result.kind == "io" and "Input/output error" in result.text and str(target) in result.text, result
            disk.write_bytes(b"")
            replay(trace, disk, kept=False)
            with Copy(raw, (target, image_format), under=traced(part, trace)) as running:
                assert running.wait().ok
            replay(trace, disk, kept=False)
            judge.same(raw, disk, image_format)
            for path in room.dir.glob("target*"):
                path.unlink()
    assert failed >= (3 if image_format == "qcow2" else 1)    # of each thread: strace counts for itself


def test_source_changed_between_runs():
    rng = random.Random("changed")
    with Room("disk") as room:
        raw, target = room.path("disk.raw"), room.path("target")
        make_disk(raw, 100 * MIB, rng)
        interrupt(raw, (target, "qcow2"))
        change(raw, [(0, MIB), (50 * MIB, MIB)], rng)
        result = copied(raw, (target, "qcow2"))
        assert result.message["resumed_bytes"] == 0
        assert any("was changed since" in it for it in result.logs), result.logs
        judge.same(raw, target, "qcow2")


@pytest.mark.parametrize("which", ["disk-flat.vmdk", "disk.vmdk"])
def test_flat_source_changed_between_runs(which):
    """The disk is in another file than the one that is named."""
    rng = random.Random("flat")
    with Room("disk") as room:
        raw, source, target = room.path("disk.raw"), room.path("disk.vmdk"), room.path("target")
        make_disk(raw, 100 * MIB, rng)
        status, output = judge.qemu_img("convert", "-O", "vmdk", "-o", "subformat=monolithicFlat", raw, source)
        assert status == 0, output
        interrupt(source, (target, "qcow2"))
        with open(room.path(which), "r+b") as out:
            if which == "disk-flat.vmdk":
                out.write(b"changed")
            else:
                out.seek(0, 2)
                out.write(b"# a comment\n")
        result = copied(source, (target, "qcow2"))
        assert result.message["resumed_bytes"] == 0
        assert any("was changed since" in it for it in result.logs), result.logs
        judge.same(room.path("disk-flat.vmdk"), target, "qcow2")


def interrupt(source, target, **fields):
    """A copy that was told to stop when some of it was done; what is done is durable."""
    with Copy(source, target, limit_bytes_s=60 * MIB, **fields) as running:
        running.next_message()
        running.next_message()
        running.wish(wish="cancel")
        result = running.wait()
    assert result.kind == "cancelled", str(result)
    assert "goes on from there" in result.text or "ranges" in fields
    return result


@pytest.mark.parametrize("image_format", ["qcow2", "raw"])
def test_cancelled_copy_goes_on(image_format):
    rng = random.Random("cancelled")
    with Room("disk") as room:
        raw, target = room.path("disk.raw"), room.path("target")
        make_disk(raw, 100 * MIB, rng)
        interrupt(raw, (target, image_format))
        assert not target.exists()
        with Copy(raw, (target, image_format)) as running:
            result = running.wait()
        assert result.ok and result.message["resumed_bytes"] > MIB
        message = result.message
        assert message["resumed_bytes"] + message["data_bytes"] + message["zero_bytes"] == 100 * MIB
        judge.same(raw, target, image_format)


def test_parent_that_dies_stops_the_copy():
    """And what was done is not lost."""
    rng = random.Random("parent")
    with Room("disk") as room:
        raw, target = room.path("disk.raw"), room.path("target")
        make_disk(raw, 100 * MIB, rng)
        with Copy(raw, (target, "raw"), limit_bytes_s=60 * MIB) as running:
            running.next_message()
            running.next_message()
            running.ours.close()
            assert running.process.wait(60) == 1
        assert not target.exists() and room.path("target.part.map").exists()
        assert copied(raw, (target, "raw")).message["resumed_bytes"] > 0
        judge.same(raw, target, "raw")


def test_limit_may_be_lifted():
    rng = random.Random("limit")
    with Room("memory") as room:
        raw, target = room.path("disk.raw"), room.path("target")
        make_disk(raw, 100 * MIB, rng, holes=False)
        with Copy(raw, (target, "raw"), limit_bytes_s=MIB) as running:   # would take 100 s
            first = running.next_message()
            assert first["done_bytes"] < 20 * MIB
            running.wish(wish="limit", limit_bytes_s=0)
            result = running.wait()
        assert result.ok and result.message["elapsed_ns"] < 30e9
        judge.same(raw, target, "raw")


def test_part_is_replaced_by_another_file():
    rng = random.Random("replaced")
    with Room("disk") as room:
        raw, target, part = room.path("disk.raw"), room.path("target"), room.path("target.part")
        make_disk(raw, 60 * MIB, rng)
        interrupt(raw, (target, "raw"))
        shutil.copy(part, room.path("copy"))
        part.unlink()
        room.path("other").write_bytes(bytes(60 * MIB))
        room.path("other").rename(part)
        result = copied(raw, (target, "raw"))
        assert result.message["resumed_bytes"] == 0
        assert any("belongs to another image" in it for it in result.logs), result.logs
        judge.same(raw, target, "raw")


def test_part_is_gone():
    rng = random.Random("gone")
    with Room("disk") as room:
        raw, target = room.path("disk.raw"), room.path("target")
        make_disk(raw, 60 * MIB, rng)
        interrupt(raw, (target, "qcow2"))
        room.path("target.part").unlink()
        assert copied(raw, (target, "qcow2")).message["resumed_bytes"] == 0
        judge.same(raw, target, "qcow2")


@pytest.mark.parametrize("what, times", [("map", 40), ("part", 10)])
def test_torn_files(what, times):
    """A map that was cut, blanked or scrambled in places, an image that lost its end: what is copied is right."""
    with Room("memory") as room:
        raw, target = room.path("disk.raw"), room.path("target")
        torn = room.path("target.part.map" if what == "map" else "target.part")
        make_disk(raw, 40 * MIB, random.Random("torn"))
        files = [room.path("target.part"), room.path("target.part.map")]
        saved, resumed = None, 0
        for number in range(times):
            rng = random.Random(f"torn {what} {number}")
            if not saved:
                interrupt(raw, (target, "qcow2"))
                saved = [it.read_bytes() for it in files]
            else:   # into the same file, which the map knows
                target.rename(files[0])
                for path, content in zip(files, saved):
                    path.write_bytes(content)
            size = torn.stat().st_size
            with open(torn, "r+b") as out:
                if what == "part" or rng.random() < 0.2:
                    out.truncate(rng.randrange(size))
                else:
                    # A slot, the directory, the records, or anywhere.
                    out.seek(rng.choice([0, 4096, 8192, 12288, rng.randrange(size)]))
                    length = min(rng.choice([1, 8, 512, 4096, size]), size - out.tell())
                    out.write(rng.choice([bytes, rng.randbytes])(length))
            result = copy(raw, (target, "qcow2"), verify=rng.choice(["none", "full"]))
            assert result.ok, f"{number}: {result}"
            resumed += result.message["resumed_bytes"] > 0
            judge.same(raw, target, "qcow2")
        # An image that is too short for what its tables say is not gone on from.
        assert resumed < times and bool(resumed) == (what == "map")


def test_map_that_is_no_map_is_left_alone():
    """A slip of the pen must not cost a file."""
    with Room("memory") as room:
        raw, target, letter = room.path("disk.raw"), room.path("target"), room.path("letter")
        make_disk(raw, MIB, random.Random("letter"))
        letter.write_text("dear reader\n" * 1000)
        result = copy(raw, (target, "qcow2"), map=letter)
        assert result.kind == "invalid" and "not a map" in result.text, str(result)
        assert letter.read_text() == "dear reader\n" * 1000
        assert not target.exists()


def test_map_of_another_image():
    with Room("memory") as room:
        rng = random.Random("maps")
        raw, other, map_path, listed = (room.path(it) for it in ("disk.raw", "other.raw", "map", "ranges"))
        make_disk(raw, 3 * MIB, rng)
        make_disk(other, 3 * MIB, rng)
        copied(raw, (room.path("a"), "qcow2"), map=map_path)
        copied(other, (room.path("b"), "qcow2"), map=room.path("map-b"))
        write_ranges(listed, [(0, MIB)], rng)
        result = copy(raw, (room.path("b"), "qcow2"), map=map_path, ranges=listed)
        assert result.kind == "invalid" and "belongs to another image" in result.text, str(result)
        judge.same(other, room.path("b"), "qcow2")


@pytest.mark.parametrize("image_format", ["qcow2", "raw"])
@pytest.mark.parametrize("changed", [False, True], ids=["same-source", "changed-source"])
def test_ranges_interrupted(image_format, changed):
    """A delta that was cut short is finished; when the source has moved on meanwhile, all of it is taken anew."""
    rng = random.Random(f"ranges {image_format} {changed}")
    with Room("disk") as room:
        raw, map_path, listed = room.path("disk.raw"), room.path("map"), room.path("ranges")
        target = (room.path("target"), image_format)
        make_disk(raw, 100 * MIB, rng)
        copied(raw, target, map=map_path)
        ranges = [(at, MIB + 12345) for at in range(0, 98 * MIB, 2 * MIB)]
        change(raw, ranges, rng)
        write_ranges(listed, ranges, rng)
        interrupt(raw, target, map=map_path, ranges=listed)
        if changed:
            change(raw, ranges, rng)
        refused = copy(raw, target, map=map_path, ranges=room.path("other"))
        assert not refused.ok
        room.path("other").write_text("0 100\n")
        refused = copy(raw, target, map=map_path, ranges=room.path("other"))
        assert refused.kind == "conflict" and "finish it first" in refused.text, str(refused)
        result = copied(raw, target, map=map_path, ranges=listed, verify="full")
        assert bool(result.message["resumed_bytes"]) != changed
        judge.same(raw, *target)


def test_ranges_killed_again_and_again():
    rng = random.Random("ranges killed")
    with Room("memory") as room:
        raw, map_path, listed = room.path("disk.raw"), room.path("map"), room.path("ranges")
        target = (room.path("target"), "qcow2")
        make_disk(raw, 600 * MIB, rng)
        copied(raw, target, map=map_path)
        ranges = [(at, MIB) for at in range(0, 600 * MIB, 3 * MIB // 2)]
        change(raw, ranges, rng)
        write_ranges(listed, ranges, rng)
        meter = Meter(room)

        def start():
            return Copy(metered(room, meter, "-r", "file", raw), target, map=map_path, ranges=listed)
        twice, _ = kill_again_and_again(meter, "Read", rng, start, kills=12)
        assert twice <= TWICE_MAX
        judge.same(raw, *target)
        listed.write_text("")
        copied(raw, target, map=map_path, ranges=listed, verify="full")


def test_device_is_not_taken_for_done_once_it_is_in_use():
    """The map of a finished copy says nothing of what a machine has written to its disk since."""
    rng = random.Random("device")
    with Room("memory") as room:
        raw, disk, map_path = room.path("disk.raw"), room.path("device"), room.path("map")
        make_disk(raw, 10 * MIB, rng)
        disk.write_bytes(FILLER.make(rng, 10 * MIB))
        device = room.loop(disk)
        copied(raw, (device, "raw"), map=map_path)
        subprocess.run(["dd", "if=/dev/urandom", f"of={device}", "bs=1M", "count=1", "conv=fsync"], check=True,
                       capture_output=True)
        assert copied(raw, (device, "raw"), map=map_path).message["resumed_bytes"] == 0
        judge.same(raw, disk, "raw")


def test_verification_finds_and_the_next_copy_mends():
    """Storage that forgets: what differs is named, and the same command again copies just that."""
    rng = random.Random("rot")
    with Room("memory") as room:
        raw, disk, map_path, listed = (room.path(it) for it in ("disk.raw", "target.raw", "map", "ranges"))
        make_disk(raw, 20 * MIB, rng, holes=False)
        copied(raw, (disk, "raw"), map=map_path)
        with open(disk, "r+b") as out:
            out.seek(7 * MIB)
            out.write(b"rot")
        listed.write_text("0 1\n")
        result = copy(raw, (disk, "raw"), map=map_path, ranges=listed, verify="full")
        assert result.kind == "io" and f"{7 * MIB}+65536" in result.text, str(result)
        assert "do not use this image" in result.text
        write_ranges(listed, [(7 * MIB, CLUSTER), (0, 1)], rng)
        assert not copy(raw, (disk, "raw"), map=map_path, ranges=listed, verify="full").ok
