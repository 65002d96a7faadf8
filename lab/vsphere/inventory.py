"""The tree of managed entities: folders, datacenters, hosts, datastores, networks and machines, and their properties.

Every entity answers `prop(name)`: the value of a property of its type, None where it is unset. What the lab can find
out only by looking (files, snapshots, power) is looked up when it is asked for.
"""

from . import session as sessions
from .schema import Obj, Ref
from .site import inventory_name

GIB = 1 << 30
GREEN = "green"
NETWORK_TYPES = {"distributed": "DistributedVirtualPortgroup", "opaque": "OpaqueNetwork"}
CHILD_TYPES = {"datacenters": ["Folder", "Datacenter"], "vm": ["Folder", "VirtualMachine", "VirtualApp"],
               "host": ["Folder", "ComputeResource"], "datastore": ["Folder", "Datastore", "StoragePod"],
               "network": ["Folder", "Network", "DistributedVirtualSwitch"]}


class Entity:
    """Anything with a name and a parent."""

    type = "ManagedEntity"

    def __init__(self, inventory, value, name, parent):
        self.inventory = inventory
        self.ref = Ref(self.type, value)
        self.name = name
        self.parent = parent
        self.children = []
        if parent is not None:
            parent.children.append(self)

    def prop(self, name):
        """What the lab has nothing to say about is unset, as it often is in the product."""
        get = getattr(self, "get_" + name, None)
        return get() if get else None

    def get_name(self):
        return self.name

    def get_parent(self):
        return self.parent.ref if self.parent else None

    def get_overallStatus(self):
        return GREEN

    def get_configStatus(self):
        return GREEN

    def get_effectiveRole(self):
        return [-1]

    def get_permission(self):
        return []

    def get_disabledMethod(self):
        return []

    def get_recentTask(self):
        return self.inventory.lab.tasks.recent(self.ref)

    def get_alarmActionsEnabled(self):
        return True

    @property
    def datacenter(self):
        entity = self
        while entity is not None and entity.type != "Datacenter":
            entity = entity.parent
        return entity

    @property
    def path(self):
        """Its inventory path below the root folder."""
        parts, entity = [], self
        while entity is not None and entity.parent is not None:
            parts.append(entity.name)
            entity = entity.parent
        return "/".join(reversed(parts))


class Folder(Entity):
    type = "Folder"

    def __init__(self, inventory, value, name, parent, kind):
        super().__init__(inventory, value, name, parent)
        self.kind = kind

    def get_childType(self):
        return CHILD_TYPES[self.kind]

    def get_childEntity(self):
        return [child.ref for child in self.children]


class Datacenter(Entity):
    type = "Datacenter"

    def __init__(self, inventory, spec, parent):
        super().__init__(inventory, spec.id, inventory_name(spec.name), parent)
        self.spec = spec
        number = spec.id.rpartition("-")[2]
        esxi = inventory.lab.esxi
        self.folders = {}
        for offset, (kind, letter) in enumerate((("vm", "v"), ("host", "h"), ("datastore", "s"), ("network", "n")), 1):
            value = f"ha-folder-{kind}" if esxi else f"group-{letter}{int(number) + offset}"
            self.folders[kind] = Folder(inventory, value, kind, self, kind)

    def get_vmFolder(self):
        return self.folders["vm"].ref

    def get_hostFolder(self):
        return self.folders["host"].ref

    def get_datastoreFolder(self):
        return self.folders["datastore"].ref

    def get_networkFolder(self):
        return self.folders["network"].ref

    def get_datastore(self):
        return [Ref("Datastore", item.id) for item in self.spec.datastores]

    def get_network(self):
        return [self.inventory.network_ref(item) for item in self.spec.networks]

    def get_configuration(self):
        return Obj("DatacenterConfigInfo")


class ComputeResource(Entity):
    """What a host stands in; on a vCenter each host of the lab stands alone."""

    type = "ComputeResource"

    def __init__(self, inventory, spec, parent):
        value = "ha-compute-res" if inventory.lab.esxi else "domain-s" + spec.id.rpartition("-")[2]
        super().__init__(inventory, value, spec.name, parent)
        self.spec = spec
        self.pool = ResourcePool(inventory, self)
        self.host = Host(inventory, spec, self)

    def get_resourcePool(self):
        return self.pool.ref

    def get_host(self):
        return [self.host.ref]

    def get_datastore(self):
        return self.datacenter.get_datastore()

    def get_network(self):
        return self.datacenter.get_network()

    def get_summary(self):
        return Obj("ComputeResourceSummary", totalCpu=40000, totalMemory=256 * GIB, numCpuCores=16, numCpuThreads=32,
                   effectiveCpu=38000, effectiveMemory=250 << 10, numHosts=1, numEffectiveHosts=1, overallStatus=GREEN)


