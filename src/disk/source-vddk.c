/* A disk through VMware's own library, libvixDiskLib (VDDK), over the network or from a file.
 *
 * Theory of operation
 *
 * A lane has the disk opened for itself: a connection and a handle that only the lane's thread
 * uses. Over the network (nbd, nbdssl) one lane has up to VDDK_DEPTH reads of 1 MiB under way at
 * once, or more that are shorter, by ReadAsync; where the library or the transport has no real
 * asynchronous reads there are several lanes with one waiting read each.
 *
 * The library completes a read on a thread of its own, or inside the very call that began it. The
 * room's rule is that only the lane's thread touches requests, so the library never sees one: what
 * it gets is a slot, which stands for one read. Its callback notes the result in the slot, moves
 * the slot to the lane's list `ended` (the one thing here that two threads share, under its lock),
 * and adds 1 to an eventfd. That is the descriptor which the lane polls beside that of its target.
 * All the rest happens in `pump` (vddk-lane.c), on the lane's thread: it takes the list, hands on
 * the requests that are complete, and begins what waits.
 *
 *   free -> waiting -> (in flight, the library's) -> ended -> waiting again or free
 *
 * A request is one slot from its beginning to its end, and as many reads after one another as the
 * pace says: all of it at once, as long as the host's NFC server has the memory (vddk-pace.h).
 *
 * What fails and may be cured is read again: after a pause, with less at once (no memory on the
 * host), or on a disk that was closed and opened anew (the connection broke; nobody knows). Before
 * a handle is closed, and before the buffers of a copy go away (`end`), Wait makes sure that the
 * library has nothing under way. The next start of a program that the library took down with it
 * goes on from the map.
 *
 * Allocation comes from QueryAllocatedBlocks, where it works. The copy asks from the thread of
 * whichever lane needs the next range, and it is that lane's handle which is asked.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "disk/vddk-lane.h"
#include "disk/vddk-log.h"
#include "wire/vddk-file.h"

/* Lanes with one waiting read each: over the network they hide its latency; from a file or a
 * storage device two or three keep a processor busy. Each is a connection. */
#define NETWORK_LANES 8
#define LOCAL_LANES 4

/* Over the network a read costs a round trip however short it is, and zeroes cost next to nothing:
 * shorter holes than this are read with the data around them. */
#define NETWORK_HOLE_MIN_BYTES (256 * KIB)

/* A question, for which the reads that are under way have to end, costs more than reading this. */
#define NETWORK_ASK_MIN_BYTES (16 * MIB)

/* Tries to open the disk for the first time. */
#define FIRST_OPEN_TRIES 3

/* Questions about allocation that failed, one after the other, after which no more are asked; and
 * how much is read for each of them before the next. */
#define QUERY_FAILURES_MAX 3
#define UNASKED_BYTES (64 * MIB)

struct vddk_source {
    struct source source;
    struct vddk_session session;
    struct vddk_lane lanes[MAX_LANES];

    /* One caller at a time: extents. */
    bool can_query, has_queried;
    unsigned query_failures;
};

static const struct source_ops async_ops, sync_ops;

static int open_lanes(struct vddk_source *vddk, struct err *err);
static void vddk_close(struct source *src);

static struct vddk_source *
to_vddk(struct source *src)
{
    return (struct vddk_source *)src;
}

/* ---- life ---- */

static int
vddk_prepare(const struct source_spec *spec, struct err *err)
{
    const struct source_remote *remote = &spec->remote;
    if (!remote->libdir || !*remote->libdir)
        return err_set(err, ERR_INVALID,
                       "%s: 'libdir' is needed: the directory that has lib64/libvixDiskLib.so.%d",
                       remote->name ? remote->name : "a disk", VDDK_MAJOR_MAX - 1);
    return vddk_library_load(remote->libdir, remote->config, err);
}

