"""vmferry run, and what is said to it from another terminal; the ledger of a real guest, which loses no record."""

import json
import os
import pathlib
import re
import signal
import subprocess

import pytest

import ledger
from libvirt_scenes import libvirtd
from places import LAB
from v2v_scenes import make_disk, names_in, wait_until
from warm_scenes import Site, write_some

SIZES = {2000: 12 << 20, 2016: 9 << 20}
NAMES = ["two words", "web/01", "-dash", "ünï cödé"]
EXTRA = {"qemu": {"process": False}, "tools_after_s": 0, "shutdown_s": 0.05}
BOOT_SECONDS = 600
MIGRATE_SECONDS = 1800


@pytest.fixture(name="disks", scope="module")
def two_disks(tmp_path_factory):
    here = tmp_path_factory.mktemp("disks")
    return [make_disk(here / f"{key}.raw", size >> 20, seed=key, data_mib=(size >> 20) - 8)
            for key, size in SIZES.items()]


@pytest.fixture(name="site")
def a_site(vmferry, tmp_path, disks):
    def machine(name, **more):
        attached = [{"controller": controller, "unit": 0, "image": str(disk)}
                    for controller, disk in zip(("pvscsi0", "lsilogic1"), disks)]
        return {"name": name, "power": "poweredOn", "disks": attached, "memory_mib": 64, "extra": EXTRA, **more}

    machines = [machine("web01"), machine("web02"), machine("twin", folder="a"),
                machine("twin", folder="b", datastore="other")]
    machines += [machine(name) for name in NAMES] + [machine("cold", power="poweredOff")]
    made = Site(vmferry, tmp_path, machines, datastores=["datastore1", "other"])
    yield made
    made.close()


# ---- from start to end ----

def test_run_status_finalize(site):
    spec = site.spec("web01")
    run = site.start(spec)
    site.wait_stage(run, spec, "delta")
    write_some(site, "web01", SIZES)
    [row] = site.status(spec)
    assert row["vm_name"] == "web01" and row["vm_moref"] and not row["finalize_requested"]
    said = site.say("finalize", "--spec", spec).stdout
    assert re.match(r"\[finalize\] vm=web01 moref=vm-\d+ finalize requested", said), said
    run.is_good()
    site.is_moved("web01")
    site.nothing_left()
    assert "state.json" not in names_in(site.out)


def test_finalize_now_does_not_wait_for_the_next_round(site):
    spec = site.spec("web01", delta_interval=3600)
    run = site.start(spec)
    site.wait_stage(run, spec, "delta")
    write_some(site, "web01", SIZES)
    site.say("finalize", "--now", "--spec", spec)
    run.is_good()
    site.is_moved("web01")
    site.nothing_left()


def test_a_time_that_has_come(site):
    run = site.start(site.spec("web01", finalize_at="2020-01-01T00:00"))
    run.is_good()
    site.is_moved("web01")
    site.nothing_left()


def test_several_at_once_and_one_that_fails(site):
    """The others go on, and the exit code says that some failed."""
    spec = site.spec("web01", "web02", "nobody", finalize_at="2020-01-01T00:00")
    code, _, stderr = site.start(spec).end()
    assert code == 3 and "nobody" in stderr
    for name in ("web01", "web02"):
        site.is_moved(name)
    site.nothing_left()


# ---- of a machine that is off ----

@pytest.mark.parametrize("transport", ["vddk", "https", "export"])
def test_cold(site, transport):
    """Its disks side by side, and read again as the spec says; files are not started, which is said."""
    spec = site.spec("cold", mode="cold", transport=transport, parallel_disks=2, verify="sample", start_vm_after_import=True)
    run = site.start(spec)
    run.is_good()
    site.is_moved("cold", offs=0)
    site.nothing_left()
    assert "the machine is not started" in run.end()[1] + run.end()[2]


def test_a_machine_that_runs_is_not_moved_cold(site):
    code, _, stderr = site.start(site.spec("web01", mode="cold")).end()
    assert code == 1 and "web01" in stderr and "on" in stderr
    assert site.machine("web01")["power"] == "poweredOn" and not site.offs("web01")
    site.nothing_left()


