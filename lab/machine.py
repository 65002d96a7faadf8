"""A virtual machine as QEMU is to build it: from a libvirt domain XML, or put together by a test.

`command` gives QEMU's arguments. Devices of a q35 machine stand behind PCIe root ports, in the order in which
libvirt hands out addresses (network, controllers, disks, balloon, rng), so that the guest sees its hardware
where libvirt would put it, and gives its interfaces the names it would give there.
"""

import dataclasses
import pathlib
import shutil
import xml.etree.ElementTree

OVMF = pathlib.Path("/usr/share/OVMF")
MEMORY_UNITS = {"b": 1, "bytes": 1, "KB": 1000, "k": 1 << 10, "KiB": 1 << 10, "MB": 1000000, "M": 1 << 20,
                "MiB": 1 << 20, "GB": 1000000000, "G": 1 << 30, "GiB": 1 << 30, "T": 1 << 40, "TiB": 1 << 40}
NIC_MODELS = {"virtio": "virtio-net-pci", "virtio-non-transitional": "virtio-net-pci-non-transitional",
              "virtio-transitional": "virtio-net-pci-transitional", "e1000": "e1000", "e1000e": "e1000e",
              "vmxnet3": "vmxnet3", "rtl8139": "rtl8139"}
DISK_BUSES = ("virtio", "scsi", "sata", "ide", "pvscsi", "lsilogic", "nvme")
# VMware's LSI Logic is a 53c1030, which QEMU has not; for this older one the guest has another driver.
SCSI_MODELS = {"scsi": "virtio-scsi-pci", "pvscsi": "pvscsi", "lsilogic": "lsi53c895a"}
# Parts of a domain that change nothing for what the lab looks at.
IGNORED_DEVICES = {"emulator", "graphics", "input", "sound", "audio", "console", "serial", "channel", "video",
                   "watchdog", "hub", "panic", "vsock", "redirdev"}


class MachineError(Exception):
    """Why no machine can be built, in one sentence."""


@dataclasses.dataclass
class Disk:
    path: str
    format: str = "raw"
    bus: str = "virtio"
    model: str = ""             # virtio-transitional and the like
    serial: str = ""
    discard: str = "unmap"
    cdrom: bool = False
    boot: int = 0               # 0: not booted from
    pci: tuple = None           # (bus, slot, function) where it is given


@dataclasses.dataclass
class Nic:
    model: str = "virtio"
    mac: str = ""
    hotplug_slot: int = 0       # number of the slot it stands in; 192 makes a guest say ens192
    boot: int = 0
    pci: tuple = None
    link_up: bool = True


@dataclasses.dataclass
class Machine:
    type: str = "q35"
    firmware: str = "bios"      # or efi
    secure_boot: bool = False
    loader: str = ""            # instead of one that is looked for
    nvram_template: str = ""
    cpu: str = "max"
    cpus: int = 1
    topology: dict = dataclasses.field(default_factory=dict)   # sockets, dies, cores, threads
    memory_mib: int = 1024
    disks: list = dataclasses.field(default_factory=list)
    nics: list = dataclasses.field(default_factory=list)
    clock: str = "utc"
    uuid: str = ""
    balloon: bool = False
    rng: bool = False

    @property
    def is_q35(self):
        return "q35" in self.type


# From a domain XML.


def from_xml(path):
    """The Machine of a libvirt domain XML; what the lab cannot build is an error, never left out."""
    path = pathlib.Path(path)
    try:
        domain = xml.etree.ElementTree.parse(path).getroot()
    except (OSError, xml.etree.ElementTree.ParseError) as error:
        raise MachineError(f"cannot read {path}: {error}") from error
    if domain.tag != "domain":
        raise MachineError(f"{path} is no domain XML: its root is <{domain.tag}>")
    machine = Machine(memory_mib=memory_mib(domain.find("memory")), cpus=int(domain.findtext("vcpu", "1")),
                      uuid=domain.findtext("uuid", ""))
    os_type = domain.find("os/type")
    machine.type = (os_type.get("machine") if os_type is not None else None) or "pc"
    read_firmware(domain, machine)
    read_cpu(domain.find("cpu"), machine)
    clock = domain.find("clock")
    machine.clock = clock.get("offset", "utc") if clock is not None else "utc"
    read_devices(domain, machine, path.parent)
    return machine


