/* What a machine gets: offerings, type of its system, networks. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"
#include "platform/cloudstack-find.h"

static void
take_thing(const json_t *row, struct cloudstack_thing *to)
{
    CLOUDSTACK_TAKE(row, "id", to->id);
    CLOUDSTACK_TAKE(row, "name", to->name);
}

/* Before states were there (4.19), what is listed is enabled. */
static bool
is_active(const json_t *row)
{
    const char *state = json_get_str(row, "state", "Active");
    return strcasecmp(state, "Active") == 0;
}

int
cloudstack_find_offering(struct cloudstack *cloud, const char *zone, const char *text,
                         struct cloudstack_offering *ret, struct err *err)
{
    static const struct cloudstack_kind kind = { "service offering", "listServiceOfferings",
                                                 "serviceoffering", "name", NULL };
    const struct cloudstack_param scope[] = { { "zoneid", zone }, { "listall", "true" } };
    auto_json json_t *row = NULL;
    if (cloudstack_find(cloud, &kind, scope, ARRAY_LEN(scope), text, &row, err) < 0)
        return -1;
    const json_t *details = json_object_get(row, "serviceofferingdetails");
    *ret = (struct cloudstack_offering){
        .enabled = is_active(row),
        .custom = json_get_bool(row, "iscustomized", false),
        .cpus = json_get_u64(row, "cpunumber", 0),
        .memory_mib = json_get_u64(row, "memory", 0),
        .min_cpus = json_get_u64(details, "mincpunumber", 0),
        .max_cpus = json_get_u64(details, "maxcpunumber", 0),
        .min_memory_mib = json_get_u64(details, "minmemory", 0),
        .max_memory_mib = json_get_u64(details, "maxmemory", 0),
        .local = cloudstack_is(row, "storagetype", "local"),
        .encrypts = json_get_bool(row, "encryptroot", false),
    };
    take_thing(row, &ret->is);
    CLOUDSTACK_TAKE(row, "storagetags", ret->tags);
    return 0;
}

int
cloudstack_find_disk_offering(struct cloudstack *cloud, const char *zone, const char *text,
                              struct cloudstack_disk_offering *ret, struct err *err)
{
    static const struct cloudstack_kind kind = { "disk offering", "listDiskOfferings",
                                                 "diskoffering", "name", NULL };
    const struct cloudstack_param scope[] = { { "zoneid", zone }, { "listall", "true" } };
    auto_json json_t *row = NULL;
    if (cloudstack_find(cloud, &kind, scope, ARRAY_LEN(scope), text, &row, err) < 0)
        return -1;
    *ret = (struct cloudstack_disk_offering){
        .enabled = is_active(row),
        .custom = json_get_bool(row, "iscustomized", false),
        .size_gib = json_get_u64(row, "disksize", 0),
        .local = cloudstack_is(row, "storagetype", "local"),
        .encrypts = json_get_bool(row, "encrypt", false),
    };
    take_thing(row, &ret->is);
    CLOUDSTACK_TAKE(row, "tags", ret->tags);
    return 0;
}

int
cloudstack_find_os_type(struct cloudstack *cloud, const char *text, struct cloudstack_thing *ret,
                        struct err *err)
{
    static const struct cloudstack_kind kind = { "type of system", "listOsTypes", "ostype",
                                                 "description", NULL };
    auto_json json_t *row = NULL;
    if (cloudstack_find(cloud, &kind, NULL, 0, text, &row, err) < 0)
        return -1;
    CLOUDSTACK_TAKE(row, "id", ret->id);
    CLOUDSTACK_TAKE(row, "description", ret->name);
    return 0;
}

/* ---- networks ---- */

static const struct cloudstack_kind network_kind = { "network", "listNetworks", "network", "name",
                                                     NULL };

/* It was not among those that the owner may use: whose is it? */
static int
whose_network(struct cloudstack *cloud, const char *zone, const char *text, struct err *err)
{
    const struct cloudstack_param scope[] = { { "zoneid", zone }, { "listall", "true" } };
    struct err why = ERR_INIT;
    auto_json json_t *row = NULL;
    if (cloudstack_find(cloud, &network_kind, scope, ARRAY_LEN(scope), text, &row, &why) < 0)
        return -1;
    const char *project = json_get_str(row, "project", NULL);
    return err_set(err, ERR_CONFLICT,
                   "network '%.200s': is there, but belongs to %s %s, and the owner of the machine "
                   "may not use it: name one of the owner's, or a shared one",
                   text, project ? "the project" : "the account",
                   project ? project : json_get_str(row, "account", "of somebody else"));
}

int
cloudstack_find_network(struct cloudstack *cloud, const char *zone,
                        const struct cloudstack_owner *owner, const char *text,
                        struct cloudstack_network *ret, struct err *err)
{
    const struct cloudstack_param scope[] = {
        { "zoneid", zone },
        { "account", owner->account },
        { "domainid", *owner->account ? owner->domain : "" },
        { "projectid", owner->project },
    };
    auto_json json_t *row = NULL;
    if (cloudstack_find(cloud, &network_kind, scope, ARRAY_LEN(scope), text, &row, err) < 0)
        return err->kind == ERR_NOT_FOUND ? whose_network(cloud, zone, text, err) : -1;
    *ret = (struct cloudstack_network){ .deployable = json_get_bool(row, "canusefordeploy", true) };
    take_thing(row, &ret->is);
    CLOUDSTACK_TAKE(row, "type", ret->type);
    return 0;
}

struct mac_search {
    const char *network, *mac;
    char *machine;
};

static int
look_for_mac(const json_t *row, void *arg, struct err *err)
{
    struct mac_search *search = arg;
    size_t i;
    json_t *nic;
    (void)err;
    json_array_foreach (json_object_get(row, "nic"), i, nic)
        if (cloudstack_is(nic, "networkid", search->network) &&
            cloudstack_is(nic, "macaddress", search->mac)) {
            snprintf(search->machine, CLOUDSTACK_TEXT_MAX, "%s", json_get_str(row, "name", "?"));
            return 1;
        }
    return 0;
}

int
cloudstack_find_mac(struct cloudstack *cloud, const char *network, const char *mac,
                    char ret_machine[CLOUDSTACK_TEXT_MAX], struct err *err)
{
    const struct cloudstack_call call = {
        .command = "listVirtualMachines",
        .what = "look who has the MAC address already",
        .params = { { "networkid", network }, { "listall", "true" }, { "details", "nics" } },
    };
    struct mac_search search = { network, mac, ret_machine };
    *ret_machine = '\0';
    return cloudstack_list(cloud, &call, "virtualmachine", look_for_mac, &search, err);
}
