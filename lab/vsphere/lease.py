"""Export leases: a machine, or a snapshot of one, as streamOptimized disks over HTTP.

    leases = Leases(storage, throttles, authority, timeout_s, thumbprint, rules=None, on_change=None)

authority(machine) -> what stands between https:// and /nfc in the URLs of its disks: "*:8443" for "the host you are
connected to", or a host's name and port. rules(path) is as for folder.Folder, with the path "/nfc/disk-0.vmdk" (for the
ticket in it is a secret); lease_rules("ready", lease) -> None or {"fault": name, "message": text}: it does not
get ready.

The disks are made while they are sent, so there is no length, and what is known of the stream afterwards (size and
checksums of the bytes) is the manifest.
"""

import collections
import concurrent.futures
import hashlib
import itertools
import os
import pathlib
import secrets
import sys
import threading
import time
import zlib

from . import folder, qemu
from .links import StorageFault, gone, wrong_power
from .site import CONTROLLERS

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import vmdk  # noqa: E402 pylint: disable=wrong-import-position

KEPT_MAX = 1000         # leases that are over are remembered, so that their end can be read
CHUNK_BYTES = 256 << 10
BATCH_GRAINS = 32
WORKERS = 2
PROBE_BYTES = 4096      # of a grain, to see whether it can be compressed
REAP_SECONDS = 0.2
DONE = ("done", "error")


class DeviceUrl:
    """One file of a lease."""

    def __init__(self, key, url, target_id, view=None, path=None, thumbprint=""):
        self.key = self.import_key = key
        self.url = url
        self.target_id = target_id
        self.ssl_thumbprint = thumbprint
        self.view = view        # of a disk
        self.path = path        # of any other file
        self.disk = view is not None
        self.datastore_key = None
        self.file_size = os.stat(path).st_size if path else None
        self.checksum_type = "sha1"
        self.sent = None        # ManifestEntry of the last whole transfer
        self.busy = False
        self.done_bytes = 0     # of the transfer under way


class ManifestEntry:
    """checksum is of checksum_type; capacity and populated_size are in bytes, None when it is no disk."""

    def __init__(self, entry, sums, size, populated):
        self.key = entry.key
        self.sha1 = sums["sha1"].hexdigest()
        self.checksum = sums[entry.checksum_type].hexdigest()
        self.checksum_type = entry.checksum_type
        self.size = size
        self.disk = entry.disk
        self.capacity = entry.view.capacity if entry.disk else None
        self.populated_size = populated


