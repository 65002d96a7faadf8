"""vmferry inventory against the lab: what is there, as a table and as JSON, quickly and in little memory."""

import contextlib
import json
import os
import pathlib
import pty
import re
import signal
import subprocess
import time

import pytest

from test_protocol import EXAMPLES
from vsphere_scenes import PASSWORD, serving, site_of

pytestmark = pytest.mark.asan

FIELDS = {"type", "moref", "name", "path", "datacenter", "host", "uuid", "instance_uuid", "power", "connection", "template",
          "guest", "cpus", "memory_bytes", "disks", "capacity_bytes", "used_bytes", "readiness"}
MACHINES = [
    {"name": "web01", "folder": "prod", "vcpus": 2, "memory_mib": 1024,
     "disks": [{"size_mib": 16}, {"size_mib": 48}]},
    {"name": "web/02", "folder": "prod", "power": "suspended"},
    {"name": "db01", "guest_name": "Rocky Linux 9 (64-bit)", "power": "poweredOn"},
    {"name": "mould", "template": True},
    {"name": "lost", "extra": {"connection": "orphaned"}},
    {"name": "snapped", "extra": {"snapshots": ["one", "two"]}},
    {"name": "grün-日本", "disks": []},
]


@pytest.fixture(name="site", scope="module")
def small_site(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("lab"), site_of(MACHINES)) as lab:
        yield lab


def run(vmferry, lab, *args, **how):
    done = subprocess.run([vmferry, "inventory", *lab.options, *args, lab.url], capture_output=True, text=True, check=False,
                          timeout=120, stdin=subprocess.DEVNULL, **how)
    assert PASSWORD not in done.stdout + done.stderr
    return done


def listed(vmferry, lab, *args):
    done = run(vmferry, lab, "--json", *args)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["type"] == "result" and events[-1]["shown"] == len(events) - 1
    for event in events[:-1]:
        assert set(event) == FIELDS
    return {event["name"]: event for event in events[:-1]}, events[-1]


def test_each_machine_as_json(vmferry, site):
    machines, result = listed(vmferry, site)
    assert set(machines) == {machine["name"] for machine in MACHINES}
    assert result["machines"] == len(MACHINES) and "vCenter" in result["about"]
    web = machines["web01"]
    assert (web["path"], web["datacenter"], web["power"], web["template"]) == ("/DC0/vm/prod/web01", "/DC0", "off", False)
    assert (web["cpus"], web["memory_bytes"], web["disks"]) == (2, 1 << 30, 2)
    assert web["capacity_bytes"] == 64 << 20
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", web["instance_uuid"])
    assert machines["web/02"]["path"] == "/DC0/vm/prod/web%2f02"
    assert machines["db01"]["guest"] == "Rocky Linux 9 (64-bit)" and machines["db01"]["power"] == "on"


def test_what_is_documented_is_what_comes():
    example, = EXAMPLES["worker"]["machines"]
    assert set(example["machines"][0]) == FIELDS - {"type"}


@pytest.mark.parametrize("name, readiness", [
    ("web01", "ready"), ("web/02", "suspended"), ("db01", "ready"), ("mould", "cold only"), ("lost", "orphaned"),
    ("snapped", "cold only"), ("grün-日本", "no disks")])
def test_readiness(vmferry, site, name, readiness):
    machines, _ = listed(vmferry, site)
    assert machines[name]["readiness"] == readiness


@pytest.mark.parametrize("words, names", [
    (["web*"], {"web01", "web/02"}), (["power=on"], {"db01"}), (["path=*/prod/*"], {"web01", "web/02"}),
    (["web*", "db*", "power=off"], {"web01"}), (["template=yes"], {"mould"}), (["guest=rocky*"], {"db01"}), (["none*"], set())])
def test_filters(vmferry, site, words, names):
    args = [item for word in words for item in ("--filter", word)]
    machines, result = listed(vmferry, site, *args)
    assert set(machines) == names and result["machines"] == len(MACHINES)


def test_the_table(vmferry, site):
    done = run(vmferry, site)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert lines[0].split() == ["NAME", "POWER", "CPUS", "MEMORY", "DISKS", "SIZE", "GUEST", "READINESS", "PATH"]
    web = next(line for line in lines if line.startswith("web01 "))
    assert "1.00 GiB" in web and "64.0 MiB" in web and web.endswith("/DC0/vm/prod/web01")
    assert lines[-1].startswith(f"{len(MACHINES)} machines at VMware vCenter")
    quiet = run(vmferry, site, "-q")
    assert "machines at" not in quiet.stdout


def test_a_datacenter(vmferry, tmp_path):
    site = site_of([{"name": "one"}])
    site["datacenters"].append({"name": "DC 1", "folder": "/Folder", "machines": [{"name": "two"}]})
    with serving(tmp_path, site) as lab:
        machines, _ = listed(vmferry, lab)
        assert machines["two"]["datacenter"] == "/Folder/DC 1"
        for path in ["DC0", "/DC0"]:
            machines, _ = listed(vmferry, lab, "--datacenter", path)
            assert set(machines) == {"one"}
        done = subprocess.run([vmferry, "inventory", "--json", *lab.options, lab.url + "/Folder/DC%201?no_verify=1"],
                              capture_output=True, text=True, check=False, timeout=60)
        assert [json.loads(line).get("name") for line in done.stdout.splitlines()][:-1] == ["two"]
        done = run(vmferry, lab, "--datacenter", "DC9")
        assert done.returncode == 1 and "DC9" in done.stderr


