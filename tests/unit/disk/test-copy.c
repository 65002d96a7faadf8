/* The copy and its lanes: requests that end late, out of order and with errors. */
#include "disk/copy.h"

#include <stdio.h>

#include "disk/cluster.h"
#include "fake-disk.h"
#include "scratch.h"

struct fixture {
    struct fake_source source;
    struct fake_target target;
    struct map *map;
    struct rate rate;
    struct copy_progress progress;
};

static void
open_all(struct fixture *f, uint64_t bytes, unsigned kind, uint64_t seed)
{
    struct err err = ERR_INIT;
    memset(f, 0, sizeof *f);
    fake_source_open(&f->source, bytes, kind & 1, 1 + kind / 8 % FAKE_LANES, kind & 1 ? 4 : 1);
    fake_fill(&f->source.disk, seed);
    f->source.granule = kind & 16 ? CLUSTER_BYTES : 4096;
    f->source.extents_max = kind & 32 ? 1 : 7;
    fake_target_open(&f->target, bytes, kind & 2, kind & 4);
    struct map_info info = { .disk_bytes = bytes };
    assert_ok(map_create(kind & 64 ? "map" : NULL, &info, &f->map, &err));
    rate_init(&f->rate, 0);
}

static void
close_all(struct fixture *f)
{
    fake_source_close(&f->source);
    fake_target_close(&f->target);
    map_close(f->map);
    rate_done(&f->rate);
}

static int
compare(struct fixture *f, struct written *written, struct err *err)
{
    struct copy_spec spec = {
        .source = &f->source.source,
        .target = &f->target.target,
        .map = f->map,
        .resume = true,
        .compare = true,
        .written = written,
        .rate = &f->rate,
    };
    f->progress = (struct copy_progress){ 0 };
    return copy_disk(&spec, &f->progress, err);
}

static int
run(struct fixture *f, const struct extent_list *ranges, bool resume, struct err *err)
{
    struct copy_spec spec = {
        .source = &f->source.source,
        .target = &f->target.target,
        .map = f->map,
        .ranges = ranges,
        .resume = resume,
        .rate = &f->rate,
    };
    return copy_disk(&spec, &f->progress, err);
}

/* What the map knows is in the image; returns how many clusters it knows. */
static uint64_t
check_map(struct fixture *f)
{
    struct err err = ERR_INIT;
    uint64_t bytes = f->source.source.bytes, known = 0;
    for (uint64_t c = 0; c < div_up(bytes, CLUSTER_BYTES); c++) {
        uint64_t value, at = c * CLUSTER_BYTES;
        size_t len = (size_t)MIN(CLUSTER_BYTES, bytes - at);
        assert_ok(map_get(f->map, c, 1, &value, &err));
        if (value == CLUSTER_UNKNOWN)
            continue;
        known++;
        assert_int_equal(value, cluster_hash(f->source.disk.bytes + at, len));
        assert_memory_equal(f->target.disk.bytes + at, f->source.disk.bytes + at, len);
    }
    return known;
}

static void
test_everything_arrives_whatever_the_order(void **state)
{
    (void)state;
    static const uint64_t sizes[] = { 512, CLUSTER_BYTES, REQUEST_BYTES, REQUEST_BYTES + 512,
                                      7 * REQUEST_BYTES + 3 * CLUSTER_BYTES + 1024 };
    for (unsigned kind = 0; kind < 128; kind++) {
        struct fixture f;
        struct err err = ERR_INIT;
        uint64_t bytes = sizes[kind % ARRAY_LEN(sizes)];
        open_all(&f, bytes, kind, kind);
        assert_ok(run(&f, NULL, false, &err));
        assert_memory_equal(f.target.disk.bytes, f.source.disk.bytes, bytes);
        assert_int_equal(check_map(&f), div_up(bytes, CLUSTER_BYTES));
        assert_int_equal(f.progress.total_bytes, bytes);
        assert_int_equal(f.progress.done_bytes, bytes);
        assert_int_equal(f.progress.data_bytes + f.progress.zero_bytes, bytes);
        assert_int_equal(f.progress.read_bytes, f.source.disk.read_bytes);
        assert_int_equal(f.progress.known_bytes, 0);
        assert_true(f.target.disk.n_flushes > 0);
        close_all(&f);
    }
}

