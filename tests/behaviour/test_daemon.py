"""vmferryd from outside: how it starts and ends, what it remembers, what it makes of what is asked and of what workers say."""

import json
import os
import random
import resource
import signal
import socket
import sqlite3
import subprocess
import time

import pytest

from daemon_scenes import (DONE, MACHINE, SECRET, WAIT, eventually, fixture_serve, make_config,
                           make_spec, ready)
from test_protocol import EXAMPLES

pytestmark = pytest.mark.asan


# ---- starting and stopping ----

def test_ready_names_its_socket_which_is_private(serve):
    daemon = ready(serve())
    assert daemon.first["socket"] == str(daemon.socket)
    assert set(daemon.first) == set(EXAMPLES["daemon"]["ready"][0])
    assert daemon.socket.stat().st_mode & 0o777 == 0o600
    assert daemon.store.stat().st_mode & 0o777 == 0o600
    health = daemon.get("/health")
    assert health["status"] == "ok" and health["mode"] == "serve" and health["pid"] == daemon.process.pid


@pytest.mark.parametrize("how", ["wish", "parent", "SIGTERM", "SIGINT"])
def test_each_way_to_stop_it(serve, how):
    daemon = ready(serve("run"))
    if how == "wish":
        assert daemon.stop()["ok"]
    elif how == "parent":
        daemon.parent.shutdown(socket.SHUT_RDWR)
    else:
        daemon.process.send_signal(getattr(signal, how))
        assert daemon.wait()["ok"]
    assert daemon.process.wait(20) == 0
    assert not daemon.socket.exists()
    assert not daemon.process.stderr.read()


@pytest.mark.parametrize("change", [{"mode": "sleep"}, {"config": {"vcentre": {}}}, {"config": 5}, {"store": None}])
def test_a_start_that_makes_no_sense_is_refused(serve, change):
    daemon = serve(**change)
    assert daemon.first["type"] == "result" and not daemon.first["ok"]
    assert daemon.first["error"]["kind"] == "invalid"
    assert daemon.process.wait(20) == 1


def test_two_daemons_one_store(serve):
    first = ready(serve())
    second = serve()
    assert second.first["error"]["kind"] == "conflict"
    assert str(first.process.pid) in second.first["error"]["text"]
    assert first.get("/health")["pid"] == first.process.pid


def test_two_daemons_one_control_dir(serve, tmp_path):
    first = ready(serve())
    second = serve(store=str(tmp_path / "other.db"))
    assert second.first["error"]["kind"] == "conflict"
    assert "control_dir" in second.first["error"]["text"]
    assert first.get("/health")["pid"] == first.process.pid


def test_a_path_too_long_for_a_socket_is_said(serve, tmp_path):
    daemon = serve(control_dir=str(tmp_path / ("x" * 120)))
    assert daemon.first["error"]["kind"] == "invalid"
    assert "control_dir" in daemon.first["error"]["text"]


def test_without_a_parent_it_says_how_it_is_started(serve):
    daemon = ready(serve())
    result = subprocess.run(["/bin/bash", "-c", 'exec "$@" 3<&-', "bash", os.readlink(f"/proc/{daemon.process.pid}/exe")],
                            capture_output=True, text=True, check=False)
    assert result.returncode == 2 and "vmferry serve" in result.stderr


# ---- a migration from its beginning to its end ----

