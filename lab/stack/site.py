"""SITE.json: what the cloud holds, as data. Everything that is not said gets a value here; a word that is not known is
an error. What is named gets a UUID made of its name, so that a site has the same ones each time.

`{}` is a site: a zone with a cluster of one host, an NFS pool, a network, offerings, and `admin` with its keys.
"""

import dataclasses
import ipaddress
import json
import pathlib
import uuid

from . import defaults

RELEASES = ("4.19", "4.22.0", "4.22.1", "main")
VERSIONS = dict(zip(RELEASES, ("4.19.3.0", "4.22.0.0", "4.22.1.0", "4.23.0.0-SNAPSHOT")))
SCOPES = ("ZONE", "CLUSTER", "HOST")
FILE_POOLS = ("NetworkFilesystem", "Filesystem", "SharedMountPoint")
POOLS = FILE_POOLS + ("RBD", "Linstor", "StorPool", "PowerFlex", "CLVM")
NETWORKS = ("Isolated", "Shared", "L2")
LIMITS = {"user_vm": 0, "public_ip": 1, "volume": 2, "snapshot": 3, "template": 4, "project": 5, "network": 6, "vpc": 7,
          "cpu": 8, "memory": 9, "primary_storage": 10, "secondary_storage": 11}


class SiteError(Exception):
    """What is wrong with the site, in one sentence."""


@dataclasses.dataclass(eq=False)
class Named:
    name: str
    id: str = None
    removed: bool = False


@dataclasses.dataclass(eq=False)
class Zone(Named):
    networktype: str = "Advanced"
    allocation: str = "Enabled"
    local_storage: bool = False
    security_groups: bool = False


@dataclasses.dataclass(eq=False)
class Pod(Named):
    zone: Zone = None


@dataclasses.dataclass(eq=False)
class Cluster(Named):
    zone: Zone = None
    pod: Pod = None
    hypervisor: str = "KVM"
    arch: str = "x86_64"
    allocation: str = "Enabled"


@dataclasses.dataclass(eq=False)
class Host(Named):
    zone: Zone = None
    pod: Pod = None
    cluster: Cluster = None
    cpus: int = 16
    mhz: int = 2000
    memory_mib: int = 32768
    address: str = "127.0.0.1"
    state: str = "Up"
    resource_state: str = "Enabled"
    uefi: bool = True
    conversion: bool = True
    details: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(eq=False)
class Pool(Named):
    zone: Zone = None
    type: str = "NetworkFilesystem"
    scope: str = "CLUSTER"
    cluster: Cluster = None         # the first one, where the scope is not ZONE
    host: Host = None               # the first one of the cluster, where the scope is HOST
    dir: str = None                 # a real directory; default: one in that of the lab
    tags: list = dataclasses.field(default_factory=list)
    state: str = "Up"
    capacity_gib: int = 1024
    used_gib: int = 100
    templates: list = dataclasses.field(default_factory=list)   # names of files that are the base of a template

    @property
    def local(self):
        return self.scope == "HOST"


@dataclasses.dataclass(eq=False)
class Network(Named):
    zone: Zone = None
    type: str = "Isolated"
    cidr: str = None
    gateway: str = None
    range: list = dataclasses.field(default_factory=list)       # first and last address that are given out
    account: object = None          # nobody: everyone of its domain may use it
    domain: object = None
    project: object = None
    vlan: int = 100

    @property
    def subnet(self):
        return ipaddress.ip_network(self.cidr) if self.cidr else None


@dataclasses.dataclass(eq=False)
class ServiceOffering(Named):
    cpus: int = 1
    mhz: int = 500
    memory_mib: int = 512
    custom: bool = False
    min_cpus: int = None
    max_cpus: int = None
    min_memory_mib: int = None
    max_memory_mib: int = None
    storage: str = "shared"
    tags: list = dataclasses.field(default_factory=list)
    host_tags: list = dataclasses.field(default_factory=list)
    root_gib: int = 0
    zones: list = dataclasses.field(default_factory=list)       # names; none: all
    domains: list = dataclasses.field(default_factory=list)     # paths; none: all
    state: str = "Active"


