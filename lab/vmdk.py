#!/usr/bin/python3
"""Write a streamOptimized VMDK from a raw disk, as VMware's exporter does or wrong in a chosen way.

The layout is that of VMware's "Virtual Disk Format 5.0", compressed sparse extents:

    header | descriptor | grains, each with its LBA and length | marker + grain table, after its grains
    ... | marker + grain directory | marker + footer (the header again) | end-of-stream marker

That is the "footer" form, written in one pass and so good for a pipe; qemu-img writes the "front" form,
where directory and tables stand before the first grain. Everything is little endian and starts on
a sector of 512 bytes. Sizes are in sectors in the format and in Options, in bytes where the name says so.
"""

import argparse
import array
import collections
import concurrent.futures
import dataclasses
import os
import random
import struct
import sys
import zlib

SECTOR = 512
ENTRIES = 512  # grain table entries in one grain table
TABLE_SECTORS = ENTRIES * 4 // SECTOR
MAGIC = 0x564D444B
GD_AT_END = 0xFFFFFFFFFFFFFFFF
FLAG_NEWLINES, FLAG_SECOND_GD, FLAG_ZERO_GRAINS = 1 << 0, 1 << 1, 1 << 2
FLAG_COMPRESSED, FLAG_MARKERS = 1 << 16, 1 << 17
MARKER_EOS, MARKER_TABLE, MARKER_DIRECTORY, MARKER_FOOTER, MARKER_PROGRESS = range(5)

HEADER = struct.Struct("<IIIQQQQIQQQBccccH433x")
HEADER_FIELDS = ("magic version flags capacity grain_size descriptor_offset descriptor_size entries rgd_offset "
                 "gd_offset overhead unclean newline1 newline2 newline3 newline4 compression").split()


@dataclasses.dataclass
class Options:
    """How the stream is to look. The defaults are what VMware writes."""

    form: str = "footer"            # footer | front
    grain_sectors: int = 128
    level: int = 1                  # zlib level; 0 stores, so that every grain is larger than raw
    order: str = "ascending"        # ascending | reverse | shuffle
    seed: int = 1                   # of shuffle, and of which grains are duplicated or damaged
    duplicates: int = 0             # this many grains come twice, first with other content
    keep_zeros: bool = False        # grains of zeros are written too
    zero_entries: bool = False      # absent grains of a table in use are marked 1, flag bit 2 set
    short_last: bool = False        # a last grain that hangs over the end is cut, not padded
    progress_every: int = 0         # a progress marker after this many grains
    version: int = 3
    create_type: str = "streamOptimized"
    cid: str = "7b3f9a2e"
    adapter_type: str = "lsilogic"
    descriptor_extra: tuple = ()    # more lines of the descriptor
    capacity_sectors: int = 0       # claimed everywhere instead of the true one; 0: the true one
    # Faults.
    header: dict = dataclasses.field(default_factory=dict)   # header fields by name, set last
    footer: dict = dataclasses.field(default_factory=dict)   # the same for the footer
    damage: int = 0                 # this many grains are damaged...
    damage_kind: str = "body"       # ... body | checksum | length | lba | short
    eos: bool = True
    trailing_bytes: int = 0         # zeros behind the end marker
    truncate_bytes: int = 0         # > 0: the file is cut there; < 0: so many bytes from its end
    workers: int = 2


@dataclasses.dataclass
class Facts:
    """What was written."""

    capacity_sectors: int
    grains: int
    populated_bytes: int
    file_bytes: int
    damaged_lbas: list


def write(source, target, options=None):
    """Write the raw disk SOURCE (a path) to TARGET (a path or a binary file) and return Facts.

    Memory stays bounded whatever the size of the disk: a few grains on their way, and four bytes per grain.
    Only `front`, and truncating, need a TARGET that can seek.
    """
    options = options or Options()
    with open(source, "rb") as disk:
        if hasattr(target, "write"):
            return Writer(disk, target, options).run()
        with open(target, "wb") as out:
            return Writer(disk, out, options).run()


def write_empty(capacity_bytes, target, options=None):
    """The same for a disk of CAPACITY_BYTES that holds nothing."""
    with open(os.memfd_create("empty"), "r+b") as disk:
        disk.truncate(capacity_bytes)
        return write(f"/proc/self/fd/{disk.fileno()}", target, options)


