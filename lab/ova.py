#!/usr/bin/python3
"""Write an OVA, or the directory of an OVF, as vCenter and ovftool export a virtual machine.

The descriptor follows OVF 1.1 (DSP0243) with VMware's additions; `rasd` elements stand in the order of
their names, as the schema wants. The OVA is a tar with the descriptor first, the manifest second and then
the files in the order of the References. Every field a test may want to be odd is one of Machine, Disk, Nic
or Package below, and an option of the command.
"""

import argparse
import dataclasses
import gzip
import hashlib
import io
import os
import pathlib
import shutil
import struct
import sys
import tarfile
import tempfile
from xml.sax.saxutils import escape, quoteattr

STREAM_OPTIMIZED = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"
MTIME = 1735689600  # one moment for all members, so that the same input gives the same OVA
UNITS = {"byte": 1, "byte * 2^10": 1 << 10, "byte * 2^20": 1 << 20, "byte * 2^30": 1 << 30}

# bus -> (CIM resource type, VMware's sub type, name of the element)
CONTROLLERS = {
    "pvscsi": (6, "VirtualSCSI", "SCSI controller"),
    "lsilogic": (6, "lsilogic", "SCSI controller"),
    "lsisas": (6, "lsilogicsas", "SCSI controller"),
    "ide": (5, None, "IDE"),
    "sata": (20, "vmware.sata.ahci", "SATA controller"),
    "nvme": (20, "vmware.nvme.controller", "NVMe controller"),
}


@dataclasses.dataclass
class Disk:
    """A disk. Without a path it is an empty one, which an OVF describes without any file."""

    path: object = None
    bus: str = "pvscsi"
    controller: int = 0             # its number; SCSI controllers are counted together, whatever their kind
    unit: int = 0                   # AddressOnParent
    capacity_bytes: int = 0         # 0: what the file says
    capacity_unit: str = "byte"
    href: str = ""                  # name in the package; default: that of the file
    gzip: bool = False
    format: str = STREAM_OPTIMIZED
    populated_bytes: int = 0
    claimed_size: int = -1          # ovf:size; -1: the true one


@dataclasses.dataclass
class Nic:
    """A network adapter. Exports by ovftool carry no MAC, those of vCenter may."""

    network: str = "VM Network"
    model: str = "VmxNet3"
    mac: str = ""
    slot: int = 0                   # slotInfo.pciSlotNumber; 192 makes a guest say ens192


@dataclasses.dataclass
class Machine:
    """What the descriptor says of the machine."""

    name: str
    disks: list
    nics: list = dataclasses.field(default_factory=list)
    cpus: int = 1
    cores_per_socket: int = 0       # 0: not said
    memory_mib: int = 1024
    memory_unit: str = "byte * 2^20"
    firmware: str = ""              # "", bios or efi
    secure_boot: bool = False
    os_id: int = 96
    os_type: str = "debian12_64Guest"
    os_description: str = "Debian GNU/Linux 12 (64-bit)"
    hardware: str = "vmx-19"
    cdrom: bool = True
    extra_config: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Package:
    """How the descriptor and the files are packed."""

    manifest: str = "sha256"        # none, sha1, sha256 or sha512
    tar_format: str = "ustar"       # ustar, gnu or pax
    reverse_files: bool = False     # References name the disks from the last to the first
    descriptor_last: bool = False
    omit: tuple = ()                # files that are named and not there
    spoil: tuple = ()               # files whose digest in the manifest is wrong
    descriptor: str = ""            # this text instead of the one made here
    truncate_bytes: int = 0         # > 0: the OVA is cut there; < 0: so many bytes from its end


def write_ova(machine, target, **package):
    """Write the OVA of MACHINE to the path TARGET; PACKAGE are fields of Package."""
    package = Package(**package)
    with tempfile.TemporaryDirectory(dir=pathlib.Path(target).parent, prefix=".ova-") as scratch:
        members = make_members(machine, package, pathlib.Path(scratch))
        if package.descriptor_last:
            members.append(members.pop(0))
        formats = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
        with tarfile.open(target, "w", format=formats[package.tar_format]) as archive:
            for name, content in members:
                add_member(archive, name, content)
    if package.truncate_bytes:
        size = package.truncate_bytes
        os.truncate(target, size if size > 0 else max(os.path.getsize(target) + size, 0))


