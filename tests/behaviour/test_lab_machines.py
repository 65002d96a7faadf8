"""The machines of lab/vcenter: snapshots, tracking, power, leases, files; both faces; privileges; faults."""

import concurrent.futures
import hashlib
import http.client
import json
import random
import re
import subprocess
import time
import urllib.parse

import pytest

import lab_vcenter
from lab_vcenter import ADMIN, VIM, XSI_TYPE, HttpStatus, SoapFault, as_ref, machine_site, ref, text
from places import LAB
from vcenter_scenes import ALL, INSTANCE, changes, collector_of, lease_ready, until, wait_words
from vcenter_scenes import shared, start, vc    # noqa: F401 pylint: disable=unused-import


TRACKING = "<spec><changeTrackingEnabled>true</changeTrackingEnabled></spec>"
SNAPSHOT = "<name>s</name><memory>false</memory><quiesce>false</quiesce>"


# Machines.


def test_snapshots(start):
    disks = [{"size_mib": 4}, {"size_mib": 4, "mode": "independent_persistent"}]
    lab = start(machine_site({"name": "a", "disks": disks}))
    client = lab.client()
    machine = client.machine("a")
    first = client.snapshot(machine, "one")
    second = client.snapshot(machine, "two")
    tree = client.props(machine, "snapshot")["snapshot"]
    assert as_ref(tree.find(VIM + "currentSnapshot")) == second
    root = tree.find(VIM + "rootSnapshotList")
    assert root.findtext(VIM + "name") == "one" and as_ref(root.find(VIM + "snapshot")) == first
    child = root.find(VIM + "childSnapshotList")
    assert child.findtext(VIM + "name") == "two" and child.findtext(VIM + "quiesced") == "false"
    devices = client.props(first, "config.hardware.device")["config.hardware.device"]
    frozen = lab_vcenter.plain_disks(devices)
    assert list(frozen) == [2000]       # an independent disk has no part in snapshots
    assert frozen[2000].find(VIM + "backing").findtext(VIM + "fileName") == "[datastore1] a/a.vmdk"
    now = lab_vcenter.plain_disks(client.props(machine, "config.hardware.device")["config.hardware.device"])
    backing, chain = now[2000].find(VIM + "backing"), []
    while backing is not None:
        chain.append(backing.findtext(VIM + "fileName"))
        backing = backing.find(VIM + "parent")
    assert chain == ["[datastore1] a/a-000002.vmdk", "[datastore1] a/a-000001.vmdk", "[datastore1] a/a.vmdk"]
    layout = client.props(machine, "layoutEx")["layoutEx"]
    names = {item.findtext(VIM + "key"): item.findtext(VIM + "name") for item in layout.findall(VIM + "file")}
    units = [[names[key.text] for key in unit] for unit in layout.find(VIM + "disk").findall(VIM + "chain")]
    assert units[0] == ["[datastore1] a/a.vmdk", "[datastore1] a/a-flat.vmdk"] and len(units) == 3
    assert lab.state()["snapshots"] == {"a": ["one", "two"]}
    client.task("RemoveSnapshot_Task", first, "<removeChildren>false</removeChildren>")
    with pytest.raises(SoapFault) as caught:
        client.props(first, "config")
    assert caught.value.name == "ManagedObjectNotFound"
    client.task("RemoveAllSnapshots_Task", machine)
    assert "snapshot" not in client.props(machine, "snapshot") and lab.state()["snapshots"] == {}


