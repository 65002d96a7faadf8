#include "daemon/outcome.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "daemon/folder.h"

static struct outcome *
outcome_from(const char *result, bool cancel)
{
    struct err err = ERR_INIT;
    auto_json json_t *json = json_parse_object(result, strlen(result), &err);
    struct outcome *outcome = calloc(1, sizeof *outcome);
    assert_non_null(json);
    assert_non_null(outcome);
    assert_int_equal(outcome_of_result(json, cancel, outcome, &err), 0);
    return outcome;
}

static void
outcome_cleanup(struct outcome **outcome)
{
    outcome_free(*outcome);
}
#define auto_outcome AUTO(outcome_cleanup)

static void
each_outcome_is_an_event(void **state)
{
    (void)state;
    static const struct {
        const char *result;
        enum job_event event;
    } cases[] = {
        { "{\"ok\": true, \"outcome\": \"done\"}", JOB_EVENT_DONE },
        { "{\"ok\": true, \"name\": \"web01\"}", JOB_EVENT_DONE },
        { "{\"ok\": true, \"outcome\": \"wait\", \"after_s\": 300}", JOB_EVENT_WAIT },
        { "{\"ok\": true, \"outcome\": \"ask\", \"question\": \"shutdown\"}", JOB_EVENT_ASK },
        { "{\"ok\": true, \"outcome\": \"paused\"}", JOB_EVENT_PAUSED },
        { "{\"ok\": true, \"outcome\": \"cancelled\"}", JOB_EVENT_CANCELLED },
        { "{\"ok\": true, \"outcome\": \"lunch\"}", JOB_EVENT_FAILED },
        { "{\"ok\": false, \"error\": {\"kind\": \"io\", \"text\": \"x\"}, \"then\": \"retry\"}",
          JOB_EVENT_FAILED_RETRY },
        { "{\"ok\": false, \"error\": {\"kind\": \"io\", \"text\": \"x\"}, \"then\": \"fail\"}",
          JOB_EVENT_FAILED },
        { "{\"ok\": false, \"error\": {\"kind\": \"io\", \"text\": \"x\"}}", JOB_EVENT_FAILED },
        { "{\"ok\": false}", JOB_EVENT_FAILED },
        { "{\"ok\": false, \"error\": {\"kind\": \"cancelled\", \"text\": \"x\"}}",
          JOB_EVENT_CANCELLED },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        auto_outcome struct outcome *outcome = outcome_from(cases[i].result, true);
        if (outcome->event != cases[i].event)
            fail_msg("%s: %s", cases[i].result, job_event_name(outcome->event));
        assert_false(outcome->interrupted);
    }
}

static void
who_was_not_asked_to_cancel_was_interrupted(void **state)
{
    (void)state;
    auto_outcome struct outcome *a =
        outcome_from("{\"ok\": true, \"outcome\": \"cancelled\"}", false);
    auto_outcome struct outcome *b = outcome_from(
        "{\"ok\": false, \"error\": {\"kind\": \"cancelled\", \"text\": \"x\"}}", false);
    assert_true(a->interrupted);
    assert_true(b->interrupted);
}

static void
waiting_is_bounded(void **state)
{
    (void)state;
    auto_outcome struct outcome *a =
        outcome_from("{\"ok\": true, \"outcome\": \"wait\", \"after_s\": -4}", false);
    auto_outcome struct outcome *b =
        outcome_from("{\"ok\": true, \"outcome\": \"wait\", \"after_s\": 1e300}", false);
    auto_outcome struct outcome *c = outcome_from(
        "{\"ok\": true, \"outcome\": \"wait\", \"after_s\": 9000000000000000000}", false);
    auto_outcome struct outcome *d = outcome_from("{\"ok\": false, \"then\": \"retry\"}", false);
    assert_int_equal(a->after_s, 0);
    assert_int_equal(b->after_s, 0);
    assert_int_equal(c->after_s, OUTCOME_AFTER_MAX_S);
    assert_int_equal(d->after_s, 60);
}

static void
a_question_may_settle_itself(void **state)
{
    (void)state;
    auto_outcome struct outcome *a =
        outcome_from("{\"ok\": true, \"outcome\": \"ask\", \"question\": \"shutdown\", "
                     "\"after_s\": 5, \"text\": \"switch it off\"}",
                     false);
    auto_outcome struct outcome *b = outcome_from("{\"ok\": true, \"outcome\": \"ask\"}", false);
    assert_string_equal(a->question, "shutdown");
    assert_string_equal(a->text, "switch it off");
    assert_int_equal(a->after_s, 5);
    assert_string_equal(b->question, "shutdown");
    assert_int_equal(b->after_s, 0);
}

static void
death_is_tried_again_and_given_up_at_last(void **state)
{
    (void)state;
    struct err why = { .kind = ERR_UNAVAILABLE, .text = "killed by signal 9 (Killed)" };
    for (unsigned attempt = 0; attempt <= OUTCOME_DEATHS_MAX; attempt++) {
        struct err err = ERR_INIT;
        auto_outcome struct outcome *outcome = calloc(1, sizeof *outcome);
        assert_non_null(outcome);
        assert_int_equal(outcome_of_death(&why, attempt, outcome, &err), 0);
        assert_int_equal(outcome->event,
                         attempt < OUTCOME_DEATHS_MAX ? JOB_EVENT_FAILED_RETRY : JOB_EVENT_FAILED);
        assert_string_equal(outcome->text, why.text);
        assert_non_null(strstr(outcome->error, "unavailable"));
    }
}

static void
a_name_is_no_path(void **state)
{
    (void)state;
    char text[FOLDER_SAFE_MAX], longest[1000];
    assert_string_equal(folder_safe_name("web01", text), "web01");
    assert_string_equal(folder_safe_name("a b/c", text), "a_b_c");
    assert_string_equal(folder_safe_name("../../etc", text), ".._.._etc");
    assert_string_equal(folder_safe_name("M\xc3\xbcller", text), "M__ller");
    assert_string_equal(folder_safe_name("-rf\n", text), "-rf_");
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(strlen(folder_safe_name(longest, text)), FOLDER_SAFE_MAX - 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_outcome_is_an_event),
        cmocka_unit_test(who_was_not_asked_to_cancel_was_interrupted),
        cmocka_unit_test(waiting_is_bounded),
        cmocka_unit_test(a_question_may_settle_itself),
        cmocka_unit_test(death_is_tried_again_and_given_up_at_last),
        cmocka_unit_test(a_name_is_no_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
