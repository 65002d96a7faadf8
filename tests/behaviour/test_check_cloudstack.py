"""vmferry check --spec against the lab's vCenter and its CloudStack: what a machine would not find there, by its code."""

import json
import os
import re
import subprocess

import pytest

import lab_stack
from places import TOP
from test_protocol import EXAMPLES
from vsphere_scenes import PASSWORD, USER, serving, site_of

pytestmark = pytest.mark.asan

TRACKED = {"change_tracking": True}
MAC = "00:50:56:00:00:07"
MACHINES = [
    {"name": "web01", "vcpus": 2, "memory_mib": 1024, "extra": TRACKED, "nics": [{"mac": MAC}],
     "disks": [{"size_mib": 2048}, {"size_mib": 4096}]},
    {"name": "two-nics", "extra": TRACKED, "nics": [{}, {}], "disks": [{"size_mib": 1024}]},
    {"name": "uefi", "extra": TRACKED, "firmware": "efi", "disks": [{"size_mib": 1024}]},
    {"name": "crumb", "extra": TRACKED, "disks": [{"size_mib": 1024}, {"size_mib": 100}]},
]
CLOUD = {
    "clusters": ["cluster1", "bios", "idle", {"name": "vmw", "hypervisor": "VMware"}],
    "hosts": ["kvm1", {"name": "kvm2", "cluster": "bios", "uefi": False},
              {"name": "kvm3", "cluster": "idle", "state": "Down"}],
    "pools": ["nfs1", {"name": "gfs", "type": "SharedMountPoint"}, {"name": "ceph", "type": "RBD"},
              {"name": "san", "type": "StorPool"}, {"name": "closed", "state": "Maintenance"},
              {"name": "full", "capacity_gib": 10, "used_gib": 10}, {"name": "narrow", "capacity_gib": 10, "used_gib": 5},
              {"name": "elsewhere", "cluster": "bios"}, {"name": "wide", "scope": "ZONE"},
              {"name": "twin"}, {"name": "twin", "id": "00000000-0000-4000-8000-000000000002"}],
    "domains": ["/", "/acme"],
    "accounts": [{"name": "admin", "type": "admin", "api_key": lab_stack.KEY, "secret_key": lab_stack.SECRET},
                 {"name": "bob", "domain": "/acme", "limits": {"volume": 1, "memory": 512}},
                 {"name": "user", "api_key": "user-key", "secret_key": "user-secret"}],
    "networks": ["net1", "net2", {"name": "bobs", "account": "bob"}],
    "service_offerings": [{"name": "small"}, {"name": "big", "cpus": 4, "memory_mib": 4096},
                          {"name": "custom", "custom": True, "max_cpus": 1},
                          {"name": "fast", "cpus": 4, "memory_mib": 4096, "tags": ["ssd"]}],
    "disk_offerings": ["custom-disk", {"name": "three", "size_gib": 3}, {"name": "safe", "encrypt": True}],
}
GOOD = {"zoneid": "zone1", "clusterid": "cluster1", "storageid": "nfs1", "networkid": "net1", "serviceofferingid": "big",
        "diskofferingid": "custom-disk"}

