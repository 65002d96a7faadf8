#!/usr/bin/python3
"""vmferry copy side by side with its peers, in one run, as ratios.

    bench.py [--rounds N] [--gib N] [--dir DIR] [--only WORD]

The recipe is fixed: a raw image of 6 GiB, half of it holes, in extents of 64 KiB to 16 MiB, the data half random and
half text; the same as streamOptimized VMDK. On tmpfs and on disk. Each contestant runs in turn, N
rounds; the best of each counts, since noise only ever adds. Every result is compared with the source by
qemu-img once. A wall time without the flush of the others' writes would flatter them on a disk, so
qemu-img is measured with and without it.
"""
import argparse
import importlib
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
VMFERRY = os.environ.get("VMFERRY", str(ROOT / "build/src/cli/vmferry"))
MIB = 1 << 20


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gib", type=float, default=6)
    parser.add_argument("--dir", default="/var/tmp", help="a directory on a disk")
    parser.add_argument("--only", default="", help="run the tables whose title holds this word")
    options = parser.parse_args()
    print(f"vmferry bench: {options.gib:g} GiB, best of {options.rounds} rounds, "
          f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}", flush=True)
    for place, parent in (("tmpfs", "/dev/shm"), ("disk", options.dir)):
        with tempfile.TemporaryDirectory(prefix="vmferry-bench-", dir=parent) as name:
            run_place(place, pathlib.Path(name), options)
    for more in ("bench_https", "bench_vddk", "bench_cutover", "bench_daemon"):
        importlib.import_module(more).run_tables(options)    # they need what is here


def run_place(place, folder, options):
    raw, vmdk = folder / "source.raw", folder / "source.vmdk"
    tables = [
        (f"raw to qcow2, {place}", raw, [
            ("vmferry copy", ours),
            ("nbdcopy + qemu-nbd", nbd_pipeline),
            ("qemu-img convert -W", convert("raw")),
            ("qemu-img convert -W, flushed", convert("raw", flush=True)),
        ]),
        (f"streamOptimized VMDK to qcow2, {place}", vmdk, [
            ("vmferry copy", ours),
            ("qemu-img convert -W", convert("vmdk")),
            ("qemu-img convert -W, flushed", convert("vmdk", flush=True)),
        ]),
    ]
    for title, source, contestants in tables:
        if options.only not in title:
            continue
        if not raw.exists():
            make_disk(raw, int(options.gib * 1024) * MIB)
        if not source.exists():
            subprocess.run([sys.executable, ROOT / "lab/vmdk.py", raw, source], check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        show(title, measure(source, raw, contestants, folder, options.rounds, place == "tmpfs"))


def make_disk(path, size):
    """Half holes, half data; seeded, so that every run has the same bytes."""
    dice = random.Random(7)
    line = b"%012d a line of a log file, as there are many on a disk\n"
    text = b"".join(line % n for n in range(2 * MIB // len(line % 0)))
    noise = dice.randbytes(4 * MIB)
    with open(path, "wb") as disk:
        disk.truncate(size)
        offset = 0
        while offset < size:
            length = min(dice.choice([64, 128, 512, 1024, 4096, 16384]) * 1024, size - offset)
            if dice.random() < 0.5:
                disk.seek(offset)
                disk.write(mixed(dice, text, noise, length))
            offset += length


def mixed(dice, text, noise, length):
    pieces = []
    for n in range(0, length, 8192):
        at = dice.randrange(len(noise) - 4096)
        pieces.append(noise[at:at + 4096])
        at = dice.randrange(len(text) - 4096)
        pieces.append(text[at:at + 4096])
    return b"".join(pieces)[:length]


def ours(source, target):
    return [[VMFERRY, "copy", "-q", "--target-format", "qcow2", source, target]]


def nbd_pipeline(source, target):
    size = subprocess.run(["qemu-img", "info", "--output=json", "-f", "raw", source], check=True,
                          capture_output=True, text=True).stdout
    size = size.split('"virtual-size":')[1].split(",")[0].strip()
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", target, size], check=True)
    return [["nbdcopy", "--flush", source, "--", "[", "qemu-nbd", "-f", "qcow2", target, "]"]]


def convert(source_format, flush=False):
    def commands(source, target):
        command = ["qemu-img", "convert", "-W", "-f", source_format, "-O", "qcow2", source, target]
        return [command, ["sync", "-d", target]] if flush else [command]
    return commands


def measure(source, raw, contestants, folder, rounds, in_memory):
    best = {}
    for number in range(rounds):
        for name, contestant in contestants:
            target = folder / "target.qcow2"
            commands = contestant(source, target)
            settle(folder, in_memory)
            figures = run(commands)
            if name not in best:
                judge(raw, target)
                best[name] = figures
            best[name] = tuple(map(min, best[name], figures))
            target.unlink()
    return best


def settle(folder, in_memory):
    """The same start for all: nothing left to write, and free memory that the host has given us already
    (a virtual machine whose free pages go back to the host pays for each first touch)."""
    os.sync()
    if not in_memory:
        return
    filler = folder / "filler"
    with open(filler, "wb") as file:
        block = bytes(MIB)
        for _ in range(min(4500, shutil.disk_usage(folder).free // MIB // 2)):
            file.write(block)
    filler.unlink()


def run(commands):
    """Wall seconds, CPU seconds, peak MiB, over the commands and all their children. By time(1): the
    peak that wait4() gives for a child of ours would begin with our own memory."""
    wall = cpu = peak = 0.0
    for command in commands:
        with tempfile.NamedTemporaryFile("r", prefix="vmferry-bench-") as report:
            timed = ["/usr/bin/time", "-f", "%e %U %S %M", "-o", report.name, *command]
            if subprocess.run(timed, stdout=subprocess.DEVNULL, check=False).returncode != 0:
                sys.exit(f"bench: failed: {' '.join(map(str, command))}")
            seconds, user, system, kib = map(float, report.read().split())
        wall += seconds
        cpu += user + system
        peak = max(peak, kib / 1024)
    return wall, cpu, peak


def judge(raw, target):
    subprocess.run(["qemu-img", "check", "-q", target], check=True)
    subprocess.run(["qemu-img", "compare", "-q", "-f", "raw", "-F", "qcow2", raw, target], check=True)


def show(title, best):
    ours_wall, ours_cpu, _ = best["vmferry copy"]
    print(f"\n{title}\n{'':32}{'wall s':>8}{'CPU s':>8}{'MiB':>7}   vmferry's wall, CPU as a ratio")
    for name, (wall, cpu, peak) in best.items():
        ratio = "" if name == "vmferry copy" else f"{ours_wall / wall:6.2f} {ours_cpu / cpu:6.2f}"
        print(f"{name:32}{wall:8.2f}{cpu:8.2f}{peak:7.1f}   {ratio}", flush=True)


if __name__ == "__main__":
    main()
