#include "descriptor/libvirtxml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/checked.h"
#include "package-maker.h"

static struct vm *
parse(const char *text)
{
    struct err err = ERR_INIT;
    struct vm *vm = vm_new(&err);
    assert_non_null(vm);
    if (libvirtxml_parse(text, strlen(text), "m.xml", "/tmp", vm, &err) < 0)
        fail_msg("%s", err.text);
    return vm;
}

static void
assert_refused(const char *text, const char *part)
{
    struct err err = ERR_INIT;
    auto_vm struct vm *vm = vm_new(&err);
    assert_non_null(vm);
    if (libvirtxml_parse(text, strlen(text), "m.xml", "/tmp", vm, &err) == 0)
        fail_msg("was taken, should say '%s'", part);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_memory_equal(err.text, "m.xml: ", 7);
    if (!strstr(err.text, part))
        fail_msg("'%s' does not say '%s'", err.text, part);
}

static void
assert_disk(const struct vm *vm, size_t i, const char *id, const char *path)
{
    char text[VM_DISK_ID_MAX];
    assert_true(i < vm->n_disks);
    assert_string_equal(vm_disk_id(&vm->disks[i], text), id);
    assert_string_equal(vm->disks[i].image.path, path);
}

static void
a_whole_machine_is_read(void **state)
{
    (void)state;
    auto_vm struct vm *vm = parse(
        "<domain type='kvm'><name>web/01</name><uuid>4210ABCD-0000-1111-2222-333344445555</uuid>"
        "<genid>4210abcd-0000-1111-2222-333344445556</genid><description>a\nb</description>"
        "<metadata><libosinfo:libosinfo xmlns:libosinfo='http://libosinfo.org/x'>"
        "<libosinfo:os id='http://debian.org/debian/12'/></libosinfo:libosinfo></metadata>"
        "<memory unit='MiB'>768</memory><currentMemory>1</currentMemory><vcpu placement='static'>8"
        "</vcpu><os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type>"
        "<loader readonly='yes' secure='yes' type='pflash'>/usr/share/OVMF/x.fd</loader></os>"
        "<cpu mode='custom' match='exact'><model fallback='allow'>Westmere</model>"
        "<topology sockets='2' dies='1' cores='2' threads='2'/></cpu>"
        "<clock offset='localtime'/><devices>"
        "<disk type='file' device='cdrom'><target dev='sdz' bus='sata'/></disk>"
        "<disk type='file' device='floppy'><target dev='fda'/></disk>"
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
        "<source file='images/b.qcow2'/><target dev='sdb' bus='scsi'/><serial>S1</serial></disk>"
        "<disk type='block' device='disk'><driver name='qemu' type='raw'/>"
        "<source dev='/dev/vg/lv'/><target dev='vda' bus='virtio'/><boot order='1'/></disk>"
        "<disk type='file'><source file='/x/sata'/><target dev='sdc' bus='sata'/>"
        "<address type='drive' controller='1' bus='0' target='0' unit='4'/></disk>"
        "<disk type='file'><source file='/x/ide'/><target dev='hdd' bus='ide'/>"
        "<address type='drive' controller='0' bus='1' target='0' unit='1'/></disk>"
        "<disk type='file'><source file='/x/nvme'/><target dev='nvme1n1' bus='nvme'/></disk>"
        "<interface type='network'><mac address='52:54:00:AA:bb:cc'/><source network='default'/>"
        "<model type='virtio'/><boot order='2'/></interface>"
        "<interface type='bridge'><source bridge='br0'/><link state='down'/></interface>"
        "<interface type='hostdev'/><tpm model='tpm-crb'/></devices></domain>");
    assert_string_equal(vm->name, "web-01");
    assert_string_equal(vm->title, "web/01");
    assert_string_equal(vm->uuid, "4210abcd-0000-1111-2222-333344445555");
    assert_string_equal(vm->genid, "4210abcd-0000-1111-2222-333344445556");
    assert_string_equal(vm->description, "a b");
    assert_string_equal(vm->osinfo, "http://debian.org/debian/12");
    assert_int_equal(vm->memory_bytes, 768 * MIB);
    assert_int_equal(vm->vcpus, 8);
    assert_int_equal(vm->sockets, 2);
    assert_int_equal(vm->cores, 2);
    assert_int_equal(vm->threads, 2);
    assert_string_equal(vm->cpu_model, "Westmere");
    assert_int_equal(vm->firmware, VM_FIRMWARE_UEFI);
    assert_true(vm->firmware_known);
    assert_true(vm->secure_boot);
    assert_true(vm->rtc_localtime);
    assert_true(vm->tpm);
    assert_int_equal(vm->n_cdroms, 1);

    assert_int_equal(vm->n_disks, 5);
    assert_disk(vm, 0, "scsi0:1", "/tmp/images/b.qcow2");
    assert_string_equal(vm->disks[0].image.format, "qcow2");
    assert_string_equal(vm->disks[0].serial, "S1");
    assert_disk(vm, 1, "sata1:4", "/x/sata");
    assert_string_equal(vm->disks[1].image.format, "raw");
    assert_disk(vm, 2, "ide0:3", "/x/ide");
    assert_disk(vm, 3, "nvme1:0", "/x/nvme");
    assert_disk(vm, 4, "virtio0:0", "/dev/vg/lv");
    assert_int_equal(vm->disks[4].boot_order, 1);

    assert_int_equal(vm->n_nics, 2);
    assert_string_equal(vm->nics[0].mac, "52:54:00:aa:bb:cc");
    assert_string_equal(vm->nics[0].network, "default");
    assert_string_equal(vm->nics[0].model, "virtio");
    assert_int_equal(vm->nics[0].boot_order, 2);
    assert_true(vm->nics[1].bridge);
    assert_string_equal(vm->nics[1].network, "br0");
    assert_false(vm->nics[1].connected);
}

