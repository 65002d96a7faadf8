/* Which clusters of an image a copy has written, for reading just these again.
 *
 * A bit a cluster, in pages of one chunk of the map (512 MiB of disk, 1 KiB), made when the first
 * cluster of a chunk is written and given back when all of them were. Any thread.
 */
#ifndef DISK_WRITTEN_H
#define DISK_WRITTEN_H

#include "disk/map.h"

struct written;

int written_new(uint64_t disk_bytes, struct written **ret, struct err *err);
void written_free(struct written *written);

/* Clusters [first, first + n) were written. */
int written_add(struct written *written, uint64_t first, uint64_t n, struct err *err);

/* The next run at or after `from`, at most max clusters of it; false: there is none. */
bool written_next(struct written *written, uint64_t from, uint64_t max, uint64_t *ret_first,
                  uint64_t *ret_n);

/* Clusters in all. */
uint64_t written_count(struct written *written);

#endif
