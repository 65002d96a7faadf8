#include "disk/target.h"

#include <endian.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "disk/qcow2-header.h"
#include "scratch.h"

#define C CLUSTER_BYTES
#define DISK (3 * QCOW2_L2_SPAN_BYTES + 5 * C + 512) /* four L2 tables */

static struct target *
open_image(uint64_t bytes, bool create)
{
    struct err err = ERR_INIT;
    struct target *target = NULL;
    struct target_spec spec = {
        .uri = "image", .format = "qcow2", .bytes = bytes, .create = create
    };
    assert_ok(target_open(&spec, &target, &err));
    return target;
}

static void
put(struct target *target, uint64_t offset, size_t len, uint8_t fill)
{
    struct err err = ERR_INIT;
    auto_free uint8_t *data = aligned_alloc(IO_ALIGN, round_up(len, C));
    memset(data, fill, round_up(len, C));
    assert_ok(target->ops->write(target, data, len, offset, &err));
}

/* All of it is fill; 0 may be a hole. */
static void
expect(struct target *target, uint64_t offset, size_t len, uint8_t fill)
{
    struct err err = ERR_INIT;
    auto_free uint8_t *data = aligned_alloc(IO_ALIGN, round_up(len, C));
    bool hole;
    memset(data, 0x77, len);
    assert_ok(target->ops->read(target, 0, data, len, offset, &hole, &err));
    if (hole) {
        assert_int_equal(fill, 0);
        return;
    }
    for (size_t i = 0; i < len; i++)
        assert_int_equal(data[i], fill);
}

static void
finish(struct target *target)
{
    struct err err = ERR_INIT;
    assert_ok(target->ops->finish(target, &err));
    target_close(target);
}

static uint64_t
image_bytes(void)
{
    struct stat st;
    assert_int_equal(stat("image", &st), 0);
    return (uint64_t)st.st_size;
}

static void
test_written_zeroed_and_reopened(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct target *target = open_image(DISK, true);
    assert_true(target->zero_at_start);
    expect(target, 0, 16 * C, 0);
    put(target, 0, 3 * C, 1);
    put(target, 2 * QCOW2_L2_SPAN_BYTES - C, 2 * C, 2); /* across two tables */
    put(target, DISK - C - 512, C, 3);                  /* the last whole one */
    put(target, DISK - 512, 512, 4);                    /* the short one */
    put(target, 2 * C, C, 5);                           /* again, in its place */
    assert_ok(target->ops->zero(target, 0, C, C, &err));
    assert_true(target->ops->is_hole(target, QCOW2_L2_SPAN_BYTES / 2 + C, 0));
    for (int round = 0; round < 3; round++) {
        expect(target, 0, C, 1);
        expect(target, C, C, 0);
        expect(target, 2 * C, C, 5);
        expect(target, 3 * C, 13 * C, 0);
        expect(target, 2 * QCOW2_L2_SPAN_BYTES - C, C, 2);
        expect(target, 2 * QCOW2_L2_SPAN_BYTES, C, 2);
        expect(target, DISK - C - 512, C, 3);
        expect(target, DISK - 512, 512, 4);
        if (round < 2) {
            finish(target);
            target = open_image(DISK, false);
            assert_false(target->zero_at_start);
        }
    }
    /* What was zeroed has kept its place and takes data again. */
    uint64_t before = image_bytes();
    put(target, C, C, 6);
    expect(target, C, C, 6);
    finish(target);
    assert_int_equal(image_bytes(), before);
}

/* A delta that is refused, or that has nothing in it, leaves an image as it was. */
static void
test_finished_image_stays_finished_until_it_is_changed(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_free char *before = NULL;
    size_t before_len, len;
    struct target *target = open_image(DISK, true);
    put(target, 0, 4 * C, 1);
    finish(target);
    assert_ok(file_read("image", 100 * C, &before, &before_len, &err));
    for (int finished = 0; finished < 2; finished++) {
        auto_free char *after = NULL;
        target = open_image(DISK, false);
        expect(target, 0, 4 * C, 1);
        assert_ok(target->ops->zero(target, 0, 8 * C, 100 * C, &err)); /* it is, already */
        assert_ok(target->ops->flush(target, &err));
        if (finished)
            finish(target);
        else
            target_close(target);
        assert_ok(file_read("image", 100 * C, &after, &len, &err));
        assert_int_equal(len, before_len);
        assert_memory_equal(after, before, len);
    }
    for (int zero = 0; zero < 2; zero++) {
        uint8_t header[104];
        target = open_image(DISK, false);
        if (zero)
            assert_ok(target->ops->zero(target, 0, 0, C, &err));
        else
            put(target, 8 * C, C, 2);
        auto_close int fd = open("image", O_RDONLY | O_CLOEXEC);
        assert_int_equal(pread(fd, header, sizeof header, 0), sizeof header);
        assert_int_equal(header[79] & QCOW2_INCOMPATIBLE_DIRTY, QCOW2_INCOMPATIBLE_DIRTY);
        finish(target);
    }
}

