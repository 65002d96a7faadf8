"""-o libvirt on a real libvirtd: what arrives there, what is refused, and what is left alone.

The operations that `vmferry v2v` does not come to (start, undo, look) are called by a driver of the unit tests.
"""

import json
import os
import pathlib
import re
import select
import subprocess
import time
import xml.etree.ElementTree as xml

import pytest

from libvirt_scenes import libvirtd, make_printer
from v2v_scenes import kill_all, make_disk, names_in, run, start

CONVERSION_SECONDS = 1500
BOOT_SECONDS = 600
NAMES = ["web 01", "Größe ü", "-o", "a & <b> 'c'", "100%s"]
METADATA = "urn:vmferry:migration:1"


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    with libvirtd(tmp_path_factory.mktemp("libvirtd") / "d") as lab:
        yield lab


@pytest.fixture(autouse=True)
def nothing_left(request):
    """Each test finds and leaves an empty libvirt."""
    yield
    if "host" not in request.fixturenames:
        return
    host = request.getfixturevalue("host")
    for name in host.machines("--state-running"):
        host.virsh("destroy", "--domain", name)
    for name in host.machines():
        host.virsh("undefine", "--nvram", "--domain", name)
    for name in names_in(host.pool_dir):
        os.unlink(os.path.join(host.pool_dir, name))


@pytest.fixture
def call(vmferry, host):
    """Call an operation of the platform: (did it succeed, what it said)."""
    driver = vmferry.parent.parent.parent / "tests/unit/platform/libvirt-driver"

    def act(operation, **given):
        given = {"uri": host.uri, "pool": "default", "dir": host.pool_dir, "id": "4f1c0a9be2d7", **given}
        done = subprocess.run([driver, operation, json.dumps(given)], capture_output=True, text=True, check=False,
                              timeout=120)
        assert done.returncode in (0, 1), done.stderr
        said = json.loads(done.stdout)
        return said.pop("ok"), said
    return act


def v2v(vmferry, host, disk, *args, accel="tcg", program=run, **how):
    return program(vmferry, "v2v", "-i", "disk", disk, "-o", "libvirt", "-oc", host.uri, "-os", "default",
                   "--no-convert", *args, env={**os.environ, "VMFERRY_ACCEL": accel}, **how)


def id_of(host, name):
    element = xml.fromstring(host.virsh("metadata", "--domain", name, "--uri", METADATA))
    return element.get("id")


def domain_of(host, name):
    return host.virsh("dumpxml", "--domain", name, "--inactive", "--migratable")


def valid(tmp_path, text):
    path = tmp_path / "domain.xml"
    path.write_text(text)
    done = subprocess.run(["virt-xml-validate", path, "domain"], capture_output=True, text=True, check=False)
    return done.returncode == 0 or done.stderr + done.stdout


def console_of(host, name, pattern, seconds, send=b""):
    """What the machine says on its serial console, until the pattern is there."""
    path = host.virsh("ttyconsole", "--domain", name).strip()
    said, deadline = "", time.monotonic() + seconds
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        while not re.search(pattern, said):
            assert time.monotonic() < deadline, f"in vain: {pattern}\n{said[-3000:]}"
            if select.select([fd], [], [], 5)[0]:
                said += os.read(fd, 65536).decode(errors="replace")
            elif send:
                os.write(fd, send)
    finally:
        os.close(fd)
    return said


# ---- vmferry v2v ----

@pytest.mark.asan
@pytest.mark.parametrize("name", NAMES)
def test_a_machine_arrives(vmferry, host, tmp_path, name):
    disk = make_disk(tmp_path / "disk.raw", 16)
    done = v2v(vmferry, host, disk, "-on", name, "-of", "qcow2")
    assert done.returncode == 0, done.stderr
    assert f"defined in libvirt as {name}" in done.stdout
    assert host.machines() == [name]
    image = os.path.join(host.pool_dir, f"{name}-sda")
    assert names_in(host.pool_dir) == [f"{name}-sda"]
    assert subprocess.run(["qemu-img", "compare", "-f", "raw", "-F", "qcow2", disk, image], check=False,
                          capture_output=True).returncode == 0

    text = domain_of(host, name)
    assert valid(tmp_path, text) is True
    domain = xml.fromstring(text)
    assert domain.get("type") == "qemu"
    assert domain.find("devices/disk/source").get("file") == image
    assert domain.find("devices/interface/source").get("network") == "default"
    assert re.fullmatch("[0-9a-f]{16}", id_of(host, name))
    # The pool knows the file at once.
    assert f"{name}-sda" in host.virsh("vol-list", "--pool", "default")


def test_json_says_where_it_is(vmferry, host, tmp_path):
    done = v2v(vmferry, host, make_disk(tmp_path / "disk.raw", 16), "-on", "web01", "--json")
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["ok"], result["domain"], result["xml"]) == (True, "web01", None)
    assert result["disks"] == [os.path.join(host.pool_dir, "web01-sda")]


