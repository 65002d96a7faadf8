"""The commands with the real vmferryd between them and workers that do what a test says."""

import json
import shutil
import signal

import pytest

from daemon_scenes import DONE, MACHINE, WAIT, Daemon, program
from run_scenes import SECRET, Site

pytestmark = pytest.mark.asan


class RealSite(Site):
    listen = Daemon.listen
    next_worker = Daemon.next_worker

    def __init__(self, vmferry):
        super().__init__(vmferry)
        shutil.copy(program(vmferry), self.bin / "vmferryd")
        self.room = self.bin    # vmferryd finds its worker there
        self.workers = []
        self.listener = self.listen()

    def close(self):
        for worker in self.workers:
            worker.close()
        self.listener.close()
        shutil.rmtree(self.dir)

    def status(self, *words):
        done = self.run("status", "--json", *words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(name="site")
def make_site(vmferry):
    site = RealSite(vmferry)
    yield site
    site.close()


def stage(worker, name):
    worker.journal("note", {"op": "stage", "stage": name})


def copy_base(worker):
    worker.journal("note", MACHINE)
    stage(worker, "base_copy")
    worker.say(type="progress", stage="base_copy", disk="scsi0:0", pct=50, overall_pct=20, done_bytes=1 << 29,
               total_bytes=1 << 30, data_bytes=1 << 28, rate_bytes_s=1 << 20, eta_s=512)
    worker.journal("note", {"op": "round", "number": 1, "kind": "base", "started_at": 1764468000, "seconds": 2.0, "disks": []})
    stage(worker, "delta")


def cut_over(worker):
    worker.journal("done", {"op": "object", "kind": "power-off", "name": "source", "state": "made"}, act="power-off")
    stage(worker, "final_sync")
    worker.journal("done", {"op": "object", "kind": "domain", "name": "web01", "state": "made"}, act="define")
    stage(worker, "done")
    worker.end(**DONE)


def test_a_migration_steered_from_another_terminal(site):
    with site.running("run", site.spec("web01")) as run:
        worker = site.next_worker()
        assert worker.start["input"]["endpoint"]["password"] == SECRET
        copy_base(worker)
        worker.end(**WAIT)
        site.wait_for(lambda: site.status("web01")[0]["status"] == "waiting")
        assert site.run("status", site.spec("web01")).stdout == (
            "[status] vm=web01 moref=vm-16 current=delta next=delta finalize_requested=false finalize_now_requested=false "
            "progress=20.00%\n")
        done = site.run("finalize", "--now", "web01")
        assert done.returncode == 0 and done.stderr == "" and "finalize-now requested" in done.stdout
        worker = site.next_worker()
        assert worker.start["wishes"]["finalize_now"] and worker.start["id"] == site.status("web01")[0]["id"]
        cut_over(worker)
        stdout, stderr = run.communicate(timeout=60)
    assert run.returncode == 0, stderr
    assert stdout.startswith("web01: done in ") and "/images/web01-sda" in stdout and "created: domain web01" in stdout
    assert "stage done, next none" in stderr
    assert site.run("status").stdout.startswith("No migrations under way")
    assert site.status("--all")[0]["current_stage"] == "done"


def test_a_question_answered_between_two_runs(site):
    spec = site.spec("web01")
    with site.running("run", spec) as run:
        worker = site.next_worker()
        copy_base(worker)
        worker.end(ok=True, outcome="ask", question="shutdown", text="VMware Tools do not run in web01")
        _, stderr = run.communicate(timeout=60)
    assert run.returncode == 4 and stderr.count("VMware Tools do not run") == 1, stderr
    assert site.status("web01")[0]["status"] == "asking"
    assert site.run("shutdown", "force").returncode == 0
    with site.running("run", spec) as run:
        worker = site.next_worker()
        assert worker.start["wishes"]["shutdown"] == "force"
        cut_over(worker)
        _, stderr = run.communicate(timeout=60)
    assert run.returncode == 0 and "VMware Tools do not run" not in stderr, stderr


def test_interrupted_and_gone_on_with(site):
    spec = site.spec("web01")
    with site.running("run", spec) as run:
        worker = site.next_worker()
        copy_base(worker)
        worker.journal("note", {"op": "put", "key": "here", "value": 7})
        run.send_signal(signal.SIGINT)
        assert worker.hear() is None    # hung up: stop at the next checkpoint
        worker.end(ok=False, error={"kind": "cancelled", "text": "stopped on request"}, then="retry", after_s=0)
        _, stderr = run.communicate(timeout=60)
    assert run.returncode == 130, stderr
    with site.running("run", spec) as run:
        worker = site.next_worker()
        assert worker.start["state"]["here"] == 7
        cut_over(worker)
        run.communicate(timeout=60)
    assert run.returncode == 0


def test_cleanup_without_a_daemon(site):
    spec = site.spec("web01")
    with site.running("run", spec) as run:
        worker = site.next_worker()
        copy_base(worker)
        worker.end(ok=False, error={"kind": "io", "text": "no room"}, then="fail", after_s=0)
        stdout, _ = run.communicate(timeout=60)
    assert run.returncode == 1 and "web01: failed: no room" in stdout
    with site.running("cancel", "--cleanup", "web01") as cancel:
        worker = site.next_worker()
        assert worker.start["wishes"]["cancel"] and worker.start["wishes"]["cleanup"]
        worker.end(ok=True, outcome="cancelled")
        stdout, stderr = cancel.communicate(timeout=60)
    assert cancel.returncode == 0 and "[cancel] vm=web01 ended" in stdout, stderr


def test_what_is_refused_says_why_once(site):
    with site.running("run", site.spec("web01")):
        site.next_worker()
        done = site.run("shutdown", "force", "web01")
        assert done.returncode == 1 and done.stderr.count("web01") == 1, done.stderr


def test_a_daemon_beside(site):
    with site.daemon(), site.running("run", site.spec("web01")) as run:
        worker = site.next_worker()
        copy_base(worker)
        assert site.run("limit", "10M", "web01").returncode == 0
        assert worker.wish("limit")["limit_bytes_s"] == 10 << 20
        assert site.run("pause", "web01").returncode == 0
        worker.wish("pause")
        worker.end(ok=True, outcome="paused")
        site.wait_for(lambda: site.status("web01")[0]["status"] == "paused")
        assert site.run("resume", "web01").returncode == 0
        cut_over(site.next_worker())
        _, stderr = run.communicate(timeout=60)
        assert run.returncode == 0, stderr
        assert "asked for: pause" in stderr and "asked for: resume" in stderr


def test_a_paused_one_stops_no_other(site):
    specs = [site.spec(name) for name in ("web01", "web02")]
    with site.running("run", specs[0]) as run:
        worker = site.next_worker()
        assert site.run("pause", "web01").returncode == 0
        worker.wish("pause")
        worker.end(ok=True, outcome="paused")
        next(line for line in run.stderr if line.endswith("] paused\n"))
        ident = site.status("web01")[0]["id"]
        run.send_signal(signal.SIGINT)
        stdout, _ = run.communicate(timeout=60)
    way_out = f"'vmferry resume {ident}' lets it go on"
    assert run.returncode == 130 and f"web01: paused\n    {way_out}" in stdout
    with site.running("run", *specs) as run:
        cut_over(site.next_worker())
        stdout, stderr = run.communicate(timeout=60)
    assert run.returncode == 3, stderr
    assert f"vmferry: run: web01: it is paused: {way_out}\n" in stderr
    assert f"web01: it is paused: {way_out}\nweb02: done" in stdout and "web01: web01" not in stdout
    assert site.run("resume", ident).returncode == 0
    with site.running("run", *specs[:1]) as run:
        cut_over(site.next_worker())
        _, stderr = run.communicate(timeout=60)
    assert run.returncode == 0, stderr