def test_a_machine_moves(serve):
    daemon = ready(serve())
    migration = daemon.create()
    worker = daemon.next_worker()
    start = worker.start
    assert start["id"] == migration and start["action"] == "migrate" and start["journal"] is True
    assert start["input"]["endpoint"]["password"] == SECRET and start["input"]["endpoint"]["server"] == "vc1.example.org"
    assert start["input"]["vm"] == "web01" and start["output"]["kind"] == "local"
    assert start["warm"]["interval_s"] == 300 and start["warm"]["finalize_at"] is None and start["warm"]["settle_s"] is None
    assert start["state"] == {"version": 1} and start["attempt"] == 0
    assert not any(start["wishes"][key] for key in ("finalize", "finalize_now", "shutdown", "paused", "cancel"))
    m = daemon.becomes(migration, "running")
    assert m["name"] == "web01" and m["started_at"] and m["stage"] == "not_started"

    assert "error" not in worker.journal("note", {"op": "stage", "stage": "base_copy"}, MACHINE)
    worker.journal("begin", {"op": "object", "kind": "snapshot", "name": "vmferry-1", "state": "planned"})
    worker.journal("done", {"op": "object", "kind": "snapshot", "name": "vmferry-1", "state": "made",
                            "detail": {"moref": "snapshot-3"}},
                   {"op": "put", "key": "change_id", "value": {"2000": "52 01/7"}})
    worker.say(type="progress", stage="base_copy", disk="scsi0:0", pct=50, overall_pct=24, done_bytes=5, total_bytes=10)
    worker.say(type="forecast", downtime_s=95, basis={"shutdown_s": 20})
    worker.say(type="log", level="warning", code="no-free-space", text="there is little room")
    m = eventually(lambda: (lambda m: m if m["forecast"] else None)(daemon.show(migration)))
    assert m["progress"] == [{"stage": "base_copy", "disk": "scsi0:0", "pct": 50, "done_bytes": 5, "total_bytes": 10}]
    assert m["overall_pct"] == 24 and m["forecast"]["downtime_s"] == 95 and m["next_stage"] == "delta"
    assert m["moref"] == "vm-16" and m["disks"][0]["label"] == "scsi0:0"
    assert m["objects"][0]["state"] == "made" and m["objects"][0]["detail"] == {"moref": "snapshot-3"}

    worker.journal("done", {"op": "round", "number": 0, "kind": "base", "started_at": 1764468000, "seconds": 12.5, "disks": [
        {"key": 2000, "areas": 1, "changed_bytes": 5, "read_bytes": 5, "written_bytes": 5, "full": True, "why": "first"}]})
    worker.end(**{**WAIT, "after_s": 0})
    worker = daemon.next_worker()
    assert worker.start["state"] == {"version": 1, "change_id": {"2000": "52 01/7"}}
    worker.end(**DONE)
    m = daemon.becomes(migration, "done")
    assert m["ended_at"] and m["overall_pct"] == 100 and m["rounds"][0]["disks"][0]["why"] == "first"
    codes = [event["code"] for event in daemon.events(migration)]
    assert "created" in codes and "no-free-space" in codes and codes[-1] == "done"
    log = (daemon.control_dir / "web01_vm-16" / "migration.log").read_text()
    assert log.startswith("[20") and "there is little room" in log and "begun" in log
    assert (daemon.control_dir / "web01_vm-16" / "spec.yaml").exists()


def test_no_secret_leaves_the_memory(serve):
    daemon = ready(serve())
    migration = daemon.create()
    worker = daemon.next_worker()
    worker.journal("note", MACHINE)
    answers = json.dumps([daemon.show(migration), daemon.get("/migrations"), daemon.events(migration)])
    worker.end(**DONE)
    daemon.becomes(migration, "done")
    daemon.stop()
    assert SECRET not in answers
    for path in daemon.room.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


def test_the_same_spec_again_goes_on(serve):
    daemon = ready(serve())
    spec = {"spec": make_spec(daemon.room, "web01")}
    status, made = daemon.call("POST", "/migrations", spec)
    assert status == 201 and made["status"] == "queued"
    status, again = daemon.call("POST", "/migrations", spec)
    assert status == 200 and again["id"] == made["id"]
    other = {"spec": make_spec(daemon.room, "web01", target={"files": {"directory": "/elsewhere"}})}
    status, refused = daemon.call("POST", "/migrations", other)
    assert status == 409 and refused["code"] == "conflict" and "another target" in refused["detail"]
    daemon.next_worker().end(**DONE)
    daemon.becomes(made["id"], "done")
    status, anew = daemon.call("POST", "/migrations", spec)
    assert status == 201 and anew["id"] != made["id"]


