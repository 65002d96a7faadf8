/* Rules about disks, and which transport can read which disk. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/size.h"
#include "engine/check-rule.h"

#define LARGE_DISK (2 * TIB)
#define MANY_ON_BUS 15 /* of one SCSI controller, its own address apart */
#define SNAPSHOT_ROOM_LEAST GIB

static bool
is_independent(const struct vmware_disk *disk)
{
    return disk->mode == VMWARE_MODE_INDEPENDENT_PERSISTENT ||
           disk->mode == VMWARE_MODE_INDEPENDENT_NONPERSISTENT;
}

static bool
is_old_backing(const struct vmware_disk *disk)
{
    return disk->backing == VMWARE_BACKING_OTHER;
}

/* The address of the n-th disk as the user knows it. */
#define SUBJECT(c, i) vm_disk_id(&(c)->m->vm->disks[i], (char[VM_DISK_ID_MAX]){ 0 })

/* ---- transports ---- */

unsigned
check_allowed(const struct check_context *context)
{
    return context->transports ? context->transports : (unsigned)CHECK_BY_ANY;
}

unsigned
check_disk_transports(const struct vmware_machine *m, size_t i, const struct check_context *context)
{
    const struct vmware_disk *disk = &m->disks[i];
    unsigned can = CHECK_BY_ANY;
    if (disk->backing == VMWARE_BACKING_RDM_PHYSICAL || is_old_backing(disk))
        return 0;
    /* The flat file is all that these two read. */
    if (disk->backing == VMWARE_BACKING_RDM_VIRTUAL || disk->backing == VMWARE_BACKING_PMEM ||
        disk->has_parent || disk->object_store)
        can &= ~(unsigned)(CHECK_BY_HTTPS | CHECK_BY_SSH);
    if (is_independent(disk))
        can &= context->snapshot ? 0u : ~(unsigned)CHECK_BY_VDDK;
    if (disk->encrypted || m->encrypted)
        can &= (unsigned)CHECK_BY_VDDK;
    return can;
}

unsigned
check_transports(const struct vmware_machine *machine, const struct check_context *context)
{
    unsigned can = check_allowed(context);
    for (size_t i = 0; machine->config_present && i < machine->n_disks; i++)
        can &= check_disk_transports(machine, i, context);
    return machine->config_present ? can : 0;
}

const char *
check_transports_text(unsigned transports, char text[CHECK_TRANSPORTS_TEXT_MAX])
{
    static const char *const names[] = { "vddk", "https", "export", "ssh" };
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (transports & (1u << i))
            n += (size_t)snprintf(text + n, CHECK_TRANSPORTS_TEXT_MAX - n, "%s%s", n ? ", " : "",
                                  names[i]);
    return n ? text : "none";
}

/* Whether the rule of its own kind says already that nothing reads it. */
static bool
is_said(const struct check *c, const struct vmware_disk *disk)
{
    return disk->backing == VMWARE_BACKING_RDM_PHYSICAL || is_old_backing(disk) ||
           (is_independent(disk) && c->context->snapshot);
}

/* One disk. Returns whether something of the context can read it. */
static bool
look_transports_of(struct check *c, size_t i)
{
    char can_text[CHECK_TRANSPORTS_TEXT_MAX], may_text[CHECK_TRANSPORTS_TEXT_MAX];
    unsigned can = check_disk_transports(c->m, i, c->context), may = check_allowed(c->context);
    if (can & may & CHECK_BY_WARM)
        return true;
    if (can == 0 && !is_said(c, &c->m->disks[i]))
        check_say(c, SUBJECT(c, i), "can be read by no transport as it is");
    else if (can && !(can & may))
        check_say(c, SUBJECT(c, i), "can be read by %s only, and what may be used is %s",
                  check_transports_text(can, can_text), check_transports_text(may, may_text));
    else if (can && !is_independent(&c->m->disks[i]))
        check_say_at(
            c, CHECK_NONE, CHECK_ERROR, SUBJECT(c, i),
            "can be read by %s only, and what may be used is %s: a warm migration needs VDDK or "
            "HTTPS",
            check_transports_text(can, can_text), check_transports_text(may, may_text));
    return can & may;
}

