"""vmferry-copy-vddk against the double of VMware's library in lab/vddk, which ends the process when it is misused."""

import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import subprocess

import pytest

from copier import Copy, copy, program
from layouts import CLUSTER, FILLER, GIB, MIB, Layout
from refusal import as_nobody, make_raw
import judge

MEMORY_MAX = 64 * MIB
PASSWORD, COOKIE = "correct-horse-battery", "52a1c3d4-session-of-a-test"
THUMBPRINT = ":".join(["AB"] * 20)
NETWORK = "lab.local_transport=nbdssl"
AGAIN = "the same command again goes on from there"


def ours():
    return str(pathlib.Path(program()).with_name("vmferry-copy-vddk"))


def build():
    return pathlib.Path(program()).parents[2]


def libdir(variant="whole"):
    found = build() / "lab/vddk/variants" / variant
    assert found.is_dir(), f"{found} is not built; run make"
    return found


class Scene:
    """A raw disk, and how the double shall give it out. Use `start` or `copy`."""

    def __init__(self, room, raw, *settings, variant="whole"):
        self.room, self.raw, self.variant = room, raw, variant
        self.settings("lab.leak_abort=1", *settings)
        self.fields = {"kind": "vddk", "name": "[ds1] web01/web01.vmdk", "identity": "moref=vm-16 6000C29 snapshot-3",
                       "libdir": str(libdir(variant)), "config": str(room.path("vddk.conf")), "path": str(raw)}

    def settings(self, *lines):
        self.room.path("vddk.conf").write_text("".join(f"{line}\n" for line in lines), encoding="ascii")

    def start(self, image_format="qcow2", target=None, source=(), **fields):
        return Copy({**self.fields, **dict(source)}, (target or self.room.path("target"), image_format), runs=ours(),
                    env={"LD_LIBRARY_PATH": f"{libdir(self.variant)}/lib64"}, **fields)

    def copy(self, *arguments, watch_memory=False, **fields):
        with self.start(*arguments, **fields) as running:
            return running.wait(watch_memory)

    def copied(self, image_format="qcow2", **fields):
        result = self.copy(image_format, **fields)
        assert result.ok, str(result)
        judge.same(self.raw, self.room.path("target"), image_format)
        assert sorted(it.name for it in self.room.dir.glob("target*")) == ["target"]
        return result

    def refused(self, kind, *words, left=(), **fields):
        result = self.copy(**fields)
        assert not result.ok and result.kind == kind, str(result)
        for word in words:
            assert word in result.text, f"{word!r} is not in: {result.text}"
        assert len(result.text) < 1000 and "\n" not in result.text
        assert sorted(it.name for it in self.room.dir.glob("target*")) == sorted(left), str(result)
        return result

    def remote(self, **changes):
        """The same disk as a vCenter gives it out, without the vCenter."""
        store = self.room.path("datastores") / "ds1" / "web01"
        store.mkdir(parents=True, exist_ok=True)
        os.link(self.raw, store / "web01.vmdk")
        self.fields.update({"server": "vcenter.test", "user": "root", "password": PASSWORD, "thumbprint": THUMBPRINT,
                            "vm": "moref=vm-16", "path": "[ds1] web01/web01.vmdk", **changes})
        return [f"lab.datastores={self.room.path('datastores')}", f"lab.password={PASSWORD}",
                f"lab.thumbprint={THUMBPRINT}"]


def make_disk(room, size=40 * MIB + 37 * 512, seed=1):
    """Data, written zeroes and holes of all lengths, and a tail that is no whole cluster."""
    rng = random.Random(seed)
    path, pieces, at = room.path("disk.raw"), [], 0
    while at < size:
        length = min(size - at, CLUSTER * rng.choice([1, 2, 3, 8, 16, 17, 40]))
        kind = rng.random()
        if kind < 0.5:
            pieces.append((at, FILLER.make(rng, length)))
        elif kind < 0.6:
            pieces.append((at, bytes(length)))
        at += length
    pieces.append((size - 300, bytes([7]) * 300))
    Layout(size, pieces).write(path)
    return path


# What comes out.

