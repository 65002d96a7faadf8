"""A vmferryd with very many migrations, and what they cost it: for the tests of its limits, and for the benchmark.

`serve` is what starts one, as in daemon_scenes; it may be called again when the one before has ended.
"""

import os
import sqlite3
import time

from daemon_scenes import DONE, WAIT, eventually, ready

WAITING, ENDED = 1000, 10000
ALL_ENDED = f"/migrations?limit={ENDED}"
LISTS = ("/migrations", ALL_ENDED, "/migrations?name=m99*", "/migrations?status=running", f"/migrations/{ENDED - 1:012x}")


def with_a_thousand_waiting(serve):
    daemon = ready(serve())
    daemon.create()
    daemon.next_worker().end(**{**WAIT, "after_s": 3600})
    eventually(lambda: daemon.get("/migrations?status=waiting")["migrations"])
    daemon.stop()
    fill(daemon, WAITING, "waiting", False)
    daemon = ready(serve())
    assert len(daemon.get("/migrations?status=waiting&limit=2000")["migrations"]) == WAITING + 1
    return daemon


def with_ten_thousand_ended(serve):
    daemon = ready(serve())
    daemon.create()
    daemon.next_worker().end(**DONE)
    eventually(lambda: daemon.get("/migrations?status=done")["migrations"])
    daemon.stop()
    fill(daemon, ENDED, "done", True)
    return ready(serve())


def fill(daemon, n, status, ended):
    """Put n migrations into the store of a stopped daemon, like the one that is there."""
    now = int(time.time())
    with sqlite3.connect(daemon.store) as store:
        columns = [row[1] for row in store.execute("PRAGMA table_info(migration)")][1:]
        store.row_factory = sqlite3.Row
        like = dict(store.execute("SELECT * FROM migration").fetchone())
        spec, job = store.execute("SELECT spec, job FROM document").fetchone()
        for i in range(n):
            row = {**like, "id": f"{i:012x}", "key": f"vc1.example.org/name:m{i}", "name": f"m{i}", "moref": f"vm-{i + 1000}",
                   "status": status, "ended": int(ended), "due_at": now + 3600, "updated_at": now, "started_at": now}
            cursor = store.execute(f"INSERT INTO migration ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
                                   [row[column] for column in columns])
            store.execute("INSERT INTO document VALUES (?, ?, ?)", (cursor.lastrowid, spec, job))
            if not ended:
                folder = daemon.control_dir / f"m{i}_vm-{i + 1000}"
                folder.mkdir()
                (folder / "spec.yaml").write_text(spec)
    store.close()


def cost_of_waiting(daemon, seconds):
    """(peak MiB, share of a core) over so many seconds in which nobody asks it anything."""
    _, before_s = memory_and_seconds(daemon.process.pid)
    begun = time.monotonic()
    eventually(lambda: time.monotonic() - begun > seconds)
    peak_mib, after_s = memory_and_seconds(daemon.process.pid)
    return peak_mib, (after_s - before_s) / (time.monotonic() - begun)


def memory_and_seconds(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        peak_kib = int(status.read().split("VmHWM:")[1].split()[0])
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return peak_kib / 1024, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def lists_of_ended(daemon, times):
    """{path: what asking for it took, the shortest first}"""
    return {path: sorted(timed(lambda path=path: daemon.get(path)) for _ in range(times)) for path in LISTS}


def timed(act):
    begun = time.monotonic()
    act()
    return time.monotonic() - begun
