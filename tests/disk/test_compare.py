"""A difference without a list of changes: all is read, and only what the image does not hold already is written."""

import os
import random
import shutil
import sys

import pytest

from copier import TOP, Copy, copied, copy
from layouts import CLUSTER, FILLER, GIB, MIB, change, random_layout, random_ranges, write_ranges
from many import run_all
from meter import Meter
from rooms import Room
from test_resume import interrupt, kill_again_and_again, make_disk, metered
import judge
import sources
import targets

sys.path.insert(0, str(TOP / "lab"))
import vmdk  # noqa: E402

CASES, SANITIZED = 60, 12


class Scene:
    """A raw disk, its image and the image's map."""

    def __init__(self, room, image_format, target=None):
        self.room, self.format = room, image_format
        self.raw, self.map, self.listed = room.path("disk.raw"), room.path("map"), room.path("ranges")
        self.target = target or (room.path("target"), image_format)

    def base(self, source=None, **fields):
        return copied(source or self.raw, self.target, map=self.map, **fields)

    def compare(self, source=None, **fields):
        return copied(source or self.raw, self.target, map=self.map, compare=True, **fields)

    def judge(self):
        judge.same(self.raw, self.target[0], self.format)
        self.judge_map()

    def judge_map(self):
        """A list without ranges copies nothing; verifying proves that map and image agree everywhere."""
        self.listed.write_text("")
        result = copied(self.raw, self.target, map=self.map, ranges=self.listed, verify="full")
        assert result.message["read_bytes"] == 0


def clusters_that_differ(before, after):
    count = 0
    with open(before, "rb") as one, open(after, "rb") as other:
        while True:
            ours, theirs = one.read(CLUSTER), other.read(CLUSTER)
            if not ours and not theirs:
                return count
            count += ours != theirs


def run_case(number):
    """Any source and target; the disk changes here and there, again and again."""
    rng = random.Random(f"compare {number}")
    with Room(rng.choices(["memory", "disk"], [3, 1])[0]) as room:
        source_name = rng.choice([it for it in sources.ALL if it != "qemu_nbd"])   # which holds on to its image
        largest, multiple = sources.LIMITS.get(source_name, (2 * GIB, 1))
        layout = random_layout(rng, min(largest, 2 * GIB), multiple)
        raw = room.path("disk.raw")
        layout.write(raw)
        fitting = [it for it in targets.ALL if layout.size <= targets.LARGEST.get(it, layout.size)]
        target_name = rng.choice(fitting)
        place = targets.ALL[target_name](room, layout.disk_bytes, rng)
        story = f"{source_name} to {target_name}, {layout}"
        result = copy(raw, place.target, map=room.path("map"))
        assert result.ok, f"{story}: {result}"
        for generation in range(rng.randint(1, 3)):
            before = room.path("before")
            if layout.size < 64 * MIB:
                shutil.copy(raw, before)
            ranges = random_ranges(rng, layout.disk_bytes)
            change(raw, ranges, rng)
            source = sources.ALL[source_name](room, raw, layout, rng)
            result = copy(source, place.target, stdin=room.stdin, map=room.path("map"), compare=True,
                          verify=rng.choice(["none", "full", "changed", "sample"]))
            assert result.ok, f"{story} {generation} {ranges}: {result}"
            message = result.message
            assert message["data_bytes"] + message["zero_bytes"] == layout.disk_bytes, f"{story}: {result}"
            if layout.size < 64 * MIB and source_name != "stream_pipe":
                most = clusters_that_differ(before, raw) * CLUSTER
                # A stream may bring a grain twice, and in pieces of a cluster.
                assert message["written_bytes"] <= most or source_name.startswith("stream"), f"{story}: {result}"
        if target_name != "nbd_memory":
            place.judge(raw, layout.disk_bytes)


def test_random_disks():
    run_all(run_case, range(CASES))


@pytest.mark.asan
@pytest.mark.tsan
def test_random_disks_with_sanitizers():
    run_all(run_case, range(SANITIZED))


