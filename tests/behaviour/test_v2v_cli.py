"""vmferry v2v from outside, without any guest: options, refusals, outputs, interruptions."""

import json
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import xml.etree.ElementTree as xml

import pytest

from v2v_scenes import (MIB, descendants, events_of, kill_all, make_disk, make_ova, names_in, pid_of, run,
                        same_content, start, wait_until)

MANUAL = pathlib.Path(__file__).resolve().parent.parent.parent / "docs" / "man"
pytestmark = pytest.mark.asan
NOT_HERE = "is not supported by this version of vmferry"


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A two-disk OVA; small-0.raw and small-1.raw beside it are what its disks hold."""
    return make_ova(tmp_path_factory.mktemp("package"))


@pytest.fixture
def out(tmp_workdir):
    path = tmp_workdir / "out"
    path.mkdir()
    return path


def refused_options(vmferry):
    help_text = run(vmferry, "v2v", "--help").stdout
    return re.split("refused by name:", help_text)[1].split("See also")[0].split()


# ---- the command line ----

def test_refused_by_name(vmferry):
    refused = refused_options(vmferry)
    assert {"-op", "-oo", "--bandwidth", "--parallel", "--firstboot"} <= set(refused)
    for option in refused:
        result = run(vmferry, "v2v", option, "value", "-i", "disk", "x", "-o", "null")
        assert result.returncode == 2, option
        assert f"{option} {NOT_HERE}" in result.stderr


def test_every_option_of_virt_v2v_is_known(vmferry):
    """Taken or refused, but never called unknown."""
    if not shutil.which("virt-v2v"):
        pytest.skip("no virt-v2v here")
    listed = subprocess.run(["virt-v2v", "--long-options"], capture_output=True, text=True, check=True).stdout.split()
    theirs = [option for option in listed if not re.fullmatch("--(short|long)-options", option)]
    assert len(theirs) > 40
    for option in theirs:
        result = run(vmferry, "v2v", option)
        assert "unknown" not in result.stderr, option


@pytest.mark.parametrize("args, complaint", [
    ([], "-i is missing"),
    (["-i", "libvirt", "guest"], f"-i libvirt without -ic, a machine of the local libvirt, {NOT_HERE}"),
    (["-i", "vmx", "x"], f"-i vmx {NOT_HERE}"),
    (["-i", "ova"], "-i ova: expecting the name of a file"),
    (["-i", "ova", "a", "b"], "expecting one name, not 2"),
    (["-i", "ova", "a", "-o", "null", "-oc", "qemu:///system"], "-oc goes with -o libvirt only"),
    (["-i", "ova", "a", "-o", "kubevirt", "-os", "x"], f"-o kubevirt {NOT_HERE}"),
    (["-i", "ova", "a", "-o", "local"], "-os is missing"),
    (["-i", "ova", "a", "-o", "local", "-os", "x", "-of", "vmdk"], "-of vmdk: give raw or qcow2"),
    (["-i", "ova", "a", "-o", "null", "--root", "ask"], f"--root ask {NOT_HERE}"),
    (["--frobnicate"], "unknown or ambiguous option '--frobnicate'"),
    (["-os"], "option '-os' needs a value"),
    (["--limit", "fast"], "--limit: 'fast' is not a size"),
    (["--machine-readable=xml", "-i", "ova", "a"], "--machine-readable=xml"),
    (["--machine-readable=fd:77", "-i", "ova", "a"], "fd:77"),
])
def test_usage_errors(vmferry, args, complaint):
    result = run(vmferry, "v2v", *args)
    assert (result.returncode, result.stdout) == (2, "")
    assert complaint in result.stderr
    assert "Try 'vmferry v2v --help'" in result.stderr


def test_commands(vmferry):
    assert run(vmferry).returncode == 2
    assert run(vmferry, "--help").returncode == 0
    assert re.fullmatch(r"vmferry \d+\.\d+\.\d+\n", run(vmferry, "version").stdout)
    unknown = run(vmferry, "fly")
    assert (unknown.returncode, unknown.stderr) == (2, "vmferry: no command 'fly'\nTry 'vmferry help'.\n")


@pytest.mark.parametrize("command", ["v2v", "copy", "inventory", "check", "doctor", "run", "status", "finalize", "cancel", "pause",
                                     "resume", "retry", "shutdown", "limit", "serve"])
def test_help_page_and_completion_agree(vmferry, command):
    """What --help lists is what the manual page describes and the shell completes."""
    page = (MANUAL / f"vmferry-{command}.1").read_text().replace("\\-", "-")
    if page.startswith(".so man1/"):
        page = (MANUAL / page.removeprefix(".so man1/").strip()).read_text().replace("\\-", "-")
        assert f"\n.B vmferry {command}\n" in page
    shown = run(vmferry, command, "--help").stdout.split("Known from ")[0]
    in_help = set(re.findall(r"^  (?:-\w, )?(--?[a-z0-9-]+)", shown, re.MULTILINE))
    described = page.split(".SH OPTIONS")[1].split("\n.SH ")[0]
    in_page = set(re.findall(r"(--?[a-z][a-z0-9-]*)", "\n".join(re.findall(r"^\.TP\n(.*)$", described, re.MULTILINE))))
    in_page = {option for option in in_page if len(option) > 2 or option in in_help}
    script = run(vmferry, "completion", "bash").stdout
    completed = set(re.search(rf"^    {command}\) words=\"(.*)\" ;;$", script, re.MULTILINE)[1].split())
    assert in_help == completed
    assert in_help == in_page


def test_each_command_is_in_the_page(vmferry):
    page = (MANUAL / "vmferry.1").read_text().split(".SH COMMANDS")[1].split("\n.SH ")[0]
    for command in re.findall(r"^  (\w+) ", run(vmferry, "--help").stdout, re.MULTILINE):
        assert f"vmferry {command}" in page, command


def test_refusals_are_in_the_page(vmferry):
    page = re.sub(r"\\f[BR]", "", (MANUAL / "vmferry-v2v.1").read_text()).replace("\\-", "-")
    refused = page.split(".SH OPTIONS OF VIRT-V2V THAT ARE REFUSED")[1].split("\n.SH ")[0]
    for option in refused_options(vmferry):
        assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", refused), option


def test_machine_readable_features(vmferry):
    result = run(vmferry, "v2v", "--machine-readable")
    assert result.returncode == 0
    features = result.stdout.splitlines()
    assert {"virt-v2v", "virt-v2v-2.0", "input:ova", "input:disk", "input:libvirtxml", "output:local", "output:null",
            "convert:linux", "mac-option"} <= set(features)
    for feature in features:
        kind, _, mode = feature.partition(":")
        if kind == "input":
            where = ["-ic", "esx://root@host"] if mode == "libvirt" else []
            assert NOT_HERE not in run(vmferry, "v2v", "-i", mode, *where, "x").stderr.splitlines()[0].split(", -o")[0]
    assert {"vddk", "vcenter-https", "xen-ssh"} <= set(features)
    assert not {"input:vmx", "output:kubevirt", "bandwidth-option"} & set(features)


def test_as_virt_v2v(vmferry, tmp_workdir):
    """Through a link named virt-v2v the words are virt-v2v's."""
    link = tmp_workdir / "virt-v2v"
    link.symlink_to(vmferry)
    result = run(link, "-i", "disk", tmp_workdir / "nothing", "-o", "local", "-os", tmp_workdir)
    assert result.returncode == 1
    assert result.stderr.startswith("virt-v2v: error: ")
    assert run(link, "--machine-readable").stdout.startswith("virt-v2v\n")


