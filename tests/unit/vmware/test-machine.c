#include "vmware/machine.h"

#include "http-double.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/fd.h"
#include "vmware/inventory.h"
#include "vmware/find.h"
#include "vmware/machine-read.h"

static char *answer; /* machine.xml */
static struct err err;
static struct vmware_session *session;

static int
setup(void **state)
{
    (void)state;
    err = ERR_INIT;
    session = double_login();
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    double_logout(session);
    return 0;
}

#define FOLDER(moref, name, parent)                                                                \
    OBJECT("Folder", moref,                                                                        \
           SET("name", name) "<propSet><name>parent</name><val type=\"Folder\">" parent            \
                             "</val></propSet>")
#define UP                                                                                         \
    FOLDER("group-v7", "prod", "group-v3")                                                         \
    "<objects><obj type=\"HostSystem\">host-15</obj>" SET(                                         \
        "name",                                                                                    \
        "esx%252f1") "</objects><objects><obj type=\"Datastore\">datastore-11</obj>" SET("name",   \
                                                                                         "ds 1")   \
        SET("summary.type", "VMFS") SET("summary.freeSpace", "1000")                               \
            SET("summary.capacity", "2000") "</objects>" OBJECT("Network", "network-1",            \
                                                                SET("name", "VM Network"))         \
                OBJECT("DistributedVirtualPortgroup", "dvportgroup-9",                             \
                       SET("name", "dv%2fgroup") SET("key", "dvportgroup-9"))
#define ABOVE(type, moref, name, parent_type, parent)                                              \
    {                                                                                              \
        .expect = { "<RetrievePropertiesEx ", "<obj type=\"" type "\">" moref "</obj>" },          \
        .status = 200,                                                                             \
        .body = PROPERTIES("<objects><obj type=\"" type "\">" moref "</obj>" SET(                  \
            "name", name) "<propSet><name>parent</name><val type=\"" parent_type "\">" parent      \
                          "</val></propSet></objects>"),                                           \
    }
#define ROOT                                                                                       \
    {                                                                                              \
        .expect = { "<obj type=\"Folder\">group-d1</obj>" }, .status = 200,                        \
        .body = PROPERTIES(OBJECT("Folder", "group-d1", SET("name", "Datacenters"))),              \
    }

static struct vmware_machine *
read_machine(const char *body)
{
    struct vmware_machine *machine = NULL;
    const struct exchange list[] = {
        { .expect = { "<obj type=\"VirtualMachine\">vm-42</obj>", "config.hardware.device" },
          .status = 200,
          .body = body },
        { .expect = { "<obj type=\"Folder\">group-v7</obj>",
                      "<obj type=\"HostSystem\">host-15</obj>",
                      "<obj type=\"Datastore\">datastore-11</obj>",
                      "<obj type=\"Network\">network-1</obj>",
                      "<obj type=\"DistributedVirtualPortgroup\">dvportgroup-9</obj>" },
          .status = 200,
          .body = PROPERTIES(UP) },
        ABOVE("Folder", "group-v3", "vm", "Datacenter", "datacenter-2"),
        ABOVE("Datacenter", "datacenter-2", "DC0", "Folder", "group-d1"),
        ROOT,
    };
    PLAY(list);
    if (vmware_machine_read(session, "vm-42", NULL, &machine, &err) < 0)
        fail_msg("%s", err.text);
    double_done();
    return machine;
}

