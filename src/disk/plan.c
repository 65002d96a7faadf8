#include "disk/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A zero step ends here at the latest: a chunk of the map, which is one byte of its directory. */
#define ZERO_STEP_BYTES (MAP_CHUNK_CLUSTERS * CLUSTER_BYTES)

int
plan_init(struct plan *plan, struct source *source, struct map *map,
          const struct extent_list *ranges, uint64_t known_below, struct err *err)
{
    *plan = (struct plan){
        .source = source,
        .map = map,
        .whole = !ranges,
        .known_below = known_below,
        .chunk = UINT64_MAX,
        .records = calloc(MAP_CHUNK_CLUSTERS, sizeof *plan->records),
    };
    pthread_mutex_init(&plan->lock, NULL);
    for (unsigned i = 0; i < MAX_LANES; i++)
        plan->held[i] = UINT64_MAX;
    if (!plan->records)
        return err_errno(err, ENOMEM, "plan of the copy");
    if (!ranges)
        return extent_add(&plan->ranges, 0, source->bytes, false, err);
    for (size_t i = 0; i < ranges->n; i++)
        if (extent_add(&plan->ranges, ranges->extents[i].offset, ranges->extents[i].len, false,
                       err) < 0)
            return -1;
    return 0;
}

void
plan_done(struct plan *plan)
{
    extent_free(&plan->ranges);
    extent_free(&plan->extents);
    free(plan->records);
    pthread_mutex_destroy(&plan->lock);
}

void
plan_rewind(struct plan *plan)
{
    plan->range = 0;
    plan->position = 0;
    plan->extents.n = 0;
    plan->chunk = UINT64_MAX;
}

uint64_t
plan_bytes(const struct plan *plan)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < plan->ranges.n; i++)
        bytes += plan->ranges.extents[i].len;
    return bytes;
}

/* ---- what the map knows ---- */

static int
load_chunk(struct plan *plan, uint64_t cluster, struct err *err)
{
    uint64_t chunk = cluster / MAP_CHUNK_CLUSTERS;
    if (chunk == plan->chunk)
        return 0;
    uint64_t first = chunk * MAP_CHUNK_CLUSTERS;
    uint64_t end = div_up(plan->source->bytes, CLUSTER_BYTES);
    size_t n = (size_t)MIN((uint64_t)MAP_CHUNK_CLUSTERS, end - first);
    if (map_get(plan->map, first, n, plan->records, err) < 0)
        return -1;
    plan->chunk = chunk;
    return 0;
}

/* Up to where, from position on, all clusters are known (or all are not) within this chunk. */
static int
same_until(struct plan *plan, uint64_t end, bool *ret_known, uint64_t *ret_until, struct err *err)
{
    if (plan->position >= plan->known_below) {
        *ret_known = false;
        *ret_until = end;
        return 0;
    }
    end = MIN(end, plan->known_below);
    uint64_t cluster = plan->position / CLUSTER_BYTES;
    if (load_chunk(plan, cluster, err) < 0)
        return -1;
    uint64_t in_chunk = cluster % MAP_CHUNK_CLUSTERS;
    uint64_t left = MIN(MAP_CHUNK_CLUSTERS - in_chunk, div_up(end - plan->position, CLUSTER_BYTES));
    bool known = plan->records[in_chunk] != CLUSTER_UNKNOWN;
    uint64_t n = 1;
    while (n < left && (plan->records[in_chunk + n] != CLUSTER_UNKNOWN) == known)
        n++;
    *ret_known = known;
    *ret_until = MIN(plan->position + n * CLUSTER_BYTES, end);
    return 0;
}

int
plan_known_bytes(struct plan *plan, uint64_t *ret_bytes, struct err *err)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < plan->ranges.n; i++) {
        uint64_t end = plan->ranges.extents[i].offset + plan->ranges.extents[i].len;
        end = MIN(end, plan->known_below);
        uint64_t until;
        plan->position = plan->ranges.extents[i].offset;
        for (; plan->position < end; plan->position = until) {
            bool known;
            if (same_until(plan, end, &known, &until, err) < 0)
                return -1;
            bytes += known ? until - plan->position : 0;
        }
    }
    plan_rewind(plan);
    *ret_bytes = bytes;
    return 0;
}

