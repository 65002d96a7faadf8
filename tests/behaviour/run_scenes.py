"""What the tests of run, status and their like share: the program beside a vmferryd that only plays (fake_vmferryd.py)."""

import contextlib
import fcntl
import json
import os
import pathlib
import pty
import shutil
import struct
import subprocess
import tempfile
import termios
import time

import pytest

FAKE = pathlib.Path(__file__).with_name("fake_vmferryd.py")
SECRET = "hunter22"


class Site:
    """A folder with the program, the player, a config and what they leave. Short paths: a socket's may have 108 bytes."""

    def __init__(self, program):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="vf-", dir="/tmp"))
        self.bin, self.control = self.dir / "bin", self.dir / "ctl"
        self.bin.mkdir()
        self.control.mkdir()
        shutil.copy(program, self.bin / "vmferry")
        shutil.copy(FAKE, self.bin / "vmferryd")
        self.scene = self.dir / "scene.json"
        self.config = self.dir / "config.yaml"
        self.configure()
        self.play()
        self.env = {**os.environ, "FAKE_SCENE": str(self.scene)}
        for name in ("VC_PASSWORD", "V2C_VCENTER_HOST", "V2C_VCENTER_USER", "V2C_VCENTER_PASSWORD", "NO_COLOR"):
            self.env.pop(name, None)

    def configure(self, vcenter=None, **migration):
        vcenter = {"host": "vc1.example.org", "user": "u", "password": SECRET} if vcenter is None else vcenter
        self.config.write_text(json.dumps({"vcenter": vcenter, "migration": {"control_dir": str(self.control), **migration}}))

    def play(self, **scene):
        if "migrations" in scene:
            (self.control / "vmferry.db").touch()
        self.scene.write_text(json.dumps(scene), encoding="utf-8")

    def spec(self, file, **vm):
        path = self.dir / f"{file}.yaml"
        path.write_text(json.dumps({"vm": vm or {"name": file}, "target": {"files": {"directory": "/nowhere"}}}))
        return path.name

    def run(self, *args, **how):
        done = subprocess.run([self.bin / "vmferry", *args], capture_output=True, text=True, check=False, timeout=60,
                              stdin=subprocess.DEVNULL, cwd=self.dir, env=self.env, **how)
        assert SECRET not in done.stdout + done.stderr
        return done

    @contextlib.contextmanager
    def running(self, *args, **how):
        command = [self.bin / "vmferry", *args]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.dir, env=self.env,
                              **how) as process:
            try:
                yield process
            finally:
                process.kill()

    @contextlib.contextmanager
    def terminal(self, *args, columns=100, rows=30):
        """The program at a terminal."""
        pid, fd = pty.fork()
        if pid == 0:
            os.chdir(self.dir)
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execve(self.bin / "vmferry", [str(self.bin / "vmferry"), *args], {**self.env, "TERM": "xterm"})
        yield Terminal(pid, fd)
        os.close(fd)

    @contextlib.contextmanager
    def daemon(self, *args):
        """One that runs beside, by `vmferry serve`."""
        with self.running("serve", "--config", self.config.name, *args) as process:
            line = process.stderr.readline()
            assert "API listening on" in line, line + process.stderr.read()
            yield process
            process.terminate()
            process.wait(30)

    def told(self, key=None):
        """What the player was told, in order."""
        log = pathlib.Path(f"{self.scene}.log")
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return [line[key] for line in lines if key in line] if key else lines

    def wait_for(self, what):
        deadline = time.monotonic() + 30
        while not what():
            assert time.monotonic() < deadline


class Terminal:
    def __init__(self, pid, fd):
        self.pid, self.fd, self.text = pid, fd, ""

    def read_until(self, text):
        while text not in self.text:
            self.text += os.read(self.fd, 65536).decode()
        return self.text

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        with contextlib.suppress(OSError):    # the end of a terminal
            while data := os.read(self.fd, 65536):
                self.text += data.decode()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture(name="site")
def make_site(vmferry):
    site = Site(vmferry)
    yield site
    shutil.rmtree(site.dir)


PROGRESS = {"disk": "scsi0:0", "done_bytes": 1 << 30, "total_bytes": 4 << 30, "data_bytes": 1 << 29, "rate_bytes_s": 100 << 20,
            "eta_s": 30}
FORECAST = {"downtime_s": 95, "basis": {"shutdown_s": 20, "shutdown_from": "measured", "settle_s": 15, "delta_bytes": 3 << 20,
                                        "rate_bytes_s": 1 << 20, "delta_s": 3, "convert_s": 57, "convert_from": "history"}}
COPYING = {"status": "running", "stage": "base_copy", "next_stage": "delta", "moref": "vm-16", "overall_pct": 20,
           "progress": [PROGRESS]}
WAITING = {"status": "waiting", "stage": "delta", "next_stage": "delta", "rounds": 3, "overall_pct": 60, "progress": [],
           "forecast": FORECAST, "due_at": 4102444800}
ASKING = {"status": "asking", "stage": "awaiting_shutdown_action", "next_stage": "Shutdown action", "question": "shutdown"}
DONE = {"status": "done", "stage": "done", "next_stage": "none", "overall_pct": 100, "question": None, "ended_at": 1764471723,
        "progress": [], "due_at": None, "forecast": None, "objects": [
            {"kind": "snapshot", "name": "vmferry-ab12", "state": "gone", "changed_at": 1764471000},
            {"kind": "power-off", "name": "source", "state": "made", "changed_at": 1764471600},
            {"kind": "domain", "name": "web01", "state": "made", "changed_at": 1764471690},
            {"kind": "start", "name": "web01", "state": "made", "changed_at": 1764471700}],
        "disks": [{"key": 2000, "label": "scsi0:0", "capacity_bytes": 4 << 30, "image": "/nowhere/web01-sda"}]}
FAILED = {"status": "failed", "stage": "base_copy", "error": {"kind": "io", "text": "/nowhere: no space left on device"}}
