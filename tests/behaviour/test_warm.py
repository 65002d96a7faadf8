"""A warm migration as the lab sees it, a worker at a time: rounds, what makes a round a whole one, the cutover, giving
up. What a person at the terminal sees of it is in test_warm_run.py."""

import pathlib
import subprocess
import sys
import time

import pytest

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "crash"))
from scenes import KEYS, OURS, World  # noqa: E402 pylint: disable=wrong-import-position
from v2v_scenes import names_in, wait_until  # noqa: E402 pylint: disable=wrong-import-position
from worker import KILL_AFTER  # noqa: E402 pylint: disable=wrong-import-position

MACHINES = 60
CALL_TRIES = 5          # of one call of the vSphere API, before it has failed; a cut connection is tried once more
MIB = 1 << 20
NAMES = ["two words", "wéb/01 100%", "-dash", "ünï.cödé;$(x)"]
SPECIAL = {"no tools": {"tools_after_s": 1e9}, "deaf": {"shutdown": "ignore"}, "untracked vddk":
           {"change_tracking_supported": False}, "snapshotted": {"snapshots": ["yesterday"]},
           "no quiesce": {"quiesce_fails": True}, "asked twice": {"tools_after_s": 1e9},
           "by hand": {}, "untracked https": {"change_tracking_supported": False}, **{name: {} for name in NAMES}}


@pytest.fixture(name="world", scope="module")
def a_world(tmp_path_factory, vmferry):
    made = World(tmp_path_factory.mktemp("warm"), vmferry.parent.parent, MACHINES, SPECIAL)
    yield made
    made.close()


@pytest.fixture(name="ruled")
def with_rules(world):
    yield world
    world.ask(do="clear")


def to_rounds(scene, count=1):
    """So many deltas are done, and the worker waits for the next. Nobody writes meanwhile but the test."""
    ended = scene.daemon.to_the_end(
        lambda daemon, ended: ended.outcome == "wait" and len(daemon.store.rounds("delta")) >= count)
    assert ended.outcome == "wait", ended
    return scene.daemon.store.rounds("delta")[-1]["number"]


def next_round(scene):
    """One more delta; what is said of its disks."""
    to_rounds(scene, len(scene.daemon.store.rounds("delta")) + 1)
    return scene.last_round()


def cut_over(scene, **wishes):
    scene.daemon.store.wish(**(wishes or {"finalize": True}))
    return scene.daemon.to_the_end()


# ---- rounds ----

def many_rounds(scene, count):
    for _ in range(count):
        scene.write(scene.random.randrange(0, 9))
        next_round(scene)
        scene.are_copied()
    scene.write(5)
    scene.is_done(cut_over(scene))
    numbers = [it["number"] for it in scene.daemon.store.rounds()]
    assert numbers == sorted(set(numbers))
    deltas = scene.daemon.store.rounds("delta")
    assert not [disk for it in deltas for disk in it["disks"] if disk["full"]]


@pytest.mark.parametrize("transport", ["vddk", "https"])
def test_a_round_brings_what_was_written(world, transport):
    """Compared with the lab's own disks after every round."""
    many_rounds(world.take(transport=transport), 6)


@pytest.mark.soak
def test_two_hundred_rounds(world):
    many_rounds(world.take(), 200)


def test_nothing_is_read_where_nothing_was_written(world):
    scene = world.take()
    to_rounds(scene)
    assert all(disk["read_bytes"] == disk["changed_bytes"] == 0 for disk in next_round(scene).values())
    scene.event("write", disk=KEYS[1], offset=5 * 65536 + 512, pattern=7, length=512)
    disks = next_round(scene)
    assert disks[KEYS[0]]["changed_bytes"] == 0 and 0 < disks[KEYS[1]]["changed_bytes"] <= 2 * 65536
    scene.is_done(cut_over(scene))


def test_zeros_that_were_written_arrive(world):
    scene = world.take()
    to_rounds(scene)
    scene.event("write", disk=KEYS[0], offset=5 * MIB, pattern=0, length=2 * MIB)
    next_round(scene)
    scene.are_copied()
    scene.is_done(cut_over(scene))