static void
test_interrupted_image_is_gone_on_with(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct target *target = open_image(DISK, true);
    put(target, 0, 4 * C, 1);
    assert_ok(target->ops->flush(target, &err));
    put(target, 8 * C, 4 * C, 2); /* the table of these never gets there */
    target_close(target);
    for (uint8_t round = 3; round < 6; round++) {
        target = open_image(DISK, false);
        expect(target, 0, 4 * C, 1);
        expect(target, 8 * C, 4 * C, 0);
        put(target, 16 * C, 2 * C, round);
        target_close(target);
    }
    target = open_image(DISK, false);
    put(target, 8 * C, C, 9);
    finish(target);
    /* Header, L1, one L2, five of data, a refcount table and block: nothing leaked. */
    assert_int_equal(image_bytes(), 10 * C);
    target = open_image(DISK, false);
    expect(target, 0, 4 * C, 1);
    expect(target, 8 * C, C, 9);
    expect(target, 9 * C, 16 * C, 0);
    target_close(target);
}

/* More L2 tables than the cache has places. */
static void
test_tables_come_and_go(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    const uint64_t tables = 200;
    struct target *target = open_image(tables * QCOW2_L2_SPAN_BYTES, true);
    uint64_t seed = 1;
    for (unsigned round = 0; round < 4; round++)
        for (uint64_t t = 0; t < tables; t++) {
            uint64_t table = t * 77 % tables;
            put(target, table * QCOW2_L2_SPAN_BYTES + round * C, C, (uint8_t)(table + round + 1));
            if (next_random(&seed) % 50 == 0)
                assert_ok(target->ops->flush(target, &err));
        }
    for (unsigned reopened = 0; reopened < 2; reopened++) {
        for (uint64_t t = 0; t < tables; t++)
            for (unsigned round = 0; round < 4; round++)
                expect(target, t * QCOW2_L2_SPAN_BYTES + round * C, C, (uint8_t)(t + round + 1));
        finish(target);
        target = open_image(tables * QCOW2_L2_SPAN_BYTES, false);
    }
    target_close(target);
}

struct writer {
    struct target *target;
    unsigned number;
    pthread_t thread;
};

static void *
write_every_fourth(void *arg)
{
    struct writer *w = arg;
    for (uint64_t c = w->number; c < 400; c += 4) {
        put(w->target, c * 3 * C, 2 * C, (uint8_t)(c % 250 + 1));
        expect(w->target, c * 3 * C, 2 * C, (uint8_t)(c % 250 + 1));
    }
    return NULL;
}

static void
test_lanes_write_together_while_it_is_flushed(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct target *target = open_image(DISK, true);
    struct writer writers[4];
    for (unsigned i = 0; i < 4; i++) {
        writers[i] = (struct writer){ .target = target, .number = i };
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_every_fourth, &writers[i]),
                         0);
    }
    for (int i = 0; i < 20; i++)
        assert_ok(target->ops->flush(target, &err));
    for (unsigned i = 0; i < 4; i++)
        pthread_join(writers[i].thread, NULL);
    finish(target);
    target = open_image(DISK, false);
    for (uint64_t c = 0; c < 400; c++) {
        expect(target, c * 3 * C, 2 * C, (uint8_t)(c % 250 + 1));
        expect(target, c * 3 * C + 2 * C, C, 0);
    }
    target_close(target);
}

/* ---- images that lie ---- */

static void
refuse(const char *words)
{
    struct err err = ERR_INIT;
    struct target *target;
    struct target_spec spec = { .uri = "image", .format = "qcow2", .bytes = DISK };
    assert_fails(target_open(&spec, &target, &err), ERR_INVALID, words);
}

static void
patch(uint64_t at, uint64_t value, size_t len)
{
    auto_close int fd = open("image", O_RDWR | O_CLOEXEC);
    uint64_t wire = htobe64(value << (64 - 8 * len));
    assert_int_equal(pwrite(fd, &wire, len, (off_t)at), len);
}

static uint64_t
peek(uint64_t at)
{
    auto_close int fd = open("image", O_RDONLY | O_CLOEXEC);
    uint64_t wire;
    assert_int_equal(pread(fd, &wire, sizeof wire, (off_t)at), sizeof wire);
    return be64toh(wire);
}

