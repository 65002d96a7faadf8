"""Datastores, disks and snapshots of the lab's machines.

    storage = Storage(directory, site)              # site: site.Site; nothing is written for a machine until it is used
    machine = storage.machine("vm-16")              # StorageMachine by moref; machine.lock is an RLock
    machine.disks            -> [Disk]              # in the order of the site; machine.disk(key)
    disk.file_name           -> "[ds 1] web01/web01-000001.vmdk"      the active link's descriptor
    disk.chain               -> [file names, active link first, base last]   (backing.parent of the VM's device list)
    disk.capacity (bytes)  disk.key  disk.uuid  disk.content_id  disk.change_id ("" when not tracked)
    machine.snapshots        -> {ref: Snapshot}     machine.current -> Snapshot or None   machine.roots -> [Snapshot]
    snapshot.ref name description created quiesced powered number parent children
    snapshot.disks[key]      -> SnapshotDisk: file_name, chain, capacity, change_id ("" possible), content_id; a disk
                                that takes no part in snapshots (independent) is not among them
    machine.consolidation_needed   machine.change_tracking
    machine.powered          -> "poweredOff" | "poweredOn" | "suspended" (set by power.py)
    machine.lease            -> the Lease that blocks it, or None
    storage.layout(ref)      -> Layout, for layoutEx

Every refusal is a StorageFault: .fault is the name of the vSphere fault ("FileFault", "InvalidPowerState", ...),
.fields a dict of its fields in order, str() the message. Whatever takes long holds the lock of its machine only.
"""

import itertools
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import uuid

from . import cbt, files, links, qemu
from .links import StorageFault

SNAPSHOT_LEVELS_MAX = 32
SERVER_SECONDS = 20
SCRATCH_PATH_MAX = 80   # of the 107 bytes that the path of a socket can have
READERS = {"nfc": ("folder",), "lease": ("folder",), "folder": ("nfc", "lease")}     # who keeps whom out


class StorageMachine:
    """What storage knows of a machine."""

    def __init__(self, storage, spec, datastores):
        self.storage = storage
        self.spec = spec
        self.ref = spec.id
        self.lock = threading.RLock()
        self.datastore = datastores[spec.datastore]
        self.directory = spec.directory
        self.disks = [links.Disk(self, disk, datastores[disk.datastore]) for disk in spec.disks]
        self.snapshots = {}
        self.current = None
        self.consolidation_needed = bool(spec.extra.get("consolidation_needed"))
        self.change_tracking = False
        self.tracking_pending = False
        self.tracking_blind = set()
        self.powered = spec.power
        self.power_changes = []     # (state, why) as they came, by power.py
        self.starting = False
        self.process = None     # qemu.Process while one runs
        self.lease = None
        self.ready = False

    @property
    def roots(self):
        return [snapshot for snapshot in self.snapshots.values() if snapshot.parent is None]

    @property
    def running(self):
        return self.powered == "poweredOn"

    def disk(self, key):
        for disk in self.disks:
            if disk.key == key:
                return disk
        raise StorageFault("InvalidArgument", f"{self.spec.name} has no disk with key {key}",
                           invalidProperty="deviceKey")

    def materialize(self):
        """Its files are in the datastore from now on."""
        with self.lock:
            if self.ready:
                return
            for disk in self.disks:
                disk.materialize()
            self.path("").mkdir(parents=True, exist_ok=True)
            name = pathlib.PurePosixPath(self.directory).name
            self.path(f"{name}.vmx").write_text(self.vmx(), encoding="utf-8")
            self.path(f"{name}.vmsd").write_text('.encoding = "UTF-8"\n', encoding="utf-8")
            self.path("vmware.log").write_text(f"Log for VMware ESX, {self.spec.name}\n", encoding="utf-8")
            if self.spec.firmware == "efi":
                self.make_nvram()
            self.ready = True
            if self.spec.extra.get("change_tracking"):
                cbt.set_enabled(self, True)

    def path(self, name):
        return self.datastore.path / self.directory / name

    @property
    def nvram_path(self):
        return self.path(pathlib.PurePosixPath(self.directory).name + ".nvram")

    def make_nvram(self):
        """The variables of the firmware: those of QEMU's, which writes to them while the machine runs."""
        template = pathlib.Path("/usr/share/OVMF/OVMF_VARS_4M"
                                + (".ms.fd" if self.spec.extra.get("efi_secure_boot") else ".fd"))
        if template.exists():
            shutil.copyfile(template, self.nvram_path)
        else:
            self.nvram_path.write_bytes(b"MRVN" + bytes(links.NVRAM_BYTES - 4))

    def vmx(self):
        spec = self.spec
        words = {".encoding": "UTF-8", "config.version": "8", "virtualHW.version": spec.hw_version,
                 "displayName": spec.name, "guestOS": spec.guest_id.removesuffix("Guest"), "memSize": spec.memory_mib,
                 "numvcpus": spec.vcpus, "firmware": spec.firmware, "uuid.bios": spec.uuid}
        buses = {"pvscsi": "scsi", "lsilogic": "scsi", "lsisas": "scsi", "buslogic": "scsi"}
        for disk in self.disks:
            place = f"{buses.get(disk.spec.kind, disk.spec.kind)}{disk.spec.bus}:{disk.spec.unit}"
            words[f"{place}.present"] = "TRUE"
            words[f"{place}.fileName"] = disk.file_name.partition("] ")[2].rpartition("/")[2]
        return "".join(f'{key} = "{value}"\n' for key, value in words.items())

    def references(self, link):
        """The snapshots at which the disk is this link."""
        return [snapshot for snapshot in self.snapshots.values()
                if link.disk.key in snapshot.disks and snapshot.disks[link.disk.key].link is link]

    def check_free(self, what):
        if self.lease:
            raise StorageFault("InvalidState", f"{what} is not allowed while {self.spec.name} is being exported")