#define DISK "<disk type='file'><source file='/d'/><target dev='sda' bus='scsi'/></disk>"
#define WITH(top, devices) "<domain><name>m</name>" top "<devices>" devices "</devices></domain>"

static void
the_unit_of_memory_is_honoured(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {
        { WITH("", DISK), GIB },
        { WITH("<memory>1048576</memory>", DISK), GIB },
        { WITH("<memory unit='KiB'>1048576</memory>", DISK), GIB },
        { WITH("<memory unit='k'>1024</memory>", DISK), MIB },
        { WITH("<memory unit='KB'>1024</memory>", DISK), 1024000 },
        { WITH("<memory unit='GB'>2</memory>", DISK), 2000000000 },
        { WITH("<memory unit='GiB'>2</memory>", DISK), 2 * GIB },
        { WITH("<memory unit='b'>4096</memory>", DISK), 4096 },
        { WITH("<memory unit='bytes'>4096</memory>", DISK), 4096 },
        { WITH("<memory unit='T'>1</memory>", DISK), TIB },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_vm struct vm *vm = parse(cases[i].text);
        assert_int_equal(vm->memory_bytes, cases[i].bytes);
        assert_int_equal(vm->vcpus, 1);
        assert_int_equal(vm->sockets, 0);
    }
}

static void
firmware_is_found_in_each_form(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool known, uefi, secure;
    } cases[] = {
        { WITH("", DISK), false, false, false },
        { WITH("<os><type>hvm</type></os>", DISK), true, false, false },
        { WITH("<os firmware='bios'/>", DISK), true, false, false },
        { WITH("<os firmware='efi'/>", DISK), true, true, false },
        { WITH("<os firmware='efi'><firmware><feature enabled='yes' name='enrolled-keys'/>"
               "<feature enabled='yes' name='secure-boot'/></firmware></os>",
               DISK),
          true, true, true },
        { WITH("<os firmware='efi'><loader secure='yes'/></os>", DISK), true, true, true },
        { WITH("<os><loader type='pflash' secure='no'>x</loader></os>", DISK), true, true, false },
        { WITH("<os><loader type='rom'>x</loader></os>", DISK), true, false, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_vm struct vm *vm = parse(cases[i].text);
        assert_int_equal(vm->firmware_known, cases[i].known);
        assert_int_equal(vm->firmware == VM_FIRMWARE_UEFI, cases[i].uefi);
        assert_int_equal(vm->secure_boot, cases[i].secure);
    }
}

#define NBD(attrs, host)                                                                           \
    WITH("", "<disk type='network'><source protocol='nbd' " attrs ">" host                         \
             "</source><target dev='vda' bus='virtio'/></disk>")

