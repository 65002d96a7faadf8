"""A virtual machine of the inventory: its properties, made of the site, the storage and the power side.

What a call changes about it beyond those (questions, connections of devices, methods that are switched off, ...) is
kept here. `busy` is the task that has the machine; a second one is refused.
"""

import datetime
import re
import threading

from . import devices, files, schema, session
from .fault import Fault
from .inventory import GREEN, Entity
from .schema import Obj, Ref
from .site import inventory_name

LOCK_SECONDS = 0.05
TASK_METHODS = {"PowerOnVM_Task": ("poweredOn",), "PowerOffVM_Task": ("poweredOff",),
                "SuspendVM_Task": ("poweredOff", "suspended"), "ShutdownGuest": ("poweredOff", "suspended"),
                "ExportVm": ("poweredOn", "suspended")}
CAPABILITIES = {"changeTrackingSupported", "snapshotOperationsSupported", "multipleSnapshotsSupported",
                "snapshotConfigSupported", "poweredOffSnapshotsSupported", "memorySnapshotsSupported",
                "revertToSnapshotSupported", "quiescedSnapshotsSupported", "bootOptionsSupported",
                "bootRetryOptionsSupported", "diskSharesSupported", "multipleCoresPerSocketSupported",
                "nestedHVSupported", "seSparseDiskSupported", "toolsSyncTimeSupported", "consolePreferencesSupported"}
TYPE_NAMES = [item.name for item in schema.fields("VirtualMachineCapability")]


