"""lab/cloudstack works later, forgets, and fails when it is told to; a foreign client gets on with it."""

import http.client
import json
import os
import subprocess
import threading
import urllib.parse
import uuid

import pytest

import lab_stack
from lab_stack import POLL, refused, signed

ADMIN = {"name": "admin", "type": "admin", "api_key": lab_stack.KEY, "secret_key": lab_stack.SECRET}
BOB = {"name": "bob", "api_key": "bob-key", "secret_key": "bob-secret"}
SITE = {"accounts": [ADMIN, BOB]}
CS = """
import json, sys
from cs import CloudStack, CloudStackApiException
calls = json.load(sys.stdin)
cs = CloudStack(endpoint=calls["url"], key="admin-api-key", secret="admin-secret-key", verify=calls["ca"],
                method=calls["method"], poll_interval=0.05, timeout=60)
made = []
for name, args, options in calls["calls"]:
    args = {key: made[value[0]][value[1]] if isinstance(value, list) else value for key, value in args.items()}
    try:
        answer = getattr(cs, name)(**args, **options)
    except CloudStackApiException as error:
        answer = error.error
    while isinstance(answer, dict) and len(answer) == 1 and isinstance(next(iter(answer.values())), dict):
        answer = next(iter(answer.values()))
    made.append(answer)
json.dump(made, sys.stdout)
"""

FOREIGN = pytest.mark.skipif(subprocess.run(["/usr/bin/python3", "-c", "import cs"], capture_output=True,
                                            check=False).returncode, reason="no python3-cs")


@pytest.fixture
def lab(tmp_path):
    with lab_stack.lab(tmp_path, SITE, "--plain") as running:
        yield running


@pytest.fixture
def client(lab):
    return lab.client()


def submit(lab, client, path="a.qcow2", name="web01", **args):
    """An importVm that nobody waits for: the UUID of its job."""
    ids = lab.ids
    return client.call("importVm", zoneid=ids["zone"]["zone1"], clusterid=ids["cluster"]["cluster1"], hypervisor="KVM",
                       importsource="shared", name=name, serviceofferingid=ids["serviceoffering"]["small"],
                       storageid=ids["pool"]["nfs1"], networkid=ids["network"]["net1"], diskpath=path, **args)["jobid"]


def machines(lab):
    return sorted(lab.state()["machines"])


def wait_for(see):
    while not see():
        POLL.wait(0.02)


# Jobs.


def test_a_job_that_runs_says_so(lab, client):
    lab.image("a.qcow2")
    lab.add(job="importVm", action="hang")
    job = submit(lab, client)
    answer = client.call("queryAsyncJobResult", jobid=job)
    assert (answer["jobid"], answer["jobstatus"], answer["jobprocstatus"], answer["jobresultcode"]) == (job, 0, 0, 0)
    assert answer["cmd"].endswith("ImportVmCmd") and "jobresult" not in answer and machines(lab) == []
    assert [row["jobid"] for row in client.rows("listAsyncJobs", listall=True)] == [job]


def test_a_job_that_is_done_says_what_came_of_it(lab, client):
    lab.image("a.qcow2")
    job = submit(lab, client)
    machine = client.wait(job)["virtualmachine"]
    answer = client.call("queryAsyncJobResult", jobid=job)
    assert (answer["jobstatus"], answer["jobresulttype"]) == (1, "object") and answer["completed"].endswith("+0000")
    assert client.call("queryAsyncJobResult", resourceid=machine["id"], resourcetype="VirtualMachine")["jobid"] == job
    again = submit(lab, client)
    with refused(530, "Disk image is already in use"):
        client.wait(again)
    answer = client.call("queryAsyncJobResult", jobid=again)
    assert (answer["jobstatus"], answer["jobresultcode"], set(answer["jobresult"])) == (
        2, 530, {"errorcode", "errortext"})


