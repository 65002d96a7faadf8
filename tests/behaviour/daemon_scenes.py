"""A vmferryd, its HTTP, and workers that do what a test says.

A worker here is a small script that hands its descriptor 3 to the test by a control socket and waits for its end; the
test speaks on it. So whatever a worker can do to the daemon, a test can do at the moment that it chooses.
"""

import array
import contextlib
import http.client
import json
import os
import pathlib
import select
import signal
import socket
import subprocess
import time

import pytest

PACKET_MAX = 65536
LIMIT_S = 60
SECRET = "the-secret-of-the-vcenter"

WORKER = """#!/usr/bin/python3 -IS
import array, os, socket, sys
control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
control.connect({path!r})
control.sendmsg([str(os.getpid()).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [3]))])
os.close(3)
word = control.recv(16)
os._exit(int(word or 1))
"""


def program(vmferry):
    found = vmferry.parent.parent / "daemon/vmferryd"
    assert os.access(found, os.X_OK), f"{found} is not built; run make"
    return found


def eventually(look, limit_s=LIMIT_S, why=lambda: "it did not happen"):
    """The first true answer of LOOK, which is asked again and again."""
    deadline = time.monotonic() + limit_s
    while True:
        answer = look()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"within {limit_s} s: {why()}"
        select.select([], [], [], 0.01)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=LIMIT_S)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(LIMIT_S)
        self.sock.connect(self.path)


class Worker:
    """The other end of a worker's descriptor 3."""

    def __init__(self, control, pid, sock):
        self.control = control
        self.pid = pid
        self.socket = sock
        self.socket.settimeout(LIMIT_S)
        self.seq = 0
        self.start = None

    def begin(self):
        self.say(type="hello", version=1, role="worker")
        self.start = self.hear()
        assert self.start["type"] == "start"
        return self

    def say(self, **message):
        self.socket.send(json.dumps(message).encode())

    def hear(self):
        """The next message, None when the daemon has hung up."""
        packet = self.socket.recv(PACKET_MAX)
        return json.loads(packet) if packet else None

    def hear_if_alive(self):
        """The same, of a daemon that may have been killed."""
        try:
            return self.hear()
        except ConnectionResetError:
            return self.hear()   # what it said before comes after that it was reset

    def hears_nothing(self, seconds=0.2):
        return not select.select([self.socket], [], [], seconds)[0]

    def journal(self, kind, *ops, act="act"):
        """The ack."""
        self.seq += 1
        self.say(type=kind, seq=self.seq, act=act, ops=list(ops))
        ack = self.hear()
        assert ack["type"] == "ack" and ack["seq"] == self.seq, ack
        return ack

    def wish(self, name):
        """The next message is this wish."""
        message = self.hear()
        assert message and message["type"] == "wish" and message["wish"] == name, message
        return message

    def exit(self, status=0):
        self.control.send(str(status).encode())
        self.close()

    def end(self, **result):
        self.say(type="result", **result)
        self.exit(0 if result["ok"] else 1)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self.close()

    def close(self):
        self.control.close()
        self.socket.close()