static void
the_machine_itself(void **state)
{
    (void)state;
    auto_vmware_machine struct vmware_machine *m = read_machine(answer);
    assert_string_equal(m->moref, "vm-42");
    assert_string_equal(m->name, "web/01 100%");
    assert_string_equal(m->path, "/DC0/vm/prod/web%2f01 100%25");
    assert_string_equal(m->datacenter_path, "/DC0");
    assert_string_equal(m->datacenter_moref, "datacenter-2");
    assert_string_equal(m->host_moref, "host-15");
    assert_string_equal(m->host_name, "esx%2f1");
    assert_string_equal(m->instance_uuid, "502c0000-0000-0000-0000-000000000001");
    assert_string_equal(m->vm->name, "web-01 100%");
    assert_string_equal(m->vm->title, "web/01 100%");
    assert_string_equal(m->vm->uuid, "422c6a2a-5ea9-1083-39f3-3b140fffb444");
    assert_string_equal(m->smbios_serial, "VMware-42 2c 6a 2a 5e a9 10 83-39 f3 3b 14 0f ff b4 44");
    assert_string_equal(m->annotation, "line one line two");
    assert_string_equal(m->vmx_file, "[ds 1] web01/web01.vmx");
    assert_int_equal(m->hw_version, 19);
    assert_true(m->committed_bytes == 123456789012);
    assert_int_equal(m->vm->vcpus, 6);
    assert_int_equal(m->vm->sockets, 2);
    assert_int_equal(m->vm->cores, 3);
    assert_true(m->vm->memory_bytes == 4 * GIB);
    assert_int_equal(m->vm->firmware, VM_FIRMWARE_UEFI);
    assert_true(m->vm->firmware_known && m->vm->secure_boot && m->vm->tpm);
    assert_int_equal(m->vm->n_cdroms, 2);
    assert_int_equal(m->power, VMWARE_POWERED_ON);
    assert_int_equal(m->connection, VMWARE_CONNECTED);
    assert_true(m->config_present && m->cbt_supported && m->cbt_enabled && m->tools_running);
    assert_true(m->tools_mounted && m->consolidation_needed && m->encrypted && m->crypto_locked);
    assert_true(m->fault_tolerance && m->instant_clone_frozen && m->vbs && m->nested_hv);
    assert_true(m->replicated && m->ovf_environment && m->has_reservation && m->has_affinity);
    assert_false(m->template || m->sev || m->sgx || m->snapshot_in_background);
    assert_string_equal(m->question, "msg.cdrom: retry?");
    assert_string_equal(m->question_id, "q1");
    assert_string_equal(m->managed_by, "com.example.x");
    assert_string_equal(m->latency_sensitivity, "high");
    assert_string_equal(m->guest_host_name, "web01.example");
    assert_int_equal(m->n_disabled, 2);
    assert_string_equal(m->disabled[1], "MigrateVM_Task");
}

static void
disks_stand_as_the_guest_sees_them(void **state)
{
    (void)state;
    auto_vmware_machine struct vmware_machine *m = read_machine(answer);
    static const char *const ids[] = { "scsi0:0", "scsi0:1", "scsi1:0", "scsi1:2",
                                       "sata0:3", "ide0:1",  "nvme0:0" };
    static const int keys[] = { 2000, 2001, 2016, 2017, 16000, 3000, 32000 };
    static const enum vmware_backing backings[] = {
        VMWARE_BACKING_FLAT,        VMWARE_BACKING_FLAT, VMWARE_BACKING_RDM_PHYSICAL,
        VMWARE_BACKING_RDM_VIRTUAL, VMWARE_BACKING_PMEM, VMWARE_BACKING_OTHER,
        VMWARE_BACKING_SESPARSE,
    };
    char id[VM_DISK_ID_MAX];
    assert_int_equal(m->n_disks, ARRAY_LEN(ids));
    assert_int_equal(m->vm->n_disks, ARRAY_LEN(ids));
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        assert_string_equal(vm_disk_id(&m->vm->disks[i], id), ids[i]);
        assert_int_equal(m->disks[i].key, keys[i]);
        assert_int_equal(m->disks[i].backing, backings[i]);
        assert_true(m->disks[i].capacity_bytes == m->vm->disks[i].capacity_bytes);
    }
    const struct vmware_disk *second = vmware_machine_disk(m, 2001);
    assert_ptr_equal(second, &m->disks[1]);
    assert_null(vmware_machine_disk(m, 1));
    assert_true(second->capacity_bytes == 2097664);
    assert_string_equal(second->file, "[ds 1] web01/web01_1-000002.vmdk");
    assert_string_equal(second->base_file, "[ds 1] web01/web01_1.vmdk");
    assert_int_equal(second->n_parents, 2);
    assert_true(second->has_parent && second->multi_writer && second->encrypted &&
                second->native_4k && second->thin && !second->shared_bus);
    assert_string_equal(second->change_id, "52 de c0 d9 b9 43 9d 10-61 d5 4c 1b e9 7b 65 63/81");
    assert_string_equal(second->datastore_name, "ds 1");
    assert_true(second->datastore_known && second->datastore_free_bytes == 1000);
    assert_string_equal(m->vm->disks[1].serial, "6000c29a111122223333444455556666");
    assert_int_equal(m->vm->disks[1].boot_order, 1);
    const struct vmware_disk *first = &m->disks[0];
    assert_string_equal(first->datastore_name, "ds [b]");
    assert_true(first->object_store && !first->has_parent && !first->datastore_known);
    assert_string_equal(first->base_file, first->file);
    assert_int_equal(first->mode, VMWARE_MODE_INDEPENDENT_NONPERSISTENT);
    assert_int_equal(m->disks[2].mode, VMWARE_MODE_INDEPENDENT_PERSISTENT);
    assert_int_equal(m->disks[6].mode, VMWARE_MODE_APPEND);
    assert_true(m->disks[2].shared_bus);
    assert_string_equal(m->disks[2].device_name, "vml.02");
}

