/* One disk opened once by VMware's library: a connection of its own, and the handle on it.
 *
 * One thread uses a disk at a time. Opening and closing of all of them take turns by themselves.
 */
#ifndef DISK_VDDK_DISK_H
#define DISK_VDDK_DISK_H

#include "disk/extent.h"
#include "disk/source.h"
#include "disk/vddk-error.h"
#include "disk/vddk-library.h"

/* What a disk is opened with: copies of the spec's strings, which the library wants to find where
 * they are until the last connection has gone. */
struct vddk_access {
    char *name, *server, *user, *thumbprint, *vm, *snapshot, *path, *transports;
    char *password, *cookie; /* wiped at the end */
    uint32_t port, nfc_port;
    const char *secrets[3]; /* for vddk_log_hide */
};

struct vddk_disk {
    const struct vddk_access *access;
    struct vddk_connect_params *params;
    struct vddk_connection *connection;
    struct vddk_handle *handle; /* NULL: not open */
};

/* ERR_INVALID: something that is needed is missing or malformed. */
int vddk_access_init(struct vddk_access *access, const struct source_remote *remote,
                     struct err *err);
/* Another cookie; nothing may be open with the old one. */
int vddk_access_set_cookie(struct vddk_access *access, const char *cookie, struct err *err);
void vddk_access_done(struct vddk_access *access);

/* Connect and open, read-only. On failure nothing is open, and *ret_remedy (may be NULL) says what
 * may help. */
int vddk_disk_open(struct vddk_disk *disk, const struct vddk_access *access,
                   enum vddk_remedy *ret_remedy, struct err *err);

/* No read may be under way. Nothing open is fine. */
void vddk_disk_close(struct vddk_disk *disk);

/* ERR_INVALID: the library gives no size, or one that cannot be. */
int vddk_disk_bytes(struct vddk_disk *disk, uint64_t *ret_bytes, struct err *err);

/* "nbdssl", "nbd", "file", "hotadd", "san"; the library's. */
const char *vddk_disk_transport(struct vddk_disk *disk);

/* One question about what is allocated; offset is a multiple of the cluster. */
#define VDDK_QUERY_BYTES (16 * GIB)

/* A hole between data that is shorter than hole_min is called data.
 * 0: *ret has the extents from offset on, at most VDDK_QUERY_BYTES of them. Or a VixError, and *ret
 * is empty: nothing can be said. An answer that cannot be is VDDK_NONSENSE. -1: no memory. */
#define VDDK_NONSENSE 3
int vddk_disk_allocated(struct vddk_disk *disk, uint64_t offset, uint64_t len, uint64_t hole_min,
                        struct extent_list *ret, uint64_t *ret_error, struct err *err);

#endif
