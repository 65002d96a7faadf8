#include "engine/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"

#define NONE ((const char *[]){ NULL })

static void
a_changed_source_is_another_one(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char path[] = "/tmp/vmferry-identity-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    auto_vm struct vm *vm = vm_new(&err);
    struct vm_disk *disk = vm_add_disk(vm, &err);
    disk->image.path = strdup(path);
    disk->capacity_bytes = 512;
    struct job job = { .disk_format = "raw" };

    struct source *src = NULL;
    assert_int_equal(source_new(&job, NULL, vm, &src, &err), 0);

    auto_json json_t *before = identity_of_copy(src);
    auto_json json_t *same = identity_of_copy(src);
    assert_true(json_equal(before, same));
    /* As it comes back from a file. */
    auto_free char *text = json_dumps(before, 0);
    auto_json json_t *read = json_parse_object(text, strlen(text), &err);
    assert_true(json_equal(before, read));

    assert_int_equal(fd_write(fd, "x", 1, path, &err), 0);
    auto_json json_t *grown = identity_of_copy(src);
    assert_false(json_equal(before, grown));
    job.disk_format = "qcow2";
    auto_json json_t *other_format = identity_of_copy(src);
    assert_false(json_equal(grown, other_format));
    source_free(src);
    close(fd);
    unlink(path);
}

static void
keys_may_change_between_attempts(void **state)
{
    (void)state;
    struct job job = { .convert = true, .macs = NONE, .keys = NONE };
    auto_json json_t *before = identity_of_conversion(&job);
    job.keys = ((const char *[]){ "all:key:secret", NULL });
    auto_json json_t *with_keys = identity_of_conversion(&job);
    assert_true(json_equal(before, with_keys));
    job.convert = false;
    auto_json json_t *unconverted = identity_of_conversion(&job);
    assert_false(json_equal(before, unconverted));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_changed_source_is_another_one),
        cmocka_unit_test(keys_may_change_between_attempts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
