"""The daemon's side of one migration, in Python: it starts vmferry-worker, keeps its journal, grants its places, tells
it what people wish, starts it again when it says that there is more to do, and kills it at a chosen moment.

    store = Store(path)                         # what is remembered, in a file that is whole at any instant
    daemon = Daemon(program, start, store)      # start: the start message but for what the daemon adds to it
    store.wish(finalize=True)
    ended = daemon.run()                        # one worker from its start to its end
    last = daemon.to_the_end()                  # as many as it takes

What happens to a worker is said by `daemon.meddle(daemon, event)`, asked at each Event; it answers None or one of KILL,
KILL_AFTER, or an Answer to a journal message. An event is a moment at which a worker can be hurt:

    Event("begin" | "done" | "note", message, n)    the n-th message to the journal: KILL before it is stored,
                                                     KILL_AFTER when it is stored and nobody was told
    Event("progress" | "stage" | "log" | ..., message, 0)

KILL takes the worker with all it has started, as a power cut does, and waits until they are gone. The messages are
those of docs/protocol.md, role worker.
"""

import collections
import dataclasses
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

from v2v_scenes import descendants, is_running, wait_until

PACKET_MAX = 65536
SILENCE_SECONDS = 60        # a worker that says nothing for so long hangs
END_SECONDS = 30            # from its result to its end
RUN_SECONDS = 120           # one worker, from its start to its result
STARTS_MAX = 400
KILL, KILL_AFTER = "kill", "kill-after"
JOURNAL = ("begin", "done", "note")
WISHES = {"finalize": False, "finalize_now": False, "shutdown": None, "paused": False, "cancel": False}
OBJECT_STATES = ("planned", "made", "gone")

Event = collections.namedtuple("Event", "type message n")


class StoreError(Exception):
    """A transaction that is not done: nothing of it was."""


@dataclasses.dataclass
class Answer:
    """What the journal says instead of storing: an error, when kind is given."""
    kind: str
    text: str = "the disk of the store is full"


