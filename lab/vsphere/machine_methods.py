"""The methods of machines, snapshots and leases.

What can be refused at once is refused in the answer of the call; what the host finds out while it works is the error of
the task, as in the product. A task on a machine that waits for an answer to a question waits with it.
"""

import time

from . import schema
from .fault import Fault
from .links import StorageFault
from .schema import Obj, Ref, Typed

NAME_MAX = 80
RECONFIGURE = {"changeTrackingEnabled": "VirtualMachine.Config.ChangeTracking",
               "annotation": "VirtualMachine.Config.Annotation", "name": "VirtualMachine.Config.Rename",
               "extraConfig": "VirtualMachine.Config.AdvancedConfig", "changeVersion": None,
               "deviceChange": "VirtualMachine.Config.EditDevice"}
ALWAYS = ("RefreshStorageInfo", "MarkAsVirtualMachine", "MarkAsTemplate")
ON_TEMPLATES = ALWAYS + ("ExportVm", "QueryChangedDiskAreas")


class ManagedLease:
    """An export lease as a managed object."""

    def __init__(self, lease):
        self.lease = lease
        self.ref = Ref("HttpNfcLease", lease.ref)

    def prop(self, name):
        lease = self.lease
        if name == "info":
            return self.info() if lease.state == "ready" else None
        if name == "error":
            error = lease.error
            return Fault(error.fault, str(error), **filled(error)).localized if error else None
        return {"state": lease.state, "initializeProgress": lease.initialize_percent,
                "transferProgress": lease.transfer_percent, "mode": "pushOrGet",
                "capabilities": Obj("HttpNfcLeaseCapabilities", pullModeSupported=False, corsSupported=False)}[name]

    def info(self):
        lease = self.lease
        urls = [Obj("HttpNfcLeaseDeviceUrl", key=item.key, importKey=item.import_key, url=item.url,
                    sslThumbprint=item.ssl_thumbprint, disk=item.disk, targetId=item.target_id,
                    datastoreKey=item.datastore_key, fileSize=item.file_size) for item in lease.device_urls]
        return Obj("HttpNfcLeaseInfo", lease=self.ref, entity=Ref("VirtualMachine", lease.machine.ref), deviceUrl=urls,
                   totalDiskCapacityInKB=lease.total_capacity_kib, leaseTimeout=int(lease.timeout_s))


def filled(error):
    """The fields of a refusal of the storage side as the schema wants them."""
    fields = {key: value for key, value in error.fields.items() if schema.field(error.fault, key)}
    if isinstance(fields.get("obj"), str):
        kind = "VirtualMachineSnapshot" if "vim.vm.Snapshot" in str(error) else \
            "HttpNfcLease" if "vim.HttpNfcLease" in str(error) else "VirtualMachine"
        fields["obj"] = Ref(kind, fields["obj"])
    for item in schema.fields(error.fault):
        if not item.optional and fields.get(item.name) is None:
            inner = Fault("NotSupported").localized if item.type == "LocalizedMethodFault" else str(error)
            fields[item.name] = inner
    return fields


def fault_of(error):
    """The Fault of a refusal of the storage side, which names its faults as vSphere does."""
    return Fault(error.fault, str(error) or None, **filled(error))


