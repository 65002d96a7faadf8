"""What the tests of lab/vcenter share: a vCenter to look at, labs to change, waiting and reading."""

import time

import pytest

import lab_vcenter
from lab_vcenter import ADMIN, POLL, VIM, as_ref, text

INSTANCE = ("ServiceInstance", "ServiceInstance")
ALL = ["System.Anonymous", "System.View", "System.Read"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A vCenter that no test changes for good."""
    machines = [
        {"name": "web01", "folder": "prod/blue", "guest_id": "debian12_64Guest", "firmware": "efi", "vcpus": 2,
         "memory_mib": 1024, "disks": [{"size_mib": 4, "uuid": "6000C29a-1111-2222-3333-444455556666"},
                                       {"controller": "lsilogic1", "unit": 2, "size_mib": 8,
                                        "sharing": "sharingMultiWriter"}],
         "nics": [{"type": "vmxnet3", "mac": "00:50:56:9a:1c:2e", "pci_slot": 192, "ip": ["192.0.2.7/24"]},
                  {"type": "e1000", "network": "DPG"}],
         "extra": {"cdrom": "[ds 1] iso/x.iso", "tpm": True, "efi_secure_boot": True, "managed_by": "com.example.x"}},
        {"name": "a/b%c\\d", "power": "poweredOn"},
        {"name": "gone", "extra": {"connection": "inaccessible"}},
        {"name": "golden", "template": True},
        {"name": "twin", "uuid": "42000000-0000-0000-0000-000000000001"},
        {"name": "twin", "folder": "other", "uuid": "42000000-0000-0000-0000-000000000001"},
        {"name": "fleet", "folder": "fleet", "count": 25},
    ]
    site = {"users": {ADMIN: {"password": "lab"}, "reader": {"password": "r", "privileges": ALL},
                      "blind": {"password": "b", "privileges": ["System.Anonymous", "System.View"]},
                      "late": {"password": "l", "password_expired": True}},
            "datacenters": [{"name": "DC0", "folder": "/Europe", "machines": machines,
                             "hosts": ["esx1.lab", "esx2.lab"],
                             "datastores": ["ds 1", {"name": "nfs", "type": "NFS", "free_gib": 3, "capacity_gib": 10}],
                             "networks": ["VM Network", {"name": "DPG", "kind": "distributed"}]}]}
    with lab_vcenter.lab(tmp_path_factory.mktemp("lab"), site) as running:
        yield running


@pytest.fixture
def vc(shared):
    client = shared.client()
    yield client
    client.connection.close()


@pytest.fixture
def start(tmp_path):
    """Starts labs that the test may change; ends them, and insists that they have nothing to complain about."""
    running = []

    def begin(site, *options):
        directory = tmp_path / str(len(running))
        directory.mkdir()
        running.append(lab_vcenter.Lab(directory, site, *options))
        return running[-1]

    yield begin
    for item in running:
        item.close()


def until(condition, seconds=20):
    """Wait for what becomes true; the lab has no way to call back."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        POLL.wait(0.02)


def wait_words(version, seconds=20, more=""):
    return text("version", version) + f"<options><maxWaitSeconds>{seconds}</maxWaitSeconds>{more}</options>"


def changes(answer):
    """[(kind, ref, {name: val})] of an UpdateSet."""
    return [(item.findtext(VIM + "kind"), as_ref(item.find(VIM + "obj")),
             {change.findtext(VIM + "name"): change.find(VIM + "val") for change in item.findall(VIM + "changeSet")})
            for item in answer[0].iter(VIM + "objectSet")]


def collector_of(client, *specs):
    collector = as_ref(client.call("CreatePropertyCollector", client.manager("propertyCollector"))[0])
    for spec in specs:
        client.call("CreateFilter", collector, f"<spec>{spec}</spec><partialUpdates>false</partialUpdates>")
    return collector


def lease_ready(client, lease):
    until(lambda: client.value(lease, "state") != "initializing")
    return client.props(lease, "state", "info", "error")


def pages(client, paths, limit, kind="VirtualMachine"):
    """The answers of a paged retrieval of all machines."""
    collector = client.manager("propertyCollector")
    spec = "<specSet>" + lab_vcenter.view_spec(client.view(kind), kind, paths) + "</specSet>"
    options = f"<options><maxObjects>{limit}</maxObjects></options>"
    answer = client.call("RetrievePropertiesEx", collector, spec + options)
    while True:
        yield answer
        token = lab_vcenter.token_of(answer)
        if token is None:
            return
        answer = client.call("ContinueRetrievePropertiesEx", collector, text("token", token))
