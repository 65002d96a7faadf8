"""lab/cloudstack takes over images as the product does, and refuses what it refuses: importVm, importVolume."""

import os
import socket
import struct
import subprocess

import pytest

import lab_stack
from lab_stack import GIB, MIB, POLL, refused

ACME = {"name": "acme", "domain": "/acme", "api_key": "acme-key", "secret_key": "acme-secret",
        "limits": {"user_vm": 1, "volume": 2, "primary_storage": 5}}
ADMIN = {"name": "admin", "type": "admin", "api_key": lab_stack.KEY, "secret_key": lab_stack.SECRET}
SITE = {
    "domains": ["/", "/acme"], "accounts": [ADMIN, ACME], "projects": [{"name": "move", "domain": "/acme"}],
    "hosts": ["kvm1", {"name": "kvm2", "cpus": 1, "memory_mib": 256}],
    "pools": ["nfs1", {"name": "ssd", "tags": ["ssd"]}, {"name": "gfs", "type": "SharedMountPoint"},
              {"name": "rbd", "type": "RBD"}, {"name": "local", "type": "Filesystem", "scope": "HOST"},
              {"name": "full", "used_gib": 1000}, {"name": "down", "state": "Maintenance"},
              {"name": "san", "type": "StorPool"}],
    "networks": ["net1", {"name": "acme-net", "account": "acme"}, {"name": "l2", "type": "L2"},
                 {"name": "tiny", "type": "Shared", "cidr": "192.0.2.0/24", "range": ["192.0.2.10", "192.0.2.10"]}],
    "service_offerings": ["small", {"name": "free", "custom": True, "min_cpus": 2, "max_cpus": 4},
                          {"name": "fast", "tags": ["ssd"]}, {"name": "near", "storage": "local"},
                          {"name": "huge", "memory_mib": 1 << 20}, {"name": "gone", "state": "Inactive"}],
    "disk_offerings": ["any", {"name": "ten", "size_gib": 10}, {"name": "fast", "tags": ["ssd"]},
                       {"name": "near", "storage": "local"}, {"name": "crypt", "encrypt": True}]}


@pytest.fixture
def lab(tmp_path):
    with lab_stack.lab(tmp_path, SITE, "--plain") as running:
        yield running


@pytest.fixture
def client(lab):
    return lab.client()


def release(tmp_path, name):
    return lab_stack.lab(tmp_path, dict(SITE, release=name), "--plain")


def names(lab, client, pool="nfs1"):
    """What a pool offers for import."""
    return [row["name"] for row in client.rows("listVolumesForImport", storageid=lab.ids["pool"][pool])]


# importVm.


def test_adopts_an_image(lab, client):
    path = lab.image("a.qcow2", 3 * GIB + 512)
    before = os.stat(path)
    details = {"rootDiskController": "virtio", "UEFI": "SECURE", "cpu.corespersocket": "2"}
    made = client.adopt(lab, "a.qcow2", displayname="Web 01 (\u00e9)", details=details)
    assert (made["state"], made["name"], made["displayname"]) == ("Stopped", "web01", "Web 01 (\u00e9)")
    assert made["details"] == details and (made["boottype"], made["bootmode"]) == ("UEFI", "SECURE")
    (nic,) = made["nic"]
    assert nic["ipaddress"] == "10.1.1.2" and nic["isdefault"] and nic["macaddress"].startswith("02:01:00:")
    assert client.rows("listVirtualMachines", id=made["id"]) == [made]
    (root,) = client.rows("listVolumes", virtualmachineid=made["id"], type="ROOT")
    assert (root["path"], root["size"], root["deviceid"]) == ("a.qcow2", 3 * GIB + 512, 1)
    assert os.stat(path) == before or os.stat(path).st_mtime == before.st_mtime


