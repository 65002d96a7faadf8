/* What a machine needs around it: privileges of the user, its host, releases without known faults.
 * No I/O here; who asked the server gives what it said (check-run.c).
 *
 * The privileges are those of the vSphere Web Services API, the builds those of VMware's knowledge
 * base (KB 2136854, KB 2090639) and release notes.
 */
#ifndef ENGINE_CHECK_AROUND_H
#define ENGINE_CHECK_AROUND_H

#include "engine/check.h"

/* What a privilege is asked about. */
enum check_entity { CHECK_ON_MACHINE, CHECK_ON_DATASTORE, CHECK_ENTITIES };

/* The ids that may be wanted on such an entity, NULL after the last. */
extern const char *const *const check_privilege_ids[CHECK_ENTITIES];

struct check_privileges {
    bool encrypted;      /* the machine is */
    unsigned transports; /* that can read it (check_transports) */
    /* Does the user lack it? */
    bool (*lacks)(enum check_entity entity, const char *id, void *arg);
    void *arg;
};

/* "privilege": for each way, an error when no transport has all that it needs. */
void check_privileges(const struct check_privileges *privileges,
                      const struct check_context *context, check_fn *found, void *arg);

/* A host as vSphere describes it. */
struct check_host {
    const char *name;
    const char *version; /* "8.0.3"; NULL: unknown */
    uint64_t build;      /* 0: unknown */
    bool connected, maintenance;
    bool only_vddk;              /* no other transport may be used */
    uint64_t largest_disk_bytes; /* of the machines on it that are looked at */
};

/* "host-connection", "host-maintenance", "cbt-bug". subject is the host's name. */
void check_host(const struct check_host *host, check_fn *found, void *arg);

/* "host-name" and "host-port": reached is what went wrong (kind ERR_NONE: nothing) for the name, or
 * for the port. needed: no other way than through it (an error), else a warning. */
void check_host_reach(const char *host, unsigned port, const struct err *wrong, bool needed,
                      check_fn *found, void *arg);

/* "target-room": are free_bytes enough for disks of capacity_bytes of which used_bytes are used at
 * the source (0: unknown)? */
void check_target(const char *dir, uint64_t free_bytes, uint64_t capacity_bytes,
                  uint64_t used_bytes, check_fn *found, void *arg);

/* "target-room" when the directory cannot be used; "vddk" when the library cannot; "free-licence"
 * of an ESXi. */
void check_target_unusable(const char *why, check_fn *found, void *arg);
void check_vddk_unusable(const char *why, bool needed, check_fn *found, void *arg);
void check_free_licence(const struct check_context *context, check_fn *found, void *arg);

#endif