@dataclasses.dataclass(eq=False)
class DiskOffering(Named):
    size_gib: int = 0               # 0: custom
    storage: str = "shared"
    tags: list = dataclasses.field(default_factory=list)
    encrypt: bool = False
    domains: list = dataclasses.field(default_factory=list)
    state: str = "Active"

    @property
    def custom(self):
        return self.size_gib == 0


@dataclasses.dataclass(eq=False)
class Domain(Named):                # its name is a path: "/", "/acme"
    limits: dict = dataclasses.field(default_factory=dict)

    @property
    def path(self):
        return "ROOT" + self.name.rstrip("/")

    @property
    def label(self):
        return self.path.rsplit("/", 1)[-1]

    def over(self, other):
        """Whether a domain is that one or above it."""
        return other.name == self.name or other.name.startswith(self.name.rstrip("/") + "/")


@dataclasses.dataclass(eq=False)
class Account(Named):
    domain: Domain = None
    type: str = "user"              # or "admin", "domain-admin"
    api_key: str = None
    secret_key: str = None
    enabled: bool = True
    limits: dict = dataclasses.field(default_factory=dict)
    project: object = None          # the project whose hidden account this is

    @property
    def admin(self):
        return self.type == "admin"


@dataclasses.dataclass(eq=False)
class Project(Named):
    domain: Domain = None
    limits: dict = dataclasses.field(default_factory=dict)
    owner: Account = None


@dataclasses.dataclass(eq=False)
class OsType(Named):
    category: str = "Other"


@dataclasses.dataclass(eq=False)
class Mapping(Named):               # name: what the hypervisor calls it
    hypervisor: str = "VMware"
    version: str = "default"
    ostype: OsType = None


@dataclasses.dataclass(eq=False)
class Site:
    release: str = "4.22.1"
    job_ms: int = 0                 # how long a job takes before it does anything
    settings: dict = dataclasses.field(default_factory=dict)
    zones: list = dataclasses.field(default_factory=list)
    pods: list = dataclasses.field(default_factory=list)
    clusters: list = dataclasses.field(default_factory=list)
    hosts: list = dataclasses.field(default_factory=list)
    pools: list = dataclasses.field(default_factory=list)
    networks: list = dataclasses.field(default_factory=list)
    service_offerings: list = dataclasses.field(default_factory=list)
    disk_offerings: list = dataclasses.field(default_factory=list)
    domains: list = dataclasses.field(default_factory=list)
    accounts: list = dataclasses.field(default_factory=list)
    projects: list = dataclasses.field(default_factory=list)
    os_types: list = dataclasses.field(default_factory=list)
    mappings: list = dataclasses.field(default_factory=list)

    def since(self, release):
        """Whether the server is of that release or a newer one."""
        return RELEASES.index(self.release) >= RELEASES.index(release)


# Whose names a word of an item may say, and the order in which they are read.
TABLES = {"zones": (Zone, {}), "pods": (Pod, {"zone": "zones"}),
          "clusters": (Cluster, {"zone": "zones", "pod": "pods"}),
          "hosts": (Host, {"zone": "zones", "pod": "pods", "cluster": "clusters"}),
          "pools": (Pool, {"zone": "zones", "cluster": "clusters", "host": "hosts"}),
          "domains": (Domain, {}), "accounts": (Account, {"domain": "domains"}),
          "projects": (Project, {"domain": "domains"}),
          "networks": (Network, {"zone": "zones", "account": "accounts", "domain": "domains", "project": "projects"}),
          "service_offerings": (ServiceOffering, {}), "disk_offerings": (DiskOffering, {}),
          "os_types": (OsType, {}), "mappings": (Mapping, {"ostype": "os_types"})}
