"""QEMU's tools, and the monitor of a running QEMU: what storage and power are made of.

The monitor speaks QMP ("QEMU Machine Protocol", docs/interop/qmp-spec in QEMU) on a socket which the process inherits.
"""

import json
import os
import pathlib
import queue
import socket
import subprocess
import tempfile
import threading
import time

TOOL_SECONDS = 600
ANSWER_SECONDS = 60
JOB_SECONDS = 600
MESSAGE_MAX = 16 << 20      # bytes of one message of QMP
ERROR_CHARS = 2000
GRANULARITY = 65536         # of dirty bitmaps: what one block of changed block tracking covers


class QemuError(Exception):
    """What QEMU or one of its tools said, in one sentence."""


def tool(*words, stdin=None):
    """Run a tool to its end and return what it printed."""
    try:
        done = subprocess.run([str(word) for word in words], input=stdin, capture_output=True, check=False,
                              timeout=TOOL_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise QemuError(f"cannot run {words[0]}: {error}") from error
    if done.returncode != 0:
        text = done.stderr.decode(errors="replace").strip()[-ERROR_CHARS:]
        raise QemuError(f"{words[0]} {words[1]} failed with {done.returncode}: {text}")
    return done.stdout


def create_overlay(path, backing, backing_format, size):
    tool("qemu-img", "create", "-q", "-f", "qcow2", "-b", backing, "-F", backing_format, path, size)


def commit(path, base):
    """The content of an overlay that nobody has open goes into its backing file."""
    tool("qemu-img", "commit", "-q", "-d", "-f", "qcow2", "-b", base, path)


def set_backing(path, backing, backing_format):
    tool("qemu-img", "rebase", "-q", "-u", "-f", "qcow2", "-b", backing, "-F", backing_format, path)


def image_map(path, image_format):
    """[(start, length, depth, offset in the file of that depth, or None for zeros)] of all that is in a chain.

    A raw file is all there, its holes as well: they are zeros of its depth.
    """
    found = []
    for entry in json.loads(tool("qemu-img", "map", "-U", "--output=json", "-f", image_format, path)):
        if entry["present"]:
            offset = entry.get("offset") if entry["data"] else None
            if entry["data"] and offset is None:
                raise QemuError(f"{path} holds compressed clusters, which a layer of the lab never does")
            found.append((entry["start"], entry["length"], entry["depth"], offset))
    return found


def layer_areas(path):
    """What is written in one qcow2 layer, its backing files left out."""
    return [(start, length) for start, length, depth, _ in image_map(path, "qcow2") if depth == 0]


def data_areas(path):
    """Where a raw file has data."""
    areas = []
    with open(path, "rb") as file:
        position, size = 0, os.fstat(file.fileno()).st_size
        while position < size:
            try:
                start = os.lseek(file.fileno(), position, os.SEEK_DATA)
                position = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            except OSError:
                break
            areas.append((start, position - start))
    return areas


class Spawner:
    """Starts processes that die with the lab, even when it is killed.

    A process is told of the death of the thread that made it, so one thread that lives as long as the lab makes all.
    """

    def __init__(self):
        self.orders = queue.Queue()
        self.thread = threading.Thread(target=self.run, name="spawner", daemon=True)
        self.thread.start()

    def run(self):
        while True:
            order = self.orders.get()
            if order is None:
                return
            words, options, answer = order
            try:
                answer.put(subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *map(str, words)], **options))
            except OSError as error:
                answer.put(error)

    def spawn(self, words, **options):
        answer = queue.Queue()
        self.orders.put((words, options, answer))
        process = answer.get()
        if isinstance(process, OSError):
            raise QemuError(f"cannot start {words[0]}: {process}")
        return process

    def close(self):
        self.orders.put(None)
        self.thread.join()


