#include "engine/settle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void
what_was_copied_is_kept_unless_its_source_is_wrong(void **state)
{
    (void)state;
    for (int kind = ERR_INVALID; kind <= ERR_BUG; kind++) {
        bool wrong = kind == ERR_INVALID || kind == ERR_BUG;
        struct settle_facts facts = { .copying = true };
        assert_int_equal(settle_decide(kind, &facts), SETTLE_UNDO);
        facts = (struct settle_facts){ .copying = false };
        assert_int_equal(settle_decide(kind, &facts), SETTLE_UNDO);
        facts = (struct settle_facts){ .copying = true, .copies = true };
        assert_int_equal(settle_decide(kind, &facts), wrong ? SETTLE_UNDO : SETTLE_KEEP);
        facts = (struct settle_facts){ .copying = false, .copies = true };
        assert_int_equal(settle_decide(kind, &facts), SETTLE_KEEP);
    }
}

static void
copies_of_something_that_is_gone_are_not_kept(void **state)
{
    (void)state;
    for (int kind = ERR_INVALID; kind <= ERR_BUG; kind++) {
        struct settle_facts facts = { .copying = true, .copies = true, .useless = true };
        assert_int_equal(settle_decide(kind, &facts), SETTLE_UNDO);
    }
}

static void
the_journal_is_kept_while_something_is_left(void **state)
{
    (void)state;
    for (int kind = ERR_INVALID; kind <= ERR_BUG; kind++) {
        struct settle_facts facts = { .left = true };
        assert_int_equal(settle_decide(kind, &facts), SETTLE_KEEP);
        facts = (struct settle_facts){ .left = true, .copies = true, .useless = true };
        assert_int_equal(settle_decide(kind, &facts), SETTLE_KEEP);
    }
}

static void
what_time_may_heal_is_tried_again(void **state)
{
    (void)state;
    assert_true(settle_is_worth_a_retry(ERR_UNAVAILABLE, 0));
    assert_true(settle_is_worth_a_retry(ERR_IO, SETTLE_ATTEMPTS - 1));
    assert_true(settle_is_worth_a_retry(ERR_CONFLICT, 0));
    assert_false(settle_is_worth_a_retry(ERR_IO, SETTLE_ATTEMPTS));
    assert_false(settle_is_worth_a_retry(ERR_INVALID, 0));
    assert_false(settle_is_worth_a_retry(ERR_DENIED, 0));
    assert_false(settle_is_worth_a_retry(ERR_CANCELLED, 0));
    assert_false(settle_is_worth_a_retry(ERR_BUG, 0));
}

static void
pauses_grow_and_end(void **state)
{
    (void)state;
    assert_int_equal(settle_pause_s(0), SETTLE_PAUSE_S);
    assert_int_equal(settle_pause_s(3), 8 * SETTLE_PAUSE_S);
    assert_int_equal(settle_pause_s(1000), settle_pause_s(SETTLE_ATTEMPTS));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_time_may_heal_is_tried_again),
        cmocka_unit_test(pauses_grow_and_end),
        cmocka_unit_test(what_was_copied_is_kept_unless_its_source_is_wrong),
        cmocka_unit_test(copies_of_something_that_is_gone_are_not_kept),
        cmocka_unit_test(the_journal_is_kept_while_something_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
