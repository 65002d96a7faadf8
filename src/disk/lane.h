/* A lane: a thread with its own connection that takes requests from free to free again.
 *
 *   free -> reading -> ready -> writing -> free
 *                        `-> differing -^        in a comparison (compare.h); what is equal is free
 *
 * A request is on exactly one list. Sources and targets that wait make the middle steps
 * instantaneous; asynchronous ones move requests from their callbacks.
 */
#ifndef DISK_LANE_H
#define DISK_LANE_H

#include <pthread.h>

#include "disk/checkpoint.h"
#include "disk/copy.h"
#include "disk/plan.h"

struct lane;

struct request_list {
    struct request *first, **last;
    unsigned n;
};

/* What the lanes of a copy share. */
struct copy {
    const struct copy_spec *spec;
    struct copy_progress *progress;
    struct plan plan;
    struct checkpoint checkpoint;
    pthread_mutex_t lock; /* failed */
    struct err failed;    /* the first error of any lane */
    unsigned n_lanes;
    struct lane *lanes; /* they outlive the last flush, which may still complete requests */
};

struct lane {
    struct copy *copy;
    unsigned number;
    pthread_t thread;
    unsigned n_requests;
    struct request *requests;
    /* Where their data is: whole requests have no room for each other, small ones share. By cluster
     * whether it is taken. */
    size_t n_clusters;
    uint8_t *buffers;
    bool *taken;
    bool ended; /* nothing more to read */
    bool full;  /* no room for the next one: something has to end first */
    /* What the plan gave and was not asked for yet; bytes. */
    uint64_t run_at, run_end;
    /* A flush on a shared connection may complete requests from the checkpoint's thread. */
    pthread_mutex_t lock;
    struct request_list free, reading, ready, differing, writing;
};

/* At most n_requests at once, and as many bytes as `depth` whole ones. */
int lane_init(struct lane *lane, struct copy *copy, unsigned number, unsigned depth,
              unsigned n_requests, struct err *err);
void lane_done(struct lane *lane);

/* The thread: until the plan (or stream) is at its end, an error (noted in copy) or a stop. */
void *lane_main(void *arg);

/* Note an error of this copy; the first one counts and stops all lanes. */
void copy_fail(struct copy *copy, const struct err *err);
bool copy_is_stopped(struct copy *copy);

#endif
