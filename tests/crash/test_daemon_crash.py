"""A real vmferryd whose processes are killed, each alone and all together, at every moment at which it has made something
durable, and while disks are copied: started again, it comes to the same end."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import signal
import threading

import pytest

from scenes import World
from service import COPY, DAEMON, KINDS, WORKER, Service
from v2v_scenes import descendants, is_running, make_disk, wait_until
from warm_scenes import Site

MACHINES = 1200
STOPPED_S = 12      # every deadline of a daemon and its workers is at 10
KILLS = 5           # of one migration
AT_ONCE = 4         # migrations, each with a vmferryd of its own
GATE_POINTS = 3
NEVER = 65535       # the most that strace can count


@pytest.fixture(scope="module")
def world(workdir, programs):
    made = World(workdir, programs, MACHINES)
    yield made
    made.close()


@pytest.fixture(scope="module")
def moments(world):
    """{call: how often a vmferryd makes it for its store, in a migration that nobody disturbs}"""
    scene = world.take(kind=Service)
    scene.start(at=NEVER, call="fdatasync,pwrite64")
    scene.finish()
    scene.vmferryd.stop()
    calls = scene.trace.read_text(errors="replace")
    scene.close()
    return {call: calls.count(f"{call}(") for call in ("fdatasync", "pwrite64")}


class Disturbed:
    """One migration that is hurt once, when its daemon makes the nth such call."""

    def __init__(self, scene, nth, kind, call="fdatasync"):
        self.scene, self.nth, self.kind, self.call = scene, nth, kind, call

    def drive(self):
        """Nobody answers when the daemon is dead; what else is wrong will be so at the end."""
        with contextlib.suppress(OSError, http.client.HTTPException, json.JSONDecodeError, AssertionError):
            self.scene.drive()

    def run(self):
        """What is wrong at its end, or None; "none" when there was no such moment."""
        scene = self.scene
        scene.start(at=self.nth, call=self.call)
        driver = threading.Thread(target=self.drive)
        driver.start()
        try:
            wait_until(lambda: scene.stood_still() or not driver.is_alive(), "the moment", 120)
            if not scene.stood_still():
                return "none"
            self.hurt(driver)
            scene.finish()
            return None
        except AssertionError as error:
            return f"{self.kind} killed at {self.call} {self.nth} of {scene.name}: {str(error)[:1500]}"
        finally:
            scene.close()
            driver.join()

    def hurt(self, driver):
        scene = self.scene
        old = scene.vmferryd.below(WORKER, COPY)
        if self.kind == "stopped":
            threading.Event().wait(STOPPED_S)
            scene.go_on()
            driver.join()
            return
        scene.hurt(self.kind)
        if self.kind in ("worker", "copies"):
            scene.go_on()
            driver.join()
            return
        driver.join()
        scene.start()
        assert scene.vmferryd.wait_ready(), scene.vmferryd.logs
        assert not [pid for pid in old if is_running(pid)], "two of them at one image"


def all_hold(world, points, capsys):
    """points: [(nth, kind, call)]"""
    disturbed = [Disturbed(world.take(kind=Service, seed=nth), nth, kind, call) for nth, kind, call in points]
    pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
    try:
        said = list(pool.map(Disturbed.run, disturbed))
    finally:
        pool.shutdown(cancel_futures=True)
    wrong = [it for it in said if it not in (None, "none")]
    with capsys.disabled():
        print(f" [{len(points)} points, {said.count('none')} of them not reached]", end="", flush=True)
    assert not wrong, f"{len(wrong)} of {len(points)}:\n" + "\n".join(wrong)
    assert said.count("none") <= len(points) / 10, said


def test_killed_at_some_moments(world, moments, capsys):
    n = moments["fdatasync"]
    points = [(n * (2 * i + 1) // (2 * GATE_POINTS), kind, "fdatasync")
              for i in range(GATE_POINTS) for kind in ("daemon", "all")]
    all_hold(world, points, capsys)


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_every_moment(world, moments, kind, capsys):
    """It is stored, and nobody was told."""
    all_hold(world, [(nth, kind, "fdatasync") for nth in range(1, moments["fdatasync"] + 1)], capsys)


@pytest.mark.soak
def test_killed_in_the_middle_of_storing(world, moments, capsys):
    """Half of a transaction is written."""
    all_hold(world, [(nth, "daemon", "pwrite64") for nth in range(1, moments["pwrite64"] + 1, 7)], capsys)


# ---- in the middle of a copy ----

def copied(m):
    """The share of the bytes of all disks that are being copied."""
    rows = [it for it in m["progress"] if it.get("total_bytes")]
    return sum(it["done_bytes"] for it in rows) / max(sum(it["total_bytes"] for it in rows), 1)


def in_its_copy(world, seed=0, **how):
    """A migration, at a random moment of its base copy."""
    scene = world.take(kind=Service, seed=seed, bandwidth="6MiB", **how)
    share = scene.random.uniform(0.05, 0.6)
    scene.start().create()
    scene.wait_for(lambda m: m["stage"] == "base_copy" and copied(m) >= share)
    return scene


@pytest.mark.parametrize("kind, seed", [
    pytest.param(kind, seed, marks=[] if seed == 0 and kind in ("daemon", "all") else [pytest.mark.soak])
    for kind in KINDS for seed in range(5)])
def test_killed_in_its_copy(world, kind, seed):
    """Who is left alone by the daemon is gone before another one can take its place."""
    scene = in_its_copy(world, seed)
    assert scene.hurt(kind) >= (3 if kind == "all" else 1)
    if kind in ("daemon", "all"):
        scene.start()
    scene.finish()
    scene.close()


@pytest.mark.parametrize("stopped", ["worker", pytest.param("copies", marks=pytest.mark.soak)])
def test_who_is_stopped_dies_with_the_daemon(world, stopped):
    """SIGSTOP, and then the daemon is killed: nobody of an old one wakes up beside the new one."""
    scene = in_its_copy(world)
    for pid in scene.victims(stopped):
        os.kill(pid, signal.SIGSTOP)
    scene.hurt("daemon")
    scene.start()
    scene.finish()
    scene.close()


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_stopped_for_longer_than_anybody_waits(world, kind):
    """SIGSTOP, and SIGCONT when every deadline has passed and the server has forgotten the session."""
    scene = in_its_copy(world)
    pids = scene.victims(kind)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    threading.Event().wait(STOPPED_S)
    world.ask(do="expire-sessions")
    for pid in reversed(pids):
        os.kill(pid, signal.SIGCONT)
    scene.finish()
    scene.close()


@pytest.mark.soak
def test_the_daemon_stands_still_at_some_moments(world, moments, capsys):
    """Longer than it waits for a worker to say hello or to end; what came meanwhile is not held against the worker."""
    all_hold(world, [(nth, "stopped", "fdatasync") for nth in range(1, moments["fdatasync"] + 1, 8)], capsys)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(6))
def test_killed_again_and_again(world, seed):
    """At random moments, some of them in what repairs the last one."""
    scene = world.take(kind=Service, seed=seed, bandwidth="12MiB")
    kills = 0
    scene.start().create()
    while kills < KILLS:
        threading.Event().wait(scene.random.uniform(0.1, 1.5))
        if scene.show()["status"] == "done":
            break
        kind = scene.random.choice(KINDS)
        kills += 1 if scene.hurt(kind) else 0
        if kind in ("daemon", "all"):
            scene.start()
        assert scene.vmferryd.wait_ready()
    assert kills == KILLS
    scene.finish()
    scene.close()


# ---- the one of a batch ----

@pytest.fixture(name="site")
def a_site(tmp_path, programs):
    disk = make_disk(tmp_path / "disk.raw", 12)
    machine = {"name": "web01", "power": "poweredOn", "memory_mib": 64,
               "disks": [{"controller": "pvscsi0", "unit": 0, "image": str(disk)}],
               "extra": {"qemu": {"process": False}, "tools_after_s": 0, "shutdown_s": 0.05}}
    made = Site(programs / "cli/vmferry", tmp_path, [machine])
    yield made
    made.close()


def test_the_private_daemon_of_a_run_is_killed(site):
    """vmferry run says so and ends; the same command goes on."""
    spec = site.spec("web01")
    run = site.start(spec)
    site.wait_stage(run, spec, "delta")
    [daemon] = [pid for pid, name in descendants(run.process.pid) if name == DAEMON]
    os.kill(daemon, signal.SIGKILL)
    code, _, stderr = run.end()
    assert code != 0 and "vmferryd" in stderr, stderr
    again = site.start(spec)
    site.wait_stage(again, spec, "delta")
    site.say("finalize", "--now", "--spec", spec)
    again.is_good()
    site.is_moved("web01")
    site.nothing_left()
