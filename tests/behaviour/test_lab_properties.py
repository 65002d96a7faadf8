"""The property collector of lab/vcenter and its tasks: what is selected, in pages, and what changes while one waits."""

import concurrent.futures
import sys
import time

import pytest

import lab_vcenter
from lab_vcenter import ADMIN, VIM, XSI_TYPE, SoapFault, as_ref, machine_site, ref, text
from places import LAB
from vcenter_scenes import changes, collector_of, pages, until, wait_words
from vcenter_scenes import shared, start, vc    # noqa: F401 pylint: disable=unused-import


# Properties.


def test_machines_come_in_pages(vc):
    answers = list(pages(vc, ["name", "config.instanceUuid"], 10))
    assert [len(lab_vcenter.read_objects(answer)) for answer in answers] == [10, 10, 10, 1]
    found = [item for answer in answers for item in lab_vcenter.read_objects(answer)]
    assert len({item[0] for item in found}) == 31
    names = [have["name"].text for _, have, _ in found]
    assert "a%2fb%25c%5cd" in names and "fleet-00025" in names
    gone = next(have for _, have, _ in found if have["name"].text == "gone")
    assert "config.instanceUuid" not in gone        # its config cannot be read: unset, and no error


def test_tokens_are_good_once_and_for_their_session(shared, vc):
    first = next(pages(vc, ["name"], 5))
    token, collector = lab_vcenter.token_of(first), vc.manager("propertyCollector")
    other = shared.client()
    for client in (other, vc):      # nobody else may use it; trying that used it up
        with pytest.raises(SoapFault) as caught:
            client.call("ContinueRetrievePropertiesEx", collector, text("token", token))
        assert (caught.value.name, caught.value.field("invalidProperty")) == ("InvalidArgument", "token")
    token = lab_vcenter.token_of(next(pages(vc, ["name"], 5)))
    assert vc.call("CancelRetrievePropertiesEx", collector, text("token", token)) == []
    with pytest.raises(SoapFault):
        vc.call("ContinueRetrievePropertiesEx", collector, text("token", token))


def test_nothing_found_is_no_returnval(vc):
    view = vc.view("ClusterComputeResource")
    spec = "<specSet>" + lab_vcenter.view_spec(view, "ClusterComputeResource", ["name"]) + "</specSet><options/>"
    assert vc.call("RetrievePropertiesEx", vc.manager("propertyCollector"), spec) == []


def test_wrong_paths_and_missing_privileges(shared, vc):
    machine = vc.machine("prod/blue/web01", "Europe/DC0")
    for path in ("config.nothing", "nothing", "config.hardware.device.key", "name.x"):
        with pytest.raises(SoapFault) as caught:
            vc.retrieve([machine], ["name", path])
        assert (caught.value.name, caught.value.field("name")) == ("InvalidProperty", path)
    blind = shared.client("blind", "b")
    (_, have, missing), = blind.retrieve([machine], ["name", "config.name"])
    assert have["name"].text == "web01" and missing == {"config.name": "NoPermission"}


def test_properties_say_their_types(vc):
    machine = vc.machine("prod/blue/web01", "Europe/DC0")
    have = vc.props(machine, "name", "config.hardware.device", "runtime.powerState", "config.hardware.numCPU",
                    "summary.storage.committed", "runtime.host", "network", "config.changeTrackingEnabled", "snapshot",
                    "config.hardware.device[2000].backing.uuid", 'config.extraConfig["nvram"].value', "disabledMethod")
    kinds = {path: element.get(XSI_TYPE) for path, element in have.items()}
    assert kinds == {"name": "xsd:string", "config.hardware.device": "ArrayOfVirtualDevice",
                     "runtime.powerState": "VirtualMachinePowerState", "config.hardware.numCPU": "xsd:int",
                     "summary.storage.committed": "xsd:long", "runtime.host": "ManagedObjectReference",
                     "network": "ArrayOfManagedObjectReference", "config.changeTrackingEnabled": "xsd:boolean",
                     "config.hardware.device[2000].backing.uuid": "xsd:string", "disabledMethod": "ArrayOfString",
                     'config.extraConfig["nvram"].value': "xsd:string"}
    assert have["config.hardware.device[2000].backing.uuid"].text == "6000C29a-1111-2222-3333-444455556666"
    devices = list(have["config.hardware.device"])
    assert {item.tag for item in devices} == {VIM + "VirtualDevice"}
    assert [item.get("type") for item in have["network"]] == ["Network", "DistributedVirtualPortgroup"]


