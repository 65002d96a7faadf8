/* Theory of operation
 *
 * The file: two header slots of 4 KiB, the directory (4 bytes a chunk), the records (8 bytes a
 * cluster, little endian). The header is written to the two slots in turn, with a sequence number
 * and a checksum, so that a torn write costs nothing: the older slot still counts. The directory
 * says of a chunk either "see the records" or "all zero"; thus an empty 8 TiB disk needs 64 KiB
 * and not 1 GiB. Records are a sparse file, and an absent record is unknown.
 *
 * A record that says "known" by mistake would leave a cluster out, so records and directory entries
 * carry a check of their place and value. A record whose check is wrong is unknown; a directory
 * entry whose check is wrong makes the map a damaged one.
 *
 * The directory is kept in memory; records are read and written in place.
 */
#include "disk/map.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SLOT_BYTES 4096
#define DIRECTORY_OFFSET (2 * SLOT_BYTES)
#define MAP_VERSION 1
static const char magic[8] = "VMFMAP\r\n";

enum { CHUNK_RECORDS = 0, CHUNK_ZERO = 1 };

struct slot {
    char magic[8];
    uint32_t version;
    uint32_t cluster_bits;
    uint64_t sequence;
    uint64_t disk_bytes;
    uint64_t generation;
    uint64_t work_id;
    uint32_t complete;
    uint32_t reserved;
    char change_id[MAP_CHANGE_ID_MAX];
    char source_id[MAP_SOURCE_ID_MAX];
    char target_id[MAP_TARGET_ID_MAX];
    uint64_t compared_bytes;
    uint8_t zero[SLOT_BYTES - 56 - 384 - 8 - 8];
    uint64_t checksum; /* XXH3-64 of all before it */
};
_Static_assert(sizeof(struct slot) == SLOT_BYTES, "a slot is one page");

struct map {
    int fd;
    char *name;
    bool durable;
    uint64_t sequence;
    uint64_t n_clusters;
    uint64_t records_offset;
    size_t n_chunks;
    struct map_info info;
    pthread_mutex_t lock; /* directory */
    uint8_t *directory;
    pthread_mutex_t writing; /* records, so that a chunk is opened once */
};

/* ---- records and directory entries on disk ---- */

#define RECORD_CHECK_SHIFT 48
#define RECORD_VALUE_MASK ((UINT64_C(1) << RECORD_CHECK_SHIFT) - 1)

static uint64_t
check_of(uint64_t place, uint64_t value)
{
    uint64_t both[2] = { htole64(place), htole64(value) };
    return XXH3_64bits(both, sizeof both);
}

static uint64_t
record_encode(uint64_t cluster, uint64_t value)
{
    if (value == CLUSTER_UNKNOWN)
        return 0;
    return htole64(check_of(cluster, value) << RECORD_CHECK_SHIFT | value);
}

static uint64_t
record_decode(uint64_t cluster, uint64_t wire)
{
    uint64_t value = le64toh(wire) & RECORD_VALUE_MASK;
    return wire == record_encode(cluster, value) ? value : CLUSTER_UNKNOWN;
}

static uint32_t
entry_encode(size_t chunk, uint8_t state)
{
    return state == CHUNK_RECORDS ? 0 : htole32((uint32_t)check_of(chunk, state) | 1);
}

static int
entry_decode(size_t chunk, uint32_t wire, uint8_t *ret_state)
{
    for (int state = CHUNK_RECORDS; state <= CHUNK_ZERO; state++)
        if (wire == entry_encode(chunk, (uint8_t)state)) {
            *ret_state = (uint8_t)state;
            return 0;
        }
    return -1;
}

/* ---- making and opening ---- */

static int
map_new(int fd, const char *name, uint64_t disk_bytes, struct map **ret, struct err *err)
{
    if (disk_bytes == 0 || disk_bytes > DISK_MAX_BYTES)
        return err_set(err, ERR_INVALID, "%s: a disk of %" PRIu64 " bytes", name, disk_bytes);
    struct map *map = calloc(1, sizeof *map);
    if (!map)
        return err_errno(err, ENOMEM, "%s", name);
    map->fd = -1;
    map->n_clusters = div_up(disk_bytes, CLUSTER_BYTES);
    map->n_chunks = (size_t)div_up(map->n_clusters, MAP_CHUNK_CLUSTERS);
    map->records_offset = DIRECTORY_OFFSET + round_up(map->n_chunks * sizeof(uint32_t), SLOT_BYTES);
    map->directory = calloc(map->n_chunks, 1);
    map->name = strdup(name);
    pthread_mutex_init(&map->lock, NULL);
    pthread_mutex_init(&map->writing, NULL);
    if (!map->directory || !map->name) {
        map_close(map);
        return err_errno(err, ENOMEM, "%s", name);
    }
    map->fd = fd;
    *ret = map;
    return 0;
}