class Lease:
    """.ref .state (initializing ready done error) .error (StorageFault or None) .machine (StorageMachine) .snapshot
    (ref or None) .transfer_percent .initialize_percent .timeout_s .total_capacity_kib .device_urls"""

    def __init__(self, leases, ref, machine, snapshot):
        self.leases = leases
        self.ref = ref
        self.machine = machine
        self.snapshot = snapshot
        self.state = "initializing"
        self.error = None
        self.transfer_percent = self.initialize_percent = 0
        self.timeout_s = leases.timeout_s
        self.device_urls = []
        self.lock = threading.RLock()
        self.renew()

    def renew(self):
        self.deadline = time.monotonic() + self.timeout_s

    @property
    def total_capacity_kib(self):
        return sum(entry.view.capacity for entry in self.device_urls if entry.disk) // 1024

    def check(self, *states):
        if self.state == "error" and self.error and self.error.fault == "Timedout":
            raise StorageFault("Timedout", "The lease has timed out")
        if self.state not in states:
            raise StorageFault("InvalidState", f"The operation is not allowed in the current state of the lease "
                               f"({self.state})")

    def progress(self, percent):
        """HttpNfcLeaseProgress: renews. Timedout or InvalidState when it is over."""
        with self.lock:
            self.check("ready", "initializing")
            if not 0 <= percent <= 100:
                raise StorageFault("InvalidArgument", "percent is 0 to 100", invalidProperty="percent")
            self.transfer_percent = percent
            self.renew()

    def complete(self):
        with self.lock:
            self.check("ready")
            if any(entry.busy for entry in self.device_urls):
                raise StorageFault("InvalidState", "A transfer of the lease is still under way")
            self.finish("done", None)

    def abort(self, fault=None):
        """FAULT: a StorageFault to be seen as the lease's error, or None."""
        with self.lock:
            self.check("ready", "initializing")
            self.finish("error", fault or StorageFault("RequestCanceled", "The lease was aborted by its user"))

    def manifest(self):
        """ManifestEntry of each file that was sent whole."""
        with self.lock:
            self.check("ready")
            self.renew()
            return [entry.sent for entry in self.device_urls if entry.sent]

    def set_checksum_types(self, types):
        """{key of a device URL: "sha1" | "sha256"}, before it is fetched."""
        with self.lock:
            self.check("ready")
            known = {entry.key: entry for entry in self.device_urls}
            for key, kind in types.items():
                if key not in known or kind not in ("sha1", "sha256"):
                    raise StorageFault("InvalidArgument", f"no checksum {kind!r} for {key!r}",
                                       invalidProperty="deviceUrlsToChecksumTypes")
                known[key].checksum_type = kind
            self.renew()

    def finish(self, state, error):
        """Its lock is held. Transfers under way see the state and break off."""
        self.state, self.error = state, error
        for entry in self.device_urls:
            if entry.view and not entry.busy:
                entry.view.close()
        if self.machine.lease is self:
            self.machine.lease = None
        self.leases.over(self)


