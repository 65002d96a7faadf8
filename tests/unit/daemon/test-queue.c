#include "daemon/queue.h"

#include <stddef.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/clock.h"

#define NOW_NS (1000 * NS_PER_S)
#define WALL 1764468000

static void
due_is_what_is_left(void **state)
{
    (void)state;
    assert_int_equal(queue_due_ns(WALL + 60, WALL, WALL, NOW_NS), NOW_NS + 60 * NS_PER_S);
    assert_int_equal(queue_due_ns(WALL + 60, WALL, WALL + 20, NOW_NS), NOW_NS + 40 * NS_PER_S);
    assert_int_equal(queue_due_ns(WALL + 60, WALL, WALL + 60, NOW_NS), NOW_NS);
}

static void
past_is_now(void **state)
{
    (void)state;
    assert_int_equal(queue_due_ns(WALL - 5, WALL - 305, WALL, NOW_NS), NOW_NS);
    assert_int_equal(queue_due_ns(0, WALL, WALL, NOW_NS), NOW_NS);
}

/* The clock was set back a year: it waits one interval, not a year. */
static void
clock_set_back_starves_nobody(void **state)
{
    (void)state;
    int64_t year = INT64_C(365) * 24 * 3600;
    assert_int_equal(queue_due_ns(WALL + 300, WALL, WALL - year, NOW_NS), NOW_NS + 300 * NS_PER_S);
}

/* It was set forward: due at once, which is one interval early at most. */
static void
clock_set_forward_rushes_by_one_interval(void **state)
{
    (void)state;
    assert_int_equal(queue_due_ns(WALL + 300, WALL, WALL + 86400, NOW_NS), NOW_NS);
}

/* While it waits: an hour that has passed at once is not waited for again. */
static void
clock_set_while_it_waits(void **state)
{
    (void)state;
    struct queue queue = { 0 };
    int64_t due_ns = NOW_NS + 3600 * NS_PER_S;
    struct queue_place a = {
        .waits = true, .due_ns = due_ns, .due_at = WALL + 3600, .written_at = WALL
    };
    struct queue_place b = { .waits = true, .due_ns = due_ns };
    queue_add(&queue, &a);
    queue_add(&queue, &b);
    queue_clock_set(&queue, WALL - 86400, NOW_NS);
    assert_int_equal(a.due_ns, due_ns);
    queue_clock_set(&queue, WALL + 3000, NOW_NS + NS_PER_S);
    assert_int_equal(a.due_ns, NOW_NS + 601 * NS_PER_S);
    queue_clock_set(&queue, WALL + 86400, NOW_NS + 2 * NS_PER_S);
    assert_int_equal(a.due_ns, NOW_NS + 2 * NS_PER_S);
    assert_int_equal(b.due_ns, due_ns);
}

static void
absurd_moments_do_not_overflow(void **state)
{
    (void)state;
    assert_true(queue_due_ns(INT64_MAX / 2, 0, WALL, NOW_NS) > NOW_NS);
    assert_int_equal(queue_due_ns(WALL, INT64_MAX / 2, 0, NOW_NS), NOW_NS);
}

static struct queue_place
place(bool waits, bool urgent, int64_t due_ns)
{
    return (struct queue_place){ .waits = waits, .urgent = urgent, .due_ns = due_ns };
}

static void
next_has_been_due_longest(void **state)
{
    (void)state;
    struct queue queue = { 0 };
    struct queue_place a = place(true, false, 30), b = place(true, false, 10),
                       c = place(true, false, 20);
    queue_add(&queue, &a);
    queue_add(&queue, &b);
    queue_add(&queue, &c);
    assert_ptr_equal(queue_next(&queue, 100), &b);
    assert_ptr_equal(queue_next(&queue, 5), NULL);
    assert_int_equal(queue_wake_ns(&queue, 5), 10);
    assert_int_equal(queue_wake_ns(&queue, 10), 20);
    assert_int_equal(queue_wake_ns(&queue, 30), -1);
    b.waits = false;
    assert_ptr_equal(queue_next(&queue, 100), &c);
    queue_remove(&queue, &c);
    assert_ptr_equal(queue_next(&queue, 100), &a);
    queue_remove(&queue, &a);
    queue_remove(&queue, &b);
    assert_null(queue.first);
}

static void
first_come_first_served(void **state)
{
    (void)state;
    struct queue queue = { 0 };
    struct queue_place a = place(true, false, 10), b = place(true, false, 10);
    queue_add(&queue, &a);
    queue_add(&queue, &b);
    assert_ptr_equal(queue_next(&queue, 100), &a);
    a.waits = false;
    assert_ptr_equal(queue_next(&queue, 100), &b);
}

static void
urgent_goes_first_but_not_before_it_is_due(void **state)
{
    (void)state;
    struct queue queue = { 0 };
    struct queue_place a = place(true, false, 10), b = place(true, true, 50);
    queue_add(&queue, &a);
    queue_add(&queue, &b);
    assert_ptr_equal(queue_next(&queue, 20), &a);
    assert_ptr_equal(queue_next(&queue, 50), &b);
}

static void
backoff(void **state)
{
    (void)state;
    assert_int_equal(queue_backoff_s(1), 1);
    assert_int_equal(queue_backoff_s(2), 2);
    assert_int_equal(queue_backoff_s(5), 16);
    assert_int_equal(queue_backoff_s(9), 256);
    assert_int_equal(queue_backoff_s(10), 300);
    assert_int_equal(queue_backoff_s(UINT32_MAX), 300);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(due_is_what_is_left),
        cmocka_unit_test(past_is_now),
        cmocka_unit_test(clock_set_back_starves_nobody),
        cmocka_unit_test(clock_set_forward_rushes_by_one_interval),
        cmocka_unit_test(clock_set_while_it_waits),
        cmocka_unit_test(absurd_moments_do_not_overflow),
        cmocka_unit_test(next_has_been_due_longest),
        cmocka_unit_test(first_come_first_served),
        cmocka_unit_test(urgent_goes_first_but_not_before_it_is_due),
        cmocka_unit_test(backoff),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
