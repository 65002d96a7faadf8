"""lab/vddk, the double of libvixDiskLib: what the real library does not forgive ends the process here, each fault of
its configuration happens as it says, and the bytes are those of the disk."""

import os
import re

import pytest

from vddk_scenes import DOUBLE, MIB, SIGABRT, SIGSEGV, good, make_disk, run


@pytest.fixture(scope="module", name="disk")
def disk_of_the_module(tmp_path_factory):
    return make_disk(tmp_path_factory.mktemp("vddk") / "disk.raw")


# Rules.

ASYNC = "lab.local_transport=nbdssl\n"
SLOW = ASYNC + "lab.latency_ms=300\n"
VIOLATIONS = {
    "not initialised": ("lib.c.ListTransportModes()", "ListTransportModes before InitEx"),
    "init twice": ("begun(); begun()", "InitEx twice"),
    "init in a thread": ("in_thread(begun).join()", "InitEx from thread"),
    "no log function": ("lib.init(loggers=[ctypes.cast(lib.logger, PLACE), None, ctypes.cast(lib.logger, PLACE)])",
                        r"NULL log function \(log given, warn NULL, panic given\)"),
    "fork": ("begun(); os.fork()", "fork after InitEx"),
    "after exit": ("begun(); lib.c.Exit(); lib.params()", "AllocateConnectParams after Exit"),
    "vmxSpec": ("begun(); lib.connect(lib.params(**{**REMOTE, 'vmx_spec': None}))", "ConnectEx with vmxSpec NULL"),
    "serverName": ("begun(); lib.connect(lib.params(**{**REMOTE, 'server': None}))", "ConnectEx with serverName NULL"),
    "userName": ("begun(); lib.connect(lib.params(**{**REMOTE, 'user': None}))", "ConnectEx with userName NULL"),
    "password": ("begun(); lib.connect(lib.params(**{**REMOTE, 'password': None}))", "ConnectEx with password NULL"),
    "key": ("begun(); lib.connect(lib.params(**REMOTE, cookie='c', key=None))", "ConnectEx with key NULL"),
    "credType": ("begun(); p = lib.params(**REMOTE); p.contents.cred_type = 3; lib.connect(p)", "credType 3"),
    "dirty params": ("begun(); p = lib.params(**REMOTE); p.contents.state = 1; lib.connect(p)", "not zeroed"),
    "moref": ("begun(); lib.connect(lib.params(**{**REMOTE, 'vmx_spec': 'vm-16'}))", 'vmxSpec "vm-16"'),
    "snapshot ref": ("begun(); lib.connect(lib.params(**REMOTE), snapshot='moref=snapshot-3')", "bare moref"),
    "foreign params freed": ("begun(); lib.c.FreeConnectParams(lib.params(allocate=False))",
                             "FreeConnectParams.*: no block of this library"),
    "params freed twice": ("begun(); p = lib.params(); lib.c.FreeConnectParams(p); lib.c.FreeConnectParams(p)",
                           "FreeConnectParams.*given back before"),
    "text freed as info": ("begun(); lib.c.FreeInfo(lib.c.GetErrorText(3, None))", "of kind: error text"),
    "two threads at once": ("d = opened(); in_thread(lib.read, d, 0, 1)\n"
                            "while lib.c.GetTransportMode(d): pass", "on the same handle"),
    "another thread later": ("d = opened(); lib.read(d, 0, 1); in_thread(lib.read, d, 0, 1).join()",
                             "Read in thread .* has used this handle before"),
    "opens at once": ("begun(); c = lib.connect(lib.params()); in_thread(lib.open, c, PATH); lib.open(c, PATH)",
                      "while Open runs in thread"),
    "connect during open": ("begun(); c = lib.connect(lib.params()); in_thread(lib.open, c, PATH)\n"
                            "while True: lib.c.Disconnect(lib.connect(lib.params()))",
                            "while (Open|ConnectEx|Disconnect) runs"),
    "close with requests": ("lib.c.Close(sent(opened()))",
                            "Close with 1 requests outstanding"),
    "close without wait": ("g = Gate(); d = sent(opened(), g.done()); g.wait(1); lib.c.Close(d)",
                           "without Wait"),
    "flush before wait": ("lib.c.Flush(sent(opened()))", "Flush with 1 requests"),
    "disconnect first": ("d = opened(); lib.c.Disconnect(lib.connection)", "Disconnect with 1 disks open"),
    "exit first": ("d = opened(); lib.c.Exit()", "Exit with 1 disks open"),
    "closed twice": ("d = opened(); lib.c.Close(d); lib.c.Close(d)", "Close on a handle that was closed"),
    "no handle": ("d = opened(); lib.c.Read(12345, 0, 1, buffer(1))", "no handle of this library"),
    "connection gone": ("lib.c.Close(opened()); lib.c.Disconnect(lib.connection)\n"
                        "lib.open(lib.connection, PATH)",
                        "Open on a connection that was ended"),
    "no buffer": ("d = opened(); lib.c.Read(d, 0, 1, None)", "Read without a buffer"),
    "call in a completion": ("d = opened(); lib.c.Wait(sent(d, lambda r: lib.c.Wait(d)))",
                             "Wait is called from within a completion"),
    "buffer written early": ("m = buffer(8); d = sent(opened(), print, m, 8); ctypes.memset(m, 0, 4096); lib.c.Wait(d)",
                             "sectors 0 [+] 8 was touched before"),
    "buffer used twice": ("m = buffer(8); sent(sent(opened(), print, m, 8), print, m, 8)",
                          "still that of another"),
    "buffer unmapped": ("m = buffer(8); d = sent(opened(), print, m, 8)\n"
                        "LIBC.munmap(PLACE(ctypes.addressof(m)), ctypes.c_size_t(4096)); lib.c.Wait(d)",
                        "given back before the request was complete"),
    "strings freed": ("begun(); text = ctypes.create_string_buffer(b'password'); p = lib.params(**REMOTE)\n"
                      "p.contents.creds.uid.password = ctypes.cast(text, TEXT); c = lib.connect(p)\n"
                      "text.value = b'gone'; lib.c.Disconnect(c)",
                      "Disconnect: the caller's string password was freed or changed"),
    "leak": ("begun(); lib.c.GetErrorText(3, None); lib.c.Exit()", "1 blocks not given back at Exit"),
    "cleanup of a machine": ("begun(); n = ctypes.c_uint32(); lib.c.Cleanup(lib.params(**REMOTE), ctypes.byref(n), "
                             "ctypes.byref(n))", "it must be NULL"),
    "unknown setting": ("os.environ['LAB_VDDK_CONFIG'] = ARGS[0]; begun()", "lab.latency: no such key"),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violation_aborts(disk, tmp_path, name):
    script, words = VIOLATIONS[name]
    wrong = tmp_path / "wrong"
    wrong.write_text("lab.latency = 3\n")
    result = run(script, disk, SLOW + "lab.open_ms=300\nlab.leak_abort=1\n" if name != "close without wait" else ASYNC,
                 arguments=[wrong])
    assert result.returncode == -SIGABRT, (result.returncode, result.stderr)
    lines = [line for line in result.stderr.splitlines() if "VIOLATION" in line]
    assert len(lines) == 1 and re.search(r"^lab/vddk: VIOLATION: .*" + words, lines[0]), result.stderr


def test_what_is_allowed(disk):
    """As nbdkit uses it: params freed before Disconnect, several handles; and a program started by vfork."""
    assert good("""
import subprocess
begun()
subprocess.run(["true"], check=True)
c = lib.connect(lib.params(**REMOTE))
lib.free_params()
lib.c.Disconnect(c)
d = lib.open_local(PATH)
e = lib.open(lib.connection, PATH)
a, b = [], []
t = in_thread(lambda: a.append(lib.read(d, 0, 100))); b.append(lib.read(e, 0, 100)); t.join()
assert a == b
lib.c.FreeErrorText(lib.c.GetErrorText(16064, None))
lib.end(d, e)
print("ended")
""", disk) == "ended\n"


def test_leak_and_missing_exit_are_said(disk):
    leak = run("begun(); lib.c.GetErrorText(3, None); lib.params(); lib.c.Exit()", disk)
    assert leak.returncode == 0
    assert "lab/vddk: LEAK: 1 of kind error text" in leak.stderr
    assert "lab/vddk: LEAK: 1 of kind connect params" in leak.stderr
    assert "REPORT: the process ends without Exit" in run("begun()", disk).stderr


# Errors.

CODES = {
    "nothing": ("lib.read(d, 0, 0)", 3), "outside": ("lib.read(d, 18435, 1)", 16007),
    "across the end": ("lib.read(d, 18434, 2)", 16007),
    "overflow": ("lib.check('Read', lib.c.Read(d, (1 << 64) - 1, 2, buffer(1)))", 16007),
    "too large": ("lib.read(d, 0, 30000)", 16007),
    "read only": ("lib.check('Write', lib.c.Write(d, 0, 1, buffer(1)))", 11),
    "missing": ("lib.open(lib.connection, PATH + '.none')", 4), "relative": ("lib.open(lib.connection, 'disk.raw')", 4),
    "two compressions": ("lib.open(lib.connection, PATH, 4 | 16 | 64)", 3),
    "flags": ("lib.open(lib.connection, PATH, 4 | 4096)", 3),
    "small chunk": ("lib.blocks(d, 0, 64, 64)", 3), "start": ("lib.blocks(d, 64, 128, 128)", 3),
    "count": ("lib.blocks(d, 0, 129, 128)", 3), "tail": ("lib.blocks(d, 0, 18435, 128)", 3),
    "chunks beyond": ("lib.blocks(d, 0, 18560, 128)", 16007), "too many": ("lib.blocks(d, 0, 524289 * 128, 128)", 3),
    "mixed": ("lib.read(sent(d, lambda r: 0), 0, 1)", 26000),
    "blocks mixed": ("lib.blocks(sent(d, lambda r: 0), 0, 128, 128)", 26000),
}


@pytest.mark.parametrize("name", CODES)
def test_error_codes(disk, name):
    script, code = CODES[name]
    out = good(f"d = opened(); said(lambda: {script}); lib.end(d)", disk, ASYNC + "lab.latency_ms=100\n")
    assert out.startswith(f"{code} "), out


def test_requests_above_23_mib_fail(tmp_path):
    big = tmp_path / "big.raw"
    big.touch()
    os.truncate(big, 64 * MIB)
    out = good("""
d = opened()
lib.read(d, 0, 23 << 11)
try: lib.read(d, 0, (23 << 11) + 1)
except VixError as e: print(e.code, e)
lib.end(d)""", big)
    assert out.startswith("2 ") and "NFC error 5: Failed to allocate the requested 24117760 bytes" in out


@pytest.mark.parametrize("version,good_one", [((6, 5), True), ((5, 0), True), ((8, 0), True), ((9, 0), False),
                                              ((1, 0), False)])
def test_versions(disk, version, good_one):
    """A refused version may be followed by another one, as Coriolis does."""
    out = good(f"r = lib.c.InitEx({version[0]}, {version[1]}, *[ctypes.cast(lib.logger, PLACE)] * 3, None, None)\n"
               "print(r)\nif r: begun()\nlib.c.Exit()", disk)
    assert (out == "0\n") == good_one


# Bytes.

READ_ALL = """
d = opened()
n, step = lib.capacity(d), int(ARGS[1]) if len(ARGS) > 1 else 128
memory, gate, order = {}, Gate(), []
for start in range(0, n, step):
    memory[start] = buffer(min(step, n - start))
    r = lib.read_async(d, start, min(step, n - start), memory[start], gate.done(start))
    assert r == ASYNC, r
lib.c.Wait(d) if hasattr(lib.c, "Wait") else gate.wait(len(memory))
assert [r for _, r, _ in gate.results] == [0] * len(memory), gate.results
with open(ARGS[0], "wb") as f:
    for start in sorted(memory): f.write(memory[start].raw[:min(step, n - start) * 512])
tags = [tag for tag, _, _ in gate.results]
me, threads = threading.get_native_id(), {thread for _, _, thread in gate.results}
print("sorted" if tags == sorted(tags) else "shuffled",
      "inside" if threads == {me} else "mixed" if me in threads else "thread")
lib.end(d)
"""


@pytest.mark.parametrize("config,how", [
    ("", "sorted inside"), (ASYNC, r"\w+ thread"), (ASYNC + "lab.threads=8\n", r"\w+ thread"),
    (ASYNC + "lab.jitter_ms=30\n", "shuffled thread"),
    (ASYNC + "lab.completion=mixed\nlab.latency_ms=1\n", r"\w+ mixed"),
    (ASYNC + "lab.completion=inside\n", "sorted inside"), (ASYNC + "lab.noise=1\n", r"\w+ thread"),
    ("lab.completion=thread\nlab.bandwidth_mib_s=100\n", r"\w+ thread")])
def test_asynchronous_reads(disk, tmp_path, config, how):
    out = good(READ_ALL, disk, config, arguments=[tmp_path / "copy"])
    assert re.fullmatch(how + "\n", out), out
    assert (tmp_path / "copy").read_bytes() == disk.read_bytes()


BEFORE_67 = {"AllocateConnectParams", "QueryAllocatedBlocks", "FreeBlockList"}


@pytest.mark.parametrize("variant,symbols", [
    ("v9", {}), ("v7", {}), ("v67", {}), ("v65", BEFORE_67), ("v60", BEFORE_67 | {"Wait"}),
    ("v55", BEFORE_67 | {"Wait", "ReadAsync", "WriteAsync", "Flush"}), ("broken", {"Open"})])
def test_variants(disk, tmp_path, variant, symbols):
    out = good("print(sorted(set(SIGNATURES) - set(dir(lib.c))))", disk, variant=variant)
    assert out == f"{sorted(symbols)}\n"
    if variant != "broken":
        at_once = "d = opened(); print(lib.read(d, 0, 9) == open(PATH, 'rb').read(4608)); lib.end(d)"
        out = good(at_once if variant == "v55" else READ_ALL, disk, variant=variant, arguments=[tmp_path / "copy"])
        assert out in ("sorted inside\n", "True\n")
        out = good("d = opened(); print(lib.info(d)['logical']); lib.end(d)", disk, variant=variant)
        assert (out == "512\n") == (variant in ("v7", "v9"))


def test_library_that_is_another(disk):
    assert good("print(dir(lib.c) and hasattr(lib.c, 'InitEx'))", disk, variant="none") == "False\n"
    real = (DOUBLE / "variants/v9/lib64/libvixDiskLib.so.9").resolve()
    assert real.name == "libvixDiskLib.so.9.0.1"


def test_allocated_blocks(disk):
    out = good("""
d = opened()
print(lib.blocks(d, 0, 18432, 128), lib.blocks(d, 2048, 2048, 2048), lib.blocks(d, 8192, 2048, 128))
lib.end(d)""", disk)
    assert out == "[(0, 6144), (14336, 4096)] [(2048, 2048)] []\n"
    all_of_it = "d = opened(); print(lib.blocks(d, 0, 18432, 128)); lib.end(d)"
    assert good(all_of_it, disk, "lab.query_all=1\n") == "[(0, 18432)]\n"
    failing = "d = opened(); said(lib.blocks, d, 0, 128, 128); lib.end(d)"
    assert good(failing, disk, "lab.query_error=16052\n").startswith("16052 ")


def test_flat_vmdk_and_its_metadata(disk, tmp_path):
    descriptor = tmp_path / "web 01.vmdk"
    (tmp_path / "web 01-flat.vmdk").write_bytes(disk.read_bytes())
    descriptor.write_text('# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="vmfs"\n'
                          '# Extent description\nRW 18435 VMFS "web 01-flat.vmdk"\n'
                          'ddb.adapterType = "lsilogic"\nddb.uuid = "60 00 C2 9a"\n')
    out = good("""
d = opened()
print(lib.info(d), lib.read(d, 18434, 1) == open(ARGS[0], "rb").read()[-512:])
need = ctypes.c_size_t(); room = buffer(1)
assert lib.c.GetMetadataKeys(d, None, 0, ctypes.byref(need)) == 24
lib.check("keys", lib.c.GetMetadataKeys(d, ctypes.byref(room), 512, ctypes.byref(need)))
print(room.raw[:need.value])
lib.check("read", lib.c.ReadMetadata(d, b"uuid", ctypes.byref(room), 512, ctypes.byref(need)))
print(room.value, lib.c.ReadMetadata(d, b"none", ctypes.byref(room), 512, None))
lib.end(d)""", descriptor, arguments=[disk])
    assert "'capacity': 18435" in out and "b'60 00 C2 9a'" in out and " True\n" in out
    assert "b'adapterType\\x00uuid\\x00\\x00'" in out and "b'60 00 C2 9a' 16052\n" in out
    descriptor.write_text(descriptor.read_text().replace("ffffffff", "12345678"))
    assert good("said(opened); lib.end()", descriptor).startswith("16012 ")


def test_writes(disk, tmp_path):
    copy = tmp_path / "copy.raw"
    copy.write_bytes(disk.read_bytes())
    good("""
begun(); d = lib.open_local(PATH, 0); m = buffer(2); m[0:1024] = b"w" * 1024
lib.check("Write", lib.c.Write(d, 5, 2, m))
g = Gate(); f = DONE(lambda _, r: g.done()(r))
assert lib.c.WriteAsync(d, 9, 1, m, f, None) == ASYNC
lib.c.Wait(d); lib.check("Flush", lib.c.Flush(d)); assert g.results[0][1] == 0
lib.end(d)""", copy)
    want = bytearray(disk.read_bytes())
    want[5 * 512:7 * 512] = b"w" * 1024
    want[9 * 512:10 * 512] = b"w" * 512
    assert copy.read_bytes() == want


# Faults.

READS = """
d = opened(); results = []
for i in range(6):
    g = Gate(); r = lib.read_async(d, i, 1, buffer(1), g.done())
    lib.c.Wait(d)
    results.append((r if r != ASYNC else "") or g.results[0][1] if g.results else "none" if r == 0 else r)
print(*results)
lib.end(d)
"""


@pytest.mark.parametrize("fault,results", [
    ("lab.read_fail=3:36", "0 0 36 0 0 0"), ("lab.read_fail=2:14011:3", "0 14011 14011 14011 0 0"),
    ("lab.read_fail=*:13", "13 13 13 13 13 13"), ("lab.read_fail=1\nlab.read_fail=6:4", "1 0 0 0 0 4"),
    ("lab.read_fail=2:0x400800000000000d", f"0 {0x400800000000000d} 0 0 0 0"),
    ("lab.read_lost=3:14011", "0 0 14011 14011 14011 14011"), ("lab.read_zero=3", "0 0 none 0 0 0"),
    ("lab.read_fail=3:36\nlab.fail_at_call=1", "0 0 36 0 0 0"),
    ("lab.nfc_memory_kib=0.25\nlab.nfc_memory_error=5", "5 5 5 5 5 5")])
def test_read_faults(disk, fault, results):
    assert good(READS, disk, ASYNC + fault + "\n") == results + "\n"


def test_nfc_memory_is_shared_by_what_is_in_flight(disk):
    out = good("""
d = opened(); g = Gate()
for i in range(6): lib.read_async(d, i * 2048, 2048, buffer(2048), g.done(i))
lib.c.Wait(d)
print(*[r for _, r, _ in sorted(g.results)], any("Failed to allocate the requested 1048576" in l for l in lib.log))
lib.read_async(d, 0, 2048, buffer(2048), g.done(9)); lib.c.Wait(d); print(g.results[-1][1])
lib.end(d)""", disk, ASYNC + "lab.latency_ms=50\nlab.nfc_memory_kib=4096\n")
    assert out == "0 0 0 0 2 2 True\n0\n"


@pytest.mark.parametrize("key,signal", [("lab.read_crash", SIGSEGV), ("lab.read_abort", SIGABRT),
                                        ("lab.open_crash", SIGSEGV)])
def test_crash_once_over_several_processes(disk, tmp_path, key, signal):
    config = f"{ASYNC}{key}=*@{tmp_path / 'marker'}\n"
    assert run(READS, disk, config).returncode == -signal
    assert good(READS, disk, config) == "0 0 0 0 0 0\n"


def test_slow_and_late(disk):
    out = good("""
begun(); t = [time.monotonic()]; lap = lambda: t.append(time.monotonic())
d = lib.open_local(PATH); lap(); lib.blocks(d, 0, 128, 128); lap(); lib.read(d, 0, 1); lap(); lib.read(d, 0, 1); lap()
print(*[round((b - a) * 1000) for a, b in zip(t, t[1:])]); lib.end(d)""",
               disk, "lab.open_ms=60\nlab.query_ms=80\nlab.latency_ms=20\nlab.read_hang=2:300\n")
    opened, query, read, hang = map(int, out.split())
    assert opened >= 60 and query >= 80 and 20 <= read and hang >= 320


def test_faults_outside_of_reads(disk):
    script = """
try:
    d = opened(); print(lib.capacity(d), lib.c.GetTransportMode(d).decode()); lib.end(d)
except VixError as e: print(e.code)
"""
    assert run(script, disk, "lab.open_fail=1:16064\n").stdout == "16064\n"
    assert run(script, disk, "lab.connect_fail=1:3\n").stdout == "3\n"
    assert run(script, disk, "lab.init_error=16053\n").stdout == "16053\n"
    assert run(script, disk, "lab.info_error=7\n").stdout == "7\n"
    assert good(script, disk, "lab.capacity_sectors=0\n") == "0 file\n"
    noise = "d = opened(); print(any('VDDK_PhoneHome:' in l for l in lib.log)); lib.end(d)"
    assert good(noise, disk, "lab.noise=1\n") == "True\n" and good(noise, disk) == "False\n"
    assert run("lib.init('/nowhere/at/all')", disk).stderr.count("VixError 4") == 1


# As a remote one, with the datastores in a directory.

REMOTE_READ = """
begun()
for word in ARGS[1:]: REMOTE[word.split("=")[0]] = word.split("=", 1)[1]
own = REMOTE.pop("own", None)
try:
    c = lib.connect(lib.params(allocate=not own, **REMOTE), snapshot=None, transports=REMOTE.get("transports"))
    d = lib.open(c, ARGS[0]); print(lib.c.GetTransportMode(d).decode(), lib.read(d, 0, 1) == open(PATH, "rb").read(512))
    lib.check("Close", lib.c.Close(d)); lib.check("Disconnect", lib.c.Disconnect(c)); lib.kept = [] if own else lib.kept
    lib.free_params(); lib.c.Exit()
except VixError as e: print(e.code, *[l for l in lib.log if "actual thumbprint" in l])
"""


@pytest.mark.parametrize("words,out", [
    ((), "nbdssl True"), (("transports=nbd:nbdssl",), "nbd True"), (("transports=file:hotadd:nbd",), "nbd True"),
    (("transports=hotadd:san",), "6"), (("own=1",), "nbd True"), (("password=wrong",), "35"), (("user=other",), "35"),
    (("thumbprint=AA:BC",), r"1 .*actual thumbprint=AA:BB expected=AA:BC"), (("cookie=C", "key=secret"), "nbdssl True"),
    (("cookie=D", "key=secret"), "35"), (("cookie=C", "key=no"), "35")])
def test_remote_manners(disk, words, out):
    (disk.parent / "ds 1/web").mkdir(parents=True, exist_ok=True)
    link = disk.parent / "ds 1/web/web.vmdk"
    link.unlink(missing_ok=True)
    link.hardlink_to(disk)
    config = f"lab.datastores={disk.parent}\nlab.user=root\nlab.password=secret\nlab.cookie=C\nlab.thumbprint=AA:BB\n"
    got = run(REMOTE_READ, disk, config, arguments=["[ds 1] web/web.vmdk", *words]).stdout
    assert re.fullmatch(out + "\n", got), got


def test_remote_limits(disk):
    base = f"lab.datastores={disk.parent}\n"
    name = ["[ds 1] web/none.vmdk"]
    assert run(REMOTE_READ, disk, base, arguments=name).stdout == "4\n"
    aio = "vixDiskLib.nfcAio.Session.BufSizeIn64KB=%d\nvixDiskLib.nfcAio.Session.BufCount=%d\n"
    assert run(REMOTE_READ, disk, base + aio % (32, 9), arguments=name).stdout == "1\n"
    assert run(REMOTE_READ, disk, base + aio % (33, 1), arguments=name).stdout == "1\n"
    assert run(REMOTE_READ, disk, base + aio % (16, 4), arguments=name).stdout == "4\n"


def test_plugin_is_found_by_the_library_path(disk):
    script = "begun(); print(lib.c.ListTransportModes().decode()); lib.c.Exit()"
    assert good(script, disk, "lab.need_plugin=1\n", variant="whole") == "file\n"
    assert good(script, disk, "lab.need_plugin=1\n", variant="whole",
                env={"LD_LIBRARY_PATH": str(DOUBLE / "variants/whole/lib64")}) == "file:nbdssl:nbd\n"
