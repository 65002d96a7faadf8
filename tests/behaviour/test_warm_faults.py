"""Every fault of the lab at every call of a warm migration. Once: it carries on. Always: it says what is wrong and
ends, with the source running, and when the fault is over nothing of ours is left there."""

import pathlib
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "crash"))
from scenes import OURS, World  # noqa: E402 pylint: disable=wrong-import-position
from v2v_scenes import names_in  # noqa: E402 pylint: disable=wrong-import-position

MACHINES = 800
RETRIES_MAX = 3         # by a person, after a fault that no program should try again by itself

# What a warm migration asks of the server; test_these_are_the_calls holds it against what it really asks.
CALLS = ("RetrieveServiceContent", "Login", "Logout", "CreateContainerView", "DestroyView", "RetrievePropertiesEx",
         "ContinueRetrievePropertiesEx", "CreateFilter", "WaitForUpdatesEx", "DestroyPropertyFilter",
         "ReconfigVM_Task", "CreateSnapshot_Task", "RemoveSnapshot_Task", "QueryChangedDiskAreas", "ShutdownGuest",
         "PowerOffVM_Task", "HasPrivilegeOnEntities", "DisableMethods", "EnableMethods")
# These are made only where something has gone wrong before, or in another inventory.
ONLY_AT_TIMES = {"PowerOffVM_Task", "CreateContainerView", "DestroyView"}
MAY_COME_TOO = {"SessionIsActive", "CurrentTime", "CancelWaitForUpdates"}

# How a call goes wrong: what passes, and what does not.
PASSING = {
    "cut": {"action": "cut"},
    "503": {"status": 503},
    "session": {"fault": "NotAuthenticated"},
    "host": {"fault": "HostCommunication"},
}
LASTING = {
    "privilege": {"fault": "NoPermission"},
    "broken": {"fault": "SystemError"},
}
PASSING_TASKS = {
    "busy": ("method", {"fault": "TaskInProgress"}),
    "slow": ("task", {"fault": "Timedout"}),
    "host": ("task", {"fault": "HostCommunication"}),
}
LASTING_TASKS = {
    "config": ("task", {"fault": "GenericVmConfigFault"}),
    "state": ("task", {"fault": "InvalidState"}),
}
TASKS = [call for call in CALLS if call.endswith("_Task")]
ODD = {     # what only one of them does
    "quiesce": {"task": "CreateSnapshot_Task", "fault": "ApplicationQuiesceFault"},
    "no-space": {"task": "CreateSnapshot_Task", "fault": "NoDiskSpace"},
    "snapshot": {"task": "CreateSnapshot_Task", "fault": "SnapshotFault"},
    "consolidation": {"task": "RemoveSnapshot_Task", "action": "consolidation_needed"},
    "areas": {"method": "QueryChangedDiskAreas", "fault": "FileFault", "fields": {"file": "/vmfs/volumes/x"}},
    "area-id": {"method": "QueryChangedDiskAreas", "fault": "InvalidArgument",
                "fields": {"invalidProperty": "changeId"}},
    "nfc-read": {"nfc": "read", "error": 5},
    "nfc-abort": {"nfc": "read", "action": "abort"},
    "nfc-open": {"nfc": "open", "error": 4000},
}


def rules():
    """{name: (rule, whether a program may try it again by itself)}"""
    found = {}
    for call in CALLS:
        for name, rule in (PASSING | LASTING).items():
            if (call, name) != ("Login", "session"):
                found[f"{call}-{name}"] = ({"method": call, **rule}, name in PASSING)
    for call in TASKS:
        for name, (kind, rule) in (PASSING_TASKS | LASTING_TASKS).items():
            found[f"{call}-task-{name}"] = ({kind: call, **rule}, name in PASSING_TASKS)
    found.update({f"odd-{name}": (rule, True) for name, rule in ODD.items()})
    return found


RULES = rules()
GATE_ONCE = ("RetrieveServiceContent-session", "CreateSnapshot_Task-task-slow", "RemoveSnapshot_Task-cut",
             "QueryChangedDiskAreas-503", "ReconfigVM_Task-task-busy", "odd-areas", "odd-consolidation",
             "odd-nfc-abort", "ShutdownGuest-cut")
