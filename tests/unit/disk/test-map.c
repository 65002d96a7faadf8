#include "disk/map.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "disk/disk.h"
#include "scratch.h"

#define SLOT_BYTES 4096
#define DIRECTORY_AT (2 * SLOT_BYTES)
#define RECORDS_AT (3 * SLOT_BYTES) /* of a small map */

static struct map *
create(const char *path, uint64_t disk_bytes)
{
    struct err err = ERR_INIT;
    struct map *map = NULL;
    struct map_info info = {
        .disk_bytes = disk_bytes,
        .source_id = "the source",
        .target_id = "the target",
        .change_id = "52 3c",
    };
    assert_ok(map_create(path, &info, &map, &err));
    return map;
}

static struct map *
reopen(const char *path)
{
    struct err err = ERR_INIT;
    struct map *map = NULL;
    assert_ok(map_open(path, &map, &err));
    return map;
}

static uint64_t
get(struct map *map, uint64_t cluster)
{
    struct err err = ERR_INIT;
    uint64_t value = 99;
    assert_ok(map_get(map, cluster, 1, &value, &err));
    return value;
}

static void
put(const char *path, uint64_t at, const void *data, size_t len)
{
    auto_close int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, data, len, (off_t)at), len);
}

static void
test_new_map_knows_nothing_and_comes_back(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct map *map = create("map", 100 * CLUSTER_BYTES + 1);
    assert_true(map_is_durable(map));
    for (uint64_t c = 0; c <= 100; c++)
        assert_int_equal(get(map, c), CLUSTER_UNKNOWN);
    uint64_t values[3] = { 77, CLUSTER_ZERO, (UINT64_C(1) << CLUSTER_HASH_BITS) - 1 };
    assert_ok(map_set(map, 98, 3, values, &err));
    map_close(map);

    map = reopen("map");
    assert_int_equal(map_info(map)->disk_bytes, 100 * CLUSTER_BYTES + 1);
    assert_string_equal(map_info(map)->source_id, "the source");
    assert_string_equal(map_info(map)->target_id, "the target");
    assert_string_equal(map_info(map)->change_id, "52 3c");
    assert_false(map_info(map)->complete);
    assert_int_equal(get(map, 97), CLUSTER_UNKNOWN);
    assert_int_equal(get(map, 98), 77);
    assert_int_equal(get(map, 99), CLUSTER_ZERO);
    assert_int_equal(get(map, 100), values[2]);
    assert_ok(map_fill(map, 98, 1, CLUSTER_UNKNOWN, &err));
    assert_int_equal(get(map, 98), CLUSTER_UNKNOWN);
    assert_fails(map_get(map, 101, 1, values, &err), ERR_BUG, "101");
    assert_fails(map_set(map, 100, 2, values, &err), ERR_BUG, "100");
    assert_fails(map_fill(map, UINT64_MAX, 2, 0, &err), ERR_BUG, "map");
    map_close(map);
}

static void
test_map_in_memory(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct map *map = create(NULL, 8 * TIB);
    uint64_t value = 5;
    assert_false(map_is_durable(map));
    assert_ok(map_set(map, 8 * TIB / CLUSTER_BYTES - 1, 1, &value, &err));
    assert_int_equal(get(map, 8 * TIB / CLUSTER_BYTES - 1), 5);
    map_close(map);
}

