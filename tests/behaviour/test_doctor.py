"""vmferry doctor from outside: what it finds on a host that lacks this or that, and where a setting comes from."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import threading

import pytest

from test_protocol import EXAMPLES

pytestmark = pytest.mark.asan
FIELDS = {"type", "at", "level", "group", "code", "what", "value", "origin", "cause", "cure"}


@pytest.fixture(name="doctor")
def run_doctor(vmferry):
    """Call it with --json: (exit status, findings, last event, stderr). No probe of KVM: it would take seconds."""
    def run(*args, **env):
        done = subprocess.run([vmferry, "doctor", "--json", *args], capture_output=True, text=True, check=False,
                              timeout=120, env={**os.environ, "VMFERRY_ACCEL": "tcg", **env})
        events = [json.loads(line) for line in done.stdout.splitlines()]
        for event in events[:-1]:
            assert set(event) == FIELDS and event["type"] == "finding"
            assert event["level"] in ("ok", "warning", "error")
            assert (event["level"] == "ok") == (event["cure"] is None and event["cause"] is None), event
        assert events[-1]["type"] == "result"
        return done.returncode, events[:-1], events[-1], done.stderr
    return run


def the(findings, code):
    found = [finding for finding in findings if finding["code"] == code]
    assert len(found) == 1, found
    return found[0]


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_what_is_documented_is_what_comes():
    example, = [finding for finding in EXAMPLES["worker"]["finding"] if "group" in finding]
    assert set(example) == FIELDS - {"at"}


# ---- tools ----

def test_this_host_has_what_the_tests_need(doctor):
    status, findings, result, stderr = doctor()
    for code in ["virt-v2v", "qemu-img", "qemu-nbd", "nbdkit", "nbdkit-ssh"]:
        finding = the(findings, code)
        assert finding["level"] == "ok" and finding["value"][0].isdigit(), finding
    assert the(findings, "libguestfs")["level"] == "ok"
    assert the(findings, "acceleration")["value"] == "tcg"
    assert (status, result["errors"], stderr) == (0, 0, "")
    assert result["ok"] and result["warnings"] == sum(finding["level"] == "warning" for finding in findings)


def test_what_is_not_installed(doctor, tmp_path):
    status, findings, result, stderr = doctor(PATH=str(tmp_path))
    for code in ["virt-v2v", "qemu-img", "qemu-nbd"]:
        finding = the(findings, code)
        assert finding["level"] == "error" and "not found" in finding["what"] and "install" in finding["cure"]
    assert the(findings, "nbdkit")["level"] == "warning"
    assert status == 1 and result["errors"] == 3
    assert stderr.count("\n") == 1 and "3 errors" in stderr


def test_a_plugin_that_is_not_there(doctor, tmp_path):
    script(tmp_path / "nbdkit", 'case $1 in --version) echo nbdkit 1.32.5;; *) echo "no plugin" >&2; exit 1;; esac')
    _, findings, _, _ = doctor(PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert the(findings, "nbdkit")["level"] == "ok"
    assert the(findings, "nbdkit-ssh")["level"] == "warning"
    assert "no plugin" in the(findings, "nbdkit-ssh")["what"]


def test_a_tool_that_is_too_old(doctor, tmp_path):
    script(tmp_path / "virt-v2v-in-place", "echo virt-v2v 1.44.2")
    script(tmp_path / "qemu-img", "echo 'qemu-img version 5.2.0 (Debian 1:5.2)'")
    status, findings, _, _ = doctor(PATH=f"{tmp_path}:{os.environ['PATH']}")
    finding = the(findings, "virt-v2v")
    assert status == 1 and finding["level"] == "error" and "1.44.2 is older than 2.2" in finding["what"]
    assert the(findings, "qemu-img")["value"] == "5.2.0"


def test_no_appliance(doctor, tmp_path):
    status, findings, _, _ = doctor(LIBGUESTFS_PATH=str(tmp_path))
    assert status == 1 and the(findings, "libguestfs")["level"] == "error"
    (tmp_path / "kernel").touch()
    status, findings, _, _ = doctor(LIBGUESTFS_PATH=f"/nowhere:{tmp_path}")
    assert status == 0 and the(findings, "libguestfs")["value"] == f"{tmp_path}/kernel"


def test_what_windows_needs(doctor, tmp_path):
    _, findings, _, _ = doctor(VIRTIO_WIN=str(tmp_path / "none.iso"), VIRT_TOOLS_DATA_DIR=str(tmp_path))
    assert the(findings, "virtio-win")["level"] == "warning" and "none.iso" in the(findings, "virtio-win")["what"]
    assert the(findings, "rhsrvany")["level"] == "warning"
    (tmp_path / "win.iso").touch()
    (tmp_path / "pvvxsvc.exe").touch()
    _, findings, _, _ = doctor(VIRTIO_WIN=str(tmp_path / "win.iso"), VIRT_TOOLS_DATA_DIR=str(tmp_path))
    assert the(findings, "virtio-win")["level"] == "ok" and the(findings, "virtio-win")["origin"] == "VIRTIO_WIN"
    assert the(findings, "rhsrvany")["value"] == str(tmp_path / "pvvxsvc.exe")


def test_acceleration_is_found_out_by_itself(doctor):
    _, findings, _, _ = doctor(VMFERRY_ACCEL="")
    finding = the(findings, "acceleration")
    assert (finding["value"], finding["level"]) in [("kvm", "ok"), ("tcg", "warning")]
    status, findings, _, _ = doctor(VMFERRY_ACCEL="fast")
    assert status == 1 and "neither kvm nor tcg" in the(findings, "acceleration")["what"]


# ---- VDDK and settings ----

@pytest.fixture(name="library")
def vddk_library(tmp_path):
    """A directory as the VDDK package unpacks to, with an honest shared library in it."""
    lib64 = tmp_path / "vmware-vix-disklib-distrib" / "lib64"
    lib64.mkdir(parents=True)
    subprocess.run(["cc", "-shared", "-x", "c", "/dev/null", "-o", lib64 / "libvixDiskLib.so.8.0.3"], check=True)
    (lib64 / "libvixDiskLib.so.8").symlink_to("libvixDiskLib.so.8.0.3")
    return lib64.parent


def test_a_library_that_is_named(doctor, library):
    status, findings, _, _ = doctor("--vddk-libdir", library)
    assert status == 0 and the(findings, "vddk")["value"] == "8.0.3"
    setting = the(findings, "vddk.lib.dir")
    assert (setting["value"], setting["origin"]) == (str(library), "--vddk-libdir")


def test_no_library_where_one_is_named(doctor, tmp_path):
    status, findings, _, _ = doctor("--vddk-libdir", tmp_path)
    assert status == 1 and the(findings, "vddk")["level"] == "error"
    assert "libvixDiskLib.so" in the(findings, "vddk")["what"]


def test_a_library_that_lacks_another(doctor, library):
    lib64 = library / "lib64"
    subprocess.run(["cc", "-shared", "-x", "c", "/dev/null", "-o", lib64 / "libprivate.so",
                    "-Wl,-soname,libprivate.so.7"], check=True)
    subprocess.run(["cc", "-shared", "-x", "c", "/dev/null", "-o", lib64 / "libvixDiskLib.so.8.0.3", "-L", lib64,
                    "-Wl,--no-as-needed", "-lprivate"], check=True)
    status, findings, _, _ = doctor("--vddk-libdir", library)
    finding = the(findings, "vddk")
    assert status == 1 and finding["level"] == "error" and "libprivate.so.7" in finding["what"]
    (lib64 / "libprivate.so").rename(lib64 / "libprivate.so.7")
    status, findings, _, _ = doctor("--vddk-libdir", library)
    assert status == 0 and the(findings, "vddk")["level"] == "ok"


def test_the_library_is_not_run(doctor, library, tmp_path):
    """Its constructor would leave a mark; the doctor only asks the dynamic linker about it."""
    code = tmp_path / "mark.c"
    code.write_text(f'#include <stdio.h>\n__attribute__((constructor)) void mark(void) {{ fopen("{tmp_path}/ran", "w"); }}')
    target = library / "lib64" / "libvixDiskLib.so.8.0.3"
    subprocess.run(["cc", "-shared", "-fPIC", code, "-o", target], check=True)
    status, findings, _, _ = doctor("--vddk-libdir", library)
    assert status == 0 and the(findings, "vddk")["level"] == "ok"
    assert not (tmp_path / "ran").exists()


def test_advanced_transports_want_the_plugin(doctor, library):
    args = ["--vddk-libdir", library, "--vddk-transports", "hotadd:nbdssl"]
    status, findings, _, _ = doctor(*args)
    assert status == 0 and the(findings, "vddk-plugin")["level"] == "warning"
    (library / "lib64" / "libdiskLibPlugin.so").touch()
    _, findings, _, _ = doctor(*args)
    assert not [finding for finding in findings if finding["code"] == "vddk-plugin"]


def test_precedence_of_settings(doctor, library, tmp_path):
    agent = tmp_path / "agent.properties"
    thumbprint = ":".join(["AB"] * 20)
    agent.write_text(f"guid=1\nvddk.lib.dir={library}\nvddk.transports=nbd\nvddk.thumbprint={thumbprint}\n"
                     "virtv2v.verbose.enabled=true\n")
    said = {"vddk.lib.dir": str(library), "vddk.transports": "nbd", "vddk.thumbprint": thumbprint,
            "virtv2v.verbose.enabled": "true"}
    status, findings, _, _ = doctor("--agent-properties", agent)
    assert status == 0 and the(findings, "vddk")["value"] == "8.0.3"
    for code, value in said.items():
        assert (the(findings, code)["value"], the(findings, code)["origin"]) == (value, str(agent))

    other = ":".join(["01"] * 20)
    _, findings, _, _ = doctor("--agent-properties", agent, "--vddk-transports", "nbdssl:nbd", "--vddk-thumbprint", other)
    assert the(findings, "vddk.lib.dir")["origin"] == str(agent)
    assert the(findings, "vddk.transports")["value"] == "nbdssl:nbd"
    assert the(findings, "vddk.transports")["origin"] == "--vddk-transports"
    assert the(findings, "vddk.thumbprint")["value"] == other

    agent.write_text("guid=1\n")
    _, findings, _, _ = doctor("--agent-properties", agent)
    assert (the(findings, "vddk.transports")["value"], the(findings, "vddk.transports")["origin"]) == ("nbdssl:nbd", "default")
    assert the(findings, "vddk.thumbprint")["value"] is None


def test_settings_that_cannot_be(doctor, tmp_path):
    agent = tmp_path / "agent.properties"
    agent.write_text("vddk.transports=nbd:carrier-pigeon\nvddk.thumbprint=AB:CD\n")
    status, findings, _, _ = doctor("--agent-properties", agent)
    assert status == 1
    assert "carrier-pigeon" in the(findings, "vddk.transports")["what"]
    assert the(findings, "vddk.transports")["level"] == the(findings, "vddk.thumbprint")["level"] == "error"
    agent.write_text("vddk.lib.dir=/a\\u12\n")
    status, findings, _, _ = doctor("--agent-properties", agent)
    assert status == 1 and "vddk.lib.dir" in the(findings, "agent-properties")["what"]
    status, findings, _, _ = doctor("--agent-properties", tmp_path / "none")
    assert status == 1 and "none" in the(findings, "agent-properties")["what"]


# ---- directories and servers ----

def test_directories(doctor, tmp_workdir, tmp_path):
    (tmp_path / "file").touch()
    status, findings, _, _ = doctor(tmp_workdir, "/dev/shm", tmp_path / "none", tmp_path / "file")
    about = {}
    for finding in findings:
        if finding["group"] == "directories":
            about.setdefault(finding["value"], {})[finding["code"]] = finding
    assert status == 1
    assert about[str(tmp_workdir)]["space"]["level"] == "ok" and "free" in about[str(tmp_workdir)]["space"]["what"]
    assert "direct I/O yes, holes yes" in about[str(tmp_workdir)]["file-system"]["what"]
    assert about["/dev/shm"]["file-system"]["level"] == "warning" and "tmpfs" in about["/dev/shm"]["file-system"]["what"]
    assert "No such file" in about[str(tmp_path / "none")]["directory"]["what"]
    assert "Not a directory" in about[str(tmp_path / "file")]["directory"]["what"]
    assert os.listdir(tmp_workdir) == []


def test_too_little_room_for_scratch_files(doctor, tmp_path):
    mount = tmp_path / "small"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4M", "small", mount], check=False).returncode != 0:
        pytest.skip("mounting needs root")
    try:
        status, findings, _, _ = doctor(VIRT_V2V_TMPDIR=str(mount))
        assert status == 1 and the(findings, "space")["level"] == "error"
        assert "4.00 MiB free" in the(findings, "space")["what"]
    finally:
        subprocess.run(["umount", mount], check=True)


def test_ports_and_names(doctor):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        open_port, closed_port = server.getsockname()[1], closed.getsockname()[1]
        status, findings, _, _ = doctor("--host", f"127.0.0.1:{closed_port}", "--host", "no-such-name.invalid",
                                        "--host", "a:b:c:", "--host", "[::1", "--host", "x:70000")
        servers = [finding for finding in findings if finding["group"] == "servers"]
        assert status == 1 and [finding["level"] for finding in servers] == ["ok"] + 5 * ["error"]
        assert f"127.0.0.1:{closed_port}" in servers[1]["what"] and "refused" in servers[1]["what"]
        assert "no-such-name.invalid" in servers[2]["what"] and "resolve" in servers[2]["what"]

        def hang_up():
            for _ in range(2):
                server.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        status, findings, _, _ = doctor("--host", f"127.0.0.1:{open_port}")
        assert the(findings, "port")["level"] == "ok"
        assert status == 1 and the(findings, "certificate")["level"] == "error"


def test_the_certificate_of_a_server(doctor, tmp_path):
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
                    "-subj", "/CN=localhost"], check=True, capture_output=True)
    printed = subprocess.run(["openssl", "x509", "-in", cert, "-noout", "-fingerprint", "-sha1"], check=True,
                             capture_output=True, text=True).stdout.strip().split("=")[1]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    def serve(server):
        for _ in range(2):    # one that only knocks, one that shakes hands
            client = server.accept()[0]
            try:
                context.wrap_socket(client, server_side=True).close()
            except OSError:
                client.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=[server], daemon=True).start()
        status, findings, _, _ = doctor("--host", f"127.0.0.1:{server.getsockname()[1]}")
    assert status == 0 and the(findings, "certificate")["value"].upper() == printed


# ---- how it looks ----

def test_for_people(vmferry, tmp_path):
    env = {**os.environ, "VMFERRY_ACCEL": "tcg"}
    done = subprocess.run([vmferry, "doctor", tmp_path / "none"], capture_output=True, text=True, check=False, env=env)
    lines = done.stdout.splitlines()
    assert done.returncode == 1 and "\x1b" not in done.stdout
    assert "tools" in lines and "settings" in lines
    at = next(i for i, line in enumerate(lines) if line.startswith("  error  "))
    assert lines[at + 1].strip().startswith("why:") and lines[at + 2].strip().startswith("cure:")
    assert done.stderr.startswith("vmferry: doctor: this host is not fit: 1 error")
    quiet = subprocess.run([vmferry, "doctor", "-q", tmp_path / "none"], capture_output=True, text=True, check=False, env=env)
    assert "  ok " not in quiet.stdout and "  error " in quiet.stdout


def test_usage(vmferry):
    for args in [["--nope"], ["--host"]]:
        done = subprocess.run([vmferry, "doctor", *args], capture_output=True, text=True, check=False)
        assert done.returncode == 2 and done.stdout == ""
    done = subprocess.run([vmferry, "doctor", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "--agent-properties FILE" in done.stdout


def test_without_the_worker(vmferry, tmp_path):
    """A program that was moved without the rest of its installation says so."""
    shutil.copy(vmferry, tmp_path / "vmferry")
    done = subprocess.run([tmp_path / "vmferry", "doctor"], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        pytest.skip("vmferry is installed on this host")
    assert done.returncode == 1 and "install vmferry whole" in done.stderr
