/* The map: what is durable in an image, cluster by cluster.
 *
 * One record for each cluster of 64 KiB: unknown, zero, or the hash of its content. It makes
 * resuming, verifying and copying differences one mechanism. The order that keeps it honest: data,
 * flush of the image, records, flush of the map. docs/formats/map.md describes the file.
 *
 * Any thread may read and write records.
 */
#ifndef DISK_MAP_H
#define DISK_MAP_H

#include "disk/cluster.h"

#define MAP_CHUNK_CLUSTERS 8192 /* records that share a byte of the directory: 512 MiB of disk */
#define MAP_CHANGE_ID_MAX 128
#define MAP_SOURCE_ID_MAX 192
#define MAP_TARGET_ID_MAX 64

struct map;

struct map_info {
    uint64_t disk_bytes;
    uint64_t generation;     /* counts finished copies into the image */
    uint64_t work_id;        /* which list of ranges is being copied; 0: the whole disk */
    uint64_t compared_bytes; /* of a comparison under way: what is known below this is done */
    bool complete;           /* no copy is under way */
    char change_id[MAP_CHANGE_ID_MAX];
    char source_id[MAP_SOURCE_ID_MAX];
    char target_id[MAP_TARGET_ID_MAX];
};

/* A new map, all unknown; replaces a file of that name. path NULL: in memory, gone at close. */
int map_create(const char *path, const struct map_info *info, struct map **ret, struct err *err);

/* ERR_NOT_FOUND, or ERR_INVALID for a file that is damaged or not a map. */
int map_open(const char *path, struct map **ret, struct err *err);

void map_close(struct map *map);
static inline void
map_cleanup(struct map **map)
{
    map_close(*map);
}
#define auto_map AUTO(map_cleanup)

const struct map_info *map_info(const struct map *map);

/* True for a map that outlives the process: only then is a checkpoint worth its flush. */
bool map_is_durable(const struct map *map);

/* Replace the info (disk_bytes cannot change) and flush everything. */
int map_set_info(struct map *map, const struct map_info *info, struct err *err);

/* Records of clusters [first, first + n); values as cluster_hash gives them, or CLUSTER_UNKNOWN. */
int map_set(struct map *map, uint64_t first, size_t n, const uint64_t *values, struct err *err);
int map_fill(struct map *map, uint64_t first, uint64_t n, uint64_t value, struct err *err);
int map_get(struct map *map, uint64_t first, size_t n, uint64_t *ret_values, struct err *err);

/* How many clusters from first on, at most max, are zero by the directory alone (whole chunks):
 * lets a walk over a huge empty disk take large steps. */
uint64_t map_zero_run(struct map *map, uint64_t first, uint64_t max);

int map_flush(struct map *map, struct err *err);

#endif