def test_snapshots_that_are_refused(start):
    lab = start(machine_site({"name": "rdm", "disks": [{"backing": "rdm-physical"}]},
                             {"name": "shared", "power": "poweredOn", "disks": [{"sharing": "sharingMultiWriter"}]},
                             {"name": "app", "power": "poweredOn",
                              "extra": {"quiesce_fails": True, "tools_after_s": 0}},
                             {"name": "golden", "template": True}, {"name": "a"}))
    client = lab.client()
    for name in ("rdm", "shared"):
        with pytest.raises(SoapFault) as caught:
            client.snapshot(client.machine(name))
        assert caught.value.name == "SnapshotIncompatibleDeviceInVm"
        assert caught.value.detail.find(VIM + "fault") is not None
    with pytest.raises(SoapFault) as caught:
        client.snapshot(client.machine("app"), quiesce="true")
    assert caught.value.name == "ApplicationQuiesceFault"
    words = ('<name>s</name><memory>false</memory><quiesceSpec xsi:type="VirtualMachineWindowsQuiesceSpec">'
             "<timeout>10</timeout><vssBackupType>1</vssBackupType></quiesceSpec>")
    with pytest.raises(SoapFault) as caught:
        client.task("CreateSnapshotEx_Task", client.machine("app"), words)
    assert caught.value.name == "ApplicationQuiesceFault"
    with pytest.raises(SoapFault) as caught:
        client.task("CreateSnapshotEx_Task", client.machine("app"), words.replace("10", "1"))
    assert caught.value.field("invalidProperty") == "quiesceSpec.timeout"
    client.snapshot(client.machine("app"))
    with pytest.raises(SoapFault) as caught:
        client.snapshot(client.machine("golden"))
    assert caught.value.name == "NotSupported"
    with pytest.raises(SoapFault) as caught:
        client.snapshot(client.machine("a"), "")
    assert caught.value.name == "InvalidName"
    client.snapshot(client.machine("a"), quiesce="true")        # off: nobody to ask


def test_consolidation_that_is_left_to_do(start):
    lab = start(machine_site({"name": "a"}))
    client = lab.client()
    machine = client.machine("a")
    lab.add(task="RemoveSnapshot_Task", action="consolidation_needed")
    client.task("RemoveSnapshot_Task", client.snapshot(machine), "<removeChildren>false</removeChildren>")
    assert client.value(machine, "runtime.consolidationNeeded") == "true"
    client.task("ConsolidateVMDisks_Task", machine)
    assert client.value(machine, "runtime.consolidationNeeded") == "false"


def areas(client, machine, snapshot, change_id, key=2000, start=0):
    words = (ref("snapshot", snapshot) if snapshot else "") + text("deviceKey", key) + text("startOffset", start)
    return client.call("QueryChangedDiskAreas", machine, words + text("changeId", change_id))[0]


def change_id(client, obj, key=2000):
    disk = lab_vcenter.plain_disks(client.props(obj, "config.hardware.device")["config.hardware.device"])[key]
    return disk.find(VIM + "backing").findtext(VIM + "changeId")


def test_changed_areas_in_pages(start):
    lab = start(machine_site({"name": "a", "disks": [{"size_mib": 16}]}, {"name": "old", "hw_version": 4},
                             changed_areas_max=3))
    client = lab.client()
    machine = client.machine("a")
    with pytest.raises(SoapFault) as caught:
        client.task("ReconfigVM_Task", client.machine("old"), TRACKING)
    assert caught.value.name == "NotSupported"
    client.task("ReconfigVM_Task", machine, TRACKING)
    assert client.value(machine, "config.changeTrackingEnabled") == "true"
    first = client.snapshot(machine, "one")
    before = change_id(client, first)
    client.task("RemoveSnapshot_Task", first, "<removeChildren>false</removeChildren>")
    wanted = [(number << 20, 65536) for number in (0, 2, 4, 6, 9)]
    for offset, length in wanted:
        lab.event("write", machine="a", disk=2000, offset=offset, pattern=7, length=length)
    second = client.snapshot(machine, "two")
    assert change_id(client, second).partition("/")[0] == before.partition("/")[0]
    found, offset, calls = [], 0, 0
    while offset < 16 << 20:
        answer = areas(client, machine, second, before, start=offset)
        assert int(answer.findtext(VIM + "startOffset")) == offset
        found += [(int(item.findtext(VIM + "start")), int(item.findtext(VIM + "length")))
                  for item in answer.findall(VIM + "changedArea")]
        offset, calls = offset + int(answer.findtext(VIM + "length")), calls + 1
    assert found == wanted and calls >= 2
    for wrong, property_name in ((("nonsense", 2000, 0), "changeId"), ((before, 2001, 0), "deviceKey"),
                                 ((before, 2000, 16 << 20), "startOffset")):
        with pytest.raises(SoapFault) as caught:
            areas(client, machine, second, *wrong)
        assert (caught.value.name, caught.value.field("invalidProperty")) == ("InvalidArgument", property_name)
    lab.event("reset-tracking", machine="a")
    with pytest.raises(SoapFault) as caught:
        areas(client, machine, client.snapshot(machine, "three"), before)
    assert caught.value.name == "FileFault" and ".vmdk" in caught.value.field("file")
    with pytest.raises(SoapFault) as caught:
        areas(client, machine, ("VirtualMachineSnapshot", "snapshot-999"), before)
    assert caught.value.name == "ManagedObjectNotFound"


