#include "model/job.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/checked.h"

static void
names_are_read_back(void **state)
{
    (void)state;
    for (enum job_status status = 0; status < N_JOB_STATUS; status++) {
        enum job_status again = N_JOB_STATUS;
        assert_true(job_status_parse(job_status_name(status), &again));
        assert_int_equal(again, status);
        assert_true(strlen(job_status_meaning(status)) > 0);
    }
    for (enum job_verb verb = 0; verb < N_JOB_VERB; verb++) {
        enum job_verb again = N_JOB_VERB;
        assert_true(job_verb_parse(job_verb_name(verb), &again));
        assert_int_equal(again, verb);
        assert_true(strlen(job_verb_meaning(verb)) > 0);
    }
    for (enum job_event event = 0; event < N_JOB_EVENT; event++) {
        assert_true(strlen(job_event_name(event)) > 0);
        assert_true(strlen(job_event_meaning(event)) > 0);
    }
    enum job_status status = JOB_DONE;
    enum job_verb verb = JOB_PAUSE;
    enum job_stage stage = JOB_STAGE_DELTA;
    assert_false(job_status_parse("Queued", &status));
    assert_false(job_status_parse(NULL, &status));
    assert_false(job_verb_parse("", &verb));
    assert_false(job_verb_parse(NULL, &verb));
    assert_false(job_stage_parse("Delta", &stage));
    assert_false(job_stage_parse(NULL, &stage));
    assert_int_equal(status, JOB_DONE);
    assert_int_equal(verb, JOB_PAUSE);
    assert_int_equal(stage, JOB_STAGE_DELTA);
}

static void
every_answer_has_its_text(void **state)
{
    (void)state;
    for (enum job_status status = 0; status < N_JOB_STATUS; status++)
        for (enum job_verb verb = 0; verb < N_JOB_VERB; verb++) {
            const char *text = NULL;
            enum job_answer answer = job_verb_check(status, verb, &text);
            assert_int_equal(job_verb_check(status, verb, NULL), answer);
            assert_non_null(text);
            if ((strlen(text) == 0) != (answer == JOB_ALLOWED))
                fail_msg("%s of %s", job_verb_name(verb), job_status_name(status));
        }
}

static void
a_verb_has_an_effect_where_it_is_allowed_and_only_there(void **state)
{
    (void)state;
    for (enum job_status status = 0; status < N_JOB_STATUS; status++)
        for (enum job_verb verb = 0; verb < N_JOB_VERB; verb++) {
            enum job_status next = N_JOB_STATUS;
            bool happens = job_event(status, JOB_EVENT_VERB + verb, &next);
            if (happens != (job_verb_check(status, verb, NULL) == JOB_ALLOWED))
                fail_msg("%s of %s", job_verb_name(verb), job_status_name(status));
            assert_true(happens ? next < N_JOB_STATUS : next == N_JOB_STATUS);
        }
}

static void
nothing_moves_what_has_ended(void **state)
{
    (void)state;
    for (enum job_status status = 0; status < N_JOB_STATUS; status++) {
        bool ended = job_status_is_ended(status);
        assert_int_equal(ended, status == JOB_DONE || status == JOB_CANCELLED);
        for (enum job_event event = 0; ended && event < N_JOB_EVENT; event++) {
            enum job_status next = status;
            if (job_event(status, event, &next))
                assert_int_equal(next, status);
        }
        assert_int_equal(job_verb_check(status, JOB_DELETE, NULL) == JOB_ALLOWED, ended);
    }
}

/* From everywhere that is no end, a person can bring it to one, and a worker finish it. */
static void
no_status_is_a_trap(void **state)
{
    (void)state;
    for (enum job_status status = 0; status < N_JOB_STATUS; status++) {
        enum job_status next = status;
        if (job_status_is_ended(status))
            continue;
        assert_true(job_event(status, JOB_EVENT_VERB + JOB_CANCEL, &next));
        if (next == JOB_QUEUED)
            assert_true(job_event(next, JOB_EVENT_WORKER, &next));
        assert_int_equal(next, JOB_RUNNING);
        assert_true(job_event(next, JOB_EVENT_CANCELLED, &next));
        assert_int_equal(next, JOB_CANCELLED);
    }
}

/* What was asked for days ago must not switch a machine off. */
static void
a_finalize_does_not_lie_in_wait(void **state)
{
    (void)state;
    static const enum job_verb verbs[] = { JOB_FINALIZE, JOB_FINALIZE_NOW };
    static const enum job_status still[] = { JOB_PAUSED, JOB_FAILED, JOB_CANCELLED };
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        for (size_t k = 0; k < ARRAY_LEN(still); k++)
            assert_int_equal(job_verb_check(still[k], verbs[i], NULL), JOB_REFUSED);
    const char *text;
    assert_int_equal(job_verb_check(JOB_PAUSED, JOB_FINALIZE, &text), JOB_REFUSED);
    assert_string_equal(text, "it is paused: resume it first, then finalize it");
}

