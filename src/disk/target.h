/* Where the bytes of a disk go.
 *
 * Offsets and lengths given to write and zero are whole clusters, except where the disk ends.
 * Different lanes call write, zero and read at the same time, on disjoint ranges; flush at any
 * time, from one thread.
 */
#ifndef DISK_TARGET_H
#define DISK_TARGET_H

#include <poll.h>
#include <stdatomic.h>

#include "disk/disk.h"

struct target;

struct target_ops {
    const char *name;

    /* data is IO_ALIGN-aligned, and readable and zero up to the end of its cluster. */
    int (*write)(struct target *tgt, const void *data, size_t len, uint64_t offset,
                 struct err *err);

    /* Instead of write: begin one write of a request; request_write_done ends it. */
    int (*submit)(struct target *tgt, unsigned lane, struct request *req, const void *data,
                  size_t len, uint64_t offset, struct err *err);
    int (*poll_events)(struct target *tgt, unsigned lane, struct pollfd *ret, struct err *err);
    int (*poll_dispatch)(struct target *tgt, unsigned lane, short revents, struct err *err);

    /* Make the range read as zero, as cheaply as can be. */
    int (*zero)(struct target *tgt, unsigned lane, uint64_t offset, uint64_t len, struct err *err);

    /* What is there now. *ret_hole = true and data untouched when it is known to be zero without
     * reading. */
    int (*read)(struct target *tgt, unsigned lane, void *data, size_t len, uint64_t offset,
                bool *ret_hole, struct err *err);

    /* True when the range is known to be zero without reading it. May be NULL. */
    bool (*is_hole)(struct target *tgt, uint64_t offset, uint64_t len);

    /* What is read from now on comes from the storage, not from a cache of this host. After a
     * flush. NULL: there is none, or no way to. */
    void (*uncache)(struct target *tgt);

    /* Everything written (ended) before this call is on stable storage when it returns. */
    int (*flush)(struct target *tgt, struct err *err);

    /* The image is complete: write what is still missing of it, flush. */
    int (*finish)(struct target *tgt, struct err *err);

    void (*close)(struct target *tgt);
};

struct target {
    const struct target_ops *ops;
    char *name;
    uint64_t bytes;     /* size of the virtual disk (of the copy, on a larger device) */
    bool zero_at_start; /* what was never written reads as zero */
    unsigned max_lanes; /* 0: as many as the source wants */
    char identity[64];  /* of the image, so that a map is not used with another; "" unknown */
};

struct target_spec {
    const char *uri;         /* path or NBD URI */
    const char *format;      /* "qcow2" or "raw" */
    uint64_t bytes;          /* size of the disk to hold */
    bool create;             /* a new, empty image (a file is truncated); else open what is there */
    bool preallocate;        /* raw files: reserve the room first */
    const atomic_bool *stop; /* set: the opening waits for nothing any more; NULL: never */

    /* target_nbd_open; NULL in a program that does without libnbd: NBD is refused there. */
    int (*open_nbd)(const struct target_spec *spec, struct target **ret, struct err *err);
};

/* ERR_CONFLICT: in use. ERR_INVALID: too small, not an image of ours. Nothing is left behind by a
 * failed create. */
int target_open(const struct target_spec *spec, struct target **ret, struct err *err);
void target_close(struct target *tgt);

/* True when uri names something that is written in place (a device, an NBD export) and not a file
 * that can be made beside and renamed. */
bool target_is_in_place(const char *uri);

int target_raw_open(const struct target_spec *spec, struct target **ret, struct err *err);
int target_qcow2_open(const struct target_spec *spec, struct target **ret, struct err *err);
int target_nbd_open(const struct target_spec *spec, struct target **ret, struct err *err);

#endif
