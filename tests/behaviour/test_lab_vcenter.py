"""lab/vcenter answers as strictly as the product: raw SOAP, right and wrong, over HTTPS; sessions."""

import hashlib
import http.client
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

import lab_vcenter
from lab_vcenter import ADMIN, VIM, HttpStatus, SoapFault, as_ref, machine_site, ref, text
from places import LAB
from vcenter_scenes import INSTANCE, pages, until, wait_words
from vcenter_scenes import shared, start, vc    # noqa: F401 pylint: disable=unused-import


# The server.


def test_says_where_it_is_and_proves_it(shared):
    facts = shared.facts
    der = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((facts["host"], facts["port"])))
    assert facts["thumbprint"].replace(":", "").lower() == hashlib.sha1(der).hexdigest()
    assert facts["thumbprint_sha256"].replace(":", "").lower() == hashlib.sha256(der).hexdigest()
    assert facts["url"] == f"https://127.0.0.1:{facts['port']}/sdk" and facts["nfc_port"] != facts["port"]


def test_takes_tls_only_and_no_old_one(shared):
    plain = http.client.HTTPConnection(shared.facts["host"], shared.facts["port"], timeout=20)
    with pytest.raises((OSError, http.client.HTTPException)):
        plain.request("GET", "/sdk/vimServiceVersions.xml")
        plain.getresponse()
    plain.close()
    result = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{shared.facts['port']}", "-tls1_1"],
                            stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=20)
    assert result.returncode != 0


def test_unknown_paths_and_bodies_without_length(vc):
    assert vc.request("GET", "/")[0] == 404
    assert vc.request("POST", "/api/session", b"x")[0] == 404
    with socket.create_connection((vc.facts["host"], vc.facts["port"]), timeout=20) as plain:
        with vc.context.wrap_socket(plain, server_hostname="localhost") as connection:
            connection.sendall(b"POST /sdk HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 411 ")


def test_bodies_in_chunks(vc):
    body = ("<E:Envelope xmlns:E='http://schemas.xmlsoap.org/soap/envelope/'><E:Body><CurrentTime xmlns='urn:vim25'>"
            "<_this type='ServiceInstance'>ServiceInstance</_this></CurrentTime></E:Body></E:Envelope>").encode()
    words = {"SOAPAction": "urn:vim25/8.0.3.0", "Content-Type": "text/xml"}
    for size in (1, 7, len(body)):
        pieces = [body[at:at + size] for at in range(0, len(body), size)]
        status, _, data = vc.request("POST", "/sdk", iter(pieces), words)
        assert status == 200 and b"<CurrentTimeResponse" in data


def test_versions_are_listed_without_login(shared):
    status, _, data = shared.client(None).request("GET", "/sdk/vimServiceVersions.xml")
    assert status == 200
    assert b"<name>urn:vim25</name><version>8.0.3.0</version><priorVersions>" in data
    assert b"<version>6.5</version>" in data


@pytest.mark.parametrize("version, sees", [("8.0.3.0", True), ("7.0", True), ("6.5", False), ("4.0", False),
                                           (None, False)])
def test_old_clients_do_not_see_new_fields(shared, version, sees):
    client = shared.client(version="8.0.3.0")
    machine = client.machine("prod/blue/web01", "Europe/DC0")
    spec = "<specSet>" + lab_vcenter.object_spec(machine, ["config"]) + "</specSet>"
    client.action = version and f"urn:vim25/{version}"
    if version is None:     # RetrievePropertiesEx is too new for such a client as well
        answer = client.call("RetrieveProperties", client.manager("propertyCollector"), spec)[0]
    else:
        name, more = ("RetrieveProperties", "") if version == "4.0" else ("RetrievePropertiesEx", "<options/>")
        answer = client.call(name, client.manager("propertyCollector"), spec + more)[0]
    config = next(answer.iter(VIM + "val"))
    assert (config.find(VIM + "migrateEncryption") is not None) == (sees or version == "6.5")
    boot = config.find(VIM + "bootOptions")
    assert (boot.find(VIM + "efiSecureBootEnabled") is not None) == (sees or version == "6.5")
    devices = config.find(VIM + "hardware").findall(VIM + "device")
    assert any(item.find(VIM + "capacityInBytes") is not None for item in devices) == (version not in ("4.0", None))


