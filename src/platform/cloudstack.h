/* Apache CloudStack, asked over its API: who it is, and what a machine would find there.
 *
 * One `struct cloudstack` belongs to one thread at a time. Nothing here changes anything in the
 * cloud; so what fails for want of an answer is asked again, a few times. Texts that come from the
 * server are cut to the arrays that they are kept in. The program must ignore SIGPIPE.
 *
 * Errors name the server as host:port, the command, and what it was for; never a key or a
 * signature.
 *   ERR_DENIED       the key, its signature or its time is refused, or the user may not do it
 *   ERR_NOT_FOUND    there is no such thing, or no such command in this release
 *   ERR_CONFLICT     a name that several have; a limit or a state that stands in the way
 *   ERR_INVALID      the server does not take a parameter; no CloudStack answers there
 *   ERR_UNAVAILABLE  no answer, or none at this time
 *   ERR_CANCELLED    `cancelled` said so
 * Source: CloudStack's API reference and the sources of 4.19 to 4.22.
 */
#ifndef PLATFORM_CLOUDSTACK_H
#define PLATFORM_CLOUDSTACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

#define CLOUDSTACK_ID_MAX 64
#define CLOUDSTACK_TEXT_MAX 256
#define CLOUDSTACK_TIMEOUT_S 60
#define CLOUDSTACK_SKEW_MAX_S 300 /* by so much clocks may differ before calls are refused */

struct cloudstack;

/* Copied, but for the callback's argument. */
struct cloudstack_options {
    const char *endpoint; /* "https://host:8443/client/api", or http: */
    const char *api_key, *secret_key;
    const char *ca_file, *thumbprint; /* as of struct http_tls */
    int timeout_s;                    /* of a call; 0: CLOUDSTACK_TIMEOUT_S */
    bool (*cancelled)(void *arg);     /* or NULL */
    void *cancelled_arg;
};

/* Nobody is asked. ERR_INVALID: the endpoint is no URL of an API, or a key is missing. */
int cloudstack_new(const struct cloudstack_options *options, struct cloudstack **ret,
                   struct err *err);
void cloudstack_free(struct cloudstack *cloud);
static inline void
cloudstack_cleanup(struct cloudstack **cloud)
{
    cloudstack_free(*cloud);
}
#define auto_cloudstack AUTO(cloudstack_cleanup)

/* "host:port". Borrowed. */
const char *cloudstack_server(const struct cloudstack *cloud);

/* Its clock less ours, in seconds, as its last answer told; 0: it told none. */
int64_t cloudstack_skew_s(const struct cloudstack *cloud);

/* ---- what it is ---- */

struct cloudstack_about {
    char version[CLOUDSTACK_ID_MAX]; /* "4.22.1.0"; "" when it does not say */
    bool imports_shared;             /* importVm takes an image that lies on primary storage */
    bool imports_mount_points;       /* also from a SharedMountPoint (4.22.1) */
    bool imports_volumes;            /* importVolume is there */
    bool import_takes_mac;           /* importVm can be told the first NIC's address */
    /* Sizes of a disk with an offering that leaves them open, in GiB; 0: it does not say. */
    uint64_t disk_min_gib, disk_max_gib;
};
int cloudstack_ask_about(struct cloudstack *cloud, struct cloudstack_about *ret, struct err *err);

/* ---- what is there ---- */

/* By its UUID or its exact name. ERR_NOT_FOUND lists names that there are, ERR_CONFLICT those that
 * share the name, with their UUIDs. */
struct cloudstack_thing {
    char id[CLOUDSTACK_ID_MAX], name[CLOUDSTACK_TEXT_MAX];
};

struct cloudstack_zone {
    struct cloudstack_thing is;
    bool enabled;
};
int cloudstack_find_zone(struct cloudstack *cloud, const char *text, struct cloudstack_zone *ret,
                         struct err *err);

struct cloudstack_cluster {
    struct cloudstack_thing is;
    char hypervisor[CLOUDSTACK_ID_MAX]; /* "KVM" */
    bool enabled;                       /* and managed */
};
int cloudstack_find_cluster(struct cloudstack *cloud, const char *zone, const char *text,
                            struct cloudstack_cluster *ret, struct err *err);

/* The hosts of a cluster that can run a machine. */
struct cloudstack_hosts {
    unsigned n;       /* up and enabled */
    unsigned n_uefi;  /* of these, with firmware for UEFI */
    unsigned n_other; /* not up, or not enabled */
};
int cloudstack_count_hosts(struct cloudstack *cloud, const char *cluster,
                           struct cloudstack_hosts *ret, struct err *err);