def test_power(start):
    lab = start(machine_site({"name": "a", "nics": [{"ip": ["192.0.2.7/24"]}], "extra": {"tools_after_s": 0}},
                             {"name": "mute", "tools": "not-installed", "power": "poweredOn"},
                             {"name": "asleep", "power": "suspended"}))
    client = lab.client()
    machine, mute, asleep = (client.machine(name) for name in ("a", "mute", "asleep"))
    for method, this, state in (("PowerOffVM_Task", machine, "poweredOff"), ("PowerOnVM_Task", mute, "poweredOn")):
        with pytest.raises(SoapFault) as caught:
            client.task(method, this)
        assert caught.value.name == "InvalidPowerState" and caught.value.field("existingState") == state
    with pytest.raises(SoapFault) as caught:
        client.call("ShutdownGuest", machine)
    assert caught.value.name == "InvalidPowerState"
    with pytest.raises(SoapFault) as caught:
        client.call("ShutdownGuest", mute)
    assert caught.value.name == "ToolsUnavailable"
    client.task("PowerOnVM_Task", machine)
    have = client.props(machine, "guest", "runtime.bootTime")
    assert have["guest"].findtext(VIM + "toolsRunningStatus") == "guestToolsRunning"
    net = have["guest"].find(VIM + "net")
    assert net.findtext(VIM + "ipAddress") == "192.0.2.7" and net.findtext(VIM + "deviceConfigId") == "4000"
    assert net.find(VIM + "ipConfig").find(VIM + "ipAddress").findtext(VIM + "prefixLength") == "24"
    assert client.call("ShutdownGuest", machine) == []
    until(lambda: client.value(machine, "runtime.powerState") == "poweredOff")
    assert client.props(machine, "guest")["guest"].find(VIM + "net") is None
    client.task("PowerOnVM_Task", machine)
    lab.event("crash", machine="a")
    assert client.value(machine, "runtime.powerState") == "poweredOff"
    assert client.value(asleep, "runtime.powerState") == "suspended"
    client.task("PowerOffVM_Task", asleep)
    assert client.value(asleep, "runtime.powerState") == "poweredOff"


def test_reconfiguring(start):
    lab = start(machine_site({"name": "a", "power": "poweredOn", "nics": [{}]}, {"name": "b"}))
    client = lab.client()
    machine = client.machine("a")
    edit = ('<spec><deviceChange><operation>edit</operation><device xsi:type="VirtualVmxnet3"><key>4000</key>'
            "<connectable><startConnected>false</startConnected><allowGuestControl>true</allowGuestControl>"
            "<connected>false</connected></connectable></device></deviceChange></spec>")
    client.task("ReconfigVM_Task", machine, edit)
    have = client.props(machine, "config.hardware.device[4000].connectable")["config.hardware.device[4000].connectable"]
    assert have.findtext(VIM + "connected") == have.findtext(VIM + "startConnected") == "false"
    destroy = edit.replace("</operation>", "</operation><fileOperation>destroy</fileOperation>")
    with pytest.raises(SoapFault, match="destroys no devices"):
        client.task("ReconfigVM_Task", machine, destroy)
    with pytest.raises(SoapFault) as caught:
        client.task("ReconfigVM_Task", machine, edit.replace("<key>4000", "<key>4007"))
    assert caught.value.name == "InvalidArgument"
    with pytest.raises(SoapFault) as caught:
        client.task("ReconfigVM_Task", machine, "<spec><numCPUs>64</numCPUs></spec>")
    assert caught.value.name == "NotSupported"
    client.task("ReconfigVM_Task", machine, "<spec><name>c/d</name><annotation>hello</annotation><extraConfig>"
                                            '<key>k</key><value xsi:type="xsd:string">v</value></extraConfig></spec>')
    assert client.value(machine, "name") == "c%2fd" and client.value(machine, "config.annotation") == "hello"
    assert client.value(machine, 'config.extraConfig["k"].value') == "v"
    with pytest.raises(SoapFault) as caught:
        client.task("ReconfigVM_Task", machine, "<spec><name>b</name></spec>")
    assert caught.value.name == "DuplicateName"
    with pytest.raises(SoapFault) as caught:
        client.task("ReconfigVM_Task", machine, "<spec><changeVersion>x</changeVersion></spec>")
    assert caught.value.name == "ConcurrentAccess"


