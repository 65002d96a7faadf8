"""What the cloud holds while it runs: the site's tables, and the machines, volumes and interfaces that come and go.

Whoever looks at it or changes it holds `lock`. What is removed stays, marked, for a UUID once known is known for ever.
"""

import dataclasses
import datetime
import pathlib
import threading
import uuid

from . import refusal
from .site import FILE_POOLS, DiskOffering, Named

DUMMY = "kvm-default-vm-import-dummy-template"
TABLES = {"zone": "zones", "pod": "pods", "cluster": "clusters", "host": "hosts", "pool": "pools",
          "network": "networks", "serviceoffering": "service_offerings", "diskoffering": "disk_offerings",
          "domain": "domains", "account": "accounts", "project": "projects", "ostype": "os_types",
          "mapping": "mappings"}


@dataclasses.dataclass(eq=False)
class Nic:
    id: str
    network: object
    mac: str
    ip: str = None
    device: int = 0
    default: bool = False
    removed: bool = False


@dataclasses.dataclass(eq=False)
class Volume:
    id: str
    number: int
    name: str
    type: str                       # ROOT or DATADISK
    owner: object
    pool: object
    path: str
    size: int
    offering: object = None
    format: str = "QCOW2"
    state: str = "Ready"
    machine: object = None
    device: int = None
    created: str = ""
    attached: str = None
    removed: bool = False


@dataclasses.dataclass(eq=False)
class Machine:
    id: str
    number: int
    name: str
    displayname: str
    owner: object
    zone: object
    offering: object
    ostype: object
    template: object
    cpus: int
    mhz: int
    memory_mib: int
    details: dict
    state: str = "Stopped"
    host: object = None
    last_host: object = None
    nics: list = dataclasses.field(default_factory=list)
    ha: bool = False
    displayvm: bool = True
    group: str = None
    delete_protection: bool = False
    created: str = ""
    removed: bool = False

    @property
    def instancename(self):
        return f"i-2-{self.number}-VM"

    @property
    def firmware(self):
        """"LEGACY" or "SECURE" on UEFI, None on BIOS."""
        return self.details.get("UEFI")


class World:
    def __init__(self, site, directory):
        self.site = site
        self.lock = threading.RLock()
        self.directory = pathlib.Path(directory)
        self.tables = {kind: {item.id: item for item in getattr(site, table)} for kind, table in TABLES.items()}
        self.tables["account"].update((project.owner.id, project.owner) for project in site.projects)
        for kind in ("vm", "volume", "nic", "job", "vcenter"):
            self.tables[kind] = {}
        self.add_constants()
        self.tags = []              # {"resource", "type", "key", "value"}
        self.moves = []             # volumes that attachVolume copied, as {"volume", "from", "to"}
        self.number = 10
        self.macs = 0
        for pool in site.pools:
            pool.dir = pool.dir or str(self.directory / "pools" / pool.name)
            pathlib.Path(pool.dir).mkdir(parents=True, exist_ok=True)

    def add_constants(self):
        categories = sorted({item.category for item in self.site.os_types})
        self.tables["oscategory"] = {item.id: item for item in (
            Named(name, str(uuid.uuid5(uuid.NAMESPACE_URL, f"lab:category:{name}"))) for name in categories)}
        template = Named(DUMMY, str(uuid.uuid5(uuid.NAMESPACE_URL, "lab:template:dummy")))
        self.tables["template"] = {template.id: template}
        self.dummy = template

    # Looking.

    def find(self, kind, key):
        """The object of that UUID, removed or not, or None. Jobs are there as long as they are kept."""
        return self.tables[kind].get(key)

    def all(self, kind):
        return [item for item in self.tables[kind].values() if not getattr(item, "removed", False)]

    def named(self, kind, name):
        return next((item for item in self.all(kind) if name in (item.name, item.id)), None)

    def setting(self, name):
        return self.site.settings[name]

    def user(self, api_key):
        return next((item for item in self.all("account") if api_key and item.api_key == api_key), None)

    def volumes_of(self, machine):
        return sorted((item for item in self.all("volume") if item.machine is machine), key=lambda item: item.device)

    def root_of(self, machine):
        return next(item for item in self.volumes_of(machine) if item.type == "ROOT")

    def volume_at(self, pool, path):
        """The volume whose record has exactly this path."""
        return next((item for item in self.all("volume") if item.pool is pool and item.path == path), None)

    def dummy_ostype(self):
        """What a machine is that nobody said the operating system of."""
        name = "Other Linux (64-bit)" if self.site.since("4.22.1") else "CentOS 4.5 (32-bit)"
        return self.named("ostype", name) or self.all("ostype")[0]

    def file(self, pool, path):
        """Where the agent looks for a path: in the root of the pool, whatever directories it names."""
        return pathlib.Path(pool.dir) / path.rsplit("/", 1)[-1]

    # Changing.

    def next_number(self):
        self.number += 1
        return self.number

    def add(self, kind, item):
        self.tables[kind][item.id] = item
        return item

    def new_mac(self):
        """02:01:00:cc:.. as the product makes them; never twice."""
        self.macs += 1
        return f"02:01:00:cc:{self.macs >> 8 & 255:02x}:{self.macs & 255:02x}"

    def default_offering(self, local):
        """The offering of volumes that were imported without one; made when it is first needed."""
        name = "Default Custom Offering for Volume Import" + (" - Local Storage" if local else "")
        found = self.named("diskoffering", name)
        return found or self.add("diskoffering", DiskOffering(name, str(uuid.uuid4()),
                                                              storage="local" if local else "shared"))

    def forget_volume(self, volume, state="Expunged"):
        volume.machine = volume.device = volume.attached = None
        volume.state, volume.removed = state, True

    def forget_machine(self, machine):
        for nic in machine.nics:
            nic.removed = True
        machine.host, machine.state, machine.removed = None, "Expunging", True
        self.domain_file(machine).unlink(missing_ok=True)

    def delete_file(self, volume):
        self.file(volume.pool, volume.path).unlink(missing_ok=True)

    def domain_file(self, machine):
        return self.directory / "domains" / f"{machine.instancename}.xml"


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S+0000")


def fresh_id():
    return str(uuid.uuid4())


def tags_fit(wanted, pool):
    """Whether all tags of an offering are on the pool."""
    return set(wanted) <= set(pool.tags)


def is_file_pool(pool):
    return pool.type in FILE_POOLS


def pool_ready(pool):
    """RuntimeError of the product unless a pool can be worked on."""
    if pool.removed:
        raise refusal.runtime(f"Storage pool (ID: {pool.id}) does not exist")
    if "Maintenance" in pool.state:
        raise refusal.runtime(f"Storage pool {pool.name} is in maintenance")
    if pool.state != "Up":
        raise refusal.runtime(f"Storage pool {pool.name} is not Up: {pool.state}")
