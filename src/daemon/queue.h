/* Whose turn it is to have a worker. No I/O; the time is given.
 *
 * A moment is kept in the store in seconds of the wall clock, so that it survives this process, and
 * is waited for on the monotonic clock. The wall clock may jump in between: by how long a migration
 * was to wait when its moment was written, and by no more, can that bring it forward or put it off.
 */
#ifndef DAEMON_QUEUE_H
#define DAEMON_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

/* The place of one migration; part of its own struct. */
struct queue_place {
    struct queue_place *next;
    bool waits;     /* it has no worker and is to get one */
    bool urgent;    /* a cutover or a cancellation that somebody waits for */
    int64_t due_ns; /* clock_now_ns; not before */
    uint64_t turn;  /* of queue_add, between those that are due at the same moment */
    int64_t due_at; /* unix s: due_ns as it was written down, at written_at; 0: it was not */
    int64_t written_at;
};

struct queue {
    struct queue_place *first;
    uint64_t turns;
};

void queue_add(struct queue *queue, struct queue_place *place);
void queue_remove(struct queue *queue, struct queue_place *place);

/* The moment of clock_now_ns for a due_at (unix s; 0 or past: now_ns) that was written at
 * written_at, when it is now wall_s on the wall clock and now_ns on the other. */
int64_t queue_due_ns(int64_t due_at, int64_t written_at, int64_t wall_s, int64_t now_ns);

/* The wall clock was set, and says wall_s now: who waits for a moment of it waits until then, and
 * no longer than he was to. */
void queue_clock_set(struct queue *queue, int64_t wall_s, int64_t now_ns);

/* Who is next: NULL when nobody is due. The urgent ones first, then whoever has been due longest,
 * so that nobody starves. */
struct queue_place *queue_next(const struct queue *queue, int64_t now_ns);

/* When the first of those that are not due yet will be; -1: never. */
int64_t queue_wake_ns(const struct queue *queue, int64_t now_ns);

/* How long to wait before the n-th start in a row of what has died (n from 1), seconds. */
int64_t queue_backoff_s(unsigned n);

#endif
