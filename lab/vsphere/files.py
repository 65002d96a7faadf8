"""The files of a datastore as they are seen from outside: what lies there, and the data files of layers, which are made
from the layer when they are read."""

import contextlib
import dataclasses
import os
import pathlib

from . import links

TRACK_BLOCK = 65536     # bytes of a disk behind one bit of its tracking file


@dataclasses.dataclass
class LayoutFile:
    key: int
    name: str
    type: str       # config, diskDescriptor, diskExtent, nvram, snapshotList, log
    size: int
    unique_size: int


@dataclasses.dataclass
class Layout:
    """files: [LayoutFile]; disks: {device key: [[descriptor's file key, extent's file key], ...] base first};
    snapshots: {snapshot ref: the same}."""

    files: list
    disks: dict
    snapshots: dict


@dataclasses.dataclass
class Member:
    """What a path of a datastore leads to. kind: "file" (lies at path), "made" (the data of a layer: link.shown()),
    "locked" (cannot be read this way at all: why) or "directory" (entries: [Member])."""

    kind: str
    name: str
    size: int = 0
    modified: float = 0
    path: str = None
    link: object = None     # whose data it is, to be held while it is read; None for all else
    why: str = None
    entries: list = None


def layout(machine):
    made, disks = [], {}

    def add(name, kind, size, unique):
        made.append(LayoutFile(len(made), name, kind, size, unique))
        return made[-1].key

    def add_link(link):
        unique = os.stat(link.path).st_blocks * 512
        size = link.disk.capacity if link.raw else os.stat(link.path).st_size
        text = link.disk.path(link.name).stat().st_size
        return [add(link.file_name, "diskDescriptor", text, text),
                add(link.disk.datastore_path(link.extent_name), "diskExtent", size, unique)]

    stem = pathlib.PurePosixPath(machine.directory).name
    top = f"[{machine.datastore.name}] {machine.directory}"
    if not machine.ready:
        for disk in machine.disks:
            unique = os.stat(disk.spec.image).st_blocks * 512 if disk.spec.image else 0
            flat = disk.datastore_path(f"{disk.stem}-flat.vmdk")
            disks[disk.key] = [[add(disk.file_name, "diskDescriptor", 600, 600),
                                add(flat, "diskExtent", disk.capacity, unique)]]
    else:
        known = {}
        for disk in machine.disks:
            for link in {*disk.links, *disk.active.chain}:
                known[link] = add_link(link)
            disks[disk.key] = [known[link] for link in reversed(disk.active.chain)]
    snapshots = {snapshot.ref: {key: [known[link] for link in reversed(disk.link.chain)]
                                for key, disk in snapshot.disks.items()}
                 for snapshot in machine.snapshots.values()}
    for tail, kind in ((".vmx", "config"), (".vmsd", "snapshotList")):
        path = machine.path(stem + tail)
        size = path.stat().st_size if path.exists() else 0
        add(f"{top}/{stem}{tail}", kind, size, size)
    if machine.spec.firmware == "efi":
        size = machine.nvram_path.stat().st_size if machine.ready else links.NVRAM_BYTES
        add(f"{top}/{stem}.nvram", "nvram", size, size)
    return Layout(made, disks, snapshots)


def resolve(storage, datacenter_path, datastore_name, path):
    missing = links.StorageFault("FileNotFound", f"File [{datastore_name}] {path} was not found",
                                 file=f"[{datastore_name}] {path}")
    parts = [part for part in path.split("/") if part]
    if ".." in parts or "." in parts or "\0" in path:
        raise missing
    wanted = None if datacenter_path is None else datacenter_path.strip("/")
    for datastore in storage.datastores:
        if datastore.name == datastore_name and wanted in (None, datastore.datacenter.path):
            break
    else:
        raise missing
    member = find(datastore, parts)
    if member is None:
        raise missing
    return member


def find(datastore, parts):
    """A directory or a file, by the parts of its path; None when there is neither."""
    inside = "/".join(parts)
    if any(name == inside or name.startswith(inside + "/") or not parts for name in datastore.machines):
        return directory(datastore, inside)
    entries = directory(datastore, "/".join(parts[:-1])).entries
    return next((entry for entry in entries if entry.name == parts[-1] and entry.kind != "directory"), None)


def directory(datastore, inside):
    """What is in it: its machines come to be by that."""
    entries = {}
    prefix = inside + "/" if inside else ""
    for name in datastore.machines:
        if name.startswith(prefix) and name != inside:
            below = name[len(prefix):].split("/")[0]
            entries[below] = Member("directory", below)
    for machine in datastore.machines.get(inside, ()):
        machine.materialize()
    path = datastore.path / inside
    if path.is_dir():
        for entry in os.scandir(path):
            with contextlib.suppress(FileNotFoundError):    # a snapshot may be going away meanwhile
                status = entry.stat()
                if not entry.is_file() or entry.name.endswith(links.FRESH):
                    continue
                entries[entry.name] = Member("file", entry.name, status.st_size, status.st_mtime, entry.path)
    for machine in datastore.machines.get(inside, ()):
        with machine.lock:
            for disk in machine.disks:
                if (disk.datastore, disk.directory) == (datastore, inside):
                    entries.update((member.name, member) for member in disk_members(disk))
    return Member("directory", inside, entries=sorted(entries.values(), key=lambda entry: entry.name))


def disk_members(disk):
    """The data files of all links."""
    for link in disk.links:
        status = os.stat(link.path)
        name = link.extent_name
        if link.raw and disk.spec.backing in links.RDM:
            yield Member("locked", name, disk.capacity, status.st_mtime, link=link, why="a raw device is no file")
        elif disk.spec.key_id and link.raw:
            yield Member("locked", name, disk.capacity, status.st_mtime, link=link,
                         why="the lab keeps no cipher text of an encrypted disk")
        elif link.raw:
            yield Member("file", name, disk.capacity, status.st_mtime, link.path, link)
        else:
            yield Member("made", name, status.st_size, status.st_mtime, link=link)
        if disk.tracking:
            size = 512 + -(-disk.capacity // (8 * TRACK_BLOCK))
            yield Member("locked", link.name.removesuffix(".vmdk") + "-ctk.vmdk", size, status.st_mtime, link=link,
                         why="the host has it open")
