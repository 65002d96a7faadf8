#include "guest/domxml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/proc.h"
#include "wire/xml.h"

static const struct domxml_disk disks[] = {
    { .path = "/var/lib/vm/web01-sda", .format = "qcow2" },
    { .path = "/dev/vg/data", .format = "raw", .block = true },
    { .path = "/tmp/a <&> \"b\"", .format = "raw", .no_direct = true },
};

static struct vm *
make_vm(void)
{
    struct err err = ERR_INIT;
    struct vm *vm = vm_new(&err);
    assert_non_null(vm);
    assert_int_equal(vm_set_text(&vm->name, "web01 & co", &err), 0);
    assert_int_equal(vm_set_text(&vm->uuid, "4210abcd-0000-1111-2222-333344445555", &err), 0);
    assert_int_equal(vm_set_text(&vm->title, "prod/web01", &err), 0);
    assert_int_equal(vm_set_text(&vm->description, "the <web> server", &err), 0);
    vm->vcpus = 6;
    vm->sockets = 2;
    vm->cores = 3;
    vm->threads = 1;
    vm->memory_bytes = 4 * GIB;
    static const enum vm_bus buses[] = { VM_BUS_SCSI, VM_BUS_IDE, VM_BUS_NVME };
    for (unsigned i = 0; i < ARRAY_LEN(disks); i++) {
        struct vm_disk *disk = vm_add_disk(vm, &err);
        disk->bus = buses[i];
        disk->unit = i;
        disk->capacity_bytes = GIB;
    }
    assert_int_equal(vm_set_text(&vm->disks[0].serial, "6000C29-x_1", &err), 0);
    assert_int_equal(vm_set_text(&vm->disks[1].serial, "not/allowed", &err), 0);
    for (int i = 0; i < 2; i++)
        assert_non_null(vm_add_nic(vm, &err));
    snprintf(vm->nics[0].mac, sizeof vm->nics[0].mac, "00:50:56:aa:bb:01");
    assert_int_equal(vm_set_text(&vm->nics[0].network, "VM Network", &err), 0);
    vm->nics[1].connected = false;
    return vm;
}

/* Everything that the writers must get right for any guest. */
static const struct {
    const char *what;
    enum guest_type type; /* GUEST_UNKNOWN: no facts */
    const char *distro;
    int major, minor;
    const char *osinfo;
    bool uefi, secure, tpm, emulated, no_virtio;
} cases[] = {
    { "no facts" },
    { "no facts, no virtio", .no_virtio = true },
    { "debian", GUEST_LINUX, "debian", 12, 0, "debian12" },
    { "debian by uefi", GUEST_LINUX, "debian", 12, .uefi = true },
    { "rhel 6", GUEST_LINUX, "rhel", 6, 9, "rhel6.9" },
    { "rhel 4", GUEST_LINUX, "rhel", 4, .no_virtio = true },
    { "windows server", GUEST_WINDOWS, "windows", 10, 0, "win2k22", .uefi = true, .secure = true,
      .tpm = true },
    { "windows 7", GUEST_WINDOWS, "windows", 6, 1 },
    { "windows xp", GUEST_WINDOWS, "windows", 5, 1, .no_virtio = true },
    { "windows emulated", GUEST_WINDOWS, "windows", 10, .emulated = true },
};

static void
write_case(size_t i, struct vm *vm, struct buf *ret)
{
    struct err err = ERR_INIT;
    struct guest_facts facts = {
        .type = cases[i].type,
        .distro = cases[i].distro ? strdup(cases[i].distro) : NULL,
        .osinfo = cases[i].osinfo ? strdup(cases[i].osinfo) : NULL,
        .major = cases[i].major,
        .minor = cases[i].minor,
        .rtc_localtime = cases[i].type == GUEST_WINDOWS,
    };
    struct domxml_spec spec = {
        .vm = vm,
        .facts = cases[i].type == GUEST_UNKNOWN ? NULL : &facts,
        .disks = disks,
        .emulated = cases[i].emulated,
        .no_virtio = cases[i].no_virtio,
        .firmware = cases[i].uefi ? VM_FIRMWARE_UEFI : VM_FIRMWARE_BIOS,
        .mark_ns = "urn:vmferry:migration:1",
        .mark_id = "4f1c0a9be2d7",
    };
    vm->secure_boot = cases[i].secure;
    vm->tpm = cases[i].tpm;
    if (domxml_write(&spec, ret, &err) < 0)
        fail_msg("%s: %s", cases[i].what, err.text);
    guest_facts_free(&facts);
}

