#include "disk/byte-input.h"

#include <fcntl.h>
#include <pthread.h>
#include <zlib.h>

#include "scratch.h"

#define LEN (600 * KIB + 123) /* some refills */

static uint8_t *
content(void)
{
    uint64_t seed = 4;
    uint8_t *data = malloc(LEN);
    for (size_t i = 0; i < LEN; i++)
        data[i] = (uint8_t)(next_random(&seed) >> (i % 3 ? 60 : 0));
    return data;
}

/* Gzip members of that size, one behind the other. */
static size_t
gzip_into(uint8_t *to, size_t cap, const uint8_t *data, size_t len, size_t member)
{
    size_t used = 0;
    for (size_t at = 0; at < len; at += member) {
        z_stream z = { 0 };
        assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
        z.next_in = (uint8_t *)data + at;
        z.avail_in = (uInt)MIN(member, len - at);
        z.next_out = to + used;
        z.avail_out = (uInt)(cap - used);
        assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
        used = cap - z.avail_out;
        deflateEnd(&z);
    }
    return used;
}

/* Reads and skips of odd sizes give what is there, then the end. */
static void
walk(struct byte_input *in, const uint8_t *data)
{
    struct err err = ERR_INIT;
    uint64_t seed = 9, at = 0;
    uint8_t piece[100000];
    while (at < LEN) {
        assert_int_equal(byte_input_at_end(in, &err), 0);
        size_t len = (size_t)MIN(1 + next_random(&seed) % sizeof piece, LEN - at);
        if (next_random(&seed) % 3 == 0) {
            assert_ok(byte_input_skip(in, len, &err));
        } else {
            assert_ok(byte_input_read(in, piece, len, &err));
            assert_memory_equal(piece, data + at, len);
        }
        at += len;
        assert_int_equal(byte_input_position(in), at);
    }
    assert_int_equal(byte_input_at_end(in, &err), 1);
    assert_ok(byte_input_read(in, piece, 0, &err));
    assert_fails(byte_input_read(in, piece, 1, &err), ERR_INVALID, "ends at byte");
    assert_fails(byte_input_skip(in, 1, &err), ERR_INVALID, "truncated");
    byte_input_close(in);
}

