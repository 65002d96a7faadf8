#include "engine/agent-properties.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"

static void
what_a_java_program_would_read_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *text, *libdir;
    } cases[] = {
        { "vddk.lib.dir=/opt/v", "/opt/v" },
        { "  vddk.lib.dir = /opt/v  \n", "/opt/v" },
        { "vddk.lib.dir:/opt/v\r\nother=x\r\n", "/opt/v" },
        { "vddk.lib.dir /opt/v\n", "/opt/v" },
        { "vddk.lib.dir=/opt\\\n    /v\n", "/opt/v" },
        { "vddk.lib.dir=/a\nvddk.lib.dir=/b\n", "/b" },
        { "vddk.lib.dir=/a\\ b\\\\c\n", "/a b\\c" },
        { "vddk.lib.dir=/a\\u0041\\u00e9\\u20ac\n", "/aA\xc3\xa9\xe2\x82\xac" },
        { "vddk\\.lib.dir=/a\n", "/a" },
        { "vddk.lib.dir=/a # no comment\n", "/a # no comment" },
        { "vddk.lib.dir=a=b:c\n", "a=b:c" },
        { "# vddk.lib.dir=/a\n", NULL },
        { "  ! vddk.lib.dir=/a\n", NULL },
        { "# x \\\nvddk.lib.dir=/a\n", "/a" },
        { "vddk.lib.dir=\n", NULL },
        { "vddk.lib.dir\n", NULL },
        { "vddk.lib.directory=/a\n", NULL },
        { "", NULL },
        { "\n\n\n", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        auto_agent_properties struct agent_properties p = { 0 };
        struct err err = ERR_INIT;
        print_message("%s\n", cases[i].text);
        assert_int_equal(agent_properties_parse(cases[i].text, &p, &err), 0);
        assert_true(p.present);
        if (cases[i].libdir)
            assert_string_equal(p.vddk_lib_dir, cases[i].libdir);
        else
            assert_null(p.vddk_lib_dir);
    }
}

static void
each_setting_has_its_place(void **state)
{
    (void)state;
    auto_agent_properties struct agent_properties p = { 0 };
    struct err err = ERR_INIT;
    assert_int_equal(agent_properties_parse("vddk.transports=nbd:nbdssl\n"
                                            "guid=7\n"
                                            "vddk.thumbprint=AA:BB\n"
                                            "virtv2v.verbose.enabled=TRUE\n",
                                            &p, &err),
                     0);
    assert_null(p.vddk_lib_dir);
    assert_string_equal(p.vddk_transports, "nbd:nbdssl");
    assert_string_equal(p.vddk_thumbprint, "AA:BB");
    assert_true(p.verbose_known && p.verbose);

    auto_agent_properties struct agent_properties q = { 0 };
    assert_int_equal(agent_properties_parse("virtv2v.verbose.enabled=no", &q, &err), 0);
    assert_true(q.verbose_known && !q.verbose);
}

static void
what_is_wrong_is_named(void **state)
{
    (void)state;
    auto_agent_properties struct agent_properties p = { 0 };
    struct err err = ERR_INIT;
    assert_int_equal(agent_properties_parse("vddk.lib.dir=/a\\u12", &p, &err), -1);
    assert_non_null(strstr(err.text, "vddk.lib.dir"));
    assert_int_equal(agent_properties_parse("vddk.lib.dir=\\ud800", &p, &err), -1);

    auto_free char *text = calloc(1, AGENT_PROPERTY_MAX + 64);
    assert_non_null(text);
    snprintf(text, 32, "vddk.lib.dir=");
    memset(text + strlen(text), 'x', AGENT_PROPERTY_MAX);
    auto_agent_properties struct agent_properties fits = { 0 };
    assert_int_equal(agent_properties_parse(text, &fits, &err), 0);
    text[strlen(text)] = 'x';
    assert_int_equal(agent_properties_parse(text, &p, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.text, "longer than"));
}

static void
no_file_is_no_error(void **state)
{
    (void)state;
    auto_agent_properties struct agent_properties p = { .present = true };
    struct err err = ERR_INIT;
    assert_int_equal(agent_properties_read("/nowhere/agent.properties", &p, &err), 0);
    assert_false(p.present);
    assert_int_equal(agent_properties_read("/proc/self", &p, &err), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_java_program_would_read_is_read),
        cmocka_unit_test(each_setting_has_its_place),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(no_file_is_no_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
