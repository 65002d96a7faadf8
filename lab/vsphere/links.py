"""Disks of the lab's machines and the links they are made of.

A disk starts as a flat file beside its descriptor; each snapshot puts a link over it. A link is a qcow2 layer in the
lab's own directory "layers"; in the datastore it has a descriptor, and a data file that is made up when it is read.
"""

import collections
import datetime
import errno
import fcntl
import itertools
import os
import pathlib
import random
import threading

from . import descriptor, extents, qemu

FRESH = ".fresh"              # ends the name of a descriptor that is being written
FICLONE = 0x40049409            # linux/fs.h
COPY_BYTES = 8 << 20
NVRAM_BYTES = 270840            # as large as ESXi's
RDM = {"rdm-physical": ("vmfsPassthroughRawDeviceMap", "-rdmp"), "rdm-virtual": ("vmfsRawDeviceMap", "-rdm"),
       "raw": ("vmfsPassthroughRawDeviceMap", "-rdmp")}
STATE_WORDS = {"poweredOn": "Powered on", "poweredOff": "Powered off", "suspended": "Suspended"}
INDEPENDENT = ("independent_persistent", "independent_nonpersistent")


class StorageFault(Exception):
    """A refusal as vSphere gives it: .fault is the name of the fault's type, .fields are its own fields."""

    def __init__(self, fault, message, **fields):
        super().__init__(message)
        self.fault = fault
        self.fields = fields


def locked(file_name, why):
    return StorageFault("FileLocked", f"Unable to access file {file_name} since it is locked: {why}", file=file_name)


def gone(kind, ref):
    return StorageFault("ManagedObjectNotFound", f"The object '{kind}:{ref}' has already been deleted or has not been "
                        "completely created", obj=ref)


def wrong_power(wanted, existing):
    return StorageFault("InvalidPowerState", "The attempted operation cannot be performed in the current state ("
                        f"{STATE_WORDS[existing]}).", requestedState=wanted, existingState=existing)


def incompatible(why):
    return StorageFault("SnapshotIncompatibleDeviceInVm", f"The virtual machine has {why}: a device has prevented "
                        "taking the snapshot")


def adopt(image, path, size):
    """PATH becomes IMAGE's content, sharing its blocks where the file system can; holes stay holes."""
    with open(image, "rb") as source, open(path, "xb") as target:
        try:
            fcntl.ioctl(target.fileno(), FICLONE, source.fileno())
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS):
                raise
            copy_sparse(source.fileno(), target.fileno(), qemu.data_areas(image))
        target.truncate(size)


def copy_sparse(source, target, areas):
    for start, length in areas:
        done = 0
        while done < length:
            copied = os.copy_file_range(source, target, min(length - done, COPY_BYTES), start + done, start + done)
            if copied == 0:
                return
            done += copied