def test_jobs_belong_to_whom_started_them(lab, client):
    lab.image("a.qcow2")
    job = submit(lab, client)
    client.wait(job)
    with refused(531, "Permission denied"):
        lab.client("bob-key", "bob-secret").call("queryAsyncJobResult", jobid=job)
    with refused(431, "Invalid parameter jobid"):
        client.call("queryAsyncJobResult", jobid=str(uuid.uuid4()))
    with refused(431, "Expected parameter job id"):
        client.call("queryAsyncJobResult")


def test_the_caller_may_name_the_job(lab, client):
    lab.image("a.qcow2")
    mine = str(uuid.uuid4())
    assert submit(lab, client, customjobid=mine) == mine
    client.wait(mine)
    with refused(431, "already in use"):
        submit(lab, client, customjobid=mine)
    with refused(431, "not valid"):
        submit(lab, client, customjobid="7")


def test_jobs_on_one_machine_wait_for_each_other(lab, client):
    for name in ("a.qcow2", "b.qcow2"):
        lab.image(name)
    one, other = client.adopt(lab, "a.qcow2"), client.adopt(lab, "b.qcow2", "web02")
    lab.add(job="startVirtualMachine", action="hang")
    start = client.call("startVirtualMachine", id=one["id"])["jobid"]
    wait_for(lambda: lab.fault("list")["rules"][0]["fired"])
    stop = client.call("stopVirtualMachine", id=one["id"])["jobid"]
    client.job("stopVirtualMachine", id=other["id"])       # not its turn to wait
    assert [client.call("queryAsyncJobResult", jobid=job)["jobstatus"] for job in (start, stop)] == [0, 0]


@pytest.mark.parametrize("action, done", (("hang", []), ("hang-after", ["web01"])))
def test_a_restart_forgets_what_runs(lab, client, action, done):
    lab.image("a.qcow2")
    lab.add(job="importVm", action=action)
    job = submit(lab, client)
    wait_for(lambda: machines(lab) == done and lab.fault("list")["rules"][0]["fired"])
    assert lab.event("restart")["lost"] == [job]
    with refused(431, "Invalid parameter jobid"):
        client.call("queryAsyncJobResult", jobid=job)
    assert machines(lab) == done                            # what was done is done, and nobody says so


def test_a_restart_may_tell_what_it_lost(lab, client):
    lab.image("a.qcow2")
    lab.add(job="importVm", action="hang")
    job = submit(lab, client)
    lab.event("restart", jobs="fail")
    with refused(530, "management server restart"):
        client.wait(job)
    assert machines(lab) == [] and client.adopt(lab, "a.qcow2")


def test_what_a_restart_lost_is_not_done_later(lab, client):
    for name in ("a.qcow2", "b.qcow2"):
        lab.image(name)
    lab.add(job="importVm", delay_ms=500)
    lab.add(job="importVm", nth=2, delay_ms=1500)
    submit(lab, client)
    wait_for(lambda: lab.fault("list")["rules"][0]["fired"])
    lab.event("restart")
    client.adopt(lab, "b.qcow2", "web02")       # takes longer than the lost one would have
    assert machines(lab) == ["web02"]


def test_a_restart_ends_connections(lab):
    connection = http.client.HTTPConnection("127.0.0.1", lab.facts["port"], timeout=20)
    connection.request("GET", "/client/other")
    connection.getresponse().read()
    lab.event("restart")
    with pytest.raises((OSError, http.client.HTTPException)):
        connection.request("GET", "/client/other")
        connection.getresponse()
    connection.close()


def test_jobs_are_kept_for_a_time(lab, client):
    lab.image("a.qcow2")
    job = submit(lab, client)
    client.wait(job)
    lab.event("expire-jobs")
    with refused(431, "Invalid parameter jobid"):
        client.call("queryAsyncJobResult", jobid=job)
    assert client.rows("listAsyncJobs", listall=True) == []


