"""vmferry status and the commands that steer, from outside, beside a vmferryd that only plays."""

import json
import os
import re
import signal

import pytest

from run_scenes import ASKING, COPYING, DONE, FAILED, FORECAST, PROGRESS, SECRET, WAITING, make_site    # pylint: disable=unused-import

pytestmark = pytest.mark.asan

V2C_KEYS = ["control_dir", "current_stage", "finalize_now_requested", "finalize_requested", "next_stage", "progress", "state_file",
            "vm_moref", "vm_name"]
STEER = ["finalize", "cancel", "pause", "resume", "retry"]


def migration(number, name, **more):
    return {"id": f"{number:012x}", "name": name, "moref": f"vm-{number}", "key": f"vc1.example.org/name:{name}", **more}


def asked(site):
    return [(line["path"].split("/")[-2], line["path"].split("/")[-1], line["body"]) for line in site.told()
            if line.get("method") == "POST"]


@pytest.fixture(name="busy")
def make_busy(site):
    """Four machines, and an earlier migration of one of them."""
    site.play(migrations=[
        migration(1, "web01", **{**DONE, "key": "vc1.example.org/name:web01", "moref": "vm-1"}),
        migration(2, "web01", **{**WAITING, "moref": "vm-1"}), migration(3, "db01", **{**COPYING, "moref": "vm-3"}),
        migration(4, "app01", **{**ASKING, "moref": "vm-4"}), migration(5, "old01", **{**FAILED, "moref": "vm-5"})])
    return site


# ---- status as v2c-engine has it ----

def test_lines(busy):
    done = busy.run("status", "--spec", busy.spec("web01"), "-spec=" + busy.spec("db01"), busy.spec("new01"))
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.splitlines() == [
        "[status] vm=db01 moref=vm-3 current=base_copy next=delta finalize_requested=false finalize_now_requested=false "
        "progress=20.00%",
        "[status] vm=new01 moref=<nil> current=not_started next=connecting_vcenter finalize_requested=false "
        "finalize_now_requested=false progress=0.00%",
        "[status] vm=web01 moref=vm-1 current=delta next=delta finalize_requested=false finalize_now_requested=false "
        "progress=60.00%"]
    start, = busy.told("start")
    assert start["mode"] == "look" and SECRET not in json.dumps(start)


def test_json(busy):
    (busy.control / "web01_vm-1").mkdir()
    done = busy.run("status", "--json", "--spec", busy.spec("web01"), "--spec", busy.spec("new01"))
    new, web = rows = json.loads(done.stdout)
    assert [list(row) for row in rows] == [V2C_KEYS, V2C_KEYS]
    assert done.stdout.startswith('[\n  {\n    "control_dir": null,\n')
    assert web == {"control_dir": str(busy.control / "web01_vm-1"), "current_stage": "delta", "finalize_now_requested": False,
                   "finalize_requested": False, "next_stage": "delta", "progress": 60,
                   "state_file": str(busy.control / "vmferry.db"), "vm_moref": "vm-1", "vm_name": "web01"}
    assert new["current_stage"] == "not_started" and new["state_file"] is None and new["vm_moref"] is None


def test_filters_of_specs(busy):
    specs = [word for name in ("web01", "db01") for word in ("--spec", busy.spec(name))]
    assert "vm=db01" not in busy.run("status", *specs, "--vm", "web01").stdout
    assert "vm=web01" not in busy.run("status", *specs, "--vm-id", "vm-3").stdout
    missing = busy.run("status", *specs, "--vm", "web09")
    assert missing.returncode == 1 and "--vm web09: there is no such machine in the specs" in missing.stderr
    nothing = busy.run("status", *specs, "--vm-id", "vm-99")
    assert nothing.returncode == 1 and "nothing is left" in nothing.stderr


def test_the_newest_of_a_machine_that_has_ended_twice(site):
    site.play(migrations=[migration(1, "web01", **{**DONE, "status": "cancelled", "stage": "delta"}), migration(2, "web01", **DONE)])
    assert "current=done" in site.run("status", site.spec("web01")).stdout


def test_the_config_may_be_missing_with_a_control_dir(busy):
    busy.spec("web01")
    named = ["status", "--config", "none.yaml", "web01.yaml"]
    assert busy.run(*named).returncode == 1
    done = busy.run(*named, "--control-dir", "ctl")
    assert done.returncode == 0 and "current=delta" in done.stdout
    assert "warning: none.yaml" in done.stderr


# ---- status of what there is ----

def test_the_table(busy):
    done = busy.run("status")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["ID", "NAME", "STATUS", "STAGE", "DONE"]
    assert [line.split()[1] for line in lines[1:]] == ["app01", "db01", "old01", "web01"]
    assert re.fullmatch(r"000000000002 +web01 +waiting +delta +60%  3 rounds, next in [\d:]+, downtime about 1:35", lines[4])
    assert "asks: the guest cannot be asked to shut down" in lines[1]
    assert "failed: /nowhere: no space left on device" in lines[3]
    assert len(busy.run("status", "--all").stdout.splitlines()) == 6