# ---- the source ----

def test_print_source(vmferry, package):
    result = run(vmferry, "v2v", "-i", "ova", package, "--print-source")
    assert result.returncode == 0, result.stderr
    for line in ["source name: small", "nr vCPUs: 2", "memory: 1073741824 (bytes)", "cores/socket: 2",
                 "\t0 [scsi0:0] 16.0 MiB, vmdk: ", "\t1 [scsi0:1] 16.0 MiB, vmdk: ",
                 '\tNetwork "VM Network" mac: 00:50:56:00:00:01 [vmxnet3]']:
        assert line in result.stdout


def test_print_source_of_a_disk(vmferry, tmp_workdir):
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", tmp_workdir / "web-sda.qcow2", "1G"], check=True)
    result = run(vmferry, "v2v", "-i", "disk", tmp_workdir / "web-sda.qcow2", "--print-source")
    assert "source name: web\n" in result.stdout
    assert "qcow2: " in result.stdout


@pytest.mark.parametrize("damage, complaint", [
    ({"truncate_bytes": -40000}, "small-1.vmdk"),
    ({"spoil": ("small-0.vmdk",)}, "small-0.vmdk"),
    ({"omit": ("small-1.vmdk",)}, "small-1.vmdk"),
    ({"descriptor": "<a/>"}, "small.ovf"),
])
def test_bad_packages_leave_nothing(vmferry, tmp_workdir, out, damage, complaint):
    broken = make_ova(tmp_workdir, **damage)
    result = run(vmferry, "v2v", "-i", "ova", broken, "-o", "local", "-os", out, "--no-convert")
    assert result.returncode == 1
    assert complaint in result.stderr
    assert names_in(out) == []