@pytest.mark.parametrize("verify", ["none", "sample", "full"])
def test_verify(world, verify):
    scene = world.take(verify=verify)
    scene.is_done(scene.migrate(rounds=1))


def test_quiescing_that_fails_is_done_without(world):
    scene = world.take("no quiesce")
    scene.is_done(scene.migrate(rounds=1))


# ---- whole rounds ----

def test_tracking_that_is_reset_makes_the_round_a_whole_one(world):
    scene = world.take()
    to_rounds(scene)
    scene.write()
    scene.event("reset-tracking")
    scene.write()
    assert all(disk["full"] and disk["why"] for disk in next_round(scene).values())
    scene.are_copied()
    scene.write()
    assert not any(disk["full"] for disk in next_round(scene).values())
    scene.is_done(cut_over(scene))


def test_a_change_id_that_is_refused_costs_that_disk_alone(ruled):
    scene = ruled.take()
    to_rounds(scene)
    scene.write(6)
    ruled.ask(do="add", rule={"method": "QueryChangedDiskAreas", "fault": "FileFault",
                              "fields": {"file": "/vmfs/volumes/x"}})
    disks = next_round(scene)
    assert sorted(disk["full"] for disk in disks.values()) == [False, True]
    scene.are_copied()
    scene.is_done(cut_over(scene))


def test_a_disk_that_has_grown(world):
    """Its new end is never named as changed (test_lab_warm.py): the whole disk is looked at again, and it alone."""
    scene = world.take()
    to_rounds(scene)
    size = world.disks[1].stat().st_size + 4 * MIB
    scene.event("grow", disk=KEYS[1], bytes=size)
    scene.event("write", disk=KEYS[1], offset=size - 65536 - 512, pattern=9, length=65536)
    scene.event("write", disk=KEYS[0], offset=65536, pattern=9, length=512)
    disks = next_round(scene)
    assert disks[KEYS[1]]["full"] and not disks[KEYS[0]]["full"]
    scene.are_copied()
    scene.is_done(cut_over(scene))


def test_the_power_fails_between_two_rounds(world):
    """A crash voids what is known of the changes."""
    scene = world.take()
    to_rounds(scene)
    scene.write()
    scene.event("crash")
    scene.event("power-on")
    scene.write()
    assert all(disk["full"] for disk in next_round(scene).values())
    scene.are_copied()
    scene.is_done(cut_over(scene), offs=2)


@pytest.mark.parametrize("transport", ["vddk", "https"])
def test_a_machine_that_cannot_be_tracked_at_all(world, transport):
    """Its disks are read whole in each round, and what differs is written."""
    scene = world.take(f"untracked {transport}", transport=transport)
    to_rounds(scene)
    scene.write(4)
    disks = next_round(scene)
    assert all(disk["full"] for disk in disks.values())
    assert sum(disk["written_bytes"] for disk in disks.values()) < 4 * (300 * 1024 + 2 * 65536)
    scene.are_copied()
    scene.write(4)
    scene.is_done(cut_over(scene))
    assert not scene.daemon.store.objects("cbt", "planned", "made")


def test_without_tracking_the_disks_are_compared(world):
    """A foreign snapshot would make tracking that begins now lie."""
    scene = world.take("snapshotted")
    to_rounds(scene)
    scene.write(4)
    disks = next_round(scene)
    assert all(disk["full"] for disk in disks.values())
    assert sum(disk["written_bytes"] for disk in disks.values()) < 4 * (300 * 1024 + 2 * 65536)
    scene.are_copied()
    scene.write(4)
    scene.is_done(cut_over(scene))
    assert scene.snapshots() == ["yesterday"]


def test_a_snapshot_of_somebody_else_comes_and_goes(world):
    scene = world.take()
    to_rounds(scene)
    scene.write()
    scene.event("snapshot", name="theirs")
    scene.write()
    next_round(scene)
    scene.are_copied()
    scene.write()
    scene.event("remove-snapshot", name="theirs")
    scene.write()
    next_round(scene)
    scene.are_copied()
    scene.is_done(cut_over(scene))


# ---- a disk that fails ----

