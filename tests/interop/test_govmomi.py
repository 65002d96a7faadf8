"""src/vmware against the simulator of govmomi, which is written by others after the same documents."""

import contextlib
import json
import re
import subprocess

import pytest

from interop_hand import Hand, Refused, Simulator, build_dir

DISK_BYTES = 1 << 20
MACHINES = 150                      # in each of two pools


@contextlib.contextmanager
def running(*options):
    simulator = Simulator(*options)
    try:
        yield simulator
    finally:
        simulator.close()


@pytest.fixture(scope="module", name="vcenter")
def a_vcenter():
    with running("-machines", str(MACHINES)) as simulator:
        yield simulator


@pytest.fixture(scope="module", name="host")
def a_host():
    with running("-esx", "-machines", "3") as simulator:
        yield simulator


@pytest.fixture(params=["vcenter", "host"], name="both")
def each_of_both(request):
    return request.getfixturevalue(request.param)


@contextlib.contextmanager
def logged_in(simulator, *options):
    hand = simulator.hand(*options)
    try:
        yield hand
    finally:
        hand.close()


def first_machine(hand):
    return hand("inventory")[0]


def test_session(both):
    with logged_in(both) as hand:
        (about,) = hand("about")
        assert about[3] == "6.5" and about[4] == "6.5"
        assert about[5] in ("vcenter", "esxi")


def test_kinds_are_told_apart(vcenter, host):
    for simulator, wrong, hint in ((vcenter, "esxi", "vpx://"), (host, "vcenter", "esx://")):
        with pytest.raises(Refused) as caught:
            simulator.hand("-", wrong)
        assert caught.value.kind == "invalid" and hint in caught.value.text


def test_wrong_password(both):
    with pytest.raises(Refused) as caught:
        both.hand(password="not-the-password")
    assert (caught.value.kind, caught.value.fault) == ("denied", "")
    assert "InvalidLogin" in caught.value.text and "not-the-password" not in caught.value.text


def test_another_certificate(vcenter):
    with pytest.raises(Refused) as caught:
        Hand(vcenter.facts["port"], "user", ":".join(["AB"] * 20), "pass")
    assert caught.value.kind == "denied" and vcenter.facts["thumbprint"] in caught.value.text.upper()


def test_inventory(vcenter):
    with logged_in(vcenter) as hand:
        machines = hand("inventory")
        assert len(machines) == 2 * MACHINES
        assert len({machine[0] for machine in machines}) == len(machines)
        for machine in machines:
            assert machine[2] == f"/DC0/vm/{machine[1]}" and machine[3] == "/DC0"
            assert machine[4].startswith("DC0_")
            assert machine[8:10] == ["1", str(DISK_BYTES)]
        light = hand("inventory", "DC0", "light")
        assert [machine[0] for machine in light] == [machine[0] for machine in machines]
        assert {machine[9] for machine in light} == {"0"}
        assert "/DC0" in hand.refuses("inventory", "/DC7").text


@pytest.mark.soak
def test_inventory_of_thousands(tmp_path):
    """The simulator gives all 5,000 in one answer, whatever it is asked for: no program of ours holds it."""
    peak, password = tmp_path / "peak", tmp_path / "password"
    password.write_text(Simulator.password + "\n")
    with running("-machines", "2500", "-empty") as simulator:
        url = f"vpx://{Simulator.user}@127.0.0.1:{simulator.facts['port']}"
        with open(tmp_path / "out", "w", encoding="utf-8") as out:
            subprocess.run(["time", "-f", "%e %M", "-o", peak, build_dir() / "src/cli/vmferry", "inventory", "--json",
                            "--password-file", password, "--thumbprint", simulator.facts["thumbprint"], url],
                           stdout=out, stdin=subprocess.DEVNULL, check=True)
    seconds, peak_kib = peak.read_text().split()
    machines = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert len({machine["moref"] for machine in machines if "moref" in machine}) == 5000
    print(f"5,000 machines in {seconds} s, {int(peak_kib) // 1024} MiB")
    assert float(seconds) < 60 and int(peak_kib) < 64 * 1024


def test_inventory_of_a_host(host):
    with logged_in(host) as hand:
        machines = hand("inventory")
        assert len(machines) == 3
        assert all(re.fullmatch(r"/ha-datacenter/vm/ha-host_VM\d+", machine[2]) for machine in machines)


def test_all_machines_whole(vcenter):
    with logged_in(vcenter) as hand:
        machines = hand("machines")
        assert len(machines) == 2 * MACHINES
        assert {tuple(machine[3:]) for machine in machines} == {("1", "1", "")}


def test_find(vcenter):
    with logged_in(vcenter) as hand:
        machine = first_machine(hand)
        moref, name, path, uuid, instance = machine[0], machine[1], machine[2], machine[11], machine[12]
        for query in (moref, f"moref={moref}", name, path, path.lstrip("/"), f"vm/{name}", uuid, instance,
                      uuid.upper()):
            assert hand("find", query) == [[moref, name, path, "/DC0"]], query
        assert hand("find", name, "DC0")[0][0] == moref
        assert hand("find", name, "/DC0/cluster/host")[0][0] == moref
        for query in ("nobody", "vm-99999", "/DC0/vm/nobody", "00000000-0000-0000-0000-000000000009"):
            assert hand.refuses("find", query).kind == "not-found", query


