#include "model/spec-fields.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "model/spec.h"
#include "model/vm.h"

const char *const spec_transport_names[] = { "auto", "vddk", "https", "export", "ssh", NULL };
const char *const spec_mode_names[] = { "warm", "cold", NULL };
const char *const spec_quiesce_names[] = { "auto", "true", "false", NULL };
const char *const spec_shutdown_names[] = { "auto", "force", "manual", NULL };
const char *const spec_verify_names[] = { "none", "changed", "sample", "full", NULL };
static const char *const ip_names[] = { "auto", "keep", NULL };
static const char *const run_names[] = { "Always", "RerunOnFailure", "Manual",
                                         "Halted", "Once",           NULL };

static int check_moref(char *text, struct err *err);
static int check_uuid(char *text, struct err *err);
static int check_disk_key(char *text, struct err *err);

#define AT(member) .offset = offsetof(struct HERE, member)
#define END                                                                                        \
    {                                                                                              \
        .key = NULL                                                                                \
    }

#define HERE spec_vm
static const struct field vm_fields[] = {
    { "name", FIELD_TEXT, AT(name) },
    { "moref", FIELD_TEXT, AT(moref), .check = check_moref },
    { "uuid", FIELD_TEXT, AT(uuid), .check = check_uuid },
    { "path", FIELD_TEXT, AT(path), .check = spec_check_absolute },
    END,
};
#undef HERE

#define HERE spec_source
static const struct field source_fields[] = {
    { "transport", FIELD_CHOICE, AT(transport), .choices = spec_transport_names,
      .fallback = "auto" },
    { "vcenter", FIELD_TEXT, AT(vcenter) },
    END,
};
#undef HERE

#define HERE spec_migration
#define SECONDS .low = 0, .high = SPEC_MAX_SECONDS
#define PARALLEL .low = 0, .high = SPEC_MAX_PARALLEL
#define DISKS .low = 0, .high = SPEC_MAX_PARALLEL_DISKS
static const struct field migration_fields[] = {
    { "mode", FIELD_CHOICE, AT(mode), .choices = spec_mode_names, .fallback = "warm" },
    { "delta_interval", FIELD_INT, AT(delta_interval_s), SECONDS, .fallback = "300" },
    { "finalize_at", FIELD_TIME, AT(finalize_at) },
    { "finalize_delta_interval", FIELD_INT, AT(finalize_delta_interval_s), SECONDS,
      .fallback = "30" },
    { "finalize_window", FIELD_INT, AT(finalize_window_s), SECONDS, .fallback = "600" },
    { "finalize_settle_seconds", FIELD_INT, AT(finalize_settle_s), SECONDS },
    { "readers", FIELD_INT, AT(readers), PARALLEL, .fallback = "4" },
    { "parallel_disks", FIELD_INT, AT(parallel_disks), DISKS, .fallback = "4" },
    { "run_virt_v2v", FIELD_TRISTATE, AT(run_virt_v2v) },
    { "snapshot_quiesce", FIELD_CHOICE, AT(snapshot_quiesce), .choices = spec_quiesce_names,
      .fallback = "auto" },
    { "shutdown_mode", FIELD_CHOICE, AT(shutdown_mode), .choices = spec_shutdown_names,
      .fallback = "auto" },
    { "start_vm_after_import", FIELD_TRISTATE, AT(start_vm_after_import), .fallback = "false" },
    { "verify", FIELD_CHOICE, AT(verify), .choices = spec_verify_names, .fallback = "changed" },
    { "bandwidth", FIELD_SIZE, AT(bandwidth_bytes_s), .low = SPEC_MIN_BANDWIDTH,
      .high = SPEC_MAX_BANDWIDTH },
    { "max_downtime", FIELD_INT, AT(max_downtime_s), SECONDS },
    { "max_rounds", FIELD_INT, AT(max_rounds), .low = 0, .high = 1000000 },
    { "power_on_after_failure", FIELD_TRISTATE, AT(power_on_after_failure), .fallback = "true" },
    END,
};
#undef HERE

/* Of the config's defaults and of the target, where they are members of a struct of their own. */
#define IDS(prefix)                                                                                \
    { "zoneid", FIELD_TEXT, AT(prefix zoneid) },                                                   \
        { "clusterid", FIELD_TEXT, AT(prefix clusterid) },                                         \
        { "storageid", FIELD_TEXT, AT(prefix storageid) },                                         \
        { "networkid", FIELD_TEXT, AT(prefix networkid) },                                         \
        { "serviceofferingid", FIELD_TEXT, AT(prefix serviceofferingid) },                         \
        { "diskofferingid", FIELD_TEXT, AT(prefix diskofferingid) },                               \
        { "ostypeid", FIELD_TEXT, AT(prefix ostypeid) },                                           \
        { "boottype", FIELD_TEXT, AT(prefix boottype) },                                           \
        { "bootmode", FIELD_TEXT, AT(prefix bootmode) },                                           \
        { "rootdiskcontroller", FIELD_TEXT, AT(prefix rootdiskcontroller) },                       \
    {                                                                                              \
        "nicadapter", FIELD_TEXT, AT(prefix nicadapter)                                            \
    }

#define HERE spec_cloudstack_ids
const struct field spec_cloudstack_ids_fields[] = {
    IDS(),
    END,
};
#undef HERE

#define HERE spec_nic
static const struct field nic_fields[] = {
    { "networkid", FIELD_TEXT, AT(networkid) },
    { "source_label", FIELD_TEXT, AT(source_label) },
    { "source_index", FIELD_INT, AT(source_index), .low = INT32_MIN, .high = INT32_MAX },
    { "source_network", FIELD_TEXT, AT(source_network) },
    { "source_mac", FIELD_TEXT, AT(source_mac) },
    { "source_device_key", FIELD_TEXT, AT(source_device_key) },
    END,
};
#undef HERE

