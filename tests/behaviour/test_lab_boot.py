"""lab/boot says truly whether a machine came up. Most of it is shown with a boot sector that only prints."""

import hashlib
import json
import pathlib
import re
import subprocess
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BOOT = TOP / "lab/boot"

# Print the text at 0x7c20 on the first serial port, waiting for room for each character; then halt.
PRINTER = bytes.fromhex("31c0 8ed8 be207c"          # ax = ds = 0; si = text
                        "ac 84c0 7410 88c4"         # next: al = *si++; end if 0; ah = al
                        "bafd03 ec a820 74fb"       # wait: until bit 5 of port 0x3fd is set
                        "baf803 88e0 ee ebe9"       # port 0x3f8 = ah; next
                        "f4 ebfd")                  # end: halt


@pytest.fixture
def printer(tmp_path):
    """A disk whose boot sector prints two lines on the serial port."""
    path = tmp_path / "printer.raw"
    text = b"boot sector: hello\r\nboot sector: \x1b[2Jall done\r\n\0"
    sector = PRINTER.ljust(32, b"\0") + text
    path.write_bytes(sector.ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
    return path


def boot(*arguments, seconds=120):
    return subprocess.run([BOOT, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=seconds)


@pytest.mark.parametrize("bus", ["virtio", "scsi", "sata", "pvscsi", "nvme"])
def test_boots_from_each_bus(printer, bus):
    result = boot("--disk", printer, "--bus", bus, "--expect", "hello", "--expect-re", "all d[o]ne", "--timeout", 60)
    assert result.returncode == 0, result.stderr


def test_pc_machine_with_ide(printer):
    result = boot("--disk", printer, "--machine", "pc", "--bus", "ide", "--nic", "e1000", "--expect", "all done",
                  "--timeout", 60)
    assert result.returncode == 0, result.stderr


def test_show_and_log(printer, tmp_path):
    result = boot("--disk", printer, "--show", "--log", tmp_path / "log", "--expect", "all done\n", "--timeout", 60)
    assert result.returncode == 0, result.stderr
    assert "boot sector: hello\nboot sector: all done\n" in result.stdout
    assert b"\x1b[2Jall done\r\n" in (tmp_path / "log").read_bytes()


def test_missing_text(printer):
    result = boot("--disk", printer, "--expect", "hello", "--expect", "login:", "--timeout", 5)
    assert result.returncode == 1
    assert "boot sector: all done" in result.stderr
    assert "not seen: login:" in result.stderr
    assert "not seen: hello" not in result.stderr


def test_last_text_ends_the_waiting(printer):
    result = boot("--disk", printer, "--expect", "login:", "--last", "hello", "--timeout", 100)
    assert result.returncode == 1
    assert "got as far as 'hello'" in result.stderr
    assert "not seen: login:" in result.stderr
    assert boot("--disk", printer, "--expect", "boot", "--last", "all done", "--timeout", 60).returncode == 0


def test_gives_up_at_once_on_a_panic(printer):
    text = printer.read_bytes().replace(b"hello", b"Kernel panic - not syncing: no root\r\n\0")[:510]
    printer.write_bytes(text + b"\x55\xaa" + bytes(1 << 20))
    started = time.monotonic()
    result = boot("--disk", printer, "--expect", "login:", "--timeout", 100)
    assert result.returncode == 1
    assert "gave up: Kernel panic" in result.stderr
    assert time.monotonic() - started < 60


def test_qemu_that_does_not_start(tmp_path):
    result = boot("--disk", tmp_path / "absent.raw", "--expect", "x", "--timeout", 60)
    assert result.returncode == 1
    assert "absent.raw" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["--expect", "x"], ["--disk", "a", "--xml", "b", "--expect", "x"],
                                       ["--disk", "a"], ["--disk", "a", "--expect-re", "("]])
def test_usage(arguments):
    assert boot(*arguments).returncode == 2


@pytest.mark.parametrize("firmware", ["efi", "efi-secure"])
def test_uefi(printer, firmware):
    """The disk has no boot loader for UEFI, and the firmware says so on the serial port."""
    result = boot("--disk", printer, "--firmware", firmware, "--expect", "BdsDxe: failed to load", "--timeout", 100)
    assert result.returncode == 0, result.stderr


# The domain XML.