WRONG = [   # (what the spec says otherwise, code, level, words)
    ({"zoneid": "zone9"}, "cloudstack-zone", "error", "there are: zone1"),
    ({"clusterid": "none"}, "cloudstack-cluster", "error", "there are: cluster1, bios, idle, vmw"),
    ({"clusterid": "vmw"}, "cloudstack-cluster", "error", "is of VMware"),
    ({"clusterid": "idle"}, "cloudstack-hosts", "error", "none of its 1 hosts is up"),
    ({"storageid": "nfs9"}, "cloudstack-pool", "error", "there are: nfs1"),
    ({"storageid": "twin"}, "cloudstack-pool", "error", "00000000-0000-4000-8000-000000000002"),
    ({"storageid": "san"}, "cloudstack-pool", "error", "StorPool"),
    ({"storageid": "ceph"}, "cloudstack-pool", "error", "no boot disk"),
    ({"storageid": "closed"}, "cloudstack-pool", "error", "Maintenance"),
    ({"storageid": "elsewhere"}, "cloudstack-pool", "error", "another cluster"),
    ({"storageid": "full"}, "cloudstack-room", "error", "0 B free"),
    ({"storageid": "narrow"}, "cloudstack-room", "warning", "5.00 GiB free; the disks have 6.00 GiB"),
    ({"networkid": "net9"}, "cloudstack-network", "error", "there are: net1, net2"),
    ({"networkid": "bobs"}, "cloudstack-network", "error", "belongs to the account bob"),
    ({"serviceofferingid": "none"}, "cloudstack-offering", "error", "there are: small"),
    ({"serviceofferingid": "small"}, "cloudstack-offering", "warning", "512 MiB of memory, the machine 1024"),
    ({"serviceofferingid": "custom"}, "cloudstack-offering", "error", "0 to 1 CPUs, the machine has 2"),
    ({"serviceofferingid": "fast"}, "cloudstack-tags", "error", "'ssd'"),
    ({"diskofferingid": "none"}, "cloudstack-disk-offering", "error", "there are: custom-disk"),
    ({"diskofferingid": "three"}, "cloudstack-disk-offering", "warning", "3 GiB"),
    ({"diskofferingid": "safe"}, "cloudstack-disk-offering", "error", "encrypted"),
    ({"ostypeid": "CP/M"}, "cloudstack-os-type", "error", "CP/M"),
    ({"boottype": "UEFI", "clusterid": "bios", "storageid": "elsewhere"}, "cloudstack-hosts", "error", "UEFI"),
    ({"account": "bob"}, "cloudstack-owner", "error", "domainid"),
    ({"account": "eve", "domainid": "ROOT/acme"}, "cloudstack-owner", "error", "there are: bob"),
    ({"account": "bob", "domainid": "ROOT/acme"}, "cloudstack-quota", "error", "'bob' may have 1 more volumes"),
    ({"account": "bob", "domainid": "ROOT/acme"}, "cloudstack-quota", "error", "MiB of memory"),
    ({"projectid": "none"}, "cloudstack-owner", "error", "none at all"),
]


class Place:
    """Both labs, a config that names them, and specs."""

    def __init__(self, vmferry, directory, vsphere, cloud):
        self.vmferry, self.dir, self.vsphere, self.cloud = vmferry, directory, vsphere, cloud
        self.home = directory / "home"
        self.config = {
            "vcenter": {"host": f"{vsphere.facts['host']}:{vsphere.facts['port']}", "user": USER, "password": PASSWORD,
                        "tls": {"thumbprint": vsphere.thumbprint}},
            "cloudstack": {"endpoint": cloud.facts["url"], "api_key": lab_stack.KEY, "secret_key": lab_stack.SECRET,
                           "tls": {"ca": cloud.facts["ca"]} if cloud.facts["ca"] else {}}}

    def check(self, *specs, config=None, words=("--json",), **how):
        (self.dir / "config.yaml").write_text(json.dumps(dict(self.config, **(config or {}))))
        (self.dir / "spec.json").write_text(json.dumps({"vms": list(specs)}))
        env = {name: value for name, value in os.environ.items() if not name.startswith(("V2C_", "VC_"))}
        done = subprocess.run([self.vmferry, "check", *words, "--config", self.dir / "config.yaml", "--spec",
                               self.dir / "spec.json"], capture_output=True, text=True, check=False, timeout=120,
                              stdin=subprocess.DEVNULL, cwd=self.dir, env={**env, "XDG_STATE_HOME": str(self.home)}, **how)
        for secret in (PASSWORD, lab_stack.SECRET, lab_stack.KEY):
            assert secret not in done.stdout + done.stderr
        events = [json.loads(line) for line in done.stdout.splitlines()] if "--json" in words else []
        return done, events


def spec(machine="web01", disks=None, target=None, **words):
    return {"vm": {"name": machine}, "migration": {"mode": "cold"}, "source": {"transport": "https"},
            "target": target or {"cloudstack": {**GOOD, **words}}, **({"disks": disks} if disks else {})}


def cloudy(events):
    return [event for event in events if event["type"] == "finding" and event["code"].startswith("cloudstack-")]