static void
libvirts_schema_accepts_what_is_written(void **state)
{
    (void)state;
    auto_vm struct vm *vm = make_vm();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        auto_buf struct buf xml = BUF_INIT(DOMXML_MAX_BYTES);
        write_case(i, vm, &xml);
        auto_free char *dir = NULL, *path = NULL;
        assert_int_equal(dir_make_private(NULL, &dir, &err), 0);
        assert_true(asprintf(&path, "%s/domain.xml", dir) > 0);
        assert_int_equal(file_write_atomic(path, xml.data, xml.len, 0600, &err), 0);
        const char *const argv[] = { "virt-xml-validate", path, "domain", NULL };
        struct proc_spec spec = PROC_SPEC_INIT;
        spec.argv = argv;
        int r = proc_run(&spec, clock_now_ns() + 60 * NS_PER_S, NULL, NULL, NULL, &err);
        struct err ignored = ERR_INIT;
        dir_remove(dir, &ignored);
        if (r < 0 && err.kind == ERR_NOT_FOUND) {
            print_message("SKIPPED: virt-xml-validate (libvirt-clients) is not installed\n");
            skip();
        }
        if (r < 0)
            fail_msg("%s: %s\n%s", cases[i].what, err.text, xml.data);
    }
}

static struct xml_doc *
parse(const struct buf *xml)
{
    struct err err = ERR_INIT;
    struct xml_doc *doc = NULL;
    if (xml_parse(xml->data, xml->len, "domain", &doc, &err) < 0)
        fail_msg("%s\n%s", err.text, xml->data);
    return doc;
}

static struct xml_doc *
write_named(const char *what)
{
    auto_vm struct vm *vm = make_vm();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (strcmp(cases[i].what, what) == 0) {
            auto_buf struct buf xml = BUF_INIT(DOMXML_MAX_BYTES);
            write_case(i, vm, &xml);
            return parse(&xml);
        }
    fail_msg("no case %s", what);
    return NULL;
}

/* Is there a child of that name with this attribute? */
static bool
has(const struct xml_node *parent, const char *name, const char *attr, const char *value)
{
    for (const struct xml_node *n = xml_child(parent, name); n; n = xml_next(n, name)) {
        const char *is = xml_attr(n, attr);
        if (is && strcmp(is, value) == 0)
            return true;
    }
    return false;
}

