/* The copy: from a source, through a buffer, into a target, with the map as witness. */
#ifndef DISK_COPY_H
#define DISK_COPY_H

#include <stdatomic.h>

#include "disk/map.h"
#include "disk/rate.h"
#include "disk/source.h"
#include "disk/target.h"
#include "disk/written.h"

/* What anyone may look at while it runs, and the switch that stops it. */
struct copy_progress {
    atomic_bool stop;             /* set by the owner: stop at the next request */
    _Atomic uint64_t total_bytes; /* of the disk, or of the ranges */
    _Atomic uint64_t done_bytes;  /* data, zeroes, and what an earlier run had done */
    _Atomic uint64_t data_bytes;  /* read with content that is not zero */
    _Atomic uint64_t zero_bytes;
    _Atomic uint64_t read_bytes;    /* taken from the source in this run */
    _Atomic uint64_t written_bytes; /* given to the target in this run, zeroes included */
    _Atomic uint64_t known_bytes;   /* done by an earlier run */
};

struct copy_spec {
    struct source *source;
    struct target *target;
    struct map *map;                  /* always there; in memory if need be */
    const struct extent_list *ranges; /* NULL: the whole disk */
    bool resume;                      /* what the map knows is not copied again ... */
    bool compare;            /* only what differs from the map's records is written; what it knows
                                is left out below its info's compared_bytes */
    struct written *written; /* what is written is noted here; NULL: nowhere */
    struct rate *rate;
};

/* Runs until all is copied and durable, and the image finished; starts threads and joins them all.
 * On failure the map tells what is durable. ERR_CANCELLED when stopped. */
int copy_disk(const struct copy_spec *spec, struct copy_progress *progress, struct err *err);

#endif
