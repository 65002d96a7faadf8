"""A lab with many machines, each good for one migration, and what must be true of a migration at its end."""

import json
import os
import random
import subprocess

import vsphere_scenes
from v2v_scenes import make_disk, names_in, same_content, wait_until
import control_socket
from worker import Daemon, Store

OURS = "vmferry-"
WARM = {"interval_s": 0, "finalize_at": None, "finalize_interval_s": 0, "finalize_window_s": 600, "settle_s": 0,
        "shutdown": "auto", "quiesce": "auto", "power_on_after_failure": True, "max_rounds": 0}
SESSIONS_MAX = 5000         # who is killed does not log out
KEYS = (2000, 2016)         # pvscsi0:0 and lsilogic1:0: unit 0 twice


class World:
    """The lab, its machines m0, m1, ... of which each is taken once, and some that are special: {name: what its "extra"
    says beyond what all have}."""

    def __init__(self, here, programs, count, special=None, sizes_mib=(24, 9), data_mib=12, busy=False):
        """busy: the guests write while a round is copied, too."""
        self.here = here
        self.programs = programs
        self.taken = 0
        self.busy = busy
        self.disks = [make_disk(here / "disk0.raw", sizes_mib[0], seed=1, data_mib=data_mib),
                      make_disk(here / "disk1.raw", sizes_mib[1], seed=2)]
        os.truncate(self.disks[1], (sizes_mib[1] << 20) + 3 * 512)
        attached = [{"controller": controller, "unit": 0, "image": str(disk)}
                    for controller, disk in zip(("pvscsi0", "lsilogic1"), self.disks)]
        extras = {f"m{i}": {} for i in range(count)} | (special or {})
        machines = [{"name": name, "power": "poweredOn", "disks": attached, "memory_mib": 64,
                     "extra": {"qemu": {"process": False}, "tools_after_s": 0, "shutdown_s": 0.05, **extra}}
                    for name, extra in extras.items()]
        whole = vsphere_scenes.site_of(machines, {"max_sessions": SESSIONS_MAX}, hosts=[{"name": "localhost"}])
        self.lab = vsphere_scenes.Lab(here, whole, False)

    def take(self, name=None, kind=None, **how):
        """A machine that nobody has used. kind: of the Scene."""
        if name is None:
            name, self.taken = f"m{self.taken}", self.taken + 1
        return (kind or Scene)(self, name, **how)

    def ask(self, **request):
        """The lab's control; an error is one."""
        reply = control_socket.ask(self.lab.dir, request)
        assert "error" not in reply, reply["error"]
        return reply

    def close(self):
        self.lab.close()


