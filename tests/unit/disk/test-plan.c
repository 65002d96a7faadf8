#include "disk/plan.h"

#include "disk/disk.h"
#include "fake-disk.h"
#include "scratch.h"

/* Extents that the test says, without any bytes behind them. */
struct told_source {
    struct source source;
    const struct extent *extents;
    size_t n, at_a_time;
    unsigned asked;
};

static int
told_extents(struct source *src, uint64_t offset, uint64_t len, struct extent_list *ret,
             struct err *err)
{
    struct told_source *told = (struct told_source *)src;
    uint64_t end = offset + len;
    extent_clear(ret);
    told->asked++;
    for (size_t i = 0; i < told->n && ret->n < told->at_a_time; i++) {
        uint64_t from = MAX(told->extents[i].offset, offset);
        uint64_t to = MIN(told->extents[i].offset + told->extents[i].len, end);
        if (from < to && extent_add(ret, from, to - from, told->extents[i].zero, err) < 0)
            return -1;
    }
    return 0;
}

static const struct source_ops told_ops = { .name = "told", .extents = told_extents };

struct wanted {
    enum plan_step step;
    uint64_t offset, len;
};

#define C CLUSTER_BYTES
#define R REQUEST_BYTES

static struct map *
new_map(uint64_t bytes)
{
    struct err err = ERR_INIT;
    struct map *map = NULL;
    struct map_info info = { .disk_bytes = bytes };
    assert_ok(map_create(NULL, &info, &map, &err));
    return map;
}

static void
expect_steps(struct plan *plan, const struct wanted *wanted, size_t n)
{
    struct err err = ERR_INIT;
    for (size_t i = 0; i < n; i++) {
        uint64_t offset = 1, len = 1;
        assert_int_equal(plan_next(plan, 0, &offset, &len, &err), wanted[i].step);
        assert_int_equal(offset, wanted[i].offset);
        assert_int_equal(len, wanted[i].len);
    }
    uint64_t offset, len;
    assert_int_equal(plan_next(plan, 0, &offset, &len, &err), PLAN_END);
    assert_int_equal(plan_next(plan, 0, &offset, &len, &err), PLAN_END);
}

#define EXPECT_STEPS(plan, ...)                                                                    \
    do {                                                                                           \
        const struct wanted wanted_[] = { __VA_ARGS__ };                                           \
        expect_steps(plan, wanted_, ARRAY_LEN(wanted_));                                           \
    } while (0)

static struct told_source
tell(const struct extent *extents, size_t n, size_t at_a_time)
{
    const struct extent *last = &extents[n - 1];
    return (struct told_source){
        .source = { .ops = &told_ops, .name = (char *)"told", .bytes = last->offset + last->len },
        .extents = extents,
        .n = n,
        .at_a_time = at_a_time,
    };
}

static void
test_extents_become_whole_clusters(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    /* Zeroes shorter than a cluster, or across a boundary of two, are data. */
    static const struct extent extents[] = {
        { 0, 4096, true },
        { 4096, C, false },
        { C + 4096, 2 * C, true },
        { 3 * C + 4096, 1, false },
        { 3 * C + 4097, 10 * C, true },
        { 13 * C + 4097, 511, false },
    };
    for (size_t at_a_time = 1; at_a_time <= 6; at_a_time++) {
        struct told_source told = tell(extents, ARRAY_LEN(extents), at_a_time);
        struct map *map = new_map(told.source.bytes);
        struct plan plan;
        assert_ok(plan_init(&plan, &told.source, map, NULL, 0, &err));
        assert_int_equal(plan_bytes(&plan), told.source.bytes);
        /* Where a list of extents ends in the middle of data, so may a step: never wrong. */
        uint64_t position = 0, offset, len;
        int step;
        while ((step = plan_next(&plan, 0, &offset, &len, &err)) != PLAN_END) {
            assert_true(step > 0);
            assert_int_equal(offset, position);
            position = offset + len;
            assert_true(len > 0 && (len % C == 0 || position == told.source.bytes));
            for (size_t i = 0; step == PLAN_ZERO && i < ARRAY_LEN(extents); i++)
                if (!extents[i].zero)
                    assert_true(extents[i].offset + extents[i].len <= offset ||
                                extents[i].offset >= position);
        }
        assert_int_equal(position, told.source.bytes);
        if (at_a_time == 6) {
            plan_rewind(&plan);
            EXPECT_STEPS(&plan, { PLAN_DATA, 0, 2 * C }, { PLAN_ZERO, 2 * C, C },
                         { PLAN_DATA, 3 * C, C }, { PLAN_ZERO, 4 * C, 9 * C },
                         { PLAN_DATA, 13 * C, 4608 });
        }
        plan_done(&plan);
        map_close(map);
    }
}

