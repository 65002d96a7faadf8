"""The storage and power side of lab/vcenter: judged by QEMU's tools, by curl and by a model kept in memory."""

import hashlib
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from lab_world import MIB, NAMED, Model, a_machine, fault_of, make_world, qemu_img  # noqa: F401
from places import LAB
from vsphere import cbt, extents, storage

UNIT = 65536


# Storage.


def test_an_image_is_adopted_as_vmfs_shows_it(world, tmp_workdir):
    image = tmp_workdir / "image.raw"
    data = random.Random(1).randbytes(300000)
    with open(image, "wb") as file:
        file.truncate(64 * MIB)
        file.seek(MIB)
        file.write(data)
    lab = world(a_machine(disks=[{"image": str(image)}, {"size_bytes": 1000}]))
    assert not list((lab.dir / "datastores").rglob("*.vmdk"))
    view = lab.storage.open_view(lab.ref, 2000)
    text = lab.dir / "datastores" / "ds 1 ü%+" / NAMED / f"{NAMED}.vmdk"
    assert view.raw_path == str(text).replace(".vmdk", "-flat.vmdk")
    assert view.pread(300000, MIB) == data
    assert os.stat(view.raw_path).st_blocks * 512 < 2 * MIB
    assert view.extents()[0][0] <= MIB and extents.total(view.extents()) < 2 * MIB
    view.close()
    qemu_img("compare", image, text)
    assert lab.disk(1).capacity == 1024
    assert lab.disk().file_name == f"[ds 1 ü%+] {NAMED}/{NAMED}.vmdk"
    assert 'createType="vmfs"' in text.read_text("utf-8")


def test_thousands_of_machines_cost_nothing_until_they_are_used(world):
    started = time.monotonic()
    lab = world(a_machine("many", count=5000))
    assert time.monotonic() - started < 10
    assert len(lab.storage.machines) == 5000
    layout = lab.storage.layout(lab.refs[4999])
    assert [file.type for file in layout.files] == ["diskDescriptor", "diskExtent", "config", "snapshotList"]
    assert layout.files[1].size == 4 * MIB and layout.disks == {2000: [[0, 1]]}
    assert not [path for path in (lab.dir / "datastores").rglob("*") if path.is_file()]


def test_the_directory_of_an_earlier_run_is_refused(world, tmp_workdir):
    lab = world(a_machine())
    lab.machine.materialize()
    fault = fault_of(storage.Storage, tmp_workdir / "lab", lab.site)
    assert "earlier run" in str(fault)


@pytest.mark.parametrize("seed", range(3))
def test_trees_of_snapshots_keep_what_they_held(world, seed):
    lab = world(a_machine(disks=[{"size_mib": 2}, {"size_mib": 1}]))
    model = Model(lab, seed)
    for _ in range(40):
        act = model.random.choice(["write", "write", "snapshot", "remove", "revert", "children"])
        if act == "write":
            model.write()
        elif act == "snapshot" or not model.snapshots:
            model.snapshot()
        elif act == "revert":
            model.revert()
        else:
            model.remove(act == "children")
    model.check()
    lab.storage.remove_all_snapshots(lab.ref)
    model.snapshots = {}
    model.check()
    assert all(disk.active.raw and disk.links == [disk.active] for disk in lab.machine.disks)
    assert not list(lab.storage.layers.iterdir())


@pytest.mark.parametrize("seed", range(2))
def test_a_running_machine_keeps_writing_through_its_snapshots(world, seed):
    lab = world(a_machine(disks=[{"size_mib": 4}, {"size_mib": 2, "controller": "sata0"}], qemu=True))
    model = Model(lab, 100 + seed)
    model.snapshot()
    model.write()
    model.snapshot()
    lab.storage.revert(lab.ref, list(model.snapshots)[0])
    model.disks = {key: bytearray(data) for key, data in list(model.snapshots.values())[0].items()}
    lab.power.start(lab.ref)
    for turn in range(16):
        model.write()
        if turn % 3 == 0:
            model.snapshot()
        elif turn % 5 == 1:
            model.remove()
        model.check()
    lab.power.stop(lab.ref)
    model.check()
    lab.storage.remove_all_snapshots(lab.ref)
    model.snapshots = {}
    model.check()


