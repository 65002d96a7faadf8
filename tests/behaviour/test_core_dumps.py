"""No password in a core dump: every process of ours through which one passes is made to dump its memory where the
system would write it to a file, and leaves none."""

import array
import fcntl
import os
import pathlib
import resource
import signal
import subprocess
import sys
import termios

import pytest

import vsphere_scenes
from ssh_scenes import esxi_sshd
from v2v_scenes import MIB, WAIT_SECONDS, descendants, is_running, make_disk, pid_of, start, wait_until
from vsphere_scenes import PASSWORD

ET_CORE = 4
PATTERN = pathlib.Path("/proc/sys/kernel/core_pattern").read_text("utf-8").strip()
DUMPING = [signal.SIGQUIT, signal.SIGABRT, signal.SIGSEGV]


def allow_cores():
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def how_it_ended(process):
    """Whether a child of ours was killed, or killed and dumped; it can still be waited for."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT).si_code


def cores_in(*folders):
    found = []
    for folder in folders:
        for path in pathlib.Path(folder).rglob("*"):
            if path.is_file() and not path.is_symlink():
                with open(path, "rb") as file:
                    head = file.read(18)
                if head[:4] == b"\x7fELF" and int.from_bytes(head[16:18], "little") == ET_CORE:
                    found.append(path)
    return found


@pytest.fixture(scope="module", autouse=True)
def _dumps_are_written_here(tmp_path_factory):
    """A program that does not forbid it leaves its memory, with what it has read, in its folder."""
    if not PATTERN.startswith("core"):
        pytest.skip(f"core dumps do not go to the folder of a program here: core_pattern is {PATTERN}")
    here = tmp_path_factory.mktemp("control")
    script = "import os, sys; text = sys.stdin.readline(); os.abort()"
    control = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, cwd=here,
                               preexec_fn=allow_cores)
    control.stdin.write(PASSWORD.encode() + b"\n")
    control.stdin.flush()
    ended = how_it_ended(control)
    control.communicate(timeout=WAIT_SECONDS)
    if ended != os.CLD_DUMPED:
        pytest.skip("core dumps are forbidden here (ulimit -Hc)")
    [core] = cores_in(here)
    assert PASSWORD.encode() in core.read_bytes()
    core.unlink()


class Lab:
    def __init__(self, here, esxi):
        machine = {"name": "web", "disks": [{"image": str(make_disk(here / "disk.raw", 32))}]}
        site = vsphere_scenes.site_of([machine], hosts=[{"name": "localhost"}], datastores=["ds1"])
        self.here = here
        self.lab = vsphere_scenes.Lab(here, site, esxi)
        self.sshd = None

    def begin(self, vmferry, transport, out):
        """A migration that has copied a little and goes on slowly; its working directory is `out`'s parent."""
        double = vmferry.parents[2] / "lab/vddk"
        words = ["v2v", "-i", "libvirt", "-ic", self.lab.url, "-ip", self.lab.password_file, "-io",
                 f"vddk-thumbprint={self.lab.thumbprint}", "-io", f"vddk-nfchostport={self.lab.nfc_port}", "-io",
                 f"vddk-libdir={double}", "web", "-o", "local", "-os", out, "--no-convert", "-it", transport,
                 "--limit", "2M"]
        if transport == "ssh":
            self.sshd = self.sshd or esxi_sshd(self.here / "ssh", self.lab.dir / "datastores")
            words += ["-io", "ssh-host=127.0.0.1", "-io", f"ssh-port={self.sshd.port}", "-io",
                      f"ssh-identity={self.sshd.key}", "-io", f"ssh-known-hosts={self.sshd.known_hosts}"]
        process = start(vmferry, *words, cwd=out.parent, preexec_fn=allow_cores,
                        env={**os.environ, "XDG_STATE_HOME": str(self.here / "state")})
        part = out / ".vmferry-web/sda.part"
        wait_until(lambda: process.poll() is not None or (part.exists() and part.stat().st_blocks * 512 >= MIB),
                   "the first data")
        assert process.poll() is None, process.stderr.read()
        return process

    def close(self):
        if self.sshd:
            self.sshd.stop()
        self.lab.close()


@pytest.fixture(scope="module")
def labs(tmp_path_factory):
    made = {}

    def of(esxi):
        if esxi not in made:
            made[esxi] = Lab(tmp_path_factory.mktemp("lab"), esxi)
        return made[esxi]

    yield of
    for lab in made.values():
        lab.close()


@pytest.mark.parametrize("signum", DUMPING, ids=lambda signum: signum.name)
@pytest.mark.parametrize("transport, program", [
    ("vddk", "vmferry"), ("vddk", "vmferry-worker"), ("vddk", "vmferry-copy-vddk"), ("https", "vmferry-copy"),
    ("ssh", "nbdkit")])
def test_no_process_leaves_its_memory(vmferry, labs, tmp_workdir, transport, program, signum):
    if transport == "ssh" and os.geteuid() != 0:
        pytest.skip("an ESXi's SFTP needs root and mount namespaces")
    out = tmp_workdir / "out"
    out.mkdir()
    lab = labs(transport == "ssh")
    process = lab.begin(vmferry, transport, out)
    below = descendants(process.pid)
    pid = process.pid if program == "vmferry" else pid_of(process.pid, program)
    for each in [process.pid] + [pid for pid, _ in below]:
        limits = pathlib.Path(f"/proc/{each}/limits").read_text("utf-8")
        [line] = [line for line in limits.splitlines() if line.startswith("Max core file size")]
        assert line.split()[4:6] == ["1", "1"], line     # what a core_pattern with a program respects, too
    os.kill(pid, signum)
    if program == "vmferry":
        assert how_it_ended(process) != os.CLD_DUMPED
    else:
        wait_until(lambda: not is_running(pid), f"the end of {program}")
        process.terminate()
    stdout, stderr = process.communicate(timeout=WAIT_SECONDS)
    for each, name in below:
        wait_until(lambda each=each: not is_running(each), f"the end of {name}")
    assert PASSWORD not in stdout + stderr
    assert cores_in(tmp_workdir, pathlib.Path(lab.here)) == []


def test_what_ssh_asks_for_the_password(vmferry, tmp_workdir):
    askpass = vmferry.parent.parent / "worker/vmferry-askpass"
    process = subprocess.Popen([askpass], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_workdir,
                               preexec_fn=allow_cores)
    process.stdin.write(PASSWORD.encode())
    process.stdin.flush()

    def has_read():
        left = array.array("i", [0])
        fcntl.ioctl(process.stdin, termios.FIONREAD, left)
        return left[0] == 0

    wait_until(has_read, "that it has read it")
    process.send_signal(signal.SIGABRT)
    assert how_it_ended(process) == os.CLD_KILLED
    process.communicate(timeout=WAIT_SECONDS)
    assert cores_in(tmp_workdir) == []
