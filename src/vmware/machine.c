#include "vmware/machine.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "vmware/machine-read.h"

#define REFS_MAX (VM_MAX_DISKS + 2 * VM_MAX_NICS + 8)

/* A path that an older server does not know is left out of the question when it says so. */
const char *const machine_paths[] = {
    "name",
    "parent",
    "parentVApp",
    "network",
    "snapshot",
    "disabledMethod",
    "capability.changeTrackingSupported",
    "summary.storage.committed",
    "config.uuid",
    "config.instanceUuid",
    "config.version",
    "config.template",
    "config.guestId",
    "config.guestFullName",
    "config.annotation",
    "config.files.vmPathName",
    "config.firmware",
    "config.bootOptions",
    "config.changeTrackingEnabled",
    "config.keyId",
    "config.flags",
    "config.hardware.numCPU",
    "config.hardware.numCoresPerSocket",
    "config.hardware.memoryMB",
    "config.hardware.device",
    "config.extraConfig",
    "config.cpuHotAddEnabled",
    "config.memoryHotAddEnabled",
    "config.nestedHVEnabled",
    "config.managedBy",
    "config.ftInfo",
    "config.repConfig",
    "config.vAppConfig",
    "config.cpuAllocation",
    "config.memoryAllocation",
    "config.cpuAffinity",
    "config.memoryAffinity",
    "config.latencySensitivity",
    "config.sevEnabled",
    "config.sgxInfo",
    "runtime.host",
    "runtime.connectionState",
    "runtime.powerState",
    "runtime.question",
    "runtime.consolidationNeeded",
    "runtime.toolsInstallerMounted",
    "runtime.faultToleranceState",
    "runtime.cryptoState",
    "runtime.instantCloneFrozen",
    "runtime.quiescedForkParent",
    "runtime.snapshotInBackground",
    "runtime.bootTime",
    "guest.toolsRunningStatus",
    "guest.toolsVersionStatus2",
    "guest.hostName",
    "guest.net",
    NULL,
};

const char *const machine_snapshot_paths[] = {
    "config.uuid",
    "config.version",
    "config.firmware",
    "config.bootOptions",
    "config.flags",
    "config.hardware.numCPU",
    "config.hardware.numCoresPerSocket",
    "config.hardware.memoryMB",
    "config.hardware.device",
    "config.extraConfig",
    NULL,
};

static int machine_new(struct vmware_machine **ret, struct err *err);
static int parse_hardware(struct vmware_machine *machine, const struct object *hardware,
                          struct err *err);
static size_t collect_refs(const struct vmware_machine *machine, const struct object *object,
                           struct ref refs[REFS_MAX]);

int
vmware_machine_read(struct vmware_session *session, const char *moref, const char *snapshot,
                    struct vmware_machine **ret, struct err *err)
{
    auto_soap_reply struct soap_reply reply = { 0 }, snapshot_reply = { 0 };
    auto_vmware_machine struct vmware_machine *machine = NULL;
    auto_names struct names *names = NULL;
    struct object object, frozen;
    struct ref refs[REFS_MAX];
    char what[160];
    const char *parent_type;
    snprintf(what, sizeof what, "read the machine %s", moref);
    if (property_read(session, "VirtualMachine", moref, machine_paths, what, &reply, &object, err) <
        0)
        return -1;
    if (snapshot) {
        snprintf(what, sizeof what, "read the snapshot %s of %s", snapshot, moref);
        if (property_read(session, "VirtualMachineSnapshot", snapshot, machine_snapshot_paths, what,
                          &snapshot_reply, &frozen, err) < 0)
            return -1;
        if (!object_get(&frozen, "config.hardware.device"))
            return err_set(err, ERR_NOT_FOUND, "%s: %s: it has no configuration", session->endpoint,
                           what);
    }
    if (machine_parse(&object, snapshot ? &frozen : &object, &machine, err) < 0)
        return err_prefix(err, "%s", session->endpoint);
    size_t n_refs = collect_refs(machine, &object, refs);
    if (names_new(session, &names, err) < 0 || names_load_refs(names, refs, n_refs, err) < 0 ||
        machine_resolve(machine, names, machine_parent(&object, &parent_type), err) < 0)
        return -1;
    *ret = TAKE_PTR(machine);
    return 0;
}

/* ---- life ---- */

