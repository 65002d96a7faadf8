#include "descriptor/ovf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/checked.h"
#include "base/cleanup.h"
#include "ovf-samples.h"

/* A machine with one disk item and what it refers to. */
#define WITH(references, disks, items)                                                             \
    OVF_OPEN("")                                                                                   \
    "<References>" references "</References><DiskSection>" disks "</DiskSection>"                  \
    "<VirtualSystem ovf:id=\"m\"><VirtualHardwareSection>\n" OVF_CPU_MEMORY items                  \
    "</VirtualHardwareSection></VirtualSystem></Envelope>"
#define FILE1 "<File ovf:id=\"f1\" ovf:href=\"a.vmdk\"/>"
#define DISK1 "<Disk ovf:diskId=\"d1\" ovf:capacity=\"1073741824\" ovf:fileRef=\"f1\"/>"
#define SCSI                                                                                       \
    "<Item><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceType>6</rasd:ResourceType></Item>"
#define ITEM(resource, parent, address)                                                            \
    "<Item><rasd:ElementName>hd</rasd:ElementName><rasd:HostResource>" resource                    \
    "</rasd:HostResource><rasd:Parent>" parent "</rasd:Parent>" address                            \
    "<rasd:ResourceType>17</rasd:ResourceType></Item>\n"
#define UNIT(n) "<rasd:AddressOnParent>" n "</rasd:AddressOnParent>"

static struct vm *
parse(const char *text, struct ovf *ret_ovf)
{
    struct err err = ERR_INIT;
    struct vm *vm = vm_new(&err);
    assert_non_null(vm);
    if (ovf_parse(text, strlen(text), "m.ovf", vm, ret_ovf, &err) < 0)
        fail_msg("%s", err.text);
    return vm;
}

static void
assert_refused(const char *text, const char *part)
{
    struct err err = ERR_INIT;
    struct ovf ovf;
    auto_vm struct vm *vm = vm_new(&err);
    assert_non_null(vm);
    if (ovf_parse(text, strlen(text), "m.ovf", vm, &ovf, &err) == 0) {
        ovf_free(&ovf);
        fail_msg("was taken, should say '%s'", part);
    }
    assert_int_equal(err.kind, ERR_INVALID);
    assert_memory_equal(err.text, "m.ovf: ", 7);
    if (!strstr(err.text, part))
        fail_msg("'%s' does not say '%s'", err.text, part);
}

static void
assert_disk(const struct vm *vm, size_t i, const char *id, uint64_t capacity_bytes)
{
    char text[VM_DISK_ID_MAX];
    assert_true(i < vm->n_disks);
    assert_string_equal(vm_disk_id(&vm->disks[i], text), id);
    assert_int_equal(vm->disks[i].capacity_bytes, capacity_bytes);
}

