"""vmferry copy from outside: what it takes, shows, leaves and goes on from."""

import gzip
import json
import os
import pty
import re
import signal
import subprocess

import pytest

from v2v_scenes import (MIB, events_of, is_running, kill_all, make_disk, make_ova, names_in, pid_of, run, same_content,
                        start, wait_until)

pytestmark = pytest.mark.asan
SUMMARY = re.compile(r"64\.0 MiB: 56\.0 MiB data, 8\.00 MiB zero, in \d+\.\d s, \d+(\.\d+)? [KMG]iB/s\n")


@pytest.fixture
def disk(tmp_workdir):
    """64 MiB, 8 of them zero."""
    return make_disk(tmp_workdir / "disk.raw", 64)


def format_of(image):
    result = subprocess.run(["qemu-img", "info", "--output=json", image], capture_output=True, text=True, check=True)
    return json.loads(result.stdout)["format"]


@pytest.mark.parametrize("args, complaint", [
    (["one"], "give one SOURCE and one TARGET"),
    (["one", "two", "three"], "give one SOURCE and one TARGET"),
    (["-O", "vmdk", "one", "two"], "-O vmdk: a target is qcow2 or raw"),
    (["--limit", "x", "one", "two"], "--limit: 'x' is not a size"),
    (["--nope"], "unknown or ambiguous option '--nope'"),
])
def test_usage_errors(vmferry, args, complaint):
    result = run(vmferry, "copy", *args)
    assert (result.returncode, result.stdout) == (2, "")
    assert complaint in result.stderr


def test_a_missing_source(vmferry, tmp_workdir):
    result = run(vmferry, "copy", tmp_workdir / "none", tmp_workdir / "out.qcow2")
    assert result.returncode == 1
    assert re.fullmatch(f"vmferry: copy: {tmp_workdir}/none: .*\n", result.stderr)
    assert names_in(tmp_workdir) == []


@pytest.mark.parametrize("name, wanted", [("out.qcow2", "qcow2"), ("out.raw", "raw"), ("out.img", "raw"), ("out", "qcow2")])
def test_the_name_tells_the_format(vmferry, tmp_workdir, disk, name, wanted):
    result = run(vmferry, "copy", "-f", "raw", disk, tmp_workdir / name)
    assert result.returncode == 0, result.stderr
    assert SUMMARY.fullmatch(result.stdout), result.stdout
    assert names_in(tmp_workdir) == sorted(["disk.raw", name])
    assert same_content(disk, tmp_workdir / name, other_format=wanted)
    if wanted == "qcow2":
        assert format_of(tmp_workdir / name) == "qcow2"


def test_the_option_beats_the_name(vmferry, tmp_workdir, disk):
    assert run(vmferry, "copy", "-O", "qcow2", disk, tmp_workdir / "out.raw").returncode == 0
    assert format_of(tmp_workdir / "out.raw") == "qcow2"


def test_a_target_that_is_there(vmferry, tmp_workdir, disk):
    target = tmp_workdir / "out.raw"
    target.write_text("mine")
    result = run(vmferry, "copy", disk, target)
    assert result.returncode == 1
    assert "exists already" in result.stderr
    assert target.read_text() == "mine"
    assert run(vmferry, "copy", "--force", disk, target).returncode == 0
    assert same_content(disk, target)


def test_a_member_of_an_ova(vmferry, tmp_workdir):
    package = make_ova(tmp_workdir)
    result = run(vmferry, "copy", "--member", "small-1.vmdk", package, tmp_workdir / "out.qcow2")
    assert result.returncode == 0, result.stderr
    assert same_content(tmp_workdir / "small-1.raw", tmp_workdir / "out.qcow2", other_format="qcow2")
    result = run(vmferry, "copy", "--member", "nope.vmdk", package, tmp_workdir / "other.qcow2")
    assert result.returncode == 1
    assert "nope.vmdk" in result.stderr


@pytest.mark.parametrize("packed", [False, True])
def test_from_a_pipe(vmferry, tmp_workdir, packed):
    make_ova(tmp_workdir, disks=1)
    content = (tmp_workdir / "small-0.vmdk").read_bytes()
    content = gzip.compress(content, 1) if packed else content
    result = run(vmferry, "copy", *(["--gzip"] if packed else []), "-", tmp_workdir / "out.qcow2", stdin=None,
                 input=content, text=False)
    assert result.returncode == 0, result.stderr
    assert same_content(tmp_workdir / "small-0.raw", tmp_workdir / "out.qcow2", other_format="qcow2")


def test_json(vmferry, tmp_workdir, disk):
    result = run(vmferry, "copy", "--json", "--limit", "64M", "--verify", disk, tmp_workdir / "out.qcow2")
    assert result.returncode == 0
    events = events_of(result.stdout)
    last = events.pop()
    assert (last["type"], last["ok"], last["capacity_bytes"]) == ("result", True, 64 * MIB)
    assert last["data_bytes"] + last["zero_bytes"] + last["resumed_bytes"] == 64 * MIB
    progress = [event for event in events if event["type"] == "progress"]
    assert progress and progress[0]["stage"] == "copy"
    assert all(event["disk"] == "out.qcow2" and event["total_bytes"] == 64 * MIB for event in progress)
    done = [event["done_bytes"] for event in progress if event["stage"] == "copy"]
    assert done == sorted(done)