def test_templates(start):
    lab = start(machine_site({"name": "golden", "template": True}))
    client = lab.client()
    machine = client.machine("golden")
    for method, inner in (("PowerOnVM_Task", ""), ("ReconfigVM_Task", "<spec><annotation>x</annotation></spec>")):
        with pytest.raises(SoapFault) as caught:
            client.call(method, machine, inner)
        assert caught.value.name == "NotSupported"
    host = as_ref(client.props(machine, "runtime.host")["runtime.host"])
    assert "resourcePool" not in client.props(machine, "resourcePool")
    pool = as_ref(client.props(as_ref(client.props(host, "parent")["parent"]), "resourcePool")["resourcePool"])
    client.call("MarkAsVirtualMachine", machine, ref("pool", pool))
    assert client.value(machine, "config.template") == "false"
    client.task("PowerOnVM_Task", machine)
    with pytest.raises(SoapFault) as caught:
        client.call("MarkAsVirtualMachine", machine, ref("pool", pool))
    assert caught.value.name == "InvalidState"


def test_methods_can_be_switched_off(start):
    lab = start(machine_site({"name": "a"}))
    client = lab.client()
    machine, manager = client.machine("a"), client.manager("authorizationManager")
    words = ref("entity", machine) + "".join(f"<method>{text('method', name)}{text('reasonId', 'x')}</method>"
                                             for name in ("RelocateVM_Task", "PowerOnVM_Task")) + text("sourceId", "me")
    client.call("DisableMethods", manager, words, "urn:internalvim25")
    disabled = {item.text for item in client.props(machine, "disabledMethod")["disabledMethod"]}
    assert {"RelocateVM_Task", "PowerOnVM_Task"} <= disabled
    with pytest.raises(SoapFault) as caught:
        client.call("PowerOnVM_Task", machine)
    assert caught.value.name == "MethodDisabled" and caught.value.field("source") == "me"
    assert lab.state()["machines"] == {}        # not used and off: not listed
    words = (ref("entity", machine) + text("method", "RelocateVM_Task") + text("method", "PowerOnVM_Task")
             + text("sourceId", "me"))
    client.call("EnableMethods", manager, words, "urn:internalvim25")
    client.task("PowerOnVM_Task", machine)
    assert lab.state()["machines"]["a"]["disabled"] == []


def test_hosts_that_are_away(start):
    lab = start(machine_site({"name": "a"}))
    client = lab.client()
    machine = client.machine("a")
    lab.event("host", host="esx1.lab", connection="notResponding")
    with pytest.raises(SoapFault) as caught:
        client.call("PowerOnVM_Task", machine)
    assert caught.value.name == "HostNotConnected"
    lab.event("host", host="esx1.lab", connection="connected", maintenance=True)
    with pytest.raises(SoapFault) as caught:
        client.call("PowerOnVM_Task", machine)
    assert caught.value.name == "InvalidState"
    lab.event("connection", machine="a", state="orphaned")
    assert client.value(machine, "runtime.connectionState") == "orphaned"
    assert "config" not in client.props(machine, "config")


# Privileges.


NEEDS = {
    "CreateSnapshot_Task": (SNAPSHOT, "VirtualMachine.State.CreateSnapshot"),
    "RemoveAllSnapshots_Task": ("", "VirtualMachine.State.RemoveSnapshot"),
    "QueryChangedDiskAreas": ("<deviceKey>2000</deviceKey><startOffset>0</startOffset><changeId>*</changeId>",
                              "VirtualMachine.Provisioning.DiskRandomRead"),
    "ReconfigVM_Task": (TRACKING,
                        "VirtualMachine.Config.ChangeTracking"),
    "PowerOnVM_Task": ("", "VirtualMachine.Interact.PowerOn"),
    "PowerOffVM_Task": ("", "VirtualMachine.Interact.PowerOff"),
    "ShutdownGuest": ("", "VirtualMachine.Interact.PowerOff"),
    "AnswerVM": ("<questionId>1</questionId><answerChoice>0</answerChoice>", "VirtualMachine.Interact.AnswerQuestion"),
    "ExportVm": ("", "VApp.Export"),
}


