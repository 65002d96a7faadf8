#!/usr/bin/python3
"""A vmferryd that migrates nothing: what the commands are told comes from a scene, a file named by $FAKE_SCENE.

    {"lives": {"web01": [STEP...]}, "refuse": {"web02": "why"}, "ready_fails": {"kind": ..., "text": ...},
     "dies_at": [MODE, "METHOD PATH"]}

A STEP is what changes in the migration, with "events" that happen then; one step is taken each time the migration is
asked for, unless it has "until": a verb, which must be asked for first. Time plays no part. What it has been told is
in $FAKE_SCENE.log, an object a line, and what it knows in CONTROL_DIR/fake.json, for the next one. One that was started
in the MODE of dies_at is killed by a request that begins so, before it has answered.
"""

import fcntl
import http.server
import json
import os
import pathlib
import re
import select
import socket
import socketserver
import sys
import threading
import urllib.parse

SCENE_FILE = pathlib.Path(os.environ["FAKE_SCENE"])
ENDED = ("done", "cancelled")
VERBS = {"finalize", "finalize-now", "cancel", "pause", "resume", "retry", "shutdown", "limit"}
lock = threading.RLock()


def note(**what):
    with lock, open(f"{SCENE_FILE}.log", "a", encoding="utf-8") as log:
        log.write(json.dumps(what) + "\n")