def write_directory(machine, target, **package):
    """Write the descriptor and its files into the directory TARGET, which is made."""
    target = pathlib.Path(target)
    target.mkdir(parents=True, exist_ok=True)
    for name, content in make_members(machine, Package(**package), target):
        if isinstance(content, bytes):
            (target / name).write_bytes(content)
        elif content != target / name:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(content, target / name)


def add_member(archive, name, content):
    info = tarfile.TarInfo(name)
    info.mtime, info.mode, info.uname, info.gname = MTIME, 0o644, "someone", "someone"
    if isinstance(content, bytes):
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
        return
    info.size = os.path.getsize(content)
    with open(content, "rb") as file:
        archive.addfile(info, file)


def make_members(machine, package, scratch):
    """Everything that goes in, in order: (name, path or bytes). Compressed disks are made in SCRATCH."""
    files = []
    for disk in machine.disks:
        if disk.path is None or any(name == href(disk) for name, _ in files):
            continue  # empty, or a second disk on one file
        path = pathlib.Path(disk.path)
        if disk.gzip:
            path = compress(path, scratch / (path.name + ".gz"))
        files.append((href(disk), path))
    if package.reverse_files:
        files.reverse()
    text = package.descriptor or descriptor(machine, files)
    stem = machine.name.replace("/", "_")
    members = [(stem + ".ovf", text.encode())]
    named = members + files
    if package.manifest != "none":
        members.append((stem + ".mf", manifest(named, package).encode()))
    return members + [(name, path) for name, path in files if name not in package.omit]


def href(disk):
    return disk.href or pathlib.Path(disk.path).name + (".gz" if disk.gzip else "")


def compress(path, target):
    with open(path, "rb") as source, gzip.GzipFile(target, "wb", compresslevel=1, mtime=MTIME) as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
    return target


def manifest(members, package):
    lines = []
    for name, content in members:
        if isinstance(content, bytes):
            digest = hashlib.new(package.manifest, content).hexdigest()
        else:
            with open(content, "rb") as file:
                digest = hashlib.file_digest(file, package.manifest).hexdigest()
        if name in package.spoil:
            digest = ("0" if digest[0] != "0" else "1") + digest[1:]
        lines.append(f"{package.manifest.upper()}({name})= {digest}\n")
    return "".join(lines)


def capacity_of(disk):
    """In bytes: what is said, or what a sparse VMDK has in its header, or the size of the file."""
    if disk.capacity_bytes or disk.path is None:
        return disk.capacity_bytes
    with open(disk.path, "rb") as file:
        head = file.read(20)
    if head[:4] == b"KDMV":
        return struct.unpack_from("<Q", head, 12)[0] * 512
    return os.path.getsize(disk.path)


# The descriptor.


def descriptor(machine, files):
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<Envelope vmw:buildId="build-21290409" xmlns="http://schemas.dmtf.org/ovf/envelope/1" '
        'xmlns:cim="http://schemas.dmtf.org/wbem/wscim/1/common" '
        'xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" '
        'xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" '
        'xmlns:vmw="http://www.vmware.com/schema/ovf" '
        'xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">',
        references(machine, files),
        disk_section(machine, files),
        network_section(machine),
        f'  <VirtualSystem ovf:id={quoteattr(machine.name)}>\n'
        '    <Info>A virtual machine</Info>\n'
        f'    <Name>{escape(machine.name)}</Name>\n'
        f'    <OperatingSystemSection ovf:id="{machine.os_id}" vmw:osType={quoteattr(machine.os_type)}>\n'
        '      <Info>The kind of installed guest operating system</Info>\n'
        f'      <Description>{escape(machine.os_description)}</Description>\n'
        '    </OperatingSystemSection>',
        hardware_section(machine),
        '  </VirtualSystem>\n</Envelope>\n',
    ]
    return "\n".join(parts)


def references(machine, files):
    by_name = {href(disk): disk for disk in machine.disks if disk.path is not None}
    lines = ["  <References>"]
    for number, (name, path) in enumerate(files, 1):
        disk = by_name[name]
        size = disk.claimed_size if disk.claimed_size >= 0 else os.path.getsize(path)
        packed = ' ovf:compression="gzip"' if disk.gzip else ""
        lines.append(f'    <File{packed} ovf:href={quoteattr(name)} ovf:id="file{number}" ovf:size="{size}"/>')
    return "\n".join(lines + ["  </References>"])


