#include "vmware/inventory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "vmware/machine-read.h"

#define SNAPSHOTS_DEEP 64

/* The devices come last, so that they can be left out. */
static const char *const summary_paths[] = {
    "name",
    "parent",
    "parentVApp",
    "snapshot",
    "summary.storage.committed",
    "summary.config.numVirtualDisks",
    "config.uuid",
    "config.instanceUuid",
    "config.version",
    "config.template",
    "config.guestId",
    "config.guestFullName",
    "config.annotation",
    "config.firmware",
    "config.hardware.numCPU",
    "config.hardware.memoryMB",
    "runtime.host",
    "runtime.connectionState",
    "runtime.powerState",
    "guest.toolsRunningStatus",
    "guest.guestFullName",
    "config.hardware.device",
    NULL,
};

struct listing {
    struct vmware_session *session;
    struct names *names;
    int (*each)(const struct vmware_summary *summary, void *arg, struct err *err);
    int (*each_machine)(const struct vmware_machine *machine, void *arg, struct err *err);
    void *arg;
};

/* ---- one machine in short ---- */

static unsigned
count_snapshots(const struct xml_node *node, const char *name, int deep)
{
    unsigned n = 0;
    for (; node && deep < SNAPSHOTS_DEEP; node = xml_next(node, name))
        n += 1 +
             count_snapshots(xml_child(node, "childSnapshotList"), "childSnapshotList", deep + 1);
    return n;
}

static void
add_disks(struct vmware_summary *summary, const struct object *object)
{
    const struct xml_node *device = xml_child(object_get(object, "config.hardware.device"), NULL);
    unsigned n = 0;
    for (; device; device = device->next) {
        const char *type = xsi_type(device);
        if (!type || strcmp(type, "VirtualDisk") != 0)
            continue;
        uint64_t bytes = text_u64(xml_text_at(device, "capacityInBytes"));
        if (bytes == 0 && !checked_mul(text_u64(xml_text_at(device, "capacityInKB")), KIB, &bytes))
            bytes = 0;
        if (!checked_add(summary->capacity_bytes, bytes, &summary->capacity_bytes))
            summary->capacity_bytes = UINT64_MAX;
        n++;
    }
    summary->n_disks = MAX(summary->n_disks, n);
}

static const char *
or_empty(const char *text)
{
    return text ? text : "";
}

static void
take_figures(struct vmware_summary *summary, const struct object *object)
{
    const char *version = object_text(object, "config.version");
    const char *firmware = object_text(object, "config.firmware");
    const char *tools = object_text(object, "guest.toolsRunningStatus");
    uint64_t memory_mib = object_u64(object, "config.hardware.memoryMB");
    summary->power = power_of(object_text(object, "runtime.powerState"));
    summary->connection = connection_of(object_text(object, "runtime.connectionState"));
    summary->template = object_bool(object, "config.template");
    summary->config_present = object_get(object, "config.hardware.numCPU") != NULL;
    summary->tools_running = tools && *tools && strcmp(tools, "guestToolsNotRunning") != 0;
    summary->uefi = firmware && strcmp(firmware, "efi") == 0;
    summary->n_cpus =
        (unsigned)MIN(object_u64(object, "config.hardware.numCPU"), (uint64_t)VM_MAX_VCPUS);
    summary->memory_bytes = MIN(memory_mib, VM_MAX_MEMORY_BYTES / MIB) * MIB;
    if (version && strncmp(version, "vmx-", 4) == 0)
        summary->hw_version = (unsigned)MIN(text_u64(version + 4), (uint64_t)1000);
    summary->n_disks =
        (unsigned)MIN(object_u64(object, "summary.config.numVirtualDisks"), (uint64_t)VM_MAX_DISKS);
    summary->committed_bytes = object_u64(object, "summary.storage.committed");
    summary->n_snapshots =
        count_snapshots(object_get(object, "snapshot.rootSnapshotList"), "rootSnapshotList", 0);
    add_disks(summary, object);
}