def test_a_process_that_dies_while_it_commits_leaves_a_chain_that_can_be_consolidated(world):
    lab = world(a_machine(qemu=True))
    snapshot = lab.storage.create_snapshot(lab.ref, "one")
    lab.power.start(lab.ref)
    lab.storage.write(lab.ref, 2000, 5 * UNIT, b"kept" * 1000)
    process, commit = lab.machine.process, lab.machine.process.commit

    def dying(*words, **named):
        process.child.kill()
        commit(*words, **named)

    process.commit = dying
    lab.storage.remove_snapshot(lab.ref, snapshot.ref)
    assert lab.machine.consolidation_needed and not lab.machine.snapshots
    assert lab.power.wait(lab.ref, "poweredOff", 20) and len(lab.disk().chain) == 2
    lab.storage.consolidate(lab.ref)
    assert len(lab.disk().chain) == 1 and lab.content(2000)[5 * UNIT:][:8] == b"keptkept"
    lab.power.start(lab.ref)
    lab.storage.remove_snapshot(lab.ref, lab.storage.create_snapshot(lab.ref, "two").ref)
    assert not lab.machine.consolidation_needed


def test_a_frozen_layer_is_readable_and_the_active_one_is_not(world):
    lab = world(a_machine(qemu=True))
    lab.power.start(lab.ref)
    assert fault_of(lab.storage.open_view, lab.ref, 2000).fault == "FileLocked"
    lab.storage.write(lab.ref, 2000, 0, b"old")
    snapshot = lab.storage.create_snapshot(lab.ref, "one")
    lab.storage.write(lab.ref, 2000, 0, b"new")
    second = lab.storage.create_snapshot(lab.ref, "two")
    lab.storage.write(lab.ref, 2000, 0, b"now")
    assert snapshot.disks[2000].file_name.endswith(f"{NAMED}.vmdk")
    assert lab.disk().chain == [f"[ds 1 ü%+] {NAMED}/{NAMED}{tail}.vmdk" for tail in ("-000002", "-000001", "")]
    view = lab.storage.open_view(lab.ref, None, file_name=second.disks[2000].file_name)
    assert view.pread(3, 0) == b"new" and view.raw_path is None
    assert qemu_img("map", f"nbd+unix:///?socket={view.nbd_socket()}")
    assert fault_of(lab.storage.open_view, lab.ref, None, file_name=lab.disk().file_name).fault == "FileLocked"
    # What is being read cannot be consolidated; afterwards it can.
    lab.storage.remove_snapshot(lab.ref, second.ref)
    assert lab.machine.consolidation_needed and not lab.machine.snapshots.get(second.ref)
    assert fault_of(lab.storage.consolidate, lab.ref).fault == "FileLocked"
    view.close()
    lab.storage.consolidate(lab.ref)
    assert not lab.machine.consolidation_needed
    assert len(lab.disk().chain) == 2


def test_a_rule_makes_consolidation_fail(world):
    lab = world(a_machine())
    snapshot = lab.storage.create_snapshot(lab.ref, "one")
    lab.storage.write(lab.ref, 2000, 0, b"x" * 512)
    lab.hook = "a rule"
    lab.storage.remove_snapshot(lab.ref, snapshot.ref)
    assert lab.machine.consolidation_needed and not lab.machine.snapshots and len(lab.disk().chain) == 2
    assert "a rule" in str(fault_of(lab.storage.consolidate, lab.ref))
    lab.hook = None
    lab.storage.consolidate(lab.ref)
    assert not lab.machine.consolidation_needed and len(lab.disk().chain) == 1
    assert lab.content(2000)[:2] == b"xx"


def test_there_are_32_levels(world):
    lab = world(a_machine())
    for _ in range(32):
        lab.storage.create_snapshot(lab.ref, "one")
    assert fault_of(lab.storage.create_snapshot, lab.ref, "one").fault == "TooManySnapshotLevels"
    assert len(lab.disk().links) == 33