def test_a_host_without_a_vcenter(vmferry, tmp_path):
    with serving(tmp_path, site_of([{"name": "web01"}]), esxi=True) as lab:
        machines, result = listed(vmferry, lab)
        assert machines["web01"]["moref"].isdigit() and "ESXi" in result["about"]
        wrong = lab.url.replace("esx://", "vpx://")
        done = subprocess.run([vmferry, "inventory", *lab.options, wrong], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 1 and "esx" in done.stderr.lower()


def test_thousands(vmferry, tmp_path):
    """5,000 machines: in seconds, in order, and neither program grows with them."""
    with serving(tmp_path, site_of([{"name": "m", "count": 5000, "power": "poweredOff"}])) as lab:
        before = time.monotonic()
        peak = tmp_path / "peak"    # by time(1): what we start ourselves begins with our own size as its peak
        with open(tmp_path / "out", "w", encoding="utf-8") as out:
            subprocess.run(["time", "-f", "%M", "-o", peak, vmferry, "inventory", "--json", *lab.options, lab.url],
                           stdout=out, stdin=subprocess.DEVNULL, check=True)
        seconds = time.monotonic() - before
        peak_kib = int(peak.read_text())
        names = [json.loads(line).get("name") for line in (tmp_path / "out").read_text().splitlines()][:-1]
        assert len(names) == len(set(names)) == 5000
        sanitized = b"__asan_init" in vmferry.read_bytes()
        assert peak_kib < (1024 if sanitized else 64) * 1024
        print(f"5000 machines in {seconds:.1f} s, {peak_kib // 1024} MiB")
        assert seconds < 60


@pytest.mark.parametrize("rule", [
    {"session": "expire", "after_calls": 3}, {"session": "expire", "after_calls": 6},
    {"method": "RetrievePropertiesEx", "nth": 1, "fault": "HostCommunication"},
    {"http": "/sdk", "status": 503, "times": 2}], ids=json.dumps)
def test_what_can_be_tried_again_is(vmferry, tmp_path, rule):
    with serving(tmp_path, site_of([{"name": "m", "count": 250}])) as lab:
        lab.add(**rule)
        machines, _ = listed(vmferry, lab)
        assert len(machines) == 250
        assert not lab.state()["sessions"]


@pytest.mark.parametrize("rule, complaint", [
    ({"method": "Login", "fault": "InvalidLogin"}, "password"),
    ({"method": "RetrievePropertiesEx", "fault": "NoPermission", "times": 99}, "NoPermission"),
    ({"http": "/sdk", "status": 500, "times": 99}, "500")], ids=json.dumps)
def test_what_cannot_is_said_in_one_line(vmferry, tmp_path, rule, complaint):
    with serving(tmp_path, site_of([{"name": "m"}])) as lab:
        lab.add(**rule)
        done = run(vmferry, lab)
        assert done.returncode == 1 and done.stdout == ""
        assert done.stderr.count("\n") == 1 and complaint in done.stderr
        assert not lab.state()["sessions"]


@contextlib.contextmanager
def waiting(vmferry, lab):
    """One that is logged in and waits for an answer."""
    lab.add(method="RetrievePropertiesEx", nth=1, delay_ms=60000)
    command = [vmferry, "inventory", *lab.options, lab.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while not lab.state()["calls"].get("RetrievePropertiesEx"):
            assert time.monotonic() < deadline and process.poll() is None
        yield process
        process.kill()


def test_interrupt(vmferry, tmp_path):
    """SIGINT ends it, also while the server does not answer."""
    with serving(tmp_path, site_of([{"name": "m"}])) as lab, waiting(vmferry, lab) as process:
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
        assert process.returncode == 130, stderr


def test_the_password_is_asked_for_without_echo(vmferry, site):
    command = [vmferry, "inventory", "-q", "--thumbprint", site.thumbprint, site.url]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(command[0], command)
    shown = b""
    while b"Password for " not in shown:
        shown += os.read(terminal, 4096)
    os.write(terminal, PASSWORD.encode() + b"\n")
    with contextlib.suppress(OSError):    # the end of a terminal
        while data := os.read(terminal, 4096):
            shown += data
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert PASSWORD.encode() not in shown and b"web01" in shown
    assert f"at {site.facts['host']}: ".encode() in shown


def test_the_password_is_nowhere(vmferry, tmp_path):
    """Not on a command line, not in an environment, not in a file that is open, while it is used."""
    with serving(tmp_path, site_of([{"name": "m"}])) as lab, waiting(vmferry, lab) as process:
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == 1
        for pid in [str(process.pid), *children]:
            for name in ("cmdline", "environ"):
                assert PASSWORD.encode() not in pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
            for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
                assert "password" not in os.readlink(link)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


@pytest.mark.parametrize("args, complaint", [
    ([], "name the vCenter"), (["vpx://u@vc", "more"], "one vCenter or ESXi at a time"), (["ftp://u@vc"], "vpx://"),
    (["--server", "vc", "--user", "u", "vpx://u@vc"], "--server")])
def test_usage(vmferry, args, complaint):
    done = subprocess.run([vmferry, "inventory", *args], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
                          start_new_session=True)
    assert (done.returncode, done.stdout) == (2, "") and complaint in done.stderr