def test_the_spec_of_a_paused_one_changes_nothing(serve):
    daemon = ready(serve())
    migration = daemon.create()
    worker = daemon.next_worker()
    interval_s = worker.start["warm"]["interval_s"]
    daemon.asked(migration, "pause")
    worker.wish("pause")
    worker.end(ok=True, outcome="paused")
    daemon.becomes(migration, "paused")
    other = {"spec": make_spec(daemon.room, "web01", migration={"delta_interval": 2 * interval_s})}
    status, refused = daemon.call("POST", "/migrations", other)
    assert status == 409 and refused["detail"] == f"web01: it is paused: 'vmferry resume {migration}' lets it go on"
    daemon.asked(migration, "resume")
    worker = daemon.next_worker()
    assert worker.start["warm"]["interval_s"] == interval_s
    status, _ = daemon.call("POST", "/migrations", other)
    worker.end(**WAIT)
    daemon.becomes(migration, "waiting")
    daemon.asked(migration, "finalize-now")
    assert status == 200 and daemon.next_worker().start["warm"]["interval_s"] == 2 * interval_s


@pytest.mark.parametrize("spec, text", [
    ({"vm": {}}, "vm"),
    ({"vm": {"nme": "x"}}, "did you mean 'name'"),
    ({"target": {"cloudstack": {"zoneid": "1", "clusterid": "2", "storageid": "3", "serviceofferingid": "4", "networkid": "5"}}},
     "target.cloudstack"),
    ({"source": {"vcenter": "elsewhere"}}, "elsewhere"),
    ({"conversion": {"first_boot": ["/srv/first.sh"]}}, "conversion.first_boot: "),
    ({"conversion": {"keys": ["/dev/sda1:clevis"] * 33}}, "conversion.keys"),
    ({"migration": {"parallel_disks": 65}}, "migration.parallel_disks: 65 is not from 0 to 64"),
])
def test_a_spec_that_cannot_be_carried_out(serve, spec, text):
    daemon = ready(serve())
    status, answer = daemon.call("POST", "/migrations", {"spec": {**make_spec(daemon.room, "web01"), **spec}})
    assert status == 400 and answer["code"] == "invalid" and text in answer["detail"], answer
    assert daemon.get("/migrations") == {"migrations": [], "next": None}


def test_options_have_the_ranges_of_the_spec(serve):
    daemon = ready(serve())
    for options in ({"parallel_disks": 65}, {"readers": 257}):
        status, answer = daemon.call("POST", "/migrations", {"spec": make_spec(daemon.room, "web01"), "options": options})
        assert status == 400 and list(options)[0] in answer["detail"], answer
    status, answer = daemon.call("POST", "/migrations", {"spec": make_spec(daemon.room, "web01"),
                                                         "options": {"parallel_disks": 64, "readers": 256}})
    assert status == 201 and daemon.next_worker().start["parallel_disks"] == 64


# ---- verbs ----

def test_verbs_in_each_status(serve):
    daemon = ready(serve(config=make_config(migration={"parallel_vms": 1})))
    migration = daemon.create()
    worker = daemon.next_worker()
    worker.journal("note", {"op": "stage", "stage": "base_copy"})
    status, answer = daemon.verb(migration, "retry")
    assert status == 409 and answer["code"] == "conflict" and "nothing to retry" in answer["detail"]
    assert daemon.verb(migration, "shutdown", choice="force")[0] == 409
    assert daemon.asked(migration, "pause")["already"] is False
    assert daemon.asked(migration, "pause")["already"] is True
    worker.wish("pause")
    worker.end(ok=True, outcome="paused")
    daemon.becomes(migration, "paused")
    status, answer = daemon.verb(migration, "finalize")
    assert status == 409 and "resume it first" in answer["detail"]
    daemon.asked(migration, "resume")
    worker = daemon.next_worker()
    assert worker.start["wishes"]["paused"] is False
    assert daemon.asked(migration, "finalize")["migration"]["finalize"] is True
    worker.wish("finalize")
    assert daemon.asked(migration, "finalize")["already"] is True
    worker.end(ok=True, outcome="ask", question="shutdown", text="VMware Tools do not run")
    assert daemon.becomes(migration, "asking")["question"] == "shutdown"
    assert daemon.verb(migration, "shutdown", choice="gently")[0] == 400
    daemon.asked(migration, "shutdown", choice="force")
    worker = daemon.next_worker()
    assert worker.start["wishes"]["shutdown"] == "force" and worker.start["wishes"]["finalize"] is True
    assert daemon.show(migration)["question"] is None
    worker.end(ok=False, error={"kind": "io", "text": "disk broke"}, then="fail")
    m = daemon.becomes(migration, "failed")
    assert m["error"] == {"kind": "io", "text": "disk broke"} and m["attempt"] == 1
    assert not m["finalize"], "a wish of before the failure must not lie in wait"
    daemon.asked(migration, "retry")
    worker = daemon.next_worker()
    assert worker.start["attempt"] == 0 and worker.start["wishes"]["shutdown"] is None
    daemon.asked(migration, "cancel", cleanup=True)
    assert worker.wish("cancel")["cleanup"] is True
    worker.end(ok=True, outcome="cancelled")
    daemon.becomes(migration, "cancelled")
    assert daemon.asked(migration, "cancel")["already"] is True
    assert daemon.verb(migration, "pause")[0] == 409
    assert daemon.verb(migration, "dance")[0] == 404
    assert daemon.verb("ffffffffffff", "pause")[0] == 404


