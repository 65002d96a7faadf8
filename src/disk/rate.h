/* A bandwidth limit shared by the lanes of a copy; may be changed while it runs. */
#ifndef DISK_RATE_H
#define DISK_RATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "disk/disk.h"

struct rate {
    pthread_mutex_t lock;
    uint64_t bytes_per_s; /* 0: no limit */
    int64_t next_ns;      /* when the next byte may go */
};

void rate_init(struct rate *rate, uint64_t bytes_per_s);
void rate_done(struct rate *rate);
void rate_set(struct rate *rate, uint64_t bytes_per_s);

/* Wait until that many bytes may go, or *stop becomes true. */
void rate_wait(struct rate *rate, uint64_t bytes, const atomic_bool *stop);

#endif
