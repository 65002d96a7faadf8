"""vmferry v2v from lab/vcenter, both faces, all transports: what arrives, what is refused, what goes wrong, and that
nothing of ours is left there."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import xml.etree.ElementTree as xml

import pytest

import vsphere_scenes
from ssh_scenes import esxi_sshd
from v2v_scenes import MIB, descendants, kill_all, make_disk, names_in, run, same_content, start, wait_until
from vsphere_scenes import PASSWORD

BUILD = pathlib.Path(os.environ.get("VMFERRY") or vsphere_scenes.lab_vcenter.LAB.parent / "build/src/cli/vmferry"
                     ).resolve().parents[2]
DOUBLE = BUILD / "lab/vddk"
TRANSPORTS = ["vddk", "https", "export"]
FACES = [False, True]
FACE_NAMES = ["vcenter", "esxi"]
ESXI_IN_SOAK = pytest.mark.parametrize("scene", [pytest.param(False, id="vcenter"),
                                                 pytest.param(True, id="esxi", marks=pytest.mark.soak)], indirect=True)

VCENTER_ONLY = pytest.mark.parametrize("scene", [pytest.param(False, id="vcenter")], indirect=True)


class Scene:
    """A lab with machines whose disks are known."""

    def __init__(self, here, esxi, machines, **words):
        self.here = here
        self.esxi = esxi
        words.setdefault("hosts", [{"name": "localhost"}])
        words.setdefault("datastores", ["ds 1 +%"])
        self.lab = vsphere_scenes.Lab(here, vsphere_scenes.site_of(machines, words.pop("site", None), **words), esxi)
        self.state_home = here / "state"

    @property
    def env(self):
        return {**os.environ, "XDG_STATE_HOME": str(self.state_home)}

    def v2v(self, name, out, transport=None, *more):
        args = ["v2v", "-i", "libvirt", "-ic", self.lab.url, "-ip", self.lab.password_file, "-io",
                f"vddk-thumbprint={self.lab.thumbprint}", "-io", f"vddk-nfchostport={self.lab.nfc_port}", "-io",
                f"vddk-libdir={DOUBLE}", name, "-o", "local", "-os", out, "--no-convert", *more]
        return args + (["-it", transport] if transport else [])

    def run(self, vmferry, *args, **how):
        return run(vmferry, *self.v2v(*args), env=self.env, **how)

    def nothing_left(self):
        """No snapshot, lease, hold, open disk or session of ours."""
        def quiet():
            state = self.lab.state()
            return not (state["snapshots"] or state["leases"] or state["sessions"] or state["nfc"]["connections"] or
                        state["tasks"] or state["holds"])
        wait_until(quiet, f"an empty lab: {self.lab.state()}", seconds=20)

    def close(self):
        self.lab.close()


@pytest.fixture(scope="module")
def disks(tmp_path_factory):
    """Two raw disks: one of data and holes, one that is no whole number of MiB."""
    here = tmp_path_factory.mktemp("disks")
    one = make_disk(here / "one.raw", 48, seed=1, data_mib=20)
    two = make_disk(here / "two.raw", 9, seed=2)
    os.truncate(two, 9 * MIB + 512 * 3)
    return [one, two]


def machines_of(disks):
    def machine(name, power):
        attached = [{"image": str(disks[0]), "uuid": "6000C29a-1111-2222-3333-444455556666"},
                    {"controller": "lsilogic1", "unit": 3, "image": str(disks[1])}]
        extra = {"qemu": {"process": True, "paused": True}} if power == "poweredOn" else {}
        return {"name": name, "power": power, "disks": attached, "firmware": "efi", "vcpus": 2, "memory_mib": 128,
                "folder": "prod", "uuid": f"42000000-0000-0000-0000-0000000000{len(name):02}",
                "nics": [{"mac": "00:50:56:00:00:01", "pci_slot": 192, "network": "VM Network"},
                         {"mac": "00:50:56:00:00:02", "pci_slot": 224, "network": "DMZ"}],
                "extra": extra}
    return [machine("cold", "poweredOff"), machine("hot one", "poweredOn"),
            machine("woken", "poweredOff"),
            {"name": "twin", "folder": "a", "disks": [{}]}, {"name": "twin", "folder": "b", "disks": [{}]},
            {"name": "shelved", "power": "suspended", "disks": [{}]},
            {"name": "lun", "disks": [{"backing": "rdm-physical"}]}]


@pytest.fixture(scope="module", params=FACES, ids=FACE_NAMES)
def scene(request, tmp_path_factory, disks):
    made = Scene(tmp_path_factory.mktemp("lab"), request.param, machines_of(disks), networks=["VM Network", "DMZ"])
    yield made
    made.close()


@pytest.fixture
def out(tmp_workdir):
    path = tmp_workdir / "out"
    path.mkdir()
    return path


def is_whole(out, name, disks):
    assert names_in(out) == [f"{name}-sda", f"{name}-sdb", f"{name}.xml"]
    for letter, disk in zip("ab", disks):
        assert (out / f"{name}-sd{letter}").stat().st_size == disk.stat().st_size
        assert same_content(out / f"{name}-sd{letter}", disk)


# ---- every transport, off and running ----

@pytest.mark.asan
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_machine_that_is_off(vmferry, scene, disks, out, transport):
    result = scene.run(vmferry, "cold", out, transport, "--network", "DMZ:dmz", "--network", "default")
    assert result.returncode == 0, result.stderr
    is_whole(out, "cold", disks)
    scene.nothing_left()
    domain = xml.parse(out / "cold.xml").getroot()
    assert (domain.findtext("vcpu"), domain.findtext("memory")) == ("2", str(128 * 1024))
    assert domain.find("os").get("firmware") == "efi" or domain.find("os/loader") is not None
    nics = domain.findall("devices/interface")
    assert [(nic.find("mac").get("address"), nic.find("source").get("network")) for nic in nics] == [
        ("00:50:56:00:00:01", "default"), ("00:50:56:00:00:02", "dmz")]


@pytest.mark.asan
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_running_machine_from_a_snapshot(vmferry, scene, disks, out, transport):
    result = scene.run(vmferry, "hot one", out, transport, "--snapshot", "-v")
    assert result.returncode == 0, result.stderr
    is_whole(out, "hot one", disks)
    assert re.search("new snapshot vmferry-[0-9a-f]{12} holds", result.stderr)
    scene.nothing_left()


def test_the_source_can_be_printed(vmferry, scene):
    result = run(vmferry, "v2v", "-i", "libvirt", "-ic", scene.lab.url, "-ip", scene.lab.password_file, "-io",
                 f"vddk-thumbprint={scene.lab.thumbprint}", "hot one", "--print-source")
    assert result.returncode == 0, result.stderr
    for line in ["source name: hot one", "nr vCPUs: 2", "firmware: uefi", "\t0 [scsi0:0] 48.0 MiB, vmdk: [ds 1 +%] ",
                 "\t1 [scsi1:3] 9.00 MiB, vmdk: [ds 1 +%] ", '\tNetwork "DMZ" mac: 00:50:56:00:00:02 [vmxnet3]']:
        assert line in result.stdout
    scene.nothing_left()


# ---- which transport ----

@pytest.mark.parametrize("options, said", [
    ([], "read by vddk"),
    (["-io", "vddk-nfchostport=1"], r"read by https: .* passed over: vddk \((localhost|127.0.0.1):1 "),
])
def test_auto_chooses_and_says_why(vmferry, scene, disks, out, options, said):
    args = scene.v2v("cold", out, None, "-v", *options)
    if options:     # given twice is an error
        at = args.index(f"vddk-nfchostport={scene.lab.nfc_port}")
        del args[at - 1:at + 1]
    result = run(vmferry, *args, env=scene.env)
    assert result.returncode == 0, result.stderr
    assert re.search(said, result.stderr), result.stderr
    is_whole(out, "cold", disks)
    scene.nothing_left()


@ESXI_IN_SOAK
@pytest.mark.parametrize("setting, said", [("lab.open_fail = *:16064", "VixError 16064"),
                                           ("lab.init_error = 3", "does not start"),
                                           ("lab.open_crash = *", "given up after 2 new starts")])
def test_auto_falls_back_when_vddk_cannot_open_a_disk(vmferry, scene, disks, out, tmp_path, setting, said):
    """Off and from a snapshot; the copy goes on by what comes next, which the warning names."""
    (tmp_path / "config").write_text(setting + "\n")
    env = {**scene.env, "LAB_VDDK_CONFIG": str(tmp_path / "config")}
    for name, more in (("cold", []), ("hot one", ["--snapshot"])):
        result = run(vmferry, *scene.v2v(name, out, None, *more), env=env)
        assert result.returncode == 0, result.stderr
        [warning] = [line for line in result.stderr.splitlines() if "VDDK cannot open it" in line]
        assert re.search(r"\[ds 1 \+%\] .*\.vmdk: VDDK cannot open it, so from here on the disks are read by https: .*"
                         r"passed over: vddk \(", warning) and said in warning, warning
        is_whole(out, name, disks)
        shutil.rmtree(out)
        out.mkdir()
    scene.nothing_left()
    result = run(vmferry, *scene.v2v("cold", out, "vddk"), env=env)     # asked for, it is no other
    assert result.returncode == 1 and said in result.stderr and "from here on" not in result.stderr, result.stderr
    assert names_in(out) == []
    scene.nothing_left()


def test_auto_does_not_throw_away_what_vddk_has_copied(vmferry, scene, disks, out, tmp_path):
    (tmp_path / "config").write_text("lab.open_fail = *:16064\n")
    kill(scene, begun(vmferry, scene, out, "cold", None))
    result = run(vmferry, *scene.v2v("cold", out), env={**scene.env, "LAB_VDDK_CONFIG": str(tmp_path / "config")})
    assert result.returncode == 1 and "16064" in result.stderr and "from here on" not in result.stderr, result.stderr
    assert "-it https or -it export do without it" in result.stderr
    result = scene.run(vmferry, "cold", out, None, "-v")
    assert result.returncode == 0 and "not gone on from" not in result.stderr, result.stderr
    is_whole(out, "cold", disks)
    scene.nothing_left()


@ESXI_IN_SOAK
def test_a_missing_library(vmferry, scene, out, tmp_path):
    args = [f"vddk-libdir={tmp_path}" if arg == f"vddk-libdir={DOUBLE}" else arg
            for arg in scene.v2v("cold", out, "vddk")]
    result = run(vmferry, *args, env=scene.env)
    assert result.returncode == 1
    assert "-it vddk: " in result.stderr and str(tmp_path) in result.stderr
    assert names_in(out) == []
    scene.nothing_left()


# ---- what is refused ----

def refused(vmferry, scene, out, name, *words, transport=None, more=()):
    result = scene.run(vmferry, name, out, transport, *more)
    assert result.returncode == 1
    for word in words:
        assert word in result.stderr, result.stderr
    assert "Copying" not in result.stdout
    assert names_in(out) == []
    scene.nothing_left()


@pytest.mark.parametrize("name, words", [
    ("hot one", ["the machine is running", "--snapshot", "[running]"]),
    ("shelved", ["suspended", "[suspended]"]),
    ("lun", ["mapped raw in physical mode", "[rdm-physical]"]),
    ("twin", ["twin", "vm-"]),
    ("nobody", ["nobody"]),
])
def test_what_cannot_be_moved(vmferry, scene, out, name, words):
    if scene.esxi and name == "twin":
        words = ["twin"]
    refused(vmferry, scene, out, name, *words)


@ESXI_IN_SOAK
def test_ssh_reads_no_snapshot(vmferry, scene, out):
    refused(vmferry, scene, out, "hot one", "-it ssh reads no snapshots", transport="ssh", more=["--snapshot"])


def test_the_wrong_password_and_thumbprint(vmferry, scene, out, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong\n")
    args = [wrong if arg == scene.lab.password_file else arg for arg in scene.v2v("cold", out)]
    result = run(vmferry, *args, env=scene.env)
    assert result.returncode == 1 and "password" in result.stderr and "wrong\n" not in result.stderr
    args = ["vddk-thumbprint=" + ":".join(["AB"] * 32) if str(arg).startswith("vddk-thumbprint=") else arg
            for arg in scene.v2v("cold", out)]
    result = run(vmferry, *args, env=scene.env)
    assert result.returncode == 1 and scene.lab.thumbprint.lower() in result.stderr.lower()
    assert names_in(out) == []


@ESXI_IN_SOAK
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_certificate_is_pinned_at_first_use(vmferry, scene, disks, out, transport, tmp_path):
    """no_verify=1 is what a user of virt-v2v writes for a self-signed certificate."""
    args = scene.v2v("cold", out, transport)
    at = args.index(f"vddk-thumbprint={scene.lab.thumbprint}")
    del args[at - 1:at + 1]
    args[args.index(scene.lab.url)] += "/?no_verify=1" if scene.esxi else "/DC0/localhost?no_verify=1"
    env = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    result = run(vmferry, *args, env=env)
    assert result.returncode == 0, result.stderr
    assert "no_verify=1 does not switch verification off" in result.stderr
    known = tmp_path / "vmferry/known_hosts"
    assert scene.lab.thumbprint.replace(":", "").lower() in known.read_text().lower()
    is_whole(out, "cold", disks)
    shutil.rmtree(out)
    out.mkdir()
    known.write_text(re.sub("sha256:.*", "sha256:" + "ab" * 32, known.read_text()))
    result = run(vmferry, *args, env=env)
    assert result.returncode == 1 and "another certificate" in result.stderr
    assert names_in(out) == []


# ---- interrupted, and gone on from ----

def copying(process, out, name, mib=2, disk="sda"):
    part = out / f".vmferry-{name}" / f"{disk}.part"
    wait_until(lambda: process.poll() is not None or (part.exists() and part.stat().st_blocks * 512 >= mib * MIB),
               "the first data")
    assert process.poll() is None, process.stderr.read()


def begun(vmferry, scene, out, name, transport, *more):
    process = start(vmferry, *scene.v2v(name, out, transport, "--limit", "6M", *more), env=scene.env)
    copying(process, out, name)
    return process


def kill(scene, process):
    """SIGKILL; what time would do to its lease and its session is done at once."""
    kill_all(process)
    user = "root" if scene.esxi else vsphere_scenes.USER
    client = scene.lab.client(user, PASSWORD)
    for lease in scene.lab.state()["leases"]:
        client.call("HttpNfcLeaseAbort", ("HttpNfcLease", lease["ref"]))
    scene.lab.fault("expire-sessions")


@ESXI_IN_SOAK
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_killed_while_copying_a_machine_that_is_off(vmferry, scene, disks, out, transport):
    kill(scene, begun(vmferry, scene, out, "cold", transport))
    result = scene.run(vmferry, "cold", out, transport, "-v")
    assert result.returncode == 0, result.stderr
    assert ("not gone on from" in result.stderr) == (transport == "export")
    is_whole(out, "cold", disks)


@ESXI_IN_SOAK
@pytest.mark.parametrize("transport", [it for it in TRANSPORTS if it != "export"])
def test_written_to_between_two_runs(vmferry, scene, disks, out, transport):
    """A disk that somebody opened for writing meanwhile is another one, whatever was written to it."""
    kill(scene, begun(vmferry, scene, out, "cold", transport))
    with open(disks[0], "rb") as disk:
        scene.lab.event("write", machine="cold", disk=2000, offset=0, hex=disk.read(512).hex())
    refused = scene.run(vmferry, "cold", out, transport)
    assert refused.returncode == 1
    assert "changed since" in refused.stderr and "--discard" in refused.stderr
    result = scene.run(vmferry, "cold", out, transport, "--discard")
    assert result.returncode == 0, result.stderr
    is_whole(out, "cold", disks)


@ESXI_IN_SOAK
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_killed_while_copying_from_a_snapshot(vmferry, scene, disks, out, transport):
    """Its snapshot is taken up by the same command, which goes on from what was copied, and removed at the end."""
    kill(scene, begun(vmferry, scene, out, "hot one", transport, "--snapshot"))
    [left] = scene.lab.state()["snapshots"]["hot one"]
    journal = json.loads((out / ".vmferry-hot one/state.json").read_text())["source"]
    assert journal["snapshot"] == left
    result = scene.run(vmferry, "hot one", out, transport, "--snapshot", "-v")
    assert result.returncode == 0, result.stderr
    assert f"goes on from the snapshot {left}" in result.stderr
    assert ("not gone on from" in result.stderr) == (transport == "export")
    is_whole(out, "hot one", disks)
    scene.nothing_left()


@ESXI_IN_SOAK
def test_discard_removes_the_snapshot_of_a_killed_run(vmferry, scene, disks, out):
    kill(scene, begun(vmferry, scene, out, "hot one", "https", "--snapshot"))
    [left] = scene.lab.state()["snapshots"]["hot one"]
    result = scene.run(vmferry, "hot one", out, "https", "--discard", "-v")
    assert result.returncode == 1 and "the machine is running" in result.stderr
    assert f"removing the snapshot {left}" in result.stderr
    assert not scene.lab.state()["snapshots"]
    assert names_in(out) == []
    kill(scene, begun(vmferry, scene, out, "hot one", "https", "--snapshot"))
    result = scene.run(vmferry, "hot one", out, "https", "--discard", "--snapshot")
    assert result.returncode == 0, result.stderr
    is_whole(out, "hot one", disks)
    scene.nothing_left()


@ESXI_IN_SOAK
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_stopped_while_copying_from_a_snapshot(vmferry, scene, out, transport):
    process = begun(vmferry, scene, out, "hot one", transport, "--snapshot")
    process.terminate()
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "goes on from there" not in stderr
    assert names_in(out) == []
    scene.nothing_left()


@ESXI_IN_SOAK
@pytest.mark.parametrize("transport", ["vddk", "https"])
def test_stopped_while_copying_a_machine_that_is_off(vmferry, scene, disks, out, transport):
    process = begun(vmferry, scene, out, "cold", transport)
    process.terminate()
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130 and "the same command again goes on from there" in stderr, stderr
    scene.nothing_left()
    result = scene.run(vmferry, "cold", out, transport, "-v")
    assert result.returncode == 0, result.stderr
    assert "not gone on from" not in result.stderr
    is_whole(out, "cold", disks)


def test_the_password_is_nowhere(vmferry, scene, out, tmp_path):
    secret, seen = PASSWORD.encode(), []
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    for transport in TRANSPORTS:
        env = {**scene.env, "TMPDIR": str(scratch)}
        process = start(vmferry, *scene.v2v("hot one", out, transport, "--snapshot", "--limit", "6M", "-v"), env=env)
        copying(process, out, "hot one")
        for pid, name in descendants(process.pid) + [(process.pid, "vmferry")]:
            for file in ("cmdline", "environ"):
                text = pathlib.Path(f"/proc/{pid}/{file}").read_bytes()
                if secret in text or b"vmware_soap_session" in text:
                    seen.append(f"{name}: {file}")
        for folder in (scratch, out, scene.state_home):
            for path in folder.rglob("*"):
                if stat.S_ISREG(path.lstat().st_mode):
                    text = path.read_bytes()
                    assert secret not in text and b"vmware_soap_session" not in text, path
        process.terminate()
        stdout, stderr = process.communicate(timeout=60)
        assert PASSWORD not in stdout + stderr and "soap_session" not in stdout + stderr
    assert not seen, seen
    assert names_in(scratch) == []
    scene.nothing_left()


# ---- SSH ----

def ssh_options(sshd):
    return ["-io", "ssh-host=127.0.0.1", "-io", f"ssh-port={sshd.port}", "-io", f"ssh-identity={sshd.key}", "-io",
            f"ssh-known-hosts={sshd.known_hosts}"]


@pytest.fixture(scope="module")
def sshd(scene):
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("an ESXi's SFTP needs root and mount namespaces")
    made = esxi_sshd(scene.here / "ssh", scene.lab.dir / "datastores")
    yield made
    made.stop()


@pytest.mark.asan
def test_by_ssh(vmferry, scene, sshd, disks, out):
    result = scene.run(vmferry, "cold", out, "ssh", *ssh_options(sshd))
    assert result.returncode == 0, result.stderr
    is_whole(out, "cold", disks)
    scene.nothing_left()


@ESXI_IN_SOAK
def test_ssh_gone_on_from(vmferry, scene, sshd, disks, out):
    kill(scene, begun(vmferry, scene, out, "cold", "ssh", *ssh_options(sshd)))
    result = scene.run(vmferry, "cold", out, "ssh", "-v", *ssh_options(sshd))
    assert result.returncode == 0, result.stderr
    assert "not gone on from" not in result.stderr
    is_whole(out, "cold", disks)
    scene.nothing_left()


@ESXI_IN_SOAK
def test_ssh_is_off(vmferry, scene, out):
    result = scene.run(vmferry, "cold", out, "ssh", "-io", "ssh-host=127.0.0.1", "-io", "ssh-port=1")
    assert result.returncode == 1 and "-it ssh needs SSH running on the ESXi host" in result.stderr
    assert names_in(out) == []
    scene.nothing_left()


# ---- what goes wrong at the source ----

@pytest.fixture
def rules(scene):
    yield scene.lab.add
    scene.lab.fault("clear")


@ESXI_IN_SOAK
@pytest.mark.parametrize("transport, rule", [
    ("https", {"http": "/folder", "nth": 4, "after_bytes": 100000, "action": "cut"}),
    ("https", {"http": "/folder", "nth": 4, "status": 503, "times": 3}),
    ("vddk", {"nfc": "read", "nth": 5, "error": 5}),
    ("vddk", {"nfc": "read", "nth": 5, "error": 14011, "action": "lost"}),
    ("vddk", {"nfc": "read", "nth": 5, "action": "crash"}),
    ("vddk", {"nfc": "read", "nth": 5, "action": "abort"}),
    ("https", {"session": "expire", "after_calls": 9}),
    ("export", {"session": "expire", "after_calls": 12}),
    ("https", {"method": "CreateSnapshot_Task", "fault": "TaskInProgress"}),
    ("https", {"task": "RemoveSnapshot_Task", "action": "consolidation_needed"}),
    ("https", {"method": "RetrievePropertiesEx", "status": 503, "nth": 2}),
    ("export", {"http": "/nfc", "after_bytes": 100000, "action": "cut"}),
    ("export", {"lease": "ready", "fault": "FileFault"}),
    ("export", {"method": "ExportSnapshot", "fault": "NoPermission"}),
    ("https", {"task": "CreateSnapshot_Task", "fault": "SnapshotFault", "message": "no room for it"}),
    ("https", {"method": "CreateSnapshot_Task", "fault": "NoPermission"}),
    ("https", {"http": "/folder", "status": 500, "times": 0}),
    ("vddk", {"nfc": "open", "error": 16064}),
    ("vddk", {"nfc": "read", "nth": 5, "error": 1, "times": 0}),
], ids=lambda value: value if isinstance(value, str) else "-".join(str(word) for word in value.values()))
def test_faults(vmferry, scene, rules, disks, out, transport, rule):
    """Identical in the end, or a sentence, and nothing of ours is left either way."""
    rules(**rule)
    result = scene.run(vmferry, "hot one", out, transport, "--snapshot")
    scene.lab.fault("clear")
    scene.nothing_left()
    if result.returncode == 0:
        is_whole(out, "hot one", disks)
        return
    assert result.returncode == 1
    assert names_in(out) == []
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("vmferry: v2v: ") and len(last) > 60, last
    if "message" in rule:
        assert rule["message"] in last


@ESXI_IN_SOAK
def test_a_snapshot_that_cannot_be_removed_is_removed_by_the_next_run(vmferry, scene, rules, disks, out):
    rules(task="RemoveSnapshot_Task", fault="InvalidState", times=0)
    result = scene.run(vmferry, "hot one", out, "https", "--snapshot")
    assert result.returncode == 1
    [left] = scene.lab.state()["snapshots"]["hot one"]
    assert f"the snapshot {left} is still there" in result.stderr and "--discard" in result.stderr
    assert names_in(out) == [".vmferry-hot one"]
    scene.lab.fault("clear")
    result = scene.run(vmferry, "hot one", out, "https", "-v")
    assert result.returncode == 0, result.stderr
    assert f"removing the snapshot {left}" in result.stderr and "Copying" not in result.stdout
    is_whole(out, "hot one", disks)
    scene.nothing_left()


# ---- storage vMotion is held off ----

def holds(scene, name="cold"):
    return scene.lab.state()["holds"].get(name, {}).get("RelocateVM_Task", [])


@pytest.mark.parametrize("name, more", [("cold", []), ("hot one", ["--snapshot"])])
def test_storage_vmotion_is_held_off_while_the_disks_are_read(vmferry, scene, disks, out, name, more):
    process = begun(vmferry, scene, out, name, "https", *more)
    held = holds(scene, name)
    journal = json.loads((out / f".vmferry-{name}/state.json").read_text())
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    if scene.esxi:      # moves no disks, and knows no such call
        assert held == [] and "hold" not in journal
    else:
        assert re.fullmatch("vmferry-[0-9a-f]{12}", held[0]) and held[1:] == []
        assert journal["hold"]["name"] == held[0]
    assert "hold" not in stderr
    is_whole(out, name, disks)
    scene.nothing_left()


@pytest.mark.parametrize("more", [[], ["--discard"]], ids=["", "discard"])
def test_the_hold_of_a_killed_run_is_let_go_by_the_next(vmferry, scene, disks, out, more):
    kill(scene, begun(vmferry, scene, out, "cold", "https"))
    held = holds(scene)
    assert len(held) == (0 if scene.esxi else 1)
    process = begun(vmferry, scene, out, "cold", "https", *more)
    if not scene.esxi:
        wait_until(lambda: len(holds(scene)) == 1 and holds(scene) != held, "a hold of its own, and only that")
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    is_whole(out, "cold", disks)
    scene.nothing_left()


def test_a_user_who_may_not_hold_it_off_migrates_all_the_same(vmferry, tmp_path, disks, out):
    allowed = ["System.Anonymous", "System.View", "System.Read", "VirtualMachine.Provisioning.DiskRandomRead",
               "VirtualMachine.Provisioning.GetVmFiles", "Datastore.Browse", "Datastore.FileManagement",
               "Global.DisableMethods"]
    user = {vsphere_scenes.USER: {"password": PASSWORD, "privileges": allowed}}
    scene = Scene(tmp_path, False, [{"name": "cold", "disks": [{"image": str(disks[0])}]}], site={"users": user})
    try:
        result = scene.run(vmferry, "cold", out, "https")
        assert result.returncode == 0 and "vMotion" not in result.stderr, result.stderr
        assert same_content(out / "cold-sda", disks[0])
        assert "DisableMethods" not in scene.lab.state()["calls"]
        scene.nothing_left()
    finally:
        scene.close()


@VCENTER_ONLY
@pytest.mark.parametrize("rule, well", [({"fault": "NoPermission"}, True), ({"fault": "SystemError"}, True),
                                        ({"fault": "MethodNotFound"}, True), ({"action": "cut"}, False)],
                         ids=["denied", "failed", "unknown", "cut"])
def test_a_hold_that_is_refused_is_no_reason_to_stop(vmferry, scene, rules, disks, out, rule, well):
    rules(method="DisableMethods", **rule)
    result = scene.run(vmferry, "cold", out, "https")
    assert result.returncode == (0 if well else 1), result.stderr
    if well:
        is_whole(out, "cold", disks)
    scene.nothing_left()


@VCENTER_ONLY
def test_a_hold_that_stays_is_said_and_let_go_by_the_next_run(vmferry, scene, rules, disks, out):
    rules(method="EnableMethods", fault="SystemError", message="tired", times=0)
    result = scene.run(vmferry, "cold", out, "https")
    [left] = holds(scene)
    assert result.returncode == 1 and re.search(f"storage vMotion of vm-[0-9]+ is still held off by {left}: .*tired",
                                                result.stderr), result.stderr
    assert "the same command removes it" in result.stderr
    scene.lab.fault("clear")
    result = scene.run(vmferry, "cold", out, "https")
    assert result.returncode == 0 and "Copying" not in result.stdout, result.stderr
    is_whole(out, "cold", disks)
    scene.nothing_left()


# ---- while the snapshot is made ----

def freezing(vmferry, scene, rules, out):
    """A run that has just asked for its snapshot; the server takes its time."""
    rules(method="CreateSnapshot_Task", delay_ms=3000)
    process = start(vmferry, *scene.v2v("hot one", out, "https", "--snapshot"), env=scene.env)
    state = out / ".vmferry-hot one/state.json"
    wait_until(lambda: process.poll() is not None or (state.exists() and '"source"' in state.read_text()), "a journal")
    assert process.poll() is None, process.stderr.read()
    return process


@ESXI_IN_SOAK
def test_stopped_while_the_snapshot_is_made(vmferry, scene, rules, out):
    process = freezing(vmferry, scene, rules, out)
    process.terminate()
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert names_in(out) == []
    scene.nothing_left()


@ESXI_IN_SOAK
@pytest.mark.parametrize("options", [["--snapshot"], ["--discard", "--snapshot"], ["--discard"]], ids=" ".join)
def test_killed_while_the_snapshot_is_made(vmferry, scene, rules, disks, out, options):
    kill_all(freezing(vmferry, scene, rules, out))
    result = scene.run(vmferry, "hot one", out, "https", *options)
    scene.lab.fault("expire-sessions")
    if "--snapshot" in options:
        assert result.returncode == 0, result.stderr
        is_whole(out, "hot one", disks)
    else:
        assert result.returncode == 1 and "the machine is running" in result.stderr, result.stderr
        assert names_in(out) == []
    scene.nothing_left()


@ESXI_IN_SOAK
def test_a_session_that_ends_while_it_copies(vmferry, scene, disks, out):
    process = begun(vmferry, scene, out, "cold", "https")
    scene.lab.fault("expire-sessions")
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    is_whole(out, "cold", disks)
    scene.nothing_left()


@ESXI_IN_SOAK
def test_a_machine_that_is_switched_on_while_it_is_copied(vmferry, scene, sshd, out):
    """By SFTP nothing stops that; what then was copied is a mixture."""
    process = begun(vmferry, scene, out, "woken", "ssh", *ssh_options(sshd))
    scene.lab.event("power-on", machine="woken")
    _, stderr = process.communicate(timeout=120)
    scene.lab.event("power-off", machine="woken")
    assert process.returncode == 1 and "was switched on or changed while its disks were copied" in stderr
    assert names_in(out) == [], stderr
    scene.nothing_left()


def test_a_lease_and_a_session_are_kept_alive(vmferry, tmp_path, disks, out):
    """A copy that takes longer than the server waits for the next sign of life."""
    machine = {"name": "cold", "disks": [{"image": str(disks[0])}]}
    scene = Scene(tmp_path, False, [machine], site={"lease_timeout_s": 3, "session_idle_s": 4})
    try:
        result = scene.run(vmferry, "cold", out, "export", "--limit", "2M")
        assert result.returncode == 0, result.stderr
        assert same_content(out / "cold-sda", disks[0])
        scene.nothing_left()
    finally:
        scene.close()


# ---- with a real guest ----

def bring_guest(vmferry, lab_guest, tmp_path_factory, out, transport, esxi, convert):
    """-> what is known of the guest."""
    facts = json.loads((lab_guest / "guest.json").read_text())
    nic = facts["nic"]
    machine = {"name": "lab-guest", "memory_mib": facts["memory_mib"], "vcpus": facts["cpus"],
               "disks": [{"image": str(lab_guest / "system.raw")},
                         {"controller": "lsilogic1", "image": str(lab_guest / "data.raw")}],
               "nics": [{"mac": nic["mac"], "pci_slot": nic["slot"], "network": "VM Network"}]}
    with contextlib.ExitStack() as stack:
        scene = Scene(tmp_path_factory.mktemp("guest"), esxi, [machine], networks=["VM Network"])
        stack.callback(scene.close)
        args = scene.v2v("lab-guest", out, transport, "--network", "default", "-of", "qcow2" if convert else "raw")
        if convert:
            args.remove("--no-convert")
        if transport == "ssh":
            sshd = esxi_sshd(scene.here / "ssh", scene.lab.dir / "datastores")
            stack.callback(sshd.stop)
            args += ssh_options(sshd)
        result = run(vmferry, *args, env=scene.env, timeout=2400)
        assert result.returncode == 0, result.stderr
        scene.nothing_left()
    return facts


def boots(facts, *options):
    booted = subprocess.run(
        [vsphere_scenes.lab_vcenter.LAB / "boot", *options, "--expect", facts["login_prompt"], "--expect-re",
         "LAB-REPORT .*" + facts["nic"]["name"], "--timeout", "900"],
        capture_output=True, text=True, check=False, timeout=1000)
    assert booted.returncode == 0, booted.stdout[-4000:] + booted.stderr[-4000:]


def converted(vmferry, lab_guest, tmp_path_factory, out, transport, esxi):
    facts = bring_guest(vmferry, lab_guest, tmp_path_factory, out, transport, esxi, True)
    boots(facts, "--xml", out / "lab-guest.xml")


def every_way(test):
    test = pytest.mark.parametrize("transport", ["vddk", "https", "export", "ssh"])(test)
    return pytest.mark.parametrize("esxi", FACES, ids=FACE_NAMES)(test)


@pytest.mark.guest
@pytest.mark.soak
@every_way
def test_a_guest_boots_as_it_came_by_every_transport(vmferry, lab_guest, tmp_path_factory, out, transport, esxi):
    """Bit for bit what the lab holds, so that whatever a conversion makes of one it makes of each; and it boots on the
    hardware that VMware gave it, in a third of the time that a conversion takes."""
    facts = bring_guest(vmferry, lab_guest, tmp_path_factory, out, transport, esxi, False)
    for image, disk in (("sda", "system.raw"), ("sdb", "data.raw")):
        assert (out / f"lab-guest-{image}").stat().st_size == (lab_guest / disk).stat().st_size
        assert same_content(out / f"lab-guest-{image}", lab_guest / disk)
    boots(facts, "--vmware", "--disk", out / "lab-guest-sda", "--disk", out / "lab-guest-sdb")


@pytest.mark.guest
def test_a_guest_boots(vmferry, lab_guest, tmp_path_factory, out):
    converted(vmferry, lab_guest, tmp_path_factory, out, "export", False)


@pytest.mark.guest
@pytest.mark.soak
@every_way
def test_a_guest_boots_by_every_transport(vmferry, lab_guest, tmp_path_factory, out, transport, esxi):
    converted(vmferry, lab_guest, tmp_path_factory, out, transport, esxi)
