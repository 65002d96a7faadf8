#include "engine/check-cloudstack.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"
#include "base/size.h"

#define SUBJECT_MAX 64

static const struct word {
    const char *code, *cause, *cure;
} words[CHECK_CLOUD_PARTS] = {
    [CHECK_CLOUD_API] = { "cloudstack-api",
                          "the machine is to arrive in this CloudStack, over its API",
                          "see cloudstack.endpoint, api_key, secret_key and tls in the config" },
    [CHECK_CLOUD_PLAIN] = { "cloudstack-plain",
                            "who sits on the way can read and change all that is said, though not "
                            "sign calls of their own",
                            "give the management server a certificate, and write https:// in "
                            "cloudstack.endpoint" },
    [CHECK_CLOUD_CLOCK] = { "cloudstack-clock",
                            "each call says until when it is good, and is refused where the clocks "
                            "differ by more than some minutes",
                            "let both clocks follow the same time servers" },
    [CHECK_CLOUD_IMPORT] = { "cloudstack-import",
                             "disks that lie on primary storage are taken over by importVm and "
                             "importVolume, since CloudStack 4.19 and by a root admin alone",
                             "use the API key of a root admin, or update CloudStack" },
    [CHECK_CLOUD_ZONE] = { "cloudstack-zone", "the machine is to arrive in it",
                           "name another one in target.cloudstack.zoneid, or enable it" },
    [CHECK_CLOUD_CLUSTER] = { "cloudstack-cluster", "the machine is to arrive on hosts of it",
                              "name a cluster of KVM hosts that is enabled in "
                              "target.cloudstack.clusterid" },
    [CHECK_CLOUD_HOSTS] = { "cloudstack-hosts",
                            "a host looks at the disks when they are taken over, and the machine "
                            "is "
                            "started on one",
                            "bring a fitting host of the cluster up, or name another cluster" },
    [CHECK_CLOUD_POOL] = { "cloudstack-pool", "the disks are to be taken over where they lie",
                           "name another pool in target.cloudstack.storageid or in the disk's "
                           "entry" },
    [CHECK_CLOUD_ROOM] = { "cloudstack-room", "a copy that meets a full pool stops",
                           "make room there, name another pool, or migrate fewer machines at a "
                           "time" },
    [CHECK_CLOUD_TAGS] = { "cloudstack-tags",
                           "CloudStack takes a disk over only where the pool has all storage tags "
                           "of the offering",
                           "name a pool that has them, or another offering" },
    [CHECK_CLOUD_OWNER] = { "cloudstack-owner", "the machine is to belong to them",
                            "see account, domainid and projectid under target.cloudstack" },
    [CHECK_CLOUD_QUOTA] = { "cloudstack-quota",
                            "CloudStack refuses the machine when its disks are there already",
                            "raise the limit, or remove what is not needed any more" },
    [CHECK_CLOUD_NETWORK] = { "cloudstack-network", "a card of the machine is to go into it",
                              "name a network of the zone that the owner may use, in networkid or "
                              "nic_mappings under target.cloudstack" },
    [CHECK_CLOUD_NIC] = { "cloudstack-nic", "a card without a network does not arrive",
                          "give it an entry in target.cloudstack.nic_mappings, with its device key "
                          "as the key" },
    [CHECK_CLOUD_MAC] = { "cloudstack-mac",
                          "guests, licences and address servers know a card by its MAC address",
                          "see that no other machine has it, or do without: "
                          "target.cloudstack.preserve_mac: false" },
    [CHECK_CLOUD_OFFERING] = { "cloudstack-offering",
                               "the machine gets the CPUs and the memory of its service offering",
                               "name another one in target.cloudstack.serviceofferingid" },
    [CHECK_CLOUD_DISK_OFFERING] = { "cloudstack-disk-offering",
                                    "each data disk is taken over with a disk offering",
                                    "name another one in target.cloudstack.diskofferingid or in "
                                    "the disk's entry" },
    [CHECK_CLOUD_OS_TYPE] = { "cloudstack-os-type",
                              "the type of the system decides which devices the guest sees",
                              "name one of listOsTypes in target.cloudstack.ostypeid, or leave it "
                              "out" },
};

