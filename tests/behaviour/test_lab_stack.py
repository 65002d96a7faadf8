"""lab/cloudstack answers as strictly as the product: signatures, parameters, envelopes, errors, pages, TLS."""

import json
import ssl
import sys
import urllib.parse

import pytest

import lab_stack
from lab_stack import refused, signed, soon
from places import LAB

sys.path.insert(0, str(LAB))
from stack import signing       # noqa: E402 pylint: disable=wrong-import-position

KEY, SECRET = "mZ7-Kq_A1bTestKeyForVectors00", "Sx9-TestSecret_ForVectors-7f3Q"
GUIDE_KEY = "plgWJfZK4gyS3mOMTVmjUVg-X-jlWlnfaUJ9GAbBbf9EdM-kAYMmAiLqzzq1ElZLYq_u38zCm0bewzGUdP66mg"
GUIDE_SECRET = "VDaACYb0LV9eNjTetIOElcVQkvJck_J_QljX_FcHRj87ZKiy0z0ty0ZsYBkoXkY9b7eq1EhwJaw7FF3akA3KBQ"
EXPIRES = "2026-11-20T10:15:00+0000"
V3 = {"command": "importVm", "signatureVersion": "3", "expires": EXPIRES, "importsource": "shared", "hypervisor": "KVM",
      "zoneid": "cef2f153-1155-46a5-98ac-a24000000001", "clusterid": "362f4ccb-75a5-4054-82a0-f1f3adb348ea",
      "storageid": "76b0752f-e004-456e-8ded-2f92b2845c28", "diskpath": "web01-disk0.qcow2", "name": "web01",
      "networkid": "320688c8-e81e-4488-a5ad-0341ffe32879", "serviceofferingid": "2ce350ae-0ee5-4e9f-aae8-973ab7e94826",
      "displayname": "Web 01 (QA) * a~b+c/d \u00e9", "details[0].UEFI": "LEGACY", "details[0].memory": "2048",
      "details[0].rootDiskController": "virtio", "details[0].cpuNumber": "2"}
VECTORS = (
    ({"command": "listZones"}, "DekrrmyKr0EVA4Rp2p4ux5XT5bI="),
    ({"command": "listZones", "available": "true", "signatureVersion": "3", "expires": EXPIRES},
     "dMPGQ5jav0uE72AOG5MRYFAQ3SI="),
    (V3, "68w1zdy7kSWKHwF/uEJpcLupVhE="),
    (dict(V3, displayname="Web 01 (QA) * ab+c/d \u00e9"), "nBZ+Jc2p8azJLdSkzgfht5y63G8="),
    ({"command": "listHosts", "name": "a b"}, "OaId8eJfVSyI9rIac7zw7wOGohI="),
    ({"command": "listHosts", "name": "a~b"}, "Eomqnm0XP0UQBF7VWAFUB4UmDjU="),
    ({"command": "listHosts", "name": "[x]*"}, "kKCrHCxF/ZcYPqAID1tgqKAumHk="),
    ({"command": "listHosts", "name": ""}, "nLTdWOYWAA+lkV8IkZRI7Z3dadA="),
    ({"command": "updateVirtualMachine", "id": "11111111-2222-3333-4444-555555555555", "details[0].cpuNumber": "2",
      "details[0].UEFI": "SECURE"}, "Dzj1s+forP1JDRQwReYZBmHywjs="))
USER = {"name": "bob", "domain": "/b", "api_key": "bob-key", "secret_key": "bob-secret"}
OFF = {"name": "off", "enabled": False, "api_key": "off-key", "secret_key": "off-secret"}
VECTOR = {"name": "vector", "type": "admin", "api_key": KEY, "secret_key": SECRET}
ADMIN = {"name": "admin", "type": "admin", "api_key": lab_stack.KEY, "secret_key": lab_stack.SECRET}
SITE = {"domains": ["/", "/b"], "accounts": [ADMIN, USER, OFF, VECTOR],
        "pools": [f"pool{number}" for number in range(7)], "settings": {"default.page.size": "5"}}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with lab_stack.lab(tmp_path_factory.mktemp("stack"), SITE) as running:
        yield running


@pytest.fixture
def client(shared):
    return shared.client()


def query(client, params, **more):
    """(status, body) of a GET whose parameters are signed here and sent with others."""
    words = dict(params, signature=signed(params, client.secret))
    status, _, body = client.raw("GET", urllib.parse.urlencode(dict(words, **more)))
    return status, body


