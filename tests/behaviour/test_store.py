"""The store from outside: killed at every write, on a disk that fails or is full, with ten thousand migrations.

tests/unit/store/store-steps does known changes one after the other and says when each has returned. Whatever happens to
it, what is stored then must be what so many changes amount to: all that returned, and at most the one under way.
"""

import os
import re
import shutil
import sqlite3
import subprocess

import pytest

from places import TOP

# What SQLite and the lock do to the disk; a step may do many of them, and each is a place to die. To close is to copy
# the journal into the database page by page: of so many calls, every Nth is tried.
CALLS = [("pwrite64", 9), pytest.param("pwrite64", 1, marks=pytest.mark.soak), ("fdatasync,fsync", 1), ("ftruncate", 1),
         ("unlink", 1), ("openat", 1)]
# How a disk says no, and what we make of it.
FAULTS = [("pwrite64", 21, "ENOSPC", "io"), ("pwrite64", 23, "EIO", "io"), ("fdatasync,fsync", 1, "EIO", "io"),
          ("ftruncate", 1, "EIO", "io"), ("openat", 1, "EACCES", "denied")]


@pytest.fixture(scope="module", name="program")
def fixture_program(vmferry):
    program = vmferry.parents[2] / "tests/unit/store/store-steps"
    assert os.access(program, os.X_OK), f"{program} is not built"
    return program


@pytest.fixture(name="place")
def fixture_place(tmp_path_factory):
    """A folder in memory: what is tested is what was written and when, not the disk."""
    place = tmp_path_factory.mktemp("store")
    memory = "/dev/shm/" + place.name
    shutil.rmtree(memory, ignore_errors=True)
    os.mkdir(memory)
    yield memory + "/vmferry.db"
    shutil.rmtree(memory)


class Steps:
    def __init__(self, program):
        self.program = program
        self.count = int(self.call("count").stdout)

    def call(self, *arguments, under=()):
        env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}   # it cannot under strace
        return subprocess.run([*under, self.program, *map(str, arguments)], capture_output=True, text=True, env=env,
                              check=False, timeout=120)

    def run(self, path, first=0, end=None, under=()):
        """How many steps have returned, and how it ended."""
        done = self.call("run", path, first, self.count if end is None else end, under=under)
        return len(done.stdout.split()), done

    def dump(self, path):
        done = self.call("dump", path)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module", name="steps")
def fixture_steps(program):
    return Steps(program)


@pytest.fixture(scope="module", name="wanted")
def fixture_wanted(steps, tmp_path_factory):
    """What is stored after each number of steps."""
    wanted = []
    for n in range(steps.count + 1):
        path = tmp_path_factory.mktemp("wanted") / "vmferry.db"
        assert steps.run(path, 0, n)[1].returncode == 0
        wanted.append(steps.dump(path))
    return wanted


def fresh(path):
    for suffix in ["", "-journal", "-wal", "-shm", "-lock"]:
        if os.path.exists(path + suffix):
            os.unlink(path + suffix)


def check_and_finish(steps, path, returned, wanted, what, under_way=0):
    """All that returned is there, and at most what was under way; and from there it goes on to the end."""
    found = steps.dump(path)
    assert found in wanted[returned:returned + 1 + under_way], f"{what}: after {returned} steps:\n{found[:2000]}"
    first = returned if found == wanted[returned] else returned + 1
    rest, done = steps.run(path, first)
    assert (rest, done.returncode) == (steps.count - first, 0), f"{what}: {done.stderr}"
    assert steps.dump(path) == wanted[-1], what