static void
test_requests_in_flight_are_bounded(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = ERR_INIT;
    open_all(&f, 64 * REQUEST_BYTES, 1 | 2 | 24, 5); /* both asynchronous, four lanes */
    memset(f.source.disk.bytes, 7, f.source.disk.n_bytes);
    assert_ok(run(&f, NULL, false, &err));
    assert_memory_equal(f.target.disk.bytes, f.source.disk.bytes, f.source.disk.n_bytes);
    assert_true(f.source.disk.n_buffers <= 4 * 4);
    size_t most = 0;
    for (size_t i = 0; i < FAKE_LANES; i++)
        most = MAX(most, f.source.queues[i].most);
    assert_int_equal(most, 4); /* they were under way together */
    close_all(&f);
}

/* Short requests share the room of whole ones: more at once, and no more bytes. */
static void
test_more_of_them_are_in_flight_when_they_are_short(void **state)
{
    (void)state;
    static const struct {
        uint64_t len;
        size_t most;
    } cases[] = { { CLUSTER_BYTES, 16 },
                  { 3 * CLUSTER_BYTES, 16 },
                  { 5 * CLUSTER_BYTES, 8 },
                  { REQUEST_BYTES - CLUSTER_BYTES, 4 } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (unsigned kind = 1; kind <= 3; kind += 2) { /* and the target at once, or not */
            struct fixture f;
            struct err err = ERR_INIT;
            open_all(&f, 20 * 2 * REQUEST_BYTES, kind, 6);
            f.source.source.small_depth = 16;
            auto_extents struct extent_list ranges = { 0 };
            for (uint64_t at = 0; at < f.source.source.bytes; at += 2 * REQUEST_BYTES) {
                memset(f.source.disk.bytes + at, 7, cases[i].len);
                assert_ok(extent_add(&ranges, at, cases[i].len, false, &err));
            }
            assert_ok(run(&f, &ranges, false, &err));
            for (uint64_t at = 0; at < f.source.source.bytes; at += 2 * REQUEST_BYTES)
                assert_memory_equal(f.target.disk.bytes + at, f.source.disk.bytes + at,
                                    cases[i].len);
            assert_int_equal(f.source.queues[0].most, cases[i].most);
            close_all(&f);
        }
}

static void
test_an_error_anywhere_ends_the_copy_and_the_map_stays_true(void **state)
{
    (void)state;
    uint64_t seed = 11;
    for (unsigned kind = 0; kind < 64; kind++)
        for (unsigned side = 0; side < 2; side++) {
            struct fixture f;
            struct err err = ERR_INIT;
            uint64_t bytes = 9 * REQUEST_BYTES + 512;
            open_all(&f, bytes, kind | 64, kind);
            struct fake_disk *disk = side ? &f.target.disk : &f.source.disk;
            uint64_t at = next_random(&seed) % 9 * REQUEST_BYTES;
            memset(f.source.disk.bytes + at, 1, CLUSTER_BYTES);
            disk->fail_from = at;
            disk->fail_to = at + 512;
            assert_int_equal(run(&f, NULL, false, &err), -1);
            assert_int_equal(err.kind, ERR_IO);
            assert_non_null(strstr(err.text, side ? "No space left" : "Input/output error"));
            assert_true(check_map(&f) < div_up(bytes, CLUSTER_BYTES));

            /* The cause gone, it goes on, and does not do again what is known. */
            disk->fail_to = 0;
            fake_reconnect(&f.source, &f.target);
            uint64_t read_before = f.source.disk.read_bytes;
            f.progress = (struct copy_progress){ 0 };
            err = ERR_INIT;
            f.target.target.zero_at_start = false;
            assert_ok(run(&f, NULL, true, &err));
            assert_memory_equal(f.target.disk.bytes, f.source.disk.bytes, bytes);
            assert_int_equal(check_map(&f), div_up(bytes, CLUSTER_BYTES));
            assert_int_equal(f.progress.done_bytes, bytes);
            assert_true(f.source.disk.read_bytes - read_before + f.progress.known_bytes <= bytes);
            close_all(&f);
        }
}

static void
test_a_stop_is_obeyed(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = ERR_INIT;
    open_all(&f, 9 * REQUEST_BYTES, 1 | 2 | 64, 3);
    atomic_store(&f.progress.stop, true);
    assert_fails(run(&f, NULL, false, &err), ERR_CANCELLED, "stopped");
    assert_int_equal(f.source.disk.n_reads, 0);
    close_all(&f);
}

static void
test_ranges_touch_nothing_else(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 32; kind++) {
        struct fixture f;
        struct err err = ERR_INIT;
        uint64_t bytes = 5 * REQUEST_BYTES + 512;
        open_all(&f, bytes, kind & ~4u, kind);
        auto_extents struct extent_list ranges = { 0 };
        uint64_t list[][2] = { { CLUSTER_BYTES, CLUSTER_BYTES },
                               { 2 * REQUEST_BYTES - CLUSTER_BYTES, 3 * CLUSTER_BYTES },
                               { 5 * REQUEST_BYTES, 512 } };
        uint64_t sum = 0;
        for (size_t i = 0; i < ARRAY_LEN(list); i++) {
            assert_ok(extent_add(&ranges, list[i][0], list[i][1], false, &err));
            sum += list[i][1];
        }
        assert_ok(run(&f, &ranges, false, &err));
        assert_int_equal(f.progress.total_bytes, sum);
        assert_int_equal(f.progress.done_bytes, sum);
        for (uint64_t at = 0; at < bytes; at++) {
            bool in = false;
            for (size_t i = 0; i < ARRAY_LEN(list); i++)
                in |= at >= list[i][0] && at < list[i][0] + list[i][1];
            if (f.target.disk.bytes[at] != (in ? f.source.disk.bytes[at] : 0xee))
                fail_msg("kind %u, byte %llu", kind, (unsigned long long)at);
        }
        close_all(&f);
    }
}

