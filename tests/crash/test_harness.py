"""The daemon's side that the crash tests play, tried on a worker of twenty lines: it must not itself be what fails."""

import sys

import pytest

from worker import KILL, KILL_AFTER, Answer, Daemon, Store, StoreError

# Switches a light on, in a journal, until three are on; a light is a file, and is looked for before it is made.
WORKER = '''#!%s
import json, os, pathlib, socket
s = socket.socket(fileno=3)
def say(**m): s.send(json.dumps(m).encode())
def hear(): return json.loads(s.recv(65537))
say(type="hello", version=1, role="worker")
start = hear()
seq = 0
def tell(kind, *ops):
    global seq
    seq += 1
    say(type=kind, act="light", seq=seq, ops=list(ops))
    ack = hear()
    assert ack["seq"] == seq
    if "error" in ack:
        say(type="result", ok=False, then="retry", after_s=1, error=ack["error"])
        os._exit(1)
state = start["state"]
n = state.get("lights", 0)
if n == 3:
    say(type="result", ok=True, outcome="done")
    os._exit(0)
if state.get("next", 0) == n:
    tell("begin", {"op": "put", "key": "next", "value": n + 1})
light = pathlib.Path(start["dir"]) / str(n + 1)
if not light.exists():
    light.touch()
tell("done", {"op": "put", "key": "lights", "value": n + 1},
     {"op": "object", "kind": "file", "name": str(n + 1), "state": "made", "detail": {}})
if start["wishes"]["finalize"] and n == 2:
    say(type="result", ok=True, outcome="done")
else:
    say(type="result", ok=True, outcome="wait", after_s=0)
''' % sys.executable


@pytest.fixture(name="begun")
def beginning(tmp_path):
    program = tmp_path / "worker"
    program.write_text(WORKER)
    program.chmod(0o755)
    lights = tmp_path / "lights"
    lights.mkdir()
    with open(tmp_path / "errors", "w+b") as errors:
        def begin(meddle=None):
            return Daemon(program, {"type": "start", "dir": str(lights)}, Store(tmp_path / "store"), errors, meddle)

        begin.lights = lights
        yield begin


def lit(begun):
    return sorted(path.name for path in begun.lights.iterdir())


def finish(daemon):
    def between(daemon, _ended):
        if daemon.store["state"].get("lights") == 2:
            daemon.store.wish(finalize=True)

    return daemon.to_the_end(between)


def test_undisturbed(begun):
    daemon = begun()
    assert finish(daemon).outcome == "done" and lit(begun) == ["1", "2", "3"]
    assert daemon.points == 6 and daemon.starts == 3
    assert daemon.acts == [("begin", "light"), ("done", "light")] * 3
    assert Store(daemon.store.path)["state"] == {"version": 1, "next": 3, "lights": 3}


@pytest.mark.parametrize("n", range(1, 7))
@pytest.mark.parametrize("verdict", [KILL, KILL_AFTER, Answer("io")], ids=["before", "after", "refused"])
def test_disturbed_at_a_point(begun, n, verdict):
    done = []

    def meddle(daemon, event):
        if event.n == n and not done:
            done.append(dict(daemon.store["state"]))
            return verdict
        return None

    daemon = begun(meddle)
    assert finish(daemon).outcome == "done" and lit(begun) == ["1", "2", "3"]
    # Killed when it was stored that a light is on, it has lost nothing, but the last time the word that it is the last.
    assert done and daemon.starts == (3 if verdict == KILL_AFTER and n in (2, 4) else 4)


def test_what_is_killed_before_is_not_stored_and_after_is(begun):
    daemon = begun(lambda daemon, event: KILL if event.n == 1 else None)
    assert daemon.run().outcome == "killed" and daemon.store["state"] == {"version": 1}
    daemon.meddle = lambda daemon, event: KILL_AFTER if event.n == 2 else None
    assert daemon.run().outcome == "killed" and daemon.store["state"] == {"version": 1, "next": 1}


def test_a_transaction_is_all_or_nothing(tmp_path):
    store = Store(tmp_path / "store")
    store.apply([{"op": "put", "key": "a", "value": 1}])
    with pytest.raises(StoreError):
        store.apply([{"op": "put", "key": "a", "value": 2}, {"op": "nonsense"}])
    assert store["state"]["a"] == 1 and Store(store.path)["state"]["a"] == 1
    store.apply([{"op": "put", "key": "a", "value": None}, {"op": "clear-wishes"}])
    assert "a" not in store["state"]


def test_an_object_is_there_once(tmp_path):
    store = Store(tmp_path / "store")
    for state in ("planned", "made", "gone"):
        store.apply([{"op": "object", "kind": "snapshot", "name": "x", "state": state}])
        assert [it["state"] for it in store["objects"]] == [state]
    assert store.objects("snapshot", "gone") and not store.objects("snapshot", "made")
