"""Changed block tracking.

A disk that is tracked has a UUID, a counter of points in time, and for each interval between two points the areas
written then. A point is made by each snapshot; "UUID/N" is the change id of point N, and the disk's own one is that
of the interval being written. The areas come from where the writes are known from (Link.tracker): the allocation of
a layer that was made at the point, QEMU's dirty bitmap of an older file that is written again, or the lab's own record
when no QEMU runs. They are taken when writing moves on to another file, before anything is committed or deleted.

As in the product: tracking that is switched on while the machine runs begins with the next stun (a snapshot made or
removed, a power cycle); tracking that is switched on while there are snapshots leaves out, without a word, whatever
is in files that were there before; a power loss, a revert, and switching off and on make a new UUID and void the
old ids.
"""

import re
import uuid

from . import extents, links, qemu

UNIT = qemu.GRANULARITY
AREAS_MAX = 2000
CHANGE_ID = re.compile(r"((?:[0-9a-f]{2} ){7}[0-9a-f]{2}-(?:[0-9a-f]{2} ){7}[0-9a-f]{2})/([0-9]{1,18})")


class Tracking:
    """What is tracked of one disk since its last reset."""

    def __init__(self, blind):
        digits = uuid.uuid4().hex
        pairs = [digits[at:at + 2] for at in range(0, 32, 2)]
        self.uuid = f"{' '.join(pairs[:8])}-{' '.join(pairs[8:])}"
        self.counter = 1
        self.intervals = {}     # point it begins with -> areas
        self.blind = blind      # numbers of the links whose writes get lost: those there when it was switched on over
        #                         snapshots; empty when tracking is whole
        self.whole = not blind
        self.blind_from = 0     # from here on the disk has grown since, and nothing is seen; 0: all is

    @property
    def change_id(self):
        return f"{self.uuid}/{self.counter}"

    def add(self, areas):
        self.intervals[self.counter] = extents.union(self.intervals.get(self.counter, []), areas)

    def between(self, first, last):
        areas = extents.union(*(areas for point, areas in self.intervals.items() if first <= point < last))
        return extents.window(areas, 0, self.blind_from) if self.blind_from else areas


def trackable(disk):
    """Whether the product would track this disk at all."""
    machine = disk.machine
    shared = machine.spec.extra.get("shared_bus", {}).get(disk.spec.controller, "noSharing")
    return (not disk.independent and disk.spec.backing not in ("rdm-physical", "raw", "pmem", "flat-v1", "sparse")
            and disk.spec.sharing == "sharingNone" and shared == "noSharing")


def supported(machine):
    return machine.spec.hw_version >= 7 and machine.spec.extra.get("change_tracking_supported", True)


def set_enabled(machine, enabled):
    """ReconfigVM changeTrackingEnabled."""
    if enabled and not supported(machine):
        raise links.StorageFault("NotSupported", "Changed block tracking is not supported by this virtual machine")
    if enabled == machine.change_tracking:
        return
    machine.change_tracking = enabled
    machine.tracking_pending = enabled
    there = {link.number for disk in machine.disks for link in disk.links}
    machine.tracking_blind = there if machine.snapshots else set()
    if not enabled:
        forget(machine)
    elif machine.powered == "poweredOff":
        begin(machine)


def begin(machine, fresh=False):
    """Tracking starts with what is written from now on. FRESH: the active links have just been made."""
    machine.tracking_pending = False
    for disk in machine.disks:
        if trackable(disk):
            disk.materialize()
            disk.tracking = Tracking(machine.tracking_blind)
            begin_writes(disk, fresh)


def begin_writes(disk, fresh):
    """From now on the writes to the active link are known. A layer that is fresh knows them by itself, and only it."""
    link = disk.active
    link.written = []
    if fresh:
        link.tracker = "layer"
    else:
        link.tracker = "bitmap" if disk.machine.process else "record"
    if link.tracker == "bitmap":
        watch(disk, link)


def watch(disk, link):
    """QEMU keeps a bitmap of what it writes to this link."""
    if not link.bitmap:
        disk.machine.process.track(link.node)
        link.bitmap = True


def unwatch(disk, link):
    """Takes the bitmap of a link that QEMU writes to no more into the link's record."""
    if link.bitmap:
        link.written = extents.union(link.written, disk.machine.process.tracked(link.node, disk.capacity))
        disk.machine.process.execute("block-dirty-bitmap-remove", node=link.node, name="cbt")
        link.bitmap = False


def gather(disk, link):
    """LINK is written no more, for now: what was written to it belongs to the present interval."""
    if not disk.tracking:
        return
    if link.tracker == "layer":
        areas = qemu.layer_areas(link.path)
    else:
        unwatch(disk, link)
        areas = link.written
        link.written = []
    if link.number not in disk.tracking.blind:
        disk.tracking.add(extents.aligned(areas, UNIT, disk.capacity))


