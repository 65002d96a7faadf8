"""For tests that need a lab/vcenter: start one, talk raw SOAP to it, make it fail, look how it is."""

import base64
import contextlib
import http.client
import json
import re
import ssl
import subprocess
import threading
import time
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

from places import LAB

VIM = "{urn:vim25}"
XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
ADMIN, PASSWORD = "administrator@vsphere.local", "lab"
SECONDS = 60
POLL = threading.Event()      # never set: whoever looks at something again and again waits on it


class SoapFault(Exception):
    """A fault: the name of its type, its text, the element of its detail."""

    def __init__(self, name, text, detail):
        super().__init__(f"{name}: {text}")
        self.name, self.text, self.detail = name, text, detail

    def field(self, name):
        return self.detail.findtext(VIM + name)


class HttpStatus(Exception):
    def __init__(self, status, body):
        super().__init__(f"{status}: {body[:200]!r}")
        self.status, self.body = status, body


class Lab:
    """A running lab. `facts` is what it printed."""

    def __init__(self, directory, site, *options):
        self.directory = directory
        (directory / "site.json").write_text(json.dumps(site), encoding="utf-8")
        self.dir = directory / "lab"
        self.errors = open(directory / "errors", "w+", encoding="utf-8")
        command = [LAB / "vcenter", "--site", directory / "site.json", "--dir", self.dir, *options]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors, text=True)
        line = self.process.stdout.readline()
        if not line:
            self.process.wait(SECONDS)
            raise RuntimeError(self.said())
        self.facts = json.loads(line)

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

    def fault(self, *words, check=True):
        result = subprocess.run([LAB / "fault", self.dir, *words], capture_output=True, text=True, check=False,
                                timeout=SECONDS)
        if check:
            assert result.returncode == 0, result.stderr
            return json.loads(result.stdout)
        return result

    def add(self, **rule):
        return self.fault("add", json.dumps(rule))

    def event(self, name, **words):
        return self.fault("event", json.dumps(dict(words, event=name)))

    def state(self):
        return self.fault("state")

    def trace(self):
        """[(method, time.monotonic(), seconds)] of the latest calls."""
        return [tuple(call) for call in self.fault("trace")["calls"]]

    def client(self, user=ADMIN, password=PASSWORD, **more):
        made = Client(self.facts, **more)
        if user:
            made.login(user, password)
        return made


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


def machine_site(*machines, **more):
    """A site of one datacenter with these machines."""
    return dict({"datacenters": [{"name": "DC0", "machines": list(machines)}]}, **more)


