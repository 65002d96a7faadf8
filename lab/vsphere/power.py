"""Power of the lab's machines: one QEMU process for each that runs.

A machine that adopts an image runs in QEMU, with the disks' links on the controllers it has; one of empty disks only,
of which a site may have thousands, is on paper: its power changes and its disks are locked, but nothing executes.
`extra` of a machine says otherwise: "qemu": {"process": true, "paused": true, "accel": "kvm",
"arguments": ["-vga", "std"]}; a paused one is there with all its disks, but its CPUs never start. "tools_after_s" is
when its Tools are running; when it is not said: when the guest's console asks for a login, or after TOOLS_SECONDS; at
once on paper. "shutdown": "ignore" makes the guest deaf to the power button; "shutdown_s" is how long one on paper
takes. A second serial port takes what the guest tells nobody else (lab/ledger.py).
"""

import json
import pathlib
import re
import shutil
import sys
import threading
import time

from . import cbt, qemu
from .links import StorageFault, wrong_power

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import machine as machines  # noqa: E402 pylint: disable=wrong-import-position

TOOLS_SECONDS = 240
PAPER_SHUTDOWN_SECONDS = 0.3
CONSOLE_MAX = 1 << 20           # bytes of a console that are searched for the login
LOGIN = re.compile(rb"login: ?$|login: ", re.MULTILINE)
CONTROLLERS = {"pvscsi": "pvscsi", "lsilogic": "lsi53c895a", "lsisas": "mptsas1068", "sata": "ahci"}
NICS = {"e1000": "e1000", "e1000e": "e1000e", "vmxnet2": "vmxnet3", "vmxnet3": "vmxnet3", "vmxnet3vrdma": "vmxnet3",
        "pcnet32": "e1000", "sriov": "vmxnet3"}
DEFAULT_OPTIONS = {"process": None, "paused": False, "accel": None, "arguments": []}


