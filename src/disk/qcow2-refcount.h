/* Which clusters of a qcow2 file are in use.
 *
 * In our images a cluster is used once or not at all, so a bit stands for its refcount while the
 * image is open: it follows from the mapping when an image is opened, and the real tables are laid
 * down when it is finished. In between the image is marked dirty.
 */
#ifndef DISK_QCOW2_REFCOUNT_H
#define DISK_QCOW2_REFCOUNT_H

#include "disk/qcow2-header.h"

struct qcow2_refs {
    uint8_t *bits;   /* bit n: cluster n of the file is used */
    uint64_t cap;    /* clusters that bits has room for, a multiple of 8 */
    uint64_t end;    /* clusters; all behind it are free */
    uint64_t search; /* no free cluster before this one */
};

/* Mark [first, first + n) used. ERR_INVALID when one is already: the image is damaged. */
int qcow2_refs_claim(struct qcow2_refs *refs, uint64_t first, uint64_t n, struct err *err);

/* Take up to want neighbouring free clusters: the first hole, or the end of the file. */
int qcow2_refs_alloc(struct qcow2_refs *refs, uint64_t want, uint64_t *ret_first, uint64_t *ret_n,
                     struct err *err);

/* Lay down refcount tables for what is used now and set where they are in the header (which is not
 * written). */
int qcow2_refs_store(struct qcow2_refs *refs, int fd, struct qcow2_header *header, const char *name,
                     struct err *err);

void qcow2_refs_free(struct qcow2_refs *refs);

#endif