def test_waiting_and_what_makes_it_due(serve):
    daemon = ready(serve())
    migration = daemon.create()
    daemon.next_worker().end(**WAIT)
    m = daemon.becomes(migration, "waiting")
    assert 290 < m["due_at"] - time.time() <= 300
    daemon.asked(migration, "finalize")
    assert daemon.show(migration)["status"] == "waiting" and daemon.starts_no_worker()
    daemon.asked(migration, "finalize-now")
    worker = daemon.next_worker()
    assert worker.start["wishes"]["finalize_now"] is True
    # The cutover was tried and the machine goes on: the wish is used up.
    ack = worker.journal("note", {"op": "put", "key": "cutover", "value": None}, {"op": "clear-wishes"})
    assert "error" not in ack, ack
    m = daemon.show(migration)
    assert not m["finalize"] and not m["finalize_now"]
    worker.end(**WAIT)
    daemon.becomes(migration, "waiting")
    assert daemon.starts_no_worker()


ASK = {"ok": True, "outcome": "ask", "question": "shutdown", "after_s": 1, "text": "switch it off"}


def test_a_question_that_settles_itself(serve):
    daemon = ready(serve())
    migration = daemon.create()
    daemon.asked(migration, "finalize")
    daemon.next_worker().end(**ASK)
    worker = daemon.next_worker()    # to see whether somebody has switched it off
    assert daemon.show(migration)["status"] == "asking" and daemon.show(migration)["question"] == "shutdown"
    worker.say(type="stage", stage="final_sync", text="Looking")
    worker.end(**ASK)
    daemon.kill()
    daemon = ready(serve())
    assert daemon.show(migration)["status"] == "asking"
    worker = daemon.next_worker()
    assert daemon.show(migration)["status"] == "asking"
    worker.end(**DONE)
    assert daemon.becomes(migration, "done")["question"] is None
    codes = [event["code"] for event in daemon.events(migration)]
    assert codes.count("asking") == 1 and "stage" not in codes, "one that asks does not fill the log"


@pytest.mark.parametrize("heard", [True, False])
def test_an_answer_while_a_worker_looks(serve, heard):
    daemon = ready(serve())
    migration = daemon.create()
    daemon.next_worker().end(**ASK)
    worker = daemon.next_worker()
    daemon.asked(migration, "shutdown", choice="force")
    assert worker.wish("shutdown")["choice"] == "force"
    if heard:
        worker.end(**DONE)
        daemon.becomes(migration, "done")
        return
    worker.end(**ASK)    # it had not looked: the answer counts all the same
    worker = daemon.next_worker()
    assert worker.start["wishes"]["shutdown"] == "force"
    worker.end(**ASK)    # it knew, and asks again
    m = daemon.becomes(migration, "asking", shutdown=None)
    assert m["question"] == "shutdown"


def test_a_wish_that_crosses_the_end_of_a_round_is_not_lost(serve):
    daemon = ready(serve())
    migration = daemon.create()
    worker = daemon.next_worker()
    daemon.asked(migration, "finalize-now")
    worker.end(**WAIT)    # it had not looked
    worker = daemon.next_worker()
    assert worker.start["wishes"]["finalize_now"] is True
    worker.end(**WAIT)    # it had, and waits all the same: not again at once
    daemon.becomes(migration, "waiting")
    assert daemon.starts_no_worker()