class Client:
    """One connection and one cookie; nothing is repeated."""

    def __init__(self, facts, version="8.0.3.0", context=None):
        self.facts = facts
        self.context = context or ssl.create_default_context(cafile=facts["ca"])
        self.connection = http.client.HTTPSConnection(facts["host"], facts["port"], context=self.context,
                                                      timeout=SECONDS)
        self.action = f"urn:vim25/{version}" if version else None
        self.cookie = None
        self.content = None

    def request(self, method, path, body=None, headers=None):
        """(status, headers, body) of one request with the cookie."""
        headers = dict(headers or {})
        if self.cookie and "Cookie" not in headers:
            headers["Cookie"] = self.cookie
        try:
            self.connection.request(method, path, body=body, headers=headers)
            response = self.connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            raise
        set_cookie = response.getheader("Set-Cookie")
        if set_cookie:
            self.cookie = set_cookie.partition(";")[0]
        return response.status, response.headers, data

    def post(self, body):
        """The element of the response's method for a SOAP body, or SoapFault."""
        envelope = ('<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
                    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
                    'xmlns:xsd="http://www.w3.org/2001/XMLSchema"><soapenv:Body>' + body
                    + "</soapenv:Body></soapenv:Envelope>")
        return self.post_raw(envelope)

    def post_raw(self, envelope):
        headers = {"Content-Type": 'text/xml; charset="utf-8"', "User-Agent": "test"}
        if self.action:
            headers["SOAPAction"] = f'"{self.action}"'
        status, got, data = self.request("POST", "/sdk", envelope.encode(), headers)
        if not got.get("Content-Type", "").startswith("text/xml"):
            raise HttpStatus(status, data)
        answer = ET.fromstring(data).find("{http://schemas.xmlsoap.org/soap/envelope/}Body")[0]
        if not answer.tag.endswith("Fault"):
            assert status == 200
            return answer
        assert status == 500 and answer.findtext("faultcode") == "ServerFaultCode"
        detail = answer.find("detail")[0]
        name = detail.get(XSI_TYPE)
        assert detail.tag == f"{VIM}{name}Fault"
        raise SoapFault(name, answer.findtext("faultstring"), detail)

    def call(self, name, this, inner="", space="urn:vim25"):
        """The returnval elements of a method."""
        answer = self.post(f'<{name} xmlns="{space}">{ref("_this", this)}{inner}</{name}>')
        assert answer.tag == f"{{{space}}}{name}Response"
        return list(answer)

    def login(self, user=ADMIN, password=PASSWORD):
        self.content = self.call("RetrieveServiceContent", ("ServiceInstance", "ServiceInstance"))[0]
        words = text("userName", user) + text("password", password)
        return self.call("Login", self.manager("sessionManager"), words)[0]

    def manager(self, name):
        if self.content is None:
            self.content = self.call("RetrieveServiceContent", ("ServiceInstance", "ServiceInstance"))[0]
        element = self.content.find(VIM + name)
        return element.get("type"), element.text

    # Properties.

    def retrieve(self, objects, paths, options="", kind=None):
        """[(ref, {path: val element}, {path: fault name})] of objects that are named."""
        kind = kind or objects[0][0]
        wanted = "".join(text("pathSet", path) for path in paths)
        body = (f"<specSet><propSet><type>{kind}</type>{wanted}</propSet>"
                + "".join(f"<objectSet>{ref('obj', item)}</objectSet>" for item in objects)
                + f"</specSet><options>{options}</options>")
        return read_objects(self.call("RetrievePropertiesEx", self.manager("propertyCollector"), body))

    def props(self, obj, *paths):
        """{path: val element} of one object; what is missing is an error."""
        (_, have, missing), = self.retrieve([obj], paths)
        assert not missing, missing
        return have

    def value(self, obj, path):
        element = self.props(obj, path).get(path)
        return None if element is None else element.text

    def view(self, *kinds):
        body = (ref("container", self.manager("rootFolder")) + "".join(text("type", kind) for kind in kinds)
                + "<recursive>true</recursive>")
        return as_ref(self.call("CreateContainerView", self.manager("viewManager"), body)[0])

    def find(self, path):
        found = self.call("FindByInventoryPath", self.manager("searchIndex"), text("inventoryPath", path))
        return as_ref(found[0]) if found else None

    def machine(self, name, datacenter="DC0"):
        found = self.find(f"{datacenter}/vm/{name}")
        assert found, f"no machine {name}"
        return found

    # Tasks.

    def task(self, name, this, inner=""):
        """Start a task and wait for its end: the info element. SoapFault with its error when it fails."""
        return self.wait(as_ref(self.call(name, this, inner)[0]))

    def wait(self, task, seconds=SECONDS):
        until = time.monotonic() + seconds
        while True:
            info = self.props(task, "info")["info"]
            state = info.findtext(VIM + "state")
            if state == "success":
                return info
            if state == "error":
                error = info.find(VIM + "error")
                detail = error.find(VIM + "fault")
                raise SoapFault(detail.get(XSI_TYPE), error.findtext(VIM + "localizedMessage"), detail)
            assert time.monotonic() < until, f"{task} is {state}"
            POLL.wait(0.01)

    def snapshot(self, machine, name="s", **more):
        body = text("name", name) + "<memory>false</memory><quiesce>" + more.get("quiesce", "false") + "</quiesce>"
        return as_ref(self.task("CreateSnapshot_Task", machine, body).find(VIM + "result"))


def read_objects(answer):
    made = []
    for content in answer[0].iter(VIM + "objects") if answer else []:
        have = {item.findtext(VIM + "name"): item.find(VIM + "val") for item in content.findall(VIM + "propSet")}
        missing = {item.findtext(VIM + "path"): item.find(VIM + "fault").find(VIM + "fault").get(XSI_TYPE)
                   for item in content.findall(VIM + "missingSet")}
        made.append((as_ref(content.find(VIM + "obj")), have, missing))
    return made


def ref(tag, item):
    return f"<{tag} type={quoteattr(item[0])}>{escape(item[1])}</{tag}>"


def text(tag, value):
    return f"<{tag}>{escape(str(value))}</{tag}>"


def as_ref(element):
    return element.get("type"), element.text


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def view_spec(view, kind, paths):
    """A filter spec over all objects of a container view."""
    return (f"<propSet><type>{kind}</type>" + "".join(text("pathSet", path) for path in paths) + "</propSet>"
            f"<objectSet>{ref('obj', view)}<skip>true</skip><selectSet xsi:type=\"TraversalSpec\"><name>view</name>"
            "<type>ContainerView</type><path>view</path><skip>false</skip></selectSet></objectSet>")


def object_spec(obj, paths):
    return (f"<propSet><type>{obj[0]}</type>" + "".join(text("pathSet", path) for path in paths) + "</propSet>"
            f"<objectSet>{ref('obj', obj)}</objectSet>")


def plain_disks(device_list):
    """The VirtualDisk elements of a device list, by key."""
    return {int(item.findtext(VIM + "key")): item for item in device_list if item.get(XSI_TYPE) == "VirtualDisk"}


def token_of(answer):
    return answer[0].findtext(VIM + "token")


def is_uuid(value):
    return re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value) is not None
