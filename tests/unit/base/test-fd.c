#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/proc.h"

/* Each test works in a private directory of its own. */
static int
enter_dir(void **state)
{
    struct err err = ERR_INIT;
    char *dir = NULL;
    if (dir_make_private(NULL, &dir, &err) < 0 || chdir(dir) < 0)
        return -1;
    *state = dir;
    return 0;
}

static int
leave_dir(void **state)
{
    struct err err = ERR_INIT;
    auto_free char *dir = *state;
    return chdir("/") < 0 ? -1 : dir_remove(dir, &err);
}

static void
make_file(const char *path, const char *text)
{
    auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void
assert_content(const char *path, const char *text)
{
    struct err err = ERR_INIT;
    auto_free char *found = NULL;
    assert_int_equal(file_read(path, 1000, &found, NULL, &err), 0);
    assert_string_equal(found, text);
}

static void
private_directory_is_private(void **state)
{
    struct stat st;
    assert_int_equal(stat(*state, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    struct err err = ERR_INIT;
    char *dir = NULL;
    assert_int_equal(dir_make_private("/nonexistent", &dir, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_null(dir);
}

static void
reads_exactly_or_says_where_it_ends(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    make_file("f", "0123456789");
    auto_close int fd = open("f", O_RDWR | O_CLOEXEC);
    char data[20];
    assert_int_equal(fd_pread_exact(fd, data, 4, 6, "f", &err), 0);
    assert_memory_equal(data, "6789", 4);
    assert_int_equal(fd_pread(fd, data, 20, 6, "f", &err), 4);
    assert_int_equal(fd_pread(fd, data, 20, 100, "f", &err), 0);
    assert_int_equal(fd_pread_exact(fd, data, 5, 6, "f", &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_string_equal(err.text, "f: ends at byte 10, 1 bytes too early");
    assert_int_equal(fd_pwrite(fd, "ab", 2, 9, "f", &err), 0);
    assert_content("f", "012345678ab");
}

static void
write_failure_names_the_file(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_close int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_int_equal(fd_write(fd, "x", 1, "disk.img", &err), -1);
    assert_int_equal(err.kind, ERR_IO);
    assert_non_null(strstr(err.text, "disk.img"));
    assert_non_null(strstr(err.text, strerror(ENOSPC)));
}

static void
file_read_has_a_maximum(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    make_file("f", "12345");
    char *text = NULL;
    size_t len = 99;
    assert_int_equal(file_read("f", 4, &text, &len, &err), -1);
    assert_null(text);
    assert_int_equal(len, 99);
    assert_int_equal(file_read("f", 5, &text, &len, &err), 0);
    assert_int_equal(len, 5);
    free(text);
    assert_int_equal(file_read("absent", 5, &text, &len, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

static void
atomic_write_replaces_the_whole_file(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    make_file("f", "old and longer");
    assert_int_equal(file_write_atomic("f", "new", 3, 0640, &err), 0);
    assert_content("f", "new");
    struct stat st;
    assert_int_equal(stat("f", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(st.st_nlink, 1);
}

static void
failed_atomic_write_leaves_what_was_there(void **state)
{
    struct err err = ERR_INIT;
    assert_int_equal(mkdir("d", 0755), 0);
    make_file("d/inside", "x");
    /* A directory cannot be replaced by a file: everything up to the rename works. */
    assert_int_equal(file_write_atomic("d", "new", 3, 0600, &err), -1);
    assert_content("d/inside", "x");
    assert_int_equal(unlink("d/inside"), 0);
    assert_int_equal(rmdir("d"), 0);
    /* Nothing else is left: the private directory can be removed as an empty one. */
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(*state), 0);
    assert_int_equal(mkdir(*state, 0700), 0);
    assert_int_equal(chdir(*state), 0);
}

static void
dir_remove_does_not_follow_links(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(mkdir("keep", 0755), 0);
    make_file("keep/file", "precious");
    assert_int_equal(mkdir("gone", 0755), 0);
    assert_int_equal(mkdir("gone/sub", 0755), 0);
    make_file("gone/sub/file", "x");
    assert_int_equal(symlink("../keep", "gone/link"), 0);
    assert_int_equal(symlink("../keep/file", "gone/link-to-file"), 0);
    assert_int_equal(symlink("keep", "link-at-top"), 0);

    assert_int_equal(dir_remove("gone", &err), 0);
    assert_int_equal(access("gone", F_OK), -1);
    assert_int_equal(dir_remove("link-at-top", &err), -1);
    assert_content("keep/file", "precious");
    assert_int_equal(dir_remove("gone", &err), 0); /* nothing there is fine */
}

static void
dir_remove_goes_eight_levels_deep(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char path[64] = "d";
    assert_int_equal(mkdir(path, 0755), 0);
    for (int level = 1; level <= 8; level++) {
        snprintf(path + strlen(path), sizeof path - strlen(path), "/d");
        assert_int_equal(mkdir(path, 0755), 0);
    }
    assert_int_equal(dir_remove("d", &err), 0);

    snprintf(path, sizeof path, "e");
    assert_int_equal(mkdir(path, 0755), 0);
    for (int level = 1; level <= 9; level++) {
        snprintf(path + strlen(path), sizeof path - strlen(path), "/d");
        assert_int_equal(mkdir(path, 0755), 0);
    }
    assert_int_equal(dir_remove("e", &err), -1);
    assert_int_equal(dir_remove("e/d", &err), 0); /* so that the directory can be left */
}

static void
image_is_claimed_once(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    make_file("disk.img", "");
    int first = open("disk.img", O_RDWR | O_CLOEXEC);
    auto_close int second = open("disk.img", O_RDWR | O_CLOEXEC);
    assert_int_equal(fd_lock_image(first, "disk.img", &err), 0);
    assert_int_equal(fd_lock_image(second, "disk.img", &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_non_null(strstr(err.text, "disk.img"));
    close(first); /* the lock ends with its descriptor */
    assert_int_equal(fd_lock_image(second, "disk.img", &err), 0);
}

/* qemu-io opens for writing, says so and waits for the end of its input. */
static void
image_is_claimed_against_qemu(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    make_file("disk.img", "");
    assert_int_equal(truncate("disk.img", 1 << 20), 0);
    auto_close int fd = open("disk.img", O_RDWR | O_CLOEXEC);
    const char *const argv[] = { "qemu-io", "-f", "raw", "disk.img", NULL };
    int in[2], out[2];
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    struct proc_spec spec = PROC_SPEC_INIT;
    spec.argv = argv;
    spec.stdin_fd = in[0];
    spec.stdout_fd = out[1];
    auto_proc struct proc qemu = PROC_INIT;
    if (proc_start(&qemu, &spec, &err) < 0) {
        print_message("%s\n", err.text);
        skip();
    }
    close(out[1]);
    char prompt;
    assert_int_equal(read(out[0], &prompt, 1), 1); /* it is open now */
    assert_int_equal(fd_lock_image(fd, "disk.img", &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    close(in[1]);
    assert_int_equal(proc_wait(&qemu, -1), 1);
    assert_int_equal(fd_lock_image(fd, "disk.img", &err), 0);

    /* And the other way round: ours keeps QEMU out. */
    const char *const late[] = { "qemu-io", "-f", "raw", "-c", "write 0 512", "disk.img", NULL };
    struct proc_spec late_spec = PROC_SPEC_INIT;
    late_spec.argv = late;
    assert_int_equal(proc_run(&late_spec, -1, NULL, NULL, NULL, &err), -1);
    assert_non_null(strstr(err.text, "lock"));
    close(in[0]);
    close(out[0]);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, enter_dir, leave_dir)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(private_directory_is_private),
        IN_DIR(reads_exactly_or_says_where_it_ends),
        IN_DIR(write_failure_names_the_file),
        IN_DIR(file_read_has_a_maximum),
        IN_DIR(atomic_write_replaces_the_whole_file),
        IN_DIR(failed_atomic_write_leaves_what_was_there),
        IN_DIR(dir_remove_does_not_follow_links),
        IN_DIR(dir_remove_goes_eight_levels_deep),
        IN_DIR(image_is_claimed_once),
        IN_DIR(image_is_claimed_against_qemu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