class Daemon:
    """One running vmferryd. Use as a context: nothing is left running behind it."""

    def __init__(self, vmferry, room, mode="serve", config=None, **start):
        self.room = pathlib.Path(room)
        self.control_dir = self.room / "control"
        self.store = self.room / "store.db"
        self.socket = self.control_dir / "vmferryd.sock"
        self.listener = self.listen()
        self.workers = []
        self.logs = []
        self.parent, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.parent.settimeout(LIMIT_S)
        with theirs:
            # The shell puts the socket where the program looks for it; preexec_fn is not for threads.
            self.process = subprocess.Popen(
                ["/bin/bash", "-c", f'exec "$@" 3<&{theirs.fileno()}', "bash", program(vmferry)],
                stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, pass_fds=[theirs.fileno()])
        assert self.hear()["type"] == "hello"
        self.parent.send(json.dumps({
            "type": "start", "mode": mode, "control_dir": str(self.control_dir), "store": str(self.store),
            "config": config or make_config(), "worker": str(self.room / "vmferry-worker"), **start}).encode())
        self.first = self.hear_but_logs()   # ready, or a result

    def listen(self):
        path = self.room / "workers.sock"
        path.unlink(missing_ok=True)
        script = self.room / "vmferry-worker"
        script.write_text(WORKER.format(path=str(path)))
        script.chmod(0o755)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(str(path))
        listener.listen(1000)
        listener.settimeout(LIMIT_S)
        return listener

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        self.parent.close()
        for worker in self.workers:
            worker.close()
        self.listener.close()

    # ---- fd 3 ----

    def hear(self):
        with contextlib.suppress(ConnectionResetError):
            packet = self.parent.recv(PACKET_MAX)
            return json.loads(packet) if packet else None
        return None

    def hear_but_logs(self):
        while True:
            message = self.hear()
            if not message or message["type"] != "log":
                return message
            self.logs.append(message["text"])

    def stop(self):
        """As its parent asks for it; its result."""
        self.parent.send(json.dumps({"type": "wish", "wish": "stop"}).encode())
        return self.wait()

    def wait(self):
        result = self.hear_but_logs()
        self.process.wait(LIMIT_S)
        return result

    def kill(self):
        self.process.kill()
        self.process.wait()

    # ---- workers ----

    def next_worker(self, begin=True):
        control, _ = self.listener.accept()
        control.settimeout(LIMIT_S)
        pid, ancillary, _, _ = control.recvmsg(32, socket.CMSG_SPACE(4))
        fds = array.array("i")
        fds.frombytes(ancillary[0][2][:4])
        worker = Worker(control, int(pid), socket.socket(fileno=fds[0]))
        self.workers.append(worker)
        return worker.begin() if begin else worker

    def next_workers(self, ids):
        """Those of these migrations, in this order; they are started at the same time and come as they like."""
        workers = {worker.start["id"]: worker for worker in (self.next_worker() for _ in ids)}
        assert sorted(workers) == sorted(ids)
        return [workers[migration] for migration in ids]

    def starts_no_worker(self, seconds=0.3):
        return not select.select([self.listener], [], [], seconds)[0]

    # ---- HTTP ----

    def call(self, method, path, body=None):
        """(status, JSON)"""
        connection = UnixConnection(self.socket)
        with contextlib.closing(connection):
            connection.request(method, "/api/v1" + path, json.dumps(body) if body is not None else None)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def get(self, path):
        status, answer = self.call("GET", path)
        assert status == 200, answer
        return answer

    def create(self, name="web01", **spec):
        status, answer = self.call("POST", "/migrations", {"spec": make_spec(self.room, name, **spec)})
        assert status in (200, 201), answer
        return answer["id"]

    def show(self, migration):
        return self.get(f"/migrations/{migration}")

    def verb(self, migration, verb, **body):
        return self.call("POST", f"/migrations/{migration}/{verb}", body)

    def asked(self, migration, verb, **body):
        status, answer = self.verb(migration, verb, **body)
        assert status == 200, answer
        return answer

    def becomes(self, migration, status, **wanted):
        """Wait until it has this status; the migration then."""
        wanted = {"status": status, **wanted}

        def look():
            m = self.show(migration)
            return m if all(m[key] == value for key, value in wanted.items()) else None
        return eventually(look, why=lambda: f"{self.show(migration)} never became {wanted}")

    def events(self, migration):
        return self.get(f"/migrations/{migration}/events")["events"]


def make_config(**config):
    return {"vcenter": {"host": "vc1.example.org", "user": "administrator", "password": SECRET}, **config}


def make_spec(room, name, migration=None, **spec):
    return {"vm": {"name": name}, "migration": {"delta_interval": 300, **(migration or {})},
            "target": {"files": {"directory": str(room / "images")}}, **spec}


MACHINE = {"op": "machine", "name": "web01", "moref": "vm-16", "uuid": "422c6a2a-5ea9-1083-39f3-3b140fffb444",
           "server": "vc1.example.org", "host": "esx1",
           "disks": [{"key": 2000, "label": "scsi0:0", "capacity_bytes": 1 << 30, "image": "/images/web01-sda"}]}
WAIT = {"ok": True, "outcome": "wait", "after_s": 300, "why": "interval"}
DONE = {"ok": True, "outcome": "done"}


@pytest.fixture(name="serve")
def fixture_serve(vmferry, tmp_path):
    """Start a vmferryd in the test's room; may be called again when the one before has ended. Test files import it."""
    started = []

    def start(mode="serve", config=None, room=None, **words):
        daemon = Daemon(vmferry, room or tmp_path, mode, config, **words)
        started.append(daemon)
        return daemon
    yield start
    for daemon in started:
        daemon.__exit__()


def ready(daemon):
    assert daemon.first["type"] == "ready", daemon.first
    return daemon
