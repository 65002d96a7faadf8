/* The mapping of a qcow2 image: the L1 table in memory, L2 tables through a cache.
 *
 * Not thread-safe: the image's lock is held for every call. Values of entries are as in the format
 * (QCOW2_ENTRY_*), in host byte order; 0 is unallocated.
 */
#ifndef DISK_QCOW2_MAP_H
#define DISK_QCOW2_MAP_H

#include "disk/qcow2-refcount.h"

/* L2 tables kept in memory: 64 of 64 KiB, which map 32 GiB of disk. */
#define QCOW2_CACHE_TABLES 64

struct qcow2_cached_table;

struct qcow2_map {
    int fd;
    const char *name;
    struct qcow2_refs *refs;
    uint32_t l1_entries;
    uint64_t *l1;        /* host byte order */
    uint16_t *cached_in; /* for each L1 entry: number of its place in the cache + 1, or 0 */
    uint32_t l1_dirty_first, l1_dirty_end; /* entries changed since they were last written */
    uint64_t l1_offset;
    bool doubts;        /* see qcow2_map_doubt */
    uint64_t use_count; /* ticks at each use, for choosing what to throw out */
    struct qcow2_cached_table *cache;
    uint8_t *cache_data;
};

/* load: read and check the L1 table of an existing image; else it starts empty. */
int qcow2_map_init(struct qcow2_map *map, int fd, const char *name, struct qcow2_refs *refs,
                   const struct qcow2_header *header, bool load, struct err *err);
void qcow2_map_free(struct qcow2_map *map);

/* Of an image that an earlier process did not finish. When a flush of its failed, the kernel gave
 * up what it could not write, and shows it to whoever reads as if it were on the disk; the next
 * flush says nothing of it. So each table that is used now is written again. */
void qcow2_map_doubt(struct qcow2_map *map);

/* Claim what the mapping uses (L2 tables and data), checking every entry; file_bytes is in whole
 * clusters. */
int qcow2_map_claim(struct qcow2_map *map, uint64_t file_bytes, struct err *err);

int qcow2_map_get(struct qcow2_map *map, uint64_t cluster, uint64_t *ret_entry, struct err *err);
int qcow2_map_set(struct qcow2_map *map, uint64_t cluster, uint64_t entry, struct err *err);

/* True when nothing in the L2 table that maps this cluster is allocated, with no reading. */
bool qcow2_map_is_empty(const struct qcow2_map *map, uint64_t cluster);

/* Write all changed L2 tables. Then, if L1 entries changed, *ret_l1 is a copy of them to be written
 * at *ret_offset once the L2 tables are on stable storage (the caller frees it); else NULL. */
int qcow2_map_write(struct qcow2_map *map, void **ret_l1, size_t *ret_len, uint64_t *ret_offset,
                    struct err *err);

#endif
