#include "disk/nbd-connection.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"

/* How soon one that connects notices a stop. */
#define LOOK_MS 100

/* For a server to take a goodbye; a copy that has ended waits no longer for it. */
#define GOODBYE_LIMIT_NS (2 * NS_PER_S)

static struct nbd_handle *connect_first(const struct nbd_access *access, struct err *err);
static void connect_more(struct nbd_lanes *lanes, const struct nbd_access *access);
static void say_goodbye(struct nbd_handle *nbd);

int
nbd_lanes_open(struct nbd_lanes *lanes, const struct nbd_access *access, struct err *err)
{
    const char *name = access->name;
    *lanes = (struct nbd_lanes){ .uri = strdup(access->uri), .name = strdup(name) };
    if (!lanes->uri || !lanes->name)
        return err_errno(err, ENOMEM, "%s", name);
    struct nbd_handle *first = lanes->handles[0] = lanes->control = connect_first(access, err);
    if (!first)
        return -1;
    lanes->n = 1;
    int64_t bytes = nbd_get_size(first);
    if (bytes < 0)
        return nbd_err(err, name, "ask for its size");
    lanes->bytes = (uint64_t)bytes;
    if (access->write && nbd_is_read_only(first) != 0)
        return err_set(err, ERR_DENIED, "%s: the server offers this export read-only", name);
    if (nbd_can_multi_conn(first) == 1)
        connect_more(lanes, access);
    return 0;
}

void
nbd_lanes_close(struct nbd_lanes *lanes)
{
    if (lanes->control && lanes->control != lanes->handles[0])
        say_goodbye(lanes->control);
    for (unsigned i = 0; i < NBD_MAX_LANES; i++)
        if (lanes->handles[i])
            say_goodbye(lanes->handles[i]);
    free(lanes->uri);
    free(lanes->name);
    *lanes = (struct nbd_lanes){ 0 };
}

/* ---- connecting ---- */

enum connect_result { CONNECT_DONE, CONNECT_SILENT, CONNECT_FAILED };

/* What a connection that stands still is waiting for. libnbd tells by the name of its state. */
static const char *
awaited(struct nbd_handle *nbd)
{
    const char *state = nbd_connection_state(nbd);
    if (state && strncmp(state, "CONNECT", 7) == 0)
        return "no connection came about";
    if (state && strncmp(state, "MAGIC", 5) == 0)
        return "the server took the connection and did not greet";
    return "the server took the connection and did not end the handshake";
}

/* Turn the handle until it is ready or the time is over. */
static enum connect_result
shake_hands(struct nbd_handle *nbd, const struct nbd_access *access, struct err *err)
{
    int64_t limit_ns = access->limit_ns ? access->limit_ns : NBD_CONNECT_LIMIT_NS;
    int64_t deadline_ns = clock_now_ns() + limit_ns;
    while (nbd_aio_is_connecting(nbd) == 1) {
        if (access->stop && atomic_load(access->stop)) {
            err_set(err, ERR_CANCELLED, "%s: stopped while connecting", access->name);
            return CONNECT_FAILED;
        }
        int left_ms = clock_poll_ms(deadline_ns);
        if (left_ms == 0) {
            err_set(err, ERR_UNAVAILABLE, "%s: %s within %.3g s", access->name, awaited(nbd),
                    (double)limit_ns / (double)NS_PER_S);
            return CONNECT_SILENT;
        }
        if (nbd_poll(nbd, MIN(left_ms, LOOK_MS)) < 0) {
            nbd_err(err, access->name, "connect");
            return CONNECT_FAILED;
        }
    }
    if (nbd_aio_is_ready(nbd) == 1)
        return CONNECT_DONE;
    err_set(err, ERR_UNAVAILABLE, "%s: connect: the server closed the connection", access->name);
    return CONNECT_FAILED;
}

static enum connect_result
connect_one(const struct nbd_access *access, struct nbd_handle **ret, struct err *err)
{
    struct nbd_handle *nbd = nbd_create();
    enum connect_result result = CONNECT_FAILED;
    if (!nbd || nbd_add_meta_context(nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) < 0 ||
        nbd_set_uri_allow_local_file(nbd, true) < 0 || nbd_aio_connect_uri(nbd, access->uri) < 0)
        nbd_err(err, access->name, "connect");
    else
        result = shake_hands(nbd, access, err);
    if (result == CONNECT_DONE)
        *ret = nbd;
    else
        nbd_close(nbd);
    return result;
}

/* A server that was just started, or has lost one connection, may well answer the next. */
static struct nbd_handle *
connect_first(const struct nbd_access *access, struct err *err)
{
    struct nbd_handle *nbd = NULL;
    enum connect_result result = connect_one(access, &nbd, err);
    if (result == CONNECT_SILENT) {
        log_warning("%s; trying once more", err->text);
        *err = ERR_INIT;
        result = connect_one(access, &nbd, err);
    }
    if (result == CONNECT_SILENT) {
        char text[ERR_TEXT_MAX];
        memcpy(text, err->text, sizeof text);
        err_set(err, ERR_UNAVAILABLE,
                "%s, twice: see whether the server runs, and whether it is busy with another "
                "client, then try again",
                text);
    }
    return nbd;
}

/* Without some of them a copy is slower, no more; and after one that failed the next would, too. */
static void
connect_more(struct nbd_lanes *lanes, const struct nbd_access *access)
{
    struct nbd_handle *control = NULL;
    struct err why = ERR_INIT;
    enum connect_result result = CONNECT_DONE;
    while (result == CONNECT_DONE && lanes->n < NBD_MAX_LANES) {
        result = connect_one(access, &lanes->handles[lanes->n], &why);
        lanes->n += result == CONNECT_DONE;
    }
    if (result == CONNECT_DONE)
        result = connect_one(access, &control, &why);
    if (result == CONNECT_DONE)
        lanes->control = control;
    else if (why.kind != ERR_CANCELLED)
        log_warning("%s; going on with %u of %d connections", why.text, lanes->n,
                    NBD_MAX_LANES + 1);
}

/* nbd_shutdown waits until the server has closed, however long that is. */
static void
say_goodbye(struct nbd_handle *nbd)
{
    int64_t deadline_ns = clock_now_ns() + GOODBYE_LIMIT_NS;
    if (nbd_aio_is_ready(nbd) == 1 && nbd_aio_in_flight(nbd) == 0 &&
        nbd_aio_disconnect(nbd, 0) == 0)
        while (nbd_aio_is_closed(nbd) == 0 && nbd_aio_is_dead(nbd) == 0 &&
               clock_poll_ms(deadline_ns) > 0)
            if (nbd_poll(nbd, MIN(clock_poll_ms(deadline_ns), LOOK_MS)) < 0)
                break;
    nbd_close(nbd);
}

/* ---- a lane ---- */

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