def memory_mib(element):
    if element is None:
        raise MachineError("the domain XML says no <memory>")
    unit = element.get("unit", "KiB")
    if unit not in MEMORY_UNITS:
        raise MachineError(f"the domain XML counts memory in {unit!r}, which is no unit")
    return int(element.text) * MEMORY_UNITS[unit] >> 20


def read_firmware(domain, machine):
    os_element = domain.find("os")
    if os_element is None:
        return
    loader, nvram = os_element.find("loader"), os_element.find("nvram")
    if os_element.get("firmware") == "efi" or (loader is not None and loader.get("type") == "pflash"):
        machine.firmware = "efi"
    if loader is not None and loader.text:
        machine.loader = loader.text.strip()
    if nvram is not None:
        machine.nvram_template = nvram.get("template", "")
    secure = loader is not None and loader.get("secure") == "yes"
    for feature in os_element.findall("firmware/feature"):
        secure = secure or (feature.get("name") == "secure-boot" and feature.get("enabled") == "yes")
    machine.secure_boot = secure


def read_cpu(cpu, machine):
    """Without hardware acceleration 'the CPU of the host' is the best one that QEMU can emulate."""
    machine.cpu = "qemu64"
    if cpu is None:
        return
    if cpu.get("mode") in ("host-passthrough", "host-model", "maximum"):
        machine.cpu = "max"
    elif cpu.findtext("model"):
        machine.cpu = cpu.findtext("model").strip()
    topology = cpu.find("topology")
    if topology is not None:
        machine.topology = {key: int(value) for key, value in topology.attrib.items()
                            if key in ("sockets", "dies", "cores", "threads")}


def read_devices(domain, machine, directory):
    devices = domain.find("devices")
    for element in devices if devices is not None else ():
        if element.tag == "disk":
            read_disk(element, machine, directory)
        elif element.tag == "interface":
            machine.nics.append(nic_of(element))
        elif element.tag == "memballoon":
            machine.balloon = element.get("model") != "none"
        elif element.tag == "rng":
            machine.rng = True
        elif element.tag == "controller":
            check_controller(element)
        elif element.tag == "tpm" or element.tag == "hostdev":
            raise MachineError(f"the lab builds no <{element.tag}>")
        elif element.tag not in IGNORED_DEVICES:
            raise MachineError(f"the lab does not know the device <{element.tag}>")
    if not any(thing.boot for thing in machine.disks + machine.nics):
        order = [boot.get("dev") for boot in domain.findall("os/boot")] or ["hd"]
        disks = [disk for disk in machine.disks if not disk.cdrom]
        if "hd" in order and disks:
            disks[0].boot = 1


def check_controller(element):
    known = {"scsi": (None, "auto", "virtio-scsi", "virtio-transitional", "virtio-non-transitional", "vmpvscsi")}
    if element.get("model") not in known.get(element.get("type"), (element.get("model"),)):
        raise MachineError(f"the lab builds no SCSI controller {element.get('model')!r}")


def read_disk(element, machine, directory):
    device = element.get("device", "disk")
    source = element.find("source")
    place = None if source is None else source.get("file") or source.get("dev")
    if device in ("cdrom", "floppy") and place is None:
        return  # an empty drive
    if device == "floppy" or place is None:
        raise MachineError(f"the lab takes disks from files and block devices only, not a {element.get('type')!r}"
                           f" {device}")
    driver, target = element.find("driver"), element.find("target")
    bus = target.get("bus", "virtio")
    if bus not in DISK_BUSES:
        raise MachineError(f"the lab builds no disk on {bus!r}")
    disk = Disk(path=str(directory / place), bus=bus, cdrom=device == "cdrom",
                model=element.get("model", ""), serial=element.findtext("serial", ""))
    if driver is not None:
        disk.format = driver.get("type", "raw")
        disk.discard = driver.get("discard", "unmap")
    disk.boot = boot_of(element)
    disk.pci = pci_of(element)
    machine.disks.append(disk)


