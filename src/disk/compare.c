#include "disk/compare.h"

int
compare_request(struct map *map, struct request *req, struct err *err)
{
    uint64_t known[REQUEST_CLUSTERS];
    size_t n = request_clusters(req);
    if (map_get(map, req->offset / CLUSTER_BYTES, n, known, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (known[i] == req->hashes[i]) /* which is never CLUSTER_UNKNOWN */
            req->present &= ~(UINT32_C(1) << i);
    return 0;
}

int
compare_forget(struct map *map, const struct request *req, struct err *err)
{
    size_t n = request_clusters(req), end;
    for (size_t i = 0; i < n; i = end + 1) {
        for (end = i; end < n && (req->present >> end & 1); end++)
            ;
        if (end > i &&
            map_fill(map, req->offset / CLUSTER_BYTES + i, end - i, CLUSTER_UNKNOWN, err) < 0)
            return -1;
    }
    return 0;
}

int
compare_not_zero(struct map *map, uint64_t *at, uint64_t end, uint64_t *ret_first, uint64_t *ret_n,
                 struct err *err)
{
    uint64_t known[COMPARE_WINDOW];
    uint64_t first = *at + map_zero_run(map, *at, end - *at);
    size_t n = (size_t)MIN(end - first, (uint64_t)COMPARE_WINDOW), i = 0;
    if (map_get(map, first, n, known, err) < 0)
        return -1;
    while (i < n && known[i] == CLUSTER_ZERO)
        i++;
    size_t begin = i;
    while (i < n && known[i] != CLUSTER_ZERO)
        i++;
    *at = first + i;
    *ret_first = first + begin;
    *ret_n = i - begin;
    return i > begin;
}