@pytest.mark.parametrize("options", [["-o", "local"], ["-o", "null"]])
def test_what_cannot_be_converted_is_said_at_once(vmferry, tmp_workdir, out, options):
    disk = make_disk(tmp_workdir / "blank.raw", 16)
    where = ["-os", out] if "local" in options else []
    result = run(vmferry, "v2v", "-i", "disk", disk, *options, *where, env={**os.environ, "TMPDIR": str(out)})
    assert result.returncode == 1
    assert "blank" in result.stderr.splitlines()[-1]
    assert "Copying" not in result.stdout
    assert names_in(out) == []


def test_a_truncated_disk_is_found_while_copying(vmferry, tmp_workdir, out):
    """Without a manifest only the copy can see it; then nothing stays either."""
    broken = make_ova(tmp_workdir, manifest="none")
    small = tmp_workdir / "small-1.vmdk"
    os.truncate(small, small.stat().st_size - 4096)
    rebuilt = make_ova_again(tmp_workdir, broken)
    result = run(vmferry, "v2v", "-i", "ova", rebuilt, "-o", "local", "-os", out, "--no-convert")
    assert result.returncode == 1
    assert re.search(r"small-1\.vmdk: .*truncated", result.stderr)
    assert names_in(out) == []


def make_ova_again(directory, path):
    """The same descriptor around the files as they are now."""
    import tarfile
    with tarfile.open(path) as archive:
        descriptor = archive.extractfile("small.ovf").read()
    sizes = {name: (directory / name).stat().st_size for name in ("small-0.vmdk", "small-1.vmdk")}
    text = descriptor.decode()
    for name, size in sizes.items():
        text = re.sub(rf'(ovf:href="{name}"[^>]*ovf:size=")\d+', rf"\g<1>{size}", text)
        text = re.sub(rf'(ovf:size=")\d+("[^>]*ovf:href="{name}")', rf"\g<1>{size}\2", text)
    target = directory / "again"
    target.mkdir()
    (target / "small.ovf").write_text(text)
    for name in sizes:
        (directory / name).rename(target / name)
    return target


# ---- the destination ----

def test_output_is_checked_first(vmferry, package, tmp_workdir, out):
    def try_it(*args):
        result = run(vmferry, "v2v", "-i", "ova", package, "-o", "local", "--no-convert", *args)
        assert result.returncode == 1
        assert "Verifying" not in result.stdout
        return result.stderr

    assert "-os " in try_it("-os", tmp_workdir / "nowhere")
    assert "is not a directory" in try_it("-os", package)
    for name in ("small-sda", "small-sdb", "small.xml"):
        (out / name).touch()
        assert f"{out}/{name}: exists already" in try_it("-os", out)
        assert names_in(out) == [name]
        (out / name).unlink()


def test_room_is_checked_first(vmferry, tmp_workdir, out):
    disk = tmp_workdir / "huge.raw"
    with open(disk, "wb") as file:
        file.truncate(1 << 43)
    result = run(vmferry, "v2v", "-i", "disk", "-if", "raw", disk, "-o", "local", "-os", out, "-oa", "preallocated",
                 "--no-convert")
    assert result.returncode == 1
    assert "at least 8.00 TiB are needed" in result.stderr
    assert names_in(out) == []


@pytest.mark.parametrize("disk_format", ["raw", "qcow2"])
def test_no_convert(vmferry, package, out, disk_format):
    result = run(vmferry, "v2v", "-i", "ova", package, "-o", "local", "-os", out, "-of", disk_format, "--no-convert",
                 "-on", "web 01", "--network", "DMZ:vlan7", "--bridge", "br0", umask=0o027)
    assert result.returncode == 0, result.stderr
    assert names_in(out) == ["web 01-sda", "web 01-sdb", "web 01.xml"]
    for i, letter in enumerate("ab"):
        image = out / f"web 01-sd{letter}"
        assert same_content(image, package.parent / f"small-{i}.raw", disk_format)
        assert stat.S_IMODE(image.stat().st_mode) == 0o640
    domain = xml.parse(out / "web 01.xml").getroot()
    assert domain.findtext("name") == "web 01"
    assert [disk.get("file") for disk in domain.iterfind("devices/disk[@device='disk']/source")] == [
        str(out / "web 01-sda"), str(out / "web 01-sdb")]
    assert {driver.get("type") for driver in domain.iterfind("devices/disk[@device='disk']/driver")} == {disk_format}
    # Left as it is, a guest of VMware finds no virtio.
    assert {target.get("bus") for target in domain.iterfind("devices/disk[@device='disk']/target")} == {"sata"}
    nics = domain.findall("devices/interface")
    assert [nic.find("mac").get("address") for nic in nics] == ["00:50:56:00:00:01", "00:50:56:00:00:02"]
    assert (nics[0].get("type"), nics[0].find("source").get("bridge")) == ("bridge", "br0")
    assert (nics[1].get("type"), nics[1].find("source").get("network")) == ("network", "vlan7")