static void
cards_have_their_place_and_network(void **state)
{
    (void)state;
    auto_vmware_machine struct vmware_machine *m = read_machine(answer);
    assert_int_equal(m->n_nics, 3);
    const struct vm_nic *nic = m->vm->nics;
    assert_string_equal(nic[0].mac, "00:50:56:aa:bb:01");
    assert_string_equal(nic[0].model, "vmxnet3");
    assert_string_equal(nic[0].network, "VM Network");
    assert_int_equal(nic[0].pci_slot, 192);
    assert_true(nic[0].connected);
    assert_int_equal(nic[0].boot_order, 2);
    assert_int_equal(m->nics[0].n_addresses, 2);
    assert_string_equal(m->nics[0].addresses[0], "192.0.2.10/24");
    assert_string_equal(m->nics[0].addresses[1], "fe80::1/64");
    assert_string_equal(nic[1].model, "e1000e");
    assert_string_equal(nic[1].network, "dv/group");
    assert_int_equal(nic[1].pci_slot, 224); /* of extraConfig */
    assert_false(nic[1].connected);
    assert_true(m->nics[1].distributed);
    assert_string_equal(nic[2].mac, "");
    assert_string_equal(nic[2].model, "sriov");
    assert_string_equal(nic[2].network, "seg-1");
    assert_true(m->nics[2].opaque);
}

static void
other_devices_are_noticed(void **state)
{
    (void)state;
    auto_vmware_machine struct vmware_machine *m = read_machine(answer);
    static const enum vmware_device_kind kinds[] = {
        VMWARE_DEVICE_SRIOV,    VMWARE_DEVICE_PCI_PASSTHROUGH,
        VMWARE_DEVICE_VGPU,     VMWARE_DEVICE_NVDIMM,
        VMWARE_DEVICE_USB,      VMWARE_DEVICE_MEDIUM,
        VMWARE_DEVICE_MEDIUM,   VMWARE_DEVICE_SERIAL,
        VMWARE_DEVICE_PARALLEL, VMWARE_DEVICE_WATCHDOG,
        VMWARE_DEVICE_CLOCK,
    };
    assert_int_equal(m->n_devices, ARRAY_LEN(kinds));
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        assert_int_equal(m->devices[i].kind, kinds[i]);
    assert_string_equal(m->devices[5].label, "CD/DVD drive 1");
    assert_string_equal(m->devices[5].file, "[iso] a.iso");
    assert_string_equal(m->devices[3].label, "VirtualNVDIMM"); /* it has no label */
    assert_null(m->devices[3].file);
}

