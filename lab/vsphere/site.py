"""SITE.json: what the lab holds, as data. Everything that is not said gets a value here, so that the parts of the
lab never ask twice; a word that is not known is an error, for a misspelt condition would test nothing.

Names of the site are names as people see them; `inventory_name` is how vSphere stores them (`/`, `\\` and `%` are
written `%2f`, `%5c`, `%25`). A folder of the site is a path of stored names. Sizes are in bytes.
"""

import copy
import dataclasses
import json
import pathlib
import re
import uuid

MACHINES_MAX = 20000
CONTROLLERS = {     # word of the site: (type, key of number 0, key of its first disk, units of a bus)
    "ide": ("VirtualIDEController", 200, 3000, 2),
    "pvscsi": ("ParaVirtualSCSIController", 1000, 2000, 16),
    "lsilogic": ("VirtualLsiLogicController", 1000, 2000, 16),
    "lsisas": ("VirtualLsiLogicSASController", 1000, 2000, 16),
    "buslogic": ("VirtualBusLogicController", 1000, 2000, 16),
    "sata": ("VirtualAHCIController", 15000, 16000, 30),
    "nvme": ("VirtualNVMEController", 31000, 32000, 15),
}
CDROM_KEY = 3002                # the master of the second IDE controller
BACKINGS = ("flat", "sesparse", "sparse", "rdm-physical", "rdm-virtual", "raw", "pmem", "flat-v1")
MODES = ("persistent", "nonpersistent", "undoable", "independent_persistent", "independent_nonpersistent", "append")
NICS = {"e1000": "VirtualE1000", "e1000e": "VirtualE1000e", "vmxnet2": "VirtualVmxnet2", "vmxnet3": "VirtualVmxnet3",
        "vmxnet3vrdma": "VirtualVmxnet3Vrdma", "pcnet32": "VirtualPCNet32", "sriov": "VirtualSriovEthernetCard"}
POWER = ("poweredOff", "poweredOn", "suspended")
TOOLS = ("running-when-on", "not-running", "not-installed")
CONNECTION = ("connected", "disconnected", "orphaned", "inaccessible", "invalid")


class SiteError(Exception):
    """What is wrong with the site, in one sentence."""


@dataclasses.dataclass
class Disk:
    controller: str = "pvscsi0"     # word of CONTROLLERS and number of the bus
    unit: int = 0
    image: str = None               # a raw file whose content the disk gets
    size_mib: int = 16              # when there is no image
    size_bytes: int = 0             # in place of size_mib, where a disk is no whole number of MiB
    mode: str = "persistent"
    sharing: str = "sharingNone"
    backing: str = "flat"
    uuid: str = None
    thin: bool = True
    file: str = None                # "[datastore] directory/name.vmdk"; the default is that of VMware
    datastore: str = None           # where the disk is not where its machine is
    parent: str = None              # linked clone: "[datastore] directory/base.vmdk"
    key_id: str = None              # encrypted with this key
    format: str = "native_512"
    label: str = None

    @property
    def kind(self):
        return re.match(r"[a-z]+", self.controller).group()

    @property
    def bus(self):
        return int(self.controller[len(self.kind):])

    @property
    def controller_key(self):
        return CONTROLLERS[self.kind][1] + self.bus

    @property
    def key(self):
        """What identifies a disk within its machine, in snapshots as well."""
        _, _, first, units = CONTROLLERS[self.kind]
        return first + units * self.bus + self.unit


@dataclasses.dataclass
class Nic:
    type: str = "vmxnet3"
    mac: str = None
    network: str = None             # the first one of the datacenter
    pci_slot: int = 0
    connected: bool = True
    address_type: str = "generated"
    ip: list = dataclasses.field(default_factory=list)      # "192.0.2.7/24"; what the tools of the guest say


