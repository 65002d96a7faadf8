/* Extents: which parts of a disk hold data, and lists of ranges to copy. */
#ifndef DISK_EXTENT_H
#define DISK_EXTENT_H

#include "disk/disk.h"

struct extent {
    uint64_t offset, len; /* bytes, len > 0 */
    bool zero;            /* reads as zero */
};

/* Sorted, without gaps or overlaps between the first offset and the last end. */
struct extent_list {
    size_t n, cap;
    struct extent *extents;
};

/* Add at the end; joins with the last one when alike. */
int extent_add(struct extent_list *list, uint64_t offset, uint64_t len, bool zero, struct err *err);
void extent_clear(struct extent_list *list);
void extent_free(struct extent_list *list);
#define auto_extents AUTO(extent_free)

/* A range list as --ranges takes it: a line "OFFSET LENGTH" in bytes each (decimal or 0x hex),
 * '#' begins a comment. The result is rounded out to clusters, sorted, joined, and cut at
 * disk_bytes; all its extents have zero = false, and there are gaps. A range that begins at or
 * after the end of the disk is ERR_INVALID. At most RANGES_MAX lines. */
#define RANGES_MAX 4000000
#define RANGES_FILE_MAX (256 * MIB)
int ranges_read(const char *path, uint64_t disk_bytes, struct extent_list *ret, struct err *err);
int ranges_parse(const char *text, uint64_t disk_bytes, struct extent_list *ret, struct err *err);

#endif