def test_a_directory_is_taken_for_a_pool(vmferry, host, tmp_path, tmp_workdir):
    disk = make_disk(tmp_path / "disk.raw", 16)
    done = v2v(vmferry, host, disk, "-os", tmp_workdir, "-on", "web01")
    assert done.returncode == 0, done.stderr
    assert names_in(tmp_workdir) == ["web01-sda"]
    assert str(tmp_workdir) in domain_of(host, "web01")


def test_uuid_and_firmware_are_the_sources(vmferry, host, tmp_path):
    disk = make_disk(tmp_path / "disk.raw", 16)
    uuid = "42101234-5678-4abc-8def-001122334455"
    source = tmp_path / "source.xml"
    source.write_text(f"""<domain type='vmware'><name>uefi</name><uuid>{uuid}</uuid><memory>262144</memory>
        <os firmware='efi'><type arch='x86_64'>hvm</type></os><devices><disk type='file' device='disk'>
        <driver type='raw'/><source file='{disk}'/><target dev='sda' bus='scsi'/></disk></devices></domain>""")
    args = ["v2v", "-i", "libvirtxml", source, "-o", "libvirt", "-oc", host.uri, "--no-convert"]
    env = {**os.environ, "VMFERRY_ACCEL": "tcg"}
    done = run(vmferry, *args, env=env)
    assert done.returncode == 0, done.stderr
    domain = xml.fromstring(domain_of(host, "uefi"))
    assert domain.findtext("uuid") == uuid
    assert domain.find("os/loader") is not None or domain.find("os").get("firmware") == "efi"
    # The same machine once more, under another name, is no second machine.
    again = run(vmferry, *args, "-on", "copy", env=env)
    assert again.returncode == 1
    assert f"this libvirt has 'uefi' with the same UUID ({uuid})" in again.stderr
    assert names_in(host.pool_dir) == ["uefi-sda"] and host.machines() == ["uefi"]


@pytest.mark.parametrize("args, complaint", [
    (["-os", "none such"], "pool 'none such': there is none of that name in this libvirt; its pools: "),
    (["-os", "blocks"], "pool 'blocks': is of the type 'logical'"),
    (["-os", "asleep"], "pool 'asleep': is not active: start it with virsh pool-start"),
    (["-n", "VM Network"], "network 'VM Network': there is none of that name in this libvirt"),
    (["-n", "asleep"], "network 'asleep': is not active, so the machine would not start"),
    (["-oc", "qemu+ssh://root@kvm1/system"], "a libvirt on another host is not supported by this version"),
    (["-oc", "qemu+unix:///system?socket=/nowhere"], "start its daemon"),
    (["-os", "/nowhere"], "-os /nowhere: No such file or directory"),
])
def test_refused_before_anything_is_copied(vmferry, host, tmp_path, args, complaint):
    host.virsh("pool-define-as", "blocks", "logical", "--source-name", "vg", "--target", "/dev/vg")
    host.virsh("pool-define-as", "asleep", "dir", "--target", tmp_path)
    (tmp_path / "net.xml").write_text("<network><name>asleep</name><forward mode='bridge'/><bridge name='br7'/>"
                                      "</network>")
    host.virsh("net-define", tmp_path / "net.xml")
    try:
        done = v2v(vmferry, host, make_disk(tmp_path / "disk.raw", 16), *args)
    finally:
        for kind, name in ("pool", "blocks"), ("pool", "asleep"), ("net", "asleep"):
            host.virsh(f"{kind}-undefine", name)
    assert done.returncode == 1
    assert complaint in done.stderr and done.stderr.count("\n") == 1
    assert names_in(host.pool_dir) == [] and host.machines() == []


def test_a_bridge_is_not_looked_for(vmferry, host, tmp_path):
    done = v2v(vmferry, host, make_disk(tmp_path / "disk.raw", 16), "--mac", "x", "-on", "web01")
    assert done.returncode == 1 and "--mac x" in done.stderr
    source = tmp_path / "source.xml"
    source.write_text(f"""<domain type='vmware'><name>web01</name><memory>262144</memory><os><type>hvm</type></os>
        <devices><disk type='file' device='disk'><driver type='raw'/><source file='{tmp_path}/disk.raw'/>
        <target dev='sda' bus='scsi'/></disk><interface type='bridge'><source bridge='VM Network'/>
        <mac address='00:50:56:00:00:01'/></interface></devices></domain>""")
    done = run(vmferry, "v2v", "-i", "libvirtxml", source, "-o", "libvirt", "-oc", host.uri, "--no-convert",
               "-b", "VM Network:br0", env={**os.environ, "VMFERRY_ACCEL": "tcg"})
    assert done.returncode == 0, done.stderr
    assert xml.fromstring(domain_of(host, "web01")).find("devices/interface/source").get("bridge") == "br0"