class MachineMethods:
    """Part of Service: `self.lab` is the lab."""

    def check_machine(self, method, target):
        """What stands against any method of a machine, whatever it does."""
        machine = self.machine_of(target)
        if machine is None or method.name in ALWAYS:
            return
        if machine.host.spec.connection != "connected" or machine.connection == "disconnected":
            raise Fault("HostNotConnected")
        if not machine.accessible:
            raise Fault("InvalidState", f"The virtual machine is {machine.connection}.")
        if method.name in machine.disabled:
            raise Fault("MethodDisabled", source=sorted(machine.disabled[method.name])[0])
        if machine.template and method.name not in ON_TEMPLATES:
            raise Fault("NotSupported", "The operation is not supported on a template.")

    def start(self, name, machine, owner, work):
        return self.lab.tasks.start(name, machine, owner.user.name, work)

    # Power.

    def do_PowerOnVM_Task(self, owner, machine, arguments):
        if arguments.get("host") is not None and arguments["host"] != machine.host.ref:
            raise Fault("InvalidArgument", invalidProperty="host")
        if machine.host.spec.maintenance:
            raise Fault("InvalidState", "The host of the virtual machine is in maintenance mode.")
        return self.start("PowerOnVM_Task", machine, owner, lambda task: self.lab.power.start(machine.spec.id))

    def do_PowerOffVM_Task(self, owner, machine, _arguments):
        return self.start("PowerOffVM_Task", machine, owner, lambda task: self.lab.power.stop(machine.spec.id))

    def do_SuspendVM_Task(self, owner, machine, _arguments):
        return self.start("SuspendVM_Task", machine, owner, lambda task: self.lab.power.suspend(machine.spec.id))

    def do_ShutdownGuest(self, _owner, machine, _arguments):
        if machine.question is not None:
            raise Fault("QuestionPending", text=machine.question["info"].text)
        if machine.busy is not None:
            raise Fault("TaskInProgress", task=machine.busy.ref)
        self.lab.power.shutdown(machine.spec.id)

    def do_AnswerVM(self, _owner, machine, arguments):
        with machine.lock:
            pending = machine.question
            if pending is None:
                raise Fault("ConcurrentAccess", "The question has been or is being answered by another thread or user.")
            if pending["info"].id != arguments["questionId"]:
                raise Fault("InvalidArgument", invalidProperty="questionId")
            if arguments["answerChoice"] not in pending["choices"]:
                raise Fault("InvalidArgument", invalidProperty="answerChoice")
            machine.question = None
        machine.touch()

    # Snapshots.

    def do_CreateSnapshot_Task(self, owner, machine, arguments):
        return self.snapshot_task("CreateSnapshot_Task", owner, machine, arguments, arguments["quiesce"])

    def do_CreateSnapshotEx_Task(self, owner, machine, arguments):
        quiesce = arguments.get("quiesceSpec")
        if quiesce is not None and quiesce.timeout is not None and not 5 <= quiesce.timeout <= 240:
            raise Fault("InvalidArgument", invalidProperty="quiesceSpec.timeout")
        return self.snapshot_task("CreateSnapshotEx_Task", owner, machine, arguments, quiesce is not None)

    def snapshot_task(self, name, owner, machine, arguments, quiesce):
        if not arguments["name"] or len(arguments["name"]) > NAME_MAX:
            raise Fault("InvalidName", f"The name {arguments['name'][:90]!r} is invalid.", name=arguments["name"],
                        entity=machine.ref)

        def work(task):
            self.quiesce(machine, quiesce)
            self.stun(machine)
            made = self.lab.storage.create_snapshot(
                machine.spec.id, arguments["name"], arguments.get("description") or "",
                quiesce=quiesce and machine.tools_running, memory=arguments["memory"])
            task.set_progress(95)
            return Ref("VirtualMachineSnapshot", made.ref)

        return self.start(name, machine, owner, work)

    @staticmethod
    def quiesce(machine, wanted):
        """Nothing where nobody can be asked: Tools that do not run, a machine that is off."""
        fails = machine.spec.extra.get("quiesce_fails")
        if wanted and fails and machine.tools_running:
            raise Fault(fails if isinstance(fails, str) else "ApplicationQuiesceFault")

    @staticmethod
    def stun(machine):
        if machine.power == "poweredOn":
            time.sleep(machine.spec.extra.get("stun_ms", 0) / 1000)

    def do_RemoveSnapshot_Task(self, owner, target, arguments):
        machine, ref = target.machine, target.ref.value
        consolidate = arguments.get("consolidate", True)

        def work(task):
            machine.fail_consolidation = (task.rule or {}).get("action") == "consolidation_needed"
            try:
                self.lab.storage.remove_snapshot(machine.spec.id, ref, arguments["removeChildren"], consolidate)
                self.stun(machine)
            finally:
                machine.fail_consolidation = False

        return self.start("RemoveSnapshot_Task", machine, owner, work)

    def do_RemoveAllSnapshots_Task(self, owner, machine, arguments):
        consolidate = arguments.get("consolidate", True)
        return self.start("RemoveAllSnapshots_Task", machine, owner,
                          lambda task: self.lab.storage.remove_all_snapshots(machine.spec.id, consolidate))

    def do_RevertToSnapshot_Task(self, owner, target, _arguments):
        machine, ref = target.machine, target.ref.value
        return self.start("RevertToSnapshot_Task", machine, owner,
                          lambda task: self.lab.storage.revert(machine.spec.id, ref))

    def do_RevertToCurrentSnapshot_Task(self, owner, machine, _arguments):
        current = machine.stored.current
        if current is None:
            raise Fault("NotFound")
        return self.start("RevertToCurrentSnapshot_Task", machine, owner,
                          lambda task: self.lab.storage.revert(machine.spec.id, current.ref))

    def do_ConsolidateVMDisks_Task(self, owner, machine, _arguments):
        return self.start("ConsolidateVMDisks_Task", machine, owner,
                          lambda task: self.lab.storage.consolidate(machine.spec.id))

    def do_RefreshStorageInfo(self, _owner, machine, _arguments):
        machine.touch()

    def do_QueryChangedDiskAreas(self, _owner, machine, arguments):
        snapshot = arguments.get("snapshot")
        if snapshot is not None and machine.snapshot(snapshot.value) is None:
            raise Fault("ManagedObjectNotFound", obj=snapshot)
        if machine.busy is not None and machine.busy.name != "QueryChangedDiskAreas":
            raise Fault("TaskInProgress", task=machine.busy.ref)
        start, length, areas = self.lab.storage.changed_areas(
            machine.spec.id, snapshot and snapshot.value, arguments["deviceKey"], arguments["startOffset"],
            arguments["changeId"], self.lab.site.changed_areas_max)
        return Obj("DiskChangeInfo", startOffset=start, length=length,
                   changedArea=[Obj("DiskChangeExtent", start=first, length=size) for first, size in areas])

    # Configuration.

    def do_ReconfigVM_Task(self, owner, machine, arguments):
        spec = arguments["spec"]
        for name in spec.fields:
            if name not in RECONFIGURE:
                raise Fault("NotSupported", f"The lab does not reconfigure {name}.")
            self.lab.sessions.require(owner, RECONFIGURE[name] or "System.View", machine.ref)
        if spec.changeVersion is not None and spec.changeVersion != str(machine.changes):
            raise Fault("ConcurrentAccess")
        changes = [self.device_change(machine, number, change)
                   for number, change in enumerate(spec.deviceChange or [])]

        def work(_task):
            if spec.changeTrackingEnabled is not None:
                self.set_tracking(machine, spec.changeTrackingEnabled)
            if spec.annotation is not None:
                machine.annotation = spec.annotation
            if spec.name is not None:
                machine.rename(spec.name)
            for option in spec.extraConfig or []:
                value = option.value.value if isinstance(option.value, Typed) else option.value
                machine.options[option.key] = str(value if value is not None else "")
            for key, said in changes:
                machine.connections.setdefault(key, {}).update(said)

        return self.start("ReconfigVM_Task", machine, owner, work)

    def set_tracking(self, machine, enabled):
        if enabled and not machine.tracking_supported:
            raise Fault("NotSupported", "Change tracking is not supported by this virtual machine.")
        if machine.power == "suspended":
            raise Fault("InvalidPowerState", existingState="suspended", requestedState="poweredOff")
        self.lab.storage.set_change_tracking(machine.spec.id, enabled)

    @staticmethod
    def device_change(machine, number, change):
        """(key of the device, what it says of its connection); the lab changes nothing else of a device."""
        where = f"spec.deviceChange[{number}]"
        if change.operation != "edit" or change.fileOperation is not None:
            raise Fault("NotSupported", f"{where}: the lab adds, removes and destroys no devices.")
        known = {device.key: device for device in machine.hardware(None).device}
        device = known.get(change.device.key)
        if device is None or device.type != change.device.type:
            raise Fault("InvalidArgument", invalidProperty=where + ".device.key")
        said = change.device.connectable
        if said is None or device.connectable is None:
            raise Fault("NotSupported", f"{where}: the lab changes nothing but what is connected.")
        if said.connected and machine.power != "poweredOn":
            raise Fault("InvalidPowerState", requestedState="poweredOn", existingState=machine.power)
        return device.key, {"connected": said.connected, "startConnected": said.startConnected}

    def do_MarkAsTemplate(self, _owner, machine, _arguments):
        if machine.power != "poweredOff":
            raise Fault("InvalidPowerState", requestedState="poweredOff", existingState=machine.power)
        machine.spec.template = True
        machine.touch()

    def do_MarkAsVirtualMachine(self, owner, machine, arguments):
        self.lab.sessions.require(owner, "Resource.AssignVMToPool", arguments["pool"])
        if not machine.template:
            raise Fault("InvalidState")
        if arguments["pool"] != machine.host.parent.pool.ref:
            raise Fault("InvalidArgument", invalidProperty="pool")
        machine.spec.template = False
        machine.touch()

    # Leases.

    def export(self, machine, start):
        if machine.busy is not None:
            raise Fault("TaskInProgress", task=machine.busy.ref)
        lease = start()
        machine.touch()
        return Ref("HttpNfcLease", lease.ref)

    def do_ExportVm(self, _owner, machine, _arguments):
        return self.export(machine, lambda: self.lab.leases.export_vm(machine.spec.id))

    def do_ExportSnapshot(self, _owner, target, _arguments):
        machine = target.machine
        return self.export(machine, lambda: self.lab.leases.export_snapshot(machine.spec.id, target.ref.value))

    def do_HttpNfcLeaseProgress(self, _owner, target, arguments):
        target.lease.progress(arguments["percent"])
        self.lab.changes.touch(target.ref)

    def do_HttpNfcLeaseComplete(self, _owner, target, _arguments):
        target.lease.complete()

    def do_HttpNfcLeaseAbort(self, _owner, target, arguments):
        given = arguments.get("fault")
        fault = given and StorageFault(given.fault.type, given.localizedMessage or given.fault.type)
        target.lease.abort(fault)

    def do_HttpNfcLeaseGetManifest(self, _owner, target, _arguments):
        return [Obj("HttpNfcLeaseManifestEntry", key=item.key, sha1=item.sha1, checksum=item.checksum,
                    checksumType=item.checksum_type, size=item.size, disk=item.disk, capacity=item.capacity,
                    populatedSize=item.populated_size) for item in target.lease.manifest()]

    def do_HttpNfcLeaseSetManifestChecksumType(self, _owner, target, arguments):
        wanted = arguments.get("deviceUrlsToChecksumTypes", [])
        target.lease.set_checksum_types({item.key: item.value for item in wanted})
