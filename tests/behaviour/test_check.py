"""vmferry check against the lab: each condition that a machine can be in, found by its code, with cause and cure."""

import json
import re
import subprocess

import pytest

from places import TOP
from test_protocol import EXAMPLES
from vsphere_scenes import PASSWORD, USER, serving, site_of

pytestmark = pytest.mark.asan

BY_NAME = {     # machine of the site: (the code that must be found, cold, warm)
    "orphaned": ("not-connected", "error", "error"),
    "inaccessible": ("not-connected", "error", "error"),
    "suspended": ("suspended", "error", "error"),
    "running": ("running", "info", "none"),
    "waiting": ("question", "error", "error"),
    "toolless": ("tools-not-running", "none", "warning"),
    "mould": ("template", "info", "error"),
    "tolerant": ("fault-tolerance", "error", "error"),
    "unconsolidated": ("consolidation-needed", "warning", "error"),
    "snapped": ("snapshots", "info", "warning"),
    "untracked": ("cbt-off", "none", "info"),
    "frozen": ("instant-clone-parent", "error", "error"),
    "locked": ("encryption-locked", "error", "error"),
    "diskless": ("no-disks", "error", "error"),
    "lun": ("rdm-physical", "error", "error"),
    "virtual-lun": ("rdm-virtual", "info", "info"),
    "ancient": ("old-disk-format", "error", "error"),
    "independent": ("independent-disk", "warning", "error"),
    "forgetful": ("disk-mode", "warning", "error"),
    "shared-disk": ("multi-writer", "warning", "error"),
    "cluster": ("shared-bus", "warning", "error"),
    "encrypted": ("encrypted", "warning", "warning"),
    "native": ("native-4k", "error", "error"),
    "odd": ("odd-size", "info", "info"),
    "nvme": ("boot-bus", "info", "info"),
    "old": ("no-tracking", "none", "warning"),
    "measured": ("tpm", "warning", "warning"),
    "uefi": ("uefi", "info", "info"),
    "secure": ("secure-boot", "warning", "warning"),
    "guarded": ("vbs", "warning", "warning"),
    "nested": ("nested-virtualization", "info", "info"),
    "passthrough": ("passthrough", "warning", "warning"),
    "vgpu": ("passthrough", "warning", "warning"),
    "sriov": ("passthrough", "warning", "warning"),
    "pmem": ("nvdimm", "error", "error"),
    "stick": ("usb-device", "warning", "warning"),
    "serial": ("ports", "warning", "warning"),
    "cd": ("media", "info", "info"),
    "agent": ("managed", "warning", "warning"),
    "vCLS-1": ("managed", "error", "error"),
    "replicated": ("replicated", "warning", "warning"),
    "settings": ("ovf-environment", "warning", "warning"),
    "tight": ("datastore-room", "none", "error"),
    "large": ("large-disk", "warning", "warning"),
    "linked": ("linked-clone", "warning", "warning"),
}

ON = {"power": "poweredOn"}


def disk(**words):
    return {"disks": [words]}


def extra(**words):
    return {"extra": words}


SPECS = {
    "orphaned": extra(connection="orphaned"), "inaccessible": extra(connection="inaccessible"),
    "suspended": {"power": "suspended"}, "running": ON, "waiting": extra(question="The CD is locked."),
    "toolless": {**ON, "tools": "not-running"}, "mould": {"template": True}, "tolerant": extra(fault_tolerance=True),
    "unconsolidated": extra(consolidation_needed=True), "snapped": extra(snapshots=["before"]), "untracked": {},
    "frozen": extra(instant_clone_frozen=True), "locked": extra(key_id="key-1", crypto_state="locked"),
    "diskless": {"disks": []}, "lun": disk(backing="rdm-physical"), "virtual-lun": disk(backing="rdm-virtual"),
    "ancient": disk(backing="flat-v1"), "independent": disk(mode="independent_persistent"),
    "forgetful": disk(mode="nonpersistent"), "shared-disk": disk(sharing="sharingMultiWriter"),
    "cluster": extra(shared_bus={"pvscsi0": "virtualSharing"}), "encrypted": extra(key_id="key-1"),
    "native": disk(format="native_4k"), "odd": disk(size_bytes=16 * 1024 * 1024 + 512), "nvme": disk(controller="nvme0"),
    "old": {"hw_version": 4}, "measured": extra(tpm=True), "uefi": {"firmware": "efi"},
    "secure": {"firmware": "efi", **extra(efi_secure_boot=True)}, "guarded": extra(vbs=True), "nested": extra(nested_hv=True),
    "passthrough": extra(pci_passthrough=True), "vgpu": extra(vgpu=True), "sriov": {"nics": [{"type": "sriov"}]},
    "pmem": extra(nvdimm=True), "stick": extra(usb=True), "serial": extra(serial="[datastore1] serial/port.txt"),
    "cd": extra(cdrom="[datastore1] iso/debian.iso"), "agent": extra(managed_by="com.example.backup"),
    "vCLS-1": extra(managed_by="com.vmware.vim.eam"), "replicated": extra(hbr=True),
    "settings": extra(ovf_environment=True), "tight": {"datastore": "full"},
    "large": disk(size_mib=3 << 20), "linked": disk(parent="[datastore1] plain/plain.vmdk"),
}
assert set(SPECS) == set(BY_NAME)


