/* An export lease: the disks of a machine that is off, or of a snapshot, as streams.
 *
 * export -> wait until ready -> for each entry that is a disk read its URL, calling
 * vmware_lease_progress all the while (the server ends a lease that is silent for timeout_s) ->
 * manifest -> complete. Whatever goes wrong: abort, or the machine stays locked until the lease has
 * timed out.
 */
#ifndef VMWARE_LEASE_H
#define VMWARE_LEASE_H

#include "vmware/machine.h"
#include "vmware/session.h"

#define VMWARE_LEASE_ENTRIES_MAX 512

struct vmware_lease_entry {
    const char *key;            /* "/vm-16/ParaVirtualSCSIController0:0"; the manifest's key */
    const char *url;            /* holds a ticket: a secret. "*" for the host has been replaced */
    const char *host;           /* of the url, with its port */
    const char *ssl_thumbprint; /* SHA-1 or SHA-256 of that host; "" : none given, then trust it as
                                   the session's server when same_server, else by CA */
    bool same_server;           /* the url leads to the server of the session */
    bool disk;
    const char *target_id; /* "disk-0.vmdk"; "" none */
    uint64_t file_bytes;   /* 0 unknown */
    int disk_index;        /* into machine->disks, matched by controller and unit; -1: no disk, or
                              no machine given */
};

struct vmware_manifest_entry {
    const char *key;
    const char *sha1;                         /* hex, lower case; "" none */
    const char *sha256;                       /* "" none */
    uint64_t bytes;                           /* of the stream */
    uint64_t capacity_bytes, populated_bytes; /* 0 unknown */
    bool disk;
};

struct vmware_lease;

/* Ask for one: of the machine (off), or of one of its snapshots (snapshot_moref not NULL). machine
 * is used to match entries to disks and for texts; it must outlive the lease. Not waited for.
 * ERR_CONFLICT: it runs, or something else is under way. ERR_DENIED: VApp.Export. */
int vmware_lease_export(struct vmware_session *session, const struct vmware_machine *machine,
                        const char *snapshot_moref, struct vmware_lease **ret, struct err *err);

/* Wait until it is ready; timeout_s 0: 5 minutes. Its error is the error. */
int vmware_lease_wait(struct vmware_lease *lease, int timeout_s, struct err *err);

/* Then: */
size_t vmware_lease_entries(const struct vmware_lease *lease,
                            const struct vmware_lease_entry **ret);
unsigned vmware_lease_timeout_s(const struct vmware_lease *lease);
const char *vmware_lease_moref(const struct vmware_lease *lease);

/* Keeps it alive and shows how far it is, 0 to 100. Call it freely, several times in timeout_s: a
 * call is sent when percent grew, else once in timeout_s / 6. ERR_CONFLICT: the lease is over
 * (timed out, or ended by somebody). */
int vmware_lease_progress(struct vmware_lease *lease, unsigned percent, struct err *err);

/* After all disks have been read. Lives as long as the lease. A server without manifests: 0
 * entries. */
int vmware_lease_manifest(struct vmware_lease *lease, const struct vmware_manifest_entry **ret,
                          size_t *ret_n, struct err *err);

int vmware_lease_complete(struct vmware_lease *lease, struct err *err);

/* Ends it without success. One that is over is fine. why is for the server's log; may be NULL. */
int vmware_lease_abort(struct vmware_lease *lease, const char *why, struct err *err);

/* Aborts what was neither completed nor aborted, as far as that works. NULL is fine. */
void vmware_lease_free(struct vmware_lease *lease);
static inline void
vmware_lease_cleanup(struct vmware_lease **lease)
{
    vmware_lease_free(*lease);
}
#define auto_vmware_lease AUTO(vmware_lease_cleanup)

/* After a crash: end a lease known by its moref alone. One that is gone is fine. */
int vmware_lease_abort_moref(struct vmware_session *session, const char *moref, struct err *err);

#endif