int
map_create(const char *path, const struct map_info *info, struct map **ret, struct err *err)
{
    auto_close int fd = path ? open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)
                             : memfd_create("map", MFD_CLOEXEC);
    const char *name = path ? path : "map in memory";
    if (fd < 0)
        return err_errno(err, errno, "%s: create map", name);
    auto_map struct map *map = NULL;
    if (map_new(fd, name, info->disk_bytes, &map, err) < 0)
        return -1;
    TAKE_FD(fd);
    map->durable = path != NULL;
    uint64_t bytes = map->records_offset + map->n_clusters * sizeof(uint64_t);
    if (ftruncate(map->fd, (off_t)bytes) < 0)
        return err_errno(err, errno, "%s: make room for %" PRIu64 " bytes", name, bytes);
    if (map_set_info(map, info, err) < 0)
        return -1;
    if (path && dir_sync_of(path, err) < 0)
        return -1;
    *ret = TAKE_PTR(map);
    return 0;
}

static bool
slot_is_good(const struct slot *slot)
{
    return memcmp(slot->magic, magic, sizeof magic) == 0 &&
           le64toh(slot->checksum) == XXH3_64bits(slot, offsetof(struct slot, checksum));
}

static void
info_from_slot(const struct slot *slot, struct map_info *ret)
{
    *ret = (struct map_info){
        .disk_bytes = le64toh(slot->disk_bytes),
        .generation = le64toh(slot->generation),
        .work_id = le64toh(slot->work_id),
        .complete = le32toh(slot->complete) != 0,
        .compared_bytes = le64toh(slot->compared_bytes),
    };
    memcpy(ret->change_id, slot->change_id, sizeof ret->change_id - 1);
    memcpy(ret->source_id, slot->source_id, sizeof ret->source_id - 1);
    memcpy(ret->target_id, slot->target_id, sizeof ret->target_id - 1);
}

static int
read_slot(int fd, const char *path, struct slot *ret, struct err *err)
{
    struct slot slots[2];
    if (fd_pread_exact(fd, slots, sizeof slots, 0, path, err) < 0)
        return -1;
    bool good[2] = { slot_is_good(&slots[0]), slot_is_good(&slots[1]) };
    if (!good[0] && !good[1])
        return err_set(err, ERR_INVALID, "%s: not a map of vmferry, or damaged", path);
    int newest = good[1] && (!good[0] || le64toh(slots[1].sequence) > le64toh(slots[0].sequence));
    *ret = slots[newest];
    if (le32toh(ret->version) != MAP_VERSION || le32toh(ret->cluster_bits) != CLUSTER_BITS)
        return err_set(err, ERR_INVALID, "%s: map of version %" PRIu32 ", this program reads %d",
                       path, le32toh(ret->version), MAP_VERSION);
    return 0;
}

static int read_directory(struct map *map, struct err *err);

int
map_open(const char *path, struct map **ret, struct err *err)
{
    auto_close int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "%s: open map", path);
    struct slot slot;
    if (read_slot(fd, path, &slot, err) < 0)
        return -1;
    auto_map struct map *map = NULL;
    if (map_new(fd, path, le64toh(slot.disk_bytes), &map, err) < 0)
        return -1;
    TAKE_FD(fd);
    map->durable = true;
    map->sequence = le64toh(slot.sequence);
    info_from_slot(&slot, &map->info);

    struct stat st;
    uint64_t bytes = map->records_offset + map->n_clusters * sizeof(uint64_t);
    if (fstat(map->fd, &st) < 0)
        return err_errno(err, errno, "%s: stat", path);
    if ((uint64_t)st.st_size < bytes)
        return err_set(err, ERR_INVALID, "%s: map is cut off", path);
    if (read_directory(map, err) < 0)
        return -1;
    *ret = TAKE_PTR(map);
    return 0;
}

static int
read_directory(struct map *map, struct err *err)
{
    auto_free uint32_t *entries = calloc(map->n_chunks, sizeof *entries);
    if (!entries)
        return err_errno(err, ENOMEM, "%s", map->name);
    if (fd_pread_exact(map->fd, entries, map->n_chunks * sizeof *entries, DIRECTORY_OFFSET,
                       map->name, err) < 0)
        return -1;
    for (size_t i = 0; i < map->n_chunks; i++)
        if (entry_decode(i, entries[i], &map->directory[i]) < 0)
            return err_set(err, ERR_INVALID, "%s: map is damaged (chunk %zu)", map->name, i);
    return 0;
}

