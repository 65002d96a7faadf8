#include "engine/workdir.h"

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
#include "engine/state.h"

static char *dir;

static int
setup(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    return dir_make_private(NULL, &dir, &err);
}

static int
teardown(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    int r = dir_remove(dir, &err);
    free(dir);
    return r;
}

static void
one_process_at_a_time(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct workdir first, second = WORKDIR_INIT;
    assert_int_equal(workdir_open(dir, "vm", &first, &err), 0);
    assert_true(first.fresh);
    assert_int_equal(workdir_open(dir, "vm", &second, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_non_null(strstr(err.text, "another migration"));
    workdir_close(&first);
    assert_int_equal(workdir_open(dir, "vm", &second, &err), 0);
    assert_false(second.fresh);
    assert_int_equal(workdir_remove(&second, &err), 0);
    assert_null(second.path);
}

static void
only_a_private_folder_of_ours_is_used(void **state)
{
    (void)state;
    char path[512];
    struct stat st;
    struct err err = ERR_INIT;
    struct workdir work = WORKDIR_INIT;
    assert_int_equal(workdir_open(dir, "vm", &work, &err), 0);
    assert_int_equal(stat(work.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(workdir_remove(&work, &err), 0);

    snprintf(path, sizeof path, "%s/.vmferry-vm", dir);
    assert_int_equal(symlink("/tmp", path), 0);
    assert_int_equal(workdir_open(dir, "vm", &work, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_int_equal(unlink(path), 0);

    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(chmod(path, 0755), 0);
    assert_int_equal(workdir_open(dir, "vm", &work, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
}

static void
marks_outlive_the_run(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct workdir work = WORKDIR_INIT;
    struct state marks = { .json = NULL };
    assert_int_equal(workdir_open(dir, "vm", &work, &err), 0);
    assert_int_equal(state_load(&work, &marks, &err), 0);
    assert_false(state_is(&marks, STATE_COMMITTING));
    assert_int_equal(state_mark(&marks, STATE_COMMITTING, &err), 0);
    assert_int_equal(state_put(&marks, "copy", json_pack("{s:i}", "a", 1), &err), 0);
    state_free(&marks);
    assert_int_equal(state_load(&work, &marks, &err), 0);
    assert_true(state_is(&marks, STATE_COMMITTING));
    assert_false(state_is(&marks, STATE_CONVERTED));
    assert_int_equal(json_get_int(json_object_get(marks.json, "copy"), "a", 0), 1);
    state_free(&marks);
    workdir_close(&work);

    assert_int_equal(workdir_open(dir, "vm", &work, &err), 0);
    assert_int_equal(workdir_clear(&work, &err), 0);
    assert_true(work.fresh);
    assert_int_equal(state_load(&work, &marks, &err), 0);
    assert_false(state_is(&marks, STATE_COMMITTING));
    state_free(&marks);
    workdir_close(&work);
}

static void
a_damaged_state_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "", "{", "[]", "{\"version\": 99}" };
    struct err err = ERR_INIT;
    struct workdir work = WORKDIR_INIT;
    assert_int_equal(workdir_open(dir, "vm", &work, &err), 0);
    auto_free char *path = NULL;
    assert_int_equal(workdir_path(&work, "state.json", &path, &err), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct state marks = { .json = NULL };
        assert_int_equal(file_write_atomic(path, bad[i], strlen(bad[i]), 0600, &err), 0);
        assert_int_equal(state_load(&work, &marks, &err), -1);
        assert_int_equal(err.kind, ERR_CONFLICT);
        assert_non_null(strstr(err.text, "--discard"));
    }
    workdir_close(&work);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_process_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(only_a_private_folder_of_ours_is_used, setup, teardown),
        cmocka_unit_test_setup_teardown(marks_outlive_the_run, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_state_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