#define HERE spec_cloudstack
static const struct field cloudstack_fields[] = {
    IDS(ids.),
    { "nic_mappings", FIELD_OBJECTS, AT(nics), .high = SPEC_MAX_NICS, .fields = nic_fields,
      .item_size = sizeof(struct spec_nic), .count = offsetof(struct HERE, n_nics) },
    { "account", FIELD_TEXT, AT(account) },
    { "domainid", FIELD_TEXT, AT(domainid) },
    { "projectid", FIELD_TEXT, AT(projectid) },
    { "preserve_mac", FIELD_TRISTATE, AT(preserve_mac), .fallback = "true" },
    { "ip", FIELD_CHOICE, AT(ip), .choices = ip_names, .fallback = "auto" },
    END,
};
#undef HERE

#define HERE spec_kubevirt
static const struct field kubevirt_fields[] = {
    { "namespace", FIELD_TEXT, AT(namespace) },
    { "kubeconfig", FIELD_TEXT, AT(kubeconfig), .check = spec_check_absolute },
    { "storage_class", FIELD_TEXT, AT(storage_class) },
    { "network_map", FIELD_PAIRS, AT(network_map), .high = SPEC_MAX_STRINGS },
    { "run_strategy", FIELD_CHOICE, AT(run_strategy), .choices = run_names, .fallback = "Halted" },
    END,
};
#undef HERE

#define HERE spec_libvirt
static const struct field libvirt_fields[] = {
    { "uri", FIELD_TEXT, AT(uri), .fallback = "qemu:///system" },
    { "pool", FIELD_TEXT, AT(pool), .fallback = "default" },
    { "network_map", FIELD_PAIRS, AT(network_map), .high = SPEC_MAX_STRINGS },
    END,
};
#undef HERE

#define HERE spec_files
static const struct field files_fields[] = {
    { "directory", FIELD_TEXT, AT(directory), .check = spec_check_absolute },
    END,
};
#undef HERE

#define HERE spec_target
#define FLAG(member) .has_flag = true, .flag = offsetof(struct HERE, member)
static const struct field target_fields[] = {
    { "cloudstack", FIELD_OBJECT, AT(cloudstack), .fields = cloudstack_fields,
      FLAG(has_cloudstack) },
    { "kubevirt", FIELD_OBJECT, AT(kubevirt), .fields = kubevirt_fields, FLAG(has_kubevirt) },
    { "libvirt", FIELD_OBJECT, AT(libvirt), .fields = libvirt_fields, FLAG(has_libvirt) },
    { "files", FIELD_OBJECT, AT(files), .fields = files_fields, FLAG(has_files) },
    END,
};
#undef HERE

#define HERE spec_conversion
static const struct field conversion_fields[] = {
    { "run_virt_v2v", FIELD_TRISTATE, AT(run_virt_v2v) },
    { "virtio_win", FIELD_TEXT, AT(virtio_win), .check = spec_check_absolute },
    { "keys", FIELD_LIST, AT(keys), .high = SPEC_MAX_KEYS, .check = check_disk_key },
    { "first_boot", FIELD_LIST, AT(first_boot), .high = SPEC_MAX_STRINGS,
      .check = spec_check_absolute },
    END,
};
#undef HERE

#define HERE spec_disk
static const struct field disk_fields[] = {
    { "storageid", FIELD_TEXT, AT(storageid) },
    { "diskofferingid", FIELD_TEXT, AT(diskofferingid) },
    END,
};
#undef HERE

#define HERE spec
const struct field spec_fields[] = {
    { "vm", FIELD_OBJECT, AT(vm), .fields = vm_fields },
    { "source", FIELD_OBJECT, AT(source), .fields = source_fields },
    { "migration", FIELD_OBJECT, AT(migration), .fields = migration_fields },
    { "target", FIELD_OBJECT, AT(target), .fields = target_fields },
    { "conversion", FIELD_OBJECT, AT(conversion), .fields = conversion_fields },
    { "disks", FIELD_OBJECTS, AT(disks), .high = SPEC_MAX_DISKS, .fields = disk_fields,
      .item_size = sizeof(struct spec_disk), .count = offsetof(struct HERE, n_disks) },
    END,
};
#undef HERE

int
spec_check_absolute(char *text, struct err *err)
{
    if (text[0] != '/')
        return err_set(err, ERR_INVALID, "'%.200s' is no absolute path: begin it with '/'", text);
    return 0;
}

/* vSphere's references: "vm-123" of a vCenter, "12" of an ESXi. */
static int
check_moref(char *text, struct err *err)
{
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("-_:", *c))
            return err_set(err, ERR_INVALID, "'%.60s' is no reference as vm-123", text);
    return 0;
}

static int
check_uuid(char *text, struct err *err)
{
    char uuid[VM_UUID_MAX];
    if (vm_uuid_parse(text, uuid, err) < 0)
        return -1;
    memcpy(text, uuid, VM_UUID_MAX);
    return 0;
}

/* As virt-v2v's --key, without the form that has the passphrase in it. */
static int
check_disk_key(char *text, struct err *err)
{
    const char *kind = text + strcspn(text, ":");
    if (strncmp(kind, ":key:", 5) == 0)
        return err_set(err, ERR_INVALID,
                       "a passphrase does not belong into a spec, which is stored: put it into a "
                       "file and write %.*s:file:PATH",
                       (int)(kind - text), text);
    if (kind == text ||
        (strcmp(kind, ":clevis") != 0 && (strncmp(kind, ":file:", 6) != 0 || kind[6] != '/')))
        return err_set(err, ERR_INVALID, "a key must be ID:file:/PATH or ID:clevis");
    return 0;
}
