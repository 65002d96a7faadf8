#include "vmware/datastore.h"

#include "http-double.h"

#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "vmware/call.h"
#include "vmware/host.h"
#include "vmware/privilege.h"

static struct err err;
static struct vmware_session *session;

static int
setup(void **state)
{
    (void)state;
    err = ERR_INIT;
    clock_fake_ns(NS_PER_S);
    session = double_login();
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    double_logout(session);
    clock_fake_ns(-1);
    return 0;
}

static void
expect_url(const char *datacenter, const char *file, const char *url)
{
    auto_free char *got = NULL;
    if (vmware_datastore_url(session, datacenter, file, &got, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(got, url);
}

static void
parameters_are_encoded_twice_for_a_vcenter(void **state)
{
    (void)state;
    expect_url("/DC0", "[ds1] web01/web01.vmdk",
               "https://vc.test:443/folder/web01/web01.vmdk?dcPath=DC0&dsName=ds1");
    expect_url("/Sites/A b/D%2fC", "[d s&+] a b/c#%.vmdk",
               "https://vc.test:443/folder/a%20b/c%23%25.vmdk"
               "?dcPath=Sites%252FA%2520b%252FD%25252fC&dsName=d%2520s%2526%252B");
    expect_url("/DC0", "[a [b]] x/y",
               "https://vc.test:443/folder/x/y?dcPath=DC0&dsName=a%2520%255Bb%255D");
    expect_url("/DC0", "[ds1]", "https://vc.test:443/folder/?dcPath=DC0&dsName=ds1");
    session->about.vcenter = false;
    expect_url("/whatever", "[d s] a/b",
               "https://vc.test:443/folder/a/b?dcPath=ha-datacenter&dsName=d%20s");
    char *none;
    assert_int_equal(vmware_datastore_url(session, "/DC0", "web01.vmdk", &none, &err), -1);
    assert_int_equal(vmware_datastore_url(session, "/DC0", "[] web01.vmdk", &none, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    session->about.vcenter = true;
    assert_int_equal(vmware_datastore_url(session, "", "[ds1] web01.vmdk", &none, &err), -1);
}

#define FILE_REQUEST(method)                                                                       \
    .expect = { method " https://vc.test:443/folder/d/x?dcPath=DC0&dsName=ds",                     \
                "Cookie: vmware_soap_session=" }

static void
a_file_is_read(void **state)
{
    (void)state;
    auto_free char *text = NULL;
    size_t len;
    uint64_t bytes;
    bool there;
    static const struct exchange list[] = {
        { FILE_REQUEST("GET"), .status = 503 },
        { FILE_REQUEST("GET"), .status = 401 },
        LOGIN_AS("two"),
        { FILE_REQUEST("GET"), .status = 200, .body = "hello" },
        { FILE_REQUEST("HEAD"), .status = 200, .headers = "Content-Length: 123456789012\n" },
        { FILE_REQUEST("HEAD"), .status = 200 },
        { FILE_REQUEST("HEAD"), .status = 404 },
        { FILE_REQUEST("HEAD"), .status = 302 },
    };
    PLAY(list);
    assert_int_equal(vmware_datastore_read(session, "/DC0", "[ds] d/x", 100, &text, &len, &err), 0);
    assert_string_equal(text, "hello");
    assert_int_equal(len, 5);
    assert_int_equal(vmware_datastore_size(session, "/DC0", "[ds] d/x", &bytes, &err), 0);
    assert_true(bytes == 123456789012);
    assert_int_equal(vmware_datastore_size(session, "/DC0", "[ds] d/x", &bytes, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_int_equal(vmware_datastore_exists(session, "/DC0", "[ds] d/x", &there, &err), 0);
    assert_false(there);
    assert_int_equal(vmware_datastore_exists(session, "/DC0", "[ds] d/x", &there, &err), 0);
    assert_true(there);
    double_done();
}

static void
what_the_server_says_of_a_file(void **state)
{
    (void)state;
    static const struct {
        struct exchange exchange;
        enum err_kind kind;
        const char *word;
    } cases[] = {
        { { FILE_REQUEST("GET"), .status = 404 }, ERR_NOT_FOUND, "[ds] d/x" },
        { { FILE_REQUEST("GET"), .status = 500 }, ERR_CONFLICT, "locked" },
        { { FILE_REQUEST("GET"), .status = 403 }, ERR_DENIED, "Datastore.Browse" },
        { { FILE_REQUEST("GET"), .status = 302 }, ERR_INVALID, "302" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *text;
        size_t len;
        double_play(&cases[i].exchange, 1);
        assert_int_equal(vmware_datastore_read(session, "/DC0", "[ds] d/x", 100, &text, &len, &err),
                         -1);
        double_done();
        assert_int_equal(err.kind, cases[i].kind);
        assert_non_null(strstr(err.text, cases[i].word));
    }
}

static void
a_descriptor_is_read(void **state)
{
    (void)state;
    auto_vmware_descriptor struct vmware_descriptor *d = NULL;
    static const char text[] =
        "# Disk DescriptorFile\r\nversion=1\nencoding=\"UTF-8\"\n"
        "CID=fffffffe\nparentCID=abcd1234\ncreateType=\"vmfsSparse\"\n"
        "parentFileNameHint=\"/vmfs/volumes/5f/base dir/x.vmdk\"\n"
        "# Extent description\n"
        "RW 4192256 VMFSSPARSE \"x 1-000001-delta.vmdk\"\n"
        "RW 10 FLAT \"y.bin\" 63\nRW 5 ZERO\n"
        "RDONLY 1 VMFS \"/vmfs/volumes/5f/z\"\nddb.adapterType = \"lsilogic\"\n";
    assert_int_equal(vmware_descriptor_parse(text, "[d 1] dir/x.vmdk", &d, &err), 0);
    assert_string_equal(d->create_type, "vmfsSparse");
    assert_string_equal(d->cid, "fffffffe");
    assert_string_equal(d->parent_cid, "abcd1234");
    assert_string_equal(d->parent, "/vmfs/volumes/5f/base dir/x.vmdk");
    assert_int_equal(d->n_extents, 4);
    assert_string_equal(d->extents[0].file, "[d 1] dir/x 1-000001-delta.vmdk");
    assert_string_equal(d->extents[0].type, "VMFSSPARSE");
    assert_true(d->extents[0].bytes == UINT64_C(4192256) * 512);
    assert_true(d->extents[1].offset_bytes == 63 * 512);
    assert_null(d->extents[2].file);
    assert_string_equal(d->extents[3].file, "/vmfs/volumes/5f/z");
    assert_true(d->capacity_bytes == (UINT64_C(4192256) + 10 + 5 + 1) * 512);
}

static void
odd_descriptors_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "KDMV",
        "# Disk DescriptorFile\nCID=1\n",
        "# Disk DescriptorFile\nRW 0 VMFS \"x\"\n",
        "# Disk DescriptorFile\nRW -5 VMFS \"x\"\n",
        "# Disk DescriptorFile\nRW 5 VMFS \"../x\"\n",
        "# Disk DescriptorFile\nRW 5 VMFS \"a/../x\"\n",
        "# Disk DescriptorFile\nRW 5 VMFS \"\"\n",
        "# Disk DescriptorFile\nRW 5 VMFS\n",
        "# Disk DescriptorFile\nRW 36028797018963968 VMFS \"x\"\n",
        "# Disk DescriptorFile\nRW 18446744073709551615 VMFS \"x\"\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vmware_descriptor *d = NULL;
        if (vmware_descriptor_parse(cases[i], "[d] x", &d, &err) == 0)
            fail_msg("taken: %s", cases[i]);
        assert_int_equal(err.kind, ERR_INVALID);
    }
}

static void
names_are_decoded_once(void **state)
{
    (void)state;
    char name[] = "a%2fb%5Cc%25d%252f%41%";
    name_decode(name);
    assert_string_equal(name, "a/b\\c%d%2f%41%");
}

static void
privileges_that_are_missing(void **state)
{
    (void)state;
    static const char *const ids[] = { "A.B", "C.D", "E.F", NULL };
    bool missing[3] = { false };
    static const struct exchange list[] = { {
        .expect = { "<HasPrivilegeOnEntities ", "<entity type=\"VirtualMachine\">vm-1</entity>",
                    "<sessionId>key-1</sessionId>", "<privId>C.D</privId>" },
        .status = 200,
        .body = RESPONSE("HasPrivilegeOnEntities",
                         "<returnval><entity type=\"VirtualMachine\">vm-1</entity>"
                         "<privAvailability><privId>C.D</privId><isGranted>false</isGranted>"
                         "</privAvailability><privAvailability><privId>A.B</privId>"
                         "<isGranted>true</isGranted></privAvailability></returnval>"),
    } };
    PLAY(list);
    assert_int_equal(
        vmware_privileges_missing(session, "VirtualMachine", "vm-1", ids, missing, &err), 0);
    double_done();
    assert_false(missing[0]);
    assert_true(missing[1] && missing[2]);
    static const struct exchange roles[] = {
        { .expect = { "<HasPrivilegeOnEntities ", "<entity type=\"Folder\">group-d1</entity>" },
          .status = 500,
          .body = FAULT("MethodNotFound", "", "") },
        { .expect = { "<obj type=\"AuthorizationManager\">rights-7</obj>", "roleList" },
          .status = 200,
          .body = PROPERTIES(
              OBJECT("AuthorizationManager", "rights-7",
                     "<propSet><name>roleList</name><val><AuthorizationRole><roleId>-1</roleId>"
                     "<privilege>A.B</privilege><privilege>E.F</privilege></AuthorizationRole>"
                     "<AuthorizationRole><roleId>7</roleId><privilege>C.D</privilege>"
                     "</AuthorizationRole></val></propSet>")) },
        { .expect = { "<obj type=\"Folder\">group-d1</obj>", "effectiveRole" },
          .status = 200,
          .body = PROPERTIES(OBJECT("Folder", "group-d1",
                                    "<propSet><name>effectiveRole</name><val><int>-1</int></val>"
                                    "</propSet>")) },
    };
    PLAY(roles);
    assert_int_equal(vmware_privileges_missing(session, "VirtualMachine", NULL, ids, missing, &err),
                     0);
    double_done();
    assert_false(missing[0] || missing[2]);
    assert_true(missing[1]);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(parameters_are_encoded_twice_for_a_vcenter),
        TEST(a_file_is_read),
        TEST(what_the_server_says_of_a_file),
        TEST(a_descriptor_is_read),
        TEST(odd_descriptors_are_refused),
        TEST(names_are_decoded_once),
        TEST(privileges_that_are_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