static void
the_usual_way(void **state)
{
    (void)state;
    static const struct {
        enum job_event event;
        enum job_status next;
    } steps[] = {
        { JOB_EVENT_WORKER, JOB_RUNNING },
        { JOB_EVENT_WAIT, JOB_WAITING },
        { JOB_EVENT_VERB + JOB_FINALIZE, JOB_WAITING },
        { JOB_EVENT_DUE, JOB_QUEUED },
        { JOB_EVENT_WORKER, JOB_RUNNING },
        { JOB_EVENT_FAILED_RETRY, JOB_RETRYING },
        { JOB_EVENT_VERB + JOB_RETRY, JOB_QUEUED },
        { JOB_EVENT_WORKER, JOB_RUNNING },
        { JOB_EVENT_ASK, JOB_ASKING },
        { JOB_EVENT_VERB + JOB_SHUTDOWN, JOB_QUEUED },
        { JOB_EVENT_WORKER, JOB_RUNNING },
        { JOB_EVENT_LOST, JOB_QUEUED },
        { JOB_EVENT_WORKER, JOB_RUNNING },
        { JOB_EVENT_VERB + JOB_PAUSE, JOB_RUNNING },
        { JOB_EVENT_PAUSED, JOB_PAUSED },
        { JOB_EVENT_VERB + JOB_RESUME, JOB_QUEUED },
        { JOB_EVENT_WORKER, JOB_RUNNING },
        { JOB_EVENT_FAILED, JOB_FAILED },
        { JOB_EVENT_VERB + JOB_START, JOB_QUEUED },
        { JOB_EVENT_WORKER, JOB_RUNNING },
        { JOB_EVENT_WAIT, JOB_WAITING },
        { JOB_EVENT_VERB + JOB_FINALIZE_NOW, JOB_QUEUED },
        { JOB_EVENT_WORKER, JOB_RUNNING },
        { JOB_EVENT_DONE, JOB_DONE },
    };
    enum job_status status = JOB_QUEUED;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        if (!job_event(status, steps[i].event, &status))
            fail_msg("step %zu: %s cannot happen when %s", i, job_event_name(steps[i].event),
                     job_status_name(status));
        assert_int_equal(status, steps[i].next);
    }
}

static void
the_next_stage_is_the_one_v2c_engine_names(void **state)
{
    (void)state;
    static const struct {
        const char *stage;
        bool finalize, convert;
        const char *next;
    } cases[] = {
        { NULL, false, false, "connecting_vcenter" },
        { "not_started", false, false, "connecting_vcenter" },
        { "connecting_vcenter", false, false, "finding_vm" },
        { "finding_vm", false, false, "discovering_vmware_disks" },
        { "init", false, false, "discovering_vmware_disks" },
        { "discovering_vmware_disks", false, false, "preparing_target_storage" },
        { "preparing_target_storage", false, false, "enabling_cbt" },
        { "enabling_cbt", false, false, "creating_base_snapshot" },
        { "creating_base_snapshot", false, false, "base_copy" },
        { "base_copy", true, true, "delta" },
        { "delta", false, true, "delta" },
        { "delta", true, true, "Finalize" },
        { "awaiting_shutdown_action", true, true, "Shutdown action" },
        { "final_sync", true, true, "converting" },
        { "final_sync", true, false, "import_root_disk" },
        { "converting", true, true, "import_root_disk" },
        { "import_root_disk", true, true, "import_data_disk" },
        { "import_data_disk", true, true, "done" },
        { "done", true, true, "none" },
        { "elsewhere", true, true, "unknown" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(job_next_stage(cases[i].stage, cases[i].finalize, cases[i].convert),
                            cases[i].next);
    for (enum job_stage stage = 0; stage < N_JOB_STAGE; stage++) {
        enum job_stage again = N_JOB_STAGE;
        assert_true(job_stage_parse(job_stage_name(stage), &again));
        assert_int_equal(again, stage);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_read_back),
        cmocka_unit_test(every_answer_has_its_text),
        cmocka_unit_test(a_verb_has_an_effect_where_it_is_allowed_and_only_there),
        cmocka_unit_test(nothing_moves_what_has_ended),
        cmocka_unit_test(no_status_is_a_trap),
        cmocka_unit_test(a_finalize_does_not_lie_in_wait),
        cmocka_unit_test(the_usual_way),
        cmocka_unit_test(the_next_stage_is_the_one_v2c_engine_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