def test_stage_lines(vmferry, package, out):
    result = run(vmferry, "v2v", "-i", "ova", package, "-o", "local", "-os", out, "--no-convert")
    stages = [re.fullmatch(r"\[ {,3}\d+\.\d\] (.*)", line) for line in result.stdout.splitlines()[:-1]]
    assert all(stages), result.stdout
    texts = [stage[1] for stage in stages]
    assert [text for text in texts if text.startswith("Copying")] == ["Copying disk 1/2", "Copying disk 2/2"]
    assert texts[0].startswith("Setting up the source: -i ova ")
    assert texts[-2:] == ["Creating output metadata", "Finishing off"]
    assert "\x1b" not in result.stdout + result.stderr


def test_quiet(vmferry, package, out):
    result = run(vmferry, "v2v", "-i", "ova", package, "-o", "local", "-os", out, "--no-convert", "-q")
    assert (result.returncode, result.stdout) == (0, "")
    assert len(names_in(out)) == 3


def test_null_keeps_nothing(vmferry, package, out):
    result = run(vmferry, "v2v", "-i", "ova", package, "-o", "null", "--no-convert",
                 env={**os.environ, "TMPDIR": str(out)})
    assert result.returncode == 0, result.stderr
    assert names_in(out) == []


def test_preallocated(vmferry, tmp_workdir, out):
    disk = make_disk(tmp_workdir / "it.raw", 32, data_mib=1)
    result = run(vmferry, "v2v", "-i", "disk", "-if", "raw", disk, "-o", "local", "-os", out, "-oa", "preallocated",
                 "--no-convert")
    assert result.returncode == 0, result.stderr
    assert (out / "it-sda").stat().st_blocks * 512 >= 32 * MIB
    assert same_content(out / "it-sda", disk)


def test_libvirtxml_of_our_own_is_read_again(vmferry, package, tmp_workdir, out):
    assert run(vmferry, "v2v", "-i", "ova", package, "-o", "local", "-os", out, "-of", "qcow2",
               "--no-convert").returncode == 0
    second = tmp_workdir / "second"
    second.mkdir()
    result = run(vmferry, "v2v", "-i", "libvirtxml", out / "small.xml", "-o", "local", "-os", second, "--no-convert")
    assert result.returncode == 0, result.stderr
    assert names_in(second) == ["small-sda", "small-sdb", "small.xml"]
    assert same_content(second / "small-sdb", package.parent / "small-1.raw")


# ---- what programs read ----

def test_json_events(vmferry, package, out):
    result = run(vmferry, "v2v", "-i", "ova", package, "-o", "local", "-os", out, "--no-convert", "--json")
    events = events_of(result.stdout)
    assert {event["type"] for event in events} <= {"stage", "progress", "log", "result"}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}\+00:00", event["at"]) for event in events)
    stages = list(dict.fromkeys(event["stage"] for event in events if event["type"] == "stage"))
    assert stages == ["init", "base_copy", "import_root_disk", "done"]
    last = events[-1]
    assert (last["type"], last["ok"], last["name"]) == ("result", True, "small")
    assert last["xml"] == str(out / "small.xml")
    assert last["disks"] == [str(out / "small-sda"), str(out / "small-sdb")]


def test_json_failure(vmferry, package, out):
    (out / "small.xml").touch()
    result = run(vmferry, "v2v", "-i", "ova", package, "-o", "local", "-os", out, "--json")
    assert result.returncode == 1
    last = events_of(result.stdout)[-1]
    assert (last["type"], last["ok"], last["error"]["kind"]) == ("result", False, "conflict")


@pytest.mark.parametrize("how", ["file", "fd", "stream"])
def test_machine_readable_messages(vmferry, tmp_workdir, package, out, how):
    path = tmp_workdir / "messages"
    with open(path, "w") as file:
        where = {"file": f"file:{path}", "fd": f"fd:{file.fileno()}", "stream": "stream:stdout"}[how]
        result = run(vmferry, "v2v", f"--machine-readable={where}", "-i", "ova", package, "-o", "local", "-os", out,
                     "--no-convert", pass_fds=[file.fileno()])
    text = path.read_text() if how != "stream" else "".join(
        line + "\n" for line in result.stdout.splitlines() if line.startswith("{"))
    messages = events_of(text)
    assert all(set(message) == {"message", "timestamp", "type"} for message in messages)
    assert {message["type"] for message in messages} <= {"message", "info", "warning", "error"}
    assert "Copying disk 1/2" in [message["message"] for message in messages]


