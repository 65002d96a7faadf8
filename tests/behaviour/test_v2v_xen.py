"""vmferry v2v from a Xen host: a real sshd, with a stand-in for virsh behind it."""

import os
import pathlib
import re
import shutil
import stat
import subprocess
import textwrap
import xml.etree.ElementTree as xml

import pytest

from ssh_scenes import Sshd
from v2v_scenes import (MIB, descendants, kill_all, make_disk, names_in, run, same_content, start, wait_until)

pytestmark = pytest.mark.asan

# Machines are files NAME.xml beside it, their states NAME.state.
VIRSH = """\
    #!/usr/bin/python3
    import pathlib, sys
    here = pathlib.Path(__file__).resolve().parent.parent / "machines"
    words = sys.argv[1:]
    assert words[:3] == ["-q", "-c", "xen:///system"], words
    command, option, name = words[3:]
    assert option == "--domain", words
    if not (here / (name + ".xml")).exists():
        sys.exit(f"error: failed to get domain '{name}'")
    if command == "domstate":
        print((here / (name + ".state")).read_text() + "\\n")
    else:
        print((here / (name + ".xml")).read_text())
"""

DOMAIN = """\
<domain type='xen'>
  <name>{name}</name>
  <uuid>5a0b3e5c-9f6c-4d0e-8f63-6f1ad70be24c</uuid>
  <memory unit='KiB'>1048576</memory>
  <vcpu>2</vcpu>
  <os><type arch='x86_64' machine='xenfv'>hvm</type></os>
  <devices>
    {disks}
    <interface type='bridge'><mac address='00:16:3e:11:22:33'/><source bridge='xenbr0'/></interface>
  </devices>
</domain>
"""


def disk_xml(path, target, driver):
    return f"<disk type='file' device='disk'>{driver}<source file='{path}'/><target dev='{target}' bus='xen'/></disk>"


class XenHost(Sshd):
    def __init__(self, here):
        super().__init__(here)
        self.machines = self.here / "machines"
        self.machines.mkdir()
        program = self.programs / "virsh"
        program.write_text(textwrap.dedent(VIRSH))
        program.chmod(0o755)

    def define(self, name, disks, state="shut off"):
        text = DOMAIN.format(name=name.replace("&", "&amp;"), disks="\n    ".join(disks))
        (self.machines / f"{name}.xml").write_text(text)
        (self.machines / f"{name}.state").write_text(state)

    def url(self, known_hosts=None, more=""):
        known = known_hosts or self.known_hosts
        return f"xen+ssh://root@127.0.0.1:{self.port}/?keyfile={self.key}&known_hosts={known}{more}"

    def v2v(self, name, out, **how):
        return ["v2v", "-i", "libvirt", "-ic", self.url(**how), name, "-o", "local", "-os", out, "--no-convert"]


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """A Xen host with the machine web: a raw disk, and a qcow2 of the same kind."""
    if os.geteuid() != 0 or not os.path.exists("/usr/sbin/sshd"):
        pytest.skip("needs root and openssh-server")
    made = XenHost(tmp_path_factory.mktemp("xen") / "host")
    images = made.here / "images of web, 100%"
    images.mkdir()
    made.raw = make_disk(images / "root.img", 24, seed=1)
    made.data = make_disk(made.here / "data.raw", 40, seed=2, data_mib=8)
    made.qcow2 = images / "data.qcow2"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", made.data, made.qcow2], check=True)
    made.define("web", [disk_xml(made.raw, "xvda", "<driver name='tap' type='aio'/>"),
                        disk_xml(made.qcow2, "xvdb", "<driver name='qemu' type='qcow2'/>")])
    yield made
    made.stop()


@pytest.fixture
def out(tmp_workdir):
    path = tmp_workdir / "out"
    path.mkdir()
    return path


def no_server_left(out):
    """No nbdkit or qemu-nbd that an ended run has started."""
    def quiet():
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                words = (path / "cmdline").read_bytes()
                folder = os.readlink(path / "cwd")
            except OSError:
                continue
            if words.startswith((b"nbdkit\0", b"qemu-nbd\0")) and folder == str(out):
                return False
        return True
    wait_until(quiet, "the end of its servers")


