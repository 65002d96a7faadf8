/* A lane of a disk that VMware's library reads: its handle, and the reads on it.
 *
 * All calls are made by the lane's thread, but for init, ready and done. How it works is told at
 * the top of source-vddk.c.
 */
#ifndef DISK_VDDK_LANE_H
#define DISK_VDDK_LANE_H

#include <pthread.h>

#include "disk/vddk-disk.h"
#include "disk/vddk-pace.h"

/* Reads in flight on an asynchronous lane. An ESXi host has memory for about 48 of them, for all
 * its clients. */
#define VDDK_DEPTH 16

/* And of those that are shorter, which take that much less of its memory: scattered changes are
 * mostly of 64 KiB, and each costs a round trip. */
#define VDDK_SMALL_FACTOR 4
#define VDDK_SMALL_DEPTH (VDDK_SMALL_FACTOR * VDDK_DEPTH)

/* What the lanes of a disk share. */
struct vddk_session {
    struct vddk_access access;
    int (*renew)(const char *what, char **ret_value, void *arg, struct err *err); /* or NULL */
    void *renew_arg;
    const struct source *source; /* who says whether the copy was stopped */
    unsigned n_open;             /* lanes whose disk was opened */
};

struct slot {
    struct vddk_lane *lane;
    struct request *req;
    size_t done;    /* bytes of it that are there */
    size_t piece;   /* bytes of the read under way */
    unsigned tries; /* that failed since the last one that did not */
    uint64_t mark;  /* of the library's log, before it began */
    struct slot *next;

    /* With the lane's lock, while it is in flight. */
    bool answered;
    uint64_t error;
};

struct slot_queue {
    struct slot *first, **last;
};

struct vddk_lane {
    struct vddk_session *session;
    struct vddk_disk disk;
    struct vddk_pace pace;

    /* Of an asynchronous one. */
    struct slot slots[VDDK_SMALL_DEPTH];
    struct slot *free;
    struct slot_queue waiting;
    unsigned in_flight;
    size_t in_flight_bytes;
    bool has_begun;       /* a read, ever */
    int event_fd;         /* readable: dispatch */
    pthread_mutex_t lock; /* ended, and what slots say */
    struct slot_queue ended;
};

/* Nothing is open then; ready: before the first read, with whole reads of the depth (at most
 * VDDK_DEPTH) at once, or VDDK_SMALL_FACTOR times as many that are short; done: closes its disk. */
void vddk_lane_init(struct vddk_lane *lane, struct vddk_session *session);
int vddk_lane_ready(struct vddk_lane *lane, unsigned depth, struct err *err);
void vddk_lane_done(struct vddk_lane *lane);

/* The thread's first and last call. After end the library has nothing under way. */
void vddk_lane_begin(struct vddk_lane *lane);
void vddk_lane_end(struct vddk_lane *lane);

/* The one whose thread is asking; NULL: another thread. */
struct vddk_lane *vddk_lane_own(void);

/* Asynchronous: begin a request, which request_read_done ends; what is there to be done when
 * event_fd is readable. */
int vddk_lane_submit(struct vddk_lane *lane, struct request *req, struct err *err);
int vddk_lane_dispatch(struct vddk_lane *lane, struct err *err);

/* The other way: read a request and wait. */
int vddk_lane_read(struct vddk_lane *lane, struct request *req, struct err *err);

/* Wait before try number tries + 1. ERR_CANCELLED: the copy was stopped. */
int vddk_pause(const struct vddk_session *session, unsigned tries, struct err *err);

#endif