@pytest.mark.parametrize("image_format", ["qcow2", "raw"])
@pytest.mark.parametrize("variant", ["v9", "whole", "v7", "v67", "v65"])
def test_identical(room, variant, image_format):
    scene = Scene(room, make_disk(room), NETWORK, variant=variant)
    result = scene.copied(image_format)
    assert result.message["capacity_bytes"] == os.stat(scene.raw).st_size
    assert f"libvixDiskLib.so.{ {'v9': 9, 'whole': 8, 'v7': 7}.get(variant, 6) }." in result.logs[0]
    # Before 6.7 there is no question for holes, and asynchronous reads are not.
    assert (result.message["read_bytes"] < os.stat(scene.raw).st_size) == (variant != "v65")
    way = "8 waiting reads at once" if variant == "v65" else "16 asynchronous reads at once"
    assert any(way in line for line in result.logs)


@pytest.mark.asan
@pytest.mark.tsan
@pytest.mark.parametrize("setting", [
    "lab.completion=thread", "lab.completion=inside", "lab.completion=mixed", "lab.jitter_ms=5", "lab.threads=16",
    "lab.read_zero=7", "lab.fail_at_call=1", "lab.query_error=6", "lab.noise=5", "lab.query_all=1"])
def test_every_way_to_complete(room, setting):
    scene = Scene(room, make_disk(room), NETWORK, setting)
    result = scene.copied()
    assert not any("PhoneHome" in line or "CEIP" in line for line in result.logs)
    assert ("cannot tell what is allocated" in str(result.logs)) == ("query" in setting and "error" in setting)


@pytest.mark.asan
@pytest.mark.tsan
def test_local_file(room):
    """Transport file: it waits, in several lanes, each with a handle of its own."""
    result = Scene(room, make_disk(room)).copied()
    assert re.search(r"by file, [2-4] waiting reads at once", str(result.logs))
    assert result.message["read_bytes"] < os.stat(room.path("disk.raw")).st_size


@pytest.mark.parametrize("sectors", [1, 127, 128, 129, 2048, 2049, 2048 + 128])
def test_sizes(room, sectors):
    raw = make_raw(room, sectors * 512)
    Scene(room, raw, NETWORK).copied()


def test_many_questions_for_holes(room):
    """A question is about 16 GiB at most; one that comes beside reads would be refused by the double."""
    raw = room.path("disk.raw")
    with open(raw, "wb") as disk:
        disk.truncate(60 * GIB + 512)
        for at in range(0, 60 * GIB, 5 * GIB):
            disk.seek(at)
            disk.write(FILLER.make(random.Random(at), 3 * MIB))
    result = Scene(room, raw, NETWORK, "lab.latency_ms=1").copied()
    assert result.message["read_bytes"] <= 12 * 4 * MIB
    assert not any("cannot tell" in line for line in result.logs)


def test_holes_that_are_short_are_read(room):
    raw = room.path("disk.raw")
    Layout(4 * MIB, [(at, b"x" * CLUSTER) for at in range(0, 2 * MIB, 3 * CLUSTER)]).write(raw)
    assert Scene(room, raw, NETWORK).copied().message["read_bytes"] == 2 * MIB - CLUSTER


def test_ranges_into_an_image_that_is_there(room):
    scene = Scene(room, make_disk(room), NETWORK)
    scene.copied(map=room.path("map"))
    changed = bytearray(scene.raw.read_bytes())
    changed[5 * MIB:7 * MIB] = bytes(2 * MIB)
    changed[20 * MIB + 5:20 * MIB + 9] = b"vddk"
    scene.raw.write_bytes(changed)
    ranges = room.path("ranges")
    ranges.write_text(f"{5 * MIB} {2 * MIB}\n{20 * MIB} 512\n", encoding="ascii")
    result = scene.copied(map=room.path("map"), ranges=ranges)
    assert result.message["capacity_bytes"] == os.stat(scene.raw).st_size
    assert result.message["data_bytes"] + result.message["zero_bytes"] == 2 * MIB + CLUSTER


# What is cured.