class Power:
    """Switches machines; all of it thread safe."""

    def __init__(self, storage, directory, accel="tcg", on_change=None):
        """on_change(ref, "poweredOn"|"poweredOff", why) is called from a thread of its own; why: "request", "guest"
        (it shut itself down), "crash"."""
        self.storage = storage
        self.directory = pathlib.Path(directory) / "power"
        self.accel = accel
        self.on_change = on_change
        self.condition = threading.Condition()
        self.running = {}       # ref -> Running
        self.closing = False

    def start_all(self):
        """Those which the site has running. -> [(ref, StorageFault)] of those that cannot."""
        failed = []
        for ref, machine in self.storage.machines.items():
            if machine.spec.power == "poweredOn":
                machine.powered = "poweredOff"
                try:
                    self.start(ref)
                except StorageFault as fault:
                    failed.append((ref, fault))
        return failed

    def start(self, ref):
        """PowerOn, blocks until the process runs. Faults InvalidPowerState, InvalidState (lease, template), FileLocked
        when a disk is being read, GenericVmConfigFault when QEMU does not start."""
        machine = self.storage.machine(ref)
        with machine.lock:
            self.expect(machine, "poweredOn", "poweredOff", "suspended")
            machine.check_free("Power on")
            if machine.spec.template:
                raise StorageFault("NotSupported", f"{machine.spec.name} is a template: it cannot be switched on")
            run = Running(self, machine)
            if run.options["process"]:
                machine.materialize()
            self.storage.claim(machine)
            try:
                run.start()
                with self.condition:
                    self.running[ref] = run
                self.changed(machine, "poweredOn", "request")
            except (qemu.QemuError, OSError, machines.MachineError) as error:
                raise StorageFault("GenericVmConfigFault",
                                   f"{machine.spec.name} cannot be switched on: {error}") from error
            finally:
                machine.starting = False

    def stop(self, ref):
        """PowerOff: pulls the plug. What CBT knows is kept, for the host sees it coming."""
        machine = self.storage.machine(ref)
        with machine.lock:
            self.expect(machine, "poweredOff", "poweredOn", "suspended")
            self.end(machine, "request")

    def end(self, machine, why):
        """The machine's lock is held."""
        with self.condition:
            run = self.running.pop(machine.ref, None)
        if run:
            run.end()
        self.changed(machine, "poweredOff", why)

    def shutdown(self, ref):
        """ShutdownGuest: presses the power button and returns. Faults InvalidPowerState, ToolsUnavailable."""
        machine = self.storage.machine(ref)
        with machine.lock:
            self.expect(machine, "poweredOff", "poweredOn")
            if not self.tools_running(ref):
                raise StorageFault("ToolsUnavailable", "Cannot complete operation because VMware Tools is not running "
                                   "in this virtual machine.")
            if machine.spec.extra.get("shutdown") == "ignore":
                return
            if machine.process:
                machine.process.execute("system_powerdown")
            else:
                run = self.running[ref]
                seconds = machine.spec.extra.get("shutdown_s", PAPER_SHUTDOWN_SECONDS)
                timer = threading.Timer(seconds, self.went_down, (machine, run, "guest"))
                timer.daemon = True
                timer.start()

    def suspend(self, ref):
        """Always a fault: the lab's machines cannot be suspended."""
        machine = self.storage.machine(ref)
        with machine.lock:
            self.expect(machine, "suspended", "poweredOn")
            raise StorageFault("NotSupported",
                               f"{machine.spec.name} cannot be suspended: the lab keeps no memory of guests")

    def crash(self, ref):
        """Power loss: the process is killed, CBT is reset."""
        machine = self.storage.machine(ref)
        with machine.lock:
            self.expect(machine, "poweredOff", "poweredOn")
            with self.condition:
                run = self.running.pop(ref)
            run.kill()
            self.lost(machine)

    def lost(self, machine):
        machine.process = None
        for disk in machine.disks:
            for link in disk.links:
                link.bitmap = False
        self.changed(machine, "poweredOff", "crash")
        cbt.reset(machine)

    def went_down(self, machine, run, why):
        """The guest has shut itself down, or its process has gone."""
        with machine.lock:
            with self.condition:
                if self.running.get(machine.ref) is not run:
                    return      # somebody was faster
                del self.running[machine.ref]
            if why == "crash":
                run.kill()
                self.lost(machine)
            else:
                run.end()
                self.changed(machine, "poweredOff", why)

    def expect(self, machine, wanted, *states):
        if machine.powered not in states:
            raise wrong_power(wanted, machine.powered)

    def changed(self, machine, state, why):
        with self.condition:
            machine.powered = state
            machine.power_changes.append((state, why))
            self.condition.notify_all()
        if self.on_change and not self.closing:
            threading.Thread(target=self.on_change, args=(machine.ref, state, why), daemon=True).start()

    def state(self, ref):
        """poweredOn | poweredOff | suspended"""
        return self.storage.machine(ref).powered

    def tools_running(self, ref):
        """Whether Tools answer."""
        run = self.running.get(ref)
        return bool(run) and run.tools_running()

    def started_at(self, ref):
        """time.time() of the last switching on, or None when it is off: runtime.bootTime."""
        run = self.running.get(ref)
        return run.started_at if run else None

    def wait(self, ref, state, seconds):
        """True when the machine is in that state within so many seconds."""
        machine = self.storage.machine(ref)
        with self.condition:
            return self.condition.wait_for(lambda: machine.powered == state, seconds)

    def console(self, ref):
        """The path of what the guest has said on its serial console."""
        return self.directory / ref / "console.log"

    def serial(self, ref):
        """The path of what the guest has said on its second serial port, through all its power cycles."""
        return self.directory / ref / "serial.log"

    def close(self):
        """Stops every process."""
        self.closing = True
        for ref in list(self.running):
            machine = self.storage.machine(ref)
            with machine.lock:
                if ref in self.running:
                    self.end(machine, "request")


class Running:
    """One machine from its switching on to its end."""

    def __init__(self, power, machine):
        self.power = power
        self.machine = machine
        self.storage = power.storage
        self.process = None
        self.started = time.monotonic()
        self.started_at = time.time()
        self.console_seen = False
        self.directory = power.directory / machine.ref
        self.options = dict(DEFAULT_OPTIONS, **machine.spec.extra.get("qemu", {}))
        unknown = set(self.options) - set(DEFAULT_OPTIONS)
        if unknown:
            raise StorageFault("InvalidArgument", f"extra qemu of {machine.spec.name} has "
                               f"{', '.join(sorted(unknown))}; {', '.join(DEFAULT_OPTIONS)} are known",
                               invalidProperty="qemu")
        if self.options["process"] is None:
            self.options["process"] = any(disk.spec.image for disk in machine.disks)

    def start(self):
        if not self.options["process"]:
            cbt.power_on(self.machine)
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        words = Command(self).build("qemu-system-x86_64")
        self.process = self.machine.process = qemu.Process(
            self.storage.spawner, words, self.storage.scratch, self.event, self.gone)
        try:
            cbt.power_on(self.machine)
            for disk in self.machine.disks:
                disk.active.write_begins()
            if not self.options["paused"]:
                self.process.execute("cont")
        except qemu.QemuError:
            self.kill()
            for disk in self.machine.disks:
                disk.active.bitmap = False
            raise

    def event(self, name, _data):
        if name == "SHUTDOWN":
            self.went_down("guest")

    def gone(self):
        self.went_down("crash")

    def went_down(self, why):
        """From the monitor's thread, which must go on reading."""
        threading.Thread(target=self.power.went_down, args=(self.machine, self, why), daemon=True).start()

    def end(self):
        """The plug is pulled; what is known of the writes is saved first."""
        if self.process:
            try:
                self.process.execute("stop")
                cbt.power_off(self.machine)
            except qemu.QemuError:
                self.kill()
                cbt.reset(self.machine)
                return
            self.machine.process = None
            self.process.quit()
            variables = self.directory / "variables.fd"
            if variables.exists():
                shutil.copyfile(variables, self.machine.nvram_path)
        else:
            cbt.power_off(self.machine)

    def kill(self):
        self.machine.process = None
        if self.process:
            self.process.kill()

    def tools_running(self):
        spec = self.machine.spec
        if spec.tools != "running-when-on":
            return False
        age = time.monotonic() - self.started
        if "tools_after_s" in spec.extra:
            return age >= spec.extra["tools_after_s"]
        if not self.process or age >= TOOLS_SECONDS:
            return True
        if not self.console_seen:
            try:
                with open(self.power.console(self.machine.ref), "rb") as log:
                    self.console_seen = bool(LOGIN.search(log.read(CONSOLE_MAX)))
            except OSError:
                return False
        return self.console_seen