DOMAIN = """<domain type='kvm'>
  <name>it</name>
  <memory unit='MiB'>512</memory>
  <vcpu>4</vcpu>
  <cpu mode='host-passthrough'><topology sockets='2' cores='2' threads='1'/></cpu>
  <os firmware='efi'><type arch='x86_64' machine='q35'>hvm</type>
    <firmware><feature enabled='no' name='secure-boot'/></firmware></os>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='printer.raw'/>
      <target dev='vda' bus='virtio'/><serial>abc</serial><boot order='1'/></disk>
    <disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>
    <interface type='network'><mac address='00:50:56:00:00:07'/><model type='virtio'/></interface>
    <memballoon model='virtio'/>
  </devices>
</domain>
"""


def command_of(tmp_path, text):
    (tmp_path / "it.xml").write_text(text)
    result = boot("--xml", tmp_path / "it.xml", "--dry-run")
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_xml_is_honoured(printer, tmp_path):
    command = command_of(tmp_path, DOMAIN)
    for part in ("-machine q35\n", "-smp 4,sockets=2,cores=2,threads=1\n", "-m 512M\n", "-cpu max\n", "-snapshot\n",
                 "OVMF_CODE_4M.fd", f"format=raw,file={tmp_path}/printer.raw", "serial=abc", "mac=00:50:56:00:00:07",
                 "restrict=on", "virtio-balloon-pci"):
        assert part in command
    assert re.search(r"virtio-net-pci,.*bus=port1\n", command)
    assert re.search(r"virtio-blk-pci,.*bootindex=1.*bus=port2\n", command)


def test_xml_boots(printer, tmp_path):
    text = DOMAIN.replace(" firmware='efi'", "").replace("host-passthrough", "host-model")
    (tmp_path / "it.xml").write_text(text)
    result = boot("--xml", tmp_path / "it.xml", "--expect", "all done", "--timeout", 60)
    assert result.returncode == 0, result.stderr


def test_xml_secure_boot(printer, tmp_path):
    command = command_of(tmp_path, DOMAIN.replace("enabled='no'", "enabled='yes'"))
    assert "-machine q35,smm=on" in command
    assert "OVMF_CODE_4M.ms.fd" in command


def test_xml_addresses_are_kept(printer, tmp_path):
    address = "<address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>"
    command = command_of(tmp_path, DOMAIN.replace("<serial>", address + "<serial>"))
    assert re.search(r"virtio-blk-pci,.*bus=port1,addr=0x0\n", command)
    assert re.search(r"virtio-net-pci,.*bus=port2\n", command)


@pytest.mark.parametrize("old, new", [
    ("<domain ", "<network "), ("'virtio'/><serial>", "'usb'/><serial>"), ("unit='MiB'", "unit='barrel'"),
    ("type='virtio'/></interface>", "type='ne2k_pci'/></interface>"),
    ("</devices>", "<hostdev/></devices>"), ("<source file='printer.raw'/>", "<source name='volume'/>")])
def test_xml_that_cannot_be_built_is_refused(printer, tmp_path, old, new):
    assert old in DOMAIN
    (tmp_path / "it.xml").write_text(DOMAIN.replace(old, new).replace("</domain>" if "network" in new else "\0",
                                                                      "</network>"))
    result = boot("--xml", tmp_path / "it.xml", "--expect", "x")
    assert result.returncode == 2
    assert "lab/boot:" in result.stderr


# The guest itself.


@pytest.mark.guest
def test_guest_is_one_of_vmware(lab_guest):
    """It comes up as it would on VMware, goes down at the power button, and was not written to."""
    facts = json.loads((lab_guest / "guest.json").read_text())
    nic = facts["nic"]
    result = boot("--vmware", "--disk", lab_guest / "system.raw", "--disk", lab_guest / "data.raw", "--shutdown",
                  "--last", facts["login_prompt"],
                  "--expect", f"LAB-REPORT nic ens192 {nic['mac']} up {nic['address']} vmxnet3",
                  "--expect", "LAB-REPORT disk / sda1 vmw_pvscsi", "--expect", "LAB-REPORT disk /data sdb1 sym53c8xx",
                  "--expect", "LAB-REPORT open-vm-tools present", "--expect", "LAB-REPORT failed-units 0",
                  "--expect", f"LAB-REPORT data ok {len(facts['data_files'])}", "--timeout", 600, seconds=800)
    assert result.returncode == 0, result.stderr
    for disk in facts["disks"]:
        with open(lab_guest / disk["file"], "rb") as file:
            assert hashlib.file_digest(file, "sha256").hexdigest() == disk["sha256"]


@pytest.mark.guest
def test_guest_needs_conversion(lab_guest):
    """As it stands, it does not find its root on virtio."""
    result = boot("--disk", lab_guest / "system.raw", "--disk", lab_guest / "data.raw", "--expect", "login:",
                  "--timeout", 600, seconds=700)
    assert result.returncode == 1
    assert "the guest gave up: ALERT!" in result.stderr