static void __attribute__((format(printf, 6, 7)))
say(enum check_cloud_part part, enum check_level level, const char *subject, check_fn *found,
    void *arg, const char *what, ...)
{
    struct check_finding finding = {
        .code = words[part].code,
        .level = { [CHECK_COLD] = level, [CHECK_WARM] = level },
        .cause = words[part].cause,
        .cure = words[part].cure,
    };
    va_list args;
    va_start(args, what);
    vsnprintf(finding.what, sizeof finding.what, what, args);
    va_end(args);
    snprintf(finding.subject, sizeof finding.subject, "%s", subject);
    found(&finding, arg);
}

#define SAY(cloud, part, level, subject, ...)                                                      \
    say(part, level, subject, (cloud)->found, (cloud)->arg, __VA_ARGS__)

void
check_cloud_failed(enum check_cloud_part part, const char *subject, const struct err *why,
                   check_fn *found, void *arg)
{
    say(part, CHECK_ERROR, subject, found, arg, "%s", why->text);
}

void
check_cloud_server(const char *server, bool plain, int64_t skew_s,
                   const struct cloudstack_about *about, check_fn *found, void *arg)
{
    if (plain)
        say(CHECK_CLOUD_PLAIN, CHECK_WARNING, "", found, arg,
            "%s: is spoken to over HTTP, without encryption", server);
    if (skew_s > CLOUDSTACK_SKEW_MAX_S || skew_s < -CLOUDSTACK_SKEW_MAX_S)
        say(CHECK_CLOUD_CLOCK, CHECK_WARNING, "", found, arg,
            "%s: its clock is %" PRId64 " s %s the one here", server, skew_s < 0 ? -skew_s : skew_s,
            skew_s < 0 ? "behind" : "ahead of");
    if (!about->imports_shared)
        say(CHECK_CLOUD_IMPORT, CHECK_ERROR, "", found, arg,
            "%s: CloudStack %s offers this user no importVm that takes disks from primary storage",
            server, *about->version ? about->version : "of an unknown release");
}

/* ---- place ---- */

static void
judge_fixed(const struct check_cloud *cloud, uint64_t cpus, uint64_t memory_mib)
{
    const struct cloudstack_offering *o = cloud->offering;
    if (o->cpus && o->cpus < cpus)
        SAY(cloud, CHECK_CLOUD_OFFERING, CHECK_WARNING, "",
            "service offering '%s' has %" PRIu64 " CPUs, the machine %" PRIu64, o->is.name, o->cpus,
            cpus);
    if (o->memory_mib && o->memory_mib < memory_mib)
        SAY(cloud, CHECK_CLOUD_OFFERING, CHECK_WARNING, "",
            "service offering '%s' has %" PRIu64 " MiB of memory, the machine %" PRIu64, o->is.name,
            o->memory_mib, memory_mib);
}

static void
judge_bounds(const struct check_cloud *cloud, const char *what, uint64_t min, uint64_t max,
             uint64_t has)
{
    if ((!min || has >= min) && (!max || has <= max))
        return;
    SAY(cloud, CHECK_CLOUD_OFFERING, CHECK_ERROR, "",
        "service offering '%s' takes %" PRIu64 " to %" PRIu64 " %s, the machine has %" PRIu64,
        cloud->offering->is.name, min, max, what, has);
}

static void
judge_offering(const struct check_cloud *cloud)
{
    const struct cloudstack_offering *o = cloud->offering;
    uint64_t cpus = cloud->machine->vm->vcpus;
    uint64_t memory_mib = div_up(cloud->machine->vm->memory_bytes, MIB);
    if (!o->enabled)
        SAY(cloud, CHECK_CLOUD_OFFERING, CHECK_ERROR, "", "service offering '%s' is not active",
            o->is.name);
    if (o->encrypts)
        SAY(cloud, CHECK_CLOUD_OFFERING, CHECK_ERROR, "",
            "service offering '%s' wants an encrypted root disk, and a disk that is taken over is "
            "not",
            o->is.name);
    if (o->custom) {
        judge_bounds(cloud, "CPUs", o->min_cpus, o->max_cpus, cpus);
        judge_bounds(cloud, "MiB of memory", o->min_memory_mib, o->max_memory_mib, memory_mib);
    }
    judge_fixed(cloud, cpus, memory_mib);
}

