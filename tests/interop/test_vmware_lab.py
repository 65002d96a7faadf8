"""src/vmware against the lab, which fails on purpose: what is left at the server, and what is said."""

import json
import sys

import pytest

from interop_hand import Hand, TOP

sys.path.append(str(TOP / "tests/behaviour"))
from lab_vcenter import ADMIN, PASSWORD, lab  # noqa: E402  pylint: disable=wrong-import-position

MIB = 1 << 20
SITE = {"users": {ADMIN: {"password": PASSWORD, "privileges": None},
                  "reader@vsphere.local": {"password": PASSWORD, "privileges": ["System.View", "System.Read"]}},
        "datacenters": [{"name": "DC0", "folder": "/Sites/North", "hosts": [{"name": "esx1.lab"}],
                         "datastores": [{"name": "ds 1&+", "type": "VMFS", "free_gib": 50}],
                         "networks": ["VM Network"],
                         "machines": [
                             {"name": "web01", "folder": "prod", "disks": [
                                 {"controller": "pvscsi0", "unit": 1, "size_mib": 8},
                                 {"controller": "pvscsi0", "unit": 0, "size_mib": 4}]},
                             {"name": "a/b 100%", "disks": [{"controller": "sata0", "unit": 0, "size_mib": 2}]},
                             {"name": "twin", "folder": "x"}, {"name": "twin", "folder": "y"}]}]}
HOST_SITE = {"users": {"root": {"password": PASSWORD, "privileges": None}},
             "datacenters": [{"name": "ha-datacenter", "hosts": [{"name": "esx1.lab"}],
                              "datastores": [{"name": "ds 1&+", "type": "VMFS", "free_gib": 50}],
                              "machines": [{"name": "web01", "disks": [
                                  {"controller": "pvscsi0", "unit": 0, "size_mib": 4}]}]}]}


@pytest.fixture(name="vcenter")
def a_vcenter(tmp_path):
    with lab(tmp_path, SITE) as running:
        yield running
        state = running.state()
        assert state["leases"] == [] and state["sessions"] == [], state


@pytest.fixture(name="hand")
def a_hand(vcenter):
    hand = log_in(vcenter)
    yield hand
    hand.close()


def log_in(running, user=ADMIN, password=PASSWORD, thumbprint=None):
    facts = running.facts
    return Hand(facts["port"], user, thumbprint or facts["thumbprint_sha256"], password)


def moref_of(hand, name):
    return hand("find", name)[0][0]


def disks_of(hand, *words):
    return [dict(zip(("id", "key", "file", "capacity", "uuid", "change_id", "datastore", "datastore_name"), line[1:]))
            for line in hand("read", *words) if line[0] == "disk"]


def snapshots(running):
    return {name: tree for name, tree in running.state()["snapshots"].items() if tree}


def test_places_and_names(hand):
    paths = {line[2]: line[3] for line in hand("inventory")}
    assert paths == {"/Sites/North/DC0/vm/prod/web01": "/Sites/North/DC0",
                     "/Sites/North/DC0/vm/a%2fb 100%25": "/Sites/North/DC0",
                     "/Sites/North/DC0/vm/x/twin": "/Sites/North/DC0", "/Sites/North/DC0/vm/y/twin": "/Sites/North/DC0"}
    assert hand("find", "a/b 100%") == hand("find", "a%2fb 100%25")
    refused = hand.refuses("find", "twin")
    assert refused.kind == "conflict" and all(f"vm/{it}/twin" in refused.text for it in "xy")
    assert hand("find", "y/twin", "/Sites/North/DC0/cluster")[0][2] == "/Sites/North/DC0/vm/y/twin"
    assert hand.refuses("find", "twin", "DC9").kind == "not-found"


def test_disks_in_the_order_of_the_guest(hand):
    first, second = disks_of(hand, moref_of(hand, "web01"))
    assert (first["id"], first["capacity"]) == ("scsi0:0", str(4 * MIB))
    assert (second["id"], second["capacity"]) == ("scsi0:1", str(8 * MIB))
    assert first["datastore_name"] == "ds 1&+"


def test_a_datastore_and_a_datacenter_that_need_escaping(hand):
    (disk,) = disks_of(hand, moref_of(hand, "a/b 100%"))
    descriptor, extent = hand("descriptor", "/Sites/North/DC0", disk["file"])
    assert descriptor[1] == str(2 * MIB)
    assert hand("file", "size", "/Sites/North/DC0", extent[2]) == [[str(2 * MIB)]]