class Monitor:
    """QMP over a connected socket. Thread safe; on_event(name, data) is called from the reader's thread, on_end()
    once when the other side has gone."""

    def __init__(self, sock, on_event, on_end):
        self.socket = sock
        self.on_event = on_event
        self.on_end = on_end
        self.condition = threading.Condition()
        self.answers = {}
        self.number = 0
        self.ended = False
        self.greeted = False
        self.reader = threading.Thread(target=self.read, name="qmp", daemon=True)
        self.reader.start()
        with self.condition:
            if not self.condition.wait_for(lambda: self.greeted or self.ended, ANSWER_SECONDS) or self.ended:
                raise QemuError("QEMU did not greet on its monitor")
        self.execute("qmp_capabilities")

    def read(self):
        try:
            with self.socket.makefile("rb") as lines:
                while line := lines.readline(MESSAGE_MAX):
                    self.take(json.loads(line))
        except (OSError, ValueError):
            pass    # a process that is killed breaks off anywhere: the end is told below
        with self.condition:
            self.ended = True
            self.condition.notify_all()
        self.on_end()

    def take(self, message):
        if "event" in message:
            self.on_event(message["event"], message.get("data", {}))
            return
        with self.condition:
            self.greeted = self.greeted or "QMP" in message
            if "id" in message:
                self.answers[message["id"]] = message
            self.condition.notify_all()

    def execute(self, command, **arguments):
        with self.condition:
            self.number += 1
            number = self.number
            words = {"execute": command, "id": number, "arguments": {
                key.replace("_", "-"): value for key, value in arguments.items()}}
            try:
                self.socket.sendall(json.dumps(words).encode() + b"\n")
            except OSError as error:
                raise QemuError(f"QEMU has gone before {command}") from error
            if not self.condition.wait_for(lambda: number in self.answers or self.ended, ANSWER_SECONDS):
                raise QemuError(f"QEMU did not answer {command} within {ANSWER_SECONDS} s")
            answer = self.answers.pop(number, None)
        if answer is None:
            raise QemuError(f"QEMU has gone during {command}")
        if "error" in answer:
            raise QemuError(f"{command}: {answer['error']['desc']}")
        return answer["return"]