def machines():
    made = []
    for name, words in SPECS.items():
        words = dict(words)
        more = dict(words.pop("extra", {}))
        if name not in ("untracked", "snapped", "old", "mould", "lun", "ancient", "orphaned", "inaccessible", "locked"):
            more.setdefault("change_tracking", True)
        made.append({"name": name, **words, "extra": more})
    return [{"name": "plain", "extra": {"change_tracking": True}}, *made]


def run(vmferry, lab, *args):
    done = subprocess.run([vmferry, "check", "--json", *lab.options, lab.url, *args], capture_output=True, text=True,
                          check=False, timeout=300, stdin=subprocess.DEVNULL)
    assert PASSWORD not in done.stdout + done.stderr
    return done, [json.loads(line) for line in done.stdout.splitlines()]


HOSTS = [{"name": "127.0.0.1"}]
STORES = [{"name": "datastore1"}, {"name": "full", "free_gib": 0.5}]


@pytest.fixture(name="site", scope="module")
def whole_site(tmp_path_factory):
    directory = tmp_path_factory.mktemp("lab")
    with serving(directory, site_of(machines(), hosts=HOSTS, datastores=STORES)) as lab:
        yield lab


@pytest.fixture(name="events", scope="module")
def everything(vmferry, site):
    done, events = run(vmferry, site, "--nfc-port", site.nfc_port)
    assert done.returncode == 3, done.stderr
    assert not about(events, "machine", "vCLS-1")    # not unless it is named
    return events


def about(events, kind, machine):
    return [event for event in events if event["type"] == kind and event.get("path", "").endswith(f"/{machine}")]


@pytest.mark.parametrize("name", BY_NAME)
def test_each_condition(vmferry, site, events, name):
    code, cold, warm = BY_NAME[name]
    if name.startswith("vCLS"):
        _, events = run(vmferry, site, name)
    found = [event for event in about(events, "finding", name) if event["code"] == code]
    assert found, about(events, "finding", name)
    assert (found[0]["cold"], found[0]["warm"]) == (cold, warm)
    assert found[0]["what"] and found[0]["cause"] and found[0]["cure"]
    verdict, = about(events, "machine", name)
    assert not (cold == "error" and verdict["cold"]) and not (warm == "error" and verdict["warm"])


def test_a_plain_machine(events):
    """Nothing is said of it but what concerns all: there is no VDDK on the host of the tests."""
    assert about(events, "finding", "plain") == []
    verdict, = about(events, "machine", "plain")
    assert verdict["cold"] and not verdict["blocked"]


def test_the_sums(events):
    result = events[-1]
    verdicts = [event for event in events if event["type"] == "machine"]
    assert result["type"] == "result" and result["ok"] and result["machines"] == len(verdicts) == len(SPECS)
    assert result["blocked"] == sum(verdict["blocked"] for verdict in verdicts) > 0
    for level in ("error", "warning"):
        said = sum(event.get("level") == level for event in events if event["type"] == "finding")
        assert result[f"{level}s"] == said


def test_what_is_documented_is_what_comes(events):
    for kind in ("finding", "machine"):
        example, = [message for message in EXAMPLES["worker"][kind] if "machine" in message]
        for event in events:
            assert event["type"] != kind or set(event) == set(example) | {"at"}


@pytest.mark.parametrize("args, status", [
    (["plain"], 0), (["suspended"], 1), (["plain", "suspended"], 3), (["independent"], 0),
    (["--mode", "warm", "independent"], 1), (["--filter", "pla*"], 0), (["no-such"], 1), (["plain", "no-such"], 3)])
def test_exit_status(vmferry, site, args, status):
    done, events = run(vmferry, site, *args)
    assert done.returncode == status, (done.stderr, events)
    assert (done.stderr == "") == (status == 0)


def test_names_paths_and_uuids(vmferry, site):
    _, events = run(vmferry, site, "plain")
    moref = about(events, "machine", "plain")[0]["machine"]
    for query in [moref, "/DC0/vm/plain", "DC0/vm/plain"]:
        done, events = run(vmferry, site, query)
        assert done.returncode == 0 and about(events, "machine", "plain")[0]["machine"] == moref