@pytest.mark.parametrize("version", ["9.9", "8.0.4.0", "6.5.1"])
def test_unknown_versions_are_refused(shared, version):
    with pytest.raises(SoapFault, match=f'Unsupported version URI "urn:vim25/{version}"') as caught:
        shared.client(None, version=version).call("RetrieveServiceContent", INSTANCE)
    assert caught.value.name == "InvalidRequest"


def test_service_content_of_a_vcenter(vc):
    about = vc.content.find(VIM + "about")
    assert about.findtext(VIM + "apiType") == "VirtualCenter" and about.findtext(VIM + "apiVersion") == "8.0.3.0"
    assert lab_vcenter.is_uuid(about.findtext(VIM + "instanceUuid"))
    assert vc.manager("rootFolder") == ("Folder", "group-d1")
    assert vc.manager("propertyCollector") == ("PropertyCollector", "propertyCollector")


def test_compresses_when_asked(shared):
    client = shared.client()
    body = ("<Envelope xmlns='http://schemas.xmlsoap.org/soap/envelope/'><Body>"
            "<RetrieveServiceContent xmlns='urn:vim25'><_this type='ServiceInstance'>ServiceInstance</_this>"
            "</RetrieveServiceContent></Body></Envelope>")
    words = {"SOAPAction": "urn:vim25/8.0.3.0", "Accept-Encoding": "gzip", "Content-Type": "text/xml"}
    status, headers, data = client.request("POST", "/sdk", body.encode(), words)
    assert status == 200 and headers["Content-Encoding"] == "gzip" and data[:2] == b"\x1f\x8b"


# What a request must be like.


def create(inner):
    return "CreateSnapshot_Task", inner


WRONG = {
    "arguments in the wrong order": ("Login", "<password>lab</password><userName>u</userName>", "before|is missing"),
    "an argument twice": ("Login", "<userName>a</userName><userName>a</userName><password>p</password>",
                          "not allowed here"),
    "an argument missing": ("Login", "<userName>a</userName>", "Required property password is missing"),
    "one too many": ("Login", "<userName>a</userName><password>p</password><foo/>", 'Unexpected element tag "foo"'),
    "another namespace": ("Login", '<userName xmlns="urn:other">a</userName><password>p</password>',
                          'Unexpected element tag "userName"'),
    "text between the arguments": ("Login", "hello<userName>a</userName><password>p</password>", "Unexpected text"),
    "a child in a simple element": ("Login", "<userName><b/></userName><password>p</password>", 'tag "b"'),
}


@pytest.mark.parametrize("name", WRONG)
def test_arguments_are_a_sequence(shared, name):
    method, inner, words = WRONG[name]
    client = shared.client(None)
    with pytest.raises(SoapFault, match=words) as caught:
        client.call(method, client.manager("sessionManager"), inner)
    assert caught.value.name == "InvalidRequest" and "at line 1, column" in caught.value.text


