"""The wall clock jumps by a day while a migration runs, waits or switches over: nothing hangs, nothing comes before its
time, and what arrives is the same."""

import datetime
import os
import time

import pytest

from scenes import World
from service import Service

MACHINES = 60
DAY = 24 * 3600
SOON_S = 20         # of rounds that are due every second
JUMPS = {"forward": DAY, "back": -DAY}
GATE = (("waiting", "forward"), ("waiting", "back"), ("cutover", "back"))


@pytest.fixture(scope="module")
def world(workdir, programs):
    made = World(workdir, programs, MACHINES)
    yield made
    made.close()


@pytest.fixture(name="clocked")
def a_clocked_service(world):
    """A Service and all that it starts, with a wall clock that can be set."""
    library = world.programs.parent / "tests/crash/libwall-clock.so"
    if not library.exists():
        pytest.skip(f"{library} is not built: a program under a sanitizer is not preloaded")
    made = []

    def take(**how):
        clock = world.here / f"clock{world.taken}"
        clock.write_text("0")
        made.append(world.take(kind=Clocked, env={"LD_PRELOAD": str(library), "WALL_CLOCK": str(clock)}, **how))
        return made[-1]

    yield take
    for scene in made:
        scene.close()


class Clocked(Service):
    def jump(self, seconds):
        """It is never half written."""
        fresh = f"{self.env['WALL_CLOCK']}.fresh"
        with open(fresh, "w", encoding="ascii") as file:
            file.write(str(seconds))
        os.replace(fresh, self.env["WALL_CLOCK"])

    def deltas(self):
        return [it["kind"] for it in self.show()["rounds"]].count("delta")

    def makes_rounds(self, more=2):
        """And waits for the next one."""
        before = self.deltas()
        self.wait_for(lambda m: m["status"] == "waiting" and
                      [it["kind"] for it in m["rounds"]].count("delta") >= before + more, SOON_S)


def moment(seconds):
    """So far from now on a clock that nobody has set."""
    when = datetime.datetime.fromtimestamp(int(time.time()) + seconds, datetime.timezone.utc)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def has_said(scene, stage):
    return [it for it in scene.events() if it["code"] == "stage" and it["text"].startswith(stage)]


MOMENTS = {
    "copying": lambda scene, m: m["progress"],
    "waiting": lambda scene, m: m["status"] == "waiting",
    "cutover": lambda scene, m: has_said(scene, "final_sync"),
}


def moments():
    for where in MOMENTS:
        for jump in JUMPS:
            marks = [] if (where, jump) in GATE else [pytest.mark.soak]
            yield pytest.param(where, jump, marks=marks)


@pytest.mark.parametrize("where, jump", moments())
def test_it_jumps(clocked, where, jump):
    """At one moment. The store's due times, the intervals and what a server's certificate says are of the other clock."""
    scene = clocked(**({"bandwidth": "6MiB"} if where == "copying" else {}))
    scene.start().create()
    if where == "cutover":
        scene.wait_for(lambda m: m["status"] == "waiting")
        scene.cut_over = True
        scene.say("finalize-now")
    scene.wait_for(lambda m: MOMENTS[where](scene, m))
    scene.jump(JUMPS[jump])
    if where != "cutover":
        scene.makes_rounds(1)
    scene.finish()


@pytest.mark.soak
@pytest.mark.parametrize("jump", ["forward", "back"])
def test_it_jumps_while_nobody_runs(clocked, jump):
    """Due times are stored by the wall clock: who is started again waits for one interval at most."""
    scene = clocked(delta_interval=2)
    scene.start().create()
    scene.wait_for(lambda m: m["status"] == "waiting")
    scene.hurt("all")
    scene.jump(JUMPS[jump])
    scene.start().create()
    scene.makes_rounds()
    scene.finish()


@pytest.mark.soak
def test_no_cutover_before_its_time(clocked):
    """The time that was given is one of the wall clock: a day back it is a day farther, and no round fails to come."""
    scene = clocked(finalize_at=moment(3600))
    scene.start().create()
    scene.makes_rounds()
    scene.jump(-DAY)
    scene.makes_rounds(3)
    assert not scene.machine()["power_changes"][scene.power_before:]
    scene.jump(0)
    scene.makes_rounds(3)
    assert not scene.machine()["power_changes"][scene.power_before:]
    scene.cut_over = True
    scene.jump(3601)
    scene.finish(SOON_S)


def test_its_time_comes_in_the_middle_of_a_wait(clocked):
    """An hour has passed at once, and who waited for it is not kept for another one."""
    scene = clocked(delta_interval=7200, finalize_at=moment(3600))
    scene.start().create()
    m = scene.wait_for(lambda m: m["status"] == "waiting")
    assert 3000 < m["due_at"] - time.time() <= 3600, m
    scene.cut_over = True
    scene.jump(DAY)
    scene.finish(SOON_S)
