"""The ways in which one raw disk may reach a copy: each makes the protocol's source object from it.

A way is a function (room, raw, layout, rng) -> source; room is where it may put files and what it leaves to be
undone. LIMITS says which disks may come this way.
"""

import gzip
import shutil
import sys
import tarfile

from copier import TOP
from layouts import CLUSTER, GIB, MIB, SECTOR
from judge import qemu_img

sys.path.insert(0, str(TOP / "lab"))
import vmdk  # noqa: E402


def raw_file(room, raw, layout, rng):
    return {"uri": str(raw), "format": rng.choice([None, "raw"])}


def raw_window(room, raw, layout, rng):
    """A part of a larger file, as flat extents are."""
    before = rng.choice([512, 4096, CLUSTER, 12345])
    path = room.path("window")
    with open(path, "wb") as out:
        out.write(b"\xee" * before)
        with open(raw, "rb") as disk:
            shutil.copyfileobj(disk, out)
        out.write(b"\xdd" * rng.choice([0, 512, 100000]))
    return {"uri": str(path), "format": "raw", "window_offset": before, "window_bytes": layout.size}


def block_device(room, raw, layout, rng):
    """All of it is data, as far as one can see."""
    block_bytes = rng.choice([it for it in (512, 4096) if layout.size % it == 0])
    return {"uri": room.loop(raw, read_only=True, block_bytes=block_bytes), "format": rng.choice([None, "raw"])}


def nbd(room, raw, layout, rng):
    arguments = [["file", raw]]
    filters = []
    if rng.random() < 0.3:
        filters += ["--filter=multi-conn", "--filter=noparallel"]
        arguments += [["multi-conn-mode=disable", "serialize=requests"]]
    if rng.random() < 0.2 and layout.size < GIB:
        filters.append("--filter=noextents")
    minimum = rng.choice([1, 512, 4096, CLUSTER])
    if rng.random() < 0.3 and layout.size % minimum == 0:
        filters.append("--filter=blocksize-policy")
        arguments += [[f"blocksize-minimum={minimum}", f"blocksize-preferred={max(minimum, 4096)}",
                       "blocksize-maximum=1M" if rng.random() < 0.5 else "blocksize-maximum=32M",
                       "blocksize-error-policy=error"]]
    if rng.random() < 0.2:
        filters.append("--filter=cacheextents")
    if rng.random() < 0.1:
        filters.append("--filter=fua")
    return {"uri": room.nbdkit("-r", *filters, *[it for group in arguments for it in group])}


def qemu_nbd(room, raw, layout, rng):
    """A qcow2 image behind a server that says what is allocated."""
    image = room.path("source.qcow2")
    convert(raw, image, "qcow2", "-o", f"cluster_size={rng.choice(['4k', '64k', '2M'])}")
    return {"uri": room.qemu_nbd("-r", "-f", "qcow2", "-e", "8", image)}


def stream_options(rng, layout, pipe):
    """All the forms that a streamOptimized VMDK may lawfully have."""
    grain = rng.choice([8, 16, 32, 64, 128, 128, 128, 256, 512, 1024, 2048])
    many = layout.size > 256 * GIB
    return vmdk.Options(
        form="front" if not pipe and not many and rng.random() < 0.4 else "footer",
        grain_sectors=128 if many else grain,
        level=rng.choice([0, 1, 1, 6]),
        order=rng.choices(["ascending", "reverse", "shuffle"], [5, 1, 3])[0],
        seed=rng.randrange(1000),
        duplicates=rng.choice([0, 0, 1, 5, 1000]),
        keep_zeros=layout.size < 64 * MIB and rng.random() < 0.2,
        zero_entries=rng.random() < 0.2,
        short_last=rng.random() < 0.3,
        progress_every=rng.choice([0, 0, 1, 7]),
        version=rng.choice([1, 3, 3]),
        trailing_bytes=rng.choice([0, 0, 1, 512, 100000]),
        workers=1)


def stream_file(room, raw, layout, rng):
    path = room.path("stream.vmdk")
    vmdk.write(raw, path, stream_options(rng, layout, pipe=False))
    return {"uri": str(path), "format": rng.choice([None, "vmdk"])}


def stream_by_qemu(room, raw, layout, rng):
    path = room.path("stream.vmdk")
    convert(raw, path, "vmdk", "-o", "subformat=streamOptimized")
    return {"uri": str(path)}