def test_read(both):
    with logged_in(both) as hand:
        machine = first_machine(hand)
        read = {words[0]: words[1:] for words in hand("read", machine[0])}
        assert read["machine"][:4] == machine[:4]
        assert read["machine"][5:7] == ["1", "1"]             # on, and its configuration is there
        assert read["machine"][7] == "13"                     # vmx-13
        disk = read["disk"]
        assert disk[2].startswith("[LocalDS_0] ") and disk[3] == str(DISK_BYTES)
        assert disk[4].startswith("6000C29a-") and disk[7] == "LocalDS_0"
        assert re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", read["nic"][1])
        assert hand.refuses("read", "vm-99999").kind == "not-found"


def test_snapshots(both):
    with logged_in(both) as hand:
        moref = first_machine(hand)[0]
        ((snapshot, found, *_),) = hand("snapshot-create", moref, "vmferry-a", "try")
        assert found == "0"
        ((again, found, *_),) = hand("snapshot-create", moref, "vmferry-a")
        assert (again, found) == (snapshot, "1")
        ((child, *_),) = hand("snapshot-create", moref, "vmferry-b")
        assert [words[:2] for words in hand("snapshot-find", moref)] == [[snapshot, "vmferry-a"], [child, "vmferry-b"]]
        read = [words[1:] for words in hand("read", moref) if words[0] == "snapshot"]
        assert read == [[snapshot, "vmferry-a", "", "0"], [child, "vmferry-b", snapshot, "1"]]
        frozen = [words for words in hand("read", moref, snapshot) if words[0] == "disk"]
        assert len(frozen) == 1
        assert hand.refuses("snapshot-remove", moref, child, "vmferry-a").kind == "conflict"
        hand("snapshot-remove", moref, snapshot, "vmferry-a")
        assert [words[1] for words in hand("snapshot-find", moref)] == ["vmferry-b"]
        hand("snapshot-remove", moref, child, "vmferry-b")
        hand("snapshot-remove", moref, child, "vmferry-b")    # gone is fine
        assert hand("snapshot-find", moref) == []


def test_power(both):
    with logged_in(both) as hand:
        moref = hand("inventory")[1][0]
        assert hand("power", "state", moref) == [["1"]]
        assert hand.refuses("power", "confirm-off", moref, 1).kind == "conflict"
        hand("power", "shutdown", moref, 20)
        hand("power", "confirm-off", moref, 1)
        hand("power", "off", moref)                           # off already
        hand("power", "on", moref)
        hand("power", "on", moref)
        hand("power", "off", moref)
        assert hand("power", "state", moref) == [["0"]]
        hand("power", "on", moref)


def test_files(both):
    with logged_in(both) as hand:
        machine = first_machine(hand)
        datacenter = machine[3]
        (file,) = [words[3] for words in hand("read", machine[0]) if words[0] == "disk"]
        descriptor, extent = hand("descriptor", datacenter, file)
        assert descriptor[:2] == ["vmfs", str(DISK_BYTES)]
        assert extent == ["extent", "VMFS", file.replace(".vmdk", "-flat.vmdk"), str(DISK_BYTES)]
        assert hand("file", "size", datacenter, extent[2]) == [[str(DISK_BYTES)]]
        directory = file.rpartition("/")[0]
        assert hand("file", "exists", datacenter, directory) == [["1"]]
        assert hand("file", "exists", datacenter, directory + "-not") == [["0"]]
        refused = hand.refuses("descriptor", datacenter, file + "-not")
        assert refused.kind == "not-found" and file in refused.text
        assert hand.refuses("descriptor", datacenter, extent[2]).kind == "invalid"


def test_hosts(both):
    with logged_in(both) as hand:
        hosts = hand("hosts")
        assert hosts and all(words[2] == "connected" and words[6] for words in hosts)
        assert hand("hosts", hosts[0][0]) == hosts[:1]
        assert hand.refuses("hosts", "host-99999").kind == "not-found"


def test_tracking(both):
    with logged_in(both) as hand:
        moref = hand("inventory")[2][0]
        flags = [words for words in hand("read", moref) if words[0] == "flags"][0]
        if "cbt_supported=1" not in flags:                    # the package's simulator says so of no machine
            assert hand.refuses("cbt", "on", moref).kind == "unavailable"
            return
        assert hand("cbt", "on", moref) == [["1"]]
        assert hand("cbt", "on", moref) == [["0"]]
        hand("cbt", "off", moref)


def test_what_the_simulator_does_not_know(both):
    with logged_in(both) as hand:
        moref = first_machine(hand)[0]
        refused = hand.refuses("export", moref)
        assert refused.fault == "MethodNotFound" and refused.kind == "unavailable"


def test_a_session_that_ended(both):
    with logged_in(both) as hand:
        before = hand("inventory")
        both.expire()
        assert hand("inventory") == before
        both.expire()
        assert hand("power", "state", before[0][0]) == [["1"]]
        assert hand("renew") == [["another"]]
        assert hand("inventory") == before
