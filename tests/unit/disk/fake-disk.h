/* A source and a target in memory whose requests end late, out of order and, where it is asked for,
 * with an error. */
#ifndef TEST_FAKE_DISK_H
#define TEST_FAKE_DISK_H

#include <pthread.h>

#include "disk/source.h"
#include "disk/target.h"

#define FAKE_LANES 4

/* Requests under way on one lane, ended by the lane's own thread when it polls. */
struct fake_queue {
    int event_fd;
    uint64_t seed;
    size_t n, most;
    struct fake_io {
        struct request *req;
        const void *data; /* of a write */
        uint64_t offset;
        size_t len;
    } ios[64];
};

struct fake_disk {
    uint8_t *bytes;
    uint64_t n_bytes;
    uint64_t fail_from, fail_to; /* reading or writing here fails; empty: nothing does */
    pthread_mutex_t lock;        /* all that follows */
    unsigned n_reads, n_writes, n_zeroes, n_flushes;
    uint64_t read_bytes;
    unsigned n_buffers; /* different ones that were seen */
    const void *buffers[256];
};

struct fake_source {
    struct source source;
    struct fake_disk disk;
    uint64_t granule; /* extents are told in this unit */
    size_t extents_max;
    struct fake_queue queues[FAKE_LANES];
};

struct fake_target {
    struct target target;
    struct fake_disk disk;
    struct fake_queue queues[FAKE_LANES];
};

/* Random data with zeroes here and there. */
void fake_fill(struct fake_disk *disk, uint64_t seed);

void fake_source_open(struct fake_source *fake, uint64_t bytes, bool async, unsigned n_lanes,
                      unsigned depth);
void fake_source_close(struct fake_source *fake);
/* Full of something else at the start, unless zero_at_start. */
void fake_target_open(struct fake_target *fake, uint64_t bytes, bool async, bool zero_at_start);
void fake_target_close(struct fake_target *fake);

/* After a copy that failed: what was under way is gone, as it is with a connection that is closed.
 */
void fake_reconnect(struct fake_source *source, struct fake_target *target);

#endif