# Signatures.


@pytest.mark.parametrize("number", range(len(VECTORS)))
def test_signs_as_the_known_vectors(number):
    params, signature = VECTORS[number]
    params = dict(params, response="json", apiKey=KEY)
    assert signing.sign(params, SECRET) == signature
    assert signed(params, SECRET) == signature      # whoever judges below agrees
    assert signing.sign(dict(params, Signature="other"), SECRET) == signature


def test_signs_as_the_guide_of_the_product():
    params = {"command": "listUsers", "response": "json", "apikey": GUIDE_KEY}
    assert signing.sign(params, GUIDE_SECRET) == "TTpdDq/7j/J58XCRHomKoQXEQds="


@pytest.mark.parametrize("name, signature, status", (
    ("a~b", "Eomqnm0XP0UQBF7VWAFUB4UmDjU=", 200), ("a~b", "E8TI0WAew7hf5vADV1Iryhqx3l8=", 401),
    ("[x]*", "kKCrHCxF/ZcYPqAID1tgqKAumHk=", 200), ("[x]*", "0hZXSNsCF2X4DEUYjAZCOXYfCCg=", 401)))
def test_takes_javas_encoding_only(client, name, signature, status):
    words = {"command": "listHosts", "name": name, "response": "json", "apiKey": KEY, "signature": signature}
    got, _, body = client.raw("GET", urllib.parse.urlencode(words))
    assert got == status, body


@pytest.mark.parametrize("moment, good", (
    ("2099-11-20T10:15:00Z", True), ("2099-11-20T10:15:00+0000", True), ("2099-11-20T10:15:00+00:00", True),
    ("2099-11-20T10:15:00+01", True), ("2099-11-20T10:15+0000", True), ("2099-11-20T10:15:00.123Z", True),
    ("2099-11-20T10:15:00.123456+0000", True), ("2099-11-20T10:15:00Z+0000", True), ("2099-11-20T10:15:00", False),
    ("2099-11-20 10:15:00Z", False), ("2099-11-20T10:15:00 0000", False), ("2001-11-20T10:15:00Z", False), ("", False),
    (None, False)))
def test_reads_the_same_moments_as_the_product(client, moment, good):
    params = {"command": "listZones", "response": "json", "apiKey": client.key, "signatureVersion": "3"}
    if moment is not None:
        params["expires"] = moment
    assert query(client, params)[0] == (200 if good else 401)
    del params["signatureVersion"]      # without it nobody looks at the moment
    assert query(client, params)[0] == 200


@pytest.mark.parametrize("change", ({"signature": "DekrrmyKr0EVA4Rp2p4ux5XT5bI="}, {"apiKey": "nobody"},
                                    {"apiKey": None}, {"signature": None}))
def test_does_not_say_why_it_knows_nobody(client, change):
    params = client.params("listZones")
    words = dict(params, signature=signed(params, client.secret))
    words.update(change)
    words = {name: value for name, value in words.items() if value}
    status, headers, body = client.raw("GET", urllib.parse.urlencode(words))
    text = "unable to verify user credentials and/or request signature"
    assert status == 401 and headers["X-Description"] == text
    assert json.loads(body) == {"listzonesresponse": {"uuidList": [], "errorcode": 401, "errortext": text}}


def test_knows_no_disabled_user(shared):
    with refused(401, "unable to verify"):
        shared.client("off-key", "off-secret").call("listZones")


def test_names_of_a_signed_call_may_be_written_as_one_likes(client):
    params = {"command": "listZones", "response": "json", "APIKEY": client.key, "SIGNATUREVERSION": "3",
              "Expires": soon()}
    assert query(client, params)[0] == 200


def test_when_posts_are_enforced(tmp_path):
    with lab_stack.lab(tmp_path, {"settings": {"enforce.post.requests.and.timestamps": "true"}}) as lab:
        client = lab.client()
        assert client.rows("listZones")
        with refused(400, "needs to be sent using POST"):
            client.call("deleteVolume", "GET", id="1" * 8)
        for change in ({"signatureVersion": "2"}, {"expires": soon(3600)}):
            with refused(401, "unable to verify"):
                client.send(dict(client.params("listZones"), **change))


# The way in.