enum cloudstack_scope {
    CLOUDSTACK_SCOPE_OTHER,
    CLOUDSTACK_SCOPE_ZONE,
    CLOUDSTACK_SCOPE_CLUSTER,
    CLOUDSTACK_SCOPE_HOST
};

struct cloudstack_pool {
    struct cloudstack_thing is;
    char type[CLOUDSTACK_ID_MAX];  /* "NetworkFilesystem" */
    char state[CLOUDSTACK_ID_MAX]; /* "Up" */
    enum cloudstack_scope scope;
    char cluster[CLOUDSTACK_ID_MAX];    /* its UUID; "": of the whole zone */
    char hypervisor[CLOUDSTACK_ID_MAX]; /* "": not said */
    char tags[CLOUDSTACK_TEXT_MAX];     /* "ssd,fast" */
    bool tags_are_rule;                 /* tags is a program in JavaScript */
    bool sized;                         /* the next two are known */
    uint64_t size_bytes, used_bytes;
};
int cloudstack_find_pool(struct cloudstack *cloud, const char *zone, const char *text,
                         struct cloudstack_pool *ret, struct err *err);

/* To whom a machine is to belong. All "": to the owner of the key. */
struct cloudstack_owner {
    char account[CLOUDSTACK_TEXT_MAX]; /* a name; "" with a project */
    char domain[CLOUDSTACK_ID_MAX];    /* a UUID; that of the project, where there is one */
    char project[CLOUDSTACK_ID_MAX];   /* a UUID */
    bool enabled;
};
/* account by its name, domain by UUID, path or name, project by UUID or name; NULL: not given.
 * ERR_INVALID: they do not go together. */
int cloudstack_find_owner(struct cloudstack *cloud, const char *account, const char *domain,
                          const char *project, struct cloudstack_owner *ret, struct err *err);

/* How much more the owner may have; -1: no limit. */
enum cloudstack_resource {
    CLOUDSTACK_MACHINES,
    CLOUDSTACK_CPUS,
    CLOUDSTACK_MEMORY_MIB,
    CLOUDSTACK_VOLUMES,
    CLOUDSTACK_STORAGE_GIB,
    CLOUDSTACK_RESOURCES
};
struct cloudstack_quota {
    char whose[CLOUDSTACK_TEXT_MAX]; /* "account acme" */
    int64_t left[CLOUDSTACK_RESOURCES];
};
#define CLOUDSTACK_MAX_QUOTAS 2 /* the owner, and its domain */
/* Of an owner that was found. */
int cloudstack_ask_quotas(struct cloudstack *cloud, const struct cloudstack_owner *owner,
                          struct cloudstack_quota ret[CLOUDSTACK_MAX_QUOTAS], size_t *ret_n,
                          struct err *err);

struct cloudstack_network {
    struct cloudstack_thing is;
    char type[CLOUDSTACK_ID_MAX]; /* "Isolated", "Shared", "L2" */
    bool deployable;              /* machines can be put into it */
};
/* One that the owner may use. ERR_CONFLICT: it is there, and is somebody else's. */
int cloudstack_find_network(struct cloudstack *cloud, const char *zone,
                            const struct cloudstack_owner *owner, const char *text,
                            struct cloudstack_network *ret, struct err *err);

/* Which machine has a NIC with that address (any case) in the network; "" none. */
int cloudstack_find_mac(struct cloudstack *cloud, const char *network, const char *mac,
                        char ret_machine[CLOUDSTACK_TEXT_MAX], struct err *err);

/* What a machine gets. 0 where an offering leaves it open. */
struct cloudstack_offering {
    struct cloudstack_thing is;
    bool enabled, custom;
    uint64_t cpus, memory_mib;
    /* Of a custom one; 0: no bound. */
    uint64_t min_cpus, max_cpus, min_memory_mib, max_memory_mib;
    bool local; /* for storage of a host */
    bool encrypts;
    char tags[CLOUDSTACK_TEXT_MAX]; /* that a pool must have */
};
int cloudstack_find_offering(struct cloudstack *cloud, const char *zone, const char *text,
                             struct cloudstack_offering *ret, struct err *err);

struct cloudstack_disk_offering {
    struct cloudstack_thing is;
    bool enabled, custom;
    uint64_t size_gib; /* 0: left open */
    bool local, encrypts;
    char tags[CLOUDSTACK_TEXT_MAX];
};
int cloudstack_find_disk_offering(struct cloudstack *cloud, const char *zone, const char *text,
                                  struct cloudstack_disk_offering *ret, struct err *err);

/* By its UUID or its description ("Debian GNU/Linux 12 (64-bit)"). */
int cloudstack_find_os_type(struct cloudstack *cloud, const char *text,
                            struct cloudstack_thing *ret, struct err *err);

#endif