@pytest.mark.asan
@pytest.mark.tsan
@pytest.mark.parametrize("settings, word", [
    (["lab.read_fail=5:1"], "opened anew"),
    (["lab.read_fail=5:14011:3"], "opened anew"),
    (["lab.read_fail=9:36", "lab.fail_at_call=1"], "opened anew"),
    (["lab.read_lost=11:14011", "lab.jitter_ms=2"], "opened anew"),
    (["lab.read_lost=11:14011", "lab.open_fail=2:14009:2"], "opened anew"),
    (["lab.read_lost=11:14011", "lab.open_fail=2:1:1"], "opened anew"),
    (["lab.open_fail=1:14011:1"], "nbdssl"),
    (["lab.nfc_memory_kib=4096", "lab.latency_ms=20"], "no memory"),
    (["lab.nfc_memory_kib=512"], "of 512 KiB at once"),
    (["lab.nfc_memory_kib=3072", "lab.nfc_memory_error=5", "lab.fail_at_call=1", "lab.latency_ms=20"], "no memory"),
], ids=lambda it: "+".join(it) if isinstance(it, list) else "")
def test_trouble_that_passes(room, settings, word):
    raw = make_raw(room, 40 * MIB)
    result = Scene(room, raw, NETWORK, *settings).copied()
    assert any(word in line for line in result.logs), result.logs
    assert len(result.logs) < 30, "the library's log is repeated"


@pytest.mark.parametrize("settings", [["lab.read_lost=3:14011"], ["lab.nfc_memory_kib=512"]], ids=lambda it: it[0])
def test_trouble_of_waiting_lanes(room, settings):
    Scene(room, make_raw(room, 16 * MIB), *settings).copied()


def test_new_session_for_a_new_connection(room):
    scene = Scene(room, make_raw(room, 40 * MIB))
    lines = scene.remote(cookie=f"vmware_soap_session={COOKIE}")
    scene.settings(*lines, f"lab.cookie={COOKIE}", "lab.leak_abort=1", "lab.read_lost=11:14011", "lab.open_fail=2:35")
    with scene.start() as running:
        while (message := running.next_message())["type"] != "need":
            pass
        assert message == {"type": "need", "what": "cookie"}
        running.wish(wish="cookie", cookie=f"vmware_soap_session={COOKIE}")
        result = running.wait()
    assert result.ok, str(result)
    judge.same(scene.raw, room.path("target"), "qcow2")


def test_no_new_session(room):
    """What was copied stays for the next try."""
    scene = Scene(room, make_raw(room, 40 * MIB))
    lines = scene.remote(cookie=COOKIE)
    scene.settings(*lines, f"lab.cookie={COOKIE}", "lab.read_lost=30:14011", "lab.open_fail=2:35:9")
    with scene.start() as running:
        while running.next_message()["type"] != "need":
            pass
        running.wish(wish="cookie", cookie=None, error={"kind": "denied", "text": "wrong user or password"})
        result = running.wait()
    assert result.kind == "denied" and AGAIN in result.text, str(result)
    assert any("wrong user or password" in line for line in result.logs)
    scene.settings(*lines, f"lab.cookie={COOKIE}")
    assert scene.copied().message["resumed_bytes"] > 0


# What is refused.

@pytest.mark.parametrize("code, kind, words", [
    (1, "unavailable", ["thumbprint", "902", "snapshot"]),
    (2, "unavailable", ["no memory", "backup"]),
    (4, "not-found", ["no such disk"]),
    (5, "conflict", ["in use", "snapshot"]),
    (13, "denied", ["DiskRandomRead"]),
    (15, "conflict", ["in use", "snapshot"]),
    (30, "denied", ["encrypted", "Cryptographer.Access"]),
    (35, "denied", ["password"]),
    (13000, "not-found", ["snapshot"]),
    (14008, "unavailable", ["does not resolve", "DNS"]),
    (14009, "unavailable", ["902", "ESXi host"]),
    (14011, "unavailable", ["broke"]),
    (16003, "io", ["consolidate"]),
    (16064, "denied", ["DiskRandomRead", "GetVmFiles"]),
    (18000, "unavailable", ["443", "902"]),
    (0x400800000000000d, "conflict", ["in use"]),
    (16392 << 16 | 1, "conflict", ["in use", "snapshot"]),
    (4242, "unavailable", ["the library says no more"]),
])
def test_what_open_refuses(room, code, kind, words):
    scene = Scene(room, make_raw(room), NETWORK, f"lab.open_fail=*:{code:#x}")
    scene.refused(kind, "[ds1] web01/web01.vmdk: open:", f"VixError {code}", "the library's log", *words)


