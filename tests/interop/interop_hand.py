"""The hand that drives src/vmware (vmware-interop), and the govmomi simulator it is held against."""

import json
import os
import pathlib
import shutil
import subprocess
import urllib.request
import ssl

import pytest

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
GOCODE = pathlib.Path("/usr/share/gocode")
SECONDS = 120


class Refused(Exception):
    """An error: its kind, the server's fault, its text."""

    def __init__(self, kind, fault, text):
        super().__init__(text)
        self.kind, self.fault, self.text = kind, fault, text


def build_dir():
    program = pathlib.Path(os.environ.get("VMFERRY") or TOP / "build/src/cli/vmferry").resolve()
    return program.parents[2]


class Hand:
    """A session. Each call is a command; it gives the lines of the answer, split into words."""

    def __init__(self, port, user, thumbprint, password, *options, prefix=()):
        program = build_dir() / "tests/interop/vmware-interop"
        assert os.access(program, os.X_OK), f"{program} is not built"
        self.process = subprocess.Popen([*prefix, program, "127.0.0.1", str(port), user, thumbprint, *options],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self.send(password)
        except Refused:
            self.process.stdin.close()
            self.process.stdout.close()
            assert self.process.wait(SECONDS) == 1
            raise

    def send(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = []
        for reply in self.process.stdout:
            words = reply.rstrip("\n").split("\t")
            if words[0] == "error":
                raise Refused(*words[1:4])
            if words == ["ok"]:
                return answer
            answer.append(words)
        raise AssertionError(f"vmware-interop ended with {self.process.wait(SECONDS)} at: {line}")

    def __call__(self, *words):
        return self.send("\t".join(map(str, words)))

    def refuses(self, *words):
        with pytest.raises(Refused) as caught:
            self(*words)
        return caught.value

    def close(self):
        self.process.stdin.close()
        rest = self.process.stdout.read()
        self.process.stdout.close()
        assert self.process.wait(SECONDS) == 0
        assert rest == ""


def simulator_program():
    """The simulator, built once a build directory. Without Go or the package the test is skipped."""
    go = shutil.which("go")
    if not go or not (GOCODE / "src/github.com/vmware/govmomi").is_dir():
        pytest.skip("needs golang-go and golang-github-vmware-govmomi-dev")
    place = build_dir() / "tests/interop"
    program, source = place / "simulator", HERE / "simulator"
    if program.exists() and program.stat().st_mtime > (source / "main.go").stat().st_mtime:
        return program
    environment = dict(os.environ, GO111MODULE="off", GOPATH=str(GOCODE), GOCACHE=str(place / "gocache"),
                       GOFLAGS="-p=2")
    fresh = place / f"simulator.{os.getpid()}"
    result = subprocess.run([go, "build", "-o", fresh, "."], cwd=source, env=environment, capture_output=True,
                            text=True, check=False, timeout=900)
    assert result.returncode == 0, result.stderr
    fresh.rename(program)
    return program


class Simulator:
    user, password = "user", "pass"

    def __init__(self, *options):
        self.process = subprocess.Popen([simulator_program(), *options], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line, f"the simulator ended with {self.process.wait(SECONDS)}"
        self.facts = json.loads(line)

    def hand(self, *options, password=None, **more):
        return Hand(self.facts["port"], self.user, self.facts["thumbprint"], password or self.password, *options,
                    **more)

    def expire(self):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with urllib.request.urlopen(f"https://127.0.0.1:{self.facts['port']}/expire", context=context,
                                    timeout=SECONDS):
            pass

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(SECONDS) == 0