static void
nbd_servers_become_uris(void **state)
{
    (void)state;
    static const struct {
        const char *text, *uri;
    } cases[] = {
        { NBD("name='my disk'", "<host name='example.com' port='10810'/>"),
          "nbd://example.com:10810/my%20disk" },
        { NBD("", "<host name='example.com'/>"), "nbd://example.com:10809/" },
        { NBD("", "<host name='2001:db8::1'/>"), "nbd://[2001:db8::1]:10809/" },
        { NBD("tls='yes' name='a/b'", "<host name='h'/>"), "nbds://h:10809/a/b" },
        { NBD("name='x'", "<host transport='unix' socket='/tmp/a b&amp;c?'/>"),
          "nbd+unix:///x?socket=/tmp/a%20b%26c%3F" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_vm struct vm *vm = parse(cases[i].text);
        assert_string_equal(vm->disks[0].image.path, cases[i].uri);
        assert_string_equal(vm->disks[0].image.format, "raw");
    }
}

static void
what_cannot_be_moved_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } bad[] = {
        { "<machine/>", "not a libvirt domain: it is a <machine>" },
        { "<!DOCTYPE domain SYSTEM 'x'><domain/>", "DOCTYPE" },
        { "<domain><devices>" DISK "</devices></domain>", "no name" },
        { WITH("", ""), "no disks" },
        { WITH("<vcpu>0</vcpu>", DISK), "0 virtual CPUs" },
        { WITH("<vcpu>many</vcpu>", DISK), "vcpu: 'many'" },
        { WITH("<memory>0</memory>", DISK), "0 bytes of memory" },
        { WITH("<memory unit='stone'>1</memory>", DISK), "unknown unit 'stone'" },
        { WITH("<memory unit='TiB'>99999999999</memory>", DISK), "too large" },
        { WITH("<uuid>x</uuid>", DISK), "not a UUID" },
        { WITH("", DISK DISK), "two disks at scsi0:0" },
        { WITH("", "<disk type='volume'><source pool='a' volume='b'/><target dev='sda'/></disk>"),
          "type='volume' is not read" },
        { WITH("", "<disk type='network'><source protocol='rbd'/><target dev='sda'/></disk>"),
          "protocol 'rbd'" },
        { WITH("", "<disk type='file' device='lun'/>"), "device='lun'" },
        { WITH("", "<disk type='file'><target dev='sda'/></disk>"), "no source" },
        { WITH("", "<disk type='file'><source file='/d'/></disk>"), "no target" },
        { WITH("", "<disk type='file'><source file='/d'/><target dev='sd1'/></disk>"), "'sd1'" },
        { WITH("", "<disk type='file'><source file='/d'/><target dev='sd'/></disk>"), "'sd'" },
        { WITH("", "<disk type='file'><source file='/d'/><target dev='sdzzzzzzzz'/></disk>"),
          "'sdzzzzzzzz'" },
        { WITH("", "<disk type='file'><source file='/d'/><target dev='sda' bus='sd'/></disk>"),
          "bus 'sd'" },
        { WITH("", "<disk type='file'><source file='/d'/><target dev='sda' bus='scsi'/>"
                   "<encryption format='luks'/></disk>"),
          "encrypted" },
        { WITH("", DISK "<interface type='network'><mac address='x'/></interface>"), "MAC" },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_refused(bad[i].text, bad[i].part);
}

static void
relative_files_lie_beside_the_xml(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    static const char text[] = WITH("", "<disk type='file'><source file='d.raw'/>"
                                        "<target dev='sda' bus='scsi'/></disk>");
    auto_scratch char *dir = scratch_make();
    put_text(dir, "m.xml", text);
    auto_vm struct vm *missing = vm_new(&err);
    assert_int_equal(libvirtxml_read(path_in(dir, "m.xml"), missing, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "d.raw"));
    put_text(dir, "d.raw", "x");
    auto_vm struct vm *vm = vm_new(&err);
    assert_int_equal(libvirtxml_read(path_in(dir, "m.xml"), vm, &err), 0);
    assert_string_equal(vm->disks[0].image.path, path_in(dir, "d.raw"));
    auto_vm struct vm *none = vm_new(&err);
    assert_int_equal(libvirtxml_read(path_in(dir, "no.xml"), none, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_machine_is_read),
        cmocka_unit_test(the_unit_of_memory_is_honoured),
        cmocka_unit_test(firmware_is_found_in_each_form),
        cmocka_unit_test(nbd_servers_become_uris),
        cmocka_unit_test(what_cannot_be_moved_is_refused_by_name),
        cmocka_unit_test(relative_files_lie_beside_the_xml),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