static int
take_words(struct vmware_summary *summary, const struct object *object, struct vmware_texts *texts,
           struct err *err)
{
    const char *running = object_text(object, "guest.guestFullName");
    const char *name = object_text(object, "name");
    const struct {
        const char *text, **to;
    } wanted[] = {
        { object->moref, &summary->moref },
        { object_text(object, "config.uuid"), &summary->uuid },
        { object_text(object, "config.instanceUuid"), &summary->instance_uuid },
        { object_text(object, "config.guestId"), &summary->guest_id },
        { running && *running ? running : object_text(object, "config.guestFullName"),
          &summary->guest },
        { object_text(object, "runtime.host"), &summary->host_moref },
        { object_text(object, "config.annotation"), &summary->annotation },
    };
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        if (texts_add(texts, or_empty(wanted[i].text), wanted[i].to, err) < 0)
            return -1;
    return texts_add_name(texts, name && *name ? name : object->moref, &summary->name, err);
}

static int
take_place(struct vmware_summary *summary, const struct object *object, const struct names *names,
           struct vmware_texts *texts, struct err *err)
{
    char path[NAMES_PATH_MAX];
    const char *parent_type;
    const char *parent = machine_parent(object, &parent_type);
    const char *name = object_text(object, "name");
    auto_free char *whole = NULL;
    names_path(names, parent, path);
    if (asprintf(&whole, "%s/%s", path, name && *name ? name : object->moref) < 0) {
        whole = NULL;
        return err_errno(err, ENOMEM, "a path");
    }
    if (texts_add(texts, whole, &summary->path, err) < 0)
        return -1;
    const struct entity *datacenter = names_datacenter(names, parent);
    path[0] = '\0';
    if (datacenter)
        names_path(names, datacenter->moref, path);
    if (texts_add(texts, path, &summary->datacenter_path, err) < 0)
        return -1;
    const struct entity *host = names_find(names, summary->host_moref);
    return texts_add_name(texts, host ? host->name : "", &summary->host_name, err);
}

static int
on_summary(const struct object *object, void *arg, struct err *err)
{
    const struct listing *listing = arg;
    struct vmware_summary summary = { 0 };
    auto_texts struct vmware_texts *texts = texts_new(err);
    if (!texts || take_words(&summary, object, texts, err) < 0 ||
        take_place(&summary, object, listing->names, texts, err) < 0)
        return -1;
    take_figures(&summary, object);
    return listing->each(&summary, listing->arg, err);
}

/* ---- one machine in full ---- */

static int
on_machine(const struct object *object, void *arg, struct err *err)
{
    const struct listing *listing = arg;
    auto_vmware_machine struct vmware_machine *machine = NULL;
    struct err why = ERR_INIT;
    const char *parent_type;
    if (machine_parse(object, object, &machine, &why) < 0) {
        if (why.kind != ERR_INVALID) {
            *err = why;
            return -1;
        }
        if (machine_parse_without(object, why.text, &machine, err) < 0)
            return -1;
    }
    if (machine_resolve(machine, listing->names, machine_parent(object, &parent_type), err) < 0)
        return -1;
    return listing->each_machine(machine, listing->arg, err);
}

/* ---- all of them ---- */

static int
list(struct listing *listing, const char *datacenter_path, const char *const *paths,
     object_fn *on_object, bool with_storage, struct err *err)
{
    auto_names struct names *names = NULL;
    const struct entity *datacenter = NULL;
    struct property_set set = { "VirtualMachine", paths };
    if (names_new(listing->session, &names, err) < 0 || names_load(names, with_storage, err) < 0)
        return -1;
    if (datacenter_path && names_choose_datacenter(names, datacenter_path, &datacenter, err) < 0)
        return -1;
    listing->names = names;
    return property_read_all(listing->session, "Datacenter", datacenter ? datacenter->moref : NULL,
                             &set, 1, "list machines", on_object, listing, err);
}

int
vmware_inventory(struct vmware_session *session, const struct vmware_inventory_options *options,
                 int (*each)(const struct vmware_summary *summary, void *arg, struct err *err),
                 void *arg, struct err *err)
{
    struct listing listing = { .session = session, .each = each, .arg = arg };
    const char *paths[ARRAY_LEN(summary_paths)];
    memcpy(paths, summary_paths, sizeof paths);
    if (options && options->without_devices)
        paths[ARRAY_LEN(paths) - 2] = NULL;
    return list(&listing, options ? options->datacenter_path : NULL, paths, on_summary, false, err);
}

int
vmware_machines(struct vmware_session *session, const char *datacenter_path,
                int (*each)(const struct vmware_machine *machine, void *arg, struct err *err),
                void *arg, struct err *err)
{
    struct listing listing = { .session = session, .each_machine = each, .arg = arg };
    return list(&listing, datacenter_path, machine_paths, on_machine, true, err);
}