@pytest.mark.parametrize("code, kind, words", [
    (1, "io", ["datastore"]),
    (16064, "denied", ["DiskRandomRead"]),
    (16007, "bug", ["behind the disk's end"]),
    (30, "denied", ["encrypted"]),
])
def test_what_read_refuses(room, code, kind, words):
    """The last megabyte is never there; the rest is, for the next try."""
    scene = Scene(room, make_raw(room, 30 * MIB), NETWORK, f"lab.read_fail=29:{code}:99")
    left = () if kind == "bug" else ("target.part", "target.part.map")
    scene.refused(kind, "[ds1] web01/web01.vmdk: read ", f"(VixError {code})", *words, left=left)
    scene.settings(NETWORK)
    scene.copied()


@pytest.mark.parametrize("changes, kind, words", [
    ({"thumbprint": ":".join(["CD"] * 20)}, "denied", ["certificate", "actual thumbprint", "expected"]),
    ({"password": "wrong-" + PASSWORD}, "denied", ["wrong user or password"]),
    ({"path": "[ds1] web01/none.vmdk"}, "not-found", ["no such disk"]),
    ({"vm": ""}, "invalid", ["'vm'"]),
    ({"user": None}, "invalid", ["'user'"]),
    ({"password": None}, "invalid", ["'password'"]),
    ({"thumbprint": "AB:CD"}, "invalid", ["AB:CD", "20 pairs"]),
    ({"server": None, "path": "web01.vmdk"}, "invalid", ["from / on"]),
    ({"path": None}, "invalid", ["'path'"]),
    ({"libdir": None}, "invalid", ["'libdir'", "lib64/libvixDiskLib.so"]),
    ({"kind": "file", "uri": "disk.raw"}, "invalid", ["'file'", "vmferry-copy-vddk reads 'vddk'"]),
])
def test_what_is_asked_wrongly(room, changes, kind, words):
    scene = Scene(room, make_raw(room))
    lines = scene.remote(**changes)
    scene.settings(*lines)
    result = scene.refused(kind, *words)
    assert PASSWORD not in str(result)


def test_thumbprint_in_any_spelling(room):
    scene = Scene(room, make_raw(room))
    scene.settings(*scene.remote(thumbprint=THUMBPRINT.replace(":", "").lower()))
    scene.copied()


def test_other_program_does_not_read_it(room):
    scene = Scene(room, make_raw(room))
    result = copy(scene.fields, (room.path("target"), "qcow2"))
    assert result.kind == "invalid" and "'vddk'" in result.text, str(result)


def test_nbd_target_is_refused(room):
    scene = Scene(room, make_raw(room))
    scene.refused("invalid", "NBD", "another transport", target="nbd://localhost/x")


@pytest.mark.parametrize("settings, kind, words", [
    (["lab.capacity_sectors=0"], "invalid", ["0 sectors"]),
    (["lab.capacity_sectors=999999999999999"], "invalid", ["999999999999999 sectors"]),
    (["lab.info_error=1"], "unavailable", ["ask for its size"]),
    (["lab.init_error=16053"], "invalid", ["does not start", "VixError 16053"]),
])
def test_library_that_makes_no_sense(room, settings, kind, words):
    Scene(room, make_raw(room), NETWORK, *settings).refused(kind, *words)


@pytest.mark.parametrize("variant, kind, words", [
    ("v60", "invalid", ["6.5 or newer", "does not start"]),
    ("v55", "not-found", ["no libvixDiskLib.so.6 to .so.9", "vddk-libdir"]),
    ("broken", "invalid", ["libvixDiskLib.so.8.0.3", "has no VixDiskLib_Open"]),
    ("none", "invalid", ["VixDiskLib_InitEx", "6.5 or newer"]),
])
def test_wrong_library(room, variant, kind, words):
    Scene(room, make_raw(room), variant=variant).refused(kind, *words)


@pytest.mark.parametrize("content, words", [
    (b"\x7fELF and no more", ["libvixDiskLib.so.8", "cannot be loaded"]),
    (b"", ["cannot be loaded"]),
    (None, ["there is no libvixDiskLib.so"]),
])
def test_what_is_no_library(room, content, words):
    scene = Scene(room, make_raw(room))
    room.path("lib64").mkdir()
    if content is not None:
        (room.path("lib64") / "libvixDiskLib.so.8").write_bytes(content)
    scene.refused("not-found" if content is None else "invalid", *words, source={"libdir": str(room.dir)})


def test_library_without_lib64(room):
    """The library beside its directory's name, as a build of somebody's own has it."""
    scene = Scene(room, make_raw(room), NETWORK)
    shutil.copy(libdir() / "lib64/libvixDiskLib.so.8.0.3", room.path("libvixDiskLib.so.8"))
    scene.copied(source={"libdir": str(room.dir)})