class Link:
    """One file of a chain. `tracker` says where the writes to it since the last point of tracking are known from:
    "layer" (a layer made at that point: all it holds), "bitmap" (QEMU's), "record" (only the lab itself writes)."""

    numbers = itertools.count(1)

    def __init__(self, disk, index, parent):
        self.number = next(Link.numbers)
        self.disk = disk
        self.index = index          # 0 for the base
        self.parent = parent
        self.raw = parent is None
        self.cid = random.getrandbits(32) & 0xfffffffe
        self.content_id = f"{random.getrandbits(128):032x}"
        self.tracker = "record" if index == 0 else "layer"
        self.written = []
        self.bitmap = False
        self.holders = collections.Counter()
        self.pieces = None          # what is shown of a layer, and what it was made from
        self.path = str(disk.flat_path() if self.raw else disk.machine.storage.layers / f"{self.number}.qcow2")

    @property
    def name(self):
        return self.disk.stem + (f"-{self.index:06}" if self.index else "") + ".vmdk"

    @property
    def format(self):
        return "raw" if self.raw else "qcow2"

    @property
    def file_name(self):
        return self.disk.datastore_path(self.name)

    @property
    def node(self):
        return f"link{self.number}"

    @property
    def form(self):
        """createType of its descriptor."""
        if self.raw:
            return RDM.get(self.disk.spec.backing, ("vmfs",))[0]
        big = self.disk.capacity > descriptor.COWD_MAX_BYTES - (1 << 30)
        return "seSparse" if big or self.disk.datastore.type == "VMFS6" else "vmfsSparse"

    @property
    def extent_name(self):
        """The name of its data file."""
        stem = self.name.removesuffix(".vmdk")
        tails = {"vmfs": "-flat", "vmfsSparse": "-delta", "seSparse": "-sesparse"}
        return stem + (tails[self.form] if self.form in tails else RDM[self.disk.spec.backing][1]) + ".vmdk"

    @property
    def chain(self):
        """This link and all below it, in that order."""
        links = [self]
        while links[-1].parent:
            links.append(links[-1].parent)
        return links

    @property
    def files(self):
        return [link.file_name for link in self.chain]

    def descriptor_text(self):
        parent = self.parent
        hint = None
        if parent:
            hint = parent.name
            if (parent.disk.datastore, parent.disk.directory) != (self.disk.datastore, self.disk.directory):
                hint = f"/vmfs/volumes/{parent.disk.datastore.uuid}/{parent.disk.directory}/{parent.name}"
        track = None
        if self.disk.tracking:
            track = self.name.removesuffix(".vmdk") + "-ctk.vmdk"
        spec = self.disk.spec
        return descriptor.text(self.disk.capacity, self.cid, parent.cid if parent else 0xffffffff, self.form,
                               self.extent_name, descriptor.ADAPTERS[spec.kind], spec.uuid, self.content_id, hint,
                               spec.thin, track, 4096 if spec.format == "native_4k" else 512)

    def write_begins(self):
        """Somebody opened it and will write: what it holds has another name from now on."""
        self.cid = random.getrandbits(32) & 0xfffffffe
        self.content_id = f"{random.getrandbits(128):032x}"
        self.write_descriptor()

    def write_descriptor(self):
        path = self.disk.path(self.name)
        fresh = path.with_name(path.name + FRESH)
        fresh.write_text(self.descriptor_text(), encoding="utf-8")
        os.replace(fresh, path)

    def create(self):
        """The layer's file, empty."""
        qemu.create_overlay(self.path, self.parent.path, self.parent.format, self.disk.capacity)

    def remove_files(self):
        pathlib.Path(self.path).unlink(missing_ok=True)
        self.disk.path(self.name).unlink(missing_ok=True)

    def content(self):
        """Areas with data of the merged chain: [(start, length, path, offset)]; all else is zeros."""
        if self.raw:
            return [(start, length, self.path, start) for start, length in qemu.data_areas(self.path)]
        chain = self.chain
        return [(start, length, chain[depth].path, offset)
                for start, length, depth, offset in qemu.image_map(self.path, "qcow2") if offset is not None]

    def shown(self):
        """The data file of a layer as Pieces."""
        status = os.stat(self.path)
        key = (status.st_mtime_ns, status.st_size, self.form)
        if not self.pieces or self.pieces[0] != key:
            areas = [(start, length, offset) for start, length, depth, offset in qemu.image_map(self.path, "qcow2")
                     if depth == 0]
            make = descriptor.se_sparse if self.form == "seSparse" else descriptor.cowd
            self.pieces = (key, make(self.disk.capacity, areas, self.path))
        return self.pieces[1]


