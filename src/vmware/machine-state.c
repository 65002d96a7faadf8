/* What a machine is and does, beside its hardware. */
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "vmware/machine-read.h"

#define SNAPSHOT_DEPTH_MAX 64

enum vmware_power
power_of(const char *text)
{
    if (text && strcmp(text, "poweredOn") == 0)
        return VMWARE_POWERED_ON;
    return text && strcmp(text, "suspended") == 0 ? VMWARE_SUSPENDED : VMWARE_POWERED_OFF;
}

enum vmware_connection
connection_of(const char *text)
{
    static const char *const words[] = {
        [VMWARE_CONNECTED] = "connected", [VMWARE_DISCONNECTED] = "disconnected",
        [VMWARE_ORPHANED] = "orphaned",   [VMWARE_INACCESSIBLE] = "inaccessible",
        [VMWARE_INVALID] = "invalid",
    };
    for (size_t i = 0; text && i < ARRAY_LEN(words); i++)
        if (strcmp(text, words[i]) == 0)
            return (enum vmware_connection)i;
    return text ? VMWARE_INVALID : VMWARE_CONNECTED;
}

const char *
extra_config(const struct object *object, const char *key)
{
    const struct xml_node *option =
        xml_child(object_get(object, "config.extraConfig"), "OptionValue");
    /* Taken out of a whole `config` it is a list of elements of its own name. */
    const char *name = option ? "OptionValue" : "extraConfig";
    option = option ? option : object_get(object, "config.extraConfig");
    for (; option; option = xml_next(option, name)) {
        const char *own = xml_text_at(option, "key");
        if (own && strcasecmp(own, key) == 0)
            return xml_text_at(option, "value");
    }
    return NULL;
}

static int
take_texts(struct vmware_machine *machine, const struct object *object, struct err *err)
{
    const struct {
        const char *path, **to;
    } wanted[] = {
        { "runtime.host", &machine->host_moref },
        { "config.instanceUuid", &machine->instance_uuid },
        { "config.guestId", &machine->guest_id },
        { "config.guestFullName", &machine->guest_full_name },
        { "config.annotation", &machine->annotation },
        { "config.files.vmPathName", &machine->vmx_file },
        { "config.latencySensitivity.level", &machine->latency_sensitivity },
        { "config.managedBy.extensionKey", &machine->managed_by },
        { "runtime.bootTime", &machine->boot_time },
        { "runtime.question.text", &machine->question },
        { "runtime.question.id", &machine->question_id },
        { "guest.hostName", &machine->guest_host_name },
        { "guest.toolsVersionStatus2", &machine->tools_version_status },
    };
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        const char *text = object_text(object, wanted[i].path);
        if (text && texts_add(machine->texts, text, wanted[i].to, err) < 0)
            return -1;
    }
    if (machine->managed_by && !*machine->managed_by)
        machine->managed_by = NULL;
    return 0;
}

static bool
text_is(const char *text, const char *word)
{
    return text && strcmp(text, word) == 0;
}

static bool
is_reserved(const struct object *object)
{
    return object_u64(object, "config.cpuAllocation.reservation") > 0 ||
           object_u64(object, "config.memoryAllocation.reservation") > 0;
}

static void
take_flags(struct vmware_machine *machine, const struct object *object)
{
    machine->connection = connection_of(object_text(object, "runtime.connectionState"));
    machine->power = power_of(object_text(object, "runtime.powerState"));
    machine->template = object_bool(object, "config.template");
    machine->config_present = object_get(object, "config.hardware.numCPU") != NULL;
    machine->committed_bytes = object_u64(object, "summary.storage.committed");
    const char *tools = object_text(object, "guest.toolsRunningStatus");
    machine->tools_running = tools && *tools && strcmp(tools, "guestToolsNotRunning") != 0;
    machine->tools_mounted = object_bool(object, "runtime.toolsInstallerMounted");
    machine->consolidation_needed = object_bool(object, "runtime.consolidationNeeded");
    machine->cbt_supported = object_bool(object, "capability.changeTrackingSupported");
    machine->cbt_enabled = object_bool(object, "config.changeTrackingEnabled");
    machine->encrypted = object_get(object, "config.keyId") != NULL;
    machine->crypto_locked = text_is(object_text(object, "runtime.cryptoState"), "locked");
    const char *ft = object_text(object, "runtime.faultToleranceState");
    machine->fault_tolerance =
        object_get(object, "config.ftInfo") != NULL || (ft && strcmp(ft, "notConfigured") != 0);
    machine->instant_clone_frozen = object_bool(object, "runtime.instantCloneFrozen") ||
                                    object_bool(object, "runtime.quiescedForkParent");
    machine->snapshot_in_background = object_bool(object, "runtime.snapshotInBackground");
    machine->vbs = object_bool(object, "config.flags.vbsEnabled");
    machine->nested_hv = object_bool(object, "config.nestedHVEnabled");
    machine->sev = object_bool(object, "config.sevEnabled");
    machine->sgx = object_u64(object, "config.sgxInfo.epcSize") > 0;
    machine->cpu_hot_add = object_bool(object, "config.cpuHotAddEnabled");
    machine->memory_hot_add = object_bool(object, "config.memoryHotAddEnabled");
    machine->replicated = object_get(object, "config.repConfig") != NULL ||
                          extra_config(object, "hbr_filter.gid") != NULL;
    machine->ovf_environment =
        object_get(object, "config.vAppConfig.ovfEnvironmentTransport") != NULL ||
        extra_config(object, "guestinfo.ovfEnv") != NULL;
    machine->has_reservation = is_reserved(object);
    machine->has_affinity = object_get(object, "config.cpuAffinity.affinitySet") != NULL ||
                            object_get(object, "config.memoryAffinity.affinitySet") != NULL;
}