static void
test_whole_chunks_of_zero_cost_nothing_and_expand(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    const uint64_t n = 3 * MAP_CHUNK_CLUSTERS + 10;
    struct map *map = create("map", n * CLUSTER_BYTES);
    assert_int_equal(map_zero_run(map, 0, n), 0);
    assert_ok(map_fill(map, 0, n, CLUSTER_ZERO, &err));
    assert_int_equal(map_zero_run(map, 0, n), n);
    assert_int_equal(map_zero_run(map, 5, 7), 7);
    assert_int_equal(map_zero_run(map, n - 1, 100), 1);
    struct stat st;
    assert_int_equal(stat("map", &st), 0);
    assert_true(st.st_blocks * 512 <= 16 * 1024);
    for (uint64_t c = 0; c < n; c += 511)
        assert_int_equal(get(map, c), CLUSTER_ZERO);

    /* One record that is not zero opens its chunk; all others of it stay zero. */
    uint64_t value = 1234;
    assert_ok(map_set(map, MAP_CHUNK_CLUSTERS + 3, 1, &value, &err));
    assert_int_equal(map_zero_run(map, 0, n), MAP_CHUNK_CLUSTERS);
    map_close(map);
    map = reopen("map");
    for (uint64_t c = 0; c < n; c++) {
        uint64_t wanted = c == MAP_CHUNK_CLUSTERS + 3 ? 1234 : CLUSTER_ZERO;
        if (get(map, c) != wanted)
            fail_msg("cluster %d", (int)c);
    }
    /* And a chunk becomes one of zeroes again, whatever its records say. */
    assert_ok(map_fill(map, MAP_CHUNK_CLUSTERS, MAP_CHUNK_CLUSTERS, CLUSTER_ZERO, &err));
    assert_int_equal(map_zero_run(map, 0, n), n);
    assert_int_equal(get(map, MAP_CHUNK_CLUSTERS + 3), CLUSTER_ZERO);
    /* Unknown opens it as well. */
    assert_ok(map_fill(map, n - 3, 2, CLUSTER_UNKNOWN, &err));
    assert_int_equal(get(map, n - 4), CLUSTER_ZERO);
    assert_int_equal(get(map, n - 3), CLUSTER_UNKNOWN);
    assert_int_equal(get(map, n - 2), CLUSTER_UNKNOWN);
    assert_int_equal(get(map, n - 1), CLUSTER_ZERO);
    map_close(map);
}

static void
test_ranges_cross_chunks(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct map *map = create("map", 2 * MAP_CHUNK_CLUSTERS * CLUSTER_BYTES);
    uint64_t values[REQUEST_CLUSTERS], found[REQUEST_CLUSTERS + 2];
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        values[i] = 100 + i;
    assert_ok(map_set(map, MAP_CHUNK_CLUSTERS - 5, ARRAY_LEN(values), values, &err));
    assert_ok(map_get(map, MAP_CHUNK_CLUSTERS - 6, ARRAY_LEN(found), found, &err));
    assert_int_equal(found[0], CLUSTER_UNKNOWN);
    assert_memory_equal(found + 1, values, sizeof values);
    assert_int_equal(found[ARRAY_LEN(found) - 1], CLUSTER_UNKNOWN);
    assert_ok(map_fill(map, MAP_CHUNK_CLUSTERS - 2, 4, CLUSTER_ZERO, &err));
    assert_int_equal(get(map, MAP_CHUNK_CLUSTERS - 3), 102);
    assert_int_equal(get(map, MAP_CHUNK_CLUSTERS + 1), CLUSTER_ZERO);
    assert_int_equal(get(map, MAP_CHUNK_CLUSTERS + 2), 107);
    map_close(map);
}

/* The header goes to the two slots in turn: at any moment one of them is whole. */
static void
test_a_torn_slot_leaves_the_other(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct map *map = create("map", CLUSTER_BYTES);
    for (unsigned generation = 1; generation <= 6; generation++) {
        struct map_info info = *map_info(map);
        info.generation = generation;
        info.complete = true;
        assert_ok(map_set_info(map, &info, &err));
        map_close(map);
        /* The slot written last is torn: what was before counts. */
        uint8_t page[SLOT_BYTES], garbage[512];
        uint64_t at = (generation + 1) % 2 * SLOT_BYTES;
        memset(garbage, 0xa5, sizeof garbage);
        auto_close int fd = open("map", O_RDONLY | O_CLOEXEC);
        assert_int_equal(pread(fd, page, sizeof page, (off_t)at), sizeof page);
        put("map", at + (uint64_t)(generation % 8) * 512, garbage, sizeof garbage);
        map = reopen("map");
        assert_int_equal(map_info(map)->generation, generation - 1);
        map_close(map);
        put("map", at, page, sizeof page);
        map = reopen("map");
        assert_int_equal(map_info(map)->generation, generation);
    }
    map_close(map);
}