def test_a_strangers_machine_is_left_alone(vmferry, host, tmp_path):
    (tmp_path / "other.xml").write_text("<domain type='qemu'><name>web01</name><memory>1024</memory><os>"
                                        "<type arch='x86_64' machine='pc'>hvm</type></os></domain>")
    host.virsh("define", tmp_path / "other.xml")
    before = domain_of(host, "web01")
    done = v2v(vmferry, host, make_disk(tmp_path / "disk.raw", 16), "-on", "web01")
    assert done.returncode == 1
    assert "machine 'web01': this libvirt has one of that name, which was not made by this migration" in done.stderr
    assert domain_of(host, "web01") == before
    assert names_in(host.pool_dir) == []


@pytest.mark.parametrize("stage", ["Creating output metadata", "Finishing off"])
def test_killed_on_its_way_there(vmferry, host, tmp_path, stage):
    """Killed before, in or after the definition, the same command ends with one machine, as if undisturbed."""
    disk = make_disk(tmp_path / "disk.raw", 16)
    process = v2v(vmferry, host, disk, "-on", "web01", "--json", program=start)
    for line in process.stdout:
        event = json.loads(line)
        if event["type"] == "stage" and event["text"].startswith(stage):
            break
    kill_all(process)
    if os.path.exists(os.path.join(host.pool_dir, ".vmferry-web01")):
        done = v2v(vmferry, host, disk, "-on", "web01")
        # Killed while the folder went away, its memory may be gone before it: then it sees what is there.
        assert done.returncode == 0 or (stage == "Finishing off" and "exists already" in done.stderr), done.stderr
    assert host.machines() == ["web01"] and names_in(host.pool_dir) == ["web01-sda"]


# ---- type of the machine ----

def test_no_kvm_at_the_host(vmferry, host, tmp_path):
    """Its capabilities decide, whatever acceleration this process believes in."""
    done = v2v(vmferry, host, make_disk(tmp_path / "disk.raw", 16), "-on", "web01", accel="kvm")
    assert done.returncode == 0, done.stderr
    assert "type qemu" in done.stderr and "libvirt's host has no hardware acceleration" in done.stderr
    assert xml.fromstring(domain_of(host, "web01")).get("type") == "qemu"


@pytest.mark.skipif(not os.path.exists("/dev/kvm"), reason="no /dev/kvm here")
def test_libvirt_believes_in_kvm(vmferry, tmp_path):
    with libvirtd(tmp_path / "d", "--kvm") as host:
        for accel, kind in ("tcg", "qemu"), ("kvm", "kvm"):
            done = v2v(vmferry, host, make_disk(tmp_path / "disk.raw", 16), "-on", accel, accel=accel)
            assert done.returncode == 0, done.stderr
            assert ("type qemu" in done.stderr) == (kind == "qemu")
            assert xml.fromstring(domain_of(host, accel)).get("type") == kind


# ---- what comes after the definition ----

@pytest.fixture
def placed(host, tmp_path, call):
    """A machine that says hello on its console, defined for a migration: what call is to be given."""
    name = "prüf stein"
    image = make_printer(pathlib.Path(host.pool_dir) / f"{name}-sda")
    (tmp_path / "made.xml").write_text(f"""<domain type='qemu'><name>{name}</name>
        <metadata><vmferry:migration xmlns:vmferry='{METADATA}' id='4f1c0a9be2d7'/></metadata><memory>65536</memory>
        <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>
        <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{image}'/>
        <target dev='vda' bus='virtio'/></disk>
        <interface type='network'><source network='{host.network}'/><model type='virtio'/></interface>
        <serial type='pty'/><graphics type='vnc' autoport='yes' listen='127.0.0.1'/></devices></domain>""")
    given = {"name": name, "id": "4f1c0a9be2d7", "networks": [host.network]}
    assert call("check", **given) == (True, {})
    assert call("define", **given, xml=str(tmp_path / "made.xml")) == (True, {})
    return given


def test_start_and_undo(host, call, placed):
    name = placed["name"]
    assert call("look", **placed) == (True, {"there": True, "ours": True, "running": False, "started": False})
    ok, said = call("start", **placed)
    assert ok, said
    console_of(host, name, "hello from the disk", 60)
    assert call("start", **placed) == (True, {})
    assert host.machines("--state-running") == [name]
    ok, said = call("undo", **placed)
    assert (ok, said["kind"]) == (False, "conflict") and "runs" in said["text"]

    # Whoever shut it down since wants it down.
    host.virsh("destroy", name)
    assert call("start", **placed) == (True, {})
    assert call("look", **placed) == (True, {"there": True, "ours": True, "running": False, "started": True})

    for _ in range(2):
        assert call("undo", **placed) == (True, {})
    assert host.machines() == []
    assert names_in(host.pool_dir) == [f"{name}-sda"]