static int
take_identity(struct vmware_machine *machine, const struct object *object, struct err *err)
{
    const char *name = object_text(object, "name");
    name = name && *name ? name : machine->moref;
    const char *uuid = object_text(object, "config.uuid");
    const char *version = object_text(object, "config.version");
    char parsed[VM_UUID_MAX];
    struct err ignored = ERR_INIT;
    /* `path` is made when the folders are known (machine_resolve). */
    if (texts_add_name(machine->texts, name, &machine->name, err) < 0 ||
        texts_add(machine->texts, name, &machine->path, err) < 0 ||
        vm_set_name(machine->vm, machine->name, err) < 0)
        return -1;
    /* One that is too long for a description is left out there; `annotation` has it. */
    vm_set_text(&machine->vm->description, object_text(object, "config.annotation"), &ignored);
    if (uuid && vm_uuid_parse(uuid, parsed, &ignored) == 0 &&
        vm_set_text(&machine->vm->uuid, parsed, err) < 0)
        return -1;
    if (version && strncmp(version, "vmx-", 4) == 0)
        machine->hw_version = (unsigned)MIN(text_u64(version + 4), (uint64_t)1000);
    return 0;
}

int
machine_parse_state(struct vmware_machine *machine, const struct object *object, struct err *err)
{
    if (take_identity(machine, object, err) < 0 || take_texts(machine, object, err) < 0)
        return -1;
    take_flags(machine, object);
    const struct xml_node *method = xml_child(object_get(object, "disabledMethod"), "string");
    for (; method && machine->n_disabled < VMWARE_MAX_DISABLED; method = xml_next(method, "string"))
        if (texts_add(machine->texts, method->text, &machine->disabled[machine->n_disabled++],
                      err) < 0)
            return -1;
    return 0;
}

/* ---- snapshots ---- */

static int
add_snapshot(struct vmware_machine *machine, const struct xml_node *node, const char *parent,
             const char *current, struct err *err)
{
    if (machine->n_snapshots == VMWARE_MAX_SNAPSHOTS)
        return err_set(err, ERR_INVALID, "more than %d snapshots", VMWARE_MAX_SNAPSHOTS);
    struct vmware_snapshot *snapshot = &machine->snapshots[machine->n_snapshots++];
    const char *moref = xml_text_at(node, "snapshot");
    const char *name = xml_text_at(node, "name");
    if (!moref || !*moref || strlen(moref) >= VMWARE_MOREF_MAX)
        return err_set(err, ERR_INVALID, "a snapshot without a reference");
    *snapshot = (struct vmware_snapshot){
        .parent = parent,
        .id = (int)text_i64(xml_text_at(node, "id")),
        .current = current && strcmp(current, moref) == 0,
        .quiesced = text_bool(xml_text_at(node, "quiesced")),
        .state = power_of(xml_text_at(node, "state")),
    };
    const struct {
        const char *text, **to;
    } wanted[] = {
        { moref, &snapshot->moref },
        { xml_text_at(node, "description"), &snapshot->description },
        { xml_text_at(node, "createTime"), &snapshot->created },
    };
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        if (texts_add(machine->texts, wanted[i].text ? wanted[i].text : "", wanted[i].to, err) < 0)
            return -1;
    return texts_add_name(machine->texts, name ? name : "", &snapshot->name, err);
}

int
machine_parse_snapshots(struct vmware_machine *machine, const struct object *object,
                        struct err *err)
{
    static const char child[] = "childSnapshotList";
    const char *current = object_text(object, "snapshot.currentSnapshot");
    const struct xml_node *up[SNAPSHOT_DEPTH_MAX];
    const char *parents[SNAPSHOT_DEPTH_MAX];
    size_t depth = 0;
    /* Depth first: into the children, else on to the next, else up. */
    const char *name = "rootSnapshotList";
    const struct xml_node *node = object_get(object, "snapshot.rootSnapshotList");
    const char *parent = "";
    while (node) {
        if (add_snapshot(machine, node, parent, current, err) < 0)
            return -1;
        const struct xml_node *first = xml_child(node, child);
        if (first) {
            if (depth == SNAPSHOT_DEPTH_MAX)
                return err_set(err, ERR_INVALID, "snapshots nested deeper than %d",
                               SNAPSHOT_DEPTH_MAX);
            up[depth] = node;
            parents[depth++] = parent;
            parent = machine->snapshots[machine->n_snapshots - 1].moref;
            node = first;
            continue;
        }
        for (;;) {
            node = xml_next(node, depth ? child : name);
            if (node || depth == 0)
                break;
            node = up[--depth];
            parent = parents[depth];
        }
    }
    return 0;
}
