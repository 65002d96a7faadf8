"""The NFC server of the lab's hosts: who may read which disk, and where its bytes are.

The other end is lab/vddk, whose README has the protocol. A connection is one open disk and lives as long as that; the
bytes do not come over it: the client reads the flat file, or the merged chain from a qemu-nbd, itself.

    server = NfcServer(storage, site, sessions, directory, https_port, thumbprint, thumbprint_sha256, port=0)
    server.port                     # listens on 127.0.0.1 from the start
    server.add_rule({"nfc": "read", "nth": 100, "error": 5}) -> id      # RuleError (a ValueError) says what is wrong
    server.rules() -> [dict]        server.clear_rules()
    server.cut(machine=None) -> how many disks were cut off
    server.state() -> {"connections": [{"host", "machine", "path", "snapshot", "user"}], "opens", "refused", "fired": n}
    server.wait_until_idle(seconds) -> whether the last client has gone
    server.close()

sessions is session.Sessions, asked from several threads: of_password, of_cookie, allows.

A rule has "nfc": "open" or "read"; "nth" (1; counted from when the rule is added; of reads, within one open disk; 0:
each), "times" (1; how many from then on, 0: without end), "machine" (moref or name), "path" (a part of it) and "user"
to narrow it, and what happens: "error": VixError, with "text" for the log; or "action": "lost" (with "error", 14011:
this disk fails until it is opened again), "crash" (SIGSEGV in the client), "abort"; or "delay_ms". An open can only
fail.
"""

import mmap
import pathlib
import re
import socket
import struct
import threading
import urllib.parse

from .storage import StorageFault

LINE_MAX = 16 * 1024
CLIENTS_MAX = 1024
NFC_MEMORY, NFC_MEMORY_OF_8 = 48 << 20, 96 << 20     # of one host, up to 7.0 and since 8.0
HOST_LINE_BYTES = 4096          # struct host_line of lab/vddk/library.h
HOST_LINE_SLOTS = 504
READ_ONLY = 4

OK, FAIL, FILE_NOT_FOUND, NOT_SUPPORTED, READ_ONLY_FILE, ALREADY_LOCKED = 0, 1, 4, 6, 11, 15
HOST_NOT_CONNECTED, NEED_KEY, AUTHENTICATION_FAIL, CONN_LOST = 26, 30, 35, 14011
SNAPSHOT_NOT_FOUND, NO_LICENSE, SUB_LOCK = 13003, 16064, 16392 << 16

COOKIE = "vmware_soap_session"
BANNER = b"220 VMware Authentication Daemon Version 1.10: SSL Required, ServerDaemonProtocol:SOAP, NFCSSL supported\r\n"
PRIVILEGES = ("VirtualMachine.Provisioning.DiskRandomRead", "VirtualMachine.Provisioning.GetVmFiles")
ACTIONS = {"fail", "lost", "hang", "crash", "abort"}
RULE_WORDS = {"nfc", "nth", "times", "machine", "path", "user", "error", "text", "action", "delay_ms"}
WITHOUT_END = 1 << 60


class RuleError(ValueError):
    """What is wrong with a rule, in one sentence."""