def test_nothing(site):
    done = site.run("status")
    assert (done.returncode, done.stdout) == (0, "No migrations under way ('vmferry status --all' shows those that ended).\n")
    assert site.run("status", "--json").stdout == "[]\n"
    assert not site.told()    # looking makes no store
    (site.control / "vmferry.db").touch()
    assert site.run("status", "--json").stdout == "[]\n" and site.told("start")


def test_what_a_forecast_is_made_of(busy):
    done = busy.run("status", "-v", "web01", "db01")
    assert "the downtime: shutdown 20 s (measured), settling 15 s, last round 3 s for 3.00 MiB, conversion 57 s (history)" \
        in done.stdout
    assert re.search(r"scsi0:0 \[#+-+\]  25%  1.00 GiB/4.00 GiB", done.stdout)


def test_json_of_what_there_is(busy):
    row, = json.loads(busy.run("status", "--json", "web01").stdout)
    assert row["id"] == "000000000002" and row["status"] == "waiting" and row["forecast"] == FORECAST
    assert set(V2C_KEYS) < set(row)
    row, = json.loads(busy.run("status", "--json", "db01").stdout)
    assert row["progress"] == 20 and row["disks_progress"] == [PROGRESS]


def test_an_id_is_whole_in_a_narrow_terminal(busy):
    with busy.terminal("status", columns=40) as terminal:
        assert terminal.end() == 0
    assert "000000000002  web01" in terminal.text


def test_by_id_name_and_moref(busy):
    for words in (["000000000001"], ["web01"], ["--vm", "web01"], ["--vm-id", "vm-1"], ["web01", "000000000002"]):
        assert busy.run("status", *words).stdout.count("web01") == 1, words
    assert "done" in busy.run("status", "000000000001").stdout
    none = busy.run("status", "web09")
    assert none.returncode == 1 and "web09: there is no migration" in none.stderr


def test_two_machines_of_one_name(site):
    site.play(migrations=[migration(1, "web01", key="vc1/moref:vm-1"), migration(2, "web01", key="vc1/moref:vm-2")])
    done = site.run("pause", "web01")
    assert done.returncode == 1 and "000000000001 (vm-1), 000000000002 (vm-2)" in done.stderr
    assert site.run("pause", "--vm-id", "vm-2").returncode == 0
    assert asked(site) == [("000000000002", "pause", {})]


def test_a_machine_that_was_not_found_yet(site):
    site.play(migrations=[migration(1, "name:web01", moref=None, key="vc1.example.org/name:web01")])
    assert re.search("000000000001 +web01 +queued", site.run("status").stdout)
    assert site.run("pause", "web01").returncode == 0
    assert "vm=web01" in site.run("status", site.spec("web01")).stdout


def test_pages(site):
    site.play(page=10, migrations=[migration(n, f"vm{n:03}", **{**DONE, "moref": f"vm-{n}"}) for n in range(1, 96)])
    assert len(site.run("status", "--all").stdout.splitlines()) == 96


def test_names_with_everything_in_them(site):
    names = ["grün & co", "a?b*c", "-x", "100%", "web01.yaml"]
    site.play(migrations=[migration(n, name, **COPYING) for n, name in enumerate(names, 1)])
    for name in names:
        done = site.run("pause", "--vm=" + name)
        assert done.returncode == 0 and f"vm={name} " in done.stdout, done.stderr


def test_watch(busy):
    with busy.daemon(), busy.running("status", "--watch", "web01") as watch:
        seen = [watch.stdout.readline() for _ in range(4)]
        assert seen[0] == seen[2] and "web01" in seen[3]
        watch.send_signal(signal.SIGINT)
        assert watch.wait(30) == -signal.SIGINT


def test_watch_is_not_in_the_way_of_run(busy):
    busy.play(lives={"web09": [DONE]})
    with busy.running("status", "--watch") as watch:
        watch.stdout.readline()
        done = busy.run("run", busy.spec("web09"))
        assert done.returncode == 0, done.stderr


def test_no_daemon_is_left(busy):
    busy.run("status")
    assert not os.path.exists(busy.control / "vmferryd.sock")


# ---- steering ----

def test_finalize_as_v2c_engine_has_it(busy):
    with busy.daemon():
        done = busy.run("finalize", "--spec", busy.spec("web01"), "--config", "config.yaml")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "[finalize] vm=web01 moref=vm-1 finalize requested (000000000002)\n"
        done = busy.run("finalize", "--now", "web01")
        assert done.stdout == "[finalize] vm=web01 moref=vm-1 finalize-now requested (000000000002)\n"
        done = busy.run("finalize", "-now", "web01")
        assert done.stdout == "[finalize] vm=web01 moref=vm-1 finalize-now already requested (000000000002)\n"
        done = busy.run("finalize", "000000000001")
        assert done.stdout == "[finalize] vm=web01 moref=vm-1 stage=done already completed\n"
        line, = busy.run("status", busy.spec("web01")).stdout.splitlines()
        assert "finalize_requested=true finalize_now_requested=true" in line


