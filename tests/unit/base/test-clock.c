#include "base/clock.h"

#include <limits.h>
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <cmocka.h>

static int
back_to_the_real_clock(void **state)
{
    (void)state;
    clock_fake_ns(-1);
    return 0;
}

static void
real_clock_does_not_go_back(void **state)
{
    (void)state;
    int64_t before = clock_now_ns();
    clock_sleep_until_ns(before + NS_PER_MS);
    assert_true(clock_now_ns() >= before + NS_PER_MS);
}

static void
fake_clock_stands_until_moved(void **state)
{
    (void)state;
    clock_fake_ns(5 * NS_PER_S);
    assert_int_equal(clock_now_ns(), 5 * NS_PER_S);
    assert_int_equal(clock_now_ns(), 5 * NS_PER_S);
}

static void
sleeping_moves_the_fake_clock_forwards_only(void **state)
{
    (void)state;
    clock_fake_ns(0);
    clock_sleep_until_ns(3600 * NS_PER_S);
    assert_int_equal(clock_now_ns(), 3600 * NS_PER_S);
    clock_sleep_until_ns(NS_PER_S);
    assert_int_equal(clock_now_ns(), 3600 * NS_PER_S);
}

static void
poll_time_is_rounded_up_and_bounded(void **state)
{
    (void)state;
    clock_fake_ns(10 * NS_PER_S);
    assert_int_equal(clock_poll_ms(-1), -1);
    assert_int_equal(clock_poll_ms(9 * NS_PER_S), 0);
    assert_int_equal(clock_poll_ms(10 * NS_PER_S), 0);
    assert_int_equal(clock_poll_ms(10 * NS_PER_S + 1), 1);
    assert_int_equal(clock_poll_ms(11 * NS_PER_S), 1000);
    clock_fake_ns(0);
    assert_int_equal(clock_poll_ms(INT64_MAX), INT_MAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_clock_does_not_go_back),
        cmocka_unit_test_teardown(fake_clock_stands_until_moved, back_to_the_real_clock),
        cmocka_unit_test_teardown(sleeping_moves_the_fake_clock_forwards_only,
                                  back_to_the_real_clock),
        cmocka_unit_test_teardown(poll_time_is_rounded_up_and_bounded, back_to_the_real_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
