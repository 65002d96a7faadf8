/* A map that was found beside an image. Its checksum is made right, or nothing behind it would ever
 * be looked at. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "disk/map.h"

#define SLOT_BYTES 4096
#define CHECKSUM_AT 4088
#define FILE_BYTES (64 * KIB) /* so that small maps are whole */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
use(struct map *map)
{
    struct err err = ERR_INIT;
    uint64_t values[REQUEST_CLUSTERS] = { 7 };
    uint64_t n = div_up(map_info(map)->disk_bytes, CLUSTER_BYTES);
    uint64_t some = MIN(n, (uint64_t)REQUEST_CLUSTERS);
    struct map_info info = *map_info(map);
    map_get(map, n - some, (size_t)some, values, &err);
    map_set(map, n - some, (size_t)some, values, &err);
    map_zero_run(map, 0, n);
    map_fill(map, 0, some, CLUSTER_ZERO, &err);
    map_set_info(map, &info, &err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct err err = ERR_INIT;
    char path[32];
    uint8_t slots[2 * SLOT_BYTES] = { 0 };
    memcpy(slots, data, MIN(len, sizeof slots));
    for (size_t i = 0; i < sizeof slots; i += SLOT_BYTES) {
        uint64_t sum = XXH3_64bits(slots + i, CHECKSUM_AT);
        memcpy(slots + i + CHECKSUM_AT, &sum, sizeof sum);
    }
    auto_close int fd = memfd_create("map", MFD_CLOEXEC);
    if (fd < 0 || fd_write(fd, slots, sizeof slots, "map", &err) < 0)
        return 0;
    if (len > sizeof slots &&
        fd_write(fd, data + sizeof slots, len - sizeof slots, "map", &err) < 0)
        return 0;
    if (len < FILE_BYTES && ftruncate(fd, FILE_BYTES) < 0)
        return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct map *map;
    if (map_open(path, &map, &err) < 0)
        return 0;
    use(map);
    map_close(map);
    return 0;
}
