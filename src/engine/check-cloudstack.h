/* What would stop a machine from arriving in CloudStack, or change it there. No I/O here; who asked
 * the management server gives what it said (check-place.c).
 *
 * What is accepted where follows CloudStack 4.19 to 4.22 (importVm, importVolume, attachVolume).
 */
#ifndef ENGINE_CHECK_CLOUDSTACK_H
#define ENGINE_CHECK_CLOUDSTACK_H

#include "engine/check.h"
#include "platform/cloudstack.h"
#include "vmware/machine.h"

/* What a finding is about; each has its code, cause and cure. */
enum check_cloud_part {
    CHECK_CLOUD_API,   /* "cloudstack-api" */
    CHECK_CLOUD_PLAIN, /* "cloudstack-plain" */
    CHECK_CLOUD_CLOCK, /* ... */
    CHECK_CLOUD_IMPORT,
    CHECK_CLOUD_ZONE,
    CHECK_CLOUD_CLUSTER,
    CHECK_CLOUD_HOSTS,
    CHECK_CLOUD_POOL,
    CHECK_CLOUD_ROOM,
    CHECK_CLOUD_TAGS,
    CHECK_CLOUD_OWNER,
    CHECK_CLOUD_QUOTA,
    CHECK_CLOUD_NETWORK,
    CHECK_CLOUD_NIC,
    CHECK_CLOUD_MAC,
    CHECK_CLOUD_OFFERING,
    CHECK_CLOUD_DISK_OFFERING,
    CHECK_CLOUD_OS_TYPE,
    CHECK_CLOUD_PARTS
};

/* It could not be asked for, or is not there: an error. */
void check_cloud_failed(enum check_cloud_part part, const char *subject, const struct err *why,
                        check_fn *found, void *arg);

/* The server, before any machine. */
void check_cloud_server(const char *server, bool plain, int64_t skew_s,
                        const struct cloudstack_about *about, check_fn *found, void *arg);

/* What belongs together for one machine. What could not be found is NULL, and is not judged. */
struct check_cloud {
    const struct vmware_machine *machine;
    const struct cloudstack_about *about;
    const struct cloudstack_zone *zone;
    const struct cloudstack_cluster *cluster;
    const struct cloudstack_hosts *hosts;
    const struct cloudstack_offering *offering;
    const struct cloudstack_pool *boot_pool;
    bool uefi; /* it is to boot by UEFI */
    check_fn *found;
    void *arg;
};

/* Zone, cluster, hosts, offering. */
void check_cloud_place(const struct check_cloud *cloud);

/* Disk i of the machine, the first one being the boot disk, on that pool with that offering (NULL:
 * none was named; a boot disk has none). Room is another matter. */
void check_cloud_disk(const struct check_cloud *cloud, size_t i, const struct cloudstack_pool *pool,
                      const struct cloudstack_disk_offering *offering);

/* Disks of capacity_bytes, of which used_bytes are used at the source (0: unknown), in a pool.
 * whose: "the disks", "the disks of all 4 machines". */
void check_cloud_room(const struct cloudstack_pool *pool, uint64_t capacity_bytes,
                      uint64_t used_bytes, const char *whose, check_fn *found, void *arg);

void check_cloud_owner(const struct cloudstack_owner *owner, check_fn *found, void *arg);
void check_cloud_quota(const struct check_cloud *cloud, const struct cloudstack_quota *quota);

/* A NIC, with the network it goes into; NULL: none was named. twice: another NIC is there already.
 * taken_by: the machine that has its MAC there; "" nobody. */
void check_cloud_nic(const struct check_cloud *cloud, size_t i,
                     const struct cloudstack_network *network, bool twice, const char *taken_by);

/* The first NIC is to keep its address. */
void check_cloud_keeps_mac(const struct check_cloud *cloud);

#endif