static void
judge_hosts(const struct check_cloud *cloud)
{
    const struct cloudstack_hosts *hosts = cloud->hosts;
    const char *name = cloud->cluster->is.name;
    if (hosts->n == 0)
        SAY(cloud, CHECK_CLOUD_HOSTS, CHECK_ERROR, "",
            "cluster '%s': none of its %u hosts is up and enabled", name, hosts->n_other);
    else if (cloud->uefi && hosts->n_uefi == 0)
        SAY(cloud, CHECK_CLOUD_HOSTS, CHECK_ERROR, "",
            "cluster '%s': the machine boots by UEFI, and none of the %u hosts that are up has "
            "firmware for that (uefi.properties of the agent)",
            name, hosts->n);
}

void
check_cloud_place(const struct check_cloud *cloud)
{
    const struct cloudstack_cluster *cluster = cloud->cluster;
    if (cloud->zone && !cloud->zone->enabled)
        SAY(cloud, CHECK_CLOUD_ZONE, CHECK_WARNING, "",
            "zone '%s' is disabled: root admins alone can start machines in it",
            cloud->zone->is.name);
    if (cluster && strcasecmp(cluster->hypervisor, "KVM") != 0)
        SAY(cloud, CHECK_CLOUD_CLUSTER, CHECK_ERROR, "", "cluster '%s' is of %s, not of KVM",
            cluster->is.name, *cluster->hypervisor ? cluster->hypervisor : "an unknown kind");
    if (cluster && !cluster->enabled)
        SAY(cloud, CHECK_CLOUD_CLUSTER, CHECK_ERROR, "", "cluster '%s' is disabled or not managed",
            cluster->is.name);
    if (cluster && cloud->hosts)
        judge_hosts(cloud);
    if (cloud->offering)
        judge_offering(cloud);
}

/* ---- disks ---- */

enum acceptance { NEVER, SINCE_4_22_1, DATA_ALONE, ON_ITS_HOST, ALWAYS };

/* What importVm and importVolume take over from; all else: never. */
static const struct {
    const char *type;
    enum acceptance acceptance;
} types[] = {
    { "NetworkFilesystem", ALWAYS },
    { "SharedMountPoint", SINCE_4_22_1 },
    { "Filesystem", ON_ITS_HOST },
    { "RBD", DATA_ALONE },
};

static void
judge_type(const struct check_cloud *cloud, const struct cloudstack_pool *pool, bool boot,
           const char *subject)
{
    enum acceptance acceptance = NEVER;
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (strcasecmp(types[i].type, pool->type) == 0)
            acceptance = types[i].acceptance;
    if (acceptance == NEVER)
        SAY(cloud, CHECK_CLOUD_POOL, CHECK_ERROR, subject,
            "storage pool '%s' is of the type %s, from which CloudStack takes no disk over: use an "
            "NFS pool, and let CloudStack migrate the volume from there",
            pool->is.name, *pool->type ? pool->type : "(none)");
    else if (acceptance == SINCE_4_22_1 && !cloud->about->imports_mount_points)
        SAY(cloud, CHECK_CLOUD_POOL, CHECK_ERROR, subject,
            "storage pool '%s' is of the type SharedMountPoint, from which CloudStack takes disks "
            "over since 4.22.1, and this is %s: use an NFS pool, or update CloudStack",
            pool->is.name, *cloud->about->version ? cloud->about->version : "older");
    else if (acceptance == DATA_ALONE && boot)
        SAY(cloud, CHECK_CLOUD_POOL, CHECK_ERROR, subject,
            "storage pool '%s' is of the type RBD, from which released versions of CloudStack take "
            "data disks over but no boot disk: put the boot disk on an NFS pool, and let "
            "CloudStack migrate it from there",
            pool->is.name);
    else if (acceptance == ON_ITS_HOST)
        SAY(cloud, CHECK_CLOUD_POOL, CHECK_WARNING, subject,
            "storage pool '%s' is a directory of one host: the disks have to be written there, and "
            "the machine stays on that host",
            pool->is.name);
}

