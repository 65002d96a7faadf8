/* Looking at a cluster once: is it zero, and if not, what is its hash. */
#ifndef DISK_CLUSTER_H
#define DISK_CLUSTER_H

#include "disk/disk.h"

/* What the map remembers of a cluster; a record of it has room for this many bits. */
#define CLUSTER_HASH_BITS 48
#define CLUSTER_UNKNOWN UINT64_C(0)
#define CLUSTER_ZERO UINT64_C(1)

/* len is 1 to CLUSTER_BYTES. CLUSTER_ZERO, or the highest 48 bits of XXH3-64 of the len bytes (a
 * hash that happens to be 0 or 1 becomes 2 or 3). */
uint64_t cluster_hash(const void *data, size_t len);

bool bytes_are_zero(const void *data, size_t len);

#endif