int
plan_wants(struct plan *plan, uint64_t cluster, bool *ret, struct err *err)
{
    uint64_t offset = cluster * CLUSTER_BYTES;
    size_t low = 0, high = plan->ranges.n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct extent *range = &plan->ranges.extents[middle];
        if (range->offset + range->len <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    *ret = low < plan->ranges.n && plan->ranges.extents[low].offset <= offset;
    if (!*ret || offset >= plan->known_below)
        return 0;
    pthread_mutex_lock(&plan->lock);
    int r = load_chunk(plan, cluster, err);
    if (r == 0 && plan->records[cluster % MAP_CHUNK_CLUSTERS] != CLUSTER_UNKNOWN)
        *ret = false;
    pthread_mutex_unlock(&plan->lock);
    return r;
}

/* ---- extents ---- */

/* A whole disk always is; a range of a list only when it is long. */
static bool
is_worth_asking(const struct plan *plan)
{
    const struct source *source = plan->source;
    return source->ops->extents &&
           (plan->whole || plan->ranges.extents[plan->range].len >= source->ask_bytes);
}

/* Make plan->extent the one that holds position. */
static int
find_extent(struct plan *plan, uint64_t end, struct err *err)
{
    struct extent_list *list = &plan->extents;
    while (plan->extent < list->n &&
           list->extents[plan->extent].offset + list->extents[plan->extent].len <= plan->position)
        plan->extent++;
    if (plan->extent < list->n && list->extents[plan->extent].offset <= plan->position)
        return 0;
    plan->extent = 0;
    const struct source_ops *ops = plan->source->ops;
    uint64_t len = end - plan->position;
    extent_clear(list);
    int r = is_worth_asking(plan) ? ops->extents(plan->source, plan->position, len, list, err)
                                  : extent_add(list, plan->position, len, false, err);
    if (r < 0)
        return -1;
    if (list->n == 0 || list->extents[0].offset != plan->position)
        return err_set(err, ERR_BUG, "%s: no extent at %" PRIu64, plan->source->name,
                       plan->position);
    return 0;
}

/* Where the zeroes that position stands in end, in whole clusters; position if there are none. */
static uint64_t
zero_until(const struct plan *plan, uint64_t position)
{
    const struct extent_list *list = &plan->extents;
    size_t i = plan->extent;
    while (i < list->n && list->extents[i].offset + list->extents[i].len <= position)
        i++;
    if (i == list->n || !list->extents[i].zero)
        return position;
    uint64_t end = list->extents[i].offset + list->extents[i].len;
    if (end < plan->source->bytes)
        end = round_down(end, CLUSTER_BYTES);
    return MAX(end, position);
}

/* The most that one step gives: smaller towards the end, so that no lane works on alone. */
static uint64_t
longest_step(const struct plan *plan)
{
    const struct source *source = plan->source;
    uint64_t share = (source->bytes - plan->position) / (2 * MAX(source->n_lanes, 1u));
    uint64_t run = MIN(source->run_bytes, round_down(share, REQUEST_BYTES));
    return MAX(run, REQUEST_BYTES);
}

/* Where the data that position stands in ends; behind the last extent that is known nothing can be
 * said. */
static uint64_t
data_until(const struct plan *plan, uint64_t end)
{
    const struct extent *last = &plan->extents.extents[plan->extents.n - 1];
    uint64_t at = plan->position;
    end = MIN(end, plan->position + longest_step(plan));
    end = MIN(end, round_up(last->offset + last->len, CLUSTER_BYTES));
    do
        at = MIN(at + CLUSTER_BYTES, end);
    while (at < end && zero_until(plan, at) == at);
    return at;
}

static int
step(struct plan *plan, uint64_t *ret_offset, uint64_t *ret_len, struct err *err)
{
    for (;;) {
        if (plan->range == plan->ranges.n)
            return PLAN_END;
        const struct extent *range = &plan->ranges.extents[plan->range];
        uint64_t end = range->offset + range->len;
        plan->position = MAX(plan->position, range->offset);
        if (plan->position >= end) {
            plan->range++;
            continue;
        }
        bool known;
        uint64_t until;
        if (same_until(plan, end, &known, &until, err) < 0)
            return -1;
        if (known) {
            plan->position = until;
            continue;
        }
        if (find_extent(plan, end, err) < 0)
            return -1;
        uint64_t begin = plan->position, zero_end = MIN(zero_until(plan, begin), until);
        bool zero = zero_end > begin;
        plan->position = zero ? MIN(zero_end, round_down(begin, ZERO_STEP_BYTES) + ZERO_STEP_BYTES)
                              : data_until(plan, until);
        if (!zero && plan->only_zero)
            continue;
        *ret_offset = begin;
        *ret_len = plan->position - begin;
        return zero ? PLAN_ZERO : PLAN_DATA;
    }
}

int
plan_next(struct plan *plan, unsigned lane, uint64_t *ret_offset, uint64_t *ret_len,
          struct err *err)
{
    pthread_mutex_lock(&plan->lock);
    int r = step(plan, ret_offset, ret_len, err);
    if (r == PLAN_DATA || r == PLAN_ZERO)
        plan->held[lane] = MIN(plan->held[lane], *ret_offset);
    pthread_mutex_unlock(&plan->lock);
    return r;
}

void
plan_done_below(struct plan *plan, unsigned lane, uint64_t offset)
{
    pthread_mutex_lock(&plan->lock);
    plan->held[lane] = offset;
    pthread_mutex_unlock(&plan->lock);
}

uint64_t
plan_reached(struct plan *plan)
{
    pthread_mutex_lock(&plan->lock);
    uint64_t reached = plan->position;
    for (unsigned i = 0; i < MAX_LANES; i++)
        reached = MIN(reached, plan->held[i]);
    pthread_mutex_unlock(&plan->lock);
    return reached;
}