@pytest.mark.parametrize("method", NEEDS)
def test_privileges_are_asked_for(shared, method):
    inner, privilege = NEEDS[method]
    client = shared.client("reader", "r")
    machine = client.machine("twin", "Europe/DC0")
    with pytest.raises(SoapFault, match="Permission to perform this operation was denied") as caught:
        client.call(method, machine, inner)
    assert caught.value.name == "NoPermission" and caught.value.field("privilegeId") == privilege
    assert as_ref(caught.value.detail.find(VIM + "object")) == machine


def test_privileges_can_be_asked_about(shared, vc):
    client = shared.client("reader", "r")
    manager, machine = client.manager("authorizationManager"), client.machine("twin", "Europe/DC0")
    key = client.props(client.manager("sessionManager"), "currentSession")["currentSession"].findtext(VIM + "key")
    words = (ref("entity", machine) + text("sessionId", key) + text("privId", "System.Read")
             + text("privId", "VApp.Export"))
    answer = client.call("HasPrivilegeOnEntities", manager, words)[0]
    granted = {item.findtext(VIM + "privId"): item.findtext(VIM + "isGranted")
               for item in answer.findall(VIM + "privAvailability")}
    assert granted == {"System.Read": "true", "VApp.Export": "false"}
    answer = vc.call("FetchUserPrivilegeOnEntities", manager, ref("entities", machine) + text("userName", "reader"))[0]
    assert [item.text for item in answer.findall(VIM + "privileges")] == ALL
    with pytest.raises(SoapFault) as caught:
        client.call("SessionIsActive", client.manager("sessionManager"),
                    text("sessionID", key) + text("userName", "reader"))
    assert caught.value.field("privilegeId") == "Sessions.ValidateSession"


# Leases and files.


def test_an_export_from_its_start_to_its_end(start):
    lab = start(machine_site({"name": "a", "disks": [{"size_mib": 4}]}, lease_timeout_s=77))
    client = lab.client()
    machine = client.machine("a")
    lab.event("write", machine="a", disk=2000, offset=0, pattern=5, length=100000)
    lease = as_ref(client.call("ExportVm", machine)[0])
    assert lease[0] == "HttpNfcLease"
    have = lease_ready(client, lease)
    info = have["info"]
    assert have["state"].get(XSI_TYPE) == "HttpNfcLeaseState" and have["state"].text == "ready"
    assert info.findtext(VIM + "leaseTimeout") == "77" and info.findtext(VIM + "totalDiskCapacityInKB") == "4096"
    entry = info.find(VIM + "deviceUrl")
    assert entry.findtext(VIM + "disk") == "true" and entry.findtext(VIM + "sslThumbprint") == lab.facts["thumbprint"]
    with pytest.raises(SoapFault) as caught:
        client.task("PowerOnVM_Task", machine)
    assert caught.value.name == "InvalidState"
    url = urllib.parse.urlsplit(entry.findtext(VIM + "url"))
    assert url.port == lab.facts["port"]
    assert lab.state()["leases"][0]["machine"] == "a"
    status, headers, data = lab.client(None).request("GET", url.path)
    assert status == 200 and "Content-Length" not in headers and data[:4] == b"KDMV"
    client.call("HttpNfcLeaseProgress", lease, "<percent>100</percent>")
    assert client.value(lease, "transferProgress") == "100"
    manifest = client.call("HttpNfcLeaseGetManifest", lease)[0]
    assert manifest.findtext(VIM + "sha1") == hashlib.sha1(data).hexdigest()
    assert manifest.findtext(VIM + "size") == str(len(data)) and manifest.findtext(VIM + "capacity") == str(4 << 20)
    client.call("HttpNfcLeaseComplete", lease)
    assert client.value(lease, "state") == "done" and lab.state()["leases"] == []
    with pytest.raises(SoapFault) as caught:
        client.call("HttpNfcLeaseProgress", lease, "<percent>1</percent>")
    assert caught.value.name == "InvalidState"
    client.task("PowerOnVM_Task", machine)
    with pytest.raises(SoapFault) as caught:
        client.call("ExportVm", machine)
    assert caught.value.name == "InvalidPowerState"


