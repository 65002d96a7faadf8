"""What cannot be copied is refused in one sentence that says why, and leaves nothing that looks like an image."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time

import pytest

from copier import TOP, Copy, copied, copy
from layouts import MIB, TIB
from refusal import as_nobody, make_raw, refused
import judge

sys.path.insert(0, str(TOP / "lab"))
import vmdk  # noqa: E402

SECTOR = 512


def stream(room, size=MIB, **options):
    path = room.path("disk.vmdk")
    vmdk.write(make_raw(room, size), path, vmdk.Options(**{"workers": 1, **options}))
    return path


# ---- VMDK streams ----

@pytest.mark.parametrize("form", ["footer", "front"])
def test_stream_cut_anywhere(room, form):
    """At every sector, and around the edges of the header: never a copy that is called good."""
    path = stream(room, 512 * 1024 + 1024, form=form, level=1)
    whole = path.read_bytes()
    end = len(whole)
    cuts = {0, 1, 3, 4, 76, 79, 511, 512, 513, end - 1, end - 511, end - 512, end - 513, end - 1024, end - 1025}
    cuts |= set(range(0, end, 8 * SECTOR)) | {it + 12 for it in range(65536, end, 20 * SECTOR)}
    for size in sorted(cuts - {end}):
        path.write_bytes(whole[:size])
        result = copy({"uri": str(path), "format": "vmdk"}, (room.path("target"), "raw"))
        if result.ok:
            # The end marker of a front form says nothing new: its tables have listed all that came.
            assert form == "front" and size >= end - 512, f"cut at {size} of {end}: {result}"
            judge.same(room.path("disk.raw"), room.path("target"), "raw")
            room.path("target").unlink()
            continue
        assert result.kind in ("invalid", "io"), f"cut at {size}: {result}"
        assert any(word in result.text for word in ("truncated", "is empty", "too early", "not a VMDK", "qemu-nbd")), \
            f"cut at {size}: {result}"
        assert not list(room.dir.glob("target*")), f"cut at {size}"


@pytest.mark.parametrize("form", ["footer", "front"])
@pytest.mark.parametrize("grain_sectors", [8, 128, 2048])
def test_stream_cut_and_filled_up_with_zeroes(room, form, grain_sectors):
    """As a transfer leaves it that reserved the file first: a sector of zeroes looks like an end marker."""
    path = stream(room, 4 * MIB, form=form, grain_sectors=grain_sectors)
    whole = path.read_bytes()
    for part in (0.3, 0.6, 0.9):
        size = int(len(whole) * part) // SECTOR * SECTOR
        path.write_bytes(whole[:size].ljust(len(whole), b"\0"))
        result = copy(path, (room.path("target"), "raw"))
        assert not result.ok and result.kind == "invalid", str(result)
        assert any(it in result.text for it in ("truncated", "damaged")), str(result)
        assert not list(room.dir.glob("target*"))


def test_stream_cut_in_a_pipe(room):
    path = stream(room)
    path.write_bytes(path.read_bytes()[:-2000])
    room.stdin = room.pipe_from(path)
    refused(room, "-", "invalid", "standard input", "truncated")


def test_gzip_cut_and_damaged(room):
    path = stream(room)
    subprocess.run(["gzip", path], check=True)
    zipped = room.path("disk.vmdk.gz")
    whole = zipped.read_bytes()
    for size in (0, 1, 9, 100, len(whole) // 2, len(whole) - 500):
        zipped.write_bytes(whole[:size])
        refused(room, {"uri": str(zipped), "gzip": True}, "invalid", "is empty" if size == 0 else "truncated")
    zipped.write_bytes(whole[:2000] + bytes(64) + whole[2064:])
    refused(room, {"uri": str(zipped), "gzip": True}, "invalid", "damaged")


@pytest.mark.parametrize("kind, words", [
    ("body", ["does not inflate"]), ("checksum", ["does not inflate", "bad data"]), ("lba", ["a grain for sector"]),
    ("length", ["compressed bytes"]), ("short", ["holds"])])
def test_stream_with_a_damaged_grain(room, kind, words):
    refused(room, stream(room, damage=1, damage_kind=kind), "invalid", "damaged", "disk.vmdk", *words)


@pytest.mark.parametrize("fields, words", [
    ({"capacity": 0}, ["claims a disk of 0"]),
    ({"capacity": 1 << 60}, ["claims a disk of"]),
    ({"capacity": (64 * TIB >> 9) + 1}, ["claims a disk of"]),
    ({"grain_size": 0}, ["grains of 0 sectors"]),
    ({"grain_size": 3}, ["grains of 3 sectors"]),
    ({"grain_size": 4096}, ["grains of 4096 sectors"]),
    ({"grain_size": 1 << 63}, ["grains of"]),
    ({"version": 0}, ["version 0"]),
    ({"version": 9}, ["version 9"]),
    ({"compression": 7}, ["compression 7"]),
    ({"newline1": b"\r"}, ["text mode"]),
    ({"overhead": 0}, ["overlap"]),
    ({"overhead": 1 << 50}, ["overlap"]),
    ({"overhead": 5}, ["overlap"]),
    ({"overhead": 1000000}, ["truncated"]),
    ({"descriptor_offset": 200}, ["overlap"]),
    ({"descriptor_offset": 1 << 62}, ["overlap"]),
    ({"descriptor_size": 1 << 61}, ["overlap"]),
    ({"descriptor_size": 1 << 30}, ["overlap"]),
])
def test_stream_whose_header_lies(room, fields, words):
    refused(room, stream(room, header=fields), "invalid", "disk.vmdk", *words)


def test_stream_whose_footer_lies(room):
    refused(room, stream(room, footer={"capacity": 77}), "invalid", "header and footer differ")
    refused(room, stream(room, footer={"magic": 77}), "invalid", "footer", "KDMV")


def test_stream_without_its_footer(room):
    """The header says that there is one."""
    refused(room, stream(room, form="front", header={"gd_offset": vmdk.GD_AT_END}), "invalid", "without the footer")


@pytest.mark.parametrize("access", ["RW", "RDONLY", "rdonly"])
def test_stream_whose_descriptor_contradicts(room, access):
    path = stream(room)
    data = path.read_bytes()
    old = b"RDONLY 2048 "
    assert old in data
    new = f"{access} 9999 ".encode()
    text = data[512:512 * 21].rstrip(b"\0").replace(old, new).ljust(512 * 20, b"\0")
    path.write_bytes(data[:512] + text + data[512 * 21:])
    refused(room, path, "invalid", "contradicts itself", "9999")


def test_stream_of_a_snapshot(room):
    path = stream(room)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"parentCID=ffffffff", b"parentCID=12345678", 1))
    refused(room, path, "invalid", "snapshot")


def test_magic_of_something_else(room):
    path = room.path("disk.vmdk")
    path.write_bytes(b"KDMX" + bytes(100000))
    refused(room, {"uri": str(path), "gzip": False, "format": "vmdk"}, "invalid", "disk.vmdk")
    room.stdin = room.pipe_from(path)
    refused(room, "-", "invalid", "not a VMDK")


def test_other_formats_are_not_read_from_a_pipe(room):
    room.stdin = room.pipe_from(make_raw(room))
    refused(room, {"uri": "-", "format": "raw"}, "invalid", "pipe")


def test_capacity_that_the_description_denies(room):
    refused(room, stream(room, 3 * MIB), "invalid", "description says", capacity_bytes=5 * MIB)


# ---- OVA ----

def make_ova(room, cut=0, **changes):
    path = stream(room, MIB)
    ova = room.path("vm.ova")
    with tarfile.open(ova, "w", format=tarfile.USTAR_FORMAT) as tar:
        tar.add(path, "disk1.vmdk")
    if cut:
        os.truncate(ova, cut)
    return ova


def test_ova_cut_off(room):
    for cut in (100, 511, 513, 5000, MIB // 2):
        ova = make_ova(room, cut=cut)
        refused(room, {"uri": str(ova), "member": "disk1.vmdk"}, "invalid", "vm.ova")


def test_ova_without_the_member(room):
    refused(room, {"uri": str(make_ova(room)), "member": "disk2.vmdk"}, "not-found", "disk2.vmdk")


def test_ova_that_is_no_tar(room):
    path = room.path("vm.ova")
    path.write_bytes(b"PK\3\4" + bytes(10000))
    refused(room, {"uri": str(path), "member": "disk1.vmdk"}, "invalid", "not a tar file")


def test_ova_whose_header_lies_about_the_size(room):
    ova = make_ova(room)
    for size in (b"77777777777\0", b"\x80" + b"\xff" * 11, b"zzzzzzzzzzz\0"):
        with open(ova, "r+b") as out:
            header = bytearray(out.read(512))
            header[124:136] = size
            header[148:156] = b" " * 8
            header[148:156] = b"%06o\0 " % sum(header)
            out.seek(0)
            out.write(header)
        refused(room, {"uri": str(ova), "member": "disk1.vmdk"}, "invalid", "vm.ova")


def test_window_outside_of_the_file(room):
    raw = make_raw(room)
    for offset, size in ((0, 4 * MIB), (4 * MIB, 512), (3 * MIB, 0), ((1 << 63) - 1, (1 << 63) - 1)):
        result = copy({"uri": str(raw), "format": "raw", "window_offset": offset, "window_bytes": size},
                      (room.path("target"), "raw"))
        assert result.kind == "invalid", str(result)
        assert not list(room.dir.glob("target*"))


# ---- sources ----

def test_source_that_is_missing(room):
    refused(room, room.path("nothing"), "not-found", "nothing")


def test_source_that_is_a_directory(room):
    refused(room, room.dir, "invalid")


def test_source_that_is_empty(room):
    path = room.path("empty")
    path.touch()
    refused(room, path, "invalid", "is empty")


def test_source_that_is_a_fifo(room):
    """And nobody is made to wait for its other end."""
    path = room.path("fifo")
    os.mkfifo(path)
    refused(room, path, "invalid", "not a file")


def test_source_without_permission(room):
    path = make_raw(room)
    path.chmod(0)
    with Copy(path, (room.path("target"), "raw"), under=as_nobody(room)) as running:
        result = running.wait()
    assert result.kind == "denied" and "disk.raw" in result.text, str(result)


def test_server_that_is_not_there(room):
    refused(room, f"nbd+unix:///?socket={room.path('nobody')}", "not-found", "nobody")
    refused(room, "nbd://127.0.0.1:1/", "unavailable", "refused")


@contextlib.contextmanager
def mute_server(room, serve_from=None):
    """A server that takes connections and says nothing on them; from number SERVE_FROM on each gets an nbdkit."""
    path = room.fresh("mute")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(str(path))
    listening.listen(16)
    held, servers = [], []

    def run():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                if serve_from is None or len(held) < serve_from:
                    held.append(connection)
                    continue
                with connection:
                    servers.append(subprocess.Popen(["nbdkit", "-s", "file", room.path("disk.raw")],
                                                    stdin=connection, stdout=connection))
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"nbd+unix:///?socket={path}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
        for it in (listening, *held):
            it.close()
        for it in servers:
            it.kill()
            it.wait()


@pytest.mark.parametrize("side", ["source", "target"])
def test_cancel_while_a_server_is_mute(room, side):
    raw = make_raw(room)
    with mute_server(room) as uri:
        ends = (uri, (room.path("target"), "raw")) if side == "source" else (raw, (uri, "raw"))
        with Copy(*ends) as running:
            running.wish(wish="cancel")
            begin = time.monotonic()
            result = running.wait()
    assert result.kind == "cancelled" and "connecting" in result.text, str(result)
    assert time.monotonic() - begin < 10
    assert not list(room.dir.glob("target*"))


@pytest.mark.parametrize("how", ["cancel", "the parent goes"])
def test_stop_while_a_pipe_is_mute(room, how):
    """Its head is not even there."""
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as stdin, os.fdopen(theirs, "wb"), \
            Copy("-", (room.path("target"), "raw"), stdin=stdin) as running:
        if how == "cancel":
            running.wish(wish="cancel")
            result = running.wait()
            assert result.kind == "cancelled" and "standard input" in result.text, str(result)
        else:
            running.ours.close()
            assert running.process.wait(30) == 1
    assert not list(room.dir.glob("target*"))


@pytest.mark.soak
def test_server_that_is_mute(room):
    """For as long as a server is given."""
    with mute_server(room) as uri:
        result = refused(room, uri, "unavailable", "did not greet within 30 s, twice")
    assert any("trying once more" in it for it in result.logs), result.logs


@pytest.mark.soak
def test_server_that_is_mute_at_first(room):
    raw, target = make_raw(room), (room.path("target"), "raw")
    with mute_server(room, serve_from=1) as uri:
        result = copied(uri, target)
    assert any("trying once more" in it for it in result.logs), result.logs
    judge.same(raw, *target)


def test_format_that_is_something_else(room):
    refused(room, {"uri": str(make_raw(room)), "format": "qcow2"}, "invalid", "qemu-nbd", "disk.raw")


def test_source_that_points_at_other_files(room):
    """A disk inside of an OVA cannot make us read a file of this host."""
    secret = make_raw(room, name="secret")
    description = room.path("evil.vmdk")
    description.write_text(f'# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="monolithicFlat"\n'
                           f'RW 2048 FLAT "{secret}" 0\n')
    ova = room.path("vm.ova")
    with tarfile.open(ova, "w") as tar:
        tar.add(description, "evil.vmdk")
    refused(room, {"uri": str(ova), "member": "evil.vmdk"}, "invalid", "other files")


@pytest.mark.parametrize("image_format", ["qcow2", "raw"])
def test_unreadable_sector(room, image_format):
    """The error names the place; when the disk reads again, the same copy goes on."""
    raw = make_raw(room, 60 * MIB)
    socket, broken = room.path("nbd"), room.path("broken")
    broken.touch()
    arguments = ["-r", "--filter=error", "file", raw, "error-pread=EIO", "error-pread-rate=10%",
                 f"error-pread-file={broken}"]
    uri = room.nbdkit(*arguments, name=socket)
    target = (room.path("target"), image_format)
    result = refused(room, uri, "io", "read", "Input/output error", "goes on from there", target=target,
                     left=["target.part", "target.part.map"])
    assert "at " in result.text
    broken.unlink()
    room.nbdkit(*arguments, name=socket)   # nbdkit 1.32 may die of a client that leaves in a hurry
    result = copied(uri, target)
    judge.same(raw, *target)
    assert not list(room.dir.glob("target.*"))


def test_unreadable_sector_of_a_file(room):
    """A real medium error, from the device mapper."""
    if not shutil.which("dmsetup"):
        pytest.skip("dmsetup is not installed")
    raw = make_raw(room, 4 * MIB)
    name = f"vmferry-test-{os.getpid()}"
    table = (f"0 4096 linear {room.loop(raw, read_only=True)} 0\n4096 8 error\n"
             f"4104 4088 linear {room.loop(raw, read_only=True)} 4104\n")
    made = subprocess.run(["dmsetup", "create", "--readonly", name], input=table, text=True, capture_output=True,
                          check=False)
    if made.returncode:
        pytest.skip(f"dmsetup is not permitted here: {made.stderr.strip()}")
    try:
        refused(room, f"/dev/mapper/{name}", "io", "Input/output error", left=["target.part", "target.part.map"])
    finally:
        subprocess.run(["dmsetup", "remove", "--retry", name], check=True, capture_output=True)


def test_server_that_dies(room):
    """In the middle of it; what was copied is kept."""
    raw = make_raw(room, 60 * MIB)
    socket = room.path("nbd")
    uri = room.nbdkit("-r", "file", raw, name=socket)
    with Copy(uri, (room.path("target"), "qcow2"), limit_bytes_s=40 * MIB) as running:
        running.next_message()
        running.next_message()
        room.stop_server()
        result = running.wait()
    assert result.kind in ("unavailable", "io") and "goes on from there" in result.text, str(result)
    room.nbdkit("-r", "file", raw, name=socket)
    assert copied(uri, (room.path("target"), "qcow2")).message["resumed_bytes"] > 0
    judge.same(raw, room.path("target"), "qcow2")


@pytest.mark.parametrize("kind", ["raw", "vmdk", "qcow2"])
def test_source_that_is_written_while_it_is_copied(room, kind):
    raw = source = make_raw(room, 30 * MIB)
    if kind == "vmdk":
        source = room.path("disk.vmdk")
        vmdk.write(raw, source, vmdk.Options(level=0, workers=1))
    elif kind == "qcow2":
        source = room.path("disk.qcow2")
        assert judge.qemu_img("convert", "-O", "qcow2", raw, source)[0] == 0
    with Copy(source, (room.path("target"), "qcow2"), limit_bytes_s=30 * MIB) as running:
        running.next_message()
        os.utime(source)
        with open(source, "r+b") as out:
            out.seek(100)
            byte = out.read(1)
            out.seek(100)
            out.write(byte)
        running.wish(wish="limit", limit_bytes_s=0)
        result = running.wait()
    assert result.kind == "conflict" and "written to while it was copied" in result.text, str(result)
    assert not list(room.dir.glob("target*"))


def test_source_that_shrinks(room):
    raw = make_raw(room, 30 * MIB)
    with Copy(raw, (room.path("target"), "raw"), limit_bytes_s=30 * MIB) as running:
        running.next_message()
        os.truncate(raw, 10 * MIB)
        running.wish(wish="limit", limit_bytes_s=0)
        result = running.wait()
    assert result.kind in ("invalid", "conflict") and "disk.raw" in result.text, str(result)
    assert not list(room.dir.glob("target*"))
