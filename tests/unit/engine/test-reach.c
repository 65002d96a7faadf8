#include "engine/reach.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* A socket on loopback; backlog 0: bound only, so that connections are refused. */
static int
make_socket(int backlog, unsigned *ret_port)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    if (backlog)
        assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    *ret_port = ntohs(addr.sin_port);
    return fd;
}

static struct reach_addresses
resolve(const char *host)
{
    struct reach_addresses addresses;
    struct err err = ERR_INIT;
    assert_int_equal(reach_resolve(host, &addresses, &err), 0);
    assert_true(addresses.n > 0);
    return addresses;
}

static void
who_listens_is_reached(void **state)
{
    (void)state;
    unsigned port;
    struct err err = ERR_INIT;
    struct reach_addresses addresses = resolve("127.0.0.1");
    auto_close int fd = make_socket(1, &port);
    assert_string_equal(addresses.list[0].text, "127.0.0.1");
    assert_int_equal(reach_port("x", &addresses, port, NS_PER_S, &err), 0);
}

static void
nobody_listens(void **state)
{
    (void)state;
    unsigned port;
    char wanted[64];
    struct err err = ERR_INIT;
    struct reach_addresses addresses = resolve("127.0.0.1");
    auto_close int fd = make_socket(0, &port);
    assert_int_equal(reach_port("esx1", &addresses, port, NS_PER_S, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    snprintf(wanted, sizeof wanted, "esx1:%u (127.0.0.1): the connection is refused", port);
    assert_non_null(strstr(err.text, wanted));
}

static void
another_address_may_answer(void **state)
{
    (void)state;
    unsigned port;
    struct err err = ERR_INIT;
    struct reach_addresses addresses = resolve("127.0.0.2"), more = resolve("127.0.0.1");
    auto_close int fd = make_socket(1, &port);
    addresses.list[addresses.n++] = more.list[0];
    assert_int_equal(reach_port("x", &addresses, port, NS_PER_S, &err), 0);
}

/* A full backlog drops what comes, as a firewall does. */
static void
no_answer_ends_in_time(void **state)
{
    (void)state;
    unsigned port;
    struct err err = ERR_INIT;
    struct reach_addresses addresses = resolve("127.0.0.1");
    auto_close int fd = make_socket(1, &port);
    int waiting[8], r = 0;
    for (size_t i = 0; i < 8; i++) {
        struct sockaddr_in addr = { .sin_family = AF_INET,
                                    .sin_port = htons((uint16_t)port),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(waiting[i], (struct sockaddr *)&addr, sizeof addr);
    }
    int64_t start_ns = clock_now_ns();
    r = reach_port("esx1", &addresses, port, NS_PER_S / 5, &err);
    assert_true(clock_now_ns() - start_ns < 5 * NS_PER_S);
    assert_int_equal(r, -1);
    assert_non_null(strstr(err.text, "no answer"));
    for (size_t i = 0; i < 8; i++)
        close(waiting[i]);
}

static void
names_that_are_none(void **state)
{
    (void)state;
    struct reach_addresses addresses;
    struct err err = ERR_INIT;
    assert_int_equal(reach_resolve("no-such-host.invalid", &addresses, &err), -1);
    assert_non_null(strstr(err.text, "no-such-host.invalid"));
    assert_int_equal(reach_resolve("", &addresses, &err), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_listens_is_reached),     cmocka_unit_test(nobody_listens),
        cmocka_unit_test(another_address_may_answer), cmocka_unit_test(no_answer_ends_in_time),
        cmocka_unit_test(names_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
