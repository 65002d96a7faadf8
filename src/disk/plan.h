/* The plan: which range is next. One for all lanes of a copy. */
#ifndef DISK_PLAN_H
#define DISK_PLAN_H

#include <pthread.h>

#include "disk/map.h"
#include "disk/source.h"

enum plan_step { PLAN_END, PLAN_DATA, PLAN_ZERO };

struct plan {
    struct source *source;
    struct map *map;
    uint64_t known_below; /* bytes; leave out what the map knows below this */
    bool whole;           /* the disk, and not a list of ranges */
    bool only_zero;       /* leave out data: the rest after a stream */
    pthread_mutex_t lock; /* all that follows */
    struct extent_list ranges;
    size_t range;
    uint64_t position; /* bytes, on a cluster */
    struct extent_list extents;
    size_t extent;  /* the one that holds position, once they were asked for */
    uint64_t chunk; /* of the map, whose records are here */
    uint64_t *records;
    uint64_t held[MAX_LANES]; /* by lane: everything below is done; UINT64_MAX: it has nothing */
};

/* ranges NULL: the whole disk; else copied. known_below: bytes; what the map knows below it is left
 * out (0: nothing, UINT64_MAX: all that it knows). */
int plan_init(struct plan *plan, struct source *source, struct map *map,
              const struct extent_list *ranges, uint64_t known_below, struct err *err);
void plan_done(struct plan *plan);

/* Start again from the first range. */
void plan_rewind(struct plan *plan);

/* The next step, for that lane: PLAN_DATA sets *ret_offset and *ret_len (at most REQUEST_BYTES, or
 * the source's run_bytes), PLAN_ZERO a range of any length that is zero; both in whole clusters.
 * -1: error. Any thread. */
int plan_next(struct plan *plan, unsigned lane, uint64_t *ret_offset, uint64_t *ret_len,
              struct err *err);

/* Of what the lane was given all below that offset is done; UINT64_MAX: everything. Any thread. */
void plan_done_below(struct plan *plan, unsigned lane, uint64_t offset);

/* All ranges below this are done, by whatever lane. Any thread. */
uint64_t plan_reached(struct plan *plan);

/* Is this cluster in the ranges and not known? What a stream asks. Any thread. */
int plan_wants(struct plan *plan, uint64_t cluster, bool *ret, struct err *err);

/* Bytes of the ranges that the map knows already; before the first step. */
int plan_known_bytes(struct plan *plan, uint64_t *ret_bytes, struct err *err);

/* Bytes of the ranges. */
uint64_t plan_bytes(const struct plan *plan);

#endif
