"""lab/cloudstack completes, starts and takes away what was imported: volumes, interfaces, details, tags, files."""

import os
import subprocess
import xml.etree.ElementTree as ET

import pytest

import lab_stack
from lab_stack import GIB, refused

ADMIN = {"name": "admin", "type": "admin", "api_key": lab_stack.KEY, "secret_key": lab_stack.SECRET}
SITE = {
    "domains": ["/", "/acme"], "accounts": [ADMIN, {"name": "acme", "domain": "/acme"}],
    "clusters": ["cluster1", "cluster2"],
    "hosts": ["kvm1", {"name": "kvm2", "cluster": "cluster2", "uefi": False, "memory_mib": 1024}],
    "pools": ["nfs1", {"name": "zone", "scope": "ZONE"}, {"name": "other", "cluster": "cluster2"}],
    "networks": ["net1", {"name": "lan", "cidr": "10.9.0.0/24"}, {"name": "l2", "type": "L2"},
                 {"name": "shared", "type": "Shared", "cidr": "192.0.2.0/24", "range": ["192.0.2.10", "192.0.2.20"]}]}


@pytest.fixture
def lab(tmp_path):
    with lab_stack.lab(tmp_path, SITE, "--plain") as running:
        yield running


@pytest.fixture
def client(lab):
    return lab.client()


@pytest.fixture
def machine(lab, client):
    lab.image("root.qcow2")
    return client.adopt(lab, "root.qcow2", details={"rootDiskController": "virtio", "nicAdapter": "virtio"})


def volume(lab, client, name, pool="nfs1", **owner):
    lab.image(name, pool=pool)
    return client.job("importVolume", path=name, storageid=lab.ids["pool"][pool], **owner)["volume"]["id"]


# Volumes.


def test_attaches_in_order_and_leaves_out_the_cdrom(lab, client, machine):
    ids = [volume(lab, client, f"{number}.qcow2") for number in range(7)]
    made = [client.job("attachVolume", id=key, virtualmachineid=machine["id"])["volume"] for key in ids[:6]]
    assert [item["deviceid"] for item in made] == [2, 4, 5, 6, 7, 8]
    assert {item["virtualmachineid"] for item in made} == {machine["id"]} and all(item["attached"] for item in made)
    with refused(530, "maximum number of data disks (6)"):
        client.job("attachVolume", id=ids[6], virtualmachineid=machine["id"])
    gone = client.job("detachVolume", virtualmachineid=machine["id"], deviceid=4)["volume"]
    assert gone["id"] == ids[1] and "virtualmachineid" not in gone
    assert client.job("attachVolume", id=ids[6], virtualmachineid=machine["id"])["volume"]["deviceid"] == 4
    assert lab.state()["moves"] == []


def test_attaches_where_it_is_told_to(lab, client, machine):
    data, second = volume(lab, client, "a.qcow2"), volume(lab, client, "b.qcow2")
    for number in (0, 1, 3):
        with refused(530, "root volume" if number == 0 else f"deviceId {number}"):
            client.job("attachVolume", id=data, virtualmachineid=machine["id"], deviceid=number)
    assert client.job("attachVolume", id=data, virtualmachineid=machine["id"], deviceid=9)["volume"]["deviceid"] == 9
    with refused(530, "deviceId 9"):
        client.job("attachVolume", id=second, virtualmachineid=machine["id"], deviceid=9)
    with refused(530, "not attached to any VM"):
        client.job("attachVolume", id=data, virtualmachineid=machine["id"])
    with refused(530, "is attached to VM"):
        client.job("unmanageVolume", id=data)
    with refused(431, "not attached to any VM"):
        client.call("deleteVolume", id=data)


def test_attaches_to_its_owner_only(lab, client, machine):
    foreign = volume(lab, client, "a.qcow2", account="acme", domainid=lab.ids["domain"]["/acme"])
    with refused(530, "same owner"):
        client.job("attachVolume", id=foreign, virtualmachineid=machine["id"])
    own = volume(lab, client, "b.qcow2")
    lab.event("machine", machine="web01", state="Migrating")
    with refused(530, "either running or stopped"):
        client.job("attachVolume", id=own, virtualmachineid=machine["id"])