@dataclasses.dataclass
class Machine:
    name: str
    id: str = None                  # its moref, given out here: "vm-16", on ESXi "16"
    datacenter: str = None
    count: int = 1                  # more than one: name-00001, name-00002, ...
    folder: str = ""
    host: str = None                # the first one
    datastore: str = None           # the first one
    guest_id: str = "debian12_64Guest"
    guest_name: str = "Debian GNU/Linux 12 (64-bit)"
    firmware: str = "bios"
    vcpus: int = 1
    cores_per_socket: int = 1
    memory_mib: int = 512
    uuid: str = None
    instance_uuid: str = None
    hw_version: int = 19
    power: str = "poweredOff"
    template: bool = False
    tools: str = "running-when-on"
    annotation: str = ""
    disks: list = dataclasses.field(default_factory=list)
    nics: list = dataclasses.field(default_factory=list)
    extra: dict = dataclasses.field(default_factory=dict)

    @property
    def inventory_name(self):
        return inventory_name(self.name)

    @property
    def directory(self):
        """Where its files lie in its datastore."""
        return self.extra.get("directory") or self.name.replace("/", "_")


@dataclasses.dataclass
class Host:
    name: str
    latency_ms: float = 0
    bandwidth_mib_s: float = 0      # 0: as fast as it can
    nfc_max_connections: int = 0    # 0: no limit
    http_max_connections: int = 0
    connection_mib_s: float = 0     # of each connection to /folder and to an export; 0: no limit
    maintenance: bool = False
    connection: str = "connected"
    version: str = "8.0.3"
    build: str = "24022510"
    datacenter: str = None
    id: str = None
    ssl_thumbprint: str = None      # that of the lab's own certificate when not said
    address: str = "127.0.0.1"


@dataclasses.dataclass
class Datastore:
    name: str
    type: str = "VMFS"
    free_gib: float = 500
    capacity_gib: float = 1000
    accessible: bool = True
    maintenance: str = "normal"
    datacenter: str = None
    id: str = None


@dataclasses.dataclass
class Network:
    name: str
    kind: str = "standard"          # distributed, opaque
    key: str = None
    datacenter: str = None
    id: str = None


@dataclasses.dataclass
class Datacenter:
    name: str
    folder: str = "/"
    hosts: list = dataclasses.field(default_factory=list)
    datastores: list = dataclasses.field(default_factory=list)
    networks: list = dataclasses.field(default_factory=list)
    machines: list = dataclasses.field(default_factory=list)
    id: str = None

    @property
    def path(self):
        """Its inventory path, without a slash in front."""
        return "/".join([part for part in self.folder.split("/") if part] + [inventory_name(self.name)])


@dataclasses.dataclass
class User:
    name: str
    password: str
    privileges: list = None         # None: all
    password_expired: bool = False


@dataclasses.dataclass
class Site:
    users: dict
    datacenters: list
    esxi: bool = False
    version: str = "8.0.3"
    api_version: str = "8.0.3.0"
    build: str = "24022515"
    instance_uuid: str = None
    session_idle_s: float = 1800
    max_sessions: int = 100
    soap_latency_ms: float = 0      # before each answer to a call
    task_delay_ms: float = 0        # how long each task takes at least
    task_keep_s: float = 600        # tasks vanish then
    lease_timeout_s: float = 300
    free_licence: bool = False      # ESXi: whatever would change something is RestrictedVersion
    changed_areas_max: int = 2000   # of one reply of QueryChangedDiskAreas

    @property
    def machines(self):
        return [machine for datacenter in self.datacenters for machine in datacenter.machines]

    @property
    def hosts(self):
        return [host for datacenter in self.datacenters for host in datacenter.hosts]

    @property
    def datastores(self):
        return [datastore for datacenter in self.datacenters for datastore in datacenter.datastores]

    def datacenter(self, name):
        return next(datacenter for datacenter in self.datacenters if datacenter.name == name)


