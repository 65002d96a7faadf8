#include "engine/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/checked.h"
#include "vmware/machine.h"

#define MAX_FOUND 32

struct found {
    size_t n;
    struct check_finding list[MAX_FOUND];
};

static void
keep(const struct check_finding *finding, void *arg)
{
    struct found *found = arg;
    assert_true(found->n < MAX_FOUND);
    assert_true(*finding->what && *finding->cause && *finding->cure && *finding->code);
    assert_true(finding->level[CHECK_COLD] || finding->level[CHECK_WARM]);
    found->list[found->n++] = *finding;
}

static struct vmware_machine *machine; /* of the test that runs */

static void
add_disk(enum vm_bus bus, unsigned controller, unsigned unit)
{
    struct err err = ERR_INIT;
    struct vm_disk *disk = vm_add_disk(machine->vm, &err);
    assert_non_null(disk);
    disk->bus = bus;
    disk->controller = controller;
    disk->unit = unit;
    disk->capacity_bytes = 16 * GIB;
    machine->disks[machine->n_disks++] = (struct vmware_disk){
        .file = "[ds1] web01/web01.vmdk",
        .capacity_bytes = 16 * GIB,
        .datastore = "datastore-1",
        .datastore_name = "ds1",
        .datastore_known = true,
        .datastore_free_bytes = TIB,
    };
}

/* A machine of which there is nothing to say: off, tracked, one plain disk. */
static int
setup(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    machine = calloc(1, sizeof *machine);
    assert_non_null(machine);
    machine->vm = vm_new(&err);
    assert_non_null(machine->vm);
    machine->name = "web01";
    machine->config_present = true;
    machine->connection = VMWARE_CONNECTED;
    machine->power = VMWARE_POWERED_OFF;
    machine->hw_version = 19;
    machine->cbt_supported = machine->cbt_enabled = machine->tools_running = true;
    add_disk(VM_BUS_SCSI, 0, 0);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    vm_free(machine->vm);
    free(machine);
    return 0;
}

/* ---- one condition each ---- */

static void
add_device(enum vmware_device_kind kind, const char *label)
{
    machine->devices[machine->n_devices++] = (struct vmware_device){ .kind = kind, .label = label };
}

static void
add_snapshot(const char *name)
{
    machine->snapshots[machine->n_snapshots++] = (struct vmware_snapshot){ .name = name };
}

#define MAKE(name, ...)                                                                            \
    static void make_##name(void)                                                                  \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
    }

MAKE(disconnected, machine->connection = VMWARE_DISCONNECTED)
MAKE(orphaned, machine->connection = VMWARE_ORPHANED)
MAKE(inaccessible, machine->connection = VMWARE_INACCESSIBLE)
MAKE(no_config, machine->config_present = false)
MAKE(suspended, machine->power = VMWARE_SUSPENDED)
MAKE(running, machine->power = VMWARE_POWERED_ON)
MAKE(question, machine->question = "msg.cdrom: retry?")
MAKE(no_tools, machine->power = VMWARE_POWERED_ON; machine->tools_running = false)
MAKE(template, machine->template = true)
MAKE(ft, machine->fault_tolerance = true)
MAKE(consolidation, machine->consolidation_needed = true)
MAKE(snapshot, add_snapshot("before the update"))
MAKE(snapshot_untracked, add_snapshot("x"); machine->cbt_enabled = false)
MAKE(untracked, machine->cbt_enabled = false)
MAKE(frozen, machine->instant_clone_frozen = true)
MAKE(locked, machine->crypto_locked = true)
MAKE(no_disks, machine->n_disks = machine->vm->n_disks = 0)
MAKE(rdm_physical, machine->disks[0].backing = VMWARE_BACKING_RDM_PHYSICAL)
MAKE(rdm_virtual, machine->disks[0].backing = VMWARE_BACKING_RDM_VIRTUAL)
MAKE(old_backing, machine->disks[0].backing = VMWARE_BACKING_OTHER)
MAKE(independent, machine->disks[0].mode = VMWARE_MODE_INDEPENDENT_PERSISTENT)
MAKE(running_independent, make_running(); make_independent())
MAKE(nonpersistent, machine->disks[0].mode = VMWARE_MODE_NONPERSISTENT)
MAKE(append, machine->disks[0].mode = VMWARE_MODE_APPEND)
MAKE(undoable, machine->disks[0].mode = VMWARE_MODE_UNDOABLE)
MAKE(multi_writer, machine->disks[0].multi_writer = true)
MAKE(shared_bus, machine->disks[0].shared_bus = true)
MAKE(linked, machine->disks[0].has_parent = true)
MAKE(encrypted, machine->encrypted = true)
MAKE(encrypted_disk, machine->disks[0].encrypted = true)
MAKE(large, machine->disks[0].capacity_bytes = 2 * TIB + MIB)
MAKE(native_4k, machine->disks[0].native_4k = true)
MAKE(odd, machine->disks[0].capacity_bytes = GIB + 512)
MAKE(nvme, machine->vm->disks[0].bus = VM_BUS_NVME)
MAKE(sata_first, machine->vm->disks[0].boot_order = 2; add_disk(VM_BUS_SATA, 0, 0);
     machine->vm->disks[1].boot_order = 1)