/* Every text is "" until something better is known. */
static void
empty_texts(struct vmware_machine *machine)
{
    const char **const texts[] = {
        &machine->name,
        &machine->path,
        &machine->datacenter_path,
        &machine->datacenter_moref,
        &machine->host_moref,
        &machine->host_name,
        &machine->instance_uuid,
        &machine->guest_id,
        &machine->guest_full_name,
        &machine->guest_host_name,
        &machine->annotation,
        &machine->vmx_file,
        &machine->smbios_serial,
        &machine->boot_time,
        &machine->tools_version_status,
        &machine->latency_sensitivity,
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        *texts[i] = "";
}

static int
machine_new(struct vmware_machine **ret, struct err *err)
{
    auto_vmware_machine struct vmware_machine *machine = calloc(1, sizeof *machine);
    if (!machine)
        return err_errno(err, ENOMEM, "a machine");
    empty_texts(machine);
    if (!(machine->texts = texts_new(err)) || !(machine->vm = vm_new(err)))
        return -1;
    *ret = TAKE_PTR(machine);
    return 0;
}

void
vmware_machine_free(struct vmware_machine *machine)
{
    if (!machine)
        return;
    texts_free(machine->texts);
    vm_free(machine->vm);
    free(machine);
}

const struct vmware_disk *
vmware_machine_disk(const struct vmware_machine *machine, int key)
{
    for (size_t i = 0; i < machine->n_disks; i++)
        if (machine->disks[i].key == key)
            return &machine->disks[i];
    return NULL;
}

/* ---- reading ---- */

int
machine_parse(const struct object *object, const struct object *hardware,
              struct vmware_machine **ret, struct err *err)
{
    auto_vmware_machine struct vmware_machine *machine = NULL;
    if (machine_new(&machine, err) < 0)
        return -1;
    if (strlen(object->moref) >= sizeof machine->moref)
        return err_set(err, ERR_INVALID, "machine %s: a reference too long for one", object->moref);
    TEXT_TAKE(machine->moref, object->moref);
    if (machine_parse_state(machine, object, err) < 0 ||
        machine_parse_snapshots(machine, object, err) < 0 ||
        (machine->config_present && (parse_hardware(machine, hardware, err) < 0 ||
                                     machine_parse_addresses(machine, object, err) < 0)))
        return err_prefix(err, "machine %s (%.100s)", object->moref, machine->name);
    *ret = TAKE_PTR(machine);
    return 0;
}

int
machine_parse_without(const struct object *object, const char *why, struct vmware_machine **ret,
                      struct err *err)
{
    auto_vmware_machine struct vmware_machine *machine = NULL;
    if (machine_new(&machine, err) < 0)
        return -1;
    if (strlen(object->moref) >= sizeof machine->moref)
        return err_set(err, ERR_INVALID, "machine %s: a reference too long for one", object->moref);
    TEXT_TAKE(machine->moref, object->moref);
    if (machine_parse_state(machine, object, err) < 0)
        return -1;
    machine->config_present = false;
    if (texts_add(machine->texts, why, &machine->unreadable, err) < 0)
        return -1;
    *ret = TAKE_PTR(machine);
    return 0;
}

static int
parse_processors(struct vm *vm, const struct object *hardware, struct err *err)
{
    uint64_t n = object_u64(hardware, "config.hardware.numCPU");
    uint64_t cores = object_u64(hardware, "config.hardware.numCoresPerSocket");
    uint64_t memory_mib = object_u64(hardware, "config.hardware.memoryMB");
    if (n == 0 || n > VM_MAX_VCPUS)
        return err_set(err, ERR_INVALID, "%" PRIu64 " processors", n);
    if (memory_mib == 0 || memory_mib > VM_MAX_MEMORY_BYTES / MIB)
        return err_set(err, ERR_INVALID, "%" PRIu64 " MiB of memory", memory_mib);
    vm->vcpus = (unsigned)n;
    vm->memory_bytes = memory_mib * MIB;
    if (cores > 0 && n % cores == 0) {
        vm->sockets = (unsigned)(n / cores);
        vm->cores = (unsigned)cores;
        vm->threads = 1;
    }
    return 0;
}

/* As the guest's SMBIOS has it: "VMware-42 2c 6a 2a 5e a9 10 83-39 f3 3b 14 0f ff b4 44". */
static int
make_serial(struct vmware_machine *machine, struct err *err)
{
    char serial[64] = "VMware-", digits[33] = "";
    size_t n = 0, at = strlen(serial);
    for (const char *c = machine->vm->uuid; *c && n < 32; c++)
        if (*c != '-')
            digits[n++] = *c;
    for (size_t i = 0; i < 32; i += 2) {
        serial[at++] = digits[i];
        serial[at++] = digits[i + 1];
        serial[at++] = i == 14 ? '-' : ' ';
    }
    serial[at - 1] = '\0';
    return texts_add(machine->texts, serial, &machine->smbios_serial, err);
}

static int
parse_hardware(struct vmware_machine *machine, const struct object *hardware, struct err *err)
{
    struct vm *vm = machine->vm;
    if (parse_processors(vm, hardware, err) < 0)
        return -1;
    const char *firmware = object_text(hardware, "config.firmware");
    vm->firmware_known = firmware != NULL;
    vm->firmware = firmware && strcmp(firmware, "efi") == 0 ? VM_FIRMWARE_UEFI : VM_FIRMWARE_BIOS;
    vm->secure_boot = vm->firmware == VM_FIRMWARE_UEFI &&
                      object_bool(hardware, "config.bootOptions.efiSecureBootEnabled");
    const char *disk_uuid = extra_config(hardware, "disk.EnableUUID");
    machine->disk_uuid_enabled = object_bool(hardware, "config.flags.diskUuidEnabled") ||
                                 (disk_uuid && strcasecmp(disk_uuid, "TRUE") == 0);
    if (vm->uuid && make_serial(machine, err) < 0)
        return -1;
    if (machine_parse_devices(machine, hardware, err) < 0)
        return -1;
    return vm_check(vm, err);
}

/* ---- what it refers to ---- */

const char *
machine_parent(const struct object *object, const char **ret_type)
{
    const struct xml_node *parent = object_get(object, "parent");
    parent = parent ? parent : object_get(object, "parentVApp");
    *ret_type = ref_type(parent);
    return parent ? parent->text : "";
}

static size_t
collect_refs(const struct vmware_machine *machine, const struct object *object,
             struct ref refs[REFS_MAX])
{
    size_t n = 0;
    struct ref parent;
    parent.moref = machine_parent(object, &parent.type);
    if (*parent.moref)
        refs[n++] = parent;
    if (*machine->host_moref)
        refs[n++] = (struct ref){ "HostSystem", machine->host_moref };
    for (size_t i = 0; i < machine->n_disks; i++) {
        bool again = !*machine->disks[i].datastore;
        for (size_t before = 0; before < i && !again; before++)
            again = strcmp(machine->disks[before].datastore, machine->disks[i].datastore) == 0;
        if (!again)
            refs[n++] = (struct ref){ "Datastore", machine->disks[i].datastore };
    }
    const struct xml_node *network =
        xml_child(object_get(object, "network"), "ManagedObjectReference");
    for (size_t i = 0; network && i < 2 * VM_MAX_NICS;
         network = xml_next(network, "ManagedObjectReference"), i++)
        refs[n++] = (struct ref){ ref_type(network), network->text };
    return n;
}

static bool
has_no_flat_file(const char *datastore_type)
{
    static const char *const types[] = { "vsan", "vsanD", "VVOL", "PMEM" };
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (strcasecmp(types[i], datastore_type) == 0)
            return true;
    return false;
}

static int
resolve_disk(struct vmware_machine *machine, struct vmware_disk *disk, const struct names *names,
             struct err *err)
{
    const struct entity *datastore = names_find(names, disk->datastore);
    if (!datastore || !*datastore->name)
        return 0;
    disk->datastore_known = true;
    disk->datastore_free_bytes = datastore->free_bytes;
    disk->datastore_capacity_bytes = datastore->capacity_bytes;
    disk->object_store = disk->object_store || has_no_flat_file(datastore->datastore_type);
    if (texts_add(machine->texts, datastore->datastore_type, &disk->datastore_type, err) < 0)
        return -1;
    return texts_add_name(machine->texts, datastore->name, &disk->datastore_name, err);
}

static int
resolve_nic(struct vmware_machine *machine, size_t i, const struct names *names, struct err *err)
{
    const struct vmware_nic *nic = &machine->nics[i];
    if (machine->vm->nics[i].network || !*nic->network_moref)
        return 0;
    const struct entity *network = names_find_key(names, nic->network_moref);
    auto_free char *name = strdup(network && *network->name ? network->name : nic->network_moref);
    if (!name)
        return err_errno(err, ENOMEM, "a network");
    name_decode(name);
    return vm_set_text(&machine->vm->nics[i].network, name, err);
}

static int
resolve_place(struct vmware_machine *machine, const struct names *names, const char *parent,
              const char *api_name, struct err *err)
{
    char path[NAMES_PATH_MAX];
    const struct entity *datacenter = names_datacenter(names, parent);
    if (datacenter) {
        names_path(names, datacenter->moref, path);
        if (texts_add(machine->texts, path, &machine->datacenter_path, err) < 0 ||
            texts_add(machine->texts, datacenter->moref, &machine->datacenter_moref, err) < 0)
            return -1;
    }
    names_path(names, parent, path);
    auto_free char *whole = NULL;
    if (asprintf(&whole, "%s/%s", path, api_name) < 0) {
        whole = NULL;
        return err_errno(err, ENOMEM, "a path");
    }
    return texts_add(machine->texts, whole, &machine->path, err);
}

int
machine_resolve(struct vmware_machine *machine, const struct names *names, const char *parent,
                struct err *err)
{
    /* Until here `path` holds the name as the API has it. */
    if (resolve_place(machine, names, parent, machine->path, err) < 0)
        return -1;
    const struct entity *host = names_find(names, machine->host_moref);
    if (host && texts_add_name(machine->texts, host->name, &machine->host_name, err) < 0)
        return -1;
    for (size_t i = 0; i < machine->n_disks; i++)
        if (resolve_disk(machine, &machine->disks[i], names, err) < 0)
            return -1;
    for (size_t i = 0; i < machine->n_nics; i++)
        if (resolve_nic(machine, i, names, err) < 0)
            return -1;
    return 0;
}