def test_devices(vc):
    machine = vc.machine("prod/blue/web01", "Europe/DC0")
    devices = {int(item.findtext(VIM + "key")): item for item in vc.props(machine, "config.hardware.device")[
        "config.hardware.device"]}
    kinds = {key: item.get(XSI_TYPE) for key, item in devices.items()}
    assert kinds[1000] == "ParaVirtualSCSIController" and kinds[1001] == "VirtualLsiLogicController"
    assert kinds[2000] == kinds[2018] == "VirtualDisk"
    assert kinds[11000] == "VirtualTPM" and kinds[3002] == "VirtualCdrom"
    assert kinds[4000] == "VirtualVmxnet3" and kinds[4001] == "VirtualE1000"
    disk = devices[2018]
    assert disk.findtext(VIM + "capacityInBytes") == str(8 << 20) and disk.findtext(VIM + "controllerKey") == "1001"
    backing = disk.find(VIM + "backing")
    assert backing.get(XSI_TYPE) == "VirtualDiskFlatVer2BackingInfo"
    assert backing.findtext(VIM + "fileName") == "[ds 1] web01/web01_1.vmdk"
    assert backing.findtext(VIM + "sharing") == "sharingMultiWriter" and backing.find(VIM + "changeId") is None
    assert [item.text for item in devices[1001].findall(VIM + "device")] == ["2018"]
    assert devices[4000].find(VIM + "slotInfo").findtext(VIM + "pciSlotNumber") == "192"
    assert devices[4001].find(VIM + "backing").get(XSI_TYPE) == "VirtualEthernetCardDistributedVirtualPortBackingInfo"
    assert devices[3002].find(VIM + "backing").findtext(VIM + "fileName") == "[ds 1] iso/x.iso"


def test_a_traversal_by_hand(vc):
    """From the root down by folders and datacenters, a specification that names itself."""
    select = ('<selectSet xsi:type="TraversalSpec"><name>f</name><type>Folder</type><path>childEntity</path>'
              "<skip>false</skip><selectSet><name>f</name></selectSet><selectSet><name>d</name></selectSet></selectSet>"
              '<selectSet xsi:type="TraversalSpec"><name>d</name><type>Datacenter</type><path>vmFolder</path>'
              "<skip>false</skip><selectSet><name>f</name></selectSet></selectSet>")
    body = ("<specSet><propSet><type>VirtualMachine</type><pathSet>name</pathSet></propSet><propSet>"
            f"<type>ManagedEntity</type><pathSet>parent</pathSet></propSet><objectSet>"
            f"{ref('obj', vc.manager('rootFolder'))}{select}</objectSet>"
            "</specSet><options/>")
    found = lab_vcenter.read_objects(vc.call("RetrievePropertiesEx", vc.manager("propertyCollector"), body))
    machines = [have for obj, have, _ in found if obj[0] == "VirtualMachine"]
    assert len(machines) == 31 and all("parent" in have for have in machines)
    parents = {obj: as_ref(have["parent"]) for obj, have, _ in found if "parent" in have}
    assert vc.manager("rootFolder") not in parents and ("Folder", "group-d1") in parents.values()
    body = body.replace("<name>d</name></selectSet></selectSet>", "<name>e</name></selectSet></selectSet>")
    with pytest.raises(SoapFault):
        vc.call("RetrievePropertiesEx", vc.manager("propertyCollector"), body)


