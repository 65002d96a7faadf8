"""Text descriptors of VMDK disks, and the two forms in which ESXi writes a snapshot's data.

The layers of the lab are qcow2; what is shown of them is made from their allocation when it is asked for: vmfsSparse
("COWD": VMware's "Virtual Disk Format 5.0", ESX Server sparse extents) and seSparse, whose layout is known from
QEMU's reader (block/vmdk.c). Everything is little endian.
"""

import array
import bisect
import os
import struct

SECTOR = 512
COWD_ENTRIES = 4096             # of a grain table; a grain is one sector
COWD_MAX_BYTES = 2 << 40        # above that seSparse must be used
SE_GRAIN_SECTORS = 8
SE_TABLE_ENTRIES = 4096
SE_TABLE_SECTORS = 64
ADAPTERS = {"ide": "ide", "sata": "ide", "pvscsi": "lsilogic", "lsilogic": "lsilogic", "lsisas": "lsilogic",
            "buslogic": "buslogic", "nvme": "lsilogic"}


def text(capacity, cid, parent_cid, kind, extent, adapter, uuid, content_id, parent=None, thin=True, track=None,
         logical=512):
    """The descriptor of one link. KIND is its createType and EXTENT the file its data is in."""
    words = {"vmfs": "VMFS", "vmfsSparse": "VMFSSPARSE", "seSparse": "SESPARSE", "vmfsRawDeviceMap": "VMFSRDM",
             "vmfsPassthroughRawDeviceMap": "VMFSRDM"}
    sectors = capacity // SECTOR
    lines = ["# Disk DescriptorFile", "version=" + ("4" if logical != 512 else "1"), 'encoding="UTF-8"',
             f"CID={cid:08x}", f"parentCID={parent_cid:08x}", f'createType="{kind}"']
    if parent:
        lines.append(f'parentFileNameHint="{parent}"')
    # No empty line directly before the extent: QEMU's reader would count the extent twice.
    lines += ["# Extent description", f'RW {sectors} {words[kind]} "{extent}"', ""]
    if track:
        lines += ["# Change Tracking File", f'changeTrackPath="{track}"', ""]
    digits = uuid.replace("-", "").lower()
    pairs = [digits[at:at + 2] for at in range(0, 32, 2)]
    lines += ["# The Disk Data Base", "#DDB", "", f'ddb.adapterType = "{adapter}"',
              f'ddb.geometry.cylinders = "{sectors // (255 * 63)}"', 'ddb.geometry.heads = "255"',
              'ddb.geometry.sectors = "63"', f'ddb.longContentID = "{content_id}"']
    if thin and not parent:
        lines.append('ddb.thinProvisioned = "1"')
    lines += [f'ddb.uuid = "{" ".join(pairs[:8])}-{" ".join(pairs[8:])}"', 'ddb.virtualHWVersion = "19"']
    return "\n".join(lines) + "\n"


class Pieces:
    """A file put together from pieces: bytes, areas of other files, and zeros between them."""

    def __init__(self):
        self.size = 0
        self.starts = []
        self.pieces = []    # (length, bytes or path, offset in path)

    def put(self, data):
        self.add(len(data), data, 0)

    def add(self, length, source, offset):
        """SOURCE: bytes, the path of a file, or None for zeros."""
        if length > 0:
            self.starts.append(self.size)
            self.pieces.append((length, source, offset))
            self.size += length

    def skip_to(self, position):
        self.add(position - self.size, None, 0)

    def between(self, start, end):
        """Yield (length, source, offset) of all in [start, end)."""
        number = max(bisect.bisect_right(self.starts, start) - 1, 0)
        while start < end and number < len(self.pieces):
            length, source, offset = self.pieces[number]
            into = start - self.starts[number]
            take = min(length - into, end - start)
            yield take, source, offset + into
            start += take
            number += 1


class Opened:
    """Reads Pieces; keeps the files open until close(). Thread safe once made."""

    def __init__(self, pieces):
        self.pieces = pieces
        paths = {source for _, source, _ in pieces.pieces if isinstance(source, str)}
        self.files = {path: os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in paths}

    def read(self, length, offset):
        parts = []
        for take, source, place in self.pieces.between(offset, min(offset + length, self.pieces.size)):
            if source is None:
                parts.append(bytes(take))
            elif isinstance(source, bytes):
                parts.append(source[place:place + take])
            else:
                parts.append(read_whole(self.files[source], take, place))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self):
        while self.files:
            os.close(self.files.popitem()[1])


def read_whole(file, length, offset):
    """pread, zeros behind the end of the file: the last cluster of a disk may hang over it."""
    data = os.pread(file, length, offset)
    while len(data) < length:
        more = os.pread(file, length - len(data), offset + len(data))
        if not more:
            return data + bytes(length - len(data))
        data += more
    return data


