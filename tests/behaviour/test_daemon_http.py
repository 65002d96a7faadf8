"""vmferryd from outside: its HTTP, what is refused there, and how much it needs."""

import json
import os
import re
import socket
import subprocess

import pytest

from daemon_load import ALL_ENDED, cost_of_waiting, lists_of_ended, with_a_thousand_waiting, with_ten_thousand_ended
from daemon_scenes import MACHINE, UnixConnection, fixture_serve, make_config, ready
from places import TOP


# ---- HTTP ----

def raw(daemon, request):
    """What it answers to these bytes."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(3)
        client.connect(str(daemon.socket))
        try:
            client.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = b""
        try:
            while piece := client.recv(65536):
                answer += piece
        except (ConnectionResetError, TimeoutError):
            pass   # half a request gets no answer, and half a minute
        return answer


@pytest.mark.asan
@pytest.mark.parametrize("method, path, body, status", [
    ("GET", "/nothing", None, 404), ("GET", "/migrations/a/b/c", None, 404), ("PATCH", "/migrations", None, 405),
    ("DELETE", "/health", None, 405), ("GET", "/migrations/" + "a" * 33, None, 404), ("GET", "/migrations/..%2f..", None, 405),
    ("POST", "/migrations", None, 400), ("POST", "/migrations", {"spec": 5}, 400), ("POST", "/migrations", [], 400),
    ("GET", "/migrations?limit=0", None, 400), ("GET", "/migrations?limit=x", None, 400),
    ("GET", "/migrations?status=sleeping", None, 400), ("GET", "/migrations?after=ffffffffffff", None, 404),
    ("GET", "/migrations/0123456789ab", None, 404), ("GET", "/migrations/0123456789ab/events", None, 404),
])
def test_what_is_refused(serve, method, path, body, status):
    daemon = ready(serve())
    got, answer = daemon.call(method, path, body)
    assert got == status and answer["detail"] and answer["code"], answer


def test_405_names_what_is_allowed(serve):
    daemon = ready(serve())
    connection = UnixConnection(daemon.socket)
    connection.request("DELETE", "/api/v1/limits")
    response = connection.getresponse()
    assert response.status == 405 and response.headers["Allow"] == "GET, PUT"
    connection.close()


@pytest.mark.asan
@pytest.mark.parametrize("request_bytes", [
    b"", b"\0" * 100, b"GARBAGE\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"x" * 100000 + b" HTTP/1.1\r\n\r\n",
    b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"y" * 100000 + b"\r\n\r\n",
    b"POST /api/v1/migrations HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{",
    b"POST /api/v1/migrations HTTP/1.1\r\nHost: x\r\nContent-Length: -10\r\n\r\n{}",
    b"POST /api/v1/migrations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
])
def test_malformed_requests_hurt_nobody(serve, request_bytes):
    daemon = ready(serve())
    answer = raw(daemon, request_bytes)
    assert answer == b"" or b" 4" in answer.split(b"\r\n")[0] or b" 505 " in answer, answer[:200]
    assert daemon.get("/health")["status"] == "ok"


@pytest.mark.asan
def test_bodies_that_are_too_large(serve):
    daemon = ready(serve())
    head = b"POST /api/v1/migrations HTTP/1.1\r\nHost: x\r\n"
    assert b" 413 " in raw(daemon, head + b"Content-Length: 3000000\r\n\r\n")
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    assert b" 413 " in raw(daemon, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 40 + b"0\r\n\r\n")
    assert b" 413 " not in raw(daemon, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 100)
    deep = b"{\"spec\":" * 5000
    assert b" 400 " in raw(daemon, head + b"Content-Length: %d\r\n\r\n" % len(deep) + deep)
    assert daemon.get("/health")["status"] == "ok"


def test_another_user_is_turned_away(serve, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    daemon = ready(serve())
    os.chmod(daemon.socket, 0o777)
    for path in (daemon.control_dir, *daemon.control_dir.parents):
        if path.stat().st_uid == 0 and str(path).startswith("/tmp/"):
            os.chmod(path, 0o755)
    script = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({str(daemon.socket)!r});" \
             "s.send(b'GET /api/v1/migrations HTTP/1.0\\r\\n\\r\\n'); print(s.recv(1000).decode())"
    result = subprocess.run(["/usr/bin/python3", "-c", script], user=65534, capture_output=True, text=True, check=False)
    assert " 403 " in result.stdout, result


def test_many_connections_wait_for_their_turn(serve):
    daemon = ready(serve())
    idle = []
    for _ in range(100):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(daemon.socket))
        idle.append(client)
    for client in idle[:50]:
        client.close()
    assert daemon.get("/health")["status"] == "ok"
    for client in idle[50:]:
        client.close()


@pytest.mark.asan
def test_lists_are_given_in_pages(serve):
    daemon = ready(serve(config=make_config(migration={"parallel_vms": 1})))
    ids = [daemon.create(f"web{i:02}") for i in range(5)]
    page = daemon.get("/migrations?limit=2")
    assert [m["id"] for m in page["migrations"]] == ids[:2] and page["next"] == ids[1]
    page = daemon.get(f"/migrations?limit=3&after={page['next']}")
    assert [m["id"] for m in page["migrations"]] == ids[2:] and page["next"] is None
    assert [m["name"] for m in daemon.get("/migrations?name=WEB*3")["migrations"]] == ["web03"]
    daemon.next_worker()
    assert [m["id"] for m in daemon.get("/migrations?status=running,paused")["migrations"]] == [ids[0]]


def test_the_page_about_it_names_every_route(serve):
    """docs/api.md: each route is there, and an example of M has the keys that M has."""
    page = (TOP / "docs" / "api.md").read_text(encoding="utf-8")
    daemon = ready(serve())
    migration = daemon.create()
    routes = re.findall(r"^\| `(GET|PUT|POST|DELETE) (/api/v1/\S+)`", page, re.M)
    assert len(routes) >= 9
    for method, path in routes:
        path = path.split("?")[0].removeprefix("/api/v1").replace("ID", migration).replace("VERB", "limit")
        status, answer = daemon.call(method, path, {})
        assert status != 405 and answer.get("detail") != "no such path", (method, path, status, answer)
    example = json.loads(re.search(r"^\{\"id\".*", page, re.M)[0])
    assert sorted(example) == sorted(daemon.get("/migrations")["migrations"][0])


def test_the_page_about_it_shows_the_details(serve):
    page = (TOP / "docs" / "api.md").read_text(encoding="utf-8")
    example = json.loads(re.search(r"^\{\"disks\".*", page, re.M)[0])
    daemon = ready(serve())
    migration = daemon.create()
    worker = daemon.next_worker()
    disk, made, taken = example["disks"][0], example["objects"][0], example["rounds"][0]
    worker.journal("note", {**MACHINE, "disks": [disk]},
                   {"op": "object", **{key: made[key] for key in ("kind", "name", "state", "detail")}}, {"op": "round", **taken})
    shown = {key: daemon.show(migration)[key] for key in example}
    shown["objects"][0]["changed_at"] = made["changed_at"]
    assert shown == example


# ---- how much it needs ----

def test_a_thousand_that_wait_cost_little(serve):
    daemon = with_a_thousand_waiting(serve)
    peak_mib, share = cost_of_waiting(daemon, 6)
    print(f"1,000 waiting: {peak_mib:.0f} MiB, {100 * share:.2f} % of a core")
    assert peak_mib < 100 and share < 0.02


def test_ten_thousand_that_have_ended_are_listed_at_once(serve):
    daemon = with_ten_thousand_ended(serve)
    took = {path: seconds[0] for path, seconds in lists_of_ended(daemon, 5).items()}
    print({path: f"{1000 * seconds:.1f} ms" for path, seconds in took.items()})
    del took[ALL_ENDED]   # five megabytes of JSON, which Python reads as well
    assert max(took.values()) < 0.1
