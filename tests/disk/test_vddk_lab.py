"""vmferry-copy-vddk against lab/vcenter: the double of VMware's library, and hosts that give out disks on port 902."""

import json
import os
import socket
import sys

import pytest

from copier import TOP, Copy
from layouts import MIB
from test_vddk import AGAIN, Driver, libdir, make_disk, ours
import judge

sys.path.insert(0, str(TOP / "tests/behaviour"))
from lab_vcenter import ADMIN, PASSWORD, VIM, lab, machine_site  # noqa: E402

READ_ONLY = ["System.Anonymous", "System.View", "System.Read", "VirtualMachine.Provisioning.GetVmFiles"]


class Vcenter:
    """A vCenter with the machine web01, of which one disk is DISK.RAW of the room."""

    def __init__(self, room, running):
        self.room, self.lab, self.facts = room, running, running.facts
        self.raw = room.path("disk.raw")
        self.client = running.client()
        self.machine = self.client.machine("web01")
        self.disk_path = self.path_now()

    def path_now(self):
        devices = self.client.props(self.machine, "config.hardware.device")["config.hardware.device"]
        return next(it.findtext(f"{VIM}backing/{VIM}fileName") for it in devices
                    if it.findtext(f"{VIM}backing/{VIM}fileName", "").endswith(".vmdk"))

    def source(self, **changes):
        return {"kind": "vddk", "name": self.disk_path, "identity": "web01 disk", "libdir": str(libdir()), "config": None,
                "server": self.facts["host"], "port": self.facts["port"], "nfc_port": self.facts["nfc_port"],
                "user": ADMIN, "password": PASSWORD, "cookie": None, "thumbprint": self.facts["thumbprint"],
                "vm": f"moref={self.machine[1]}", "snapshot": None, "path": self.disk_path, "transports": None, **changes}

    def start(self, **fields):
        source = fields.pop("source", None) or self.source()
        return Copy(source, (self.room.path("target"), "qcow2"), runs=ours(),
                    env={"LD_LIBRARY_PATH": f"{libdir()}/lib64"}, **fields)

    def copy(self, **changes):
        with self.start(source=self.source(**changes)) as running:
            return running.wait()

    def copied(self, **changes):
        result = self.copy(**changes)
        assert result.ok, str(result)
        self.judge()
        return result

    def judge(self):
        judge.same(self.raw, self.room.path("target"), "qcow2")
        assert not self.lab.state()["nfc"]["connections"], "a disk is still open"


@pytest.fixture(name="vcenter")
def a_vcenter(room):
    raw = make_disk(room)
    site = machine_site({"name": "web01", "disks": [{"image": str(raw)}]},
                        users={ADMIN: {"password": PASSWORD, "privileges": None},
                               "reader@lab": {"password": "reader", "privileges": READ_ONLY}})
    room.path("vcenter").mkdir()
    with lab(room.path("vcenter"), site) as running:
        yield Vcenter(room, running)


def test_machine_that_is_off(vcenter):
    result = vcenter.copied()
    assert "by nbdssl, 16 asynchronous reads" in str(result.logs)
    assert result.message["read_bytes"] < os.stat(vcenter.raw).st_size


def test_session_instead_of_a_login(vcenter):
    before = vcenter.lab.state()
    vcenter.copied(cookie=vcenter.client.cookie)
    assert len(vcenter.lab.state()["sessions"]) == len(before["sessions"])
    result = vcenter.copy(cookie="vmware_soap_session=\"none\"")
    assert result.kind == "conflict" or result.kind == "denied", str(result)


@pytest.mark.parametrize("transports", ["nbd", "nbdssl", "san:nbd"])
def test_transports(vcenter, transports):
    wanted = transports.split(":")[-1]
    assert f"bytes by {wanted}," in str(vcenter.copied(transports=transports).logs)


def test_snapshot(vcenter):
    """The path is the one that the snapshot recorded; the machine has another by now."""
    snapshot = vcenter.client.snapshot(vcenter.machine)
    assert vcenter.path_now() != vcenter.disk_path
    vcenter.copied(snapshot=snapshot[1])
    vcenter.room.path("target").unlink()
    result = vcenter.copy(snapshot=snapshot[1], path=vcenter.path_now())
    assert result.kind == "not-found" and "snapshot's configuration" in result.text, str(result)
    result = vcenter.copy(snapshot="snapshot-4711")
    assert result.kind == "not-found" and "snapshot" in result.text, str(result)


@pytest.mark.parametrize("rule", [
    {"nfc": "read", "nth": 9, "error": 1},
    {"nfc": "read", "nth": 9, "error": 14011, "action": "lost"},
    {"nfc": "read", "nth": 3, "times": 2, "error": 36},
    {"nfc": "open", "nth": 1, "error": 14011},
    {"nfc": "read", "nth": 5, "error": 2, "text": "NFC error 5: Failed to allocate the requested 1048576 bytes"},
], ids=json.dumps)
def test_trouble_that_passes(vcenter, rule):
    vcenter.lab.add(**rule)
    vcenter.copied()


def test_crash_costs_one_process(vcenter):
    vcenter.lab.add(nfc="read", nth=12, action="crash")
    done, lines, complaint = Driver(vcenter.room).run(vcenter)
    assert done == 0, f"{lines} {complaint}"
    assert any("starting it again" in line.get("warning", "") for line in lines)
    vcenter.judge()


@pytest.mark.parametrize("changes, kind, words", [
    ({"password": "wrong"}, "denied", ["password"]),
    ({"user": "reader@lab", "password": "reader"}, "denied", ["DiskRandomRead"]),
    ({"thumbprint": ":".join(["AB"] * 20)}, "denied", ["certificate", "expected"]),
    ({"vm": "moref=vm-4711"}, "not-found", ["VixError 4"]),
    ({"path": "[none] web01/web01.vmdk"}, "not-found", ["VixError 4"]),
    ({"transports": "hotadd"}, "invalid", ["another transport"]),
])
def test_what_is_refused(vcenter, changes, kind, words):
    result = vcenter.copy(**changes)
    assert result.kind == kind, str(result)
    for word in words:
        assert word in result.text, str(result)
    assert not list(vcenter.room.dir.glob("target*"))


def test_closed_port(vcenter):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    result = vcenter.copy(nfc_port=port)
    assert result.kind == "unavailable" and "902" in result.text and "VixError 14009" in result.text, str(result)


def test_killed_and_gone_on(vcenter):
    vcenter.lab.add(nfc="read", nth=1, times=0, delay_ms=20)
    with vcenter.start(limit_bytes_s=30 * MIB) as running:
        while running.next_message()["done_bytes"] < 15 * MIB:
            pass
        running.wish(wish="cancel")
        result = running.wait()
    assert result.kind == "cancelled" and AGAIN in result.text, str(result)
    assert vcenter.copied().message["resumed_bytes"] > 0