# ---- into libvirt ----

@pytest.fixture(name="host")
def a_libvirt(tmp_path):
    with libvirtd(tmp_path / "libvirtd") as host:
        yield host
        for name in host.machines("--state-running"):
            host.virsh("destroy", "--domain", name)
        for name in host.machines():
            host.virsh("undefine", "--domain", name)


def into(host):
    return {"libvirt": {"uri": host.uri, "pool": "default", "network_map": {"VM Network": host.network}}}


@pytest.mark.parametrize("name, mode", [("web01", "warm"), ("cold", "cold")])
def test_into_libvirt(site, host, name, mode):
    """It is defined with its disks in the pool, and started once."""
    target = into(host)
    words = {"finalize_at": "2020-01-01T00:00"} if mode == "warm" else {}
    spec = site.spec(name, target=target, mode=mode, start_vm_after_import=True, **words)
    site.start(spec).is_good()
    assert host.machines("--state-running") == [name]
    host.virsh("destroy", "--domain", name)
    site.are_moved(name, pathlib.Path(host.pool_dir), offs=int(mode == "warm"))
    site.nothing_left()


def test_a_name_that_is_taken_there_meanwhile(site, host):
    """The source is not switched off for it; when the name is free again, the migration goes on."""
    spec = site.spec("web01", target=into(host), delta_interval=3600)
    run = site.start(spec)
    site.wait_stage(run, spec, "delta")
    host.virsh("define", "/dev/stdin", given="<domain type='qemu'><name>web01</name><memory>65536</memory>"
                                             "<os><type>hvm</type></os></domain>")
    site.say("finalize", "--now", "--spec", spec)
    def rows():
        return json.loads(site.say("status", "--json").stdout)

    wait_until(lambda: [row for row in rows() if row["error"]], "a conflict")
    [row] = rows()
    assert row["status"] == "retrying" and "web01" in row["error"]["text"], row
    assert site.machine("web01")["power"] == "poweredOn" and site.offs("web01") == 0
    host.virsh("undefine", "--domain", "web01")
    site.say("retry", "--spec", spec)
    run.is_good()
    assert host.machines() == ["web01"]
    site.are_moved("web01", pathlib.Path(host.pool_dir))
    site.nothing_left()


# ---- interrupted ----

@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_same_command_goes_on(site, number):
    """Interrupted, or killed with all it had started; the second one finds where the first one was."""
    spec = site.spec("web01", delta_interval=3600)
    run = site.start(spec)
    site.wait_stage(run, spec, "delta")
    write_some(site, "web01", SIZES)
    run.process.send_signal(number)
    run.end()
    again = site.start(spec)
    site.wait_stage(again, spec, "delta")
    write_some(site, "web01", SIZES, seed=1)
    site.say("finalize", "--now", "--spec", spec)
    again.is_good()
    site.is_moved("web01")
    site.nothing_left()


def test_cancel_with_cleanup(site):
    spec = site.spec("web01")
    run = site.start(spec)
    site.wait_stage(run, spec, "delta")
    site.say("cancel", "--cleanup", "--spec", spec)
    run.end()
    assert names_in(site.out) == [] and site.machine("web01")["power"] == "poweredOn" and site.offs("web01") == 0
    assert not site.machine("web01")["change_tracking"]
    site.nothing_left()


def test_cancel_with_cleanup_after_a_crash(site):
    """Nobody runs any more; what was left at the source is removed all the same."""
    spec = site.spec("web01", bandwidth="2MiB")
    run = site.start(spec)
    site.wait_stage(run, spec, "base_copy")
    wait_until(lambda: site.lab.state()["snapshots"], "a snapshot of ours", 60)
    run.process.kill()
    run.end()
    site.say("cancel", "--cleanup", "--spec", spec)
    site.lab.fault("expire-sessions")
    assert names_in(site.out) == [] and site.machine("web01")["power"] == "poweredOn"
    site.nothing_left()