# What "extra" of a machine may say: the conditions of a machine that a check before a migration looks for.
EXTRA = {
    "annotation": str, "bios_uuid": str, "cdrom": (str, dict), "connection": str, "consolidation_needed": bool,
    "crypto_state": str, "change_tracking": bool, "directory": str, "efi_secure_boot": bool, "extra_config": dict,
    "fault_tolerance": bool, "floppy": str, "guest": dict, "hbr": bool, "instant_clone_frozen": bool, "key_id": str,
    "managed_by": str, "managed_by_type": str, "memory_locked": bool, "nested_hv": bool, "nvdimm": bool,
    "ovf_environment": bool, "pci_passthrough": bool, "question": (str, dict), "serial": (str, dict), "sev": bool,
    "sgx": bool, "shared_bus": dict, "snapshots": list, "tools_installer": bool, "tpm": bool, "usb": bool,
    "vapp": bool, "vbs": bool, "vgpu": bool,
    "change_tracking_supported": bool, "boot_order": list, "quiesce_fails": (bool, str), "shutdown": str,
    "shutdown_s": (int, float),
    "latency_sensitivity": str, "cpu_affinity": list, "stun_ms": (int, float), "tools_after_s": (int, float),
    "qemu": dict,
}


# What stands inside some of them.
INSIDE = {"guest": {"host_name", "domain", "dns", "search", "gateway", "disks"}, "cdrom": {"file"},
          "question": {"text", "choices", "default"}, "serial": {"file", "pipe", "uri"},
          "snapshots": {"name", "description"}}


def load(path, esxi=False):
    """The Site of a file, complete and checked; SiteError says what is wrong with it."""
    path = pathlib.Path(path)
    try:
        words = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SiteError(f"cannot read {path}: {error}") from error
    return parse(words, esxi, path.parent)


def parse(words, esxi=False, base=pathlib.Path(".")):
    words = copy.deepcopy(words)
    users = words.pop("users", None) or {"administrator@vsphere.local": {"password": "lab"}}
    datacenters = words.pop("datacenters", None)
    if not datacenters:
        raise SiteError("the site has no datacenters")
    site = build(Site, dict(words, users={}, datacenters=[], esxi=esxi), "the site")
    site.instance_uuid = site.instance_uuid or str(uuid.uuid5(uuid.NAMESPACE_DNS, "vcenter.lab"))
    for name, user in users.items():
        site.users[name] = build(User, dict(user, name=name), f"user {name}")
    if esxi and len(datacenters) != 1:
        raise SiteError("an ESXi host has one datacenter")
    for number, text in enumerate(datacenters):
        site.datacenters.append(datacenter_of(text, number, esxi, base))
    if esxi and len(site.hosts) != 1:
        raise SiteError("an ESXi host is one host")
    if len(site.machines) > MACHINES_MAX:
        raise SiteError(f"{len(site.machines)} machines are more than the {MACHINES_MAX} that the lab holds")
    give_ids(site)
    return site


def build(kind, words, where):
    known = {field.name for field in dataclasses.fields(kind)}
    if not isinstance(words, dict):
        raise SiteError(f"{where} is no object")
    strange = sorted(set(words) - known)
    if strange:
        raise SiteError(f"{where} has {', '.join(map(repr, strange))}, which the lab does not know; "
                        f"it knows {', '.join(sorted(known))}")
    missing = [field.name for field in dataclasses.fields(kind) if field.name not in words
               and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING]
    if missing:
        raise SiteError(f"{where} lacks {', '.join(missing)}")
    return kind(**words)