def test_a_session_that_ends_in_the_middle(vcenter, hand):
    everything = hand("inventory")
    for calls in range(1, 12):
        vcenter.add(session="expire", after_calls=calls)
        assert hand("inventory") == everything, calls
        vcenter.fault("clear")


def test_passing_trouble(vcenter, hand):
    moref = moref_of(hand, "web01")
    vcenter.add(method="RetrievePropertiesEx", status=503, times=2)
    assert hand("power", "state", moref) == [["0"]]
    vcenter.add(method="RetrievePropertiesEx", action="cut", times=1)
    assert hand("power", "state", moref) == [["0"]]
    vcenter.add(method="RetrievePropertiesEx", fault="NoPermission", times=1)
    assert hand.refuses("power", "state", moref).kind == "denied"


def test_snapshots_meet_faults(vcenter, hand):
    moref = moref_of(hand, "web01")
    vcenter.add(method="CreateSnapshot_Task", fault="TaskInProgress")
    vcenter.add(task="CreateSnapshot_Task", nth=1, fault="TaskInProgress")
    ((snapshot, *_),) = hand("snapshot-create", moref, "vmferry-a")
    assert snapshots(vcenter) == {"web01": ["vmferry-a"]}
    vcenter.add(task="RemoveSnapshot_Task", fault="TaskInProgress")
    hand("snapshot-remove", moref, snapshot, "vmferry-a")
    assert snapshots(vcenter) == {}
    vcenter.add(task="CreateSnapshot_Task", fault="ApplicationQuiesceFault")
    ((snapshot, _found, quiesced, why),) = hand("snapshot-create", moref, "vmferry-b", "try")
    assert quiesced == "0" and "quiescing" in why
    vcenter.add(task="RemoveSnapshot_Task", action="consolidation_needed")
    hand("snapshot-remove", moref, snapshot, "vmferry-b")
    assert snapshots(vcenter) == {}
    assert not vcenter.state()["machines"]["web01"]["consolidation_needed"]
    vcenter.add(task="CreateSnapshot_Task", fault="ApplicationQuiesceFault")
    assert hand.refuses("snapshot-create", moref, "vmferry-c", "must").fault == "ApplicationQuiesceFault"
    vcenter.add(method="CreateSnapshot_Task", fault="RestrictedVersion")
    assert "licence" in hand.refuses("snapshot-create", moref, "vmferry-c").text
    assert snapshots(vcenter) == {}


def test_a_lost_answer_makes_one_snapshot(vcenter, hand):
    moref = moref_of(hand, "web01")
    calls = vcenter.state()["calls"].get("CreateSnapshot_Task", 0)
    vcenter.add(method="CreateSnapshot_Task", action="cut")
    refused = hand.refuses("snapshot-create", moref, "vmferry-a")      # the lab cuts instead of doing it
    assert refused.kind == "unavailable"
    assert vcenter.state()["calls"].get("CreateSnapshot_Task", 0) <= calls + 1
    assert hand("snapshot-find", moref) == []
    assert snapshots(vcenter) == {}


def test_those_of_others_stay(vcenter, hand):
    moref = moref_of(hand, "web01")
    vcenter.fault("event", json.dumps({"event": "snapshot", "machine": "web01", "name": "nightly"}))
    (theirs,) = [line[1] for line in hand("read", moref) if line[0] == "snapshot"]
    assert hand.refuses("snapshot-remove", moref, theirs).kind == "conflict"
    assert hand("snapshot-find", moref) == []
    assert snapshots(vcenter) == {"web01": ["nightly"]}


def changed(answer):
    assert answer[-1][0] == "given", answer
    return [(int(start), int(length)) for start, length in answer[:-1]]


def test_what_changed_between_two_snapshots(vcenter, hand):
    moref = moref_of(hand, "web01")
    assert hand("cbt", "on", moref) == [["1"]]
    ((first, *_),) = hand("snapshot-create", moref, "vmferry-1")
    before = disks_of(hand, moref, first)
    hand("snapshot-remove", moref, first, "vmferry-1")
    vcenter.event("write", machine="web01", disk=int(before[1]["key"]), offset=MIB, pattern=0xab, length=65536)
    ((second, *_),) = hand("snapshot-create", moref, "vmferry-2")
    after = disks_of(hand, moref, second)
    for old, new in zip(before, after):
        areas = changed(hand("areas", moref, second, old["key"], old["capacity"], old["change_id"]))
        if old["id"] == "scsi0:1":
            assert any(start <= MIB and start + length >= MIB + 65536 for start, length in areas)
            assert sum(length for _start, length in areas) < 2 * MIB
        else:
            assert areas == []
        assert old["change_id"] != new["change_id"]
    vcenter.event("reset-tracking", machine="web01")
    assert hand("areas", moref, second, before[1]["key"], before[1]["capacity"],
                before[1]["change_id"])[-1][0] == "reset"
    hand("snapshot-remove", moref, second, "vmferry-2")
    assert snapshots(vcenter) == {}