def disk_section(machine, files):
    names = [name for name, _ in files]
    lines = ["  <DiskSection>", "    <Info>Virtual disk information</Info>"]
    for number, disk in enumerate(machine.disks, 1):
        capacity, rest = divmod(capacity_of(disk), UNITS[disk.capacity_unit])
        if rest:
            raise ValueError(f"disk {number} is no multiple of {disk.capacity_unit!r}")
        attributes = f'ovf:capacity="{capacity}" ovf:capacityAllocationUnits="{disk.capacity_unit}"'
        attributes += f' ovf:diskId="vmdisk{number}"'
        if disk.path is not None:
            attributes += f' ovf:fileRef="file{names.index(href(disk)) + 1}"'
        attributes += f" ovf:format={quoteattr(disk.format)}"
        if disk.populated_bytes:
            attributes += f' ovf:populatedSize="{disk.populated_bytes}"'
        lines.append(f"    <Disk {attributes}/>")
    return "\n".join(lines + ["  </DiskSection>"])


def network_section(machine):
    lines = ["  <NetworkSection>", "    <Info>The list of logical networks</Info>"]
    for name in dict.fromkeys(nic.network for nic in machine.nics):
        lines += [f"    <Network ovf:name={quoteattr(name)}>",
                  f"      <Description>The {escape(name)} network</Description>", "    </Network>"]
    return "\n".join(lines + ["  </NetworkSection>"])


def hardware_section(machine):
    lines = ["    <VirtualHardwareSection>", "      <Info>Virtual hardware requirements</Info>", "      <System>",
             "        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>",
             "        <vssd:InstanceID>0</vssd:InstanceID>",
             f"        <vssd:VirtualSystemIdentifier>{escape(machine.name)}</vssd:VirtualSystemIdentifier>",
             f"        <vssd:VirtualSystemType>{escape(machine.hardware)}</vssd:VirtualSystemType>",
             "      </System>"]
    for item in hardware_items(machine):
        lines.append(item)
    config = dict(machine.extra_config)
    if machine.firmware:
        config["firmware"] = machine.firmware
    if machine.secure_boot:
        config["bootOptions.efiSecureBootEnabled"] = "true"
    lines += ["      " + config_element(key, value) for key, value in config.items()]
    return "\n".join(lines + ["    </VirtualHardwareSection>"])


def hardware_items(machine):
    """The Item elements: processor, memory, controllers, disks, CD-ROM, network."""
    ids = iter(range(1, 1 << 20))
    cores = ""
    if machine.cores_per_socket:
        cores = f'<vmw:CoresPerSocket ovf:required="false">{machine.cores_per_socket}</vmw:CoresPerSocket>'
    yield item(AllocationUnits="hertz * 10^6", Description="Number of Virtual CPUs",
               ElementName=f"{machine.cpus} virtual CPU(s)", InstanceID=next(ids), ResourceType=3,
               VirtualQuantity=machine.cpus, more=cores)
    memory, rest = divmod(machine.memory_mib << 20, UNITS[machine.memory_unit])
    if rest:
        raise ValueError(f"{machine.memory_mib} MiB is no multiple of {machine.memory_unit!r}")
    yield item(AllocationUnits=machine.memory_unit, Description="Memory Size",
               ElementName=f"{machine.memory_mib}MB of memory", InstanceID=next(ids), ResourceType=4,
               VirtualQuantity=memory)
    controllers = {}
    for bus, number in dict.fromkeys((disk.bus, disk.controller) for disk in machine.disks):
        kind, subtype, title = CONTROLLERS[bus]
        controllers[bus, number] = identity = next(ids)
        more = config_element("slotInfo.pciSlotNumber", 160 + 32 * number) if kind == 6 else ""
        yield item(Address=number, Description=title, ElementName=f"{title} {number}", InstanceID=identity,
                   ResourceSubType=subtype, ResourceType=kind, more=more)
    for number, disk in enumerate(machine.disks, 1):
        yield item(AddressOnParent=disk.unit, ElementName=f"Hard disk {number}",
                   HostResource=f"ovf:/disk/vmdisk{number}", InstanceID=next(ids),
                   Parent=controllers[disk.bus, disk.controller], ResourceType=17)
    if machine.cdrom:
        identity = next(ids)
        number = len([bus for bus, _ in controllers if bus == "sata"])
        yield item(Address=number, Description="SATA Controller", ElementName=f"SATA controller {number}",
                   InstanceID=identity, ResourceSubType="vmware.sata.ahci", ResourceType=20)
        yield item(AddressOnParent=0, AutomaticAllocation="false", ElementName="CD/DVD drive 1",
                   InstanceID=next(ids), Parent=identity, ResourceSubType="vmware.cdrom.remotepassthrough",
                   ResourceType=15, optional=True)
    for number, nic in enumerate(machine.nics):
        more = config_element("slotInfo.pciSlotNumber", nic.slot) if nic.slot else ""
        yield item(Address=nic.mac or None, AddressOnParent=7 + number, AutomaticAllocation="true",
                   Connection=nic.network, Description=f"{nic.model} ethernet adapter on \"{nic.network}\"",
                   ElementName=f"Network adapter {number + 1}", InstanceID=next(ids),
                   ResourceSubType=nic.model, ResourceType=10, more=more)


