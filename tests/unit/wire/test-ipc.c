#include "wire/ipc.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/clock.h"

#define SOON (clock_now_ns() + 10 * NS_PER_S)

struct pair {
    int fds[2]; /* parent, child */
};

static int
open_pair(void **state)
{
    struct err err = ERR_INIT;
    struct pair *pair = calloc(1, sizeof *pair);
    *state = pair;
    return pair ? ipc_pair(pair->fds, &err) : -1;
}

static int
close_pair(void **state)
{
    struct pair *pair = *state;
    for (int i = 0; i < 2; i++)
        if (pair->fds[i] >= 0)
            close(pair->fds[i]);
    free(pair);
    return 0;
}

static void
send_raw(int fd, const char *packet)
{
    assert_int_equal(send(fd, packet, strlen(packet), 0), strlen(packet));
}

static void
assert_type(int fd, const char *type)
{
    struct err err = ERR_INIT;
    auto_json json_t *msg = NULL;
    if (ipc_recv(fd, SOON, &msg, &err) != 1)
        fail_msg("no message: %s", err.text);
    assert_string_equal(ipc_type(msg), type);
}

/* A wish crosses a result: the child ends without having read the one, and the other counts. */
static void
last_words_are_heard_from_who_left_ours_unread(void **state)
{
    struct pair *pair = *state;
    struct err err = ERR_INIT;
    auto_json json_t *msg = NULL;
    send_raw(pair->fds[0], "{\"type\": \"wish\"}");
    send_raw(pair->fds[1], "{\"type\": \"progress\"}");
    send_raw(pair->fds[1], "{\"type\": \"result\"}");
    close(TAKE_FD(pair->fds[1]));
    assert_type(pair->fds[0], "progress");
    assert_type(pair->fds[0], "result");
    assert_int_equal(ipc_recv(pair->fds[0], SOON, &msg, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
}

static void
messages_arrive_one_a_packet(void **state)
{
    struct pair *pair = *state;
    struct err err = ERR_INIT;
    assert_int_equal(fcntl(pair->fds[1], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(ipc_send(pair->fds[0], json_pack("{s:s}", "type", "one"), &err), 0);
    assert_int_equal(ipc_send(pair->fds[0], json_pack("{s:s}", "type", "two"), &err), 0);
    assert_type(pair->fds[1], "one");
    assert_type(pair->fds[1], "two");
}

static void
deadline_passes(void **state)
{
    struct pair *pair = *state;
    struct err err = ERR_INIT;
    json_t *msg = NULL;
    assert_int_equal(ipc_recv(pair->fds[0], clock_now_ns() + NS_PER_MS, &msg, &err), 0);
    assert_null(msg);
}

static void
bad_packets_are_refused(void **state)
{
    struct pair *pair = *state;
    static const char *const packets[] = { "[1]", "{\"no\": \"type\"}", "{\"type\": 1}", "nonsense",
                                           "{\"type\": \"a\"} {\"type\": \"b\"}" };
    for (size_t i = 0; i < sizeof packets / sizeof packets[0]; i++) {
        struct err err = ERR_INIT;
        json_t *msg = NULL;
        send_raw(pair->fds[0], packets[i]);
        assert_int_equal(ipc_recv(pair->fds[1], SOON, &msg, &err), -1);
        assert_int_equal(err.kind, ERR_INVALID);
        assert_null(msg);
    }
    /* The conversation goes on behind them. */
    send_raw(pair->fds[0], "{\"type\": \"fine\"}");
    assert_type(pair->fds[1], "fine");
}

/* {"type":"a","pad":"xxx..."} of exactly len bytes. */
static json_t *
message_of(size_t len)
{
    const size_t frame = strlen("{\"type\":\"a\",\"pad\":\"\"}");
    char *pad = malloc(len);
    memset(pad, 'x', len);
    json_t *msg = json_pack("{s:s, s:s#}", "type", "a", "pad", pad, (int)(len - frame));
    free(pad);
    return msg;
}

static void
size_has_a_limit_on_both_sides(void **state)
{
    struct pair *pair = *state;
    struct err err = ERR_INIT;
    assert_int_equal(ipc_send(pair->fds[0], message_of(IPC_PACKET_MAX), &err), 0);
    assert_type(pair->fds[1], "a");
    assert_int_equal(ipc_send(pair->fds[0], message_of(IPC_PACKET_MAX + 1), &err), -1);
    assert_int_equal(err.kind, ERR_BUG);

    auto_json json_t *big = message_of(IPC_PACKET_MAX + 1);
    auto_free char *text = json_dumps(big, JSON_COMPACT);
    send_raw(pair->fds[0], text);
    json_t *msg = NULL;
    assert_int_equal(ipc_recv(pair->fds[1], SOON, &msg, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
}

static void
message_that_could_not_be_built(void **state)
{
    struct pair *pair = *state;
    struct err err = ERR_INIT;
    assert_int_equal(ipc_send(pair->fds[0], NULL, &err), -1);
    assert_int_equal(err.kind, ERR_BUG);
}

static void
closed_peer_is_unavailable(void **state)
{
    struct pair *pair = *state;
    struct err err = ERR_INIT;
    assert_int_equal(ipc_send(pair->fds[1], json_pack("{s:s}", "type", "last"), &err), 0);
    close(TAKE_FD(pair->fds[1]));
    assert_type(pair->fds[0], "last"); /* its last words are read first */
    json_t *msg = NULL;
    assert_int_equal(ipc_recv(pair->fds[0], -1, &msg, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    err = ERR_INIT;
    assert_int_equal(ipc_send(pair->fds[0], json_pack("{s:s}", "type", "x"), &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
}

static void *
run_child(void *arg)
{
    struct err err = ERR_INIT;
    json_t *start = NULL;
    ipc_child_begin(*(int *)arg, "copy", &start, &err);
    return start;
}

static void
parent_and_child_begin(void **state)
{
    struct pair *pair = *state;
    struct err err = ERR_INIT;
    pthread_t child;
    assert_int_equal(pthread_create(&child, NULL, run_child, &pair->fds[1]), 0);
    assert_int_equal(ipc_parent_begin(pair->fds[0], "copy", json_pack("{s:s}", "disk", "a"), &err),
                     0);
    void *result;
    pthread_join(child, &result);
    auto_json json_t *start = result;
    assert_non_null(start);
    assert_string_equal(ipc_type(start), "start");
    assert_string_equal(json_get_str(start, "disk", ""), "a");
}

static void
parent_refuses(struct pair *pair, const char *hello, const char *because)
{
    struct err err = ERR_INIT;
    send_raw(pair->fds[1], hello);
    assert_int_equal(ipc_parent_begin(pair->fds[0], "copy", json_object(), &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    if (!strstr(err.text, because))
        fail_msg("'%s' does not say '%s'", err.text, because);
}

static void
wrong_hello_is_refused(void **state)
{
    struct pair *pair = *state;
    parent_refuses(pair, "{\"type\":\"hello\",\"version\":2,\"role\":\"copy\"}", "version 2");
    parent_refuses(pair, "{\"type\":\"hello\",\"role\":\"copy\"}", "version 0");
    parent_refuses(pair, "{\"type\":\"hello\",\"version\":1,\"role\":\"worker\"}", "'worker'");
    parent_refuses(pair, "{\"type\":\"result\",\"ok\":true}", "'hello'");
    /* And no start was sent to any of them. */
    json_t *msg = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(ipc_recv(pair->fds[1], clock_now_ns(), &msg, &err), 0);
}

static void
child_that_dies_before_hello(void **state)
{
    struct pair *pair = *state;
    struct err err = ERR_INIT;
    close(TAKE_FD(pair->fds[1]));
    assert_int_equal(ipc_parent_begin(pair->fds[0], "copy", json_object(), &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "copy"));
}

static void
result_is_the_last_word(void **state)
{
    struct pair *pair = *state;
    struct err err = ERR_INIT, failure = ERR_INIT, told = ERR_INIT;
    assert_int_equal(ipc_send_result(pair->fds[1], NULL, json_pack("{s:i}", "n", 5), &err), 0);
    auto_json json_t *good = NULL;
    assert_int_equal(ipc_recv(pair->fds[0], SOON, &good, &err), 1);
    assert_string_equal(ipc_type(good), "result");
    assert_true(json_get_bool(good, "ok", false));
    assert_int_equal(json_get_int(good, "n", 0), 5);

    err_set(&failure, ERR_IO, "disk-\xff: no space");
    assert_int_equal(ipc_send_result(pair->fds[1], &failure, NULL, &err), 0);
    auto_json json_t *bad = NULL;
    assert_int_equal(ipc_recv(pair->fds[0], SOON, &bad, &err), 1);
    assert_false(json_get_bool(bad, "ok", true));
    json_to_err(json_object_get(bad, "error"), &told);
    assert_int_equal(told.kind, ERR_IO);
    assert_string_equal(told.text, "disk-?: no space");
}

#define WITH_PAIR(test) cmocka_unit_test_setup_teardown(test, open_pair, close_pair)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PAIR(last_words_are_heard_from_who_left_ours_unread),
        WITH_PAIR(messages_arrive_one_a_packet),
        WITH_PAIR(deadline_passes),
        WITH_PAIR(bad_packets_are_refused),
        WITH_PAIR(size_has_a_limit_on_both_sides),
        WITH_PAIR(message_that_could_not_be_built),
        WITH_PAIR(closed_peer_is_unavailable),
        WITH_PAIR(parent_and_child_begin),
        WITH_PAIR(wrong_hello_is_refused),
        WITH_PAIR(child_that_dies_before_hello),
        WITH_PAIR(result_is_the_last_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
