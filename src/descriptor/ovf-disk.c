#include "descriptor/ovf-disk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "descriptor/number.h"

/* The guest knows its disks by controller and address, so these decide the order, not the order of
 * items or files. What a descriptor does not say gets the lowest free number, after all that was
 * said. */

#define OVF_MAX_CONTROLLERS 256
#define OVF_MAX_ADDRESS 65535

struct controller {
    const char *id;
    enum vm_bus bus;
    unsigned number;
    bool numbered;
};

struct controllers {
    size_t n;
    struct controller list[OVF_MAX_CONTROLLERS];
};

static int collect_controllers(const struct ovf_items *items, struct controllers *controllers,
                               struct err *err);
static bool controller_bus(const struct xml_node *item, enum vm_bus *ret_bus);
static bool number_taken(const struct controllers *controllers, enum vm_bus bus, unsigned number);
static int read_disk(const struct ovf_scope *scope, const struct xml_node *item,
                     const struct controllers *controllers, bool *ret_addressed, struct err *err);
static int place_disk(const struct xml_node *item, const struct xml_node *description,
                      const struct controllers *controllers, struct vm_disk *disk,
                      bool *ret_addressed, struct err *err);
static int find_description(const struct ovf_scope *scope, const struct xml_node *item,
                            const struct xml_node **ret_description,
                            const struct ovf_file **ret_file, struct err *err);
static int read_capacity(const struct xml_node *item, const struct xml_node *description,
                         struct vm_disk *disk, struct ovf_disk *more, struct err *err);
static void read_format(const struct xml_node *description, struct ovf_disk *more);
static void place_rest(struct vm *vm, const bool *addressed);

int
ovf_read_disks(const struct ovf_scope *scope, const struct ovf_items *items, struct err *err)
{
    auto_free struct controllers *controllers = calloc(1, sizeof *controllers);
    if (!controllers)
        return err_errno(err, ENOMEM, "the controllers");
    if (collect_controllers(items, controllers, err) < 0)
        return -1;
    bool addressed[VM_MAX_DISKS] = { false };
    for (size_t i = 0; i < items->n; i++) {
        const struct xml_node *item = items->nodes[i];
        if (ovf_item_type(item) != OVF_DISK)
            continue;
        bool has_address = false;
        if (read_disk(scope, item, controllers, &has_address, err) < 0)
            return err_prefix(err, "line %u: disk '%.60s'", item->line,
                              ovf_item_text(item, "ElementName"));
        addressed[scope->vm->n_disks - 1] = has_address;
    }
    place_rest(scope->vm, addressed);
    return 0;
}

static int
collect_controllers(const struct ovf_items *items, struct controllers *controllers, struct err *err)
{
    for (size_t i = 0; i < items->n; i++) {
        const struct xml_node *item = items->nodes[i];
        struct controller controller = { .id = ovf_item_id(item) };
        if (!controller_bus(item, &controller.bus))
            continue;
        if (controllers->n == OVF_MAX_CONTROLLERS)
            return err_set(err, ERR_INVALID, "more than %d disk controllers", OVF_MAX_CONTROLLERS);
        const char *address = xml_text_at(item, "Address");
        if (!address)
            address = xml_text_at(item, "BusNumber"); /* OVF 0.9 */
        uint64_t number;
        struct err none;
        if (address && number_read_max(address, "", OVF_MAX_CONTROLLERS, &number, &none) == 0 &&
            !number_taken(controllers, controller.bus, (unsigned)number)) {
            controller.number = (unsigned)number;
            controller.numbered = true;
        }
        controllers->list[controllers->n++] = controller;
    }
    for (size_t i = 0; i < controllers->n; i++) {
        struct controller *controller = &controllers->list[i];
        while (!controller->numbered &&
               number_taken(controllers, controller->bus, controller->number))
            controller->number++;
        controller->numbered = true;
    }
    return 0;
}

static bool
controller_bus(const struct xml_node *item, enum vm_bus *ret_bus)
{
    const char *subtype = ovf_item_text(item, "ResourceSubType");
    switch (ovf_item_type(item)) {
    case OVF_IDE:
        *ret_bus = VM_BUS_IDE;
        return true;
    case OVF_SCSI: /* lsilogic, lsilogicsas, buslogic, VirtualSCSI */
        *ret_bus = VM_BUS_SCSI;
        return true;
    case OVF_OTHER_STORAGE: /* vmware.sata.ahci, AHCI, vmware.nvme.controller, NVMe, VirtioSCSI */
        *ret_bus = strcasestr(subtype, "nvme")   ? VM_BUS_NVME
                   : strcasestr(subtype, "scsi") ? VM_BUS_SCSI
                                                 : VM_BUS_SATA;
        return true;
    default:
        return false;
    }
}

