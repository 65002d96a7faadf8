/* Checkpoints: from "written" to "durable, and the map knows".
 *
 * Lanes hand in what they have written; a thread of its own flushes the image, then enters the
 * records, then flushes the map. What is written and not yet in the map is bounded, and that bound
 * is what a killed copy has to do again.
 */
#ifndef DISK_CHECKPOINT_H
#define DISK_CHECKPOINT_H

#include <pthread.h>

#include "disk/map.h"
#include "disk/target.h"

/* A checkpoint begins when this much is waiting for one ... */
#define CHECKPOINT_BYTES (24 * MIB)
/* ... or after this long; and lanes wait when this much is written and not in the map. With the
 * requests in flight (16 MiB) it is below the 64 MiB that we promise. */
#define CHECKPOINT_NS (5 * NS_PER_S)
#define CHECKPOINT_LIMIT_BYTES (46 * MIB)

struct checkpoint_entry {
    uint64_t first; /* cluster */
    uint64_t n;     /* clusters */
    bool zero;      /* all of them; values do not count */
    uint64_t values[REQUEST_CLUSTERS];
};

struct checkpoint_batch {
    size_t n, cap;
    uint64_t bytes; /* of data */
    struct checkpoint_entry *entries;
};

struct checkpoint {
    struct target *target;
    struct map *map;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock; /* all that follows */
    pthread_cond_t changed;
    uint64_t (*reached)(void *arg);
    void *reached_arg;
    struct checkpoint_batch filling;
    struct checkpoint_batch storing; /* only the thread's while it stores */
    bool draining;
    bool closing;
    struct err failed;
};

/* A thread is started only for a durable map; for others records are entered at once. */
int checkpoint_start(struct checkpoint *cp, struct target *target, struct map *map,
                     struct err *err);

/* Hand in one range that is written. May wait. Fails when a checkpoint has failed. */
int checkpoint_add(struct checkpoint *cp, const struct checkpoint_entry *entry, uint64_t bytes,
                   struct err *err);

/* From now on the map's info remembers with each checkpoint (and every CHECKPOINT_NS) up to which
 * byte all is done, by what has been handed in before `reached` is called, which says so. */
void checkpoint_remember(struct checkpoint *cp, uint64_t (*reached)(void *arg), void *arg);

/* Wait until all that was handed in is durable and in the map; at once without a thread. */
int checkpoint_drain(struct checkpoint *cp, struct err *err);

/* The last checkpoint, and the end of the thread. After it nothing is waiting. */
int checkpoint_finish(struct checkpoint *cp, struct err *err);

#endif
