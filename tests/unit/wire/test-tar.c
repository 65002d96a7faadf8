#include "wire/tar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/checked.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "../tar-maker.h"

static int
file_of(const struct buf *tar)
{
    struct err err = ERR_INIT;
    int fd = memfd_create("tar", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fd_write(fd, tar->data, tar->len, "tar", &err), 0);
    return fd;
}

static struct tar_index
index_of(const struct buf *tar)
{
    struct err err = ERR_INIT;
    struct tar_index index;
    auto_close int fd = file_of(tar);
    if (tar_index_read(fd, "x.ova", &index, &err) < 0)
        fail_msg("%s", err.text);
    return index;
}

static void
assert_refused(const struct buf *tar, const char *part)
{
    struct err err = ERR_INIT;
    struct tar_index index;
    auto_close int fd = file_of(tar);
    assert_int_equal(tar_index_read(fd, "x.ova", &index, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_memory_equal(err.text, "x.ova: ", 7);
    if (!strstr(err.text, part))
        fail_msg("'%s' does not say '%s'", err.text, part);
}

static void
members_lie_where_they_are_said_to(void **state)
{
    (void)state;
    auto_buf struct buf tar = BUF_INIT(MIB);
    tar_add(&tar, "./a.ovf", '0', "hello", 5);
    tar_add(&tar, "dir/", '5', NULL, 0);
    tar_add(&tar, "link", '2', NULL, 0);
    tar_add(&tar, "empty", '0', NULL, 0);
    tar_add(&tar, "dir/b", '\0', "world!", 6);
    tar_end(&tar);
    auto_tar_index struct tar_index index = index_of(&tar);
    assert_int_equal(index.n_members, 3);
    assert_string_equal(index.members[0].name, "a.ovf");
    assert_int_equal(index.members[0].offset, 512);
    assert_int_equal(index.members[0].bytes, 5);
    assert_memory_equal(tar.data + index.members[2].offset, "world!", 6);
    assert_ptr_equal(tar_find(&index, "dir/b"), &index.members[2]);
    assert_null(tar_find(&index, "link"));
    assert_null(tar_find(&index, "b"));
}

static void
long_names_and_large_sizes_are_read(void **state)
{
    (void)state;
    char name[301];
    memset(name, 'n', 300);
    name[300] = '\0';
    auto_buf struct buf tar = BUF_INIT(MIB);
    tar_add(&tar, "././@LongLink", 'L', name, 301);
    tar_add(&tar, "nnn", '0', "gnu", 3);
    name[0] = 'p';
    tar_add_pax(&tar, "path", name);
    tar_add(&tar, "ppp", '0', "pax", 3);
    tar_add_pax(&tar, "size", "4");
    tar_add_sized(&tar, "sized", '0', "four", 4, "00000000000");
    tar_add_sized(&tar, "base256", '0', "12345678", 8, "\x80\0\0\0\0\0\0\0\0\0\0\x08");
    tar_add(&tar, "after", '0', "x", 1);
    tar_end(&tar);
    auto_tar_index struct tar_index index = index_of(&tar);
    assert_int_equal(index.n_members, 5);
    assert_int_equal(strlen(index.members[0].name), 300);
    assert_int_equal(index.members[1].name[0], 'p');
    assert_memory_equal(tar.data + index.members[1].offset, "pax", 3);
    assert_int_equal(index.members[2].bytes, 4);
    assert_int_equal(index.members[3].bytes, 8);
    assert_string_equal(index.members[4].name, "after");
    assert_memory_equal(tar.data + index.members[4].offset, "x", 1);
}

static void
a_prefix_of_ustar_is_part_of_the_name(void **state)
{
    (void)state;
    auto_buf struct buf tar = BUF_INIT(MIB);
    tar_add(&tar, "name", '0', "x", 1);
    memcpy(tar.data + 345, "some/dir", 8);
    tar_fix_checksum(tar.data);
    tar_end(&tar);
    auto_tar_index struct tar_index index = index_of(&tar);
    assert_string_equal(index.members[0].name, "some/dir/name");
}

static void
what_is_cut_off_is_called_truncated(void **state)
{
    (void)state;
    char data[3000] = { 1 };
    auto_buf struct buf tar = BUF_INIT(MIB);
    tar_add(&tar, "a.ovf", '0', "x", 1);
    tar_add(&tar, "disk.vmdk", '0', data, sizeof data);
    size_t whole = tar.len;
    tar_end(&tar);

    tar.len = 1024 + 512 + sizeof data; /* no padding, no end: everything is there */
    tar_index_free(&(struct tar_index[]){ index_of(&tar) }[0]);
    tar.len = whole;
    tar_index_free(&(struct tar_index[]){ index_of(&tar) }[0]);
    tar.len = 1024 + 512 + sizeof data - 1;
    assert_refused(&tar,
                   "truncated: member disk.vmdk should reach to byte 4536 but the file has 4535");
    tar.len = 1024 + 512;
    assert_refused(&tar, "truncated: member disk.vmdk");
    tar.len = 1024 + 511;
    assert_refused(&tar, "ends at byte 1535");
    tar.len = 700;
    tar_index_free(&(struct tar_index[]){ index_of(&tar) }[0]);
}

static void
damage_is_refused(void **state)
{
    (void)state;
    auto_buf struct buf tar = BUF_INIT(MIB);
    tar_add(&tar, "a", '0', "x", 1);
    tar_add(&tar, "b", '0', "y", 1);
    tar_end(&tar);
    tar.data[1024] ^= 1;
    assert_refused(&tar, "bad header checksum at byte 1024");
    tar.data[1024] ^= 1;
    tar.data[0] ^= 1;
    assert_refused(&tar, "not a tar file");

    static const struct {
        const char *size, *part;
    } bad[] = {
        { "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "bad member size" },
        { "\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "bad member size" },
        { "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", "truncated" },
        { "77777777777\0", "truncated" },
        { "-0000000001\0", "bad member size" },
        { "1x000000000\0", "bad member size" },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        tar.len = 0;
        tar_add_sized(&tar, "a", '0', "x", 1, bad[i].size);
        tar_end(&tar);
        assert_refused(&tar, bad[i].part);
    }
}

static void
what_cannot_be_read_in_place_is_refused(void **state)
{
    (void)state;
    auto_buf struct buf tar = BUF_INIT(MIB);
    tar_add(&tar, "sparse", 'S', "x", 1);
    tar_end(&tar);
    assert_refused(&tar, "--sparse");
    tar.len = 0;
    tar_add_pax(&tar, "GNU.sparse.major", "1");
    tar_add(&tar, "sparse", '0', "x", 1);
    tar_end(&tar);
    assert_refused(&tar, "--sparse");
    tar.len = 0;
    tar_add(&tar, "./a", '0', "x", 1);
    tar_add(&tar, "b", '0', "x", 1);
    tar_add(&tar, "a", '0', "x", 1);
    tar_end(&tar);
    assert_refused(&tar, "two members are called a");
}

static void
bad_pax_records_are_refused(void **state)
{
    (void)state;
    static const char *const records[] = { "0 path=x\n",   "99 path=x\n",
                                           "path=x\n",     "9 path=x",
                                           "10 size=x\n",  "26 size=99999999999999999999\n",
                                           "10 size=-1\n", "9 path=x\n7" };
    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        auto_buf struct buf tar = BUF_INIT(MIB);
        tar_add(&tar, "pax", 'x', records[i], strlen(records[i]));
        tar_add(&tar, "a", '0', "x", 1);
        tar_end(&tar);
        assert_refused(&tar, "bad pax");
    }
    auto_buf struct buf tar = BUF_INIT(MIB);
    tar_add_sized(&tar, "pax", 'x', "x", 1, "77777777777\0");
    assert_refused(&tar, "extended tar header");
}

static void
there_is_an_end_to_members(void **state)
{
    (void)state;
    auto_buf struct buf tar = BUF_INIT((TAR_MAX_MEMBERS + 4) * (size_t)512);
    for (int i = 0; i <= TAR_MAX_MEMBERS; i++)
        tar_add(&tar, "dir/", '5', NULL, 0);
    tar_end(&tar);
    assert_refused(&tar, "more than 10000 members");
}

/* What GNU tar and bsdtar's formats really look like. */
static void
archives_of_gnu_tar_are_read(void **state)
{
    (void)state;
    static const char *const formats[] = { "--format=gnu", "--format=pax", "--format=ustar" };
    struct err err = ERR_INIT;
    auto_free char *dir = NULL;
    assert_int_equal(dir_make_private(NULL, &dir, &err), 0);
    char name[80], file[400], ova[400];
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    snprintf(file, sizeof file, "%s/%s", dir, name);
    snprintf(ova, sizeof ova, "%s/t.ova", dir);
    assert_int_equal(file_write_atomic(file, "content", 7, 0600, &err), 0);
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        const char *const argv[] = { "tar", formats[i], "-cf", ova, "-C", dir, name, NULL };
        struct proc_spec spec = PROC_SPEC_INIT;
        spec.argv = argv;
        if (proc_run(&spec, -1, NULL, NULL, NULL, &err) < 0)
            fail_msg("%s", err.text);
        auto_free char *text = NULL;
        size_t len;
        assert_int_equal(file_read(ova, MIB, &text, &len, &err), 0);
        struct buf tar = { .data = text, .len = len };
        auto_tar_index struct tar_index index = index_of(&tar);
        assert_int_equal(index.n_members, 1);
        assert_string_equal(index.members[0].name, name);
        assert_memory_equal(text + index.members[0].offset, "content", 7);
    }
    assert_int_equal(dir_remove(dir, &err), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_lie_where_they_are_said_to),
        cmocka_unit_test(long_names_and_large_sizes_are_read),
        cmocka_unit_test(a_prefix_of_ustar_is_part_of_the_name),
        cmocka_unit_test(what_is_cut_off_is_called_truncated),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(what_cannot_be_read_in_place_is_refused),
        cmocka_unit_test(bad_pax_records_are_refused),
        cmocka_unit_test(there_is_an_end_to_members),
        cmocka_unit_test(archives_of_gnu_tar_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