# ---- marker files ----

def folder_of(site, name):
    [found] = site.control_dir.glob(f"{name}_vm-*")
    return found


def test_a_marker_is_honoured_once(site):
    spec = site.spec("web01")
    run = site.start(spec)
    site.wait_stage(run, spec, "delta")
    (folder_of(site, "web01") / "FINALIZE").touch()
    run.is_good()
    site.is_moved("web01")
    assert not (folder_of(site, "web01") / "FINALIZE").exists()


def test_a_stale_marker_switches_nothing_off(site):
    """FINALIZE of an earlier migration, as v2c-engine leaves it behind."""
    spec = site.spec("web01")
    moref = site.machine("web01")["moref"]
    folder = site.control_dir / f"web01_{moref}"
    folder.mkdir()
    for name in ("FINALIZE", "FINALIZE_NOW", "SHUTDOWN_FORCE"):
        (folder / name).touch()
        os.utime(folder / name, (1, 1))
    run = site.start(spec)
    site.wait_stage(run, spec, "delta")
    rounds = site.lab.state()["calls"]["CreateSnapshot_Task"]
    wait_until(lambda: site.lab.state()["calls"]["CreateSnapshot_Task"] >= rounds + 2, "two more rounds", 60)
    assert site.offs("web01") == 0
    site.say("cancel", "--spec", spec)
    run.end()
    assert site.offs("web01") == 0
    site.nothing_left()


# ---- the question ----

def test_nobody_is_there_to_be_asked(site):
    """Exit 4, and the answer from another command later on."""
    spec = site.spec("web01", shutdown_mode="manual", finalize_at="2020-01-01T00:00")
    code, _, stderr = site.start(spec).end()
    assert code == 4 and "web01" in stderr
    assert site.offs("web01") == 0 and site.machine("web01")["power"] == "poweredOn"
    site.say("shutdown", "force", "--vm", "web01")
    site.start(spec).is_good()
    site.is_moved("web01")
    site.nothing_left()


# ---- names ----

def test_two_machines_of_one_name(site):
    """The name alone is refused with both of them named; by path and by moref each is found, and they do not meet."""
    code, _, stderr = site.start(site.spec("twin", finalize_at="2020-01-01T00:00")).end()
    assert code == 1 and len(re.findall(r"vm-\d+", stderr)) >= 2
    first, second = site.here / "first", site.here / "second"
    for path in (first, second):
        path.mkdir()
    at = {"finalize_at": "2020-01-01T00:00"}
    specs = [site.spec({"path": f"/DC0/vm/{folder}/twin"}, out=out, **at)
             for folder, out in (("a", first), ("b", second))]
    site.start(*specs).is_good()
    assert names_in(first) == names_in(second) == ["twin-sda", "twin-sdb", "twin.xml"]
    assert len([it for it in names_in(site.control_dir) if it.startswith("twin_vm-")]) == 2
    site.nothing_left()


@pytest.mark.parametrize("name", NAMES)
def test_odd_names(site, name):
    site.start(site.spec(name, finalize_at="2020-01-01T00:00")).is_good()
    assert site.machine(name)["power"] == "poweredOff" and site.offs(name) == 1
    assert len(names_in(site.out)) == 3 and len(list(site.out.glob("*.xml"))) == 1
    site.nothing_left()


# ---- the ledger ----

