"""What the lab's machines do while they are moved: disks that grow, Tools that go away, power that is accounted for."""

import pathlib

import pytest

import lab_vcenter
from lab_vcenter import VIM, SoapFault, machine_site
from lab_world import MIB, a_machine, fault_of, make_world     # noqa: F401
from vcenter_scenes import start                               # noqa: F401 pylint: disable=unused-import

UNIT = 65536


@pytest.mark.parametrize("qemu", [False, True], ids=["paper", "qemu"])
def test_a_disk_grows_and_its_new_end_is_not_tracked(world, qemu):
    """As on the hosts that do it wrong: the change id stays good, and says nothing of what is written behind it."""
    lab = world(a_machine(disks=[{"size_mib": 4}], qemu=qemu))
    lab.storage.set_change_tracking(lab.ref, True)
    lab.power.start(lab.ref)
    first = lab.storage.create_snapshot(lab.ref, "one")
    since = first.disks[2000].change_id
    assert fault_of(lab.storage.grow, lab.ref, 2000, 6 * MIB).fault == "InvalidState"
    lab.storage.remove_snapshot(lab.ref, first.ref)
    for size in (3 * MIB, 5 * MIB + 1):
        assert fault_of(lab.storage.grow, lab.ref, 2000, size).fault == "InvalidArgument"
    lab.storage.grow(lab.ref, 2000, 6 * MIB)
    assert lab.disk().capacity == 6 * MIB
    lab.storage.write(lab.ref, 2000, MIB, b"seen" * 128)
    lab.storage.write(lab.ref, 2000, 5 * MIB, b"lost" * 128)
    second = lab.storage.create_snapshot(lab.ref, "two")
    assert second.disks[2000].capacity == 6 * MIB
    _, length, areas = lab.storage.changed_areas(lab.ref, second.ref, 2000, 0, since)
    assert length == 6 * MIB and areas == [(MIB, UNIT)]
    content = lab.content(2000, second.ref)
    assert len(content) == 6 * MIB and content[MIB:][:4] == b"seen" and content[5 * MIB:][:4] == b"lost"
    lab.storage.remove_snapshot(lab.ref, second.ref)
    lab.power.stop(lab.ref)
    assert pathlib.Path(lab.disk().active.path).stat().st_size == 6 * MIB


def test_growing_by_an_event(start):
    lab = start(machine_site({"name": "a", "disks": [{"size_mib": 4}]}))
    client = lab.client()
    machine = client.machine("a")
    lab.event("grow", machine="a", disk=2000, bytes=8 * MIB)
    devices = client.props(machine, "config.hardware.device")["config.hardware.device"]
    assert lab_vcenter.plain_disks(devices)[2000].findtext(VIM + "capacityInBytes") == str(8 * MIB)
    [path, kind] = lab.state()["machines"]["a"]["images"]["2000"]
    assert kind == "raw" and pathlib.Path(path).stat().st_size == 8 * MIB


def test_tools_that_go_away(start):
    lab = start(machine_site({"name": "a", "power": "poweredOn", "extra": {"tools_after_s": 0}}))
    client = lab.client()
    machine = client.machine("a")
    assert client.value(machine, "guest.toolsRunningStatus") == "guestToolsRunning"
    lab.event("tools", machine="a", tools="not-running")
    assert client.value(machine, "guest.toolsRunningStatus") == "guestToolsNotRunning"
    with pytest.raises(SoapFault) as caught:
        client.call("ShutdownGuest", machine)
    assert caught.value.name == "ToolsUnavailable"
    assert lab.fault("event", '{"event": "tools", "machine": "a", "tools": "tired"}', check=False).returncode == 1


def test_every_change_of_power_is_told(start):
    lab = start(machine_site({"name": "a", "power": "poweredOn", "extra": {"tools_after_s": 0, "shutdown_s": 0}}))
    client = lab.client()
    machine = client.machine("a")
    boot_time = client.value(machine, "runtime.bootTime")
    client.task("PowerOffVM_Task", machine)
    client.task("PowerOnVM_Task", machine)
    assert client.value(machine, "runtime.bootTime") != boot_time
    client.call("ShutdownGuest", machine)
    until_off(client, machine)
    lab.event("power-on", machine="a")
    lab.event("crash", machine="a")
    assert lab.state()["machines"]["a"]["power_changes"] == [
        ["poweredOn", "request"], ["poweredOff", "request"], ["poweredOn", "request"], ["poweredOff", "guest"],
        ["poweredOn", "request"], ["poweredOff", "crash"]]


def until_off(client, machine):
    while client.value(machine, "runtime.powerState") != "poweredOff":
        lab_vcenter.POLL.wait(0.01)