@pytest.mark.parametrize("change, code, text", (
    ({"importsource": "tape"}, 530, "Invalid import source"), ({"hypervisor": "XenServer"}, 530, "not supported"),
    ({"diskpath": None}, 530, "Disk Path is required"), ({"networkid": None}, 530, "Network is required"),
    ({"storageid": None}, 530, "Storage Pool is required"), ({"importsource": "LOCAL"}, 530, "Host is required"),
    ({"name": "web_01"}, 530, "valid hostname"), ({"name": "1web"}, 530, "valid hostname"),
    ({"name": "x" * 64}, 530, "valid hostname"), ({"hostname": "-a"}, 431, "Invalid VM hostname"),
    ({"diskpath": "none.qcow2"}, 530, "Disk not found or is invalid"), ({"account": "acme"}, 530, "must be specified"),
    ({"domainid": "/acme"}, 530, "must be specified"), ({"networkid": "acme-net"}, 530, "permission denied"),
    ({"serviceofferingid": "free"}, 530, "Detail 'cpuNumber' must be provided"),
    ({"serviceofferingid": "free", "details": {"cpuNumber": 2}}, 530, "Detail 'memory' must be provided"),
    ({"serviceofferingid": "free", "details": {"cpuNumber": 5, "memory": 512}}, 530, "between 2 and 4"),
    ({"serviceofferingid": "free", "details": {"cpuNumber": "two", "memory": 512}}, 530, "For input string"),
    ({"serviceofferingid": "fast"}, 530, "storage tags are not compatible"),
    ({"serviceofferingid": "huge"}, 530, "Suitable deployment destination not found"),
    ({"serviceofferingid": "near"}, 530, "Suitable deployment destination not found"),
    ({"serviceofferingid": "gone"}, 530, "not active"),
    ({"storageid": "full", "diskpath": "f.qcow2"}, 530, "Suitable deployment destination not found"),
    ({"storageid": "down"}, 530, "Suitable deployment destination not found"),
    ({"storageid": "rbd"}, 530, "Disk not found or is invalid"),
    ({"storageid": "san"}, 530, "Disk not found or is invalid"),
    ({"importsource": "vmware"}, 431, "Please set all the information for a vCenter"),
    ({"importsource": "external"}, 530, "not found on the source")))
def test_refuses_and_leaves_no_record(lab, client, change, code, text):
    for pool in ("nfs1", "full", "san"):
        lab.image("a.qcow2", pool=pool)
    lab.image("f.qcow2", pool="full")
    kinds = {"networkid": "network", "storageid": "pool", "serviceofferingid": "serviceoffering", "domainid": "domain"}
    change = {key: lab.ids[kinds[key]][value] if key in kinds and value else value for key, value in change.items()}
    with refused(code, text):
        client.adopt(lab, "a.qcow2", **dict({"diskpath": "a.qcow2"}, **change))
    state = lab.state()
    assert (state["machines"], state["volumes"]) == ({}, {}) and state["files"]["nfs1"] == ["a.qcow2"]


def test_vmware_rules_follow_the_release(tmp_path):
    login = {"importsource": "vmware", "vcenter": "vc", "datacentername": "DC", "username": "u", "password": "p"}
    for number, (name, code) in enumerate((("4.22.0", 530), ("4.22.1", 431))):
        (tmp_path / str(number)).mkdir()
        with release(tmp_path / str(number), name) as lab:
            client = lab.client()
            with refused(code, "usevddk are mutually exclusive" if code == 431 else "not found on the source"):
                client.adopt(lab, None, forcemstoimportvmfiles=True, **login)
            with refused(530, "not found on the source"):
                client.adopt(lab, None, forcemstoimportvmfiles=True, usevddk=False, **login)


def test_an_image_is_taken_once(lab, client):
    lab.image("a.qcow2")
    client.adopt(lab, "a.qcow2")
    with refused(530, "Disk image is already in use"):
        client.adopt(lab, "a.qcow2", name="web02")
    with refused(530, "already managed"):
        client.job("importVolume", path="a.qcow2", storageid=lab.ids["pool"]["nfs1"])
    # The record is compared by its text, while the agent looks in the root whatever directory is said.
    assert client.adopt(lab, "/some/where/a.qcow2", name="web02")["state"] == "Stopped"


