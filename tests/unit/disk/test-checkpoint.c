/* The order that keeps a map honest: data, flush of the image, records, flush of the map. */
#include "disk/checkpoint.h"

#include <errno.h>
#include <stdatomic.h>

#include "scratch.h"

#define CLUSTERS 4096

struct watched_target {
    struct target target;
    struct map *map;
    /* Cluster c was handed in as number order[c] (from 1 on). */
    _Atomic uint32_t order[CLUSTERS];
    _Atomic uint32_t n_added;
    _Atomic uint32_t flushed; /* all handed in before this one are durable in the image */
    _Atomic uint64_t added_bytes;
    uint64_t most_waiting_bytes;
    unsigned n_flushes, fail_at;
    unsigned n_early; /* records that were there before the flush of their data */
};

/* Nothing may be in the map that was not flushed. */
static void
look_for_early_records(struct watched_target *w)
{
    struct err err = ERR_INIT;
    uint64_t values[REQUEST_CLUSTERS];
    for (uint64_t c = 0; c < CLUSTERS; c += REQUEST_CLUSTERS) {
        assert_ok(map_get(w->map, c, REQUEST_CLUSTERS, values, &err));
        for (size_t i = 0; i < REQUEST_CLUSTERS; i++)
            w->n_early += values[i] != CLUSTER_UNKNOWN && w->order[c + i] > w->flushed;
    }
}

static uint64_t
known_clusters(struct map *map)
{
    struct err err = ERR_INIT;
    uint64_t known = 0, value;
    for (uint64_t c = 0; c < CLUSTERS; c++) {
        assert_ok(map_get(map, c, 1, &value, &err));
        known += value != CLUSTER_UNKNOWN;
    }
    return known;
}

static int
watched_flush(struct target *tgt, struct err *err)
{
    struct watched_target *w = (struct watched_target *)tgt;
    uint32_t until = atomic_load(&w->n_added);
    look_for_early_records(w);
    uint64_t waiting = w->added_bytes - known_clusters(w->map) * CLUSTER_BYTES;
    w->most_waiting_bytes = MAX(w->most_waiting_bytes, waiting);
    if (++w->n_flushes == w->fail_at)
        return err_errno(err, EIO, "watched: flush");
    atomic_store(&w->flushed, until);
    return 0;
}

static const struct target_ops watched_ops = { .name = "watched", .flush = watched_flush };

static struct watched_target *
watched_open(const char *path)
{
    struct err err = ERR_INIT;
    struct watched_target *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->target = (struct target){ .ops = &watched_ops, .name = (char *)"watched" };
    struct map_info info = { .disk_bytes = CLUSTERS * CLUSTER_BYTES };
    assert_ok(map_create(path, &info, &w->map, &err));
    return w;
}

static void
watched_close(struct watched_target *w)
{
    map_close(w->map);
    free(w);
}

/* Hand in clusters [first, first + n). */
static int
add(struct checkpoint *cp, struct watched_target *w, uint64_t first, uint64_t n, struct err *err)
{
    struct checkpoint_entry entry = { .first = first, .n = n };
    for (size_t i = 0; i < n; i++) {
        entry.values[i] = 100 + first + i;
        /* Its number is known before anybody could enter it. */
        atomic_store(&w->order[first + i], UINT32_MAX);
    }
    uint32_t number = atomic_fetch_add(&w->n_added, 1) + 1;
    for (size_t i = 0; i < n; i++)
        atomic_store(&w->order[first + i], number);
    atomic_fetch_add(&w->added_bytes, n * CLUSTER_BYTES);
    return checkpoint_add(cp, &entry, n * CLUSTER_BYTES, err);
}

static void
test_records_follow_the_flush(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct watched_target *w = watched_open("map");
    struct checkpoint cp;
    assert_ok(checkpoint_start(&cp, &w->target, w->map, &err));
    for (uint64_t c = 0; c < CLUSTERS; c += REQUEST_CLUSTERS)
        assert_ok(add(&cp, w, c, REQUEST_CLUSTERS, &err));
    assert_ok(checkpoint_finish(&cp, &err));
    look_for_early_records(w);
    assert_int_equal(w->n_early, 0);
    /* 256 MiB: several checkpoints, the last one for what was left. */
    assert_true(w->n_flushes >= 5);
    assert_int_equal(known_clusters(w->map), CLUSTERS);
    watched_close(w);
}

static void
test_what_waits_is_bounded(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct watched_target *w = watched_open("map");
    struct checkpoint cp;
    assert_ok(checkpoint_start(&cp, &w->target, w->map, &err));
    for (uint64_t c = 0; c < CLUSTERS; c += REQUEST_CLUSTERS)
        assert_ok(add(&cp, w, c, REQUEST_CLUSTERS, &err));
    assert_ok(checkpoint_finish(&cp, &err));
    /* One more may be on its way in, and one is over the edge. */
    assert_true(w->most_waiting_bytes <= CHECKPOINT_LIMIT_BYTES + 2 * REQUEST_BYTES);
    /* With all requests in flight it is what a kill may cost: four lanes of four. */
    assert_true(CHECKPOINT_LIMIT_BYTES + REQUEST_BYTES + 16 * REQUEST_BYTES < 64 * MIB);
    watched_close(w);
}

