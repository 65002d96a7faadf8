#include "disk/qcow2-refcount.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"

static bool
is_used(const struct qcow2_refs *refs, uint64_t cluster)
{
    return cluster < refs->cap && (refs->bits[cluster / 8] >> (cluster % 8) & 1);
}

static int
reserve(struct qcow2_refs *refs, uint64_t clusters, struct err *err)
{
    if (clusters <= refs->cap)
        return 0;
    if (clusters > QCOW2_MAX_FILE_BYTES / CLUSTER_BYTES)
        return err_set(err, ERR_INVALID, "qcow2 file grows beyond %d TiB",
                       (int)(QCOW2_MAX_FILE_BYTES / TIB));
    uint64_t cap = refs->cap ? refs->cap : 65536;
    while (cap < clusters)
        cap *= 2;
    uint8_t *bits = realloc(refs->bits, cap / 8);
    if (!bits)
        return err_errno(err, ENOMEM, "bitmap of %" PRIu64 " clusters", cap);
    memset(bits + refs->cap / 8, 0, (cap - refs->cap) / 8);
    refs->bits = bits;
    refs->cap = cap;
    return 0;
}

static void
mark(struct qcow2_refs *refs, uint64_t first, uint64_t n)
{
    for (uint64_t c = first; c < first + n; c++)
        refs->bits[c / 8] |= (uint8_t)(1 << c % 8);
    refs->end = MAX(refs->end, first + n);
}

int
qcow2_refs_claim(struct qcow2_refs *refs, uint64_t first, uint64_t n, struct err *err)
{
    if (reserve(refs, first + n, err) < 0)
        return -1;
    for (uint64_t c = first; c < first + n; c++)
        if (is_used(refs, c))
            return err_set(err, ERR_INVALID,
                           "qcow2 image is damaged: cluster %" PRIu64 " is used twice", c);
    mark(refs, first, n);
    return 0;
}

int
qcow2_refs_alloc(struct qcow2_refs *refs, uint64_t want, uint64_t *ret_first, uint64_t *ret_n,
                 struct err *err)
{
    while (refs->search < refs->end && is_used(refs, refs->search))
        refs->search++;
    uint64_t first = refs->search, n = 1;
    if (reserve(refs, MAX(refs->end, first) + want, err) < 0)
        return -1;
    while (n < want && !is_used(refs, first + n))
        n++;
    mark(refs, first, n);
    refs->search = first + n;
    *ret_first = first;
    *ret_n = n;
    return 0;
}

/* ---- the tables ---- */

static int
store_blocks(const struct qcow2_refs *refs, int fd, uint64_t first_block_cluster, uint64_t n_blocks,
             const char *name, struct err *err)
{
    auto_free uint16_t *block = malloc(CLUSTER_BYTES);
    if (!block)
        return err_errno(err, ENOMEM, "%s: refcount block", name);
    for (uint64_t b = 0; b < n_blocks; b++) {
        uint64_t first = b * QCOW2_REFCOUNTS_PER_BLOCK;
        for (uint64_t i = 0; i < QCOW2_REFCOUNTS_PER_BLOCK; i++)
            block[i] = htobe16(is_used(refs, first + i));
        if (fd_pwrite(fd, block, CLUSTER_BYTES, (first_block_cluster + b) * CLUSTER_BYTES, name,
                      err) < 0)
            return -1;
    }
    return 0;
}

int
qcow2_refs_store(struct qcow2_refs *refs, int fd, struct qcow2_header *header, const char *name,
                 struct err *err)
{
    if (!header->dirty)
        return err_set(err, ERR_BUG, "%s: refcounts stored into a clean image", name);
    /* The tables lie at the end, in one piece, and count themselves. */
    uint64_t first = refs->end, n_blocks = 0, n_table = 0;
    for (;;) {
        uint64_t total = first + n_blocks + n_table;
        uint64_t blocks = div_up(total, QCOW2_REFCOUNTS_PER_BLOCK);
        uint64_t table = div_up(blocks, QCOW2_L2_ENTRIES);
        if (blocks == n_blocks && table == n_table)
            break;
        n_blocks = blocks;
        n_table = table;
    }
    if (qcow2_refs_claim(refs, first, n_table + n_blocks, err) < 0)
        return err_prefix(err, "%s", name);
    auto_free uint64_t *table = calloc(n_table, CLUSTER_BYTES);
    if (!table)
        return err_errno(err, ENOMEM, "%s: refcount table", name);
    for (uint64_t b = 0; b < n_blocks; b++)
        table[b] = htobe64((first + n_table + b) * CLUSTER_BYTES);
    if (store_blocks(refs, fd, first + n_table, n_blocks, name, err) < 0 ||
        fd_pwrite(fd, table, n_table * CLUSTER_BYTES, first * CLUSTER_BYTES, name, err) < 0)
        return -1;
    header->refcount_table_offset = first * CLUSTER_BYTES;
    header->refcount_table_clusters = (uint32_t)n_table;
    return 0;
}

void
qcow2_refs_free(struct qcow2_refs *refs)
{
    free(refs->bits);
    *refs = (struct qcow2_refs){ 0 };
}