@pytest.mark.parametrize("disk, extra, powered, memory, fault", [
    ({"backing": "rdm-physical"}, {}, False, False, "SnapshotIncompatibleDeviceInVm"),
    ({"sharing": "sharingMultiWriter"}, {}, True, False, "SnapshotIncompatibleDeviceInVm"),
    ({"sharing": "sharingMultiWriter"}, {}, False, False, None),
    ({}, {"shared_bus": {"pvscsi0": "physicalSharing"}}, True, False, "SnapshotIncompatibleDeviceInVm"),
    ({}, {"pci_passthrough": True}, True, False, "SnapshotIncompatibleDeviceInVm"),
    ({"mode": "independent_persistent"}, {}, True, True, "MemorySnapshotOnIndependentDisk"),
    ({"mode": "independent_persistent"}, {}, True, False, None),
    ({"backing": "rdm-virtual"}, {}, False, False, None),
])
def test_what_has_no_snapshot(world, disk, extra, powered, memory, fault):
    lab = world(a_machine(disks=[dict({"size_mib": 1}, **disk), {"size_mib": 1}], extra=extra))
    if powered:
        lab.power.start(lab.ref)
    if fault:
        assert fault_of(lab.storage.create_snapshot, lab.ref, "one", memory=memory).fault == fault
        assert not lab.machine.snapshots and len(lab.disk().chain) == 1
    else:
        snapshot = lab.storage.create_snapshot(lab.ref, "one", memory=memory)
        assert sorted(snapshot.disks) == ([2001] if disk.get("mode") else [2000, 2001])


def test_a_linked_clone_stands_on_another_machine(world):
    base = a_machine("base", disks=[{"size_mib": 2}])
    clone = a_machine("clone", disks=[{"parent": "[ds 1 ü%+] base/base.vmdk"}])
    lab = world(base, clone)
    lab.storage.write(lab.refs[0], 2000, 0, b"base" * 128)
    lab.ref = lab.refs[1]
    lab.storage.write(lab.ref, 2000, UNIT, b"more" * 128)
    assert lab.disk().chain == ["[ds 1 ü%+] clone/clone.vmdk", "[ds 1 ü%+] base/base.vmdk"]
    data = lab.content(2000)
    assert data[:4] == b"base" and data[UNIT:UNIT + 4] == b"more" and len(data) == 2 * MIB
    snapshot = lab.storage.create_snapshot(lab.ref, "one")
    lab.storage.write(lab.ref, 2000, 0, b"mine" * 128)
    lab.storage.remove_snapshot(lab.ref, snapshot.ref)
    assert lab.content(2000)[:4] == b"mine" and len(lab.disk().chain) == 2
    hint = re.search('parentFileNameHint="(.*)"', lab.disk().active.descriptor_text())[1]
    assert hint == f"/vmfs/volumes/{lab.disk().datastore.uuid}/base/base.vmdk"
    lab.ref = lab.refs[0]
    assert lab.content(2000)[:4] == b"base"


# Changed block tracking.