def test_for_people(vmferry, site):
    done = subprocess.run([vmferry, "check", *site.options, site.url, "lun", "plain"], capture_output=True, text=True,
                          check=False, timeout=60)
    lines = done.stdout.splitlines()
    assert done.returncode == 3 and "\x1b" not in done.stdout
    at = lines.index("/DC0/vm/lun")
    at = next(i for i in range(at, len(lines)) if lines[i].startswith("  error    scsi0:0: a LUN, mapped raw in physical mode"))
    assert lines[at + 1].strip().startswith("why:") and lines[at + 2].strip().startswith("cure:")
    assert [line for line in lines if line.startswith("/DC0/")] == ["/DC0/vm/lun", "/DC0/vm/plain"]
    assert re.search(r"^  => cannot be migrated as it is \(.*rdm-physical", done.stdout, re.MULTILINE)
    assert "1 of 2 machines cannot be migrated as it is" in done.stderr


def test_room_at_the_target(vmferry, site, tmp_path):
    done, events = run(vmferry, site, "--os", tmp_path, "plain")
    assert done.returncode == 0 and not [event for event in events if event.get("code") == "target-room"]
    done, events = run(vmferry, site, "--os", tmp_path / "none", "plain")
    assert done.returncode == 1 and [event for event in events if event.get("code") == "target-room"]


@pytest.mark.parametrize("transport, warm", [("auto", True), ("vddk", False), ("https", True), ("export", False), ("ssh", False)])
def test_which_transports_are_warm(vmferry, site, tmp_path, transport, warm):
    """VDDK is not there; over HTTPS the rounds of a warm migration can be read as well."""
    done, events = run(vmferry, site, "--mode", "warm", "--it", transport, "--nfc-port", site.nfc_port,
                       "--vddk-libdir", tmp_path, "plain")
    verdict, = about(events, "machine", "plain")
    assert verdict["warm"] == warm and done.returncode == (0 if warm else 1), events


def test_vddk_where_it_is_missing_and_where_it_is(vmferry, site, tmp_path):
    args = ["--mode", "warm", "--nfc-port", site.nfc_port, "--vddk-libdir", tmp_path, "plain"]
    done, events = run(vmferry, site, *args)
    assert done.returncode == 0 and [event["level"] for event in events if event.get("code") == "vddk"] == ["info"]
    done, events = run(vmferry, site, "--it", "vddk", *args)
    assert done.returncode == 1 and [event["level"] for event in events if event.get("code") == "vddk"] == ["error"]
    subprocess.run(["cc", "-shared", "-x", "c", "/dev/null", "-o", tmp_path / "libvixDiskLib.so.8"], check=True)
    done, events = run(vmferry, site, *args)
    assert done.returncode == 0 and [event["type"] for event in events] == ["machine", "result"]
    assert events[0]["warm"] and events[0]["stopped_by"] == []


def test_nothing_is_left_at_the_server(vmferry, site):
    run(vmferry, site, "plain")
    state = site.state()
    assert not state["sessions"] and not state["leases"], state
    assert "ReconfigVM_Task" not in state["calls"] and "CreateSnapshot_Task" not in state["calls"]


def test_each_code_is_in_the_page(events):
    page = (TOP / "docs" / "man" / "vmferry-check.1").read_text().replace("\\-", "-")
    codes = {event["code"] for event in events if event["type"] == "finding"} | {code for code, _, _ in BY_NAME.values()}
    for code in codes:
        assert re.search(rf"(?<![\w-]){code}(?![\w-])", page), code


# ---- around the machines ----

def test_privileges(vmferry, tmp_path):
    site = site_of([{"name": "web01", "extra": {"change_tracking": True}}], hosts=HOSTS)
    site["users"][USER]["privileges"] = ["System.Anonymous", "System.View", "System.Read", "VApp.Export"]
    with serving(tmp_path, site) as lab:
        done, events = run(vmferry, lab, "web01")
        said = [event for event in events if event.get("code") == "privilege"]
        assert done.returncode == 0 and len(said) >= 2
        assert any("Datastore.Browse" in event["what"] for event in said)
        assert any("VirtualMachine.State.CreateSnapshot" in event["what"] and event["warm"] == "error" for event in said)
        done, events = run(vmferry, lab, "--it", "https", "web01")
        assert done.returncode == 1
        assert any(event.get("code") == "privilege" and event["level"] == "error" for event in events)