void
map_close(struct map *map)
{
    if (!map)
        return;
    if (map->fd >= 0)
        close(map->fd);
    pthread_mutex_destroy(&map->lock);
    pthread_mutex_destroy(&map->writing);
    free(map->directory);
    free(map->name);
    free(map);
}

const struct map_info *
map_info(const struct map *map)
{
    return &map->info;
}

bool
map_is_durable(const struct map *map)
{
    return map->durable;
}

int
map_set_info(struct map *map, const struct map_info *info, struct err *err)
{
    struct slot slot = {
        .version = htole32(MAP_VERSION),
        .cluster_bits = htole32(CLUSTER_BITS),
        .sequence = htole64(map->sequence + 1),
        .disk_bytes = htole64(info->disk_bytes),
        .generation = htole64(info->generation),
        .work_id = htole64(info->work_id),
        .complete = htole32(info->complete),
        .compared_bytes = htole64(info->compared_bytes),
    };
    memcpy(slot.magic, magic, sizeof magic);
    memcpy(slot.change_id, info->change_id, sizeof slot.change_id);
    memcpy(slot.source_id, info->source_id, sizeof slot.source_id);
    memcpy(slot.target_id, info->target_id, sizeof slot.target_id);
    slot.checksum = htole64(XXH3_64bits(&slot, offsetof(struct slot, checksum)));

    /* Records before the header that speaks of them. */
    uint64_t offset = (map->sequence + 1) % 2 * SLOT_BYTES;
    if (map_flush(map, err) < 0 ||
        fd_pwrite(map->fd, &slot, sizeof slot, offset, map->name, err) < 0 ||
        map_flush(map, err) < 0)
        return -1;
    map->sequence++;
    map->info = *info;
    return 0;
}

int
map_flush(struct map *map, struct err *err)
{
    if (map->durable && fdatasync(map->fd) < 0)
        return err_errno(err, errno, "%s: flush map", map->name);
    return 0;
}

/* ---- records ---- */

static uint64_t
record_offset(const struct map *map, uint64_t cluster)
{
    return map->records_offset + cluster * sizeof(uint64_t);
}

static uint64_t
chunk_clusters(const struct map *map, size_t chunk)
{
    return MIN((uint64_t)MAP_CHUNK_CLUSTERS,
               map->n_clusters - (uint64_t)chunk * MAP_CHUNK_CLUSTERS);
}

static int
write_same(struct map *map, uint64_t first, uint64_t n, uint64_t value, struct err *err)
{
    uint64_t values[512];
    while (n > 0) {
        size_t now = (size_t)MIN(n, (uint64_t)ARRAY_LEN(values));
        for (size_t i = 0; i < now; i++)
            values[i] = record_encode(first + i, value);
        if (fd_pwrite(map->fd, values, now * sizeof *values, record_offset(map, first), map->name,
                      err) < 0)
            return -1;
        first += now;
        n -= now;
    }
    return 0;
}

static int
set_chunk_state(struct map *map, size_t chunk, uint8_t state, struct err *err)
{
    uint32_t wire = entry_encode(chunk, state);
    if (fd_pwrite(map->fd, &wire, sizeof wire, DIRECTORY_OFFSET + chunk * sizeof wire, map->name,
                  err) < 0)
        return -1;
    pthread_mutex_lock(&map->lock);
    map->directory[chunk] = state;
    pthread_mutex_unlock(&map->lock);
    return 0;
}

static uint8_t
chunk_state(struct map *map, size_t chunk)
{
    pthread_mutex_lock(&map->lock);
    uint8_t state = map->directory[chunk];
    pthread_mutex_unlock(&map->lock);
    return state;
}

/* Make sure that the records of a chunk count. What stood in them when the chunk was last all zero
 * may be stale, so the new ones are on stable storage before the directory says that they count. */
static int
open_chunk(struct map *map, size_t chunk, struct err *err)
{
    if (chunk_state(map, chunk) == CHUNK_RECORDS)
        return 0;
    uint64_t first = (uint64_t)chunk * MAP_CHUNK_CLUSTERS;
    if (write_same(map, first, chunk_clusters(map, chunk), CLUSTER_ZERO, err) < 0 ||
        map_flush(map, err) < 0)
        return -1;
    return set_chunk_state(map, chunk, CHUNK_RECORDS, err);
}

