"""docs/protocol.md against the programs: what it shows is what they say, and what they take."""

import json
import os
import re
import socket
import subprocess

import pytest

from places import TOP

MIB = 1 << 20


def load_examples():
    """{role: {type: [example, ...]}}; the messages of every role stand under "every"."""
    examples, role = {}, None
    for line in (TOP / "docs" / "protocol.md").read_text().split("\n"):
        heading = re.match(r"## (?:Role `(\w+)`|In (every) role)", line)
        if heading:
            role = examples.setdefault(heading[1] or heading[2], {})
        elif line.startswith("{"):
            message = json.loads(line)
            role.setdefault(message["type"], []).append(message)
    return examples


EXAMPLES = load_examples()


class Child:
    """A program of ours with its descriptor 3."""

    def __init__(self, program, *arguments):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(60)
        self.socket = ours
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec 3<&{theirs.fileno()}- "$@"', "bash", program, *arguments],
            pass_fds=[theirs.fileno()], stderr=subprocess.PIPE, text=True)
        theirs.close()

    def send(self, message):
        self.socket.send(json.dumps(message).encode())

    def receive(self):
        packet = self.socket.recv(65537)
        return json.loads(packet) if packet else None

    def receive_all(self):
        """Up to the result, and then the end."""
        messages = []
        while not messages or messages[-1]["type"] != "result":
            messages.append(self.receive())
            assert messages[-1], f"no result; {self.process.stderr.read()}"
        assert self.receive() is None
        return messages

    def close(self):
        self.socket.close()
        self.process.kill()
        self.process.communicate()


@pytest.fixture(name="start_program")
def programs(vmferry):
    children = []

    def start(name, *arguments):
        where = {"vmferry-copy": "copier", "vmferry-worker": "worker"}[name]
        children.append(Child(vmferry.parent.parent / where / name, *arguments))
        return children[-1]

    yield start
    for child in children:
        child.close()