class Store:
    """One migration in a JSON file. apply() does all or nothing, and the file is durable when it returns."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.data = {"state": {"version": 1}, "stage": None, "stages": [], "machine": None, "rounds": [], "objects": [],
                     "wishes": dict(WISHES)}
        if self.path.exists():
            self.data = json.loads(self.path.read_text(encoding="utf-8"))

    def __getitem__(self, name):
        return self.data[name]

    def apply(self, ops):
        fresh = json.loads(json.dumps(self.data))
        for op in ops:
            act = getattr(self, "op_" + op["op"].replace("-", "_"), None)
            if act is None:
                raise StoreError(f"{op['op']!r} is no op of the journal")
            act(fresh, op)
        self.write(fresh)

    def wish(self, **wishes):
        self.write({**self.data, "wishes": {**self.data["wishes"], **wishes}})

    def write(self, fresh):
        written = self.path.with_suffix(".fresh")
        with open(written, "w", encoding="utf-8") as file:
            json.dump(fresh, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(written, self.path)
        self.data = fresh

    @staticmethod
    def op_put(data, op):
        if op["value"] is None:
            data["state"].pop(op["key"], None)
        else:
            data["state"][op["key"]] = op["value"]

    @staticmethod
    def op_clear_wishes(data, _op):
        data["wishes"].update(finalize=False, finalize_now=False, shutdown=None)

    @staticmethod
    def op_stage(data, op):
        data["stage"] = op["stage"]
        data["stages"].append(op["stage"])

    @staticmethod
    def op_machine(data, op):
        keys = [disk["key"] for disk in op["disks"]]
        if len(set(keys)) != len(keys):
            raise StoreError(f"a disk stands twice in {keys}")
        data["machine"] = {key: value for key, value in op.items() if key != "op"}

    @staticmethod
    def op_round(data, op):
        """A number is given once; who says the same again changes what is there."""
        data["rounds"] = [it for it in data["rounds"] if it["number"] != op["number"]]
        data["rounds"].append({key: value for key, value in op.items() if key != "op"})

    @staticmethod
    def op_object(data, op):
        if op["state"] not in OBJECT_STATES:
            raise StoreError(f"{op['state']!r} is no state of an object")
        for found in data["objects"]:
            if (found["kind"], found["name"]) == (op["kind"], op["name"]):
                found.update(state=op["state"], detail=op.get("detail") or found["detail"])
                return
        data["objects"].append({"kind": op["kind"], "name": op["name"], "state": op["state"],
                                "detail": op.get("detail")})

    def rounds(self, kind=None):
        return [it for it in self["rounds"] if kind in (None, it["kind"])]

    def objects(self, kind, *states):
        return [it for it in self["objects"] if it["kind"] == kind and (not states or it["state"] in states)]


@dataclasses.dataclass
class Ended:
    """How a worker ended: its result, or that it was killed, or neither: it died by itself."""
    result: dict = None
    killed: bool = False
    status: int = 0

    @property
    def outcome(self):
        """done, wait, ask, paused, cancelled; retry or fail; killed or died."""
        if self.result is None:
            return "killed" if self.killed else "died"
        return self.result["outcome"] if self.result["ok"] else self.result["then"]


class Worker:
    """One process, and its descriptor 3."""

    def __init__(self, program, errors):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket = ours
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec 3<&{theirs.fileno()}- "$@"', "bash", program], pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL, stderr=errors)
        theirs.close()

    def send(self, message):
        """False when it has gone: what it was told does not matter then."""
        try:
            self.socket.send(json.dumps(message).encode())
            return True
        except OSError:
            return False

    def receive(self, seconds):
        """The next message; None at the end; TimeoutError."""
        self.socket.settimeout(seconds)
        try:
            packet = self.socket.recv(PACKET_MAX + 1)
        except ConnectionError:
            return None
        return json.loads(packet) if packet else None

    def kill(self):
        """SIGKILL, and what it had started goes with it."""
        below = descendants(self.process.pid)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        for pid, name in below:
            wait_until(lambda pid=pid: not is_running(pid), f"the end of {name}")
        self.socket.close()

    def below(self, name):
        """The processes of that name which it has started."""
        return [pid for pid, called in descendants(self.process.pid) if called == name[:15]]


class Daemon:
    """One migration and all that the daemon does for it."""

    def __init__(self, program, start, store, errors, meddle=None):
        self.program = program
        self.start = start
        self.store = store
        self.errors = errors            # a file for what the worker says on its standard error
        self.meddle = meddle or (lambda daemon, event: None)
        self.answers = {}               # question -> wishes that answer it, in to_the_end
        self.places = 1 << 30           # disks that may be copied at once
        self.granted = self.wanted = 0
        self.points = 0                 # messages to the journal so far, of all workers
        self.acts = []                  # (type, act) of them
        self.messages = []              # of the last worker
        self.starts = 0
        self.attempt = 0
        self.worker = None

    # A worker.

    def run(self):
        """Start a worker, serve it to its end."""
        self.messages, self.granted, self.wanted = [], 0, 0
        self.starts += 1
        worker = self.worker = Worker(self.program, self.errors)
        try:
            hello = worker.receive(SILENCE_SECONDS)
            assert hello and (hello["type"], hello["role"]) == ("hello", "worker"), hello
            worker.send({**self.start, "journal": True, "state": self.store["state"], "attempt": self.attempt,
                         "wishes": self.store["wishes"]})
            ended = self.serve(worker)
        finally:
            if worker.process.poll() is None:
                worker.kill()
            worker.socket.close()
        self.attempt = self.attempt + 1 if ended.outcome == "retry" else 0
        return ended

    def serve(self, worker):
        until = time.monotonic() + RUN_SECONDS
        while True:
            assert time.monotonic() < until, f"a worker did not end; its last words: {self.messages[-5:]}"
            message = worker.receive(SILENCE_SECONDS)
            if message is None:
                return Ended(status=worker.process.wait(END_SECONDS))
            self.messages.append(message)
            if message["type"] == "result":
                return self.result(worker, message)
            if self.take(worker, message) in (KILL, KILL_AFTER):
                worker.kill()
                return Ended(killed=True)

    def result(self, worker, message):
        """A result is the last word."""
        rest = worker.receive(END_SECONDS)
        assert rest is None, f"after its result the worker said {rest}"
        status = worker.process.wait(END_SECONDS)
        if message["ok"]:
            assert message["outcome"] in ("done", "wait", "ask", "paused", "cancelled"), message
        else:
            assert message.get("then") in ("retry", "fail") and message["error"]["text"], message
        return Ended(result=message, status=status)

    def take(self, worker, message):
        kind = message["type"]
        if kind in JOURNAL:
            return self.journal(worker, message)
        if kind == "want":
            self.wanted = message["disks"]
            self.grant()
        elif kind == "free":
            self.granted -= message["disks"]
            assert self.granted >= 0, "the worker frees more places than it had"
            self.grant()
        return self.meddle(self, Event(kind, message, 0))

    def journal(self, worker, message):
        self.points += 1
        self.acts.append((message["type"], message.get("act")))
        verdict = self.meddle(self, Event(message["type"], message, self.points))
        if verdict == KILL:
            return verdict
        if isinstance(verdict, Answer):
            worker.send({"type": "ack", "seq": message["seq"], "error": dataclasses.asdict(verdict)})
            return None
        self.store.apply(message["ops"])
        if verdict != KILL_AFTER:
            worker.send({"type": "ack", "seq": message["seq"]})
        return verdict

    def grant(self):
        """As many places as are free, of those that are wanted."""
        more = min(self.wanted, self.places - self.granted)
        if more > 0:
            self.wanted -= more
            self.granted += more
            self.wish("grant", disks=more)

    def wish(self, name, **words):
        self.worker.send({"type": "wish", "wish": name, **words})

    # A migration.

    def to_the_end(self, between=None, seconds=180):
        """Start workers until one says that it is done, cancelled, or that it fails for good. between(daemon, ended) is
        called after each other end, and may set wishes; True: that is enough."""
        until = time.monotonic() + seconds
        while True:
            ended = self.run()
            assert ended.outcome != "died", f"a worker ended with {ended.status} and no result; {self.last_words()}"
            if ended.outcome in ("done", "cancelled", "fail"):
                return ended
            if ended.outcome == "ask" and ended.result["question"] in self.answers:
                self.store.wish(**self.answers[ended.result["question"]])
            if between and between(self, ended):
                return ended
            assert self.starts < STARTS_MAX and time.monotonic() < until, f"no end; the last: {ended}"

    def last_words(self):
        self.errors.flush()
        return pathlib.Path(self.errors.name).read_text(errors="replace")[-2000:]

    def logs(self):
        return [message["text"] for message in self.messages if message["type"] == "log"]
