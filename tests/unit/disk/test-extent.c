#include "disk/extent.h"

#include <stdio.h>

#include "scratch.h"

#define DISK (10 * CLUSTER_BYTES + 512)

static void
test_alike_neighbours_join(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_extents struct extent_list list = { 0 };
    assert_ok(extent_add(&list, 0, 10, false, &err));
    assert_ok(extent_add(&list, 10, 5, false, &err));
    assert_ok(extent_add(&list, 15, 5, true, &err));
    assert_ok(extent_add(&list, 30, 5, true, &err)); /* a gap between */
    assert_int_equal(list.n, 3);
    assert_int_equal(list.extents[0].len, 15);
    assert_int_equal(list.extents[1].len, 5);
    extent_clear(&list);
    assert_int_equal(list.n, 0);
    for (uint64_t i = 0; i < 1000; i++)
        assert_ok(extent_add(&list, i, 1, i % 2, &err));
    assert_int_equal(list.n, 1000);
    assert_int_equal(list.extents[999].offset, 999);
}

static void
expect(const char *text, size_t n, const uint64_t (*wanted)[2])
{
    struct err err = ERR_INIT;
    auto_extents struct extent_list list = { 0 };
    assert_ok(ranges_parse(text, DISK, &list, &err));
    assert_int_equal(list.n, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(list.extents[i].offset, wanted[i][0] * CLUSTER_BYTES);
        uint64_t end = MIN(wanted[i][1] * CLUSTER_BYTES, DISK);
        assert_int_equal(list.extents[i].len, end - list.extents[i].offset);
        assert_false(list.extents[i].zero);
    }
}

#define EXPECT(text, ...)                                                                          \
    do {                                                                                           \
        const uint64_t wanted_[][2] = { __VA_ARGS__ };                                             \
        expect(text, ARRAY_LEN(wanted_), wanted_);                                                 \
    } while (0)

static void
test_ranges_are_rounded_out_sorted_joined_and_cut(void **state)
{
    (void)state;
    expect("", 0, NULL);
    expect("# nothing\n\n   \n\t# at all\r\n", 0, NULL);
    EXPECT("0 1", { 0, 1 });
    EXPECT("0 1\n", { 0, 1 });
    EXPECT("65535 2", { 0, 2 });
    EXPECT("65536 65536", { 1, 2 });
    EXPECT("0x10000 0x10000 # hex\r\n", { 1, 2 });
    EXPECT("  131072\t1  ", { 2, 3 });
    EXPECT("010 020", { 0, 1 }); /* leading zeroes are decimal */
    EXPECT("0131072 1", { 2, 3 });
    EXPECT("327680 1\n65536 1\n", { 1, 2 }, { 5, 6 });
    EXPECT("0 1\n65536 1\n", { 0, 2 });      /* neighbours */
    EXPECT("0 1\n1 1\n0 1\n", { 0, 1 });     /* the same again */
    EXPECT("0 400000\n65536 1\n", { 0, 7 }); /* one within the other */
    EXPECT("655360 512", { 10, 11 });        /* the short last cluster */
    EXPECT("655871 1", { 10, 11 });          /* its last byte */
    EXPECT("655360 65536", { 10, 11 });      /* to the end of the cluster that the disk ends in */
}

static void
test_what_is_not_a_range_is_refused_with_its_line(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "1",
        "1 2 3",
        "x 1",
        "1 x",
        "-1 5",
        "5 -1",
        "1 0",
        "+1 1",
        "1.5 1",
        "1,1",
        "0x 1",
        "0xg 1",
        "1 1k",
        "\"1\" 1",
        "1 0x",
        "18446744073709551616 1",
        "18446744073709551615 2",
    };
    struct err err = ERR_INIT;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        auto_extents struct extent_list list = { 0 };
        char text[64];
        snprintf(text, sizeof text, "0 1\n%s\n", wrong[i]);
        assert_fails(ranges_parse(text, DISK, &list, &err), ERR_INVALID, "line 2");
        assert_int_equal(list.n, 0);
    }
}

static void
test_ranges_behind_the_end_are_refused(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_extents struct extent_list list = { 0 };
    assert_fails(ranges_parse("655872 1", DISK, &list, &err), ERR_INVALID, "outside");
    assert_fails(ranges_parse("655360 65537", DISK, &list, &err), ERR_INVALID, "outside");
    assert_fails(ranges_parse("9223372036854775808 1", DISK, &list, &err), ERR_INVALID, "outside");
}

static void
test_ranges_come_from_a_file(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_extents struct extent_list list = { 0 };
    assert_fails(ranges_read("none", DISK, &list, &err), ERR_NOT_FOUND, "none");
    assert_ok(file_write_atomic("list", "0 1\n\0 1 1\n", 11, 0600, &err));
    assert_fails(ranges_read("list", DISK, &list, &err), ERR_INVALID, "zero byte");
    assert_ok(file_write_atomic("list", "0 1\nwhat\n", 9, 0600, &err));
    assert_fails(ranges_read("list", DISK, &list, &err), ERR_INVALID, "list: line 2");
    assert_ok(file_write_atomic("list", "0 1", 3, 0600, &err));
    assert_ok(ranges_read("list", DISK, &list, &err));
    assert_int_equal(list.n, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alike_neighbours_join),
        cmocka_unit_test(test_ranges_are_rounded_out_sorted_joined_and_cut),
        cmocka_unit_test(test_what_is_not_a_range_is_refused_with_its_line),
        cmocka_unit_test(test_ranges_behind_the_end_are_refused),
        cmocka_unit_test_setup_teardown(test_ranges_come_from_a_file, scratch_enter, scratch_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
