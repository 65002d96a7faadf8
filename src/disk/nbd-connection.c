#include "disk/nbd-connection.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static struct nbd_handle *
connect_one(const struct nbd_lanes *lanes, struct err *err)
{
    struct nbd_handle *nbd = nbd_create();
    if (!nbd || nbd_add_meta_context(nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) < 0 ||
        nbd_set_uri_allow_local_file(nbd, true) < 0 || nbd_connect_uri(nbd, lanes->uri) < 0) {
        nbd_err(err, lanes->name, "connect");
        nbd_close(nbd);
        return NULL;
    }
    return nbd;
}

int
nbd_lanes_open(struct nbd_lanes *lanes, const char *uri, const char *name, bool write,
               struct err *err)
{
    *lanes = (struct nbd_lanes){ .uri = strdup(uri), .name = strdup(name) };
    if (!lanes->uri || !lanes->name)
        return err_errno(err, ENOMEM, "%s", name);
    struct nbd_handle *first = lanes->handles[0] = lanes->control = connect_one(lanes, err);
    if (!first)
        return -1;
    lanes->n = 1;
    int64_t bytes = nbd_get_size(first);
    if (bytes < 0)
        return nbd_err(err, name, "ask for its size");
    lanes->bytes = (uint64_t)bytes;
    if (write && nbd_is_read_only(first) != 0)
        return err_set(err, ERR_DENIED, "%s: the server offers this export read-only", name);
    if (nbd_can_multi_conn(first) != 1)
        return 0;
    while (lanes->n < NBD_MAX_LANES) {
        struct nbd_handle *more = connect_one(lanes, err);
        if (!more)
            return -1;
        lanes->handles[lanes->n++] = more;
    }
    struct nbd_handle *control = connect_one(lanes, err);
    if (!control)
        return -1;
    lanes->control = control;
    return 0;
}

void
nbd_lanes_close(struct nbd_lanes *lanes)
{
    if (lanes->control && lanes->control != lanes->handles[0])
        nbd_close(lanes->control);
    for (unsigned i = 0; i < NBD_MAX_LANES; i++) {
        if (!lanes->handles[i])
            continue;
        if (nbd_aio_is_ready(lanes->handles[i]) == 1 && nbd_aio_in_flight(lanes->handles[i]) == 0)
            nbd_shutdown(lanes->handles[i], 0);
        nbd_close(lanes->handles[i]);
    }
    free(lanes->uri);
    free(lanes->name);
    *lanes = (struct nbd_lanes){ 0 };
}

int
nbd_lane_poll_events(struct nbd_handle *nbd, struct pollfd *ret)
{
    unsigned direction = nbd_aio_get_direction(nbd);
    ret->fd = nbd_aio_get_fd(nbd);
    ret->events = (short)((direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
                          (direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0));
    return 0;
}

int
nbd_lane_dispatch(struct nbd_handle *nbd, const char *name, struct err *err)
{
    /* Another thread may have turned the handle since poll() returned (a flush on a connection that
     * is shared): what it waits for now is seen and done under its own lock. */
    if (nbd_poll(nbd, 0) < 0)
        return nbd_err(err, name, "talk to the server");
    if (nbd_aio_is_dead(nbd) || nbd_aio_is_closed(nbd))
        return err_set(err, ERR_UNAVAILABLE, "%s: the NBD server closed the connection", name);
    return 0;
}

int
nbd_err(struct err *err, const char *name, const char *what)
{
    int errnum = nbd_get_errno();
    const char *text = nbd_get_error();
    err_errno(err, errnum ? errnum : EIO, "x");
    return err_set(err, errnum ? err->kind : ERR_UNAVAILABLE, "%s: %s: %s", name, what,
                   text ? text : "no reason given");
}