def test_leases_are_waited_for_aborted_and_made_to_fail(start):
    lab = start(machine_site({"name": "a"}))
    client = lab.client()
    machine = client.machine("a")
    snapshot = client.snapshot(machine)
    lease = as_ref(client.call("ExportSnapshot", snapshot)[0])
    collector = collector_of(client, lab_vcenter.object_spec(lease, ["state", "info.leaseTimeout"]))
    version, state = "", None
    while state != "ready":
        answer = client.call("WaitForUpdatesEx", collector, wait_words(version))
        version = answer[0].findtext(VIM + "version")
        state = [have["state"].text for _, _, have in changes(answer) if "state" in have][-1]
    client.call("HttpNfcLeaseAbort", lease, '<fault><fault xsi:type="Timedout"/>'
                                            "<localizedMessage>enough</localizedMessage></fault>")
    have = client.props(lease, "state", "error")
    assert have["state"].text == "error" and have["error"].findtext(VIM + "localizedMessage") == "enough"
    assert have["error"].find(VIM + "fault").get(XSI_TYPE) == "Timedout" and lab.state()["leases"] == []
    lab.add(lease="ready", fault="FileFault", message="no way")
    have = lease_ready(client, as_ref(client.call("ExportSnapshot", snapshot)[0]))
    assert have["state"].text == "error" and have["error"].find(VIM + "fault").get(XSI_TYPE) == "FileFault"


def folder_url(path="web01/web01.vmdk", dc="Europe/DC0", ds="ds 1"):
    def twice(words):
        return urllib.parse.quote(urllib.parse.quote(words, safe=""), safe="")

    return f"/folder/{urllib.parse.quote(path)}?dcPath={twice(dc)}&dsName={twice(ds)}"


def test_files_need_a_session_and_privileges(shared, vc):
    status, headers, data = vc.request("GET", folder_url())
    assert status == 200 and data.startswith(b"# Disk DescriptorFile")
    assert headers["Content-Type"] == "application/octet-stream"
    assert vc.request("HEAD", folder_url("web01/web01-flat.vmdk"))[1]["Content-Length"] == str(4 << 20)
    nobody = shared.client(None)
    assert nobody.request("GET", folder_url())[0] == 401
    assert shared.client("reader", "r").request("GET", folder_url())[0] == 403
    status, headers, _ = nobody.request("GET", folder_url(), headers={"Authorization": lab_vcenter.basic(ADMIN, "lab")})
    assert status == 200 and nobody.cookie.startswith("vmware_soap_session=")
    nobody.call("Logout", nobody.manager("sessionManager"))
    assert nobody.request("GET", folder_url())[0] == 401
    wrong = {"Authorization": lab_vcenter.basic(ADMIN, "wrong")}
    assert nobody.request("GET", folder_url(), headers=wrong)[0] == 401


def test_a_ticket_is_good_for_one_file_once(shared, vc):
    path = "/folder/web01/web01.vmdk?dsName=" + urllib.parse.quote("ds 1")
    spec = ('<spec xsi:type="SessionManagerHttpServiceRequestSpec"><method>httpGet</method>'
            + text("url", f"https://esx1.lab{path}") + "</spec>")
    ticket = vc.call("AcquireGenericServiceTicket", vc.manager("sessionManager"), spec)[0]
    assert ticket.findtext(VIM + "sslThumbprint") == shared.facts["thumbprint"]
    other = shared.client(None)
    words = {"Cookie": "vmware_cgi_ticket=" + ticket.findtext(VIM + "id")}
    assert other.request("GET", path.replace("web01.vmdk", "web01_1.vmdk"), headers=words)[0] == 401
    ticket = vc.call("AcquireGenericServiceTicket", vc.manager("sessionManager"), spec)[0]
    words = {"Cookie": "vmware_cgi_ticket=" + ticket.findtext(VIM + "id")}
    status, _, data = other.request("GET", path, headers=words)
    assert status == 200 and data.startswith(b"# Disk DescriptorFile")
    other.connection.close()        # it is not used again, as in the product
    assert other.request("GET", path, headers=words)[0] == 401


# ESXi.


