/* What the files of the source "vsphere" share: the machine, and the disk that is being read. For
 * source-vsphere*.c only. */
#ifndef ENGINE_SOURCE_VSPHERE_H
#define ENGINE_SOURCE_VSPHERE_H

#include "engine/agent-properties.h"
#include "engine/source.h"
#include "engine/vddk-library.h"
#include "vmware/lease.h"
#include "vmware/machine.h"
#include "vmware/session.h"
#include "vmware/snapshot.h"
#include "wire/http.h"
#include "wire/nbdkit.h"

#define VSPHERE_SOCKET_URI_MAX 192
#define VSPHERE_IDENTITY_MAX 1024

/* A disk that is read; several may be at once. */
struct vsphere_read {
    struct copy_remote remote;
    char identity[VSPHERE_IDENTITY_MAX], vm_text[VMWARE_MOREF_MAX + 8];
    char *uri;    /* owned; of https and export */
    char *cookie; /* owned, a secret; the last one given */
    struct nbdkit kit;
    char socket_uri[VSPHERE_SOCKET_URI_MAX];
    unsigned pct; /* how far it is */
};

/* What an export sent of a disk, to be compared with the manifest. */
struct vsphere_sent {
    bool known;
    uint64_t bytes;
    char sha1[41], sha256[65];
};

struct vsphere_source {
    struct source source;
    struct vmware_session *session; /* NULL: logged out */
    struct vmware_machine *machine; /* with a snapshot of ours: its disks as recorded there */
    char *server_id;                /* of the vCenter, or host:port of an ESXi */

    enum job_transport transport; /* chosen by check, or fallen back to */
    unsigned possible;            /* CHECK_BY_*: what can read every disk */
    struct vddk_library library;
    struct agent_properties agent;
    char pin[HTTP_SHA256_TEXT_MAX]; /* thumbprint of the server; "": by CA */
    char sha1[HTTP_SHA1_TEXT_MAX];  /* the same for VDDK; "": not asked for yet */

    char snapshot_name[VMWARE_SNAPSHOT_NAME_MAX + 1]; /* ours; "": none, or not yet */
    char snapshot[VMWARE_MOREF_MAX];
    bool uncertain; /* whether it was made, for nobody heard the end of it */
    bool tracked;   /* changes are, as far as we know */

    struct vsphere_read *reads[VM_MAX_DISKS]; /* owned; NULL: was not read yet */
    struct err tick_err;                      /* the first trouble while disks are read */

    struct vmware_lease *lease;
    struct vsphere_sent sent[VM_MAX_DISKS];
};

static inline struct vsphere_source *
to_vsphere(const struct source *src)
{
    return (struct vsphere_source *)src;
}

static inline bool
vsphere_is_running(const struct vsphere_source *v)
{
    return v->machine->power == VMWARE_POWERED_ON;
}

/* A new name for what we make at the server: "vmferry-" and a random number. */
#define VSPHERE_NAME_MAX 32
int vsphere_make_name(char name[VSPHERE_NAME_MAX], struct err *err);

/* Of source-vsphere.c, for source-vsphere-live.c. */
int vsphere_freeze(struct vsphere_source *v, struct state *state, struct err *err);
int vsphere_remove_snapshot(struct vsphere_source *v, struct state *state, struct err *err);
int vsphere_read_again(struct vsphere_source *v, struct err *err);
/* Log in, unless we are. */
int vsphere_login(struct vsphere_source *v, struct err *err);
bool vsphere_has_foreign_snapshots(const struct vsphere_source *v);

extern const struct live_ops vsphere_live_ops;

/* The part of the ops that reads disks (source-vsphere-disk.c). */
int vsphere_begin_disk(struct source *src, size_t disk, struct copy_request *request,
                       struct err *err);
void vsphere_tick(struct source *src, size_t disk, unsigned pct);
int vsphere_need(struct source *src, size_t disk, const char *what, char **ret_value,
                 struct err *err);
int vsphere_end_disk(struct source *src, size_t disk, const struct copy_result *result,
                     struct err *err);
bool vsphere_fall_back(struct source *src, size_t disk, const struct err *why);
int vsphere_finish(struct source *src, size_t *ret_bad, struct err *err);

/* What stands for the bytes of one disk, into text; "": nothing does. */
const char *vsphere_disk_content(const struct vsphere_source *v, size_t disk,
                                 char text[VSPHERE_IDENTITY_MAX]);

/* Nothing is read any more. */
void vsphere_reads_end(struct vsphere_source *v);
void vsphere_reads_free(struct vsphere_source *v);

/* Hold off storage vMotion of the machine, if that may be done, and let go of what is in the state,
 * be it of this run or of an earlier one (source-vsphere-hold.c). */
int vsphere_hold(struct vsphere_source *v, struct state *state, struct err *err);
int vsphere_let_go(struct vsphere_source *v, struct state *state, struct err *err);

/* Choose the transport and say why. */
int vsphere_choose(struct vsphere_source *v, unsigned possible, struct err *err);

#endif
