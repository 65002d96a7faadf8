"""The libvirt domain that the agent makes of a machine: its rules for controllers, adapters and firmware."""

import xml.etree.ElementTree as ET

from .world import is_file_pool

PARAVIRTUAL = ("Ubuntu", "Fedora", "CentOS", "Red Hat Enterprise Linux", "Debian GNU/Linux", "FreeBSD", "Oracle",
               "Rocky Linux", "AlmaLinux", "Other PV")
BUSES = {"virtio": "virtio", "virtio-blk": "virtio", "scsi": "scsi", "ide": "ide", "sata": "sata"}
PREFIX = {"virtio": "vd", "scsi": "sd", "sata": "sd", "ide": "hd"}
NICS = ("virtio", "e1000", "rtl8139", "vmxnet3", "ne2k_pci")
FIRMWARE = {"LEGACY": ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"), "SECURE": ("OVMF_CODE_4M.ms.fd", "OVMF_VARS_4M.ms.fd")}
OVMF = "/usr/share/OVMF"
SPACE = "urn:lab"           # of the host's name among the metadata


def xml(call, machine, host):
    """The text of a domain. Hosts are Debian ones: their uefi.properties name its OVMF."""
    root = ET.Element("domain", type="kvm")
    child(root, "name", machine.instancename)
    child(root, "uuid", machine.id)
    child(root, "description", machine.ostype.name)
    child(root, "memory", str(machine.memory_mib << 10), unit="KiB")
    child(root, "currentMemory", str(machine.memory_mib << 10), unit="KiB")
    child(root, "vcpu", str(machine.cpus))
    add_os(root, machine, call.world)
    add_cpu(root, machine)
    devices = child(root, "devices")
    child(devices, "emulator", "/usr/bin/qemu-system-x86_64")
    root_bus, data_bus = buses(machine, skip=call.has("4.22.1"))
    for disk in call.world.volumes_of(machine):
        add_disk(devices, call.world, disk, root_bus if disk.type == "ROOT" else data_bus)
    if "scsi" in (root_bus, data_bus):
        child(devices, "controller", type="scsi", index="0", model="virtio-scsi")
    for nic in machine.nics:
        add_nic(devices, machine, nic)
    child(devices, "serial", type="pty")
    child(child(devices, "video"), "model", type=machine.details.get("video.hardware", "cirrus"))
    child(child(root, "metadata"), f"{{{SPACE}}}host", host.name)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def child(parent, name, text=None, /, **attributes):
    made = ET.SubElement(parent, name, attributes)
    made.text = text
    return made


def buses(machine, skip):
    """(bus of the root disk, bus of data disks). skip: the release knows skip.force.disk.controller."""
    details, windows = machine.details, machine.ostype.name.startswith("Windows")
    root = BUSES.get(details.get("rootDiskController", "").lower()) or default_bus(machine)
    data = BUSES.get(details.get("dataDiskController", "").lower()) or ("scsi" if root == "scsi" else "virtio")
    if windows and machine.firmware:
        data = root
    forced = not (skip and details.get("skip.force.disk.controller") == "true")
    if machine.firmware == "SECURE" and forced:
        root = "sata" if windows else "virtio"
        data = "sata" if windows else data
    return root, data


def paravirtual(machine):
    return machine.ostype.name.startswith(PARAVIRTUAL)


def default_bus(machine):
    if machine.ostype.name.startswith("Other PV Virtio-SCSI"):
        return "scsi"
    if paravirtual(machine):
        return "virtio"
    return "sata" if machine.firmware else "ide"


def add_os(root, machine, world):
    made = child(root, "os")
    default = "q35" if machine.firmware else "pc"
    child(made, "type", "hvm", arch="x86_64", machine=machine.details.get("kvm.guest.os.machine.type", default))
    if machine.firmware:
        code, variables = FIRMWARE["SECURE" if machine.firmware.upper() == "SECURE" else "LEGACY"]
        child(made, "loader", f"{OVMF}/{code}", readonly="yes", type="pflash",
              secure="yes" if machine.firmware.upper() == "SECURE" else "no")
        child(made, "nvram", str(world.directory / "nvram" / f"{machine.id}.fd"), template=f"{OVMF}/{variables}")
    for device in ("cdrom", "hd"):
        child(made, "boot", dev=device)
    features = child(root, "features")
    for name in ("pae", "apic", "acpi"):
        child(features, name)
    if machine.firmware and machine.firmware.upper() == "SECURE":
        child(features, "smm", state="on")


def add_cpu(root, machine):
    cpu = child(root, "cpu", mode=machine.details.get("guest.cpu.mode", "host-passthrough"))
    cores = machine.details.get("cpu.corespersocket", "")
    if cores.isdigit() and int(cores) and machine.cpus % int(cores) == 0:
        child(cpu, "topology", sockets=str(machine.cpus // int(cores)), cores=cores, threads="1")


def add_disk(devices, world, disk, bus):
    """The serial is what says which disk it is: 20 digits of the volume's UUID."""
    files = is_file_pool(disk.pool)
    made = child(devices, "disk", type="file", device="disk")
    child(made, "driver", name="qemu", type="qcow2" if files else "raw", cache="none")
    child(made, "source", file=str(world.file(disk.pool, disk.path)))
    child(made, "target", dev=f"{PREFIX[bus]}{letters(disk.device)}", bus=bus)
    child(made, "serial", disk.id.replace("-", "")[:20])


def letters(number):
    return chr(ord("a") + number) if number < 26 else letters(number // 26 - 1) + letters(number % 26)


def add_nic(devices, machine, nic):
    model = machine.details.get("nicAdapter")
    if model not in NICS:
        model = "virtio" if paravirtual(machine) else "e1000"
    made = child(devices, "interface", type="bridge")
    child(made, "source", bridge=f"breth0-{nic.network.vlan}")
    child(made, "mac", address=nic.mac)
    child(made, "model", type=model)
    child(made, "link", state="up")