def test_nothing_of_ours(host, call, placed):
    """Another migration's machine is neither started nor undone."""
    other = {**placed, "id": "000000000000"}
    ok, said = call("start", **other)
    assert (ok, said["kind"]) == (False, "conflict")
    assert call("undo", **other) == (True, {})
    assert host.machines() == [placed["name"]] and host.machines("--state-running") == []
    ok, said = call("start", **{**placed, "name": "nobody"})
    assert (ok, said["kind"]) == (False, "not-found")


def test_defined_twice(host, call, placed, tmp_path):
    """As after a crash between the definition and its note: what the operator changed since stays."""
    name = placed["name"]
    host.virsh("desc", name, "--config", "changed since")
    before = domain_of(host, name)
    (tmp_path / "made.xml").write_text(before.replace("changed since", "as made"))
    assert call("define", **placed, xml=str(tmp_path / "made.xml")) == (True, {})
    assert domain_of(host, name) == before
    ok, said = call("define", **{**placed, "id": "000000000000"}, xml=str(tmp_path / "made.xml"))
    assert (ok, said["kind"]) == (False, "conflict")
    assert domain_of(host, name) == before


def test_nvram_goes_with_the_machine(host, call, tmp_path):
    text = """<domain type='qemu'><name>uefi</name><metadata><m:migration xmlns:m='%s' id='4f1c0a9be2d7'/></metadata>
        <memory>262144</memory><os firmware='efi'><type arch='x86_64' machine='q35'>hvm</type></os>
        <features><acpi/></features></domain>""" % METADATA
    (tmp_path / "uefi.xml").write_text(text)
    uefi = {"name": "uefi", "xml": str(tmp_path / "uefi.xml")}
    assert call("define", **uefi) == (True, {})
    assert call("start", **uefi) == (True, {})
    nvram = os.path.join(os.path.dirname(host.pool_dir), "lib/qemu/nvram")
    assert names_in(nvram) == ["uefi_VARS.fd"]
    host.virsh("destroy", "uefi")
    assert call("undo", **uefi) == (True, {})
    assert names_in(nvram) == [] and host.machines() == []


# ---- doctor ----

def findings_of(vmferry, *args):
    done = run(vmferry, "doctor", "--json", *args, env={**os.environ, "VMFERRY_ACCEL": "tcg"})
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return [finding for finding in found if finding.get("group") == "libvirt"]


@pytest.mark.asan
def test_doctor_finds_pools(vmferry, host, tmp_path):
    host.virsh("pool-define-as", "asleep", "dir", "--target", tmp_path)
    try:
        found = findings_of(vmferry, "--libvirt", host.uri)
    finally:
        host.virsh("pool-undefine", "asleep")
    first, *pools = found
    assert first["value"] == host.uri and "hardware acceleration not offered" in first["what"]
    pools = {pool["value"]: pool for pool in pools}
    assert set(pools) == {"default", "asleep"}
    assert pools["default"]["level"] == "ok" and host.pool_dir in pools["default"]["what"]
    assert pools["asleep"]["level"] == "warning" and "virsh pool-start" in pools["asleep"]["cure"]


def test_doctor_without_libvirt(vmferry):
    nowhere = "qemu+unix:///system?socket=/nowhere"
    finding, = findings_of(vmferry, "--libvirt", nowhere)
    assert finding["level"] == "error" and nowhere in finding["what"]
    env = {**os.environ, "VMFERRY_ACCEL": "tcg", "LIBVIRT_DEFAULT_URI": nowhere}
    done = run(vmferry, "doctor", "--json", env=env)
    finding, = [event for event in map(json.loads, done.stdout.splitlines()) if event.get("group") == "libvirt"]
    assert finding["level"] == "warning" and nowhere in finding["what"]


# ---- a real guest ----

@pytest.mark.guest
@pytest.mark.parametrize("options", [["--no-convert"], pytest.param([], marks=pytest.mark.soak)])
def test_a_guest_arrives_and_boots(vmferry, host, call, lab_guest, options):
    """Defined and started by libvirt, it comes up: as it was, on the devices that it knows, or converted."""
    facts = json.loads((lab_guest / "guest.json").read_text())
    done = run(vmferry, "v2v", "-i", "ova", lab_guest / "guest.ova", "-o", "libvirt", "-oc", host.uri, "-on", "gast ü",
               "-of", "qcow2", "--network", "default", *options, timeout=CONVERSION_SECONDS)
    assert done.returncode == 0, done.stderr
    ours = {"name": "gast ü", "id": id_of(host, "gast ü")}
    assert call("start", **ours) == (True, {})
    console_of(host, "gast ü", facts["login_prompt"], BOOT_SECONDS, send=b"\n")