static int
open_file(const void *data, size_t len)
{
    struct err err = ERR_INIT;
    assert_ok(file_write_atomic("file", data, len, 0600, &err));
    int fd = open("file", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void
test_memory(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct byte_input *in;
    auto_free uint8_t *data = content();
    assert_ok(byte_input_memory(data, LEN, &in, &err));
    walk(in, data);
}

static void
test_a_part_of_a_file(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct byte_input *in;
    auto_free uint8_t *data = content();
    auto_free uint8_t *more = malloc(LEN + 2000);
    memset(more, 0xdd, LEN + 2000);
    memcpy(more + 1000, data, LEN);
    assert_ok(byte_input_file(open_file(more, LEN + 2000), 1000, LEN, "file", false, &in, &err));
    assert_true(byte_input_is_file(in));
    walk(in, data);
}

static void
test_a_file_that_is_shorter_than_said(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct byte_input *in;
    uint8_t data[1000] = { 0 };
    assert_ok(byte_input_file(open_file(data, 500), 0, 1000, "file", false, &in, &err));
    assert_fails(byte_input_read(in, data, 501, &err), ERR_INVALID, "ends at byte 500");
    byte_input_close(in);
    assert_ok(byte_input_file(open_file(data, 500), 0, 1000, "file", false, &in, &err));
    assert_ok(byte_input_skip(in, 900, &err)); /* nobody has looked */
    assert_int_equal(byte_input_at_end(in, &err), 1);
    assert_fails(byte_input_skip(in, 101, &err), ERR_INVALID, "truncated");
    byte_input_close(in);
}

struct feed {
    int fd;
    const uint8_t *data;
    size_t len;
};

/* In pieces that have nothing to do with anybody's. */
static void *
feed_pipe(void *arg)
{
    struct feed *feed = arg;
    for (size_t at = 0; at < feed->len;) {
        ssize_t n = write(feed->fd, feed->data + at, MIN((size_t)7777, feed->len - at));
        if (n < 0)
            break;
        at += (size_t)n;
    }
    close(feed->fd);
    return NULL;
}

static void
walk_pipe(const uint8_t *raw, size_t len, bool gzip, const uint8_t *data)
{
    struct err err = ERR_INIT;
    struct byte_input *in;
    pthread_t thread;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    struct feed feed = { fds[1], raw, len };
    assert_int_equal(pthread_create(&thread, NULL, feed_pipe, &feed), 0);
    assert_ok(byte_input_pipe(fds[0], "pipe", gzip, NULL, &in, &err));
    assert_false(byte_input_is_file(in));
    walk(in, data);
    pthread_join(thread, NULL);
    close(fds[0]);
}

static void
test_a_pipe(void **state)
{
    (void)state;
    auto_free uint8_t *data = content();
    walk_pipe(data, LEN, false, data);
}

/* Nobody writes, and nobody closes. */
static void
test_a_pipe_that_is_stopped(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct byte_input *in;
    atomic_bool stop = true;
    uint8_t byte;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_ok(byte_input_pipe(fds[0], "pipe", false, &stop, &in, &err));
    assert_fails(byte_input_read(in, &byte, 1, &err), ERR_CANCELLED, "pipe: stopped");
    byte_input_close(in);
    close(fds[0]);
    close(fds[1]);
}

static void
test_gzip_in_one_piece_and_in_many(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct byte_input *in;
    auto_free uint8_t *data = content();
    auto_free uint8_t *zipped = malloc(2 * LEN);
    static const size_t members[] = { LEN, LEN / 2, 100000, 256 * KIB };
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        size_t len = gzip_into(zipped, 2 * LEN, data, LEN, members[i]);
        assert_ok(byte_input_file(open_file(zipped, len), 0, len, "file", true, &in, &err));
        assert_false(byte_input_is_file(in));
        walk(in, data);
        walk_pipe(zipped, len, true, data);
    }
}

static void
test_gzip_that_is_damaged(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct byte_input *in;
    auto_free uint8_t *data = content();
    auto_free uint8_t *zipped = malloc(2 * LEN);
    size_t len = gzip_into(zipped, 2 * LEN, data, LEN, LEN);
    static const size_t cuts[] = { 0, 1, 5, 10, 1000, 300000 };
    for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
        assert_ok(byte_input_file(open_file(zipped, cuts[i]), 0, cuts[i], "file", true, &in, &err));
        assert_fails(byte_input_skip(in, LEN, &err), ERR_INVALID, "gzip data is truncated");
        byte_input_close(in);
    }
    zipped[0] ^= 1;
    assert_ok(byte_input_file(open_file(zipped, len), 0, len, "file", true, &in, &err));
    assert_fails(byte_input_skip(in, 1, &err), ERR_INVALID, "damaged");
    byte_input_close(in);
    zipped[0] ^= 1;
    zipped[len - 6] ^= 1; /* its checksum, which is met at the end */
    assert_ok(byte_input_file(open_file(zipped, len), 0, len, "file", true, &in, &err));
    assert_true(byte_input_skip(in, LEN, &err) < 0 || byte_input_at_end(in, &err) < 0);
    assert_non_null(strstr(err.text, "damaged"));
    byte_input_close(in);
}

struct gift {
    const uint8_t *data;
    size_t at, fail_at;
};

static int
give(void *arg, void *data, size_t len, size_t *ret_got, struct err *err)
{
    struct gift *gift = arg;
    if (gift->fail_at && gift->at + len > gift->fail_at)
        return err_set(err, ERR_UNAVAILABLE, "gone");
    *ret_got = MIN(len, LEN - gift->at);
    memcpy(data, gift->data + gift->at, *ret_got);
    gift->at += *ret_got;
    return 0;
}

static void
test_given(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_free uint8_t *data = content();
    struct gift gift = { .data = data };
    struct byte_giver giver = { .give = give, .arg = &gift };
    struct byte_input *in;
    assert_ok(byte_input_given(&giver, "gift", &in, &err));
    assert_string_equal(byte_input_name(in), "gift");
    assert_false(byte_input_is_file(in));
    walk(in, data);
    /* Its error is what the reader gets, not an end. */
    gift = (struct gift){ .data = data, .fail_at = 300 * KIB };
    assert_ok(byte_input_given(&giver, "gift", &in, &err));
    assert_int_equal(byte_input_skip(in, LEN, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    byte_input_close(in);
}

#define SCRATCH_TEST(name) cmocka_unit_test_setup_teardown(name, scratch_enter, scratch_leave)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        SCRATCH_TEST(test_a_part_of_a_file),
        SCRATCH_TEST(test_a_file_that_is_shorter_than_said),
        cmocka_unit_test(test_a_pipe),
        cmocka_unit_test(test_a_pipe_that_is_stopped),
        cmocka_unit_test(test_given),
        SCRATCH_TEST(test_gzip_in_one_piece_and_in_many),
        SCRATCH_TEST(test_gzip_that_is_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
