#include "platform/platform.h"

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

/* Two disks and a description, made in "work", to arrive in the directory above it. */
struct scene {
    char *dir;
    char made[3][256], final[3][256];
    struct placement placement;
};

static struct scene scene;

static void
write_file(const char *path)
{
    struct err err = ERR_INIT;
    assert_int_equal(file_write_atomic(path, path, strlen(path), 0600, &err), 0);
}

static int
setup(void **state)
{
    (void)state;
    static const char *const names[] = { "vm-sda", "vm-sdb", "vm.xml" };
    struct err err = ERR_INIT;
    char work[256];
    if (dir_make_private(NULL, &scene.dir, &err) < 0)
        return -1;
    snprintf(work, sizeof work, "%s/work", scene.dir);
    if (mkdir(work, 0700) < 0)
        return -1;
    for (int i = 0; i < 3; i++) {
        snprintf(scene.made[i], sizeof scene.made[i], "%s/work/%d", scene.dir, i);
        snprintf(scene.final[i], sizeof scene.final[i], "%s/%s", scene.dir, names[i]);
        write_file(scene.made[i]);
    }
    scene.placement = (struct placement){
        .dir = scene.dir,
        .name = "vm",
        .file_mode = 0640,
        .n_disks = 2,
        .disks = { { scene.made[0], scene.final[0] }, { scene.made[1], scene.final[1] } },
        .made_xml = scene.made[2],
        .final_xml = scene.final[2],
    };
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    int r = dir_remove(scene.dir, &err);
    free(scene.dir);
    return r;
}

static void
check_all_arrived(void)
{
    for (int i = 0; i < 3; i++) {
        struct stat st;
        struct err err = ERR_INIT;
        char *text = NULL;
        assert_int_equal(stat(scene.final[i], &st), 0);
        assert_int_equal(st.st_mode & 0777, 0640);
        assert_int_equal(access(scene.made[i], F_OK), -1);
        assert_int_equal(file_read(scene.final[i], 1024, &text, NULL, &err), 0);
        assert_string_equal(text, scene.made[i]);
        free(text);
    }
}

static void
all_arrives(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(platform_local.check_dir(&scene.placement, &err), 0);
    assert_int_equal(platform_local.check_names(&scene.placement, &err), 0);
    assert_int_equal(platform_local.place(&scene.placement, &err), 0);
    check_all_arrived();
    assert_int_equal(platform_local.place(&scene.placement, &err), 0);
}

static void
a_half_done_placing_is_finished(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(chmod(scene.made[0], 0640), 0);
    assert_int_equal(rename(scene.made[0], scene.final[0]), 0);
    /* Where links are used: killed between link and unlink. */
    assert_int_equal(link(scene.made[1], scene.final[1]), 0);
    assert_int_equal(platform_local.place(&scene.placement, &err), 0);
    check_all_arrived();
}

static void
check_all_is_back(void)
{
    for (int i = 0; i < 3; i++) {
        struct err err = ERR_INIT;
        char *text = NULL;
        assert_int_equal(access(scene.final[i], F_OK), -1);
        assert_int_equal(file_read(scene.made[i], 1024, &text, NULL, &err), 0);
        assert_string_equal(text, scene.made[i]);
        free(text);
    }
}

static void
all_goes_back(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(platform_local.place(&scene.placement, &err), 0);
    assert_int_equal(platform_local.take_back(&scene.placement, &err), 0);
    check_all_is_back();
    assert_int_equal(platform_local.take_back(&scene.placement, &err), 0);
    check_all_is_back();
    assert_int_equal(platform_local.place(&scene.placement, &err), 0);
    check_all_arrived();
}

static void
a_half_done_placing_goes_back(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(rename(scene.made[0], scene.final[0]), 0);
    assert_int_equal(link(scene.made[1], scene.final[1]), 0);
    assert_int_equal(platform_local.take_back(&scene.placement, &err), 0);
    check_all_is_back();
}

static void
what_is_not_ours_stays(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(rename(scene.made[0], scene.final[0]), 0);
    write_file(scene.final[1]);
    assert_int_equal(platform_local.take_back(&scene.placement, &err), 0);
    assert_int_equal(access(scene.final[1], F_OK), 0);
    assert_int_equal(access(scene.made[1], F_OK), 0);
    assert_int_equal(unlink(scene.final[1]), 0);
    check_all_is_back();
}

static void
nothing_is_replaced(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    for (int i = 0; i < 3; i++) {
        write_file(scene.final[i]);
        assert_int_equal(platform_local.check_names(&scene.placement, &err), -1);
        assert_int_equal(err.kind, ERR_CONFLICT);
        assert_non_null(strstr(err.text, scene.final[i]));
        assert_int_equal(unlink(scene.final[i]), 0);
    }
    /* It appeared after the check. */
    write_file(scene.final[1]);
    assert_int_equal(platform_local.place(&scene.placement, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_int_equal(access(scene.made[1], F_OK), 0);
}

static void
a_link_in_the_way_is_refused(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(symlink("/nowhere", scene.final[0]), 0);
    assert_int_equal(platform_local.check_names(&scene.placement, &err), -1);
    assert_non_null(strstr(err.text, "is a link"));
}

static void
the_directory_must_be_one(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    scene.placement.dir = "/nowhere";
    assert_int_equal(platform_local.check_dir(&scene.placement, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    scene.placement.dir = scene.made[0];
    assert_int_equal(platform_local.check_dir(&scene.placement, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
}

static void
null_keeps_nothing(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_false(platform_null.keeps);
    assert_int_equal(platform_null.check_dir(&scene.placement, &err), 0);
    assert_int_equal(platform_null.place(&scene.placement, &err), 0);
    assert_int_equal(access(scene.final[0], F_OK), -1);
    assert_null(platform_find("nowhere"));
    assert_ptr_equal(platform_find("null"), &platform_null);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_arrives, setup, teardown),
        cmocka_unit_test_setup_teardown(a_half_done_placing_is_finished, setup, teardown),
        cmocka_unit_test_setup_teardown(all_goes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_half_done_placing_goes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_ours_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(a_link_in_the_way_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_directory_must_be_one, setup, teardown),
        cmocka_unit_test_setup_teardown(null_keeps_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