static bool
number_taken(const struct controllers *controllers, enum vm_bus bus, unsigned number)
{
    for (size_t i = 0; i < controllers->n; i++) {
        const struct controller *other = &controllers->list[i];
        if (other->numbered && other->bus == bus && other->number == number)
            return true;
    }
    return false;
}

static int
read_disk(const struct ovf_scope *scope, const struct xml_node *item,
          const struct controllers *controllers, bool *ret_addressed, struct err *err)
{
    const struct xml_node *description = NULL;
    struct ovf_disk more = { .unit_bytes = 1 };
    if (find_description(scope, item, &description, &more.file, err) < 0)
        return -1;
    struct vm_disk *disk = vm_add_disk(scope->vm, err);
    if (!disk || place_disk(item, description, controllers, disk, ret_addressed, err) < 0 ||
        read_capacity(item, description, disk, &more, err) < 0)
        return -1;
    const char *parent = xml_attr(description, "parentRef");
    if (parent && *parent)
        return err_set(err, ERR_INVALID,
                       "it is a delta of disk '%.60s' (parentRef): export the machine with its "
                       "snapshots consolidated",
                       parent);
    if (number_is_true(xml_attr(description, "boot"))) /* oVirt */
        disk->boot_order = 1;
    read_format(description, &more);
    scope->ovf->disks[scope->ovf->n_disks++] = more;
    return 0;
}

static const struct ovf_file *
file_by_id(const struct ovf *ovf, const char *id)
{
    for (size_t i = 0; i < ovf->n_files; i++)
        if (strcmp(ovf->files[i].id, id) == 0)
            return &ovf->files[i];
    /* oVirt refers by name. */
    for (size_t i = 0; i < ovf->n_files; i++)
        if (strcmp(ovf->files[i].name, id) == 0)
            return &ovf->files[i];
    return NULL;
}

/* HostResource "ovf:/disk/ID", in older ones "/disk/ID" or "disk/ID"; "ovf:/file/ID" for a file
 * without a description; in oVirt's storage domains "GROUP/ID". None at all: an empty disk. */
static int
find_description(const struct ovf_scope *scope, const struct xml_node *item,
                 const struct xml_node **ret_description, const struct ovf_file **ret_file,
                 struct err *err)
{
    const char *resource = ovf_item_text(item, "HostResource");
    const char *slash = strrchr(resource, '/');
    const char *id = slash ? slash + 1 : resource;
    if (!*id)
        return 0;
    if (strstr(resource, "file/")) {
        *ret_file = file_by_id(scope->ovf, id);
        return *ret_file ? 0 : err_set(err, ERR_INVALID, "there is no file '%.80s'", id);
    }
    const struct xml_node *found = NULL;
    for (const struct xml_node *d = xml_child(scope->disks, "Disk"); d; d = xml_next(d, "Disk")) {
        const char *other = xml_attr(d, "diskId");
        if (!other || strcmp(other, id) != 0)
            continue;
        if (found)
            return err_set(err, ERR_INVALID, "two disks in the DiskSection are called '%.80s'", id);
        found = d;
    }
    if (!found)
        return err_set(err, ERR_INVALID, "there is no '%.80s' in the DiskSection", id);
    const char *ref = xml_attr(found, "fileRef");
    if (ref && *ref) {
        *ret_file = file_by_id(scope->ovf, ref);
        if (!*ret_file)
            return err_set(err, ERR_INVALID, "there is no file '%.80s' among the references", ref);
    }
    *ret_description = found;
    return 0;
}