# ---- the way ----

def test_raw_and_qcow2(vmferry, host, out):
    result = run(vmferry, *host.v2v("web", out), cwd=out)
    assert result.returncode == 0, result.stderr
    assert names_in(out) == ["web-sda", "web-sdb", "web.xml"]
    assert same_content(out / "web-sda", host.raw)
    assert same_content(out / "web-sdb", host.data)
    domain = xml.parse(out / "web.xml").getroot()
    assert (domain.findtext("name"), domain.findtext("vcpu"), domain.findtext("memory")) == ("web", "2", "1048576")
    assert domain.find("devices/interface/mac").get("address") == "00:16:3e:11:22:33"
    no_server_left(out)


def test_print_source(vmferry, host):
    result = run(vmferry, "v2v", "-i", "libvirt", "-ic", host.url(), "web", "--print-source")
    assert result.returncode == 0, result.stderr
    assert "source name: web" in result.stdout
    assert f"raw: 127.0.0.1:{host.raw}" in result.stdout
    assert f"qcow2: 127.0.0.1:{host.qcow2}" in result.stdout
    assert '\tBridge "xenbr0" mac: 00:16:3e:11:22:33' in result.stdout


@pytest.mark.parametrize("name", ["it's \"one\" $HOME `x` & ü", "--all", "a\\b;c"])
def test_names_are_only_names(vmferry, host, out, name):
    disk = make_disk(host.here / f"{name}.img", 9, data_mib=1)
    shutil.copy(disk, host.here / "twin.img")
    host.define(name, [disk_xml(str(disk).replace("&", "&amp;").replace("'", "&apos;"), "xvda", "")])
    result = run(vmferry, "v2v", "-i", "libvirt", "-ic", host.url(), "-o", "local", "-os", out, "--no-convert", "-on",
                 "plain", "--", name)
    assert result.returncode == 0, result.stderr
    assert same_content(out / "plain-sda", host.here / "twin.img")


def test_a_copy_that_was_killed_is_gone_on_from(vmferry, host, out):
    process = start(vmferry, *host.v2v("web", out), "--limit", "4M")
    part = out / ".vmferry-web" / "sda.part"
    wait_until(lambda: process.poll() is not None or (part.exists() and part.stat().st_blocks * 512 >= 2 * MIB),
               "the first data")
    assert process.poll() is None, process.stderr.read()
    assert {"nbdkit", "vmferry-copy"} <= {name for _, name in descendants(process.pid)}
    kill_all(process)
    assert names_in(out) == [".vmferry-web"]
    result = run(vmferry, *host.v2v("web", out), "-v")
    assert result.returncode == 0, result.stderr
    assert "not gone on from" not in result.stderr
    assert same_content(out / "web-sda", host.raw)


def test_a_source_that_was_changed_is_another(vmferry, host, out):
    disk = make_disk(host.here / "changing.img", 24)
    host.define("changing", [disk_xml(disk, "xvda", "")])
    process = start(vmferry, *host.v2v("changing", out), "--limit", "4M")
    part = out / ".vmferry-changing" / "sda.part"
    wait_until(lambda: part.exists() and part.stat().st_blocks * 512 >= 2 * MIB, "the first data")
    kill_all(process)
    make_disk(disk, 24, seed=9)
    os.utime(disk, (1, 1))
    result = run(vmferry, *host.v2v("changing", out))
    assert result.returncode == 1
    assert "changed since" in result.stderr and "--discard" in result.stderr
    result = run(vmferry, *host.v2v("changing", out), "--discard")
    assert result.returncode == 0, result.stderr
    assert same_content(out / "changing-sda", disk)


# ---- what is refused ----

def refused(vmferry, host, name, out, *words, **how):
    result = run(vmferry, *host.v2v(name, out, **how))
    assert result.returncode == 1
    for word in words:
        assert word in result.stderr
    assert names_in(out) == []
    return result


def test_a_running_machine_is_refused(vmferry, host, out):
    host.define("busy", [disk_xml(host.raw, "xvda", "")], state="running")
    refused(vmferry, host, "busy", out, "busy: is running at 127.0.0.1", "shut it down")