def test_a_disk_in_another_pool_is_copied(lab, client):
    lab.image("root.qcow2", pool="zone")
    made = client.adopt(lab, "root.qcow2", storageid=lab.ids["pool"]["zone"])
    data = volume(lab, client, "a.qcow2")
    moved = client.job("attachVolume", id=data, virtualmachineid=made["id"])["volume"]
    state = lab.state()
    assert state["moves"] == [{"volume": data, "from": "nfs1", "to": "zone"}] and moved["path"] != "a.qcow2"
    assert state["files"]["nfs1"] == [] and moved["path"] in state["files"]["zone"]
    client.job("startVirtualMachine", id=made["id"], hostid=lab.ids["host"]["kvm1"])
    near = client.job("attachVolume", id=volume(lab, client, "b.qcow2"), virtualmachineid=made["id"])["volume"]
    assert near["path"] == "b.qcow2"            # it ran where that pool is: nothing to copy


def test_forgets_or_deletes(lab, client, machine):
    first, second, third = (volume(lab, client, name) for name in ("a.qcow2", "b.qcow2", "c.qcow2"))
    client.job("attachVolume", id=first, virtualmachineid=machine["id"])
    client.job("detachVolume", id=first)
    assert client.job("unmanageVolume", id=first) == {"success": True}
    assert client.call("deleteVolume", id=second) == {"success": True}
    client.job("destroyVolume", id=third, expunge=True)
    assert lab.state()["files"]["nfs1"] == ["a.qcow2", "root.qcow2"]
    (row,) = client.rows("listVolumesForImport", storageid=lab.ids["pool"]["nfs1"])
    assert row["path"] == "a.qcow2"
    assert client.rows("listVolumes", id=first) == []      # known for ever, and no more there
    with refused(530, "Unable to find a volume"):
        client.job("attachVolume", id=first, virtualmachineid=machine["id"])


# Interfaces.


def add(lab, client, machine, network, **args):
    made = client.job("addNicToVirtualMachine", virtualmachineid=machine["id"], networkid=lab.ids["network"][network],
                      **args)
    return made["virtualmachine"]["nic"][-1]


def test_adds_interfaces(lab, client, machine):
    mac = "00:50:56:aa:bb:cc"
    nic = add(lab, client, machine, "lan", macaddress=mac.upper(), ipaddress="10.9.0.77")
    assert (nic["macaddress"], nic["ipaddress"], nic["isdefault"], nic["deviceid"]) == (mac, "10.9.0.77", False, "1")
    with refused(530, "A NIC already exists for VM"):
        add(lab, client, machine, "lan")
    assert "ipaddress" not in add(lab, client, machine, "l2")
    replaced = add(lab, client, machine, "shared", macaddress="00:50:56:aa")
    assert replaced["macaddress"].startswith("02:01:00:") and replaced["ipaddress"] == "192.0.2.10"
    assert len(client.rows("listNics", virtualmachineid=machine["id"])) == 4


def test_refuses_addresses_that_are_taken_or_outside(lab, client, machine):
    lab.image("b.qcow2")
    other = client.adopt(lab, "b.qcow2", "web02")
    add(lab, client, other, "lan", macaddress="00:50:56:aa:bb:cc", ipaddress="10.9.0.77")
    for network, words, text in (("lan", {"macaddress": "00:50:56:AA:BB:CC"}, "A NIC with this MAC address exists"),
                                 ("lan", {"ipaddress": "10.9.0.77"}, "not available in network"),
                                 ("lan", {"ipaddress": "10.8.0.1"}, "not available in network"),
                                 ("lan", {"ipaddress": "10.9.0.1"}, "not available in network"),
                                 ("shared", {"ipaddress": "192.0.2.9"}, "not available in network"),
                                 ("lan", {"ipaddress": "ten"}, "Invalid format for IP address")):
        with refused(530, text):
            add(lab, client, machine, network, **words)
    assert len(client.rows("listNics", virtualmachineid=machine["id"])) == 1