static int
check_range(const struct map *map, uint64_t first, uint64_t n, struct err *err)
{
    if (first > map->n_clusters || n > map->n_clusters - first)
        return err_set(err, ERR_BUG, "%s: clusters %" PRIu64 " + %" PRIu64 " of %" PRIu64,
                       map->name, first, n, map->n_clusters);
    return 0;
}

static int
set_records(struct map *map, uint64_t first, size_t n, const uint64_t *values, struct err *err)
{
    uint64_t wire[REQUEST_CLUSTERS];
    while (n > 0) {
        size_t chunk = (size_t)(first / MAP_CHUNK_CLUSTERS);
        uint64_t chunk_end = ((uint64_t)chunk + 1) * MAP_CHUNK_CLUSTERS;
        size_t now = (size_t)MIN(MIN((uint64_t)n, (uint64_t)ARRAY_LEN(wire)), chunk_end - first);
        if (open_chunk(map, chunk, err) < 0)
            return -1;
        for (size_t i = 0; i < now; i++)
            wire[i] = record_encode(first + i, values[i]);
        if (fd_pwrite(map->fd, wire, now * sizeof *wire, record_offset(map, first), map->name,
                      err) < 0)
            return -1;
        first += now;
        values += now;
        n -= now;
    }
    return 0;
}

int
map_set(struct map *map, uint64_t first, size_t n, const uint64_t *values, struct err *err)
{
    if (check_range(map, first, n, err) < 0)
        return -1;
    pthread_mutex_lock(&map->writing);
    int r = set_records(map, first, n, values, err);
    pthread_mutex_unlock(&map->writing);
    return r;
}

static int
fill_records(struct map *map, uint64_t first, uint64_t n, uint64_t value, struct err *err)
{
    while (n > 0) {
        size_t chunk = (size_t)(first / MAP_CHUNK_CLUSTERS);
        uint64_t chunk_first = (uint64_t)chunk * MAP_CHUNK_CLUSTERS;
        uint64_t now = MIN(n, chunk_first + chunk_clusters(map, chunk) - first);
        int r;
        if (value == CLUSTER_ZERO && chunk_state(map, chunk) == CHUNK_ZERO)
            r = 0;
        else if (value == CLUSTER_ZERO && now == chunk_clusters(map, chunk))
            r = set_chunk_state(map, chunk, CHUNK_ZERO, err);
        else
            r = open_chunk(map, chunk, err) < 0 ? -1 : write_same(map, first, now, value, err);
        if (r < 0)
            return -1;
        first += now;
        n -= now;
    }
    return 0;
}

int
map_fill(struct map *map, uint64_t first, uint64_t n, uint64_t value, struct err *err)
{
    if (check_range(map, first, n, err) < 0)
        return -1;
    pthread_mutex_lock(&map->writing);
    int r = fill_records(map, first, n, value, err);
    pthread_mutex_unlock(&map->writing);
    return r;
}

int
map_get(struct map *map, uint64_t first, size_t n, uint64_t *ret_values, struct err *err)
{
    if (check_range(map, first, n, err) < 0)
        return -1;
    while (n > 0) {
        size_t chunk = (size_t)(first / MAP_CHUNK_CLUSTERS);
        uint64_t chunk_end = ((uint64_t)chunk + 1) * MAP_CHUNK_CLUSTERS;
        size_t now = (size_t)MIN((uint64_t)n, chunk_end - first);
        if (chunk_state(map, chunk) == CHUNK_ZERO) {
            for (size_t i = 0; i < now; i++)
                ret_values[i] = CLUSTER_ZERO;
        } else {
            if (fd_pread_exact(map->fd, ret_values, now * sizeof *ret_values,
                               record_offset(map, first), map->name, err) < 0)
                return -1;
            for (size_t i = 0; i < now; i++)
                ret_values[i] = record_decode(first + i, ret_values[i]);
        }
        first += now;
        ret_values += now;
        n -= now;
    }
    return 0;
}

uint64_t
map_zero_run(struct map *map, uint64_t first, uint64_t max)
{
    uint64_t cluster = first, end = MIN(first + max, map->n_clusters);
    pthread_mutex_lock(&map->lock);
    while (cluster < end && map->directory[cluster / MAP_CHUNK_CLUSTERS] == CHUNK_ZERO)
        cluster = round_down(cluster, MAP_CHUNK_CLUSTERS) + MAP_CHUNK_CLUSTERS;
    pthread_mutex_unlock(&map->lock);
    return MIN(cluster, end) - first;
}
