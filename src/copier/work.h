/* One job while it runs: what job.c and image.c share. */
#ifndef COPIER_WORK_H
#define COPIER_WORK_H

#include "copier/job.h"
#include "disk/verify.h"

/* What is open while the job runs. */
struct work {
    struct job *job;
    enum verify_kind verify;
    struct written *written; /* what is written, when that is to be verified */
    const char *final;       /* name of the target */
    char *image;             /* what is written: final, or final.part */
    char *map_path;          /* NULL: in memory */
    char *kept_map_path;     /* its name when the image has its own; NULL: it has it, or goes */
    bool map_has_last_name;  /* it is at kept_map_path already */
    uint64_t verified_bytes;
    bool in_place; /* the target exists and is written as it is */
    bool keep_map;
    bool owns_image; /* it is locked by us: we may remove it */
    bool copied;     /* the image is complete */
    bool resume;
    struct extent_list ranges;
    bool has_ranges;
    bool compare; /* with what the map knows of the image that is there */
    struct source *source;
    struct target *target;
    struct map *map;
};

/* The map that the parent named; NULL: none. */
const char *work_map_given(const struct work *w);
const json_t *work_target(const struct work *w);

/* Open the image and its map: those of an earlier run, new ones, or for ranges and comparisons what
 * must be there. Sets target, map, resume and owns_image. */
int work_open_image(struct work *w, struct err *err);

#endif