static void
snapshots_are_flattened_parents_first(void **state)
{
    (void)state;
    auto_vmware_machine struct vmware_machine *m = read_machine(answer);
    static const char *const tree[][3] = {
        { "snapshot-1", "", "before/after" },
        { "snapshot-2", "snapshot-1", "vmferry-1" },
        { "snapshot-3", "snapshot-1", "c" },
        { "snapshot-4", "", "other root" },
    };
    assert_int_equal(m->n_snapshots, ARRAY_LEN(tree));
    for (size_t i = 0; i < ARRAY_LEN(tree); i++) {
        assert_string_equal(m->snapshots[i].moref, tree[i][0]);
        assert_string_equal(m->snapshots[i].parent, tree[i][1]);
        assert_string_equal(m->snapshots[i].name, tree[i][2]);
        assert_int_equal(m->snapshots[i].current, i == 2);
    }
    assert_true(m->snapshots[1].quiesced);
    assert_int_equal(m->snapshots[1].state, VMWARE_POWERED_ON);
    assert_string_equal(m->snapshots[0].created, "2026-01-02T03:04:05Z");
}

/* ---- what makes no sense ---- */

static char *
replaced(const char *from, const char *to)
{
    const char *at = strstr(answer, from);
    assert_non_null(at);
    char *text = NULL;
    assert_true(asprintf(&text, "%.*s%s%s", (int)(at - answer), answer, to, at + strlen(from)) > 0);
    return text;
}

static void
contradictions_are_refused(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        { "<key>2016</key>", "<key>2017</key>", "two disks with the key 2017" },
        { "<controllerKey>200</controllerKey>", "<controllerKey>7</controllerKey>",
          "controller 7, which is not there" },
        { "<capacityInBytes>2097664</capacityInBytes>", "<capacityInBytes>5</capacityInBytes>",
          "a capacity of 5 bytes" },
        { "<capacityInKB>2048</capacityInKB><capacityInBytes>2097664</capacityInBytes>",
          "<capacityInKB>18446744073709551615</capacityInKB>", "a capacity of" },
        { "<val xsi:type=\"xsd:int\">6</val>", "<val xsi:type=\"xsd:int\">-6</val>",
          "0 processors" },
        { "<unitNumber>1</unitNumber>", "<unitNumber>0</unitNumber>", "scsi0:0" },
        { "<snapshot type=\"VirtualMachineSnapshot\">snapshot-4</snapshot>", "",
          "a snapshot without a reference" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *body = replaced(cases[i][0], cases[i][1]);
        const struct exchange list[] = { { .expect = { "vm-42" }, .status = 200, .body = body } };
        struct vmware_machine *machine = NULL;
        PLAY(list);
        assert_int_equal(vmware_machine_read(session, "vm-42", NULL, &machine, &err), -1);
        double_done();
        assert_int_equal(err.kind, ERR_INVALID);
        if (!strstr(err.text, cases[i][2]))
            fail_msg("no \"%s\" in: %s", cases[i][2], err.text);
    }
}

static void
a_machine_without_configuration_is_no_error(void **state)
{
    (void)state;
    auto_vmware_machine struct vmware_machine *m = NULL;
    static const struct exchange list[] = {
        { .expect = { "vm-42" },
          .status = 200,
          .body =
              PROPERTIES(OBJECT("VirtualMachine", "vm-42",
                                SET("name", "x") SET("runtime.connectionState", "inaccessible"))) },
    };
    PLAY(list);
    assert_int_equal(vmware_machine_read(session, "vm-42", NULL, &m, &err), 0);
    double_done();
    assert_false(m->config_present);
    assert_int_equal(m->connection, VMWARE_INACCESSIBLE);
    assert_string_equal(m->vm->name, "x");
    assert_string_equal(m->path, "/x");
    assert_int_equal(m->n_disks, 0);
}

/* ---- many ---- */

static int
count(const struct vmware_machine *machine, void *arg, struct err *ignored)
{
    unsigned *n = arg;
    (void)ignored;
    if (n[0]++ == 0) {
        assert_false(machine->config_present);
        assert_non_null(strstr(machine->unreadable, "0 processors"));
        assert_string_equal(machine->path, "/DC0/vm/prod/odd");
    } else {
        assert_true(machine->config_present);
        assert_string_equal(machine->path, "/DC0/vm/prod/good");
    }
    return 0;
}