def test_the_default_interface_stays(lab, client, machine):
    """As a migration does it that wants its own MAC: a provisional interface that is replaced."""
    provisional, words = machine["nic"][0]["id"], {"virtualmachineid": machine["id"]}
    real = add(lab, client, machine, "lan", macaddress="00:50:56:aa:bb:cc")["id"]
    with refused(530, "NIC is default"):
        client.job("removeNicFromVirtualMachine", nicid=provisional, **words)
    client.job("updateDefaultNicForVirtualMachine", nicid=real, **words)
    left = client.job("removeNicFromVirtualMachine", nicid=provisional, **words)["virtualmachine"]["nic"]
    assert [(nic["id"], nic["isdefault"]) for nic in left] == [(real, True)]


# Details and tags.


def test_details_replace_all_that_there_were(lab, client, machine):
    debian = lab.ids["ostype"]["Debian GNU/Linux 12 (64-bit)"]
    made = client.call("updateVirtualMachine", id=machine["id"], displayname="Web", ostypeid=debian, haenable=True,
                       details={"UEFI": "LEGACY"})["virtualmachine"]
    assert made["details"] == {"UEFI": "LEGACY"} and made["displayname"] == "Web" and made["haenable"]
    assert made["osdisplayname"] == "Debian GNU/Linux 12 (64-bit)" and made["boottype"] == "UEFI"
    same = client.call("updateVirtualMachine", id=machine["id"], displayname="Web 2")["virtualmachine"]
    assert same["details"] == {"UEFI": "LEGACY"}
    client.job("startVirtualMachine", id=machine["id"])
    with refused(431, "it is not stopped"):
        client.call("updateVirtualMachine", id=machine["id"], ostypeid=lab.ids["ostype"]["Rocky Linux 9"])


def test_tags(lab, client, machine):
    data = volume(lab, client, "a.qcow2")
    tags = [{"key": "migration", "value": "7"}, {"key": "moref", "value": "vm-1"}]
    client.job("createTags", resourceids=machine["id"], resourcetype="UserVm", tags=tags)
    client.job("createTags", resourceids=data, resourcetype="Volume", tags=tags[:1])
    assert [row["name"] for row in client.rows("listVirtualMachines", tags=tags)] == ["web01"]
    assert not client.rows("listVirtualMachines", tags=[{"key": "migration", "value": "8"}])
    assert [row["id"] for row in client.rows("listVolumes", tags=tags[:1])] == [data]
    assert len(client.rows("listTags", key="migration")) == 2
    with refused(530, "already on"):
        client.job("createTags", resourceids=machine["id"], resourcetype="UserVm", tags=tags[:1])
    client.job("deleteTags", resourceids=machine["id"], resourcetype="UserVm", tags=tags[1:])
    assert [row["key"] for row in client.rows("listTags", resourceid=machine["id"])] == ["migration"]
    with refused(530, "Unable to find resource by uuid"):
        client.job("createTags", resourceids=data, resourcetype="UserVm", tags=tags)


# The end of a machine.


def test_expunging_deletes_the_file(lab, client, machine):
    data, doomed = volume(lab, client, "a.qcow2"), volume(lab, client, "b.qcow2")
    for key in (data, doomed):
        client.job("attachVolume", id=key, virtualmachineid=machine["id"])
    with refused(530, "Please destroy vm"):
        client.job("expungeVirtualMachine", id=machine["id"])
    client.job("destroyVirtualMachine", id=machine["id"], expunge=True, volumeids=doomed)
    state = lab.state()
    assert state["machines"] == {} and state["files"]["nfs1"] == ["a.qcow2"]
    assert [(item["path"], item["machine"]) for item in state["volumes"].values()] == [("a.qcow2", None)]
    assert client.rows("listVirtualMachines", id=machine["id"]) == []
    with pytest.raises(lab_stack.Refused) as caught:
        client.call("updateVirtualMachine", id=machine["id"], displayname="gone")
    answer = caught.value.body["updatevirtualmachineresponse"]
    assert (answer["errorcode"], answer["cserrorcode"]) == (431, 4350)
    assert answer["uuidList"] == [{"uuid": machine["id"], "description": "vmId"}]