def test_the_face_of_an_esxi(start):
    site = {"users": {"root": {"password": "r"}}, "datacenters": [
        {"hosts": ["esx9.lab"], "machines": [{"name": "a", "folder": "ignored"}, {"name": "b"}]}]}
    lab = start(site, "--esxi")
    client = lab.client("root", "r")
    about = client.content.find(VIM + "about")
    assert about.findtext(VIM + "apiType") == "HostAgent" and about.find(VIM + "instanceUuid") is None
    assert client.manager("rootFolder") == ("Folder", "ha-folder-root")
    assert client.manager("propertyCollector")[1] == "ha-property-collector"
    assert client.manager("sessionManager")[1] == "ha-sessionmgr"
    assert client.find("ha-datacenter") == ("Datacenter", "ha-datacenter")
    found = [client.machine(name, "ha-datacenter") for name in "ab"]
    assert found == [("VirtualMachine", "1"), ("VirtualMachine", "2")]
    with pytest.raises(SoapFault) as caught:
        client.call("SessionIsActive", client.manager("sessionManager"),
                    text("sessionID", "x") + text("userName", "root"))
    assert caught.value.name == "NotImplemented"
    snapshot = client.snapshot(("VirtualMachine", "2"))
    assert snapshot == ("VirtualMachineSnapshot", "2-snapshot-1")
    lease = as_ref(client.call("ExportVm", ("VirtualMachine", "1"))[0])
    url = lease_ready(client, lease)["info"].find(VIM + "deviceUrl").findtext(VIM + "url")
    assert url.startswith(f"https://*:{lab.facts['port']}/nfc/")
    client.call("HttpNfcLeaseAbort", lease)
    status, _, data = client.request("GET", "/folder/b/b.vmdk?dcPath=ha-datacenter&dsName=datastore1")
    assert status == 200 and data.startswith(b"# Disk")


def test_the_free_licence_changes_nothing(start):
    lab = start(dict(machine_site({"name": "a"}), free_licence=True), "--esxi")
    client = lab.client()
    for method, inner in (("CreateSnapshot_Task", SNAPSHOT),
                          ("PowerOnVM_Task", ""), ("ReconfigVM_Task", "<spec><annotation>x</annotation></spec>")):
        with pytest.raises(SoapFault) as caught:
            client.call(method, ("VirtualMachine", "1"), inner)
        assert caught.value.name == "RestrictedVersion"
    assert client.value(("VirtualMachine", "1"), "name") == "a"


# Failing on purpose.


def test_rules_strike_calls_tasks_and_connections(start):
    lab = start(machine_site({"name": "a"}, {"name": "b"}))
    client = lab.client()
    a, b = client.machine("a"), client.machine("b")
    words = SNAPSHOT
    lab.add(method="CreateSnapshot_Task", nth=2, fault="TaskInProgress", machine="a")
    client.snapshot(b)
    client.snapshot(a)
    with pytest.raises(SoapFault) as caught:
        client.call("CreateSnapshot_Task", a, words)
    assert caught.value.name == "TaskInProgress" and caught.value.detail.find(VIM + "task") is not None
    client.snapshot(a)
    lab.add(task="CreateSnapshot_Task", fault="SnapshotFault", message="The disk is tired", times=2)
    for _ in range(2):
        with pytest.raises(SoapFault, match="The disk is tired") as caught:
            client.snapshot(b)
        assert caught.value.name == "SnapshotFault"
    client.snapshot(b)
    lab.add(method="CurrentTime", status=503)
    with pytest.raises(HttpStatus) as status:
        client.call("CurrentTime", INSTANCE)
    assert status.value.status == 503
    lab.add(http="/sdk", action="cut")
    with pytest.raises((OSError, http.client.HTTPException)):
        client.call("CurrentTime", INSTANCE)
    lab.add(method="CurrentTime", delay_ms=700)
    began = time.monotonic()
    client.call("CurrentTime", INSTANCE)
    assert time.monotonic() - began >= 0.7
    lab.add(http="/folder", status=503, times=2)
    path = "/folder/a/a.vmdk?dcPath=DC0&dsName=datastore1"
    assert [client.request("GET", path)[0] for _ in range(3)] == [503, 503, 200]
    fired = {item["id"]: item["fired"] for item in lab.fault("list")["rules"]}
    assert fired == {1: 1, 2: 2, 3: 1, 4: 1, 5: 1, 6: 2}
    lab.fault("clear")
    assert lab.fault("list") == {"rules": []}