class Machine(Entity):
    type = "VirtualMachine"

    def __init__(self, inventory, spec, parent, host, datastores, networks):
        super().__init__(inventory, spec.id, spec.inventory_name, parent)
        self.lab = inventory.lab
        self.spec = spec
        self.host = host
        self.datastores = datastores
        self.networks = networks
        self.lock = threading.RLock()
        self.busy = None                # Task
        self.annotation = spec.annotation or spec.extra.get("annotation", "")
        self.connection = spec.extra.get("connection", "connected")
        self.question = question_of(spec.extra.get("question"))
        self.asked = 1                  # how many questions there were
        self.connections = {}           # device key -> what a reconfiguration said of its connectable
        self.options = {}               # extraConfig that was set by a reconfiguration
        self.disabled = {}              # method -> who switched it off
        self.changes = 1
        self.fail_consolidation = False
        self.last_layout = None

    # What the other parts know.

    @property
    def stored(self):
        return self.lab.storage.machine(self.spec.id)

    @property
    def power(self):
        return self.lab.power.state(self.spec.id)

    @property
    def boot_time(self):
        seconds = self.lab.power.started_at(self.spec.id)
        return seconds and datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)

    @property
    def template(self):
        return self.spec.template

    @property
    def tools_running(self):
        return self.power == "poweredOn" and self.lab.power.tools_running(self.spec.id)

    @property
    def accessible(self):
        return self.connection not in ("inaccessible", "invalid", "orphaned")

    @property
    def lease(self):
        return self.stored.lease

    def snapshot(self, ref):
        """The snapshot with that moref, or None."""
        return self.stored.snapshots.get(ref)

    def ask(self, value):
        """A question is pending from now on, and power tasks wait for its answer."""
        self.asked += 1
        self.question = question_of(value, self.asked)

    def touch(self):
        """Something about it has changed: whoever waits for updates looks again."""
        self.changes += 1
        self.lab.changes.touch(self.ref)

    def file_name(self, name):
        return f"[{self.spec.datastore}] {self.spec.directory}/{name}"

    def datastore_ref(self, file_name):
        """The datastore of a file name, if the machine's datacenter has it."""
        for name, datastore in self.datastores.items():
            if file_name.startswith(f"[{name}] "):
                return datastore.ref
        return None

    # Disks as they are, or as a snapshot has them.

    def links(self, snapshot=None):
        made = {}
        for disk in self.stored.disks:
            at = disk if snapshot is None else snapshot.disks.get(disk.key)
            if at is not None:
                made[disk.key] = devices.Link(at.file_name, list(at.chain), disk.capacity, at.content_id, at.change_id)
        return made

    # Properties.

    def get_disabledMethod(self):
        power = self.power
        wrong = [method for method, states in TASK_METHODS.items() if power in states]
        return sorted(set(wrong) | set(self.disabled))

    def get_capability(self):
        said = {name: name in CAPABILITIES for name in TYPE_NAMES}
        said["changeTrackingSupported"] = self.tracking_supported
        return Obj("VirtualMachineCapability", **said)

    @property
    def tracking_supported(self):
        return self.spec.hw_version >= 7 and self.spec.extra.get("change_tracking_supported", True)

    def get_config(self):
        return self.config(None) if self.accessible else None

    def config(self, snapshot):
        """The configuration as it is, or as it was when a snapshot was taken."""
        spec, extra = self.spec, self.spec.extra
        key = extra.get("key_id")
        return Obj(
            "VirtualMachineConfigInfo", changeVersion=str(self.changes), modified=self.lab.started, name=self.name,
            guestFullName=spec.guest_name, version=f"vmx-{spec.hw_version:02}", uuid=extra.get("bios_uuid", spec.uuid),
            createDate=self.lab.started, instanceUuid=spec.instance_uuid, template=self.template, guestId=spec.guest_id,
            alternateGuestName="", annotation=self.annotation, files=self.places(), tools=tools_config(),
            flags=self.flags(), defaultPowerOps=power_operations(), hardware=self.hardware(snapshot),
            cpuAllocation=allocation(), memoryAllocation=allocation(),
            latencySensitivity=Obj("LatencySensitivity", level=extra.get("latency_sensitivity", "normal")),
            memoryHotAddEnabled=False, cpuHotAddEnabled=False, cpuHotRemoveEnabled=False,
            cpuAffinity=affinity(extra), extraConfig=self.extra_config(), swapPlacement="inherit",
            datastoreUrl=[Obj("VirtualMachineConfigInfoDatastoreUrlPair", name=name, url=item.url)
                          for name, item in self.datastores.items() if name == spec.datastore],
            bootOptions=self.boot_options(), ftInfo=self.fault_tolerance(), repConfig=replication(spec),
            vAppConfig=vapp(spec), vAssertsEnabled=False, changeTrackingEnabled=self.change_tracking,
            firmware=spec.firmware, maxMksConnections=-1, guestAutoLockEnabled=True, managedBy=managed_by(extra),
            memoryReservationLockedToMax=bool(extra.get("memory_locked")), nestedHVEnabled=bool(extra.get("nested_hv")),
            vPMCEnabled=False, forkConfigInfo=fork_config(extra),
            keyId=Obj("CryptoKeyId", keyId=key, providerId=Obj("KeyProviderId", id="lab")) if key else None,
            migrateEncryption="opportunistic", sevEnabled=bool(extra.get("sev")),
            sgxInfo=Obj("VirtualMachineSgxInfo", epcSize=64, flcMode="unlocked") if extra.get("sgx") else None)

    @property
    def change_tracking(self):
        return bool(self.stored.change_tracking)

    def places(self):
        directory = self.file_name("")
        vmx = re.sub(r".*/", "", self.spec.directory) + ".vmx"
        return Obj("VirtualMachineFileInfo", vmPathName=directory + vmx, snapshotDirectory=directory,
                   suspendDirectory=directory, logDirectory=directory)

    def flags(self):
        extra = self.spec.extra
        return Obj("VirtualMachineFlagInfo", disableAcceleration=False, enableLogging=True, useToe=False,
                   runWithDebugInfo=False, monitorType="release", htSharing="any", snapshotDisabled=False,
                   snapshotLocked=False, virtualMmuUsage="automatic", virtualExecUsage="hvAuto",
                   diskUuidEnabled=extra.get("extra_config", {}).get("disk.EnableUUID", "").lower() == "true",
                   snapshotPowerOffBehavior="powerOff", recordReplayEnabled=False, faultToleranceType="unset",
                   cbrcCacheEnabled=False, vvtdEnabled=False, vbsEnabled=bool(extra.get("vbs")))

    def hardware(self, snapshot):
        return Obj("VirtualHardware", numCPU=self.spec.vcpus, numCoresPerSocket=self.spec.cores_per_socket,
                   memoryMB=self.spec.memory_mib, virtualICH7MPresent=False, virtualSMCPresent=False,
                   device=devices.device_list(self, self.links(snapshot)))

    def boot_options(self):
        order = [Obj("VirtualMachineBootOptionsBootableDiskDevice", deviceKey=key)
                 for key in self.spec.extra.get("boot_order", [])]
        return Obj("VirtualMachineBootOptions", bootDelay=0, enterBIOSSetup=False, bootRetryEnabled=False,
                   efiSecureBootEnabled=bool(self.spec.extra.get("efi_secure_boot")), bootRetryDelay=10000,
                   bootOrder=order, networkBootProtocol="ipv4")

    def extra_config(self):
        said = {"nvram": re.sub(r".*/", "", self.spec.directory) + ".nvram", "svga.present": "TRUE",
                "virtualHW.productCompatibility": "hosted"}
        for order, nic in enumerate(self.spec.nics):
            said[f"ethernet{order}.pciSlotNumber"] = str(nic.pci_slot)
        if self.change_tracking:
            said["ctkEnabled"] = "TRUE"
            for disk in self.stored.disks:
                spec = next(item for item in self.spec.disks if item.key == disk.key)
                if disk.change_id:
                    bus = "scsi" if spec.controller_key // 1000 == 1 else spec.kind
                    said[f"{bus}{spec.bus}:{spec.unit}.ctkEnabled"] = "TRUE"
        if self.spec.extra.get("ovf_environment"):
            said["guestinfo.ovfEnv"] = "<Environment/>"
        if self.spec.extra.get("hbr"):
            said["hbr_filter.rpo"] = "240"
        said.update(self.spec.extra.get("extra_config", {}))
        said.update(self.options)
        return [Obj("OptionValue", key=key, value=value) for key, value in said.items() if value != ""]

    def fault_tolerance(self):
        if not self.spec.extra.get("fault_tolerance"):
            return None
        return Obj("FaultTolerancePrimaryConfigInfo", role=1, instanceUuids=[self.spec.instance_uuid],
                   configPaths=[self.places().vmPathName], orphaned=False, secondaries=[self.ref])

    def get_runtime(self):
        extra, power = self.spec.extra, self.power
        tolerant = extra.get("fault_tolerance")
        return Obj("VirtualMachineRuntimeInfo", host=self.host.ref, connectionState=self.connection, powerState=power,
                   faultToleranceState="running" if tolerant else "notConfigured",
                   toolsInstallerMounted=bool(extra.get("tools_installer")), bootTime=self.boot_time,
                   question=self.question and self.question["info"], numMksConnections=0, recordReplayState="inactive",
                   cleanPowerOff=None if power == "poweredOn" else True, onlineStandby=False,
                   consolidationNeeded=bool(self.stored.consolidation_needed),
                   paused=False, snapshotInBackground=False, quiescedForkParent=False,
                   instantCloneFrozen=bool(extra.get("instant_clone_frozen")),
                   cryptoState=extra.get("crypto_state", "unlocked" if extra.get("key_id") else None))

    def get_guest(self):
        running, tools = self.tools_running, tools_words(self)
        told = self.spec.extra.get("guest", {})
        host_name = told.get("host_name", self.spec.name) if running else None
        nets = [guest_nic(order, nic, told) for order, nic in enumerate(self.spec.nics)] if running else None
        first = next((address for nic in nets or [] for address in nic.ipAddress), None)
        return Obj("GuestInfo", guestId=self.spec.guest_id if running else None,
                   guestFamily="windowsGuest" if "windows" in self.spec.guest_id.lower() else "linuxGuest",
                   guestFullName=self.spec.guest_name if running else None, hostName=host_name, ipAddress=first,
                   net=nets, ipStack=[guest_stack(told, host_name)] if running else None,
                   disk=[Obj("GuestDiskInfo", diskPath=item["path"], capacity=item["capacity"], freeSpace=item["free"])
                         for item in told.get("disks", [])] if running else None,
                   guestState="running" if running else "notRunning", guestOperationsReady=running,
                   appHeartbeatStatus="appStatusGray", appState="none", guestKernelCrashed=False,
                   interactiveGuestOperationsReady=False, guestStateChangeSupported=running, **tools)

    def get_summary(self):
        spec, extra = self.spec, self.spec.extra
        tools = tools_words(self)
        guest = Obj("VirtualMachineGuestSummary", guestId=spec.guest_id, guestFullName=spec.guest_name,
                    **{key: tools[key] for key in ("toolsStatus", "toolsVersionStatus", "toolsVersionStatus2",
                                                   "toolsRunningStatus")})
        known = self.accessible
        config = Obj("VirtualMachineConfigSummary", name=self.name, template=self.template,
                     vmPathName=self.places().vmPathName, memorySizeMB=spec.memory_mib if known else None,
                     numCpu=spec.vcpus if known else None, numEthernetCards=len(spec.nics) if known else None,
                     numVirtualDisks=len(spec.disks) if known else None, annotation=self.annotation,
                     uuid=extra.get("bios_uuid", spec.uuid) if known else None,
                     instanceUuid=spec.instance_uuid if known else None, guestId=spec.guest_id if known else None,
                     guestFullName=spec.guest_name if known else None, installBootRequired=False,
                     managedBy=managed_by(extra), tpmPresent=bool(extra.get("tpm")))
        usage = self.usage()
        storage = Obj("VirtualMachineStorageSummary", timestamp=session.now(), **usage)
        return Obj("VirtualMachineSummary", vm=self.ref, runtime=self.get_runtime(), guest=guest, config=config,
                   storage=storage, overallStatus=GREEN,
                   quickStats=Obj("VirtualMachineQuickStats", guestHeartbeatStatus=self.get_guestHeartbeatStatus()))

    def layout(self):
        """The files as storage has them; those of the last time while it is at work on them."""
        stored = self.stored
        if stored.lock.acquire(timeout=LOCK_SECONDS):
            try:
                self.last_layout = self.lab.storage.layout(self.spec.id)
            finally:
                stored.lock.release()
        return self.last_layout or files.Layout([], {}, {})

    def rename(self, name):
        if any(other.name == inventory_name(name) for other in self.parent.children if other is not self):
            raise Fault("DuplicateName", f"The name {name!r} already exists.", name=name, object=self.ref)
        self.name = inventory_name(name)

    def usage(self):
        used = sum(item.unique_size for item in self.layout().files)
        wanted = sum(disk.capacity for disk in self.stored.disks)
        return {"committed": used, "uncommitted": max(wanted - used, 0), "unshared": used}

    def get_storage(self):
        where = self.datastores[self.spec.datastore].ref
        usage = Obj("VirtualMachineUsageOnDatastore", datastore=where, **self.usage())
        return Obj("VirtualMachineStorageInfo", perDatastoreUsage=[usage], timestamp=session.now())

    def get_resourcePool(self):
        return None if self.template else self.host.parent.pool.ref

    def get_datastore(self):
        names = {self.spec.datastore} | {disk.datastore for disk in self.spec.disks}
        return [item.ref for name, item in self.datastores.items() if name in names]

    def get_network(self):
        names = {nic.network for nic in self.spec.nics}
        return [item.ref for name, item in self.networks.items() if name in names]

    def get_guestHeartbeatStatus(self):
        return GREEN if self.tools_running else "gray"

    def get_snapshot(self):
        stored = self.stored
        if not stored.snapshots:
            return None
        current = stored.current
        return Obj("VirtualMachineSnapshotInfo", rootSnapshotList=self.tree(None),
                   currentSnapshot=Ref("VirtualMachineSnapshot", current.ref) if current else None)

    def get_rootSnapshot(self):
        return [Ref("VirtualMachineSnapshot", item.ref) for item in self.children_of(None)]

    def children_of(self, parent):
        """The snapshots right under another one (None: at the root), the oldest first."""
        return [item for item in self.stored.snapshots.values()
                if (item.parent.ref if item.parent else None) == (parent.ref if parent else None)]

    def tree(self, parent):
        return [Obj("VirtualMachineSnapshotTree", snapshot=Ref("VirtualMachineSnapshot", item.ref), vm=self.ref,
                    name=item.name, description=item.description, id=item.number, createTime=item.created,
                    state="poweredOff", quiesced=item.quiesced, childSnapshotList=self.tree(item),
                    replaySupported=False) for item in self.children_of(parent)]

    def get_layoutEx(self):
        layout = self.layout() if self.accessible else files.Layout([], {}, {})
        listed = [Obj("VirtualMachineFileLayoutExFileInfo", key=item.key, name=item.name, type=item.type,
                      size=item.size, uniqueSize=item.unique_size, accessible=True) for item in layout.files]
        snapshots = [Obj("VirtualMachineFileLayoutExSnapshotLayout", key=Ref("VirtualMachineSnapshot", ref), dataKey=-1,
                         memoryKey=-1, disk=disk_layout(disks)) for ref, disks in layout.snapshots.items()]
        return Obj("VirtualMachineFileLayoutEx", timestamp=session.now(), file=listed, disk=disk_layout(layout.disks),
                   snapshot=snapshots)


