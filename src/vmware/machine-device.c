/* The list of virtual hardware: disks by the controllers they hang on, network cards, and what else
 * somebody should know of. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "vmware/machine-read.h"

#define CONTROLLERS_MAX 64
#define PARENTS_MAX 255 /* files of one disk, one over the other */
#define FIRST_NIC_KEY 4000

struct controller {
    int key;
    enum vm_bus bus;
    unsigned number;
    bool shared;
};

struct devices {
    struct vmware_machine *machine;
    const struct object *hardware;
    size_t n_controllers;
    struct controller controllers[CONTROLLERS_MAX];
};

static int take_disk(struct devices *devices, const struct xml_node *node, struct err *err);
static int take_nic(struct devices *devices, const struct xml_node *node, const char *type,
                    struct err *err);
static int take_other(struct devices *devices, const struct xml_node *node, const char *type,
                      struct err *err);
static int sort_disks(struct vmware_machine *machine, struct err *err);
static void take_boot_order(struct vmware_machine *machine, const struct object *hardware);

static bool
is_one_of(const char *text, const char *const *words)
{
    for (; text && *words; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

static int
key_of(const struct xml_node *device, const char *path)
{
    int64_t key = text_i64(xml_text_at(device, path));
    return key >= INT32_MIN && key <= INT32_MAX ? (int)key : 0;
}

/* ---- controllers ---- */

bool
controller_bus(const char *type, enum vm_bus *ret)
{
    static const struct {
        const char *type;
        enum vm_bus bus;
    } types[] = {
        { "VirtualIDEController", VM_BUS_IDE },
        { "VirtualAHCIController", VM_BUS_SATA },
        { "VirtualSATAController", VM_BUS_SATA },
        { "VirtualNVMEController", VM_BUS_NVME },
        { "VirtualSCSIController", VM_BUS_SCSI },
        { "VirtualBusLogicController", VM_BUS_SCSI },
        { "VirtualLsiLogicController", VM_BUS_SCSI },
        { "VirtualLsiLogicSASController", VM_BUS_SCSI },
        { "ParaVirtualSCSIController", VM_BUS_SCSI },
    };
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (strcmp(types[i].type, type) == 0) {
            *ret = types[i].bus;
            return true;
        }
    return false;
}

static int
take_controller(struct devices *devices, const struct xml_node *node, enum vm_bus bus,
                struct err *err)
{
    if (devices->n_controllers == CONTROLLERS_MAX)
        return err_set(err, ERR_INVALID, "more than %d controllers", CONTROLLERS_MAX);
    const char *shared = xml_text_at(node, "sharedBus");
    devices->controllers[devices->n_controllers++] = (struct controller){
        .key = key_of(node, "key"),
        .bus = bus,
        .number = (unsigned)MIN(text_u64(xml_text_at(node, "busNumber")), (uint64_t)255),
        .shared = shared && strcmp(shared, "noSharing") != 0,
    };
    return 0;
}

static const struct controller *
controller_of(const struct devices *devices, int key)
{
    for (size_t i = 0; i < devices->n_controllers; i++)
        if (devices->controllers[i].key == key)
            return &devices->controllers[i];
    return NULL;
}

/* ---- the list ---- */

static bool
is_nic(const char *type)
{
    static const char *const types[] = { "VirtualE1000",
                                         "VirtualE1000e",
                                         "VirtualVmxnet",
                                         "VirtualVmxnet2",
                                         "VirtualVmxnet3",
                                         "VirtualVmxnet3Vrdma",
                                         "VirtualPCNet32",
                                         "VirtualSriovEthernetCard",
                                         NULL };
    return is_one_of(type, types);
}

typedef int device_fn(struct devices *devices, const struct xml_node *node, const char *type,
                      struct err *err);

static int
each_device(struct devices *devices, device_fn *each, struct err *err)
{
    const struct xml_node *list = object_get(devices->hardware, "config.hardware.device");
    const char *type = xsi_type(list);
    /* Asked for by itself it is an array; within a whole `hardware` a run of elements. */
    bool array = !type || strncmp(type, "ArrayOf", 7) == 0;
    const struct xml_node *node = array ? xml_child(list, NULL) : list;
    for (; node; node = array ? node->next : xml_next(node, "device")) {
        const char *own = xsi_type(node);
        if (each(devices, node, own ? own : node->name, err) < 0)
            return -1;
    }
    return 0;
}

static int
on_controller(struct devices *devices, const struct xml_node *node, const char *type,
              struct err *err)
{
    enum vm_bus bus;
    return controller_bus(type, &bus) ? take_controller(devices, node, bus, err) : 0;
}

static int
on_device(struct devices *devices, const struct xml_node *node, const char *type, struct err *err)
{
    if (strcmp(type, "VirtualDisk") == 0)
        return take_disk(devices, node, err);
    if (is_nic(type) && take_nic(devices, node, type, err) < 0)
        return -1;
    return take_other(devices, node, type, err);
}

int
machine_parse_devices(struct vmware_machine *machine, const struct object *hardware,
                      struct err *err)
{
    struct devices devices = { .machine = machine, .hardware = hardware };
    /* A disk may stand before its controller. */
    if (each_device(&devices, on_controller, err) < 0 ||
        each_device(&devices, on_device, err) < 0 || sort_disks(machine, err) < 0)
        return -1;
    take_boot_order(machine, hardware);
    return 0;
}

/* ---- disks ---- */

static enum vmware_backing
backing_of(const struct xml_node *backing)
{
    static const struct {
        const char *type;
        enum vmware_backing backing;
    } types[] = {
        { "VirtualDiskFlatVer2BackingInfo", VMWARE_BACKING_FLAT },
        { "VirtualDiskSeSparseBackingInfo", VMWARE_BACKING_SESPARSE },
        { "VirtualDiskRawDiskMappingVer1BackingInfo", VMWARE_BACKING_RDM_VIRTUAL },
        { "VirtualDiskLocalPMemBackingInfo", VMWARE_BACKING_PMEM },
    };
    const char *type = xsi_type(backing);
    const char *mode = xml_text_at(backing, "compatibilityMode");
    for (size_t i = 0; type && i < ARRAY_LEN(types); i++)
        if (strcmp(types[i].type, type) == 0)
            return types[i].backing == VMWARE_BACKING_RDM_VIRTUAL && mode &&
                           strcmp(mode, "physicalMode") == 0
                       ? VMWARE_BACKING_RDM_PHYSICAL
                       : types[i].backing;
    return VMWARE_BACKING_OTHER;
}

static enum vmware_mode
mode_of(const char *text)
{
    static const char *const words[] = {
        [VMWARE_MODE_PERSISTENT] = "persistent",
        [VMWARE_MODE_NONPERSISTENT] = "nonpersistent",
        [VMWARE_MODE_UNDOABLE] = "undoable",
        [VMWARE_MODE_INDEPENDENT_PERSISTENT] = "independent_persistent",
        [VMWARE_MODE_INDEPENDENT_NONPERSISTENT] = "independent_nonpersistent",
        [VMWARE_MODE_APPEND] = "append",
    };
    for (size_t i = 0; text && i < ARRAY_LEN(words); i++)
        if (strcmp(text, words[i]) == 0)
            return (enum vmware_mode)i;
    return VMWARE_MODE_PERSISTENT;
}

/* "[ds 1] dir/x.vmdk" without the rest. */
static int
datastore_name_of(struct vmware_machine *machine, const char *file, const char **ret,
                  struct err *err)
{
    const char *end = *file == '[' ? strstr(file, "] ") : NULL;
    if (!end)
        return 0;
    auto_free char *name = strndup(file + 1, (size_t)(end - file - 1));
    if (!name)
        return err_errno(err, ENOMEM, "a datastore");
    return texts_add(machine->texts, name, ret, err);
}

static int
take_backing(struct vmware_machine *machine, struct vmware_disk *disk,
             const struct xml_node *backing, struct err *err)
{
    const struct {
        const char *path, **to;
    } wanted[] = {
        { "fileName", &disk->file },        { "uuid", &disk->uuid },
        { "contentId", &disk->content_id }, { "changeId", &disk->change_id },
        { "lunUuid", &disk->lun_uuid },     { "deviceName", &disk->device_name },
        { "datastore", &disk->datastore },
    };
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        const char *text = xml_text_at(backing, wanted[i].path);
        if (texts_add(machine->texts, text ? text : "", wanted[i].to, err) < 0)
            return -1;
    }
    if (strlen(disk->datastore) >= VMWARE_MOREF_MAX)
        return err_set(err, ERR_INVALID, "a reference of %zu bytes", strlen(disk->datastore));
    const char *object = xml_text_at(backing, "backingObjectId");
    const char *sharing = xml_text_at(backing, "sharing");
    disk->backing = backing_of(backing);
    disk->mode = mode_of(xml_text_at(backing, "diskMode"));
    disk->thin = text_bool(xml_text_at(backing, "thinProvisioned"));
    disk->multi_writer = sharing && strcmp(sharing, "sharingMultiWriter") == 0;
    disk->encrypted = xml_child(backing, "keyId") != NULL;
    disk->object_store = object && *object;
    const struct xml_node *base = backing;
    while (disk->n_parents < PARENTS_MAX && xml_child(base, "parent")) {
        base = xml_child(base, "parent");
        disk->n_parents++;
    }
    disk->has_parent = disk->n_parents > 0;
    const char *base_file = xml_text_at(base, "fileName");
    if (texts_add(machine->texts, base_file ? base_file : "", &disk->base_file, err) < 0)
        return -1;
    return datastore_name_of(machine, disk->file, &disk->datastore_name, err);
}

static int
take_capacity(struct vmware_disk *disk, const struct xml_node *node, struct err *err)
{
    uint64_t bytes = text_u64(xml_text_at(node, "capacityInBytes"));
    if (bytes == 0 && !checked_mul(text_u64(xml_text_at(node, "capacityInKB")), KIB, &bytes))
        bytes = UINT64_MAX;
    if (bytes > VM_MAX_DISK_BYTES || bytes % 512)
        return err_set(err, ERR_INVALID, "disk %d: a capacity of %" PRIu64 " bytes", disk->key,
                       bytes);
    disk->capacity_bytes = bytes;
    const char *format = xml_text_at(node, "virtualDiskFormat");
    disk->native_4k = format && strcmp(format, "native_4k") == 0;
    return 0;
}

/* With disk.EnableUUID the guest sees the backing's UUID as the disk's serial number. */
static int
take_serial(const struct vmware_machine *machine, const struct vmware_disk *disk,
            struct vm_disk *vm_disk, struct err *err)
{
    char serial[VM_UUID_MAX];
    size_t n = 0;
    if (!machine->disk_uuid_enabled)
        return 0;
    for (const char *c = disk->uuid; *c && n < sizeof serial - 1; c++)
        if (isxdigit((unsigned char)*c))
            serial[n++] = (char)tolower((unsigned char)*c);
    serial[n] = '\0';
    return vm_set_text(&vm_disk->serial, serial, err);
}

static int
take_disk(struct devices *devices, const struct xml_node *node, struct err *err)
{
    struct vmware_machine *machine = devices->machine;
    struct vm_disk *vm_disk = vm_add_disk(machine->vm, err);
    if (!vm_disk)
        return -1;
    struct vmware_disk *disk = &machine->disks[machine->n_disks++];
    *disk = (struct vmware_disk){ .key = key_of(node, "key"),
                                  .datastore_name = "",
                                  .datastore_type = "" };
    const struct controller *controller = controller_of(devices, key_of(node, "controllerKey"));
    const char *unit = xml_text_at(node, "unitNumber");
    if (!controller || !unit)
        return err_set(err, ERR_INVALID, "disk %d hangs on controller %d, which is not there",
                       disk->key, key_of(node, "controllerKey"));
    vm_disk->bus = controller->bus;
    vm_disk->controller = controller->number;
    vm_disk->unit = (unsigned)MIN(text_u64(unit), (uint64_t)1000);
    disk->shared_bus = controller->shared;
    const char *label = xml_text_at(node, "deviceInfo/label");
    if (texts_add(machine->texts, label ? label : "", &disk->label, err) < 0 ||
        take_capacity(disk, node, err) < 0 ||
        take_backing(machine, disk, xml_child(node, "backing"), err) < 0 ||
        take_serial(machine, disk, vm_disk, err) < 0)
        return -1;
    vm_disk->capacity_bytes = disk->capacity_bytes;
    return 0;
}

static bool
is_before(const struct vm_disk *a, const struct vm_disk *b)
{
    if (a->bus != b->bus)
        return a->bus < b->bus;
    return a->controller != b->controller ? a->controller < b->controller : a->unit < b->unit;
}

/* Both lists at once, as vm_sort_disks does it for one. */
static int
sort_disks(struct vmware_machine *machine, struct err *err)
{
    struct vm *vm = machine->vm;
    for (size_t i = 1; i < machine->n_disks; i++)
        for (size_t at = i; at > 0 && is_before(&vm->disks[at], &vm->disks[at - 1]); at--) {
            struct vm_disk vm_disk = vm->disks[at];
            struct vmware_disk disk = machine->disks[at];
            vm->disks[at] = vm->disks[at - 1];
            machine->disks[at] = machine->disks[at - 1];
            vm->disks[at - 1] = vm_disk;
            machine->disks[at - 1] = disk;
        }
    for (size_t i = 1; i < machine->n_disks; i++)
        for (size_t before = 0; before < i; before++)
            if (machine->disks[i].key == machine->disks[before].key)
                return err_set(err, ERR_INVALID, "two disks with the key %d",
                               machine->disks[i].key);
    return 0;
}

/* ---- network cards ---- */

static unsigned
pci_slot_of(const struct devices *devices, const struct xml_node *node, int key)
{
    char name[64];
    uint64_t slot = text_u64(xml_text_at(node, "slotInfo/pciSlotNumber"));
    if (slot == 0 && key >= FIRST_NIC_KEY) {
        snprintf(name, sizeof name, "ethernet%d.pciSlotNumber", key - FIRST_NIC_KEY);
        slot = text_u64(extra_config(devices->hardware, name));
    }
    return slot <= UINT16_MAX ? (unsigned)slot : 0;
}

/* "VirtualVmxnet3" is vmxnet3, "VirtualPCNet32" pcnet32. */
static int
take_model(struct vm_nic *nic, const char *type, struct err *err)
{
    char model[64];
    if (strcmp(type, "VirtualSriovEthernetCard") == 0)
        type = "VirtualSriov";
    TEXT_TAKE(model, type + strlen("Virtual"));
    for (char *c = model; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return vm_set_text(&nic->model, model, err);
}

static int
take_network(struct devices *devices, struct vmware_nic *nic, struct vm_nic *vm_nic,
             const struct xml_node *backing, struct err *err)
{
    struct vmware_texts *texts = devices->machine->texts;
    const char *name = xml_text_at(backing, "deviceName");
    const char *group = xml_text_at(backing, "port/portgroupKey");
    const char *opaque = xml_text_at(backing, "opaqueNetworkId");
    const char *network = group ? group : xml_text_at(backing, "network");
    nic->distributed = xml_child(backing, "port") != NULL;
    nic->opaque = opaque != NULL;
    if (texts_add(texts, opaque ? opaque : "", &nic->opaque_id, err) < 0 ||
        texts_add(texts, network ? network : "", &nic->network_moref, err) < 0)
        return -1;
    if (!name || !*name)
        name = opaque;
    if (!name)
        return 0;
    auto_free char *decoded = strdup(name);
    if (!decoded)
        return err_errno(err, ENOMEM, "a network");
    name_decode(decoded);
    return vm_set_text(&vm_nic->network, decoded, err);
}

static int
take_nic(struct devices *devices, const struct xml_node *node, const char *type, struct err *err)
{
    struct vmware_machine *machine = devices->machine;
    struct vm_nic *vm_nic = vm_add_nic(machine->vm, err);
    if (!vm_nic)
        return -1;
    struct vmware_nic *nic = &machine->nics[machine->n_nics++];
    *nic = (struct vmware_nic){ .key = key_of(node, "key") };
    const char *mac = xml_text_at(node, "macAddress");
    const char *connected = xml_text_at(node, "connectable/startConnected");
    const char *label = xml_text_at(node, "deviceInfo/label");
    const char *address_type = xml_text_at(node, "addressType");
    struct err ignored = ERR_INIT;
    if (!mac || vm_mac_parse(mac, vm_nic->mac, &ignored) < 0)
        vm_nic->mac[0] = '\0';
    vm_nic->connected = !connected || text_bool(connected);
    vm_nic->pci_slot = pci_slot_of(devices, node, nic->key);
    if (texts_add(machine->texts, label ? label : "", &nic->label, err) < 0 ||
        texts_add(machine->texts, address_type ? address_type : "", &nic->address_type, err) < 0 ||
        take_model(vm_nic, type, err) < 0)
        return -1;
    return take_network(devices, nic, vm_nic, xml_child(node, "backing"), err);
}

/* guest.net, by the card's key; only while Tools run. */
int
machine_parse_addresses(struct vmware_machine *machine, const struct object *object,
                        struct err *err)
{
    const struct xml_node *net = xml_child(object_get(object, "guest.net"), NULL);
    for (; net; net = net->next) {
        struct vmware_nic *nic = NULL;
        for (size_t i = 0; i < machine->n_nics && !nic; i++)
            if (machine->nics[i].key == key_of(net, "deviceConfigId"))
                nic = &machine->nics[i];
        const struct xml_node *ip = xml_find(net, "ipConfig/ipAddress");
        for (; nic && ip && nic->n_addresses < VMWARE_MAX_ADDRESSES;
             ip = xml_next(ip, "ipAddress")) {
            char text[128];
            const char *address = xml_text_at(ip, "ipAddress");
            const char *length = xml_text_at(ip, "prefixLength");
            if (!address || !*address)
                continue;
            snprintf(text, sizeof text, "%.64s/%.16s", address, length ? length : "");
            if (texts_add(machine->texts, text, &nic->addresses[nic->n_addresses], err) < 0)
                return -1;
            nic->n_addresses++;
        }
    }
    return 0;
}

/* ---- what boots first ---- */

static void
take_boot_order(struct vmware_machine *machine, const struct object *hardware)
{
    const struct xml_node *entry = object_get(hardware, "config.bootOptions.bootOrder");
    unsigned order = 0;
    for (; entry; entry = xml_next(entry, "bootOrder")) {
        int key = key_of(entry, "deviceKey");
        order++;
        for (size_t i = 0; i < machine->n_disks; i++)
            if (key != 0 && machine->disks[i].key == key)
                machine->vm->disks[i].boot_order = order;
        for (size_t i = 0; i < machine->n_nics; i++)
            if (key != 0 && machine->nics[i].key == key)
                machine->vm->nics[i].boot_order = order;
    }
}

/* ---- all else ---- */

static int
add_device(struct devices *devices, enum vmware_device_kind kind, const struct xml_node *node,
           const char *type, const char *file, struct err *err)
{
    struct vmware_machine *machine = devices->machine;
    if (machine->n_devices == VMWARE_MAX_DEVICES)
        return err_set(err, ERR_INVALID, "more than %d devices", VMWARE_MAX_DEVICES);
    struct vmware_device *device = &machine->devices[machine->n_devices++];
    *device = (struct vmware_device){ .kind = kind, .key = key_of(node, "key") };
    const char *label = xml_text_at(node, "deviceInfo/label");
    if (texts_add(machine->texts, file && *file ? file : NULL, &device->file, err) < 0)
        return -1;
    return texts_add(machine->texts, label && *label ? label : type, &device->label, err);
}

/* An image, or a drive of the host that is connected now. A client's drive is none. */
static int
take_medium(struct devices *devices, const struct xml_node *node, const char *type, struct err *err)
{
    static const char *const images[] = { "VirtualCdromIsoBackingInfo",
                                          "VirtualFloppyImageBackingInfo", NULL };
    static const char *const drives[] = { "VirtualCdromAtapiBackingInfo",
                                          "VirtualFloppyDeviceBackingInfo", NULL };
    const struct xml_node *backing = xml_child(node, "backing");
    const char *kind = xsi_type(backing);
    const char *file = xml_text_at(backing, "fileName");
    bool connected = text_bool(xml_text_at(node, "connectable/connected")) ||
                     text_bool(xml_text_at(node, "connectable/startConnected"));
    if (is_one_of(kind, images) && file && *file)
        return add_device(devices, VMWARE_DEVICE_MEDIUM, node, type, file, err);
    if (is_one_of(kind, drives) && connected)
        return add_device(devices, VMWARE_DEVICE_MEDIUM, node, type,
                          xml_text_at(backing, "deviceName"), err);
    return 0;
}

static int
take_other(struct devices *devices, const struct xml_node *node, const char *type, struct err *err)
{
    static const struct {
        const char *type;
        enum vmware_device_kind kind;
    } kinds[] = {
        { "VirtualSriovEthernetCard", VMWARE_DEVICE_SRIOV },
        { "VirtualNVDIMM", VMWARE_DEVICE_NVDIMM },
        { "VirtualUSB", VMWARE_DEVICE_USB },
        { "VirtualSerialPort", VMWARE_DEVICE_SERIAL },
        { "VirtualParallelPort", VMWARE_DEVICE_PARALLEL },
        { "VirtualWDT", VMWARE_DEVICE_WATCHDOG },
        { "VirtualPrecisionClock", VMWARE_DEVICE_CLOCK },
    };
    const struct xml_node *backing = xml_child(node, "backing");
    const char *kind = xsi_type(backing);
    const char *file = xml_text_at(backing, "fileName");
    if (strcmp(type, "VirtualTPM") == 0)
        devices->machine->vm->tpm = true;
    if (strcmp(type, "VirtualCdrom") == 0)
        devices->machine->vm->n_cdroms++;
    if (strcmp(type, "VirtualCdrom") == 0 || strcmp(type, "VirtualFloppy") == 0)
        return take_medium(devices, node, type, err);
    if (strcmp(type, "VirtualPCIPassthrough") == 0)
        return add_device(devices,
                          kind && strcmp(kind, "VirtualPCIPassthroughVmiopBackingInfo") == 0
                              ? VMWARE_DEVICE_VGPU
                              : VMWARE_DEVICE_PCI_PASSTHROUGH,
                          node, type, NULL, err);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strcmp(kinds[i].type, type) == 0)
            return add_device(devices, kinds[i].kind, node, type, file, err);
    return 0;
}