class Refusal(Exception):
    """Open fails with this VixError; str() is what the library logs."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def encode(line, /, **values):
    words = [f"{name}={urllib.parse.quote(str(value), safe='-._:/')}" for name, value in values.items()]
    return (" ".join([line, *words]) + "\n").encode()


def decode(line):
    """-> (word, {name: value})"""
    word, *pairs = line.split()
    values = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        values[name] = urllib.parse.unquote(value)
    return word, values


class NfcServer:
    def __init__(self, storage, site, sessions, directory, https_port, thumbprint, thumbprint_sha256, port=0):
        self.storage, self.sessions = storage, sessions
        self.greeting = BANNER + encode("LAB-NFC 1", https_port=https_port, thumbprint=thumbprint,
                               thumbprint_sha256=thumbprint_sha256)
        self.machines = {machine.id: machine for machine in site.machines}
        directory = pathlib.Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self.lines = {}
        for number, host in enumerate(site.hosts):
            self.lines[host.datacenter, host.name] = HostLine(directory / f"host-{number}.line", host)
        self.lock = threading.RLock()
        self.fewer = threading.Condition(self.lock)
        self.clients = set()
        self.all_rules = []
        self.counts = {"opens": 0, "refused": 0, "fired": 0, "rules": 0}
        self.listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, name="nfc", daemon=True)
        self.thread.start()

    # Connections.

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return      # closed
            client = Client(self, connection)
            with self.lock:
                full = len(self.clients) >= CLIENTS_MAX
                if not full:
                    self.clients.add(client)
            if full:
                connection.close()
            else:
                threading.Thread(target=client.run, name="nfc client", daemon=True).start()

    def gone(self, client):
        with self.lock:
            self.clients.discard(client)
            self.fewer.notify_all()

    def wait_until_idle(self, seconds):
        """True when the last client is gone, and what it held with it, within so many seconds."""
        with self.fewer:
            return self.fewer.wait_for(lambda: not self.clients, seconds)

    def open_clients(self):
        with self.lock:
            return [client for client in self.clients if client.disk]

    def count(self, what):
        with self.lock:
            self.counts[what] += 1
            return self.counts[what]

    def state(self):
        clients = self.open_clients()
        connections = [{"host": it.disk.line.host.name, "machine": it.disk.machine.id, "path": it.disk.path,
                        "snapshot": it.disk.snapshot, "user": it.disk.user.name} for it in clients]
        with self.lock:
            return {"connections": connections, **{key: self.counts[key] for key in ("opens", "refused", "fired")}}

    def cut(self, machine=None):
        """Pull the cable of a machine's disks, or of all."""
        count = 0
        for client in self.open_clients():
            disk = client.disk
            if disk and machine in (None, disk.machine.id, disk.machine.name):
                client.hang_up()
                count += 1
        return count

    def close(self):
        # A thread in accept() is not woken by close alone, and may go on with the next socket of that number.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()
        with self.lock:
            clients = list(self.clients)
        for client in clients:
            client.hang_up(socket.SHUT_RDWR)
        for client in clients:
            client.ended.wait(30)
        for line in self.lines.values():
            line.close()

    # Rules.

    def add_rule(self, words):
        rule = Rule(self.count("rules"), words)
        with self.lock:
            self.all_rules.append(rule)
            clients = self.open_clients()
        for client in clients:
            client.arm(rule)
        return rule.id

    def rules(self):
        with self.lock:
            return [dict(rule.words, id=rule.id, left=rule.left) for rule in self.all_rules]

    def clear_rules(self):
        with self.lock:
            rules, self.all_rules = self.all_rules, []
            clients = self.open_clients()
        for rule in rules:
            for client in clients:
                client.disarm(rule)

    def fired(self, rule_id):
        """A client says that a fault has happened; when it was the last time, the others forget it."""
        with self.lock:
            self.counts["fired"] += 1
            rule = next((it for it in self.all_rules if it.id == rule_id), None)
            if not rule:
                return
            rule.left -= 1
            if rule.left > 0:
                return
            self.all_rules.remove(rule)
            clients = self.open_clients()
        for client in clients:
            client.disarm(rule)

    def read_rules(self, disk):
        with self.lock:
            return [rule for rule in self.all_rules
                    if rule.op == "read" and rule.concerns(disk.machine, disk.path, disk.user)]

    def check_open_rules(self, machine, path, user):
        with self.lock:
            for rule in self.all_rules:
                if rule.op != "open" or not rule.concerns(machine, path, user):
                    continue
                rule.seen += 1
                if rule.nth and rule.seen < rule.nth:
                    continue
                rule.left -= 1
                self.counts["fired"] += 1
                if rule.left <= 0:
                    self.all_rules.remove(rule)
                raise Refusal(rule.error, rule.text)

    # What may be opened.

    def open(self, words):
        """-> Disk for the words of OPEN; Refusal. In the order in which a vCenter and then a host would look."""
        machine = self.machines.get(re.sub(r"^moref=", "", words.get("vm", "")))
        user = self.user_of(words)
        if not machine:
            raise Refusal(FILE_NOT_FOUND, f"there is no virtual machine {words.get('vm', '')} (the lab knows moref=..)")
        line = self.lines[machine.datacenter, machine.host]
        self.check_open_rules(machine, words.get("path", ""), user)
        for privilege in PRIVILEGES:
            if not self.sessions.allows(user, privilege, machine.id):
                raise Refusal(NO_LICENSE, "The host is not licensed for this feature")
        check_host(line.host)
        if words.get("readonly") != "1" or not int(words.get("flags", "0")) & READ_ONLY:
            raise Refusal(READ_ONLY_FILE, "the disks of the lab are opened for reading")
        found = self.find(machine, words.get("snapshot"), words.get("path", ""))
        check_disk(found.site_disk, words)
        slot = line.take_slot()
        try:
            view = self.open_view(machine, found, words)
        except Refusal:
            line.give_slot(slot)
            raise
        return Disk(machine, line, slot, view, words.get("path"), words.get("snapshot"), user, found)

    def user_of(self, words):
        user, password = words.get("user", ""), words.get("password", "")
        known = self.sessions.of_password(user, password)
        if known and "cookie" in words:
            cookie = words["cookie"].strip('"')     # the product's cookie has quotes in it
            session = self.sessions.of_cookie(f'{COOKIE}="{cookie}"')
            known = session and session.user
        if not known:
            raise Refusal(AUTHENTICATION_FAIL, "Login failure. Incorrect user name or password.")
        return known

    def find(self, machine, snapshot_ref, path):
        """The disk of the machine, or of its snapshot, whose file is PATH."""
        stored = self.storage.machine(machine.id)
        with stored.lock:
            if snapshot_ref:
                snapshot = stored.snapshots.get(snapshot_ref)
                if not snapshot:
                    raise Refusal(SNAPSHOT_NOT_FOUND, f"{machine.name} has no snapshot {snapshot_ref}")
                files = {disk.file_name: (key, disk) for key, disk in snapshot.disks.items()}
                where = f"the configuration of {snapshot_ref}"
            else:
                if stored.powered == "poweredOn":
                    raise Refusal(FAIL, "Thin/TBZ/Sparse disks cannot be opened in multiwriter mode: the machine runs, "
                                        "and no snapshot was named")
                files = {name: (disk.key, disk) for disk in stored.disks for name in disk.chain}
                where = f"the machine {machine.name}"
            if path not in files:
                raise Refusal(FILE_NOT_FOUND, f"GetFileName: {path} is not recorded in {where}")
            key, disk = files[path]
            chain = list(disk.chain)
        site_disk = next((it for it in machine.disks if it.key == key), None)
        return Found(key, site_disk, len(chain) - (chain.index(path) if path in chain else 0))

    def open_view(self, machine, found, words):
        try:
            if words.get("snapshot"):
                return self.storage.open_view(machine.id, found.key, words["snapshot"], purpose="nfc")
            return self.storage.open_view(machine.id, found.key, None, words["path"], purpose="nfc")
        except StorageFault as fault:
            code = SUB_LOCK | ALREADY_LOCKED if fault.fault == "FileLocked" else FAIL
            raise Refusal(code, f"{fault.fault}: {fault}") from fault