def wrong_machine_calls():
    return {
        "memory after quiesce": create("<name>s</name><quiesce>false</quiesce><memory>false</memory>"),
        "description after memory": create("<name>s</name><memory>false</memory><description/>"
                                           "<quiesce>false</quiesce>"),
        "quiesce missing": create("<name>s</name><memory>false</memory>"),
        "no boolean": create("<name>s</name><memory>no</memory><quiesce>false</quiesce>"),
        "an empty boolean": create("<name>s</name><memory/><quiesce>false</quiesce>"),
        "no number": ("QueryChangedDiskAreas", "<deviceKey>x</deviceKey><startOffset>0</startOffset>"
                                               "<changeId>*</changeId>"),
        "too large a number": ("QueryChangedDiskAreas", "<deviceKey>2147483648</deviceKey><startOffset>0</startOffset>"
                                                        "<changeId>*</changeId>"),
        "a reference without a type": ("PowerOnVM_Task", "<host>host-9</host>"),
        "fields of a data object in the wrong order": (
            "ReconfigVM_Task", "<spec><changeTrackingEnabled>true</changeTrackingEnabled><annotation>a</annotation>"
                               "</spec>"),
        "an unknown field": ("ReconfigVM_Task", "<spec><changeTracking>true</changeTracking></spec>"),
        "an unknown xsi:type": ("CreateSnapshotEx_Task", '<name>s</name><memory>false</memory><quiesceSpec '
                                'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="NoSpec"/>'),
        "an xsi:type that does not fit": (
            "CreateSnapshotEx_Task", '<name>s</name><memory>false</memory><quiesceSpec '
            'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="OptionValue"><key>k</key></quiesceSpec>'),
        "an xsi:type with a foreign prefix": (
            "CreateSnapshotEx_Task", '<name>s</name><memory>false</memory><quiesceSpec xmlns:o="urn:other" '
            'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="o:VirtualMachineWindowsQuiesceSpec"/>'),
    }


@pytest.mark.parametrize("name", wrong_machine_calls())
def test_machine_calls_are_read_strictly(vc, shared, name):
    method, inner = wrong_machine_calls()[name]
    machine = vc.machine("twin", "Europe/DC0")
    with pytest.raises(SoapFault) as caught:
        vc.call(method, machine, inner)
    assert caught.value.name == "InvalidRequest", caught.value
    assert "twin" not in shared.state()["snapshots"]


def test_xsi_type_is_matched_by_namespace_not_by_prefix(vc):
    """As some clients write it: another prefix for the attribute, a prefix in its value."""
    view = vc.view("VirtualMachine")
    body = ('<specSet><propSet><type>VirtualMachine</type><pathSet>name</pathSet></propSet><objectSet>'
            f'{ref("obj", view)}<skip>true</skip><selectSet xmlns:I="http://www.w3.org/2001/XMLSchema-instance" '
            'xmlns:v="urn:vim25" I:type="v:TraversalSpec"><type>ContainerView</type><path>view</path></selectSet>'
            '</objectSet></specSet><options/>')
    found = lab_vcenter.read_objects(vc.call("RetrievePropertiesEx", vc.manager("propertyCollector"), body))
    assert len(found) == 31
    unprefixed = body.replace('I:type="v:TraversalSpec"', 'type="TraversalSpec"')
    with pytest.raises(SoapFault, match='Unexpected element tag "type" seen in data object of type SelectionSpec'):
        vc.call("RetrievePropertiesEx", vc.manager("propertyCollector"), unprefixed)