/* What the map knows is in the image, whatever the source has; and how many clusters it knows. */
static uint64_t
check_map_of_image(struct fixture *f)
{
    struct err err = ERR_INIT;
    uint64_t bytes = f->target.target.bytes, known = 0;
    for (uint64_t c = 0; c < div_up(bytes, CLUSTER_BYTES); c++) {
        uint64_t value, at = c * CLUSTER_BYTES;
        size_t len = (size_t)MIN(CLUSTER_BYTES, bytes - at);
        assert_ok(map_get(f->map, c, 1, &value, &err));
        if (value == CLUSTER_UNKNOWN)
            continue;
        known++;
        assert_int_equal(value, cluster_hash(f->target.disk.bytes + at, len));
    }
    return known;
}

/* Some clusters get other content, or zeroes, or data where zeroes were; how many. */
static uint64_t
change_clusters(struct fixture *f, uint64_t *seed)
{
    uint64_t n = div_up(f->source.source.bytes, CLUSTER_BYTES), changed = 0;
    for (uint64_t c = 0; c < n; c++) {
        uint8_t *at = f->source.disk.bytes + c * CLUSTER_BYTES;
        size_t len = (size_t)MIN(CLUSTER_BYTES, f->source.source.bytes - c * CLUSTER_BYTES);
        if (next_random(seed) % 4 != 0)
            continue;
        bool zero = next_random(seed) % 3 == 0, was_zero = bytes_are_zero(at, len);
        if (zero)
            memset(at, 0, len);
        else
            at[next_random(seed) % len] += 1 + (uint8_t)(next_random(seed) % 200);
        changed += !(zero && was_zero);
    }
    return changed;
}