def test_a_failing_disk_does_not_let_its_sibling_count(ruled):
    """The round is not one, and the sibling's changes are asked for from the same point again."""
    scene = ruled.take()
    number = to_rounds(scene)
    epochs = change_ids(scene.daemon.store["state"])
    assert len(epochs) == len(KEYS)
    for key in KEYS:
        scene.event("write", disk=key, offset=3 * MIB, pattern=5, length=65536)
    file = scene.machine()["files"][str(KEYS[1])][0].partition("] ")[2]
    ruled.ask(do="add", rule={"nfc": "read", "times": 0, "machine": scene.name, "path": file, "error": 1})
    ended = scene.daemon.to_the_end(lambda daemon, ended: ended.outcome == "retry" and daemon.attempt > 1)
    assert ended.outcome in ("retry", "fail"), ended
    assert scene.daemon.store.rounds()[-1]["number"] == number
    assert change_ids(scene.daemon.store["state"]) == epochs
    ruled.ask(do="clear")
    scene.daemon.attempt = 0
    next_round(scene)
    scene.are_copied()
    scene.is_done(cut_over(scene))


def change_ids(value):
    """All that looks like a change id, wherever it stands, but in the round that is under way."""
    if isinstance(value, dict):
        return [found for key in sorted(value) if key != "round" for found in change_ids(value[key])]
    if isinstance(value, list):
        return [found for item in value for found in change_ids(item)]
    return [value] if isinstance(value, str) and "/" in value and value.rpartition("/")[2].isdigit() else []


def test_a_name_that_is_taken_is_said_at_once(world):
    """Nothing was copied yet, and waiting does not help; when it is free, the same migration goes on."""
    scene = world.take()
    (scene.out / f"{scene.name}-sdb").write_text("of somebody else")
    ended = scene.daemon.run()
    assert ended.outcome == "fail" and f"{scene.name}-sdb: exists already" in ended.result["error"]["text"], ended
    assert names_in(scene.out) == [f"{scene.name}-sdb"]
    scene.is_clean()
    (scene.out / f"{scene.name}-sdb").unlink()
    scene.is_done(scene.migrate(rounds=1))


def test_a_guest_that_cannot_be_looked_into_is_tried_once(world, monkeypatch):
    """And not in each round, nor while the source is off, when it is not to be converted."""
    def listen(_daemon, event):
        if event.type == "log" and event.message.get("code") == "not-inspected":
            said.append(event.message["text"])

    said = []
    scene = world.take(meddle=listen)
    table = bytes(446) + bytes.fromhex("80000000 83000000 00080000 00100000") + bytes(48) + b"\x55\xaa"
    scene.event("write", disk=KEYS[0], offset=0, hex=table.hex())
    scene.event("write", disk=KEYS[0], offset=MIB, hex=(bytes(1080) + b"\x53\xef").ljust(4096, b"x").hex())
    monkeypatch.setenv("LIBGUESTFS_HV", "/bin/false")
    scene.is_done(scene.migrate())
    assert len(said) == 1, said


# ---- the cutover ----

@pytest.mark.parametrize("wish", ["finalize", "finalize_now"])
def test_finalized(world, wish):
    scene = world.take()
    to_rounds(scene)
    scene.write()
    scene.is_done(cut_over(scene, **{wish: True}))
    assert scene.machine()["power_changes"][-1] == ["poweredOff", "guest"]


def test_finalize_at(world):
    """In good time before it: rounds at the usual distance; in its window: closer; then it is done."""
    now = int(time.time())
    scene = world.take(interval_s=300, finalize_interval_s=7, finalize_window_s=100, finalize_at=now + 10000)
    ended = scene.daemon.to_the_end(lambda daemon, ended: ended.outcome == "wait")
    assert 200 < ended.result["after_s"] <= 300
    scene.daemon.start["warm"]["finalize_at"] = now + 50
    ended = scene.daemon.to_the_end(lambda daemon, ended: ended.outcome == "wait")
    assert ended.result["after_s"] <= 7
    scene.daemon.start["warm"]["finalize_at"] = now
    scene.is_done(scene.daemon.to_the_end())


def test_pulled_plug(world):
    scene = world.take(shutdown="force")
    before = world.ask(do="state")["calls"].get("ShutdownGuest", 0)
    scene.is_done(scene.migrate(rounds=1))
    assert world.ask(do="state")["calls"].get("ShutdownGuest", 0) == before
    assert scene.machine()["power_changes"][-1] == ["poweredOff", "request"]