@pytest.mark.parametrize("rule, words", [
    ({}, "exactly one of"), ({"method": "X", "task": "Y"}, "exactly one of"), ({"method": "NoMethod"}, "no method"),
    ({"method": "Login", "fault": "NoFault"}, "no fault"), ({"method": "Login", "colour": 1}, "cannot say colour"),
    ({"http": "/sdk", "nth": "x"}, "whole number"), ([], "JSON object"), ({"nfc": "sing"}, "sing|nfc"),
])
def test_wrong_rules_are_refused(shared, rule, words):
    result = shared.fault("add", json.dumps(rule), check=False)
    assert result.returncode == 1 and re.search(words, result.stderr), result.stderr


def test_fault_without_a_lab(tmp_path, shared):
    result = subprocess.run([LAB / "fault", tmp_path, "state"], capture_output=True, text=True, check=False)
    assert result.returncode == 2 and "no lab serves" in result.stderr
    result = shared.fault("event", "nonsense", check=False)
    assert result.returncode == 1 and "no event" in result.stderr


def test_state_counts_calls(start):
    lab = start(machine_site({"name": "a"}))
    client = lab.client()
    client.call("CurrentTime", INSTANCE)
    state = lab.state()
    assert state["calls"] == {"CurrentTime": 1, "Login": 1, "RetrieveServiceContent": 1}
    assert [item["user"] for item in state["sessions"]] == [ADMIN] and state["http_connections"] == 1
    assert state["leases"] == state["tasks"] == state["nfc"]["connections"] == []
    client.connection.close()
    until(lambda: lab.state()["http_connections"] == 0)


def test_trace_says_when_and_how_long(start):
    lab = start(machine_site({"name": "a"}))
    client = lab.client()
    lab.add(method="CurrentTime", delay_ms=200)
    before = time.monotonic()
    client.call("CurrentTime", INSTANCE)
    after = time.monotonic()
    *earlier, (name, at, seconds) = lab.trace()
    assert [call[0] for call in earlier] == ["RetrieveServiceContent", "Login"] and name == "CurrentTime"
    assert before <= at <= at + seconds <= after and seconds >= 0.2


# All at once.


REFUSALS = {"InvalidPowerState", "InvalidState", "TaskInProgress", "ManagedObjectNotFound"}


def export_and_abort(client, machine):
    lease = as_ref(client.call("ExportVm", machine)[0])
    lease_ready(client, lease)
    client.call("HttpNfcLeaseAbort", lease)


def read_everything(client, _machine):
    view = client.view("VirtualMachine")
    paths = ["config", "layoutEx", "snapshot", "guest", "summary", "recentTask"]
    spec = "<specSet>" + lab_vcenter.view_spec(view, "VirtualMachine", paths) + "</specSet><options/>"
    answer = client.call("RetrievePropertiesEx", client.manager("propertyCollector"), spec)
    assert len(lab_vcenter.read_objects(answer)) == 3
    client.call("DestroyView", view)


DEEDS = [
    lambda client, machine: client.task("PowerOnVM_Task", machine),
    lambda client, machine: client.task("PowerOffVM_Task", machine),
    lambda client, machine: client.snapshot(machine),
    lambda client, machine: client.task("RemoveAllSnapshots_Task", machine),
    lambda client, machine: client.task("ReconfigVM_Task", machine, TRACKING),
    export_and_abort, read_everything,
]


def test_many_clients_get_in_each_others_way(start):
    """Whatever several of them do at once is done or refused with a fault that fits, and nothing is left of it."""
    lab = start(machine_site({"name": "m", "count": 3, "disks": [{"size_mib": 2}, {"size_mib": 2}]}))
    end, seen = time.monotonic() + 5, []

    def work(seed):
        client, chance = lab.client(), random.Random(seed)
        machines = [client.machine(f"m-0000{number}") for number in (1, 2, 3)]
        while time.monotonic() < end:
            try:
                chance.choice(DEEDS)(client, chance.choice(machines))
                seen.append("done")
            except SoapFault as fault:
                seen.append(fault.name)
        client.call("Logout", client.manager("sessionManager"))

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        for worker in [pool.submit(work, seed) for seed in range(6)]:
            worker.result(60)
    assert set(seen) <= REFUSALS | {"done"} and seen.count("done") > 20, set(seen)
    state = lab.state()
    assert state["tasks"] == state["leases"] == state["sessions"] == []
