#include "descriptor/ova.h"

#include <inttypes.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/checked.h"
#include "ovf-samples.h"
#include "package-maker.h"
#include "../tar-maker.h"

/* One disk of 1 GiB in the file of that href, with these attributes. */
#define ONE_DISK(href, file_attrs, disk_attrs)                                                     \
    OVF_OPEN("")                                                                                   \
    "<References><File ovf:id='f' ovf:href='" href "' " file_attrs "/></References>"               \
    "<DiskSection><Disk ovf:diskId='d' ovf:fileRef='f' " disk_attrs "/></DiskSection>"             \
    "<VirtualSystem ovf:id='m'><VirtualHardwareSection>" OVF_CPU_MEMORY                            \
    "<Item><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceType>6</rasd:ResourceType></Item>"    \
    "<Item><rasd:HostResource>ovf:/disk/d</rasd:HostResource><rasd:Parent>3</rasd:Parent>"         \
    "<rasd:ResourceType>17</rasd:ResourceType></Item>"                                             \
    "</VirtualHardwareSection></VirtualSystem></Envelope>"
#define ONE_GIB "ovf:capacity='1073741824'"

static struct vm *
open_ova(const char *path)
{
    struct err err = ERR_INIT;
    struct vm *vm = vm_new(&err);
    assert_non_null(vm);
    if (ova_open(path, vm, &err) < 0)
        fail_msg("%s", err.text);
    return vm;
}

static void
assert_refused(const char *path, enum err_kind kind, const char *part)
{
    struct err err = ERR_INIT;
    auto_vm struct vm *vm = vm_new(&err);
    assert_non_null(vm);
    if (ova_open(path, vm, &err) == 0)
        fail_msg("was taken, should say '%s'", part);
    if (!strstr(err.text, part))
        fail_msg("'%s' does not say '%s'", err.text, part);
    assert_string_equal(err_kind_name(err.kind), err_kind_name(kind));
}

static void
an_ova_is_read_in_place(void **state)
{
    (void)state;
    char data[VMDK_BYTES];
    auto_scratch char *dir = scratch_make();
    auto_buf struct buf tar = BUF_INIT(MIB);
    tar_add(&tar, "m.ovf", '0', OVF_VCENTER, strlen(OVF_VCENTER));
    make_vmdk(data, 16 * GIB, VMDK_TEXT);
    tar_add(&tar, "web01-1.vmdk", '0', data, sizeof data);
    size_t second = tar.len + 512;
    make_vmdk(data, 2 * GIB, VMDK_TEXT);
    tar_add(&tar, "web01-2.vmdk", '0', data, sizeof data - 100);
    make_vmdk(data, GIB, VMDK_TEXT);
    unsigned char packed[VMDK_BYTES];
    size_t packed_len = make_gzip(packed, data, sizeof data);
    tar_add(&tar, "my data.vmdk.gz", '0', packed, packed_len);
    tar_end(&tar);
    put_file(dir, "web.ova", tar.data, tar.len);
    const char *path = path_in(dir, "web.ova");

    auto_vm struct vm *vm = open_ova(path);
    assert_string_equal(vm->name, "web01 & co");
    assert_int_equal(vm->n_disks, 5);
    /* scsi0:0 */
    assert_string_equal(vm->disks[0].image.path, path);
    assert_true(vm->disks[0].image.gzip);
    assert_string_equal(vm->disks[0].image.format, "vmdk");
    assert_int_equal(vm->disks[0].image.window_bytes, packed_len);
    assert_int_equal(vm->disks[0].capacity_bytes, GIB);
    /* scsi0:1 */
    assert_int_equal(vm->disks[1].image.window_offset, second);
    assert_int_equal(vm->disks[1].image.window_bytes, sizeof data - 100);
    assert_string_equal(vm->disks[1].image.format, "vmdk");
    assert_false(vm->disks[1].image.gzip);
    assert_int_equal(vm->disks[1].capacity_bytes, 2 * GIB);
    /* scsi1:0, and the same file again on SATA */
    assert_int_equal(vm->disks[2].image.window_offset, vm->disks[3].image.window_offset);
    assert_int_equal(vm->disks[3].bus, VM_BUS_SATA);
    /* NVMe: an empty one */
    assert_null(vm->disks[4].image.path);
    assert_null(vm->disks[4].image.format);
    assert_int_equal(vm->disks[4].capacity_bytes, 10 * GIB);
}