static void
look_transports(struct check *c)
{
    bool each = true;
    for (size_t i = 0; i < c->m->n_disks; i++)
        each = look_transports_of(c, i) && each;
    if (each && c->m->n_disks && check_transports(c->m, c->context) == 0)
        check_say(c, NULL,
                  "each disk can be read by some transport, and no transport reads them "
                  "all");
}

/* ---- each disk ---- */

static void
look_none(struct check *c)
{
    if (c->m->n_disks == 0)
        check_say(c, NULL, "the machine has no disks");
}

static void
look_rdm_physical(struct check *c)
{
    for (size_t i = 0; i < c->m->n_disks; i++)
        if (c->m->disks[i].backing == VMWARE_BACKING_RDM_PHYSICAL)
            check_say(c, SUBJECT(c, i), "a LUN, mapped raw in physical mode (%.200s)",
                      c->m->disks[i].file);
}

static void
look_rdm_virtual(struct check *c)
{
    for (size_t i = 0; i < c->m->n_disks; i++)
        if (c->m->disks[i].backing == VMWARE_BACKING_RDM_VIRTUAL)
            check_say(c, SUBJECT(c, i), "a LUN, mapped raw in virtual mode (%.200s)",
                      c->m->disks[i].file);
}

static void
look_old_backing(struct check *c)
{
    for (size_t i = 0; i < c->m->n_disks; i++)
        if (is_old_backing(&c->m->disks[i]))
            check_say(c, SUBJECT(c, i),
                      "its format is of the time before ESX 3, or of a desktop "
                      "product (%.200s)",
                      c->m->disks[i].file);
}

static void
look_independent(struct check *c)
{
    bool running = c->m->power == VMWARE_POWERED_ON;
    for (size_t i = 0; i < c->m->n_disks; i++)
        if (is_independent(&c->m->disks[i]))
            check_say_at(c, c->context->snapshot && running ? CHECK_ERROR : CHECK_WARNING,
                         CHECK_ERROR, SUBJECT(c, i), "an independent disk");
}

static void
look_disk_mode(struct check *c)
{
    static const char *const words[] = {
        [VMWARE_MODE_NONPERSISTENT] = "nonpersistent",
        [VMWARE_MODE_INDEPENDENT_NONPERSISTENT] = "independent, nonpersistent",
        [VMWARE_MODE_APPEND] = "append",
        [VMWARE_MODE_UNDOABLE] = "undoable",
    };
    for (size_t i = 0; i < c->m->n_disks; i++) {
        size_t mode = c->m->disks[i].mode;
        if (mode < ARRAY_LEN(words) && words[mode])
            check_say(c, SUBJECT(c, i), "its mode is %s", words[mode]);
    }
}

static void
look_multi_writer(struct check *c)
{
    for (size_t i = 0; i < c->m->n_disks; i++)
        if (c->m->disks[i].multi_writer)
            check_say(c, SUBJECT(c, i), "other machines may write to it (multi-writer)");
}

static void
look_shared_bus(struct check *c)
{
    for (size_t i = 0; i < c->m->n_disks; i++)
        if (c->m->disks[i].shared_bus)
            check_say(c, SUBJECT(c, i), "its SCSI bus is shared with other machines");
}

static void
look_linked_clone(struct check *c)
{
    for (size_t i = 0; c->m->n_snapshots == 0 && i < c->m->n_disks; i++)
        if (c->m->disks[i].has_parent)
            check_say(c, SUBJECT(c, i),
                      "builds on another disk, without a snapshot of this "
                      "machine (%.200s)",
                      c->m->disks[i].file);
}

static void
look_encrypted(struct check *c)
{
    if (c->m->encrypted)
        check_say(c, NULL, "the machine is encrypted");
    for (size_t i = 0; i < c->m->n_disks; i++)
        if (c->m->disks[i].encrypted)
            check_say(c, SUBJECT(c, i), "the disk is encrypted");
}

static void
look_large(struct check *c)
{
    char text[SIZE_TEXT_MAX];
    for (size_t i = 0; i < c->m->n_disks; i++)
        if (c->m->disks[i].capacity_bytes > LARGE_DISK)
            check_say(c, SUBJECT(c, i), "%s: larger than 2 TiB",
                      size_format(c->m->disks[i].capacity_bytes, text));
}