def nic_of(element):
    model, mac, link = element.find("model"), element.find("mac"), element.find("link")
    nic = Nic(model=model.get("type") if model is not None else "rtl8139",
              mac=mac.get("address") if mac is not None else "",
              link_up=link is None or link.get("state") != "down", boot=boot_of(element), pci=pci_of(element))
    if nic.model not in NIC_MODELS:
        raise MachineError(f"the lab builds no network adapter {nic.model!r}")
    return nic


def boot_of(element):
    boot = element.find("boot")
    return int(boot.get("order")) if boot is not None else 0


def pci_of(element):
    address = element.find("address")
    if address is None or address.get("type") != "pci":
        return None
    return tuple(int(address.get(key, "0"), 0) for key in ("bus", "slot", "function"))


# To QEMU.


def command(machine, scratch, accel="tcg", qemu="qemu-system-x86_64", write=False):
    """QEMU's arguments, without its console and monitor. SCRATCH is a directory for its variable store."""
    return Command(machine, pathlib.Path(scratch), accel, write).build(qemu)


class Command:
    """The arguments on their way; the PCI bus is filled as devices are added."""

    def __init__(self, machine, scratch, accel, write):
        self.machine = machine
        self.scratch = scratch
        self.accel = accel
        self.write = write
        self.arguments = []
        taken = {thing.pci[0] for thing in machine.disks + machine.nics if thing.pci}
        self.free_ports = iter(number for number in range(1, 256) if number not in taken)
        self.ports = 0
        self.scsi = set()
        self.sata_units = 0

    def build(self, qemu):
        machine = self.machine
        self.add("-nodefaults", "-no-user-config", "-display", "none")
        self.add("-accel", "tcg,thread=multi" if self.accel == "tcg" else self.accel)
        kind = machine.type + (",smm=on" if machine.secure_boot else "")
        self.add("-machine", kind, "-cpu", "host" if self.accel == "kvm" else machine.cpu)
        topology = "".join(f",{key}={value}" for key, value in machine.topology.items())
        self.add("-smp", f"{machine.cpus}{topology}", "-m", f"{machine.memory_mib}M")
        self.add("-rtc", "base=" + ("localtime" if machine.clock == "localtime" else "utc"))
        if machine.uuid:
            self.add("-uuid", machine.uuid)
        if not self.write:
            self.add("-snapshot")
        if machine.firmware == "efi":
            self.add_firmware()
        if any(nic.hotplug_slot for nic in machine.nics):
            # The number of a slot is seen by the guest when it does the hot-plugging itself.
            self.add("-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off")
        for number, nic in enumerate(machine.nics):
            self.add_nic(number, nic)
        for number, disk in enumerate(machine.disks):
            self.add_disk(number, disk)
        if machine.balloon:
            self.add_device("virtio-balloon-pci", self.place(None))
        if machine.rng:
            self.add("-object", "rng-random,id=rng0,filename=/dev/urandom")
            self.add_device("virtio-rng-pci,rng=rng0", self.place(None))
        return [qemu] + self.arguments

    def add(self, *arguments):
        self.arguments += arguments

    def add_device(self, device, place=""):
        self.add("-device", device + place)

    def add_firmware(self):
        machine = self.machine
        if machine.secure_boot and not machine.is_q35:
            raise MachineError("secure boot needs a q35 machine")
        kind = ".ms.fd" if machine.secure_boot else ".fd"
        code = pathlib.Path(machine.loader or OVMF / f"OVMF_CODE_4M{kind}")
        template = pathlib.Path(machine.nvram_template or OVMF / f"OVMF_VARS_4M{kind}")
        for path in (code, template):
            if not path.exists():
                raise MachineError(f"UEFI firmware {path} is not there; apt-get install ovmf")
        variables = self.scratch / "variables.fd"
        shutil.copyfile(template, variables)
        # Under -snapshot QEMU refuses a pflash that is read-only and has a snapshot; both are throw-away here.
        self.add("-drive", f"if=pflash,format=raw,unit=0,readonly=on,snapshot=off,file={quoted(code)}")
        self.add("-drive", f"if=pflash,format=raw,unit=1,snapshot=off,file={quoted(variables)}")
        if machine.secure_boot:
            self.add("-global", "driver=cfi.pflash01,property=secure,value=on")

    def place(self, pci, slot=0):
        """Where the next PCI device goes, as the end of its -device; root ports are made as needed."""
        if pci and pci[0] == 0:
            root = "pcie.0" if self.machine.is_q35 else "pci.0"
            return f",bus={root},addr={pci[1]:#x}.{pci[2]:#x}"
        if not self.machine.is_q35:
            return f",addr={pci[1]:#x}.{pci[2]:#x}" if pci else ""
        number = pci[0] if pci else next(self.free_ports)
        while self.ports < number:
            self.add_root_port(slot if self.ports + 1 == number else 0)
        return f",bus=port{number}" + (f",addr={pci[1]:#x}" if pci else "")

    def add_root_port(self, slot):
        """As libvirt has them: eight to a slot of the root bus, from slot 2; bus N is behind the Nth."""
        place, function = divmod(self.ports, 8)
        self.ports += 1
        self.add_device(f"pcie-root-port,id=port{self.ports},chassis={self.ports},port={self.ports + 15:#x},"
                        f"bus=pcie.0,addr={2 + place:#x}.{function:#x}"
                        + (",multifunction=on" if function == 0 else "") + (f",slot={slot}" if slot else ""))

    def add_nic(self, number, nic):
        # A network of its own with the gateway of the lab guest on it, and no way out.
        self.add("-netdev", f"user,id=net{number},restrict=on,ipv6=off,net=192.0.2.0/24,host=192.0.2.1,"
                            "dns=192.0.2.3,dhcpstart=192.0.2.100")
        place = self.place(nic.pci, nic.hotplug_slot)
        device = f"{NIC_MODELS[nic.model]},id=nic{number},netdev=net{number}"
        if nic.mac:
            device += f",mac={nic.mac}"
        self.add_device(device + boot_index(nic.boot), place)

    def add_disk(self, number, disk):
        drive = f"if=none,id=disk{number},format={disk.format},file={quoted(disk.path)},discard={disk.discard}"
        if disk.cdrom:
            drive += ",readonly=on"
        self.add("-drive", drive)
        tail = f",drive=disk{number}" + boot_index(disk.boot) + (f",serial={disk.serial}" if disk.serial else "")
        kind = "cd" if disk.cdrom else "hd"
        if disk.bus == "virtio":
            model = disk.model.replace("virtio", "virtio-blk-pci", 1) if disk.model else "virtio-blk-pci"
            self.add_device(model + tail, self.place(disk.pci))
        elif disk.bus == "nvme":
            self.add_device("nvme" + tail + ("" if disk.serial else f",serial=lab{number}"), self.place(disk.pci))
        elif disk.bus in SCSI_MODELS:
            self.add_scsi(disk.bus)
            self.add_device(f"scsi-{kind},bus={disk.bus}.0{tail}")
        else:
            self.add_device(f"ide-{kind},bus={self.ide_bus(disk.bus)}{tail}")

    def add_scsi(self, bus):
        if bus not in self.scsi:
            self.scsi.add(bus)
            self.add_device(f"{SCSI_MODELS[bus]},id={bus}", self.place(None))

    def ide_bus(self, bus):
        """The next free port: of q35's own AHCI, of an AHCI put into a pc, or of the pc's IDE."""
        unit = self.sata_units
        self.sata_units += 1
        if bus == "ide" and self.machine.is_q35:
            raise MachineError("a q35 machine has no IDE bus")
        if bus == "ide":
            return f"ide.{unit // 2},unit={unit % 2}"
        if not self.machine.is_q35:
            if unit == 0:
                self.add_device("ahci,id=ahci")
            return f"ahci.{unit}"
        return f"ide.{unit}"


def boot_index(order):
    return f",bootindex={order}" if order else ""


def quoted(path):
    """A file name as the value of a QEMU option."""
    return str(path).replace(",", ",,")
