/* Reading an image again and comparing it with the map. */
#ifndef DISK_VERIFY_H
#define DISK_VERIFY_H

#include "disk/copy.h"

enum verify_kind {
    VERIFY_NONE,
    VERIFY_FULL,
    VERIFY_CHANGED, /* what this copy wrote */
    VERIFY_SAMPLE,  /* one random cluster of each VERIFY_SAMPLE_STRIDE (at least
                       VERIFY_SAMPLE_MIN), and the first and the last VERIFY_EDGE_BYTES, where
                       partition tables and their copies are */
};

#define VERIFY_SAMPLE_STRIDE 100
#define VERIFY_SAMPLE_MIN 256
#define VERIFY_EDGE_BYTES MIB

/* "none", "full", "changed", "sample"; ERR_INVALID for another word. */
int verify_kind_of(const char *word, enum verify_kind *ret, struct err *err);

struct verify_spec {
    enum verify_kind kind;   /* not VERIFY_NONE */
    struct written *written; /* VERIFY_CHANGED: what the copy noted */
    uint64_t seed;           /* VERIFY_SAMPLE */
};

/* These clusters of the image have the content that the map remembers, read past the caches of this
 * host where that can be. progress->done_bytes counts, of total_bytes. ERR_IO names the first
 * extents that differ (the map no longer knows them then); ERR_INVALID when the map does not know
 * one of them. */
int verify_run(struct target *target, struct map *map, const struct verify_spec *spec,
               struct copy_progress *progress, struct err *err);

#endif