def test_hosts(vmferry, tmp_path):
    hosts = [{"name": "no-such-host.invalid"}, {"name": "127.0.0.1", "maintenance": True},
             {"name": "localhost", "version": "6.0.0", "build": "3073146"}]
    tracked = {"extra": {"change_tracking": True}}
    site = site_of([{"name": "a", "host": hosts[0]["name"], **tracked}, {"name": "b", "host": hosts[1]["name"], **tracked},
                    {"name": "c", "host": hosts[2]["name"], **tracked}], hosts=hosts)
    with serving(tmp_path, site) as lab:
        done, events = run(vmferry, lab, "--nfc-port", lab.nfc_port)
        by_subject = {(event["subject"], event["code"]) for event in events if event["type"] == "finding"}
        assert {("no-such-host.invalid", "host-name"), ("127.0.0.1", "host-maintenance"), ("localhost", "cbt-bug")} <= by_subject
        assert done.returncode == 0
        verdicts = {event["name"]: event for event in events if event["type"] == "machine"}
        assert all(verdict["cold"] for verdict in verdicts.values())
        assert {name for name, verdict in verdicts.items() if verdict["warm"]} == {"a"}    # over HTTPS vCenter is asked
        done, events = run(vmferry, lab, "--it", "vddk", "--mode", "cold", "--nfc-port", lab.nfc_port,
                           "--vddk-libdir", vmferry.parents[2] / "lab/vddk")
        assert done.returncode == 3     # by VDDK nothing is read of a host that nobody knows, or in maintenance
        assert {event["name"] for event in events if event["type"] == "machine" and event["cold"]} == {"c"}
        done, events = run(vmferry, lab, "--it", "vddk", "--nfc-port", "1", "c")
        assert done.returncode == 1
        assert any(event.get("code") == "host-port" and "refused" in event["what"] for event in events)


def test_a_host_without_a_vcenter(vmferry, tmp_path):
    site = site_of([{"name": "web01"}, {"name": "lun", **disk(backing="rdm-physical")}],
                   site={"free_licence": True}, hosts=["esx1.lab"])
    with serving(tmp_path, site, esxi=True) as lab:
        done, events = run(vmferry, lab, "--nfc-port", lab.nfc_port)
        codes = {event["code"] for event in events if event["type"] == "finding"}
        assert done.returncode == 3, done.stderr
        assert {"free-licence", "rdm-physical"} <= codes and "host-name" not in codes


@pytest.mark.parametrize("rule", [
    {"session": "expire", "after_calls": 5}, {"method": "HasPrivilegeOnEntities", "fault": "HostCommunication"},
    {"http": "/sdk", "status": 503, "times": 2}], ids=json.dumps)
def test_what_can_be_tried_again_is(vmferry, tmp_path, rule):
    with serving(tmp_path, site_of([{"name": "m", "count": 5, "extra": {"change_tracking": True}}], hosts=HOSTS)) as lab:
        lab.add(**rule)
        done, events = run(vmferry, lab)
        assert done.returncode == 0, done.stderr
        assert sum(event["type"] == "machine" for event in events) == 5 and not lab.state()["sessions"]


# ---- when it cannot ask ----

def test_wrong_password(vmferry, site, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.write_text("nonsense-password\n")
    done = subprocess.run([vmferry, "check", "--password-file", wrong, "--thumbprint", site.thumbprint, site.url],
                          capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "nonsense-password" not in done.stderr


def test_another_certificate(vmferry, site):
    done = subprocess.run([vmferry, "check", "--password-file", site.password_file, "--thumbprint", "00" * 32, site.url],
                          capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1 and site.thumbprint.replace(":", "").lower() in done.stderr.replace(":", "").lower()


def test_first_use_is_kept_and_said(vmferry, site, tmp_path):
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}
    command = [vmferry, "check", "--password-file", site.password_file, site.url, "plain"]
    first = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=env)
    assert first.returncode == 0, first.stderr
    assert "warning" in first.stderr and site.thumbprint.lower() in first.stderr.lower()
    second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=env)
    assert (second.returncode, second.stderr) == (0, "")
    known = tmp_path / "state" / "vmferry" / "known_hosts"
    assert known.stat().st_mode & 0o777 == 0o600
    known.write_text(known.read_text().split(" ")[0] + " sha256:" + "0" * 64 + "\n")
    third = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=env)
    assert third.returncode == 1 and "known_hosts" in third.stderr


@pytest.mark.parametrize("args, complaint", [
    ([], "name the vCenter"), (["--mode", "hot"], "--mode hot"), (["--it", "pigeon"], "--it pigeon"),
    (["--nfc-port", "70000"], "65535"), (["vpx://u:secret@vc"], "password"), (["vpx://vc"], "who logs in"),
    (["vpx://u@vc"], "no terminal")])
def test_usage(vmferry, args, complaint):
    done = subprocess.run([vmferry, "check", *args], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
                          start_new_session=True)
    assert (done.returncode, done.stdout) == (2, "") and complaint in done.stderr and "secret" not in done.stderr
