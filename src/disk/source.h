/* Where the bytes of a disk come from.
 *
 * Two ways of reading, and a source offers one of them:
 * - at random: `read` (waits) or `submit` (asynchronous) of any range, told by `extents` where
 *   there is data. Ranges go out in ascending order, over several lanes.
 * - as a stream: `next` gives the ranges in the order in which they come; what never came is zero,
 *   and `extents` says so after the end.
 *
 * A lane is a thread with a connection of its own; `lane` arguments are below n_lanes. Different
 * lanes call at the same time, one lane never twice.
 */
#ifndef DISK_SOURCE_H
#define DISK_SOURCE_H

#include <poll.h>
#include <stdatomic.h>

#include "disk/extent.h"
#include "disk/source-witness.h"

#define MAX_LANES 16

struct source;

struct source_ops {
    const char *name;

    /* On the lane's thread, before anything else of that lane. NULL: nothing to do. */
    void (*begin)(struct source *src, unsigned lane);

    /* The same, after everything else, however it ended: when this returns, nothing touches the
     * buffers of requests that are still under way. NULL: nothing does that on its own. */
    void (*end)(struct source *src, unsigned lane);

    /* Extents of [offset, offset + len), covering it without gaps from offset on; may stop early
     * (at least one extent). NULL: all of it is data. One caller at a time. */
    int (*extents)(struct source *src, uint64_t offset, uint64_t len, struct extent_list *ret,
                   struct err *err);

    /* Fill req->data with [offset, offset + len). */
    int (*read)(struct source *src, unsigned lane, struct request *req, struct err *err);

    /* Begin the same and return; request_read_done ends it. With poll_events (what to wait for on
     * which descriptor) and poll_dispatch (it is there). */
    int (*submit)(struct source *src, unsigned lane, struct request *req, struct err *err);
    int (*poll_events)(struct source *src, unsigned lane, struct pollfd *ret, struct err *err);
    int (*poll_dispatch)(struct source *src, unsigned lane, short revents, struct err *err);

    /* Stream: fill req (offset, len, data) with the next range and set a bit in req->present for
     * each cluster that came; 1, or 0 at the end. */
    int (*next)(struct source *src, unsigned lane, struct request *req, struct err *err);

    void (*close)(struct source *src);
};

/* What a stream asks of the copy that reads it. */
struct stream_client {
    /* Is this cluster still to be copied? Others need not be decoded. */
    bool (*wanted)(void *arg, uint64_t cluster);
    /* What was stored of a range before, zero where nothing was; len as for a request. Only while
     * no other lane holds a range. */
    int (*read_back)(void *arg, unsigned lane, uint64_t offset, void *data, size_t len,
                     struct err *err);
    /* The copy has failed or was cancelled: stop waiting for others. */
    bool (*stopped)(void *arg);
};

/* Of a stream from another host: what came, for the caller to compare. Valid after its end. */
struct source_digest {
    uint64_t bytes;  /* as received */
    char sha1[41];   /* lower-case hex */
    char sha256[65]; /* the same */
};

struct source {
    const struct source_ops *ops;
    char *name;                         /* for errors and logs */
    char identity[SOURCE_IDENTITY_MAX]; /* the same text = the same bytes; "" = cannot tell, so no
                                           resume */
    struct source_witness *witness;     /* of the file that is read; NULL: there is none */
    uint64_t bytes;                     /* size of the virtual disk, whole sectors */
    unsigned n_lanes;                   /* worth opening, 1 to MAX_LANES */
    unsigned depth;                     /* requests in flight on a lane, 1 for sources that wait */
    unsigned small_depth; /* the same of requests that are shorter than REQUEST_BYTES, together no
                             more bytes than `depth` whole ones; 0: as `depth` */
    uint64_t ask_bytes;   /* in ranges that are shorter the copy does not ask for extents, for that
                             costs as much as reading; 0: it always asks */
    uint64_t run_bytes;   /* a lane gets up to so much in a row, request by request, where asking is
                             dear; 0: any range may go to any lane */

    const struct source_digest *digest; /* the source's own; NULL: nothing was summed */

    /* Set by the copy before it reads; `stopped` is for all sources, the others are for streams. */
    const struct stream_client *client;
    void *client_arg;
};

/* Descriptions round to their unit; the image's own size is what is copied. */
#define CAPACITY_TOLERANCE MIB

/* Of the kinds that read from a server which asks who we are. The strings stay the caller's, who
 * wipes the secret ones when source_open has returned: what a source needs longer it copies, and
 * wipes at its close. Secrets: cookie, password, and an export's uri (it holds a ticket). */
