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

#define SCRATCH_TEST(name) cmocka_unit_test_setup_teardown(name, scratch_enter, scratch_leave)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_everything_arrives_whatever_the_order),
        SCRATCH_TEST(test_requests_in_flight_are_bounded),
        SCRATCH_TEST(test_an_error_anywhere_ends_the_copy_and_the_map_stays_true),
        SCRATCH_TEST(test_a_stop_is_obeyed),
        SCRATCH_TEST(test_ranges_touch_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
