"""lab/ova.py writes packages that other readers understand, and odd ones that are odd in one way."""

import gzip
import hashlib
import pathlib
import shutil
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as xml

import pytest

import ova
import vmdk

TOOL = pathlib.Path(ova.__file__)
OVF = "{http://schemas.dmtf.org/ovf/envelope/1}"
RASD = "{http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData}"
VMW = "{http://www.vmware.com/schema/ovf}"
MIB = 1 << 20


@pytest.fixture(scope="module")
def disks(tmp_path_factory):
    """Two small streamOptimized disks, of 8 and 16 MiB."""
    directory = tmp_path_factory.mktemp("disks")
    for name, size in (("one", 8), ("two", 16)):
        raw = directory / "raw"
        raw.write_bytes(name.encode() * 1000 + bytes(size * MIB - 3000))
        vmdk.write(raw, directory / f"{name}.vmdk", vmdk.Options(workers=1))
        raw.unlink()
    return directory


def machine(disks, **fields):
    return ova.Machine(name="odd one", disks=[ova.Disk(disks / "one.vmdk"), ova.Disk(disks / "two.vmdk", unit=1)],
                       nics=[ova.Nic(mac="00:50:56:00:00:01", slot=192)], **fields)


def descriptor_of(path):
    with tarfile.open(path) as archive:
        name = next(name for name in archive.getnames() if name.endswith(".ovf"))
        return xml.fromstring(archive.extractfile(name).read())


def items(descriptor, kind):
    found = descriptor.iter(OVF + "Item")
    return [item for item in found if item.findtext(RASD + "ResourceType") == str(kind)]


def test_order_of_members(disks, tmp_path):
    ova.write_ova(machine(disks), tmp_path / "it.ova")
    with tarfile.open(tmp_path / "it.ova") as archive:
        assert archive.getnames() == ["odd one.ovf", "odd one.mf", "one.vmdk", "two.vmdk"]
        assert archive.extractfile("two.vmdk").read() == (disks / "two.vmdk").read_bytes()


@pytest.mark.parametrize("kind", ["sha1", "sha256", "sha512"])
def test_manifest(disks, tmp_path, kind):
    ova.write_directory(machine(disks), tmp_path / "it", manifest=kind)
    words = (tmp_path / "it/odd one.mf").read_text()
    for name in ("odd one.ovf", "one.vmdk", "two.vmdk"):
        digest = hashlib.new(kind, (tmp_path / "it" / name).read_bytes()).hexdigest()
        assert f"{kind.upper()}({name})= {digest}\n" in words


def test_spoilt_manifest_and_missing_file(disks, tmp_path):
    ova.write_directory(machine(disks), tmp_path / "it", spoil=("one.vmdk",), omit=("two.vmdk",))
    words = (tmp_path / "it/odd one.mf").read_text()
    assert hashlib.sha256((disks / "one.vmdk").read_bytes()).hexdigest() not in words
    assert hashlib.sha256((disks / "two.vmdk").read_bytes()).hexdigest() in words
    assert not (tmp_path / "it/two.vmdk").exists()


def test_descriptor(disks, tmp_path):
    ova.write_ova(machine(disks, cpus=4, cores_per_socket=2, memory_mib=3072, memory_unit="byte * 2^30",
                          firmware="efi"), tmp_path / "it.ova", manifest="none")
    found = descriptor_of(tmp_path / "it.ova")
    assert [disk.get(OVF + "capacity") for disk in found.iter(OVF + "Disk")] == [str(8 * MIB), str(16 * MIB)]
    assert items(found, 3)[0].findtext(RASD + "VirtualQuantity") == "4"
    assert items(found, 3)[0].findtext(VMW + "CoresPerSocket") == "2"
    assert items(found, 4)[0].findtext(RASD + "VirtualQuantity") == "3"
    controller = items(found, 6)[0].findtext(RASD + "InstanceID")
    assert [(item.findtext(RASD + "Parent"), item.findtext(RASD + "AddressOnParent")) for item in items(found, 17)] \
        == [(controller, "0"), (controller, "1")]
    nic = items(found, 10)[0]
    assert nic.findtext(RASD + "Address") == "00:50:56:00:00:01"
    assert nic.find(VMW + "Config").get(VMW + "value") == "192"
    config = {element.get(VMW + "key"): element.get(VMW + "value") for element in found.iter(VMW + "Config")}
    assert config["firmware"] == "efi"
    # The schema wants the elements of an Item sorted by name.
    for item in found.iter(OVF + "Item"):
        names = [child.tag for child in item if child.tag.startswith(RASD)]
        assert names == sorted(names)