def test_only_the_first_map_of_details_is_read(lab, client):
    lab.image("a.qcow2")
    made = client.adopt(lab, "a.qcow2", details=[{"nicAdapter": "virtio"}, {"UEFI": "LEGACY"}])
    assert made["details"] == {"nicAdapter": "virtio"} and made["boottype"] == "BIOS"


def test_a_custom_offering_takes_its_numbers_from_the_details(lab, client):
    lab.image("a.qcow2")
    made = client.adopt(lab, "a.qcow2", serviceofferingid=lab.ids["serviceoffering"]["free"],
                        details={"cpuNumber": 3, "memory": 768, "cpuSpeed": 700})
    assert (made["cpunumber"], made["memory"], made["cpuspeed"]) == (3, 768, 700)


def test_belongs_to_whom_it_is_told(lab, client):
    for name in ("a.qcow2", "b.qcow2"):
        lab.image(name)
    owner = {"account": "acme", "domainid": lab.ids["domain"]["/acme"], "networkid": lab.ids["network"]["acme-net"]}
    made = client.adopt(lab, "a.qcow2", **owner)
    project = client.adopt(lab, "b.qcow2", "web02", projectid=lab.ids["project"]["move"])
    assert made["account"] == "acme" and project["projectid"] == lab.ids["project"]["move"] and "account" not in project
    seen = {word: [row["name"] for row in client.rows("listVirtualMachines", **args)] for word, args in (
        ("own", {}), ("all", {"listall": True}), ("project", {"projectid": project["projectid"]}),
        ("id", {"id": made["id"]}), ("every", {"projectid": "-1"}))}
    assert seen == {"own": [], "all": ["web01"], "project": ["web02"], "id": ["web01"], "every": ["web01", "web02"]}
    assert [row["name"] for row in lab.client("acme-key", "acme-secret").rows("listVirtualMachines")] == ["web01"]


def test_quotas(lab, client):
    for number, size in enumerate((3, 1, 4, 1, 1, 6)):
        lab.image(f"{number}.qcow2", size * GIB)
    owner = {"account": "acme", "domainid": lab.ids["domain"]["/acme"]}
    with refused(530, "'primary_storage'"):
        client.adopt(lab, "5.qcow2", **owner)
    client.adopt(lab, "0.qcow2", **owner)
    with refused(530, "VM resource allocation error for account"):
        client.adopt(lab, "1.qcow2", "web02", **owner)
    data = dict(owner, storageid=lab.ids["pool"]["nfs1"])
    with refused(530, "'primary_storage'"):
        client.job("importVolume", path="2.qcow2", **data)
    client.job("importVolume", path="3.qcow2", **data)
    with refused(530, "'volume'"):
        client.job("importVolume", path="4.qcow2", **data)
    (row,) = client.rows("listAccounts", name="acme")
    assert (row["vmavailable"], row["volumeavailable"], row["primarystorageavailable"]) == ("0", "0", "1")
    limits = {row["resourcetypename"]: row["max"] for row in client.rows("listResourceLimits", account="acme",
                                                                         domainid=lab.ids["domain"]["/acme"])}
    assert (limits["user_vm"], limits["volume"], limits["cpu"]) == (1, 2, -1)
    client.job("destroyVirtualMachine", id=client.rows("listVirtualMachines", listall=True)[0]["id"])
    assert client.rows("listAccounts", name="acme")[0]["vmavailable"] == "1"


def test_addresses_are_given_out_until_there_are_none(lab, client):
    for name in ("a.qcow2", "b.qcow2"):
        lab.image(name)
    tiny = {"networkid": lab.ids["network"]["tiny"]}
    assert client.adopt(lab, "a.qcow2", **tiny)["nic"][0]["ipaddress"] == "192.0.2.10"
    with refused(530, "Unable to acquire Guest IP address"):
        client.adopt(lab, "b.qcow2", "web02", **tiny)
    (nic,) = client.adopt(lab, "b.qcow2", "web02", networkid=lab.ids["network"]["l2"])["nic"]
    assert "ipaddress" not in nic


# What the image must be.