static void
a_machine_of_vcenter_is_read_whole(void **state)
{
    (void)state;
    auto_ovf struct ovf ovf = { 0 };
    auto_vm struct vm *vm = parse(OVF_VCENTER, &ovf);
    assert_string_equal(vm->name, "web01 & co");
    assert_null(vm->title);
    assert_string_equal(vm->description, "The web server");
    assert_string_equal(vm->osinfo, "http://debian.org/debian/12");
    assert_null(vm->uuid);
    assert_true(vm->firmware_known);
    assert_int_equal(vm->firmware, VM_FIRMWARE_UEFI);
    assert_true(vm->secure_boot);
    assert_true(vm->tpm);
    assert_int_equal(vm->vcpus, 6);
    assert_int_equal(vm->sockets, 2);
    assert_int_equal(vm->cores, 3);
    assert_int_equal(vm->threads, 1);
    assert_int_equal(vm->memory_bytes, 4 * GIB);
    assert_int_equal(vm->n_cdroms, 1);

    assert_int_equal(vm->n_disks, 5);
    assert_int_equal(ovf.n_disks, 5);
    assert_disk(vm, 0, "scsi1:0", 16 * GIB);
    assert_string_equal(ovf.disks[0].file->name, "web01-1.vmdk");
    assert_int_equal(ovf.disks[0].file->bytes, 1024);
    assert_int_equal(ovf.disks[0].unit_bytes, GIB);
    assert_string_equal(ovf.disks[0].declared, "vmdk");
    assert_false(ovf.disks[0].sure);
    assert_disk(vm, 1, "scsi0:1", 2 * GIB);
    assert_disk(vm, 2, "scsi0:0", GIB);
    assert_string_equal(ovf.disks[2].file->name, "my data.vmdk.gz");
    assert_true(ovf.disks[2].file->gzip);
    assert_disk(vm, 3, "nvme0:0", 10 * GIB);
    assert_null(ovf.disks[3].file);
    assert_disk(vm, 4, "sata0:1", 16 * GIB);
    assert_ptr_equal(ovf.disks[4].file, ovf.disks[0].file);

    assert_int_equal(vm->n_nics, 2);
    assert_string_equal(vm->nics[0].mac, "00:50:56:aa:bb:01");
    assert_string_equal(vm->nics[0].network, "VM Network");
    assert_string_equal(vm->nics[0].model, "vmxnet3");
    assert_true(vm->nics[0].connected);
    assert_int_equal(vm->nics[0].pci_slot, 192);
    assert_string_equal(vm->nics[1].mac, "");
    assert_string_equal(vm->nics[1].model, "e1000");
    assert_false(vm->nics[1].connected);
    assert_int_equal(vm->nics[1].pci_slot, 224);

    struct err err = ERR_INIT;
    vm_sort_disks(vm);
    assert_int_equal(vm_check(vm, &err), 0);
    assert_disk(vm, 0, "scsi0:0", GIB);
    assert_disk(vm, 2, "scsi1:0", 16 * GIB);
}

static void
virtualbox_keeps_facts_in_a_section_of_its_own(void **state)
{
    (void)state;
    auto_ovf struct ovf ovf = { 0 };
    auto_vm struct vm *vm = parse(OVF_VIRTUALBOX, &ovf);
    assert_string_equal(vm->name, "box");
    assert_string_equal(vm->uuid, "a6c1f4d2-7f0a-4a8a-9d70-6b3b3a1b0a5e");
    assert_string_equal(vm->osinfo, "http://microsoft.com/win/10");
    assert_int_equal(vm->firmware, VM_FIRMWARE_UEFI);
    assert_true(vm->tpm);
    assert_int_equal(vm->sockets, 0);
    assert_int_equal(vm->memory_bytes, 2 * GIB);
    assert_int_equal(vm->n_cdroms, 1);
    assert_int_equal(vm->n_disks, 1);
    assert_disk(vm, 0, "sata0:0", 8 * GIB);
    assert_int_equal(vm->n_nics, 1);
    assert_string_equal(vm->nics[0].mac, "08:00:27:6b:2c:5d");
    assert_string_equal(vm->nics[0].model, "e1000");
}

static void
ovirt_speaks_a_dialect(void **state)
{
    (void)state;
    auto_ovf struct ovf ovf = { 0 };
    auto_vm struct vm *vm = parse(OVF_OVIRT, &ovf);
    assert_string_equal(vm->name, "ovm");
    assert_string_equal(vm->uuid, "a6c1f4d2-7f0a-4a8a-9d70-6b3b3a1b0a5e");
    assert_string_equal(vm->description, "from oVirt");
    assert_int_equal(vm->firmware, VM_FIRMWARE_UEFI);
    assert_true(vm->secure_boot);
    assert_true(vm->tpm);
    assert_int_equal(vm->vcpus, 4);
    assert_int_equal(vm->sockets, 2);
    assert_int_equal(vm->threads, 2);
    assert_int_equal(vm->memory_bytes, GIB);
    assert_int_equal(vm->n_disks, 2);
    assert_disk(vm, 0, "scsi0:0", 5 * GIB);
    assert_true(ovf.disks[0].sure);
    assert_string_equal(ovf.disks[0].declared, "raw");
    assert_disk(vm, 1, "virtio0:0", 20 * GIB);
    assert_int_equal(vm->disks[1].boot_order, 1);
    assert_string_equal(ovf.disks[1].declared, "qcow2");
    assert_string_equal(vm->nics[0].mac, "00:1a:4a:16:01:51");
    assert_string_equal(vm->nics[0].model, "virtio");
}

