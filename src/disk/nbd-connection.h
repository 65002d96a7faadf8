/* What source and target over NBD have in common: connections, and turning a lane's handle. */
#ifndef DISK_NBD_CONNECTION_H
#define DISK_NBD_CONNECTION_H

#include <poll.h>

#include <libnbd.h>

#include "disk/disk.h"

#define NBD_MAX_LANES 4
#define NBD_DEPTH 4

struct nbd_lanes {
    char *uri;
    char *name; /* for errors */
    unsigned n; /* connections */
    struct nbd_handle *handles[NBD_MAX_LANES];
    struct nbd_handle *control; /* one more, or handles[0] when the server takes only one */
    uint64_t bytes;
};

/* Connect: several lanes when the server says that they see the same. */
int nbd_lanes_open(struct nbd_lanes *lanes, const char *uri, const char *name, bool write,
                   struct err *err);
void nbd_lanes_close(struct nbd_lanes *lanes);

int nbd_lane_poll_events(struct nbd_handle *nbd, struct pollfd *ret);
int nbd_lane_dispatch(struct nbd_handle *nbd, const char *name, struct err *err);

/* The error that libnbd keeps for this thread, with its kind. */
int nbd_err(struct err *err, const char *name, const char *what);

#endif
