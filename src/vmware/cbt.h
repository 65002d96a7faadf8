/* Changed block tracking: which bytes of a disk were written since an epoch (a change id). */
#ifndef VMWARE_CBT_H
#define VMWARE_CBT_H

#include "vmware/machine.h"
#include "vmware/session.h"

/* Turn it on. Already on is fine. ERR_CONFLICT: the machine has snapshots; tracking that begins
 * under a snapshot gives incomplete answers without an error, so it is refused. ERR_UNAVAILABLE:
 * the machine cannot have it. *ret_enabled_now: it was off. A machine that runs must then be
 * stunned once (a snapshot made and removed) before change ids appear. */
int vmware_cbt_enable(struct vmware_session *session, const char *machine_moref,
                      bool *ret_enabled_now, struct err *err);
int vmware_cbt_disable(struct vmware_session *session, const char *machine_moref, struct err *err);

/* Whether `now` can be an epoch of the same tracking as `then`: same tracking UUID, counter not
 * lower. false: tracking was reset, or one of them is empty or none: read the whole disk. */
bool vmware_change_id_follows(const char *then, const char *now);

enum vmware_cbt_answer {
    VMWARE_CBT_GIVEN, /* all areas were given */
    VMWARE_CBT_RESET, /* the server knows no such epoch for this disk, or has no answer: read it
                         all; what was given before is worth nothing */
};

struct vmware_cbt_query {
    const char *machine_moref;
    const char *snapshot_moref; /* NULL: as it is now; only for a machine that is off */
    int disk_key;
    uint64_t capacity_bytes;
    const char *change_id; /* of then; "*": all areas in use */
};

/* each gets the areas in ascending order, within capacity_bytes, not empty, not touching each
 * other; below 0 ends it with the error that it set. ret_why (may be NULL; 512 bytes) says why on
 * VMWARE_CBT_RESET. The query goes on until the server has covered the whole disk: an empty window
 * in the middle is no end. ERR_IO: the server's answer contradicts itself. */
int vmware_cbt_areas(struct vmware_session *session, const struct vmware_cbt_query *query,
                     int (*each)(uint64_t start, uint64_t length, void *arg, struct err *err),
                     void *arg, enum vmware_cbt_answer *ret, char ret_why[512], struct err *err);

#endif
