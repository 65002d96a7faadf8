#include "daemon/slots.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void
want(struct slots *slots, struct slot_user *user, const char *host, enum slot_priority priority,
     unsigned disks)
{
    struct err err = ERR_INIT;
    assert_int_equal(slots_want(slots, user, host, priority, disks, &err), 0);
}

static void
no_more_than_the_host_may_have(void **state)
{
    (void)state;
    struct slots slots = { 0 };
    struct slot_user a = { 0 }, b = { 0 };
    want(&slots, &a, "esx1", SLOT_BASE, 3);
    want(&slots, &b, "ESX1", SLOT_BASE, 3);
    for (int i = 0; i < 3; i++)
        assert_ptr_equal(slots_grant(&slots, 4), &a);
    assert_ptr_equal(slots_grant(&slots, 4), &b);
    assert_null(slots_grant(&slots, 4));
    slots_free(&a, 1);
    assert_ptr_equal(slots_grant(&slots, 4), &b);
    assert_null(slots_grant(&slots, 4));
    assert_int_equal(a.held + b.held, 4);
}

static void
hosts_do_not_disturb_each_other(void **state)
{
    (void)state;
    struct slots slots = { 0 };
    struct slot_user a = { 0 }, b = { 0 };
    want(&slots, &a, "esx1", SLOT_BASE, 2);
    want(&slots, &b, "esx2", SLOT_BASE, 2);
    assert_ptr_equal(slots_grant(&slots, 1), &a);
    assert_ptr_equal(slots_grant(&slots, 1), &b);
    assert_null(slots_grant(&slots, 1));
}

static void
final_before_delta_before_base(void **state)
{
    (void)state;
    struct slots slots = { 0 };
    struct slot_user a = { 0 }, b = { 0 }, c = { 0 };
    want(&slots, &a, "esx1", SLOT_BASE, 1);
    want(&slots, &b, "esx1", SLOT_DELTA, 1);
    want(&slots, &c, "esx1", SLOT_FINAL, 1);
    assert_ptr_equal(slots_grant(&slots, 0), &c);
    assert_ptr_equal(slots_grant(&slots, 0), &b);
    assert_ptr_equal(slots_grant(&slots, 0), &a);
    assert_null(slots_grant(&slots, 0));
}

static void
first_come_first_served(void **state)
{
    (void)state;
    struct slots slots = { 0 };
    struct slot_user a = { 0 }, b = { 0 };
    want(&slots, &a, "esx1", SLOT_DELTA, 1);
    want(&slots, &b, "esx1", SLOT_DELTA, 1);
    want(&slots, &a, "esx1", SLOT_DELTA, 2); /* another number, the same turn */
    assert_ptr_equal(slots_grant(&slots, 2), &a);
    want(&slots, &a, "esx1", SLOT_BASE, 2); /* another priority, another turn */
    assert_ptr_equal(slots_grant(&slots, 2), &b);
}

static void
a_want_replaces_the_one_before(void **state)
{
    (void)state;
    struct slots slots = { 0 };
    struct slot_user a = { 0 };
    want(&slots, &a, "esx1", SLOT_DELTA, 5);
    want(&slots, &a, "esx1", SLOT_DELTA, 1);
    assert_ptr_equal(slots_grant(&slots, 8), &a);
    assert_null(slots_grant(&slots, 8));
    want(&slots, &a, "esx1", SLOT_DELTA, 0);
    assert_null(slots_grant(&slots, 8));
}

static void
all_of_who_leaves_is_free(void **state)
{
    (void)state;
    struct slots slots = { 0 };
    struct slot_user a = { 0 }, b = { 0 }, never = { 0 };
    want(&slots, &a, "esx1", SLOT_BASE, 2);
    assert_ptr_equal(slots_grant(&slots, 2), &a);
    assert_ptr_equal(slots_grant(&slots, 2), &a);
    want(&slots, &b, "esx1", SLOT_BASE, 1);
    assert_null(slots_grant(&slots, 2));
    slots_leave(&slots, &a);
    slots_leave(&slots, &never);
    assert_ptr_equal(slots_grant(&slots, 2), &b);
    assert_ptr_equal(slots.first, &b);
    assert_null(b.next);
}

static void
free_never_goes_below_none(void **state)
{
    (void)state;
    struct slots slots = { 0 };
    struct slot_user a = { 0 };
    want(&slots, &a, "esx1", SLOT_BASE, 1);
    slots_grant(&slots, 1);
    slots_free(&a, 7);
    assert_int_equal(a.held, 0);
}

static void
a_smaller_limit_takes_nothing_away(void **state)
{
    (void)state;
    struct slots slots = { 0 };
    struct slot_user a = { 0 };
    want(&slots, &a, "esx1", SLOT_BASE, 4);
    for (int i = 0; i < 3; i++)
        slots_grant(&slots, 3);
    assert_null(slots_grant(&slots, 1));
    slots_free(&a, 2);
    assert_null(slots_grant(&slots, 1));
    slots_free(&a, 1);
    assert_ptr_equal(slots_grant(&slots, 1), &a);
}

static void
nonsense_is_refused(void **state)
{
    (void)state;
    struct slots slots = { 0 };
    struct slot_user a = { 0 };
    struct err err = ERR_INIT;
    char host[SLOT_HOST_MAX + 1];
    memset(host, 'x', sizeof host);
    host[SLOT_HOST_MAX] = '\0';
    assert_int_equal(slots_want(&slots, &a, host, SLOT_BASE, 1, &err), -1);
    assert_int_equal(slots_want(&slots, &a, "esx1", SLOT_BASE, SLOT_WANT_MAX + 1, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_null(slots.first);
}

static void
share_of_the_bandwidth(void **state)
{
    (void)state;
    assert_int_equal(slots_share(0, 3, 1), 0);
    assert_int_equal(slots_share(300, 3, 1), 100);
    assert_int_equal(slots_share(300, 3, 2), 200);
    assert_int_equal(slots_share(100, 3, 3), 100);
    /* who reads none yet: as if it came as one more */
    assert_int_equal(slots_share(300, 2, 0), 100);
    assert_int_equal(slots_share(300, 0, 0), 300);
    /* never "no limit" */
    assert_int_equal(slots_share(1, 1000, 1), 1);
    assert_int_equal(slots_share(UINT64_MAX, 2, 2), UINT64_MAX);
}

static void
priority_names(void **state)
{
    (void)state;
    enum slot_priority priority;
    assert_true(slots_priority_from_name("final", &priority));
    assert_int_equal(priority, SLOT_FINAL);
    assert_true(slots_priority_from_name("base", &priority));
    assert_int_equal(priority, SLOT_BASE);
    assert_false(slots_priority_from_name("Final", &priority));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_more_than_the_host_may_have),
        cmocka_unit_test(hosts_do_not_disturb_each_other),
        cmocka_unit_test(final_before_delta_before_base),
        cmocka_unit_test(first_come_first_served),
        cmocka_unit_test(a_want_replaces_the_one_before),
        cmocka_unit_test(all_of_who_leaves_is_free),
        cmocka_unit_test(free_never_goes_below_none),
        cmocka_unit_test(a_smaller_limit_takes_nothing_away),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(share_of_the_bandwidth),
        cmocka_unit_test(priority_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