def test_no_plug_is_pulled_for_a_server_that_does_not_answer(ruled):
    scene = ruled.take()
    to_rounds(scene)
    ruled.ask(do="add", rule={"method": "ShutdownGuest", "action": "cut", "times": CALL_TRIES + 1})
    scene.is_done(cut_over(scene))
    assert scene.machine()["power_changes"][-1] == ["poweredOff", "guest"]


@pytest.mark.parametrize("name, warm", [("no tools", {"shutdown": "auto"}), ("by hand", {"shutdown": "manual"})])
def test_a_person_is_asked(world, name, warm):
    """And nothing is switched off before there is an answer."""
    scene = world.take(name, **warm)
    to_rounds(scene)
    scene.write()
    scene.daemon.store.wish(finalize=True)
    ended = scene.daemon.run()
    assert ended.outcome == "ask" and ended.result["question"] == "shutdown" and ended.result["text"]
    assert scene.machine()["power"] == "poweredOn" and not scene.machine()["power_changes"][scene.power_before:]
    scene.is_clean()
    if warm["shutdown"] == "auto":
        scene.daemon.answers["shutdown"] = {"shutdown": "force"}
    else:
        scene.write()
        scene.event("guest-shutdown")
        wait_until(lambda: scene.machine()["power"] == "poweredOff", "a machine that is off")
        scene.daemon.answers["shutdown"] = {"shutdown": "manual"}
    scene.is_done(scene.daemon.to_the_end())


def test_an_answer_that_is_not_true(world):
    """"It is off", and it is not: asked again, and nothing is lost."""
    scene = world.take("asked twice", shutdown="manual")
    to_rounds(scene)
    scene.daemon.store.wish(finalize=True, shutdown="manual")
    ended = scene.daemon.run()
    assert ended.outcome in ("ask", "wait"), ended
    assert scene.machine()["power"] == "poweredOn"
    scene.write()
    scene.event("power-off")
    scene.daemon.answers["shutdown"] = {"shutdown": "manual"}
    scene.is_done(scene.daemon.to_the_end())


def test_switched_on_again_in_the_middle(world):
    """Somebody switches the source on while it is being cut over: it is left alone and said, and the rounds go on."""
    def meddle(daemon, event):
        if event.type == "done" and event.message["act"] == "power-off" and not happened:
            happened.append(event)
            scene.event("power-on")

    happened = []
    scene = world.take(meddle=meddle)
    to_rounds(scene)
    scene.daemon.store.wish(finalize=True)
    said = []
    scene.daemon.to_the_end(lambda _daemon, ended: said.append(ended) or ended.outcome == "wait")
    assert happened and said[-1].outcome == "wait", said
    assert any("switched on again" in it.result["error"]["text"] for it in said[:-1]), said
    assert scene.machine()["power"] == "poweredOn" and not scene.daemon.store["wishes"]["finalize"]
    assert not list(scene.out.glob("*.xml"))
    scene.is_clean()
    scene.write()
    scene.is_done(cut_over(scene), offs=2)


def test_a_failed_cutover_is_taken_back(ruled):
    """The last changes cannot be asked for: the source runs again, the rounds go on, and the next try succeeds."""
    def meddle(_daemon, event):
        if event.type == "done" and event.message["act"] == "power-off" and not happened:
            happened.append(event)
            ruled.ask(do="add", rule={"method": "QueryChangedDiskAreas", "fault": "NoPermission", "times": 0})

    happened = []
    scene = ruled.take(meddle=meddle)
    to_rounds(scene)
    ended = cut_over(scene)
    assert happened and ended.outcome == "fail", ended
    assert [state for state, _ in scene.machine()["power_changes"][scene.power_before:]] == ["poweredOff", "poweredOn"]
    assert "switched on again" in ended.result["error"]["text"]
    ruled.ask(do="clear")
    scene.write()
    scene.daemon.attempt = 0
    assert not scene.daemon.store["wishes"]["finalize"], "a wish is honoured once"
    number = len(scene.daemon.store.rounds("delta"))
    to_rounds(scene, number + 1)
    scene.are_copied()
    scene.write()
    scene.is_done(cut_over(scene), offs=2)


