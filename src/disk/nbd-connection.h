/* What source and target over NBD have in common: connections, and turning a lane's handle. */
#ifndef DISK_NBD_CONNECTION_H
#define DISK_NBD_CONNECTION_H

#include <poll.h>
#include <stdatomic.h>

#include <libnbd.h>

#include "base/clock.h"

#include "disk/disk.h"

#define NBD_MAX_LANES 4
#define NBD_DEPTH 4
#define NBD_SMALL_DEPTH 16 /* requests that are short: as many bytes, and more of them */

/* A connection that has not got through its handshake after this long is given up: a server may
 * accept and never answer (it is stopped, or it serves another client first). */
#define NBD_CONNECT_LIMIT_NS (30 * NS_PER_S)

struct nbd_lanes {
    char *uri;
    char *name; /* for errors */
    unsigned n; /* connections */
    struct nbd_handle *handles[NBD_MAX_LANES];
    struct nbd_handle *control; /* one more, or handles[0] when the server takes only one */
    uint64_t bytes;
};

/* What to connect to, and how. The strings stay the caller's. */
struct nbd_access {
    const char *uri;
    const char *name; /* for errors and the log */
    bool write;
    int64_t limit_ns;        /* for each connection; 0: NBD_CONNECT_LIMIT_NS */
    const atomic_bool *stop; /* give up when it is set; NULL: never */
};

/* Connect: several lanes when the server says that they see the same. A first connection on which
 * nothing comes in time is tried once more, with a warning; further ones that fail are done
 * without, with a warning. ERR_UNAVAILABLE: no answer in time; ERR_CANCELLED: stopped. Also after a
 * failure nbd_lanes_close is due. */
int nbd_lanes_open(struct nbd_lanes *lanes, const struct nbd_access *access, struct err *err);
void nbd_lanes_close(struct nbd_lanes *lanes);

int nbd_lane_poll_events(struct nbd_handle *nbd, struct pollfd *ret);
int nbd_lane_dispatch(struct nbd_handle *nbd, const char *name, struct err *err);

/* The error that libnbd keeps for this thread, with its kind. */
int nbd_err(struct err *err, const char *name, const char *what);

#endif
