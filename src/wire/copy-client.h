/* One disk through vmferry-copy: for `vmferry copy` and for the stage base_copy. */
#ifndef WIRE_COPY_CLIENT_H
#define WIRE_COPY_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/child.h"

struct copy_request {
    const char *source_uri;    /* path or NBD URI; "-": a stream on stdin_fd; NULL: an empty disk */
    const char *source_format; /* qemu's name; NULL: look at the header */
    const char *source_member; /* name of a disk in the OVA at source_uri, or NULL */
    uint64_t window_offset;    /* bytes; the image is this part of the file ... */
    uint64_t window_bytes;     /* ... 0: all of it */
    bool gzip;
    int stdin_fd; /* -1: none */

    const char *target_uri;
    const char *target_format; /* "qcow2" or "raw" */
    bool preallocate;          /* raw: reserve all of it */
    uint64_t capacity_bytes;   /* 0: the source's own */

    const char *map_path;    /* NULL: beside the target */
    const char *ranges_path; /* NULL: everything */
    uint64_t limit_bytes_s;  /* 0: none */
    bool verify;             /* read the target again and compare */
    bool force;              /* replace an existing target */
    bool keep_map;
};

#define COPY_REQUEST_INIT ((struct copy_request){ .stdin_fd = -1 })

struct copy_progress {
    const char *stage; /* "copy" or "verify" */
    uint64_t done_bytes, total_bytes;
    uint64_t data_bytes; /* of done, not zero */
    uint64_t rate_bytes_s;
    int64_t eta_s; /* -1: not known yet */
};

struct copy_result {
    uint64_t capacity_bytes, data_bytes, zero_bytes;
    uint64_t resumed_bytes; /* were there from an earlier run */
    int64_t elapsed_ns;
};

/* The result as a last piece of progress, for the messages stop before the last bytes. */
void copy_result_progress(const struct copy_result *result, struct copy_progress *ret_progress);

/* All may be NULL. */
struct copy_watch {
    void (*progress)(const struct copy_progress *progress, void *arg);
    void (*log)(enum log_level level, const char *text, void *arg);
    enum child_wish (*wish)(void *arg);
    void *arg;
};

/* Errors as child_run's. After ERR_CANCELLED, ERR_IO and ERR_UNAVAILABLE the same request goes on
 * where this one stopped. */
int copy_run(const struct copy_request *request, const struct copy_watch *watch,
             struct copy_result *ret_result, struct err *err);

#endif
