"""The lab as a whole: it puts the parts together, starts them and ends them."""

import pathlib
import threading

from . import control, fault, folder, inventory, lease, machine, nfc, power, server, service, session, storage
from . import machine_methods
from . import property as properties
from . import task, throttle, tls
from .links import StorageFault

WATCH_SECONDS = 0.3


class LabError(Exception):
    """Why the lab cannot start, in one sentence."""


class Lab:
    def __init__(self, site, directory, port=0, nfc_port=0, accel="tcg"):
        self.site = site
        self.esxi = site.esxi
        self.dir = pathlib.Path(directory).resolve()
        self.dir.mkdir(parents=True, exist_ok=True)
        self.started = session.now()
        self.host_name = "127.0.0.1"
        self.ended = threading.Event()
        self.certificates = tls.Certificates(self.dir, ["localhost", "127.0.0.1"] + [host.name for host in site.hosts])
        self.thumbprint = self.certificates.thumbprint
        self.faults = fault.rules()
        self.changes = properties.Changes()
        self.pages = properties.Pages()
        self.sessions = session.Sessions(site, self.session_ended)
        self.tasks = task.Tasks(self)
        self.storage = storage.Storage(self.dir, site, self.consolidate_hook)
        self.power = power.Power(self.storage, self.dir, accel, self.power_changed)
        self.inventory = inventory.Inventory(self, machine.Machine)
        self.machines = self.inventory.machines
        self.service = service.Service(self)
        self.server = server.Server(self, port)
        self.port = self.server.port
        throttles = throttle.Throttles(site)
        rules = lambda path: self.faults.take("http", path, path=path)   # noqa: E731
        self.folder = folder.Folder(self.storage, throttles, rules)
        self.host_folder = folder.Folder(self.storage, throttles, rules)
        self.host_folder.esxi = True        # a host's own files, asked for with a ticket
        self.leases = lease.Leases(self.storage, throttles, self.authority, site.lease_timeout_s, self.thumbprint,
                                   rules, self.lease_rule, self.lease_changed)
        self.nfc = nfc.NfcServer(self.storage, site, self.sessions, self.dir / "nfc", self.port, self.thumbprint,
                                 self.certificates.thumbprint_sha256, nfc_port)
        self.control = control.Control(self)
        self.watcher = threading.Thread(target=self.watch_tools, name="tools", daemon=True)

    def start(self):
        """Bring everything to where the site says that it is, and serve."""
        for spec in self.site.machines:
            if spec.extra.get("change_tracking"):
                self.storage.machine(spec.id).materialize()
        failed = self.power.start_all()
        if failed:
            raise LabError("; ".join(f"{self.machines[ref].name}: {error}" for ref, error in failed))
        for spec in self.site.machines:
            for item in spec.extra.get("snapshots", []):
                item = {"name": item} if isinstance(item, str) else item
                self.storage.create_snapshot(spec.id, item["name"], item.get("description", ""))
        self.server.serve()
        self.control.serve()
        self.watcher.start()

    def facts(self):
        """What is printed when the lab serves."""
        return {"url": f"https://{self.host_name}:{self.port}/sdk", "host": self.host_name, "port": self.port,
                "nfc_port": self.nfc.port, "thumbprint": self.thumbprint,
                "thumbprint_sha256": self.certificates.thumbprint_sha256, "ca": str(self.certificates.ca),
                "control": str(self.control.path)}

    def close(self):
        self.ended.set()
        self.control.close()
        self.server.end()
        self.nfc.close()
        self.leases.close()
        self.power.close()
        self.storage.close()

    # What the parts ask for.

    def find(self, ref, caller):
        """The managed object of a reference as a session sees it, or None."""
        found = self.inventory.objects.get(ref) or self.service.find(ref, caller)
        if found is not None:
            return found
        if ref.type == "Task":
            return self.tasks.get(ref)
        if ref.type == "VirtualMachineSnapshot":
            return self.find_snapshot(ref)
        if ref.type == "HttpNfcLease":
            try:
                return machine_methods.ManagedLease(self.leases.get(ref.value))
            except StorageFault:
                return None
        return None

    def find_snapshot(self, ref):
        for entity in self.machines.values():
            snapshot = entity.snapshot(ref.value)
            if snapshot is not None:
                return service.ManagedSnapshot(entity, snapshot)
        return None

    def machine_named(self, name):
        """A machine by moref or name; LabError when there is none."""
        for ref, entity in self.machines.items():
            if name in (ref, entity.name, entity.spec.name):
                return entity
        raise LabError(f"there is no machine {name!r}")

    def host_of(self, spec):
        return next(host for host in self.site.datacenter(spec.datacenter).hosts if host.name == spec.host)

    def authority(self, stored):
        """Who serves the disks of an export: on ESXi whoever the client is connected to, else the host."""
        return f"*:{self.port}" if self.esxi else f"{self.host_of(stored.spec).address}:{self.port}"

    # What the parts tell.

    def session_ended(self, ended):
        self.pages.forget(ended)
        ended.objects.clear()
        self.changes.touch()

    def watch_tools(self):
        """The Tools of a guest come and go by themselves: whoever waits for updates is told."""
        known = {}
        while not self.ended.wait(WATCH_SECONDS):
            now = {ref: self.power.tools_running(ref) for ref in list(self.power.running)}
            for ref in now:
                if now[ref] != known.get(ref, False):
                    self.machines[ref].touch()
            known = now

    def power_changed(self, ref, _state, _why):
        self.machines[ref].touch()

    def lease_changed(self, changed):
        self.changes.touch(machine_methods.ManagedLease(changed).ref)
        self.machines[changed.machine.ref].touch()

    def lease_rule(self, name, changed):
        return self.faults.take("lease", name, machine=self.machines[changed.machine.ref])

    def consolidate_hook(self, stored):
        """Why a consolidation is to fail, or None."""
        entity = self.machines[stored.ref]
        rule = self.faults.take("storage", "consolidate", machine=entity)
        if rule is not None:
            return rule.get("message", "Unable to access file since it is locked")
        return "Unable to access file since it is locked" if entity.fail_consolidation else None