#define VIEW                                                                                       \
    {                                                                                              \
        .expect = { "<CreateContainerView " }, .status = 200,                                      \
        .body = REF("CreateContainerView", "ContainerView", "v"),                                  \
    }
#define DESTROYED                                                                                  \
    {                                                                                              \
        .expect = { "<DestroyView " }, .status = 200, .body = RESPONSE("DestroyView", ""),         \
    }
#define IN(type, moref, name, parent_type, parent, more)                                           \
    "<objects><obj type=\"" type "\">" moref                                                       \
    "</obj>" SET("name", name) "<propSet><name>parent</name><val type=\"" parent_type "\">" parent \
                               "</val></propSet>" more "</objects>"
#define TREE                                                                                       \
    VIEW,                                                                                          \
        {                                                                                          \
            .expect = { "<RetrievePropertiesEx ", "<type>Datacenter</type>" },                     \
            .status = 200,                                                                         \
            .body = PROPERTIES(IN("Folder", "group-v7", "prod", "Folder", "group-v3", "") IN(      \
                "Folder", "group-v3", "vm", "Datacenter", "datacenter-2",                          \
                "") IN("Datacenter", "datacenter-2", "DC0", "Folder", "group-d1", "")),            \
        },                                                                                         \
        DESTROYED
#define PLAIN(cpus) SET("config.hardware.numCPU", cpus) SET("config.hardware.memoryMB", "64")

static void
one_odd_machine_does_not_hide_the_others(void **state)
{
    (void)state;
    unsigned n = 0;
    static const struct exchange list[] = {
        TREE,
        VIEW,
        { .expect = { "<RetrievePropertiesEx ", "<type>VirtualMachine</type>" },
          .status = 200,
          .body = PROPERTIES(
              IN("VirtualMachine", "vm-1", "odd", "Folder", "group-v7", PLAIN("0"))
                  IN("VirtualMachine", "vm-2", "good", "Folder", "group-v7", PLAIN("1"))) },
        DESTROYED,
    };
    PLAY(list);
    assert_int_equal(vmware_machines(session, NULL, count, &n, &err), 0);
    double_done();
    assert_int_equal(n, 2);
}

#define MACHINES                                                                                   \
    VIEW,                                                                                          \
        {                                                                                          \
            .expect = { "<RetrievePropertiesEx ", "<type>VirtualMachine</type>" },                 \
            .status = 200,                                                                         \
            .body = PROPERTIES(IN("VirtualMachine", "vm-1", "a%2fb", "Folder", "group-v7", "") IN( \
                "VirtualMachine", "vm-2", "twin", "Folder", "group-v7",                            \
                "") IN("VirtualMachine", "vm-3", "twin", "Folder", "group-v3", "")),               \
        },                                                                                         \
        DESTROYED

static void
machines_are_found_by_name(void **state)
{
    (void)state;
    auto_vmware_found struct vmware_found found = { .name = NULL };
    static const struct exchange list[] = { TREE, MACHINES, MACHINES };
    PLAY(list); /* "a/b" could be a path */
    assert_int_equal(vmware_find(session, "a/b", NULL, &found, &err), 0);
    double_done();
    assert_string_equal(found.moref, "vm-1");
    assert_string_equal(found.name, "a/b");
    assert_string_equal(found.path, "/DC0/vm/prod/a%2fb");
    assert_string_equal(found.datacenter_path, "/DC0");
}

static void
several_of_one_name_are_listed(void **state)
{
    (void)state;
    auto_vmware_found struct vmware_found found = { .name = NULL };
    static const struct exchange list[] = { TREE, MACHINES };
    PLAY(list);
    assert_int_equal(vmware_find(session, "twin", NULL, &found, &err), -1);
    double_done();
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_non_null(strstr(err.text, "/DC0/vm/prod/twin (vm-2), /DC0/vm/twin (vm-3)"));
    static const struct exchange by_path[] = { TREE, MACHINES };
    PLAY(by_path);
    assert_int_equal(vmware_find(session, "prod/twin", NULL, &found, &err), 0);
    double_done();
    assert_string_equal(found.moref, "vm-2");
}