static void
the_draft_of_ovf_is_read_too(void **state)
{
    (void)state;
    auto_ovf struct ovf ovf = { 0 };
    auto_vm struct vm *vm = parse(OVF_DRAFT, &ovf);
    assert_string_equal(vm->name, "old");
    assert_int_equal(vm->memory_bytes, 2 * GIB);
    assert_false(vm->firmware_known);
    assert_disk(vm, 0, "ide1:1", GIB);
    assert_string_equal(ovf.disks[0].file->name, "a.vmdk");
}

static void
the_default_configuration_is_taken(void **state)
{
    (void)state;
    auto_ovf struct ovf ovf = { 0 };
    auto_vm struct vm *vm = parse(OVF_CONFIGURATIONS, &ovf);
    assert_string_equal(vm->name, "vcsa");
    assert_int_equal(vm->vcpus, 8);
    assert_int_equal(vm->memory_bytes, 16 * GIB);
}

static void
what_is_not_said_gets_the_lowest_free_address(void **state)
{
    (void)state;
    auto_ovf struct ovf ovf = { 0 };
    /* Two controllers that claim the same number, one that claims none; items without a unit. */
    auto_vm struct vm *vm = parse(
        WITH(FILE1, DISK1,
             "<Item><rasd:Address>0</rasd:Address><rasd:InstanceID>3</rasd:InstanceID>"
             "<rasd:ResourceType>6</rasd:ResourceType></Item>"
             "<Item><rasd:Address>0</rasd:Address><rasd:InstanceID>4</rasd:InstanceID>"
             "<rasd:ResourceType>6</rasd:ResourceType></Item>"
             "<Item><rasd:InstanceID>5</rasd:InstanceID><rasd:ResourceType>6</rasd:ResourceType>"
             "</Item>" ITEM("ovf:/disk/d1", "3", "") ITEM("ovf:/disk/d1", "3", UNIT("0"))
                 ITEM("ovf:/disk/d1", "4", UNIT("3")) ITEM("ovf:/disk/d1", "5", "")
                     ITEM("ovf:/disk/d1", "", "") ITEM("ovf:/file/f1", "5", "")),
        &ovf);
    assert_int_equal(vm->n_disks, 6);
    assert_disk(vm, 0, "scsi0:1", GIB);
    assert_disk(vm, 1, "scsi0:0", GIB);
    assert_disk(vm, 2, "scsi1:3", GIB);
    assert_disk(vm, 3, "scsi2:0", GIB);
    assert_disk(vm, 4, "scsi0:2", GIB);
    assert_disk(vm, 5, "scsi2:1", 0);
    assert_string_equal(ovf.disks[5].file->name, "a.vmdk");
}