static void
test_steps_are_of_bounded_size(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    static const struct extent extents[] = { { 0, 2 * R + C, false },
                                             { 2 * R + C, 3 * GIB, true } };
    struct told_source told = tell(extents, 2, 9);
    struct map *map = new_map(told.source.bytes);
    struct plan plan;
    assert_ok(plan_init(&plan, &told.source, map, NULL, 0, &err));
    EXPECT_STEPS(&plan, { PLAN_DATA, 0, R }, { PLAN_DATA, R, R }, { PLAN_DATA, 2 * R, C },
                 { PLAN_ZERO, 2 * R + C, 512 * MIB - 2 * R - C },
                 { PLAN_ZERO, 512 * MIB, 512 * MIB }, { PLAN_ZERO, GIB, 512 * MIB },
                 { PLAN_ZERO, 3 * (GIB / 2), 512 * MIB }, { PLAN_ZERO, 2 * GIB, 512 * MIB },
                 { PLAN_ZERO, 5 * (GIB / 2), 512 * MIB }, { PLAN_ZERO, 3 * GIB, 2 * R + C });
    plan_done(&plan);
    map_close(map);
}

static void
test_what_the_map_knows_is_left_out(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    static const struct extent extents[] = { { 0, 4 * C, false },
                                             { 4 * C, 8 * C, true },
                                             { 12 * C, 4 * C + 512, false } };
    struct told_source told = tell(extents, 3, 9);
    struct map *map = new_map(told.source.bytes);
    assert_ok(map_fill(map, 1, 2, 77, &err));
    assert_ok(map_fill(map, 6, 1, CLUSTER_ZERO, &err));
    assert_ok(map_fill(map, 15, 2, 77, &err));
    struct plan plan;
    uint64_t known;
    bool wants;
    assert_ok(plan_init(&plan, &told.source, map, NULL, UINT64_MAX, &err));
    assert_ok(plan_known_bytes(&plan, &known, &err));
    assert_int_equal(known, 4 * C + 512);
    EXPECT_STEPS(&plan, { PLAN_DATA, 0, C }, { PLAN_DATA, 3 * C, C }, { PLAN_ZERO, 4 * C, 2 * C },
                 { PLAN_ZERO, 7 * C, 5 * C }, { PLAN_DATA, 12 * C, 3 * C });
    assert_ok(plan_wants(&plan, 0, &wants, &err));
    assert_true(wants);
    assert_ok(plan_wants(&plan, 16, &wants, &err));
    assert_false(wants);
    plan_done(&plan);

    /* Unless it does not count. */
    assert_ok(plan_init(&plan, &told.source, map, NULL, 0, &err));
    assert_ok(plan_known_bytes(&plan, &known, &err));
    assert_int_equal(known, 0);
    EXPECT_STEPS(&plan, { PLAN_DATA, 0, 4 * C }, { PLAN_ZERO, 4 * C, 8 * C },
                 { PLAN_DATA, 12 * C, 4 * C + 512 });
    plan_done(&plan);
    map_close(map);
}

