"""Warm migrations as a person does them: specs, a config, `vmferry run` in one terminal, other commands in others."""

import json
import os
import random
import subprocess

import vsphere_scenes
from v2v_scenes import names_in, same_content, wait_until

END_SECONDS = 120
ENDED = ("done", "failed", "cancelled")


class Site:
    """A lab, a config and a control directory."""

    def __init__(self, vmferry, here, machines, site=None, **words):
        self.vmferry = vmferry
        self.here = here
        words.setdefault("hosts", [{"name": "localhost"}])
        self.lab = vsphere_scenes.Lab(here, vsphere_scenes.site_of(machines, site, **words), False)
        self.control_dir = here / "control"
        self.control_dir.mkdir()
        self.out = here / "out"
        self.out.mkdir()
        self.config = here / "config.yaml"
        facts = self.lab.facts
        self.config.write_text(json.dumps({
            "vcenter": {"host": f"{facts['host']}:{facts['port']}", "user": vsphere_scenes.USER,
                        "password_file": str(self.lab.password_file), "tls": {"thumbprint": self.lab.thumbprint},
                        "nfc_port": facts["nfc_port"]},
            "migration": {"control_dir": str(self.control_dir), "vddk_path": str(vmferry.parents[2] / "lab/vddk")}}))
        self.runs = []

    @property
    def env(self):
        return {**os.environ, "XDG_STATE_HOME": str(self.here / "state")}

    def spec(self, *vms, out=None, target=None, transport="https", **migration):
        """A file with a spec for each of them: a name, or what stands under `vm`. target: other than files."""
        words = {"delta_interval": 1, "finalize_settle_seconds": 1, "mode": "warm", **migration}
        convert = words.pop("run_virt_v2v", False)
        specs = [{"vm": vm if isinstance(vm, dict) else {"name": vm}, "source": {"transport": transport},
                  "migration": words, "conversion": {"run_virt_v2v": convert},
                  "target": target or {"files": {"directory": str(out or self.out)}}} for vm in vms]
        path = self.here / f"spec{len(list(self.here.glob('spec*')))}.yaml"
        path.write_text(json.dumps({"vms": specs}))
        return path

    def start(self, *specs, more=()):
        """vmferry run in the background, its events as JSON lines in a file."""
        words = [word for spec in specs for word in ("--spec", spec)]
        run = Run(subprocess.Popen([self.vmferry, "run", "--config", self.config, *words, *more], env=self.env,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        self.runs.append(run)
        return run

    def say(self, *words, check=True):
        """Another command, to its end."""
        done = subprocess.run([self.vmferry, words[0], "--config", self.config, *words[1:]], env=self.env,
                              capture_output=True, text=True, check=False, timeout=END_SECONDS)
        assert not check or done.returncode == 0, (words, done.stderr)
        return done

    def status(self, spec):
        """[row] of `vmferry status --json`."""
        said = self.say("status", "--spec", spec, "--json", check=False)
        return json.loads(said.stdout) if said.returncode == 0 else []

    def wait_stage(self, run, spec, *stages, n=1):
        """Until all n of them are in one of these stages."""
        def there():
            assert run.process.poll() is None, run.said()
            rows = self.status(spec)
            return len(rows) == n and all(row["current_stage"] in stages for row in rows)
        wait_until(there, f"{spec} in {stages}", END_SECONDS)

    # The lab.

    def machine(self, name):
        return self.lab.state()["machines"][name]

    def offs(self, name):
        return [state for state, _ in self.machine(name)["power_changes"]].count("poweredOff")

    def nothing_left(self):
        def quiet():
            state = self.lab.state()
            ours = [it for names in state["snapshots"].values() for it in names if it.startswith("vmferry-")]
            return not (ours or state["leases"] or state["sessions"] or state["tasks"])
        wait_until(quiet, f"an empty lab: {self.lab.state()}", 30)

    def is_moved(self, machine, files=None, offs=1):
        """All its disks and its description arrived, its source is off."""
        self.are_moved(machine, self.out, files, offs)
        assert f"{files or machine}.xml" in names_in(self.out)

    def are_moved(self, machine, out, files=None, offs=1):
        """All its disks arrived there as they are in the lab, its source is off."""
        state = self.machine(machine)
        assert state["power"] == "poweredOff" and self.offs(machine) == offs, state
        files = files or machine
        images = [state["images"][key] for key in sorted(state["images"], key=int)]
        assert {f"{files}-sd{letter}" for letter, _ in zip("abcd", images)} <= set(names_in(out))
        for letter, (path, kind) in zip("abcd", images):
            assert same_content(out / f"{files}-sd{letter}", path, "qcow2", kind), f"sd{letter} is not {path}"

    def close(self):
        for run in self.runs:
            run.close()
        self.lab.close()


class Run:
    """A vmferry run."""

    def __init__(self, process):
        self.process = process
        self.output = None

    def end(self, seconds=END_SECONDS):
        """(exit code, stdout, stderr)"""
        if self.output is None:
            self.output = self.process.communicate(timeout=seconds)
        return (self.process.returncode, *self.output)

    def is_good(self):
        code, _, stderr = self.end()
        assert code == 0, stderr

    def said(self):
        return self.end() if self.process.poll() is not None else ""

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        if self.output is None:
            self.process.communicate()


def write_some(site, machine, sizes, seed=0, count=5):
    """What a guest does, to disks given as {device key: bytes}."""
    noise = random.Random(f"{machine} {seed}")
    for _ in range(count):
        key = noise.choice(sorted(sizes))
        length = noise.choice([512, 4096, 65536, 100 * 512])
        offset = noise.randrange(0, sizes[key] - length) // 512 * 512
        site.lab.event("write", machine=machine, disk=key, offset=offset, length=length,
                       pattern=noise.randrange(1, 256))