def grave(events):
    return [event for event in cloudy(events) if event["level"] != "info"]


@pytest.fixture(name="vsphere", scope="module")
def one_vcenter(tmp_path_factory):
    site = site_of(MACHINES, hosts=[{"name": "127.0.0.1"}])
    with serving(tmp_path_factory.mktemp("vcenter"), site) as lab:
        yield lab


@pytest.fixture(name="cloud", scope="module")
def one_cloud(tmp_path_factory):
    with lab_stack.lab(tmp_path_factory.mktemp("cloud"), CLOUD) as lab:
        yield lab


@pytest.fixture(name="place")
def both(vmferry, tmp_path, vsphere, cloud):
    return Place(vmferry, tmp_path, vsphere, cloud)


def test_all_is_well(place):
    done, events = place.check(spec())
    assert done.returncode == 0, done.stdout
    assert grave(events) == []
    verdict, = [event for event in events if event["type"] == "machine"]
    assert verdict["name"] == "web01" and verdict["cold"] and not verdict["blocked"]
    assert events[-1]["type"] == "result" and events[-1]["machines"] == 1


@pytest.mark.parametrize("words, code, level, text", WRONG)
def test_what_is_wrong(place, words, code, level, text):
    done, events = place.check(spec(**words))
    found = [event for event in cloudy(events) if event["code"] == code and text in event["what"]]
    assert [event["level"] for event in found][:1] == [level], cloudy(events)
    assert found[0]["cause"] and found[0]["cure"] and found[0]["machine"] and found[0]["path"].endswith("/web01")
    example, = [message for message in EXAMPLES["worker"]["finding"] if "machine" in message]
    assert set(found[0]) == set(example) | {"at"}
    assert done.returncode == (1 if level == "error" else 0)
    verdict, = [event for event in events if event["type"] == "machine"]
    assert (code in verdict["stopped_by"]) == (level == "error")


def test_by_uuid(place, cloud):
    ids = cloud.ids
    done, events = place.check(spec(
        zoneid=ids["zone"]["zone1"], clusterid=ids["cluster"]["cluster1"], storageid=ids["pool"]["nfs1"],
        networkid=ids["network"]["net1"], serviceofferingid=ids["serviceoffering"]["big"],
        diskofferingid=ids["diskoffering"]["custom-disk"]))
    assert done.returncode == 0 and grave(events) == [], events
    done, events = place.check(spec(storageid="00000000-0000-4000-8000-00000000dead"))
    assert done.returncode == 1 and "none with this UUID" in grave(events)[0]["what"]


def test_each_disk_has_its_own(place):
    own = {"scsi0:1": {"storageid": "ceph", "diskofferingid": "three"}}
    _, events = place.check(spec(disks=own))
    assert {(event["code"], event["subject"]) for event in grave(events)} == {("cloudstack-disk-offering", "scsi0:1")}
    _, events = place.check(spec(disks={"1": {"storageid": "san"}}))
    assert {(event["code"], event["subject"]) for event in grave(events)} == {("cloudstack-pool", "scsi0:1")}
    _, events = place.check(spec(storageid="wide", disks={"1": {"storageid": "nfs1"}}))
    assert ["copies the disk" in event["what"] for event in grave(events)] == [True]


def test_sizes_that_importVolume_refuses(place):
    done, events = place.check(spec("crumb"))
    assert done.returncode == 1 and [event["code"] for event in grave(events)] == ["cloudstack-disk-offering"]
    assert "custom.diskoffering.size.min" in grave(events)[0]["what"]


def test_firmware_of_the_source(place):
    _, events = place.check(spec("uefi"))
    assert grave(events) == []
    _, events = place.check(spec("uefi", clusterid="bios", storageid="elsewhere"))
    assert "cloudstack-hosts" in [event["code"] for event in grave(events)]