def test_other_entities(vc):
    store = vc.find("Europe/DC0/datastore/nfs")
    have = vc.props(store, "summary.freeSpace", "summary.type", "info", "summary.maintenanceMode", "host")
    assert have["summary.freeSpace"].text == str(3 << 30) and have["summary.type"].text == "NFS"
    assert have["info"].get(XSI_TYPE) == "NasDatastoreInfo"
    host = vc.find("Europe/DC0/host/esx2.lab/esx2.lab")
    have = vc.props(host, "runtime.connectionState", "runtime.inMaintenanceMode", "summary.config.sslThumbprint",
                    "summary.config.product.version", "config.product.build", "name")
    assert have["summary.config.sslThumbprint"].text == vc.facts["thumbprint"]
    assert have["summary.config.product.version"].text == "8.0.3" and have["name"].text == "esx2.lab"
    assert vc.value(vc.find("Europe/DC0/network/DPG"), "key").startswith("dvportgroup-")
    assert vc.value(vc.find("Europe/DC0"), "name") == "DC0" and vc.find("Europe/DC9") is None


def test_finding(vc):
    index = vc.manager("searchIndex")
    machine = vc.machine("prod/blue/web01", "Europe/DC0")
    uuid = vc.value(machine, "config.instanceUuid")
    words = text("uuid", uuid) + "<vmSearch>true</vmSearch><instanceUuid>true</instanceUuid>"
    assert as_ref(vc.call("FindByUuid", index, words)[0]) == machine
    assert vc.call("FindByUuid", index, text("uuid", uuid) + "<vmSearch>true</vmSearch>") == []
    twins = text("uuid", "42000000-0000-0000-0000-000000000001") + "<vmSearch>true</vmSearch>"
    assert len(vc.call("FindAllByUuid", index, twins)) == 2 and len(vc.call("FindByUuid", index, twins)) == 1
    with pytest.raises(SoapFault):
        vc.call("FindByUuid", index, text("uuid", "web01") + "<vmSearch>true</vmSearch>")
    assert vc.find("Europe/DC0/vm/a%2fb%25c%5cd") and vc.find("Europe/DC0/vm/a/b%c\\d") is None
    where = ref("datacenter", vc.find("Europe/DC0")) + text("path", "[ds 1] web01/web01.vmx")
    assert as_ref(vc.call("FindByDatastorePath", index, where)[0]) == machine


CONDITIONS = {
    "annotation": "x", "bios_uuid": "42000000-0000-0000-0000-000000000009", "cdrom": {"file": "[datastore1] a.iso"},
    "connection": "orphaned", "consolidation_needed": True, "crypto_state": "locked", "change_tracking": True,
    "directory": "other", "efi_secure_boot": True, "extra_config": {"disk.EnableUUID": "TRUE"}, "fault_tolerance": True,
    "floppy": "[datastore1] f.flp", "hbr": True, "instant_clone_frozen": True, "key_id": "k", "managed_by": "m",
    "managed_by_type": "t", "memory_locked": True, "nested_hv": True, "nvdimm": True, "ovf_environment": True,
    "pci_passthrough": True, "question": "q", "serial": "[datastore1] s.txt", "sev": True, "sgx": True, "tpm": True,
    "shared_bus": {"pvscsi0": "physicalSharing"}, "snapshots": ["a", {"name": "b"}], "tools_installer": True,
    "usb": True, "vapp": True, "vbs": True, "vgpu": True, "change_tracking_supported": False, "boot_order": [2000],
    "quiesce_fails": "FilesystemQuiesceFault", "shutdown": "ignore", "latency_sensitivity": "high",
    "cpu_affinity": [1, 2], "stun_ms": 1, "tools_after_s": 0, "shutdown_s": 0.1, "qemu": {"process": False},
    "guest": {"host_name": "h", "dns": ["192.0.2.1"], "gateway": "192.0.2.1",
              "disks": [{"path": "/", "capacity": 5, "free": 3}]}}