def inject(place, calls, what):
    """strace, with what it is to do at one of the calls on the store's files."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    files = [os.path.dirname(place), *(place + suffix for suffix in ["", "-journal", "-wal", "-shm", "-lock"])]
    return ["strace", "-qq", "-o", place + ".trace", *(word for it in files for word in ("-P", it)),
            "-e", f"trace={calls}", "-e", f"inject={calls}:{what}"]


def was_injected(place):
    with open(place + ".trace", encoding="ascii", errors="replace") as trace:
        return "(INJECTED)" in trace.read()


@pytest.mark.parametrize("calls, stride", CALLS)
def test_killed_at_every_call(calls, stride, steps, wanted, place):
    killed = 0
    for nth in range(1, 10000, stride):
        fresh(place)
        returned, done = steps.run(place, under=inject(place, calls, f"signal=KILL:when={nth}"))
        if done.returncode == 0:
            break   # there is no such call
        killed += 1
        check_and_finish(steps, place, returned, wanted, f"killed at {calls} {nth}", 1)
    assert killed >= 5


@pytest.mark.parametrize("calls, stride, errno, kind", FAULTS)
def test_a_disk_that_fails_is_an_error(calls, stride, errno, kind, steps, wanted, place):
    """Once, and then works again: the call that met it fails or can do without, and nothing else is the worse for it."""
    failed = 0
    for nth in range(1, 10000, stride):
        fresh(place)
        what = f"{errno} at {calls} {nth}"
        returned, done = steps.run(place, under=inject(place, calls, f"error={errno}:when={nth}"))
        if not was_injected(place):
            break   # there is no such call
        if done.returncode == 0:
            assert returned == steps.count, what
        else:
            failed += 1
            assert done.returncode == 1 and done.stderr.startswith(f"{kind}: {place}"), f"{what}: {done}"
        check_and_finish(steps, place, returned, wanted, what)
    assert failed >= 1


def test_said_only_when_durable(steps, place):
    """Being killed does not lose what the kernel has; losing power would. So each step syncs before it is over."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    trace = place + ".trace"
    done = steps.call("run", place, 0, steps.count, under=["strace", "-qq", "-y", "-o", trace, "-e",
                                                           "trace=write,pwrite64,fdatasync,fsync"])
    assert done.returncode == 0, done.stderr
    synced, said = True, 0
    with open(trace, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith("pwrite64") and f"<{place}" in line and "-shm>" not in line:
                synced = False
            elif re.match(r"f(data)?sync", line):
                synced = True
            elif line.startswith("write(1"):
                assert synced, f"step {said} was over before it was durable"
                said += 1
    assert said == steps.count


@pytest.mark.asan
def test_a_full_disk(steps, wanted, tmp_workdir):
    """Of any size: a step that finds no room says so, what returned stays, and with room again it goes on."""
    full = 0
    where = tmp_workdir / "small"
    where.mkdir()
    for size_kib in range(64, 2048, 96):
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", where],
                                 capture_output=True, text=True, check=False)
        if mounted.returncode:
            pytest.skip(f"mount is not permitted here: {mounted.stderr.strip()}")
        try:
            path = f"{where}/vmferry.db"
            returned, done = steps.run(path)
            if done.returncode:
                full += 1
                assert done.stderr.startswith(f"io: {path}: ") and "pace" in done.stderr, done.stderr
            subprocess.run(["mount", "-o", "remount,size=64m", where], check=True)
            check_and_finish(steps, path, returned, wanted, f"{size_kib} KiB")
        finally:
            subprocess.run(["umount", where], check=True)
    assert full >= 5


def test_a_read_only_file_system(steps, wanted, tmp_workdir):
    where = tmp_workdir / "ro"
    where.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", where], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"mount is not permitted here: {mounted.stderr.strip()}")
    try:
        path = f"{where}/vmferry.db"
        assert steps.run(path, 0, 5)[0] == 5
        subprocess.run(["mount", "-o", "remount,ro", where], check=True)
        done = steps.call("dump", path)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"denied: {path}-lock: open the lock of the store: Read-only file system\n"
        subprocess.run(["mount", "-o", "remount,rw", where], check=True)
        assert steps.dump(path) == wanted[5]
    finally:
        subprocess.run(["umount", where], check=True)


def test_ten_thousand_migrations(steps, place):
    """Bounds that a busy machine keeps too; a list that looked at every document would take seconds."""
    done = steps.call("measure", place, 10000)
    assert done.returncode == 0, done.stderr
    found = {what: (int(n), float(ms)) for what, n, ms in (line.split() for line in done.stdout.splitlines())}
    assert {what: n for what, (n, ms) in found.items() if what.startswith(("list", "count"))} == {
        "count": 9995, "list-page": 100, "list-last-page": 100, "list-open": 5, "list-ended-page": 100,
        "list-name": 100, "list-all": 10000}
    slow = {what: ms for what, (n, ms) in found.items() if ms > (1000 if what == "list-all" else 200) and what != "fill"}
    assert not slow, done.stdout


def test_the_schema_is_documented(steps, place):
    """docs/formats/store.md names every table with its columns, and nothing that is not there."""
    assert steps.run(place)[1].returncode == 0
    text = (TOP / "docs/formats/store.md").read_text(encoding="utf-8")
    described = {}
    for table, rows in re.findall(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", text, re.M | re.S):
        described[table] = {name for cell in re.findall(r"^\| ([^|]*) \|", rows, re.M)
                            for name in re.findall(r"`(\w+)`", cell)}
    with sqlite3.connect(place) as db:
        tables = [name for name, in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
                  if not name.startswith("sqlite_")]
        stored = {table: {row[1] for row in db.execute(f"PRAGMA table_info({table})")} for table in tables}
        version, = db.execute("PRAGMA user_version").fetchone()
    assert described == stored
    assert f"version {version}" in text


@pytest.mark.soak
def test_locked_by_another_program(steps, wanted, place):
    """Who opens it with sqlite3 and begins to write keeps us waiting for five seconds, and no longer."""
    assert steps.run(place, 0, 3)[0] == 3
    other = sqlite3.connect(place, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    returned, done = steps.run(place, 3)
    assert (returned, done.returncode) == (0, 1)
    assert done.stderr == (f"unavailable: {place}: write to the store: another program holds it locked: "
                           "end that one\n")
    other.execute("ROLLBACK")
    other.close()
    check_and_finish(steps, place, 3, wanted, "locked")