def test_networks_of_several_cards(place):
    _, events = place.check(spec("two-nics"))
    assert [event["code"] for event in grave(events)] == ["cloudstack-nic"]
    cards = {"4000": {"networkid": "net1"}, "4001": {"networkid": "net2"}}
    _, events = place.check(spec("two-nics", nic_mappings=cards))
    assert grave(events) == []
    cards["4001"] = {"networkid": "net1"}
    _, events = place.check(spec("two-nics", nic_mappings=cards))
    assert [(event["code"], event["level"], event["subject"]) for event in grave(events)] == [
        ("cloudstack-network", "error", "ethernet 4001")]


def test_an_address_that_is_taken(place, cloud):
    client = cloud.client()
    cloud.image("other.qcow2")
    other = client.adopt(cloud, "other.qcow2", name="other")
    client.job("addNicToVirtualMachine", virtualmachineid=other["id"], networkid=cloud.ids["network"]["net2"], macaddress=MAC)
    done, events = place.check(spec(networkid="net2"))
    assert done.returncode == 1
    assert [(event["code"], "other" in event["what"]) for event in grave(events)] == [("cloudstack-mac", True)]
    done, events = place.check(spec(networkid="net2", preserve_mac=False))
    assert done.returncode == 0 and cloudy(events) == []


def test_machines_that_fit_alone_only(place):
    one, two = spec(storageid="narrow"), spec("crumb", storageid="narrow", diskofferingid=None)
    one["disks"] = two["disks"] = {"1": {"storageid": "nfs1"}}
    many = [dict(one), dict(two), spec("two-nics", storageid="narrow"), spec("uefi", storageid="narrow")]
    _, events = place.check(one)
    assert [event["code"] for event in grave(events)] == []
    _, events = place.check(*many, config={})
    sums = [event for event in grave(events) if event["code"] == "cloudstack-room"]
    assert sums == []    # 2 + 1 + 1 + 1 GiB are just what there is
    many[0] = spec(storageid="narrow", disks={"1": {"storageid": "narrow"}})
    many[0]["disks"]["0"] = {"storageid": "nfs1"}
    _, events = place.check(*many)
    sums = [event for event in grave(events) if event["code"] == "cloudstack-room"]
    assert [(event["machine"], "all 4 machines" in event["what"]) for event in sums] == [(None, True)]


def test_specs_of_several_ways(place, tmp_path):
    done, events = place.check(spec(), spec("uefi", zoneid="zone9"), spec("crumb", target={"files": {"directory": str(tmp_path)}}))
    assert done.returncode == 3
    verdicts = {event["name"]: event["blocked"] for event in events if event["type"] == "machine"}
    assert verdicts == {"web01": False, "uefi": True, "crumb": False}
    assert [event["type"] for event in events].count("result") == 1 and events[-1]["machines"] == 3
    _, events = place.check(spec("crumb", target={"files": {"directory": str(tmp_path / "none")}}))
    assert "target-room" in [event.get("code") for event in events]


# ---- the server ----

def test_keys_that_are_refused(place):
    cloudstack = dict(place.config["cloudstack"], secret_key="another")
    done, events = place.check(spec(), config={"cloudstack": cloudstack})
    said, = grave(events)
    assert done.returncode == 1 and said["code"] == "cloudstack-api" and said["machine"] is None
    assert "secret_key" in said["what"] and "listCapabilities" in said["what"]
    verdict, = [event for event in events if event["type"] == "machine"]
    assert verdict["blocked"] and "cloudstack-api" in verdict["stopped_by"]


def test_no_key_and_no_cloud(place):
    done, events = place.check(spec(), config={"cloudstack": {"endpoint": place.cloud.facts["url"]}})
    assert done.returncode == 1 and "api_key" in grave(events)[0]["what"]
    done, events = place.check(spec(), config={"cloudstack": {}})
    assert done.returncode == 1 and "names no CloudStack" in grave(events)[0]["what"]


def test_a_user_is_no_root_admin(place):
    cloudstack = dict(place.config["cloudstack"], api_key="user-key", secret_key="user-secret")
    done, events = place.check(spec(), config={"cloudstack": cloudstack})
    assert done.returncode == 1 and grave(events)[0]["code"] == "cloudstack-import"
    assert "root admin" in grave(events)[0]["cause"]