def test_tracking_is_not_turned_on_under_a_snapshot(vcenter, hand):
    vcenter.fault("event", json.dumps({"event": "snapshot", "machine": "web01", "name": "nightly"}))
    refused = hand.refuses("cbt", "on", moref_of(hand, "web01"))
    assert refused.kind == "conflict" and "snapshots" in refused.text


def test_leases(vcenter, hand):
    moref = moref_of(hand, "web01")
    entries = hand("export", moref)
    assert [entry[5] for entry in entries if entry[4] == "1"] == ["0", "1"]
    hand("lease", "progress", 50)
    hand("lease", "abort")
    assert vcenter.state()["leases"] == []
    vcenter.add(lease="ready", fault="FileLocked")
    refused = hand.refuses("export", moref)
    assert refused.kind == "conflict" and "FileLocked" in refused.text


def test_a_lease_is_aborted_when_nobody_ended_it(vcenter):
    hand = log_in(vcenter)
    hand("export", moref_of(hand, "web01"))
    hand.close()
    assert vcenter.state()["leases"] == []


def test_rights(vcenter):
    hand = log_in(vcenter, "reader@vsphere.local")
    moref = moref_of(hand, "web01")
    wanted = ["System.Read", "VirtualMachine.State.CreateSnapshot", "VApp.Export"]
    assert hand("privileges", "VirtualMachine", moref, *wanted) == [
        ["System.Read", "there"], ["VirtualMachine.State.CreateSnapshot", "missing"], ["VApp.Export", "missing"]]
    refused = hand.refuses("snapshot-create", moref, "vmferry-a")
    assert refused.kind == "denied"
    assert f"reader@vsphere.local needs the privilege VirtualMachine.State.CreateSnapshot on VirtualMachine {moref}" \
        in refused.text
    hand.close()


def test_a_password_that_changes_meanwhile(vcenter):
    hand = log_in(vcenter)
    vcenter.event("password", user=ADMIN, password="another")
    vcenter.fault("expire-sessions")
    refused = hand.refuses("inventory")
    assert refused.kind == "denied" and "InvalidLogin" in refused.text and PASSWORD not in refused.text.split()
    hand.close()


def test_questions_and_power(vcenter, hand):
    moref = moref_of(hand, "web01")
    assert hand("power", "off", moref) == []
    vcenter.add(task="PowerOnVM_Task", fault="TaskInProgress")
    hand("power", "on", moref)
    assert hand("power", "state", moref) == [["1"]]
    hand("power", "off", moref)
    hand("power", "confirm-off", moref, 1)


def test_a_host(tmp_path):
    with lab(tmp_path, HOST_SITE, "--esxi") as running:
        hand = log_in(running, "root", thumbprint=running.facts["thumbprint"])
        assert hand("about")[0][5] == "esxi"
        ((moref, _name, path, datacenter),) = hand("find", "web01")
        assert (path, datacenter) == ("/ha-datacenter/vm/web01", "/ha-datacenter")
        (disk,) = disks_of(hand, moref)
        assert hand("descriptor", datacenter, disk["file"])[0][1] == str(4 * MIB)
        ((snapshot, *_),) = hand("snapshot-create", moref, "vmferry-1")
        entries = hand("export", moref, snapshot)
        assert [entry[5] for entry in entries] == ["0"] and entries[0][3] == "1"
        hand("lease", "abort")
        hand("snapshot-remove", moref, snapshot, "vmferry-1")
        hand.close()
        state = running.state()
        assert state["leases"] == [] and state["sessions"] == [] and not any(state["snapshots"].values())


@pytest.mark.soak
def test_five_thousand_machines(tmp_path):
    machines = [{"name": f"vm{n:04}", "folder": f"f{n % 50}", "disks": [
        {"controller": "pvscsi0", "unit": 0, "size_mib": 1}]} for n in range(5000)]
    site = json.loads(json.dumps(SITE))
    site["datacenters"][0]["machines"] = machines
    with lab(tmp_path, site) as running:
        hand = log_in(running)
        assert len(hand("inventory")) == 5000
        with open(f"/proc/{hand.process.pid}/status", encoding="ascii") as status:
            peak_kib = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
        assert peak_kib < 64 * 1024
        hand.close()