def item(more="", optional=False, **fields):
    """One Item; fields that are None are left out."""
    lines = ["      <Item ovf:required=\"false\">" if optional else "      <Item>"]
    for name, value in fields.items():
        if value is not None:
            lines.append(f"        <rasd:{name}>{escape(str(value))}</rasd:{name}>")
    if more:
        lines.append("        " + more)
    return "\n".join(lines + ["      </Item>"])


def config_element(key, value):
    return f'<vmw:Config ovf:required="false" vmw:key={quoteattr(key)} vmw:value={quoteattr(str(value))}/>'


# The command.


def main():
    args = parse_arguments()
    try:
        disks = [parse_thing(Disk, text, "path") for text in args.disk]
        nics = [parse_thing(Nic, text, "network") for text in args.nic]
        machine = Machine(disks=disks, nics=nics, cdrom=not args.no_cdrom, extra_config=dict(
            pair.partition("=")[::2] for pair in args.config), **fields_of(Machine, args))
        text = pathlib.Path(args.descriptor).read_text(encoding="utf-8") if args.descriptor else ""
        package = fields_of(Package, args) | {"descriptor": text, "omit": tuple(args.omit),
                                              "spoil": tuple(args.spoil)}
        (write_directory if args.directory else write_ova)(machine, args.target, **package)
    except (OSError, ValueError, KeyError) as error:
        print(f"lab/ova.py: {error}", file=sys.stderr)
        return 1
    return 0


def parse_arguments():
    parser = argparse.ArgumentParser(prog="lab/ova.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", help="OVA to write, or directory with --directory")
    parser.add_argument("--directory", action="store_true", help="write the files of an OVF, no tar")
    parser.add_argument("--disk", action="append", default=[], metavar="PATH[,FIELD=VALUE...]",
                        help="in the order of the descriptor; an empty PATH is a disk without a file; fields: "
                        + ", ".join(field.name for field in dataclasses.fields(Disk)))
    parser.add_argument("--nic", action="append", default=[], metavar="NETWORK[,FIELD=VALUE...]",
                        help="fields: " + ", ".join(field.name for field in dataclasses.fields(Nic)))
    parser.add_argument("--config", action="append", default=[], metavar="KEY=VALUE", help="more vmw:Config")
    parser.add_argument("--no-cdrom", action="store_true")
    for name in ("omit", "spoil"):
        parser.add_argument("--" + name, action="append", default=[], metavar="MEMBER")
    parser.add_argument("--descriptor", default="", metavar="FILE", help="take this descriptor as it is")
    done = {"disks", "nics", "cdrom", "extra_config", "omit", "spoil", "descriptor"}
    for kind in (Machine, Package):
        for field in dataclasses.fields(kind):
            if field.name in done:
                continue
            option = "--" + field.name.replace("_", "-")
            if field.name == "name":
                parser.add_argument(option, required=True)
            elif isinstance(field.default, bool):
                parser.add_argument(option, action="store_true")
            else:
                parser.add_argument(option, type=type(field.default), default=field.default,
                                    help="default: %(default)r")
    return parser.parse_args()


def fields_of(kind, args):
    names = {field.name for field in dataclasses.fields(kind)} & set(vars(args))
    return {name: value for name, value in vars(args).items() if name in names}


def parse_thing(kind, text, first):
    """A Disk or a Nic of 'VALUE,field=value,...'; VALUE is its field FIRST."""
    value, *pairs = text.split(",")
    thing = kind(**{first: value or None})
    for pair in pairs:
        name, _, word = pair.partition("=")
        if name not in {field.name for field in dataclasses.fields(kind)}:
            raise ValueError(f"{text!r}: {name!r} is no field of a {kind.__name__.lower()}")
        old = getattr(thing, name)
        setattr(thing, name, word not in ("", "0", "no") if isinstance(old, bool) else type(old)(word))
    return thing


if __name__ == "__main__":
    sys.exit(main())
