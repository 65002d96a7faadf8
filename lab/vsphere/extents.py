"""Areas of a disk: lists of (start, length) in bytes, ascending, apart from each other."""

import bisect


def normal(areas):
    """Any areas, in order and joined where they touch or overlap."""
    joined = []
    for start, length in sorted(area for area in areas if area[1] > 0):
        if joined and start <= joined[-1][0] + joined[-1][1]:
            first, size = joined[-1]
            joined[-1] = (first, max(size, start + length - first))
        else:
            joined.append((start, length))
    return joined


def union(*lists):
    return normal(area for areas in lists for area in areas)


def aligned(areas, unit, capacity):
    """Widened to whole units, and cut at the end of the disk."""
    wide = []
    for start, length in areas:
        first = start // unit * unit
        end = min(-(-(start + length) // unit) * unit, capacity)
        wide.append((first, end - first))
    return normal(wide)


def window(areas, start, end):
    """The part within [start, end)."""
    starts = [area[0] for area in areas]
    cut = []
    for first, length in areas[max(bisect.bisect_right(starts, start) - 1, 0):]:
        if first >= end:
            break
        low, high = max(first, start), min(first + length, end)
        if low < high:
            cut.append((low, high - low))
    return cut


def total(areas):
    return sum(length for _, length in areas)
