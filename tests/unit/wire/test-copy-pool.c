#include "wire/copy-pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/fd.h"

#define LIMIT_NS (60 * NS_PER_S)

/* One copy of a test, and what was heard of it. */
struct copy {
    struct copy_request request;
    struct copy_remote remote;
    struct copy_watch watch;
    unsigned ticket;
    char log[1024];
    uint64_t done_bytes;
    enum child_wish wish;
    bool ended;
    struct copy_result result;
    struct err failure;
};

static void
note_progress(const struct copy_progress *progress, void *arg)
{
    ((struct copy *)arg)->done_bytes = progress->done_bytes;
}

static void
note_log(enum log_level level, const char *text, void *arg)
{
    struct copy *copy = arg;
    size_t len = strlen(copy->log);
    snprintf(copy->log + len, sizeof copy->log - len, "%s%s;",
             level == LOG_LEVEL_WARNING ? "warning " : "", text);
}

static enum child_wish
give_wish(void *arg)
{
    return ((struct copy *)arg)->wish;
}

static int
give_cookie(const char *what, char **ret_value, void *arg, struct err *err)
{
    (void)arg;
    assert_string_equal(what, "cookie");
    *ret_value = strdup("fresh");
    return *ret_value ? 0 : err_set(err, ERR_BUG, "memory");
}

static struct copy_pool *
new_pool(void)
{
    struct copy_pool *pool = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(copy_pool_new(&pool, &err), 0);
    return pool;
}

static void
start(struct copy_pool *pool, struct copy *copy, const char *act, bool vddk)
{
    struct err err = ERR_INIT;
    *copy = (struct copy){ .request = COPY_REQUEST_INIT };
    copy->request.target_uri = "target";
    copy->request.target_format = "raw";
    copy->remote =
        (struct copy_remote){ .kind = "vddk", .name = "disk", .libdir = "/nowhere", .path = act };
    copy->request.remote = vddk ? &copy->remote : NULL;
    copy->request.source_uri = vddk ? NULL : act;
    copy->watch = (struct copy_watch){ .progress = note_progress,
                                       .log = note_log,
                                       .wish = give_wish,
                                       .need = give_cookie,
                                       .arg = copy };
    if (copy_pool_start(pool, &copy->request, &copy->watch, &copy->ticket, &err) < 0)
        fail_msg("%s", err.text);
}

static void
take_ended(struct copy_pool *pool, struct copy *copies, size_t n)
{
    unsigned ticket;
    struct copy_result result = { 0 };
    struct err failure = ERR_INIT;
    while (copy_pool_next_ended(pool, &ticket, &result, &failure)) {
        size_t i = 0;
        while (i < n && copies[i].ticket != ticket)
            i++;
        assert_true(i < n && !copies[i].ended);
        copies[i].ended = true;
        copies[i].result = result;
        copies[i].failure = failure;
        failure = ERR_INIT;
    }
}

/* Step until the copy has ended. */
static void
wait_for(struct copy_pool *pool, struct copy *copies, size_t n, const struct copy *which)
{
    int64_t until_ns = clock_now_ns() + LIMIT_NS;
    while (!which->ended) {
        copy_pool_step(pool, until_ns);
        take_ended(pool, copies, n);
        assert_true(clock_now_ns() < until_ns);
    }
}

/* Step until it has said that much. */
static void
wait_for_log(struct copy_pool *pool, const struct copy *copy, const char *words)
{
    int64_t until_ns = clock_now_ns() + LIMIT_NS;
    while (!strstr(copy->log, words)) {
        copy_pool_step(pool, until_ns);
        if (clock_now_ns() >= until_ns)
            fail_msg("'%s' is not in '%s'", words, copy->log);
    }
}

static void
several_run_at_once(void **state)
{
    (void)state;
    auto_copy_pool struct copy_pool *pool = new_pool();
    struct copy copies[4];
    start(pool, &copies[0], "stay", false);
    start(pool, &copies[1], "well", false);
    start(pool, &copies[2], "die", false);
    assert_int_equal(copy_pool_running(pool), 3);
    wait_for(pool, copies, 3, &copies[1]);
    wait_for(pool, copies, 3, &copies[2]);
    assert_int_equal(copies[1].failure.kind, ERR_NONE);
    assert_int_equal(copies[1].done_bytes, 60);
    assert_int_equal(copies[2].failure.kind, ERR_UNAVAILABLE);
    assert_string_equal(copies[2].failure.text,
                        "vmferry-copy ended without a result: killed by signal 6 (Aborted)");
    assert_false(copies[0].ended);
    start(pool, &copies[3], "well", false);
    wait_for(pool, copies, 4, &copies[3]);
    assert_int_equal(copy_pool_running(pool), 1);
}

