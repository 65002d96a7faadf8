"""Disks over HTTPS: a file of a datastore by ranges, and an exported disk as a stream."""

import hashlib
import os
import pathlib
import random
import sys

import pytest

from copier import TOP, Copy, copied, copy
from layouts import FILLER, MIB, write_ranges
from refusal import make_raw, refused
from rooms import Room
from test_resume import kill_again_and_again, make_disk
from web import Certificate, Fault, Web
import judge

sys.path.insert(0, str(TOP / "lab"))
import vmdk  # noqa: E402

RUN = 32 * MIB         # what a lane asks for at once, at most
MEMORY_MAX = 64 * MIB
TWICE_MAX = 64 * MIB   # what may be copied again after a kill
SOCKET_MAX = 10 * MIB  # what the kernel holds of one connection, at both ends


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def web(room, certificate):
    """A disk of some runs of odd sizes, served."""
    raw = room.path("disk.raw")
    make_disk(raw, 70 * MIB + 512, random.Random("https"))
    with Web(certificate, raw) as it:
        yield it


# The same bytes.

@pytest.mark.parametrize("image_format", ["qcow2", "raw"])
@pytest.mark.parametrize("connections", [0, 1, 3])
def test_identical(room, web, image_format, connections):
    target = room.path("target")
    result = copied(web.source(connections=connections), (target, image_format), verify="full")
    judge.same(web.path, target, image_format)
    assert result.message["capacity_bytes"] == 70 * MIB + 512
    # Each byte once, in ranges that are as long as they should be, on so many connections.
    asked = sorted(web.requests[1:], key=lambda it: it[1])
    at = 0
    for _, first, length in asked:
        assert first == at and length <= RUN
        at += length
    assert at == 70 * MIB + 512
    assert web.connections == (connections or 8)
    assert web.most_busy <= (connections or 8)
    if connections == 1:
        assert max(length for _, _, length in asked) == RUN
    assert set(web.statuses) == {206}


