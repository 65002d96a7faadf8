#include "engine/vddk-library.h"

#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"

static char *dir;

static const char *
in_dir(const char *name)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

/* A file whose header is that of a library for this machine, or for another one. */
static void
make_library(const char *name, unsigned machine)
{
    struct err err = ERR_INIT;
    Elf64_Ehdr header = { .e_type = ET_DYN, .e_machine = (Elf64_Half)machine };
    memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fd_write(fd, &header, sizeof header, name, &err), 0);
    close(fd);
}

static void
make_link(const char *target, const char *name)
{
    assert_int_equal(symlink(target, in_dir(name)), 0);
}

static int
setup(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    return dir_make_private(NULL, &dir, &err);
}

static int
teardown(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    int r = dir_remove(dir, &err);
    free(dir);
    return r;
}

static void
the_name_of_the_real_file_tells_the_version(void **state)
{
    (void)state;
    struct vddk_library library;
    struct err err = ERR_INIT;
    assert_int_equal(mkdir(in_dir("lib64"), 0700), 0);
    make_library("lib64/libvixDiskLib.so.8.0.3", EM_X86_64);
    make_link("libvixDiskLib.so.8.0.3", "lib64/libvixDiskLib.so.8");
    assert_int_equal(vddk_library_find(dir, &library, &err), 0);
    assert_string_equal(library.version, "8.0.3");
    assert_int_equal(library.major, 8);
    assert_string_equal(library.libdir, dir);
    assert_string_equal(library.path, in_dir("lib64/libvixDiskLib.so.8.0.3"));
    assert_false(library.plugin);
    make_library("lib64/libdiskLibPlugin.so", EM_X86_64);
    assert_int_equal(vddk_library_find(dir, &library, &err), 0);
    assert_true(library.plugin);
}

static void
it_need_not_be_in_lib64_nor_say_more_than_its_major(void **state)
{
    (void)state;
    struct vddk_library library;
    struct err err = ERR_INIT;
    make_library("libvixDiskLib.so.7", EM_X86_64);
    assert_int_equal(vddk_library_find(dir, &library, &err), 0);
    assert_string_equal(library.version, "7");
}

static void
the_newest_in_a_directory_is_taken(void **state)
{
    (void)state;
    struct vddk_library library;
    struct err err = ERR_INIT;
    make_library("libvixDiskLib.so.7", EM_X86_64);
    make_library("libvixDiskLib.so.9", EM_X86_64);
    assert_int_equal(vddk_library_find(dir, &library, &err), 0);
    assert_int_equal(library.major, 9);
}

static void
the_newest_of_all_places_is_taken(void **state)
{
    (void)state;
    struct vddk_library library;
    struct err err = ERR_INIT;
    char old[PATH_MAX], new[PATH_MAX];
    snprintf(old, sizeof old, "%s", in_dir("old"));
    snprintf(new, sizeof new, "%s", in_dir("new"));
    assert_int_equal(mkdir(old, 0700), 0);
    assert_int_equal(mkdir(new, 0700), 0);
    make_library("old/libvixDiskLib.so.8.0.3", EM_X86_64);
    make_link("libvixDiskLib.so.8.0.3", "old/libvixDiskLib.so.8");
    make_library("new/libvixDiskLib.so.8.0.12", EM_X86_64);
    make_link("libvixDiskLib.so.8.0.12", "new/libvixDiskLib.so.8");
    const char *const places[] = { new, old, "/nowhere", NULL };
    assert_int_equal(vddk_library_find_in(places, &library, &err), 0);
    assert_string_equal(library.version, "8.0.12");
    const char *const other_order[] = { old, new, NULL };
    assert_int_equal(vddk_library_find_in(other_order, &library, &err), 0);
    assert_string_equal(library.libdir, new);
}

static void
what_is_none_is_refused(void **state)
{
    (void)state;
    struct vddk_library library;
    struct err err = ERR_INIT;
    assert_int_equal(vddk_library_find(dir, &library, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, dir));
    make_library("libvixDiskLib.so.8", EM_AARCH64);
    assert_int_equal(vddk_library_find(dir, &library, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.text, "processor"));
    assert_int_equal(truncate(in_dir("libvixDiskLib.so.8"), 20), 0);
    assert_int_equal(vddk_library_find(dir, &library, &err), -1);
    assert_non_null(strstr(err.text, "no shared library"));
    const char *const places[] = { dir, NULL }, *const none[] = { "/nowhere", NULL };
    assert_int_equal(vddk_library_find_in(places, &library, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_int_equal(vddk_library_find_in(none, &library, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_name_of_the_real_file_tells_the_version, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(it_need_not_be_in_lib64_nor_say_more_than_its_major, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_newest_in_a_directory_is_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(the_newest_of_all_places_is_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_none_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
