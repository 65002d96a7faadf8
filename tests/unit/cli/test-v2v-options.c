#include "cli/v2v.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/checked.h"

static void
refuse(struct v2v_args args, int n_operands, const char *text)
{
    struct err err = ERR_INIT;
    assert_int_equal(v2v_check(&args, n_operands, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    if (!strstr(err.text, text))
        fail_msg("'%s' is not in '%s'", text, err.text);
}

#define NOT_HERE "is not supported by this version of vmferry"

static void
what_is_missing_is_named(void **state)
{
    (void)state;
    refuse((struct v2v_args){ 0 }, 1, "-i is missing");
    refuse((struct v2v_args){ .input = "libvirt" }, 1, "-i libvirt without -ic");
    refuse((struct v2v_args){ .input = "libvirt", .connection = "lxc:///" }, 1, "-ic");
    refuse((struct v2v_args){ .input = "ova", .snapshot = true }, 1, "--snapshot goes with");
    refuse((struct v2v_args){ .input = "vmx" }, 1, "-i vmx " NOT_HERE);
    refuse((struct v2v_args){ .input = "xyz" }, 1, "-i xyz: no such mode");
    refuse((struct v2v_args){ .input = "ova" }, 0, "expecting the name of a file");
    refuse((struct v2v_args){ .input = "ova" }, 2, "expecting one name, not 2");
    refuse((struct v2v_args){ .input = "disk" }, 0, "expecting the names of disk images");
    refuse((struct v2v_args){ .input = "ova", .input_format = "raw" }, 1, "-if goes with -i disk");
    refuse((struct v2v_args){ .input = "ova", .output = "xyz" }, 1, "-o xyz: no such mode");
    refuse((struct v2v_args){ .input = "ova",
                              .output = "local",
                              .storage = "/tmp",
                              .output_connection = "qemu:///system" },
           1, "-oc goes with -o libvirt");
    refuse((struct v2v_args){ .input = "ova", .output = "kubevirt" }, 1, "-o kubevirt " NOT_HERE);
    refuse((struct v2v_args){ .input = "ova", .output = "local" }, 1, "-os is missing");
    refuse((struct v2v_args){ .input = "ova", .output = "null", .storage = "/tmp" }, 1,
           "leave -os out");
}

static void
values_are_checked(void **state)
{
    (void)state;
    struct v2v_args good = { .input = "ova", .output = "local", .storage = "/tmp" };
    struct err err = ERR_INIT;
    assert_int_equal(v2v_check(&good, 1, &err), 0);
    struct v2v_args bad = good;
    bad.disk_format = "vmdk";
    refuse(bad, 1, "-of vmdk: give raw or qcow2");
    bad = good;
    bad.allocation = "thick";
    refuse(bad, 1, "-oa thick: give sparse");
    bad.allocation = "preallocated";
    bad.disk_format = "qcow2";
    refuse(bad, 1, NOT_HERE);
    bad = good;
    bad.root = "ask";
    refuse(bad, 1, "--root ask " NOT_HERE);
    bad = good;
    bad.no_convert = bad.keys_from_stdin = true;
    refuse(bad, 1, "--no-convert leaves the guest alone");
}

static void
a_description_needs_no_output(void **state)
{
    (void)state;
    struct v2v_args args = { .input = "ova", .print_source = true };
    struct err err = ERR_INIT;
    assert_int_equal(v2v_check(&args, 1, &err), 0);
}

static void
the_job_says_what_was_asked(void **state)
{
    (void)state;
    struct v2v_args args = {
        .input = "disk",
        .input_format = "raw",
        .output = "disk",
        .storage = "out",
        .allocation = "preallocated",
        .no_convert = true,
        .limit_bytes_s = 5,
        .networks = { .n = 1, .values = { "a:b" } },
    };
    char *operands[] = { (char *)"one.img", (char *)"two.img", NULL };
    struct err err = ERR_INIT;
    auto_json json_t *job = NULL;
    assert_int_equal(v2v_job(&args, operands, &job, &err), 0);
    auto_json json_t *wanted =
        json_pack("{s:s, s:{s:s, s:[s,s], s:s}, s:{s:s, s:s, s:n, s:s, s:b}, s:{s:b, s:n, s:n, "
                  "s:i, s:b, s:b},"
                  " s:{s:[], s:[s], s:[]}, s:[], s:i, s:s, s:b}",
                  "action", "migrate", "input", "kind", "disk", "paths", "one.img", "two.img",
                  "format", "raw", "output", "kind", "local", "dir", "out", "name", "disk_format",
                  "raw", "preallocated", true, "convert", "wanted", false, "root", "block_driver",
                  "memsize_mib", 0, "no_fstrim", false, "trace", false, "nics", "macs", "networks",
                  "a:b", "bridges", "keys", "limit_bytes_s", 5, "verify", "none", "discard", false);
    assert_non_null(wanted);
    assert_true(json_equal(job, wanted));
}

/* -o, -oc and -os of virt-v2v: what is left out is the usual pool of the usual libvirt. */
static void
a_machine_for_libvirt(void **state)
{
    (void)state;
    static const struct {
        const char *output, *uri, *storage, *pool, *dir;
    } cases[] = {
        { NULL, NULL, NULL, "default", NULL },
        { "libvirt", "qemu:///session", "big pool", "big pool", NULL },
        { "libvirt", NULL, "/var/lib/vm", NULL, "/var/lib/vm" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct v2v_args args = { .input = "disk",
                                 .output = cases[i].output,
                                 .output_connection = cases[i].uri,
                                 .storage = cases[i].storage };
        char *operands[] = { (char *)"one.img", NULL };
        struct err err = ERR_INIT;
        auto_json json_t *job = NULL;
        assert_int_equal(v2v_check(&args, 1, &err), 0);
        assert_int_equal(v2v_job(&args, operands, &job, &err), 0);
        auto_json json_t *wanted =
            json_pack("{s:s, s:s?, s:s?, s:s?, s:n, s:s, s:b}", "kind", "libvirt", "uri",
                      cases[i].uri, "pool", cases[i].pool, "dir", cases[i].dir, "name",
                      "disk_format", "raw", "preallocated", false);
        assert_true(json_equal(json_object_get(job, "output"), wanted));
    }
}

static json_t *
input_of(struct v2v_args args, const char *machine)
{
    struct err err = ERR_INIT;
    char *operands[] = { (char *)machine, NULL };
    args.input = "libvirt";
    args.output = "null";
    if (v2v_check(&args, 1, &err) < 0)
        fail_msg("%s", err.text);
    auto_json json_t *job = NULL;
    if (v2v_job(&args, operands, &job, &err) < 0)
        fail_msg("%s", err.text);
    return json_incref(json_object_get(job, "input"));
}

static void
a_vsphere_is_named_as_libvirt_does(void **state)
{
    (void)state;
    char file[] = "/tmp/vmferry-password-XXXXXX";
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "pass word\nmore", 14), 14);
    close(fd);
    auto_json json_t *input = input_of(
        (struct v2v_args){
            .connection = "vpx://CORP%5cann%40x@vc.example.org/F/DC%201/Cluster/esx1?no_verify=1",
            .password_file = file,
            .transport = "vddk",
            .snapshot = true,
            .input_options = { .n = 4,
                               .values = { "vddk-libdir=/tmp", "vddk-port=8443",
                                           "vddk-nfchostport=1902", "ssh-user=ann" } } },
        "web 01");
    assert_string_equal(json_get_str(input, "kind", ""), "vsphere");
    assert_string_equal(json_get_str(input, "vm", ""), "web 01");
    assert_string_equal(json_get_str(input, "transport", ""), "vddk");
    assert_true(json_get_bool(input, "snapshot", false));
    assert_true(json_get_bool(input, "no_verify", false));
    assert_int_equal(json_get_int(input, "nfc_port", 0), 1902);
    assert_string_equal(json_get_str(json_object_get(input, "vddk"), "libdir", ""), "/tmp");
    assert_string_equal(json_get_str(json_object_get(input, "ssh"), "user", ""), "ann");
    const json_t *endpoint = json_object_get(input, "endpoint");
    assert_string_equal(json_get_str(endpoint, "server", ""), "vc.example.org");
    assert_int_equal(json_get_int(endpoint, "port", 0), 8443);
    assert_string_equal(json_get_str(endpoint, "face", ""), "vcenter");
    assert_string_equal(json_get_str(endpoint, "user", ""), "CORP\\ann@x");
    assert_string_equal(json_get_str(endpoint, "password", ""), "pass word");
    assert_string_equal(json_get_str(endpoint, "datacenter", ""), "F/DC 1/Cluster/esx1");
    unlink(file);
}

static void
a_xen_host_is_named_as_libvirt_does(void **state)
{
    (void)state;
    auto_json json_t *input =
        input_of((struct v2v_args){ .connection = "xen+ssh://ann@xen1:2222/?keyfile=/tmp" }, "web");
    assert_string_equal(json_get_str(input, "kind", ""), "xen-ssh");
    assert_string_equal(json_get_str(input, "host", ""), "xen1");
    assert_int_equal(json_get_int(input, "port", 0), 2222);
    assert_string_equal(json_get_str(input, "user", ""), "ann");
    assert_string_equal(json_get_str(input, "identity", ""), "/tmp");
    assert_null(json_get_str(input, "password", NULL));
    assert_false(json_get_bool(input, "accept_new", true));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(values_are_checked),
        cmocka_unit_test(a_description_needs_no_output),
        cmocka_unit_test(the_job_says_what_was_asked),
        cmocka_unit_test(a_machine_for_libvirt),
        cmocka_unit_test(a_vsphere_is_named_as_libvirt_does),
        cmocka_unit_test(a_xen_host_is_named_as_libvirt_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
