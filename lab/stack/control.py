"""The control socket: rules, events and the state of the lab, for tests. A JSON object in a line, and one back.

    {"do": "add", "rule": {...}} -> {"id": ..}      {"do": "list"}      {"do": "clear"}      {"do": "state"}
    {"do": "event", "event": NAME, ...}

Events: `restart` [jobs: "forget" or "fail"] (connections end, what runs is lost); `maintenance` {on} (503 to
everything); `expire-jobs`; `setting` {name, value}; `host` {host, state, resource_state, uefi}; `pool` {pool, state,
used_gib}; `account` {account, enabled}; `machine` {machine, state}.
"""

from control_socket import ControlSocket

from .world import now

MAINTENANCE = "CloudStack is preparing for maintenance or shutting down, new requests are not accepted"


class Control(ControlSocket):
    def __init__(self, lab):
        super().__init__(lab.dir)
        self.lab = lab

    def do_add(self, request):
        return {"id": self.lab.faults.add(request["rule"])}

    def do_list(self, _request):
        return {"rules": self.lab.faults.list()}

    def do_clear(self, _request):
        self.lab.faults.clear()
        return {}

    def do_state(self, _request):
        lab, world = self.lab, self.lab.world
        with world.lock:
            return {"machines": {item.name: self.machine_state(item) for item in world.all("vm")},
                    "volumes": {item.id: self.volume_state(item) for item in world.all("volume")},
                    "files": {item.name: self.files(item) for item in world.all("pool")},
                    "jobs": [{"id": item.id, "command": item.command.name, "status": item.status}
                             for item in world.tables["job"].values() if not item.removed],
                    "tags": list(world.tags), "moves": list(world.moves),
                    "calls": dict(sorted(lab.service.calls.items())), "requests": lab.server.requests,
                    "connections": len(lab.server.open), "rules": len(lab.faults.list()), "now": now()}

    def files(self, pool):
        return sorted(file.name for file in self.lab.world.file(pool, "x").parent.iterdir())

    def machine_state(self, machine):
        file = self.lab.world.domain_file(machine)
        return {"id": machine.id, "state": machine.state, "owner": machine.owner.name,
                "instancename": machine.instancename,
                "details": machine.details, "ostype": machine.ostype.name, "host": machine.host and machine.host.name,
                "nics": [{"id": nic.id, "network": nic.network.name, "mac": nic.mac, "ip": nic.ip,
                          "default": nic.default}
                         for nic in machine.nics],
                "domain": str(file) if file.exists() else None}

    @staticmethod
    def volume_state(volume):
        return {"name": volume.name, "type": volume.type, "pool": volume.pool.name, "path": volume.path,
                "state": volume.state, "size": volume.size, "device": volume.device, "owner": volume.owner.name,
                "format": volume.format, "machine": volume.machine and volume.machine.name}

    # Events.

    def do_event(self, request):
        act = getattr(self, "event_" + request["event"].replace("-", "_"), None)
        if act is None:
            raise ValueError(f"{request['event']!r} is no event that the lab knows")
        with self.lab.world.lock:
            return act(**{key: value for key, value in request.items() if key not in ("do", "event")}) or {}

    def event_restart(self, jobs="forget"):
        if jobs not in ("forget", "fail"):
            raise ValueError("jobs are forgotten (forget), or told as cancelled (fail)")
        lost = self.lab.jobs.restart(jobs == "forget")
        self.lab.server.hang_up()
        return {"lost": lost}

    def event_maintenance(self, on):
        self.lab.service.maintenance = MAINTENANCE if on else None

    def event_expire_jobs(self):
        self.lab.jobs.expire()

    def event_setting(self, name, value):
        if name not in self.lab.site.settings:
            raise LookupError(f"there is no setting {name!r}")
        self.lab.site.settings[name] = str(value)

    def event_host(self, host, **words):
        self.change("host", host, words, ("state", "resource_state", "uefi"))

    def event_pool(self, pool, **words):
        self.change("pool", pool, words, ("state", "used_gib"))

    def event_account(self, account, **words):
        self.change("account", account, words, ("enabled",))

    def event_machine(self, machine, **words):
        self.change("vm", machine, words, ("state",))

    def change(self, kind, name, words, allowed):
        found = self.lab.world.named(kind, name)
        if found is None:
            raise LookupError(f"there is no {kind} {name!r}")
        if set(words) - set(allowed):
            raise ValueError(f"of a {kind} only {', '.join(allowed)} can be changed")
        for word, value in words.items():
            setattr(found, word, value)
