"""A worker that is killed, stopped and refused at every point of a warm migration: the end is the same."""

import collections
import contextlib
import os
import signal
import subprocess

import pytest

from scenes import KEYS, World
from v2v_scenes import names_in, wait_until
from worker import JOURNAL, KILL, KILL_AFTER, Answer

MACHINES = 600
KILLS_MAX = 5
MIB = 1 << 20


@pytest.fixture(scope="module")
def world(workdir, programs):
    made = World(workdir, programs, MACHINES, busy=True)
    yield made
    made.close()


@pytest.fixture(scope="module")
def journey(world):
    """The points of a migration that nobody disturbs: [(type, act)]."""
    scene = world.take()
    ended = scene.migrate()
    scene.is_done(ended)
    assert [it["kind"] for it in scene.daemon.store.rounds()].count("final") == 1
    return list(scene.daemon.acts)


def firsts(journey):
    """The number of the first point of each kind."""
    seen = collections.OrderedDict()
    for number, point in enumerate(journey, 1):
        seen.setdefault(point, number)
    return list(seen.values())


class At:
    """Meddles once, at the n-th message to the journal."""

    def __init__(self, n, verdict):
        self.n = n
        self.verdict = verdict
        self.done = False

    def __call__(self, _daemon, event):
        if self.done or event.n != self.n:
            return None
        self.done = True
        return self.verdict


def hurt(world, n, verdict):
    """One migration that is disturbed at that point; what is wrong at its end, or None."""
    at = At(n, verdict)
    scene = world.take(meddle=at)
    try:
        scene.is_done(scene.migrate())
        assert at.done, f"it had {scene.daemon.points} points only"
        return None
    except AssertionError as error:
        kind, act = (scene.daemon.acts + [("?", "?")] * n)[n - 1]
        return f"{verdict} at {n} ({kind} {act}): {str(error)[:1500]}"
    finally:
        scene.close()


def all_hold(world, points, verdicts, capsys):
    wrong = [said for n in points for verdict in verdicts if (said := hurt(world, n, verdict))]
    with capsys.disabled():
        print(f" [{len(points) * len(verdicts)} points]", end="", flush=True)
    assert not wrong, f"{len(wrong)} of {len(points) * len(verdicts)}:\n" + "\n".join(wrong)


# ---- killed, refused ----

def test_killed_at_the_first_of_each_point(world, journey, capsys):
    """What is stored and what was done come apart at a begin that is stored and a done that is not."""
    begins = [n for n in firsts(journey) if journey[n - 1][0] == "begin"]
    dones = [n for n in firsts(journey) if journey[n - 1][0] == "done"]
    wrong = [said for n in begins if (said := hurt(world, n, KILL_AFTER))]
    wrong += [said for n in dones if (said := hurt(world, n, KILL))]
    with capsys.disabled():
        print(f" [{len(begins) + len(dones)} of {len(journey)} points]", end="", flush=True)
    assert not wrong, "\n".join(wrong)


@pytest.mark.soak
def test_killed_at_every_point(world, journey, capsys):
    all_hold(world, range(1, len(journey) + 1), [KILL, KILL_AFTER], capsys)


@pytest.mark.soak
def test_the_store_is_full_at_every_point(world, journey, capsys):
    all_hold(world, range(1, len(journey) + 1), [Answer("io")], capsys)