def disk_layout(disks):
    """The chains of disks, from base to current, by the keys of their files."""
    return [Obj("VirtualMachineFileLayoutExDiskLayout", key=key,
                chain=[Obj("VirtualMachineFileLayoutExDiskUnit", fileKey=unit) for unit in chain])
            for key, chain in disks.items()]


def tools_words(machine):
    installed, running = machine.spec.tools != "not-installed", machine.tools_running
    return {"toolsStatus": "toolsNotInstalled" if not installed else "toolsOk" if running else "toolsNotRunning",
            "toolsVersionStatus": "guestToolsUnmanaged" if installed else "guestToolsNotInstalled",
            "toolsVersionStatus2": "guestToolsUnmanaged" if installed else "guestToolsNotInstalled",
            "toolsRunningStatus": "guestToolsRunning" if running else "guestToolsNotRunning"}


def guest_nic(order, nic, told):
    addresses = [text.partition("/")[::2] for text in nic.ip]
    config = Obj("NetIpConfigInfo", ipAddress=[Obj("NetIpConfigInfoIpAddress", ipAddress=address, origin="manual",
                                                   prefixLength=int(prefix or 24), state="preferred")
                                               for address, prefix in addresses])
    return Obj("GuestNicInfo", network=nic.network, ipAddress=[address for address, _ in addresses],
               macAddress=nic.mac, connected=nic.connected, deviceConfigId=4000 + order, ipConfig=config,
               dnsConfig=dns(told) if told.get("dns") else None)


