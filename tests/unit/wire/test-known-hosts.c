#include "wire/known-hosts.h"

#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/log.h"
#include "http-server.h"
#include "wire/url.h"

static char logged[4096];

static void
on_log(enum log_level level, const char *text, void *arg)
{
    (void)arg;
    if (level == LOG_LEVEL_WARNING)
        snprintf(logged, sizeof logged, "%s", text);
}

static const char *
file(void)
{
    return test_server_file("state/vmferry/known_hosts");
}

static int
forget(void **state)
{
    (void)state;
    logged[0] = '\0';
    setenv("XDG_STATE_HOME", test_server_file("state"), 1);
    unlink(file());
    return 0;
}

static int
check(struct known_host *ret, struct err *err)
{
    return known_hosts_check("127.0.0.1", test_server.port, NULL, ret, err);
}

static void
check_well(struct known_host *ret)
{
    struct err err = ERR_INIT;
    if (check(ret, &err) < 0)
        fail_msg("%s", err.text);
}

static void
write_file(const char *text)
{
    struct err err = ERR_INIT;
    assert_int_equal(file_write_atomic(file(), text, strlen(text), 0600, &err), 0);
}

static void
test_first_use(void **state)
{
    (void)state;
    struct known_host host;
    check_well(&host);
    assert_true(host.is_new && host.pinned);
    assert_non_null(strstr(logged, host.sha256));
    assert_non_null(strstr(logged, host.sha1));
    struct stat st;
    assert_int_equal(stat(file(), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    logged[0] = '\0';
    struct known_host again;
    check_well(&again);
    assert_true(again.pinned);
    assert_false(again.is_new);
    assert_string_equal(again.sha256, host.sha256);
    assert_string_equal(logged, "");

    struct err err = ERR_INIT;
    auto_free char *text = NULL;
    char line[200];
    assert_int_equal(file_read(file(), KNOWN_HOSTS_MAX, &text, NULL, &err), 0);
    int at = snprintf(line, sizeof line, "127.0.0.1:%u sha256:", test_server.port);
    for (const char *c = host.sha256; *c; c++)
        if (*c != ':')
            line[at++] = *c;
    line[at++] = '\n';
    line[at] = '\0';
    assert_string_equal(text, line);
    /* What it gives is what http takes. */
    auto_http struct http *http = NULL;
    auto_http_response struct http_response response = HTTP_RESPONSE_INIT;
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%u/hello", test_server.port);
    assert_int_equal(http_new(&(struct http_tls){ .thumbprint = host.sha256 }, &http, &err), 0);
    assert_int_equal(http_perform(http, &(struct http_request){ .url = url }, &response, &err), 0);
}

static void
test_other_lines_stay(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct known_host host;
    auto_free char *text = NULL;
    char before[300];
    check_well(&host);
    /* A longer port begins with the same digits; no newline at the end. */
    snprintf(before, sizeof before, "# mine\nx:1 sha256:%064d\n127.0.0.1:%u1 sha256:%064d", 1,
             test_server.port, 2);
    write_file(before);
    check_well(&host);
    assert_true(host.is_new);
    assert_int_equal(file_read(file(), KNOWN_HOSTS_MAX, &text, NULL, &err), 0);
    assert_memory_equal(text, before, strlen(before));
    assert_int_equal(text[strlen(before)], '\n');
    check_well(&host);
    assert_false(host.is_new);
}

static void
test_another_certificate(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct known_host host;
    char line[200];
    check_well(&host);
    snprintf(line, sizeof line, "127.0.0.1:%u sha256:%064d\n", test_server.port, 7);
    write_file(line);
    assert_int_equal(check(&host, &err), -1);
    assert_int_equal(err.kind, ERR_DENIED);
    assert_non_null(strstr(err.text, host.sha256));
    assert_non_null(strstr(err.text, "0000000007"));
    assert_non_null(strstr(err.text, "remove the line"));
    snprintf(line, sizeof line, "127.0.0.1:%u sha256:12\n", test_server.port);
    write_file(line);
    assert_int_equal(check(&host, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.text, "line 1"));
}

static void
test_nothing_to_do(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct known_host host;
    struct http_tls tls = { .thumbprint = "given" };
    /* Nobody listens there, and nobody is asked. */
    assert_int_equal(known_hosts_check("127.0.0.1", 1, &tls, &host, &err), 0);
    assert_false(host.pinned);
    tls = (struct http_tls){ .ca_file = "given" };
    assert_int_equal(known_hosts_check("127.0.0.1", 1, &tls, &host, &err), 0);
    assert_false(host.pinned);
    assert_int_equal(known_hosts_check("127.0.0.1", 1, NULL, &host, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_int_equal(access(file(), F_OK), -1);
}

static void
test_no_home(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct known_host host;
    char home[4096];
    snprintf(home, sizeof home, "%s", getenv("HOME") ? getenv("HOME") : "/");
    unsetenv("XDG_STATE_HOME");
    setenv("HOME", test_server_file("home"), 1);
    check_well(&host);
    assert_int_equal(access(test_server_file("home/.local/state/vmferry/known_hosts"), F_OK), 0);
    unsetenv("HOME");
    assert_int_equal(check(&host, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    setenv("HOME", home, 1);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_first_use, forget),
        cmocka_unit_test_setup(test_other_lines_stay, forget),
        cmocka_unit_test_setup(test_another_certificate, forget),
        cmocka_unit_test_setup(test_nothing_to_do, forget),
        cmocka_unit_test_setup(test_no_home, forget),
    };
    if (argc != 2)
        return 2;
    test_server.script = argv[1];
    log_setup("test", LOG_LEVEL_WARNING, on_log, NULL);
    return cmocka_run_group_tests(tests, test_server_start, test_server_stop);
}
