"""One site of lab/vcenter without its SOAP: what the tests of its storage, power, folder and leases have in common."""

import contextlib
import http.client
import random
import socket
import ssl
import subprocess
import threading

import pytest

import places  # noqa: F401 pylint: disable=unused-import
from vsphere import folder, lease, power, site, storage, throttle
from vsphere.links import StorageFault

MIB = 1 << 20
UNIT = 65536
NAMED = "wéb 01 %2f+&"


def qemu_img(*words):
    done = subprocess.run(["qemu-img", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"qemu-img {words}: {done.stderr}{done.stdout}"
    return done.stdout


class World:
    """Storage, power, leases and folder of one site, and what their disks must hold."""

    def __init__(self, path, machines, **words):
        stores = words.pop("datastores", [{"name": "ds 1 ü%+"}])
        host = dict({"name": "esx1.lab"}, **words.pop("host", {}))
        esxi = words.pop("esxi", False)
        self.site = site.parse({"datacenters": [{"name": "DC0", "folder": "/Föl der", "hosts": [host],
                                                 "datastores": stores, "machines": machines}], **words}, esxi)
        self.dir = path / "lab"
        self.hook = None
        self.storage = storage.Storage(self.dir, self.site, lambda machine: self.hook)
        self.events = []
        self.power = power.Power(self.storage, self.dir, on_change=lambda *words: self.events.append(words))
        self.throttles = throttle.Throttles(self.site)
        self.refs = [machine.id for machine in self.site.machines]
        self.ref = self.refs[0] if self.refs else None

    @property
    def machine(self):
        return self.storage.machine(self.ref)

    def disk(self, number=0):
        return self.machine.disks[number]

    def content(self, key, snapshot=None):
        view = self.storage.open_view(self.ref, key, snapshot)
        try:
            return view.pread(view.capacity, 0)
        finally:
            view.close()

    def close(self):
        self.power.close()
        self.storage.close()


@pytest.fixture(name="world")
def make_world(tmp_workdir):
    with contextlib.ExitStack() as stack:
        def make(*machines, **words):
            made = World(tmp_workdir, list(machines), **words)
            stack.callback(made.close)
            return made
        yield make


def a_machine(name=NAMED, disks=({"size_mib": 4},), qemu=False, **words):
    extra = dict(words.pop("extra", {}), **({"qemu": {"process": True, "paused": True}} if qemu else {}))
    return dict({"name": name, "disks": list(disks), "nics": [], "memory_mib": 64, "extra": extra}, **words)


def fault_of(call, *words, **named):
    with pytest.raises(StorageFault) as caught:
        call(*words, **named)
    return caught.value


class Model:
    """What each disk and each snapshot must hold; writes go to the lab and to the model."""

    def __init__(self, lab, seed):
        self.lab = lab
        self.random = random.Random(seed)
        self.disks = {disk.key: bytearray(disk.capacity) for disk in lab.machine.disks}
        self.snapshots = {}

    def write(self):
        key = self.random.choice(list(self.disks))
        length = self.random.choice([512, 4096, UNIT, 100000])
        offset = self.random.randrange(0, len(self.disks[key]) - length) // 512 * 512
        data = self.random.randbytes(length)
        self.lab.storage.write(self.lab.ref, key, offset, data)
        self.disks[key][offset:offset + length] = data

    def snapshot(self):
        made = self.lab.storage.create_snapshot(self.lab.ref, "one")
        self.snapshots[made.ref] = {key: bytes(disk) for key, disk in self.disks.items()}
        return made

    def remove(self, children=False):
        ref = self.random.choice(list(self.snapshots))
        gone = [one.ref for one in self.lab.machine.snapshots[ref].all()] if children else [ref]
        self.lab.storage.remove_snapshot(self.lab.ref, ref, children)
        for one in gone:
            del self.snapshots[one]

    def revert(self):
        ref = self.random.choice(list(self.snapshots))
        self.lab.storage.revert(self.lab.ref, ref)
        self.disks = {key: bytearray(data) for key, data in self.snapshots[ref].items()}

    def check(self):
        machine = self.lab.machine
        assert not machine.consolidation_needed
        assert set(machine.snapshots) == set(self.snapshots)
        for ref, disks in self.snapshots.items():
            for key, data in disks.items():
                assert self.lab.content(key, ref) == data, f"{ref} {key}"
        if not machine.running:
            for key, data in self.disks.items():
                assert self.lab.content(key) == bytes(data), key
        for disk in machine.disks:
            for link in disk.links:     # CIDs fit, and QEMU finds no fault in a layer
                assert link.parent is None or f"parentCID={link.parent.cid:08x}" in link.descriptor_text()
                assert disk.path(link.name).read_text("utf-8") == link.descriptor_text()
                if not link.raw and not machine.running:
                    qemu_img("check", "-q", "-f", "qcow2", link.path)
            needed = {link for snapshot in machine.snapshots.values() for link in [snapshot.disks[disk.key].link]}
            assert set(disk.links) - needed <= {disk.active, *(one for one in disk.links
                                                              if len(disk.children(one)) > 1)}


class Server:
    """A small HTTPS server in front of a folder and leases, as lab/vcenter has one."""

    def __init__(self, lab, path, **words):
        self.lab = lab
        self.rule = None
        self.authorized = True
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.folder = folder.Folder(lab.storage, lab.throttles, self.take_rule)
        self.leases = lease.Leases(lab.storage, lab.throttles, lambda machine: f"*:{self.port}",
                                   thumbprint="AA:BB", rules=self.take_rule, **words)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", path / "key.pem", "-out",
                        path / "cert.pem", "-days", "9", "-subj", "/CN=lab"], check=True, capture_output=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(path / "cert.pem", path / "key.pem")
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def take_rule(self, _path):
        rule, self.rule = self.rule, None
        return rule

    def accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        """A client that went away is its own business; a mistake of the lab ends the test with its traceback."""
        with contextlib.suppress(ConnectionError, TimeoutError, ssl.SSLError), \
                self.context.wrap_socket(connection, server_side=True) as tls:
            tls.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            lines = tls.makefile("rb")
            while request := lines.readline(65536):
                method, target, _ = request.decode().split()
                headers = {}
                while (line := lines.readline(65536).decode().strip()):
                    key, _, value = line.partition(":")
                    headers[key.lower()] = value.strip()
                service = self.leases if target.startswith("/nfc/") else self.folder
                more = (headers, self.authorized) if service is self.folder else (headers,)
                if not service.handle(tls, method, target, *more):
                    return

    def connect(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=60)

    def get(self, target, method="GET", **headers):
        connection = self.connect()
        connection.request(method, target, headers=headers)
        reply = connection.getresponse()
        try:
            return reply.status, dict(reply.getheaders()), reply.read()
        finally:
            connection.close()

    def close(self):
        self.leases.close()
        # First the thread: one that still waits in accept() may wait on the number of the closed socket (the call is
        # begun anew after a signal, or when the machine was frozen), which by then is that of the next test's.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()


@pytest.fixture(name="served")
def make_served(world, tmp_workdir):
    with contextlib.ExitStack() as stack:
        def make(*machines, lease_words=None, **words):
            lab = world(*machines, **words)
            lab.server = Server(lab, tmp_workdir, **(lease_words or {}))
            stack.callback(lab.server.close)
            return lab
        yield make