class Scene:
    """One migration of one machine."""

    def __init__(self, world, name, transport="vddk", meddle=None, seed=0, verify="changed", **warm):
        self.world = world
        self.lab = world.lab
        self.name = name
        self.random = random.Random(f"{name} {seed}")
        work = world.here / name.encode().hex()
        work.mkdir()
        self.out = work / "out"
        self.out.mkdir()
        self.store_path = work / "store.json"
        self.errors = open(work / "errors", "w+b")
        self.meddle = meddle
        self.power_before = len(self.machine()["power_changes"])
        self.daemon = self.new_daemon(transport, verify, {**WARM, **warm})

    def new_daemon(self, transport, verify, warm):
        facts = self.lab.facts
        endpoint = {"server": facts["host"], "port": facts["port"], "face": "vcenter", "datacenter": None,
                    "user": vsphere_scenes.USER, "password": vsphere_scenes.PASSWORD,
                    "thumbprint": facts["thumbprint_sha256"], "ca": None}
        start = {"type": "start", "id": self.name.encode().hex()[:12], "action": "migrate",
                 "input": {"kind": "vsphere", "endpoint": endpoint, "vm": self.name, "transport": transport,
                           "snapshot": False, "no_verify": False, "nfc_port": facts["nfc_port"],
                           "vddk": {"libdir": str(self.world.programs.parent / "lab/vddk"), "config": None,
                                    "transports": None}},
                 "output": {"kind": "local", "dir": str(self.out), "name": None, "disk_format": "qcow2",
                            "preallocated": False, "start": False},
                 "convert": {"wanted": False}, "nics": {"macs": [], "networks": [], "bridges": []}, "keys": [],
                 "limit_bytes_s": 0, "parallel_disks": 4, "verify": verify, "discard": False, "warm": warm}
        return Daemon(self.world.programs / "worker/vmferry-worker", start, Store(self.store_path), self.errors,
                      self.watch)

    # The lab.

    def machine(self):
        state = self.world.ask(do="state")
        return state["machines"].get(self.name) or {"power": "poweredOn", "power_changes": []}

    def snapshots(self):
        return self.world.ask(do="state")["snapshots"].get(self.name, [])

    def event(self, event, **words):
        self.world.ask(do="event", event=event, machine=self.name, **words)

    def write(self, count=3):
        """What a guest does: pieces of all sizes at any place, some of them zeros."""
        for _ in range(count):
            number = self.random.randrange(len(KEYS))
            size = self.world.disks[number].stat().st_size
            length = self.random.choice([512, 4096, 65536, 100 * 512, 300 * 1024])
            offset = self.random.randrange(0, size - length) // 512 * 512
            data = bytes(length) if self.random.random() < 0.2 else self.random.randbytes(length)
            self.event("write", disk=KEYS[number], offset=offset, hex=data.hex())

    # A migration.

    def watch(self, daemon, event):
        """What holds at every moment: one snapshot of ours at most. And a busy guest writes while it is frozen."""
        if event.n:
            state = self.world.ask(do="state")
            ours = [it for it in state["snapshots"].get(self.name, []) if it.startswith(OURS)]
            assert len(ours) < 2, f"at message {event.n}, {event.message}: the snapshots {ours}"
            on = state["machines"].get(self.name, {}).get("power") == "poweredOn"
            if ours and on and self.world.busy and event.type == "done":
                self.write(1)
        return self.meddle(daemon, event) if self.meddle else None

    def between(self, rounds=2):
        """For Daemon.to_the_end: writes between rounds, and finalizes after so many deltas."""
        def act(daemon, ended):
            if self.machine()["power"] == "poweredOn" and ended.outcome == "wait":
                self.write()
            if len(daemon.store.rounds("delta")) >= rounds and not self.is_cut_over():
                daemon.store.wish(finalize=True)
        return act

    def is_cut_over(self):
        return bool(self.daemon.store.rounds("final"))

    def migrate(self, rounds=2):
        return self.daemon.to_the_end(self.between(rounds))

    def disks(self):
        """The lab's own disks as they are now: [(path, format)]."""
        found = self.machine()["images"]
        return [found[str(key)] for key in KEYS]

    def copies(self):
        """The images as they are between two rounds, as the journal names them."""
        images = {disk["key"]: disk["image"] for disk in self.daemon.store["machine"]["disks"]}
        return [images[key] for key in KEYS]

    def are_copied(self):
        """Between two rounds, when nobody has written since: each image is what the lab's disk is."""
        for image, (path, kind) in zip(self.copies(), self.disks()):
            assert same_content(image, path, "qcow2", kind), f"{image} is not {path}"

    def last_round(self):
        """{device key: what is said of it} of the last round."""
        rounds = self.daemon.store.rounds()
        return {disk["key"]: disk for disk in rounds[-1]["disks"]} if rounds else {}

    def is_done(self, ended, offs=1):
        """The whole claim: it has arrived, and what is remembered of it says so, too."""
        daemon = self.daemon
        assert ended.outcome == "done", f"{ended}; {daemon.logs()[-5:]}; {daemon.last_words()}"
        self.has_arrived(offs)
        store = daemon.store
        assert store["stage"] == "done"
        names = [(it["kind"], it["name"]) for it in store["objects"]]
        assert len(set(names)) == len(names)
        assert not store.objects("snapshot", "planned", "made"), store["objects"]

    def has_arrived(self, offs=1):
        """It is there, it is identical, the source is off and was switched off so many times, and nothing of ours is
        left."""
        assert names_in(self.out) == sorted([f"{self.name}-sda", f"{self.name}-sdb", f"{self.name}.xml"])
        changes = self.machine()["power_changes"][self.power_before:]
        assert [state for state, _ in changes].count("poweredOff") == offs, changes
        assert self.machine()["power"] == "poweredOff"
        for letter, (path, kind) in zip("ab", self.disks()):
            image = self.out / f"{self.name}-sd{letter}"
            assert same_content(image, path, "qcow2", kind), f"sd{letter} is not {path}"
            checked = subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", image], capture_output=True,
                                     check=False)
            assert checked.returncode == 0, checked.stdout + checked.stderr
        self.is_clean()

    def is_clean(self):
        """Nothing of ours at the source."""
        assert not [it for it in self.snapshots() if it.startswith(OURS)], self.snapshots()

        def quiet():
            state = self.world.ask(do="state")
            return not (state["tasks"] or state["leases"] or state["nfc"]["connections"])
        wait_until(quiet, "an idle lab", seconds=20)

    def dump(self):
        return json.dumps({"acts": self.daemon.acts, "store": self.daemon.store.data}, indent=1)

    def close(self):
        self.errors.close()