def test_nic_without_mac(disks, tmp_path):
    thing = machine(disks)
    thing.nics[0].mac = ""
    ova.write_ova(thing, tmp_path / "it.ova")
    assert items(descriptor_of(tmp_path / "it.ova"), 10)[0].find(RASD + "Address") is None


def test_empty_and_shared_and_gzipped_disks(disks, tmp_path):
    thing = ova.Machine(name="it", cdrom=False, disks=[
        ova.Disk(disks / "one.vmdk", gzip=True), ova.Disk(capacity_bytes=5 * MIB, capacity_unit="byte * 2^20", unit=1),
        ova.Disk(disks / "two.vmdk", bus="sata"), ova.Disk(disks / "two.vmdk", bus="sata", unit=1)])
    ova.write_ova(thing, tmp_path / "it.ova")
    found = descriptor_of(tmp_path / "it.ova")
    assert [disk.get(OVF + "fileRef") for disk in found.iter(OVF + "Disk")] == ["file1", None, "file2", "file2"]
    assert [file.get(OVF + "compression") for file in found.iter(OVF + "File")] == ["gzip", None]
    with tarfile.open(tmp_path / "it.ova") as archive:
        packed = archive.extractfile("one.vmdk.gz").read()
    assert gzip.decompress(packed) == (disks / "one.vmdk").read_bytes()
    assert not list(tmp_path.glob(".ova-*"))


def test_command(disks, tmp_path):
    command = [sys.executable, TOOL, tmp_path / "it.ova", "--name", "it", "--firmware", "bios",
               "--disk", f"{disks}/one.vmdk,bus=ide,href=sub/other.vmdk",
               "--disk", ",capacity_bytes=1048576,unit=1,bus=ide", "--nic", "A & B,model=E1000",
               "--tar-format", "pax", "--descriptor-last"]
    subprocess.run(command, check=True)
    with tarfile.open(tmp_path / "it.ova") as archive:
        assert archive.getnames() == ["it.mf", "sub/other.vmdk", "it.ovf"]
    found = descriptor_of(tmp_path / "it.ova")
    assert [element.get(OVF + "name") for element in found.iter(OVF + "Network")] == ["A & B"]
    assert len(items(found, 5)) == 1
    size = (tmp_path / "it.ova").stat().st_size
    subprocess.run(command + ["--truncate-bytes", "-20000"], check=True)
    assert (tmp_path / "it.ova").stat().st_size == size - 20000


def test_command_refuses_unknown_fields(disks, tmp_path):
    result = subprocess.run([sys.executable, TOOL, tmp_path / "no.ova", "--name", "no", "--disk",
                             f"{disks}/one.vmdk,colour=red"], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "colour" in result.stderr


@pytest.mark.skipif(not shutil.which("virt-v2v"), reason="virt-v2v is not installed")
def test_virt_v2v_reads_it(disks, tmp_path):
    ova.write_ova(machine(disks, cpus=2, memory_mib=768, firmware="efi"), tmp_path / "it.ova")
    result = subprocess.run(["virt-v2v", "-i", "ova", tmp_path / "it.ova", "-o", "null", "--print-source"],
                            capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr
    words = " ".join(result.stdout.split())
    assert "source name: odd one" in words
    assert f"memory: {768 * MIB}" in words
    assert "CPUs: 2" in words or "nr vCPUs: 2" in words
    assert words.count("[scsi]") == 2
    assert "00:50:56:00:00:01" in words or "VM Network" in words
