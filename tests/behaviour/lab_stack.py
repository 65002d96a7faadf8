"""For tests that need a lab/cloudstack: start one, talk to it as raw as it gets, make it fail, look how it is."""

import base64
import contextlib
import datetime
import hashlib
import hmac
import http.client
import json
import ssl
import subprocess
import threading
import time
import urllib.parse

from places import LAB

KEY, SECRET = "admin-api-key", "admin-secret-key"
SECONDS = 60
POLL = threading.Event()        # never set: whoever looks at something again and again waits on it
MIB, GIB = 1 << 20, 1 << 30


class Refused(Exception):
    """An error of the API, of an answer or of a job."""

    def __init__(self, code, text, body, headers=None):
        super().__init__(f"{code}: {text}")
        self.code, self.text, self.body, self.headers = code, text, body, headers


class Lab:
    """A running lab. `facts` is what it printed."""

    def __init__(self, directory, site, *options):
        (directory / "site.json").write_text(json.dumps(site), encoding="utf-8")
        self.dir = directory / "lab"
        self.errors = open(directory / "errors", "w+", encoding="utf-8")
        command = [LAB / "cloudstack", "--site", directory / "site.json", "--dir", self.dir, *options]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
                                        text=True)
        line = self.process.stdout.readline()
        if not line:
            self.process.wait(SECONDS)
            raise RuntimeError(self.said())
        self.facts = json.loads(line)
        self.ids = self.facts["ids"]

    def said(self):
        self.errors.seek(0)
        return self.errors.read()

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(SECONDS) == 0, self.said()
        self.process.stdout.close()
        said = self.said()
        self.errors.close()
        assert said == "", said

    def fault(self, *words):
        result = subprocess.run([LAB / "fault", self.dir, *words], capture_output=True, text=True, check=False,
                                timeout=SECONDS)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def add(self, **rule):
        return self.fault("add", json.dumps(rule))

    def event(self, event, /, **words):
        return self.fault("event", json.dumps(dict(words, event=event)))

    def state(self):
        return self.fault("state")

    def client(self, key=KEY, secret=SECRET):
        return Client(self, key, secret)

    def image(self, name, size=GIB, form="qcow2", pool="nfs1", options=()):
        """A disk image in the directory of a pool, made by qemu-img: its path."""
        path = f"{self.facts['pools'][pool]}/{name}"
        subprocess.run(["qemu-img", "create", "-q", "-f", form, *options, path, str(size)], check=True)
        return path


@contextlib.contextmanager
def lab(directory, site, *options):
    running = Lab(directory, site, *options)
    try:
        yield running
    except BaseException:
        running.process.kill()
        running.process.wait()
        raise
    running.close()


def signed(params, secret):
    """The signature as the manual says it: written down here once more, so that the lab cannot be its own judge."""
    pairs = [name + "=" + urllib.parse.quote(value, safe="*").replace("~", "%7E")
             for name, value in sorted(params.items())]
    text = "&".join(pairs).lower()
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()


def soon(seconds=300):
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S+0000")


class Client:
    """Signs and sends; a connection for each request, and nothing is repeated."""

    def __init__(self, lab, key=KEY, secret=SECRET):
        self.facts, self.key, self.secret = lab.facts, key, secret

    def raw(self, method, query="", body=None, headers=None, path="/client/api"):
        """(status, headers, body) of one request."""
        if self.facts["ca"]:
            context = ssl.create_default_context(cafile=self.facts["ca"])
            connection = http.client.HTTPSConnection("127.0.0.1", self.facts["port"], context=context, timeout=SECONDS)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.facts["port"], timeout=SECONDS)
        with contextlib.closing(connection):
            connection.request(method, path + ("?" + query if query else ""), body=body, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()

    def params(self, command, **args):
        made = {"command": command, "response": "json", "apiKey": self.key, "signatureVersion": "3", "expires": soon()}
        made.update(flat(args))
        return {name: value for name, value in made.items() if value is not None}

    def send(self, params, method="POST"):
        """What is inside of the envelope of an answer to these parameters, signed here; Refused for an error."""
        words = urllib.parse.urlencode(dict(params, signature=signed(params, self.secret)))
        if method == "POST":
            status, headers, body = self.raw("POST", body=words,
                                             headers={"Content-Type": "application/x-www-form-urlencoded"})
        else:
            status, headers, body = self.raw("GET", words)
        answer = json.loads(body)
        (name, inside), = answer.items()
        if status != 200:
            assert inside["errorcode"] == status and inside["uuidList"] is not None
            raise Refused(status, inside["errortext"], answer, headers)
        assert name == params["command"].lower() + "response"
        return inside

    def call(self, command, method="POST", **args):
        return self.send(self.params(command, **args), method)

    def rows(self, command, **args):
        """The objects of a list."""
        answer = self.call(command, "GET", **args)
        return next((value for value in answer.values() if isinstance(value, list)), [])

    def job(self, command, **args):
        """The jobresult of a job that succeeds; Refused when it does not."""
        return self.wait(self.call(command, **args)["jobid"])

    def wait(self, job):
        until = time.monotonic() + SECONDS
        while True:
            answer = self.call("queryAsyncJobResult", "GET", jobid=job)
            if answer["jobstatus"] == 1:
                return answer["jobresult"]
            if answer["jobstatus"] == 2:
                result = answer["jobresult"]
                assert answer["jobresultcode"] == result["errorcode"]
                raise Refused(result["errorcode"], result["errortext"], answer)
            assert "jobresult" not in answer and time.monotonic() < until, answer
            POLL.wait(0.01)

    def adopt(self, lab, path, name="web01", **args):
        """importVm of an image in nfs1: the machine."""
        words = dict(zoneid=lab.ids["zone"]["zone1"], clusterid=lab.ids["cluster"]["cluster1"], hypervisor="KVM",
                     importsource="shared", name=name, serviceofferingid=lab.ids["serviceoffering"]["small"],
                     storageid=lab.ids["pool"]["nfs1"], networkid=lab.ids["network"]["net1"], diskpath=path)
        return self.job("importVm", **dict(words, **args))["virtualmachine"]


def flat(args):
    """{"details": [{"x": 1}]} as details[0].x."""
    made = {}
    for name, value in args.items():
        if isinstance(value, dict):
            value = [value]
        if isinstance(value, list):
            for index, fields in enumerate(value):
                made.update({f"{name}[{index}].{field}": str(item) for field, item in fields.items()})
        elif value is not None:
            made[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return made


@contextlib.contextmanager
def refused(code, text):
    """The block is refused with this code and these words."""
    try:
        yield
    except Refused as error:
        assert (error.code, text in error.text) == (code, True), str(error)
        return
    raise AssertionError(f"nothing was refused with {code} {text!r}")