class Process:
    """A running QEMU and its disks. Links are named by node: "link7" is the format of link 7, "file7" its file."""

    def __init__(self, spawner, words, scratch, on_event, on_end):
        self.condition = threading.Condition()
        self.chain_lock = threading.Lock()
        self.jobs = {}
        self.job_number = 0
        self.exports = 0
        self.nbd_path = pathlib.Path(scratch) / f"nbd-{id(self):x}"
        self.nbd_started = False
        self.deliver = on_event
        self.errors = tempfile.TemporaryFile()
        ours, theirs = socket.socketpair()
        words = [*words, "-chardev", f"socket,id=monitor,fd={theirs.fileno()}", "-mon", "chardev=monitor,mode=control"]
        try:
            self.child = spawner.spawn(words, stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors,
                                       pass_fds=(theirs.fileno(),))
        finally:
            theirs.close()
        try:
            self.monitor = Monitor(ours, self.event, on_end)
        except QemuError as error:
            self.child.kill()
            self.child.wait()
            raise QemuError(f"{error}: {self.last_words()}") from error

    def last_words(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace").strip()[-ERROR_CHARS:] or "nothing said"

    def event(self, name, data):
        if name in ("BLOCK_JOB_READY", "BLOCK_JOB_COMPLETED", "BLOCK_JOB_CANCELLED"):
            with self.condition:
                self.jobs[data["device"]] = (name, data.get("error"))
                self.condition.notify_all()
        self.deliver(name, data)

    def execute(self, command, **arguments):
        return self.monitor.execute(command, **arguments)

    # Layers.

    def snapshot(self, pairs):
        """All at one instant: [(node that is written, number and path of the new qcow2 over it)]."""
        actions = []
        for node, number, path in pairs:
            self.execute("blockdev-add", driver="qcow2", node_name=f"link{number}", backing=None, discard="unmap",
                         file={"driver": "file", "filename": str(path), "node-name": f"file{number}",
                               "auto-read-only": True, "discard": "unmap"})
            actions.append({"type": "blockdev-snapshot", "data": {"node": node, "overlay": f"link{number}"}})
        self.execute("transaction", actions=actions)

    def commit(self, device, top, base, base_path, at_ready=None):
        """TOP goes into BASE. When it is the node that is written, QEMU writes into BASE from then on."""
        with self.chain_lock:
            self.job_number += 1
            job = f"commit{self.job_number}"
            extra = {} if top == device else {"backing_file": str(base_path)}
            self.execute("block-commit", job_id=job, device=device, top_node=top, base_node=base, **extra)
            if top == device:
                self.wait_job(job, "BLOCK_JOB_READY")
                if at_ready:
                    at_ready()
                self.execute("job-complete", id=job)
            self.wait_job(job, "BLOCK_JOB_COMPLETED")

    def wait_job(self, job, wanted):
        deadline = time.monotonic() + JOB_SECONDS
        with self.condition:
            while True:
                name, error = self.jobs.get(job, (None, None))
                if name and error:
                    raise QemuError(f"block-commit: {error}")
                if name == wanted:
                    return
                if name == "BLOCK_JOB_COMPLETED":
                    raise QemuError("block-commit ended before it was ready")
                left = deadline - time.monotonic()
                if self.monitor.ended or left <= 0:
                    raise QemuError("block-commit did not come to its end")
                self.condition.wait(min(left, 1))

    def forget(self, node):
        """Closes a node that no disk uses any more."""
        self.execute("blockdev-del", node_name=node)

    # Dirty bitmaps.

    def track(self, node):
        self.execute("block-dirty-bitmap-add", node=node, name="cbt", granularity=GRANULARITY)

    def tracked(self, node, capacity):
        """What was written to NODE since track(). Nobody may write to it any more."""
        if not self.nbd_started:
            self.execute("nbd-server-start", addr={"type": "unix", "data": {"path": str(self.nbd_path)}})
            self.nbd_started = True
        self.exports += 1
        name = f"export{self.exports}"
        self.execute("block-dirty-bitmap-disable", node=node, name="cbt")
        self.execute("block-export-add", type="nbd", id=name, node_name=node, name=name, bitmaps=["cbt"])
        try:
            image = json.dumps({"driver": "nbd", "export": name, "x-dirty-bitmap": "qemu:dirty-bitmap:cbt",
                                "server": {"type": "unix", "path": str(self.nbd_path)}})
            text = tool("qemu-img", "map", "--output=json", "json:" + image)
        finally:
            self.execute("block-export-del", id=name, mode="hard")
        # In this disguise a dirty area is one without data.
        return [(entry["start"], min(entry["length"], capacity - entry["start"]))
                for entry in json.loads(text) if not entry["data"]]

    def write(self, device, path, offset, length):
        """Write LENGTH bytes of the file PATH as the device DEVICE of the machine would.

        Not beside a commit: unlike a guest's, such a write is not held back while the chain changes, and QEMU aborts.
        """
        with self.chain_lock:
            for command in (f"write -s {path} {offset} {length}", "flush"):
                said = self.execute("human-monitor-command", command_line=f'qemu-io -d {device} "{command}"')
                if said.strip():    # an error; what went well is said on QEMU's own output
                    raise QemuError(f"cannot write to {device}: {said.strip()}")

    # The end.

    def quit(self, seconds=20):
        """Ends QEMU; all it has written is in its files then."""
        if self.child.poll() is None:
            try:
                self.execute("quit")
            except QemuError:
                pass    # it goes without an answer at times
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.child.kill()
        self.child.wait()
        self.finish()

    def kill(self):
        self.child.kill()
        self.child.wait()
        self.finish()

    def finish(self):
        self.monitor.socket.close()
        self.errors.close()
        self.nbd_path.unlink(missing_ok=True)