static void
test_damaged_maps_are_refused(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct map *map;
    uint8_t garbage[2 * SLOT_BYTES];
    memset(garbage, 0xa5, sizeof garbage);
    assert_fails(map_open("none", &map, &err), ERR_NOT_FOUND, "none");
    assert_ok(file_write_atomic("map", "", 0, 0600, &err));
    assert_fails(map_open("map", &map, &err), ERR_INVALID, "map");
    assert_ok(file_write_atomic("map", garbage, sizeof garbage, 0600, &err));
    assert_fails(map_open("map", &map, &err), ERR_INVALID, "not a map");

    map_close(create("map", 20 * CLUSTER_BYTES));
    struct stat st;
    assert_int_equal(stat("map", &st), 0);
    assert_int_equal(truncate("map", st.st_size - 1), 0);
    assert_fails(map_open("map", &map, &err), ERR_INVALID, "cut off");
    assert_int_equal(truncate("map", 5000), 0);
    assert_fails(map_open("map", &map, &err), ERR_INVALID, "map");

    map_close(create("map", 20 * CLUSTER_BYTES));
    put("map", DIRECTORY_AT, garbage, 4);
    assert_fails(map_open("map", &map, &err), ERR_INVALID, "chunk 0");
    put("map", DIRECTORY_AT, "\1\0\0\0", 4);
    assert_fails(map_open("map", &map, &err), ERR_INVALID, "chunk 0");
}

/* What is scrambled may become unknown, and nothing else. */
static void
test_scrambled_records_are_unknown(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    uint64_t seed = 7;
    struct map *map = create("map", 512 * CLUSTER_BYTES);
    for (uint64_t c = 0; c < 512; c++) {
        uint64_t value = c % 5 ? 2 + c * 12345 : CLUSTER_ZERO;
        assert_ok(map_set(map, c, 1, &value, &err));
    }
    for (int round = 0; round < 2000; round++) {
        uint64_t c = next_random(&seed) % 512, before = get(map, c), wire;
        auto_close int fd = open("map", O_RDWR | O_CLOEXEC);
        uint64_t at = RECORDS_AT + c * 8;
        assert_int_equal(pread(fd, &wire, 8, (off_t)at), 8);
        uint64_t other = wire;
        while (other == wire)
            other = round % 2 ? wire ^ UINT64_C(1) << next_random(&seed) % 64
                              : wire ^ UINT64_C(0xff) << next_random(&seed) % 8 * 8;
        put("map", at, &other, 8);
        uint64_t found = get(map, c);
        if (found != CLUSTER_UNKNOWN)
            fail_msg("record %d: %llx became %llx", (int)c, (unsigned long long)before,
                     (unsigned long long)found);
        put("map", at, &wire, 8);
        assert_int_equal(get(map, c), before);
    }
    /* A good record in the wrong place is none. */
    uint64_t wire;
    auto_close int fd = open("map", O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, &wire, 8, RECORDS_AT + 3 * 8), 8);
    put("map", RECORDS_AT + 4 * 8, &wire, 8);
    assert_int_equal(get(map, 4), CLUSTER_UNKNOWN);
    map_close(map);
}

static void
test_sizes_out_of_range_are_refused(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct map *map;
    struct map_info info = { .disk_bytes = 0 };
    assert_fails(map_create("map", &info, &map, &err), ERR_INVALID, "disk of 0 bytes");
    info.disk_bytes = DISK_MAX_BYTES + 1;
    assert_fails(map_create("map", &info, &map, &err), ERR_INVALID, "disk of");
}

#define SCRATCH_TEST(name) cmocka_unit_test_setup_teardown(name, scratch_enter, scratch_leave)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_new_map_knows_nothing_and_comes_back),
        SCRATCH_TEST(test_map_in_memory),
        SCRATCH_TEST(test_whole_chunks_of_zero_cost_nothing_and_expand),
        SCRATCH_TEST(test_ranges_cross_chunks),
        SCRATCH_TEST(test_a_torn_slot_leaves_the_other),
        SCRATCH_TEST(test_damaged_maps_are_refused),
        SCRATCH_TEST(test_scrambled_records_are_unknown),
        SCRATCH_TEST(test_sizes_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