@pytest.mark.parametrize("options", [(), ("--esxi",)], ids=["vcenter", "esxi"])
def test_whatever_a_site_can_say_can_be_read(start, options):
    """Every condition, backing, controller and adapter; every property of all that is there, as each client sees it."""
    from vsphere import site    # pylint: disable=import-outside-toplevel
    assert str(LAB) in sys.path and set(CONDITIONS) == set(site.EXTRA)
    machines = [{"name": f"x-{word}", "extra": {word: value}} for word, value in CONDITIONS.items()]
    machines += [{"name": f"b-{word}", "disks": [{"backing": word}]} for word in site.BACKINGS]
    machines += [{"name": f"c-{word}", "disks": [{"controller": word + "0"}]} for word in site.CONTROLLERS]
    machines += [{"name": f"n-{word}", "nics": [{"type": word, "network": kind} for kind in ("s", "d", "o")]}
                 for word in site.NICS]
    machines += [{"name": "clone", "disks": [{"parent": "[datastore1] x-vbs/x-vbs.vmdk"}]},
                 {"name": "on", "power": "poweredOn", "extra": {"guest": CONDITIONS["guest"], "tools_after_s": 0},
                  "nics": [{"network": "s", "ip": ["192.0.2.7/24", "2001:db8::1/64"]}]}]
    networks = ["s", {"name": "d", "kind": "distributed"}, {"name": "o", "kind": "opaque"}]
    stores = ["datastore1", {"name": "v", "type": "vsan"}, {"name": "n", "type": "NFS"}, {"name": "w", "type": "VVOL"}]
    datacenter = {"machines": machines, "networks": networks, "datastores": stores}
    client = start({"datacenters": [datacenter]}, *options).client()
    view = client.view()
    spec = lab_vcenter.view_spec(view, "ManagedEntity", []).replace("</type>", "</type><all>true</all>", 1)
    for version in ("4.1", "5.5", "6.5", "7.0", "8.0.3.0"):
        client.action = f"urn:vim25/{version}"
        answer = client.call("RetrievePropertiesEx", client.manager("propertyCollector"),
                             f"<specSet>{spec}</specSet><options/>")
        found = lab_vcenter.read_objects(answer)
        assert len(found) >= len(machines) + 9 and not any(missing for _, _, missing in found)
        named = {have["name"].text: have for _, have, _ in found}
        assert "config" not in named["x-connection"] and named["x-tpm"]["config"] is not None


# Waiting for updates.


def test_updates_come_when_something_happens(start):
    lab = start(machine_site({"name": "a"}, {"name": "b"}))
    client = lab.client()
    a, b = client.machine("a"), client.machine("b")
    collector = collector_of(client, lab_vcenter.object_spec(a, ["runtime.powerState", "name"]))
    first = client.call("WaitForUpdatesEx", collector, wait_words(""))
    (kind, obj, have), = changes(first)
    assert (kind, obj, have["runtime.powerState"].text) == ("enter", a, "poweredOff")
    version = first[0].findtext(VIM + "version")
    began = time.monotonic()
    assert client.call("WaitForUpdatesEx", collector, wait_words(version, 1)) == []
    assert 0.9 <= time.monotonic() - began < 15     # it waited; nothing came, the version stays
    other = lab.client()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(client.call, "WaitForUpdatesEx", collector, wait_words(version))
        other.task("PowerOnVM_Task", b)             # of no interest to the filter
        other.task("PowerOnVM_Task", a)
        answer = waiting.result(20)
    (kind, obj, have), = changes(answer)
    assert (kind, obj, list(have)) == ("modify", a, ["runtime.powerState"])
    assert have["runtime.powerState"].text == "poweredOn"
    for wrong in (version, "77", "x"):
        with pytest.raises(SoapFault) as caught:
            client.call("WaitForUpdatesEx", collector, wait_words(wrong))
        assert caught.value.name == "InvalidCollectorVersion"
    assert changes(client.call("WaitForUpdatesEx", collector, wait_words("")))[0][0] == "enter"
    client.call("DestroyPropertyCollector", collector)
    with pytest.raises(SoapFault) as caught:
        client.call("WaitForUpdatesEx", collector, wait_words(""))
    assert caught.value.name == "ManagedObjectNotFound"