def dns(told):
    return Obj("NetDnsConfigInfo", dhcp=False, hostName=told.get("host_name", ""), domainName=told.get("domain", ""),
               ipAddress=told.get("dns", []), searchDomain=told.get("search", []))


def guest_stack(told, host_name):
    routes = [Obj("NetIpRouteConfigInfoIpRoute", network="0.0.0.0", prefixLength=0,
                  gateway=Obj("NetIpRouteConfigInfoGateway", ipAddress=told["gateway"], device="0"))] \
        if told.get("gateway") else []
    return Obj("GuestStackInfo", dnsConfig=dns(dict(told, host_name=host_name)),
               ipRouteConfig=Obj("NetIpRouteConfigInfo", ipRoute=routes))


def tools_config():
    return Obj("ToolsConfigInfo", toolsVersion=12389, toolsInstallType="guestToolsTypeOpenVMTools", afterPowerOn=True,
               afterResume=True, beforeGuestStandby=True, beforeGuestShutdown=True, toolsUpgradePolicy="manual",
               syncTimeWithHost=False)


def power_operations():
    return Obj("VirtualMachineDefaultPowerOpInfo", powerOffType="soft", suspendType="hard", resetType="soft",
               defaultPowerOffType="soft", defaultSuspendType="hard", defaultResetType="soft",
               standbyAction="checkpoint")


