/* The migrations of one `vmferry run`: handed to the daemon, and followed until they have ended. */
#ifndef CLI_RUN_BATCH_H
#define CLI_RUN_BATCH_H

#include "cli/daemon-client.h"
#include "cli/migration.h"
#include "cli/spec-set.h"

struct run_view;

/* When something of a disk was last shown. */
struct batch_disk {
    char label[64];
    int pct;
    int64_t at_ns;
};

struct batch_vm {
    const struct spec_entry *entry;
    const char *name; /* borrowed from the spec */
    char *id;         /* NULL: the daemon has not taken it */
    json_t *json;     /* as it was last heard of; NULL: never */
    int64_t seen;     /* the last of its events */
    bool begun;       /* the view was told that it has begun */
    bool refused;     /* by the daemon: why */
    struct err why;
    bool over;        /* nothing more will happen: it has ended, failed, or was refused */
    bool left_asking; /* nobody here can or will answer its question */
    struct batch_disk *disks;
    size_t n_disks;
};

struct batch {
    struct batch_vm *vms;
    size_t n;
    json_t *options; /* of the command line, for all of them */
    struct daemon *daemon;
    struct run_view *view;
};

/* files must outlive it. Takes over options. */
int batch_init(struct batch *batch, const struct spec_set *files, json_t *options,
               struct daemon *daemon, struct run_view *view, struct err *err);
void batch_free(struct batch *batch);

/* Hand those to the daemon that are not over. What it refuses is over; one that had failed before
 * is tried again. -1: the daemon cannot be spoken with. */
int batch_post(struct batch *batch, struct err *err);

/* Ask how they all are, and have the view show what is new. -1: as above. */
int batch_poll(struct batch *batch, struct err *err);

/* Answer the question how a machine is shut down: "force" or "manual". */
int batch_answer(struct batch *batch, struct batch_vm *vm, const char *choice, struct err *err);

/* The next that asks and was not left; NULL: none. */
struct batch_vm *batch_asking(struct batch *batch);

/* All are over, or left asking. */
bool batch_is_over(const struct batch *batch);

struct batch_sum {
    size_t done, failed, asking, open;
};
void batch_count(const struct batch *batch, struct batch_sum *ret);

#endif