static void
judge_pool(const struct check_cloud *cloud, const struct cloudstack_pool *pool, bool boot,
           const char *subject)
{
    judge_type(cloud, pool, boot, subject);
    if (strcasecmp(pool->state, "Up") != 0)
        SAY(cloud, CHECK_CLOUD_POOL, CHECK_ERROR, subject, "storage pool '%s' is not up: it is %s",
            pool->is.name, *pool->state ? pool->state : "in an unknown state");
    if (cloud->cluster && *pool->cluster && strcmp(pool->cluster, cloud->cluster->is.id) != 0)
        SAY(cloud, CHECK_CLOUD_POOL, CHECK_ERROR, subject,
            "storage pool '%s' is of another cluster than '%s'", pool->is.name,
            cloud->cluster->is.name);
    if (*pool->hypervisor && strcasecmp(pool->hypervisor, "KVM") != 0 &&
        strcasecmp(pool->hypervisor, "Any") != 0)
        SAY(cloud, CHECK_CLOUD_POOL, CHECK_ERROR, subject,
            "storage pool '%s' is for %s, not for "
            "KVM",
            pool->is.name, pool->hypervisor);
    if (!boot && cloud->boot_pool && pool->scope == CLOUDSTACK_SCOPE_CLUSTER &&
        cloud->boot_pool->scope == CLOUDSTACK_SCOPE_ZONE)
        SAY(cloud, CHECK_CLOUD_POOL, CHECK_WARNING, subject,
            "storage pool '%s' is of the cluster, that of the boot disk of the whole zone: "
            "CloudStack copies the disk over when it is attached before the first start",
            pool->is.name);
}

/* "a,b" of which tags does the list lack the first? */
static bool
lacks_tag(const char *tags, const char *wanted, size_t len)
{
    for (const char *tag = tags; *tag;) {
        tag += strspn(tag, ", ");
        size_t n = strcspn(tag, ", ");
        if (n == len && strncmp(tag, wanted, len) == 0)
            return false;
        tag += n;
    }
    return true;
}

static void
judge_tags(const struct check_cloud *cloud, const struct cloudstack_pool *pool, const char *tags,
           const char *noun, const char *name, const char *subject)
{
    if (pool->tags_are_rule)
        return;
    for (const char *tag = tags; *tag;) {
        tag += strspn(tag, ", ");
        size_t n = strcspn(tag, ", ");
        if (n > 0 && lacks_tag(pool->tags, tag, n))
            SAY(cloud, CHECK_CLOUD_TAGS, CHECK_ERROR, subject,
                "%s '%s' wants the storage tag '%.*s', which pool '%s' has not", noun, name, (int)n,
                tag, pool->is.name);
        tag += n;
    }
}

static void
judge_locality(const struct check_cloud *cloud, enum check_cloud_part part,
               const struct cloudstack_pool *pool, bool local, const char *name,
               const char *subject)
{
    bool of_host = pool->scope == CLOUDSTACK_SCOPE_HOST;
    if (local != of_host)
        SAY(cloud, part, CHECK_ERROR, subject,
            "offering '%s' is for %s storage, and pool '%s' is %s", name,
            local ? "local" : "shared", pool->is.name, of_host ? "local" : "shared");
}

