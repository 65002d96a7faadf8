#include "engine/check-place.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"
#include "base/log.h"
#include "engine/check-cloudstack.h"
#include "wire/known-hosts.h"
#include "wire/url.h"

#define POOLS_MAX 64 /* that are kept; more are asked for again */
#define HTTPS_PORT 443
#define WHOSE_MAX 48

/* A pool that was looked for. */
struct pool_entry {
    char zone[CLOUDSTACK_ID_MAX], text[CLOUDSTACK_TEXT_MAX];
    struct err why; /* kind ERR_NONE: found */
    struct cloudstack_pool pool;
    const struct vmware_machine *said_for; /* that it is not there */
    /* Of the machine that is looked at, and of all. */
    uint64_t capacity_bytes, all_bytes, all_used_bytes;
    int n_machines;
};

struct check_place {
    struct cloudstack *cloud; /* NULL: it cannot be asked */
    struct cloudstack_about about;
    size_t n_pools;
    struct pool_entry pools[POOLS_MAX];
};

/* One machine. */
struct visit {
    struct check_site *site;
    struct check_place *place;
    const struct spec *spec;
    const struct spec_cloudstack *wanted;
    struct check_cloud cloud;
    struct cloudstack_zone zone;
    struct cloudstack_cluster cluster;
    struct cloudstack_hosts hosts;
    struct cloudstack_offering offering;
    struct cloudstack_pool boot_pool;
    struct cloudstack_owner owner;
    bool owner_known;
    struct pool_entry spare; /* for the pool that finds no room among those that are kept */
    char networks[VM_MAX_NICS][CLOUDSTACK_ID_MAX];
};

static int connect_to(struct check_place *place, struct check_site *site, const json_t *words,
                      bool *ret_plain, struct err *err);
static void failed(struct visit *visit, enum check_cloud_part part, const char *subject,
                   const struct err *why);
static void look_at_place(struct visit *visit);
static void look_at_owner(struct visit *visit);
static void look_at_disks(struct visit *visit);
static void look_at_networks(struct visit *visit);

/* ---- the server ---- */

int
check_place_open(struct check_site *site, const json_t *start, struct err *err)
{
    const json_t *words = json_object_get(start, "cloudstack");
    struct err why = ERR_INIT;
    bool plain = false;
    if (!words || json_is_null(words))
        return 0;
    struct check_place *place = site->place = calloc(1, sizeof *place);
    if (!place)
        return err_errno(err, ENOMEM, "CloudStack");
    if (connect_to(place, site, words, &plain, &why) < 0 ||
        cloudstack_ask_about(place->cloud, &place->about, &why) < 0) {
        cloudstack_free(TAKE_PTR(place->cloud));
        if (why.kind == ERR_CANCELLED) {
            *err = why;
            return -1;
        }
        check_cloud_failed(CHECK_CLOUD_API, "", &why, check_site_found, site);
        return 0;
    }
    const char *server = cloudstack_server(place->cloud);
    log_info("%s: CloudStack %s", server, place->about.version);
    check_cloud_server(server, plain, cloudstack_skew_s(place->cloud), &place->about,
                       check_site_found, site);
    return 0;
}

static int
connect_to(struct check_place *place, struct check_site *site, const json_t *words, bool *ret_plain,
           struct err *err)
{
    struct cloudstack_options options = {
        .endpoint = json_get_str(words, "endpoint", NULL),
        .api_key = json_get_str(words, "api_key", NULL),
        .secret_key = json_get_str(words, "secret_key", NULL),
        .ca_file = json_get_str(words, "ca", NULL),
        .thumbprint = json_get_str(words, "thumbprint", NULL),
        .timeout_s = (int)json_get_int(words, "timeout_s", 0),
        .cancelled = site->talk->cancelled,
        .cancelled_arg = site->talk->arg,
    };
    struct http_tls tls = { .ca_file = options.ca_file, .thumbprint = options.thumbprint };
    struct known_host known = { .pinned = false };
    auto_url struct url url = { .port = 0 };
    if (!options.endpoint)
        return err_set(err, ERR_INVALID,
                       "the config names no CloudStack: set cloudstack.endpoint, api_key and "
                       "secret_key");
    if (url_parse(options.endpoint, &url, err) < 0)
        return err_prefix(err, "cloudstack.endpoint");
    *ret_plain = strcmp(url.scheme, "http") == 0;
    if (!*ret_plain &&
        known_hosts_check(url.host, url.port ? url.port : HTTPS_PORT, &tls, &known, err) < 0)
        return -1;
    if (known.pinned)
        options.thumbprint = known.sha256;
    return cloudstack_new(&options, &place->cloud, err);
}

