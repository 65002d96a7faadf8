"""The control socket: rules, events and the state of the lab, for tests. A JSON object in a line, and one back.

    {"do": "add", "rule": {...}} -> {"id": ..}      {"do": "list"}      {"do": "clear"}      {"do": "state"}
    {"do": "expire-sessions"}                       {"do": "event", "event": NAME, ...}      {"do": "trace"}

Events: `crash`, `power-off`, `power-on`, `guest-shutdown` {machine}; `question` {machine, text, choices, default};
`write` {machine, disk, offset, hex or pattern and length}; `grow` {machine, disk, bytes}; `tools` {machine, tools}; `snapshot` and `remove-snapshot` {machine, name} (somebody
else's); `consolidation-needed`, `reset-tracking` {machine}; `connection` {machine, state};
`host` {host, connection, maintenance}; `datastore` {datastore, free_gib, accessible}; `cut-nfc` [machine];
`disable-method` {machine, method}; `password` {user, password}; `touch` {machine}.
"""

import time

from control_socket import ControlSocket

from . import cbt
from .site import TOOLS


class Control(ControlSocket):
    def __init__(self, lab):
        super().__init__(lab.dir)
        self.lab = lab

    # Rules.

    def do_add(self, request):
        rule = request["rule"]
        if isinstance(rule, dict) and "nfc" in rule:
            return {"id": f"nfc-{self.lab.nfc.add_rule(rule)}"}
        number = self.lab.faults.add(rule)
        if rule.get("session") == "expire":
            self.lab.sessions.calls_left = rule.get("after_calls", 0)
        return {"id": number}

    def do_list(self, _request):
        return {"rules": self.lab.faults.list() + self.lab.nfc.rules()}

    def do_clear(self, _request):
        self.lab.faults.clear()
        self.lab.nfc.clear_rules()
        self.lab.sessions.calls_left = None
        return {}

    def do_expire_sessions(self, _request):
        return {"expired": self.lab.sessions.expire_all()}

    # State.

    def do_trace(self, _request):
        """The latest calls: method, CLOCK_MONOTONIC when it came, seconds until it was answered."""
        return {"calls": list(self.lab.service.trace)}

    def do_state(self, _request):
        lab = self.lab
        with lab.sessions.lock:     # who logs out meanwhile has no user any more
            sessions = [{"key": item.key, "user": item.user.name, "agent": item.agent, "calls": item.calls,
                         "verbatim": item.verbatim,
                         "idle_s": round(time.monotonic() - item.active_mono, 3)} for item in lab.sessions.active()]
        used = [entity for entity in lab.machines.values() if entity.stored.ready or entity.stored.power_changes
                or entity.power != "poweredOff"]
        return {"sessions": sessions, "logins": lab.sessions.total,
                "leases": [{"ref": item.ref, "machine": item.machine.spec.name, "state": item.state}
                           for item in lab.leases.open_leases()],
                "snapshots": {entity.spec.name: [item.name for item in entity.stored.snapshots.values()]
                              for entity in used if entity.stored.snapshots},
                "machines": {entity.spec.name: self.machine_state(entity) for entity in used},
                "holds": {entity.spec.name: {method: sorted(sources) for method, sources in entity.disabled.items()}
                          for entity in lab.machines.values() if entity.disabled},
                "tasks": [{"name": item.name, "machine": item.entity.name, "state": item.state}
                          for item in lab.tasks.running()],
                "nfc": lab.nfc.state(), "http_connections": len(lab.server.open), "requests": lab.server.requests_done,
                "calls": dict(sorted(lab.service.calls.items())), "rules": len(lab.faults.list())}

    @staticmethod
    def machine_state(entity):
        stored = entity.stored
        return {"moref": entity.ref.value, "power": entity.power, "power_changes": stored.power_changes, "change_tracking": bool(stored.change_tracking),
                "consolidation_needed": bool(stored.consolidation_needed), "disabled": sorted(entity.disabled),
                "files": {str(disk.key): disk.chain for disk in stored.disks} if stored.ready else {},
                "images": {str(disk.key): [disk.active.path, disk.active.format] for disk in stored.disks}
                if stored.ready else {}}

    # Events.

    def do_event(self, request):
        name = request["event"].replace("-", "_")
        act = getattr(self, "event_" + name, None)
        if act is None:
            raise ValueError(f"{request['event']!r} is no event that the lab knows")
        words = {key: value for key, value in request.items() if key not in ("do", "event")}
        if "machine" in words:
            words["machine"] = self.lab.machine_named(words["machine"])
        reply = act(**words) or {}
        if "machine" in words:
            words["machine"].touch()
        return reply

    def event_crash(self, machine):
        self.lab.power.crash(machine.spec.id)

    def event_power_off(self, machine):
        self.lab.power.stop(machine.spec.id)

    def event_power_on(self, machine):
        self.lab.power.start(machine.spec.id)

    def event_guest_shutdown(self, machine):
        self.lab.power.shutdown(machine.spec.id)

    def event_touch(self, machine):
        """Only that it is looked at again."""

    @staticmethod
    def event_question(machine, text, choices=("Retry", "Cancel"), default=0):
        machine.ask({"text": text, "choices": list(choices), "default": default})

    def event_write(self, machine, disk, offset, pattern=None, length=0, **data):
        content = bytes.fromhex(data["hex"]) if "hex" in data else bytes([pattern]) * length
        self.lab.storage.write(machine.spec.id, disk, offset, content)

    def event_grow(self, machine, disk, bytes):  # pylint: disable=redefined-builtin
        self.lab.storage.grow(machine.spec.id, disk, bytes)

    @staticmethod
    def event_tools(machine, tools):
        if tools not in TOOLS:
            raise ValueError(f"{tools!r} is no state of the Tools; {', '.join(TOOLS)} are")
        machine.spec.tools = tools

    def event_snapshot(self, machine, name, description=""):
        return {"ref": self.lab.storage.create_snapshot(machine.spec.id, name, description).ref}

    def event_remove_snapshot(self, machine, name):
        for ref, snapshot in list(machine.stored.snapshots.items()):
            if snapshot.name == name:
                self.lab.storage.remove_snapshot(machine.spec.id, ref)
                return
        raise LookupError(f"{machine.name} has no snapshot {name!r}")

    @staticmethod
    def event_consolidation_needed(machine, needed=True):
        machine.stored.consolidation_needed = needed

    @staticmethod
    def event_reset_tracking(machine):
        with machine.stored.lock:
            cbt.reset(machine.stored)

    @staticmethod
    def event_connection(machine, state):
        if state not in ("connected", "disconnected", "orphaned", "inaccessible", "invalid"):
            raise ValueError(f"{state!r} is no connection state")
        machine.connection = state

    def event_host(self, host, connection=None, maintenance=None):
        found = next((item for item in self.lab.site.hosts if host in (item.name, item.id)), None)
        if found is None:
            raise LookupError(f"there is no host {host!r}")
        found.connection = connection or found.connection
        found.maintenance = found.maintenance if maintenance is None else maintenance
        self.touch_all("HostSystem")

    def event_datastore(self, datastore, free_gib=None, accessible=None):
        found = next((item for item in self.lab.site.datastores if datastore in (item.name, item.id)), None)
        if found is None:
            raise LookupError(f"there is no datastore {datastore!r}")
        found.free_gib = found.free_gib if free_gib is None else free_gib
        found.accessible = found.accessible if accessible is None else accessible
        self.touch_all("Datastore")

    def touch_all(self, kind):
        self.lab.changes.touch(*[ref for ref in self.lab.inventory.objects if ref.type == kind])

    def event_cut_nfc(self, machine=None):
        return {"cut": self.lab.nfc.cut(machine and machine.ref.value)}

    @staticmethod
    def event_disable_method(machine, method):
        machine.disabled.setdefault(method, set()).add("lab")

    def event_password(self, user, password):
        self.lab.site.users[user].password = password