MAKE(many, for (unsigned i = 1; i <= 15; i++) add_disk(VM_BUS_SCSI, 0, i < 7 ? i : i + 1))
MAKE(old_hardware, machine->hw_version = 4)
MAKE(unsupported, machine->cbt_supported = false)
MAKE(full, machine->disks[0].datastore_free_bytes = MIB)
MAKE(tight, machine->disks[0].datastore_free_bytes = GIB + MIB)
MAKE(tpm, machine->vm->tpm = true)
MAKE(uefi, machine->vm->firmware_known = true; machine->vm->firmware = VM_FIRMWARE_UEFI)
MAKE(secure_boot, machine->vm->secure_boot = true)
MAKE(vbs, machine->vbs = true)
MAKE(nested, machine->nested_hv = true)
MAKE(passthrough, add_device(VMWARE_DEVICE_PCI_PASSTHROUGH, "PCI device 0"))
MAKE(running_passthrough, make_running(); make_passthrough())
MAKE(sriov, add_device(VMWARE_DEVICE_SRIOV, "Network adapter 2"))
MAKE(vgpu, add_device(VMWARE_DEVICE_VGPU, "PCI device 1"))
MAKE(nvdimm, add_device(VMWARE_DEVICE_NVDIMM, "NVDIMM 1"))
MAKE(usb, add_device(VMWARE_DEVICE_USB, "USB 1"))
MAKE(serial, add_device(VMWARE_DEVICE_SERIAL, "Serial port 1"))
MAKE(medium, add_device(VMWARE_DEVICE_MEDIUM, "CD/DVD drive 1"))
MAKE(tools_mounted, machine->tools_mounted = true)
MAKE(managed, machine->managed_by = "com.example.backup")
MAKE(vcls, machine->managed_by = "com.vmware.vim.eam")
MAKE(replicated, machine->replicated = true)
MAKE(vapp, machine->ovf_environment = true)

#define E CHECK_ERROR
#define W CHECK_WARNING
#define I CHECK_INFO
#define N CHECK_NONE
#define NOW                                                                                        \
    {                                                                                              \
        .now = true                                                                                \
    }
#define FROZEN                                                                                     \
    {                                                                                              \
        .now = true, .snapshot = true                                                              \
    }

