"""vmferry run from outside, beside a vmferryd that only plays: what it reads, asks for, shows and exits with."""

import json
import os
import re
import signal

import pytest

from run_scenes import ASKING, COPYING, DONE, FAILED, SECRET, WAITING, make_site    # pylint: disable=unused-import

pytestmark = pytest.mark.asan


def posted(site):
    return [line["body"] for line in site.told() if line.get("path") == "/api/v1/migrations"]


def asked(site):
    return [(line["path"].rsplit("/", 1)[1], line["body"]) for line in site.told()
            if re.search("/migrations/[0-9a-f]+/", line.get("path", ""))]


def events_of(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


# ---- the way through ----

def test_one_machine(site):
    site.play(lives={"web01": [{**COPYING, "events": ["snapshot vmferry-ab12 made"]}, WAITING, DONE]})
    done = site.run("run", "--spec", site.spec("web01"))
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert lines[0] == "[run] starting VM workflow: web01"
    assert "[2025-11-30 02:00:00] snapshot vmferry-ab12 made" in lines
    assert "[scsi0:0] base_copy progress=25% read=1073741824 written=536870912 zero_skipped=536870912 speed=104.9MB/s " \
        "eta=30s" in lines
    assert any("stage base_copy, next delta" in line for line in lines)
    assert any(re.search(r"\] 3 rounds, next in [\d:]+, downtime about 1:35$", line) for line in lines)
    assert lines[-1] == "[run] completed VM workflow: web01"
    assert done.stdout == ("web01: done in 1:02:03, 3 rounds, downtime 1:40\n"
                           "    scsi0:0    4.00 GiB  /nowhere/web01-sda\n"
                           "    created: domain web01\n")
    start, = site.told("start")
    assert start["mode"] == "run" and start["control_dir"] == str(site.control)
    assert start["config"]["vcenter"]["password"] == SECRET
    assert site.told("wish") == ["stop"]


def test_words_are_specs_and_one_dash_is_enough(site):
    site.play(lives={name: [DONE] for name in ("a", "b", "c")})
    done = site.run("run", "-spec", f" {site.spec('a')} ", "--spec=", "-config=config.yaml", site.spec("b"), site.spec("c"))
    assert done.returncode == 0, done.stderr
    assert [body["spec"]["vm"]["name"] for body in posted(site)] == ["a", "b", "c"]


@pytest.mark.parametrize("args, options", [
    ([], {}), (["--readers", "8", "-parallel-disks=2"], {"readers": 8, "parallel_disks": 2}),
    (["--readers", "0"], {}), (["--run-virt-v2v"], {}),
    (["--run-virt-v2v", "--override-run-virt-v2v=true"], {"run_virt_v2v": True}),
    (["--run-virt-v2v=false", "--override-run-virt-v2v"], {"run_virt_v2v": False})], ids=str)
def test_options_go_with_the_spec(site, args, options):
    site.play(lives={"web01": [DONE]})
    assert site.run("run", *args, "--parallel-vms", "7", "--spec", site.spec("web01")).returncode == 0
    assert posted(site)[0]["options"] == options
    assert site.told("start")[0]["config"]["migration"]["parallel_vms"] == 7


def test_quiet(site):
    site.play(lives={"web01": [COPYING, DONE]})
    done = site.run("run", "-q", site.spec("web01"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_several_machines_are_told_apart(site):
    site.play(lives={"web01": [COPYING, DONE], "web02": [COPYING, DONE]})
    done = site.run("run", site.spec("web01"), site.spec("web02"))
    assert "[web01 scsi0:0] base_copy progress=25%" in done.stderr
    assert re.search(r"^\[.*\] web02: stage base_copy, next delta$", done.stderr, re.MULTILINE)


# ---- as JSON ----

def test_events(site):
    site.play(lives={"web01": [{**COPYING, "events": ["x"]}, COPYING, WAITING, DONE], "web02": [FAILED]},
              refuse={"web03": "disks: no such key"})
    done = site.run("run", "--json", *[site.spec(name) for name in ("web01", "web02", "web03")])
    events = events_of(done)
    assert done.returncode == 3
    assert all(event["at"] and event["type"] for event in events)
    of_one = [event for event in events if event.get("vm") == "web01"]
    assert [event["type"] for event in of_one] == ["started", "log", "stage", "status", "progress", "stage", "forecast", "status",
                                                   "stage", "ended"]
    assert len({event["id"] for event in of_one}) == 1
    assert of_one[4]["disk"] == "scsi0:0" and of_one[4]["stage"] == "base_copy"
    assert of_one[6]["downtime_s"] == 95 and of_one[7]["status"] == "waiting"
    result = events[-1]
    assert (result["type"], result["ok"], result["done"], result["failed"]) == ("result", False, 1, 2)
    one, two, three = result["machines"]
    assert one["downtime_s"] == 100 and one["created"] == ["domain web01"] and one["left"] == []
    assert two["error"]["kind"] == "io" and two["status"] == "failed"
    assert three["error"]["text"] == "disks: no such key" and three["status"] == "refused"


# ---- failures ----

def test_all_fail(site):
    left = [{"kind": "snapshot", "name": "vmferry-ab12", "state": "planned"}]
    site.play(lives={"web01": [COPYING, {**FAILED, "objects": left}]})
    done = site.run("run", site.spec("web01"))
    assert done.returncode == 1
    assert "web01: failed: /nowhere: no space left on device\n    left at the source: snapshot vmferry-ab12\n" in done.stdout
    assert "'vmferry retry 000000000001'" in done.stdout
    assert done.stderr.splitlines()[-1] == "vmferry: run: of 1 machine 0 arrived, 1 failed"


def test_some_fail(site):
    site.play(lives={"web01": [DONE], "web02": [FAILED]})
    assert site.run("run", site.spec("web01"), site.spec("web02")).returncode == 3


def test_one_that_failed_before_is_tried_again(site):
    site.play(lives={"web01": [FAILED]})
    assert site.run("run", site.spec("web01")).returncode == 1
    site.play(lives={"web01": [FAILED, DONE]})
    done = site.run("run", site.spec("web01"))
    assert done.returncode == 0 and asked(site) == [("retry", {})]
    assert "web01 (it goes on where it was)" in done.stderr


def test_what_was_told_is_not_told_again(site):
    site.play(lives={"web01": [{**ASKING, "events": ["told already"]}]})
    assert "told already" in site.run("run", site.spec("web01")).stderr
    site.play(lives={"web01": [{}, {**DONE, "events": ["new"]}]})
    done = site.run("run", site.spec("web01"))
    assert done.returncode == 0 and "told already" not in done.stderr and "] new" in done.stderr


@pytest.mark.parametrize("scene, complaint", [
    ({"ready_fails": {"kind": "denied", "text": "/x/vmferry.db: read-only"}}, "/x/vmferry.db: read-only"),
    ({"dies": True, "lives": {}}, "vmferryd ended without a result: killed by signal 9")], ids=["refuses", "dies"])
def test_a_daemon_that_fails(site, scene, complaint):
    site.play(**scene)
    done = site.run("run", "-q", site.spec("web01"))
    assert done.returncode == 1 and done.stderr == f"vmferry: run: {complaint}\n" or complaint in done.stderr, done.stderr


def test_without_a_daemon_installed(site):
    (site.bin / "vmferryd").unlink()
    done = site.run("run", site.spec("web01"))
    assert done.returncode == 1 and "vmferryd is neither beside this program" in done.stderr


# ---- specs and config ----

def test_usage(site):
    done = site.run("run")
    assert done.returncode == 2 and "name a spec: --spec FILE" in done.stderr
    assert site.run("run", "--readers", "-1", "x.yaml").returncode == 2


def test_a_spec_that_is_wrong_stops_all(site):
    (site.dir / "bad.yaml").write_text("vm:\n  nmae: web01\n")
    done = site.run("run", site.spec("web01"), "bad.yaml")
    assert done.returncode == 1 and "bad.yaml:2: " in done.stderr and "name" in done.stderr
    assert not site.told()
    assert site.run("run", "missing.yaml").returncode == 1


def test_lenient(site):
    (site.dir / "theirs.yaml").write_text("vm: {name: web01}\nextra: 1\ntarget: {files: {directory: /nowhere}}\n")
    site.play(lives={"web01": [DONE]})
    done = site.run("run", "--lenient", "theirs.yaml")
    assert done.returncode == 0 and "warning: theirs.yaml:2: " in done.stderr
    assert site.run("run", "theirs.yaml").returncode == 1


def test_the_same_machine_twice(site):
    done = site.run("run", site.spec("web01"), site.spec("web01"))
    assert done.returncode == 1 and "web01.yaml:1 and web01.yaml:1 are the same machine" in done.stderr


def test_no_config(site):
    done = site.run("run", "--config", "none.yaml", site.spec("web01"))
    assert done.returncode == 1 and "none.yaml" in done.stderr


def test_the_config_is_looked_for_one_folder_up(site):
    site.play(lives={"web01": [DONE]})
    below = site.dir / "below"
    below.mkdir()
    site.spec("web01")
    site.dir, above = below, site.dir
    done = site.run("run", "../web01.yaml")
    site.dir = above
    assert done.returncode == 0, done.stderr


def test_no_password_and_nobody_to_ask(site):
    site.configure(vcenter={"host": "vc1.example.org", "user": "u"})
    done = site.run("run", site.spec("web01"), start_new_session=True)
    assert done.returncode == 1 and "u at vc1.example.org" in done.stderr and "VC_PASSWORD" in done.stderr
    site.play(lives={"web01": [DONE]})
    site.env["VC_PASSWORD"] = SECRET
    assert site.run("run", site.spec("web01")).returncode == 0


def test_the_password_is_asked_for(site):
    site.configure(vcenter={"host": "vc1.example.org", "user": "u"})
    site.play(lives={"web01": [DONE]})
    with site.terminal("run", site.spec("web01")) as terminal:
        terminal.read_until("Password for u at vc1.example.org: ")
        terminal.type(f"{SECRET}\n")
        assert terminal.end() == 0 and SECRET not in terminal.text
    assert site.told("start")[0]["config"]["vcenter"]["password"] == SECRET


# ---- a daemon that runs already ----

def test_it_becomes_the_client_of_one_that_runs(site):
    site.play(lives={"web01": [COPYING, DONE]})
    with site.daemon():
        done = site.run("run", "--parallel-vms", "9", site.spec("web01"))
    assert done.returncode == 0 and "the one that runs keeps its limit" in done.stderr
    assert [start["mode"] for start in site.told("start")] == ["serve"]


def test_one_that_goes_away_is_replaced(site):
    site.play(lives={"web01": [COPYING, {"until": "pause"}, DONE]})
    with site.daemon() as daemon, site.running("run", site.spec("web01")) as run:
        site.wait_for(lambda: posted(site))
        daemon.terminate()
        daemon.wait(30)
        site.wait_for(lambda: len(posted(site)) == 2)
        assert site.run("pause", "web01").returncode == 0
        _, stderr = run.communicate(timeout=30)
    assert run.returncode == 0, stderr
    assert [start["mode"] for start in site.told("start")] == ["serve", "run"]


@pytest.mark.parametrize("at", ["POST /api/v1/migrations", "GET /api/v1/migrations/000000000001/events"])
def test_one_that_dies_while_it_takes_a_spec_is_replaced(site, at):
    """It had begun this one before, and told of it."""
    told = {"n": 1, "at": 1764468000, "level": "info", "code": "x", "text": "told already"}
    site.play(dies_at=["serve", at], migrations=[{"id": "000000000001", "name": "web01", "events": [told]}],
              lives={"web01": [COPYING, DONE]})
    with site.daemon():
        done = site.run("run", site.spec("web01"))
    assert done.returncode == 0, done.stderr
    assert [start["mode"] for start in site.told("start")] == ["serve", "run"] and len(posted(site)) == 2
    assert done.stderr.count("starting VM workflow: web01 (it goes on where it was)") == 1
    assert "told already" not in done.stderr


def test_one_of_our_own_that_dies_is_not_replaced(site):
    site.play(dies_at=["run", "POST /api/v1/migrations"])
    done = site.run("run", site.spec("web01"))
    assert done.returncode == 1 and "vmferryd.sock" in done.stderr
    assert [start["mode"] for start in site.told("start")] == ["run"] and len(posted(site)) == 1


def test_sigint_leaves_a_foreign_one_alone(site):
    site.play(lives={"web01": [COPYING, {"until": "pause"}]})
    with site.daemon() as daemon, site.running("run", site.spec("web01")) as run:
        site.wait_for(lambda: posted(site))
        run.send_signal(signal.SIGINT)
        stdout, _ = run.communicate(timeout=30)
        assert run.returncode == 130 and "vmferryd goes on with it" in stdout
        assert daemon.poll() is None


# ---- interrupting ----

def test_sigint_once(site):
    site.play(lives={"web01": [COPYING, {"until": "pause"}]})
    with site.running("run", site.spec("web01")) as run:
        site.wait_for(lambda: posted(site))
        run.send_signal(signal.SIGINT)
        stdout, stderr = run.communicate(timeout=30)
    assert run.returncode == 130, stderr
    assert site.told("wish") == ["stop"]
    assert "stopping at the next checkpoint" in stderr and "1 has not ended; the same command goes on" in stderr
    assert "the same run again goes on" in stdout


def test_sigint_twice(site):
    """One that does not stop when it is told is killed by the second."""
    player = site.bin / "vmferryd"
    player.write_text(player.read_text().replace('        if message.get("wish") == "stop":\n            return True\n', ""))
    site.play(lives={"web01": [COPYING, {"until": "pause"}]})
    with site.running("run", site.spec("web01")) as run:
        site.wait_for(lambda: posted(site))
        run.send_signal(signal.SIGINT)
        site.wait_for(lambda: site.told("wish"))
        assert run.poll() is None
        run.send_signal(signal.SIGINT)
        _, stderr = run.communicate(timeout=30)
    assert run.returncode == 130, stderr


# ---- the question ----

def test_nobody_to_ask(site):
    site.play(lives={"web01": [ASKING], "web02": [COPYING, COPYING, DONE]})
    done = site.run("run", site.spec("web01"), site.spec("web02"))
    assert done.returncode == 4
    assert "vmferry shutdown force 000000000001" in done.stderr and "vmferry shutdown done 000000000001" in done.stdout
    assert "web02: done" in done.stdout
    assert "1 waits for an answer" in done.stderr.splitlines()[-1]


def test_an_answer_from_elsewhere(site):
    site.play(lives={"web01": [ASKING, {"until": "shutdown", **DONE}], "web02": [COPYING, {"until": "pause", **DONE}]})
    with site.running("run", site.spec("web01"), site.spec("web02")) as run:
        assert "shutdown force" in next(line for line in run.stderr if line.startswith("vmferry: run: web01: "))
        assert site.run("shutdown", "done", "web01").returncode == 0
        assert site.run("pause", "web02").returncode == 0
        _, stderr = run.communicate(timeout=30)
    assert run.returncode == 0, stderr
    assert asked(site)[0] == ("shutdown", {"choice": "manual"})


@pytest.mark.parametrize("typed, choice", [("f\n", "force"), ("what\nDone\n", "manual")])
def test_the_question_at_a_terminal(site, typed, choice):
    site.play(lives={"web01": [COPYING, ASKING, {"until": "shutdown", **DONE}]})
    with site.terminal("run", site.spec("web01")) as terminal:
        terminal.read_until("how is web01 to be shut down?")
        for line in typed.splitlines(keepends=True):
            terminal.type(line)
            if line == "what\n":
                terminal.read_until("f, d or l: ")
        assert terminal.end() == 0, terminal.text
    assert asked(site) == [("shutdown", {"choice": choice})]


def test_the_question_put_off(site):
    site.play(lives={"web01": [ASKING]})
    with site.terminal("run", site.spec("web01")) as terminal:
        terminal.read_until("how is web01 to be shut down?")
        terminal.type("later\n")
        assert terminal.end() == 4
    assert asked(site) == []


# ---- a terminal ----

def test_live_lines(site):
    site.play(lives={"web01": [COPYING, COPYING, WAITING, WAITING, DONE]})
    with site.terminal("run", site.spec("web01")) as terminal:
        assert terminal.end() == 0, terminal.text
    assert re.search(r"web01 +base_copy +20%  running", terminal.text)
    assert re.search(r"  scsi0:0 .* 25%  1.00 GiB/4.00 GiB    100.0 MiB/s  30 s left", terminal.text)
    assert re.search(r"web01 +delta +60%  3 rounds, next in [\d:]+, downtime", terminal.text)
    assert "\x1b[2A" in terminal.text and "progress=" not in terminal.text
    assert terminal.text.rstrip().endswith("created: domain web01")


def test_hostile_names_stay_on_their_line(site):
    name = "a" * 300
    site.play(lives={name: [COPYING, {"status": "retrying", "error": {"kind": "io", "text": "\x1b[2Jx\ny"}, "due_at": 1}, DONE]})
    with site.terminal("run", site.spec("web01", name=name)) as terminal:
        assert terminal.end() == 0
    assert "\x1b[2Jx" not in terminal.text


# ---- serve ----

def test_serve_stops_on_sigterm(site):
    with site.running("serve", "--max-workers", "5", "--control-dir", "ctl") as serve:
        assert serve.stderr.readline() == f"[serve] API listening on {site.control}/vmferryd.sock (control_dir={site.control})\n"
        serve.terminate()
        serve.wait(30)
        assert serve.returncode == 0
    assert site.told("wish") == ["stop"]
    assert site.told("start")[0]["config"]["migration"]["parallel_vms"] == 5
    assert not os.path.exists(site.control / "vmferryd.sock")


def test_serve_once_only(site):
    with site.daemon():
        done = site.run("serve")
        assert done.returncode == 1 and "belongs to process 4711" in done.stderr


@pytest.mark.parametrize("option", ["--listen", "--allow-origins", "--engine-bin", "--specs-dir", "--workdir"])
def test_what_serve_cannot_do_is_refused_by_name(site, option):
    done = site.run("serve", option, "x")
    assert done.returncode == 2 and f"{option} is not supported" in done.stderr
    assert option in site.run("serve", "--help").stdout.split("Known from v2c-engine and refused by name")[1]
