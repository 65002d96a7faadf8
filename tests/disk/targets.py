"""The places to which a copy may go. A place is made with stale garbage in it wherever it is written in place.

A place is a function (room, disk_bytes, rng) -> Place; LARGEST says which disks fit.
"""

import os
import subprocess

from layouts import CLUSTER, FILLER, GIB, MIB
import judge


class Place:
    """Where to copy to, and where and as what the judge finds it afterwards."""

    def __init__(self, target, found, found_format, in_place=False, settle=lambda: None):
        self.target = target
        self.found = found
        self.found_format = found_format
        self.in_place = in_place    # may be larger than the disk
        self.settle = settle        # before judging

    def judge(self, raw, disk_bytes):
        self.settle()
        judge.same(raw, self.found, self.found_format)
        if not self.in_place:
            if self.found_format == "raw":
                found = os.stat(self.found).st_size
            else:
                found = judge.virtual_bytes(self.found, self.found_format)
            assert found == disk_bytes, f"the image holds {found} bytes, the disk {disk_bytes}"
            assert not os.path.exists(f"{self.found}.part")
            assert not os.path.exists(f"{self.found}.part.map")


def qcow2(room, disk_bytes, rng):
    path = room.path("target.qcow2")
    return Place((path, "qcow2"), path, "qcow2")


def raw(room, disk_bytes, rng):
    path = room.path("target.raw")
    return Place((path, "raw"), path, "raw")


def garbage(path, disk_bytes, rng):
    """A file of that size that is full of something else, or has some of it here and there when it is large."""
    with open(path, "wb") as out:
        if disk_bytes <= 32 * MIB:
            out.write(FILLER.make(rng, disk_bytes))
            return
        out.truncate(disk_bytes)
        for _ in range(20):
            at = rng.randrange(disk_bytes) // CLUSTER * CLUSTER
            out.seek(at)
            out.write(FILLER.make(rng, min(disk_bytes - at, 3 * CLUSTER)))
        out.seek(disk_bytes - 512)
        out.write(b"\xaa" * 512)


def block_device(room, disk_bytes, rng):
    path = room.path("device")
    garbage(path, disk_bytes, rng)
    block_bytes = rng.choice([512, 512, 4096])
    # It is often larger than the disk.
    os.truncate(path, -(-(disk_bytes + rng.choice([0, 0, 512, MIB])) // block_bytes) * block_bytes)
    return Place((room.loop(path, block_bytes=block_bytes), "raw"), path, "raw", in_place=True)



def nbd_file(room, disk_bytes, rng):
    path = room.path("exported")
    garbage(path, disk_bytes, rng)
    filters = []
    if rng.random() < 0.3:
        filters += ["--filter=multi-conn", "multi-conn-mode=disable"]
    if rng.random() < 0.2 and disk_bytes < GIB:
        filters += ["--filter=nozero"]
    if rng.random() < 0.2 and disk_bytes % 4096 == 0:
        filters += ["--filter=blocksize-policy", "blocksize-minimum=4096", "blocksize-preferred=4096",
                    "blocksize-maximum=32M", "blocksize-error-policy=error"]
    uri = room.nbdkit(*[it for it in filters if it.startswith("--")], "file", path,
                      *[it for it in filters if not it.startswith("--")])
    return Place((uri, "raw"), path, "raw", in_place=True, settle=room.stop_server)


def nbd_memory(room, disk_bytes, rng):
    """A server that keeps everything in memory; what it has is fetched for the judge."""
    found = room.path("fetched")
    uri = room.nbdkit("memory", str(disk_bytes), *(["allocator=malloc"] if rng.random() < 0.2 else []))

    def fetch():
        subprocess.run(["nbdcopy", uri, found], check=True, timeout=judge.LIMIT_S)
    return Place((uri, "raw"), found, "raw", in_place=True, settle=fetch)


def nbd_qcow2(room, disk_bytes, rng):
    image = room.path("exported.qcow2")
    stale = room.path("stale.raw")
    garbage(stale, disk_bytes, rng)
    status, output = judge.qemu_img("convert", "-f", "raw", "-O", "qcow2", stale, image)
    assert status == 0, output
    stale.unlink()
    uri = room.qemu_nbd("-f", "qcow2", "-e", "8", *(["--discard=unmap"] if rng.random() < 0.5 else []), image)
    return Place((uri, "raw"), image, "qcow2", in_place=True, settle=room.stop_server)


ALL = {it.__name__: it for it in (qcow2, raw, block_device, nbd_file, nbd_memory, nbd_qcow2)}
# What takes terabytes of holes in a moment.
HUGE = {it.__name__: it for it in (qcow2, raw, nbd_file)}
# qemu-nbd writes every zero cluster into its tables.
LARGEST = {"block_device": 4 * GIB, "nbd_memory": 64 * MIB, "nbd_qcow2": 4 * GIB}
