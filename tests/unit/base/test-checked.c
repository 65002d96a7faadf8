#include "base/checked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void
overflow_is_told_and_leaves_the_result(void **state)
{
    (void)state;
    uint64_t n = 7;
    assert_false(checked_add(UINT64_MAX, 1, &n));
    assert_false(checked_mul(UINT64_C(1) << 32, UINT64_C(1) << 32, &n));
    assert_int_equal(n, 7);
    assert_true(checked_add(UINT64_MAX - 1, 1, &n));
    assert_int_equal(n, UINT64_MAX);
    assert_true(checked_mul(GIB, 4, &n));
    assert_int_equal(n, 4 * GIB);
}

static void
rounding(void **state)
{
    (void)state;
    assert_int_equal(round_down(65537, 65536), 65536);
    assert_int_equal(round_up(65537, 65536), 131072);
    assert_int_equal(round_up(65536, 65536), 65536);
    assert_int_equal(round_up(0, 4096), 0);
    assert_int_equal(round_up(UINT64_MAX, 4096), UINT64_MAX - 4095);
    assert_int_equal(div_up(0, 512), 0);
    assert_int_equal(div_up(513, 512), 2);
    assert_int_equal(div_up(UINT64_MAX, 1), UINT64_MAX);
}

static void
powers_of_two(void **state)
{
    (void)state;
    assert_false(is_power_of_two(0));
    assert_true(is_power_of_two(1));
    assert_true(is_power_of_two(UINT64_C(1) << 63));
    assert_false(is_power_of_two(12));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overflow_is_told_and_leaves_the_result),
        cmocka_unit_test(rounding),
        cmocka_unit_test(powers_of_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