# What is interrupted.

@pytest.mark.parametrize("image_format", ["qcow2", "raw"])
def test_killed_and_gone_on(room, image_format):
    scene = Scene(room, make_raw(room, 300 * MIB), NETWORK, "lab.latency_ms=2")
    resumed = 0
    for _ in range(3):
        with scene.start(image_format, limit_bytes_s=100 * MIB) as running:
            while (message := running.next_message()):
                if message["done_bytes"] > resumed + 70 * MIB:
                    break
            running.kill()
        resumed += 70 * MIB
    result = scene.copied(image_format)
    assert result.message["resumed_bytes"] >= 300 * MIB // 4
    assert result.message["read_bytes"] <= 300 * MIB - result.message["resumed_bytes"]


@pytest.mark.parametrize("identity", ["", "moref=vm-16 6000C29 snapshot-4", "x" * 3000])
def test_another_identity_starts_anew(room, identity):
    scene = Scene(room, make_raw(room, 120 * MIB), NETWORK)
    scene.fields["identity"] = "x" * 2999 + "y" if len(identity) > 1000 else scene.fields["identity"]
    with scene.start(limit_bytes_s=100 * MIB) as running:
        while running.next_message()["done_bytes"] < 60 * MIB:
            pass
        running.wish(wish="cancel")
        assert running.wait().kind == "cancelled"
    scene.fields["identity"] = identity
    result = scene.copied()
    assert result.message["resumed_bytes"] == 0
    assert any("not gone on from" in line for line in result.logs)


@pytest.mark.asan
@pytest.mark.tsan
@pytest.mark.parametrize("settings", [["lab.latency_ms=30"], ["lab.read_fail=*:14011"], ["lab.nfc_memory_kib=16"]],
                         ids=lambda it: it[0])
def test_cancelled_in_the_middle(room, settings):
    """The library has reads under way into buffers that are about to go."""
    scene = Scene(room, make_raw(room, 100 * MIB), NETWORK, *settings)
    with scene.start(limit_bytes_s=50 * MIB) as running:
        running.next_message()
        running.wish(wish="cancel")
        assert running.wait().kind == "cancelled"
    scene.settings(NETWORK)
    scene.copied()


@pytest.mark.asan
def test_memory(room):
    scene = Scene(room, make_raw(room, 300 * MIB), NETWORK)
    result = scene.copy(watch_memory=True)
    assert result.ok and MIB < result.peak_bytes, str(result)
    if "-asan" not in program():
        assert result.peak_bytes <= MEMORY_MAX


# A crash of the library.

class Driver:
    """copy_run in a program of its own, beside a link to vmferry-copy-vddk as in an installation."""

    def __init__(self, room):
        beside = room.path("bin")
        beside.mkdir(exist_ok=True)
        self.program = shutil.copy(build() / "tests/unit/wire/copy-driver", beside)
        (beside / "vmferry-copy-vddk").symlink_to(ours())

    def run(self, scene, **fields):
        request = {"remote": scene.fields if isinstance(scene, Scene) else scene.source(),
                   "target": [str(scene.room.path("target")), "qcow2"], **fields}
        done = subprocess.run([self.program], input=json.dumps(request), capture_output=True, text=True, check=False,
                              timeout=120)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return done.returncode, lines, done.stderr


def test_crash_costs_one_process(room):
    scene = Scene(room, make_raw(room, 200 * MIB), NETWORK, "lab.latency_ms=40",
                  *(f"lab.read_crash={n}@{room.path(f'crash{n}')}" for n in (90, 30)))
    status, lines, complaint = Driver(room).run(scene)
    assert status == 0, f"{lines} {complaint}"
    warnings = [line["warning"] for line in lines if "warning" in line]
    assert len(warnings) == 2 and all("signal 11" in it and "starting it again" in it for it in warnings), lines
    assert lines[-1]["resumed_bytes"] > 0
    judge.same(scene.raw, room.path("target"), "qcow2")


@pytest.mark.parametrize("setting", ["lab.read_crash=1", "lab.open_crash=*", "lab.read_abort=1"])
def test_crash_again_and_again(room, setting):
    """Two new starts that get no further, and no more."""
    scene = Scene(room, make_raw(room, 40 * MIB), NETWORK, setting)
    status, lines, _ = Driver(room).run(scene)
    assert status == 1 and lines[-1] == {"kind": "unavailable"}
    assert len([line for line in lines if "warning" in line]) == 2
    assert "another version" in lines[-2]["error"] and "after 2 new starts" in lines[-2]["error"]