def poke(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


WRONG = {
    "external": (lambda path: poke(path, 72, struct.pack(">Q", 4)), "Disk not found or is invalid"),
    "extended": (lambda path: poke(path, 72, struct.pack(">Q", 16)), "Disk not found or is invalid"),
    "magic": (lambda path: poke(path, 0, b"QFI\0"), "Disk not found or is invalid"),
    "clusters": (lambda path: poke(path, 20, struct.pack(">I", 40)), "Disk not found or is invalid"),
    "crypt": (lambda path: poke(path, 32, struct.pack(">I", 1)), "Encrypted volume"),
    "short": (lambda path: os.truncate(path, 60), "Disk not found or is invalid"),
    "empty": (lambda path: os.truncate(path, 0), "Disk not found or is invalid"),
    "good": (lambda path: poke(path, 72, struct.pack(">Q", 1)), None)}        # dirty is tolerated


@pytest.mark.parametrize("kind", WRONG)
def test_looks_at_the_header(lab, client, kind):
    spoil, text = WRONG[kind]
    spoil(lab.image("a.qcow2"))
    if text is None:
        assert client.adopt(lab, "a.qcow2")
        return
    with refused(530, text):
        client.adopt(lab, "a.qcow2")


def test_looks_deeper_where_the_name_says_qcow2(lab, client):
    options = ("-o", "extended_l2=on,cluster_size=128k")
    lab.image("a.qcow2", options=options)
    lab.image("b", options=options)
    with refused(530, "Disk not found or is invalid"):
        client.adopt(lab, "a.qcow2")
    assert client.adopt(lab, "b")


@pytest.mark.parametrize("name, setting, good", (("4.19", None, True), ("4.22.0", None, False),
                                                 ("4.22.1", "false", False),
                                                 ("4.22.1", "true", True)))
def test_backing_files_follow_the_release(tmp_path, name, setting, good):
    with release(tmp_path, name) as lab:
        client = lab.client()
        base = lab.image("base")
        lab.image("a", options=("-b", base, "-F", "qcow2"))
        if setting:
            lab.event("setting", name="allow.import.volume.with.backing.file", value=setting)
        if good:
            assert client.adopt(lab, "a")
        else:
            with refused(530, "Volume with backing file"):
                client.adopt(lab, "a")
        (row,) = [row for row in client.rows("listVolumesForImport", storageid=lab.ids["pool"]["nfs1"], path="base")]
        assert row["virtualsize"] == GIB and "BACKING_FILE" not in row["details"]


def test_sees_the_locks_that_qemu_takes(lab, client):
    path, place = lab.image("a.qcow2"), lab.dir / "nbd"
    server = subprocess.Popen(["qemu-nbd", "-f", "qcow2", "-k", place, "-t", path])
    try:
        while not place.exists():
            assert server.poll() is None
            POLL.wait(0.01)
        with socket.socket(socket.AF_UNIX) as connection:       # it listens before it has the image, and greets after
            connection.settimeout(lab_stack.SECONDS)
            connection.connect(str(place))
            assert connection.recv(8) == b"NBDMAGIC"
        (row,) = client.rows("listVolumesForImport", storageid=lab.ids["pool"]["nfs1"])
        assert row["details"]["IS_LOCKED"] == "true"
        with refused(530, "Locked volume"):
            client.adopt(lab, "a.qcow2")
        with refused(530, "Locked volume"):
            client.job("importVolume", path="a.qcow2", storageid=lab.ids["pool"]["nfs1"])
    finally:
        server.terminate()
        server.wait(lab_stack.SECONDS)
    assert client.adopt(lab, "a.qcow2")


@pytest.mark.parametrize("name, pool, form, vm, data", (
    ("4.22.0", "gfs", "qcow2", False, False), ("4.22.1", "gfs", "qcow2", True, True),
    ("4.19", "nfs1", "qcow2", True, True),
    ("4.22.1", "rbd", "raw", False, True), ("main", "rbd", "raw", True, True), ("main", "rbd", "qcow2", False, False),
    ("main", "san", "raw", False, False), ("main", "nfs1", "vmdk", False, False)))
def test_pools_follow_the_release(tmp_path, name, pool, form, vm, data):
    with release(tmp_path, name) as lab:
        client = lab.client()
        storage = lab.ids["pool"][pool]
        for image in ("a", "b"):
            lab.image(image, GIB, form, pool)
        tries = ((vm, lambda: client.adopt(lab, "a", storageid=storage)),
                 (data, lambda: client.job("importVolume", path="b", storageid=storage)))
        for good, act in tries:
            if good:
                assert act()
            else:
                with refused(530, ""):
                    act()


def test_local_pools(lab, client):
    lab.image("a.qcow2", pool="local")
    words = {"importsource": "local", "storageid": lab.ids["pool"]["local"],
             "serviceofferingid": lab.ids["serviceoffering"]["near"]}
    with refused(530, "Suitable deployment destination not found"):
        client.adopt(lab, "a.qcow2", hostid=lab.ids["host"]["kvm2"], **words)
    assert client.adopt(lab, "a.qcow2", hostid=lab.ids["host"]["kvm1"], **words)["pooltype"] == "Filesystem"


# importVolume.


def test_offers_what_nobody_manages(lab, client):
    lab.image("a.qcow2")
    lab.image("raw", MIB, "raw")
    lab.image("x.vmdk", MIB, "vmdk")
    assert names(lab, client) == ["a.qcow2", "raw"]
    client.job("importVolume", path="a.qcow2", storageid=lab.ids["pool"]["nfs1"], diskofferingid=None)
    assert names(lab, client) == ["raw"]
    with refused(530, "is in maintenance"):
        names(lab, client, "down")
    with refused(530, "Cannot find volume on storage pool"):
        client.rows("listVolumesForImport", storageid=lab.ids["pool"]["nfs1"], path="none")


def test_imports_a_volume(lab, client):
    lab.image("a.qcow2", 2 * GIB)
    storage = lab.ids["pool"]["nfs1"]
    made = client.job("importVolume", path="a.qcow2", storageid=storage, name="data")["volume"]
    assert (made["name"], made["type"], made["state"], made["size"]) == ("data", "DATADISK", "Ready", 2 * GIB)
    assert made["path"] == "a.qcow2" and "virtualmachineid" not in made and "deviceid" not in made
    assert made["diskofferingname"] == "Default Custom Offering for Volume Import"
    (row,) = client.rows("listDiskOfferings", name=made["diskofferingname"])
    assert row["iscustomized"] and row["id"] == made["diskofferingid"]


@pytest.mark.parametrize("change, text", (
    ({"path": "none.qcow2"}, "Cannot find volume on storage pool"), ({"path": "x/a.qcow2"}, "Expected volume path"),
    ({"path": "small.qcow2"}, "out of allowed range"), ({"path": "large.qcow2"}, "out of allowed range"),
    ({"path": "a.qcow2", "storageid": "down"}, "is in maintenance"),
    ({"path": "a.qcow2", "account": "acme"}, "must be"),
    ({"diskofferingid": "fast"}, "storage tags are not compatible"),
    ({"diskofferingid": "near"}, "should use shared storage"),
    ({"diskofferingid": "crypt"}, "should not support volume encryption"), ({"path": "x.vmdk"}, "unsupported")))
def test_refuses_a_volume(lab, client, change, text):
    lab.image("a.qcow2")
    lab.image("small.qcow2", GIB - 512)
    lab.image("large.qcow2", 1025 * GIB)
    lab.image("x.vmdk", MIB, "vmdk")
    kinds = {"storageid": "pool", "diskofferingid": "diskoffering"}
    words = dict({"path": "a.qcow2", "storageid": "nfs1"}, **change)
    with refused(530, text):
        client.job("importVolume", **{key: lab.ids[kinds[key]][value] if key in kinds else value
                                      for key, value in words.items()})
    assert lab.state()["volumes"] == {}


def test_a_fixed_offering_does_not_measure(lab, client):
    lab.image("small.qcow2", MIB)
    assert client.job("importVolume", path="small.qcow2", storageid=lab.ids["pool"]["nfs1"],
                      diskofferingid=lab.ids["diskoffering"]["ten"])["volume"]["size"] == MIB