OPTIONAL = {("networks", "account"), ("networks", "domain"), ("networks", "project"), ("pools", "cluster"),
            ("pools", "host")}


def load(path):
    path = pathlib.Path(path)
    try:
        words = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SiteError(f"{path}: {error}") from error
    return of(words)


def of(words):
    if not isinstance(words, dict):
        raise SiteError("a site is a JSON object")
    strange = set(words) - {field.name for field in dataclasses.fields(Site)}
    if strange:
        raise SiteError(f"a site cannot say {', '.join(sorted(strange))}")
    site = Site(words.get("release", "4.22.1"), words.get("job_ms", 0), dict(defaults.SETTINGS))
    if site.release not in RELEASES:
        raise SiteError(f"release {site.release!r} is unknown; {', '.join(RELEASES)} are known")
    for name, value in words.get("settings", {}).items():
        if name not in site.settings:
            raise SiteError(f"setting {name!r} is unknown")
        site.settings[name] = str(value)
    for table, (kind, links) in TABLES.items():
        for item in words.get(table, defaults.TABLES.get(table, [])):
            getattr(site, table).append(build(site, table, kind, links, item))
    finish(site)
    return site


def build(site, table, kind, links, words):
    words = {"name": words} if isinstance(words, str) else dict(words)
    where = f"{table}: {words.get('name')!r}"
    strange = set(words) - ({field.name for field in dataclasses.fields(kind)} - {"removed", "owner"})
    if strange or "name" not in words:
        raise SiteError(f"{where}: it needs a name and cannot say {', '.join(sorted(strange)) or 'nothing'}")
    for word, among in links.items():
        if word in words or (table, word) not in OPTIONAL:
            words[word] = linked(getattr(site, among), words.get(word), f"{where}: {word}")
    if set(words.get("limits", {})) - set(LIMITS):
        raise SiteError(f"{where}: limits are of {', '.join(LIMITS)}")
    words.setdefault("id", str(uuid.uuid5(uuid.NAMESPACE_URL, f"lab:{table}:{words['name']}")))
    made = kind(**words)
    if any(item.id == made.id for item in getattr(site, table)):
        raise SiteError(f"{where}: there are two")
    return made


def linked(items, name, where):
    if name is None and items:
        return items[0]
    found = next((item for item in items if name in (item.name, item.id)), None)
    if found is None:
        raise SiteError(f"{where} {name!r} is not in the site")
    return found


def finish(site):
    """What follows from what the site says."""
    for pool in site.pools:
        if pool.type not in POOLS or pool.scope not in SCOPES:
            raise SiteError(f"pool {pool.name!r}: type {pool.type!r} or scope {pool.scope!r} is unknown")
        if pool.scope != "ZONE":
            pool.cluster = pool.cluster or next((item for item in site.clusters if item.zone is pool.zone), None)
        if pool.local:
            pool.host = pool.host or next((item for item in site.hosts if item.cluster is pool.cluster), None)
    for network in site.networks:
        finish_network(network)
    for project in site.projects:
        project.owner = Account(f"PrjAcct-{project.name}-1", project.id, domain=project.domain, type="project",
                                limits=project.limits, project=project)


def finish_network(network):
    if network.type not in NETWORKS:
        raise SiteError(f"network {network.name!r}: {network.type!r} is no type; {', '.join(NETWORKS)} are")
    if network.type == "L2":
        return
    network.cidr = network.cidr or "10.1.1.0/24"
    try:
        hosts = network.subnet.hosts()
        network.gateway = network.gateway or str(next(hosts))
        network.range = network.range or [str(network.subnet[2]), str(network.subnet[-2])]
        for text in [network.gateway, *network.range]:
            ipaddress.IPv4Address(text)
    except (ValueError, IndexError) as error:
        raise SiteError(f"network {network.name!r}: {error}") from error
    if len(network.range) != 2:
        raise SiteError(f"network {network.name!r}: a range is a first and a last address")