static const struct {
    void (*make)(void);
    struct check_context context;
    const char *code;
    enum check_level cold, warm;
} cases[] = {
    { make_disconnected, { 0 }, "not-connected", E, E },
    { make_orphaned, { 0 }, "not-connected", E, E },
    { make_inaccessible, { 0 }, "not-connected", E, E },
    { make_no_config, { 0 }, "not-connected", E, E },
    { make_suspended, { 0 }, "suspended", E, E },
    { make_running, { 0 }, "running", I, N },
    { make_running, NOW, "running", E, N },
    { make_running, FROZEN, "running", W, N },
    { make_question, { 0 }, "question", E, E },
    { make_no_tools, { 0 }, "tools-not-running", N, W },
    { make_template, { 0 }, "template", I, E },
    { make_ft, { 0 }, "fault-tolerance", E, E },
    { make_consolidation, { 0 }, "consolidation-needed", W, E },
    { make_snapshot, { 0 }, "snapshots", I, W },
    { make_snapshot_untracked, { 0 }, "snapshots", I, W },
    { make_untracked, { 0 }, "cbt-off", N, I },
    { make_frozen, { 0 }, "instant-clone-parent", E, E },
    { make_locked, { 0 }, "encryption-locked", E, E },
    { make_no_disks, { 0 }, "no-disks", E, E },
    { make_rdm_physical, { 0 }, "rdm-physical", E, E },
    { make_rdm_virtual, { 0 }, "rdm-virtual", I, I },
    { make_old_backing, { 0 }, "old-disk-format", E, E },
    { make_independent, { 0 }, "independent-disk", W, E },
    { make_running_independent, FROZEN, "independent-disk", E, E },
    { make_nonpersistent, { 0 }, "disk-mode", W, E },
    { make_append, { 0 }, "disk-mode", W, E },
    { make_undoable, { 0 }, "disk-mode", W, E },
    { make_multi_writer, { 0 }, "multi-writer", W, E },
    { make_shared_bus, { 0 }, "shared-bus", W, E },
    { make_linked, { 0 }, "linked-clone", W, W },
    { make_encrypted, { 0 }, "encrypted", W, W },
    { make_encrypted_disk, { 0 }, "encrypted", W, W },
    { make_large, { 0 }, "large-disk", W, W },
    { make_native_4k, { 0 }, "native-4k", E, E },
    { make_odd, { 0 }, "odd-size", I, I },
    { make_nvme, { 0 }, "boot-bus", I, I },
    { make_sata_first, { 0 }, "boot-bus", I, I },
    { make_many, { 0 }, "many-disks", I, I },
    { make_old_hardware, { 0 }, "no-tracking", N, W },
    { make_unsupported, { 0 }, "no-tracking", N, W },
    { make_full, { 0 }, "datastore-room", N, E },
    { make_tight, { 0 }, "datastore-room", N, W },
    { make_tight, { .snapshot = true }, "datastore-room", W, W },
    { make_tpm, { 0 }, "tpm", W, W },
    { make_uefi, { 0 }, "uefi", I, I },
    { make_secure_boot, { 0 }, "secure-boot", W, W },
    { make_vbs, { 0 }, "vbs", W, W },
    { make_nested, { 0 }, "nested-virtualization", I, I },
    { make_passthrough, { 0 }, "passthrough", W, W },
    { make_running_passthrough, { 0 }, "passthrough", W, E },
    { make_sriov, { 0 }, "passthrough", W, W },
    { make_vgpu, { 0 }, "passthrough", W, W },
    { make_nvdimm, { 0 }, "nvdimm", E, E },
    { make_usb, { 0 }, "usb-device", W, W },
    { make_serial, { 0 }, "ports", W, W },
    { make_medium, { 0 }, "media", I, I },
    { make_tools_mounted, { 0 }, "media", I, I },
    { make_managed, { 0 }, "managed", W, W },
    { make_vcls, { 0 }, "managed", E, E },
    { make_replicated, { 0 }, "replicated", W, W },
    { make_vapp, { 0 }, "ovf-environment", W, W },
    { make_rdm_virtual, { .transports = CHECK_BY_HTTPS }, "no-transport", E, E },
    { make_encrypted, { .transports = CHECK_BY_EXPORT }, "no-transport", E, E },
    { make_independent, { .transports = CHECK_BY_VDDK }, "no-transport", E, E },
};

static const struct check_finding *
find(const struct found *found, const char *code)
{
    for (size_t i = 0; i < found->n; i++)
        if (strcmp(found->list[i].code, code) == 0)
            return &found->list[i];
    return NULL;
}

static void
each_condition_is_found(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct found found = { .n = 0 };
        setup(state);
        cases[i].make();
        check_machine(machine, &cases[i].context, keep, &found);
        const struct check_finding *f = find(&found, cases[i].code);
        if (!f)
            fail_msg("case %zu: %s was not found", i, cases[i].code);
        if (f->level[CHECK_COLD] != cases[i].cold || f->level[CHECK_WARM] != cases[i].warm)
            fail_msg("case %zu: %s is %s cold and %s warm", i, f->code,
                     check_level_name(f->level[CHECK_COLD]),
                     check_level_name(f->level[CHECK_WARM]));
        teardown(state);
    }
    setup(state);
}

