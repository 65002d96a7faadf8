/* Where a machine would be put: zone, cluster, hosts, primary storage. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"
#include "platform/cloudstack-find.h"

static void
take_thing(const json_t *row, const char *name_key, struct cloudstack_thing *to)
{
    CLOUDSTACK_TAKE(row, "id", to->id);
    CLOUDSTACK_TAKE(row, name_key, to->name);
}

int
cloudstack_find_zone(struct cloudstack *cloud, const char *text, struct cloudstack_zone *ret,
                     struct err *err)
{
    static const struct cloudstack_kind kind = { "zone", "listZones", "zone", "name", NULL };
    auto_json json_t *row = NULL;
    if (cloudstack_find(cloud, &kind, NULL, 0, text, &row, err) < 0)
        return -1;
    *ret =
        (struct cloudstack_zone){ .enabled = !cloudstack_is(row, "allocationstate", "Disabled") };
    take_thing(row, "name", &ret->is);
    return 0;
}

int
cloudstack_find_cluster(struct cloudstack *cloud, const char *zone, const char *text,
                        struct cloudstack_cluster *ret, struct err *err)
{
    static const struct cloudstack_kind kind = { "cluster", "listClusters", "cluster", "name",
                                                 NULL };
    const struct cloudstack_param scope[] = { { "zoneid", zone } };
    auto_json json_t *row = NULL;
    if (cloudstack_find(cloud, &kind, scope, ARRAY_LEN(scope), text, &row, err) < 0)
        return -1;
    *ret = (struct cloudstack_cluster){
        .enabled = !cloudstack_is(row, "allocationstate", "Disabled") &&
                   !cloudstack_is(row, "managedstate", "Unmanaged"),
    };
    take_thing(row, "name", &ret->is);
    CLOUDSTACK_TAKE(row, "hypervisortype", ret->hypervisor);
    return 0;
}

static int
count_host(const json_t *row, void *arg, struct err *err)
{
    struct cloudstack_hosts *hosts = arg;
    (void)err;
    if (cloudstack_is(row, "state", "Up") && cloudstack_is(row, "resourcestate", "Enabled")) {
        hosts->n++;
        hosts->n_uefi += json_get_bool(row, "ueficapability", false);
    } else {
        hosts->n_other++;
    }
    return 0;
}

int
cloudstack_count_hosts(struct cloudstack *cloud, const char *cluster, struct cloudstack_hosts *ret,
                       struct err *err)
{
    const struct cloudstack_call call = {
        .command = "listHosts",
        .what = "look at the hosts of the cluster",
        .params = { { "clusterid", cluster }, { "type", "Routing" } },
    };
    struct cloudstack_hosts hosts = { .n = 0 };
    if (cloudstack_list(cloud, &call, "host", count_host, &hosts, err) < 0)
        return -1;
    *ret = hosts;
    return 0;
}

static enum cloudstack_scope
scope_of(const json_t *row)
{
    return cloudstack_is(row, "scope", "ZONE")      ? CLOUDSTACK_SCOPE_ZONE
           : cloudstack_is(row, "scope", "CLUSTER") ? CLOUDSTACK_SCOPE_CLUSTER
           : cloudstack_is(row, "scope", "HOST")    ? CLOUDSTACK_SCOPE_HOST
                                                    : CLOUDSTACK_SCOPE_OTHER;
}

int
cloudstack_find_pool(struct cloudstack *cloud, const char *zone, const char *text,
                     struct cloudstack_pool *ret, struct err *err)
{
    static const struct cloudstack_kind kind = { "storage pool", "listStoragePools", "storagepool",
                                                 "name", NULL };
    const struct cloudstack_param scope[] = { { "zoneid", zone } };
    auto_json json_t *row = NULL;
    if (cloudstack_find(cloud, &kind, scope, ARRAY_LEN(scope), text, &row, err) < 0)
        return -1;
    uint64_t size_bytes = json_get_u64(row, "disksizetotal", 0);
    *ret = (struct cloudstack_pool){
        .scope = scope_of(row),
        .tags_are_rule = json_get_bool(row, "istagarule", false),
        .sized = size_bytes > 0 && json_object_get(row, "disksizeused"),
        .size_bytes = size_bytes,
        .used_bytes = json_get_u64(row, "disksizeused", 0),
    };
    take_thing(row, "name", &ret->is);
    CLOUDSTACK_TAKE(row, "type", ret->type);
    CLOUDSTACK_TAKE(row, "state", ret->state);
    CLOUDSTACK_TAKE(row, "clusterid", ret->cluster);
    CLOUDSTACK_TAKE(row, "hypervisor", ret->hypervisor);
    CLOUDSTACK_TAKE(row, "tags", ret->tags);
    return 0;
}

/* ---- what it is ---- */

static int
keep_row(const json_t *row, void *arg, struct err *err)
{
    (void)err;
    *(json_t **)arg = json_incref((json_t *)(uintptr_t)row);
    return 1;
}

/* *ret NULL: this user has no such command. It is an error of the server's then, or an empty list.
 */
static int
ask_command(struct cloudstack *cloud, const char *name, json_t **ret, struct err *err)
{
    const struct cloudstack_call call = {
        .command = "listApis",
        .what = "ask which commands there are",
        .params = { { "name", name } },
    };
    *ret = NULL;
    if (cloudstack_list(cloud, &call, "api", keep_row, ret, err) == 0)
        return 0;
    if (cloud->code != 530 && cloud->code != 431 && cloud->code != 432)
        return -1;
    *err = ERR_INIT;
    return 0;
}

static bool
has_param(const json_t *command, const char *name)
{
    size_t i;
    json_t *param;
    json_array_foreach (json_object_get(command, "params"), i, param)
        if (cloudstack_is(param, "name", name))
            return true;
    return false;
}

int
cloudstack_ask_about(struct cloudstack *cloud, struct cloudstack_about *ret, struct err *err)
{
    const struct cloudstack_call call = { .command = "listCapabilities",
                                          .what = "ask what the server is" };
    auto_json json_t *content = NULL, *import_vm = NULL, *import_volume = NULL;
    if (cloudstack_ask(cloud, &call, &content, err) < 0 ||
        ask_command(cloud, "importVm", &import_vm, err) < 0 ||
        ask_command(cloud, "importVolume", &import_volume, err) < 0)
        return -1;
    const json_t *capability = json_object_get(content, "capability");
    *ret = (struct cloudstack_about){
        .imports_shared = has_param(import_vm, "importsource") && has_param(import_vm, "diskpath"),
        /* Came in the same release as these. */
        .imports_mount_points = has_param(import_vm, "usevddk") || has_param(import_vm, "osid"),
        .imports_volumes = import_volume,
        .import_takes_mac = has_param(import_vm, "macaddress"),
        .disk_min_gib = json_get_u64(capability, "customdiskofferingminsize", 0),
        .disk_max_gib = json_get_u64(capability, "customdiskofferingmaxsize", 0),
    };
    CLOUDSTACK_TAKE(capability, "cloudstackversion", ret->version);
    return 0;
}