def allocation():
    return Obj("ResourceAllocationInfo", reservation=0, expandableReservation=False, limit=-1,
               shares=Obj("SharesInfo", shares=1000, level="normal"))


def affinity(extra):
    return Obj("VirtualMachineAffinityInfo", affinitySet=extra["cpu_affinity"]) if "cpu_affinity" in extra else None


def replication(spec):
    if not spec.extra.get("hbr"):
        return None
    return Obj("ReplicationConfigSpec", generation=1, vmReplicationId="GID-lab", destination="192.0.2.9", port=31031,
               rpo=240, quiesceGuestEnabled=False, paused=False, oppUpdatesEnabled=False,
               disk=[Obj("ReplicationInfoDiskSettings", key=disk.key, diskReplicationId=f"RDID-{disk.key}")
                     for disk in spec.disks])


def vapp(spec):
    if not spec.extra.get("vapp"):
        return None
    return Obj("VmConfigInfo", ipAssignment=Obj("VAppIPAssignmentInfo", ipAllocationPolicy="fixedPolicy"),
               product=[Obj("VAppProductInfo", key=0, name=spec.name)], installBootRequired=False,
               installBootStopDelay=0)


def managed_by(extra):
    if not extra.get("managed_by"):
        return None
    return Obj("ManagedByInfo", extensionKey=extra["managed_by"], type=extra.get("managed_by_type", "agent"))


def fork_config(extra):
    if not extra.get("instant_clone_frozen"):
        return None
    return Obj("VirtualMachineForkConfigInfo", parentEnabled=True, childType="nonpersistent")


def question_of(value, number=1):
    """A pending question: {"text", "choices": [labels], "default"}, or its text only."""
    if value is None:
        return None
    value = {"text": value} if isinstance(value, str) else value
    labels = value.get("choices", ["Retry", "Cancel"])
    choices = [Obj("ElementDescription", label=label, summary=label, key=str(index))
               for index, label in enumerate(labels)]
    choice = Obj("ChoiceOption", choiceInfo=choices, defaultIndex=value.get("default", 0))
    info = Obj("VirtualMachineQuestionInfo", id=str(number), text=value["text"], choice=choice,
               message=[Obj("VirtualMachineMessage", id="msg.lab.question", text=value["text"])])
    return {"info": info, "choices": [str(index) for index in range(len(labels))]}