struct source_remote {
    const char *name;       /* for errors and logs: "[ds1] web01/web01.vmdk" */
    const char *identity;   /* what the caller knows to stand for the same bytes; NULL, "": nothing
                               is known, so no resume */
    const char *uri;        /* https, export: https://... */
    const char *cookie;     /* of a session; https, export: "name=value", vddk: this or the value */
    const char *thumbprint; /* of the server's certificate; NULL: by CA */
    const char *ca;         /* https, export: PEM file; NULL: the system's */
    unsigned connections;   /* https; 0: choose */

    /* vddk */
    const char *libdir; /* where the library is, itself or in lib64/ */
    const char *config; /* its configuration file; NULL: its own default */
    const char *server; /* vCenter or ESXi; NULL: path is a file of this host */
    unsigned port;      /* 0: 443 */
    unsigned nfc_port;  /* 0: 902 */
    const char *user;
    const char *password;
    const char *vm;         /* "moref=vm-16" */
    const char *snapshot;   /* moref, NULL: the disk as it is now */
    const char *path;       /* "[ds1] web01/web01.vmdk" as the snapshot's configuration has it */
    const char *transports; /* colon-separated, NULL: "nbdssl:nbd" */

    /* A fresh value of what has expired ("cookie"), to be wiped and freed by whom it is given. It
     * waits for the process that started us; any thread. NULL: there is none. */
    int (*renew)(const char *what, char **ret_value, void *arg, struct err *err);
    void *renew_arg;
};

struct source_spec {
    const char *kind;        /* "file" (or NULL), "vddk", "https", "export" */
    const char *uri;         /* path, "nbd://...", "nbd+unix://...", "-" (standard input); NULL: all
                                zero, `capacity_bytes` long */
    const char *format;      /* qemu's name, NULL: look at the header */
    const char *member;      /* uri is a tar (OVA): this member of it; or NULL */
    uint64_t window_offset;  /* bytes; the image is this part of the file ... */
    uint64_t window_bytes;   /* ... 0: all of it */
    bool gzip;               /* the bytes are gzip-ed */
    uint64_t capacity_bytes; /* what the machine's description says; 0: nothing. A source whose own
                                size differs by CAPACITY_TOLERANCE or more is refused. */
    const atomic_bool *stop; /* while it is set nothing is waited for, in the opening and in the
                                reading of a pipe; it outlives the source. NULL: never */
    struct source_remote remote; /* of "file": name and identity of an NBD source, if not its URI */
};

/* A kind of source. Each brings libraries with it, and they do not all go together in one process:
 * so a program has a list of those that it knows. */
struct source_kind {
    const char *name;
    /* Needs not be there. On the main thread, before there is another one; and at the end, after
     * all of them have gone and all sources are closed. */
    int (*prepare)(const struct source_spec *spec, struct err *err);
    void (*finish)(void);

    int (*open)(const struct source_spec *spec, struct source **ret, struct err *err);
};

extern const struct source_kind source_kind_file;
extern const struct source_kind source_kind_vddk;
extern const struct source_kind source_kind_https;
extern const struct source_kind source_kind_export;

/* The kind that spec asks for, of a NULL-terminated list. ERR_INVALID: it is not in it. */
int source_kind_find(const struct source_kind *const *kinds, const struct source_spec *spec,
                     const struct source_kind **ret, struct err *err);

/* ERR_INVALID, ERR_NOT_FOUND, ... with the source's name in the text. The spec may go away. */
int source_open(const struct source_kind *kind, const struct source_spec *spec, struct source **ret,
                struct err *err);
void source_close(struct source *src);

/* After the last range: ERR_CONFLICT when the source was changed while it was read. */
int source_check_unchanged(const struct source *src, struct err *err);

/* Set the identity from what the caller of a remote kind knows; empty stays empty. */
void source_set_identity(struct source *src, const char *kind, const char *text);

/* Lanes for work that needs the CPU: one for each that we may run on, at least 2, at most max. */
unsigned source_lanes_for_cpus(unsigned max);

/* Constructors, one a file. */
struct file_window {
    int fd;          /* taken over */
    uint64_t offset; /* bytes */
    uint64_t bytes;
};
int source_file_open(const char *name, struct file_window window, struct source **ret,
                     struct err *err);
int source_zero_open(uint64_t bytes, struct source **ret, struct err *err);
int source_nbd_open(const struct source_spec *spec, const char *name, struct source **ret,
                    struct err *err);
int source_qemu_open(const struct source_spec *spec, const char *format, struct source **ret,
                     struct err *err);

#endif