class Leases:
    """All leases."""

    def __init__(self, storage, throttles, authority, timeout_s=300, thumbprint="", rules=None, lease_rules=None,
                 on_change=None):
        """on_change(lease) is called after each change of a lease's state, from whatever thread made it."""
        self.storage = storage
        self.throttles = throttles
        self.authority = authority
        self.timeout_s = timeout_s
        self.thumbprint = thumbprint
        self.rules = rules
        self.lease_rules = lease_rules
        self.on_change = on_change
        self.leases = collections.OrderedDict()
        self.tickets = {}       # ticket -> lease
        self.lock = threading.Lock()
        self.numbers = itertools.count(1)
        self.closing = threading.Event()
        self.reaper = threading.Thread(target=self.reap, name="leases", daemon=True)
        self.reaper.start()

    def open_leases(self):
        """Those that live."""
        with self.lock:
            return [lease for lease in self.leases.values() if lease.state not in DONE]

    def get(self, lease_ref):
        with self.lock:
            lease = self.leases.get(lease_ref)
        if lease is None:
            raise gone("vim.HttpNfcLease", lease_ref)
        return lease

    def export_vm(self, ref):
        """-> Lease, which gets ready by itself. The machine must be off, and is blocked until the lease is over."""
        machine = self.storage.machine(ref)
        with machine.lock:
            if machine.powered != "poweredOff":
                raise wrong_power("poweredOff", machine.powered)
            machine.check_free("Export")
            lease = self.make(machine, None)
            machine.lease = lease
        self.start(lease)
        return lease

    def export_snapshot(self, ref, snapshot_ref):
        """-> Lease of what the disks held at the snapshot; the machine may run."""
        machine = self.storage.machine(ref)
        with machine.lock:
            self.storage.snapshot(machine, snapshot_ref)
            machine.check_free("Export")
            lease = self.make(machine, snapshot_ref)
        self.start(lease)
        return lease

    def make(self, machine, snapshot):
        if any(disk.spec.key_id for disk in machine.disks):
            raise StorageFault("NotSupported", f"{machine.spec.name} is encrypted: it cannot be exported")
        with self.lock:
            lease = Lease(self, f"session[{secrets.token_hex(4)}]{next(self.numbers)}", machine, snapshot)
            self.leases[lease.ref] = lease
            while len(self.leases) > KEPT_MAX and next(iter(self.leases.values())).state in DONE:
                self.leases.popitem(last=False)
        return lease

    def start(self, lease):
        threading.Thread(target=self.get_ready, args=(lease,), name="lease", daemon=True).start()

    def get_ready(self, lease):
        rule = self.lease_rules("ready", lease) if self.lease_rules else None
        try:
            if rule:
                raise StorageFault(rule["fault"], rule.get("message", "a rule of the lab"))
            entries = self.entries(lease)
        except (StorageFault, qemu.QemuError, OSError) as fault:
            error = fault if isinstance(fault, StorageFault) else StorageFault("SystemError", str(fault))
            with lease.lock:
                if lease.state == "initializing":
                    lease.finish("error", error)
            return
        with lease.lock:
            lease.device_urls = entries
            if lease.state != "initializing":
                for entry in entries:
                    if entry.view:
                        entry.view.close()
                return
            lease.initialize_percent = 100
            lease.state = "ready"
            lease.renew()
        if self.on_change:
            self.on_change(lease)

    def entries(self, lease):
        machine, made = lease.machine, []
        ticket = secrets.token_hex(16)
        prefix = f"https://{self.authority(machine)}/nfc/{ticket}"
        disks = [disk for disk in sorted(machine.disks, key=lambda disk: disk.key)
                 if disk.spec.backing not in ("rdm-physical", "raw") and not (lease.snapshot and disk.independent)]
        try:
            for number, disk in enumerate(disks):
                spec = disk.spec
                view = self.storage.open_view(machine.ref, disk.key, lease.snapshot, purpose="lease")
                key = f"/{machine.ref}/{CONTROLLERS[spec.kind][0]}{spec.bus}:{spec.unit}"
                made.append(DeviceUrl(key, f"{prefix}/disk-{number}.vmdk", f"disk-{number}.vmdk", view,
                                      thumbprint=self.thumbprint))
        except (StorageFault, qemu.QemuError, OSError):
            for entry in made:
                entry.view.close()
            raise
        if machine.spec.firmware == "efi":
            machine.materialize()
            made.append(DeviceUrl(f"/{machine.ref}/nvram", f"{prefix}/file-1.nvram", "file-1.nvram",
                                  path=str(machine.nvram_path), thumbprint=self.thumbprint))
        with self.lock:
            self.tickets[ticket] = lease
        return made

    def over(self, lease):
        with self.lock:
            self.tickets = {ticket: other for ticket, other in self.tickets.items() if other is not lease}
        if self.on_change:
            self.on_change(lease)

    def reap(self):
        while not self.closing.wait(REAP_SECONDS):
            for lease in self.open_leases():
                with lease.lock:
                    if lease.state not in DONE and time.monotonic() > lease.deadline:
                        lease.finish("error", StorageFault("Timedout", "The lease has timed out"))

    def close(self):
        self.closing.set()
        self.reaper.join()
        for lease in self.open_leases():
            with lease.lock:
                if lease.state not in DONE:
                    lease.finish("error", StorageFault("RequestCanceled", "The lab ends"))

    # Serving.

    def handle(self, connection, method, target, _headers=None):
        """GET /nfc/TICKET/NAME: the stream, chunked; the ticket is all that is asked for. False: close."""
        parts = target.partition("?")[0].split("/")
        with self.lock:
            lease = self.tickets.get(parts[2]) if len(parts) == 4 and parts[1] == "nfc" else None
        entry = lease and next((entry for entry in lease.device_urls if entry.target_id == parts[3]), None)
        if method not in ("GET", "HEAD"):
            return folder.answer(connection, 405, "exports are read only", Allow="GET, HEAD")
        if not entry:
            return folder.answer(connection, 404, "there is no such export, or it is over", method)
        rule = self.rules(f"/nfc/{entry.target_id}") if self.rules else None
        if rule and "status" in rule:
            return folder.answer(connection, rule["status"], rule.get("message", "a rule of the lab"), method)
        with lease.lock:
            if lease.state != "ready" or entry.busy:
                return folder.answer(connection, 503, "the file is being sent, or the lease is over", method)
            entry.busy, entry.done_bytes = method == "GET", 0
        words = {"Content-Type": "application/x-vnd.vmware-streamVmdk" if entry.disk else "application/octet-stream"}
        if method == "HEAD":
            connection.sendall(folder.head(200, words))
            return True
        return self.send(connection, lease, entry, words, rule)

    def send(self, connection, lease, entry, words, rule):
        meter = self.throttles.of(lease.machine).connection()
        meter.begin()
        out = Chunks(connection, lease, entry, folder.Sender(connection, meter, rule))
        try:
            connection.sendall(folder.head(200, words | {"Transfer-Encoding": "chunked"}))
            populated = None
            if entry.disk:
                populated = Stream(entry.view, out).run().populated_bytes
            else:
                out.write(pathlib.Path(entry.path).read_bytes())
            out.flush()
            with lease.lock:    # before the last byte: who has that may ask for the manifest, and for the file again
                entry.sent = ManifestEntry(entry, out.sums, out.size, populated)
                entry.busy = False
            out.end()
            return True
        except (folder.Cut, LeaseOver, StorageFault, qemu.QemuError, OSError):
            with lease.lock:
                entry.busy = False
            return False    # there is no way to say it behind a status of 200: the stream breaks off
        finally:
            with lease.lock:
                if lease.state in DONE and entry.view:
                    entry.view.close()


