/* Snapshots of ours: made, found again, removed. Never those of others, and never all at once. */
#ifndef VMWARE_SNAPSHOT_H
#define VMWARE_SNAPSHOT_H

#include "vmware/machine.h"
#include "vmware/session.h"

#define VMWARE_SNAPSHOT_PREFIX "vmferry-" /* of the names of all that we make */
#define VMWARE_SNAPSHOT_NAME_MAX 80

enum vmware_quiesce {
    VMWARE_QUIESCE_NO,
    VMWARE_QUIESCE_TRY,  /* when the guest cannot be quiesced, without */
    VMWARE_QUIESCE_MUST, /* then it fails */
};

struct vmware_snapshot_made {
    char moref[VMWARE_MOREF_MAX];
    bool found;        /* it was there already, by its name */
    bool quiesced;     /* as asked for */
    char why_not[512]; /* VMWARE_QUIESCE_TRY: the server's reason; "" else */
};

/* Does its name say that we have made it? */
bool vmware_snapshot_is_ours(const char *name);

/* Make a snapshot without memory of that name (it begins with VMWARE_SNAPSHOT_PREFIX; ERR_BUG else)
 * and wait for it. One of that name that is there already, or just being made (after a connection
 * was lost in the middle), is taken instead of making a second. The call itself is sent once only:
 * after a lost connection the machine is looked at instead. It may take 30 minutes. */
int vmware_snapshot_create(struct vmware_session *session, const char *machine_moref,
                           const char *name, const char *description, enum vmware_quiesce quiesce,
                           struct vmware_snapshot_made *ret, struct err *err);

/* Remove that one (not its children), wait for it, and consolidate the machine's disks when vSphere
 * says that it is needed. One that is gone is fine. ERR_CONFLICT: name is the name it
 * must have (NULL: any of ours), and it has another, so it is not ours. */
int vmware_snapshot_remove(struct vmware_session *session, const char *machine_moref,
                           const char *snapshot_moref, const char *name, struct err *err);

/* Those of ours on a machine: name begins with prefix (NULL: VMWARE_SNAPSHOT_PREFIX). */
struct vmware_snapshot_ours {
    char moref[VMWARE_MOREF_MAX];
    char name[VMWARE_SNAPSHOT_NAME_MAX + 1]; /* a longer one is not ours */
    char created[40];
};
#define VMWARE_SNAPSHOTS_OURS_MAX 64
/* ret_n: how many of ret were filled; more than fit are left out. */
int vmware_snapshot_find(struct vmware_session *session, const char *machine_moref,
                         const char *prefix,
                         struct vmware_snapshot_ours ret[VMWARE_SNAPSHOTS_OURS_MAX], size_t *ret_n,
                         struct err *err);

/* Consolidate when needed; nothing to do is fine. */
int vmware_consolidate(struct vmware_session *session, const char *machine_moref, struct err *err);

#endif