static void
a_directory_and_a_descriptor_are_the_same_package(void **state)
{
    (void)state;
    char data[VMDK_BYTES];
    auto_scratch char *dir = scratch_make();
    make_vmdk(data, GIB, VMDK_TEXT);
    put_file(dir, "a disk.vmdk", data, sizeof data);
    put_text(dir, "m.OVF", ONE_DISK("a%20disk.vmdk", "", ONE_GIB));
    put_text(dir, "._m.ovf", "what macOS leaves");
    const char *paths[] = { dir, path_in(dir, "m.OVF") };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        auto_vm struct vm *vm = open_ova(paths[i]);
        assert_string_equal(vm->disks[0].image.path, path_in(dir, "a disk.vmdk"));
        assert_int_equal(vm->disks[0].image.window_offset, 0);
        assert_int_equal(vm->disks[0].image.window_bytes, 0);
        assert_string_equal(vm->disks[0].image.format, "vmdk");
    }
    put_text(dir, "second.ovf", "x");
    assert_refused(dir, ERR_INVALID, "more than one descriptor");
}

static void
an_ova_packed_with_its_directory_is_read(void **state)
{
    (void)state;
    char data[VMDK_BYTES];
    auto_scratch char *dir = scratch_make();
    auto_buf struct buf tar = BUF_INIT(MIB);
    make_vmdk(data, GIB, VMDK_TEXT);
    tar_add(&tar, "vm/", '5', NULL, 0);
    tar_add(&tar, "vm/m.ovf", '0', ONE_DISK("a.vmdk", "", ONE_GIB),
            strlen(ONE_DISK("a.vmdk", "", ONE_GIB)));
    tar_add(&tar, "vm/a.vmdk", '0', data, sizeof data);
    tar_end(&tar);
    put_file(dir, "m.ova", tar.data, tar.len);
    auto_vm struct vm *vm = open_ova(path_in(dir, "m.ova"));
    assert_int_equal(vm->disks[0].image.window_bytes, sizeof data);
}

static void
what_is_no_package_is_refused_with_the_way_out(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        size_t len;
        const char *part;
    } bad[] = {
        { "\x1f\x8b\x08\0", 4, "tar -C DIR -xzf" },
        { "PK\3\4", 4, "unzip" },
        { "\xfd"
          "7zXZ\0",
          6, "-xJf" },
        { "BZh91", 5, "-xjf" },
        { "\x28\xb5\x2f\xfd", 4, "--zstd" },
        { "<?xml version='1.0'?>", 21, ".ovf" },
        { "", 0, "no .ovf in this tar" },
        { "hello", 5, "ends at byte 5" },
    };
    auto_scratch char *dir = scratch_make();
    assert_refused(dir, ERR_NOT_FOUND, "no .ovf file in this directory");
    assert_refused(path_in(dir, "x"), ERR_NOT_FOUND, "No such file");
    assert_refused("/dev/null", ERR_INVALID, "neither a file nor a directory");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        put_file(dir, "x.ova", bad[i].data, bad[i].len);
        assert_refused(path_in(dir, "x.ova"), ERR_INVALID, bad[i].part);
    }
    auto_buf struct buf tar = BUF_INIT(MIB);
    tar_add(&tar, "a.ovf", '0', "x", 1);
    tar_add(&tar, "b.ovf", '0', "x", 1);
    tar_end(&tar);
    put_file(dir, "x.ova", tar.data, tar.len);
    assert_refused(path_in(dir, "x.ova"), ERR_INVALID,
                   "more than one descriptor in it (a.ovf, b.ovf)");
}

static void
links_out_of_the_directory_are_refused(void **state)
{
    (void)state;
    char data[VMDK_BYTES];
    auto_scratch char *dir = scratch_make();
    auto_scratch char *other = scratch_make();
    make_vmdk(data, GIB, VMDK_TEXT);
    put_file(other, "a.vmdk", data, sizeof data);
    put_text(dir, "m.ovf", ONE_DISK("a.vmdk", "", ONE_GIB));
    assert_refused(dir, ERR_NOT_FOUND, "a.vmdk");
    assert_int_equal(symlink(path_in(other, "a.vmdk"), path_in(dir, "a.vmdk")), 0);
    assert_refused(dir, ERR_INVALID, "leads out of the package");
    assert_int_equal(symlink(other, path_in(dir, "sub")), 0);
    put_text(dir, "m.ovf", ONE_DISK("sub/a.vmdk", "", ONE_GIB));
    assert_refused(dir, ERR_INVALID, "leads out of the package");
    /* one that stays inside is fine */
    put_file(dir, "real.vmdk", data, sizeof data);
    assert_int_equal(symlink("real.vmdk", path_in(dir, "in.vmdk")), 0);
    put_text(dir, "m.ovf", ONE_DISK("in.vmdk", "", ONE_GIB));
    auto_vm struct vm *vm = open_ova(dir);
    assert_string_equal(vm->disks[0].image.path, path_in(dir, "real.vmdk"));
    /* what would hang or has no size is no disk */
    assert_int_equal(mkfifo(path_in(dir, "fifo"), 0600), 0);
    put_text(dir, "m.ovf", ONE_DISK("fifo", "", ONE_GIB));
    assert_refused(dir, ERR_INVALID, "not a regular file");
    put_file(dir, "empty", "", 0);
    put_text(dir, "m.ovf", ONE_DISK("empty", "", ONE_GIB));
    assert_refused(dir, ERR_INVALID, "empty: empty");
}