def test_an_unknown_machine(vmferry, host, out):
    refused(vmferry, host, "nobody", out, "failed to get domain 'nobody'")


@pytest.mark.parametrize("disk, words", [
    ("<disk type='block'><source dev='/dev/null'/><target dev='xvda'/></disk>", ["character special file", "dd if="]),
    ("<disk type='file'><source file='/nowhere'/><target dev='xvda'/></disk>", ["/nowhere", "No such file"]),
    ("<disk type='file'><driver type='vhd'/><source file='/etc/passwd'/><target dev='xvda'/></disk>",
     ["format vhd", "qemu-img convert"]),
    ("<disk type='file'><driver type='qcow2'/><source file='{raw}'/><target dev='xvda'/></disk>",
     ["says qcow2", "not those of one"]),
    ("<disk type='file'><driver type='qcow2'/><source file='{child}'/><target dev='xvda'/></disk>",
     ["is based on another image"]),
    ("<disk type='network'><source protocol='nbd' name='x'><host name='h'/></source><target dev='xvda'/></disk>",
     ["lies behind a server", "-i libvirtxml"]),
])
def test_disks_that_cannot_be_read(vmferry, host, out, disk, words):
    child = host.here / "child.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "/etc/passwd", child, "16M"],
                   check=True)
    host.define("odd", [disk.format(raw=host.raw, child=child)])
    refused(vmferry, host, "odd", out, *words)


def test_the_hosts_key_is_checked(vmferry, host, out, tmp_path):
    nothing = tmp_path / "nothing"
    nothing.touch()
    refused(vmferry, host, "web", out, "SSH host key is not known", "log in once with ssh", known_hosts=nothing)
    assert nothing.read_text() == ""
    other = tmp_path / "other"
    other.write_text(host.known_hosts.read_text())
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    kind, data, *_ = (tmp_path / "key.pub").read_text().split()
    other.write_text(f"[127.0.0.1]:{host.port} {kind} {data}\n")
    refused(vmferry, host, "web", out, "is another than the known one", known_hosts=other)
    refused(vmferry, host, "web", out, "is another than the known one", known_hosts=other, more="&no_verify=1")


def test_no_verify_pins_at_first_use(vmferry, host, out, tmp_path):
    known = tmp_path / "known"
    known.touch()
    result = run(vmferry, *host.v2v("web", out, known_hosts=known, more="&no_verify=1"))
    assert result.returncode == 0, result.stderr
    assert host.known_hosts.read_text().split()[2] in known.read_text()
    assert "no_verify=1" in result.stderr


def test_not_let_in(vmferry, host, out, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "stranger"], check=True)
    url = host.url().replace(str(host.key), str(tmp_path / "stranger"))
    result = run(vmferry, "v2v", "-i", "libvirt", "-ic", url, "web", "-o", "local", "-os", out,
                 env={**os.environ, "SSH_AUTH_SOCK": ""})
    assert result.returncode == 1
    assert "SSH does not let root in" in result.stderr and "-ip" in result.stderr
    assert names_in(out) == []


# ---- the password ----

SSH = """\
    #!/usr/bin/python3
    import os, pathlib, subprocess, sys
    here = pathlib.Path(__file__).resolve().parent
    assert os.environ["SSH_ASKPASS_REQUIRE"] == "force"
    said = subprocess.run([os.environ["SSH_ASKPASS"], "root's password: "], capture_output=True, check=True).stdout
    with open(here / "said", "ab") as file:
        file.write(said)
    os.execv("/usr/bin/ssh", ["ssh", "-i", "{key}"] + sys.argv[1:])
"""


def traces_of(secret, root):
    """Where a process below root, or a file of ours, shows the secret."""
    for pid, name in descendants(root) + [(root, "vmferry")]:
        for file in ("cmdline", "environ"):
            try:
                if secret in pathlib.Path(f"/proc/{pid}/{file}").read_bytes():
                    yield f"{name}: {file}"
            except OSError:
                pass


