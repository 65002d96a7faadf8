#include "disk/qcow2-map.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"

/* A place in the cache. entries is big endian, as on disk. */
struct qcow2_cached_table {
    uint64_t *entries;
    uint64_t last_use;
    uint32_t l1_index;
    bool used;
    bool dirty;
};

/* ---- life ---- */

static int
load_l1(struct qcow2_map *map, struct err *err)
{
    if (fd_pread_exact(map->fd, map->l1, (size_t)map->l1_entries * 8, map->l1_offset, map->name,
                       err) < 0)
        return -1;
    for (uint32_t i = 0; i < map->l1_entries; i++) {
        map->l1[i] = be64toh(map->l1[i]);
        uint64_t offset = map->l1[i] & QCOW2_ENTRY_OFFSET;
        if (offset % CLUSTER_BYTES != 0 || (map->l1[i] && !offset))
            return err_set(err, ERR_INVALID, "%s: qcow2 image is damaged: L1 entry %" PRIu32,
                           map->name, i);
    }
    return 0;
}

int
qcow2_map_init(struct qcow2_map *map, int fd, const char *name, struct qcow2_refs *refs,
               const struct qcow2_header *header, bool load, struct err *err)
{
    *map = (struct qcow2_map){
        .fd = fd,
        .name = name,
        .refs = refs,
        .l1_entries = header->l1_entries,
        .l1_offset = header->l1_offset,
        .l1 = calloc(header->l1_entries, sizeof *map->l1),
        .cached_in = calloc(header->l1_entries, sizeof *map->cached_in),
        .cache = calloc(QCOW2_CACHE_TABLES, sizeof *map->cache),
        .cache_data = aligned_alloc(IO_ALIGN, QCOW2_CACHE_TABLES * CLUSTER_BYTES),
    };
    if (!map->l1 || !map->cached_in || !map->cache || !map->cache_data)
        return err_errno(err, ENOMEM, "%s: qcow2 tables", name);
    for (size_t i = 0; i < QCOW2_CACHE_TABLES; i++)
        map->cache[i].entries = (uint64_t *)(map->cache_data + i * CLUSTER_BYTES);
    map->l1_dirty_first = UINT32_MAX;
    return load ? load_l1(map, err) : 0;
}

void
qcow2_map_doubt(struct qcow2_map *map)
{
    map->doubts = true;
    map->l1_dirty_first = 0;
    map->l1_dirty_end = map->l1_entries;
}

void
qcow2_map_free(struct qcow2_map *map)
{
    free(map->l1);
    free(map->cached_in);
    free(map->cache);
    free(map->cache_data);
    *map = (struct qcow2_map){ 0 };
}

/* ---- the cache ---- */

static int
write_table(struct qcow2_map *map, struct qcow2_cached_table *table, struct err *err)
{
    if (fd_pwrite(map->fd, table->entries, CLUSTER_BYTES,
                  map->l1[table->l1_index] & QCOW2_ENTRY_OFFSET, map->name, err) < 0)
        return -1;
    table->dirty = false;
    return 0;
}

/* The least recently used place, emptied. */
static int
free_place(struct qcow2_map *map, struct qcow2_cached_table **ret, struct err *err)
{
    struct qcow2_cached_table *oldest = &map->cache[0];
    for (size_t i = 0; i < QCOW2_CACHE_TABLES; i++) {
        struct qcow2_cached_table *table = &map->cache[i];
        if (!table->used) {
            oldest = table;
            break;
        }
        if (table->last_use < oldest->last_use)
            oldest = table;
    }
    if (oldest->used && oldest->dirty && write_table(map, oldest, err) < 0)
        return -1;
    if (oldest->used)
        map->cached_in[oldest->l1_index] = 0;
    oldest->used = false;
    *ret = oldest;
    return 0;
}

static int
new_table(struct qcow2_map *map, struct qcow2_cached_table *table, uint32_t l1_index,
          struct err *err)
{
    uint64_t first, n;
    if (qcow2_refs_alloc(map->refs, 1, &first, &n, err) < 0)
        return err_prefix(err, "%s", map->name);
    memset(table->entries, 0, CLUSTER_BYTES);
    table->dirty = true;
    map->l1[l1_index] = first * CLUSTER_BYTES | QCOW2_ENTRY_COPIED;
    map->l1_dirty_first = MIN(map->l1_dirty_first, l1_index);
    map->l1_dirty_end = MAX(map->l1_dirty_end, l1_index + 1);
    return 0;
}