class Datastore:
    """A datastore and its directory."""

    def __init__(self, spec, datacenter, path):
        self.spec = spec
        self.name = spec.name
        self.type = spec.type
        self.datacenter = datacenter
        self.path = path
        digits = uuid.uuid5(uuid.NAMESPACE_DNS, f"{datacenter.path} {spec.name}").hex
        self.uuid = f"{digits[:8]}-{digits[8:16]}-{digits[16:20]}-{digits[20:]}"
        self.machines = {}      # directory -> machines with files there


class Storage:
    """All datastores of a site."""

    def __init__(self, directory, site, consolidate_hook=None):
        """consolidate_hook(machine) -> None | message: asked before each consolidation; a message makes it fail, and
        the machine is consolidation_needed (the fault rule of RemoveSnapshot)."""
        self.site = site
        self.directory = pathlib.Path(directory).resolve()
        self.layers, self.luns = self.directory / "layers", self.directory / "luns"
        for path in (self.directory / "datastores", self.layers, self.luns):
            path.mkdir(parents=True, exist_ok=True)
        if any(self.layers.iterdir()) or any(path.is_file() for path in (self.directory / "datastores").rglob("*")):
            raise StorageFault("InvalidState", f"{self.directory} holds the disks of an earlier run: give another one")
        self.scratch = self.make_scratch()
        self.spawner = qemu.Spawner()
        self.consolidate_hook = consolidate_hook
        self.hold_lock = threading.Lock()
        self.numbers = itertools.count(1)
        self.server_numbers = itertools.count(1)
        self.servers = set()
        self.datastores, self.machines = [], {}
        for datacenter in site.datacenters:
            mine = {spec.name: self.add_datastore(spec, datacenter) for spec in datacenter.datastores}
            for spec in datacenter.machines:
                self.add_machine(spec, mine)

    def make_scratch(self):
        """Where sockets and short-lived files are. Elsewhere when the lab's own path is too long for the name of a
        socket, or cannot be said to qemu-io, which takes words apart at spaces."""
        path = self.directory / "run"
        if len(os.fsencode(path)) > SCRATCH_PATH_MAX or not re.fullmatch(r"[\w./+-]+", str(path), re.ASCII):
            return pathlib.Path(tempfile.mkdtemp(prefix="lab-storage-"))
        path.mkdir(exist_ok=True)
        return path

    def add_datastore(self, spec, datacenter):
        name = spec.name.replace("/", "%2f")
        path = self.directory / "datastores" / name
        if any(other.path == path for other in self.datastores):
            path = path.with_name(f"{name}@{datacenter.name.replace('/', '%2f')}")
        path.mkdir(parents=True, exist_ok=True)
        self.datastores.append(Datastore(spec, datacenter, path))
        return self.datastores[-1]

    def add_machine(self, spec, datastores):
        machine = self.machines[spec.id] = StorageMachine(self, spec, datastores)
        places = {(machine.datastore.path, machine.directory): machine.datastore}
        places.update({(disk.datastore.path, disk.directory): disk.datastore for disk in machine.disks})
        for (_, directory), datastore in places.items():
            datastore.machines.setdefault(directory, []).append(machine)

    def machine(self, ref):
        try:
            return self.machines[ref]
        except KeyError:
            raise links.gone("vim.VirtualMachine", ref) from None

    def snapshot(self, machine, ref):
        try:
            return machine.snapshots[ref]
        except KeyError:
            raise links.gone("vim.vm.Snapshot", ref) from None

    def link_named(self, file_name):
        """The base link of that descriptor, of whatever machine."""
        for machine in self.machines.values():
            for disk in machine.disks:
                if disk.spec.file == file_name:
                    disk.materialize()
                    return disk.links[0]
        raise StorageFault("FileNotFound", f"File {file_name} was not found", file=file_name)

    # Snapshots.

    def create_snapshot(self, ref, name, description="", quiesce=False, memory=False, snapshot_ref=None):
        """-> Snapshot. Slow (a QMP job of a running machine): call it from the task's thread. snapshot_ref is the moref
        to give it; by default "snapshot-N", on ESXi "VM-snapshot-N". Faults: SnapshotIncompatibleDeviceInVm,
        TooManySnapshotLevels, FileLocked, InvalidState, MemorySnapshotOnIndependentDisk."""
        machine = self.machine(ref)
        with machine.lock:
            self.check_snapshot(machine, memory)
            machine.materialize()
            number = next(self.numbers)
            snapshot_ref = snapshot_ref or (f"{ref}-snapshot-{number}" if self.site.esxi else f"snapshot-{number}")
            snapshot = links.Snapshot(snapshot_ref, number, name, description, quiesce and machine.running,
                                      machine.powered, machine.current)
            disks = [disk for disk in machine.disks if not disk.independent]
            self.freeze(machine, snapshot, disks)
            if machine.current:
                machine.current.children.append(snapshot)
            machine.snapshots = {**machine.snapshots, snapshot_ref: snapshot}   # others read it without the lock
            machine.current = snapshot
            if machine.tracking_pending and machine.running:
                cbt.begin(machine, fresh=True)
            return snapshot

    def check_snapshot(self, machine, memory):
        spec = machine.spec
        machine.check_free("A snapshot")
        if spec.template:
            raise StorageFault("NotSupported", f"{spec.name} is a template: it has no snapshots")
        if memory and any(disk.independent for disk in machine.disks):
            raise StorageFault("MemorySnapshotOnIndependentDisk",
                               "Taking a memory snapshot is not possible: the machine has an independent disk")
        for disk in machine.disks:
            shared = spec.extra.get("shared_bus", {}).get(disk.spec.controller, "noSharing")
            if disk.spec.backing in ("rdm-physical", "raw"):
                why = "a physical-mode raw device"
            elif machine.running and disk.spec.sharing != "sharingNone":
                why = "a disk shared by several writers"
            elif machine.running and shared != "noSharing":
                why = "a disk on a shared SCSI bus"
            else:
                continue
            raise links.incompatible(why)
        for device in ("pci_passthrough", "vgpu", "nvdimm"):
            if machine.running and spec.extra.get(device):
                raise links.incompatible(f"a device ({device})")
        if machine.current and machine.current.depth >= SNAPSHOT_LEVELS_MAX:
            raise StorageFault("TooManySnapshotLevels", f"{spec.name} has {SNAPSHOT_LEVELS_MAX} levels of snapshots, "
                               "which is the most there can be")

    def freeze(self, machine, snapshot, disks):
        """New links over all disks at one instant; the old ones are the snapshot's."""
        made = {}
        try:
            for disk in disks:
                link = made[disk] = links.Link(disk, disk.free_index(), disk.active)
                link.create()
            if machine.process:
                machine.process.snapshot([(disk.active.node, link.number, link.path) for disk, link in made.items()])
        except qemu.QemuError as error:
            for link in made.values():
                link.remove_files()
            raise StorageFault("SnapshotFault", f"An error occurred while taking a snapshot: {error}") from error
        for disk, link in made.items():
            cbt.gather(disk, disk.active)
            snapshot.disks[disk.key] = links.SnapshotDisk(disk.active, cbt.point(disk))
            disk.links.append(link)
            disk.active = link
            link.write_descriptor()

    def remove_snapshot(self, ref, snapshot_ref, children=False, consolidate=True):
        """Removes it and commits its layer back. When committing fails: the snapshot is gone all the same,
        machine.consolidation_needed is True and no fault is raised, as in the product."""
        machine = self.machine(ref)
        with machine.lock:
            machine.check_free("Removing a snapshot")
            snapshot = self.snapshot(machine, snapshot_ref)
            self.forget_snapshots(machine, list(snapshot.all()) if children else [snapshot])
            if consolidate:
                self.try_collapse(machine)
            else:
                machine.consolidation_needed = bool(self.next_merge(machine))

    def remove_all_snapshots(self, ref, consolidate=True):
        """Also consolidates."""
        machine = self.machine(ref)
        with machine.lock:
            machine.check_free("Removing snapshots")
            self.forget_snapshots(machine, list(machine.snapshots.values()))
            if consolidate:
                self.try_collapse(machine)
            else:
                machine.consolidation_needed = bool(self.next_merge(machine))

    @staticmethod
    def forget_snapshots(machine, gone):
        """Out of the tree; those below go to the next one above that stays."""
        def kept(snapshot):
            while snapshot in gone:
                snapshot = snapshot.parent
            return snapshot

        machine.current = kept(machine.current)
        machine.snapshots = {ref: one for ref, one in machine.snapshots.items() if one not in gone}
        for snapshot in machine.snapshots.values():
            snapshot.parent = kept(snapshot.parent)
            snapshot.children = [other for other in machine.snapshots.values() if kept(other.parent) is snapshot]

    def try_collapse(self, machine):
        before = [disk.active for disk in machine.disks]
        try:
            message = self.consolidate_hook and self.consolidate_hook(machine)
            if message:
                raise StorageFault("FileLocked", message)
            self.collapse(machine)
        except (StorageFault, qemu.QemuError):
            machine.consolidation_needed = True
        if machine.tracking_pending and machine.running and before != [disk.active for disk in machine.disks]:
            cbt.begin(machine)      # removing a snapshot has stunned it

    def consolidate(self, ref):
        """ConsolidateVMDisks; FileLocked while something reads a link which has to go."""
        machine = self.machine(ref)
        with machine.lock:
            machine.check_free("Consolidation")
            message = self.consolidate_hook and self.consolidate_hook(machine)
            if message:
                raise StorageFault("FileLocked", message, file=machine.disks[0].file_name if machine.disks else "")
            try:
                self.collapse(machine)
            except qemu.QemuError as error:
                raise StorageFault("GenericVmConfigFault", f"Consolidation failed: {error}") from error

    def collapse(self, machine):
        """Every link that no snapshot needs goes: its one child is committed into it, or it is deleted."""
        while True:
            found = self.next_merge(machine)
            if not found:
                machine.consolidation_needed = False
                return
            link, child = found
            if child is None:
                self.check_held(link)
                link.disk.links.remove(link)
                link.remove_files()
            else:
                self.merge(machine, child, link)

    @staticmethod
    def next_merge(machine):
        """(link, its only child or None) of a link that is not needed, or None when there is none."""
        for disk in machine.disks:
            for link in disk.links:
                children = disk.children(link)
                if (link is not disk.active and not machine.references(link) and len(children) < 2
                        and not link.holders["clone"]):
                    return link, children[0] if children else None
        return None

    @staticmethod
    def check_held(*members):
        for link in members:
            for kind in READERS:
                if link.holders[kind]:
                    raise links.locked(link.file_name, f"it is being read ({kind})")

    def merge(self, machine, child, link):
        """CHILD goes into LINK, which is then whatever CHILD was."""
        disk = link.disk
        self.check_held(child, link)
        grandchildren = disk.children(child)
        open_links = disk.active.chain if machine.process else []
        if child is disk.active:
            self.merge_active(machine, disk, child, link)
        elif child in open_links:
            machine.process.commit(disk.active.node, child.node, link.node, link.path)
            machine.process.forget(child.node)
        else:
            qemu.commit(child.path, link.path)
        for grandchild in grandchildren:
            grandchild.parent = link
            if grandchild not in open_links:
                qemu.set_backing(grandchild.path, link.path, link.format)
        for snapshot in machine.references(child):
            snapshot.disks[disk.key].link = link
        link.cid, link.content_id = child.cid, child.content_id
        disk.links.remove(child)
        child.remove_files()
        for changed in (link, *grandchildren):
            changed.write_descriptor()

    @staticmethod
    def merge_active(machine, disk, child, link):
        """The machine writes to LINK from now on. What it wrote to CHILD is gathered before CHILD is gone."""
        process = machine.process
        if process:
            process.commit(child.node, child.node, link.node, link.path,
                           at_ready=(lambda: cbt.watch(disk, link)) if disk.tracking else None)
            if child.tracker == "bitmap":
                cbt.gather(disk, child)
            process.forget(child.node)
            if child.tracker != "bitmap":
                cbt.gather(disk, child)
        else:
            cbt.gather(disk, child)
            qemu.commit(child.path, link.path)
        link.tracker = "bitmap" if process and disk.tracking else "record"
        link.written = []
        disk.active = link

    def revert(self, ref, snapshot_ref):
        """Power must be off; CBT is reset."""
        machine = self.machine(ref)
        with machine.lock:
            machine.check_free("Reverting")
            snapshot = self.snapshot(machine, snapshot_ref)
            if machine.running:
                raise links.wrong_power("poweredOff", "poweredOn")
            for disk in machine.disks:
                if disk.key in snapshot.disks:
                    self.check_held(disk.active)
                    link = links.Link(disk, disk.free_index(), snapshot.disks[disk.key].link)
                    link.create()
                    disk.links.append(link)
                    disk.active = link
                    link.write_descriptor()
            machine.current = snapshot
            self.try_collapse(machine)
            cbt.reset(machine)

    # Tracking.

    def set_change_tracking(self, ref, enabled):
        """ReconfigVM changeTrackingEnabled. Effective at once when off, after a stun when on."""
        machine = self.machine(ref)
        with machine.lock:
            machine.check_free("Reconfiguring")
            machine.materialize()
            cbt.set_enabled(machine, enabled)
            for disk in machine.disks:
                for link in disk.links:
                    link.write_descriptor()

    def changed_areas(self, ref, snapshot_ref, device_key, start, change_id, max_areas=cbt.AREAS_MAX):
        """QueryChangedDiskAreas -> (start, length, [(start, length)...]). snapshot_ref None: only when off."""
        machine = self.machine(ref)
        with machine.lock:
            snapshot = self.snapshot(machine, snapshot_ref) if snapshot_ref else None
            return cbt.changed_areas(machine, snapshot, device_key, start, change_id, max_areas)

    # Reading and writing.

    def layout(self, ref):
        """What layoutEx shows: files.Layout. Makes no file of a machine that was not used yet."""
        machine = self.machine(ref)
        with machine.lock:
            return files.layout(machine)

    def resolve(self, datacenter_path, datastore_name, path):
        """files.Member that a path of a datastore leads to; datacenter_path None: whichever has that datastore.
        FileNotFound when there is nothing."""
        return files.resolve(self, datacenter_path, datastore_name, path)

    def open_view(self, ref, device_key, snapshot_ref=None, file_name=None, purpose="nfc"):
        """-> View: the merged content of the disk at the snapshot (None: as it is now), or of the link FILE_NAME
        ("[ds] dir/x-000001.vmdk", in which case device_key may be None). purpose "nfc", "lease", "folder": who holds
        it. FileLocked when the link is the active one of a running machine, or held by a kind that keeps it out;
        FileNotFound when no link has that name."""
        machine = self.machine(ref)
        with machine.lock:
            machine.materialize()
            if file_name:
                link = self.link_of(machine, file_name)
            elif snapshot_ref:
                disks = self.snapshot(machine, snapshot_ref).disks
                if device_key not in disks:
                    raise StorageFault("InvalidArgument", f"disk {device_key} is not in the snapshot",
                                       invalidProperty="deviceKey")
                link = disks[device_key].link
            else:
                link = machine.disk(device_key).active
            return links.View(self, link, purpose)

    @staticmethod
    def link_of(machine, file_name):
        for disk in machine.disks:
            for link in disk.links:
                if link.file_name == file_name:
                    return link
        raise StorageFault("FileNotFound", f"File {file_name} was not found", file=file_name)

    def claim(self, machine):
        """The active links of a machine that is being switched on: nobody reads them from now on, or it is refused."""
        with self.hold_lock:
            self.check_held(*(disk.active for disk in machine.disks if disk.active))
            machine.starting = True

    def hold(self, chain, purpose):
        """Nothing removes or writes to these links until the function that is returned is called."""
        with self.hold_lock:
            for link in chain:
                if link is link.disk.active and (link.disk.machine.running or link.disk.machine.starting):
                    raise links.locked(link.file_name, "the machine is running on it")
                for kind in READERS[purpose]:
                    if link.holders[kind]:
                        raise links.locked(link.file_name, f"it is being read ({kind})")
            for link in chain:
                link.holders[purpose] += 1

        def release():
            with self.hold_lock:
                for link in chain:
                    link.holders[purpose] -= 1

        return release

    def write(self, ref, device_key, offset, data):
        """Write as the guest would (through QEMU when the machine runs, tracked by CBT). For tests and fault events."""
        machine = self.machine(ref)
        with machine.lock, tempfile.NamedTemporaryFile(dir=self.scratch) as file:
            machine.materialize()
            disk = machine.disk(device_key)
            link = disk.active
            if offset < 0 or offset + len(data) > disk.capacity:
                raise StorageFault("InvalidArgument", "the write ends behind the disk", invalidProperty="offset")
            file.write(data)
            file.flush()
            if machine.process:
                machine.process.write(disk.device, file.name, offset, len(data))
                return
            link.write_begins()
            qemu.tool("qemu-io", "-f", link.format, "-c", f"write -s {file.name} {offset} {len(data)}", link.path)
            if disk.tracking and link.tracker != "layer":
                link.written = cbt.extents.union(link.written, [(offset, len(data))])

    def grow(self, ref, device_key, size):
        """A disk becomes larger, of a running machine as well. Not while there is a snapshot, nor a reader.

        What tracks its changes does not: as some hosts do it, the change id stays good, and the new end of the disk is
        never named as changed, whatever is written there.
        """
        machine = self.machine(ref)
        with machine.lock:
            machine.check_free("Growing a disk")
            machine.materialize()
            disk = machine.disk(device_key)
            if machine.snapshots or not disk.active.raw:
                raise StorageFault("InvalidState", f"{disk.file_name} cannot grow while there is a snapshot")
            if size % 512 or size < disk.capacity:
                raise StorageFault("InvalidArgument", f"{size} is no new size for {disk.file_name}",
                                   invalidProperty="capacityInBytes")
            if not machine.running:
                self.check_held(disk.active)
            if machine.process:
                machine.process.execute("block_resize", node_name=disk.active.node, size=size)
            else:
                os.truncate(disk.active.path, size)
            if disk.tracking and not disk.tracking.blind_from:
                disk.tracking.blind_from = disk.capacity
            disk.known_capacity = size
            disk.active.write_begins()

    def serve(self, link):
        """qemu-nbd for a frozen link: (process, path of the socket)."""
        path = self.scratch / f"nbd{next(self.server_numbers)}"
        words = ["qemu-nbd", "-r", "-t", "-e", "64", "-k", path, "-f", link.format, link.path]
        errors = tempfile.TemporaryFile()
        process = self.spawner.spawn(words, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
        deadline = time.monotonic() + SERVER_SECONDS
        while not answers(path):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                process.wait()
                errors.seek(0)
                raise StorageFault("FileFault", f"cannot serve {link.file_name}: {errors.read().decode()}",
                                   file=link.file_name)
            time.sleep(0.01)
        server = (process, str(path))
        self.servers.add(server)
        return server

    def end_server(self, server):
        self.servers.discard(server)
        process, path = server
        process.terminate()
        process.wait()
        pathlib.Path(path).unlink(missing_ok=True)

    def close(self):
        """Ends what it started; the files stay."""
        for server in list(self.servers):
            self.end_server(server)
        self.spawner.close()
        shutil.rmtree(self.scratch, ignore_errors=True)


def answers(path):
    """Whether an NBD server greets at the socket, which is there before qemu-nbd listens; and it listens before it
    heeds SIGTERM."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            connection.connect(str(path))
            return connection.recv(8, socket.MSG_WAITALL) == b"NBDMAGIC"
    except OSError:
        return False
