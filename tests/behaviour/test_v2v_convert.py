"""vmferry v2v with a real guest: converted, described, booted; failed, killed and gone on from.

The one full conversion here is killed twice on its way. Where only our side of a conversion matters, a program of
the test's own stands in for virt-v2v-in-place.
"""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import textwrap
import xml.etree.ElementTree as xml

import pytest

from places import LAB
from v2v_scenes import MIB, events_of, kill_all, names_in, run, start, wait_until

pytestmark = pytest.mark.guest
CONVERSION_SECONDS = 1500


@pytest.fixture(scope="module")
def facts(lab_guest):
    return json.loads((lab_guest / "guest.json").read_text())


def stages_of(text):
    return [event["text"] for event in events_of(text) if event["type"] == "stage"]


def read_until(process, text):
    """Lines of the program up to a stage that begins so."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        event = json.loads(line)
        if event["type"] == "stage" and event["text"].startswith(text):
            return lines
    raise AssertionError(f"no stage '{text}' came:\n{''.join(lines)}{process.stderr.read()}")


# ---- the whole way ----

@pytest.fixture(scope="module")
def converted(vmferry, lab_guest, tmp_path_factory):
    """The guest's OVA, converted; killed while it was copied and while it was converted."""
    out = pathlib.Path(tempfile.mkdtemp(prefix="vmferry-test-", dir=os.environ.get("VMFERRY_TEST_DIR", "/var/tmp")))
    args = ["v2v", "-i", "ova", lab_guest / "guest.ova", "-o", "local", "-os", out, "-of", "qcow2",
            "--network", "VM Network:default", "--json"]
    try:
        process = start(vmferry, *args, "--limit", "50M")
        part = out / ".vmferry-lab-guest" / "sda.part"
        wait_until(lambda: process.poll() is not None or (part.exists() and part.stat().st_blocks * 512 >= 50 * MIB),
                   "the first data", seconds=600)
        assert process.poll() is None, process.stderr.read()
        kill_all(process)
        assert names_in(out) == [".vmferry-lab-guest"]

        process = start(vmferry, *args)
        second = read_until(process, "Converting")
        kill_all(process)
        assert names_in(out) == [".vmferry-lab-guest"]

        third = run(vmferry, *args, timeout=CONVERSION_SECONDS)
        assert third.returncode == 0, third.stderr
        yield {"out": out, "second": stages_of("".join(second)), "third": stages_of(third.stdout),
               "stderr": third.stderr}
    finally:
        shutil.rmtree(out)


def test_nothing_is_done_twice(converted):
    assert "Inspecting the source" not in converted["second"][:5]
    assert "Copying disk 1/2" in converted["second"]
    assert not [text for text in converted["third"] if text.startswith(("Copying", "Verifying"))]
    assert converted["third"][-3:] == ["Merging the conversion into the disks", "Creating output metadata",
                                       "Finishing off"]


def test_what_is_there(converted):
    out = converted["out"]
    assert names_in(out) == ["lab-guest-sda", "lab-guest-sdb", "lab-guest.xml"]
    for name in names_in(out)[:2]:
        subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", out / name], check=True)


def test_description(converted, facts):
    domain = xml.parse(converted["out"] / "lab-guest.xml").getroot()
    assert domain.findtext("vcpu") == str(facts["cpus"])
    assert domain.findtext("memory") == str(facts["memory_mib"] * 1024)
    assert "q35" in domain.find("os/type").get("machine")
    targets = domain.findall("devices/disk[@device='disk']/target")
    assert [(target.get("dev"), target.get("bus")) for target in targets] == [("vda", "virtio"), ("vdb", "virtio")]
    nic = domain.find("devices/interface")
    assert nic.find("mac").get("address") == facts["nic"]["mac"]
    assert nic.find("model").get("type") == "virtio"
    assert nic.find("source").get("network") == "default"
    assert "debian.org/debian/12" in xml.tostring(domain, encoding="unicode")


def test_it_boots_and_has_its_network(converted, facts):
    """On virtio alone, its interface under the name it had, VMware's tools gone."""
    result = subprocess.run(
        [LAB / "boot", "--xml", converted["out"] / "lab-guest.xml", "--expect", facts["login_prompt"],
         "--expect-re", "LAB-REPORT .*" + facts["nic"]["name"], "--timeout", "900"],
        capture_output=True, text=True, check=False, timeout=1000)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]


# ---- with a stand-in for virt-v2v ----

# Says of itself what version 2.2 does; as a conversion it writes a mark into the first overlay, and then does as
# the file "fate" says.
STAND_IN = """\
    #!/usr/bin/python3
    import pathlib, subprocess, sys
    import xml.etree.ElementTree as xml
    here = pathlib.Path(__file__).parent
    if "--version" in sys.argv:
        print("virt-v2v-in-place 2.2.0")
    elif "--help" in sys.argv:
        print("  --key  --mac  --root")
    elif sys.argv[1:] == ["--machine-readable"]:
        print("virt-v2v-in-place\\nvirt-v2v-in-place-2.0\\nmac-option\\nmac-ip-option\\ninput:libvirtxml")
    else:
        domain = xml.parse([word for word in sys.argv if word.endswith(".xml")][0])
        image = domain.find("devices/disk/source").get("file")
        print("[   1.0] Converting it to run on KVM", flush=True)
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 0x5a 1000k 4k", image], check=True,
                       stdout=subprocess.DEVNULL)
        fate = (here / "fate").read_text()
        if fate:
            sys.exit("virt-v2v-in-place: error: " + fate)
    """