def test_updates_are_cut_to_size(vc):
    collector = collector_of(vc, lab_vcenter.view_spec(vc.view("VirtualMachine"), "VirtualMachine", ["name"]))
    limit = "<maxObjectUpdates>20</maxObjectUpdates>"
    first = vc.call("WaitForUpdatesEx", collector, wait_words("", 20, limit))
    assert len(changes(first)) == 20 and first[0].findtext(VIM + "truncated") == "true"
    second = vc.call("WaitForUpdatesEx", collector, wait_words(first[0].findtext(VIM + "version"), 20, limit))
    assert len(changes(second)) == 11 and second[0].find(VIM + "truncated") is None
    assert vc.call("CheckForUpdates", collector, text("version", second[0].findtext(VIM + "version"))) == []


def test_waiting_can_be_cancelled(shared, vc):
    collector = collector_of(vc, lab_vcenter.object_spec(vc.manager("rootFolder"), ["name"]))
    version = vc.call("WaitForUpdatesEx", collector, wait_words(""))[0].findtext(VIM + "version")
    sibling = shared.client(None)
    sibling.cookie, sibling.content = vc.cookie, vc.content
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(vc.call, "WaitForUpdatesEx", collector, wait_words(version, 60))
        until(lambda: waiting.done() or sibling.call("CancelWaitForUpdates", collector) == [] and waiting.done())
        with pytest.raises(SoapFault) as caught:
            waiting.result(20)
    assert caught.value.name == "RequestCanceled"


# Tasks.


def test_a_task_goes_through_its_states_and_vanishes(start):
    lab = start(machine_site({"name": "a"}, task_delay_ms=400, task_keep_s=2))
    client = lab.client()
    machine = client.machine("a")
    task = as_ref(client.call("PowerOnVM_Task", machine)[0])
    with pytest.raises(SoapFault) as caught:
        client.call("CreateSnapshot_Task", machine, "<name>s</name><memory>false</memory><quiesce>false</quiesce>")
    assert caught.value.name == "TaskInProgress" and as_ref(caught.value.detail.find(VIM + "task")) == task
    paths = ["info.state", "info.progress", "info.error", "info.result"]
    collector = collector_of(client, lab_vcenter.object_spec(task, paths))
    version, states, progress = "", [], []
    while states[-1:] != ["success"]:
        answer = client.call("WaitForUpdatesEx", collector, wait_words(version))
        version = answer[0].findtext(VIM + "version")
        for _, _, have in changes(answer):
            states += [have["info.state"].text] if "info.state" in have else []
            progress += [int(have["info.progress"].text)] if have.get("info.progress") is not None else []
    assert states[-2:] == ["running", "success"] and progress == sorted(progress) and len(progress) >= 3
    info = client.props(task, "info")["info"]
    assert info.findtext(VIM + "completeTime") >= info.findtext(VIM + "startTime") >= info.findtext(VIM + "queueTime")
    assert info.findtext(VIM + "descriptionId") == "VirtualMachine.powerOnVM"
    assert as_ref(info.find(VIM + "entity")) == machine
    assert info.find(VIM + "reason").findtext(VIM + "userName") == ADMIN

    def gone():
        try:
            client.props(task, "info")
            return False
        except SoapFault as fault:
            return fault.name == "ManagedObjectNotFound"

    until(gone)