def test_a_wish_before_a_worker_has_said_hello_is_not_lost(serve):
    daemon = ready(serve())
    migration = daemon.create()
    worker = daemon.next_worker(begin=False)
    daemon.becomes(migration, "running")
    daemon.asked(migration, "cancel")
    assert worker.begin().start["wishes"]["cancel"] is True
    worker.end(ok=True, outcome="cancelled")
    daemon.becomes(migration, "cancelled")


def test_a_pause_that_is_taken_back(serve):
    daemon = ready(serve())
    migration = daemon.create()
    worker = daemon.next_worker()
    daemon.asked(migration, "pause")
    daemon.asked(migration, "resume")
    worker.end(ok=True, outcome="paused")
    assert daemon.next_worker().start["wishes"]["paused"] is False


def test_cancelled_before_it_began(serve):
    daemon = ready(serve(config=make_config(migration={"parallel_vms": 1})))
    first, second = daemon.create("web01"), daemon.create("web02")
    daemon.next_worker()
    assert daemon.asked(second, "cancel")["migration"]["status"] == "cancelled"
    assert daemon.show(first)["status"] == "running"


def test_delete_is_for_ended_ones_that_left_nothing(serve):
    daemon = ready(serve())
    migration = daemon.create()
    worker = daemon.next_worker()
    assert daemon.call("DELETE", f"/migrations/{migration}")[0] == 409
    worker.journal("begin", {"op": "object", "kind": "snapshot", "name": "vmferry-1", "state": "planned"})
    daemon.asked(migration, "cancel")
    worker.end(ok=True, outcome="cancelled")
    daemon.becomes(migration, "cancelled")
    status, answer = daemon.call("DELETE", f"/migrations/{migration}")
    assert status == 409 and "snapshot vmferry-1" in answer["detail"]
    other = daemon.create("web02")
    daemon.next_worker().end(**DONE)
    daemon.becomes(other, "done")
    assert daemon.call("DELETE", f"/migrations/{other}") == (200, {"deleted": True})
    assert daemon.call("GET", f"/migrations/{other}")[0] == 404


# ---- deaths ----

@pytest.mark.parametrize("how", ["kill", "exit", "garbage", "wrong role", "wrong version", "no result"])
def test_the_death_of_a_worker_is_a_result(serve, how):
    daemon = ready(serve())
    migration = daemon.create()
    worker = daemon.next_worker(begin=how not in ("wrong role", "wrong version"))
    if how == "kill":
        worker.kill()
    elif how == "exit":
        worker.exit(3)
    elif how == "garbage":
        worker.socket.send(b"{")
    elif how == "wrong role":
        worker.say(type="hello", version=1, role="copy")
    elif how == "wrong version":
        worker.say(type="hello", version=99, role="worker")
    else:
        worker.exit(0)
    m = daemon.becomes(migration, "retrying", attempt=1)
    wanted = {"kill": "killed by signal 9", "exit": "exit status 3", "garbage": "not JSON", "wrong role": "hello",
              "wrong version": "version 99", "no result": "exit status 0"}[how]
    assert wanted in m["error"]["text"] and m["due_at"]
    worker = daemon.next_worker()
    assert worker.start["attempt"] == 1
    worker.end(**WAIT)
    m = daemon.becomes(migration, "waiting")
    assert m["attempt"] == 0 and m["error"] is None


def test_a_worker_that_is_not_installed(serve):
    daemon = ready(serve(worker="/nonexistent/vmferry-worker"))
    migration = daemon.create()
    m = daemon.becomes(migration, "retrying")
    assert "/nonexistent/vmferry-worker" in m["error"]["text"]


def test_a_config_without_a_password_needs_a_person(serve):
    daemon = ready(serve(config={"vcenter": {"host": "vc1.example.org", "user": "administrator"}}))
    migration = daemon.create()
    m = daemon.becomes(migration, "failed")
    assert m["error"]["kind"] == "denied" and "VC_PASSWORD" in m["error"]["text"]


