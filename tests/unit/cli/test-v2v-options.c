#include "cli/v2v.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

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
    refuse((struct v2v_args){ 0 }, 1, "-i libvirt, " NOT_HERE);
    refuse((struct v2v_args){ .input = "vmx" }, 1, "-i vmx " NOT_HERE);
    refuse((struct v2v_args){ .input = "xyz" }, 1, "-i xyz: no such mode");
    refuse((struct v2v_args){ .input = "ova" }, 0, "expecting the name of a file");
    refuse((struct v2v_args){ .input = "ova" }, 2, "expecting one name, not 2");
    refuse((struct v2v_args){ .input = "disk" }, 0, "expecting the names of disk images");
    refuse((struct v2v_args){ .input = "ova", .input_format = "raw" }, 1, "-if goes with -i disk");
    refuse((struct v2v_args){ .input = "ova" }, 1, "-o libvirt, " NOT_HERE);
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
                  " s:{s:[], s:[s], s:[]}, s:[], s:i, s:b, s:b}",
                  "action", "migrate", "input", "kind", "disk", "paths", "one.img", "two.img",
                  "format", "raw", "output", "kind", "local", "dir", "out", "name", "disk_format",
                  "raw", "preallocated", true, "convert", "wanted", false, "root", "block_driver",
                  "memsize_mib", 0, "no_fstrim", false, "trace", false, "nics", "macs", "networks",
                  "a:b", "bridges", "keys", "limit_bytes_s", 5, "verify", false, "discard", false);
    assert_non_null(wanted);
    assert_true(json_equal(job, wanted));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(values_are_checked),
        cmocka_unit_test(a_description_needs_no_output),
        cmocka_unit_test(the_job_says_what_was_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
