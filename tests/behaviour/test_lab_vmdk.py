"""lab/vmdk.py writes what it says: qemu-img reads the legal ones back, the wrong ones are wrong in one way."""

import pathlib
import random
import struct
import subprocess
import sys

import pytest

import vmdk

TOOL = pathlib.Path(vmdk.__file__)
MIB = 1 << 20
CAPACITY = 40 * MIB + 3 * 512      # no multiple of any grain


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A disk with data, holes, zeros that are written, and data in its last sector."""
    chance = random.Random(7)
    path = tmp_path_factory.mktemp("raw") / "disk.raw"
    with open(path, "wb") as disk:
        disk.truncate(CAPACITY)
        for _ in range(30):
            disk.seek(chance.randrange(CAPACITY - 400000))
            disk.write(chance.randbytes(chance.randrange(1, 200000)))
            disk.seek(chance.randrange(CAPACITY - 400000))
            disk.write(b"text " * chance.randrange(40000))
        disk.seek(20 * MIB)
        disk.write(bytes(MIB))
        disk.seek(CAPACITY - 512)
        disk.write(b"end" * 100)
    return path


def identical(raw, made):
    result = subprocess.run(["qemu-img", "compare", "-f", "raw", "-F", "vmdk", raw, made], capture_output=True,
                            text=True, check=False)
    return result.returncode == 0, result.stdout + result.stderr


LEGAL = {
    "as VMware writes it": {},
    "as qemu-img writes it": {"form": "front"},
    "grains from the last to the first": {"order": "reverse"},
    "grains in any order": {"order": "shuffle", "seed": 3},
    "in any order, tables in front": {"order": "shuffle", "form": "front"},
    "grains twice, the later one counts": {"duplicates": 9},
    "twice and in any order": {"duplicates": 9, "order": "shuffle"},
    "grains of 4 KiB": {"grain_sectors": 8},
    "grains of 8 KiB in front form": {"grain_sectors": 16, "form": "front"},
    "grains of 32 KiB": {"grain_sectors": 64},
    "grains of 128 KiB": {"grain_sectors": 256},
    "grains of 512 KiB": {"grain_sectors": 1024},
    "grains larger than raw": {"level": 0},
    "best compression": {"level": 9},
    "progress markers": {"progress_every": 5},
    "zeros written out": {"keep_zeros": True},
    "zero grain entries": {"zero_entries": True},
    "version 1": {"version": 1},
    "version 2": {"version": 2},
    "a cut last grain": {"short_last": True},
    "bytes behind the end, tables in front": {"form": "front", "trailing_bytes": 65536},
    "another adapter": {"adapter_type": "ide", "cid": "00000001", "descriptor_extra": ('ddb.comment = "odd"',)},
    "one process": {"workers": 1},
}


@pytest.mark.parametrize("name", LEGAL)
def test_qemu_reads_it_back(raw, tmp_path, name):
    made = tmp_path / "disk.vmdk"
    facts = vmdk.write(raw, made, vmdk.Options(**LEGAL[name]))
    assert facts.file_bytes == made.stat().st_size
    same, words = identical(raw, made)
    assert same, words


def blocks(path, grain_sectors=128):
    """Walk the stream as a reader of it would: (kind, value, size, offset) of each block, to its end."""
    data = path.read_bytes()
    (overhead,) = struct.unpack_from("<Q", data, 64)
    position = overhead * 512
    while position < len(data):
        value, size, kind = struct.unpack_from("<QII", data, position)
        yield ("grain" if size else kind), value, size, position
        if size:
            position += -(-(12 + size) // 512) * 512
        else:
            position += 512 * (1 + value)
        if not size and kind == vmdk.MARKER_EOS:
            return


def test_footer_form(raw, tmp_path):
    made = tmp_path / "disk.vmdk"
    facts = vmdk.write(raw, made, vmdk.Options(progress_every=4))
    data = made.read_bytes()
    walked = list(blocks(made))
    kinds = [kind for kind, *_ in walked]
    lbas = [value for kind, value, *_ in walked if kind == "grain"]
    assert len(lbas) == facts.grains
    assert lbas == sorted(set(lbas))
    assert kinds[-3:] == [vmdk.MARKER_DIRECTORY, vmdk.MARKER_FOOTER, vmdk.MARKER_EOS]
    assert kinds.count(vmdk.MARKER_PROGRESS) == facts.grains // 4
    assert walked[-1][3] + 512 == len(data)
    assert struct.unpack_from("<Q", data, 56) == (vmdk.GD_AT_END,)
    assert struct.unpack_from("<Q", data, len(data) - 1024 + 56) == ((walked[-3][3] + 512) // 512,)
    descriptor = data[512:21 * 512].rstrip(b"\0").decode()
    assert 'createType="streamOptimized"' in descriptor
    assert 'ddb.adapterType = "lsilogic"' in descriptor


def test_each_table_follows_its_grains(tmp_path):
    raw, made = tmp_path / "disk.raw", tmp_path / "disk.vmdk"
    with open(raw, "wb") as disk:
        for place in (0, 33 * MIB, 64 * MIB - 512):     # tables of 32 MiB: the first, the second
            disk.seek(place)
            disk.write(b"x" * 512)
    vmdk.write(raw, made)
    kinds = [kind for kind, *_ in blocks(made)]
    assert kinds == ["grain", vmdk.MARKER_TABLE, "grain", "grain", vmdk.MARKER_TABLE, vmdk.MARKER_DIRECTORY,
                     vmdk.MARKER_FOOTER, vmdk.MARKER_EOS]


def test_incompressible_grains_are_larger_than_raw(tmp_path):
    raw, made = tmp_path / "disk.raw", tmp_path / "disk.vmdk"
    raw.write_bytes(random.Random(1).randbytes(4 * 65536))
    vmdk.write(raw, made, vmdk.Options(level=0))
    assert all(size > 65536 for kind, _, size, _ in blocks(made) if kind == "grain")


def test_stream_to_a_pipe_is_the_same(raw, tmp_path):
    made = tmp_path / "disk.vmdk"
    subprocess.run([sys.executable, TOOL, raw, made, "--descriptor-extra", "#"], check=True, capture_output=True)
    piped = subprocess.run([sys.executable, TOOL, raw, "-", "--descriptor-extra", "#"], check=True, capture_output=True)
    # The extent line names the file, which a pipe has not.
    assert piped.stdout[21 * 512:] == made.read_bytes()[21 * 512:]


def test_empty_disk(tmp_path):
    made = tmp_path / "disk.vmdk"
    facts = vmdk.write_empty(8 << 40, made)
    assert facts.grains == 0
    info = subprocess.run(["qemu-img", "info", made], capture_output=True, text=True, check=True).stdout
    assert "8 TiB" in info


def test_memory_is_bounded(tmp_path):
    raw = tmp_path / "disk.raw"
    with open(raw, "wb") as disk:
        disk.truncate(1 << 40)
        for place in range(0, 96 * MIB, 65536):
            disk.seek((place << 10) + 512)
            disk.write(b"here" * 8192)
    # time(1) between: what we start ourselves begins with our own size as its peak.
    peak = tmp_path / "peak"
    subprocess.run(["time", "-f", "%M", "-o", peak, sys.executable, TOOL, raw, "-"], stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, check=True)
    assert int(peak.read_text()) < 200 * 1024


def test_no_end_marker(raw, tmp_path):
    made, whole = tmp_path / "disk.vmdk", tmp_path / "whole.vmdk"
    vmdk.write(raw, whole)
    vmdk.write(raw, made, vmdk.Options(eos=False))
    assert made.read_bytes()[21 * 512:] == whole.read_bytes()[21 * 512:-512]


@pytest.mark.parametrize("cut", [1, 100, 512, 70000, -1, -512, -1536, -300000])
def test_truncated(raw, tmp_path, cut):
    made, whole = tmp_path / "disk.vmdk", tmp_path / "whole.vmdk"
    vmdk.write(raw, whole)
    vmdk.write(raw, made, vmdk.Options(truncate_bytes=cut))
    size = whole.stat().st_size
    assert made.stat().st_size == (cut if cut > 0 else size + cut)
    # qemu reads a last sector that is not whole as if it were.
    assert identical(raw, made)[0] == (cut == -1)


@pytest.mark.parametrize("kind", ["body", "checksum", "length", "lba", "short"])
def test_damaged_grain(raw, tmp_path, kind):
    made, whole = tmp_path / "disk.vmdk", tmp_path / "whole.vmdk"
    vmdk.write(raw, whole)
    facts = vmdk.write(raw, made, vmdk.Options(damage=1, damage_kind=kind))
    assert len(facts.damaged_lbas) == 1
    assert made.read_bytes()[21 * 512:] != whole.read_bytes()[21 * 512:]
    # qemu takes a grain's address from its table, and so does not see a wrong one in the grain.
    assert identical(raw, made)[0] == (kind == "lba")


def test_header_fields_can_lie(raw, tmp_path):
    made = tmp_path / "disk.vmdk"
    vmdk.write(raw, made, vmdk.Options(header={"capacity": 1 << 50, "grain_size": 1 << 40, "magic": 0x41414141},
                                       footer={"capacity": 5}))
    head = made.read_bytes()
    assert head[:4] == b"AAAA"
    assert struct.unpack_from("<QQ", head, 12) == (1 << 50, 1 << 40)
    assert struct.unpack_from("<Q", head, len(head) - 1024 + 12) == (5,)


def test_command_refuses_unknown_fields(raw):
    result = subprocess.run([sys.executable, TOOL, raw, "-", "--header", "colour=5"], capture_output=True, text=True,
                            check=False)
    assert result.returncode == 2
    assert "colour" in result.stderr
