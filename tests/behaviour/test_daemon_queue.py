"""vmferryd from outside: whose turn it is, how fast, and the marker files."""

import os
import sqlite3
import time

import pytest

from daemon_scenes import (MACHINE, WAIT, eventually, fixture_serve, make_config,
                           ready)

pytestmark = pytest.mark.asan


# ---- whose turn it is ----

def test_no_more_machines_at_once_than_allowed(serve):
    daemon = ready(serve(config=make_config(migration={"parallel_vms": 2})))
    ids = [daemon.create(f"web{i:02}") for i in range(4)]
    workers = daemon.next_workers(ids[:2])
    assert daemon.starts_no_worker()
    assert [daemon.show(i)["status"] for i in ids] == ["running", "running", "queued", "queued"]
    # Who waits between two rounds holds no place.
    workers[0].end(**WAIT)
    assert daemon.next_worker().start["id"] == ids[2]
    # A cutover goes first.
    daemon.asked(ids[0], "finalize-now")
    daemon.becomes(ids[0], "queued")
    workers[1].end(**WAIT)
    assert daemon.next_worker().start["id"] == ids[0]
    assert daemon.call("PUT", "/limits", {"parallel_vms": 3})[0] == 200
    assert daemon.next_worker().start["id"] == ids[3]


def test_final_before_delta_before_base_on_one_host(serve):
    daemon = ready(serve(config=make_config(limits={"disks_per_esxi": 2}, migration={"parallel_vms": 4})))
    workers = {}
    for name in ("holder", "base", "delta", "final"):
        daemon.create(name)
        workers[name] = daemon.next_worker()
    workers["holder"].say(type="want", host="esx1", priority="base", disks=3)
    assert workers["holder"].wish("grant")["disks"] == 2
    for name in ("base", "delta", "final"):
        workers[name].say(type="want", host="esx1", priority=name, disks=1)
        assert workers[name].hears_nothing()
    workers["holder"].say(type="free", disks=1)
    assert workers["final"].wish("grant")["disks"] == 1
    workers["holder"].say(type="free", disks=1)
    assert workers["delta"].wish("grant")["disks"] == 1
    workers["final"].say(type="want", host="esx2", priority="delta", disks=1)
    assert workers["final"].wish("grant")["disks"] == 1, "another host"
    assert workers["base"].hears_nothing()


def test_due_times_over_a_restart(serve):
    daemon = ready(serve())
    ids = [daemon.create(f"web{i:02}") for i in range(3)]
    for _ in ids:
        daemon.next_worker().end(**WAIT)
    for migration in ids:
        daemon.becomes(migration, "waiting")
    daemon.stop()
    now = int(time.time())
    # one was due while nobody was there; one was put down by a clock that ran a year ahead
    with sqlite3.connect(daemon.store) as store:
        store.execute("UPDATE migration SET due_at = ?, updated_at = ? WHERE id = ?", (now - 50, now - 350, ids[0]))
        store.execute("UPDATE migration SET due_at = ?, updated_at = ? WHERE id = ?",
                      (now + 31536002, now + 31536000, ids[1]))
    store.close()
    begun = time.monotonic()
    daemon = ready(serve())
    assert daemon.next_worker().start["id"] == ids[0]
    assert daemon.next_worker().start["id"] == ids[1]   # after its interval, not after a year
    assert 1 < time.monotonic() - begun < 20
    assert daemon.show(ids[2])["status"] == "waiting"


def test_the_bandwidth_is_shared_by_the_disks_that_run(serve):
    mib = 1 << 20
    daemon = ready(serve(config=make_config(limits={"bandwidth": "400MiB"})))
    daemon.create("web01")
    first = daemon.next_worker()
    assert first.start["limit_bytes_s"] == 400 * mib
    second_id = daemon.create("web02")
    second = daemon.next_worker()
    for worker, disks, share in ((first, 3, 300), (second, 1, 100)):
        worker.say(type="want", host="esx1", priority="base", disks=disks)
        limit = None
        while (message := worker.hear())["wish"] == "limit":
            limit = message["limit_bytes_s"]
        assert message == {"type": "wish", "wish": "grant", "disks": disks}
        assert limit == share * mib, "who gets more disks hears first how fast they may be"
    daemon.asked(second_id, "limit", limit_bytes_s=10 * mib)
    assert second.wish("limit")["limit_bytes_s"] == 10 * mib
    assert daemon.call("PUT", "/limits", {"bandwidth_bytes_s": 0})[0] == 200
    assert first.wish("limit")["limit_bytes_s"] == 0
    assert second.hears_nothing(), "its own limit stays"