static void
test_ranges_bound_the_steps(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    static const struct extent extents[] = { { 0, 10 * C, false }, { 10 * C, 10 * C + 512, true } };
    struct told_source told = tell(extents, 2, 9);
    struct map *map = new_map(told.source.bytes);
    auto_extents struct extent_list ranges = { 0 };
    assert_ok(extent_add(&ranges, C, C, false, &err));
    assert_ok(extent_add(&ranges, 9 * C, 2 * C, false, &err));
    assert_ok(extent_add(&ranges, 20 * C, 512, false, &err));
    struct plan plan;
    bool wants;
    assert_ok(plan_init(&plan, &told.source, map, &ranges, 0, &err));
    assert_int_equal(plan_bytes(&plan), 3 * C + 512);
    EXPECT_STEPS(&plan, { PLAN_DATA, C, C }, { PLAN_DATA, 9 * C, C }, { PLAN_ZERO, 10 * C, C },
                 { PLAN_ZERO, 20 * C, 512 });
    for (uint64_t c = 0; c <= 20; c++) {
        assert_ok(plan_wants(&plan, c, &wants, &err));
        assert_int_equal(wants, c == 1 || c == 9 || c == 10 || c == 20);
    }
    plan_done(&plan);
    auto_extents struct extent_list none = { 0 };
    assert_ok(plan_init(&plan, &told.source, map, &none, 0, &err));
    expect_steps(&plan, NULL, 0);
    plan_done(&plan);
    map_close(map);
}

/* After a stream only its zeroes are left; data that came is not asked for, and a list of extents
 * that ends early must not make zeroes look like data. */
static void
test_the_rest_after_a_stream(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct extent extents[200];
    for (size_t i = 0; i < ARRAY_LEN(extents); i++)
        extents[i] = (struct extent){ i * C, C, i % 2 };
    for (size_t at_a_time = 1; at_a_time < 40; at_a_time++) {
        struct told_source told = tell(extents, ARRAY_LEN(extents), at_a_time);
        struct map *map = new_map(told.source.bytes);
        struct plan plan;
        assert_ok(plan_init(&plan, &told.source, map, NULL, 0, &err));
        plan.only_zero = true;
        uint64_t offset, len;
        for (size_t i = 1; i < ARRAY_LEN(extents); i += 2) {
            assert_int_equal(plan_next(&plan, 0, &offset, &len, &err), PLAN_ZERO);
            assert_int_equal(offset, i * C);
            assert_int_equal(len, C);
        }
        assert_int_equal(plan_next(&plan, 0, &offset, &len, &err), PLAN_END);
        plan_done(&plan);
        map_close(map);
    }
}

static void
test_a_source_that_tells_nothing_is_an_error(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    static const struct extent extents[] = { { C, C, false } }; /* nothing at 0 */
    struct told_source told = tell(extents, 1, 9);
    struct map *map = new_map(told.source.bytes);
    struct plan plan;
    uint64_t offset, len;
    assert_ok(plan_init(&plan, &told.source, map, NULL, 0, &err));
    assert_fails(plan_next(&plan, 0, &offset, &len, &err), ERR_BUG, "no extent at 0");
    plan_done(&plan);
    map_close(map);
}

/* Where asking is dear a step is long, and shorter towards the end. */
static void
test_runs(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    const struct extent extents[] = { { 0, 64 * R, false },
                                      { 64 * R, 2 * C, true },
                                      { 64 * R + 2 * C, 3 * C, false } };
    struct told_source told = tell(extents, ARRAY_LEN(extents), 9);
    told.source.run_bytes = 8 * R;
    told.source.n_lanes = 2;
    auto_map struct map *map = new_map(told.source.bytes);
    struct plan plan;
    assert_ok(plan_init(&plan, &told.source, map, NULL, 0, &err));
    uint64_t at = 0, offset, len, before = 8 * R;
    unsigned whole = 0, single = 0;
    while (at < 64 * R) {
        assert_int_equal(plan_next(&plan, 0, &offset, &len, &err), PLAN_DATA);
        assert_int_equal(offset, at);
        assert_true(len <= before && len >= R && len % R == 0);
        whole += len == 8 * R;
        single += len == R;
        before = len;
        at += len;
    }
    assert_int_equal(whole, 5); /* while 32 requests or more are left, a quarter of them */
    assert_true(single >= 4);
    EXPECT_STEPS(&plan, { PLAN_ZERO, 64 * R, 2 * C }, { PLAN_DATA, 64 * R + 2 * C, 3 * C });
    plan_done(&plan);
}