def test_drivers_for_windows(serve):
    daemon = ready(serve(config=make_config(virt={"virtio_iso": "/srv/virtio-win.iso"})))
    daemon.create()
    assert daemon.next_worker().start["convert"]["virtio_win"] == "/srv/virtio-win.iso"
    daemon.create("web02", conversion={"virtio_win": "/srv/other"})
    assert daemon.next_worker().start["convert"]["virtio_win"] == "/srv/other"


def test_the_port_of_nfc_is_the_configs_of_now(serve):
    """The hosts may be behind another port when a migration goes on; nothing of that is in the store."""
    daemon = ready(serve())
    migration = daemon.create()
    worker = daemon.next_worker()
    assert worker.start["input"]["nfc_port"] == 902
    worker.end(**WAIT)
    daemon.becomes(migration, "waiting")
    daemon.stop()
    vcenter = {"host": "vc1.example.org", "user": "administrator", "password": SECRET, "nfc_port": 9902}
    daemon = ready(serve(config={"vcenters": {"one": vcenter}}))
    daemon.asked(migration, "finalize-now")
    assert daemon.next_worker().start["input"]["nfc_port"] == 9902


def test_a_machine_for_libvirt(serve):
    daemon = ready(serve())
    daemon.create(target={"libvirt": {"uri": "test:///default", "network_map": {"VM Network": "default"}}},
                  migration={"mode": "cold"})
    start = daemon.next_worker().start
    assert start["output"]["kind"] == "libvirt" and start["output"]["networks"] == {"VM Network": "default"}
    assert start["output"]["pool"] == "default" and start["warm"] is None


def test_the_slots_of_the_dead_are_free(serve):
    daemon = ready(serve(config=make_config(limits={"disks_per_esxi": 1})))
    daemon.create("web01")
    first = daemon.next_worker()
    daemon.create("web02")
    second = daemon.next_worker()
    first.say(type="want", host="esx1", priority="base", disks=1)
    assert first.wish("grant")["disks"] == 1
    second.say(type="want", host="esx1", priority="base", disks=1)
    assert second.hears_nothing()
    first.kill()
    assert second.wish("grant")["disks"] == 1


# ---- the journal and the store ----

def test_a_journal_that_makes_no_sense_stores_nothing(serve):
    daemon = ready(serve())
    migration = daemon.create()
    worker = daemon.next_worker()
    ack = worker.journal("note", {"op": "put", "key": "a", "value": 1}, {"op": "dance"})
    assert ack["error"]["kind"] == "invalid" and "dance" in ack["error"]["text"]
    assert "error" not in worker.journal("note", {"op": "put", "key": "b", "value": None}, {"op": "put", "key": "c", "value": [1]})
    worker.end(**{**WAIT, "after_s": 0})
    assert daemon.next_worker().start["state"] == {"version": 1, "c": [1]}
    assert daemon.show(migration)["status"] == "running"


def test_one_machine_by_two_names_moves_once(serve):
    daemon = ready(serve())
    first, second = daemon.create("web01"), daemon.create("/DC0/vm/prod/web01")
    one, two = daemon.next_workers([first, second])
    assert "error" not in one.journal("note", MACHINE)
    ack = two.journal("note", MACHINE)
    assert ack["error"]["kind"] == "conflict" and first in ack["error"]["text"]
    assert "error" not in one.journal("note", MACHINE)


def test_after_a_kill_all_goes_on(serve):
    daemon = ready(serve(config=make_config(migration={"parallel_vms": 2})))
    ids = [daemon.create(f"web{i:02}") for i in range(5)]
    workers = daemon.next_workers(ids[:2])
    workers[0].journal("note", {"op": "put", "key": "x", "value": "kept"}, {"op": "stage", "stage": "delta"})
    workers[1].end(**{**WAIT, "after_s": 5000})
    daemon.becomes(ids[1], "waiting")
    third = daemon.next_worker()
    assert third.start["id"] == ids[2]
    before = {m["id"]: m for m in daemon.get("/migrations")["migrations"]}
    daemon.kill()
    with sqlite3.connect(daemon.store) as store:   # as if the others had waited for long
        store.execute("UPDATE migration SET due_at = due_at - 1000 WHERE status = 'queued'")
    store.close()
    daemon = ready(serve(config=make_config(migration={"parallel_vms": 2})))
    again = daemon.next_workers([ids[0], ids[2]])   # those that ran go first
    assert again[0].start["state"] == {"version": 1, "x": "kept"}
    assert all(worker.start["attempt"] == 0 for worker in again)
    after = {m["id"]: m for m in daemon.get("/migrations")["migrations"]}
    assert {key: m["status"] for key, m in after.items()} == {key: m["status"] for key, m in before.items()}
    assert after[ids[1]]["due_at"] == before[ids[1]]["due_at"] and after[ids[0]]["stage"] == "delta"