def datacenter_of(words, number, esxi, base):
    where = f"datacenter {words.get('name', number)}"
    lists = {key: words.pop(key, []) for key in ("hosts", "datastores", "networks", "machines")}
    words.setdefault("name", "ha-datacenter" if esxi else "DC0")
    made = build(Datacenter, words, where)
    if esxi:
        made.name, made.folder = "ha-datacenter", "/"
    for kind, key in ((Host, "hosts"), (Datastore, "datastores"), (Network, "networks")):
        for item in lists[key]:
            item = {"name": item} if isinstance(item, str) else item
            getattr(made, key).append(build(kind, dict(item, datacenter=made.name), f"{where}: {key}"))
    made.hosts = made.hosts or [Host("esx1.lab", datacenter=made.name)]
    made.datastores = made.datastores or [Datastore("datastore1", datacenter=made.name)]
    made.networks = made.networks or [Network("VM Network", datacenter=made.name)]
    for key in ("hosts", "datastores", "networks"):
        names = [item.name for item in getattr(made, key)]
        if len(set(names)) != len(names):
            raise SiteError(f"{where} has two {key} of one name")
    for item in lists["machines"]:
        made.machines.extend(machines_of(item, made, base))
    return made


def machines_of(words, datacenter, base):
    """One machine, or as many as "count" says."""
    where = f"machine {words.get('name', '?')}"
    words = dict(words, datacenter=datacenter.name)
    disks, nics = words.pop("disks", [{}]), words.pop("nics", [{}])
    count = words.pop("count", 1)
    for number in range(1, count + 1):
        name = words.get("name", "machine") if count == 1 else f"{words.get('name', 'machine')}-{number:05}"
        machine = build(Machine, dict(words, name=name), where)
        machine.host = machine.host or datacenter.hosts[0].name
        machine.datastore = machine.datastore or datacenter.datastores[0].name
        machine.folder = "" if datacenter.name == "ha-datacenter" else machine.folder
        machine.extra = dict(machine.extra)
        seed = f"{datacenter.path}/{machine.folder}/{name}"
        machine.uuid = (machine.uuid if count == 1 else None) or vmware_uuid("42", "bios " + seed)
        machine.instance_uuid = (machine.instance_uuid if count == 1 else None) or vmware_uuid("50", "instance " + seed)
        machine.disks = [disk_of(item, machine, order, base) for order, item in enumerate(disks)]
        machine.nics = [nic_of(item, machine, order, datacenter) for order, item in enumerate(nics)]
        check_machine(machine, datacenter, where)
        yield machine


def disk_of(words, machine, order, base):
    where = f"disk {order} of machine {machine.name}"
    words = dict(words)
    words.setdefault("unit", order if order < 7 else order + 1)
    if "count" in words:
        raise SiteError(f"{where}: a disk has no count")
    disk = build(Disk, words, where)
    if not re.fullmatch(rf"({'|'.join(CONTROLLERS)})[0-9]", disk.controller):
        raise SiteError(f"{where}: {disk.controller!r} is no controller; {', '.join(CONTROLLERS)} and a number are")
    if disk.backing not in BACKINGS or disk.mode not in MODES:
        raise SiteError(f"{where}: backing {disk.backing!r} or mode {disk.mode!r} is unknown")
    if CONTROLLERS[disk.kind][3] == 16 and disk.unit == 7:
        raise SiteError(f"{where}: unit 7 of a SCSI bus is the controller")
    if disk.image:
        disk.image = str(base / disk.image)
    disk.datastore = disk.datastore or machine.datastore
    name = pathlib.PurePosixPath(machine.directory).name
    disk.file = disk.file or f"[{disk.datastore}] {machine.directory}/{name}{f'_{order}' if order else ''}.vmdk"
    disk.uuid = disk.uuid or vmware_uuid("6000C29", f"disk {machine.instance_uuid} {disk.key}")
    return disk


def nic_of(words, machine, order, datacenter):
    nic = build(Nic, words, f"network adapter {order} of machine {machine.name}")
    if nic.type not in NICS:
        raise SiteError(f"machine {machine.name}: {nic.type!r} is no network adapter; {', '.join(NICS)} are")
    digits = uuid.uuid5(uuid.NAMESPACE_DNS, f"nic {machine.instance_uuid} {order}").bytes
    nic.mac = nic.mac or f"00:50:56:{digits[0] & 0x3f | 0x80:02x}:{digits[1]:02x}:{digits[2]:02x}"
    nic.network = nic.network or datacenter.networks[0].name
    nic.pci_slot = nic.pci_slot or 192 + 32 * order
    return nic