def test_a_task_can_be_cancelled_before_it_begins(start):
    lab = start(machine_site({"name": "a", "extra": {"question": "Really?"}}, {"name": "b"}, task_delay_ms=2000))
    client = lab.client()
    task = as_ref(client.call("PowerOnVM_Task", client.machine("a"))[0])
    assert client.value(task, "info.state") in ("queued", "running")
    until(lambda: client.value(task, "info.state") == "running")
    assert lab.state()["tasks"] == [{"name": "PowerOnVM_Task", "machine": "a", "state": "running"}]
    assert client.value(task, "info.cancelable") == "true"      # it waits for an answer
    client.call("CancelTask", task)
    with pytest.raises(SoapFault) as caught:
        client.wait(task)
    assert caught.value.name == "RequestCanceled" and client.value(task, "info.cancelled") == "true"
    assert lab.state()["machines"] == {}
    task = as_ref(client.call("PowerOnVM_Task", client.machine("b"))[0])
    until(lambda: client.value(task, "info.cancelable") == "false")
    with pytest.raises(SoapFault) as caught:
        client.call("CancelTask", task)
    assert caught.value.name == "NotSupported"
    client.wait(task)
    with pytest.raises(SoapFault) as caught:
        client.call("CancelTask", task)
    assert caught.value.name == "InvalidState"


def test_who_waits_is_told_that_the_session_is_gone(start):
    lab = start(machine_site({"name": "a"}))
    client = lab.client()
    collector = collector_of(client, lab_vcenter.view_spec(client.view("VirtualMachine"), "VirtualMachine", ["name"]))
    version = client.call("WaitForUpdatesEx", collector, wait_words(""))[0].findtext(VIM + "version")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(client.call, "WaitForUpdatesEx", collector, wait_words(version, 60))
        until(lambda: lab.state()["calls"]["WaitForUpdatesEx"] == 2)
        lab.fault("expire-sessions")
        with pytest.raises(SoapFault) as caught:
            waiting.result(20)
    assert caught.value.name == "NotAuthenticated"


def test_tools_come_by_themselves_and_that_is_an_update(start):
    lab = start(machine_site({"name": "a", "extra": {"tools_after_s": 1}}))
    client = lab.client()
    machine = client.machine("a")
    client.task("PowerOnVM_Task", machine)
    collector = collector_of(client, lab_vcenter.object_spec(machine, ["guest.toolsRunningStatus"]))
    version, seen = "", None
    while seen != "guestToolsRunning":
        answer = client.call("WaitForUpdatesEx", collector, wait_words(version))
        version, ((_, _, have),) = answer[0].findtext(VIM + "version"), changes(answer)
        seen = have["guest.toolsRunningStatus"].text


def test_a_question_holds_the_task_until_it_is_answered(start):
    lab = start(machine_site({"name": "a", "extra": {"question": {"text": "The ISO is missing. Go on?",
                                                                  "choices": ["Yes", "No"], "default": 1}}}))
    client = lab.client()
    machine = client.machine("a")
    task = as_ref(client.call("PowerOnVM_Task", machine)[0])
    question = client.props(machine, "runtime.question")["runtime.question"]
    assert question.findtext(VIM + "text") == "The ISO is missing. Go on?"
    choice = question.find(VIM + "choice")
    assert [item.findtext(VIM + "label") for item in choice.findall(VIM + "choiceInfo")] == ["Yes", "No"]
    number = question.findtext(VIM + "id")
    for wrong in (text("questionId", "9") + text("answerChoice", "0"),
                  text("questionId", number) + text("answerChoice", "7")):
        with pytest.raises(SoapFault) as caught:
            client.call("AnswerVM", machine, wrong)
        assert caught.value.name == "InvalidArgument"
    assert client.value(task, "info.state") == "running"
    client.call("AnswerVM", machine, text("questionId", number) + text("answerChoice", "0"))
    client.wait(task)
    assert "runtime.question" not in client.props(machine, "runtime.question")
    with pytest.raises(SoapFault) as caught:
        client.call("AnswerVM", machine, text("questionId", number) + text("answerChoice", "0"))
    assert caught.value.name == "ConcurrentAccess"
    lab.event("question", machine="a", text="Again?")
    assert client.props(machine, "runtime.question")["runtime.question"].findtext(VIM + "text") == "Again?"
