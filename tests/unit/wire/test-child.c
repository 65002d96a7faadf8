#include "wire/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/checked.h"
#include "base/clock.h"

struct heard {
    int n_events;
    int64_t last;
    enum child_wish wish;
};

static void
hear(const json_t *msg, void *arg)
{
    struct heard *heard = arg;
    heard->n_events++;
    heard->last = json_get_int(msg, "n", 0);
}

static enum child_wish
wish(void *arg)
{
    return ((struct heard *)arg)->wish;
}

static int
run(const char *act, struct heard *heard, json_t **ret_result, struct err *err)
{
    struct child_spec spec = {
        .program = "child-double",
        .role = "double",
        .stdin_fd = -1,
        .event = hear,
        .wish = wish,
        .arg = heard,
    };
    return child_run(&spec, json_pack("{s:s}", "do", act), ret_result, err);
}

static void
events_come_before_the_result(void **state)
{
    (void)state;
    struct heard heard = { 0 };
    struct err err = ERR_INIT;
    auto_json json_t *result = NULL;
    assert_int_equal(run("well", &heard, &result, &err), 0);
    assert_int_equal(heard.n_events, 2);
    assert_int_equal(heard.last, 2);
    assert_int_equal(json_get_int(result, "answer", 0), 42);
}

static void
its_failure_is_ours(void **state)
{
    (void)state;
    struct heard heard = { 0 };
    struct err err = ERR_INIT;
    auto_json json_t *result = NULL;
    assert_int_equal(run("fail", &heard, &result, &err), -1);
    assert_int_equal(err.kind, ERR_DENIED);
    assert_string_equal(err.text, "not today");
}

static void
a_death_is_told_with_its_status(void **state)
{
    (void)state;
    static const struct {
        const char *act, *text;
    } cases[] = {
        { "die", "child-double ended without a result: killed by signal 6 (Aborted)" },
        { "exit", "child-double ended without a result: exit status 3" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct heard heard = { 0 };
        struct err err = ERR_INIT;
        auto_json json_t *result = NULL;
        assert_int_equal(run(cases[i].act, &heard, &result, &err), -1);
        assert_int_equal(err.kind, ERR_UNAVAILABLE);
        assert_string_equal(err.text, cases[i].text);
    }
}

static void
a_wish_reaches_it(void **state)
{
    (void)state;
    struct heard heard = { .wish = CHILD_CANCEL };
    struct err err = ERR_INIT;
    auto_json json_t *result = NULL;
    assert_int_equal(run("obey", &heard, &result, &err), -1);
    assert_int_equal(err.kind, ERR_CANCELLED);
    assert_string_equal(err.text, "cancel");
}

static void
one_that_does_not_listen_is_killed(void **state)
{
    (void)state;
    struct heard heard = { .wish = CHILD_KILL };
    struct err err = ERR_INIT;
    auto_json json_t *result = NULL;
    assert_int_equal(run("stay", &heard, &result, &err), -1);
    assert_int_equal(err.kind, ERR_CANCELLED);
}

/* Two of them beside each other, and one is let go in the middle. */
static void
steps_do_not_wait(void **state)
{
    (void)state;
    struct heard heard[2] = { 0 };
    struct child *children[2];
    struct err err = ERR_INIT;
    const char *const acts[] = { "well", "stay" };
    for (size_t i = 0; i < 2; i++) {
        struct child_spec spec = {
            .program = "child-double",
            .role = "double",
            .stdin_fd = -1,
            .event = hear,
            .wish = wish,
            .arg = &heard[i],
        };
        assert_int_equal(child_start(&spec, json_pack("{s:s}", "do", acts[i]), &children[i], &err),
                         0);
        assert_false(child_tell(children[i], json_object())); /* it has not been told its task */
    }
    while (child_step(children[0])) {
        struct pollfd pfd = child_pollfd(children[0]);
        assert_true(child_step(children[1]));
        poll(&pfd, 1, clock_poll_ms(child_due_ns(children[0])));
    }
    auto_json json_t *result = NULL;
    auto_json json_t *none = NULL;
    int died_status = -1;
    assert_int_equal(heard[0].n_events, 2);
    assert_int_equal(child_end(children[0], &died_status, &result, &err), 0);
    assert_int_equal(died_status, 0);
    assert_int_equal(json_get_int(result, "answer", 0), 42);
    assert_int_equal(child_end(children[1], &died_status, &none, &err), -1);
    assert_int_equal(err.kind, ERR_CANCELLED);
}

static void
one_of_another_role_is_refused(void **state)
{
    (void)state;
    struct child_spec spec = { .program = "child-double", .role = "other", .stdin_fd = -1 };
    struct err err = ERR_INIT;
    auto_json json_t *result = NULL;
    assert_int_equal(child_run(&spec, json_object(), &result, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
}

static void
one_that_is_not_installed_is_named(void **state)
{
    (void)state;
    struct child_spec spec = { .program = "vmferry-nothing", .role = "x", .stdin_fd = -1 };
    struct err err = ERR_INIT;
    auto_json json_t *result = NULL;
    assert_int_equal(child_run(&spec, json_object(), &result, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "vmferry-nothing"));
}

static void
levels_have_names(void **state)
{
    (void)state;
    for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
        auto_json json_t *msg = json_pack("{s:s}", "level", child_log_level_name(level));
        assert_int_equal(child_log_level(msg), level);
    }
    auto_json json_t *odd = json_pack("{s:s}", "level", "odd");
    assert_int_equal(child_log_level(odd), LOG_LEVEL_INFO);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_before_the_result),
        cmocka_unit_test(its_failure_is_ours),
        cmocka_unit_test(a_death_is_told_with_its_status),
        cmocka_unit_test(a_wish_reaches_it),
        cmocka_unit_test(one_that_does_not_listen_is_killed),
        cmocka_unit_test(steps_do_not_wait),
        cmocka_unit_test(one_of_another_role_is_refused),
        cmocka_unit_test(one_that_is_not_installed_is_named),
        cmocka_unit_test(levels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