BROKEN = {
    "not well formed": "<a><b></a>",
    "no envelope": "<Login xmlns='urn:vim25'/>",
    "empty": "",
    "a DTD": "<!DOCTYPE x [<!ENTITY e 'x'>]><x>&e;</x>",
    "no body": "<E:Envelope xmlns:E='http://schemas.xmlsoap.org/soap/envelope/'/>",
    "two calls": "<E:Envelope xmlns:E='http://schemas.xmlsoap.org/soap/envelope/'><E:Body><a/><b/></E:Body>"
                 "</E:Envelope>",
    "too deep": "<E:Envelope xmlns:E='http://schemas.xmlsoap.org/soap/envelope/'><E:Body>" + "<a>" * 100 + "</a>" * 100
                + "</E:Body></E:Envelope>",
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_envelopes_are_refused(shared, name):
    with pytest.raises(SoapFault) as caught:
        shared.client(None).post_raw(BROKEN[name])
    assert caught.value.name == "InvalidRequest"


def test_methods_are_known_by_name_namespace_and_version(shared):
    client = shared.client()
    for name, space in (("NoSuchMethod", "urn:vim25"), ("CurrentTime", "urn:other"),
                        ("RetrieveInternalContent", "urn:vim25")):
        with pytest.raises(SoapFault, match=f"Unable to resolve WSDL method name {name}") as caught:
            client.call(name, INSTANCE, space=space)
        assert caught.value.name == "InvalidRequest"
    machine = client.machine("twin", "Europe/DC0")
    client.action = "urn:vim25/6.0"
    with pytest.raises(SoapFault, match="Unable to resolve"):
        client.call("CreateSnapshotEx_Task", machine, "<name>s</name><memory>false</memory>")


def test_objects_that_are_not_there(vc):
    for name, this in (("PowerOffVM_Task", ("VirtualMachine", "vm-99999")), ("CancelTask", ("Task", "task-9999")),
                       ("RemoveAllSnapshots_Task", ("VirtualMachine", "group-v3"))):
        with pytest.raises(SoapFault) as caught:
            vc.call(name, this)
        assert caught.value.name == "ManagedObjectNotFound"
        assert as_ref(caught.value.detail.find(VIM + "obj")) == this
    with pytest.raises(SoapFault) as caught:
        vc.call("PowerOffVM_Task", vc.manager("rootFolder"))
    assert caught.value.name == "MethodNotFound"


# Sessions.


def test_nothing_without_a_login(shared):
    client = shared.client(None)
    for name, this, inner in (("CurrentTime", INSTANCE, ""), ("Logout", client.manager("sessionManager"), ""),
                              ("CreatePropertyCollector", client.manager("propertyCollector"), ""),
                              ("FindByInventoryPath", client.manager("searchIndex"), text("inventoryPath", "DC0"))):
        with pytest.raises(SoapFault) as caught:
            client.call(name, this, inner)
        assert caught.value.name == "NotAuthenticated"
    with pytest.raises(SoapFault) as caught:
        client.retrieve([client.manager("rootFolder")], ["name"])
    assert caught.value.name == "NotAuthenticated"
    assert client.value(INSTANCE, "content.about.apiType") == "VirtualCenter"


def test_logging_in(shared):
    client = shared.client(None)
    manager = client.manager("sessionManager")
    for user, password in ((ADMIN, "wrong"), ("nobody", "lab"), (ADMIN, "")):
        with pytest.raises(SoapFault, match="incorrect user name or password") as caught:
            client.login(user, password)
        assert caught.value.name == "InvalidLogin"
    with pytest.raises(SoapFault) as caught:
        client.login("late", "l")
    assert caught.value.name == "PasswordExpired"
    shared.client("vsphere.local\\Administrator")
    info = client.login()
    assert info.findtext(VIM + "userName") == ADMIN and info.findtext(VIM + "userAgent") == "test"
    assert client.call("CurrentTime", INSTANCE)[0].text.endswith("Z")
    with pytest.raises(SoapFault) as caught:        # twice on one cookie
        client.login()
    assert caught.value.name == "InvalidLogin"
    assert client.props(manager, "currentSession")["currentSession"].findtext(VIM + "key") == info.findtext(VIM + "key")
    client.call("Logout", manager)
    with pytest.raises(SoapFault) as caught:
        client.call("CurrentTime", INSTANCE)
    assert caught.value.name == "NotAuthenticated"
    client.login()      # on the same connection


def test_cookies_have_quotes(start):
    lab = start(machine_site({"name": "a"}))
    client = lab.client()
    assert client.cookie.startswith('vmware_soap_session="52') and client.cookie.endswith('"')
    whole = client.cookie
    client.cookie = "other=1; " + whole
    client.call("CurrentTime", INSTANCE)
    assert lab.state()["sessions"][0]["verbatim"] is True
    client.cookie = whole.replace('"', "")      # as Go's HTTP client sends it back
    client.call("CurrentTime", INSTANCE)
    assert lab.state()["sessions"][0]["verbatim"] is False
    client.cookie = whole[:-2] + '"'
    with pytest.raises(SoapFault) as caught:
        client.call("CurrentTime", INSTANCE)
    assert caught.value.name == "NotAuthenticated"


def test_session_is_active_and_clones(shared):
    client = shared.client()
    manager = client.manager("sessionManager")
    session = client.props(manager, "currentSession")["currentSession"]
    words = text("sessionID", session.findtext(VIM + "key")) + text("userName", ADMIN)
    assert client.call("SessionIsActive", manager, words)[0].text == "true"
    words = text("sessionID", "52x") + text("userName", ADMIN)
    assert client.call("SessionIsActive", manager, words)[0].text == "false"
    ticket = client.call("AcquireCloneTicket", manager)[0].text
    other = shared.client(None)
    info = other.call("CloneSession", manager, text("cloneTicket", ticket))[0]
    assert info.findtext(VIM + "userName") == ADMIN and info.findtext(VIM + "key") != session.findtext(VIM + "key")
    other.call("CurrentTime", INSTANCE)
    with pytest.raises(SoapFault) as caught:        # a ticket is good once
        shared.client(None).call("CloneSession", manager, text("cloneTicket", ticket))
    assert caught.value.name == "InvalidLogin"


def test_idle_sessions_expire_and_their_objects_with_them(start):
    lab = start(machine_site({"name": "a"}, session_idle_s=1.0))
    client, waiting = lab.client(), lab.client()
    view = client.view("VirtualMachine")
    collector = waiting.manager("propertyCollector")
    waited = time.monotonic()
    waiting.call("WaitForUpdatesEx", collector, "<options><maxWaitSeconds>3</maxWaitSeconds></options>")
    assert time.monotonic() - waited >= 2.9
    waiting.call("CurrentTime", INSTANCE)           # waiting for updates is activity
    with pytest.raises(SoapFault) as caught:
        client.call("DestroyView", view)
    assert caught.value.name == "NotAuthenticated"
    client.login()
    with pytest.raises(SoapFault) as caught:
        client.call("DestroyView", view)
    assert caught.value.name == "ManagedObjectNotFound"


def test_no_more_sessions_than_there_may_be(start):
    lab = start(machine_site({"name": "a"}, max_sessions=2))
    first, second = lab.client(), lab.client()
    third = lab.client(None)
    with pytest.raises(HttpStatus) as caught:
        third.login()
    assert caught.value.status == 503 and b"Out of HTTP sessions" in caught.value.body
    first.call("Logout", first.manager("sessionManager"))
    third.login()
    assert len(lab.state()["sessions"]) == 2
    assert second.call("CurrentTime", INSTANCE)


def test_sessions_can_be_made_to_expire(start):
    lab = start(machine_site({"name": "a"}))
    client = lab.client()
    assert lab.fault("expire-sessions") == {"expired": 1}
    with pytest.raises(SoapFault):
        client.call("CurrentTime", INSTANCE)
    client.login()
    lab.add(session="expire", after_calls=2)
    client.call("CurrentTime", INSTANCE)
    client.call("CurrentTime", INSTANCE)
    with pytest.raises(SoapFault) as caught:
        client.call("CurrentTime", INSTANCE)
    assert caught.value.name == "NotAuthenticated"
    client.login()


# The site.


@pytest.mark.parametrize("site, words", [
    ({}, "no datacenters"), ({"datacenters": [{}], "colour": 1}, "'colour'"),
    (machine_site({"name": "a", "colour": 1}), "'colour'"),
    (machine_site({"name": "a", "extra": {"colour": 1}}), "colour"),
    (machine_site({"name": "a", "host": "b"}), "host 'b' is not in its datacenter"),
    (machine_site({"name": "a", "disks": [{"unit": 7}]}), "unit 7"),
    (machine_site({"name": "a", "disks": [{"unit": 1}, {"unit": 1}]}), "two disks on one place"),
    (machine_site({"name": "a", "disks": [{"controller": "floppy0"}]}), "no controller"),
    (machine_site({"name": "a", "disks": [{}, {"controller": "lsilogic0", "unit": 3}]}), "two SCSI controllers"),
    (machine_site({"name": "a", "power": "on"}), "power is 'on'"),
    (machine_site({"name": "a", "extra": {"guest": {"colour": 1}}}), "guest has 'colour'"),
    (machine_site({"name": "a", "disks": [{"backing": "rdm-physical"}], "extra": {"snapshots": ["s"]}}), "raw device"),
])
def test_wrong_sites_are_refused(tmp_path, site, words):
    (tmp_path / "site.json").write_text(json.dumps(site), encoding="utf-8")
    result = subprocess.run([LAB / "vcenter", "--site", tmp_path / "site.json", "--dir", tmp_path / "lab"],
                            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 2 and words in result.stderr, result.stderr


def test_five_thousand_machines(start):
    began = time.monotonic()
    lab = start(machine_site({"name": "m", "count": 5000, "disks": [{"size_mib": 100000}]}))
    started = time.monotonic() - began
    client = lab.client()
    began, found = time.monotonic(), 0
    for answer in pages(client, ["name", "config.uuid", "config.hardware.device", "summary.storage.committed"], 250):
        found += len(lab_vcenter.read_objects(answer))
    listed = time.monotonic() - began
    assert found == 5000 and not list((lab.dir / "datastores").rglob("*.vmdk"))
    print(f"5,000 machines: the lab serves after {started:.1f} s, all are listed with their devices in {listed:.1f} s")
    assert started < 30 and listed < 120


def test_ends_with_its_input_and_by_a_signal(tmp_path):
    lab = lab_vcenter.Lab(tmp_path, machine_site({"name": "a", "power": "poweredOn"}))
    client = lab.client()
    threading.Timer(0.2, lab.process.terminate).start()
    client.connection.sock.settimeout(20)
    try:        # somebody waits for updates meanwhile
        client.call("WaitForUpdatesEx", client.manager("propertyCollector"), wait_words("", 60))
    except (OSError, http.client.HTTPException):
        pass
    assert lab.process.wait(30) == 0
    lab.close()
    with pytest.raises(OSError):
        socket.create_connection((lab.facts["host"], lab.facts["port"]), timeout=5)


# The judgement of others.


@pytest.fixture(scope="module")
def pyvmomi():
    return pytest.importorskip("pyVmomi", reason="python3-pyvmomi is not installed: nobody else judges the SOAP")


WIRE = {"PropertyPath": "string", "TypeName": "string", "MethodName": "string", "MethodFault": "LocalizedMethodFault",
        "Binary": "base64Binary"}
# What an older client's library does not know, knows as something narrower, or what newer versions relaxed.
KNOWN = {("LocalizedMethodFault", "fault"), ("EntityPrivilege", "privAvailability"), ("NoPermission", "object"),
         ("HostConfigSummary", "faultToleranceEnabled"), ("NoPermission", "privilegeId"),
         ("NotAuthenticated", "object"), ("NotAuthenticated", "privilegeId")}


def test_the_schema_is_that_of_others(pyvmomi):
    """Every data object that both know has its fields in the same order, of the same type, optional or not alike."""
    from pyVmomi import VmomiSupport as support     # pylint: disable=import-outside-toplevel
    assert pyvmomi
    assert str(LAB) in sys.path
    from vsphere import schema      # pylint: disable=import-outside-toplevel
    judged = 0
    for name in schema.DATA:
        try:
            theirs = {item.name: item for item in support.GetWsdlType("urn:vim25", name)._GetPropertyList()}
        except (KeyError, AttributeError):
            continue
        mine = schema.fields(name)
        order = [item for item in theirs if schema.field(name, item)]
        assert [item.name for item in mine if item.name in theirs] == order, name
        for item in mine:
            if item.name not in theirs or (name, item.name) in KNOWN or item.type == "anyType":
                continue
            kind = theirs[item.name].type
            array = issubclass(kind, list)
            wsdl = support.GetWsdlName(kind.Item if array else kind)
            assert (WIRE.get(wsdl, wsdl), array) == (item.type, item.array), (name, item)
            assert bool(theirs[item.name].flags & support.F_OPTIONAL) == item.optional, (name, item)
            judged += 1
    assert judged > 500


def test_others_can_work_with_it(pyvmomi, shared):
    """A foreign library logs in, reads every property of every kind of object, and takes a snapshot."""
    from pyVim import connect   # pylint: disable=import-outside-toplevel
    from pyVmomi import vim, vmodl   # pylint: disable=import-outside-toplevel
    assert pyvmomi
    context = ssl.create_default_context(cafile=shared.facts["ca"])
    service = connect.SmartConnect(host="127.0.0.1", port=shared.facts["port"], user=ADMIN, pwd="lab",
                                   sslContext=context)
    content = service.content
    view = content.viewManager.CreateContainerView(content.rootFolder, [vim.ManagedEntity], True)
    read = 0
    for entity in view.view:
        if entity.name.startswith("fleet-"):
            continue
        for item in entity._GetPropertyList():
            try:
                getattr(entity, item.name)
                read += 1
            except vmodl.query.InvalidProperty:
                pass
    assert read > 300
    machine = content.searchIndex.FindByInventoryPath("Europe/DC0/vm/fleet/fleet-00001")
    task = machine.CreateSnapshot_Task("theirs", "d", False, False)
    until(lambda: task.info.state not in ("queued", "running"))
    assert task.info.state == "success" and machine.snapshot.currentSnapshot == task.info.result
    assert task.info.result.config.hardware.device[-1].macAddress.startswith("00:50:56")
    task = task.info.result.RemoveSnapshot_Task(removeChildren=False)
    until(lambda: task.info.state not in ("queued", "running"))
    with pytest.raises(vim.fault.InvalidPowerState):
        raise machine.PowerOff().info.error or wait_error(machine.recentTask[-1])
    connect.Disconnect(service)


@pytest.fixture(scope="session")
def judge(tmp_path_factory):
    """A program on govmomi, built here; Go keeps what it has compiled, so that only the first time takes a minute."""
    sources = pathlib.Path("/usr/share/gocode")
    if not shutil.which("go") or not (sources / "src/github.com/vmware/govmomi").is_dir():
        pytest.skip("golang-go or golang-github-vmware-govmomi-dev is not installed: govmomi does not judge the lab")
    program = tmp_path_factory.mktemp("judge") / "lab_judge"
    environment = dict(os.environ, GO111MODULE="off", GOPATH=str(sources), GOFLAGS="-p=2")
    result = subprocess.run(["go", "build", "-o", program, pathlib.Path(__file__).with_name("lab_judge.go")],
                            env=environment, capture_output=True, text=True, check=False, timeout=900)
    assert result.returncode == 0, result.stderr
    return program


@pytest.mark.parametrize("options", [(), ("--esxi",)], ids=["vcenter", "esxi"])
def test_govmomi_can_work_with_it(judge, start, options):
    """Another foreign library: tasks by the collector, an export whose manifest it checks, a file."""
    lab = start(machine_site({"name": "web01", "nics": [{"ip": ["192.0.2.7/24"]}], "extra": {
        "cdrom": "[datastore1] x.iso", "tpm": True, "usb": True, "serial": {"uri": "x"}, "vapp": True, "hbr": True,
        "floppy": "client", "managed_by": "com.example"}}, {"name": "b", "extra": {
            "question": "Really?", "vgpu": True, "nvdimm": True, "fault_tolerance": True, "key_id": "k"}}), *options)
    url = f"https://{ADMIN.replace('@', '%40')}:lab@127.0.0.1:{lab.facts['port']}/sdk"
    result = subprocess.run([judge, url, lab.facts["ca"], "web01"], capture_output=True, text=True, check=False,
                            timeout=120, env=dict(os.environ, GOVMOMI_USE_SERVICE_TICKET="0"))
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.splitlines()[-1] == "ok logout"
    assert lab.state()["leases"] == lab.state()["sessions"] == []


def wait_error(task):
    until(lambda: task.info.state == "error")
    return task.info.error
