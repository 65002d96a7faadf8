/* Files on a datastore, by HTTPS:
 * https://SERVER/folder/DIR/FILE?dcPath=DATACENTER&dsName=DATASTORE.
 */
#ifndef VMWARE_DATASTORE_H
#define VMWARE_DATASTORE_H

#include "vmware/session.h"

#define VMWARE_DESCRIPTOR_MAX 65536 /* bytes of a VMDK descriptor */
#define VMWARE_EXTENTS_MAX 256

/* "[ds 1] dir/x.vmdk" into its two parts, fresh strings. A name with brackets of its own is read to
 * the first "] ". ERR_INVALID when it is no such path. */
int vmware_datastore_path_split(const char *file, char **ret_datastore, char **ret_path,
                                struct err *err);

/* The URL of a file. datacenter_path is that of vmware_machine; a host has only its own, whatever
 * is given. Everything but letters, digits, "-._~" and the path's "/" is percent-encoded; on
 * vCenter the two parameters twice, because it decodes them twice. */
int vmware_datastore_url(struct vmware_session *session, const char *datacenter_path,
                         const char *file, char **ret_url, struct err *err);

/* A whole small file into a fresh NUL-terminated string. ERR_NOT_FOUND, ERR_CONFLICT: locked by a
 * running machine (500). ERR_INVALID: larger than max. */
int vmware_datastore_read(struct vmware_session *session, const char *datacenter_path,
                          const char *file, size_t max, char **ret_text, size_t *ret_len,
                          struct err *err);

/* Bytes of a file (HEAD). ERR_UNAVAILABLE when the server does not say. */
int vmware_datastore_size(struct vmware_session *session, const char *datacenter_path,
                          const char *file, uint64_t *ret_bytes, struct err *err);

/* Whether a file or directory ("[ds1] web01") is there. */
int vmware_datastore_exists(struct vmware_session *session, const char *datacenter_path,
                            const char *file, bool *ret, struct err *err);

/* What a VMDK descriptor says. */
struct vmware_extent {
    char *file;            /* "[ds1] web01/web01-flat.vmdk"; NULL: a zero extent */
    char type[16];         /* "VMFS", "VMFSSPARSE", "SESPARSE", "FLAT", "ZERO", "VMFSRDM", ... */
    uint64_t bytes;        /* of the disk */
    uint64_t offset_bytes; /* in the file */
};
struct vmware_descriptor {
    char create_type[32]; /* "vmfs", "vmfsSparse", "seSparse", "vmfsRawDeviceMap", ... */
    char cid[16], parent_cid[16];
    char *parent; /* parentFileNameHint as it stands there; NULL: a base disk */
    uint64_t capacity_bytes;
    size_t n_extents;
    struct vmware_extent extents[VMWARE_EXTENTS_MAX];
};
/* file is where the descriptor lies; names in it are relative to that. */
int vmware_descriptor_parse(const char *text, const char *file, struct vmware_descriptor **ret,
                            struct err *err);
void vmware_descriptor_free(struct vmware_descriptor *descriptor);
static inline void
vmware_descriptor_cleanup(struct vmware_descriptor **descriptor)
{
    vmware_descriptor_free(*descriptor);
}
#define auto_vmware_descriptor AUTO(vmware_descriptor_cleanup)

/* Read the descriptor of a disk and parse it. */
int vmware_descriptor_read(struct vmware_session *session, const char *datacenter_path,
                           const char *file, struct vmware_descriptor **ret, struct err *err);

#endif
