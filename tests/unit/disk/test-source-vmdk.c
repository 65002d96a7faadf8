/* streamOptimized VMDKs through the whole copy: several lanes, any order, grains of every size. */
#include "disk/copy.h"

#include "fake-disk.h"
#include "vmdk-writer.h"

struct copied {
    struct fake_target target;
    struct copy_progress progress;
    struct map *map;
};

static int
copy_stream(struct copied *c, const struct writer *w, bool async, bool zero_at_start,
            struct err *err)
{
    struct byte_input *in;
    struct source *source;
    uint64_t bytes = w->capacity * VMDK_SECTOR;
    memset(c, 0, sizeof *c);
    assert_int_equal(byte_input_memory(w->data, w->len, &in, err), 0);
    if (source_vmdk_open(in, "", &source, err) < 0)
        return -1;
    assert_int_equal(source->bytes, bytes);
    fake_target_open(&c->target, bytes, async, zero_at_start);
    c->target.target.max_lanes = FAKE_LANES;
    struct rate rate;
    rate_init(&rate, 0);
    struct map_info info = { .disk_bytes = bytes };
    assert_int_equal(map_create(NULL, &info, &c->map, err), 0);
    struct copy_spec spec = {
        .source = source,
        .target = &c->target.target,
        .map = c->map,
        .rate = &rate,
    };
    int r = copy_disk(&spec, &c->progress, err);
    source_close(source);
    rate_done(&rate);
    return r;
}

static void
copied_done(struct copied *c)
{
    if (c->target.disk.bytes)
        fake_target_close(&c->target);
    map_close(c->map);
}

/* A disk in random grains; some come twice, and then the second is right. */
static struct writer
random_stream(uint64_t seed, uint64_t capacity, uint64_t grain, bool shuffle, bool duplicates,
              uint8_t *ret_disk)
{
    struct writer w = writer_begin(capacity, grain, "");
    size_t n = (size_t)div_up(capacity, grain), grain_bytes = (size_t)grain * VMDK_SECTOR;
    auto_free uint8_t *data = malloc(grain_bytes);
    auto_free size_t *order = calloc(n, sizeof *order);
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    for (size_t i = n; shuffle && i > 1; i--) {
        size_t other = (size_t)(next_random(&seed) % i), kept = order[i - 1];
        order[i - 1] = order[other];
        order[other] = kept;
    }
    memset(ret_disk, 0, capacity * VMDK_SECTOR);
    for (size_t i = 0; i < n; i++) {
        uint64_t lba = order[i] * grain;
        if (next_random(&seed) % 4 == 0)
            continue; /* never comes: zero */
        for (unsigned times = duplicates && next_random(&seed) % 3 == 0 ? 2 : 1; times > 0;
             times--) {
            memset(data, (int)(next_random(&seed) % 256), grain_bytes);
            uint64_t mark = next_random(&seed);
            memcpy(data + next_random(&seed) % (grain_bytes - 8), &mark, 8);
            if (next_random(&seed) % 8 == 0)
                memset(data, 0, grain_bytes); /* stored, though it is zero */
            writer_grain(&w, lba, data, grain_bytes);
        }
        uint64_t end = MIN((lba + grain) * VMDK_SECTOR, capacity * VMDK_SECTOR);
        memcpy(ret_disk + lba * VMDK_SECTOR, data, (size_t)(end - lba * VMDK_SECTOR));
        if (next_random(&seed) % 5 == 0) {
            uint8_t table[VMDK_SECTOR * 4] = { 1 };
            writer_marker(&w, 4, 1);
            writer_add(&w, table, sizeof table);
        }
    }
    writer_end(&w);
    return w;
}

static void
check_arrived(struct copied *c, const uint8_t *disk, uint64_t bytes)
{
    struct err err = ERR_INIT;
    assert_memory_equal(c->target.disk.bytes, disk, bytes);
    assert_int_equal(c->progress.done_bytes, bytes);
    for (uint64_t at = 0; at < bytes; at += CLUSTER_BYTES) {
        uint64_t value;
        assert_ok(map_get(c->map, at / CLUSTER_BYTES, 1, &value, &err));
        assert_int_equal(value, cluster_hash(disk + at, (size_t)MIN(CLUSTER_BYTES, bytes - at)));
    }
}

