"""The ledger of the lab's guest: what it writes is what is checked, and what it has told is there when the power goes."""

import json
import re
import shutil
import subprocess

import pytest

import ledger
from lab_vcenter import machine_site
from lab_vcenter import lab as running_lab
from places import LAB
from v2v_scenes import wait_until

PROGRAM = LAB / "guest.d/usr/local/sbin/lab-ledger"
BOOT_SECONDS = 400


class Inside:
    """The guest's program on this host, with its places and its serial port below a directory."""

    def __init__(self, here):
        self.here = here
        text = PROGRAM.read_text()
        for name in ("/var/lib/lab", "/data/lab", "/span/lab", "/dev/ttyS1", "/etc/lab/ledger"):
            assert f'"{name}"' in text
            text = text.replace(f'"{name}"', f'"{here}/{name.replace("/", "_")}"')
        self.program = here / "program"
        self.program.write_text(text)
        (here / "_etc_lab_ledger").write_text("records_s=200\nwrites_s=100\nwrite_kib=4\nload_mib=1\n")
        self.ledger = here / "_var_lib_lab/ledger"

    def run_until(self, number):
        """Until so many records are told; killed then. The last number told."""
        port = self.here / "_dev_ttyS1"
        process = subprocess.Popen(["perl", self.program, "run"])
        wait_until(lambda: ledger.acknowledged(port) >= number, f"record {number}")
        process.kill()
        process.wait()
        return ledger.acknowledged(port)

    def check(self):
        said = subprocess.run(["perl", self.program, "check"], capture_output=True, text=True, check=True).stdout
        return [line.split() for line in said.splitlines()]


@pytest.fixture(name="inside")
def an_inside(tmp_path):
    return Inside(tmp_path)


def test_both_sides_know_the_same_records(inside):
    told = inside.run_until(30)
    [[word, place, highest, verdict, bad]] = inside.check()
    assert (word, place, verdict, bad) == ("ledger", "/", "ok", "0") and int(highest) >= told
    assert ledger.counted(inside.ledger.read_bytes()) == (int(highest), 0)


def test_it_goes_on_where_it_ended(inside):
    first = inside.run_until(10)
    with open(inside.ledger, "ab") as file:
        file.write(b"half a record")
    assert inside.run_until(first + 10) >= first + 10
    highest, bad = ledger.counted(inside.ledger.read_bytes())
    assert highest >= first + 10 and bad == 0


@pytest.mark.parametrize("offset", [0, 5 * 256 + 255])
def test_a_byte_that_is_wrong_is_seen(inside, offset):
    inside.run_until(10)
    content = bytearray(inside.ledger.read_bytes())
    content[offset] ^= 1
    inside.ledger.write_bytes(content)
    [[_, _, highest, verdict, bad]] = inside.check()
    assert (verdict, bad) == ("bad", "1")
    assert ledger.counted(bytes(content)) == (int(highest), 1)


def test_what_is_lost_at_the_end_is_seen_by_the_number(inside):
    told = inside.run_until(20)
    content = inside.ledger.read_bytes()[:(told - 3) * 256]
    assert ledger.counted(content) == (told - 3, 0)
    assert ledger.counted(content[:-256] + bytes(256)) == (told - 4, 0)


def test_a_number_is_told_when_its_line_is_whole(tmp_path):
    log = tmp_path / "log"
    assert ledger.acknowledged(log) == 0
    log.write_bytes(b"LEDGER 7\r\nLEDGER 8\r\nLEDGER 91")
    assert ledger.acknowledged(log) == 8


# ---- switched on ----

@pytest.fixture(name="tiny")
def a_tiny_guest(tmp_path):
    """What stands in for the guest: disks with an ext4 where it has them."""
    tree = tmp_path / "tree"
    (tree / "etc/lab").mkdir(parents=True)
    shutil.copy(LAB / "guest.d/etc/fstab", tree / "etc/fstab")
    for name in ("system", "data"):
        with open(tmp_path / f"{name}.raw", "xb") as file:
            file.truncate(9 << 20)
        subprocess.run(["/usr/sbin/mkfs.ext4", "-q", "-F", "-E", f"offset={1 << 20}", "-d", tree,
                        tmp_path / f"{name}.raw", "8192k"], check=True, capture_output=True)
    return tmp_path


@pytest.mark.parametrize("layout, controllers, mounts", [
    ("one", ["pvscsi0"], ["/"]), ("two", ["pvscsi0", "lsilogic1"], ["/", "/data"]),
    ("span", ["pvscsi0", "lsilogic1", "nvme0", "nvme1"], ["/", "/data", "/span"])])
def test_layouts(tiny, layout, controllers, mounts):
    out = tiny / "out"
    out.mkdir()
    disks = ledger.prepare(tiny, out, layout, records_s=33)
    assert [disk["controller"] for disk in disks] == controllers
    system = ledger.at_partition(out / "system.raw")
    table = [line.split()[1] for line in ledger.read(system, "/etc/fstab").decode().splitlines() if line[0] != "#"]
    assert table == mounts
    assert "records_s=33\n" in ledger.read(system, "/etc/lab/ledger").decode()
    checked = subprocess.run(["/usr/sbin/e2fsck", "-fn", system], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    assert ledger.read(ledger.at_partition(tiny / "system.raw"), "/etc/fstab") != b""
    with pytest.raises(ledger.LedgerError):     # the guest itself is as it was
        ledger.read(ledger.at_partition(tiny / "system.raw"), "/etc/lab/ledger")


def test_a_setting_that_it_does_not_have(tiny):
    with pytest.raises(ledger.LedgerError, match="records_h"):
        ledger.prepare(tiny, tiny, "one", records_h=1)


# ---- in the guest ----

@pytest.mark.guest
def test_what_was_told_is_there_when_the_power_goes(lab_guest, tmp_workdir):
    """On three file systems, one of them across two disks: pulled plug, images looked at, switched on again."""
    nic = json.loads((lab_guest / "guest.json").read_text())["nic"]
    machine = {"name": "g", "memory_mib": 512, "power": "poweredOn",
               "disks": ledger.prepare(lab_guest, tmp_workdir, "span", records_s=20),
               "nics": [{"mac": nic["mac"], "pci_slot": nic["slot"]}]}
    with running_lab(tmp_workdir, machine_site(machine)) as lab:
        state = lab.state()["machines"]["g"]
        power = lab.dir / "power" / state["moref"]
        told = power / "serial.log"
        wait_until(lambda: ledger.acknowledged(told) >= 40, "40 records", BOOT_SECONDS)
        lab.event("power-off", machine="g")
        last = ledger.acknowledged(told)
        images = [path for path, _ in lab.state()["machines"]["g"]["images"].values()]
        for image, place in zip(images, ("/", "/data")):
            highest, bad = ledger.on_image(image, place)
            assert highest >= last and bad == 0
        lab.event("power-on", machine="g")
        wait_until(lambda: b"LAB-REPORT end" in (power / "console.log").read_bytes(), "the report", BOOT_SECONDS)
        said = (power / "console.log").read_text(errors="replace")
        found = re.findall(r"LAB-REPORT ledger (\S+) (\d+) (\w+) (\d+)", said)
        assert [place for place, *_ in found] == ["/", "/data", "/span"]
        assert all(int(highest) >= last and (verdict, bad) == ("ok", "0") for _, highest, verdict, bad in found), found
        assert "LAB-REPORT failed-units 0" in said
        wait_until(lambda: ledger.acknowledged(told) > last + 20, "more records", BOOT_SECONDS)
        lab.event("power-off", machine="g")