static void
sizes_that_do_not_agree_are_refused(void **state)
{
    (void)state;
    char data[VMDK_BYTES];
    auto_scratch char *dir = scratch_make();
    make_vmdk(data, GIB, VMDK_TEXT);
    put_file(dir, "a.vmdk", data, sizeof data);

    put_text(dir, "m.ovf", ONE_DISK("a.vmdk", "ovf:size='12289'", ONE_GIB));
    assert_refused(dir, ERR_INVALID, "has 12288 bytes, should have 12289");
    put_text(dir, "m.ovf", ONE_DISK("a.vmdk", "", "ovf:capacity='1073741312'"));
    assert_refused(dir, ERR_INVALID, "the descriptor says 1073741312");
    put_text(dir, "m.ovf", ONE_DISK("a.vmdk", "", "ovf:capacity='0'"));
    vm_free(open_ova(dir)); /* 0 says nothing */

    /* rounding down to a unit is no lie; the image's size is what counts */
    make_vmdk(data, GIB + GIB / 2, VMDK_TEXT);
    put_file(dir, "a.vmdk", data, sizeof data);
    put_text(dir, "m.ovf",
             ONE_DISK("a.vmdk", "", "ovf:capacity='1' ovf:capacityAllocationUnits='byte * 2^30'"));
    auto_vm struct vm *vm = open_ova(dir);
    assert_int_equal(vm->disks[0].capacity_bytes, GIB + GIB / 2);
    make_vmdk(data, 2 * GIB, VMDK_TEXT);
    put_file(dir, "a.vmdk", data, sizeof data);
    assert_refused(dir, ERR_INVALID, "one of them is wrong");

    make_vmdk(data, (uint64_t)1 << 60, VMDK_TEXT);
    put_file(dir, "a.vmdk", data, sizeof data);
    put_text(dir, "m.ovf", ONE_DISK("a.vmdk", "", ""));
    assert_refused(dir, ERR_INVALID, "that a disk can have");
}

static void
raw_of_ovirt_is_never_looked_into(void **state)
{
    (void)state;
    char head[4096] = "QFI\xfb\0\0\0\3"; /* what a guest could write into its first bytes */
    head[15] = 104;
    auto_scratch char *dir = scratch_make();
    put_file(dir, "a", head, sizeof head);
    put_text(dir, "m.ovf",
             ONE_DISK("a", "ovf:size='999999'", "ovf:volume-format='RAW' ovf:size='1'"));
    auto_vm struct vm *vm = open_ova(dir);
    assert_string_equal(vm->disks[0].image.format, "raw");
    put_text(dir, "m.ovf", ONE_DISK("a", "", ONE_GIB));
    assert_refused(dir, ERR_INVALID, "backing file");
}

static void
files_in_pieces_are_refused_unless_there_is_only_one(void **state)
{
    (void)state;
    char data[VMDK_BYTES];
    auto_scratch char *dir = scratch_make();
    make_vmdk(data, GIB, VMDK_TEXT);
    put_file(dir, "a.vmdk.000000000", data, sizeof data);
    put_text(dir, "m.ovf", ONE_DISK("a.vmdk", "ovf:chunkSize='20000'", ONE_GIB));
    auto_vm struct vm *vm = open_ova(dir);
    assert_string_equal(vm->disks[0].image.path, path_in(dir, "a.vmdk.000000000"));
    put_text(dir, "m.ovf", ONE_DISK("a.vmdk", "", ONE_GIB));
    vm_free(open_ova(dir));
    put_file(dir, "a.vmdk.000000001", data, sizeof data);
    assert_refused(dir, ERR_INVALID, "join them (cat a.vmdk.0* > a.vmdk)");
}

static void
a_machine_without_disks_is_refused(void **state)
{
    (void)state;
    auto_scratch char *dir = scratch_make();
    put_text(dir, "m.ovf", OVF_CONFIGURATIONS);
    assert_refused(dir, ERR_INVALID, "no disks");
    put_text(dir, "m.ovf", "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>");
    assert_refused(dir, ERR_INVALID, "DOCTYPE");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ova_is_read_in_place),
        cmocka_unit_test(a_directory_and_a_descriptor_are_the_same_package),
        cmocka_unit_test(an_ova_packed_with_its_directory_is_read),
        cmocka_unit_test(what_is_no_package_is_refused_with_the_way_out),
        cmocka_unit_test(links_out_of_the_directory_are_refused),
        cmocka_unit_test(sizes_that_do_not_agree_are_refused),
        cmocka_unit_test(raw_of_ovirt_is_never_looked_into),
        cmocka_unit_test(files_in_pieces_are_refused_unless_there_is_only_one),
        cmocka_unit_test(a_machine_without_disks_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