class Found:
    def __init__(self, key, site_disk, links):
        self.key, self.site_disk, self.links = key, site_disk, links


def check_host(host):
    if host.connection != "connected":
        raise Refusal(HOST_NOT_CONNECTED, f"the host {host.name} is {host.connection}")
    if host.maintenance:
        raise Refusal(FAIL, f"the host {host.name} is in maintenance mode")


def check_disk(disk, words):
    if not disk:
        return
    if disk.mode.startswith("independent") and int(words.get("major", "8")) >= 7:
        raise Refusal(FAIL, f"GetFileName: Cannot create disk spec for disk {disk.controller}:{disk.unit}")
    if disk.backing == "rdm-physical":
        raise Refusal(NOT_SUPPORTED, "a raw device in physical mode is not read over NFC")
    if disk.key_id and words.get("transport") == "nbd":
        raise Refusal(NEED_KEY, "an encrypted disk is not sent in clear: nbdssl is wanted")


class HostLine:
    """The page that all readers of a host map: its link and its NFC memory."""

    def __init__(self, path, host):
        self.path, self.host = path, host
        self.slots = set()
        self.lock = threading.Lock()
        path.write_bytes(bytes(HOST_LINE_BYTES))
        with open(path, "r+b") as file:
            self.page = mmap.mmap(file.fileno(), HOST_LINE_BYTES)
        struct.pack_into("<QQQ", self.page, 8, int(host.bandwidth_mib_s * (1 << 20)), int(host.latency_ms * 1e6),
                         NFC_MEMORY if int(host.version.split(".")[0]) < 8 else NFC_MEMORY_OF_8)

    def take_slot(self):
        limit = min(self.host.nfc_max_connections or HOST_LINE_SLOTS, HOST_LINE_SLOTS)
        with self.lock:
            if len(self.slots) >= limit:
                raise Refusal(FAIL, f"NfcNewAuthdConnectionEx: {self.host.name} has {limit} NFC connections, "
                                    "its maximum")
            slot = next(number for number in range(HOST_LINE_SLOTS) if number not in self.slots)
            self.slots.add(slot)
            return slot

    def give_slot(self, slot):
        """The client is gone, and what it had in flight with it."""
        with self.lock:
            if not self.page.closed:
                struct.pack_into("<Q", self.page, 64 + 8 * slot, 0)
            self.slots.discard(slot)

    def used_bytes(self):
        return sum(struct.unpack_from(f"<{HOST_LINE_SLOTS}Q", self.page, 64))

    def close(self):
        self.page.close()