def test_jobs_take_their_time(tmp_path):
    with lab_stack.lab(tmp_path, dict(SITE, job_ms=300), "--plain") as lab:
        client = lab.client()
        lab.image("a.qcow2")
        job = submit(lab, client)
        assert client.call("queryAsyncJobResult", jobid=job)["jobstatus"] == 0 and machines(lab) == []
        assert client.wait(job)["virtualmachine"]["state"] == "Stopped"


# Failing on purpose.


def test_calls_fail_when_they_are_told_to(lab, client):
    lab.add(call="listZones", code=530, text="tired", nth=2, times=2)
    assert client.rows("listZones")
    for _ in range(2):
        with refused(530, "tired"):
            client.call("listZones")
    assert client.rows("listZones") and client.rows("listHosts")
    lab.add(call="*", code=429, text="please retry after 700 ms.", times=0, account="bob")
    with refused(429, "700 ms"):
        lab.client("bob-key", "bob-secret").call("listZones")
    assert client.rows("listZones")
    lab.fault("clear")
    assert lab.client("bob-key", "bob-secret").rows("listZones")


def test_jobs_fail_when_they_are_told_to(lab, client):
    lab.image("a.qcow2")
    lab.add(job="importVm", code=533, text="no room")
    with refused(533, "no room"):
        client.adopt(lab, "a.qcow2")
    assert machines(lab) == [] and client.adopt(lab, "a.qcow2")


@pytest.mark.parametrize("action, done", (("cut", 0), ("cut-after", 1)))
def test_a_connection_ends_before_or_after_it_is_done(lab, client, action, done):
    lab.image("a.qcow2")
    mine = str(uuid.uuid4())
    lab.add(call="importVm", action=action)
    with pytest.raises((OSError, http.client.HTTPException)):
        submit(lab, client, customjobid=mine)
    if done:
        assert client.wait(mine)["virtualmachine"]["name"] == "web01"
    else:
        with refused(431, "Invalid parameter jobid"):
            client.wait(mine)
    assert machines(lab) == ["web01"] * done and lab.state()["calls"].get("importVm", 0) == done


def test_half_an_answer(lab, client):
    lab.add(call="listHosts", action="truncate")
    with pytest.raises(http.client.IncompleteRead):
        client.rows("listHosts")
    assert client.rows("listHosts")


def test_answers_in_chunks_late_or_by_somebody_else(lab, client):
    lab.add(call="listHosts", action="chunked")
    lab.add(call="listZones", status=502)
    params = client.params("listHosts")
    words = dict(params, signature=signed(params, client.secret))
    status, headers, body = client.raw("GET", urllib.parse.urlencode(words))
    assert status == 200 and headers["Transfer-Encoding"] == "chunked"
    assert json.loads(body)["listhostsresponse"]["count"] == 1
    with pytest.raises(ValueError):     # a page for people
        client.rows("listZones")
    lab.add(call="listPods", delay_ms=5000)
    done = threading.Event()
    waiter = threading.Thread(target=lambda: (client.rows("listPods"), done.set()))
    waiter.start()
    assert client.rows("listZones") and not done.is_set()       # nobody else waits
    waiter.join()
    assert done.is_set()


def test_maintenance(lab, client):
    lab.event("maintenance", on=True)
    with refused(503, "maintenance"):
        client.call("listZones")
    lab.event("maintenance", on=False)
    assert client.rows("listZones")


@pytest.mark.parametrize("rule", ({"call": "listNothing"}, {"job": "listZones", "code": 1},
                                  {"call": "*", "action": "hang"},
                                  {"call": "*", "job": "*"}, {"call": "*", "when": 1}, {"call": "*", "nth": "1"},
                                  {"job": "*", "status": 502}))
def test_a_rule_that_would_test_nothing_is_refused(lab, rule):
    with pytest.raises(AssertionError, match="lab/fault"):
        lab.add(**rule)