static void
one_is_cancelled_and_all_are(void **state)
{
    (void)state;
    auto_copy_pool struct copy_pool *pool = new_pool();
    struct copy copies[3];
    for (size_t i = 0; i < ARRAY_LEN(copies); i++)
        start(pool, &copies[i], "stay", false);
    copies[1].wish = CHILD_CANCEL;
    wait_for(pool, copies, 3, &copies[1]);
    assert_int_equal(copies[1].failure.kind, ERR_CANCELLED);
    assert_string_equal(copies[1].failure.text, "as you wish");
    assert_int_equal(copy_pool_running(pool), 2);
    copy_pool_cancel(pool);
    wait_for(pool, copies, 3, &copies[0]);
    wait_for(pool, copies, 3, &copies[2]);
    assert_int_equal(copies[2].failure.kind, ERR_CANCELLED);
}

/* 7 is what each of them waits for: it ends then, and the next has more. */
static void
a_limit_is_shared(void **state)
{
    (void)state;
    auto_copy_pool struct copy_pool *pool = new_pool();
    struct copy copies[3];
    copy_pool_limit(pool, 800);
    start(pool, &copies[0], "listen", false);
    start(pool, &copies[1], "listen", false);
    wait_for_log(pool, &copies[0], "400;");
    copy_pool_limit(pool, 900);
    wait_for_log(pool, &copies[0], "450;");
    wait_for_log(pool, &copies[1], "450;"); /* both listen now */
    start(pool, &copies[2], "well", false);
    wait_for_log(pool, &copies[0], "300;");
    wait_for_log(pool, &copies[1], "300;");
    wait_for(pool, copies, 3, &copies[2]);
    assert_int_equal(copies[2].result.data_bytes, 300); /* what it was started with */
    wait_for_log(pool, &copies[1], "300;450;");
    copy_pool_limit(pool, 0);
    wait_for_log(pool, &copies[0], "450;0;");
    copies[1].request.limit_bytes_s = 7; /* its own, which is lower */
    copy_pool_limit(pool, 900);
    wait_for(pool, copies, 3, &copies[1]);
    wait_for_log(pool, &copies[0], "900;");
    copy_pool_limit(pool, 7);
    wait_for(pool, copies, 3, &copies[0]);
}

static void
a_need_is_answered(void **state)
{
    (void)state;
    auto_copy_pool struct copy_pool *pool = new_pool();
    struct copy copy;
    start(pool, &copy, "ask", false);
    wait_for(pool, &copy, 1, &copy);
    assert_int_equal(copy.failure.kind, ERR_NONE);
    assert_string_equal(copy.log, "fresh;");
}

static void
one_that_crashes_is_started_again(void **state)
{
    (void)state;
    auto_copy_pool struct copy_pool *pool = new_pool();
    auto_free char *dir = NULL;
    auto_free char *act = NULL;
    struct err err = ERR_INIT;
    struct copy copies[2];
    assert_int_equal(dir_make_private(NULL, &dir, &err), 0);
    assert_true(asprintf(&act, "crash %s/once", dir) > 0);
    start(pool, &copies[0], act, true);
    start(pool, &copies[1], "die", true);
    wait_for(pool, copies, 2, &copies[0]);
    assert_int_equal(copies[0].failure.kind, ERR_NONE);
    assert_non_null(strstr(copies[0].log, "warning disk: vmferry-copy-vddk ended without a result: "
                                          "killed by signal 11 (Segmentation fault); starting it "
                                          "again (1 of 5), it goes on from 10 bytes;"));
    wait_for(pool, copies, 2, &copies[1]);
    assert_int_equal(copies[1].failure.kind, ERR_UNAVAILABLE);
    assert_non_null(strstr(copies[1].failure.text, "given up after 3 new starts"));
    assert_int_equal(dir_remove(dir, &err), 0);
}

static void
what_cannot_be_started_is_no_copy(void **state)
{
    (void)state;
    auto_copy_pool struct copy_pool *pool = new_pool();
    struct copy copy = { .request = COPY_REQUEST_INIT };
    struct err err = ERR_INIT;
    copy.request.source_uri = "\xff";
    copy.request.target_uri = "target";
    copy.request.target_format = "raw";
    assert_int_equal(copy_pool_start(pool, &copy.request, &copy.watch, &copy.ticket, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_int_equal(copy_pool_running(pool), 0);
    copy_pool_step(pool, -1); /* waits for nothing */
    assert_false(copy_pool_next_ended(pool, &copy.ticket, &copy.result, &copy.failure));
}

static void
a_run_is_a_pool_of_one(void **state)
{
    (void)state;
    struct copy_request request = COPY_REQUEST_INIT;
    struct copy_watch watch = { 0 };
    struct copy_result result;
    struct err err = ERR_INIT;
    request.source_uri = "well";
    request.target_uri = "target";
    request.target_format = "raw";
    request.limit_bytes_s = 42;
    assert_int_equal(copy_run(&request, &watch, &result, &err), 0);
    assert_int_equal(result.data_bytes, 42);
    request.source_uri = "die";
    assert_int_equal(copy_run(&request, &watch, &result, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_run_at_once),
        cmocka_unit_test(one_is_cancelled_and_all_are),
        cmocka_unit_test(a_limit_is_shared),
        cmocka_unit_test(a_need_is_answered),
        cmocka_unit_test(one_that_crashes_is_started_again),
        cmocka_unit_test(what_cannot_be_started_is_no_copy),
        cmocka_unit_test(a_run_is_a_pool_of_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