def test_destroyed_is_not_gone(lab, client, machine):
    client.job("destroyVirtualMachine", id=machine["id"])
    assert lab.state()["files"]["nfs1"] == ["root.qcow2"]
    assert client.call("recoverVirtualMachine", id=machine["id"])["virtualmachine"]["state"] == "Stopped"
    client.job("destroyVirtualMachine", id=machine["id"])
    client.job("expungeVirtualMachine", id=machine["id"])
    assert lab.state()["files"]["nfs1"] == []


def test_unmanaging_keeps_the_file(lab, client, machine):
    with refused(530, "Cannot find a host"):    # it never ran
        client.job("unmanageVirtualMachine", id=machine["id"])
    assert client.job("unmanageVirtualMachine", id=machine["id"], hostid=lab.ids["host"]["kvm1"])["success"]
    assert lab.state()["machines"] == {} and lab.state()["files"]["nfs1"] == ["root.qcow2"]
    assert client.adopt(lab, "root.qcow2")["state"] == "Stopped"


# Starting.


def started(lab, client, machine, **args):
    """The domain of a machine that was started."""
    assert client.job("startVirtualMachine", id=machine["id"], **args)["virtualmachine"]["state"] == "Running"
    return lab.state()["machines"][machine["name"]]["domain"]


def test_starts_and_says_how(lab, client, machine):
    data = volume(lab, client, "a.qcow2")
    client.job("attachVolume", id=data, virtualmachineid=machine["id"])
    path = started(lab, client, machine)
    subprocess.run(["virt-xml-validate", path, "domain"], check=True, stdout=subprocess.DEVNULL)
    domain = ET.parse(path)
    disks = [(disk.find("source").get("file"), disk.find("target").get("dev"), disk.find("driver").get("type"))
             for disk in domain.iter("disk")]
    pool = lab.facts["pools"]["nfs1"]
    assert disks == [(f"{pool}/root.qcow2", "vdb", "qcow2"), (f"{pool}/a.qcow2", "vdc", "qcow2")]
    assert domain.findall(".//serial")[1].text == data.replace("-", "")[:20]
    assert domain.find(".//interface/mac").get("address") == machine["nic"][0]["macaddress"]
    (host,) = client.rows("listHosts", virtualmachineid=machine["id"])
    assert host["memoryallocated"] == 512 << 20
    assert client.job("stopVirtualMachine", id=machine["id"])["virtualmachine"]["state"] == "Stopped"


RULES = (   # release, OS, details, (machine, root bus, data bus, model of the interface)
    ("4.22.1", "Other Linux (64-bit)", {}, ("pc", "ide", "virtio", "e1000")),
    ("4.22.0", None, {}, ("pc", "virtio", "virtio", "virtio")),      # its dummy template is a CentOS
    ("4.22.1", "Other Linux (64-bit)", {"UEFI": "LEGACY"}, ("q35", "sata", "virtio", "e1000")),
    ("4.22.1", "Debian GNU/Linux 12 (64-bit)", {}, ("pc", "virtio", "virtio", "virtio")),
    ("4.22.1", "Debian GNU/Linux 12 (64-bit)", {"rootDiskController": "scsi", "nicAdapter": "rtl8139"},
     ("pc", "scsi", "scsi", "rtl8139")),
    ("4.22.1", "Other PV Virtio-SCSI (64-bit)", {}, ("pc", "scsi", "scsi", "virtio")),
    ("4.22.1", "Debian GNU/Linux 12 (64-bit)", {"dataDiskController": "sata"}, ("pc", "virtio", "sata", "virtio")),
    ("4.22.1", "Debian GNU/Linux 12 (64-bit)", {"UEFI": "SECURE", "rootDiskController": "sata"},
     ("q35", "virtio", "virtio", "virtio")),
    ("4.22.1", "Windows Server 2022 (64-bit)", {"UEFI": "SECURE", "rootDiskController": "virtio"},
     ("q35", "sata", "sata", "e1000")),
    ("4.22.1", "Windows Server 2022 (64-bit)", {"UEFI": "LEGACY", "rootDiskController": "scsi",
                                                "dataDiskController": "sata"},
     ("q35", "scsi", "scsi", "e1000")),
    ("4.22.1", "Windows 10 (64-bit)", {"UEFI": "SECURE", "rootDiskController": "virtio",
                                       "skip.force.disk.controller": "true"},
     ("q35", "virtio", "virtio", "e1000")),
    ("4.22.0", "Windows 10 (64-bit)", {"UEFI": "SECURE", "rootDiskController": "virtio",
                                       "skip.force.disk.controller": "true"},
     ("q35", "sata", "sata", "e1000")))


