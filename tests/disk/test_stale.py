"""A copy that was cut off goes on when its source has moved on meanwhile, given a list of what changed since; and a
list of changes takes the place of an earlier one that was not finished."""

import os
import random

import pytest

from copier import Copy, copied, copy
from layouts import CLUSTER, MIB
import judge

SIZE = 96 * MIB


def make_source(room):
    raw = room.path("raw")
    raw.write_bytes(random.Random(7).randbytes(SIZE))
    return raw


def source_of(room, raw, moment):
    """The same disk at another moment: another identity."""
    return {"uri": room.nbdkit("-r", "file", raw), "identity": moment}


def write_at(raw, places):
    with open(raw, "r+b") as disk:
        for at, length in places:
            disk.seek(at)
            disk.write(os.urandom(length))


def listed(room, places):
    path = room.fresh("list")
    path.write_text("".join(f"{at} {length}\n" for at, length in places))
    return path


def cut_off(source, target, least, **fields):
    """Killed when so much of it is done."""
    with Copy(source, target, limit_bytes_s=40 * MIB, **fields) as running:
        while (message := running.next_message()) and message.get("done_bytes", 0) < least:
            pass
        running.kill()


@pytest.mark.parametrize("image_format", ["qcow2", "raw"])
def test_a_half_made_image_of_an_earlier_moment(room, image_format):
    raw, map_path = make_source(room), room.path("map")
    target = (room.path("target"), image_format)
    cut_off(source_of(room, raw, "one"), target, 60 * MIB, map=map_path, keep_map=True)
    changed = [(0, 512), (5 * MIB + 100, 3 * CLUSTER), (90 * MIB, 4096)]
    write_at(raw, changed)
    result = copied(source_of(room, raw, "two"), target, map=map_path, keep_map=True, stale=listed(room, changed))
    assert result.message["resumed_bytes"] > 0, str(result)
    judge.same(raw, *target)


def test_without_the_list_it_starts_again(room):
    raw, map_path = make_source(room), room.path("map")
    target = (room.path("target"), "qcow2")
    cut_off(source_of(room, raw, "one"), target, 60 * MIB, map=map_path, keep_map=True)
    write_at(raw, [(0, MIB)])
    result = copied(source_of(room, raw, "two"), target, map=map_path, keep_map=True)
    assert result.message["resumed_bytes"] == 0 and any("not gone on from" in log for log in result.logs)
    judge.same(raw, *target)


def test_again_and_again(room):
    """Each time at a later moment; what changed since the first one is said each time."""
    raw, map_path = make_source(room), room.path("map")
    target, rng, changed = (room.path("target"), "qcow2"), random.Random(3), []
    for turn in range(4):
        cut_off(source_of(room, raw, f"m{turn}"), target, (turn + 1) * 16 * MIB, map=map_path, keep_map=True,
                **({"stale": listed(room, sorted(changed))} if changed else {}))
        fresh = [(rng.randrange(SIZE // CLUSTER - 2) * CLUSTER + 512, rng.choice([512, CLUSTER])) for _ in range(5)]
        write_at(raw, fresh)
        changed += fresh
    copied(source_of(room, raw, "last"), target, map=map_path, keep_map=True, stale=listed(room, sorted(changed)))
    judge.same(raw, *target)


def test_changes_that_are_among_later_ones(room):
    raw, map_path = make_source(room), room.path("map")
    target = (room.path("target"), "qcow2")
    copied(source_of(room, raw, "one"), target, map=map_path, keep_map=True)
    first = [(at * MIB, 512 * 1024) for at in range(0, 90)]
    write_at(raw, first)
    cut_off(source_of(room, raw, "two"), target, 20 * MIB, map=map_path, ranges=listed(room, first))
    second = [*first, (95 * MIB, 512)]
    write_at(raw, second)
    refused = copy(source_of(room, raw, "three"), target, map=map_path, ranges=listed(room, second))
    assert refused.kind == "conflict", str(refused)
    copied(source_of(room, raw, "three"), target, map=map_path, ranges=listed(room, second), supersede=True,
           verify="full")
    judge.same(raw, *target)
