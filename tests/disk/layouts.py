"""Random disks from a seed: how large, where data lies, where written zeroes and holes."""

import os
import random

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
CLUSTER = 64 * KIB
SECTOR = 512
L2_SPAN = 512 * MIB   # what one L2 table of a qcow2 image maps, and one chunk of the map


class Layout:
    """A disk: its size and the pieces that are written, (offset, bytes, fill), in order. Between them are holes."""

    def __init__(self, size, pieces):
        self.size = size
        self.pieces = pieces

    @property
    def disk_bytes(self):
        """A disk is whole sectors."""
        return -(-self.size // SECTOR) * SECTOR

    def write(self, path):
        with open(path, "wb") as out:
            out.truncate(self.size)
            for offset, fill in self.pieces:
                out.seek(offset)
                out.write(fill)

    def __str__(self):
        shown = ", ".join(f"{offset}+{len(fill)}{'' if any(fill[:4096]) else ' zero'}"
                          for offset, fill in self.pieces[:12])
        return f"{self.size} bytes: {shown}{', ...' if len(self.pieces) > 12 else ''}"


class Filler:
    """Content that is quickly made: slices of one random block, of text, of mostly zero."""

    def __init__(self):
        block = random.Random(0).randbytes(MIB + 8 * KIB)
        self.kinds = {
            "random": block,
            "text": b"".join(b"all work and no play makes %06d a dull boy\n" % n for n in range(26000)),
            "sparse": b"".join(block[n:n + 8] + bytes(1016) for n in range(0, MIB + 8 * KIB, 1024)),
        }

    def make(self, rng, size):
        kind = self.kinds[rng.choices(["random", "text", "sparse"], [6, 2, 2])[0]]
        out = bytearray()
        while len(out) < size:
            start = rng.randrange(8 * KIB)
            out += kind[start:start + min(MIB, size - len(out))]
        return bytes(out)


FILLER = Filler()


def random_size(rng, largest):
    """Sizes at which something may go wrong, and ordinary ones, at most LARGEST."""
    sizes = [
        lambda: rng.randint(1, CLUSTER),
        lambda: rng.choice([1, 511, 512, 513, 4095, 4096, 4097, CLUSTER - 1, CLUSTER, CLUSTER + 1]),
        lambda: CLUSTER * rng.randint(1, 40),
        lambda: CLUSTER * rng.randint(1, 40) + rng.choice([-512, -1, 1, 512, 4096, rng.randrange(CLUSTER)]),
        lambda: MIB * rng.randint(1, 3) + rng.choice([-CLUSTER, 0, CLUSTER]),
        lambda: rng.randint(1, 4 * MIB),
        lambda: rng.randint(4 * MIB, 24 * MIB),
        lambda: L2_SPAN * rng.randint(1, 3) + rng.choice([-CLUSTER, -512, -1, 0, 1, 512, CLUSTER, CLUSTER + 512]),
        lambda: rng.randint(GIB, 40 * GIB),
    ]
    weights = [3, 3, 3, 4, 2, 4, 2, 3, 1]
    while True:
        size = rng.choices(sizes, weights)[0]()
        if size <= largest:
            return size


def aligned_offset(rng, limit):
    """Below LIMIT; on a cluster, a sector, near a boundary, or anywhere."""
    at = rng.randrange(limit)
    return rng.choice([
        at,
        at // CLUSTER * CLUSTER,
        at // 4096 * 4096,
        at // 512 * 512,
        min(limit - 1, max(0, at // L2_SPAN * L2_SPAN + rng.randint(-1, 1) * rng.choice([0, 512, 4096, CLUSTER]))),
    ])


def piece_bytes(rng):
    return rng.choice([1, 511, 512, 4096, CLUSTER, CLUSTER - 1, 3 * CLUSTER, MIB, rng.randint(1, 2 * CLUSTER),
                       rng.randint(1, 600 * KIB)])


def random_layout(rng, largest=64 * TIB, multiple=1, size=None):
    """A disk whose data is a few MiB at most, whatever its size."""
    size = size or -(-random_size(rng, largest) // multiple) * multiple
    small = size <= 24 * MIB
    shape = rng.choices(["islands", "stripes", "full", "nothing", "zeroes", "ends", "comb"], [10, 3, 3, 1, 1, 3, 1])[0]
    pieces = {}
    if shape == "full" and small:
        pieces[0] = FILLER.make(rng, size)
    elif shape == "zeroes" and small:
        pieces[0] = bytes(size)
    elif shape == "stripes" and size > CLUSTER:
        step = rng.choice([4096, 8192, CLUSTER, 2 * CLUSTER, 5 * 4096])
        first = aligned_offset(rng, size) // step * step
        for at in range(first, min(size, first + 128 * step), 2 * step):
            pieces[at] = FILLER.make(rng, min(step, size - at))
    elif shape == "comb" and size > 40 * MIB:
        # More extents than any list of them holds at a time.
        step = CLUSTER * rng.choice([2, 2, 3, 5])
        first = rng.randrange(min(size, GIB)) // CLUSTER * CLUSTER
        tooth = FILLER.make(rng, rng.choice([16, 512, 4096]))
        for at in range(first, min(size - 4096, first + rng.choice([700, 1500]) * step), step):
            pieces[at] = tooth
    elif shape == "ends":
        last = min(size, rng.choice([1, 512, 4096, CLUSTER, rng.randint(1, CLUSTER)]))
        pieces[0] = FILLER.make(rng, min(size, piece_bytes(rng)))
        pieces[size - last] = FILLER.make(rng, last)
    elif shape != "nothing":
        for _ in range(rng.choice([1, 2, 5, 12])):
            at = aligned_offset(rng, size)
            length = min(piece_bytes(rng), size - at)
            pieces[at] = bytes(length) if rng.random() < 0.2 else FILLER.make(rng, length)
    return Layout(size, sorted(pieces.items()))


def random_ranges(rng, disk_bytes):
    """A list of changed ranges, as it comes from a differencing source: any order, overlaps, odd bounds."""
    ranges = []
    for _ in range(rng.choice([0, 1, 1, 3, 10, 40])):
        at = aligned_offset(rng, disk_bytes)
        ranges.append((at, min(piece_bytes(rng), disk_bytes - at)))
    return ranges


def change(path, ranges, rng):
    """Write something else into the ranges: data, zeroes, a hole, or the same again."""
    size = os.stat(path).st_size
    with open(path, "r+b") as disk:
        for offset, length in ranges:
            length = min(length, size - offset)
            if length <= 0:
                continue
            disk.seek(offset)
            disk.write(bytes(length) if rng.random() < 0.3 else FILLER.make(rng, length))


def write_ranges(path, ranges, rng):
    lines = ["# changed", ""]
    for offset, length in ranges:
        lines.append(rng.choice([f"{offset} {length}", f"0x{offset:x}\t0x{length:x}  # hex",
                                 f"  {offset}   {length}\r"]))
    path.write_text("\n".join(lines) + rng.choice(["", "\n"]), encoding="ascii")
