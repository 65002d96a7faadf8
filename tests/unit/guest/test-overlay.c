#include "guest/overlay.h"

#include "scratch.h"

#define BASE_BYTES (4 << 20)

static unsigned char
first_byte(const char *path)
{
    struct err err = ERR_INIT;
    unsigned char byte = 0xff;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(fd_pread_exact(fd, &byte, 1, 0, path, &err), 0);
    close(fd);
    return byte;
}

static void
write_to_overlay(const char *path, const char *pattern)
{
    const char *argv[] = { "qemu-io", "-f", "qcow2", "-c", pattern, path, NULL };
    struct proc_spec spec = PROC_SPEC_INIT;
    struct err err = ERR_INIT;
    spec.argv = argv;
    if (proc_run(&spec, clock_now_ns() + 20 * NS_PER_S, NULL, NULL, NULL, &err) < 0)
        fail_msg("%s", err.text);
}

static void
assert_works(const char *base_name, const char *overlay_name)
{
    struct err err = ERR_INIT;
    scratch_disk(base_name, BASE_BYTES);
    const char *base = scratch_path(base_name), *overlay = scratch_path(overlay_name);
    if (overlay_create(base, "raw", overlay, &err) < 0)
        fail_msg("%s", err.text);
    write_to_overlay(overlay, "write -P 7 0 64k");
    assert_int_equal(first_byte(base), 0);
    if (overlay_commit(overlay, base, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(first_byte(base), 7);
    /* Once more: a commit that was cut off must be repeatable. */
    assert_int_equal(overlay_commit(overlay, base, &err), 0);
    assert_int_equal(overlay_drop(overlay, &err), 0);
    assert_int_equal(access(overlay, F_OK), -1);
    assert_int_equal(overlay_drop(overlay, &err), 0);
}

static void
test_commit_is_what_touches_the_base(void **state)
{
    (void)state;
    assert_works("base.raw", "base.overlay");
}

static void
test_hard_names(void **state)
{
    (void)state;
    assert_works("-a,b:c \"d' e=f.raw", "nbd:x,y -ov.qcow2");
    assert_works("json:{}", "file:o");
}

static void
test_relative_names(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    scratch_disk("-r.raw", BASE_BYTES);
    assert_int_equal(chdir(scratch), 0);
    assert_int_equal(overlay_create("-r.raw", "raw", "-r.ov", &err), 0);
    write_to_overlay(scratch_path("-r.ov"), "write -P 9 0 4k");
    assert_int_equal(overlay_commit("-r.ov", "-r.raw", &err), 0);
    assert_int_equal(first_byte("-r.raw"), 9);
    assert_int_equal(chdir("/"), 0);
}

/* The content of a raw disk is never taken for a format: it would name any file of the host. */
static void
test_format_is_not_guessed(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    scratch_disk("secret", BASE_BYTES);
    scratch_sh("qemu-img create -q -f qcow2 -F raw -b secret trap.raw && truncate -s 1M trap.raw");
    const char *overlay = scratch_path("trap.ov");
    assert_int_equal(overlay_create(scratch_path("trap.raw"), "raw", overlay, &err), 0);
    scratch_sh("qemu-img info trap.ov | grep -q 'virtual size: 1 MiB'");
}

static void
test_errors(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    scratch_disk("b", BASE_BYTES);
    const char *base = scratch_path("b"), *overlay = scratch_path("o");
    assert_int_equal(overlay_create(scratch_path("absent"), "raw", overlay, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_int_equal(access(overlay, F_OK), -1);
    scratch_write("o", "mine", 0600);
    assert_int_equal(overlay_create(base, "raw", overlay, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    scratch_sh("grep -q mine o && rm o");
    /* Another base than the one it lies over. */
    scratch_disk("c", BASE_BYTES);
    assert_int_equal(overlay_create(base, "raw", overlay, &err), 0);
    write_to_overlay(overlay, "write -P 7 0 64k");
    assert_int_equal(overlay_commit(overlay, scratch_path("c"), &err), -1);
    assert_int_equal(first_byte(base), 0);
    assert_int_equal(first_byte(scratch_path("c")), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)
    const struct CMUnitTest tests[] = {
        TEST(test_commit_is_what_touches_the_base),
        TEST(test_hard_names),
        TEST(test_relative_names),
        TEST(test_format_is_not_guessed),
        TEST(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