struct adder {
    struct checkpoint *cp;
    struct watched_target *w;
    uint64_t first;
    int result;
    pthread_t thread;
};

static void *
add_many(void *arg)
{
    struct adder *a = arg;
    struct err err = ERR_INIT;
    for (uint64_t c = a->first; c < a->first + CLUSTERS / 4 && a->result == 0;
         c += REQUEST_CLUSTERS)
        a->result = add(a->cp, a->w, c, REQUEST_CLUSTERS, &err);
    return NULL;
}

static void
test_lanes_hand_in_together(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct watched_target *w = watched_open("map");
    struct checkpoint cp;
    struct adder adders[4];
    assert_ok(checkpoint_start(&cp, &w->target, w->map, &err));
    for (size_t i = 0; i < 4; i++) {
        adders[i] = (struct adder){ .cp = &cp, .w = w, .first = i * CLUSTERS / 4 };
        assert_int_equal(pthread_create(&adders[i].thread, NULL, add_many, &adders[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(adders[i].thread, NULL);
        assert_int_equal(adders[i].result, 0);
    }
    assert_ok(checkpoint_finish(&cp, &err));
    assert_int_equal(w->n_early, 0);
    assert_int_equal(known_clusters(w->map), CLUSTERS);
    watched_close(w);
}

static void
test_a_failed_flush_enters_nothing_and_is_told(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    for (unsigned fail_at = 1; fail_at < 4; fail_at++) {
        struct watched_target *w = watched_open("map");
        w->fail_at = fail_at;
        struct checkpoint cp;
        int r = 0;
        assert_ok(checkpoint_start(&cp, &w->target, w->map, &err));
        for (uint64_t c = 0; c < CLUSTERS && r == 0; c += REQUEST_CLUSTERS)
            r = add(&cp, w, c, REQUEST_CLUSTERS, &err);
        assert_int_equal(r, -1); /* well before all of it */
        assert_non_null(strstr(err.text, "watched: flush"));
        assert_fails(checkpoint_finish(&cp, &err), ERR_IO, "watched: flush");
        look_for_early_records(w);
        assert_int_equal(w->n_early, 0);
        if (fail_at == 1)
            assert_int_equal(known_clusters(w->map), 0);
        assert_true(known_clusters(w->map) < CLUSTERS);
        watched_close(w);
    }
}

static void
test_zero_ranges_and_many_small_entries(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct watched_target *w = watched_open("map");
    struct checkpoint cp;
    assert_ok(checkpoint_start(&cp, &w->target, w->map, &err));
    for (uint64_t c = 0; c < CLUSTERS; c += 2) {
        struct checkpoint_entry zero = { .first = c, .n = 1, .zero = true };
        assert_ok(checkpoint_add(&cp, &zero, 0, &err));
        assert_ok(add(&cp, w, c + 1, 1, &err));
    }
    assert_ok(checkpoint_finish(&cp, &err));
    for (uint64_t c = 0; c < CLUSTERS; c++) {
        uint64_t value;
        assert_ok(map_get(w->map, c, 1, &value, &err));
        assert_int_equal(value, c % 2 ? 100 + c : CLUSTER_ZERO);
    }
    watched_close(w);
}

/* The map of a copy that cannot be resumed costs no flush until the end. */
static void
test_map_in_memory_takes_records_at_once(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct watched_target *w = watched_open(NULL);
    struct checkpoint cp;
    assert_ok(checkpoint_start(&cp, &w->target, w->map, &err));
    for (uint64_t c = 0; c < CLUSTERS; c += REQUEST_CLUSTERS)
        assert_ok(add(&cp, w, c, REQUEST_CLUSTERS, &err));
    assert_int_equal(known_clusters(w->map), CLUSTERS);
    assert_int_equal(w->n_flushes, 0);
    assert_ok(checkpoint_finish(&cp, &err));
    assert_int_equal(w->n_flushes, 1);
    watched_close(w);
}

#define SCRATCH_TEST(name) cmocka_unit_test_setup_teardown(name, scratch_enter, scratch_leave)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_records_follow_the_flush),
        SCRATCH_TEST(test_what_waits_is_bounded),
        SCRATCH_TEST(test_lanes_hand_in_together),
        SCRATCH_TEST(test_a_failed_flush_enters_nothing_and_is_told),
        SCRATCH_TEST(test_zero_ranges_and_many_small_entries),
        SCRATCH_TEST(test_map_in_memory_takes_records_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