def test_limits_are_kept_until_the_config_says_otherwise(serve):
    daemon = ready(serve())
    assert daemon.get("/limits") == {"disks_per_esxi": 8, "parallel_vms": 3, "bandwidth_bytes_s": 0}
    assert daemon.call("PUT", "/limits", {"disks_per_esxi": 0})[0] == 400
    assert daemon.call("PUT", "/limits", {"disks": 1})[0] == 400
    assert daemon.call("PUT", "/limits", {"disks_per_esxi": 2, "parallel_vms": 9})[0] == 200
    daemon.stop()
    daemon = ready(serve(config=make_config(migration={"parallel_vms": 5})))
    assert daemon.get("/limits") == {"disks_per_esxi": 2, "parallel_vms": 5, "bandwidth_bytes_s": 0}


# ---- markers ----

def test_a_marker_is_honoured_once(serve):
    daemon = ready(serve())
    migration = daemon.create()
    worker = daemon.next_worker()
    worker.journal("note", MACHINE)
    folder = daemon.control_dir / "web01_vm-16"
    (folder / "FINALIZE").touch()
    worker.wish("finalize")
    assert not (folder / "FINALIZE").exists() and daemon.show(migration)["finalize"]
    worker.end(ok=True, outcome="ask", question="shutdown")
    daemon.becomes(migration, "asking")
    (folder / "SHUTDOWN_MANUAL").touch()
    assert daemon.next_worker().start["wishes"]["shutdown"] == "manual"
    assert not (folder / "SHUTDOWN_MANUAL").exists()


def test_a_stale_marker_powers_nothing_off(serve):
    daemon = ready(serve())
    folder = daemon.control_dir / "web01_vm-16"
    folder.mkdir()
    (folder / "FINALIZE_NOW").touch()
    os.utime(folder / "FINALIZE_NOW", (1700000000, 1700000000))
    migration = daemon.create()
    worker = daemon.next_worker()
    worker.journal("note", MACHINE)
    eventually(lambda: not (folder / "FINALIZE_NOW").exists())
    m = daemon.show(migration)
    assert not m["finalize"] and not m["finalize_now"]
    assert "marker-stale" in [event["code"] for event in daemon.events(migration)]
    assert worker.hears_nothing()


def test_a_marker_that_is_refused_is_gone_too(serve):
    daemon = ready(serve())
    migration = daemon.create()
    worker = daemon.next_worker()
    worker.journal("note", MACHINE)
    worker.end(ok=False, error={"kind": "io", "text": "x"}, then="fail")
    daemon.becomes(migration, "failed")
    marker = daemon.control_dir / "web01_vm-16" / "FINALIZE"
    marker.touch()
    eventually(lambda: not marker.exists())
    assert eventually(lambda: "marker-refused" in [event["code"] for event in daemon.events(migration)])
    assert not daemon.show(migration)["finalize"]


@pytest.mark.parametrize("name, folder", [("a b/ü", "a_b____vm-16"), ("../../x", ".._.._x_vm-16"), (".hidden", ".hidden_vm-16")])
def test_names_are_no_paths(serve, name, folder):
    daemon = ready(serve())
    daemon.create("web01")
    worker = daemon.next_worker()
    worker.journal("note", {**MACHINE, "name": name})
    eventually(lambda: (daemon.control_dir / folder / "migration.log").exists())
    assert {path.name for path in daemon.room.iterdir()} <= {"control", "store.db", "store.db-wal", "store.db-shm",
                                                             "store.db-lock", "workers.sock", "vmferry-worker"}


def test_two_machines_of_one_name_have_two_folders(serve):
    config = {"vcenters": {name: {"host": f"{name}.example.org", "user": "a", "password": "b"} for name in ("vc1", "vc2")}}
    daemon = ready(serve(config=config))
    for vcenter in ("vc1", "vc2"):
        daemon.create("web01", source={"vcenter": vcenter})
        worker = daemon.next_worker()
        assert worker.start["input"]["endpoint"]["server"] == f"{vcenter}.example.org"
        worker.journal("note", {**MACHINE, "server": f"{vcenter}.example.org"})
    eventually(lambda: len(list(daemon.control_dir.glob("web01_vm-16*"))) == 2)
