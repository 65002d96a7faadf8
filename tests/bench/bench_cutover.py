"""The tables Cutover of bench.py: for how long a machine is away that is moved warm, and what of that is the engine's own.

A real vmferryd and real workers move machines of the lab's vCenter, one after another: two disks with random data, a guest
that takes half a second to shut down (at once would hide how late its end is seen), a settle delay of a second, some 40
writes for the last delta, no conversion, no boot. The bench stands between the daemon and the worker that does the cutover,
passes on each packet, and notes when: so the parts are those between points of the journal. The lab tells when which call
came to it. It is on the same processors as all the rest, and written in Python; the second table has a vCenter that is
further away.
"""
import collections
import contextlib
import json
import os
import pathlib
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import bench

sys.path.insert(0, str(bench.ROOT / "tests/behaviour"))
import places  # noqa: E402,F401 pylint: disable=unused-import
from daemon_scenes import PACKET_MAX, Daemon, ready  # noqa: E402
import vsphere_scenes  # noqa: E402
from v2v_scenes import make_disk  # noqa: E402
from warm_scenes import Site, write_some  # noqa: E402

SIZES = {2000: 64 << 20, 2016: 64 << 20}
SHUTDOWN_S, SETTLE_S, RUNS_A_ROUND, WRITES = 0.5, 1, 3, 40
LATENCIES_MS = (0, 20)
TITLE = "Cutover, {} ms more a call"
EXTRA = {"qemu": {"process": False}, "tools_after_s": 0, "shutdown_s": SHUTDOWN_S}


def says(kind, **wanted):
    return lambda packet: packet["type"] == kind and all(packet.get(key) == it for key, it in wanted.items())


def op_says(**wanted):
    return lambda packet: any(all(op.get(key) == it for key, it in wanted.items()) for op in packet.get("ops", ()))


# What a part ends with; it began where the one before ended.
BEFORE = (
    ("worker is there", says("hello")),
    ("login, inventory, checks", says("begin", act="power-off")),
)
AWAY = (
    (f"guest shuts down ({SHUTDOWN_S} s), is seen off", says("done", act="power-off")),
    ("off is noted", says("stage", text="Waiting until the source has settled")),
    (f"settle delay ({SETTLE_S} s), machine read again", says("stage", text="Copying what changed last")),
    ("final delta: what changed", says("want")),
    ("final delta: copy", says("want", disks=0)),
    ("final delta: noted, checked, source left", op_says(op="stage", stage="converting")),
    ("conversion: none", op_says(op="stage", stage="import_root_disk")),
    ("import: description, names", op_says(op="stage", stage="done")),
    ("worker's result", says("result")),
    ("daemon says done", None),
)
COPY = "final delta: copy"


