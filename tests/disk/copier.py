"""Run vmferry-copy as its parent does: a SOCK_SEQPACKET pair, one JSON object a packet, its end at descriptor 3."""

import contextlib
import dataclasses
import json
import os
import pathlib
import select
import signal
import socket
import subprocess

import whereabouts

TOP = pathlib.Path(__file__).resolve().parents[2]
PACKET_MAX = 65536
LIMIT_S = 120


def program():
    """$VMFERRY_COPY, or the one that lies beside $VMFERRY, or that of the build directory."""
    if "VMFERRY_COPY" in os.environ:
        found = pathlib.Path(os.environ["VMFERRY_COPY"])
    elif "VMFERRY" in os.environ:
        found = pathlib.Path(os.environ["VMFERRY"]).parent.parent / "copier/vmferry-copy"
    else:
        found = TOP / "build/src/copier/vmferry-copy"
    assert os.access(found, os.X_OK), f"{found} is not built; run make, or say VMFERRY_COPY=PROGRAM"
    return str(found)


@dataclasses.dataclass
class Result:
    """How a copy ended, and what it said on the way."""

    message: dict       # the result message; {} when it was killed
    status: int         # exit status, negative for a signal
    logs: list
    peak_bytes: int = 0  # VmHWM, when it was asked for

    @property
    def ok(self):
        return bool(self.message.get("ok"))

    @property
    def kind(self):
        return self.message.get("error", {}).get("kind", "")

    @property
    def text(self):
        return self.message.get("error", {}).get("text", "")

    def __str__(self):
        return f"status {self.status} {self.message} {self.logs}"


class Copy:
    """One running vmferry-copy. Use as a context: nothing is left running behind it."""

    def __init__(self, source, target, stdin=subprocess.DEVNULL, under=(), runs=None, env=None, **fields):
        """SOURCE is a path or the protocol's source object, TARGET (uri, format); FIELDS go into the start message.

        UNDER is a command to run it with, RUNS another program of the same protocol, ENV is added to the environment.
        """
        source = source if isinstance(source, dict) else {"uri": str(source)}
        start = {"type": "start", "source": source, "target": {"uri": str(target[0]), "format": target[1]}}
        for key, value in fields.items():
            start[key] = str(value) if isinstance(value, pathlib.Path) else value
        self.logs = []
        self.progress = []
        self.result = None
        self.watch_memory = False
        self.peak_bytes = 0
        self.ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ours.settimeout(LIMIT_S)
        with theirs:
            # The shell puts the socket where the program looks for it; preexec_fn is not for threads.
            self.process = subprocess.Popen(
                ["/bin/bash", "-c", f'exec "$@" 3<&{theirs.fileno()}', "bash", *under, runs or program()],
                stdin=stdin, stderr=subprocess.PIPE, pass_fds=[theirs.fileno()], env={**os.environ, **(env or {})})
        self.started = False
        try:
            hello = self.receive()
            self.started = bool(hello) and json.loads(hello)["type"] == "hello"
            self.ours.send(json.dumps(start).encode())
        except (ConnectionResetError, BrokenPipeError):
            pass   # it was killed before it could speak

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        self.ours.close()

    def wish(self, **fields):
        self.ours.send(json.dumps({"type": "wish", **fields}).encode())

    def next_message(self):
        """The next object, or None when the program has gone. The result is kept and not given out."""
        while True:
            try:
                packet = self.receive()
            except ConnectionResetError:
                packet = b""
            if not packet:
                return None
            message = json.loads(packet)
            if message["type"] == "log":
                self.logs.append(message["text"])
            elif message["type"] == "result":
                self.result = message
            else:
                self.progress.append(message)
                return message

    def receive(self):
        if not self.watch_memory:
            try:
                return self.ours.recv(PACKET_MAX)
            except TimeoutError:
                self.stands_still("said nothing")
        while not select.select([self.ours], [], [], 0.01)[0]:
            self.look_at_memory()
        self.look_at_memory()
        return self.ours.recv(PACKET_MAX)

    def stands_still(self, what):
        """It may never happen again: all that can be seen of it is in the failure."""
        raise AssertionError(f"vmferry-copy {what} for {LIMIT_S} s; its log: {self.logs}\n"
                             f"{whereabouts.of(self.process.pid)}") from None

    def look_at_memory(self):
        """VmHWM, the most memory that it ever had."""
        with contextlib.suppress(OSError, IndexError):
            status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
            self.peak_bytes = max(self.peak_bytes, int(status.split("VmHWM:")[1].split()[0]) * 1024)

    def kill(self):
        """SIGKILL, whatever it does."""
        self.process.send_signal(signal.SIGKILL)
        return self.wait()

    def wait(self, watch_memory=False):
        """To its end."""
        self.watch_memory = watch_memory
        while self.next_message():
            pass
        try:
            status = self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.stands_still("did not end after its last word")
        assert self.started or status < 0, f"it never said hello: {self.process.stderr.read()}"
        complaint = self.process.stderr.read().decode(errors="replace")
        result = Result(self.result or {}, status, self.logs, self.peak_bytes)
        assert not complaint, f"stderr of vmferry-copy: {complaint} ({result})"
        if status >= 0:
            assert status == (0 if result.ok else 1), str(result)
            assert result.message, f"no result message: {result}"
        return result


def copy(source, target, **fields):
    """Run one copy to its end."""
    with Copy(source, target, **fields) as running:
        return running.wait()


def copied(source, target, **fields):
    """The same, and it must succeed."""
    result = copy(source, target, **fields)
    assert result.ok, str(result)
    return result
