"""Thousands of random disks, from every source to every target; qemu-img says whether they arrived.

Every case follows from its number, so a failure names all that is needed to see it again:
VMFERRY_DIFFERENTIAL=SOURCE:NUMBER runs that one, VMFERRY_DIFFERENTIAL=all the long list.
"""

import os
import random

import pytest

from copier import copy
from layouts import CLUSTER, GIB, TIB, change, random_layout, random_ranges, random_size, write_ranges
from many import run_all
from rooms import Room
import judge
import sources
import targets

CHOSEN = os.environ.get("VMFERRY_DIFFERENTIAL", "")
# Cases for each source in a default run and in a long one.
SHORT, LONG = 50, 440
HUGE_SHORT, HUGE_LONG = 8, 60
RANGES_SHORT, RANGES_LONG = 40, 300
SANITIZED = 10


def run_case(source, number):
    """One disk from one kind of source. Raises when it does not arrive."""
    rng = random.Random(f"{source} {number}")
    with Room(rng.choices(["memory", "disk"], [3, 1])[0]) as room:
        largest, multiple = sources.LIMITS.get(source, (64 * GIB, 1))
        layout = random_layout(rng, largest, multiple)
        fitting = [it for it in targets.ALL if layout.size <= targets.LARGEST.get(it, layout.size)]
        copy_and_judge(room, rng, layout, source, rng.choice(fitting))


def run_huge(source, number):
    """Terabytes with a few islands, and one at the very end."""
    rng = random.Random(f"huge {source} {number}")
    with Room("memory") as room:
        size = rng.choice([8 * TIB, 8 * TIB - 512, 2 * TIB + 1, 7 * TIB + CLUSTER])
        layout = random_layout(rng, size=size)
        copy_and_judge(room, rng, layout, source, rng.choice(list(targets.HUGE)))


def copy_and_judge(room, rng, layout, source_name, target_name):
    raw = room.path("disk.raw")
    layout.write(raw)
    source = sources.ALL[source_name](room, raw, layout, rng)
    place = targets.ALL[target_name](room, layout.disk_bytes, rng)
    fields = {"verify": "full"} if rng.random() < 0.3 and layout.size < 4 * GIB else {}
    if rng.random() < 0.3:
        fields["capacity_bytes"] = layout.disk_bytes + rng.choice([0, 1, 512, 300000])
    if place.in_place and rng.random() < 0.3:
        fields["map"] = room.path("map")
    try:
        result = copy(source, place.target, stdin=room.stdin, **fields)
        assert result.ok, str(result)
        place.judge(raw, layout.disk_bytes)
        message = result.message
        assert message["capacity_bytes"] == layout.disk_bytes
        assert message["data_bytes"] + message["zero_bytes"] == layout.disk_bytes, str(result)
        assert message["resumed_bytes"] == 0
    except AssertionError as why:
        raise AssertionError(f"{source_name} {source} to {target_name} {fields}, {layout}: {why}") from None


def run_ranges(number):
    """An image, then changes of its source, copied by a list of ranges again and again; the map stays true."""
    rng = random.Random(f"ranges {number}")
    with Room(rng.choices(["memory", "disk"], [3, 1])[0]) as room:
        layout = random_layout(rng, largest=8 * GIB)
        raw, map_path, listed = room.path("disk.raw"), room.path("map"), room.path("ranges")
        layout.write(raw)
        os.truncate(raw, layout.disk_bytes)
        image_format = rng.choice(["qcow2", "raw"])
        target = (room.path("target"), image_format)
        result = copy(raw, target, map=map_path)
        assert result.ok, str(result)
        for generation in range(rng.randint(1, 4)):
            ranges = random_ranges(rng, layout.disk_bytes)
            story = f"ranges {number}.{generation}: {ranges} to {image_format}, {layout}"
            change(raw, ranges, rng)
            write_ranges(listed, ranges, rng)
            result = copy(raw, target, map=map_path, ranges=listed, verify=rng.choice(["none", "full"]))
            assert result.ok, f"{story}: {result}"
            try:
                judge.same(raw, target[0], image_format)
            except AssertionError as why:
                raise AssertionError(f"{story}: {why}") from None
        # A list without ranges copies nothing; verifying proves that map and image agree everywhere.
        listed.write_text("")
        result = copy(raw, target, map=map_path, ranges=listed, verify="full")
        assert result.ok and result.message["read_bytes"] == 0, str(result)
        judge.same(raw, target[0], image_format)