@pytest.mark.parametrize("image_format", ["qcow2", "raw"])
def test_only_what_differs_is_written(room, image_format):
    """And holes that the map knows are not read."""
    scene = Scene(room, image_format)
    rng = random.Random("differs")
    make_disk(scene.raw, 40 * MIB, rng, holes=False)
    os.truncate(scene.raw, GIB)
    scene.base()
    nothing = scene.compare()
    assert nothing.message["written_bytes"] == 0
    assert 40 * MIB <= nothing.message["read_bytes"] <= 41 * MIB
    with open(scene.raw, "r+b") as disk:
        disk.seek(3 * MIB + 5)
        disk.write(b"changed")
        disk.seek(500 * MIB)
        disk.write(FILLER.make(rng, 3 * CLUSTER))
    os.truncate(scene.raw, 900 * MIB)
    os.truncate(scene.raw, GIB)
    result = scene.compare(verify="changed")
    assert result.message["written_bytes"] == result.message["verified_bytes"] == 4 * CLUSTER
    scene.judge()
    # What was data is a hole now.
    with open(scene.raw, "r+b") as disk:
        disk.truncate(3 * MIB)
        disk.truncate(GIB)
    result = scene.compare(verify="full")
    assert result.message["written_bytes"] == 37 * MIB + 3 * CLUSTER and result.message["read_bytes"] <= 4 * MIB
    scene.judge()


def test_given_ranges_alone_are_compared(room):
    scene = Scene(room, "qcow2")
    rng = random.Random("ranges")
    make_disk(scene.raw, 20 * MIB, rng, holes=False)
    scene.base()
    before = scene.raw.read_bytes()
    change(scene.raw, [(MIB, 100), (9 * MIB, 100)], rng)
    write_ranges(scene.listed, [(0, 5 * MIB)], rng)
    result = scene.compare(ranges=scene.listed)
    assert result.message["written_bytes"] == CLUSTER and result.message["read_bytes"] == 5 * MIB
    expected = bytearray(before)
    expected[:5 * MIB] = scene.raw.read_bytes()[:5 * MIB]
    scene.raw.write_bytes(expected)
    scene.judge()


@pytest.mark.parametrize("image_format", ["qcow2", "raw"])
def test_interrupted(image_format):
    rng = random.Random(f"interrupted {image_format}")
    with Room("disk") as room:
        scene = Scene(room, image_format)
        make_disk(scene.raw, 100 * MIB, rng)
        scene.base()
        change(scene.raw, [(at, MIB) for at in range(0, 98 * MIB, 3 * MIB)], rng)
        interrupt(scene.raw, scene.target, map=scene.map, compare=True, ranges=None)
        other = copy(scene.raw, scene.target, map=scene.map, ranges=room.path("other"))
        assert not other.ok
        room.path("other").write_text("0 100\n")
        other = copy(scene.raw, scene.target, map=scene.map, ranges=room.path("other"))
        assert other.kind == "conflict" and "finish it first" in other.text, str(other)
        result = scene.compare()
        message = result.message
        assert message["resumed_bytes"] > 0
        assert message["resumed_bytes"] + message["data_bytes"] + message["zero_bytes"] == 100 * MIB
        scene.judge()


