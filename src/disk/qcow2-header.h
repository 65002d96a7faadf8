/* The qcow2 header, and the numbers of the format that our images use.
 *
 * Source: QEMU docs/interop/qcow2.txt. We write version 3, 64 KiB clusters, 16-bit refcounts, no
 * backing file, no snapshots, no encryption; and open only what is so.
 */
#ifndef DISK_QCOW2_HEADER_H
#define DISK_QCOW2_HEADER_H

#include "disk/disk.h"

#define QCOW2_L2_ENTRIES (CLUSTER_BYTES / 8)
#define QCOW2_L2_SPAN_BYTES (QCOW2_L2_ENTRIES * CLUSTER_BYTES) /* disk that one L2 table maps */
#define QCOW2_REFCOUNTS_PER_BLOCK (CLUSTER_BYTES / 2)

#define QCOW2_ENTRY_COPIED (UINT64_C(1) << 63) /* refcount is 1: may be written in place */
#define QCOW2_ENTRY_COMPRESSED (UINT64_C(1) << 62)
#define QCOW2_ENTRY_ZERO UINT64_C(1) /* reads as zero whatever is stored */
#define QCOW2_ENTRY_OFFSET UINT64_C(0x00fffffffffffe00)

#define QCOW2_INCOMPATIBLE_DIRTY UINT64_C(1) /* refcounts are not to be trusted */

/* Files of ours cannot be larger than the disk, its tables and one reopening's refcounts. */
#define QCOW2_MAX_FILE_BYTES (2 * DISK_MAX_BYTES)

struct qcow2_header {
    uint64_t bytes; /* of the virtual disk */
    uint32_t l1_entries;
    uint64_t l1_offset; /* bytes into the file, as the others */
    uint64_t refcount_table_offset;
    uint32_t refcount_table_clusters;
    bool dirty;
};

uint32_t qcow2_l1_entries_for(uint64_t bytes);

/* Read and check; file_bytes is the file's size. ERR_INVALID says which rule an image breaks. */
int qcow2_header_read(int fd, uint64_t file_bytes, const char *name, struct qcow2_header *ret,
                      struct err *err);
int qcow2_header_write(int fd, const struct qcow2_header *header, const char *name,
                       struct err *err);

#endif
