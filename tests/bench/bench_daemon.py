"""The tables Daemon of bench.py: what a vmferryd with 1,000 waiting migrations needs, and how soon one with 10,000 ended
ones answers. The scenes are those of tests/behaviour; what is there is written into the store of a stopped daemon.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import bench

sys.path.insert(0, str(bench.ROOT / "tests/behaviour"))
from daemon_load import (WAITING, ENDED, cost_of_waiting, lists_of_ended, timed, with_a_thousand_waiting,  # noqa: E402
                         with_ten_thousand_ended)
from daemon_scenes import Daemon  # noqa: E402

WATCHED_S = 20


def run_tables(options):
    for title, scene, show in ((f"Daemon, {WAITING:,} waiting", with_a_thousand_waiting, show_waiting),
                               (f"Daemon, {ENDED:,} ended", with_ten_thousand_ended, show_ended)):
        if options.only not in title:
            continue
        with tempfile.TemporaryDirectory(prefix="vmferry-bench-", dir=options.dir) as name:
            started = []

            def serve():
                started.append(Daemon(pathlib.Path(bench.VMFERRY), room))
                return started[-1]

            room = pathlib.Path(name)
            try:
                show(title, scene(serve), options)
            finally:
                for daemon in started:
                    daemon.__exit__()


def show_waiting(title, daemon, options):
    print(f"\n{title}: {WATCHED_S} s in which nobody asks\n{'':32}{'MiB':>8}{'% of a core':>13}")
    for _ in range(options.rounds):
        peak_mib, share = cost_of_waiting(daemon, WATCHED_S)
        print(f"{'vmferryd':32}{peak_mib:8.1f}{100 * share:13.2f}", flush=True)


def show_ended(title, daemon, options):
    times = 5 * options.rounds
    print(f"\n{title}: the same {times} times\n{'':48}{'median ms':>10}{'worst ms':>10}")
    for path, seconds in lists_of_ended(daemon, times).items():
        show_times(f"GET {path}", seconds)
    config = daemon.room / "config.yaml"
    config.write_text(json.dumps({"vcenter": {"host": "vc1.example.org", "user": "u"}, "store": str(daemon.store),
                                  "migration": {"control_dir": str(daemon.control_dir)}}), encoding="utf-8")
    show_commands(config, "", times)
    daemon.stop()
    show_commands(config, ", no daemon runs", times)


def show_commands(config, where, times):
    for words in ((), ("--all", f"{4711:012x}"), ("--all",)):
        took = sorted(timed(lambda words=words: status(config, words)) for _ in range(times))
        show_times(" ".join(("vmferry status", *words)) + where, took)


def status(config, words):
    subprocess.run([bench.VMFERRY, "status", "--config", config, *words], check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "XDG_STATE_HOME": str(config.parent)})


def show_times(name, seconds):
    print(f"{name:48}{1000 * seconds[len(seconds) // 2]:10.1f}{1000 * seconds[-1]:10.1f}", flush=True)