void
check_place_close(struct check_site *site)
{
    if (!site->place)
        return;
    cloudstack_free(site->place->cloud);
    free(TAKE_PTR(site->place));
}

/* ---- a machine ---- */

int
check_place_judge(struct check_site *site, const struct spec *spec, struct err *err)
{
    struct check_place *place = site->place;
    if (!place || !place->cloud || !spec->target.has_cloudstack)
        return 0;
    auto_free struct visit *visit = calloc(1, sizeof *visit);
    if (!visit)
        return err_errno(err, ENOMEM, "CloudStack");
    const char *boot = spec->target.cloudstack.ids.boottype;
    *visit = (struct visit){
        .site = site,
        .place = place,
        .spec = spec,
        .wanted = &spec->target.cloudstack,
        .cloud = { .machine = site->machine,
                   .about = &place->about,
                   .uefi = boot ? strcasecmp(boot, "UEFI") == 0
                                : site->machine->vm->firmware == VM_FIRMWARE_UEFI,
                   .found = check_site_found,
                   .arg = site },
    };
    look_at_place(visit);
    if (visit->cloud.zone) {
        look_at_owner(visit);
        look_at_disks(visit);
        look_at_networks(visit);
    }
    return site->talk->cancelled(site->talk->arg)
               ? err_set(err, ERR_CANCELLED, "stopped on request")
               : 0;
}

static void
failed(struct visit *visit, enum check_cloud_part part, const char *subject, const struct err *why)
{
    if (why->kind != ERR_CANCELLED)
        check_cloud_failed(part, subject, why, check_site_found, visit->site);
}

/* Without the zone nothing else can be told from its namesakes elsewhere. */
static void
look_at_place(struct visit *visit)
{
    struct cloudstack *cloud = visit->place->cloud;
    const struct spec_cloudstack_ids *ids = &visit->wanted->ids;
    struct err why[5] = { ERR_INIT, ERR_INIT, ERR_INIT, ERR_INIT, ERR_INIT };
    struct cloudstack_thing system;
    if (cloudstack_find_zone(cloud, ids->zoneid, &visit->zone, &why[0]) < 0) {
        failed(visit, CHECK_CLOUD_ZONE, "", &why[0]);
        return;
    }
    const char *zone = visit->zone.is.id;
    visit->cloud.zone = &visit->zone;
    if (cloudstack_find_cluster(cloud, zone, ids->clusterid, &visit->cluster, &why[1]) < 0)
        failed(visit, CHECK_CLOUD_CLUSTER, "", &why[1]);
    else
        visit->cloud.cluster = &visit->cluster;
    if (visit->cloud.cluster &&
        cloudstack_count_hosts(cloud, visit->cluster.is.id, &visit->hosts, &why[2]) < 0)
        failed(visit, CHECK_CLOUD_HOSTS, "", &why[2]);
    else if (visit->cloud.cluster)
        visit->cloud.hosts = &visit->hosts;
    if (cloudstack_find_offering(cloud, zone, ids->serviceofferingid, &visit->offering, &why[3]) <
        0)
        failed(visit, CHECK_CLOUD_OFFERING, "", &why[3]);
    else
        visit->cloud.offering = &visit->offering;
    if (ids->ostypeid && cloudstack_find_os_type(cloud, ids->ostypeid, &system, &why[4]) < 0)
        failed(visit, CHECK_CLOUD_OS_TYPE, "", &why[4]);
    check_cloud_place(&visit->cloud);
}

static void
look_at_owner(struct visit *visit)
{
    struct cloudstack *cloud = visit->place->cloud;
    const struct spec_cloudstack *wanted = visit->wanted;
    struct cloudstack_quota quotas[CLOUDSTACK_MAX_QUOTAS];
    size_t n = 0;
    struct err why = ERR_INIT;
    if (cloudstack_find_owner(cloud, wanted->account, wanted->domainid, wanted->projectid,
                              &visit->owner, &why) < 0) {
        failed(visit, CHECK_CLOUD_OWNER, "", &why);
        return;
    }
    visit->owner_known = true;
    check_cloud_owner(&visit->owner, check_site_found, visit->site);
    if (cloudstack_ask_quotas(cloud, &visit->owner, quotas, &n, &why) < 0)
        failed(visit, CHECK_CLOUD_QUOTA, "", &why);
    for (size_t i = 0; i < n; i++)
        check_cloud_quota(&visit->cloud, &quotas[i]);
}

