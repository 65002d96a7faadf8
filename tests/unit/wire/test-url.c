#include "wire/url.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/checked.h"

static void
parse(const char *text, struct url *ret)
{
    struct err err = ERR_INIT;
    if (url_parse(text, ret, &err) < 0)
        fail_msg("%s: %s", text, err.text);
}

static void
test_parts(void **state)
{
    (void)state;
    auto_url struct url url = { 0 };
    parse("https://VC.example:8443/folder/a%20b/x-flat.vmdk?dcPath=a%252fb&dsName=ds%201", &url);
    assert_string_equal(url.scheme, "https");
    assert_string_equal(url.host, "vc.example");
    assert_int_equal(url.port, 8443);
    assert_false(url.has_user);
    assert_string_equal(url.path, "/folder/a%20b/x-flat.vmdk");
    assert_string_equal(url.query, "dcPath=a%252fb&dsName=ds%201");
    url_free(&url);
    parse("VPX://DOM%5cadmin%40vsphere.local@[FE80::1]/DC0/host", &url);
    assert_string_equal(url.scheme, "vpx");
    assert_true(url.has_user);
    assert_string_equal(url.user, "DOM\\admin@vsphere.local");
    assert_string_equal(url.host, "fe80::1");
    assert_true(url.is_ipv6);
    assert_int_equal(url.port, 0);
    assert_null(url.query);
    url_free(&url);
    parse("esx://host?no_verify=1", &url);
    assert_string_equal(url.path, "");
    assert_string_equal(url.query, "no_verify=1");
    url_free(&url);
    parse("https://[::1]:65535", &url);
    assert_int_equal(url.port, 65535);
}

static void
test_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "https",
        "https:/host",
        "https://",
        "://host",
        "1https://host",
        "averyveryverylongscheme://host",
        "https://user@",
        "https://@host",
        "https://user:secret@host",
        "https://user:@host",
        "https://a@b@host",
        "https://us%zzer@host",
        "https://us%00er@host",
        "https://host:",
        "https://host:0",
        "https://host:65536",
        "https://host:000443",
        "https://host:4x",
        "https://host:-1",
        "https://ho st/",
        "https://ho\tst/",
        "https://h\303\266st/",
        "https://host/\303\266",
        "https://host/a b",
        "https://host/#top",
        "https://host/%",
        "https://host/%1",
        "https://host/%1g",
        "https://host/?a=%",
        "https://[::1",
        "https://[::1]x",
        "https://[host]",
        "https://[]/",
        "https://ho[st/",
        "https://host\\path",
        "https://host\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct url url = { 0 };
        struct err err = ERR_INIT;
        if (url_parse(bad[i], &url, &err) == 0)
            fail_msg("'%s' was taken", bad[i]);
        assert_int_equal(err.kind, ERR_INVALID);
        assert_null(strstr(err.text, "secret"));
        assert_null(url.path);
    }
}

static void
test_lengths(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    static char text[URL_MAX + 2];
    auto_url struct url url = { 0 };
    memset(text, 'a', sizeof text - 1);
    memcpy(text, "https://h/", 10);
    assert_int_equal(url_parse(text, &url, &err), -1);
    text[URL_MAX] = '\0';
    parse(text, &url);
    url_free(&url);
    memset(text, 'a', URL_MAX);
    memcpy(text, "https://", 8);
    text[8 + URL_HOST_MAX] = '\0';
    assert_int_equal(url_parse(text, &url, &err), -1);
    text[8 + URL_HOST_MAX - 1] = '\0';
    parse(text, &url);
    assert_int_equal(strlen(url.host), URL_HOST_MAX - 1);
}

static void
assert_query(const struct url *url, const char *name, const char *value)
{
    struct err err = ERR_INIT;
    auto_free char *got = NULL;
    assert_int_equal(url_query_get(url, name, &got, &err), 0);
    if (value)
        assert_string_equal(got, value);
    else
        assert_null(got);
}

static void
test_query(void **state)
{
    (void)state;
    auto_url struct url url = { 0 };
    parse("vpx://h/?ab=1&a=x%26%3d+&&flag&a=2&empty=", &url);
    assert_query(&url, "a", "x&=+");
    assert_query(&url, "ab", "1");
    assert_query(&url, "flag", "");
    assert_query(&url, "empty", "");
    assert_query(&url, "b", NULL);
    assert_query(&url, "fla", NULL);
    url_free(&url);
    parse("vpx://h/", &url);
    assert_query(&url, "a", NULL);
}

static void
test_encoding(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf struct buf buf = BUF_INIT(2000);
    assert_int_equal(url_encode("a/b c%&+\303\266~-._Z9", URL_KEEP_SLASH, &buf, &err), 0);
    assert_string_equal(buf.data, "a/b%20c%25%26%2B%C3%B6~-._Z9");
    buf_free(&buf);
    assert_int_equal(url_encode("a/b", URL_KEEP_NOTHING, &buf, &err), 0);
    assert_string_equal(buf.data, "a%2Fb");
    buf_free(&buf);
    assert_int_equal(url_encode("", URL_KEEP_NOTHING, &buf, &err), 0);
    assert_string_equal(buf.data, "");
    buf_free(&buf);

    char all[256], *back = NULL;
    for (int i = 0; i < 255; i++)
        all[i] = (char)(i + 1);
    all[255] = '\0';
    assert_int_equal(url_encode(all, URL_KEEP_NOTHING, &buf, &err), 0);
    for (const char *c = buf.data; *c; c++)
        assert_true(*c > ' ' && *c < 0x7f);
    assert_int_equal(url_decode(buf.data, buf.len, &back, &err), 0);
    assert_string_equal(back, all);
    free(back);
    struct buf small = BUF_INIT(4);
    assert_int_equal(url_encode("\001\002", URL_KEEP_NOTHING, &small, &err), -1);
    buf_free(&small);
    assert_int_equal(url_decode("%4", 2, &back, &err), -1);
    assert_int_equal(url_decode("%00", 3, &back, &err), -1);
    /* Not beyond its length. */
    assert_int_equal(url_decode("%411", 2, &back, &err), -1);
}

static void
test_endpoint(void **state)
{
    (void)state;
    char text[URL_ENDPOINT_MAX];
    assert_string_equal(url_endpoint("vc", 443, text), "vc:443");
    assert_string_equal(url_endpoint("::1", 8443, text), "[::1]:8443");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_lengths),  cmocka_unit_test(test_query),
        cmocka_unit_test(test_encoding), cmocka_unit_test(test_endpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