/* *ret is NULL when there is no table and create is false. */
static int
get_table(struct qcow2_map *map, uint64_t cluster, bool create, struct qcow2_cached_table **ret,
          struct err *err)
{
    uint32_t l1_index = (uint32_t)(cluster / QCOW2_L2_ENTRIES);
    if (l1_index >= map->l1_entries)
        return err_set(err, ERR_BUG, "%s: cluster %" PRIu64 " is outside the disk", map->name,
                       cluster);
    struct qcow2_cached_table *table = NULL;
    if (map->cached_in[l1_index]) {
        table = &map->cache[map->cached_in[l1_index] - 1];
    } else if (map->l1[l1_index] || create) {
        if (free_place(map, &table, err) < 0)
            return -1;
        int r = map->l1[l1_index]
                    ? fd_pread_exact(map->fd, table->entries, CLUSTER_BYTES,
                                     map->l1[l1_index] & QCOW2_ENTRY_OFFSET, map->name, err)
                    : new_table(map, table, l1_index, err);
        if (r < 0)
            return -1;
        table->dirty |= map->doubts;
        table->used = true;
        table->l1_index = l1_index;
        map->cached_in[l1_index] = (uint16_t)(table - map->cache + 1);
    }
    if (table)
        table->last_use = ++map->use_count;
    *ret = table;
    return 0;
}

/* ---- entries ---- */

bool
qcow2_map_is_empty(const struct qcow2_map *map, uint64_t cluster)
{
    return map->l1[cluster / QCOW2_L2_ENTRIES] == 0;
}

int
qcow2_map_get(struct qcow2_map *map, uint64_t cluster, uint64_t *ret_entry, struct err *err)
{
    struct qcow2_cached_table *table;
    if (get_table(map, cluster, false, &table, err) < 0)
        return -1;
    *ret_entry = table ? be64toh(table->entries[cluster % QCOW2_L2_ENTRIES]) : 0;
    return 0;
}

int
qcow2_map_set(struct qcow2_map *map, uint64_t cluster, uint64_t entry, struct err *err)
{
    struct qcow2_cached_table *table;
    if (get_table(map, cluster, true, &table, err) < 0)
        return -1;
    table->entries[cluster % QCOW2_L2_ENTRIES] = htobe64(entry);
    table->dirty = true;
    return 0;
}

int
qcow2_map_write(struct qcow2_map *map, void **ret_l1, size_t *ret_len, uint64_t *ret_offset,
                struct err *err)
{
    for (size_t i = 0; i < QCOW2_CACHE_TABLES; i++)
        if (map->cache[i].used && map->cache[i].dirty && write_table(map, &map->cache[i], err) < 0)
            return -1;
    *ret_l1 = NULL;
    if (map->l1_dirty_first >= map->l1_dirty_end)
        return 0;
    uint32_t n = map->l1_dirty_end - map->l1_dirty_first;
    uint64_t *copy = malloc(n * sizeof *copy);
    if (!copy)
        return err_errno(err, ENOMEM, "%s: L1 table", map->name);
    for (uint32_t i = 0; i < n; i++)
        copy[i] = htobe64(map->l1[map->l1_dirty_first + i]);
    *ret_l1 = copy;
    *ret_len = n * sizeof *copy;
    *ret_offset = map->l1_offset + (uint64_t)map->l1_dirty_first * sizeof *copy;
    map->l1_dirty_first = UINT32_MAX;
    map->l1_dirty_end = 0;
    return 0;
}

/* ---- claiming what is used ---- */

static int
claim_at(struct qcow2_map *map, uint64_t offset, uint64_t file_bytes, struct err *err)
{
    if (offset % CLUSTER_BYTES != 0 || offset >= file_bytes || file_bytes - offset < CLUSTER_BYTES)
        return err_set(err, ERR_INVALID,
                       "%s: qcow2 image is damaged: a table points to byte %" PRIu64, map->name,
                       offset);
    if (qcow2_refs_claim(map->refs, offset / CLUSTER_BYTES, 1, err) < 0)
        return err_prefix(err, "%s", map->name);
    return 0;
}

static int
claim_data(struct qcow2_map *map, const uint64_t *entries, uint64_t file_bytes, struct err *err)
{
    for (size_t i = 0; i < QCOW2_L2_ENTRIES; i++) {
        uint64_t entry = be64toh(entries[i]);
        if (entry & QCOW2_ENTRY_COMPRESSED)
            return err_set(err, ERR_INVALID,
                           "%s: qcow2 image has compressed clusters, which are not written in "
                           "place",
                           map->name);
        uint64_t offset = entry & QCOW2_ENTRY_OFFSET;
        if (offset && claim_at(map, offset, file_bytes, err) < 0)
            return -1;
    }
    return 0;
}

int
qcow2_map_claim(struct qcow2_map *map, uint64_t file_bytes, struct err *err)
{
    auto_free uint64_t *entries = malloc(CLUSTER_BYTES);
    if (!entries)
        return err_errno(err, ENOMEM, "%s: L2 table", map->name);
    for (uint32_t i = 0; i < map->l1_entries; i++) {
        uint64_t offset = map->l1[i] & QCOW2_ENTRY_OFFSET;
        if (offset == 0)
            continue;
        if (claim_at(map, offset, file_bytes, err) < 0)
            return -1;
        /* The last cluster of a file may be cut short where the rest of it is zero. */
        ssize_t n = fd_pread(map->fd, entries, CLUSTER_BYTES, offset, map->name, err);
        if (n < 0)
            return -1;
        memset((uint8_t *)entries + n, 0, CLUSTER_BYTES - (size_t)n);
        if (claim_data(map, entries, file_bytes, err) < 0)
            return -1;
    }
    return 0;
}