/* ---- disks ---- */

/* By its place, or as v2c-engine has it: by its unit, where no other disk has that. */
static bool
is_meant(const struct vm *vm, size_t i, const char *key)
{
    char id[VM_DISK_ID_MAX], unit[16];
    if (strcmp(vm_disk_id(&vm->disks[i], id), key) == 0)
        return true;
    for (size_t j = 0; j < vm->n_disks; j++)
        if (j != i && vm->disks[j].unit == vm->disks[i].unit)
            return false;
    snprintf(unit, sizeof unit, "%u", vm->disks[i].unit);
    return strcmp(unit, key) == 0;
}

static const struct spec_disk *
entry_of(const struct visit *visit, size_t i)
{
    for (size_t k = 0; k < visit->spec->n_disks; k++)
        if (is_meant(visit->cloud.machine->vm, i, visit->spec->disks[k].key))
            return &visit->spec->disks[k];
    return NULL;
}

/* Never NULL. */
static struct pool_entry *
find_pool(struct visit *visit, const char *text)
{
    struct check_place *place = visit->place;
    for (size_t i = 0; i < place->n_pools; i++)
        if (strcmp(place->pools[i].text, text) == 0 &&
            strcmp(place->pools[i].zone, visit->zone.is.id) == 0)
            return &place->pools[i];
    struct pool_entry *entry =
        place->n_pools < POOLS_MAX ? &place->pools[place->n_pools++] : &visit->spare;
    *entry = (struct pool_entry){ .why = ERR_INIT };
    snprintf(entry->text, sizeof entry->text, "%s", text);
    snprintf(entry->zone, sizeof entry->zone, "%s", visit->zone.is.id);
    cloudstack_find_pool(place->cloud, visit->zone.is.id, text, &entry->pool, &entry->why);
    return entry;
}

static void
look_at_disk(struct visit *visit, size_t i)
{
    const struct vm_disk *disk = &visit->cloud.machine->vm->disks[i];
    const struct spec_disk *own = entry_of(visit, i);
    const struct spec_cloudstack_ids *ids = &visit->wanted->ids;
    const char *offering_text =
        own && own->diskofferingid ? own->diskofferingid : ids->diskofferingid;
    struct cloudstack_disk_offering offering;
    bool has_offering = false;
    char subject[VM_DISK_ID_MAX];
    struct err why = ERR_INIT;
    vm_disk_id(disk, subject);
    struct pool_entry *pool =
        find_pool(visit, own && own->storageid ? own->storageid : ids->storageid);
    bool found = pool->why.kind == ERR_NONE;
    if (!found && pool->said_for != visit->cloud.machine)
        failed(visit, CHECK_CLOUD_POOL, subject, &pool->why);
    pool->said_for = found ? NULL : visit->cloud.machine;
    pool->capacity_bytes += disk->capacity_bytes;
    if (i == 0 && found) {
        visit->boot_pool = pool->pool;
        visit->cloud.boot_pool = &visit->boot_pool;
    }
    if (i > 0 && offering_text) {
        has_offering = cloudstack_find_disk_offering(visit->place->cloud, visit->zone.is.id,
                                                     offering_text, &offering, &why) == 0;
        if (!has_offering) {
            failed(visit, CHECK_CLOUD_DISK_OFFERING, subject, &why);
            return;
        }
    }
    check_cloud_disk(&visit->cloud, i, found ? &pool->pool : NULL, has_offering ? &offering : NULL);
}

/* How much of a machine is used is known for all its disks together. */
static void
look_at_room(struct visit *visit)
{
    struct check_place *place = visit->place;
    const struct vmware_machine *machine = visit->cloud.machine;
    size_t n_pools = 0;
    for (size_t i = 0; i < place->n_pools; i++)
        n_pools += place->pools[i].capacity_bytes > 0;
    uint64_t used_bytes = n_pools == 1 ? machine->committed_bytes : 0;
    for (size_t i = 0; i < place->n_pools; i++) {
        struct pool_entry *entry = &place->pools[i];
        if (entry->capacity_bytes == 0)
            continue;
        if (entry->why.kind == ERR_NONE)
            check_cloud_room(&entry->pool, entry->capacity_bytes, used_bytes, "the disks",
                             check_site_found, visit->site);
        entry->all_bytes += entry->capacity_bytes;
        entry->all_used_bytes += used_bytes;
        entry->n_machines++;
        entry->capacity_bytes = 0;
    }
}