def test_the_store_is_full(world, journey):
    """Refused before the machine is switched off: it goes on running, and the next worker does it."""
    powers = [n for n, (kind, act) in enumerate(journey, 1) if kind == "begin" and "power" in (act or "")]
    assert powers, journey
    assert hurt(world, powers[0], Answer("io")) is None


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(3))
def test_killed_again_and_again(world, journey, seed):
    """At some later point each time, some of them in what repairs the last one."""
    scene = world.take(seed=seed)
    due = [scene.random.randrange(1, len(journey) // 2)]

    def meddle(_daemon, event):
        if not event.n or event.n < due[-1] or len(due) > KILLS_MAX:
            return None
        due.append(event.n + scene.random.randrange(1, 12))
        return scene.random.choice([KILL, KILL_AFTER])

    scene.meddle = meddle
    scene.is_done(scene.migrate())
    assert len(due) > KILLS_MAX


# ---- in the middle of a copy ----

class InCopy:
    """Does something once, at the n-th sign of progress of a copy in that stage."""

    def __init__(self, act, stage="base_copy", n=2):
        self.act = act
        self.stage = stage
        self.left = n

    def __call__(self, daemon, event):
        if event.type != "progress" or event.message["stage"] != self.stage or self.left == 0:
            return None
        self.left -= 1
        return self.act(daemon) if self.left == 0 else None


def slowly(scene, limit_bytes_s=6 << 20):
    scene.daemon.start["limit_bytes_s"] = limit_bytes_s
    return scene


def kill_copies(daemon):
    for name in ("vmferry-copy-vddk", "vmferry-copy"):
        for pid in daemon.worker.below(name):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("act", [lambda daemon: KILL, kill_copies], ids=["worker", "copies"])
def test_killed_in_the_base_copy(world, act):
    meddle = InCopy(act)
    scene = slowly(world.take(meddle=meddle))
    scene.is_done(scene.migrate(rounds=1))
    assert meddle.left == 0


@pytest.mark.soak
@pytest.mark.parametrize("transport", ["vddk", "https"])
@pytest.mark.parametrize("act", [lambda daemon: KILL, kill_copies], ids=["worker", "copies"])
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_moment_of_a_copy(world, act, transport, seed):
    scene = slowly(world.take(seed=seed, transport=transport))
    scene.meddle = InCopy(act, n=scene.random.randrange(1, 16))
    scene.is_done(scene.migrate())


@pytest.mark.soak
def test_stopped_for_longer_than_the_server_waits(world):
    """SIGSTOP until the server has forgotten the session, then SIGCONT."""
    def stop(daemon):
        pid = daemon.worker.process.pid
        os.kill(pid, signal.SIGSTOP)
        world.ask(do="expire-sessions")
        wait_until(lambda: not world.ask(do="state")["sessions"], "sessions that are gone")
        os.kill(pid, signal.SIGCONT)

    meddle = InCopy(stop)
    scene = slowly(world.take(meddle=meddle))
    scene.is_done(scene.migrate())
    assert meddle.left == 0


def test_a_session_ends_at_the_first_of_each_point(world, journey):
    """One migration, at each of whose kinds of points the server has just forgotten the session."""
    numbers = firsts(journey)

    def meddle(_daemon, event):
        if event.n in numbers:
            world.ask(do="expire-sessions")

    scene = world.take(meddle=meddle)
    scene.is_done(scene.migrate())


@pytest.mark.soak
def test_at_most_64_mib_are_copied_again(workdir, programs):
    """Of a base copy, for each kill."""
    here = workdir / "large"
    here.mkdir()
    large = World(here, programs, 1, sizes_mib=(400, 9), data_mib=300)
    done = []       # by the first disk, when it was killed and after that

    def meddle(daemon, event):
        if event.type != "progress" or event.message["stage"] != "base_copy" or "done_bytes" not in event.message:
            return None
        if event.message["total_bytes"] < 100 * MIB:
            return None
        if daemon.starts > len(done):
            done.append(event.message["done_bytes"])
            assert len(done) == 1 or done[-1] >= before[-1] - 64 * MIB, (done, before)
        if daemon.starts < 3 and event.message["done_bytes"] >= daemon.starts * 120 * MIB:
            before.append(event.message["done_bytes"])
            return KILL
        return None

    before = []
    try:
        scene = slowly(large.take(meddle=meddle), 100 * MIB)
        scene.is_done(scene.migrate(rounds=1))
        assert len(before) == 2
    finally:
        large.close()


# ---- a disk that is full ----

@contextlib.contextmanager
def small_disk(path, size):
    """A file system of that size at the path; what is yielded makes it larger."""
    def mount(*words):
        done = subprocess.run(["mount", *words, path], capture_output=True, text=True, check=False)
        if done.returncode and (os.geteuid() or "permission denied" in done.stderr):
            pytest.skip(f"mount is not permitted here: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr

    mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs")
    try:
        yield lambda larger: mount("-o", f"remount,size={larger}")
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


@pytest.mark.parametrize("size, rounds", [pytest.param("6m", 0, id="base"),
                                          pytest.param("22m", 1, id="delta", marks=pytest.mark.soak)])
def test_no_space_where_it_arrives(world, size, rounds):
    """It says so, the source runs, and with more room it goes on."""
    scene = world.take()
    with small_disk(scene.out, size) as resize:
        def between(daemon, ended):
            if len(daemon.store.rounds("delta")) >= 1:
                scene.event("write", disk=KEYS[0], offset=12 * MIB, hex=scene.random.randbytes(12 * MIB).hex())
            return ended.outcome == "retry" and daemon.attempt > 1

        ended = scene.daemon.to_the_end(between)
        assert not ended.result["ok"] and "No space left on device" in ended.result["error"]["text"], ended
        assert len(scene.daemon.store.rounds("base")) == rounds
        assert scene.machine()["power"] == "poweredOn" and not scene.machine()["power_changes"][scene.power_before:]
        resize("200m")
        scene.daemon.attempt = 0
        scene.is_done(scene.migrate(rounds=2))


# ---- places ----

def test_no_more_copies_than_places(world):
    seen = []

    def meddle(daemon, event):
        if event.type == "progress":
            seen.append(sum(len(daemon.worker.below(name)) for name in ("vmferry-copy-vddk", "vmferry-copy")))

    scene = slowly(world.take(meddle=meddle))
    scene.daemon.places = 1
    scene.is_done(scene.migrate(rounds=1))
    assert seen and max(seen) == 1


def test_nothing_is_copied_without_a_place(world):
    """A worker that waits for a place holds nothing at the source for long, and stops when it is told to."""
    def meddle(daemon, event):
        if event.type == "want":
            assert not daemon.worker.below("vmferry-copy") and not daemon.worker.below("vmferry-copy-vddk")
            daemon.store.wish(cancel=True)
            daemon.wish("cancel")

    scene = world.take(meddle=meddle)
    scene.daemon.places = 0
    ended = scene.migrate()
    assert ended.outcome == "cancelled", ended
    assert not scene.daemon.store.rounds()
    given_up(scene)


# ---- given up ----

def given_up(scene):
    assert scene.machine()["power"] == "poweredOn"
    assert not scene.machine()["power_changes"][scene.power_before:]
    scene.is_clean()
    assert names_in(scene.out) == []
    assert not [it for it in scene.daemon.store["objects"] if it["state"] != "gone"], scene.daemon.store["objects"]


def cancelling(scene, n, kill=None):
    """Cancelled at the n-th point; KILL_s of what comes then at the given further point."""
    def meddle(daemon, event):
        if event.n == n:
            daemon.store.wish(cancel=True)
            daemon.wish("cancel")
        if kill and event.n == n + kill:
            return KILL
        return None

    scene.meddle = meddle
    return scene.migrate()


def cancellable(journey):
    """The points up to the switching off."""
    return next(n for n, (_, act) in enumerate(journey, 1) if "power" in (act or ""))


def test_cancelled_in_the_rounds(world, journey):
    scene = world.take()
    assert cancelling(scene, cancellable(journey) // 2).outcome == "cancelled"
    given_up(scene)


@pytest.mark.soak
@pytest.mark.parametrize("kill", [None, 1, 2, 3])
def test_cancelled_at_every_point(world, journey, kill):
    for n in range(1, cancellable(journey)):
        scene = world.take()
        assert cancelling(scene, n, kill).outcome == "cancelled", n
        given_up(scene)


def test_the_journal_is_what_the_protocol_says(world):
    """seq rises; what is made was planned before, in a begin, and what is gone was made."""
    scene = world.take()
    seqs, objects = [], {}

    def meddle(daemon, event):
        if event.type not in JOURNAL:
            return
        seqs.append((daemon.starts, event.message["seq"]))
        for op in event.message["ops"]:
            if op["op"] != "object":
                continue
            before, now = objects.get((op["kind"], op["name"])), op["state"]
            objects[op["kind"], op["name"]] = now
            assert now != "planned" or event.type == "begin", event
            assert now != "made" or before == "planned", (event, before)

    scene.meddle = meddle
    scene.is_done(scene.migrate(rounds=1))
    for (start, seq), (other, after) in zip(seqs, seqs[1:]):
        assert other > start or after > seq
    assert [state for (kind, _), state in objects.items() if kind == "power-off"] == ["made"]
    assert len([kind for kind, _ in objects if kind == "snapshot"]) == len(scene.daemon.store.rounds())