/* What an offering leaves open has to be within the bounds of the cloud, in whole GiB. */
static void
judge_size(const struct check_cloud *cloud, uint64_t capacity_bytes,
           const struct cloudstack_disk_offering *offering, const char *subject)
{
    char size[SIZE_TEXT_MAX];
    uint64_t gib = capacity_bytes / GIB;
    uint64_t min = cloud->about->disk_min_gib, max = cloud->about->disk_max_gib;
    size_format(capacity_bytes, size);
    if (offering && !offering->custom) {
        if (offering->size_gib && offering->size_gib * GIB < capacity_bytes)
            SAY(cloud, CHECK_CLOUD_DISK_OFFERING, CHECK_WARNING, subject,
                "disk offering '%s' is for %" PRIu64 " GiB, and the disk has %s", offering->is.name,
                offering->size_gib, size);
        return;
    }
    if ((min && gib < min) || (max && gib > max))
        SAY(cloud, CHECK_CLOUD_DISK_OFFERING, CHECK_ERROR, subject,
            "the disk has %s, and this CloudStack takes %" PRIu64 " to %" PRIu64 " GiB with an "
            "offering that leaves the size open (custom.diskoffering.size.min and max): name an "
            "offering with a size, or change these",
            size, min, max);
}

static void
judge_data_disk(const struct check_cloud *cloud, uint64_t capacity_bytes,
                const struct cloudstack_pool *pool, const struct cloudstack_disk_offering *offering,
                const char *subject)
{
    judge_size(cloud, capacity_bytes, offering, subject);
    if (!cloud->about->imports_volumes)
        SAY(cloud, CHECK_CLOUD_IMPORT, CHECK_ERROR, subject,
            "CloudStack %s offers this user no importVolume, which takes data disks over",
            cloud->about->version);
    if (!offering)
        return;
    if (!offering->enabled)
        SAY(cloud, CHECK_CLOUD_DISK_OFFERING, CHECK_ERROR, subject,
            "disk offering '%s' is not active", offering->is.name);
    if (offering->encrypts)
        SAY(cloud, CHECK_CLOUD_DISK_OFFERING, CHECK_ERROR, subject,
            "disk offering '%s' is for encrypted disks, and none that is encrypted is taken over",
            offering->is.name);
    if (pool) {
        judge_tags(cloud, pool, offering->tags, "disk offering", offering->is.name, subject);
        judge_locality(cloud, CHECK_CLOUD_DISK_OFFERING, pool, offering->local, offering->is.name,
                       subject);
    }
}

void
check_cloud_disk(const struct check_cloud *cloud, size_t i, const struct cloudstack_pool *pool,
                 const struct cloudstack_disk_offering *offering)
{
    const struct vm_disk *disk = &cloud->machine->vm->disks[i];
    char subject[VM_DISK_ID_MAX];
    vm_disk_id(disk, subject);
    if (pool)
        judge_pool(cloud, pool, i == 0, subject);
    if (i > 0) {
        judge_data_disk(cloud, disk->capacity_bytes, pool, offering, subject);
    } else if (pool && cloud->offering) {
        judge_tags(cloud, pool, cloud->offering->tags, "service offering", cloud->offering->is.name,
                   subject);
        judge_locality(cloud, CHECK_CLOUD_OFFERING, pool, cloud->offering->local,
                       cloud->offering->is.name, subject);
    }
}

void
check_cloud_room(const struct cloudstack_pool *pool, uint64_t capacity_bytes, uint64_t used_bytes,
                 const char *whose, check_fn *found, void *arg)
{
    char has[SIZE_TEXT_MAX], all[SIZE_TEXT_MAX], used[SIZE_TEXT_MAX];
    uint64_t free_bytes =
        pool->size_bytes > pool->used_bytes ? pool->size_bytes - pool->used_bytes : 0;
    if (!pool->sized || free_bytes >= capacity_bytes)
        return;
    size_format(free_bytes, has);
    size_format(capacity_bytes, all);
    size_format(used_bytes, used);
    if (used_bytes && free_bytes < used_bytes)
        say(CHECK_CLOUD_ROOM, CHECK_ERROR, "", found, arg,
            "storage pool '%s': %s free; %s use %s at the source and have %s", pool->is.name, has,
            whose, used, all);
    else
        say(CHECK_CLOUD_ROOM, CHECK_WARNING, "", found, arg,
            "storage pool '%s': %s free; %s have %s, and may need less where they are empty",
            pool->is.name, has, whose, all);
}