static struct vddk_source *
new_source(void)
{
    struct vddk_source *vddk = calloc(1, sizeof *vddk);
    if (!vddk)
        return NULL;
    vddk->source.ops = &async_ops;
    vddk->session.source = &vddk->source;
    for (unsigned i = 0; i < MAX_LANES; i++)
        vddk_lane_init(&vddk->lanes[i], &vddk->session);
    return vddk;
}

static void
close_cleanup(struct vddk_source **vddk)
{
    if (*vddk)
        vddk_close(&(*vddk)->source);
}

static int
vddk_open(const struct source_spec *spec, struct source **ret, struct err *err)
{
    AUTO(close_cleanup) struct vddk_source *vddk = new_source();
    if (!vddk)
        return err_errno(err, ENOMEM, "%s", spec->remote.name ? spec->remote.name : "a disk");
    if (vddk_access_init(&vddk->session.access, &spec->remote, err) < 0)
        return -1;
    vddk->source.name = vddk->session.access.name;
    vddk->session.renew = spec->remote.renew;
    vddk->session.renew_arg = spec->remote.renew_arg;
    if (open_lanes(vddk, err) < 0)
        return -1;
    source_set_identity(&vddk->source, "vddk", spec->remote.identity);
    *ret = &TAKE_PTR(vddk)->source;
    return 0;
}

static void
vddk_close(struct source *src)
{
    struct vddk_source *vddk = to_vddk(src);
    for (unsigned i = 0; i < MAX_LANES; i++)
        vddk_lane_done(&vddk->lanes[i]);
    vddk_access_done(&vddk->session.access);
    free(vddk);
}

const struct source_kind source_kind_vddk = {
    .name = "vddk",
    .prepare = vddk_prepare,
    .finish = vddk_library_end,
    .open = vddk_open,
};

/* ---- opening ---- */

/* The first handle: what fails because something was just then not there is tried again. */
static int
open_first(struct vddk_source *vddk, struct err *err)
{
    for (unsigned tries = 1;; tries++) {
        enum vddk_remedy remedy;
        struct err failure = ERR_INIT;
        if (vddk_disk_open(&vddk->lanes[0].disk, &vddk->session.access, &remedy, &failure) == 0)
            break;
        bool worth = remedy == VDDK_RECONNECT || remedy == VDDK_SHRINK;
        if (!worth || tries == FIRST_OPEN_TRIES || vddk_pause(&vddk->session, tries, err) < 0) {
            *err = failure;
            return -1;
        }
    }
    vddk->session.n_open = 1;
    return vddk_disk_bytes(&vddk->lanes[0].disk, &vddk->source.bytes, err);
}

static bool
is_network(const char *transport)
{
    return strcmp(transport, "nbdssl") == 0 || strcmp(transport, "nbd") == 0;
}

/* More handles; a host that has no more connections to give is content with fewer. */
static void
open_more(struct vddk_source *vddk, unsigned wanted)
{
    struct err why = ERR_INIT;
    for (; vddk->session.n_open < wanted; vddk->session.n_open++)
        if (vddk_disk_open(&vddk->lanes[vddk->session.n_open].disk, &vddk->session.access, NULL,
                           &why) < 0) {
            log_info("%s; the disk is read on %u connections", why.text, vddk->session.n_open);
            return;
        }
}

static int
open_lanes(struct vddk_source *vddk, struct err *err)
{
    if (open_first(vddk, err) < 0)
        return -1;
    const char *transport = vddk_disk_transport(&vddk->lanes[0].disk);
    bool network = is_network(transport);
    bool async = network && vddk_library()->can_async;
    vddk->can_query = vddk_library()->can_query;
    if (!async)
        open_more(vddk, network ? NETWORK_LANES : source_lanes_for_cpus(LOCAL_LANES));
    vddk->source.ops = async ? &async_ops : &sync_ops;
    vddk->source.n_lanes = vddk->session.n_open;
    vddk->source.depth = async ? VDDK_DEPTH : 1;
    vddk->source.small_depth = async ? VDDK_SMALL_DEPTH : 0;
    vddk->source.ask_bytes = network ? NETWORK_ASK_MIN_BYTES : 0;
    for (unsigned i = 0; i < vddk->session.n_open; i++)
        if (vddk_lane_ready(&vddk->lanes[i], vddk->source.depth, err) < 0)
            return -1;
    log_info("%s: %" PRIu64 " bytes by %s, %u %s reads at once%s", vddk->source.name,
             vddk->source.bytes, transport, vddk->session.n_open * vddk->source.depth,
             async ? "asynchronous" : "waiting", vddk->can_query ? "" : ", holes not known");
    return 0;
}

