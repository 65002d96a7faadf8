/* One disk through a copy process: for `vmferry copy` and for the stage base_copy.
 *
 * vmferry-copy, or vmferry-copy-vddk for what is read with VMware's library. A crash of that
 * library costs one process: it is started again and goes on from the map.
 */
#ifndef WIRE_COPY_CLIENT_H
#define WIRE_COPY_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/child.h"

/* A disk behind a server that asks who we are. All strings stay the caller's; NULL is what the
 * comment says, or "there is none". docs/protocol.md has the same, key by key. */
struct copy_remote {
    const char *kind;     /* "vddk", "https" or "export" */
    const char *name;     /* for errors and logs: "[ds1] web01/web01.vmdk" */
    const char *identity; /* what stands for the same bytes (machine, disk, snapshot, changeId); ""
                             or NULL: not known, so no resume */
    const char *uri;      /* https, export: the file, the lease's URL (a secret) */
    const char *cookie;   /* "vmware_soap_session=..."; a secret */
    const char *thumbprint; /* of the server; NULL: by CA (vddk: unchecked by some libraries) */
    const char *ca;         /* https, export: PEM file; NULL: the system's */
    unsigned connections;   /* https; 0: choose */

    /* vddk */
    const char *libdir; /* where the library is, itself or in lib64/; must be there */
    const char *config; /* NULL: the library's own default */
    const char *server; /* NULL: path is a file of this host */
    unsigned port;      /* 0: 443 */
    unsigned nfc_port;  /* 0: 902 */
    const char *user;
    const char *password;   /* a secret; needed beside a cookie, too */
    const char *vm;         /* "moref=vm-16" */
    const char *snapshot;   /* moref; NULL: the disk as it is now */
    const char *path;       /* as the snapshot's configuration has it */
    const char *transports; /* colon-separated; NULL: "nbdssl:nbd" */
};

/* Reading the image again, and comparing it with what was copied. */
enum copy_verify {
    COPY_VERIFY_NONE,
    COPY_VERIFY_FULL,
    COPY_VERIFY_CHANGED, /* what this copy wrote */
    COPY_VERIFY_SAMPLE,  /* one cluster of a hundred, and both ends of the disk */
};

#define COPY_CHANGE_ID_MAX 128 /* with its NUL */

struct copy_request {
    const struct copy_remote
        *remote;               /* NULL: source_uri and the next eight fields say what it is */
    const char *source_uri;    /* path or NBD URI; "-": a stream on stdin_fd; NULL: an empty disk */
    const char *source_format; /* qemu's name; NULL: look at the header */
    const char *source_name;   /* of an NBD source, for errors; NULL: its URI */
    const char *source_identity; /* of an NBD source, as copy_remote.identity; NULL: URI and size */
    const char *source_member;   /* name of a disk in the OVA at source_uri, or NULL */
    uint64_t window_offset;      /* bytes; the image is this part of the file ... */
    uint64_t window_bytes;       /* ... 0: all of it */
    bool gzip;
    int stdin_fd; /* -1: none */

    const char *target_uri;
    const char *target_format; /* "qcow2" or "raw" */
    bool preallocate;          /* raw: reserve all of it */
    uint64_t capacity_bytes;   /* 0: the source's own */

    const char *map_path;    /* NULL: beside the target */
    const char *ranges_path; /* NULL: everything */
    bool compare;            /* into an image that is there, whose map map_path must be: write only
                                what differs from it */
    const char *change_id;   /* of the source as it is read: stored in the map with a copy that is
                                complete; NULL: none. Below COPY_CHANGE_ID_MAX bytes */
    const char *stale_path;  /* with map_path: what an image that is half made has of an earlier
                                moment of its source, and needs again; NULL: nothing */
    bool supersede;          /* an unfinished copy into this image was of changes that are all among
                                these: it need not be finished */
    uint64_t limit_bytes_s;  /* 0: none */
    enum copy_verify verify;
    bool force;    /* replace an existing target */
    bool keep_map; /* with map_path NULL: it is TARGET.map when the image is complete */
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
    uint64_t read_bytes;    /* from the source, in this run */
    uint64_t written_bytes; /* to the image, in this run, zeroes included */
    uint64_t verified_bytes;
    char change_id[COPY_CHANGE_ID_MAX]; /* of the request; "": none */
    int64_t elapsed_ns;
    bool has_digest; /* kind "export": all that follows, over the bytes as received */
    uint64_t stream_bytes;
    char stream_sha1[41]; /* lower-case hex */
    char stream_sha256[65];
};

/* The result as a last piece of progress, for the messages stop before the last bytes. */
void copy_result_progress(const struct copy_result *result, struct copy_progress *ret_progress);

/* All may be NULL. */
struct copy_watch {
    void (*progress)(const struct copy_progress *progress, void *arg);
    void (*log)(enum log_level level, const char *text, void *arg);
    enum child_wish (*wish)(void *arg);
    /* Something has expired: *ret_value is a fresh one of `what` ("cookie"), malloc-ed, wiped and
     * freed by copy_run. The error goes to the copy, which fails with it. The copy waits 60 s. */
    int (*need)(const char *what, char **ret_value, void *arg, struct err *err);
    void *arg;
};

/* At most so many times a vmferry-copy-vddk that a signal ended is started again, with a warning
 * in the log each time: always when it got further than the last one, else twice in a row. */
#define COPY_RESTARTS_MAX 5
#define COPY_RESTARTS_IN_PLACE_MAX 2

/* Errors as child_run's. After ERR_CANCELLED, ERR_IO and ERR_UNAVAILABLE the same request goes on
 * where this one stopped. */
int copy_run(const struct copy_request *request, const struct copy_watch *watch,
             struct copy_result *ret_result, struct err *err);

#endif