static void
refuse_patched(uint64_t at, uint64_t value, size_t len, const char *words)
{
    uint64_t before = peek(at);
    patch(at, value, len);
    refuse(words);
    patch(at, before, 8);
}

static void
test_hostile_images_are_refused(void **state)
{
    (void)state;
    struct target *target = open_image(DISK, true);
    put(target, 0, 4 * C, 1);
    finish(target);
    uint64_t l1 = peek(40), l2 = peek(l1) & QCOW2_ENTRY_OFFSET, size = image_bytes();
    refuse_patched(0, 0x12345678, 4, "not a qcow2");
    refuse_patched(4, 2, 4, "version 3");
    refuse_patched(4, 4, 4, "version 3");
    refuse_patched(8, C, 8, "backing file");
    refuse_patched(20, 9, 4, "64 KiB");
    refuse_patched(24, 0, 8, "out of range");
    refuse_patched(24, UINT64_MAX, 8, "out of range");
    refuse_patched(24, DISK + C, 8, "holds a disk of");
    refuse_patched(32, 1, 4, "encrypted");
    refuse_patched(36, 3, 4, "L1 table");          /* too few for the disk */
    refuse_patched(36, UINT32_MAX, 4, "L1 table"); /* more than any disk needs */
    refuse_patched(40, 0, 8, "L1 table");
    refuse_patched(40, C + 512, 8, "L1 table");
    refuse_patched(40, size, 8, "L1 table");
    refuse_patched(40, UINT64_MAX - C + 1, 8, "L1 table");
    refuse_patched(48, size, 8, "refcount table");
    refuse_patched(56, UINT32_MAX, 4, "refcount table");
    refuse_patched(60, 1, 4, "snapshots");
    refuse_patched(72, 2, 8, "corrupt");
    refuse_patched(72, UINT64_C(1) << 63, 8, "not supported");
    refuse_patched(88, 1, 8, "bitmaps");
    refuse_patched(96, 5, 4, "16 bits");

    refuse_patched(l1, QCOW2_ENTRY_COPIED | 512, 8, "L1 entry 0");
    refuse_patched(l1, QCOW2_ENTRY_COPIED, 8, "L1 entry 0");
    refuse_patched(l1, QCOW2_ENTRY_COPIED | size, 8, "points to byte");
    refuse_patched(l1, QCOW2_ENTRY_COPIED | l1, 8, "used twice");
    refuse_patched(l1 + 8, QCOW2_ENTRY_COPIED | l2, 8, "used twice");
    refuse_patched(l2, QCOW2_ENTRY_COPIED | (l2 + 512), 8, "points to byte");
    refuse_patched(l2, QCOW2_ENTRY_COPIED | size, 8, "points to byte");
    refuse_patched(l2, QCOW2_ENTRY_COPIED | l2, 8, "used twice");
    refuse_patched(l2, peek(l2 + 8), 8, "used twice");
    refuse_patched(l2, QCOW2_ENTRY_COMPRESSED | 0x1234, 8, "compressed");
    target = open_image(DISK, false); /* and unspoiled it opens */
    expect(target, 0, 4 * C, 1);
    target_close(target);

    assert_int_equal(truncate("image", 100), 0);
    refuse("image");
    assert_int_equal(truncate("image", 0), 0);
    refuse("image");
}

static void
test_an_image_has_one_writer(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct target *first = open_image(DISK, true), *second;
    struct target_spec spec = { .uri = "image", .format = "qcow2", .bytes = DISK };
    assert_fails(target_open(&spec, &second, &err), ERR_CONFLICT, "in use");
    spec.create = true;
    assert_fails(target_open(&spec, &second, &err), ERR_CONFLICT, "in use");
    put(first, 0, C, 1); /* and has lost nothing by it */
    finish(first);
    first = open_image(DISK, false);
    expect(first, 0, C, 1);
    target_close(first);
}

#define SCRATCH_TEST(name) cmocka_unit_test_setup_teardown(name, scratch_enter, scratch_leave)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_written_zeroed_and_reopened),
        SCRATCH_TEST(test_finished_image_stays_finished_until_it_is_changed),
        SCRATCH_TEST(test_interrupted_image_is_gone_on_with),
        SCRATCH_TEST(test_tables_come_and_go),
        SCRATCH_TEST(test_lanes_write_together_while_it_is_flushed),
        SCRATCH_TEST(test_hostile_images_are_refused),
        SCRATCH_TEST(test_an_image_has_one_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