class Guest:
    """The real guest in the lab, writing its ledger, and its migration."""

    def __init__(self, vmferry, lab_guest, here, layout, **extra):
        facts = json.loads((lab_guest / "guest.json").read_text())
        self.prompt = facts["login_prompt"]
        self.places = {"one": ["/"], "two": ["/", "/data"], "span": ["/", "/data", "/span"]}[layout]
        disks = here / "disks"
        disks.mkdir()
        machine = {"name": "lab-guest", "memory_mib": 768, "vcpus": facts["cpus"], "power": "poweredOn",
                   "disks": ledger.prepare(lab_guest, disks, layout, records_s=10, writes_s=20),
                   "nics": [{"mac": facts["nic"]["mac"], "pci_slot": facts["nic"]["slot"], "network": "VM Network"}],
                   "extra": extra}
        self.site = Site(vmferry, here, [machine], networks=["VM Network"])
        self.log = self.site.lab.dir / "power" / self.site.machine("lab-guest")["moref"] / "serial.log"

    def told(self):
        return ledger.acknowledged(self.log)

    def migrate(self, rounds, **migration):
        """Warm, under load, with at least so many rounds. The last record told before the power went."""
        wait_until(lambda: self.told() > 20, "the first records", BOOT_SECONDS)
        spec = self.site.spec("lab-guest", run_virt_v2v=True, delta_interval=5, **migration)
        run = self.site.start(spec)
        self.site.wait_stage(run, spec, "delta")
        for _ in range(rounds):
            made, told = self.site.lab.state()["calls"]["CreateSnapshot_Task"], self.told()
            wait_until(lambda made=made, told=told: self.told() > told + 10 and
                       self.site.lab.state()["calls"]["CreateSnapshot_Task"] > made, "a round", BOOT_SECONDS)
        self.site.say("finalize", "--now", "--spec", spec)
        code, _, stderr = run.end(MIGRATE_SECONDS)
        assert code == 0, stderr
        assert self.site.offs("lab-guest") == 1
        self.site.nothing_left()
        return self.told()

    def holds(self, last):
        """It boots where it arrived, and has every record that was told of."""
        console = self.site.here / "console"
        booted = subprocess.run(
            [LAB / "boot", "--xml", self.site.out / "lab-guest.xml", "--log", console, "--expect", "LAB-REPORT end",
             "--last", self.prompt, "--timeout", "900"], capture_output=True, text=True, check=False, timeout=1000)
        assert booted.returncode == 0, booted.stdout[-4000:] + booted.stderr[-4000:]
        said = console.read_text(errors="replace")
        found = re.findall(r"LAB-REPORT ledger (\S+) (\d+) (\w+) (\d+)", said)
        assert [place for place, *_ in found] == self.places, said[-4000:]
        for place, highest, verdict, bad in found:
            assert (verdict, bad) == ("ok", "0") and int(highest) >= last, (place, highest, verdict, bad, last)
        assert "LAB-REPORT failed-units 0" in said


@pytest.fixture(name="guest_of")
def guests(vmferry, lab_guest, tmp_workdir):
    made = []

    def make(layout, **extra):
        made.append(Guest(vmferry, lab_guest, tmp_workdir, layout, **extra))
        return made[-1]

    yield make
    for guest in made:
        guest.site.close()


@pytest.mark.guest
def test_the_ledger(guest_of):
    """Two disks on two controllers, both as unit 0; several rounds under load."""
    guest = guest_of("two")
    guest.holds(guest.migrate(3))


@pytest.mark.guest
@pytest.mark.soak
@pytest.mark.parametrize("layout", ["one", "span"])
def test_the_ledger_on_other_disks(guest_of, layout):
    guest = guest_of(layout)
    guest.holds(guest.migrate(3))


@pytest.mark.guest
@pytest.mark.soak
def test_the_ledger_when_the_plug_is_pulled(guest_of):
    guest = guest_of("two")
    guest.holds(guest.migrate(2, shutdown_mode="force"))


@pytest.mark.guest
@pytest.mark.soak
def test_the_ledger_of_a_machine_that_cannot_be_tracked(guest_of):
    guest = guest_of("two", change_tracking_supported=False)
    guest.holds(guest.migrate(2))


@pytest.mark.guest
@pytest.mark.soak
def test_the_ledger_of_a_machine_that_has_a_snapshot(guest_of):
    """Of somebody else: it stays, and what changes is found by comparing. Only VDDK reads what lies under a snapshot."""
    guest = guest_of("two", snapshots=["yesterday"])
    guest.holds(guest.migrate(2, transport="vddk"))
    assert guest.site.lab.state()["snapshots"]["lab-guest"] == ["yesterday"]