@pytest.mark.parametrize("site", ({"release": "5"}, {"zone": []}, {"pools": [{"name": "x", "type": "Tape"}]},
                                  {"pools": [{"name": "x", "color": 1}]}, {"hosts": [{"name": "x", "cluster": "none"}]},
                                  {"settings": {"nothing": 1}}, {"accounts": [dict(BOB, limits={"beer": 1})]},
                                  {"networks": [{"name": "x", "cidr": "10.0.0.0/99"}]}))
def test_a_site_that_is_wrong_is_refused(tmp_path, site):
    with pytest.raises(RuntimeError, match="lab/cloudstack: "):
        lab_stack.Lab(tmp_path, site)


# A client that nobody here wrote.


def foreign(lab, method, *calls):
    """What Debian's python3-cs gets back for calls (name, arguments, options): its answers. An argument that is a list
    names an earlier answer and a field of it."""
    words = {"url": lab.facts["url"], "ca": lab.facts["ca"], "method": method,
             "calls": [(*call, {})[:3] for call in calls]}
    result = subprocess.run(["/usr/bin/python3", "-c", CS], input=json.dumps(words), capture_output=True, text=True,
                            check=False, timeout=120)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@FOREIGN
@pytest.mark.parametrize("method", ("get", "post"))
def test_a_foreign_client_migrates(tmp_path, method):
    with lab_stack.lab(tmp_path, SITE) as lab:
        root, ids = lab.image("a.qcow2"), lab.ids
        lab.image("b.qcow2")
        pool, whole = ids["pool"]["nfs1"], {"fetch_result": True}
        made = foreign(
            lab, method, ("listZones", {}, {"fetch_list": True}),
            ("listVolumesForImport", {"storageid": pool}, {"fetch_list": True}),
            ("importVm", {"zoneid": ids["zone"]["zone1"], "clusterid": ids["cluster"]["cluster1"], "hypervisor": "KVM",
                          "importsource": "shared", "storageid": pool, "diskpath": "a.qcow2", "name": "web01",
                          "networkid": ids["network"]["net1"], "displayname": "Web 01 (QA) * b+c/d \u00e9",
                          "serviceofferingid": ids["serviceoffering"]["custom"],
                          "details": {"cpuNumber": "2", "memory": "768", "UEFI": "LEGACY"}}, whole),
            ("importVolume", {"path": "b.qcow2", "storageid": pool}, whole),
            ("attachVolume", {"id": [3, "id"], "virtualmachineid": [2, "id"]}, whole),
            ("startVirtualMachine", {"id": [2, "id"]}, whole), ("stopVirtualMachine", {"id": [2, "id"]}, whole),
            ("destroyVirtualMachine", {"id": [2, "id"]}, whole), ("expungeVirtualMachine", {"id": [2, "id"]}, whole))
        assert [row["name"] for row in made[0]] == ["zone1"]
        assert [row["path"] for row in made[1]] == ["a.qcow2", "b.qcow2"]
        assert made[2]["displayname"] == "Web 01 (QA) * b+c/d \u00e9" and made[2]["memory"] == 768
        assert made[2]["details"] == {"cpuNumber": "2", "memory": "768", "UEFI": "LEGACY"}
        assert (made[4]["deviceid"], made[5]["state"], made[6]["state"]) == (2, "Running", "Stopped")
        assert not os.path.exists(root) and lab.state()["files"]["nfs1"] == ["b.qcow2"]


@FOREIGN
def test_a_foreign_client_understands_errors_and_pages(tmp_path):
    zones = [f"zone{number}" for number in range(501)]
    with lab_stack.lab(tmp_path, dict(SITE, zones=zones)) as lab:
        assert [row["name"] for row in foreign(lab, "get", ("listZones", {}, {"fetch_list": True}))[0]] == zones
        for name, args, code, words in (("listZones", {"id": "none"}, 431, "Invalid parameter id value=none"),
                                        ("listNothing", {}, 432, "listNothing does not exist"),
                                        ("importVm", {}, 431, "missing parameter zoneid")):
            (answer,) = foreign(lab, "get", (name, args))
            assert answer["errorcode"] == code and words in answer["errortext"]