class Disk:
    """A disk of a machine as it is now."""

    def __init__(self, machine, spec, datastore):
        self.machine = machine
        self.spec = spec
        self.key = spec.key
        self.uuid = spec.uuid
        self.datastore = datastore
        inside = spec.file.partition("] ")[2] if spec.file.startswith("[") else spec.file
        self.directory, _, name = inside.rpartition("/")
        self.stem = name.removesuffix(".vmdk")
        self.known_capacity = 0
        self.links = []
        self.active = None
        self.tracking = None    # of cbt.py

    @property
    def capacity(self):
        """Bytes, a multiple of 512."""
        if not self.known_capacity and self.spec.parent:
            self.known_capacity = self.base_parent.disk.capacity
        if not self.known_capacity:
            size = self.spec.size_bytes or self.spec.size_mib << 20
            if self.spec.image:
                try:
                    size = os.stat(self.spec.image).st_size
                except OSError as error:
                    raise StorageFault("FileNotFound", f"the image {self.spec.image} of {self.spec.file} cannot be "
                                       f"adopted: {error.strerror}", file=self.spec.image) from error
            self.known_capacity = -(-max(size, 1) // 512) * 512
        return self.known_capacity

    @property
    def base_parent(self):
        """The link of another machine which a linked clone stands on, or None."""
        return self.machine.storage.link_named(self.spec.parent) if self.spec.parent else None

    @property
    def file_name(self):
        return self.active.file_name if self.active else self.datastore_path(f"{self.stem}.vmdk")

    @property
    def chain(self):
        """Descriptors from the active link to the base."""
        if self.active:
            return self.active.files
        return [self.file_name] + ([self.spec.parent] if self.spec.parent else [])

    @property
    def content_id(self):
        return self.active.content_id if self.active else self.uuid.replace("-", "").lower()

    @property
    def change_id(self):
        """The epoch which is being written; empty when changes are not tracked."""
        return self.tracking.change_id if self.tracking else ""

    @property
    def independent(self):
        return self.spec.mode in INDEPENDENT

    @property
    def device(self):
        """Its name in QEMU."""
        return f"disk{self.key}"

    def path(self, name):
        return self.datastore.path / self.directory / name

    def datastore_path(self, name):
        return f"[{self.datastore.name}] {self.directory + '/' if self.directory else ''}{name}"

    def flat_path(self):
        if self.spec.backing in RDM:
            return self.machine.storage.luns / f"{self.machine.ref}-{self.key}.raw"
        return self.path(f"{self.stem}-flat.vmdk")

    def materialize(self):
        if self.active:
            return
        parent = self.base_parent
        self.path("").mkdir(parents=True, exist_ok=True)
        link = Link(self, 0, parent)
        if parent is None:
            path = pathlib.Path(link.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            if self.spec.image:
                adopt(self.spec.image, path, self.capacity)
            else:
                with open(path, "xb") as file:
                    file.truncate(self.capacity)
        else:
            parent.holders["clone"] += 1
            link.create()
        self.links, self.active = [link], link
        link.content_id = self.uuid.replace("-", "").lower()
        link.write_descriptor()

    def free_index(self):
        taken = {link.index for link in self.links}
        return next(index for index in itertools.count(1) if index not in taken)

    def children(self, link):
        return [other for other in self.links if other.parent is link]


class SnapshotDisk:
    """A disk at a snapshot."""

    def __init__(self, link, change_id):
        self.link = link
        self.change_id = change_id
        self.capacity = link.disk.capacity
        self.key = link.disk.key

    @property
    def file_name(self):
        return self.link.file_name

    @property
    def chain(self):
        return self.link.files

    @property
    def content_id(self):
        return self.link.content_id


class Snapshot:
    """A point in the tree of a machine."""

    def __init__(self, ref, number, name, description, quiesced, powered, parent):
        self.ref = ref
        self.number = number
        self.name = name
        self.description = description
        self.quiesced = quiesced
        self.powered = powered
        self.parent = parent
        self.children = []
        self.created = datetime.datetime.now(datetime.timezone.utc)
        self.disks = {}     # by device key

    @property
    def depth(self):
        return 1 + (self.parent.depth if self.parent else 0)

    def all(self):
        """This one and all below it."""
        yield self
        for child in self.children:
            yield from child.all()


class View:
    """A disk to read. Thread safe. While it is open its links are held, so that nothing removes them."""

    def __init__(self, storage, link, purpose):
        self.storage = storage
        self.link = link
        self.purpose = purpose
        self.capacity = link.disk.capacity
        self.file_name = link.file_name
        self.lock = threading.Lock()
        self.server = None
        self.opened = None
        self.areas = None
        self.held = storage.hold(link.chain, purpose)

    @property
    def raw_path(self):
        """The file that has the whole content, to be read only; None when there is a chain."""
        return self.link.path if self.link.raw else None

    def extents(self):
        """Areas that hold data: [(start, length)]."""
        return extents.normal((start, length) for start, length, _, _ in self.content())

    def content(self):
        with self.lock:
            if self.areas is None:
                self.areas = self.link.content()
            return self.areas

    def pread(self, length, offset):
        content = self.content()
        with self.lock:
            if self.opened is None:
                pieces = descriptor.Pieces()
                for start, size, path, place in content:
                    pieces.skip_to(start)
                    pieces.add(size, path, place)
                pieces.skip_to(self.capacity)
                self.opened = descriptor.Opened(pieces)
        return self.opened.read(length, offset)

    def nbd_socket(self):
        """A Unix socket where qemu-nbd serves the disk, read-only, export name ""; until close()."""
        with self.lock:
            if self.server is None:
                self.server = self.storage.serve(self.link)
            return self.server[1]

    def close(self):
        with self.lock:
            if self.server:
                self.storage.end_server(self.server)
                self.server = None
            if self.opened:
                self.opened.close()
            if self.held:
                self.held()
                self.held = None