def test_what_was_acknowledged_is_there_after_a_kill(serve):
    """The daemon is killed at any moment of a stream of notes, again and again."""
    dice = random.Random(4)
    migration, acknowledged, sent = None, 0, 0
    for _ in range(8):
        daemon = ready(serve())
        migration = migration or daemon.create()
        worker = daemon.next_worker()
        stored = worker.start["state"].get("n", 0)
        assert acknowledged <= stored <= sent, "an acknowledged note was lost, or one came from nowhere"
        last = stored + dice.randrange(1, 40)
        for sent in range(stored + 1, last + 1):
            worker.say(type="note", seq=sent, act="count", ops=[{"op": "put", "key": "n", "value": sent}])
        wanted = dice.randrange(stored, last + 1)
        while acknowledged < wanted:
            acknowledged = worker.hear()["seq"]
        daemon.kill()
        while (ack := worker.hear_if_alive()) is not None:
            acknowledged = ack["seq"]
        worker.close()


def test_a_stop_lets_workers_come_to_a_checkpoint(serve):
    daemon = ready(serve())
    stopped, done = daemon.create("web01"), daemon.create("web02")
    first, second = daemon.next_workers([stopped, done])
    daemon.parent.send(json.dumps({"type": "wish", "wish": "stop"}).encode())
    assert first.hear() is None and second.hear() is None
    first.end(ok=False, error={"kind": "cancelled", "text": "the parent has gone"})
    second.end(**DONE)
    assert daemon.wait()["ok"]
    daemon = ready(serve())
    assert daemon.show(done)["status"] == "done"
    worker = daemon.next_worker()
    assert worker.start["id"] == stopped and worker.start["attempt"] == 0 and not worker.start["wishes"]["cancel"]


def test_a_worker_that_does_not_stop_is_killed(serve):
    daemon = ready(serve())
    daemon.create()
    worker = daemon.next_worker()
    begun = time.monotonic()
    assert daemon.stop()["ok"]
    assert 5 < time.monotonic() - begun < 20
    assert eventually(lambda: not os.path.exists(f"/proc/{worker.pid}"))


def test_look_starts_nothing(serve):
    daemon = ready(serve())
    migration = daemon.create()
    daemon.next_worker()
    daemon.kill()
    daemon = ready(serve("look"))
    assert daemon.show(migration)["status"] == "running"
    daemon.create("web02")
    assert daemon.starts_no_worker()
    assert daemon.stop()["ok"]


def limit_files(daemon, size):
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_store_that_is_full(serve):
    daemon = ready(serve())
    migration = daemon.create()
    worker = daemon.next_worker()
    limit_files(daemon, 1)
    ack = worker.journal("begin", {"op": "put", "key": "x", "value": "y" * 50000})
    assert ack["error"]["kind"] in ("io", "denied"), ack
    assert "store.db" in ack["error"]["text"]
    worker.end(ok=False, error=ack["error"], then="fail")
    m = daemon.becomes(migration, "failed")
    assert m["error"] == ack["error"]
    status, answer = daemon.verb(migration, "cancel")
    assert status == 503 and "store" in answer["detail"]
    status, answer = daemon.call("POST", "/migrations", {"spec": make_spec(daemon.room, "web02")})
    assert status == 500 and "store.db" in answer["detail"]
    limit_files(daemon, -1)
    eventually(lambda: sqlite3.connect(daemon.store).execute("SELECT status FROM migration").fetchone() == ("failed",))
    daemon.asked(migration, "retry")
    assert daemon.next_worker().start["state"] == {"version": 1}