static void
look_4k(struct check *c)
{
    for (size_t i = 0; i < c->m->n_disks; i++)
        if (c->m->disks[i].native_4k)
            check_say(c, SUBJECT(c, i), "its sectors have 4096 bytes");
}

static void
look_odd_size(struct check *c)
{
    for (size_t i = 0; i < c->m->n_disks; i++)
        if (c->m->disks[i].capacity_bytes % MIB)
            check_say(c, SUBJECT(c, i), "%" PRIu64 " bytes are no whole number of MiB",
                      c->m->disks[i].capacity_bytes);
}

static void
look_boot_bus(struct check *c)
{
    const struct vm *vm = c->m->vm;
    const struct vm_disk *first = vm->n_disks ? &vm->disks[0] : NULL;
    for (size_t i = 0; i < vm->n_disks; i++)
        if (vm->disks[i].boot_order &&
            (!first->boot_order || vm->disks[i].boot_order < first->boot_order))
            first = &vm->disks[i];
    if (first && (first->bus == VM_BUS_NVME || first->bus == VM_BUS_SATA))
        check_say(c, vm_disk_id(first, (char[VM_DISK_ID_MAX]){ 0 }), "the machine starts from %s",
                  first->bus == VM_BUS_NVME ? "NVMe" : "SATA");
}

static void
look_many(struct check *c)
{
    const struct vm *vm = c->m->vm;
    for (size_t i = 0, run = 0; i < vm->n_disks; i++) {
        bool same = i > 0 && vm->disks[i].bus == vm->disks[i - 1].bus &&
                    vm->disks[i].controller == vm->disks[i - 1].controller;
        run = same ? run + 1 : 1;
        if (vm->disks[i].bus == VM_BUS_SCSI && run == MANY_ON_BUS + 1)
            check_say(c, NULL, "more than %d disks on controller scsi%u", MANY_ON_BUS,
                      vm->disks[i].controller);
    }
}

static void
look_old_hardware(struct check *c)
{
    if (c->m->hw_version && c->m->hw_version < 7)
        check_say(c, NULL, "hardware version %u", c->m->hw_version);
    else if (!c->m->cbt_supported)
        check_say(c, NULL, "vSphere says that it cannot track the changed blocks of this machine");
}

/* The room for what the guest writes while a snapshot is there. */
static void
look_snapshot_room(struct check *c)
{
    char room[SIZE_TEXT_MAX], size[SIZE_TEXT_MAX];
    for (size_t i = 0; i < c->m->n_disks; i++) {
        const struct vmware_disk *disk = &c->m->disks[i];
        bool again = false;
        uint64_t there = 0;
        for (size_t j = 0; j < c->m->n_disks; j++) {
            if (strcmp(c->m->disks[j].datastore, disk->datastore) != 0)
                continue;
            again = again || j < i;
            there += c->m->disks[j].capacity_bytes;
        }
        if (again || !disk->datastore_known)
            continue;
        enum check_level level = disk->datastore_free_bytes < SNAPSHOT_ROOM_LEAST ? CHECK_ERROR
                                 : disk->datastore_free_bytes < there / 10        ? CHECK_WARNING
                                                                                  : CHECK_NONE;
        if (level != CHECK_NONE)
            check_say_at(c, c->context->snapshot ? level : CHECK_NONE, level, NULL,
                         "datastore %.100s: %s free, the machine's disks there have %s",
                         disk->datastore_name, size_format(disk->datastore_free_bytes, room),
                         size_format(there, size));
    }
}

