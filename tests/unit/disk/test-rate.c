#include "disk/rate.h"

#include "base/clock.h"
#include "scratch.h"

static atomic_bool stop;

static int
begin(void **state)
{
    (void)state;
    clock_fake_ns(1000 * NS_PER_S);
    atomic_store(&stop, false);
    return 0;
}

static int64_t
seconds_for(struct rate *rate, uint64_t bytes, unsigned times)
{
    int64_t before = clock_now_ns();
    for (unsigned i = 0; i < times; i++)
        rate_wait(rate, bytes, &stop);
    return (clock_now_ns() - before) / NS_PER_S;
}

static void
test_without_a_limit_nobody_waits(void **state)
{
    (void)state;
    struct rate rate;
    rate_init(&rate, 0);
    int64_t before = clock_now_ns();
    for (int i = 0; i < 1000; i++)
        rate_wait(&rate, GIB, &stop);
    assert_int_equal(clock_now_ns(), before);
    rate_done(&rate);
}

static void
test_the_limit_is_kept_over_time(void **state)
{
    (void)state;
    struct rate rate;
    rate_init(&rate, 10 * MIB);
    int64_t took = seconds_for(&rate, MIB, 1000);
    assert_in_range(took, 99, 100);
    rate_done(&rate);
}

static void
test_time_that_was_not_used_gives_a_small_burst_only(void **state)
{
    (void)state;
    struct rate rate;
    rate_init(&rate, 10 * MIB);
    clock_fake_ns(clock_now_ns() + 3600 * NS_PER_S); /* an hour of nothing */
    assert_in_range(seconds_for(&rate, MIB, 100), 9, 10);
    rate_done(&rate);
}

static void
test_one_that_waits_follows_a_new_limit(void **state)
{
    (void)state;
    struct rate rate;
    rate_init(&rate, 1);
    rate_wait(&rate, MIB, &stop); /* the next one would have to wait for 12 days */
    rate_set(&rate, 0);
    int64_t before = clock_now_ns();
    rate_wait(&rate, MIB, &stop);
    assert_int_equal(clock_now_ns(), before);
    rate_set(&rate, MIB);
    assert_in_range(seconds_for(&rate, MIB, 10), 8, 10);
    rate_done(&rate);
}

static void
test_a_stop_ends_the_waiting(void **state)
{
    (void)state;
    struct rate rate;
    rate_init(&rate, 1);
    rate_wait(&rate, GIB, &stop);
    atomic_store(&stop, true);
    int64_t before = clock_now_ns();
    rate_wait(&rate, GIB, &stop);
    assert_true(clock_now_ns() - before < NS_PER_S);
    rate_done(&rate);
}

static int
end(void **state)
{
    (void)state;
    clock_fake_ns(-1);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_without_a_limit_nobody_waits, begin, end),
        cmocka_unit_test_setup_teardown(test_the_limit_is_kept_over_time, begin, end),
        cmocka_unit_test_setup_teardown(test_time_that_was_not_used_gives_a_small_burst_only, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_one_that_waits_follows_a_new_limit, begin, end),
        cmocka_unit_test_setup_teardown(test_a_stop_ends_the_waiting, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