def blocks(areas):
    return {block for start, length in areas for block in range(start // UNIT, -(-(start + length) // UNIT))}


def all_areas(lab, snapshot, key, change_id, areas_max=2000):
    """By the rule of C5: go on from start + length until the end."""
    found, start, capacity = [], 0, lab.machine.disk(key).capacity
    while start < capacity:
        first, length, areas = lab.storage.changed_areas(lab.ref, snapshot, key, start, change_id, areas_max)
        assert first == start and length > 0 and len(areas) <= areas_max
        assert all(first <= one and one + size <= first + length for one, size in areas)
        found += areas
        start += length
    assert extents.normal(found) == found or areas_max < 2000
    return found


@pytest.mark.parametrize("qemu", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_changes_are_just_what_was_written(world, qemu, seed):
    chance = random.Random(seed)
    capacity = 16 * MIB + 512
    lab = world(a_machine(disks=[{"size_bytes": capacity}], qemu=qemu))
    lab.storage.set_change_tracking(lab.ref, True)
    lab.power.start(lab.ref)
    written, points, kept = {}, {}, []     # change id -> blocks since; points by snapshot

    def write():
        length = chance.choice([512, 8192, 200000])
        offset = chance.randrange(0, capacity - length) // 512 * 512
        lab.storage.write(lab.ref, 2000, offset, chance.randbytes(length))
        for since in written.values():
            since |= blocks([(offset, length)])

    def take():
        made = lab.storage.create_snapshot(lab.ref, "one")
        change = made.disks[2000].change_id
        assert cbt.CHANGE_ID.fullmatch(change) and change not in written
        for old, since in written.items():
            answer = all_areas(lab, made.ref, 2000, old)
            assert blocks(answer) == since, old
            assert all(start + length <= capacity for start, length in answer)
        points[change] = made.ref
        written[change] = set()
        kept.append(made.ref)

    for _ in range(14):
        for _ in range(chance.randrange(4)):
            write()
        act = chance.choice(["take", "take", "remove", "cycle"])
        if act == "take":
            take()
        elif act == "remove" and kept:
            lab.storage.remove_snapshot(lab.ref, kept.pop(chance.randrange(len(kept))))
        elif act == "cycle":
            lab.power.stop(lab.ref)
            for old, since in written.items():      # without a snapshot only when off
                assert blocks(all_areas(lab, None, 2000, old)) == since
            lab.power.start(lab.ref)
    assert fault_of(lab.storage.changed_areas, lab.ref, None, 2000, 0, "*").fault == "FileFault"
    for ref in kept:
        lab.storage.remove_snapshot(lab.ref, ref)
    take()
    assert len({change.split("/")[0] for change in written}) == 1


def test_rounds_of_changes_under_writes_that_never_stop(world):
    """The copy that is made of a disk in rounds is the disk, though it is written all the time: while snapshots are
    made, while they are committed back, and when nothing else happens."""
    lab = world(a_machine(disks=[{"size_mib": 32}], extra={"qemu": {
        "process": True, "paused": True, "arguments": ["-set", "device.disk2000.share-rw=on"]}}))
    lab.storage.set_change_tracking(lab.ref, True)
    lab.power.start(lab.ref)
    process, path = lab.machine.process, lab.storage.scratch / "writer"
    process.execute("nbd-server-start", addr={"type": "unix", "data": {"path": str(path)}})
    process.nbd_started = True      # the tracker's exports are on this one too
    process.nbd_path = path
    process.execute("block-export-add", type="nbd", id="w", node_name=lab.disk().active.node, name="w", writable=True)
    counts, chance, stop = [0], random.Random(4), threading.Event()

    def writes():
        with subprocess.Popen(["qemu-io", "-f", "raw", f"nbd+unix:///w?socket={path}"], bufsize=0,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tool:
            while not stop.is_set():
                place = chance.randrange(32 * MIB - 8192) // 512 * 512
                tool.stdin.write(f"write -P {chance.randrange(1, 255)} {place} 8192\n".encode())
                while b"ops;" not in (line := tool.stdout.readline()):
                    assert line and b"error" not in line, line
                counts[0] += 1

    writer = threading.Thread(target=writes)
    writer.start()
    try:
        copy, change, seen = bytearray(32 * MIB), "*", []
        for turn in range(8):
            snapshot = lab.storage.create_snapshot(lab.ref, f"round {turn}")
            apply(lab, copy, change, snapshot.ref)
            assert copy == lab.content(2000, snapshot.ref), turn
            change = snapshot.disks[2000].change_id
            lab.storage.remove_snapshot(lab.ref, snapshot.ref)
            assert not lab.machine.consolidation_needed and len(lab.disk().chain) == 1
            seen.append(counts[0])
    finally:
        stop.set()
        writer.join()
    assert len(set(seen)) == len(seen), "nothing was written between two rounds"
    lab.power.stop(lab.ref)
    apply(lab, copy, change, None)
    assert copy == lab.content(2000)


def apply(lab, copy, change, snapshot, key=2000):
    """One round: what has changed up to the snapshot, read through it. -> bytes"""
    areas = all_areas(lab, snapshot, key, change)
    view = lab.storage.open_view(lab.ref, key, snapshot)
    for start, length in areas:
        copy[start:start + length] = view.pread(length, start)
    view.close()
    return extents.total(areas)


def test_the_star_gives_what_is_allocated_and_pages(world):
    lab = world(a_machine(disks=[{"size_mib": 32}]))
    for block in range(0, 512, 2):
        lab.storage.write(lab.ref, 2000, block * UNIT, b"x" * 512)
    lab.storage.set_change_tracking(lab.ref, True)
    assert blocks(all_areas(lab, None, 2000, "*")) == set(range(0, 512, 2))
    snapshot = lab.storage.create_snapshot(lab.ref, "one")
    lab.storage.write(lab.ref, 2000, UNIT, b"x" * 512)
    assert blocks(all_areas(lab, snapshot.ref, 2000, "*", 7)) == set(range(0, 512, 2))
    start, length, areas = lab.storage.changed_areas(lab.ref, snapshot.ref, 2000, 100, "*", 7)
    assert start == 100 and len(areas) == 7 and areas[0] == (100, UNIT - 100) and length == 14 * UNIT - 100
    assert lab.storage.changed_areas(lab.ref, snapshot.ref, 2000, 511 * UNIT, "*") == (511 * UNIT, UNIT, [])


def test_tracking_of_a_running_machine_begins_with_a_stun(world):
    lab = world(a_machine(qemu=True))
    lab.power.start(lab.ref)
    lab.storage.set_change_tracking(lab.ref, True)
    assert lab.disk().change_id == ""
    first = lab.storage.create_snapshot(lab.ref, "stun")
    assert first.disks[2000].change_id == ""
    fault = fault_of(lab.storage.changed_areas, lab.ref, first.ref, 2000, 0, lab.disk().change_id)
    assert (fault.fault, fault.fields) == ("InvalidArgument", {"invalidProperty": "changeId"})
    lab.storage.remove_snapshot(lab.ref, first.ref)
    second = lab.storage.create_snapshot(lab.ref, "real")
    change = second.disks[2000].change_id
    lab.storage.write(lab.ref, 2000, 3 * UNIT, b"x")
    lab.storage.remove_snapshot(lab.ref, second.ref)
    lab.storage.write(lab.ref, 2000, 5 * UNIT, b"x")
    third = lab.storage.create_snapshot(lab.ref, "next")
    assert lab.storage.changed_areas(lab.ref, third.ref, 2000, 0, change)[2] == [(3 * UNIT, UNIT), (5 * UNIT, UNIT)]
    # A power cycle is a stun as well.
    lab.storage.set_change_tracking(lab.ref, False)
    assert lab.disk().change_id == ""
    lab.storage.set_change_tracking(lab.ref, True)
    assert lab.disk().change_id == ""
    lab.power.stop(lab.ref)
    lab.power.start(lab.ref)
    assert lab.disk().change_id and lab.disk().change_id.split("/")[0] != change.split("/")[0]


def test_tracking_enabled_over_snapshots_loses_changes_silently(world):
    lab = world(a_machine())
    lab.storage.write(lab.ref, 2000, 0, b"base" * 128)
    lab.storage.create_snapshot(lab.ref, "foreign")
    lab.storage.set_change_tracking(lab.ref, True)
    change = lab.disk().change_id
    lab.storage.write(lab.ref, 2000, 8 * UNIT, b"lost" * 128)
    snapshot = lab.storage.create_snapshot(lab.ref, "ours")
    assert all_areas(lab, snapshot.ref, 2000, change) == []
    assert all_areas(lab, snapshot.ref, 2000, "*") == []
    lab.storage.remove_all_snapshots(lab.ref)
    lab.storage.set_change_tracking(lab.ref, False)
    lab.storage.set_change_tracking(lab.ref, True)
    assert blocks(all_areas(lab, None, 2000, "*")) == {0, 8}


@pytest.mark.parametrize("reset", ["crash", "killed", "revert", "toggle"])
def test_a_reset_voids_the_change_ids(world, reset):
    lab = world(a_machine(qemu=True))
    lab.storage.set_change_tracking(lab.ref, True)
    first = lab.storage.create_snapshot(lab.ref, "one")
    old = first.disks[2000].change_id
    lab.power.start(lab.ref)
    if reset == "crash":
        lab.power.crash(lab.ref)
    elif reset == "killed":
        os.kill(lab.machine.process.child.pid, signal.SIGKILL)
        assert lab.power.wait(lab.ref, "poweredOff", 20)
    else:
        lab.power.stop(lab.ref)
    if reset == "revert":
        lab.storage.revert(lab.ref, first.ref)
    elif reset == "toggle":
        lab.storage.set_change_tracking(lab.ref, False)
        lab.storage.set_change_tracking(lab.ref, True)
    with lab.machine.lock:
        new = lab.disk().change_id
    assert new and new.split("/")[0] != old.split("/")[0]
    fault = fault_of(lab.storage.changed_areas, lab.ref, None, 2000, 0, old)
    assert fault.fault == "FileFault" and re.search(r"^Error caused by file /vmfs/.*-000\d+\.vmdk", str(fault))


def test_wrong_questions_about_changes(world):
    lab = world(a_machine(disks=[{"size_mib": 4}, {"size_mib": 1, "mode": "independent_persistent"}]),
                a_machine("nfs", datastore="nfs"), a_machine("old", hw_version=4),
                datastores=["ds 1 ü%+", {"name": "nfs", "type": "NFS"}])
    lab.storage.set_change_tracking(lab.ref, True)
    snapshot = lab.storage.create_snapshot(lab.ref, "one")
    good = snapshot.disks[2000].change_id
    later = good.split("/", maxsplit=1)[0] + "/7"

    def refusal(key, start, change):
        fault = fault_of(lab.storage.changed_areas, lab.ref, snapshot.ref, key, start, change)
        return fault.fault, fault.fields.get("invalidProperty")

    assert refusal(9999, 0, good) == refusal(2001, 0, good) == ("InvalidArgument", "deviceKey")
    assert refusal(2000, 4 * MIB, good) == refusal(2000, -1, good) == ("InvalidArgument", "startOffset")
    for change in ("", "x", good.upper(), later, good + "0" * 30):
        assert refusal(2000, 0, change) == ("InvalidArgument", "changeId"), change
    other = re.sub("[0-9a-f]{2}", "00", good, count=3)
    assert refusal(2000, 0, other)[0] == "FileFault"
    lab.storage.remove_snapshot(lab.ref, snapshot.ref)
    assert refusal(2000, 0, good)[0] == "ManagedObjectNotFound"
    lab.ref = lab.refs[1]
    lab.storage.set_change_tracking(lab.ref, True)
    assert all_areas(lab, None, 2000, "*") == [(0, 4 * MIB)]
    assert fault_of(lab.storage.set_change_tracking, lab.refs[2], True).fault == "NotSupported"


# Power.


def test_power_states_and_their_faults(world):
    lab = world(a_machine(qemu=True, extra={"tools_after_s": 1}), a_machine("template", template=True),
                a_machine("asleep", power="suspended"), a_machine("tools", tools="not-installed"))
    fault = fault_of(lab.power.stop, lab.ref)
    assert fault.fields == {"requestedState": "poweredOff", "existingState": "poweredOff"}
    lab.power.start(lab.ref)
    assert fault_of(lab.power.start, lab.ref).fault == "InvalidPowerState"
    assert fault_of(lab.power.shutdown, lab.ref).fault == "ToolsUnavailable"
    assert fault_of(lab.power.suspend, lab.ref).fault == "NotSupported" and lab.power.state(lab.ref) == "poweredOn"
    threading.Event().wait(1.1)
    lab.power.shutdown(lab.ref)     # a machine without a system does not react to its button
    assert not lab.power.wait(lab.ref, "poweredOff", 0.5)
    child = lab.machine.process.child
    lab.power.stop(lab.ref)
    assert child.poll() is not None and lab.power.state(lab.ref) == "poweredOff"
    assert fault_of(lab.power.start, lab.refs[1]).fault == "NotSupported"
    assert lab.power.state(lab.refs[2]) == "suspended"
    assert fault_of(lab.power.shutdown, lab.refs[2]).fields["existingState"] == "suspended"
    lab.power.start(lab.refs[3])
    assert fault_of(lab.power.shutdown, lab.refs[3]).fault == "ToolsUnavailable"


def test_a_machine_on_paper_shuts_down_and_a_deaf_one_does_not(world):
    lab = world(a_machine(power="poweredOn"), a_machine("deaf", power="poweredOn", extra={"shutdown": "ignore"}))
    assert lab.power.start_all() == []
    assert lab.power.tools_running(lab.ref) and lab.power.started_at(lab.ref)
    for ref in lab.refs:
        lab.power.shutdown(ref)
    assert lab.power.wait(lab.ref, "poweredOff", 20)
    assert not lab.power.wait(lab.refs[1], "poweredOff", 0.6)
    assert not lab.power.tools_running(lab.ref)
    deadline = time.monotonic() + 20
    while (lab.ref, "poweredOff", "guest") not in lab.events:
        assert time.monotonic() < deadline


@pytest.mark.parametrize("controller", ["pvscsi0", "lsilogic1", "lsisas0", "sata0", "nvme0", "ide0"])
def test_every_bus_has_its_disk(world, controller):
    lab = world(a_machine(disks=[{"size_mib": 1, "controller": controller}], qemu=True,
                          nics=[{"type": "vmxnet3"}, {"type": "e1000e"}]))
    key = lab.disk().key
    lab.power.start(lab.ref)
    lab.storage.write(lab.ref, key, 512, b"here")
    devices = lab.machine.process.execute("query-block")
    nodes = [device["inserted"]["node-name"] for device in devices if "inserted" in device]
    assert nodes == [lab.disk().active.node]
    lab.power.stop(lab.ref)
    assert lab.content(key)[512:516] == b"here"


def test_a_machine_that_cannot_start_says_why(world):
    lab = world(a_machine(disks=[{"size_mib": 1, "controller": "buslogic0"}], qemu=True),
                a_machine("two", qemu=True), a_machine("three", extra={"qemu": {"procss": True}}))
    assert "buslogic" in str(fault_of(lab.power.start, lab.ref))
    view = lab.storage.open_view(lab.refs[1], 2000)
    assert fault_of(lab.power.start, lab.refs[1]).fault == "FileLocked"
    view.close()
    lab.power.start(lab.refs[1])
    assert "procss" in str(fault_of(lab.power.start, lab.refs[2]))
    assert lab.power.state(lab.ref) == lab.power.state(lab.refs[2]) == "poweredOff"


def test_no_process_outlives_a_lab_that_is_killed(tmp_workdir):
    code = f"""
import sys, threading
sys.path[:0] = [{str(LAB)!r}, {str(pathlib.Path(__file__).parent)!r}]
import pathlib, lab_world as tests
lab = tests.World(pathlib.Path({str(tmp_workdir)!r}), [tests.a_machine("one", qemu=True), tests.a_machine("two")])
thread = threading.Thread(target=lab.power.start, args=(lab.ref,))
thread.start()
thread.join()
view = lab.storage.open_view(lab.refs[1], 2000)
print(lab.machine.process.child.pid, view.nbd_socket(), view.server[0].pid, flush=True)
threading.Event().wait()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as lab:
        first, path, second = lab.stdout.readline().split()
        assert pathlib.Path(f"/proc/{first}").exists() and pathlib.Path(f"/proc/{second}").exists()
        lab.kill()
    deadline = time.monotonic() + 20
    while alive(first) or alive(second):
        assert time.monotonic() < deadline
    assert path.startswith(str(tmp_workdir)), path      # nothing is left elsewhere


def alive(pid):
    try:
        return "State:\tZ" not in pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.mark.guest
def test_the_real_guest_is_copied_in_rounds_while_it_boots_and_shuts_down(world, lab_guest):
    lab = world(a_machine("guest", disks=[{"image": str(lab_guest / "system.raw")},
                                          {"image": str(lab_guest / "data.raw"), "controller": "lsilogic1", "unit": 0}],
                          nics=[{"mac": "00:50:56:9a:1c:2e", "pci_slot": 192}], memory_mib=1024, vcpus=2))
    lab.storage.set_change_tracking(lab.ref, True)
    lab.power.start(lab.ref)
    copies = {disk.key: bytearray(disk.capacity) for disk in lab.machine.disks}
    changes, moved = dict.fromkeys(copies, "*"), []
    deadline = time.monotonic() + 400
    while not lab.power.tools_running(lab.ref) or len(moved) < 3:
        assert time.monotonic() < deadline and lab.power.state(lab.ref) == "poweredOn"
        snapshot = lab.storage.create_snapshot(lab.ref, "round")
        moved.append(sum(apply(lab, copy, changes[key], snapshot.ref, key) for key, copy in copies.items()))
        changes = {key: disk.change_id for key, disk in snapshot.disks.items()}
        lab.storage.remove_snapshot(lab.ref, snapshot.ref)
        assert not lab.machine.consolidation_needed
        threading.Event().wait(10)
    assert b"login:" in lab.power.console(lab.ref).read_bytes()
    lab.power.shutdown(lab.ref)
    assert lab.power.wait(lab.ref, "poweredOff", 300)
    moved.append(sum(apply(lab, copy, changes[key], None, key) for key, copy in copies.items()))
    print(f"rounds of the guest: {[count >> 10 for count in moved]} KiB", file=sys.stderr)
    assert moved[-1] > 0 and max(moved[1:]) < moved[0]
    for key, copy in copies.items():
        assert hashlib.sha256(copy).digest() == hashlib.sha256(lab.content(key)).digest(), key