const struct check_rule check_disk_rules[] = {
    { "no-disks", CHECK_ERROR, CHECK_ERROR, look_none, "there is nothing to copy",
      "recreate such a machine at the target by hand" },
    { "rdm-physical", CHECK_ERROR, CHECK_ERROR, look_rdm_physical,
      "VMware keeps its hands off such a LUN: no snapshot, no tracking, no reading through vSphere",
      "attach the LUN to the target host itself and take the disk out of the machine, or turn it "
      "into a virtual disk first (storage vMotion while the machine is off)" },
    { "rdm-virtual", CHECK_INFO, CHECK_INFO, look_rdm_virtual,
      "its whole LUN is copied; HTTPS and SSH see only the pointer to it",
      "nothing to do where VDDK or export can be used" },
    { "old-disk-format", CHECK_ERROR, CHECK_ERROR, look_old_backing,
      "no interface of vSphere reads such disks whole", "clone the machine in vSphere first" },
    { "independent-disk", CHECK_WARNING, CHECK_ERROR, look_independent,
      "a snapshot does not hold it still, and VDDK 7 and newer do not open it",
      "migrate the machine while it is off, over HTTPS, export or SSH, or set the disk's mode to "
      "dependent while it is off" },
    { "disk-mode", CHECK_WARNING, CHECK_ERROR, look_disk_mode,
      "what the guest writes to such a disk is dropped when the machine is switched off, and only "
      "what was there before is copied",
      "decide which state is wanted; set the mode to dependent while the machine is off" },
    { "multi-writer", CHECK_WARNING, CHECK_ERROR, look_multi_writer,
      "a copy made while another machine writes is no state of the disk; snapshots are refused",
      "switch off every machine that shares it, migrate it once, and share it again at the "
      "target" },
    { "shared-bus", CHECK_WARNING, CHECK_ERROR, look_shared_bus,
      "a cluster's disks change under another member's hand; snapshots are refused",
      "switch off all members of the cluster, migrate the shared disks once, and share them again "
      "at the target" },
    { "linked-clone", CHECK_WARNING, CHECK_WARNING, look_linked_clone,
      "its data lie in the disks of another machine as well; HTTPS and SSH see only its own part",
      "use VDDK or export, or make a full clone first" },
    { "encrypted", CHECK_WARNING, CHECK_WARNING, look_encrypted,
      "only VDDK over nbdssl gives its data in clear, to a user with the privileges "
      "Cryptographer.Access and Cryptographer.Decrypt; at the target the disks are not encrypted",
      "use VDDK with these privileges, or decrypt the machine first" },
    { "large-disk", CHECK_WARNING, CHECK_WARNING, look_large,
      "an MBR cannot describe all of it, and some file systems of targets have no such large files",
      "see that the guest uses GPT on it, and that the target can hold it" },
    { "native-4k", CHECK_ERROR, CHECK_ERROR, look_4k,
      "the partition table counts in sectors of 4096 bytes, and on a disk with 512 the guest would "
      "not find its partitions",
      "move the disk to a datastore with sectors of 512 bytes first, or give the disk sectors of "
      "4096 bytes at the target and copy it with 'vmferry copy'" },
    { "odd-size", CHECK_INFO, CHECK_INFO, look_odd_size,
      "a target that counts in larger units makes the disk a little larger; the backup of a GPT "
      "is then not at its end",
      "nothing to do for files; elsewhere move the backup table with 'sgdisk -e'" },
    { "boot-bus", CHECK_INFO, CHECK_INFO, look_boot_bus,
      "with virtio the disk gets another name (vda), and Windows another driver to start from",
      "see that the guest's fstab and boot loader use UUIDs or labels; the conversion brings the "
      "driver" },
    { "many-disks", CHECK_INFO, CHECK_INFO, look_many,
      "the target spreads them over several controllers; they are brought in the order of "
      "controller and unit",
      "see that the guest mounts by UUID or label" },
    { "no-tracking", CHECK_NONE, CHECK_WARNING, look_old_hardware,
      "changed block tracking needs hardware version 7 and a host that can do it, so a warm "
      "migration reads whole disks in each round",
      "migrate it cold, or upgrade the virtual hardware while it is off" },
    { "datastore-room", CHECK_NONE, CHECK_WARNING, look_snapshot_room,
      "while a snapshot is there, what the guest writes grows on this datastore, and a full one "
      "stops every machine on it",
      "make room there first, or migrate the machine while it is off" },
    { "no-transport", CHECK_ERROR, CHECK_ERROR, look_transports,
      "all disks of a machine are read in one way",
      "allow another transport (-it), or change what keeps the disk from the others" },
    { 0 },
};
