#include "model/vm.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/checked.h"

static struct vm *
good_vm(void)
{
    struct err err = ERR_INIT;
    struct vm *vm = vm_new(&err);
    assert_non_null(vm);
    assert_int_equal(vm_set_text(&vm->name, "web01", &err), 0);
    vm->memory_bytes = GIB;
    return vm;
}

static void
add_disk(struct vm *vm, enum vm_bus bus, unsigned controller, unsigned unit, unsigned boot_order)
{
    struct err err = ERR_INIT;
    struct vm_disk *disk = vm_add_disk(vm, &err);
    assert_non_null(disk);
    disk->bus = bus;
    disk->controller = controller;
    disk->unit = unit;
    disk->boot_order = boot_order;
    disk->capacity_bytes = GIB;
}

static void
assert_bad(const struct vm *vm, const char *part)
{
    struct err err = ERR_INIT;
    assert_int_equal(vm_check(vm, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    if (!strstr(err.text, part))
        fail_msg("'%s' does not say '%s'", err.text, part);
}

static void
disks_are_sorted_as_the_guest_sees_them(void **state)
{
    (void)state;
    auto_vm struct vm *vm = good_vm();
    add_disk(vm, VM_BUS_NVME, 0, 0, 0);
    add_disk(vm, VM_BUS_IDE, 0, 1, 0);
    add_disk(vm, VM_BUS_SCSI, 1, 0, 0);
    add_disk(vm, VM_BUS_SCSI, 0, 15, 0);
    add_disk(vm, VM_BUS_SCSI, 0, 2, 0);
    add_disk(vm, VM_BUS_SATA, 0, 0, 2);
    add_disk(vm, VM_BUS_SCSI, 3, 0, 1);
    vm_sort_disks(vm);
    static const char *const want[] = { "scsi0:2", "scsi0:15", "scsi1:0", "scsi3:0",
                                        "sata0:0", "ide0:1",   "nvme0:0" };
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        char id[VM_DISK_ID_MAX];
        assert_string_equal(vm_disk_id(&vm->disks[i], id), want[i]);
    }
    struct err err = ERR_INIT;
    assert_int_equal(vm_check(vm, &err), 0);
}

static void
letters_go_on_after_z(void **state)
{
    (void)state;
    char text[4];
    assert_string_equal(vm_drive_letters(0, text), "a");
    assert_string_equal(vm_drive_letters(25, text), "z");
    assert_string_equal(vm_drive_letters(26, text), "aa");
    assert_string_equal(vm_drive_letters(51, text), "az");
    assert_string_equal(vm_drive_letters(52, text), "ba");
    assert_string_equal(vm_drive_letters(VM_MAX_DISKS - 1, text), "iv");
    assert_string_equal(vm_drive_letters(701, text), "zz");
    assert_string_equal(vm_drive_letters(702, text), "aaa");
}

static void
check_says_what_is_wrong(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_vm struct vm *vm = good_vm();
    assert_int_equal(vm_check(vm, &err), 0);

    vm_set_text(&vm->name, "", &err);
    assert_bad(vm, "no name");
    static const char *const bad_names[] = { "a/b", "..", "." };
    for (size_t i = 0; i < ARRAY_LEN(bad_names); i++) {
        vm_set_text(&vm->name, bad_names[i], &err);
        assert_bad(vm, "cannot be a file name");
    }
    char long_name[VM_MAX_NAME + 2];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    vm_set_text(&vm->name, long_name, &err);
    assert_bad(vm, "longer");
    vm_set_text(&vm->name, long_name + 1, &err);
    assert_int_equal(vm_check(vm, &err), 0);

    vm->vcpus = 0;
    assert_bad(vm, "0 virtual CPUs");
    vm->vcpus = VM_MAX_VCPUS + 1;
    assert_bad(vm, "virtual CPUs");
    vm->vcpus = 6;
    vm->sockets = 2;
    vm->cores = 2;
    vm->threads = 1;
    assert_bad(vm, "are not 6");
    vm->cores = 3;
    assert_int_equal(vm_check(vm, &err), 0);
    vm->sockets = vm->cores = vm->threads = 2147483648U;
    assert_bad(vm, "are not 6");
    vm->sockets = vm->cores = vm->threads = 0;

    vm->memory_bytes = 0;
    assert_bad(vm, "memory");
    vm->memory_bytes = VM_MAX_MEMORY_BYTES + 1;
    assert_bad(vm, "memory");
    vm->memory_bytes = VM_MAX_MEMORY_BYTES;

    add_disk(vm, VM_BUS_SCSI, 0, 1, 0);
    add_disk(vm, VM_BUS_SCSI, 0, 1, 0);
    assert_bad(vm, "two disks at scsi0:1");
    vm->disks[1].unit = 2;
    vm->disks[1].capacity_bytes = VM_MAX_DISK_BYTES + 1;
    assert_bad(vm, "scsi0:2: a capacity");
    vm->disks[1].capacity_bytes = 0;
    assert_bad(vm, "scsi0:2: neither an image nor a capacity");
    vm->disks[1].capacity_bytes = 512;

    struct vm_nic *nic = vm_add_nic(vm, &err);
    assert_non_null(nic);
    assert_true(nic->connected);
    assert_int_equal(vm_check(vm, &err), 0);
    snprintf(nic->mac, sizeof nic->mac, "00:50:56:AA:bb:01");
    assert_bad(vm, "bad MAC");
    snprintf(nic->mac, sizeof nic->mac, "00:50:56:aa:bb:01");
    assert_int_equal(vm_check(vm, &err), 0);
}

static void
there_is_an_end_to_disks_and_nics(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_vm struct vm *vm = good_vm();
    for (unsigned i = 0; i < VM_MAX_DISKS; i++)
        add_disk(vm, VM_BUS_SCSI, 0, i, 0);
    assert_null(vm_add_disk(vm, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    for (unsigned i = 0; i < VM_MAX_NICS; i++)
        assert_non_null(vm_add_nic(vm, &err));
    assert_null(vm_add_nic(vm, &err));
    assert_int_equal(vm_check(vm, &err), 0);
}

static void
macs_are_read_in_any_form(void **state)
{
    (void)state;
    static const char *const good[] = { "00:50:56:AA:bb:01", "00-50-56-aa-bb-01", "005056AABB01",
                                        "0050.56aa.bb01" };
    static const char *const bad[] = { "",
                                       "00:50:56:aa:bb",
                                       "00:50:56:aa:bb:01:02",
                                       "00:50:56:aa:bb:0g",
                                       "0:050:56:aa:bb:01",
                                       ":005056aabb01",
                                       "005056aabb01:",
                                       "00 50 56 aa bb 01" };
    struct err err = ERR_INIT;
    char mac[18];
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(vm_mac_parse(good[i], mac, &err), 0);
        assert_string_equal(mac, "00:50:56:aa:bb:01");
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (vm_mac_parse(bad[i], mac, &err) == 0)
            fail_msg("'%s' was taken for a MAC address", bad[i]);
}

static void
uuids_are_read_with_and_without_braces(void **state)
{
    (void)state;
    static const char want[] = "4210abcd-0000-1111-2222-333344445555";
    struct err err = ERR_INIT;
    char uuid[VM_UUID_MAX];
    assert_int_equal(vm_uuid_parse("4210ABCD-0000-1111-2222-333344445555", uuid, &err), 0);
    assert_string_equal(uuid, want);
    assert_int_equal(vm_uuid_parse("{4210abcd-0000-1111-2222-333344445555}", uuid, &err), 0);
    assert_string_equal(uuid, want);
    static const char *const bad[] = { "",
                                       "{",
                                       "4210abcd",
                                       "4210abcd-0000-1111-2222-33334444555",
                                       "4210abcd-0000-1111-2222-3333444455556",
                                       "{4210abcd-0000-1111-2222-333344445555",
                                       "4210abcd00000-1111-2222-333344445555",
                                       "4210abcx-0000-1111-2222-333344445555" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (vm_uuid_parse(bad[i], uuid, &err) == 0)
            fail_msg("'%s' was taken for a UUID", bad[i]);
}

static void
texts_are_cleaned(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_vm struct vm *vm = good_vm();
    assert_int_equal(vm_set_text(&vm->title, " \ta\nb\x01 c \n", &err), 0);
    assert_string_equal(vm->title, "a b  c");
    assert_int_equal(vm_set_text(&vm->title, " \n ", &err), 0);
    assert_null(vm->title);
    assert_int_equal(vm_set_text(&vm->title, "gr\xc3\xbc\xc3\x9f \xf0\x9f\x9a\xa2", &err), 0);
    assert_int_equal(vm_set_text(&vm->title, NULL, &err), 0);
    assert_null(vm->title);
    static const char *const bad[] = {
        "\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe0\x80\x80", "a\xc3("
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        err = ERR_INIT;
        assert_int_equal(vm_set_text(&vm->title, bad[i], &err), -1);
        assert_int_equal(err.kind, ERR_INVALID);
    }
}

static void
a_name_becomes_a_file_name(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_vm struct vm *vm = good_vm();
    assert_int_equal(vm_set_name(vm, "plain", &err), 0);
    assert_string_equal(vm->name, "plain");
    assert_null(vm->title);
    assert_int_equal(vm_set_name(vm, "prod/web 01", &err), 0);
    assert_string_equal(vm->name, "prod-web 01");
    assert_string_equal(vm->title, "prod/web 01");
    assert_int_equal(vm_check(vm, &err), 0);
}

static void
a_copy_owns_its_texts(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_vm struct vm *from = vm_new(&err);
    auto_vm struct vm *to = vm_new(&err);
    assert_int_equal(vm_set_name(from, "web/01", &err), 0);
    for (int i = 0; i < 3; i++) {
        struct vm_disk *disk = vm_add_disk(from, &err);
        disk->unit = (unsigned)i;
        assert_int_equal(vm_set_text(&disk->serial, i ? "serial" : NULL, &err), 0);
    }
    assert_int_equal(vm_set_text(&vm_add_nic(from, &err)->network, "net", &err), 0);
    assert_int_equal(vm_copy(from, to, &err), 0);
    vm_cleanup(&from);
    from = NULL;
    assert_string_equal(to->name, "web-01");
    assert_string_equal(to->title, "web/01");
    assert_null(to->disks[0].serial);
    assert_string_equal(to->disks[2].serial, "serial");
    assert_int_equal(to->disks[2].unit, 2);
    assert_string_equal(to->nics[0].network, "net");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(disks_are_sorted_as_the_guest_sees_them),
        cmocka_unit_test(letters_go_on_after_z),
        cmocka_unit_test(check_says_what_is_wrong),
        cmocka_unit_test(there_is_an_end_to_disks_and_nics),
        cmocka_unit_test(macs_are_read_in_any_form),
        cmocka_unit_test(uuids_are_read_with_and_without_braces),
        cmocka_unit_test(texts_are_cleaned),
        cmocka_unit_test(a_name_becomes_a_file_name),
        cmocka_unit_test(a_copy_owns_its_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