def run_ranges_of_others(number):
    """The same, once, into an image that qemu-img made, of another disk, without a map."""
    rng = random.Random(f"others {number}")
    with Room(rng.choices(["memory", "disk"], [3, 1])[0]) as room:
        size = rng.choice([random_size(rng, GIB), 64 * CLUSTER])
        layout, other = random_layout(rng, size=size), random_layout(rng, size=size)
        raw, before, target, listed = (room.path(it) for it in ("disk.raw", "before.raw", "target.qcow2", "ranges"))
        layout.write(raw)
        other.write(before)
        for path in (raw, before):
            os.truncate(path, layout.disk_bytes)
        options = rng.choice([[], ["-o", "lazy_refcounts=on"], ["-o", "preallocation=metadata"], ["-S", "0"]])
        if options[-1:] == ["0"] and layout.size > 64 * CLUSTER:
            options = []
        status, output = judge.qemu_img("convert", "-f", "raw", "-O", "qcow2", *options, before, target)
        assert status == 0, output
        ranges = random_ranges(rng, layout.disk_bytes)
        write_ranges(listed, ranges, rng)
        story = f"others {number}: {ranges} to {options}, {layout}, {other}"
        result = copy(raw, (target, "qcow2"), ranges=listed)
        assert result.ok, f"{story}: {result}"
        with open(raw, "rb") as source, open(before, "r+b") as expected:
            for offset, length in ranges:
                first, end = offset // CLUSTER * CLUSTER, -(-(offset + length) // CLUSTER) * CLUSTER
                source.seek(first)
                expected.seek(first)
                expected.write(source.read(end - first))
        try:
            judge.same(before, target, "qcow2")
        except AssertionError as why:
            raise AssertionError(f"{story}: {why}") from None


def numbers_of(name, short, long, soak):
    chosen = [it.split(":") for it in CHOSEN.split(",") if ":" in it]
    if chosen:
        wanted = [int(number) for which, number in chosen if which == name]
        if soak or not wanted:
            pytest.skip("another case was chosen by VMFERRY_DIFFERENTIAL")
        return wanted
    if soak or CHOSEN == "all":
        return range(0 if CHOSEN == "all" else short, long)
    return range(short)


@pytest.mark.parametrize("source", sources.ALL)
def test_random_disks(source):
    run_all(lambda number: run_case(source, number), numbers_of(source, SHORT, LONG, False))


@pytest.mark.asan
@pytest.mark.tsan
@pytest.mark.parametrize("source", sources.ALL)
def test_random_disks_with_sanitizers(source):
    """The first few of them again; a sanitizer's complaint on stderr fails the case."""
    run_all(lambda number: run_case(source, number), numbers_of(source, SANITIZED, SANITIZED, False))


@pytest.mark.parametrize("source", sources.HUGE)
def test_huge_disks(source):
    run_all(lambda number: run_huge(source, number), numbers_of(f"huge-{source}", HUGE_SHORT, HUGE_LONG, False))


def test_changed_ranges():
    run_all(run_ranges, numbers_of("ranges", RANGES_SHORT, RANGES_LONG, False))


def test_changed_ranges_in_images_of_others():
    run_all(run_ranges_of_others, numbers_of("others", RANGES_SHORT, RANGES_LONG, False))


@pytest.mark.soak
@pytest.mark.parametrize("source", sources.ALL)
def test_random_disks_long(source):
    run_all(lambda number: run_case(source, number), numbers_of(source, SHORT, LONG, True))


@pytest.mark.soak
@pytest.mark.parametrize("source", sources.HUGE)
def test_huge_disks_long(source):
    run_all(lambda number: run_huge(source, number), numbers_of(f"huge-{source}", HUGE_SHORT, HUGE_LONG, True))


@pytest.mark.soak
def test_changed_ranges_long():
    run_all(run_ranges, numbers_of("ranges", RANGES_SHORT, RANGES_LONG, True))


@pytest.mark.soak
def test_changed_ranges_in_images_of_others_long():
    run_all(run_ranges_of_others, numbers_of("others", RANGES_SHORT, RANGES_LONG, True))