static void
test_a_comparison_writes_what_differs_and_no_more(void **state)
{
    (void)state;
    uint64_t seed = 77;
    for (unsigned kind = 0; kind < 128; kind += 5) {
        struct fixture f;
        struct err err = ERR_INIT;
        struct written *written = NULL;
        uint64_t bytes = 7 * REQUEST_BYTES + 3 * CLUSTER_BYTES + 1024;
        open_all(&f, bytes, kind, kind);
        assert_ok(run(&f, NULL, false, &err));
        f.target.target.zero_at_start = false;
        for (unsigned round = 0; round < 3; round++) {
            uint64_t changed = round < 2 ? change_clusters(&f, &seed) : 0;
            struct map_info info = *map_info(f.map);
            info.compared_bytes = 0;
            assert_ok(map_set_info(f.map, &info, &err));
            assert_ok(written_new(bytes, &written, &err));
            assert_ok(compare(&f, written, &err));
            assert_memory_equal(f.target.disk.bytes, f.source.disk.bytes, bytes);
            assert_int_equal(check_map(&f), div_up(bytes, CLUSTER_BYTES));
            assert_int_equal(written_count(written), changed);
            assert_true(f.progress.written_bytes <= changed * CLUSTER_BYTES &&
                        f.progress.written_bytes + CLUSTER_BYTES > changed * CLUSTER_BYTES);
            assert_int_equal(f.progress.done_bytes, bytes);
            assert_int_equal(f.progress.data_bytes + f.progress.zero_bytes, bytes);
            written_free(written);
        }
        close_all(&f);
    }
}

static void
test_a_comparison_that_fails_leaves_a_map_that_is_true(void **state)
{
    (void)state;
    uint64_t seed = 78;
    for (unsigned kind = 0; kind < 64; kind += 5)
        for (unsigned side = 0; side < 2; side++) {
            struct fixture f;
            struct err err = ERR_INIT;
            uint64_t bytes = 9 * REQUEST_BYTES + 512;
            open_all(&f, bytes, kind | 64, kind);
            assert_ok(run(&f, NULL, false, &err));
            f.target.target.zero_at_start = false;
            change_clusters(&f, &seed);
            struct fake_disk *disk = side ? &f.target.disk : &f.source.disk;
            uint64_t at = next_random(&seed) % 9 * REQUEST_BYTES;
            memset(f.source.disk.bytes + at, 1, CLUSTER_BYTES);
            disk->fail_from = at;
            disk->fail_to = at + 512;
            assert_int_equal(compare(&f, NULL, &err), -1);
            assert_int_equal(err.kind, ERR_IO);
            check_map_of_image(&f);
            assert_true(map_info(f.map)->compared_bytes <= at);

            /* It goes on where it was, and reads no more again than it has to. */
            disk->fail_to = 0;
            fake_reconnect(&f.source, &f.target);
            uint64_t read_before = f.source.disk.read_bytes;
            err = ERR_INIT;
            assert_ok(compare(&f, NULL, &err));
            assert_memory_equal(f.target.disk.bytes, f.source.disk.bytes, bytes);
            assert_int_equal(check_map(&f), div_up(bytes, CLUSTER_BYTES));
            assert_int_equal(f.progress.done_bytes, bytes);
            assert_true(f.source.disk.read_bytes - read_before + f.progress.known_bytes <= bytes);
            close_all(&f);
        }
}

#define SCRATCH_TEST(name) cmocka_unit_test_setup_teardown(name, scratch_enter, scratch_leave)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_everything_arrives_whatever_the_order),
        SCRATCH_TEST(test_requests_in_flight_are_bounded),
        SCRATCH_TEST(test_more_of_them_are_in_flight_when_they_are_short),
        SCRATCH_TEST(test_an_error_anywhere_ends_the_copy_and_the_map_stays_true),
        SCRATCH_TEST(test_a_stop_is_obeyed),
        SCRATCH_TEST(test_ranges_touch_nothing_else),
        SCRATCH_TEST(test_a_comparison_writes_what_differs_and_no_more),
        SCRATCH_TEST(test_a_comparison_that_fails_leaves_a_map_that_is_true),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
