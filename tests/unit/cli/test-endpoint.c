#include "cli/endpoint.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/password.h"

static char password_file[] = "/tmp/vmferry-test-XXXXXX";

static void
write_password(const char *text)
{
    int fd = open(password_file, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static int
setup(void **state)
{
    (void)state;
    int fd = mkostemp(password_file, O_CLOEXEC);
    return fd < 0 ? -1 : close(fd);
}

static int
teardown(void **state)
{
    (void)state;
    return unlink(password_file);
}

static json_t *
made_of(struct endpoint_args args, const char *url)
{
    json_t *json = NULL;
    struct err err = ERR_INIT;
    args.password_file = password_file;
    if (endpoint_make(&args, url, &json, &err) < 0)
        fail_msg("%s: %s", url ? url : "(options)", err.text);
    return json;
}

static void
urls_say_who_and_where(void **state)
{
    (void)state;
    static const struct {
        const char *url, *server, *user, *face, *datacenter;
        int port;
    } cases[] = {
        { "vpx://root@vc", "vc", "root", "vcenter", NULL, 443 },
        { "vpx://admin%40vsphere.local@vc.example.com:8443/DC0?no_verify=1", "vc.example.com",
          "admin@vsphere.local", "vcenter", "DC0", 8443 },
        { "vpx://EX%5cjoe@vc/Folder/DC%20one/", "vc", "EX\\joe", "vcenter", "Folder/DC one", 443 },
        { "vpx://u@[2001:db8::1]:444/", "2001:db8::1", "u", "vcenter", NULL, 444 },
        { "esx://esx1", "esx1", "root", "esxi", NULL, 443 },
        { "esx://u@esx1/?no_verify=1", "esx1", "u", "esxi", NULL, 443 },
        { "https://u@vc/ui/", "vc", "u", NULL, NULL, 443 },
    };
    write_password("secret\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        auto_json json_t *json = made_of((struct endpoint_args){ 0 }, cases[i].url);
        print_message("%s\n", cases[i].url);
        assert_string_equal(json_get_str(json, "server", ""), cases[i].server);
        assert_string_equal(json_get_str(json, "user", ""), cases[i].user);
        assert_string_equal(json_get_str(json, "password", ""), "secret");
        assert_int_equal(json_get_int(json, "port", 0), cases[i].port);
        assert_string_equal(json_get_str(json, "face", "-"), cases[i].face ? cases[i].face : "-");
        assert_string_equal(json_get_str(json, "datacenter", "-"),
                            cases[i].datacenter ? cases[i].datacenter : "-");
    }
}

static void
options_say_the_same(void **state)
{
    (void)state;
    write_password("pa ss\r\nsecond line\n");
    auto_json json_t *json = made_of((struct endpoint_args){ .server = "vc:444",
                                                             .user = "u@d",
                                                             .datacenter = "DC 1",
                                                             .thumbprint = "AB",
                                                             .ca = "/ca.pem" },
                                     NULL);
    assert_string_equal(json_get_str(json, "server", ""), "vc");
    assert_int_equal(json_get_int(json, "port", 0), 444);
    assert_string_equal(json_get_str(json, "user", ""), "u@d");
    assert_string_equal(json_get_str(json, "datacenter", ""), "DC 1");
    assert_string_equal(json_get_str(json, "thumbprint", ""), "AB");
    assert_string_equal(json_get_str(json, "ca", ""), "/ca.pem");
    assert_string_equal(json_get_str(json, "password", ""), "pa ss");
}

static void
what_is_missing_or_double_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *url, *server, *user, *complaint;
    } cases[] = {
        { NULL, NULL, "u", "name the vCenter" },
        { "vpx://vc", NULL, NULL, "who logs in" },
        { NULL, "vc", NULL, "who logs in" },
        { "vpx://u@vc", "vc", NULL, "--server" },
        { "vpx://u@vc", NULL, "w", "another user" },
        { "vpx://u:secret@vc", NULL, NULL, "password" },
        { "vpx://u@vc?cacert=x", NULL, NULL, "'cacert'" },
        { "ftp://u@vc", NULL, NULL, "vpx://" },
        { NULL, "v c", "u", "" },
    };
    write_password("x");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct endpoint_args args = { .server = cases[i].server,
                                      .user = cases[i].user,
                                      .password_file = password_file };
        json_t *json = NULL;
        struct err err = ERR_INIT;
        assert_int_equal(endpoint_make(&args, cases[i].url, &json, &err), -1);
        assert_int_equal(err.kind, ERR_INVALID);
        if (!strstr(err.text, cases[i].complaint))
            fail_msg("'%s' is not in: %s", cases[i].complaint, err.text);
        assert_null(strstr(err.text, "secret"));
    }
}

static void
passwords_are_read_and_bounded(void **state)
{
    (void)state;
    char password[PASSWORD_MAX], *text = calloc(1, PASSWORD_MAX + 1);
    struct err err = ERR_INIT;
    assert_non_null(text);
    write_password("");
    assert_int_equal(password_read(password_file, password, &err), 0);
    assert_string_equal(password, "");
    memset(text, 'x', PASSWORD_MAX - 1);
    write_password(text);
    assert_int_equal(password_read(password_file, password, &err), 0);
    assert_int_equal(strlen(password), PASSWORD_MAX - 1);
    text[PASSWORD_MAX - 1] = 'x';
    write_password(text);
    assert_int_equal(password_read(password_file, password, &err), -1);
    assert_null(strstr(err.text, "xxx"));
    assert_int_equal(password_read("/nowhere/pw", password, &err), -1);
    assert_non_null(strstr(err.text, "/nowhere/pw"));
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_say_who_and_where),
        cmocka_unit_test(options_say_the_same),
        cmocka_unit_test(what_is_missing_or_double_is_refused),
        cmocka_unit_test(passwords_are_read_and_bounded),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
