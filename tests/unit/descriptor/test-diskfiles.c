#include "descriptor/diskfiles.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/checked.h"
#include "package-maker.h"

static void
a_machine_is_made_up_as_virt_v2v_does(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_scratch char *dir = scratch_make();
    put_text(dir, "web-sda", "x");
    put_text(dir, "web-sdb", "x");
    const char *paths[] = { path_in(dir, "web-sda"), path_in(dir, "web-sdb"),
                            "nbd://localhost:10809/x" };
    auto_vm struct vm *vm = vm_new(&err);
    if (diskfiles_open(paths, ARRAY_LEN(paths), NULL, vm, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(vm->name, "web");
    assert_int_equal(vm->memory_bytes, 2 * GIB);
    assert_int_equal(vm->vcpus, 1);
    assert_false(vm->firmware_known);
    assert_int_equal(vm->n_disks, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_string_equal(vm->disks[i].image.path, paths[i]);
        assert_int_equal(vm->disks[i].bus, VM_BUS_SCSI);
        assert_int_equal(vm->disks[i].unit, i);
        assert_int_equal(vm->disks[i].image.window_bytes, 0);
    }
    assert_null(vm->disks[0].image.format);
    assert_string_equal(vm->disks[2].image.format, "raw");
    assert_int_equal(vm->n_nics, 1);
    assert_string_equal(vm->nics[0].network, "default");
    assert_string_equal(vm->nics[0].mac, "");

    auto_vm struct vm *given = vm_new(&err);
    assert_int_equal(diskfiles_open(paths, 2, "qcow2", given, &err), 0);
    assert_string_equal(given->disks[1].image.format, "qcow2");
}

static void
names_lose_what_only_says_image(void **state)
{
    (void)state;
    static const struct {
        const char *file, *name;
    } cases[] = {
        { "a.img", "a" },       { "a.qcow2", "a" },       { "a.VMDK", "a" },
        { "a-flat.vmdk", "a" }, { "a-sda", "a" },         { "a-sda.qcow2", "a" },
        { "a-sdb", "a-sdb" },   { ".raw", ".raw" },       { "a.tar", "a.tar" },
        { "a b.vhdx", "a b" },  { "a.img.raw", "a.img" }, { "-sda", "-sda" },
    };
    auto_scratch char *dir = scratch_make();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        put_text(dir, cases[i].file, "x");
        const char *paths[] = { path_in(dir, cases[i].file) };
        auto_vm struct vm *vm = vm_new(&err);
        if (diskfiles_open(paths, 1, NULL, vm, &err) < 0)
            fail_msg("%s", err.text);
        assert_string_equal(vm->name, cases[i].name);
    }
}

static void
relative_paths_become_absolute(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_scratch char *dir = scratch_make();
    put_text(dir, "x.img", "x");
    assert_int_equal(chdir(dir), 0);
    const char *paths[] = { "x.img" };
    auto_vm struct vm *vm = vm_new(&err);
    assert_int_equal(diskfiles_open(paths, 1, NULL, vm, &err), 0);
    assert_string_equal(vm->disks[0].image.path, path_in(dir, "x.img"));
    assert_int_equal(chdir("/"), 0);
}

static void
what_is_no_image_is_refused(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_scratch char *dir = scratch_make();
    const char *paths[] = { path_in(dir, "missing"), dir };
    auto_vm struct vm *vm = vm_new(&err);
    assert_int_equal(diskfiles_open(paths, 0, NULL, vm, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_int_equal(diskfiles_open(paths, 1, NULL, vm, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_int_equal(diskfiles_open(paths + 1, 1, NULL, vm, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_is_made_up_as_virt_v2v_does),
        cmocka_unit_test(names_lose_what_only_says_image),
        cmocka_unit_test(relative_paths_become_absolute),
        cmocka_unit_test(what_is_no_image_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
