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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_copied_is_kept_unless_its_source_is_wrong),
        cmocka_unit_test(copies_of_something_that_is_gone_are_not_kept),
        cmocka_unit_test(the_journal_is_kept_while_something_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