class Disk:
    """One that is open."""

    def __init__(self, machine, line, slot, view, path, snapshot, user, found):
        self.machine, self.line, self.slot, self.view = machine, line, slot, view
        self.path, self.snapshot, self.user = path, snapshot, user
        self.found = found

    def words(self):
        raw = self.view.raw_path
        sector = 4096 if self.found.site_disk and self.found.site_disk.format == "native_4k" else 512
        kind = self.found.site_disk.kind if self.found.site_disk else "lsilogic"
        return {"kind": "raw" if raw else "nbd", "file": raw or self.view.nbd_socket(),
                "capacity": self.view.capacity // 512, "sector": sector,
                "adapter": {"ide": 1, "buslogic": 2}.get(kind, 3), "links": self.found.links,
                "uuid": self.found.site_disk.uuid if self.found.site_disk else "",
                "line": self.line.path, "slot": self.slot}

    def close(self):
        self.view.close()
        self.line.give_slot(self.slot)


class Rule:
    def __init__(self, number, words):
        strange = sorted(set(words) - RULE_WORDS)
        if strange:
            raise RuleError(f"an nfc rule cannot say {', '.join(strange)}; it can {', '.join(sorted(RULE_WORDS))}")
        for word in ("nth", "times", "error", "delay_ms"):
            if not isinstance(words.get(word, 0), int) or words.get(word, 0) < 0:
                raise RuleError(f"{word} is a whole number, not {words[word]!r}")
        self.id, self.words, self.op = number, dict(words), words["nfc"]
        self.nth, self.left = words.get("nth", 1), words.get("times", 1) or WITHOUT_END
        self.action = words.get("action", "hang" if "delay_ms" in words else "fail")
        self.error = words.get("error", CONN_LOST if self.action == "lost" else FAIL)
        self.text = words.get("text", "a fault of the lab")
        self.seen = 0
        if self.op not in ("open", "read"):
            raise RuleError(f"nfc is {self.op!r}; open and read are known")
        if self.action not in ACTIONS or (self.op == "open" and self.action != "fail"):
            raise RuleError(f"{self.action!r} cannot happen to nfc {self.op}")

    def concerns(self, machine, path, user):
        return (self.words.get("machine", machine.id) in (machine.id, machine.name)
                and self.words.get("path", "") in path and self.words.get("user", user.name) == user.name)

    def line(self):
        value = self.words.get("delay_ms", 1000) if self.action == "hang" else self.error
        return encode("RULE", id=self.id, nth=self.nth, times=self.left, action=self.action, value=value)


class Client:
    """One connection."""

    def __init__(self, server, connection):
        self.server, self.connection = server, connection
        self.disk = None
        self.armed = set()
        self.sending = threading.Lock()
        self.ended = threading.Event()

    def run(self):
        try:
            self.connection.settimeout(60)
            self.connection.sendall(self.server.greeting)
            with self.connection.makefile("rb") as lines:
                self.serve(lines)
        except (OSError, ValueError, KeyError):
            pass        # it went away, or talks nonsense: there is nobody to tell
        finally:
            disk, self.disk = self.disk, None
            if disk:
                disk.close()
            self.server.gone(self)
            self.connection.close()
            self.ended.set()

    def serve(self, lines):
        word, words = decode(self.line_of(lines))
        if word != "OPEN":
            return
        self.server.count("opens")
        try:
            self.disk = self.server.open(words)
            answer = encode("OK", **self.disk.words())
        except (Refusal, StorageFault) as refusal:
            self.server.count("refused")
            self.connection.sendall(encode("ERR", code=getattr(refusal, "code", FAIL), text=refusal))
            return
        finally:
            words.clear()
        self.connection.settimeout(None)
        # Rules first: they shall meet the first reads.
        for rule in self.server.read_rules(self.disk):
            self.arm(rule)
        self.send(answer)
        while True:
            line = self.line_of(lines)
            word, words = decode(line or "CLOSE")
            if word == "CLOSE":
                return
            if word == "FIRED":
                self.server.fired(int(words["id"]))

    @staticmethod
    def line_of(lines):
        line = lines.readline(LINE_MAX)
        if line and not line.endswith(b"\n"):
            raise ValueError("a line without an end")
        return line.decode()

    def send(self, data):
        with self.sending:
            try:
                self.connection.sendall(data)
            except OSError:
                pass        # its reader notices

    def arm(self, rule):
        disk = self.disk
        if not disk or rule.op != "read" or not rule.concerns(disk.machine, disk.path, disk.user):
            return
        with self.sending:
            if rule.id in self.armed:
                return
            self.armed.add(rule.id)
        self.send(rule.line())

    def disarm(self, rule):
        if rule.id in self.armed:
            self.send(encode("DISARM", id=rule.id))

    def hang_up(self, how=socket.SHUT_WR):
        """The client sees the end and closes; until then its slot stays its own."""
        try:
            self.connection.shutdown(how)
        except OSError:
            pass        # it is down already