def stream_pipe(room, raw, layout, rng):
    path = room.path("stream.vmdk")
    vmdk.write(raw, path, stream_options(rng, layout, pipe=True))
    zipped = rng.random() < 0.3
    if zipped:
        path = gzipped(room, path, rng)
    room.stdin = room.pipe_from(path)
    return {"uri": "-", "format": rng.choice([None, "vmdk"]), "gzip": zipped}


def stream_gzip(room, raw, layout, rng):
    path = room.path("stream.vmdk")
    vmdk.write(raw, path, stream_options(rng, layout, pipe=False))
    return {"uri": str(gzipped(room, path, rng)), "gzip": True}


def gzipped(room, path, rng):
    """One gzip member, or several one after the other."""
    out = room.path(path.name + ".gz")
    data = path.read_bytes()
    cuts = sorted(rng.randrange(len(data)) for _ in range(rng.choice([0, 0, 1, 3])))
    with open(out, "wb") as target:
        for begin, end in zip([0, *cuts], [*cuts, len(data)]):
            target.write(gzip.compress(data[begin:end], 1))
    return out


def ova_member(room, raw, layout, rng):
    """A stream, a raw disk or a qcow2 image inside a tar."""
    kind = rng.choice(["stream", "stream", "raw", "qcow2"])
    if layout.size > 64 * MIB or layout.size % SECTOR:
        kind = "stream"   # a tar has no holes, and qcow2 no half sectors
    path = raw
    if kind == "stream":
        path = room.path("member.vmdk")
        vmdk.write(raw, path, stream_options(rng, layout, pipe=False))
    elif kind == "qcow2":
        path = room.path("member.qcow2")
        convert(raw, path, "qcow2")
    ova = room.path("disk.ova")
    forms = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
    name = rng.choice(["disk1.img", "a/" * 60 + "disk1.img"])
    with tarfile.open(ova, "w", format=forms[rng.choice(["gnu", "pax"] if len(name) > 100 else list(forms))]) as tar:
        note = room.path("machine.ovf")
        note.write_bytes(b"x" * rng.choice([0, 1, 511, 512, 3000]))
        tar.add(note, "machine.ovf")
        tar.add(path, name)
        tar.add(note, "last.txt")
    return {"uri": str(ova), "member": name, "format": {"stream": None}.get(kind, kind)}


QEMU_FORMATS = [
    ("vmdk", ["-o", "subformat=monolithicSparse"]),
    ("vmdk", ["-o", "subformat=monolithicFlat"]),
    ("vmdk", ["-o", "subformat=twoGbMaxExtentSparse"]),
    ("vhdx", []),
    ("vhdx", ["-o", "subformat=fixed"]),
    ("vpc", ["-o", "force_size=on"]),
    ("vpc", ["-o", "force_size=on,subformat=fixed"]),
    ("vdi", []),
    ("qcow2", []),
    ("qcow2", ["-o", "cluster_size=512"]),
    ("qcow2", ["-c"]),
    ("qcow2", ["-o", "extended_l2=on"]),
]


def qemu_format(room, raw, layout, rng):
    small = layout.size <= 64 * MIB
    name, options = rng.choice([it for it in QEMU_FORMATS if small or not is_flat(it[1])])
    path = room.path("disk." + name)
    convert(raw, path, name, *options)
    named = "force_size=on,subformat=fixed" in options   # has no magic at its start
    return {"uri": str(path), "format": name if named else rng.choice([None, name])}


def is_flat(options):
    """It needs room for the whole disk, or tables as large."""
    return any("fixed" in it or "Flat" in it or "=512" in it for it in options)


def convert(raw, path, image_format, *options):
    status, output = qemu_img("convert", "-f", "raw", "-O", image_format, *options, raw, path)
    assert status == 0, output


ALL = {it.__name__: it for it in (raw_file, raw_window, block_device, nbd, qemu_nbd, stream_file, stream_by_qemu,
                                  stream_pipe, stream_gzip, ova_member, qemu_format)}
# What can hold terabytes without anybody reading them all.
HUGE = {it.__name__: it for it in (raw_file, nbd, stream_file, stream_pipe)}
# (largest disk, a multiple of this) where not every disk can come this way.
LIMITS = {"raw_window": (64 * MIB, 1), "block_device": (GIB, SECTOR), "qemu_nbd": (64 * GIB, SECTOR),
          "qemu_format": (64 * GIB, SECTOR)}