def test_a_source_that_stays_off_is_said(ruled):
    """Nobody can log in any more after it was switched off: the error says how it stands, and giving up brings it back."""
    def meddle(_daemon, event):
        if event.type == "done" and event.message["act"] == "power-off":
            ruled.ask(do="add", rule={"method": "Login", "fault": "SystemError", "times": 0})
            return KILL_AFTER
        return None

    scene = ruled.take(meddle=meddle)
    to_rounds(scene)
    ended = cut_over(scene)
    assert ended.outcome == "fail" and "the source is still off" in ended.result["error"]["text"], ended
    assert scene.machine()["power"] == "poweredOff"
    ruled.ask(do="clear")
    scene.meddle = None
    scene.daemon.attempt = 0
    assert cut_over(scene, cancel=True).outcome == "cancelled"
    assert scene.machine()["power"] == "poweredOn" and names_in(scene.out) == []
    scene.is_clean()


def puts(event, key):
    return any(op["op"] == "put" and op["key"] == key and op["value"] for op in event.message.get("ops", []))


def arrived(scene):
    """What there is beside the working folder."""
    return [name for name in names_in(scene.out) if not name.startswith(".")]


def blocked_cutover(scene):
    """All is copied, and then something stands where its second disk belongs."""
    def meddle(_daemon, event):
        if puts(event, "placing"):
            blocker.write_text("of somebody else")

    blocker = scene.out / f"{scene.name}-sdb"
    scene.meddle = meddle
    ended = cut_over(scene)
    scene.meddle = None
    assert ended.outcome == "fail" and str(blocker) in ended.result["error"]["text"], ended
    assert "switched on again" in ended.result["error"]["text"], ended
    assert scene.machine()["power"] == "poweredOn"
    assert arrived(scene) == [blocker.name] and blocker.read_text() == "of somebody else"
    blocker.unlink()
    scene.daemon.attempt = 0


def test_a_cutover_that_fails_where_it_arrives_is_taken_back(world):
    """What had its last name already gets its old one back, and the rounds go on with it."""
    scene = world.take()
    to_rounds(scene)
    blocked_cutover(scene)
    scene.write()
    assert not [disk for disk in next_round(scene).values() if disk["full"]]
    scene.are_copied()
    scene.write()
    scene.is_done(cut_over(scene), offs=2)


@pytest.mark.parametrize("killed", [False, True])
def test_a_converted_image_is_no_base(world, killed):
    """After a conversion that is taken back the disks are copied anew, also when that copy is broken off."""
    def kill_when_copied(_daemon, event):
        return KILL_AFTER if puts(event, "copied") else None

    def kill_in_the_copy(daemon, event):
        return KILL_AFTER if daemon.store["state"].get("round", {}).get("moment") and event.type == "want" else None

    scene = world.take()
    to_rounds(scene)
    scene.meddle = kill_when_copied
    scene.daemon.store.wish(finalize=True)
    assert scene.daemon.run().outcome == "killed"
    convert_as_if(scene)
    blocked_cutover(scene)
    scene.write()
    if killed:
        scene.meddle = kill_in_the_copy
        assert scene.daemon.run().outcome == "killed"
        scene.meddle = None
    next_round(scene)
    scene.are_copied()
    scene.is_done(cut_over(scene), offs=2)


def convert_as_if(scene):
    """A conversion of this guest takes minutes; the images, and what is remembered of them, become what it leaves."""
    for image in scene.copies():
        subprocess.run(["qemu-io", "-c", "write -q -P 0xcc 0 1M", image], check=True)
    data = scene.daemon.store.data
    state = {key: value for key, value in data["state"].items() if key != "epochs"}
    none = {"wanted": False, "root": None, "block_driver": None, "no_fstrim": False, "macs": []}
    scene.daemon.store.write({**data, "state": {**state, "committing": True, "converted": True, "conversion": none}})