@pytest.mark.parametrize("release, system, details, wanted", RULES)
def test_controllers_follow_the_rules(tmp_path, release, system, details, wanted):
    with lab_stack.lab(tmp_path, dict(SITE, release=release), "--plain") as lab:
        client = lab.client()
        lab.image("root.qcow2")
        machine = client.adopt(lab, "root.qcow2", details=details)
        if system:
            client.call("updateVirtualMachine", id=machine["id"], ostypeid=lab.ids["ostype"][system])
        client.job("attachVolume", id=volume(lab, client, "a.qcow2"), virtualmachineid=machine["id"])
        path = started(lab, client, machine)
        subprocess.run(["virt-xml-validate", path, "domain"], check=True, stdout=subprocess.DEVNULL)
        domain = ET.parse(path)
        root, data = (disk.find("target").get("bus") for disk in domain.iter("disk"))
        assert (domain.find("os/type").get("machine"), root, data,
                domain.find(".//interface/model").get("type")) == wanted
        loader = domain.find("os/loader")
        assert (loader is not None) == ("UEFI" in details)
        assert loader is None or loader.get("secure") == ("yes" if details["UEFI"] == "SECURE" else "no")


def test_starts_where_there_is_room_and_firmware(lab, client):
    lab.image("root.qcow2", pool="other")
    lab.image("b.qcow2", pool="other")
    made = client.adopt(lab, "root.qcow2", storageid=lab.ids["pool"]["other"], details={"UEFI": "LEGACY"})
    with refused(533, "Unable to create a deployment"):     # its pool's only host has no UEFI
        client.job("startVirtualMachine", id=made["id"])
    lab.event("host", host="kvm2", uefi=True)
    started(lab, client, made)
    with refused(530, "already running"):
        client.job("startVirtualMachine", id=made["id"])
    second = client.adopt(lab, "b.qcow2", "web02", storageid=lab.ids["pool"]["other"])
    lab.event("host", host="kvm2", resource_state="Maintenance")
    with refused(533, "Unable to create a deployment"):
        client.job("startVirtualMachine", id=second["id"])
    assert lab.state()["machines"]["web02"]["state"] == "Stopped"


def test_a_host_fills_up(lab, client):
    made = []
    for name in ("a", "b", "c"):
        lab.image(name, pool="other")
        made.append(client.adopt(lab, name, name, storageid=lab.ids["pool"]["other"]))
    for machine in made[:2]:
        started(lab, client, machine)           # 512 MiB each, of 1024
    with refused(533, "Unable to create a deployment"):
        client.job("startVirtualMachine", id=made[2]["id"])
    client.job("stopVirtualMachine", id=made[0]["id"])
    started(lab, client, made[2])


@pytest.mark.parametrize("spoil", ("gone", "raw", "cut", "corrupt"))
def test_does_not_start_what_does_not_open(lab, client, machine, spoil):
    path = f"{lab.facts['pools']['nfs1']}/root.qcow2"
    if spoil == "gone":
        os.unlink(path)
    elif spoil == "cut":
        os.truncate(path, 4096)
    else:
        with open(path, "r+b") as file:
            file.seek(0 if spoil == "raw" else 79)
            file.write(b"none" if spoil == "raw" else b"\2")
    with refused(530, "Unable to start a VM"):
        client.job("startVirtualMachine", id=machine["id"])
    assert lab.state()["machines"]["web01"] == dict(lab.state()["machines"]["web01"], state="Stopped", host=None,
                                                    domain=None)


def test_a_raw_file_is_taken_and_does_not_start(lab, client, machine):
    lab.image("raw", GIB, "raw")
    data = client.job("importVolume", path="raw", storageid=lab.ids["pool"]["nfs1"])["volume"]["id"]
    client.job("attachVolume", id=data, virtualmachineid=machine["id"])
    with refused(530, "Image is not in qcow2 format"):
        client.job("startVirtualMachine", id=machine["id"])