class Command(machines.Command):
    """QEMU's arguments for a machine of the lab: the links of its disks as nodes, on the controllers it has."""

    def __init__(self, run):
        spec = run.machine.spec
        self.run = run
        self.disks = run.machine.disks
        nics = [machines.Nic(NICS[nic.type], nic.mac, nic.pci_slot, link_up=nic.connected) for nic in spec.nics]
        kinds = {disk.spec.kind for disk in self.disks}
        secure = bool(spec.extra.get("efi_secure_boot"))
        made = machines.Machine(type="pc" if "ide" in kinds else "q35", firmware=spec.firmware, secure_boot=secure,
                                cpus=spec.vcpus, memory_mib=spec.memory_mib, uuid=spec.uuid, nics=nics)
        if made.type == "pc":
            for nic in nics:
                nic.hotplug_slot = 0
        super().__init__(made, run.directory, run.options["accel"] or run.power.accel, write=True)
        self.nodes = set()
        self.buses = set()

    def build(self, qemu_program):
        words = super().build(qemu_program)
        for order, disk in enumerate(sorted(self.disks, key=lambda disk: disk.key)):
            self.add_links(disk)
            self.add_disk_device(disk, order)
        ref = self.run.machine.ref
        for name, path, more in (("console", self.run.power.console(ref), ""),
                                 ("serial", self.run.power.serial(ref), ",append=on")):
            path = str(path).replace(",", ",,")
            self.add("-chardev", f"file,id={name},path={path}{more}", "-device", f"isa-serial,chardev={name}")
        # The guest's end is seen while the process is still there, so that its bitmaps can be read.
        self.add("-S", "-no-shutdown", *self.run.options["arguments"])
        return [words[0], *self.arguments]

    def add_firmware(self):
        if self.machine.firmware == "efi":
            variables = self.run.machine.nvram_path
            self.machine.nvram_template = str(variables)
        super().add_firmware()

    def add_links(self, disk):
        for link in reversed(disk.active.chain):
            if link.node in self.nodes:
                continue    # two linked clones on one base are two machines; two disks on one base can be one
            self.nodes.add(link.node)
            node = {"driver": link.format, "node-name": link.node, "read-only": link is not disk.active,
                    "discard": "unmap",
                    "file": {"driver": "file", "node-name": f"file{link.number}", "filename": link.path,
                             "auto-read-only": True, "discard": "unmap"}}
            if link.parent:
                node["backing"] = link.parent.node
            self.add("-blockdev", json.dumps(node))

    def add_disk_device(self, disk, order):
        spec = disk.spec
        bus = f"{spec.kind}{spec.bus}"
        if spec.kind not in ("ide", "nvme") and bus not in self.buses:
            if spec.kind not in CONTROLLERS:
                raise machines.MachineError(f"QEMU has no {spec.kind} controller")
            self.buses.add(bus)
            self.add_device(f"{CONTROLLERS[spec.kind]},id={bus}", self.place(None))
        tail = f",drive={disk.active.node},id={disk.device},bootindex={order + 1}"
        if spec.kind == "ide":
            self.add_device(f"ide-hd,bus=ide.{spec.bus},unit={spec.unit}{tail}")
        elif spec.kind == "sata":
            self.add_device(f"ide-hd,bus={bus}.{spec.unit}{tail}")
        elif spec.kind == "nvme":
            self.add_device(f"nvme,serial=lab{disk.key}{tail}", self.place(None))
        else:
            # pvscsi and mptsas of QEMU know targets, no units behind them.
            self.add_device(f"scsi-hd,bus={bus}.0,scsi-id={spec.unit}{tail}")