static void
look_at_disks(struct visit *visit)
{
    const struct vm *vm = visit->cloud.machine->vm;
    for (size_t i = 0; i < vm->n_disks; i++)
        look_at_disk(visit, i);
    look_at_room(visit);
}

/* Each of them may fit alone. */
void
check_place_judge_all(struct check_site *site)
{
    const struct check_place *place = site->place;
    for (size_t i = 0; place && i < place->n_pools; i++) {
        const struct pool_entry *entry = &place->pools[i];
        char whose[WHOSE_MAX];
        snprintf(whose, sizeof whose, "the disks of all %d machines", entry->n_machines);
        if (entry->n_machines > 1 && entry->why.kind == ERR_NONE)
            check_cloud_room(&entry->pool, entry->all_bytes, entry->all_used_bytes, whose,
                             check_site_found, site);
    }
}

/* ---- networks ---- */

/* By the card's device key, label or address; else by its number. The first one may have the
 * spec's own. */
static const char *
network_of(const struct visit *visit, size_t i)
{
    const struct spec_cloudstack *wanted = visit->wanted;
    const struct vmware_nic *nic = &visit->cloud.machine->nics[i];
    const char *mac = visit->cloud.machine->vm->nics[i].mac, *by_index = NULL;
    char key[16];
    snprintf(key, sizeof key, "%d", nic->key);
    for (size_t k = 0; k < wanted->n_nics; k++) {
        const struct spec_nic *entry = &wanted->nics[k];
        if (!entry->networkid)
            continue;
        if (strcmp(entry->key, key) == 0 ||
            (entry->source_label && strcmp(entry->source_label, nic->label) == 0) ||
            (entry->source_mac && *mac && strcasecmp(entry->source_mac, mac) == 0))
            return entry->networkid;
        /* 0 is also what is there when nothing was said. */
        if (!by_index && entry->source_index == (int64_t)i && (i > 0 || !entry->source_label))
            by_index = entry->networkid;
    }
    return i == 0 && wanted->ids.networkid ? wanted->ids.networkid : by_index;
}

static bool
is_there(const struct visit *visit, size_t n, const char *network)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(visit->networks[i], network) == 0)
            return true;
    return false;
}

static void
look_at_nic(struct visit *visit, size_t i)
{
    struct cloudstack *cloud = visit->place->cloud;
    const char *text = network_of(visit, i), *mac = visit->cloud.machine->vm->nics[i].mac;
    struct cloudstack_network network;
    char subject[32], taken_by[CLOUDSTACK_TEXT_MAX] = "";
    struct err why = ERR_INIT;
    snprintf(subject, sizeof subject, "ethernet %d", visit->cloud.machine->nics[i].key);
    if (!text) {
        check_cloud_nic(&visit->cloud, i, NULL, false, "");
        return;
    }
    if (cloudstack_find_network(cloud, visit->zone.is.id, &visit->owner, text, &network, &why) <
        0) {
        failed(visit, CHECK_CLOUD_NETWORK, subject, &why);
        return;
    }
    if (visit->wanted->preserve_mac != TRISTATE_NO && *mac &&
        cloudstack_find_mac(cloud, network.is.id, mac, taken_by, &why) < 0)
        failed(visit, CHECK_CLOUD_MAC, subject, &why);
    check_cloud_nic(&visit->cloud, i, &network, is_there(visit, i, network.is.id), taken_by);
    snprintf(visit->networks[i], sizeof visit->networks[i], "%s", network.is.id);
}

/* Which networks may be used depends on the owner. */
static void
look_at_networks(struct visit *visit)
{
    const struct vmware_machine *machine = visit->cloud.machine;
    if (!visit->owner_known)
        return;
    for (size_t i = 0; i < machine->n_nics && i < machine->vm->n_nics; i++)
        look_at_nic(visit, i);
    if (visit->wanted->preserve_mac != TRISTATE_NO)
        check_cloud_keeps_mac(&visit->cloud);
}