/* The lane that is behind all others says how far they are. */
static void
test_what_is_reached(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    const struct extent extents[] = { { 0, 4 * R, false } };
    struct told_source told = tell(extents, 1, 9);
    auto_map struct map *map = new_map(told.source.bytes);
    struct plan plan;
    uint64_t offset, len;
    assert_ok(plan_init(&plan, &told.source, map, NULL, 0, &err));
    assert_int_equal(plan_reached(&plan), 0);
    assert_int_equal(plan_next(&plan, 2, &offset, &len, &err), PLAN_DATA);
    assert_int_equal(plan_next(&plan, 1, &offset, &len, &err), PLAN_DATA);
    assert_int_equal(plan_next(&plan, 1, &offset, &len, &err), PLAN_DATA);
    assert_int_equal(plan_reached(&plan), 0);
    plan_done_below(&plan, 1, 2 * R);
    assert_int_equal(plan_reached(&plan), 0);
    plan_done_below(&plan, 2, UINT64_MAX);
    assert_int_equal(plan_reached(&plan), 2 * R);
    plan_done_below(&plan, 1, UINT64_MAX);
    assert_int_equal(plan_reached(&plan), 3 * R);
    plan_done(&plan);
}

/* A short range is not worth a question. */
static void
test_short_ranges_are_not_asked_for(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    const struct extent extents[] = { { 0, 8 * R, true } };
    struct told_source told = tell(extents, 1, 9);
    told.source.ask_bytes = 2 * R;
    auto_map struct map *map = new_map(told.source.bytes);
    auto_extents struct extent_list ranges = { 0 };
    struct plan plan;
    assert_ok(extent_add(&ranges, 0, C, false, &err));
    assert_ok(extent_add(&ranges, 2 * R, 2 * R, false, &err));
    assert_ok(plan_init(&plan, &told.source, map, &ranges, 0, &err));
    EXPECT_STEPS(&plan, { PLAN_DATA, 0, C }, { PLAN_ZERO, 2 * R, 2 * R });
    plan_done(&plan);
}

/* Below a certain place what is known is left out, and what is not is done again. */
static void
test_known_below(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    const struct extent extents[] = { { 0, 8 * C, false } };
    struct told_source told = tell(extents, 1, 9);
    auto_map struct map *map = new_map(told.source.bytes);
    struct plan plan;
    uint64_t known, value = 7;
    for (uint64_t c = 0; c < 8; c++)
        if (c != 2)
            assert_ok(map_set(map, c, 1, &value, &err));
    assert_ok(plan_init(&plan, &told.source, map, NULL, 5 * C, &err));
    assert_ok(plan_known_bytes(&plan, &known, &err));
    assert_int_equal(known, 4 * C);
    EXPECT_STEPS(&plan, { PLAN_DATA, 2 * C, C }, { PLAN_DATA, 5 * C, 3 * C });
    plan_done(&plan);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_extents_become_whole_clusters),
        cmocka_unit_test(test_steps_are_of_bounded_size),
        cmocka_unit_test(test_what_the_map_knows_is_left_out),
        cmocka_unit_test(test_ranges_bound_the_steps),
        cmocka_unit_test(test_the_rest_after_a_stream),
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_what_is_reached),
        cmocka_unit_test(test_known_below),
        cmocka_unit_test(test_short_ranges_are_not_asked_for),
        cmocka_unit_test(test_a_source_that_tells_nothing_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