def test_machine_readable_error(vmferry, tmp_workdir):
    path = tmp_workdir / "messages"
    result = run(vmferry, "v2v", f"--machine-readable=file:{path}", "-i", "ova", tmp_workdir / "none", "-o", "null")
    assert result.returncode == 1
    last = json.loads(path.read_text().splitlines()[-1])
    assert last["type"] == "error"
    assert last["message"] in result.stderr


# ---- interruptions ----

@pytest.fixture
def slow(vmferry, tmp_workdir, out):
    """Start a migration that copies slowly; it is under way when this returns."""
    disk = make_disk(tmp_workdir / "slow.raw", 64)
    args = ["v2v", "-i", "disk", "-if", "raw", disk, "-o", "local", "-os", out, "--no-convert"]
    started = []

    def begin():
        process = start(vmferry, *args, "--limit", "8M")
        started.append(process)
        part = out / ".vmferry-slow" / "sda.part"
        wait_until(lambda: part.exists() and part.stat().st_blocks * 512 >= 8 * MIB, "the first data")
        return process

    begin.args, begin.disk = args, disk
    yield begin
    for process in started:
        process.kill()
        process.communicate()


def finish(vmferry, slow, out):
    result = run(vmferry, *slow.args)
    assert result.returncode == 0, result.stderr
    assert names_in(out) == ["slow-sda", "slow.xml"]
    assert same_content(out / "slow-sda", slow.disk)
    return result


def test_killed_and_started_again(vmferry, slow, out):
    kill_all(slow())
    assert names_in(out) == [".vmferry-slow"]
    kill_all(slow())
    finish(vmferry, slow, out)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_and_started_again(vmferry, slow, out, signum):
    process = slow()
    process.send_signal(signum)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command again" in stderr
    finish(vmferry, slow, out)


def test_interrupted_twice_ends_at_once(vmferry, slow, out):
    process = slow()
    pid = pid_of(process.pid, "vmferry-worker")
    os.kill(pid, signal.SIGSTOP)    # it cannot hear the first wish
    process.send_signal(signal.SIGINT)
    wait_until(lambda: sigint_is_taken(process.pid), "the first signal")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    finish(vmferry, slow, out)


def sigint_is_taken(pid):
    with open(f"/proc/{pid}/status") as file:
        pending = [int(line.split()[1], 16) for line in file if line.startswith(("SigPnd", "ShdPnd"))]
    return not any(mask & 1 << (signal.SIGINT - 1) for mask in pending)


@pytest.mark.parametrize("program", ["vmferry-worker", "vmferry-copy"])
def test_a_program_that_dies_is_named(vmferry, slow, out, program):
    process = slow()
    os.kill(pid_of(process.pid, program), signal.SIGKILL)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"{program} ended without a result: killed by signal 9" in stderr
    assert not descendants(process.pid)
    finish(vmferry, slow, out)


def test_two_of_one_name(vmferry, slow):
    process = slow()
    result = run(vmferry, *slow.args)
    assert result.returncode == 1
    assert "another migration of this name is running" in result.stderr
    assert process.poll() is None


def test_another_source_of_the_same_name(vmferry, slow, out):
    kill_all(slow())
    make_disk(slow.disk, 64, seed=9)
    result = run(vmferry, *slow.args)
    assert result.returncode == 1
    assert "--discard" in result.stderr
    assert names_in(out) == [".vmferry-slow"]
    slow.args.append("--discard")
    finish(vmferry, slow, out)


def test_a_placing_that_was_killed_is_finished(vmferry, slow, out):
    """As a crash in the middle of the last renames leaves it: one disk is there, the rest is not."""
    kill_all(slow())
    work = out / ".vmferry-slow"
    shutil.copy(slow.disk, out / "slow-sda")
    for name in ("sda.part", "sda.part.map"):
        (work / name).unlink()
    (work / "domain.xml").write_text("<domain/>")
    state = json.loads((work / "state.json").read_text())
    state["placing"] = True
    state["conversion"] = {"wanted": False, "root": None, "block_driver": None, "no_fstrim": False, "macs": []}
    (work / "state.json").write_text(json.dumps(state))
    finish(vmferry, slow, out)
    assert (out / "slow.xml").read_text() == "<domain/>"
