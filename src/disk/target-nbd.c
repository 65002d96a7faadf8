/* NBD servers as targets. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "disk/cluster.h"
#include "disk/nbd-connection.h"
#include "disk/target.h"

struct nbd_target {
    struct target target;
    struct nbd_lanes lanes;
    bool can_zero;
    bool can_flush;
    uint8_t *zeroes; /* REQUEST_BYTES, when the server cannot zero */
};

static const struct target_ops nbd_ops;
static void nbd_target_close(struct target *tgt);

/* One request to zero; within 32 bits. */
#define ZERO_BYTES_MAX GIB

static struct nbd_target *
to_nbd(struct target *tgt)
{
    return (struct nbd_target *)tgt;
}

static void
close_cleanup(struct nbd_target **nbd)
{
    if (*nbd)
        nbd_target_close(&(*nbd)->target);
}

int
target_nbd_open(const struct target_spec *spec, struct target **ret, struct err *err)
{
    AUTO(close_cleanup) struct nbd_target *nbd = calloc(1, sizeof *nbd);
    if (!nbd)
        return err_errno(err, ENOMEM, "%s", spec->uri);
    if (strcmp(spec->format, "raw") != 0)
        return err_set(err, ERR_INVALID,
                       "%s: what goes to an NBD server is raw; the server chooses the format",
                       spec->uri);
    struct nbd_access access = {
        .uri = spec->uri,
        .name = spec->uri,
        .write = true,
        .stop = spec->stop,
    };
    if (nbd_lanes_open(&nbd->lanes, &access, err) < 0)
        return -1;
    if (nbd->lanes.bytes < spec->bytes)
        return err_set(err, ERR_INVALID,
                       "%s: target has %" PRIu64 " bytes, the source %" PRIu64
                       ": export a disk at least as large",
                       spec->uri, nbd->lanes.bytes, spec->bytes);
    nbd->target = (struct target){
        .ops = &nbd_ops,
        .name = nbd->lanes.name,
        .bytes = spec->bytes,
        .max_lanes = nbd->lanes.n,
    };
    /* A server cannot say which image it has; its size and name must do. */
    snprintf(nbd->target.identity, sizeof nbd->target.identity, "nbd %" PRIu64 " %016" PRIx64,
             nbd->lanes.bytes, cluster_hash(nbd->lanes.uri, strlen(nbd->lanes.uri)));
    nbd->can_zero = nbd_can_zero(nbd->lanes.control) == 1;
    nbd->can_flush = nbd_can_flush(nbd->lanes.control) == 1;
    nbd->zeroes = calloc(1, REQUEST_BYTES);
    if (!nbd->zeroes)
        return err_errno(err, ENOMEM, "%s", spec->uri);
    *ret = &TAKE_PTR(nbd)->target;
    return 0;
}

static int
on_written(void *user_data, int *error)
{
    request_write_done(user_data, *error, "write");
    return 1; /* retire the command */
}

static int
nbd_target_submit(struct target *tgt, unsigned lane, struct request *req, const void *data,
                  size_t len, uint64_t offset, struct err *err)
{
    nbd_completion_callback callback = { .callback = on_written, .user_data = req };
    if (nbd_aio_pwrite(to_nbd(tgt)->lanes.handles[lane], data, len, offset, callback, 0) < 0)
        return nbd_err(err, tgt->name, "write");
    return 0;
}

static int
nbd_target_poll_events(struct target *tgt, unsigned lane, struct pollfd *ret, struct err *err)
{
    (void)err;
    return nbd_lane_poll_events(to_nbd(tgt)->lanes.handles[lane], ret);
}

static int
nbd_target_poll_dispatch(struct target *tgt, unsigned lane, short revents, struct err *err)
{
    (void)revents;
    return nbd_lane_dispatch(to_nbd(tgt)->lanes.handles[lane], tgt->name, err);
}

/* Waits for the answer; other requests of the lane may complete meanwhile. */
static int
nbd_target_zero(struct target *tgt, unsigned lane, uint64_t offset, uint64_t len, struct err *err)
{
    struct nbd_target *nbd = to_nbd(tgt);
    struct nbd_handle *handle = nbd->lanes.handles[lane];
    while (len > 0) {
        uint64_t now = MIN(len, nbd->can_zero ? ZERO_BYTES_MAX : REQUEST_BYTES);
        int r = nbd->can_zero ? nbd_zero(handle, now, offset, 0)
                              : nbd_pwrite(handle, nbd->zeroes, (size_t)now, offset, 0);
        if (r < 0)
            return nbd_err(err, tgt->name, "zero");
        offset += now;
        len -= now;
    }
    return 0;
}

static int
nbd_target_read(struct target *tgt, unsigned lane, void *data, size_t len, uint64_t offset,
                bool *ret_hole, struct err *err)
{
    *ret_hole = false;
    if (nbd_pread(to_nbd(tgt)->lanes.handles[lane], data, len, offset, 0) < 0)
        return nbd_err(err, tgt->name, "read");
    return 0;
}

struct zero_answer {
    uint64_t end; /* zero is known up to here */
};

static int
on_extents(void *user_data, const char *metacontext, uint64_t offset, uint32_t *entries,
           size_t n_entries, int *error)
{
    struct zero_answer *answer = user_data;
    (void)error;
    if (strcmp(metacontext, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0)
        return 0;
    answer->end = offset;
    for (size_t i = 0; i + 1 < n_entries && (entries[i + 1] & LIBNBD_STATE_ZERO); i += 2)
        answer->end += entries[i];
    return 0;
}

static bool
nbd_target_is_hole(struct target *tgt, uint64_t offset, uint64_t len)
{
    struct nbd_target *nbd = to_nbd(tgt);
    uint64_t end = offset + len;
    if (nbd_can_meta_context(nbd->lanes.control, LIBNBD_CONTEXT_BASE_ALLOCATION) != 1)
        return false;
    while (offset < end) {
        struct zero_answer answer = { .end = offset };
        nbd_extent_callback callback = { .callback = on_extents, .user_data = &answer };
        uint64_t now = MIN(end - offset, ZERO_BYTES_MAX);
        if (nbd_block_status(nbd->lanes.control, now, offset, callback, 0) < 0 ||
            answer.end == offset)
            return false;
        offset = answer.end;
    }
    return true;
}

/* With several connections a flush on one covers all: that is what multi-conn promises. */
static int
nbd_target_flush(struct target *tgt, struct err *err)
{
    struct nbd_target *nbd = to_nbd(tgt);
    if (nbd->can_flush && nbd_flush(nbd->lanes.control, 0) < 0)
        return nbd_err(err, tgt->name, "flush");
    return 0;
}

static void
nbd_target_close(struct target *tgt)
{
    struct nbd_target *nbd = to_nbd(tgt);
    nbd_lanes_close(&nbd->lanes);
    free(nbd->zeroes);
    free(nbd);
}

static const struct target_ops nbd_ops = {
    .name = "nbd",
    .submit = nbd_target_submit,
    .poll_events = nbd_target_poll_events,
    .poll_dispatch = nbd_target_poll_dispatch,
    .zero = nbd_target_zero,
    .read = nbd_target_read,
    .is_hole = nbd_target_is_hole,
    .flush = nbd_target_flush,
    .finish = nbd_target_flush,
    .close = nbd_target_close,
};