/* ---- what is allocated ---- */

/* The first answer tells whether there is any use in more questions, unless it was the connection;
 * later ones may fail now and then. */
static void
note_query_failure(struct vddk_source *vddk, uint64_t error, uint64_t mark)
{
    bool passing = vddk->has_queried || vddk_error_remedy(error, mark) == VDDK_RECONNECT;
    vddk->query_failures++;
    if (passing && vddk->query_failures < QUERY_FAILURES_MAX)
        return;
    vddk->can_query = false;
    log_info("%s: the library cannot tell what is allocated (VixError %" PRIu64
             "): what has not been asked for is read whole",
             vddk->source.name, error);
}

static int
vddk_extents(struct source *src, uint64_t offset, uint64_t len, struct extent_list *ret,
             struct err *err)
{
    struct vddk_source *vddk = to_vddk(src);
    struct vddk_lane *lane = vddk_lane_own();
    extent_clear(ret);
    if (vddk->can_query && lane && lane->disk.handle) {
        uint64_t error, mark = vddk_log_mark();
        /* Some versions refuse questions beside asynchronous reads (26000); pump finds these. */
        if (lane->in_flight > 0)
            vddk_library()->api.wait(lane->disk.handle);
        uint64_t hole_min = src->ops == &async_ops ? NETWORK_HOLE_MIN_BYTES : 0;
        if (vddk_disk_allocated(&lane->disk, offset, len, hole_min, ret, &error, err) < 0)
            return -1;
        if (VDDK_CODE(error) == VDDK_OK) {
            vddk->has_queried = true;
            vddk->query_failures = 0;
        } else {
            note_query_failure(vddk, error, mark);
        }
    }
    if (ret->n > 0)
        return 0;
    return extent_add(ret, offset, MIN(len, vddk->can_query ? UNASKED_BYTES : len), false, err);
}

/* ---- reading ---- */

static struct vddk_lane *
to_lane(struct source *src, unsigned number)
{
    return &to_vddk(src)->lanes[number];
}

static void
vddk_begin(struct source *src, unsigned number)
{
    vddk_lane_begin(to_lane(src, number));
}

static void
vddk_end(struct source *src, unsigned number)
{
    vddk_lane_end(to_lane(src, number));
}

static int
vddk_submit(struct source *src, unsigned number, struct request *req, struct err *err)
{
    return vddk_lane_submit(to_lane(src, number), req, err);
}

static int
vddk_poll_events(struct source *src, unsigned number, struct pollfd *ret, struct err *err)
{
    (void)err;
    ret->fd = to_lane(src, number)->event_fd;
    ret->events = POLLIN;
    return 0;
}

static int
vddk_poll_dispatch(struct source *src, unsigned number, short revents, struct err *err)
{
    (void)revents;
    return vddk_lane_dispatch(to_lane(src, number), err);
}

static int
vddk_read(struct source *src, unsigned number, struct request *req, struct err *err)
{
    return vddk_lane_read(to_lane(src, number), req, err);
}

static const struct source_ops async_ops = {
    .name = "vddk",
    .begin = vddk_begin,
    .end = vddk_end,
    .extents = vddk_extents,
    .submit = vddk_submit,
    .poll_events = vddk_poll_events,
    .poll_dispatch = vddk_poll_dispatch,
    .close = vddk_close,
};

static const struct source_ops sync_ops = {
    .name = "vddk",
    .begin = vddk_begin,
    .extents = vddk_extents,
    .read = vddk_read,
    .close = vddk_close,
};