static void
each_rule_has_a_case(void **state)
{
    (void)state;
    size_t n = 0;
    for (const char *code; (code = check_code(n)); n++) {
        size_t i = 0;
        while (i < ARRAY_LEN(cases) && strcmp(cases[i].code, code) != 0)
            i++;
        if (i == ARRAY_LEN(cases))
            fail_msg("no case for %s", code);
        for (size_t before = 0; before < n; before++)
            assert_string_not_equal(check_code(before), code);
    }
    assert_true(n >= 34);
}

static void
of_a_plain_machine_nothing_is_said(void **state)
{
    (void)state;
    struct found found = { .n = 0 };
    struct check_context context = { .now = true };
    check_machine(machine, &context, keep, &found);
    assert_int_equal(found.n, 0);
    assert_int_equal(check_transports(machine, &context), CHECK_BY_ANY);
}

static void
without_a_configuration_only_its_state_is_judged(void **state)
{
    (void)state;
    struct found found = { .n = 0 };
    struct check_context context = { .now = true };
    machine->connection = VMWARE_INACCESSIBLE;
    machine->config_present = false;
    vm_free(TAKE_PTR(machine->vm));
    machine->n_disks = 0;
    check_machine(machine, &context, keep, &found);
    assert_int_equal(found.n, 1);
    assert_int_equal(check_transports(machine, &context), 0);
}

/* ---- transports ---- */

static void
each_disk_narrows_the_transports(void **state)
{
    (void)state;
    struct check_context any = { .now = true }, frozen = { .now = true, .snapshot = true };
    struct vmware_disk *disk = &machine->disks[0];
    const struct vmware_disk plain = *disk;
#define CAN(context) check_transports(machine, &(context))
    disk->backing = VMWARE_BACKING_RDM_VIRTUAL;
    assert_int_equal(CAN(any), CHECK_BY_VDDK | CHECK_BY_EXPORT);
    *disk = plain;
    disk->has_parent = true;
    assert_int_equal(CAN(any), CHECK_BY_VDDK | CHECK_BY_EXPORT);
    *disk = plain;
    disk->object_store = true;
    assert_int_equal(CAN(any), CHECK_BY_VDDK | CHECK_BY_EXPORT);
    *disk = plain;
    disk->encrypted = true;
    assert_int_equal(CAN(any), CHECK_BY_VDDK);
    *disk = plain;
    disk->mode = VMWARE_MODE_INDEPENDENT_PERSISTENT;
    assert_int_equal(CAN(any), CHECK_BY_HTTPS | CHECK_BY_EXPORT | CHECK_BY_SSH);
    assert_int_equal(CAN(frozen), 0);
    *disk = plain;
    disk->backing = VMWARE_BACKING_RDM_PHYSICAL;
    assert_int_equal(CAN(any), 0);
    *disk = plain;
    struct check_context https = { .transports = CHECK_BY_HTTPS | CHECK_BY_SSH };
    assert_int_equal(CAN(https), CHECK_BY_HTTPS | CHECK_BY_SSH);
    /* The second disk counts as well. */
    add_disk(VM_BUS_SCSI, 0, 1);
    machine->disks[1].encrypted = true;
    assert_int_equal(CAN(any), CHECK_BY_VDDK);
    machine->disks[0].mode = VMWARE_MODE_INDEPENDENT_PERSISTENT;
    assert_int_equal(CAN(any), 0);
}

static void
a_disk_no_transport_reads_is_said_once(void **state)
{
    (void)state;
    struct found found = { .n = 0 };
    struct check_context context = { 0 };
    machine->disks[0].backing = VMWARE_BACKING_RDM_PHYSICAL;
    check_machine(machine, &context, keep, &found);
    assert_int_equal(found.n, 1);
    assert_string_equal(found.list[0].code, "rdm-physical");
    assert_string_equal(found.list[0].subject, "scsi0:0");
}