static void
a_modern_linux_gets_virtio_on_q35(void **state)
{
    (void)state;
    auto_xml_doc struct xml_doc *doc = write_named("debian");
    const struct xml_node *d = xml_root(doc), *devices = xml_child(d, "devices");
    assert_string_equal(xml_attr(d, "type"), "kvm");
    assert_string_equal(xml_text_at(d, "name"), "web01 & co");
    assert_string_equal(xml_text_at(d, "uuid"), "4210abcd-0000-1111-2222-333344445555");
    assert_string_equal(xml_text_at(d, "title"), "prod/web01");
    assert_string_equal(xml_text_at(d, "description"), "the <web> server");
    assert_string_equal(xml_text_at(d, "memory"), "4194304");
    assert_null(xml_attr_at(d, "memory", "unit"));
    assert_string_equal(xml_text_at(d, "vcpu"), "6");
    assert_string_equal(xml_attr_at(d, "cpu", "mode"), "host-model");
    assert_string_equal(xml_attr_at(d, "cpu/topology", "cores"), "3");
    assert_string_equal(xml_attr_at(d, "os/type", "machine"), "q35");
    assert_null(xml_attr_at(d, "os", "firmware"));
    assert_null(xml_find(d, "features/smm"));
    assert_null(xml_find(d, "features/hyperv"));
    assert_string_equal(xml_attr_at(d, "clock", "offset"), "utc");
    assert_string_equal(xml_attr_at(d, "metadata/libosinfo/os", "id"),
                        "http://debian.org/debian/12");
    assert_string_equal(xml_attr_at(d, "metadata/migration", "id"), "4f1c0a9be2d7");
    assert_true(has(devices, "controller", "model", "pcie-root-port"));
    assert_null(xml_find(devices, "tpm"));
    assert_null(xml_find(devices, "panic"));
    assert_string_equal(xml_attr_at(devices, "graphics", "listen"), "127.0.0.1");
    assert_string_equal(xml_attr_at(devices, "channel/target", "name"), "org.qemu.guest_agent.0");
    assert_string_equal(xml_text_at(devices, "rng/backend"), "/dev/urandom");

    const struct xml_node *disk = xml_child(devices, "disk");
    assert_string_equal(xml_attr(disk, "type"), "file");
    assert_string_equal(xml_attr_at(disk, "driver", "type"), "qcow2");
    assert_string_equal(xml_attr_at(disk, "driver", "cache"), "none");
    assert_string_equal(xml_attr_at(disk, "driver", "io"), "native");
    assert_string_equal(xml_attr_at(disk, "driver", "discard"), "unmap");
    assert_string_equal(xml_attr_at(disk, "source", "file"), "/var/lib/vm/web01-sda");
    assert_string_equal(xml_attr_at(disk, "target", "dev"), "vda");
    assert_string_equal(xml_attr_at(disk, "target", "bus"), "virtio");
    assert_string_equal(xml_text_at(disk, "serial"), "6000C29-x_1");
    assert_string_equal(xml_attr_at(disk, "boot", "order"), "1");
    disk = xml_next(disk, "disk");
    assert_string_equal(xml_attr(disk, "type"), "block");
    assert_string_equal(xml_attr_at(disk, "source", "dev"), "/dev/vg/data");
    assert_null(xml_find(disk, "serial"));
    assert_null(xml_find(disk, "boot"));
    disk = xml_next(disk, "disk");
    assert_string_equal(xml_attr_at(disk, "source", "file"), "/tmp/a <&> \"b\"");
    assert_null(xml_attr_at(disk, "driver", "cache"));
    assert_null(xml_attr_at(disk, "driver", "io"));
    assert_string_equal(xml_attr_at(disk, "target", "dev"), "vdc");

    const struct xml_node *nic = xml_child(devices, "interface");
    assert_string_equal(xml_attr_at(nic, "mac", "address"), "00:50:56:aa:bb:01");
    assert_string_equal(xml_attr_at(nic, "source", "network"), "VM Network");
    assert_string_equal(xml_attr_at(nic, "model", "type"), "virtio");
    assert_null(xml_find(nic, "link"));
    nic = xml_next(nic, "interface");
    assert_null(xml_find(nic, "mac"));
    assert_string_equal(xml_attr_at(nic, "source", "network"), "default");
    assert_string_equal(xml_attr_at(nic, "link", "state"), "down");
}

static void
windows_gets_its_enlightenments(void **state)
{
    (void)state;
    auto_xml_doc struct xml_doc *doc = write_named("windows server");
    const struct xml_node *d = xml_root(doc), *devices = xml_child(d, "devices");
    assert_string_equal(xml_attr_at(d, "os", "firmware"), "efi");
    assert_true(has(xml_find(d, "os/firmware"), "feature", "name", "secure-boot"));
    assert_true(has(xml_find(d, "os/firmware"), "feature", "enabled", "yes"));
    assert_false(has(xml_find(d, "os/firmware"), "feature", "enabled", "no"));
    assert_string_equal(xml_attr_at(d, "features/smm", "state"), "on");
    assert_string_equal(xml_attr_at(d, "features/hyperv/spinlocks", "retries"), "8191");
    assert_string_equal(xml_attr_at(d, "features/hyperv/stimer/direct", "state"), "on");
    assert_string_equal(xml_attr_at(d, "clock", "offset"), "localtime");
    assert_true(has(xml_find(d, "clock"), "timer", "name", "hypervclock"));
    assert_string_equal(xml_attr_at(devices, "tpm", "model"), "tpm-crb");
    assert_string_equal(xml_attr_at(devices, "panic", "model"), "hyperv");
    assert_string_equal(xml_attr_at(d, "metadata/libosinfo/os", "id"),
                        "http://microsoft.com/win/2k22");

    auto_xml_doc struct xml_doc *tcg = write_named("windows emulated");
    d = xml_root(tcg);
    assert_string_equal(xml_attr(d, "type"), "qemu");
    assert_string_equal(xml_attr_at(d, "cpu", "mode"), "maximum");
    assert_null(xml_find(d, "features/hyperv"));
    assert_null(xml_find(d, "devices/panic"));
}

