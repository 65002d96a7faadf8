"""Scenes for the tests of -o libvirt: a libvirtd of their own, and what is asked of it."""

import contextlib
import json
import subprocess

import pytest

from places import LAB
from v2v_scenes import WAIT_SECONDS

# Print the text at 0x7c20 on the first serial port, again and again, waiting for room for each character.
PRINTER = bytes.fromhex("31c0 8ed8 be207c"          # start: ax = ds = 0; si = text
                        "ac 84c0 74f4 88c4"         # next: al = *si++; start if 0; ah = al
                        "bafd03 ec a820 74fb"       # wait: until bit 5 of port 0x3fd is set
                        "baf803 88e0 ee ebe9")      # port 0x3f8 = ah; next


def make_printer(path, text="hello from the disk"):
    """A disk that boots, and says so on its console without end."""
    sector = PRINTER.ljust(32, b"\0") + text.encode() + b"\r\n\0"
    path.write_bytes(sector.ljust(510, b"\0") + b"\x55\xaa" + bytes((1 << 20) - 512))
    return path


class Libvirt:
    """A libvirtd that serves: uri, pool, pool_dir, network, log."""

    def __init__(self, facts):
        self.__dict__.update(facts)

    def virsh(self, *args, given=None, check=True):
        done = subprocess.run(["virsh", "-q", "-c", self.uri, *map(str, args)], capture_output=True, text=True,
                              check=False, timeout=WAIT_SECONDS, input=given)
        assert done.returncode == 0 or not check, f"virsh {args}: {done.stderr}"
        return done.stdout if done.returncode == 0 else None

    def machines(self, *which):
        return sorted(self.virsh("list", "--all", "--name", *which).split("\n"))[1:]


@contextlib.contextmanager
def libvirtd(directory, *options):
    """One that ends with the test. Skips, and says why, where there can be none."""
    process = subprocess.Popen([LAB / "libvirtd", "--dir", directory, *options], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        if not line:
            words = process.communicate(timeout=WAIT_SECONDS)[1]
            if process.returncode == 77:
                pytest.skip(words.strip())
            raise AssertionError(words)
        yield Libvirt(json.loads(line))
    finally:
        process.stdin.close()
        process.wait(timeout=WAIT_SECONDS)
