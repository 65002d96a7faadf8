#include "base/buf.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "base/cleanup.h"

static void
grows_and_stays_a_string(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf struct buf buf = BUF_INIT(100000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(buf_printf(&buf, &err, "%03d ", i), 0);
    assert_int_equal(buf.len, 4000);
    assert_int_equal(strlen(buf.data), 4000);
    assert_memory_equal(buf.data + 4 * 777, "777 ", 4);
    assert_int_equal(buf_add(&buf, "\0b", 2, &err), 0);
    assert_int_equal(buf.len, 4002);
}

static void
maximum_is_exact_and_leaves_the_content(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf struct buf buf = BUF_INIT(5);
    assert_int_equal(buf_add_str(&buf, "12345", &err), 0);
    assert_int_equal(buf_add_str(&buf, "6", &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_int_equal(buf_printf(&buf, &err, "%d", 6), -1);
    assert_int_equal(buf_add(&buf, "x", SIZE_MAX, &err), -1);
    assert_string_equal(buf.data, "12345");
    assert_int_equal(buf.len, 5);
    assert_int_equal(buf_add(&buf, NULL, 0, &err), 0);
}

static void
consume_drops_the_front(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf struct buf buf = BUF_INIT(10);
    buf_consume(&buf, 0); /* nothing was added yet */
    assert_int_equal(buf_add_str(&buf, "0123456789", &err), 0);
    buf_consume(&buf, 4);
    assert_string_equal(buf.data, "456789");
    assert_int_equal(buf_add_str(&buf, "abcd", &err), 0);
    buf_consume(&buf, 10);
    assert_int_equal(buf.len, 0);
    assert_string_equal(buf.data, "");
}

static void
reads_a_file_to_its_end(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(write(fds[1], "hello", 5), 5);
    close(fds[1]);
    auto_buf struct buf buf = BUF_INIT(5);
    assert_int_equal(buf_read_fd(&buf, fds[0], &err), 0);
    assert_string_equal(buf.data, "hello");
    close(fds[0]);
}

static void
empty_file_gives_an_empty_string(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_close int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    auto_buf struct buf buf = BUF_INIT(5);
    assert_int_equal(buf_read_fd(&buf, fd, &err), 0);
    assert_string_equal(buf.data, "");
}

static void
endless_file_ends_at_the_maximum(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_close int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    auto_buf struct buf buf = BUF_INIT(100000);
    assert_int_equal(buf_read_fd(&buf, fd, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_true(buf.len <= 100000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_stays_a_string),
        cmocka_unit_test(maximum_is_exact_and_leaves_the_content),
        cmocka_unit_test(consume_drops_the_front),
        cmocka_unit_test(reads_a_file_to_its_end),
        cmocka_unit_test(empty_file_gives_an_empty_string),
        cmocka_unit_test(endless_file_ends_at_the_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
