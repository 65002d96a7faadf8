"""Disk images as the agent sees them: an independent reader of qcow2 headers, and of the locks that QEMU takes.

Format: docs/interop/qcow2.txt of QEMU. Locks: block/file-posix.c; byte 100 + n is held by whoever uses permission n,
byte 200 + n by whoever does not share it.
"""

import dataclasses
import fcntl
import os
import struct

MAGIC = b"QFI\xfb"
HEADER = struct.Struct(">4sIQIIQIIQQIIQ")       # version 2, 72 bytes
BACKING_NAME_MAX = 1023
DIRTY, CORRUPT, EXTERNAL, COMPRESSION = 1, 2, 4, 8
KNOWN = 0x1f
SIGNATURES = ((0, b"KDMV", "vmdk"), (0, b"COWD", "vmdk"), (0, b"# Disk DescriptorFile", "vmdk"),
              (0, b"vhdxfile", "vhdx"), (0, b"conectix", "vpc"), (64, b"\x7f\x10\xda\xbe", "vdi"), (0, b"QED\0", "qed"))
LOCK_WRITE, LOCK_RESIZE, LOCK_UNSHARED_READ = 101, 103, 200
FLOCK = struct.Struct("hhqqi4x")
EXTENSION_END, EXTENSION_BACKING_FORMAT = 0, 0xe2792aca


class ImageError(Exception):
    """Why an image cannot be opened, in one phrase."""


@dataclasses.dataclass
class Image:
    path: str
    format: str
    size: int                       # bytes that it occupies
    virtual_size: int
    cluster_size: int = 0
    version: int = 0
    features: int = 0               # incompatible ones
    backing: str = ""
    backing_format: str = ""
    encrypted: bool = False
    l1: tuple = (0, 0)              # offset, entries
    length: int = 0                 # bytes of the file


def read(path):
    """The image at a path. ImageError when it has a magic and is no image."""
    with open(path, "rb") as file:
        head = file.read(4096)
        status = os.fstat(file.fileno())
        if head[:4] == MAGIC:
            return qcow2(path, file, head, status)
    for place, magic, name in SIGNATURES:
        if head[place:place + len(magic)] == magic:
            return Image(str(path), name, status.st_blocks * 512, 0, length=status.st_size)
    return Image(str(path), "raw", status.st_blocks * 512, -(-status.st_size // 512) * 512,
                 encrypted=head[:6] == b"LUKS\xba\xbe", length=status.st_size)


def qcow2(path, file, head, status):
    if len(head) < HEADER.size:
        raise ImageError("the header of the qcow2 image is cut off")
    (_, version, backing_at, backing_length, cluster_bits, size, crypt, l1_entries, l1_at,
     *_) = HEADER.unpack_from(head)
    if version not in (2, 3):
        raise ImageError(f"qcow2 version {version} is unknown")
    if not 9 <= cluster_bits <= 21:
        raise ImageError(f"cluster size 2^{cluster_bits} is out of bounds")
    features, header_length = 0, HEADER.size
    if version == 3:
        if len(head) < 104:
            raise ImageError("the header of the qcow2 image is cut off")
        features, header_length = struct.unpack_from(">Q", head, 72)[0], struct.unpack_from(">I", head, 100)[0]
    if backing_length > BACKING_NAME_MAX:
        raise ImageError("the name of the backing file is too long")
    image = Image(str(path), "qcow2", status.st_blocks * 512, size, 1 << cluster_bits, version, features,
                  encrypted=crypt != 0, l1=(l1_at, l1_entries), length=status.st_size)
    if backing_at:
        file.seek(backing_at)
        image.backing = file.read(backing_length).decode(errors="replace")
        image.backing_format = backing_format(head, header_length)
    return image


def backing_format(head, place):
    """The format of the backing file that a header extension says, or ""."""
    while place + 8 <= len(head):
        kind, length = struct.unpack_from(">II", head, place)
        if kind == EXTENSION_END:
            break
        if kind == EXTENSION_BACKING_FORMAT:
            return head[place + 8:place + 8 + length].decode(errors="replace")
        place += 8 + -(-length // 8) * 8
    return ""


def inspect(path):
    """The agent's strict look at the header of a file called *.qcow2: why it is refused, or None.

    It reads byte 72 even where version 2 has something else there."""
    with open(path, "rb") as file:
        head = file.read(80)
    if head[:4] != MAGIC or len(head) < 80:
        return "it is no qcow2"
    if struct.unpack_from(">Q", head, 8)[0]:
        return "it has a backing file"
    features = struct.unpack_from(">Q", head, 72)[0]
    if features & EXTERNAL:
        return "it has an external data file"
    if features >> 4:
        return "it has incompatible features that are unknown"
    return None


def check_opens(path):
    """ImageError unless QEMU would open the file as qcow2 to write to it."""
    try:
        image = read(path)
    except OSError as error:
        raise ImageError(f"Could not open '{path}': {error.strerror}") from error
    if image.format != "qcow2":
        raise ImageError(f"Could not open '{path}': Image is not in qcow2 format")
    if image.features & ~KNOWN:
        raise ImageError(f"'{path}': Unsupported qcow2 feature(s)")
    if image.features & CORRUPT:
        raise ImageError(f"'{path}': Image is corrupt; cannot be opened read/write")
    place, entries = image.l1
    span = image.cluster_size * (image.cluster_size // 8)
    if place % image.cluster_size or entries < -(-image.virtual_size // span):
        raise ImageError(f"'{path}': L1 table is too small or misplaced")
    if place + 8 * entries > image.length:
        raise ImageError(f"'{path}': L1 table is beyond the end of the file")
    if image.backing and not os.path.exists(os.path.join(os.path.dirname(path), image.backing)):
        raise ImageError(f"'{path}': Could not open backing file '{image.backing}'")


def locked(path):
    """Whether a reader that does not share the image with writers, such as `qemu-img info`, would be turned away."""
    with open(path, "rb") as file:
        return any(held(file, byte) for byte in (LOCK_WRITE, LOCK_RESIZE, LOCK_UNSHARED_READ))


def held(file, byte):
    asked = FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
    return FLOCK.unpack(fcntl.fcntl(file, fcntl.F_OFD_GETLK, asked))[0] != fcntl.F_UNLCK