class Writer:
    """One stream on its way out."""

    def __init__(self, disk, out, options):
        self.disk = disk
        self.out = out
        self.options = options
        self.position = 0
        self.size_bytes = os.fstat(disk.fileno()).st_size
        if self.size_bytes == 0:
            self.size_bytes = disk.seek(0, os.SEEK_END)  # a block device
        self.capacity = -(-self.size_bytes // SECTOR)
        self.grain_bytes = options.grain_sectors * SECTOR
        self.grain_count = -(-self.capacity // options.grain_sectors)
        self.tables = {}        # number of a table -> its entries
        self.table_sectors = {}  # number of a table -> where it was written
        self.random = random.Random(options.seed)
        self.facts = Facts(self.capacity, 0, 0, 0, [])

    def run(self):
        if self.options.form not in ("footer", "front"):
            raise ValueError(f"unknown form {self.options.form!r}")
        front = self.options.form == "front"
        layout = self.front_layout() if front else {}
        header = self.header_fields(layout)
        self.put(pack_header(header | self.options.header))
        self.put(self.descriptor())
        self.pad_to(header["overhead"])
        self.put_grains(tables_follow=not front and self.options.order == "ascending")
        if not front:
            self.put_footer(header)
        if self.options.eos:
            self.put(marker(0, MARKER_EOS))
        self.put(bytes(self.options.trailing_bytes))
        if front:
            self.put_front_tables(layout)
        self.facts.file_bytes = self.position
        self.truncate()
        return self.facts

    def put(self, data):
        self.out.write(data)
        self.position += len(data)

    def pad_to(self, sector):
        self.put(bytes(sector * SECTOR - self.position))

    def header_fields(self, layout):
        flags = FLAG_NEWLINES | FLAG_COMPRESSED | FLAG_MARKERS
        if self.options.form == "front":
            flags |= FLAG_SECOND_GD
        if self.options.zero_entries:
            flags |= FLAG_ZERO_GRAINS
        return {
            "magic": MAGIC, "version": self.options.version, "flags": flags,
            "capacity": self.options.capacity_sectors or self.capacity,
            "grain_size": self.options.grain_sectors,
            "descriptor_offset": 1, "descriptor_size": 20, "entries": ENTRIES,
            "rgd_offset": layout.get("rgd", 0), "gd_offset": layout.get("gd", GD_AT_END),
            "overhead": layout.get("overhead", 128),
            "unclean": 0, "newline1": b"\n", "newline2": b" ", "newline3": b"\r", "newline4": b"\n",
            "compression": 1,
        }

    def descriptor(self):
        """The text embedded behind the header; its fields are VMware's."""
        options = self.options
        sectors = options.capacity_sectors or self.capacity
        heads, track = 255, 63
        name = os.path.basename(getattr(self.out, "name", "")) if isinstance(
            getattr(self.out, "name", None), str) else "disk.vmdk"
        lines = ["# Disk DescriptorFile", "version=1", f"CID={options.cid}", "parentCID=ffffffff",
                 f'createType="{options.create_type}"', "", "# Extent description",
                 f'RDONLY {sectors} SPARSE "{name}"', "", "# The Disk Data Base", "#DDB", "",
                 f'ddb.adapterType = "{options.adapter_type}"',
                 f'ddb.geometry.cylinders = "{sectors // (heads * track)}"',
                 f'ddb.geometry.heads = "{heads}"', f'ddb.geometry.sectors = "{track}"',
                 'ddb.longContentID = "0123456789abcdef01234567' + options.cid + '"',
                 'ddb.toolsInstallType = "4"', 'ddb.toolsVersion = "12389"', 'ddb.virtualHWVersion = "19"']
        text = "\n".join(lines + list(options.descriptor_extra)) + "\n"
        data = text.encode()
        if len(data) > 20 * SECTOR:
            raise ValueError("the descriptor is larger than its 20 sectors")
        return data.ljust(20 * SECTOR, b"\0")

    # Grains.

    def put_grains(self, tables_follow):
        """All grains in the wanted order; with tables_follow each table comes after its last grain."""
        written = 0
        current = None
        for number, raw_bytes, stored in self.compressed():
            table, entry = divmod(number, ENTRIES)
            if tables_follow and current is not None and table != current:
                self.put_table(current)
            current = table
            self.table(table)[entry] = self.position // SECTOR
            self.put(stored)
            self.facts.populated_bytes += raw_bytes
            written += 1
            if self.options.progress_every and written % self.options.progress_every == 0:
                self.put(marker(0, MARKER_PROGRESS))
        self.facts.grains = written
        if self.options.form == "footer":
            for table in sorted(self.tables):
                if table not in self.table_sectors:
                    self.put_table(table)

    def table(self, number):
        if number not in self.tables:
            absent = 1 if self.options.zero_entries else 0
            used = min(ENTRIES, self.grain_count - number * ENTRIES)
            self.tables[number] = array.array("I", [absent] * used + [0] * (ENTRIES - used))
        return self.tables[number]

    def put_table(self, number):
        self.put(marker(TABLE_SECTORS, MARKER_TABLE))
        self.table_sectors[number] = self.position // SECTOR
        self.put(struct.pack(f"<{ENTRIES}I", *self.tables[number]))

    def compressed(self):
        """Yield (grain number, raw bytes, the grain as it stands in the file), compressing in processes.

        So many jobs are under way at a time, whatever the disk's size.
        """
        jobs = self.jobs()
        if self.options.workers < 2:
            for job in jobs:
                yield make_grain(*job)
            return
        pending = collections.deque()
        with concurrent.futures.ProcessPoolExecutor(self.options.workers) as pool:
            for batch in batches(jobs):
                pending.append(pool.submit(make_grains, batch))
                if len(pending) >= 2 * self.options.workers:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()

    def jobs(self):
        """Yield what make_grain takes for each grain that is to be written, in order."""
        options = self.options
        numbers = self.populated()
        if options.order != "ascending" or options.duplicates or options.damage:
            numbers = list(numbers)
        damaged = self.choose(numbers, options.damage)
        doubled = self.choose(numbers, options.duplicates)
        if options.order == "reverse":
            numbers.reverse()
        elif options.order == "shuffle":
            self.random.shuffle(numbers)
        elif options.order != "ascending":
            raise ValueError(f"unknown order {options.order!r}")
        for number in numbers:
            raw = self.read_grain(number)
            lba = number * options.grain_sectors
            if number in doubled:
                other = bytes(byte ^ 0x5A for byte in raw[:64]) + raw[64:]
                yield number, lba, other, options.level, None
            kind = options.damage_kind if number in damaged else None
            if kind:
                self.facts.damaged_lbas.append(lba)
            yield number, lba, raw, options.level, kind

    def choose(self, numbers, count):
        return set(self.random.sample(numbers, min(count, len(numbers)))) if count else set()

    def populated(self):
        """Yield the numbers of the grains that hold data, looking only where the file has any."""
        position = 0
        while position < self.size_bytes:
            try:
                position = os.lseek(self.disk.fileno(), position, os.SEEK_DATA)
                end = os.lseek(self.disk.fileno(), position, os.SEEK_HOLE)
            except OSError:
                if not self.options.keep_zeros:
                    return
                end = self.size_bytes
            if self.options.keep_zeros:
                position, end = 0, self.size_bytes
            first, last = position // self.grain_bytes, -(-end // self.grain_bytes)
            for number in range(first, last):
                if self.options.keep_zeros or self.read_grain(number).count(0) != self.grain_bytes:
                    yield number
            position = last * self.grain_bytes

    def read_grain(self, number):
        """The whole grain, padded with zeros; only the last one is cut, when that is asked for."""
        raw = os.pread(self.disk.fileno(), self.grain_bytes, number * self.grain_bytes)
        if self.options.short_last:
            return raw.ljust(-(-len(raw) // SECTOR) * SECTOR, b"\0")
        return raw.ljust(self.grain_bytes, b"\0")

    # Tables and the end.

    def directory(self, sectors_of_tables):
        count = -(-self.grain_count // ENTRIES)
        entries = [sectors_of_tables.get(number, 0) for number in range(count)]
        data = struct.pack(f"<{count}I", *entries)
        return data.ljust(-(-len(data) // SECTOR) * SECTOR, b"\0")

    def put_footer(self, header):
        directory = self.directory(self.table_sectors)
        self.put(marker(len(directory) // SECTOR, MARKER_DIRECTORY))
        gd_sector = self.position // SECTOR
        self.put(directory)
        self.put(marker(1, MARKER_FOOTER))
        footer = header | {"gd_offset": gd_sector} | self.options.header | self.options.footer
        self.put(pack_header(footer))

    def front_layout(self):
        """Where qemu-img has directories and tables: two copies of each, behind the descriptor."""
        count = -(-self.grain_count // ENTRIES)
        directory_sectors = -(-count * 4 // SECTOR)
        rgd = 21
        gd = rgd + directory_sectors + count * TABLE_SECTORS
        end = gd + directory_sectors + count * TABLE_SECTORS
        grain = self.options.grain_sectors
        return {"rgd": rgd, "gd": gd, "directory_sectors": directory_sectors,
                "overhead": max(-(-end // grain) * grain, end)}

    def put_front_tables(self, layout):
        for start in (layout["rgd"], layout["gd"]):
            first = start + layout["directory_sectors"]
            count = -(-self.grain_count // ENTRIES)
            places = {number: first + number * TABLE_SECTORS for number in range(count)}
            self.out.seek(start * SECTOR)
            self.out.write(self.directory(places))
            for number, entries in self.tables.items():
                self.out.seek(places[number] * SECTOR)
                self.out.write(struct.pack(f"<{ENTRIES}I", *entries))
        self.out.seek(self.position)

    def truncate(self):
        if self.options.truncate_bytes:
            size = self.options.truncate_bytes
            size = size if size > 0 else self.position + size
            self.out.flush()
            self.out.truncate(max(size, 0))
            self.facts.file_bytes = max(size, 0)


def pack_header(fields):
    return HEADER.pack(*(fields[name] for name in HEADER_FIELDS))


def marker(sectors, kind):
    return struct.pack("<QII", sectors, 0, kind).ljust(SECTOR, b"\0")


def batches(jobs, size=32):
    batch = []
    for job in jobs:
        batch.append(job)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def make_grains(jobs):
    return [make_grain(*job) for job in jobs]


def make_grain(number, lba, raw, level, damage):
    """One grain as it stands in the file: LBA, length, zlib stream, zeros to the next sector."""
    data = zlib.compress(raw, level)
    length = len(data)
    if damage == "body":
        middle = len(data) // 2
        data = data[:middle] + bytes(byte ^ 0xFF for byte in data[middle:middle + 8]) + data[middle + 8:]
    elif damage == "checksum":
        data = data[:-4] + bytes(byte ^ 0xFF for byte in data[-4:])
    elif damage == "length":
        length = 0x7FFFFFFF
    elif damage == "lba":
        lba = 1 << 62
    elif damage == "short":
        data = zlib.compress(raw[:len(raw) // 2], level)
        length = len(data)
    elif damage is not None:
        raise ValueError(f"unknown damage {damage!r}")
    stored = struct.pack("<QI", lba, length) + data
    return number, len(raw), stored.ljust(-(-len(stored) // SECTOR) * SECTOR, b"\0")


def parse_arguments():
    parser = argparse.ArgumentParser(prog="lab/vmdk.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="raw disk, file or block device")
    parser.add_argument("target", help="VMDK to write, or - for standard output (footer form only)")
    default = Options()
    for field in dataclasses.fields(Options):
        name = "--" + field.name.replace("_", "-")
        value = getattr(default, field.name)
        if field.name in ("header", "footer"):
            parser.add_argument(name, action="append", default=[], metavar="FIELD=VALUE",
                                help=f"overwrite a field: {', '.join(HEADER_FIELDS)}")
        elif field.name == "descriptor_extra":
            parser.add_argument(name, action="append", default=[], metavar="LINE")
        elif field.name == "eos":
            parser.add_argument("--no-eos", dest="eos", action="store_false", help="no end marker")
        elif isinstance(value, bool):
            parser.add_argument(name, action="store_true")
        else:
            parser.add_argument(name, type=type(value), default=value, help="default: %(default)s")
    return parser, parser.parse_args()


def main():
    parser, args = parse_arguments()
    values = vars(args)
    source, target = values.pop("source"), values.pop("target")
    values["descriptor_extra"] = tuple(values["descriptor_extra"])
    for key in ("header", "footer"):
        values[key] = parse_fields(parser, values[key])
    try:
        facts = write(source, sys.stdout.buffer if target == "-" else target, Options(**values))
    except BrokenPipeError:
        print("lab/vmdk.py: the reader has gone", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f"lab/vmdk.py: {error}", file=sys.stderr)
        return 1
    print(f"{facts.grains} grains, {facts.populated_bytes} bytes of data, file {facts.file_bytes} bytes",
          file=sys.stderr)
    return 0


def parse_fields(parser, pairs):
    fields = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if name not in HEADER_FIELDS or not equals:
            parser.error(f"{pair!r} is not FIELD=VALUE with one of {', '.join(HEADER_FIELDS)}")
        try:
            fields[name] = bytes([int(value, 0)]) if name.startswith("newline") else int(value, 0)
        except ValueError:
            parser.error(f"{value!r} is not a number")
    return fields


if __name__ == "__main__":
    sys.exit(main())