GATE_ALWAYS = ("CreateSnapshot_Task-task-config", "RemoveSnapshot_Task-privilege", "Login-503",
               "ShutdownGuest-privilege")


def some(names):
    return [pytest.param(name, marks=[] if name in names else [pytest.mark.soak]) for name in RULES]


@pytest.fixture(name="world", scope="module")
def a_world(tmp_path_factory, vmferry):
    made = World(tmp_path_factory.mktemp("faults"), vmferry.parent.parent, MACHINES, busy=True)
    yield made
    made.close()


@pytest.fixture(name="lab_rules")
def cleared_rules(world):
    yield world
    world.ask(do="clear")


def add(world, rule, **when):
    world.ask(do="add", rule={**rule, **when})


def went_off(scene):
    """How often it was switched off; between any two of these it was switched on again."""
    states = [state for state, _ in scene.machine()["power_changes"][scene.power_before:]]
    assert all(one != other for one, other in zip(states, states[1:])), states
    return states.count("poweredOff")


def finished(scene):
    """To the end, a person saying retry where it is for a person to say."""
    ended = scene.migrate(rounds=1)
    said = []
    while ended.outcome == "fail" and len(said) < RETRIES_MAX:
        said.append(ended.result["error"]["text"])
        scene.daemon.attempt = 0
        ended = scene.migrate(rounds=1)
    return ended, said


def test_these_are_the_calls(world):
    before = world.ask(do="state")["calls"]
    scene = world.take()
    scene.is_done(scene.migrate(rounds=1))
    calls = {name for name, n in world.ask(do="state")["calls"].items() if n > before.get(name, 0)}
    assert calls - set(CALLS) <= MAY_COME_TOO, calls - set(CALLS)
    assert set(CALLS) - calls <= ONLY_AT_TIMES, set(CALLS) - calls


@pytest.mark.parametrize("name", some(GATE_ONCE))
def test_once(lab_rules, name):
    rule, passing = RULES[name]
    scene = lab_rules.take()
    add(lab_rules, rule)
    ended, said = finished(scene)
    scene.is_done(ended, offs=went_off(scene))
    assert not (passing and said), f"it did not carry on by itself: {said}"


@pytest.mark.soak
@pytest.mark.parametrize("nth", [2, 5])
@pytest.mark.parametrize("name", RULES)
def test_once_but_not_at_the_first(lab_rules, name, nth):
    rule, passing = RULES[name]
    scene = lab_rules.take()
    add(lab_rules, rule, nth=nth)
    ended, said = finished(scene)
    scene.is_done(ended, offs=went_off(scene))
    assert not (passing and said), f"it did not carry on by itself: {said}"


@pytest.mark.parametrize("nth", [1, pytest.param(3, marks=pytest.mark.soak)])
@pytest.mark.parametrize("name", some(GATE_ALWAYS))
def test_always(lab_rules, name, nth):
    rule, _ = RULES[name]
    scene = lab_rules.take()
    add(lab_rules, rule, nth=nth, times=0)
    ended = scene.migrate(rounds=1)
    if ended.outcome == "done":     # it can do without that call
        lab_rules.ask(do="clear")
        scene.is_done(ended, offs=went_off(scene))
        return
    assert ended.outcome == "fail", ended
    error = ended.result["error"]
    assert error["kind"] != "bug" and scene.name in error["text"] or scene.lab.facts["host"] in error["text"], error
    mentioned = [it for it in scene.snapshots() if it.startswith(OURS)]
    assert all(it in error["text"] for it in mentioned), (mentioned, error)
    # The source runs, unless it cannot be switched on, which is said.
    lab_rules.ask(do="clear")
    went_off(scene)
    assert scene.machine()["power"] == "poweredOn" or "the source is still off" in error["text"], error
    given_up(scene)


def given_up(scene):
    """The fault is over, and somebody cancels: nothing of ours stays, and the source runs."""
    scene.daemon.store.wish(cancel=True, finalize=False)
    scene.daemon.attempt = 0
    ended = scene.daemon.to_the_end()
    assert ended.outcome == "cancelled", ended
    assert scene.machine()["power"] == "poweredOn"
    scene.is_clean()
    assert names_in(scene.out) == []
    left = [it for it in scene.daemon.store["objects"]
            if it["state"] != "gone" and it["kind"] not in ("power-off", "power-on")]
    assert not left, left