static void
old_guests_get_what_they_know(void **state)
{
    (void)state;
    auto_xml_doc struct xml_doc *rhel6 = write_named("rhel 6");
    const struct xml_node *d = xml_root(rhel6), *devices = xml_child(d, "devices");
    assert_string_equal(xml_attr_at(d, "os/type", "machine"), "q35");
    assert_string_equal(xml_attr_at(devices, "disk", "model"), "virtio-transitional");
    assert_string_equal(xml_attr_at(devices, "interface/model", "type"), "virtio-transitional");
    assert_string_equal(xml_attr_at(d, "metadata/libosinfo/os", "id"),
                        "http://redhat.com/rhel/6.9");

    auto_xml_doc struct xml_doc *xp = write_named("windows xp");
    d = xml_root(xp), devices = xml_child(d, "devices");
    assert_string_equal(xml_attr_at(d, "os/type", "machine"), "pc");
    assert_string_equal(xml_attr_at(devices, "disk/target", "bus"), "ide");
    assert_string_equal(xml_attr_at(devices, "disk/target", "dev"), "hda");
    assert_string_equal(xml_attr_at(devices, "interface/model", "type"), "e1000");
    assert_false(has(devices, "controller", "model", "pcie-root-port"));
    assert_string_equal(xml_attr_at(devices, "memballoon", "model"), "none");
    assert_null(xml_find(devices, "rng"));
    assert_null(xml_find(devices, "channel"));

    auto_xml_doc struct xml_doc *none = write_named("no facts, no virtio");
    devices = xml_find(xml_root(none), "devices");
    assert_string_equal(xml_attr_at(devices, "disk/target", "bus"), "sata");
    assert_string_equal(xml_attr_at(devices, "disk/target", "dev"), "sda");
    assert_string_equal(xml_attr_at(devices, "interface/model", "type"), "e1000e");
}

static void
boot_orders_become_one_sequence(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_vm struct vm *vm = make_vm();
    vm->disks[0].boot_order = 1;
    vm->disks[1].boot_order = 7;
    vm->nics[1].boot_order = 3;
    struct domxml_nic nics[] = { { "lan", false }, { "br1", true } };
    struct domxml_spec spec = { .vm = vm, .disks = disks, .nics = nics, .name = "new" };
    auto_buf struct buf xml = BUF_INIT(DOMXML_MAX_BYTES);
    assert_int_equal(domxml_write(&spec, &xml, &err), 0);
    auto_xml_doc struct xml_doc *doc = parse(&xml);
    const struct xml_node *devices = xml_find(xml_root(doc), "devices");
    const struct xml_node *disk = xml_child(devices, "disk"),
                          *nic = xml_child(devices, "interface");
    assert_string_equal(xml_text_at(xml_root(doc), "name"), "new");
    assert_string_equal(xml_attr_at(disk, "boot", "order"), "1");
    assert_string_equal(xml_attr_at(xml_next(disk, "disk"), "boot", "order"), "3");
    assert_null(xml_find(nic, "boot"));
    assert_string_equal(xml_attr_at(nic, "source", "network"), "lan");
    nic = xml_next(nic, "interface");
    assert_string_equal(xml_attr_at(nic, "boot", "order"), "2");
    assert_string_equal(xml_attr(nic, "type"), "bridge");
    assert_string_equal(xml_attr_at(nic, "source", "bridge"), "br1");
}

/* The same order twice is legal at the source, but libvirt refuses it. */
static void
equal_boot_orders_are_told_apart(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_vm struct vm *vm = make_vm();
    for (size_t i = 0; i < 3; i++)
        vm->disks[i].boot_order = 5;
    vm->nics[0].boot_order = 5;
    struct domxml_spec spec = { .vm = vm, .disks = disks };
    auto_buf struct buf xml = BUF_INIT(DOMXML_MAX_BYTES);
    assert_int_equal(domxml_write(&spec, &xml, &err), 0);
    auto_xml_doc struct xml_doc *doc = parse(&xml);
    const struct xml_node *devices = xml_find(xml_root(doc), "devices");
    static const char *const want[] = { "1", "2", "3" };
    size_t i = 0;
    for (const struct xml_node *d = xml_child(devices, "disk"); d; d = xml_next(d, "disk"))
        assert_string_equal(xml_attr_at(d, "boot", "order"), want[i++]);
    assert_string_equal(xml_attr_at(devices, "interface/boot", "order"), "4");
}