# Waits for ever where it should merge an overlay.
SLOW_QEMU_IMG = """\
    #!/bin/sh
    if [ "$1" = commit ]; then
        touch "${0%/*}/merging"
        exec tail -f /dev/null
    fi
    PATH=/usr/local/bin:/usr/bin:/bin exec qemu-img "$@"
    """


class Scene:
    def __init__(self, vmferry, lab_guest, directory):
        self.vmferry, self.guest, self.directory = vmferry, lab_guest, directory
        self.out, self.bin = directory / "out", directory / "bin"
        self.work = self.out / ".vmferry-lab"
        self.out.mkdir()
        self.bin.mkdir()
        self.add_program("virt-v2v-in-place", STAND_IN)
        self.fate("")
        self.args = ["v2v", "-i", "disk", "-if", "raw", lab_guest / "system.raw", lab_guest / "data.raw", "-on", "lab",
                     "-o", "local", "-os", self.out, "--json"]
        self.env = {**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}"}

    def add_program(self, name, text):
        path = self.bin / name
        path.write_text(textwrap.dedent(text))
        path.chmod(0o755)

    def fate(self, words):
        (self.bin / "fate").write_text(words)

    def run(self, *more):
        return run(self.vmferry, *self.args, *more, env=self.env, timeout=600)

    def start(self):
        return start(self.vmferry, *self.args, env=self.env)


@pytest.fixture
def scene(vmferry, lab_guest, tmp_workdir):
    return Scene(vmferry, lab_guest, tmp_workdir)


def has_mark(image):
    with open(image, "rb") as file:
        file.seek(1000 << 10)
        return file.read(4096) == b"\x5a" * 4096


def test_a_conversion_that_fails_and_one_that_is_killed(scene):
    scene.fate("no installed kernel packages were found")
    failed = scene.run()
    assert failed.returncode == 1
    assert "kernel" in failed.stderr
    assert str(scene.work / "convert.log") in failed.stderr
    assert "the same command again" in failed.stderr
    assert names_in(scene.out) == [".vmferry-lab"]
    kept = names_in(scene.work)
    assert {"sda", "sdb", "convert.log", "state.json"} <= set(kept)
    assert not [name for name in kept if name.endswith(".overlay")]
    assert not has_mark(scene.work / "sda")
    assert "no installed kernel" in (scene.work / "convert.log").read_text()

    # The next one succeeds, but is killed while it is merged.
    scene.fate("")
    scene.add_program("qemu-img", SLOW_QEMU_IMG)
    process = scene.start()
    wait_until(lambda: process.poll() is not None or (scene.bin / "merging").exists(), "the merge", seconds=600)
    assert process.poll() is None, process.stderr.read()
    kill_all(process)
    assert json.loads((scene.work / "state.json").read_text())["committing"] is True
    assert (scene.work / "sda.overlay").exists()

    # Another answer to the same question needs a new start.
    refused = scene.run("--no-convert")
    assert refused.returncode == 1
    assert "--discard" in refused.stderr

    # The last one merges what was converted, and does not convert again.
    (scene.bin / "qemu-img").unlink()
    scene.fate("must not be started")
    last = scene.run()
    assert last.returncode == 0, last.stderr
    texts = stages_of(last.stdout)
    assert not [text for text in texts if text.startswith(("Inspecting", "Copying", "Converting"))]
    assert "Merging the conversion into the disks" in texts
    assert names_in(scene.out) == ["lab-sda", "lab-sdb", "lab.xml"]
    assert has_mark(scene.out / "lab-sda")


# ---- what takes long ----

@pytest.mark.soak
@pytest.mark.parametrize("disk_format", ["raw", "qcow2"])
def test_plain_conversions(vmferry, lab_guest, facts, tmp_workdir, disk_format):
    result = run(vmferry, "v2v", "-i", "ova", lab_guest / "guest.ova", "-o", "local", "-os", tmp_workdir, "-of",
                 disk_format, timeout=CONVERSION_SECONDS)
    assert result.returncode == 0, result.stderr
    booted = subprocess.run([LAB / "boot", "--xml", tmp_workdir / "lab-guest.xml", "--expect", facts["login_prompt"],
                             "--timeout", "900"], capture_output=True, text=True, check=False, timeout=1000)
    assert booted.returncode == 0, booted.stdout[-4000:] + booted.stderr[-4000:]


@pytest.mark.soak
def test_to_null(vmferry, lab_guest, tmp_workdir):
    # libguestfs keeps its appliance where it is told; all else that is in TMPDIR at the end is ours.
    result = run(vmferry, "v2v", "-i", "ova", lab_guest / "guest.ova", "-o", "null", timeout=CONVERSION_SECONDS,
                 env={**os.environ, "TMPDIR": str(tmp_workdir), "LIBGUESTFS_CACHEDIR": "/var/tmp"})
    assert result.returncode == 0, result.stderr
    assert names_in(tmp_workdir) == []