def test_json_failure(vmferry, tmp_workdir):
    result = run(vmferry, "copy", "--json", tmp_workdir / "none", tmp_workdir / "out.qcow2")
    assert result.returncode == 1
    (last,) = events_of(result.stdout)
    assert (last["ok"], last["error"]["kind"]) == (False, "not-found")
    assert last["error"]["text"] in result.stderr


def test_quiet(vmferry, tmp_workdir, disk):
    result = run(vmferry, "copy", "-q", disk, tmp_workdir / "out.qcow2")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_ranges(vmferry, tmp_workdir, disk):
    target, changed = tmp_workdir / "out.qcow2", tmp_workdir / "ranges"
    assert run(vmferry, "copy", disk, target).returncode == 0
    with open(disk, "r+b") as file:
        for offset in (10 * MIB + 5, 20 * MIB):
            file.seek(offset)
            file.write(b"changed")
    changed.write_text(f"{10 * MIB} 65536\n")
    assert run(vmferry, "copy", "--ranges", changed, disk, target).returncode == 0
    assert not same_content(disk, target, other_format="qcow2")
    changed.write_text(f"{10 * MIB} 65536\n{20 * MIB} 512\n")
    assert run(vmferry, "copy", "--ranges", changed, disk, target).returncode == 0
    assert same_content(disk, target, other_format="qcow2")


# ---- what a terminal shows ----

def run_on_terminal(vmferry, columns, *args):
    """What the program writes on a terminal so wide."""
    leader, follower = pty.openpty()
    subprocess.run(["stty", "cols", str(columns), "rows", "24"], stdin=follower, check=True)
    process = start(vmferry, *args, stdout=follower, stderr=follower, env={**os.environ, "TERM": "xterm"})
    os.close(follower)
    shown = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:     # Linux: the other end was closed
            break
        shown += piece
    os.close(leader)
    assert process.wait(timeout=60) == 0
    return shown.decode()


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_live_line(vmferry, tmp_workdir, disk, columns):
    shown = run_on_terminal(vmferry, columns, "copy", "--limit", "64M", disk, tmp_workdir / "out.qcow2")
    drawn = [line for line in re.split(r"\r|\n", shown) if "\x1b[K" in line]
    texts = [line.replace("\x1b[K", "") for line in drawn]
    assert len(texts) >= 2
    assert all(len(text) < columns for text in texts)
    assert all(text.startswith("out.qcow2") for text in texts if text)
    assert ("[#" in shown) == (columns >= 80)
    assert re.search(r"64\.0 MiB: 56\.0 MiB data", shown.splitlines()[-1])


def test_no_escapes_off_a_terminal(vmferry, tmp_workdir, disk):
    result = run(vmferry, "copy", "--limit", "64M", disk, tmp_workdir / "out.qcow2")
    assert "\x1b" not in result.stdout + result.stderr
    assert "\r" not in result.stdout + result.stderr


# ---- interruptions ----

@pytest.fixture
def slow(vmferry, tmp_workdir, disk):
    """Start a copy that is slow; some data is there when this returns."""
    target = tmp_workdir / "out.raw"
    args = ["copy", "-f", "raw", disk, target]
    started = []

    def begin():
        process = start(vmferry, *args, "--limit", "8M")
        started.append(process)
        part = tmp_workdir / "out.raw.part"
        wait_until(lambda: part.exists() and part.stat().st_blocks * 512 >= 8 * MIB, "the first data")
        return process

    begin.args, begin.target = args, target
    yield begin
    for process in started:
        process.kill()
        process.communicate()


def finish(vmferry, slow, disk):
    result = run(vmferry, *slow.args)
    assert result.returncode == 0, result.stderr
    assert same_content(disk, slow.target)
    assert names_in(slow.target.parent) == ["disk.raw", "out.raw"]
    return result


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(vmferry, slow, disk, signum):
    process = slow()
    process.send_signal(signum)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command again goes on" in stderr
    assert not slow.target.exists()
    assert "; resumed after " in finish(vmferry, slow, disk).stdout


def test_interrupted_twice(vmferry, slow, disk):
    process = slow()
    copier = pid_of(process.pid, "vmferry-copy")
    os.kill(copier, signal.SIGSTOP)     # it cannot hear the first
    process.send_signal(signal.SIGINT)
    wait_until(lambda: is_sleeping_again(process.pid), "the first signal")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert not is_running(copier)
    finish(vmferry, slow, disk)


def is_sleeping_again(pid):
    with open(f"/proc/{pid}/status") as file:
        pending = [int(line.split()[1], 16) for line in file if line.startswith(("SigPnd", "ShdPnd"))]
    return not any(mask & 1 << (signal.SIGINT - 1) for mask in pending)


def test_killed(vmferry, slow, disk):
    kill_all(slow())
    kill_all(slow())
    finish(vmferry, slow, disk)


def test_the_copier_dies(vmferry, slow, disk):
    process = slow()
    os.kill(pid_of(process.pid, "vmferry-copy"), signal.SIGKILL)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "vmferry: copy: vmferry-copy ended without a result: killed by signal 9 (Killed)" in stderr
    finish(vmferry, slow, disk)