class Between:
    """Starts the real workers of a daemon, and passes on what they and it say to each other."""

    def __init__(self, daemon, program):
        self.daemon = daemon
        self.program = program
        self.said = []        # [(time.monotonic(), packet)] of the worker that was started last
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        while not self.ended.is_set():
            if not self.daemon.starts_no_worker(0.1):
                self.pass_on(self.daemon.next_worker(begin=False))

    def pass_on(self, link):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        said = self.said = []
        with ours:
            with theirs:
                process = subprocess.Popen(["/bin/bash", "-c", f'exec "$@" 3<&{theirs.fileno()}', "bash", self.program],
                                           stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
            ways = {ours: link.socket, link.socket: ours}
            while ours in ways:
                for one in select.select(list(ways), [], [])[0]:
                    packet = receive(one)
                    if one is ours and packet:
                        said.append((time.monotonic(), packet))
                    if packet:
                        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                            ways[one].send(packet)
                    else:
                        with contextlib.suppress(OSError):
                            ways.pop(one).shutdown(socket.SHUT_WR)
            link.exit(process.wait())

    def close(self):
        self.ended.set()
        self.thread.join()


def receive(sock):
    try:
        return sock.recv(PACKET_MAX)
    except ConnectionResetError:
        return b""


class Scene:
    """A lab, a daemon, and machines to move."""

    def __init__(self, here, n, latency_ms):
        vmferry = pathlib.Path(bench.VMFERRY).resolve()
        disks = [make_disk(here / f"{key}.raw", size >> 20, seed=key) for key, size in SIZES.items()]
        attached = [{"controller": controller, "unit": 0, "image": str(disk)}
                    for controller, disk in zip(("pvscsi0", "lsilogic1"), disks)]
        self.machines = [{"name": f"web{i:02}", "power": "poweredOn", "disks": attached, "memory_mib": 64, "extra": EXTRA}
                         for i in range(n)]
        self.site = Site(vmferry, here, self.machines, site={"soap_latency_ms": latency_ms})
        config = json.loads(self.site.config.read_text(encoding="utf-8"))
        del config["vcenter"]["password_file"]    # vmferry reads it before it starts its daemon
        config["vcenter"]["password"] = vsphere_scenes.PASSWORD
        room = here / "daemon"
        room.mkdir()
        self.daemon = ready(Daemon(vmferry, room, config=config))
        self.between = Between(self.daemon, vmferry.parents[1] / "worker/vmferry-worker")

    def move(self, name):
        """({part: (when it began, seconds)} before it goes off, the same of while it is away, {part: [calls to the lab]})"""
        daemon = self.daemon
        moved = daemon.create(name, source={"transport": "https"}, conversion={"run_virt_v2v": False},
                              target={"files": {"directory": str(self.site.out)}},
                              migration={"mode": "warm", "delta_interval": 3600, "finalize_settle_seconds": SETTLE_S})
        daemon.becomes(moved, "waiting")
        write_some(self.site, name, SIZES, count=WRITES)
        begun = time.monotonic()
        daemon.asked(moved, "finalize-now")
        daemon.becomes(moved, "done")
        ended = time.monotonic()
        self.site.is_moved(name)
        said = [(at, json.loads(packet)) for at, packet in self.between.said]
        calls = [call for call in self.site.lab.trace() if begun <= call[1] <= ended]
        before, off_at = parts(BEFORE, said, begun, ended)
        away, _ = parts(AWAY, said, off_at, ended)
        return before, away, {name: [call for call in calls if at <= call[1] < at + seconds]
                              for name, (at, seconds) in {**before, **away}.items()}

    def close(self):
        self.daemon.stop()
        self.between.close()
        self.daemon.__exit__()
        self.site.nothing_left()
        self.site.close()


def parts(wanted, said, begun, ended):
    """{part: (its beginning, seconds)}, and when the last ended."""
    found = {}
    for name, ends in wanted:
        at = ended if ends is None else next(at for at, packet in said if at > begun and ends(packet))
        found[name] = (begun, at - begun)
        begun = at
    return found, begun


def run_tables(options):
    for latency_ms in LATENCIES_MS:
        title = TITLE.format(latency_ms)
        if options.only not in title:
            continue
        n = RUNS_A_ROUND * options.rounds
        with tempfile.TemporaryDirectory(prefix="vmferry-bench-", dir=options.dir) as name:
            scene = Scene(pathlib.Path(name), n, latency_ms)
            try:
                moves = [scene.move(machine["name"]) for machine in scene.machines]
            finally:
                scene.close()
        show(title, moves)


def show(title, moves):
    print(f"\n{title}: {len(moves)} machines, load {os.getloadavg()[0]:.1f}")
    print(f"{'':40}{'median ms':>10}{'worst ms':>10}   calls to the lab, ms that it needed for them")
    for kind, which in ((BEFORE, 0), (AWAY, 1)):
        for name, _ in kind:
            show_line(name, [move[which][name][1] for move in moves], [move[2][name] for move in moves])
        show_line("before it goes off" if kind is BEFORE else "away",
                  [sum(seconds for _, seconds in move[which].values()) for move in moves])
    aways = [{name: seconds for name, (_, seconds) in move[1].items()} for move in moves]
    own = [sum(it.values()) - SHUTDOWN_S for it in aways]
    show_line("engine's own: without the guest", own)
    show_line("  and without the settle delay", [seconds - SETTLE_S for seconds in own])
    show_line("  and without the copy of the delta", [seconds - SETTLE_S - it[COPY] for seconds, it in zip(own, aways)])


def show_line(name, seconds, calls=()):
    text = ""
    if any(calls):
        took = statistics.median(sum(call[2] for call in run) for run in calls)
        names = collections.Counter(call[0] for call in calls[0])
        text = f"{statistics.median(map(len, calls)):6.0f}{1000 * took:7.1f}  " + \
               ", ".join(f"{n} {it}" if n > 1 else it for it, n in names.items())
    print(f"{name:40}{1000 * statistics.median(seconds):10.1f}{1000 * max(seconds):10.1f}{text}", flush=True)
