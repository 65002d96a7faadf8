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
        assert_int_equal(settle_decide(kind, true, false), SETTLE_UNDO);
        assert_int_equal(settle_decide(kind, false, false), SETTLE_UNDO);
        assert_int_equal(settle_decide(kind, true, true), wrong ? SETTLE_UNDO : SETTLE_KEEP);
        assert_int_equal(settle_decide(kind, false, true), SETTLE_KEEP);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_copied_is_kept_unless_its_source_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