static void
a_uuid_is_asked_for_twice(void **state)
{
    (void)state;
    auto_vmware_found struct vmware_found found = { .name = NULL };
    static const char uuid[] = "422c6a2a-5ea9-1083-39f3-3b140fffb444";
    static const struct exchange list[] = {
        { .expect = { "<FindAllByUuid ", "<uuid>422c6a2a-5ea9-1083-39f3-3b140fffb444</uuid>",
                      "<instanceUuid>true</instanceUuid>" },
          .status = 500,
          .body = FAULT("MethodNotFound", "", "") },
        { .expect = { "<FindByUuid ", "<instanceUuid>true</instanceUuid>" },
          .status = 200,
          .body = RESPONSE("FindByUuid", "") },
        { .expect = { "<FindAllByUuid ", "<instanceUuid>false</instanceUuid>" },
          .status = 200,
          .body = REF("FindAllByUuid", "VirtualMachine", "vm-2") },
        { .expect = { "<obj type=\"VirtualMachine\">vm-2</obj>" },
          .status = 200,
          .body = PROPERTIES(OBJECT("VirtualMachine", "vm-2", SET("name", "x"))) },
    };
    PLAY(list);
    assert_int_equal(vmware_find(session, uuid, NULL, &found, &err), 0);
    double_done();
    assert_string_equal(found.moref, "vm-2");
}

#define ONE(moref, name)                                                                           \
    {                                                                                              \
        .expect = { "<obj type=\"VirtualMachine\">" moref "</obj>" }, .status = 200,               \
        .body = PROPERTIES(OBJECT("VirtualMachine", moref, SET("name", name))),                    \
    }
#define NAMED_LIKE_ONE(moref, name)                                                                \
    VIEW,                                                                                          \
        {                                                                                          \
            .expect = { "<RetrievePropertiesEx ", "<type>VirtualMachine</type>" },                 \
            .status = 200,                                                                         \
            .body = PROPERTIES(IN("VirtualMachine", "vm-2", "x", "Folder", "group-v7", "")         \
                                   IN("VirtualMachine", moref, name, "Folder", "group-v7", "")),   \
        },                                                                                         \
        DESTROYED

static void
a_reference_may_be_the_name_of_another(void **state)
{
    (void)state;
    auto_vmware_found struct vmware_found found = { .name = NULL };
    static const struct exchange two[] = { ONE("vm-2", "x"), TREE, NAMED_LIKE_ONE("vm-9", "vm-2") };
    PLAY(two);
    assert_int_equal(vmware_find(session, "vm-2", NULL, &found, &err), -1);
    double_done();
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_non_null(strstr(err.text, "(vm-9)"));
    static const struct exchange itself[] = { ONE("vm-2", "vm-2"), TREE,
                                              NAMED_LIKE_ONE("vm-2", "vm-2") };
    PLAY(itself);
    assert_int_equal(vmware_find(session, "vm-2", NULL, &found, &err), 0);
    double_done();
    vmware_found_free(&found);
    static const struct exchange said[] = { ONE("vm-2", "x") };
    PLAY(said);
    assert_int_equal(vmware_find(session, "moref=vm-2", NULL, &found, &err), 0);
    double_done();
    assert_string_equal(found.moref, "vm-2");
}

int
main(int argc, char **argv)
{
    size_t len;
    if (argc < 2 || file_read(argv[1], 1 << 20, &answer, &len, &err) < 0)
        return 1;
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_machine_itself),
        TEST(disks_stand_as_the_guest_sees_them),
        TEST(cards_have_their_place_and_network),
        TEST(other_devices_are_noticed),
        TEST(snapshots_are_flattened_parents_first),
        TEST(contradictions_are_refused),
        TEST(a_machine_without_configuration_is_no_error),
        TEST(one_odd_machine_does_not_hide_the_others),
        TEST(machines_are_found_by_name),
        TEST(several_of_one_name_are_listed),
        TEST(a_uuid_is_asked_for_twice),
        TEST(a_reference_may_be_the_name_of_another),
    };
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    free(answer);
    return r;
}