def check_machine(machine, datacenter, where):
    for word, items in (("host", datacenter.hosts), ("datastore", datacenter.datastores)):
        if getattr(machine, word) not in [item.name for item in items]:
            raise SiteError(f"{where}: {word} {getattr(machine, word)!r} is not in its datacenter")
    for nic in machine.nics:
        if nic.network not in [item.name for item in datacenter.networks]:
            raise SiteError(f"{where}: network {nic.network!r} is not in its datacenter")
    for disk in machine.disks:
        if disk.datastore not in [item.name for item in datacenter.datastores]:
            raise SiteError(f"{where}: datastore {disk.datastore!r} is not in its datacenter")
    for word, value, values in (("power", machine.power, POWER), ("tools", machine.tools, TOOLS),
                                ("firmware", machine.firmware, ("bios", "efi")),
                                ("connection", machine.extra.get("connection", "connected"), CONNECTION)):
        if value not in values:
            raise SiteError(f"{where}: {word} is {value!r}; {', '.join(values)} are known")
    controllers = {disk.controller: disk.controller_key for disk in machine.disks}
    if len(set(controllers.values())) != len(controllers):
        raise SiteError(f"{where}: two SCSI controllers of one number, in {', '.join(sorted(controllers))}")
    keys = [disk.key for disk in machine.disks] + ([CDROM_KEY] if "cdrom" in machine.extra else [])
    if len(set(keys)) != len(keys):
        raise SiteError(f"{where}: two disks on one place of a controller")
    for word, words in INSIDE.items():
        for value in machine.extra.get(word, []) if word == "snapshots" else [machine.extra.get(word)]:
            strange = sorted(set(value) - words) if isinstance(value, dict) else []
            if strange:
                raise SiteError(f"{where}: {word} has {', '.join(map(repr, strange))}; "
                                f"{', '.join(sorted(words))} are known")
    for word, value in machine.extra.items():
        if word not in EXTRA:
            raise SiteError(f"{where}: extra {word!r} is unknown; {', '.join(sorted(EXTRA))} are known")
        if not isinstance(value, EXTRA[word]):
            raise SiteError(f"{where}: extra {word!r} cannot be {value!r}")


def give_ids(site):
    """Morefs in the style of the product, stable as long as the site is."""
    number = 2
    for datacenter in site.datacenters:
        datacenter.id = "ha-datacenter" if site.esxi else f"datacenter-{number}"
        number += 6
    for words, prefix in (("hosts", "host"), ("datastores", "datastore"), ("networks", "network")):
        for datacenter in site.datacenters:
            for item in getattr(datacenter, words):
                number += 1
                item.id = f"{prefix}-{number}"
                if words == "networks" and item.kind == "distributed":
                    item.id = f"dvportgroup-{number}"
                    item.key = item.key or item.id
                if site.esxi:
                    item.id = esxi_id(words, item)
    for number, machine in enumerate(site.machines, number + 1 if not site.esxi else 1):
        machine.id = str(number) if site.esxi else f"vm-{number}"


def esxi_id(words, item):
    if words == "hosts":
        return "ha-host"
    digits = uuid.uuid5(uuid.NAMESPACE_DNS, f"{words} {item.name}").hex
    if words == "datastores":
        return f"{digits[:8]}-{digits[8:16]}-{digits[16:20]}-{digits[20:32]}"
    return f"HaNetwork-{item.name}"


def inventory_name(name):
    return name.replace("%", "%25").replace("/", "%2f").replace("\\", "%5c")


def vmware_uuid(prefix, seed):
    """A UUID in the style of VMware: its first digits say what it is of."""
    digits = prefix + uuid.uuid5(uuid.NAMESPACE_DNS, seed).hex[len(prefix):]
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