def tables_of(areas, covered):
    """Cut areas (start, length, offset or None) at multiples of COVERED bytes: {table: [areas]} in order."""
    tables = {}
    for start, length, offset in areas:
        while length:
            take = min(length, covered - start % covered)
            tables.setdefault(start // covered, []).append((start, take, offset))
            start, length = start + take, length - take
            offset = None if offset is None else offset + take
    return tables


def clip(areas, capacity, unit):
    """Cut at the end of the disk, which is rounded up to a whole UNIT."""
    end = -(-capacity // unit) * unit
    for start, length, offset in areas:
        if start < end:
            yield start, min(length, end - start), offset


def cowd(capacity, areas, path):
    """A vmfsSparse extent as Pieces. AREAS: (start, length, offset in the file PATH or None for zeros), ascending."""
    covered = COWD_ENTRIES * SECTOR
    count = -(-capacity // covered)
    tables = tables_of(clip(areas, capacity, SECTOR), covered)
    table_sectors = COWD_ENTRIES * 4 // SECTOR
    first_table = 4 + -(-count * 4 // SECTOR)
    directory = array.array("I", bytes(4 * count))
    data_sector = first_table + len(tables) * table_sectors
    pieces, stored = Pieces(), []
    packed = []
    for place, (number, parts) in enumerate(sorted(tables.items())):
        directory[number] = first_table + place * table_sectors
        entries = array.array("I", bytes(4 * COWD_ENTRIES))
        for start, length, offset in parts:
            first = start % covered // SECTOR
            for index in range(first, first + -(-length // SECTOR)):
                entries[index] = 1 if offset is None else data_sector
                data_sector += offset is not None
            if offset is not None:
                stored.append((length, offset))
        packed.append(entries.tobytes())
    header = struct.pack("<4s7I", b"COWD", 1, 3, capacity // SECTOR, 1, 4, count, data_sector)
    pieces.put(header.ljust(4 * SECTOR, b"\0"))
    pieces.put(directory.tobytes())
    pieces.skip_to(first_table * SECTOR)
    for table in packed:
        pieces.put(table)
    for length, offset in stored:
        pieces.add(length, path, offset)
    return pieces


def se_sparse(capacity, areas, path):
    """A seSparse extent as Pieces; areas as for cowd()."""
    covered = SE_TABLE_ENTRIES * SE_GRAIN_SECTORS * SECTOR
    grain = SE_GRAIN_SECTORS * SECTOR
    count = -(-capacity // covered)
    tables = tables_of(clip(areas, capacity, grain), covered)
    directory_sectors = -(-count * 8 // SECTOR)
    places = {"volatile": 1, "journal header": 2, "journal": 4, "directory": 2048}
    first_table = places["directory"] + directory_sectors
    tables_end = first_table + len(tables) * SE_TABLE_SECTORS
    grains_start = -(-tables_end // 2048) * 2048
    directory = array.array("Q", bytes(8 * count))
    stored, packed, grains = [], [], 0
    for place, (number, parts) in enumerate(sorted(tables.items())):
        directory[number] = 0x1000000000000000 | place
        entries = array.array("Q", bytes(8 * SE_TABLE_ENTRIES))
        for start, length, offset in parts:
            first = start % covered // grain
            for index in range(first, first + -(-length // grain)):
                entries[index] = 2 << 60
                if offset is not None:
                    entries[index] = 3 << 60 | grains >> 12 | (grains & 0xfff) << 48
                    grains += 1
            if offset is not None:
                stored.append((length, offset))
        packed.append(entries.tobytes())
    grain_sectors = grains * SE_GRAIN_SECTORS
    header = struct.pack("<26Q", 0xcafebabe, 0x0000000200000001, capacity // SECTOR, SE_GRAIN_SECTORS, SE_TABLE_SECTORS,
                         0, 0, 0, 0, 0, places["volatile"], 1, places["journal header"], 2, places["journal"], 2044,
                         places["directory"], directory_sectors, first_table, len(tables) * SE_TABLE_SECTORS,
                         tables_end, 0, tables_end, 0, grains_start, grain_sectors)
    pieces = Pieces()
    pieces.put(header.ljust(SECTOR, b"\0"))
    pieces.put(struct.pack("<4Q", 0xcafecafe, len(tables), 0, 0).ljust(SECTOR, b"\0"))
    pieces.skip_to(places["directory"] * SECTOR)
    pieces.put(directory.tobytes())
    pieces.skip_to(first_table * SECTOR)
    for table in packed:
        pieces.put(table)
    pieces.skip_to(grains_start * SECTOR)
    for length, offset in stored:
        pieces.add(-(-length // grain) * grain, path, offset)
    return pieces