@pytest.mark.parametrize("size", [1, 511, 512, 513, 65535, 65537, MIB + 1])
def test_odd_sizes(room, certificate, size):
    """A file that is not whole sectors is continued with zeroes."""
    raw, target = room.path("disk.raw"), room.path("target")
    raw.write_bytes(FILLER.make(random.Random(size), size))
    with Web(certificate, raw) as web:
        copied(web.source(), (target, "raw"))
    sectors = -(-size // 512) * 512
    assert target.read_bytes() == raw.read_bytes().ljust(sectors, b"\0")


def test_to_nbd(room, web):
    disk = room.path("target.raw")
    with open(disk, "wb") as out:
        out.truncate(70 * MIB + 512)
    copied(web.source(), (room.nbdkit("file", disk), "raw"), map=room.path("map"))
    room.stop_server()
    judge.same(web.path, disk, "raw")


def test_ranges_of_a_delta(room, web):
    """Only what a list names is asked for."""
    target, map_path, listed = room.path("target"), room.path("map"), room.path("ranges")
    copied(web.source(identity="vm-16 snapshot-3"), (target, "qcow2"), map=map_path)
    rng = random.Random("delta")
    with open(web.path, "r+b") as disk:
        for at in (5 * MIB, 40 * MIB, 70 * MIB):
            disk.seek(at)
            disk.write(FILLER.make(rng, 512))
    write_ranges(listed, [(5 * MIB, 512), (40 * MIB, 512), (70 * MIB, 512)], rng)
    before = len(web.requests)
    copied(web.source(identity="vm-16 snapshot-4"), (target, "qcow2"), map=map_path, ranges=listed)
    judge.same(web.path, target, "qcow2")
    assert sum(length for _, _, length in web.requests[before + 1:]) <= 4 * 65536


# Who the server is, and who we are.

def test_by_ca(room, web):
    copied(web.source(thumbprint=None, ca=str(web.certificate.ca)), (room.path("target"), "raw"))
    judge.same(web.path, room.path("target"), "raw")


def test_wrong_certificate(room, web):
    wrong = ":".join(["AB"] * 20)
    for fields, words in (({"thumbprint": wrong}, [wrong, web.certificate.sha1, "give the new thumbprint"]),
                          ({"thumbprint": None}, [web.certificate.sha256, "not trusted"])):
        refused(room, web.source(**fields), "denied", "[ds 1] web 01/web01.vmdk", *words)
    refused(room, web.source(thumbprint="AB:CD"), "invalid", "thumbprint")
    assert not web.requests and not web.statuses


def test_no_secret_is_shown(room, web):
    """Not in an error, and not where others can look."""
    web.faults = [Fault("stall", after=3, times=99, bytes=MIB)]
    with Copy(web.source(), (room.path("target"), "raw")) as running:
        while len(web.requests) < 4:
            running.next_message()
        for name in ("cmdline", "environ"):
            with open(f"/proc/{running.process.pid}/{name}", "rb") as file:
                assert b"52ab7c" not in file.read()
        result = running.kill()
    assert "52ab7c" not in str(result)
    web.faults = []
    source = web.source()
    web.cookie = "other=1"
    with Copy(source, (room.path("target"), "raw")) as running:
        result, _ = answer_needs(running, web, [source["cookie"]])
    assert result.kind == "denied" and "52ab7c" not in str(result), str(result)


def answer_needs(running, web, answers):
    """To the end of the copy; each question gets the next of the ANSWERS, the last one again."""
    asked = 0
    while message := running.next_message():
        if message["type"] == "need":
            assert message["what"] == "cookie"
            answer = answers[min(asked, len(answers) - 1)]
            running.wish(wish="cookie", cookie=web.cookie if answer is None else answer)
            asked += 1
    return running.wait(), asked


def test_expired_session_is_renewed(room, web):
    web.expire_after = 5
    with Copy(web.source(), (room.path("target"), "raw")) as running:
        result, asked = answer_needs(running, web, [None])
    assert result.ok, str(result)
    judge.same(web.path, room.path("target"), "raw")
    assert asked == 1, "one answer is enough for all connections"
    assert 401 in web.statuses


def test_session_that_stays_expired(room, web):
    web.expire_after = 5
    with Copy(web.source(), (room.path("target"), "raw")) as running:
        result, asked = answer_needs(running, web, ["vmware_soap_session=wrong"])
    assert result.kind == "denied" and "log in again" in result.text, str(result)
    assert 1 <= asked <= 5 * 8
    assert "wrong" not in str(result)


# What goes wrong on the way.

@pytest.mark.parametrize("kind", ["cut", "reset", "short"])
@pytest.mark.parametrize("sent", [0, 100_000, 5 * MIB + 1])
def test_broken_answers_are_asked_for_again(room, web, kind, sent):
    web.faults = [Fault(kind, after=2, times=1, bytes=sent), Fault(kind, after=6, times=3, bytes=sent)]
    copied(web.source(), (room.path("target"), "qcow2"), verify="full")
    judge.same(web.path, room.path("target"), "qcow2")
    assert not any(it.times for it in web.faults)
    assert len(web.requests) > 8 + 3


def test_first_answer_breaks(room, web):
    web.faults = [Fault("cut"), Fault("status", status=502)]
    copied(web.source(), (room.path("target"), "raw"))
    judge.same(web.path, room.path("target"), "raw")


def test_all_answers_break(room, web):
    """It gives up, says where, and the same command goes on later."""
    web.faults = [Fault("cut", after=8, times=1000)]
    result = refused(room, web.source(connections=2), "unavailable", "tried 5 times", "127.0.0.1",
                     "goes on from there", left=["target.part", "target.part.map"])
    assert "52ab" not in result.text
    web.faults = []
    assert copied(web.source(), (room.path("target"), "qcow2")).message["resumed_bytes"] > 0
    judge.same(web.path, room.path("target"), "qcow2")


def test_too_busy(room, web):
    """A server that takes three at once gets three at once."""
    web.max_busy = 3
    copied(web.source(), (room.path("target"), "raw"))
    judge.same(web.path, room.path("target"), "raw")
    assert 0 < web.statuses.count(503) <= 8 + 3


def test_busy_for_a_while(room, web):
    web.faults = [Fault("status", after=4, times=6, status=503, headers=("Retry-After: 1",))]
    copied(web.source(), (room.path("target"), "raw"))
    judge.same(web.path, room.path("target"), "raw")


@pytest.mark.parametrize("status, kind, words", [
    (403, "denied", ["Datastore.Browse"]),
    (404, "not-found", ["check the names"]),
    (416, "invalid", ["empty"]),
    (500, "conflict", ["locked", "power the machine off"]),
    (302, "invalid", ["302", "elsewhere"]),
])
def test_statuses(room, web, status, kind, words):
    web.faults = [Fault("status", times=99, status=status, headers=("Location: /",))]
    refused(room, web.source(), kind, "[ds 1] web 01/web01.vmdk", *words)
    assert len(web.requests) == 1


def test_locked_in_the_middle(room, web):
    """Somebody else looked at it: that passes."""
    web.faults = [Fault("status", after=3, times=2, status=500)]
    copied(web.source(), (room.path("target"), "raw"))
    judge.same(web.path, room.path("target"), "raw")


@pytest.mark.parametrize("kind, error, words", [
    ("ignore-range", "invalid", ["sends all of it"]),
    ("other-range", "invalid", ["instead of"]),
    ("other-size", "conflict", ["changed while it was read"]),
    ("other-date", "conflict", ["changed while it was read", "09:00:00"]),
])
def test_wrong_answers(room, web, kind, error, words):
    web.faults = [Fault(kind, after=3, times=1)]
    refused(room, web.source(), error, "[ds 1] web 01/web01.vmdk", *words)


def test_ranges_are_ignored_from_the_start(room, web):
    web.faults = [Fault("ignore-range", times=99)]
    refused(room, web.source(), "invalid", "another transport")


def test_size_is_asked_for_where_it_is_not_told(room, web):
    web.faults = [Fault("no-size", times=99)]
    copied(web.source(), (room.path("target"), "raw"))
    judge.same(web.path, room.path("target"), "raw")


@pytest.mark.parametrize("head", [b"# Disk DescriptorFile\nversion=1\n", b"KDMV\1\0\0\0", b"COWD\1\0\0\0",
                                  b"\xbe\xba\xfe\xca\0\0\0\0"])
def test_files_that_are_no_disk(room, certificate, head):
    raw = room.path("disk.raw")
    raw.write_bytes(head.ljust(MIB, b"\0"))
    with Web(certificate, raw) as web:
        refused(room, web.source(), "invalid", "not the -flat.vmdk")


def test_other_capacity(room, web):
    refused(room, web.source(), "invalid", "description says", capacity_bytes=100 * MIB)


def test_nobody_listens(room, web):
    refused(room, {**web.source(), "uri": "https://127.0.0.1:1/folder/x"}, "unavailable", "127.0.0.1:1", "refused")


def test_stop_while_nothing_comes(room, web):
    web.faults = [Fault("stall", after=1, times=99)]
    with Copy(web.source(), (room.path("target"), "raw")) as running:
        while len(web.requests) < 8:
            running.next_message()
        running.wish(wish="cancel")
        result = running.wait()
    assert result.kind == "cancelled", str(result)


# Going on.

@pytest.mark.parametrize("image_format", ["qcow2", "raw"])
def test_killed_at_random_requests(certificate, image_format):
    rng = random.Random(f"https {image_format}")
    with Room("disk") as room:
        raw, target = room.path("disk.raw"), room.path("target")
        make_disk(raw, 700 * MIB, rng)
        with Web(certificate, raw) as web:
            twice, result = kill_again_and_again(web, "Read", rng, lambda: Copy(web.source(), (target, image_format)),
                                                 kills=8, requests=16)
        assert result.message["resumed_bytes"] > 0
        # What was not durable when the kill came is sent again, and what the kernel held of it.
        assert twice <= TWICE_MAX + 8 * SOCKET_MAX, f"{twice} bytes were sent twice after a kill"
        judge.same(raw, target, image_format)


def test_no_identity_no_resume(room, web):
    web.faults = [Fault("status", after=8, times=1000, status=404)]
    refused(room, web.source(identity=""), "not-found")
    web.faults = []
    assert copied(web.source(identity=""), (room.path("target"), "qcow2")).message["resumed_bytes"] == 0


def test_other_identity_starts_again(room, web):
    web.faults = [Fault("stall", after=8, times=1000)]
    with Copy(web.source(connections=2), (room.path("target"), "qcow2")) as running:
        while len(web.requests) < 9:
            running.next_message()
        running.kill()
    web.faults = []
    result = copied(web.source(identity="vm-16 snapshot-4"), (room.path("target"), "qcow2"))
    assert result.message["resumed_bytes"] == 0 and any("not the one" in it for it in result.logs)
    judge.same(web.path, room.path("target"), "qcow2")


@pytest.mark.parametrize("target", ["qcow2", "nbd"])
def test_memory(certificate, target):
    """With the CAs of a system to hold for each connection, which is the most."""
    with Room("memory") as room:
        raw = make_raw(room, 300 * MIB)
        bundle = room.path("bundle.pem")
        system = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
        bundle.write_bytes((system.read_bytes() if system.exists() else b"") + certificate.ca.read_bytes())
        with Web(certificate, raw) as web:
            to = (room.path("target"), "qcow2") if target == "qcow2" else (room.nbdkit("memory", "300M"), "raw")
            with Copy(web.source(connections=8, thumbprint=None, ca=str(bundle)), to, map=room.path("map")) as running:
                result = running.wait(watch_memory=True)
    assert result.ok, str(result)
    assert MIB < result.peak_bytes <= MEMORY_MAX, result.peak_bytes


# Exported disks.

@pytest.fixture
def exported(room, certificate):
    raw, source = room.path("disk.raw"), room.path("disk.vmdk")
    make_disk(raw, 40 * MIB, random.Random("export"))
    vmdk.write(raw, source, vmdk.Options(workers=1))
    with Web(certificate, source) as it:
        it.raw = raw
        yield it


@pytest.mark.parametrize("image_format", ["qcow2", "raw"])
@pytest.mark.parametrize("trailing", [0, 3 * MIB])
def test_export(room, certificate, image_format, trailing):
    raw, source, target = room.path("disk.raw"), room.path("disk.vmdk"), room.path("target")
    make_disk(raw, 40 * MIB, random.Random("export"))
    vmdk.write(raw, source, vmdk.Options(workers=1, trailing_bytes=trailing))
    with Web(certificate, source) as web:
        message = copied(web.export(), (target, image_format), verify="full").message
    judge.same(raw, target, image_format)
    stream = source.read_bytes()
    assert message["stream_bytes"] == len(stream)
    assert message["stream_sha1"] == hashlib.sha1(stream).hexdigest()
    assert message["stream_sha256"] == hashlib.sha256(stream).hexdigest()
    assert web.connections == 1 and len(web.requests) == 1


@pytest.mark.parametrize("kind", ["cut", "reset", "end"])
@pytest.mark.parametrize("place", ["header", "grains", "marker", "last byte"])
def test_export_that_breaks(room, exported, kind, place):
    """Never a disk that is shorter than it was."""
    size = os.stat(exported.path).st_size
    sent = {"header": 100, "grains": size // 2, "marker": size - 512, "last byte": size - 1}[place]
    exported.faults = [Fault(kind, bytes=sent)]
    refused(room, exported.export(), "unavailable", "disk-0.vmdk", "start again with a new lease")


def test_export_that_breaks_behind_its_end(room, exported):
    """All of the disk came, but the sums cannot be trusted."""
    exported.faults = [Fault("cut", bytes=os.stat(exported.path).st_size)]
    refused(room, exported.export(), "unavailable", "start again with a new lease")


def test_export_that_is_damaged(room, certificate):
    raw, source = make_raw(room), room.path("disk.vmdk")
    vmdk.write(raw, source, vmdk.Options(workers=1, damage=1))
    with Web(certificate, source) as web:
        refused(room, web.export(), "invalid", "does not inflate")


def test_export_of_something_else(room, certificate):
    raw = make_raw(room)
    with Web(certificate, raw) as web:
        refused(room, web.export(), "invalid", "not a VMDK")


@pytest.mark.parametrize("status, kind", [(401, "denied"), (403, "denied"), (404, "not-found"), (500, "unavailable"),
                                          (503, "unavailable"), (302, "invalid"), (206, "invalid")])
def test_export_statuses(room, exported, status, kind):
    exported.faults = [Fault("status", status=status)]
    result = refused(room, exported.export(), kind, "disk-0.vmdk")
    assert "52d3" not in str(result), "the URL is a ticket"


def test_export_stop_while_nothing_comes(room, exported):
    exported.faults = [Fault("stall", bytes=5 * MIB)]
    with Copy(exported.export(), (room.path("target"), "raw")) as running:
        while not any(it.get("done_bytes") for it in running.progress):
            running.next_message()
        running.wish(wish="cancel")
        result = running.wait()
    assert result.kind == "cancelled", str(result)


def test_export_is_not_gone_on_with(room, exported):
    """A second lease may be of other bytes; it starts from the beginning."""
    with Copy(exported.export(), (room.path("target"), "qcow2")) as running:
        running.kill()
    result = copied(exported.export(), (room.path("target"), "qcow2"))
    assert result.message["resumed_bytes"] == 0
    judge.same(exported.raw, room.path("target"), "qcow2")


def test_export_memory(certificate):
    with Room("memory") as room:
        raw, source = make_raw(room, 300 * MIB), room.path("disk.vmdk")
        vmdk.write(raw, source, vmdk.Options(level=0, workers=1))
        with Web(certificate, source) as web:
            with Copy(web.export(), (room.path("target"), "qcow2")) as running:
                result = running.wait(watch_memory=True)
        assert result.ok, str(result)
        assert MIB < result.peak_bytes <= MEMORY_MAX, result.peak_bytes


def test_needs_a_url(room):
    for kind in ("https", "export"):
        refused(room, {"kind": kind, "name": "x"}, "invalid", "URL")
        refused(room, {"kind": kind, "name": "x", "uri": "http://127.0.0.1/"}, "invalid", "https")
        assert copy({"kind": kind, "name": "x", "uri": "https://u:secret@h/"}, (room.path("target"), "raw")).kind == "invalid"