def point(disk):
    """A snapshot is made here: its change id."""
    if not disk.tracking:
        return ""
    disk.tracking.counter += 1
    return disk.tracking.change_id


def power_on(machine):
    """QEMU runs, its CPUs do not yet; or the machine is on paper."""
    if machine.tracking_pending:
        begin(machine)
        return
    for disk in machine.disks:
        if machine.process and disk.tracking and disk.active.tracker != "layer":
            disk.active.tracker = "bitmap"
            watch(disk, disk.active)


def power_off(machine):
    """QEMU's CPUs run no more; the process is still there."""
    for disk in machine.disks:
        if disk.tracking and disk.active.tracker == "bitmap":
            unwatch(disk, disk.active)
            disk.active.tracker = "record"


def reset(machine):
    """Power loss or revert: everything known is void, and tracking begins anew."""
    forget(machine)
    if machine.change_tracking:
        begin(machine)


def forget(machine):
    for disk in machine.disks:
        if disk.tracking:
            disk.tracking = None
            for link in disk.links:
                if link.bitmap and machine.process:
                    machine.process.execute("block-dirty-bitmap-remove", node=link.node, name="cbt")
                link.bitmap = False
                link.written = []
                if link.tracker == "bitmap":
                    link.tracker = "record"


# The question.


def invalid(name, message):
    return links.StorageFault("InvalidArgument", f"A specified parameter was not correct: {name} ({message})",
                              invalidProperty=name)


def file_fault(link, message):
    disk = link.disk
    path = f"/vmfs/volumes/{disk.datastore.uuid}/{disk.directory}/{link.name}"
    return links.StorageFault("FileFault", f"Error caused by file {path} ({message})", file=path)


def changed_areas(machine, snapshot, device_key, start, change_id, areas_max=AREAS_MAX):
    """QueryChangedDiskAreas: (start, length, [(start, length)]) with at most AREAS_MAX areas."""
    disk = next((disk for disk in machine.disks if disk.key == device_key), None)
    if disk is None or not trackable(disk) or (snapshot and device_key not in snapshot.disks):
        raise invalid("deviceKey", f"{device_key} is no disk with change tracking")
    if not 0 <= start < disk.capacity:
        raise invalid("startOffset", f"{start} of {disk.capacity}")
    at = snapshot.disks[device_key] if snapshot else None
    link = at.link if at else disk.active
    if link is None:
        disk.materialize()
        link = disk.active
    if not snapshot and machine.powered != "poweredOff":
        raise file_fault(link, "the disk is being written")
    if change_id == "*":
        areas = allocated(disk, link)
    else:
        areas = since(disk, link, at, change_id)
    areas = extents.window(areas, start, disk.capacity)
    if len(areas) > areas_max:
        end = areas[areas_max][0]
        return start, end - start, areas[:areas_max]
    return start, disk.capacity - start, areas


def allocated(disk, link):
    """"*": what is in use. Known only where the file system tells, and only when tracking has seen everything."""
    if not disk.tracking:
        raise file_fault(link, "change tracking is not active")
    if not disk.datastore.type.startswith("VMFS"):
        return [(0, disk.capacity)]
    if disk.tracking.whole:
        areas = [(start, length) for start, length, _, _ in link.content()]
    else:
        seen = {member.path for member in link.chain if member.number not in disk.tracking.blind}
        areas = [(start, length) for start, length, path, _ in link.content() if path in seen]
    return extents.aligned(areas, UNIT, disk.capacity)


def since(disk, link, at, change_id):
    match = CHANGE_ID.fullmatch(change_id)
    if not match:
        raise invalid("changeId", f"{change_id!r} is no change id")
    if not disk.tracking:
        raise invalid("changeId", "changes are not tracked")
    if match[1] != disk.tracking.uuid:
        raise file_fault(link, "unknown epoch")
    first = int(match[2])
    if at is None:
        gather_now(disk)
        last = disk.tracking.counter + 1
    elif not at.change_id:
        raise invalid("changeId", "changes were not tracked at that snapshot")
    else:
        owner, _, number = at.change_id.partition("/")
        if owner != disk.tracking.uuid:
            raise file_fault(link, "the epoch of the snapshot is over")
        last = int(number)
    if not 1 <= first <= (last if at else disk.tracking.counter):
        raise invalid("changeId", f"{change_id} is later than what is asked about")
    return disk.tracking.between(first, last)


def gather_now(disk):
    """The machine is off: what was written so far joins its interval, which stays open."""
    link = disk.active
    if link.number not in disk.tracking.blind:
        areas = qemu.layer_areas(link.path) if link.tracker == "layer" else link.written
        disk.tracking.add(extents.aligned(areas, UNIT, disk.capacity))