class LeaseOver(Exception):
    """The lease ended during a transfer."""


class Chunks:
    """A body in chunks, and the sums over it."""

    def __init__(self, connection, lease, entry, sender):
        self.connection = connection
        self.lease = lease
        self.entry = entry
        self.sender = sender
        self.sums = {"sha1": hashlib.sha1(), "sha256": hashlib.sha256()}
        self.size = 0
        self.waiting = bytearray()

    def write(self, data):
        self.waiting += data
        if len(self.waiting) >= CHUNK_BYTES:
            self.flush()

    def flush(self):
        if self.lease.state in DONE:
            raise LeaseOver
        if self.waiting:
            for one in self.sums.values():
                one.update(self.waiting)
            self.size += len(self.waiting)
            self.entry.done_bytes = self.size
            self.connection.sendall(b"%x\r\n" % len(self.waiting))
            self.sender.send(self.waiting)
            self.connection.sendall(b"\r\n")
            self.waiting = bytearray()

    def end(self):
        self.connection.sendall(b"0\r\n\r\n")


class Stream(vmdk.Writer):
    """The streamOptimized form of a view."""

    def __init__(self, view, out):
        self.view = view
        with open(os.memfd_create("capacity"), "r+b") as size_only:
            size_only.truncate(view.capacity)
            super().__init__(size_only, out, vmdk.Options(cid=f"{view.link.cid:08x}"))

    def populated(self):
        """Grains where the chain has data which is not zeros."""
        last = -1
        for start, length in self.view.extents():
            for number in range(max(start // self.grain_bytes, last + 1), -(-(start + length) // self.grain_bytes)):
                last = number
                yield number

    def read_grain(self, number):
        start = number * self.grain_bytes
        data = self.view.pread(min(self.grain_bytes, self.view.capacity - start), start)
        return data.ljust(self.grain_bytes, b"\0")

    def compressed(self):
        """In threads, a few batches ahead of what is sent: zlib works beside the interpreter."""
        waiting = collections.deque()
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            for batch in vmdk.batches(self.populated(), BATCH_GRAINS):
                waiting.append(pool.submit(self.grains, batch))
                if len(waiting) > 2 * WORKERS:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()

    def grains(self, numbers):
        made = []
        for number in numbers:
            raw = self.read_grain(number)
            if raw.count(0) != len(raw):
                # What does not shrink is not worth the time; the stream is of the same form.
                level = self.options.level if len(zlib.compress(raw[:PROBE_BYTES], 1)) < PROBE_BYTES else 0
                made.append(vmdk.make_grain(number, number * self.options.grain_sectors, raw, level, None))
        return made