static void
test_all_grain_sizes_and_orders(void **state)
{
    (void)state;
    for (uint64_t grain = 8; grain <= 2048; grain *= 2)
        for (unsigned kind = 0; kind < 16; kind++) {
            uint64_t capacity = MIN(grain * 37, (uint64_t)8192) + (kind & 8 ? 3 : 0);
            struct err err = ERR_INIT;
            struct copied c;
            auto_free uint8_t *disk = malloc(capacity * VMDK_SECTOR);
            struct writer w =
                random_stream(grain + kind, capacity, grain, kind & 1, kind & 2, disk);
            assert_ok(copy_stream(&c, &w, kind & 4, kind & 1, &err));
            check_arrived(&c, disk, capacity * VMDK_SECTOR);
            copied_done(&c);
            free(w.data);
        }
}

static void
fail_copy(struct writer *w, const char *words)
{
    for (int async = 0; async < 2; async++) {
        struct err err = ERR_INIT;
        struct copied c;
        assert_fails(copy_stream(&c, w, async, false, &err), ERR_INVALID, words);
        copied_done(&c);
    }
    free(w->data);
}

static void
test_streams_that_are_not_whole(void **state)
{
    (void)state;
    uint8_t data[65536] = "grain", table[2048] = { 0 };
    struct writer w = writer_begin(2048, 128, "");
    writer_grain(&w, 0, data, sizeof data);
    fail_copy(&w, "without its end marker");

    w = writer_begin(2048, 128, "");
    writer_grain(&w, 0, data, sizeof data);
    w.len -= 512;
    fail_copy(&w, "truncated");

    w = writer_begin(2048, 128, "");
    writer_marker(&w, 0, 0);
    fail_copy(&w, "without the footer");

    w = writer_begin(2048, 128, "");
    writer_marker(&w, 5, 1);
    writer_add(&w, table, sizeof table); /* one sector too few, and then nothing */
    fail_copy(&w, "truncated");

    w = writer_begin(2048, 128, "");
    writer_marker(&w, 1, 3);
    writer_add(&w, table, 512); /* a footer of zeroes */
    writer_marker(&w, 0, 0);
    fail_copy(&w, "footer");
}

static void
test_grains_that_are_damaged(void **state)
{
    (void)state;
    uint8_t data[65537] = "grain", junk[100];
    memset(junk, 0xcc, sizeof junk);
    struct writer w = writer_begin(2048, 128, "");
    writer_raw_grain(&w, 128, junk, sizeof junk);
    writer_end(&w);
    fail_copy(&w, "offset 65536 does not inflate (bad data)");

    w = writer_begin(2048, 128, "");
    writer_grain(&w, 128, data, sizeof data);
    writer_end(&w);
    fail_copy(&w, "it is too long");

    w = writer_begin(2048, 128, "");
    writer_grain(&w, 128, data, 65535);
    writer_end(&w);
    fail_copy(&w, "holds 65535 bytes of 65536");

    w = writer_begin(2048, 128, "");
    writer_grain(&w, 128, data, 65536);
    w.data[w.len - 1] ^= 1; /* in the padding: nobody cares */
    uint32_t compressed_len;
    memcpy(&compressed_len, w.data + w.len - 512 + 8, sizeof compressed_len);
    w.data[w.len - 512 + 12 + compressed_len - 1] ^= 1; /* in the checksum */
    writer_end(&w);
    fail_copy(&w, "bad data");
}

/* Whole, for all that its tables say; qemu-img writes no end marker. */
static void
test_tables_in_front_stand_for_the_end_marker(void **state)
{
    (void)state;
    uint8_t data[65536] = "grain", directory[512] = { 0 }, table[2048] = { 0 };
    for (unsigned grains = 0; grains <= 3; grains++) {
        struct err err = ERR_INIT;
        struct copied c;
        struct writer w = writer_begin(2048, 128, "");
        set_at(directory, 0, 4, 4);
        set_at(table, 0, 8, 4);
        set_at(table, 4 * 15, 9, 4);
        writer_add(&w, directory, sizeof directory);
        writer_add(&w, table, sizeof table);
        set_at(w.data, 56, 3, 8);
        set_at(w.data, 64, 8, 8);
        static const uint64_t lbas[] = { 0, 1920, 1920 };
        for (unsigned i = 0; i < grains; i++)
            writer_grain(&w, lbas[i], data, sizeof data);
        for (int ended = 0; ended < 2; ended++) {
            if (ended)
                writer_marker(&w, 0, 0);
            if (grains < 2)
                assert_fails(copy_stream(&c, &w, false, false, &err), ERR_INVALID, "truncated");
            else
                assert_ok(copy_stream(&c, &w, false, false, &err));
            copied_done(&c);
        }
        free(w.data);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_grain_sizes_and_orders),
        cmocka_unit_test(test_streams_that_are_not_whole),
        cmocka_unit_test(test_grains_that_are_damaged),
        cmocka_unit_test(test_tables_in_front_stand_for_the_end_marker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
