#!/usr/bin/python3
"""The tables VDDK of bench.py: a disk through the double of VMware's library (lab/vddk), against a plain copy.

The peer is vmferry copy of the raw file that the double gives out: what the library's way costs shows at once. With 20 ms for
each read the bound is 16 reads of 1 MiB in flight, 800 MiB/s; that table has a disk without holes. The delta is 5,000
scattered ranges of 64 KiB at 2 ms for each read, into an image that is there: with 16 reads in flight 500 MiB/s would be
the bound, with 64 of them it is 2,000. All on tmpfs, to qcow2. nbdkit has a plugin for the library, but not in the main archive of Debian 12: no peer from there.
"""
import pathlib
import random
import sys
import tempfile
import time

import bench

sys.path.insert(0, str(bench.ROOT / "tests/disk"))
from copier import Copy, program  # noqa: E402

FLIGHT_MIB, LATENCY_MS = 16, 20
TITLES = {"VDDK, no latency, tmpfs": "", f"VDDK, {LATENCY_MS} ms a read, tmpfs": f"lab.latency_ms={LATENCY_MS}\n"}
OURS, PEER = "vmferry copy", "vmferry copy of the raw file"


def measure(raw, folder, settings, rounds):
    """{contestant: (wall, CPU, peak)}, the best of the rounds."""
    config, target = folder / "vddk.conf", folder / "target.qcow2"
    config.write_text(f"lab.local_transport=nbdssl\n{settings}", encoding="ascii")
    best = {}
    for _ in range(rounds):
        for name, arguments in ((OURS, [config]), (PEER, [])):
            bench.settle(folder, True)
            figures = bench.run([[sys.executable, __file__, raw, target, *arguments]])
            if name not in best:
                bench.judge(raw, target)
            best[name] = tuple(map(min, best.get(name, figures), figures))
            target.unlink()
    return best


def dense_disk(path, size):
    """No holes and nothing that is zero."""
    source = path.with_name("pieces")
    bench.make_disk(source, 64 * bench.MIB)
    piece = source.read_bytes().replace(bytes(4096), b"data" * 1024)
    source.unlink()
    with open(path, "wb") as disk:
        for _ in range(size // len(piece)):
            disk.write(piece)


def run_tables(options):
    with tempfile.TemporaryDirectory(prefix="vmferry-bench-", dir="/dev/shm") as name:
        folder = pathlib.Path(name)
        raw = folder / "source.raw"
        for title, settings in TITLES.items():
            if options.only not in title:
                continue
            # Half of it is holes, or half as large.
            size = int(options.gib * (512 if settings else 1024)) * bench.MIB
            (dense_disk if settings else bench.make_disk)(raw, size)
            best = measure(raw, folder, settings, options.rounds)
            bench.show(title, best)
            mib = raw.stat().st_blocks * 512 / bench.MIB
            bound = f", bound {FLIGHT_MIB * 1000 / LATENCY_MS:.0f}" if settings else ""
            print(f"{'':32}MiB/s of data: {mib / best[OURS][0]:.0f} against {mib / best[PEER][0]:.0f}{bound}", flush=True)
            raw.unlink()
    if options.only in DELTA:
        run_delta(options)


DELTA, RANGES, RANGE_BYTES, DELTA_MS = "VDDK delta", 5000, 65536, 2
V2C_ENGINE_MIB_S = 82   # a word of its authors, not measured here


def run_delta(options):
    """By the copies' own clocks: a delta takes less than a second, and starting Python would count."""
    with tempfile.TemporaryDirectory(prefix="vmferry-bench-", dir="/dev/shm") as name:
        folder = pathlib.Path(name)
        raw, target, listed, config = (folder / it for it in ("source.raw", "target.qcow2", "ranges", "vddk.conf"))
        dense_disk(raw, int(options.gib * 256) * bench.MIB)
        config.write_text(f"lab.local_transport=nbdssl\nlab.latency_ms={DELTA_MS}\n", encoding="ascii")
        dice = random.Random(5)
        places = raw.stat().st_size // RANGE_BYTES // 2   # never two side by side
        chosen = sorted(dice.sample(range(places), min(RANGES, places // 2)))
        listed.write_text("".join(f"{it * 2 * RANGE_BYTES} {RANGE_BYTES}\n" for it in chosen), encoding="ascii")
        with Copy(raw, (target, "qcow2"), map=folder / "map") as running:
            assert running.wait().ok
        mib = len(chosen) * RANGE_BYTES / bench.MIB
        best = {}
        for _ in range(options.rounds):
            for who, start in ((OURS, lambda: start_vddk(raw, target, config, map=folder / "map", ranges=listed)),
                               (PEER, lambda: Copy(raw, (target, "qcow2"), map=folder / "map", ranges=listed))):
                begin = time.monotonic()
                with start() as running:
                    result = running.wait()
                wall = time.monotonic() - begin
                assert result.ok and result.message["read_bytes"] == len(chosen) * RANGE_BYTES, str(result)
                figures = (result.message["elapsed_ns"] / 1e9, wall)
                best[who] = tuple(map(min, best.get(who, figures), figures))
        bench.judge(raw, target)
        print(f"\n{DELTA}: {len(chosen)} ranges of {RANGE_BYTES // 1024} KiB, {DELTA_MS} ms a read, tmpfs")
        print(f"{'':32}{'s':>8}{'wall s':>8}{'MiB/s':>8}")
        for who, (seconds, wall) in best.items():
            print(f"{who:32}{seconds:8.2f}{wall:8.2f}{mib / seconds:8.0f}", flush=True)
        print(f"{'v2c-engine, as its docs say':32}{'':16}{V2C_ENGINE_MIB_S:8}", flush=True)


def start_vddk(raw, target, config, **fields):
    libdir = pathlib.Path(program()).parents[2] / "lab/vddk/variants/whole"
    source = {"kind": "vddk", "name": "bench", "libdir": str(libdir), "config": str(config), "path": str(raw)}
    return Copy(source, (target, "qcow2"), runs=pathlib.Path(program()).with_name("vmferry-copy-vddk"),
                env={"LD_LIBRARY_PATH": str(libdir / "lib64")}, **fields)


def main():
    """One copy, for the clock: RAW TARGET [CONFIG of the library]."""
    raw, target, *config = sys.argv[1:]
    if not config:
        with Copy(raw, (target, "qcow2")) as running:
            sys.exit(0 if running.wait().ok else "bench: the copy of the raw file failed")
    with start_vddk(raw, target, config[0]) as running:
        result = running.wait()
    sys.exit(0 if result.ok else str(result))


if __name__ == "__main__":
    main()
