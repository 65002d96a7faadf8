#include "descriptor/href.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/checked.h"
#include "base/cleanup.h"

static void
plain_names_are_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *href, *name;
    } good[] = {
        { "disk-0.vmdk", "disk-0.vmdk" },
        { "./disk-0.vmdk", "disk-0.vmdk" },
        { "my%20disk.vmdk", "my disk.vmdk" },
        { "my disk.vmdk", "my disk.vmdk" },
        { "sub/disk.vmdk", "sub/disk.vmdk" },
        { "100%.vmdk", "100%.vmdk" },
        { "100%zz.vmdk", "100%zz.vmdk" },
        { "a%2", "a%2" },
        { "gr%C3%BCn.vmdk", "gr\xc3\xbcn.vmdk" },
        { "..hidden", "..hidden" },
        { "a..b/c", "a..b/c" },
        { "%2525", "%25" }, /* once, not until nothing is left */
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct err err = ERR_INIT;
        auto_free char *name = NULL;
        if (href_decode(good[i].href, &name, &err) < 0)
            fail_msg("%s", err.text);
        assert_string_equal(name, good[i].name);
    }
}

static void
what_leads_out_of_the_package_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "../../etc/passwd",
        "..",
        "a/../../b",
        "a/..",
        "./../x",
        "%2e%2e/etc/passwd",
        "..%2fetc%2fpasswd",
        "/etc/passwd",
        "%2Fetc%2Fpasswd",
        ".//etc/passwd",
        "file:///etc/passwd",
        "http://example.com/disk.vmdk",
        "https%3A//example.com/disk.vmdk",
        "nbd:unix:/tmp/sock",
        "json:{\"driver\":\"file\"}",
        "",
        "./",
        "dir/",
        "a%00b",
        "a%0Ab",
        "a\nb",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = ERR_INIT;
        auto_free char *name = NULL;
        if (href_decode(bad[i], &name, &err) == 0)
            fail_msg("'%s' became '%s'", bad[i], name);
        assert_int_equal(err.kind, ERR_INVALID);
        assert_non_null(strstr(err.text, "is refused"));
    }
    char long_name[HREF_MAX + 2];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    struct err err = ERR_INIT;
    assert_int_equal(href_check_name(long_name, &err), -1);
    assert_int_equal(href_check_name(long_name + 1, &err), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_names_are_decoded),
        cmocka_unit_test(what_leads_out_of_the_package_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