static void
lying_and_hostile_descriptors_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } bad[] = {
        { "<x/>", "not an OVF descriptor: it is a <x>" },
        { "<Envelope/>", "its namespace is ''" },
        { "<Envelope xmlns='http://example.com'/>", "'http://example.com'" },
        { "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><Envelope "
          "xmlns='http://schemas.dmtf.org/ovf/envelope/1'>&e;</Envelope>",
          "DOCTYPE" },
        { OVF_OPEN("") "</Envelope>", "no VirtualSystem" },
        { OVF_OPEN("") "<VirtualSystem ovf:id='a'/></Envelope>", "no VirtualHardwareSection" },
        { OVF_OPEN("") "<VirtualSystemCollection><VirtualSystem ovf:id='a'/><VirtualSystem "
                       "ovf:id='x'><Name>b</Name></VirtualSystem></VirtualSystemCollection>"
                       "</Envelope>",
          "2 machines in one package ('a', 'b')" },
        { OVF_OPEN("") "<VirtualSystem ovf:id='a'><VirtualHardwareSection/></VirtualSystem>"
                       "</Envelope>",
          "no memory" },
        { WITH("<File ovf:id='f' ovf:href='../../etc/passwd'/>", "", ""), "leads out" },
        { WITH("<File ovf:id='f' ovf:href='/etc/passwd'/>", "", ""), "absolute path" },
        { WITH("<File ovf:id='f' ovf:href='file:///etc/passwd'/>", "", ""), "another place" },
        { WITH("<File ovf:id='f' ovf:href='http://x/d.vmdk'/>", "", ""), "another place" },
        { WITH("<File ovf:id='f' ovf:href='%2e%2e%2fx'/>", "", ""), "leads out" },
        { WITH("<File ovf:id='f'/>", "", ""), "without an id or href" },
        { WITH("<File ovf:id='f' ovf:href='a' ovf:size='-1'/>", "", ""), "File size: '-1'" },
        { WITH("<File ovf:id='f' ovf:href='a' ovf:compression='bzip2'/>", "", ""),
          "compressed by 'bzip2'" },
        { WITH("", "", SCSI ITEM("ovf:/disk/d1", "3", "")), "no 'd1' in the DiskSection" },
        { WITH("", DISK1, SCSI ITEM("ovf:/disk/d1", "3", "")), "no file 'f1'" },
        { WITH("", "", SCSI ITEM("ovf:/file/f1", "3", "")), "no file 'f1'" },
        { WITH(FILE1, DISK1 DISK1, SCSI ITEM("ovf:/disk/d1", "3", "")),
          "two disks in the DiskSection are called 'd1'" },
        { WITH(FILE1, DISK1, ITEM("ovf:/disk/d1", "9", "")), "'9' is not a disk controller" },
        { WITH(FILE1, DISK1, SCSI ITEM("ovf:/disk/d1", "3", UNIT("-1"))), "AddressOnParent" },
        { WITH(FILE1, DISK1, SCSI ITEM("ovf:/disk/d1", "3", UNIT("65536"))), "AddressOnParent" },
        { WITH("", "<Disk ovf:diskId='d1' ovf:capacity='-5'/>", SCSI ITEM("ovf:/disk/d1", "3", "")),
          "capacity: '-5' is not a whole number" },
        { WITH("", "<Disk ovf:diskId='d1' ovf:capacity='9223372036854775808'/>",
               SCSI ITEM("ovf:/disk/d1", "3", "")),
          "more than the" },
        { WITH("",
               "<Disk ovf:diskId='d1' ovf:capacity='9223372036854775808' "
               "ovf:capacityAllocationUnits='byte * 2^10'/>",
               SCSI ITEM("ovf:/disk/d1", "3", "")),
          "too large" },
        { WITH("", "<Disk ovf:diskId='d1' ovf:capacity='1' ovf:capacityAllocationUnits='acres'/>",
               SCSI ITEM("ovf:/disk/d1", "3", "")),
          "unknown unit 'acres'" },
        { WITH("", "<Disk ovf:diskId='d1' ovf:capacity='${disk.size}'/>",
               SCSI ITEM("ovf:/disk/d1", "3", "")),
          "property ${disk.size}" },
        { WITH("", "<Disk ovf:diskId='d1'/>", SCSI ITEM("ovf:/disk/d1", "3", "")),
          "capacity is missing" },
        { WITH(FILE1, "<Disk ovf:diskId='d1' ovf:fileRef='f1' ovf:parentRef='d0'/>",
               SCSI ITEM("ovf:/disk/d1", "3", "")),
          "delta of disk 'd0'" },
        { WITH("", "",
               "<Item><rasd:ResourceType>10</rasd:ResourceType><rasd:Address>nonsense"
               "</rasd:Address></Item>"),
          "not a MAC address" },
        { OVF_OPEN("") "<VirtualSystem ovf:id='a'><VirtualHardwareSection><Item>"
                       "<rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>1000000"
                       "</rasd:VirtualQuantity></Item></VirtualHardwareSection></VirtualSystem>"
                       "</Envelope>",
          "number of CPUs: 1000000" },
        { OVF_OPEN("") "<VirtualSystem ovf:id='a'><VirtualHardwareSection><Item>"
                       "<rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>"
                       "18446744073709551615</rasd:VirtualQuantity></Item></VirtualHardwareSection>"
                       "</VirtualSystem></Envelope>",
          "memory: " },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_refused(bad[i].text, bad[i].part);
}

