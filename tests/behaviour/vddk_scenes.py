"""Using lab/vddk, the double of libvixDiskLib, from tests: each scene is a few lines of Python on lab/vddk/client.py,
run in a process of its own, for what the double does not forgive ends the process."""

import hashlib
import os
import pathlib
import random
import subprocess
import sys

from places import LAB, TOP

BUILD = pathlib.Path(os.environ.get("VMFERRY") or TOP / "build/src/cli/vmferry").resolve().parents[2]
DOUBLE = BUILD / "lab/vddk"
SIGABRT, SIGSEGV = 6, 11
MIB = 1 << 20
NFC_USER = "administrator@vsphere.local"

# What each script begins with. `disk` is a local one with the config that the test gave; PATH, ARGS are the test's.
PRELUDE = """
import os, sys, threading, time
sys.path.insert(0, %r)
from client import *
PATH, CONFIG, *ARGS = sys.argv[2:]
lib = Library(sys.argv[1])

def in_thread(function, *arguments):
    thread = threading.Thread(target=function, args=arguments)
    thread.start()
    return thread

def begun(versions=((6, 5), (6, 0), (5, 5))):
    for version in versions:
        try:
            return lib.init(CONFIG or None, *version)
        except VixError as error:
            if error.code != 6 or version == versions[-1]:
                raise

def opened():
    begun()
    return lib.open_local(PATH)

def sent(d, done=print, memory=None, n=1):
    lib.read_async(d, 0, n, memory or buffer(n), done)
    return d

def said(function, *arguments):
    # What went wrong: the code and the last of the log; or "good".
    try: function(*arguments)
    except VixError as e: print(e.code, "|".join(lib.log[-3:]))
    else: print("good")

REMOTE = dict(vmx_spec="moref=vm-16", server="vc.lab", thumbprint="AA:BB", user="root", password="secret")
""" % str(LAB / "vddk")


def make_disk(path):
    """9 MiB and 3 sectors: data, a hole of 4 MiB, data."""
    assert (DOUBLE / "libvixDiskLib.so.8").exists(), f"{DOUBLE} is not built; run make, or say VMFERRY=PROGRAM"
    noise = random.Random(7)
    with open(path, "wb") as file:
        file.write(noise.randbytes(3 * MIB))
        file.seek(7 * MIB)
        file.write(noise.randbytes(2 * MIB + 3 * 512))
    return path


def run(script, path, config="", variant=None, arguments=(), env=None):
    """Run the script in a process of its own; -> CompletedProcess."""
    config_path = ""
    if config:
        config_path = pathlib.Path(path).with_name(f"config-{hashlib.sha1(config.encode()).hexdigest()[:12]}")
        config_path.write_text(config)
    library = DOUBLE / "libvixDiskLib.so.8"
    if variant:
        library = next((DOUBLE / "variants" / variant / "lib64").glob("libvixDiskLib.so.?"))
    # No core dump of a process that is made to abort.
    command = ["sh", "-c", 'ulimit -c 0; exec "$0" "$@"', sys.executable, "-c", PRELUDE + script, library, path,
               config_path]
    return subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120,
                          env={**os.environ, **(env or {})})


def good(script, path, config="", **more):
    """Run a script that must end well; what it prints."""
    result = run(script, path, config, **more)
    assert result.returncode == 0, result.stderr
    assert "VIOLATION" not in result.stderr and "LEAK" not in result.stderr
    return result.stdout