static void
a_path_that_xml_cannot_hold_is_an_error(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_vm struct vm *vm = make_vm();
    struct domxml_disk bad[] = { disks[0], disks[1], { .path = "/tmp/\xff", .format = "raw" } };
    struct domxml_spec spec = { .vm = vm, .disks = bad };
    auto_buf struct buf xml = BUF_INIT(DOMXML_MAX_BYTES);
    assert_int_equal(domxml_write(&spec, &xml, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    xml.len = 0;
    assert_int_equal(domxml_write_source(&spec, &xml, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
}

static void
the_source_keeps_its_buses(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_vm struct vm *vm = make_vm();
    struct domxml_spec spec = { .vm = vm, .disks = disks, .firmware = VM_FIRMWARE_UEFI };
    auto_buf struct buf xml = BUF_INIT(DOMXML_MAX_BYTES);
    assert_int_equal(domxml_write_source(&spec, &xml, &err), 0);
    auto_xml_doc struct xml_doc *doc = parse(&xml);
    const struct xml_node *d = xml_root(doc), *disk = xml_find(d, "devices/disk");
    assert_string_equal(xml_text_at(d, "memory"), "4194304");
    assert_null(xml_attr_at(d, "memory", "unit"));
    assert_string_equal(xml_attr_at(d, "os", "firmware"), "efi");
    assert_string_equal(xml_attr_at(disk, "target", "dev"), "sda");
    assert_string_equal(xml_attr_at(disk, "target", "bus"), "scsi");
    disk = xml_next(disk, "disk");
    assert_string_equal(xml_attr_at(disk, "target", "dev"), "hdb");
    assert_string_equal(xml_attr_at(disk, "target", "bus"), "ide");
    disk = xml_next(disk, "disk");
    assert_string_equal(xml_attr_at(disk, "target", "dev"), "nvme2n1");
}

struct v2v_words {
    bool memory, vcpus, disk, uefi;
};

static void
on_v2v_line(int stream, const char *line, size_t len, void *arg)
{
    (void)stream, (void)len;
    struct v2v_words *words = arg;
    words->memory |= strstr(line, "memory: 4294967296") != NULL;
    words->vcpus |= strstr(line, "nr vCPUs: 6") != NULL;
    words->uefi |= strstr(line, "firmware: uefi") != NULL;
    words->disk |= strstr(line, "0 [scsi]") != NULL;
}

static void
virt_v2v_understands_the_source(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_vm struct vm *vm = make_vm();
    auto_free char *dir = NULL, *image = NULL, *path = NULL;
    assert_int_equal(dir_make_private(NULL, &dir, &err), 0);
    assert_true(asprintf(&image, "%s/image", dir) > 0 && asprintf(&path, "%s/xml", dir) > 0);
    assert_int_equal(file_write_atomic(image, "x", 1, 0600, &err), 0);
    struct domxml_disk one = { .path = image, .format = "raw" };
    struct domxml_spec spec = { .vm = vm, .disks = &one, .firmware = VM_FIRMWARE_UEFI };
    vm->disks[1].serial = (free(vm->disks[1].serial), NULL);
    vm->n_disks = 1;
    auto_buf struct buf xml = BUF_INIT(DOMXML_MAX_BYTES);
    assert_int_equal(domxml_write_source(&spec, &xml, &err), 0);
    assert_int_equal(file_write_atomic(path, xml.data, xml.len, 0600, &err), 0);
    const char *const argv[] = { "virt-v2v", "-i",   "libvirtxml",     path,
                                 "-o",       "null", "--print-source", NULL };
    struct proc_spec run = PROC_SPEC_INIT;
    run.argv = argv;
    struct v2v_words words = { 0 };
    int r = proc_run(&run, clock_now_ns() + 60 * NS_PER_S, on_v2v_line, NULL, &words, &err);
    struct err ignored = ERR_INIT;
    dir_remove(dir, &ignored);
    if (r < 0 && err.kind == ERR_NOT_FOUND) {
        print_message("SKIPPED: virt-v2v is not installed\n");
        skip();
    }
    if (r < 0)
        fail_msg("%s", err.text);
    assert_true(words.memory && words.vcpus && words.uefi && words.disk);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(libvirts_schema_accepts_what_is_written),
        cmocka_unit_test(a_modern_linux_gets_virtio_on_q35),
        cmocka_unit_test(windows_gets_its_enlightenments),
        cmocka_unit_test(old_guests_get_what_they_know),
        cmocka_unit_test(boot_orders_become_one_sequence),
        cmocka_unit_test(equal_boot_orders_are_told_apart),
        cmocka_unit_test(a_path_that_xml_cannot_hold_is_an_error),
        cmocka_unit_test(the_source_keeps_its_buses),
        cmocka_unit_test(virt_v2v_understands_the_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