/* ---- owner ---- */

void
check_cloud_owner(const struct cloudstack_owner *owner, check_fn *found, void *arg)
{
    if (!owner->enabled)
        say(CHECK_CLOUD_OWNER, CHECK_ERROR, "", found, arg, "the %s is disabled or suspended",
            *owner->project ? "project" : "account");
}

void
check_cloud_quota(const struct check_cloud *cloud, const struct cloudstack_quota *quota)
{
    static const char *const names[CLOUDSTACK_RESOURCES] = {
        [CLOUDSTACK_MACHINES] = "machines",
        [CLOUDSTACK_CPUS] = "CPUs",
        [CLOUDSTACK_MEMORY_MIB] = "MiB of memory",
        [CLOUDSTACK_VOLUMES] = "volumes",
        [CLOUDSTACK_STORAGE_GIB] = "GiB of primary storage",
    };
    const struct vm *vm = cloud->machine->vm;
    const struct cloudstack_offering *offering = cloud->offering;
    uint64_t cpus = offering && offering->cpus ? offering->cpus : vm->vcpus;
    uint64_t memory_mib =
        offering && offering->memory_mib ? offering->memory_mib : div_up(vm->memory_bytes, MIB);
    uint64_t need[CLOUDSTACK_RESOURCES] = {
        [CLOUDSTACK_MACHINES] = 1,
        [CLOUDSTACK_CPUS] = cpus,
        [CLOUDSTACK_MEMORY_MIB] = memory_mib,
        [CLOUDSTACK_VOLUMES] = vm->n_disks,
    };
    for (size_t i = 0; i < vm->n_disks; i++)
        need[CLOUDSTACK_STORAGE_GIB] += div_up(vm->disks[i].capacity_bytes, GIB);
    for (size_t i = 0; i < CLOUDSTACK_RESOURCES; i++)
        if (quota->left[i] >= 0 && (uint64_t)quota->left[i] < need[i])
            SAY(cloud, CHECK_CLOUD_QUOTA, CHECK_ERROR, "",
                "%s may have %" PRId64 " more %s, and the machine needs %" PRIu64, quota->whose,
                quota->left[i], names[i], need[i]);
}

/* ---- networks ---- */

void
check_cloud_nic(const struct check_cloud *cloud, size_t i, const struct cloudstack_network *network,
                bool twice, const char *taken_by)
{
    char subject[SUBJECT_MAX];
    snprintf(subject, sizeof subject, "ethernet %d", cloud->machine->nics[i].key);
    if (!network) {
        SAY(cloud, CHECK_CLOUD_NIC, CHECK_WARNING, subject, "no network is named for it (%.100s)",
            cloud->machine->nics[i].label);
        return;
    }
    if (!network->deployable)
        SAY(cloud, CHECK_CLOUD_NETWORK, CHECK_ERROR, subject,
            "network '%s' is not one that machines can be put into", network->is.name);
    if (twice)
        SAY(cloud, CHECK_CLOUD_NETWORK, CHECK_ERROR, subject,
            "network '%s' has another card of this machine already, and CloudStack adds no second "
            "one",
            network->is.name);
    if (*taken_by)
        SAY(cloud, CHECK_CLOUD_MAC, CHECK_ERROR, subject,
            "network '%s': machine '%.100s' has the address %s already", network->is.name, taken_by,
            cloud->machine->vm->nics[i].mac);
}

void
check_cloud_keeps_mac(const struct check_cloud *cloud)
{
    if (!cloud->about->import_takes_mac && cloud->machine->n_nics > 0)
        SAY(cloud, CHECK_CLOUD_MAC, CHECK_INFO, "",
            "importVm of CloudStack %s cannot be told the address of the first card",
            cloud->about->version);
}
