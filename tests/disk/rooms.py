"""A room for one test: a directory, loop devices, mounts, NBD servers. All of it is undone at the end, last first.

Loop devices detach themselves when the process that holds them dies, and nbdkit goes with its parent, so even a
killed test run leaves little behind.
"""

import contextlib
import errno
import fcntl
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile

import pytest

LOOP_CTL_GET_FREE, LOOP_CONFIGURE = 0x4C82, 0x4C0A
LO_FLAGS_READ_ONLY, LO_FLAGS_AUTOCLEAR = 1, 4
STOP_S = 30


class Room(contextlib.ExitStack):
    """Where a test keeps its things. LIKE is "disk" (O_DIRECT, real flushes) or "memory" (fast)."""

    def __init__(self, like="disk"):
        super().__init__()
        parent = os.environ.get("VMFERRY_TEST_DIR", "/var/tmp") if like == "disk" else "/dev/shm"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="vmferry-test-", dir=parent))
        self.callback(shutil.rmtree, self.dir, ignore_errors=True)
        self.stdin = subprocess.DEVNULL   # what the next copy reads
        self.count = 0

    def path(self, name):
        return self.dir / name

    def fresh(self, name):
        """A name that was not given out before."""
        self.count += 1
        return self.dir / f"{self.count}-{name}"

    # Devices.

    def loop(self, path, read_only=False, block_bytes=512):
        """The name of a loop device over a file; it goes with the room."""
        try:
            with open("/dev/loop-control", "rb") as control, open(path, "rb" if read_only else "r+b") as backing:
                for _ in range(100):
                    device = f"/dev/loop{fcntl.ioctl(control, LOOP_CTL_GET_FREE)}"
                    held = os.open(device, os.O_RDONLY if read_only else os.O_RDWR)
                    flags = LO_FLAGS_AUTOCLEAR | (LO_FLAGS_READ_ONLY if read_only else 0)
                    try:
                        fcntl.ioctl(held, LOOP_CONFIGURE, loop_config(backing.fileno(), flags, block_bytes))
                    except OSError as why:
                        os.close(held)
                        if why.errno == errno.EBUSY:   # somebody else took it meanwhile
                            continue
                        raise
                    self.callback(os.close, held)
                    return device
        except OSError as why:
            if why.errno in (errno.EPERM, errno.EACCES, errno.ENOENT, errno.ENXIO, errno.ENODEV):
                pytest.skip(f"loop devices are not permitted here: {why}")
            raise
        raise AssertionError("no free loop device in 100 tries")

    def mount(self, *arguments):
        """Mount at a fresh directory: mount ARGUMENTS DIRECTORY."""
        where = self.fresh("mount")
        where.mkdir()
        done = subprocess.run(["mount", *map(str, arguments), where], capture_output=True, text=True, check=False)
        if done.returncode:
            if os.geteuid() != 0 or "permission denied" in done.stderr:
                pytest.skip(f"mount is not permitted here: {done.stderr.strip()}")
            raise AssertionError(done.stderr)
        self.callback(subprocess.run, ["umount", "--lazy", where], check=False)
        return where

    def tmpfs(self, size):
        return self.mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs")

    # Servers.

    def serve(self, command, name=None):
        """Start a server that takes its listening socket from us (so there is nothing to wait for); its URI."""
        name = name or self.fresh("nbd")
        name.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with listening:
            listening.bind(str(name))
            listening.listen(64)
            log = open(f"{name}.log", "wb")
            with log:
                server = subprocess.Popen(
                    ["/bin/bash", "-c",
                     f'exec 3<&{listening.fileno()}; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@"', "bash", *map(str, command)],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[listening.fileno()])
        self.callback(stop, server)
        self.server = server
        return f"nbd+unix:///?socket={name}"

    def nbdkit(self, *arguments, name=None):
        return self.serve(["nbdkit", "--exit-with-parent", "--foreground", *arguments], name)

    def qemu_nbd(self, *arguments):
        return self.serve(["qemu-nbd", "--persistent", *arguments])

    def stop_server(self):
        """The last one started, now: what it has in memory is written."""
        stop(self.server)

    def pipe_from(self, path):
        """A pipe out of which the file comes."""
        cat = subprocess.Popen(["cat", path], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.callback(stop, cat)
        self.callback(cat.stdout.close)
        return cat.stdout


def stop(process):
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def loop_config(backing, flags, block_bytes):
    info = struct.pack("<QQQQQIIII64s64s32sQQ", 0, 0, 0, 0, 0, 0, 0, 0, flags, b"", b"", b"", 0, 0)
    return struct.pack("<II", backing, block_bytes) + info + bytes(64)