static void
disks_that_no_single_transport_reads(void **state)
{
    (void)state;
    struct found found = { .n = 0 };
    struct check_context context = { 0 };
    add_disk(VM_BUS_SCSI, 0, 1);
    machine->disks[0].encrypted = true;
    machine->disks[1].mode = VMWARE_MODE_INDEPENDENT_PERSISTENT;
    check_machine(machine, &context, keep, &found);
    const struct check_finding *last = &found.list[found.n - 1];
    assert_string_equal(last->code, "no-transport");
    assert_string_equal(last->subject, "");
    assert_int_equal(last->level[CHECK_COLD], CHECK_ERROR);
}

static void
one_disk_that_nothing_reads(void **state)
{
    (void)state;
    struct found found = { .n = 0 };
    struct check_context context = { 0 };
    machine->disks[0].encrypted = true;
    machine->disks[0].mode = VMWARE_MODE_INDEPENDENT_PERSISTENT;
    check_machine(machine, &context, keep, &found);
    const struct check_finding *f = find(&found, "no-transport");
    assert_non_null(f);
    assert_int_equal(f->level[CHECK_COLD], CHECK_ERROR);
    assert_string_equal(f->subject, "scsi0:0");
}

/* ---- ours ---- */

static void
our_own_snapshots_do_not_count(void **state)
{
    (void)state;
    struct found found = { .n = 0 };
    struct check_context context = { .ours = "vmferry-" };
    add_snapshot("vmferry-1f2e");
    check_machine(machine, &context, keep, &found);
    assert_int_equal(found.n, 0);
    add_snapshot("theirs");
    check_machine(machine, &context, keep, &found);
    assert_int_equal(found.n, 1);
    assert_non_null(strstr(found.list[0].what, "1 snapshot,"));
    assert_non_null(strstr(found.list[0].what, "\"theirs\""));
}

/* ---- refusing ---- */

static void
log_line(enum log_level level, const char *code, const char *text, void *arg)
{
    char *log = arg;
    size_t n = strlen(log);
    snprintf(log + n, 256 - n, "%d %s;", (int)level, code);
    assert_true(*text);
}

static void
the_first_error_refuses(void **state)
{
    (void)state;
    char log[256] = "";
    struct err err = ERR_INIT;
    struct check_context context = { .now = true };
    machine->vm->tpm = true;
    machine->disks[0].native_4k = true;
    machine->power = VMWARE_POWERED_ON;
    assert_int_equal(check_refuse(machine, &context, CHECK_COLD, log_line, log, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_non_null(strstr(err.text, "web01: the machine is running: "));
    assert_non_null(strstr(err.text, "--snapshot"));
    assert_non_null(strstr(err.text, "[running]"));
    assert_string_equal(log, "0 native-4k;1 tpm;");

    machine->power = VMWARE_POWERED_OFF;
    assert_int_equal(check_refuse(machine, &context, CHECK_COLD, NULL, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.text, "scsi0:0"));

    machine->disks[0].native_4k = false;
    log[0] = '\0';
    assert_int_equal(check_refuse(machine, &context, CHECK_COLD, log_line, log, &err), 0);
    assert_string_equal(log, "1 tpm;");
}

static void
the_way_decides(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct check_context context = { 0 };
    machine->disks[0].mode = VMWARE_MODE_INDEPENDENT_PERSISTENT;
    assert_int_equal(check_refuse(machine, &context, CHECK_COLD, NULL, NULL, &err), 0);
    assert_int_equal(check_refuse(machine, &context, CHECK_WARM, NULL, NULL, &err), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_rule_has_a_case),
        TEST(of_a_plain_machine_nothing_is_said),
        TEST(without_a_configuration_only_its_state_is_judged),
        TEST(each_disk_narrows_the_transports),
        TEST(a_disk_no_transport_reads_is_said_once),
        TEST(disks_that_no_single_transport_reads),
        TEST(one_disk_that_nothing_reads),
        TEST(our_own_snapshots_do_not_count),
        TEST(the_first_error_refuses),
        TEST(the_way_decides),
        cmocka_unit_test_teardown(each_condition_is_found, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