@pytest.mark.parametrize("killed", [False, True])
def test_switched_on_again_after_the_last_copy(world, killed):
    """By somebody else: nothing that lacks what the source writes now arrives, and the rounds go on."""
    def meddle(_daemon, event):
        if not happened and puts(event, "copied"):
            happened.append(event)
            scene.event("power-on")
            return KILL_AFTER if killed else None
        return None

    happened, said = [], []
    scene = world.take(meddle=meddle)
    to_rounds(scene)
    scene.daemon.store.wish(finalize=True)
    scene.daemon.to_the_end(lambda _daemon, ended: said.append(ended) or ended.outcome == "wait")
    assert happened and said[-1].outcome == "wait", said
    assert any("switched on again" in it.result["error"]["text"] for it in said[:-1] if it.outcome == "retry"), said
    assert arrived(scene) == [] and not scene.daemon.store["wishes"]["finalize"]
    assert scene.machine()["power"] == "poweredOn"
    scene.is_clean()
    scene.write()
    next_round(scene)
    scene.are_copied()
    scene.is_done(cut_over(scene), offs=2)


BREAKS = pytest.mark.parametrize("transport, how", [("vddk", "fails"), ("vddk", "killed"), ("https", "killed")])


def break_off_a_round(scene, how):
    """A delta ends in its middle; what it has frozen stays for the next try."""
    def kill(_daemon, event):
        return KILL_AFTER if event.type == "done" and event.message["act"] == "snapshot" else None

    scene.write(6)
    for key in KEYS:
        scene.event("write", disk=key, offset=3 * MIB, pattern=5, length=65536)
    if how == "fails":
        scene.world.ask(do="add", rule={"nfc": "read", "times": 0, "machine": scene.name, "error": 1})
    else:
        scene.meddle = kill
    ended = scene.daemon.to_the_end(lambda daemon, ended: ended.outcome in ("retry", "killed"))
    assert ended.outcome in ("retry", "killed") and [it for it in scene.snapshots() if it.startswith(OURS)], ended
    scene.meddle = None
    scene.world.ask(do="clear")


@BREAKS
@pytest.mark.parametrize("wish", ["finalize", "finalize_now"])
def test_finalized_when_a_round_was_broken_off(ruled, transport, how, wish):
    """What was written after the machine was frozen for that round arrives, too."""
    scene = ruled.take(transport=transport)
    to_rounds(scene)
    break_off_a_round(scene, how)
    scene.write(6)
    starts = scene.daemon.starts
    scene.is_done(cut_over(scene, **{wish: True}))
    assert scene.daemon.starts == starts + 1, "what was frozen was in the way of the cutover"


@BREAKS
def test_a_round_that_was_broken_off_goes_on(ruled, transport, how):
    """From the moment at which it froze the machine: what came later is of the next one."""
    scene = ruled.take(transport=transport)
    to_rounds(scene)
    break_off_a_round(scene, how)
    scene.write(6)
    next_round(scene)
    assert any("goes on from the snapshot" in text for text in scene.daemon.logs()), scene.daemon.logs()
    next_round(scene)
    scene.are_copied()
    scene.is_done(cut_over(scene))


# ---- given up, held up ----

def test_cancelled(world):
    scene = world.take()
    to_rounds(scene)
    assert cut_over(scene, cancel=True).outcome == "cancelled"
    assert scene.machine()["power"] == "poweredOn" and names_in(scene.out) == []
    scene.is_clean()
    assert not scene.machine()["change_tracking"], "it was us who switched tracking on"


def test_paused_in_a_copy(world):
    """It stops at the next good moment, holds nothing at the source, and goes on from what it had."""
    def meddle(daemon, event):
        if event.type == "progress" and not happened:
            happened.append(event)
            daemon.store.wish(paused=True)
            daemon.wish("pause")

    happened = []
    scene = world.take(meddle=meddle)
    scene.daemon.start["limit_bytes_s"] = 6 << 20
    ended = scene.daemon.run()
    assert ended.outcome == "paused", ended
    scene.daemon.store.wish(paused=False)
    scene.daemon.start["limit_bytes_s"] = 0
    scene.is_done(scene.migrate(rounds=1))


# ---- names ----

@pytest.mark.parametrize("name", NAMES)
def test_odd_names(world, name):
    scene = world.take(name)
    ended = scene.migrate(rounds=1)
    assert ended.outcome == "done", ended
    assert len(names_in(scene.out)) == 3
    scene.is_clean()
