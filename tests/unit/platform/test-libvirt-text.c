/* What is pure of -o libvirt: URIs, and the XML that libvirt says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/checked.h"
#include "platform/libvirt-call.h"
#include "platform/libvirt-uri.h"
#include "platform/libvirt-xml.h"

static void
a_libvirt_of_this_host_is_taken(void **state)
{
    (void)state;
    static const char *const good[] = {
        "qemu:///system",      "qemu:///session",
        "qemu+unix:///system", "qemu+unix:///system?socket=/run/x/libvirt-sock",
        "test:///default",
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct err err = ERR_INIT;
        assert_int_equal(libvirt_uri_check(good[i], &err), 0);
    }
}

static void
another_one_is_refused_with_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *reason;
    } bad[] = {
        { "", "not named by a URI" },
        { "default", "not named by a URI" },
        { "qemu:/system", "not named by a URI" },
        { "qemu+ssh://root@kvm1/system", "on another host" },
        { "qemu+ssh:///system", "on another host" },
        { "qemu+tcp://kvm1/system", "on another host" },
        { "qemu+ext:///system?command=/bin/x", "on another host" },
        { "qemu+libssh2://joe:hunter2@kvm1/system", "qemu+libssh2://" },
        { "qemu://joe:hunter2@kvm1/system", "on another host" },
        { "qemu+unix://kvm1/system", "on another host" },
        { "qemu:///embed?root=/x", "embed" },
        { "xen:///system", "arrive on KVM" },
        { "qemux:///system", "arrive on KVM" },
        { "vpx://joe:hunter2@vc/DC/esx", "arrive on KVM" },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = ERR_INIT;
        assert_int_equal(libvirt_uri_check(bad[i].uri, &err), -1);
        assert_int_equal(err.kind, ERR_INVALID);
        assert_null(strstr(err.text, "hunter2"));
        if (!strstr(err.text, bad[i].reason))
            fail_msg("'%s' is not in '%s'", bad[i].reason, err.text);
    }
}

static void
the_usual_one(void **state)
{
    (void)state;
    unsetenv("LIBVIRT_DEFAULT_URI");
    assert_string_equal(libvirt_uri_or_usual(NULL), "qemu:///system");
    setenv("LIBVIRT_DEFAULT_URI", "qemu:///session", 1);
    assert_string_equal(libvirt_uri_or_usual(NULL), "qemu:///session");
    assert_string_equal(libvirt_uri_or_usual("test:///default"), "test:///default");
    unsetenv("LIBVIRT_DEFAULT_URI");
}

#define CAPS(arch, types)                                                                          \
    "<capabilities><guest><os_type>hvm</os_type><arch name='i686'><domain type='kvm'/></arch>"     \
    "</guest><guest><arch name='" arch "'><wordsize>64</wordsize>" types                           \
    "</arch></guest></capabilities>"

static void
acceleration_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *xml;
        bool kvm;
    } cases[] = {
        { CAPS("x86_64", "<domain type='qemu'/><domain type='kvm'/>"), true },
        { CAPS("x86_64", "<domain type='qemu'/>"), false },
        { CAPS("aarch64", "<domain type='kvm'/>"), false },
        { "<capabilities/>", false },
    };
    struct err err = ERR_INIT;
    bool kvm = false;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(libvirt_xml_has_kvm(cases[i].xml, &kvm, &err), 0);
        assert_int_equal(kvm, cases[i].kvm);
    }
    assert_int_equal(libvirt_xml_has_kvm("<capabilities>", &kvm, &err), -1);
}

static void
pools_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *xml, *type, *dir;
    } cases[] = {
        { "<pool type='dir'><target><path>/var/lib/images</path></target></pool>", "dir",
          "/var/lib/images" },
        { "<pool type='netfs'><target><path>/mnt/a b</path></target></pool>", "netfs", "/mnt/a b" },
        { "<pool type='logical'><target><path>/dev/vg</path></target></pool>", "logical", NULL },
        { "<pool type='rbd'/>", "rbd", NULL },
        { "<pool type='dir'><target><path>relative</path></target></pool>", "dir", NULL },
        { "<pool/>", "", NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        auto_free char *type = NULL, *dir = NULL;
        assert_int_equal(libvirt_xml_pool(cases[i].xml, &type, &dir, &err), 0);
        assert_string_equal(type, cases[i].type);
        if (cases[i].dir)
            assert_string_equal(dir, cases[i].dir);
        else
            assert_null(dir);
    }
}

static void
marks_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *xml, *id;
        bool started;
    } cases[] = {
        { "<migration id=\"4f1c\"/>", "4f1c", false },
        { "<v:migration xmlns:v='urn:v' id='4f1c' started='yes'/>", "4f1c", true },
        { "<migration started='no'/>", "", false },
        { "<migration id='0123456789012345678901234567890123456789012345678901234567890123'/>", "",
          false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        struct libvirt_mark mark;
        assert_int_equal(libvirt_xml_mark(cases[i].xml, &mark, &err), 0);
        assert_string_equal(mark.id, cases[i].id);
        assert_int_equal(mark.started, cases[i].started);
    }
}

static void
names_are_listed(void **state)
{
    (void)state;
    char text[LIBVIRT_NAMES_MAX], name[200];
    const char *const two[] = { "a", "b c" }, *const big[] = { name, name };
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_string_equal(libvirt_names(two, 0, text), "none");
    assert_string_equal(libvirt_names(two, 2, text), "a, b c");
    libvirt_names(big, 2, text);
    assert_int_equal(strlen(text), LIBVIRT_NAMES_MAX - 1);
    assert_string_equal(text + strlen(text) - 3, "...");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_libvirt_of_this_host_is_taken),
        cmocka_unit_test(another_one_is_refused_with_the_reason),
        cmocka_unit_test(the_usual_one),
        cmocka_unit_test(acceleration_is_read),
        cmocka_unit_test(pools_are_read),
        cmocka_unit_test(marks_are_read),
        cmocka_unit_test(names_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