static void
many_items(struct buf *text, const char *item, size_t n)
{
    struct err err = ERR_INIT;
    assert_int_equal(buf_add_str(text,
                                 OVF_OPEN("") "<VirtualSystem ovf:id=\"m\">"
                                              "<VirtualHardwareSection>" OVF_CPU_MEMORY,
                                 &err),
                     0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(buf_add_str(text, item, &err), 0);
    assert_int_equal(
        buf_add_str(text, "</VirtualHardwareSection></VirtualSystem></Envelope>", &err), 0);
}

static void
too_many_of_anything_is_refused(void **state)
{
    (void)state;
    auto_buf struct buf text = BUF_INIT(16 * MIB);
    many_items(&text, "<Item/>", OVF_MAX_ITEMS);
    assert_refused(text.data, "more than 4096 hardware items");
    text.len = 0;
    many_items(&text, "<Item/>", 1000000);
    assert_refused(text.data, "more than the");
    text.len = 0;
    many_items(&text, "<Item/>", 300000);
    assert_refused(text.data, "elements");
    text.len = 0;
    many_items(&text, "<Item><rasd:ResourceType>10</rasd:ResourceType></Item>", VM_MAX_NICS + 1);
    assert_refused(text.data, "more than 64 network interfaces");
    text.len = 0;
    many_items(&text,
               "<Item><rasd:ResourceType>17</rasd:ResourceType><rasd:VirtualQuantity>1"
               "</rasd:VirtualQuantity></Item>",
               VM_MAX_DISKS + 1);
    assert_refused(text.data, "more than 256 disks");
    text.len = 0;
    many_items(&text, "<Item><rasd:ResourceType>6</rasd:ResourceType></Item>", 257);
    assert_refused(text.data, "more than 256 disk controllers");
}

/* A file cut off anywhere must be refused, not half read. */
static void
a_descriptor_cut_off_anywhere_is_refused(void **state)
{
    (void)state;
    static const char text[] = OVF_VCENTER;
    for (size_t len = 0; len < sizeof text - 2; len += 13) {
        struct err err = ERR_INIT;
        struct ovf ovf;
        auto_vm struct vm *vm = vm_new(&err);
        assert_int_equal(ovf_parse(text, len, "m.ovf", vm, &ovf, &err), -1);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_of_vcenter_is_read_whole),
        cmocka_unit_test(virtualbox_keeps_facts_in_a_section_of_its_own),
        cmocka_unit_test(ovirt_speaks_a_dialect),
        cmocka_unit_test(the_draft_of_ovf_is_read_too),
        cmocka_unit_test(the_default_configuration_is_taken),
        cmocka_unit_test(what_is_not_said_gets_the_lowest_free_address),
        cmocka_unit_test(lying_and_hostile_descriptors_are_refused),
        cmocka_unit_test(too_many_of_anything_is_refused),
        cmocka_unit_test(a_descriptor_cut_off_anywhere_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