static int
place_disk(const struct xml_node *item, const struct xml_node *description,
           const struct controllers *controllers, struct vm_disk *disk, bool *ret_addressed,
           struct err *err)
{
    const char *parent = ovf_item_text(item, "Parent");
    const char *interface = xml_attr(description, "disk-interface"); /* oVirt */
    const struct controller *found = NULL;
    for (size_t i = 0; i < controllers->n && !found; i++)
        if (*parent && strcmp(controllers->list[i].id, parent) == 0)
            found = &controllers->list[i];
    if (interface) {
        disk->bus = strcasecmp(interface, "VirtIO") == 0 ? VM_BUS_VIRTIO
                    : strcasecmp(interface, "IDE") == 0  ? VM_BUS_IDE
                    : strcasecmp(interface, "SATA") == 0 ? VM_BUS_SATA
                                                         : VM_BUS_SCSI;
        return 0; /* its Parent and addresses mean something else */
    }
    if (*parent && !found)
        return err_set(err, ERR_INVALID, "its Parent '%.40s' is not a disk controller", parent);
    disk->bus = found ? found->bus : VM_BUS_SCSI;
    disk->controller = found ? found->number : 0;
    const char *address = xml_text_at(item, "AddressOnParent");
    if (!address)
        address = xml_text_at(item, "UnitNumber"); /* OVF 0.9 */
    if (!found || !address || !*address)
        return 0;
    uint64_t unit;
    if (number_read_max(address, "AddressOnParent", OVF_MAX_ADDRESS, &unit, err) < 0)
        return -1;
    disk->unit = (unsigned)unit;
    *ret_addressed = true;
    return 0;
}

static int
read_capacity(const struct xml_node *item, const struct xml_node *description, struct vm_disk *disk,
              struct ovf_disk *more, struct err *err)
{
    const char *text = xml_attr(description, "capacity");
    const char *unit = xml_attr(description, "capacityAllocationUnits");
    if (!text && xml_attr(description, "size")) { /* oVirt */
        text = xml_attr(description, "size");
        unit = "GB";
    }
    if (!text && !more->file) { /* OVF 2: an empty disk without a description */
        text = xml_text_at(item, "VirtualQuantity");
        unit = xml_text_at(item, "AllocationUnits");
    }
    if (!text && more->file)
        return 0;
    if (!unit || !*unit)
        unit = "byte";
    if (text && strncmp(text, "${", 2) == 0)
        return err_set(err, ERR_INVALID,
                       "its capacity is the property %.80s, which somebody must choose: write a "
                       "number there",
                       text);
    if (number_bytes(text, unit, "capacity", &disk->capacity_bytes, err) < 0 ||
        number_unit(unit, &more->unit_bytes, err) < 0)
        return -1;
    if (disk->capacity_bytes > VM_MAX_DISK_BYTES)
        return err_set(err, ERR_INVALID,
                       "capacity %.40s of '%.40s': more than the %" PRIu64
                       " bytes that a disk can have",
                       text, unit, VM_MAX_DISK_BYTES);
    return 0;
}

/* The format attribute is a URL that stands for a specification; oVirt writes VMDK's there for
 * everything and keeps the truth in volume-format. */
static void
read_format(const struct xml_node *description, struct ovf_disk *more)
{
    static const struct {
        const char *part, *format;
    } known[] = {
        { "vmdk", "vmdk" }, { "qcow", "qcow2" }, { "vhdx", "vhdx" },
        { "vhd", "vpc" },   { "vdi", "vdi" },    { "raw", "raw" },
    };
    const char *volume = xml_attr(description, "volume-format");
    const char *url = xml_attr(description, "format");
    if (volume) {
        more->declared = strcasecmp(volume, "RAW") == 0 ? "raw" : "qcow2";
        more->sure = true;
        return;
    }
    for (size_t i = 0; url && i < ARRAY_LEN(known); i++)
        if (strcasestr(url, known[i].part)) {
            more->declared = known[i].format;
            return;
        }
}

/* Quadratic in the number of disks, which is small. */
static void
place_rest(struct vm *vm, const bool *addressed)
{
    bool placed[VM_MAX_DISKS];
    memcpy(placed, addressed, sizeof placed);
    for (size_t i = 0; i < vm->n_disks; i++) {
        struct vm_disk *disk = &vm->disks[i];
        for (size_t j = 0; !placed[i] && j < vm->n_disks; j++) {
            const struct vm_disk *other = &vm->disks[j];
            if (placed[j] && other->bus == disk->bus && other->controller == disk->controller &&
                other->unit == disk->unit) {
                disk->unit++;
                j = (size_t)-1; /* look at all of them again */
            }
        }
        placed[i] = true;
    }
}