def test_certificates(place, cloud):
    cloudstack = dict(place.config["cloudstack"], tls={"thumbprint": cloud.facts["thumbprint_sha256"]})
    done, events = place.check(spec(), config={"cloudstack": cloudstack})
    assert done.returncode == 0 and grave(events) == []
    cloudstack["tls"] = {"thumbprint": "AA:" * 31 + "AA"}
    done, events = place.check(spec(), config={"cloudstack": cloudstack})
    assert done.returncode == 1 and cloud.facts["thumbprint_sha256"] in grave(events)[0]["what"]
    cloudstack["tls"] = {}    # none was named: kept at its first use
    done, events = place.check(spec(), config={"cloudstack": cloudstack})
    assert done.returncode == 0 and grave(events) == []
    assert str(cloud.facts["port"]) in (place.home / "vmferry" / "known_hosts").read_text()


def test_what_passes_is_tried_again(place, cloud):
    before = cloud.state()
    cloud.add(call="listZones", code=503, text="Maintenance")
    cloud.add(call="listClusters", action="cut")
    cloud.add(call="listHosts", action="chunked")
    done, events = place.check(spec())
    assert done.returncode == 0 and grave(events) == []
    assert before.keys() == cloud.state().keys()


def test_errors_of_the_server_are_findings(place, cloud):
    cloud.add(call="listStoragePools", code=530, text="the database is tired")
    done, events = place.check(spec())
    assert done.returncode == 1
    assert ["the database is tired" in event["what"] for event in grave(events)] == [True]


def test_without_encryption_and_with_small_pages(vmferry, tmp_path, vsphere):
    site = {"settings": {"default.page.size": "2", "enforce.post.requests.and.timestamps": "true"},
            "networks": [f"net{number}" for number in range(1, 8)]}
    (tmp_path / "cloud").mkdir()
    with lab_stack.lab(tmp_path / "cloud", site, "--plain") as cloud:
        place = Place(vmferry, tmp_path, vsphere, cloud)
        done, events = place.check(spec(serviceofferingid="custom", networkid="net7"))
        assert done.returncode == 0 and [event["code"] for event in grave(events)] == ["cloudstack-plain"]


@pytest.mark.parametrize("release, codes", [("4.19", ["cloudstack-pool"]), ("4.22.1", [])])
def test_releases(vmferry, tmp_path, vsphere, release, codes):
    (tmp_path / "cloud").mkdir()
    site = {"release": release, "pools": [{"name": "gfs", "type": "SharedMountPoint"}]}
    with lab_stack.lab(tmp_path / "cloud", site) as cloud:
        place = Place(vmferry, tmp_path, vsphere, cloud)
        _, events = place.check(spec("uefi", storageid="gfs", serviceofferingid="custom"))
        assert [event["code"] for event in grave(events)] == codes


# ---- for people ----

def test_words(place):
    done, _ = place.check(spec(clusterid="idle"), words=())
    lines = done.stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if "cluster 'idle': none of its 1 hosts is up and enabled" in line)
    assert lines[at].startswith("  error") and lines[at + 1].strip().startswith("why:")
    assert lines[at + 2].strip().startswith("cure:")
    assert done.returncode == 1 and "cannot be migrated as it is" in done.stderr


@pytest.mark.parametrize("words", [
    ["--spec", "x.yaml", "vpx://u@vc"], ["--spec", "x.yaml", "--filter", "web*"], ["--spec", "x.yaml", "--server", "vc"],
    ["--spec", "x.yaml", "--ca", "ca.pem"], ["--config", "config.yaml", "vpx://u@vc"], ["--lenient", "vpx://u@vc"]])
def test_what_does_not_go_together(vmferry, words):
    done = subprocess.run([vmferry, "check", *words], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2 and "--spec" in done.stderr


def test_each_code_is_in_the_page():
    page = (TOP / "docs" / "man" / "vmferry-check.1").read_text().replace("\\-", "-")
    source = (TOP / "src" / "engine" / "check-cloudstack.c").read_text()
    codes = set(re.findall(r'"(cloudstack-[a-z-]+)"', source))
    assert len(codes) == 18
    for code in codes:
        assert re.search(rf"(?<![\w-]){code}(?![\w-])", page), code