class World:
    """The migrations, as they would be in the store."""

    def __init__(self, mode, control_dir):
        self.scene = json.loads(SCENE_FILE.read_text(encoding="utf-8"))
        self.mode, self.file = mode, pathlib.Path(control_dir, "fake.json")
        self.migrations, self.limits = {}, {"disks_per_esxi": 8, "parallel_vms": 3, "bandwidth_bytes_s": 0}
        if self.file.exists():
            self.migrations = json.loads(self.file.read_text(encoding="utf-8"))
        for given in self.scene.get("migrations", []):
            self.migrations.setdefault(given["id"], self.fresh(**given))

    def fresh(self, id, name, **more):    # pylint: disable=redefined-builtin
        return {"id": id, "key": f"vc1/name:{name}", "name": name, "moref": None, "server": "vc1", "status": "queued",
                "stage": "not_started", "next_stage": "connecting_vcenter", "overall_pct": 0.0, "question": None,
                "finalize": False, "finalize_now": False, "paused": False, "created_at": 1764468000, "rounds": 0, "error": None,
                "due_at": None, "started_at": None, "ended_at": None, "forecast": None, "progress": [], "attempt": 0,
                "events": [], "step": 0, "asked": [], **more}

    def save(self):
        new = self.file.with_suffix(f".{os.getpid()}")     # the next one may read it while this one still writes
        new.write_text(json.dumps(self.migrations), encoding="utf-8")
        new.replace(self.file)

    def view(self, migration):
        return {key: value for key, value in migration.items() if key not in ("step", "events", "asked")}

    def take_step(self, migration):
        life = self.scene.get("lives", {}).get(migration["name"], [])
        if self.mode == "look" or migration["step"] >= len(life):
            return
        step = dict(life[migration["step"]])
        if step.pop("until", None) not in (None, *migration["asked"]):
            return
        migration["asked"] = []
        for text in step.pop("events", []):
            event = text if isinstance(text, dict) else {"level": "info", "code": "x", "text": text}
            migration["events"].append({"n": len(migration["events"]) + 1, "at": 1764468000, **event})
        migration.update(step)
        migration["step"] += 1

    def create(self, body):
        spec_vm = body["spec"]["vm"]
        name = spec_vm.get("name") or spec_vm.get("moref")
        if name in self.scene.get("refuse", {}):
            return 400, {"detail": self.scene["refuse"][name], "code": "invalid"}
        for migration in self.migrations.values():
            if migration["name"] == name and migration["status"] not in ENDED:
                return 200, self.view(migration)
        ident = f"{len(self.migrations) + 1:012x}"
        self.migrations[ident] = self.fresh(ident, name, key=f"vc1.example.org/name:{name}")
        return 201, self.view(self.migrations[ident])

    def ask(self, migration, verb, body):
        refusal = self.scene.get("refuse_verb", {}).get(verb)
        if refusal:
            return 409, {"detail": refusal, "code": "conflict"}
        already = verb in migration["asked"]
        migration["asked"].append(verb)
        if verb.startswith("finalize"):
            migration["finalize"] = True
            migration["finalize_now"] |= verb == "finalize-now"
        if verb == "retry" and migration["status"] == "failed":
            migration.update(status="queued", error=None)
        if verb == "cancel" and body.get("cleanup") and self.mode != "look":
            migration["status"] = "cancelled"
        return 200, {"migration": self.view(migration), "already": already}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    world = None

    def address_string(self):
        return "unix"

    def log_message(self, *_args):
        pass

    def reply(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def answer(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if self.command != "GET":
            note(method=self.command, path=self.path, body=body)
        mode, at = self.world.scene.get("dies_at", [None, None])
        if mode == self.world.mode and f"{self.command} {self.path}".startswith(at):
            os.kill(os.getpid(), 9)
        with lock:
            status, answer = self.route(url.path.removeprefix("/api/v1"), query, body)
            self.world.save()
        self.reply(status, answer)

    do_GET = do_POST = do_PUT = answer

    def route(self, path, query, body):
        world = self.world
        if path == "/health":
            return 200, {"status": "ok", "version": "0", "mode": world.mode, "pid": os.getpid()}
        if path == "/limits":
            if self.command == "PUT":
                world.limits.update(body)
            return 200, world.limits
        if path == "/migrations":
            return world.create(body) if self.command == "POST" else self.list(query)
        ident, _, rest = path.removeprefix("/migrations/").partition("/")
        migration = world.migrations.get(urllib.parse.unquote(ident))
        if not migration:
            return 404, {"detail": f"no migration {ident}", "code": "not-found"}
        if rest == "events":
            events = [event for event in migration["events"] if event["n"] > int(query.get("after", 0))]
            return 200, {"events": events[:int(query.get("limit", 100))]}
        if rest in VERBS and self.command == "POST":
            return world.ask(migration, rest, body)
        if not rest:
            world.take_step(migration)
            view = world.view(migration)
            return 200, {**view, "rounds": [{"number": n} for n in range(1, view["rounds"] + 1)]}
        return 404, {"detail": "no such path", "code": "not-found"}

    def list(self, query):
        found = [m for ident, m in sorted(self.world.migrations.items()) if ident > query.get("after", "")]
        if "status" in query:
            found = [m for m in found if m["status"] in query["status"].split(",")]
        if "name" in query:
            pattern = re.escape(query["name"]).replace(r"\*", ".*").replace(r"\?", ".")
            found = [m for m in found if re.fullmatch(pattern, m["name"])]
        limit = min(int(query.get("limit", 100)), self.world.scene.get("page", 1000))
        more = found[limit - 1]["id"] if len(found) > limit else None
        return 200, {"migrations": [self.world.view(m) for m in found[:limit]], "next": more}


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def talk(fd3):
    """Until the parent has gone, or says stop."""
    while True:
        packet = fd3.recv(65536)
        if not packet:
            return False
        message = json.loads(packet)
        note(wish=message.get("wish"))
        if message.get("wish") == "stop":
            return True


def main():
    fd3 = socket.socket(fileno=3)
    send = lambda **message: fd3.send(json.dumps(message).encode())
    send(type="hello", version=1, role="daemon")
    start = json.loads(fd3.recv(65536))
    note(start=start)
    control_dir = pathlib.Path(start["control_dir"])
    owner = open(control_dir / "fake.lock", "w", encoding="utf-8")
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        send(type="result", ok=False, error={"kind": "conflict", "text": "the store belongs to process 4711"})
        return
    world = Handler.world = World(start["mode"], control_dir)
    if "ready_fails" in world.scene:
        send(type="result", ok=False, error=world.scene["ready_fails"])
        return
    pathlib.Path(start["store"]).touch()
    path = control_dir / "vmferryd.sock"
    path.unlink(missing_ok=True)
    with Server(str(path), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        send(type="log", level="debug", text="open")
        send(type="ready", socket=str(path))
        if "dies" in world.scene:
            select.select([fd3], [], [], 2)
            os.kill(os.getpid(), 9)
        told = talk(fd3)
        server.shutdown()
        path.unlink()
        if told:
            send(type="result", ok=True)


if __name__ == "__main__":
    sys.exit(main())