def test_killed_again_and_again():
    rng = random.Random("compare killed")
    with Room("memory") as room:
        scene = Scene(room, "qcow2")
        make_disk(scene.raw, 600 * MIB, rng)
        scene.base()
        change(scene.raw, [(at, MIB) for at in range(0, 600 * MIB, 3 * MIB // 2)], rng)
        meter = Meter(room)

        def start():
            return Copy(metered(room, meter, "-r", "file", scene.raw), scene.target, map=scene.map, compare=True)
        _, result = kill_again_and_again(meter, "Read", rng, start, kills=12)
        assert result.message["resumed_bytes"] > 0
        scene.judge()


@pytest.mark.parametrize("image_format", ["qcow2", "raw"])
def test_source_goes_back_after_a_kill(image_format):
    """Half of the new content is in the image when the source has the old one again: the map must not say that it
    is there."""
    rng = random.Random(f"back {image_format}")
    with Room("disk") as room:
        scene = Scene(room, image_format)
        make_disk(scene.raw, 60 * MIB, rng, holes=False)
        scene.base()
        old = scene.raw.read_bytes()
        landed = 0
        for _ in range(8):
            change(scene.raw, [(at, CLUSTER) for at in range(0, 60 * MIB, 2 * CLUSTER)], rng)
            with Copy(scene.raw, scene.target, map=scene.map, compare=True, limit_bytes_s=40 * MIB) as running:
                for _ in range(rng.randint(1, 4)):
                    running.next_message()
                running.kill()
            scene.raw.write_bytes(old)
            result = scene.compare()
            landed += result.message["written_bytes"]
            scene.judge()
        assert landed > 0


@pytest.mark.parametrize("duplicates", [0, 20])
@pytest.mark.parametrize("grain_sectors", [16, 128])
def test_stream(room, duplicates, grain_sectors):
    scene = Scene(room, "qcow2")
    rng = random.Random("stream")
    make_disk(scene.raw, 30 * MIB, rng)
    source = room.path("disk.vmdk")
    options = vmdk.Options(order="shuffle", grain_sectors=grain_sectors, duplicates=duplicates, workers=1)
    scene.base()
    change(scene.raw, [(at, 100) for at in range(0, 30 * MIB, 5 * MIB)], rng)
    vmdk.write(scene.raw, source, options)
    result = scene.compare(source, verify="changed")
    assert 6 * CLUSTER <= result.message["written_bytes"]
    if grain_sectors == 128 and not duplicates:
        assert result.message["written_bytes"] <= 6 * CLUSTER
    scene.judge()


def test_what_is_needed(room):
    scene = Scene(room, "qcow2")
    make_disk(scene.raw, MIB, random.Random("needed"))
    result = copy(scene.raw, scene.target, compare=True)
    assert result.kind == "invalid" and "--map" in result.text, str(result)
    result = copy(scene.raw, scene.target, compare=True, map=scene.map)
    assert result.kind == "not-found", str(result)
    scene.base()
    room.path("other").write_bytes(bytes(MIB))
    result = copy(scene.raw, (room.path("other"), "raw"), compare=True, map=scene.map)
    assert result.kind == "invalid" and "belongs to another image" in result.text, str(result)
    result = copy(scene.raw, scene.target, compare=True, map=scene.map, verify="maybe")
    assert result.kind == "invalid" and "maybe" in result.text, str(result)


def test_change_id_stays_with_image_and_map(room):
    """It is that of the last copy which was finished."""
    scene = Scene(room, "qcow2")
    rng = random.Random("change id")
    make_disk(scene.raw, 60 * MIB, rng, holes=False)
    assert scene.base(change_id="52 a1/7").message["change_id"] == "52 a1/7"
    assert b"52 a1/7\0" in scene.map.read_bytes()[:8192]
    write_ranges(scene.listed, [(0, 50 * MIB)], rng)
    change(scene.raw, [(0, 50 * MIB)], rng)
    interrupt(scene.raw, scene.target, map=scene.map, ranges=scene.listed, change_id="52 a1/8")
    assert b"52 a1/7\0" in scene.map.read_bytes()[:8192] and b"52 a1/8\0" not in scene.map.read_bytes()[:8192]
    result = copied(scene.raw, scene.target, map=scene.map, ranges=scene.listed, change_id="52 a1/8")
    assert result.message["change_id"] == "52 a1/8"
    assert b"52 a1/8\0" in scene.map.read_bytes()[:8192]
    assert scene.compare().message["change_id"] is None
    long = copy(scene.raw, scene.target, map=scene.map, compare=True, change_id="x" * 128)
    assert long.kind == "invalid" and "changeId" in long.text, str(long)


def test_map_is_kept_beside_the_image(room):
    scene = Scene(room, "qcow2")
    make_disk(scene.raw, 10 * MIB, random.Random("kept"))
    copied(scene.raw, scene.target, keep_map=True)
    assert sorted(it.name for it in room.dir.glob("target*")) == ["target", "target.map"]
    scene.map = room.path("target.map")
    assert scene.compare().message["written_bytes"] == 0
    # A run that was killed between the last two steps: the map has its last name, the image not.
    scene.target[0].rename(room.path("target.part"))
    result = copied(scene.raw, scene.target, keep_map=True)
    assert result.message["resumed_bytes"] == 10 * MIB
    assert sorted(it.name for it in room.dir.glob("target*")) == ["target", "target.map"]
    scene.judge()


def test_verify_finds_what_it_looks_at(room):
    scene = Scene(room, "raw")
    rng = random.Random("verify")
    make_disk(scene.raw, 64 * MIB, rng, holes=False)
    scene.base()

    def rot(at):
        with open(scene.target[0], "r+b") as out:
            out.seek(at)
            out.write(b"rot")
    # What this run did not write is not looked at; its ends are, by a sample.
    rot(64 * MIB - 5)
    change(scene.raw, [(30 * MIB, 100)], rng)
    result = scene.compare(verify="changed")
    assert result.message["verified"] and result.message["verified_bytes"] == CLUSTER
    result = copy(scene.raw, scene.target, map=scene.map, compare=True, verify="sample")
    assert result.kind == "io" and f"{64 * MIB - CLUSTER}+65536" in result.text, str(result)
    # The map has forgotten it, so that the next one mends it.
    result = scene.compare(verify="sample")
    assert result.message["written_bytes"] == CLUSTER
    assert 2 * MIB + 200 * CLUSTER <= result.message["verified_bytes"] <= 64 * MIB
    scene.judge()
