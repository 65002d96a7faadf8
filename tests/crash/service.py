"""A real vmferryd with its real workers and one migration in it, and ways to hurt any of them at a chosen moment.

    scene = world.take(kind=Service)
    scene.start()                               # a vmferryd; the migration is created
    scene.wait_for(lambda m: m["progress"])     # a moment, as the API shows it
    scene.hurt("all")                           # SIGKILL, and who must go with the dead has gone
    scene.start()                               # again, on the same store
    scene.finish()                              # to its end; is what must be true of it

A moment is also the nth time that the daemon has made something durable: start(at=n) has it stand still there, before
anybody was told, until go_on() or hurt(); stood_still() says whether it has come to that.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time

from daemon_scenes import PACKET_MAX, UnixConnection
from scenes import OURS, Scene
from v2v_scenes import descendants, is_running, wait_until
from vsphere_scenes import PASSWORD, USER

LIMIT_S = 60
FINISH_S = 180
ROUNDS = 1                  # of changes, before it is finalized
POLL = threading.Event()    # never set
DAEMON, WORKER, COPY = "vmferryd", "vmferry-worker", "vmferry-copy"
KINDS = ("daemon", "worker", "copies", "all")
ENDED = ("done", "failed", "cancelled")


class Vmferryd:
    """One process, and its descriptor 3. UNDER is a command to run it with."""

    def __init__(self, program, start, errors, under=(), env=None):
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(LIMIT_S)
        with theirs:
            self.process = subprocess.Popen(
                ["bash", "-c", f'exec 3<&{theirs.fileno()}- "$@"', "bash", *under, program],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stderr=errors, env={**os.environ, **(env or {})})
        self.logs = []
        self.result = None
        self.ready = threading.Event()
        self.listener = threading.Thread(target=self.listen, args=(start,), daemon=True)
        self.listener.start()

    def listen(self, start):
        """What it says is read to its end: a parent that does not read is none."""
        try:
            while packet := self.socket.recv(PACKET_MAX + 1):
                message = json.loads(packet)
                if message["type"] == "hello":
                    self.socket.send(json.dumps(start).encode())
                    self.socket.settimeout(None)
                elif message["type"] == "log":
                    self.logs.append(message["text"])
                elif message["type"] == "result":
                    self.result = message
                elif message["type"] == "ready":
                    self.ready.set()
        except OSError:
            pass
        self.ready.set()

    def wait_ready(self):
        """False: it has ended instead."""
        assert self.ready.wait(LIMIT_S), self.logs
        return self.result is None and self.process.poll() is None

    @property
    def pid(self):
        """Of itself, whatever it runs under. None: it has gone."""
        below = [pid for pid, name in descendants(self.process.pid) if name == DAEMON]
        own = self.process.pid if self.process.poll() is None else None
        return below[0] if below else own

    def below(self, *names):
        """The processes that it has started, by the beginning of their names."""
        pid = self.pid
        return [] if pid is None else [child for child, name in descendants(pid) if name.startswith(names)]

    def stop(self):
        self.socket.send(json.dumps({"type": "wish", "wish": "stop"}).encode())
        assert self.process.wait(LIMIT_S) == 0
        self.listener.join(LIMIT_S)
        assert self.result and self.result["ok"], self.result

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            if pid := self.pid:     # and not strace: without it, it would live on
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.listener.join(LIMIT_S)
        self.socket.close()


class Service(Scene):
    """One migration of one machine, in a vmferryd of its own."""

    def __init__(self, world, name, env=None, seed=0, config=None, **migration):
        super().__init__(world, name, transport="https", seed=seed)
        self.control = self.out.parent / "control"
        self.store = self.out.parent / "store.db"
        self.env = env
        facts = self.lab.facts
        self.config = {"vcenter": {"host": f"{facts['host']}:{facts['port']}", "user": USER, "password": PASSWORD,
                                   "tls": {"thumbprint": facts["thumbprint_sha256"]}}, **(config or {})}
        words = {"mode": "warm", "delta_interval": 1, "finalize_settle_seconds": 1, **migration}
        self.spec = {"vm": {"name": name}, "source": {"transport": "https"}, "migration": words,
                     "conversion": {"run_virt_v2v": False}, "target": {"files": {"directory": str(self.out)}}}
        self.vmferryd = None
        self.id = None
        self.starts = 0
        self.wrote = 0              # after so many rounds of changes
        self.cut_over = False       # it was asked for

    def new_daemon(self, transport, verify, warm):
        return None

    # The daemon.

    def start(self, under=(), at=None, call="fdatasync"):
        """at: it is stopped when it has made the at-th such call for its store."""
        if self.vmferryd:
            self.vmferryd.close()
        self.starts += 1
        if at:
            under = self.stopping(at, call)
        message = {"type": "start", "mode": "serve", "control_dir": str(self.control), "store": str(self.store),
                   "config": self.config}
        self.vmferryd = Vmferryd(self.world.programs / "daemon/vmferryd", message, self.errors, under, self.env)
        return self

    @property
    def trace(self):
        return self.out.parent / f"trace{self.starts}"

    def stopping(self, at, call):
        files = [word for suffix in ("", "-wal") for word in ("-P", f"{self.store}{suffix}")]
        return ["strace", "-qq", "-o", self.trace, *files, "-e", f"trace={call}",
                "-e", f"inject={call}:signal=STOP:when={at}"]

    def stood_still(self):
        return self.trace.exists() and "stopped by SIGSTOP" in self.trace.read_text(errors="replace")

    def create(self):
        """Unless it was; one that is created and of which nobody was told is the same again."""
        assert self.vmferryd.wait_ready(), (self.vmferryd.result, self.vmferryd.logs)
        if self.id:
            return self
        status, answer = self.call("POST", "/migrations", {"spec": self.spec})
        assert status in (200, 201), answer
        self.id = answer["id"]
        return self

    def call(self, method, path, body=None):
        connection = UnixConnection(self.control / "vmferryd.sock")
        try:
            connection.request(method, "/api/v1" + path, json.dumps(body) if body is not None else None)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def show(self):
        status, answer = self.call("GET", f"/migrations/{self.id}")
        assert status == 200, answer
        return answer

    def say(self, verb, **body):
        status, answer = self.call("POST", f"/migrations/{self.id}/{verb}", body)
        assert status == 200, answer

    def events(self):
        return self.call("GET", f"/migrations/{self.id}/events")[1]["events"]

    def wait_for(self, what, seconds=FINISH_S):
        """Until what(migration) is true; the migration then."""
        deadline = time.monotonic() + seconds
        while True:
            m = self.show()
            if what(m):
                return m
            assert m["status"] not in ENDED, f"{m['status']}: {m['error']}"
            assert time.monotonic() < deadline, m
            POLL.wait(0.02)

    # What happens to it.

    def victims(self, kind):
        """In the order in which they are to die."""
        copies = self.vmferryd.below(COPY) if kind in ("copies", "all") else []
        workers = self.vmferryd.below(WORKER) if kind in ("worker", "all") else []
        daemon = [self.vmferryd.pid] if kind in ("daemon", "all") else []
        return workers + copies + daemon

    def hurt(self, kind):
        """SIGKILL; who must go with the dead has gone when this returns. The number of those that were killed."""
        daemon = self.vmferryd.pid
        doomed = dict(descendants(daemon)) if kind in ("daemon", "all") else {}
        killed = self.victims(kind)
        for pid in killed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if kind in ("daemon", "all"):
            self.vmferryd.process.wait(LIMIT_S)
        for pid, name in doomed.items():
            wait_until(lambda pid=pid: not is_running(pid), f"the end of {name}", 10)
        return len(killed)

    def go_on(self):
        """After it stood still."""
        os.kill(self.vmferryd.pid, signal.SIGCONT)

    # Its end.

    def drive(self, seconds=FINISH_S):
        """As somebody who waits for a round of changes and then finalizes; the guest writes until then. To the end; the
        migration then."""
        self.create()

        def look(m):
            ours = [it for it in self.snapshots() if it.startswith(OURS)]
            assert len(ours) < 2, ours
            deltas = [it["kind"] for it in m["rounds"]].count("delta")
            if m["rounds"] and not self.cut_over and self.wrote <= deltas < ROUNDS:
                self.write()
                self.wrote = deltas + 1
            elif deltas >= ROUNDS and m["status"] == "waiting" and not m["finalize_now"]:
                self.cut_over = True        # from now on the guest writes nothing
                self.say("finalize-now")
            return m["status"] == "done"

        return self.wait_for(look, seconds)

    def finish(self, seconds=FINISH_S):
        """To the end, and is all as it must be?"""
        m = self.drive(seconds)
        self.has_arrived()
        objects = [(it["kind"], it["name"]) for it in m["objects"]]
        assert len(set(objects)) == len(objects), m["objects"]
        assert not [it for it in m["objects"] if it["kind"] == "snapshot" and it["state"] != "gone"], m["objects"]
        assert [it["state"] for it in m["objects"] if it["kind"] == "power-off"] == ["made"], m["objects"]
        kinds = [it["kind"] for it in m["rounds"]]
        assert kinds.count("base") == 1 and kinds[-1] == "final", kinds
        return m

    def close(self):
        if self.vmferryd:
            self.vmferryd.close()
        super().close()