def shape(value):
    """Keys and types; what a list holds is not looked at."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return type(value).__name__


def is_documented(message, role):
    """Does it have the keys and the types of an example of its type, but for those that may miss?"""
    known = EXAMPLES[role].get(message["type"], []) + EXAMPLES["every"].get(message["type"], [])
    return any(fits(message, example) for example in known)


MAY_MISS = {"eta_s", "code", "done_bytes", "total_bytes", "data_bytes", "rate_bytes_s"}


def fits(message, example):
    if message["type"] == "result" and message["ok"] != example["ok"]:
        return False
    missing = set(example) - set(message)
    if set(message) - set(example) or missing - MAY_MISS:
        return False
    return all(shape(message[key]) == shape(example[key]) for key in message
               if not isinstance(message[key], dict) or key == "error")


def start_of(role, **changes):
    return {**EXAMPLES[role]["start"][0], **changes}


def copy_start(tmp_path, **changes):
    source = tmp_path / "source.raw"
    if not source.exists():
        source.write_bytes(os.urandom(MIB) + bytes(3 * MIB))
    return start_of("copy", **{
        "source": {**EXAMPLES["copy"]["start"][0]["source"], "uri": str(source), "format": "raw"},
        "target": {"uri": str(tmp_path / "target.qcow2"), "format": "qcow2"}, **changes})


@pytest.mark.parametrize("program, arguments, role", [
    ("vmferry-copy", [], "copy"),
    ("vmferry-worker", [], "worker"),
    ("vmferry-worker", ["inspect"], "inspect"),
])
def test_hello_is_the_first_word(start_program, program, arguments, role):
    hello = start_program(program, *arguments).receive()
    assert hello == {**EXAMPLES["every"]["hello"][0], "role": role}


@pytest.mark.asan
@pytest.mark.tsan
def test_copy_says_what_is_documented(start_program, tmp_path):
    child = start_program("vmferry-copy")
    child.receive()
    child.send(copy_start(tmp_path, limit_bytes_s=2 * MIB, verify="full"))
    messages = child.receive_all()
    assert {"progress", "result"} <= {message["type"] for message in messages}
    for message in messages:
        assert is_documented(message, "copy"), message
    result = messages[-1]
    assert result["ok"] and result["verified"]
    assert result["data_bytes"] == MIB and result["zero_bytes"] == 3 * MIB
    assert child.process.wait(10) == 0


@pytest.mark.asan
def test_limit_can_be_changed_while_it_runs(start_program, tmp_path):
    child = start_program("vmferry-copy")
    child.receive()
    child.send(copy_start(tmp_path, limit_bytes_s=1024))  # a quarter of an hour
    message = child.receive()
    while message["type"] != "progress":
        message = child.receive()
    child.send({**EXAMPLES["copy"]["wish"][0], "limit_bytes_s": 0})
    assert child.receive_all()[-1]["ok"]


@pytest.mark.asan
@pytest.mark.tsan
def test_cancel_is_a_result_and_can_be_gone_on_from(start_program, tmp_path):
    child = start_program("vmferry-copy")
    child.receive()
    child.send(copy_start(tmp_path, limit_bytes_s=1024))
    message = child.receive()
    while message["type"] != "progress":
        message = child.receive()
    child.send(EXAMPLES["every"]["wish"][0])
    result = child.receive_all()[-1]
    assert not result["ok"] and result["error"]["kind"] == "cancelled"
    assert is_documented(result, "copy")
    assert not (tmp_path / "target.qcow2").exists()
    assert (tmp_path / "target.qcow2.part.map").exists()


@pytest.mark.asan
def test_parent_that_goes_away_stops_the_copy(start_program, tmp_path):
    child = start_program("vmferry-copy")
    child.receive()
    child.send(copy_start(tmp_path, limit_bytes_s=1024))
    assert child.receive()
    child.socket.close()
    assert child.process.wait(20) != 0
    assert not (tmp_path / "target.qcow2").exists()


@pytest.mark.parametrize("packet", ["nonsense", "[]", '{"type": "begin"}', '{"type": "start"}'])
@pytest.mark.parametrize("program, arguments", [
    ("vmferry-copy", []), ("vmferry-worker", []), ("vmferry-worker", ["inspect"])])
def test_bad_start_is_refused(start_program, program, arguments, packet):
    child = start_program(program, *arguments)
    child.receive()
    child.socket.send(packet.encode())
    last = child.receive()
    status = child.process.wait(10)
    if last is None:
        assert status != 0
    else:
        assert last["type"] == "result" and not last["ok"] and last["error"]["text"]


@pytest.mark.asan
def test_worker_describes(start_program, tmp_path):
    disk = tmp_path / "disk.raw"
    disk.write_bytes(bytes(MIB))
    child = start_program("vmferry-worker")
    child.receive()
    child.send(start_of("worker", action="describe",
                        input={"kind": "disk", "paths": [str(disk)], "format": "raw"},
                        output={"kind": "null", "disk_format": "qcow2"}))
    messages = child.receive_all()
    for message in messages:
        assert is_documented(message, "worker"), message
    assert messages[-1]["source"]["name"] == "disk"


@pytest.mark.asan
@pytest.mark.guest
def test_worker_says_what_is_documented(start_program, tmp_path):
    disk = tmp_path / "disk.raw"
    disk.write_bytes(os.urandom(MIB))
    start = start_of("worker")
    child = start_program("vmferry-worker")
    child.receive()
    child.send({**start, "input": {"kind": "disk", "paths": [str(disk)], "format": "raw"},
                "output": {**start["output"], "dir": str(tmp_path), "name": "moved"},
                "convert": {**start["convert"], "wanted": False}})
    messages = child.receive_all()
    for message in messages:
        assert is_documented(message, "worker"), message
    assert {"stage", "result"} <= {message["type"] for message in messages}
    result = messages[-1]
    assert result["ok"], result
    for path in [result["xml"], *result["disks"]]:
        assert os.path.exists(path)


def test_programs_want_a_parent(vmferry):
    for program in ["copier/vmferry-copy", "worker/vmferry-worker"]:
        done = subprocess.run([vmferry.parent.parent / program], capture_output=True, text=True,
                              check=False)
        assert done.returncode == 2
        assert "vmferry" in done.stderr
