"""The lab's guest with a ledger that it writes while it runs, and a layout of disks to write it on.

    disks = ledger.prepare(guest, directory, "two")     # copies of the guest's disks; -> "disks" of a machine of a site
    ledger.acknowledged(path)                           # of the second serial port's log: the last number told
    ledger.on_image(path, partition=True)               # (highest, bad) of a raw image of one of its disks, not booted

Layouts: "one" (the system alone), "two" (with /data, on another controller), "span" (the two, and a btrfs on /span that
is striped over two more disks, each of a controller of its own). What the guest writes is in
guest.d/usr/local/sbin/lab-ledger; nothing here is mounted, and nothing needs root.
"""

import pathlib
import re
import shutil
import subprocess

PARTITION_START_BYTES = 1 << 20
SPAN_UUID = "5b0c9a51-6d0f-4a2e-9d58-0c7f6ad0c1b2"
SPAN_BYTES = 256 << 20
RECORD_BYTES = 256
LINE = re.compile(rb"^LEDGER ([0-9]+)\r?$", re.MULTILINE)
LAYOUTS = {"one": ("system",), "two": ("system", "data"), "span": ("system", "data", "span-0", "span-1")}
CONTROLLERS = {"system": "pvscsi0", "data": "lsilogic1", "span-0": "nvme0", "span-1": "nvme1"}
DEFAULTS = {"records_s": 10, "writes_s": 20, "write_kib": 64, "load_mib": 32}


class LedgerError(Exception):
    """What went wrong, in one sentence."""


def prepare(guest, directory, layout="two", **settings):
    """Disks of that layout in DIRECTORY, the ledger switched on; settings are those of /etc/lab/ledger."""
    unknown = set(settings) - set(DEFAULTS)
    if unknown:
        raise LedgerError(f"the ledger has no {', '.join(sorted(unknown))}; it has {', '.join(DEFAULTS)}")
    guest, directory = pathlib.Path(guest), pathlib.Path(directory)
    names = LAYOUTS[layout]
    for name in names[:2]:
        run("cp", "--sparse=always", "--no-preserve=mode", guest / f"{name}.raw", directory / f"{name}.raw")
    if layout == "span":
        make_span([directory / f"{name}.raw" for name in names[2:]])
    lines = "".join(f"{key}={value}\n" for key, value in (DEFAULTS | settings).items())
    system = at_partition(directory / "system.raw")
    put(system, "/etc/lab/ledger", lines, directory)
    put(system, "/etc/fstab", fstab(system, names), directory)
    return [{"controller": CONTROLLERS[name], "unit": 0, "image": str(directory / f"{name}.raw")} for name in names]


def make_span(paths):
    for path in paths:
        with open(path, "xb") as file:
            file.truncate(SPAN_BYTES)
    run("mkfs.btrfs", "-q", "-U", SPAN_UUID, "-d", "raid0", "-m", "raid0", *paths)


def fstab(system, names):
    """That of the guest, for the disks that there are."""
    lines = read(system, "/etc/fstab").decode().splitlines(keepends=True)
    if "data" not in names:
        lines = [line for line in lines if " /data " not in line]
    if "span-0" in names:
        lines.append(f"UUID={SPAN_UUID}  /span  btrfs  defaults  0  0\n")
    return "".join(lines)


def acknowledged(path):
    """The highest number which the log of the second serial port has; 0: none. A line that is not whole is not one."""
    try:
        said = pathlib.Path(path).read_bytes()
    except FileNotFoundError:
        return 0
    return max((int(number) for number in LINE.findall(said[:said.rfind(b"\n") + 1])), default=0)


def on_image(path, place="/"):
    """(highest, bad) of the ledger on the ext4 of "/" or "/data", in a raw image that nobody uses; its journal is played
    on a copy of the partition."""
    work = pathlib.Path(f"{path}.look")
    try:
        run("dd", f"if={path}", f"of={work}", "bs=1M", f"skip={PARTITION_START_BYTES >> 20}", "conv=sparse")
        checked = subprocess.run(["e2fsck", "-fy", work], capture_output=True, text=True, check=False)
        if checked.returncode > 1:
            raise LedgerError(f"e2fsck of {path} ended with {checked.returncode}: {checked.stdout[-500:]}")
        return counted(read(work, {"/": "/var/lib/lab/ledger", "/data": "/lab/ledger"}[place]))
    finally:
        work.unlink(missing_ok=True)


def counted(content):
    """(the highest good record, how many before it are not what they must be)."""
    highest = bad = waiting = 0
    for number in range(1, len(content) // RECORD_BYTES + 1):
        if content[(number - 1) * RECORD_BYTES:number * RECORD_BYTES] == record(number):
            highest, bad, waiting = number, bad + waiting, 0
        else:
            waiting += 1
    return highest, bad


def record(number):
    words = "".join(f" {(number * 2654435761 + i * 40503) % 4294967291:08x}" for i in range(1, 28))
    return f"{number:012}{words}\n".encode()


# Files of an ext4, by debugfs.


def at_partition(image):
    return f"{image}?offset={PARTITION_START_BYTES}"


def read(image, name):
    said = subprocess.run(["debugfs", "-R", f"cat {name}", image], capture_output=True, check=False)
    if said.returncode or b"File not found" in said.stderr:
        raise LedgerError(f"{image}: cannot read {name}: {said.stderr.decode(errors='replace')[-300:]}")
    return said.stdout


def put(image, name, text, directory):
    file = directory / "put"
    file.write_text(text, encoding="ascii")
    file.chmod(0o644)
    parent, _, last = name.rpartition("/")
    commands = f"cd {parent}\nrm {last}\nwrite {file} {last}\nset_inode_field {last} uid 0\nset_inode_field {last} gid 0\n"
    run("debugfs", "-w", "-f", "-", image, stdin=commands)
    file.unlink()
    if read(image, name) != text.encode():
        raise LedgerError(f"{image}: {name} could not be written")


def run(*words, stdin=None):
    program = shutil.which(str(words[0]), path="/usr/sbin:/usr/bin:/sbin:/bin")
    if program is None:
        raise LedgerError(f"{words[0]} is not installed")
    said = subprocess.run([program, *map(str, words[1:])], input=stdin, capture_output=True, text=True, check=False)
    if said.returncode:
        raise LedgerError(f"{words[0]} ended with {said.returncode}: {said.stderr[-500:]}")
