"""Scenes for the tests of the command line: small machines, runs of vmferry, what they leave."""

import json
import pathlib
import random
import signal
import subprocess
import threading
import time

import ova
import vmdk

MIB = 1 << 20
WAIT_SECONDS = 60
POLL = threading.Event()    # never set


def run(vmferry, *args, timeout=120, **how):
    """Run vmferry to its end; how is for subprocess.run."""
    how = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL, **how}
    return subprocess.run([vmferry, *args], timeout=timeout, check=False, **how)


def start(vmferry, *args, **how):
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "stdin": subprocess.DEVNULL, **how}
    return subprocess.Popen([vmferry, *args], **how)


def make_disk(path, mib, seed=1, data_mib=None):
    """A raw disk whose first 4 MiB are zeroes, so that it is blank to who looks for a guest, and the next data_mib
    random."""
    noise, left = random.Random(seed), (mib - 8 if data_mib is None else data_mib) * MIB
    with open(path, "wb") as file:
        file.truncate(mib * MIB)
        file.seek(4 * MIB)
        while left > 0:     # randbytes makes a number of it, of which there are none so large
            left -= file.write(noise.randbytes(min(left, 128 * MIB)))
    return path


def make_ova(directory, name="small", disks=2, mib=16, nics=None, **package):
    """An OVA of such disks; beside it their raw contents, NAME-0.raw ..."""
    made = []
    for i in range(disks):
        raw = make_disk(directory / f"{name}-{i}.raw", mib, seed=i)
        target = directory / f"{name}-{i}.vmdk"
        vmdk.write(raw, target, vmdk.Options(workers=1))
        made.append(ova.Disk(target, unit=i))
    nics = nics if nics is not None else [ova.Nic(mac="00:50:56:00:00:01", slot=192),
                                          ova.Nic(network="DMZ", mac="00:50:56:00:00:02", slot=224)]
    machine = ova.Machine(name=name, disks=made, nics=nics, cpus=2, cores_per_socket=2)
    path = directory / f"{name}.ova"
    ova.write_ova(machine, path, **package)
    return path


def same_content(one, other, one_format="raw", other_format="raw"):
    result = subprocess.run(["qemu-img", "compare", "-f", one_format, "-F", other_format, one, other],
                            capture_output=True, text=True, check=False, timeout=120)
    return result.returncode == 0


def names_in(directory):
    return sorted(path.name for path in pathlib.Path(directory).iterdir())


def events_of(text):
    return [json.loads(line) for line in text.splitlines()]


def wait_until(condition, what, seconds=WAIT_SECONDS):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        POLL.wait(0.02)


def descendants(pid):
    """(pid, name) of all processes below pid."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            stat = (path / "stat").read_text()
        except OSError:
            continue
        name = stat[stat.index("(") + 1:stat.rindex(")")]
        found.append((int(path.name), int(stat[stat.rindex(")") + 2:].split()[1]), name))
    below, grown = {pid}, True
    while grown:
        more = {child for child, parent, _ in found if parent in below} - below
        below |= more
        grown = bool(more)
    return [(child, name) for child, _, name in found if child in below and child != pid]


def pid_of(root, name):
    """The process called name below root, once there is one."""
    found = []

    def look():
        found[:] = [pid for pid, called in descendants(root) if called == name[:15]]
        return bool(found)

    wait_until(look, f"a process {name}")
    return found[0]


def is_running(pid):
    try:
        return "State:\tZ" not in pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def kill_all(process):
    """SIGKILL the program; what it had started must go with it."""
    below = descendants(process.pid)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=WAIT_SECONDS)
    for pid, name in below:
        wait_until(lambda pid=pid: not is_running(pid), f"the end of {name}")