def test_crashes_have_an_end(room):
    """It gets a little further each time, and five new starts are all it gets."""
    scene = Scene(room, make_raw(room, 900 * MIB), NETWORK, "lab.latency_ms=100", "lab.read_crash=110")
    driver = Driver(room)
    status, lines, _ = driver.run(scene)
    assert status == 1 and "after 5 new starts" in lines[-2]["error"], lines
    scene.settings(NETWORK)
    status, lines, _ = driver.run(scene)
    assert status == 0 and lines[-1]["resumed_bytes"] > 0
    judge.same(scene.raw, room.path("target"), "qcow2")


def test_driver_without_library(room):
    scene = Scene(room, make_raw(room))
    scene.fields["libdir"] = None
    status, lines, _ = Driver(room).run(scene)
    assert status == 1 and lines[-1] == {"kind": "invalid"} and "vddk-libdir" in lines[-2]["error"]


@pytest.mark.parametrize("answer", [f"vmware_soap_session={COOKIE}", None])
def test_driver_is_asked_for_a_session(room, answer):
    scene = Scene(room, make_raw(room, 40 * MIB))
    lines = scene.remote(cookie=f"vmware_soap_session={COOKIE}")
    scene.settings(*lines, f"lab.cookie={COOKIE}", "lab.read_lost=11:14011", f"lab.open_fail=2:35:{1 if answer else 9}")
    status, lines, _ = Driver(room).run(scene, cookie=answer)
    assert {"info": "cookie"} in lines
    assert status == (0 if answer else 1), lines
    assert answer or lines[-1] == {"kind": "denied"}


# Secrets, and what goes along in the process.

def family(pid):
    """A process and all its descendants."""
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


@pytest.mark.parametrize("with_cookie", [False, True])
def test_secrets_are_nowhere(room, with_cookie):
    scene = Scene(room, make_raw(room, 60 * MIB))
    lines = scene.remote(**({"cookie": f"vmware_soap_session={COOKIE}"} if with_cookie else {}))
    # The double may know them only from a place that is no part of the test.
    scene.settings(*(it for it in lines if "password" not in it), "lab.latency_ms=5", "lab.leak_abort=1")
    with scene.start(limit_bytes_s=100 * MIB) as running:
        running.next_message()
        for pid in family(running.process.pid):
            for name in ("environ", "cmdline"):
                content = pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
                assert PASSWORD.encode() not in content and COOKIE.encode() not in content
            if os.geteuid() == 0:
                # Nobody but root may look into its memory, and no core is written.
                assert os.stat(f"/proc/{pid}/mem").st_uid == 0
        for path in room.dir.rglob("*"):
            with contextlib.suppress(IsADirectoryError):
                if path.name not in ("disk.raw", "web01.vmdk", "target.part"):
                    content = path.read_bytes()
                    assert PASSWORD.encode() not in content and COOKIE.encode() not in content, path
        result = running.wait()
    assert result.ok, str(result)
    assert PASSWORD not in str(result) and COOKIE not in str(result)


def test_no_core_of_another_user(room):
    """The flag itself, seen from a user who is not root: /proc/PID belongs to root then."""
    scene = Scene(room, make_raw(room, 60 * MIB), NETWORK)
    under = as_nobody(room)
    if not under:
        pytest.skip("root alone can become nobody")
    with scene.start(limit_bytes_s=60 * MIB, under=under) as running:
        running.next_message()
        assert os.stat(f"/proc/{running.process.pid}/mem").st_uid == 0
        assert running.wait().ok


def test_what_it_is_linked_with():
    """VMware's library brings an OpenSSL, a libcurl, a libxml2 and a zlib of its own."""
    done = subprocess.run(["ldd", ours()], capture_output=True, text=True, check=True)
    names = {line.split()[0].split(".so")[0].split("/")[-1] for line in done.stdout.splitlines()}
    sanitizers = {"libasan", "libubsan", "libtsan", "libm", "libgcc_s", "libstdc++"} if "san" in done.stdout else set()
    assert names - sanitizers == {"linux-vdso", "libjansson", "libxxhash", "libc", "ld-linux-x86-64"}, done.stdout