def test_the_password_is_nowhere(vmferry, host, out, tmp_path):
    """ssh asks for it and gets it, nbdkit has it in a pipe; nobody else sees it."""
    secret = "correct horse battery staple"
    programs, scratch = tmp_path / "programs", tmp_path / "scratch"
    programs.mkdir()
    scratch.mkdir()
    (programs / "ssh").write_text(textwrap.dedent(SSH).format(key=host.key))
    (programs / "ssh").chmod(0o755)
    file = tmp_path / "password"
    file.write_text(secret + "\n")
    env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "TMPDIR": str(scratch)}
    process = start(vmferry, *host.v2v("web", out), "-v", "-ip", file, "--limit", "4M", env=env)
    part = out / ".vmferry-web" / "sda.part"
    seen = []

    def copying():
        seen.extend(traces_of(secret.encode(), process.pid))
        return process.poll() is not None or (part.exists() and part.stat().st_blocks * 512 >= 2 * MIB)

    wait_until(copying, "the first data")
    assert process.poll() is None, process.stderr.read()
    wait_until(copying, "the first data")
    asked = (programs / "said").read_text().splitlines()
    assert asked == [secret] * len(asked) and asked
    for folder in (scratch, out):
        for path in folder.rglob("*"):
            if stat.S_ISREG(path.lstat().st_mode):
                assert secret.encode() not in path.read_bytes(), path
    assert not seen, seen
    process.terminate()
    stdout, stderr = process.communicate(timeout=60)
    assert secret not in stdout + stderr
    assert names_in(scratch) == []


# ---- the command line ----

@pytest.mark.parametrize("args, complaint", [
    (["-i", "libvirt", "guest"], "-i libvirt without -ic, a machine of the local libvirt, is not supported"),
    (["-i", "libvirt", "-ic", "qemu:///system", "guest"], "-ic"),
    (["-i", "libvirt", "-ic", "qemu+ssh://root@host/system", "guest"], "-ic qemu+ssh:// is not supported"),
    (["-i", "libvirt", "-ic", "xen+ssh://root:secret@host", "guest"], "has a password in it"),
    (["-i", "libvirt", "-ic", "xen+ssh://root@host", "-it", "ssh", "guest"], "-it is for vSphere"),
    (["-i", "libvirt", "-ic", "xen+ssh://root@host", "--snapshot", "guest"], "--snapshot is for vSphere"),
    (["-i", "libvirt", "-ic", "xen+ssh://root@host", "-io", "ssh-user=x", "guest"], "-io is for vSphere"),
    (["-i", "libvirt", "-ic", "esx://root@host", "-it", "nfs", "guest"], "-it nfs: give vddk, ssh"),
    (["-i", "libvirt", "-ic", "esx://root@host", "-io", "vddk-what=x", "guest"], "-io vddk-what: no such option"),
    (["-i", "libvirt", "-ic", "esx://root@host", "-io", "vddk-cookie=x", "guest"], "-io vddk-cookie is not supported"),
    (["-i", "libvirt", "-ic", "esx://root@host", "-io", "vddk-libdir", "guest"], "-io vddk-libdir needs a value"),
    (["-i", "libvirt", "-ic", "esx://root@host", "-io", "vddk-port=0", "guest"], "no port"),
    (["-i", "libvirt", "-ic", "esx://root@host"], "expecting the name of a machine"),
    (["-i", "disk", "-ic", "esx://root@host", "x"], "-ic goes with -i libvirt only"),
])
def test_usage_errors(vmferry, args, complaint):
    result = run(vmferry, "v2v", *args, "-o", "null")
    assert (result.returncode, result.stdout) == (2, "")
    assert complaint in result.stderr


@pytest.mark.parametrize("url, complaint", [
    ("xen+ssh://root@127.0.0.1/system", "nothing behind the host's name"),
    ("xen+ssh://root@127.0.0.1?socket=/x", "'socket' in the query is not supported"),
    ("xen+ssh://root@127.0.0.1?keyfile=/nowhere", "/nowhere"),
    ("xen+ssh://root@127.0.0.1:1/", "not reached by SSH"),
])
def test_bad_urls(vmferry, url, complaint):
    result = run(vmferry, "v2v", "-i", "libvirt", "-ic", url, "x", "-o", "null")
    assert result.returncode == 1
    assert complaint in result.stderr
    assert not re.search("-ip|password", result.stderr)