def test_finalize_of_one_that_is_not_there_yet(busy):
    done = busy.run("finalize", busy.spec("new01"), busy.spec("db01"))
    assert done.returncode == 3
    assert "vmferry: finalize: new01: has no migration" in done.stderr and "vm=db01" in done.stdout


@pytest.mark.parametrize("verb", STEER)
def test_each_verb(busy, verb):
    with busy.daemon():
        done = busy.run(verb, "db01", "web01")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"[{verb}] vm=db01 moref=vm-3 {verb} requested (000000000003)\n" in done.stdout
    assert asked(busy) == [("000000000003", verb, {}), ("000000000002", verb, {})]


@pytest.mark.parametrize("verb", STEER)
def test_what_is_refused_says_why(busy, verb):
    scene = json.loads(busy.scene.read_text())
    busy.play(**scene, refuse_verb={verb: "db01: it is paused: resume it first"})
    done = busy.run(verb, "db01")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == f"vmferry: {verb}: db01: it is paused: resume it first\n"


@pytest.mark.parametrize("verb", STEER)
def test_nothing_named(busy, verb):
    done = busy.run(verb)
    assert done.returncode == 2 and "name a migration" in done.stderr and not busy.told()


def test_without_a_daemon_it_is_noted(busy):
    done = busy.run("pause", "db01")
    assert done.returncode == 0 and "it is noted" in done.stderr
    assert busy.told("start")[0]["mode"] == "look"


def test_cleanup_is_carried_out(busy):
    done = busy.run("cancel", "--cleanup", "db01")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[cancel] vm=db01 moref=vm-3 cancel requested (000000000003)", "[cancel] vm=db01 ended"]
    start, = busy.told("start")
    assert start["mode"] == "run" and start["config"]["vcenter"]["password"] == SECRET
    assert asked(busy) == [("000000000003", "cancel", {"cleanup": True})]


@pytest.mark.parametrize("kind", ["io", "unavailable", "not-found"])
def test_cleanup_that_fails_at_somebody_elses(site, kind):
    """The kind is of the migration's error: it is no sign that the daemon has gone."""
    site.play(migrations=[migration(1, "web01", **WAITING)],
              lives={"web01": [{"status": "failed", "error": {"kind": kind, "text": "no route to esx1"}}]})
    with site.daemon():
        done = site.run("cancel", "--cleanup", "web01")
    assert done.returncode == 1 and "web01: no route to esx1" in done.stderr


@pytest.mark.parametrize("word, choice", [("force", "force"), ("done", "manual")])
def test_shutdown(busy, word, choice):
    done = busy.run("shutdown", word)    # one asks, so it need not be named
    assert done.stdout == f"[shutdown] vm=app01 moref=vm-4 shutdown {word} requested (000000000004)\n"
    assert busy.run("shutdown", word, "app01").returncode == 0
    assert asked(busy) == [("000000000004", "shutdown", {"choice": choice})] * 2


def test_shutdown_that_nobody_asks_for(site):
    site.play(migrations=[migration(1, "web01", **WAITING)])
    assert "no migration asks for it" in site.run("shutdown", "force").stderr
    site.play(migrations=[migration(n, f"web0{n}", **ASKING) for n in (1, 2)])
    (site.control / "fake.json").unlink()
    done = site.run("shutdown", "force")
    assert done.returncode == 1 and "2 migrations ask for it: say which" in done.stderr
    assert site.run("shutdown", "maybe", "web01").returncode == 2


@pytest.mark.parametrize("rate, bytes_s, text", [("200M", 200 << 20, "200.0 MiB/s"), ("none", 0, "no limit"), ("0", 0, "no limit")])
def test_limit_of_all(site, rate, bytes_s, text):
    done = site.run("limit", rate)
    assert done.returncode == 0 and done.stdout.startswith(f"[limit] all migrations together: {text}, 3 machines at once")
    assert [line["body"] for line in site.told() if line.get("method") == "PUT"] == [{"bandwidth_bytes_s": bytes_s}]


def test_limit_is_shown(site):
    assert site.run("limit").stdout.startswith("[limit] all migrations together: no limit")
    assert not [line for line in site.told() if line.get("method")]


def test_limit_of_one(busy):
    done = busy.run("limit", "10MiB", "db01")
    assert done.stdout == "[limit] vm=db01 moref=vm-3 limit 10.0 MiB/s requested (000000000003)\n"
    assert asked(busy) == [("000000000003", "limit", {"limit_bytes_s": 10 << 20})]
    assert busy.run("limit", "fast", "db01").returncode == 2