class ResourcePool(Entity):
    type = "ResourcePool"

    def __init__(self, inventory, owner):
        value = "ha-root-pool" if inventory.lab.esxi else "resgroup-" + owner.spec.id.rpartition("-")[2]
        super().__init__(inventory, value, "Resources", owner)
        self.owner = owner

    def get_owner(self):
        return self.owner.ref

    def get_resourcePool(self):
        return []

    def get_vm(self):
        return [machine.ref for machine in self.inventory.machines.values()
                if machine.host is self.owner.host and not machine.template]


class Host(Entity):
    type = "HostSystem"

    def __init__(self, inventory, spec, parent):
        super().__init__(inventory, spec.id, spec.name, parent)
        self.spec = spec

    def product(self):
        spec = self.spec
        return Obj("AboutInfo", name="VMware ESXi", fullName=f"VMware ESXi {spec.version} build-{spec.build}",
                   vendor="VMware, Inc.", version=spec.version, build=spec.build, localeVersion="INTL",
                   localeBuild="000", osType="vmnix-x86", productLineId="embeddedEsx", apiType="HostAgent",
                   apiVersion=spec.version + ".0", licenseProductName="VMware ESX Server",
                   licenseProductVersion=spec.version.split(".")[0] + ".0")

    def get_runtime(self):
        return Obj("HostRuntimeInfo", connectionState=self.spec.connection,
                   powerState="poweredOn" if self.spec.connection == "connected" else "unknown",
                   standbyMode="none", inMaintenanceMode=self.spec.maintenance, inQuarantineMode=False,
                   bootTime=self.inventory.lab.started)

    def get_summary(self):
        lab = self.inventory.lab
        hardware = Obj("HostHardwareSummary", vendor="The lab", model="Lab", memorySize=256 * GIB,
                       uuid="4c4c4544-0000-1000-8000-000000000001", cpuModel="Lab CPU", cpuMhz=2500,
                       numCpuPkgs=2, numCpuCores=16,
                       numCpuThreads=32, numNics=2, numHBAs=1)
        config = Obj("HostConfigSummary", name=self.spec.name, port=443,
                     sslThumbprint=self.spec.ssl_thumbprint or lab.thumbprint, product=self.product(),
                     vmotionEnabled=True, faultToleranceEnabled=False)
        return Obj("HostListSummary", host=self.ref, hardware=hardware, runtime=self.get_runtime(), config=config,
                   quickStats=Obj("HostListSummaryQuickStats", overallCpuUsage=100, overallMemoryUsage=4096,
                                  uptime=86400),
                   overallStatus=GREEN, rebootRequired=False,
                   managementServerIp=None if lab.esxi else lab.host_name)

    def get_config(self):
        if self.spec.connection != "connected":
            return None
        return Obj("HostConfigInfo", host=self.ref, product=self.product(), adminDisabled=False,
                   lockdownMode="lockdownDisabled")

    def get_vm(self):
        return [machine.ref for machine in self.inventory.machines.values() if machine.host is self]

    def get_datastore(self):
        return self.datacenter.get_datastore()

    def get_network(self):
        return self.datacenter.get_network()


class Datastore(Entity):
    type = "Datastore"

    def __init__(self, inventory, spec, parent):
        super().__init__(inventory, spec.id, inventory_name(spec.name), parent)
        self.spec = spec

    @property
    def url(self):
        return f"ds:///vmfs/volumes/{self.spec.id}/"

    @property
    def bytes(self):
        return int(self.spec.capacity_gib * GIB), int(self.spec.free_gib * GIB)

    def get_summary(self):
        capacity, free = self.bytes
        known = self.spec.accessible
        return Obj("DatastoreSummary", datastore=self.ref, name=self.name, url=self.url,
                   capacity=capacity if known else 0, freeSpace=free if known else 0,
                   uncommitted=0 if known else None, accessible=known,
                   multipleHostAccess=len(self.datacenter.spec.hosts) > 1, type=self.spec.type,
                   maintenanceMode=self.spec.maintenance)

    def get_info(self):
        capacity, free = self.bytes
        common = {"name": self.name, "url": self.url, "freeSpace": free, "maxFileSize": 64 << 40,
                  "maxVirtualDiskCapacity": 62 << 40, "maxMemoryFileSize": 64 << 40, "timestamp": sessions.now()}
        if self.spec.type == "VMFS":
            volume = Obj("HostVmfsVolume", type="VMFS", name=self.name, capacity=capacity, blockSizeMb=1,
                         blockSize=1024, maxBlocks=63963136, majorVersion=6, version="6.82",
                         uuid=self.spec.id, ssd=False, local=False,
                         extent=[Obj("HostScsiDiskPartition", diskName="naa.600508b1001c" + "0" * 16, partition=1)],
                         vmfsUpgradable=False)
            return Obj("VmfsDatastoreInfo", maxPhysicalRDMFileSize=64 << 40, maxVirtualRDMFileSize=62 << 40,
                       vmfs=volume, **common)
        if self.spec.type in ("NFS", "NFS41"):
            volume = Obj("HostNasVolume", type=self.spec.type, name=self.name, capacity=capacity,
                         remoteHost="nfs.lab", remotePath="/export")
            return Obj("NasDatastoreInfo", nas=volume, **common)
        if self.spec.type == "vsan":
            return Obj("VsanDatastoreInfo", membershipUuid=self.spec.id, **common)
        return Obj("DatastoreInfo", **common)

    def get_host(self):
        info = Obj("HostMountInfo", path=f"/vmfs/volumes/{self.spec.id}", accessMode="readWrite", mounted=True,
                   accessible=self.spec.accessible)
        return [Obj("DatastoreHostMount", key=Ref("HostSystem", host.id), mountInfo=info)
                for host in self.datacenter.spec.hosts]

    def get_vm(self):
        return [machine.ref for machine in self.inventory.machines.values() if self.ref in machine.get_datastore()]

    def get_capability(self):
        block = self.spec.type == "VMFS"
        return Obj("DatastoreCapability", directoryHierarchySupported=True, rawDiskMappingsSupported=block,
                   perFileThinProvisioningSupported=True, storageIORMSupported=True, nativeSnapshotSupported=False)


