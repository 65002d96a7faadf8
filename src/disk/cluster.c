#include "disk/cluster.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Real data shows itself in the first bytes nearly always, so a short look comes first. After
 * that, a buffer is zero when its start is and every byte equals the one 16 places before it:
 * memcmp does that at the speed of memory. */
bool
bytes_are_zero(const void *data, size_t len)
{
    static const uint8_t zeroes[16];
    size_t head = MIN(len, sizeof zeroes);
    if (memcmp(data, zeroes, head) != 0)
        return false;
    return len <= head || memcmp(data, (const uint8_t *)data + head, len - head) == 0;
}

uint64_t
cluster_hash(const void *data, size_t len)
{
    if (bytes_are_zero(data, len))
        return CLUSTER_ZERO;
    uint64_t hash = XXH3_64bits(data, len) >> (64 - CLUSTER_HASH_BITS);
    return hash <= CLUSTER_ZERO ? hash + 2 : hash;
}