def test_merges_query_and_body_as_the_product(client):
    """Of the query the last of a name wins, of the body the first, and of both the query."""
    params = client.params("listZones", name="zone1")
    signature = urllib.parse.quote(signed(params, client.secret), safe="")
    rest = urllib.parse.urlencode({key: value for key, value in params.items() if key not in ("name", "response")})
    status, _, body = client.raw("POST",
                                 f"name=other&response=xml&alone&name=zone1&response=json&signature={signature}",
                                 f"{rest}&response=body&command=listHosts",
                                 {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"})
    assert status == 200 and json.loads(body)["listzonesresponse"]["count"] == 1


def test_wants_the_path_and_the_exact_name_of_a_command(client):
    assert client.raw("GET", path="/client/other")[0] == 404
    for name in ("listzones", "ListZones", "listNothing"):
        with pytest.raises(lab_stack.Refused) as caught:
            client.call(name)
        assert caught.value.code == 432 and list(caught.value.body) == ["errorresponse"]
    params = client.params("listZones")
    del params["command"]
    status, body = query(client, params)
    assert status == 401 and list(json.loads(body)) == ["errorresponse"]


def test_sends_no_json_unasked(client):
    params = client.params("listZones", response="xml")
    words = urllib.parse.urlencode(dict(params, signature=signed(params, client.secret)))
    status, headers, body = client.raw("GET", words)
    assert (status, headers.get_content_type()) == (501, "text/xml") and body.startswith(b"<?xml")


def test_too_large_and_undecodable_requests(client):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.raw("POST", body=b"x=" + b"a" * (1 << 20), headers=form)[0] == 413
    assert client.raw("POST", body="&".join(f"n{number}=1" for number in range(5001)), headers=form)[0] == 400
    assert client.raw("GET", "command=%zz")[0] == 400


def test_proves_who_it_is_with_a_ca_of_its_own(shared):
    client = shared.client()
    with pytest.raises(ssl.SSLCertVerificationError):
        client.facts = dict(shared.facts,
                            ca=ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt")
        client.call("listZones")


def test_speaks_plain_http_where_it_is_told_to(tmp_path):
    with lab_stack.lab(tmp_path, {}, "--plain") as lab:
        assert lab.facts["url"].startswith("http://") and lab.client().rows("listZones")


# Parameters.


def test_folds_names_and_ignores_what_it_does_not_know(client):
    assert len(client.rows("listZones", NAME="zone1", whatever="x")) == 1
    assert not client.rows("listZones", NAME="zone2")


@pytest.mark.parametrize("name", ("details[0.x", "details[a].x", "details[0][1].x", "details]0[.x", "details[0]"))
def test_malformed_maps(client, name):
    with refused(430, f"Unable to decode parameter {name}"):
        client.call("importVm", **{name: "1"})


def test_missing_and_wrong_parameters(client, shared):
    with pytest.raises(lab_stack.Refused) as caught:
        client.call("importVm", zoneid=shared.ids["zone"]["zone1"])
    assert caught.value.code == 431 and caught.value.headers["X-Description"] == caught.value.text
    assert caught.value.body == {"importvmresponse": {
        "uuidList": [], "errorcode": 431, "cserrorcode": 9999,
        "errortext": "Unable to execute API command importvm due to missing parameter hypervisor"}}
    for value in (shared.ids["host"]["kvm1"], "1", "-1", "9" * 36, shared.ids["zone"]["zone1"].upper()):
        with refused(431, f"Invalid parameter id value={value} due to"):
            client.call("listZones", id=value)
    with refused(431, "Value greater than max allowed length 255 for param: name"):
        client.call("listZones", name="x" * 256)
    with refused(431, "due to invalid value x for parameter page"):
        client.call("listZones", page="x", pagesize="1")
    with refused(431, "illegal ASCII"):
        client.call("listZones", name="a\x07b")


def test_anything_but_true_is_false(shared):
    bob = shared.client("bob-key", "bob-secret")
    assert [bob.call("listAccounts", listall=word)["count"] for word in ("TRUE", "yes", "1")] == [1, 1, 1]
    rows = {word: shared.client().rows("listDiskOfferings", encrypt=word) for word in ("TRUE", "yes", "false")}
    assert not rows["TRUE"] and len(rows["yes"]) == len(rows["false"]) == 2


# Answers.


def test_an_empty_list_is_nothing(client):
    assert client.call("listVolumes") == {}


def test_control_characters_stand_bare_in_an_answer(tmp_path):
    name = "a\x01b"
    with lab_stack.lab(tmp_path, {"networks": [name]}, "--plain") as lab:
        client = lab.client()
        status, body = query(client, client.params("listNetworks"))
        assert status == 200 and b"a\x01b" in body
        assert json.loads(body, strict=False)["listnetworksresponse"]["network"][0]["name"] == name
        status, headers, body = client.raw("GET", urllib.parse.urlencode(
            {"command": "a\r\nX-Other: 1", "response": "json"}))
        assert status == 432 and "X-Other" not in headers and "a  X-Other: 1" in headers["X-Description"]


def test_pages(client):
    pages = [client.call("listStoragePools", page=number, pagesize=3) for number in (1, 2, 3, 4)]
    assert [len(page.get("storagepool", ())) for page in pages] == [3, 3, 1, 0] and pages[3]["count"] == 7
    names = [pool["name"] for page in pages[:3] for pool in page["storagepool"]]
    assert names == SITE["pools"] and all(page["count"] == 7 for page in pages[:3])
    whole = client.call("listStoragePools")
    assert whole["count"] == 7 and len(whole["storagepool"]) == 5      # the size of a page of this site
    for args in ({"page": 1}, {"pagesize": 3}, {"page": 1, "pagesize": 6}, {"pagesize": -1},
                 {"page": 0, "pagesize": 1}):
        with refused(431, "page"):
            client.call("listStoragePools", **args)


def test_pages_without_end(tmp_path):
    with lab_stack.lab(tmp_path, dict(SITE, settings={"default.page.size": "-1"})) as lab:
        client = lab.client()
        assert [len(client.rows("listStoragePools", **args)) for args in ({}, {"pagesize": -1})] == [7, 7]
        assert len(client.rows("listStoragePools", page=2, pagesize=5)) == 2


def test_a_user_who_is_no_root_admin(shared):
    bob = shared.client("bob-key", "bob-secret")
    assert bob.rows("listZones") and {"listHosts", "importVm"}.isdisjoint(row["name"] for row in bob.rows("listApis"))
    for name in ("listHosts", "importVm", "listVolumesForImport"):
        with refused(401, f"The API [{name}] does not exist or is not available"):
            bob.call(name)


def test_limits_the_rate_of_users(tmp_path):
    settings = {"api.throttling.enabled": "true", "api.throttling.max": "3", "api.throttling.interval": "3600"}
    with lab_stack.lab(tmp_path, dict(SITE, settings=settings)) as lab:
        bob, admin = lab.client("bob-key", "bob-secret"), lab.client()
        for _ in range(3):
            bob.call("listZones")
        with refused(429, "please retry after"):
            bob.call("listZones")
        assert [admin.call("listZones")["count"] for _ in range(5)] == [1] * 5
        assert admin.call("listCapabilities")["capability"]["apilimitmax"] == 3


def params_of(client, name):
    return {param["name"] for row in client.rows("listApis", name=name) for param in row["params"]}


@pytest.mark.parametrize("release, version, import_has, import_lacks, commands", (
    ("4.19", "4.19.3.0", {"diskpath"}, {"forceconverttopool", "usevddk", "osid"}, 0),
    ("4.22.0", "4.22.0.0", {"forceconverttopool", "extraparams"}, {"usevddk", "osid"}, 1),
    ("4.22.1", "4.22.1.0", {"usevddk", "osid"}, {"macaddress"}, 1),
    ("main", "4.23.0.0-SNAPSHOT", {"usevddk", "osid"}, {"macaddress"}, 1)))
def test_releases_tell_what_they_have(tmp_path, release, version, import_has, import_lacks, commands):
    with lab_stack.lab(tmp_path, {"release": release}, "--plain") as lab:
        client = lab.client()
        assert client.call("listCapabilities")["capability"]["cloudstackversion"] == version
        known = params_of(client, "importVm")
        assert import_has <= known and not import_lacks & known
        names = [row["name"] for row in client.rows("listApis")]
        assert names.count("listImportVmTasks") == commands
        if not commands:
            with refused(432, "does not exist"):
                client.call("listImportVmTasks", zoneid=lab.ids["zone"]["zone1"])
        with refused(431, "does not exist"):
            client.call("listApis", name="startVmwareCbtMigration")