class Network(Entity):
    def __init__(self, inventory, spec, parent):
        self.type = NETWORK_TYPES.get(spec.kind, "Network")
        super().__init__(inventory, spec.id, inventory_name(spec.name), parent)
        self.spec = spec

    def get_summary(self):
        more = {}
        if self.spec.kind == "opaque":
            more = {"opaqueNetworkId": self.spec.key or self.spec.id, "opaqueNetworkType": "nsx.LogicalSwitch"}
        return Obj("OpaqueNetworkSummary" if more else "NetworkSummary", network=self.ref, name=self.name,
                   accessible=True, ipPoolName="", **more)

    def get_host(self):
        return [Ref("HostSystem", host.id) for host in self.datacenter.spec.hosts]

    def get_vm(self):
        return [machine.ref for machine in self.inventory.machines.values() if self.ref in machine.get_network()]

    def get_key(self):
        return self.spec.key

    def get_config(self):
        return Obj("DVPortgroupConfigInfo", key=self.spec.key, name=self.name, numPorts=8, type="earlyBinding")


class Inventory:
    """The whole tree. `objects`: entity by reference; `machines`: machine by moref."""

    def __init__(self, lab, make_machine):
        self.lab = lab
        self.objects = {}
        self.machines = {}
        self.root = Folder(self, "ha-folder-root" if lab.esxi else "group-d1",
                           "ha-folder-root" if lab.esxi else "Datacenters", None, "datacenters")
        self.keep(self.root)
        self.folder_number = 100000
        for spec in lab.site.datacenters:
            self.add_datacenter(spec, make_machine)

    def keep(self, entity):
        self.objects[entity.ref] = entity
        return entity

    def add_datacenter(self, spec, make_machine):
        parent = self.root
        for name in [part for part in spec.folder.split("/") if part]:
            parent = self.folder(parent, name, "datacenters", "d")
        datacenter = self.keep(Datacenter(self, spec, parent))
        for folder in datacenter.folders.values():
            self.keep(folder)
        hosts = {}
        for host in spec.hosts:
            resource = self.keep(ComputeResource(self, host, datacenter.folders["host"]))
            self.keep(resource.pool)
            hosts[host.name] = self.keep(resource.host)
        datastores = {item.name: self.keep(Datastore(self, item, datacenter.folders["datastore"]))
                      for item in spec.datastores}
        networks = {item.name: self.keep(Network(self, item, datacenter.folders["network"])) for item in spec.networks}
        for machine in spec.machines:
            folder = datacenter.folders["vm"]
            for name in [part for part in machine.folder.split("/") if part]:
                folder = self.folder(folder, name, "vm", "v")
            entity = self.keep(make_machine(self, machine, folder, hosts[machine.host], datastores, networks))
            self.machines[machine.id] = entity

    def folder(self, parent, name, kind, letter):
        for child in parent.children:
            if child.type == "Folder" and child.name == name:
                return child
        self.folder_number += 1
        return self.keep(Folder(self, f"group-{letter}{self.folder_number}", name, parent, kind))

    @staticmethod
    def network_ref(spec):
        return Ref(NETWORK_TYPES.get(spec.kind, "Network"), spec.id)

    def descendants(self, entity, recursive=True):
        """What lies under an entity, in the order of the inventory."""
        for child in entity.children:
            yield child
            if recursive:
                yield from self.descendants(child)

    def by_path(self, path):
        """The entity at an inventory path, or None. Names in it are stored names; the case of a name counts."""
        entity = self.root
        for part in [part for part in path.split("/") if part]:
            entity = next((child for child in entity.children if child.name == part), None)
            if entity is None:
                return None
        return entity
