/* NBD servers, and through a qemu-nbd of our own every format that QEMU can open. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "disk/nbd-connection.h"
#include "disk/source.h"
#include "wire/qemu-nbd.h"

/* One question about extents; the protocol has 32 bits for it. */
#define EXTENTS_WINDOW_BYTES GIB

struct nbd_source {
    struct source source;
    struct nbd_lanes lanes;
    bool has_extents;
    struct qemu_nbd server; /* when it is ours */
};

static const struct source_ops nbd_ops;
static void nbd_source_close(struct source *src);

static struct nbd_source *
to_nbd(struct source *src)
{
    return (struct nbd_source *)src;
}

static void
close_cleanup(struct nbd_source **nbd)
{
    if (*nbd)
        nbd_source_close(&(*nbd)->source);
}

static int
connect_lanes(struct nbd_source *nbd, const struct nbd_access *access, struct err *err)
{
    if (nbd_lanes_open(&nbd->lanes, access, err) < 0)
        return -1;
    nbd->source.ops = &nbd_ops;
    nbd->source.name = nbd->lanes.name;
    nbd->source.bytes = round_up(nbd->lanes.bytes, SECTOR_BYTES);
    nbd->source.n_lanes = nbd->lanes.n;
    nbd->source.depth = NBD_DEPTH;
    nbd->source.small_depth = NBD_SMALL_DEPTH;
    nbd->source.ask_bytes = REQUEST_BYTES; /* a round trip, for which all lanes wait */
    nbd->has_extents =
        nbd_can_meta_context(nbd->lanes.control, LIBNBD_CONTEXT_BASE_ALLOCATION) == 1;
    return 0;
}

static struct nbd_source *
new_source(void)
{
    struct nbd_source *nbd = calloc(1, sizeof *nbd);
    if (nbd) {
        nbd->source.ops = &nbd_ops;
        nbd->server = QEMU_NBD_INIT;
    }
    return nbd;
}

int
source_nbd_open(const struct source_spec *spec, const char *name, struct source **ret,
                struct err *err)
{
    AUTO(close_cleanup) struct nbd_source *nbd = new_source();
    if (!nbd)
        return err_errno(err, ENOMEM, "%s", name);
    struct nbd_access access = { .uri = spec->uri, .name = name, .stop = spec->stop };
    if (connect_lanes(nbd, &access, err) < 0)
        return -1;
    /* A server cannot say whether it has changed; its name and size must do. */
    snprintf(nbd->source.identity, sizeof nbd->source.identity, "nbd %" PRIu64 " %.150s",
             nbd->source.bytes, spec->uri);
    *ret = &TAKE_PTR(nbd)->source;
    return 0;
}

int
source_qemu_open(const struct source_spec *spec, const char *format, struct source **ret,
                 struct err *err)
{
    AUTO(close_cleanup) struct nbd_source *nbd = new_source();
    auto_free char *uri = NULL;
    if (!nbd)
        return err_errno(err, ENOMEM, "%s", spec->uri);
    struct qemu_nbd_image image = {
        .path = spec->uri,
        .format = format,
        .window_offset = spec->window_offset,
        .window_bytes = spec->window_bytes,
    };
    if (qemu_nbd_start(&nbd->server, &image, err) < 0)
        return -1;
    if (asprintf(&uri, "nbd+unix:///?socket=%s", nbd->server.socket) < 0)
        return err_errno(err, ENOMEM, "%s", spec->uri);
    struct nbd_access access = {
        .uri = uri,
        .name = spec->member ? spec->member : spec->uri,
        .stop = spec->stop,
    };
    if (connect_lanes(nbd, &access, err) < 0)
        return -1;
    *ret = &TAKE_PTR(nbd)->source;
    return 0;
}

/* ---- extents ---- */

struct extents_answer {
    struct extent_list *list;
    uint64_t end;
    int failed;
    struct err *err;
};

static int
on_extents(void *user_data, const char *metacontext, uint64_t offset, uint32_t *entries,
           size_t n_entries, int *error)
{
    struct extents_answer *answer = user_data;
    (void)error;
    if (strcmp(metacontext, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0)
        return 0;
    for (size_t i = 0; i + 1 < n_entries && offset < answer->end; i += 2) {
        uint64_t len = MIN((uint64_t)entries[i], answer->end - offset);
        bool zero = entries[i + 1] & LIBNBD_STATE_ZERO;
        if (len > 0 && extent_add(answer->list, offset, len, zero, answer->err) < 0)
            answer->failed = 1;
        offset += len;
    }
    return 0;
}

static int
nbd_source_extents(struct source *src, uint64_t offset, uint64_t len, struct extent_list *ret,
                   struct err *err)
{
    struct nbd_source *nbd = to_nbd(src);
    extent_clear(ret);
    if (!nbd->has_extents)
        return extent_add(ret, offset, len, false, err);
    len = MIN(MIN(len, nbd->lanes.bytes - offset), EXTENTS_WINDOW_BYTES);
    struct extents_answer answer = { .list = ret, .end = offset + len, .err = err };
    nbd_extent_callback callback = { .callback = on_extents, .user_data = &answer };
    if (nbd_block_status(nbd->lanes.control, len, offset, callback, 0) < 0)
        return nbd_err(err, src->name, "ask for extents");
    if (answer.failed)
        return -1;
    if (ret->n == 0)
        return err_set(err, ERR_IO, "%s: the server gave no extents at %" PRIu64, src->name,
                       offset);
    return 0;
}

/* ---- reading ---- */

static int
on_read(void *user_data, int *error)
{
    request_read_done(user_data, *error, "read");
    return 1; /* retire the command */
}

static int
nbd_source_submit(struct source *src, unsigned lane, struct request *req, struct err *err)
{
    struct nbd_source *nbd = to_nbd(src);
    nbd_completion_callback callback = { .callback = on_read, .user_data = req };
    size_t len = (size_t)MIN((uint64_t)req->len, nbd->lanes.bytes - req->offset);
    memset(req->data + len, 0, req->len - len);
    if (nbd_aio_pread(nbd->lanes.handles[lane], req->data, len, req->offset, callback, 0) < 0)
        return nbd_err(err, src->name, "read");
    return 0;
}

static int
nbd_source_poll_events(struct source *src, unsigned lane, struct pollfd *ret, struct err *err)
{
    (void)err;
    return nbd_lane_poll_events(to_nbd(src)->lanes.handles[lane], ret);
}

static int
nbd_source_poll_dispatch(struct source *src, unsigned lane, short revents, struct err *err)
{
    (void)revents;
    return nbd_lane_dispatch(to_nbd(src)->lanes.handles[lane], src->name, err);
}

static void
nbd_source_close(struct source *src)
{
    struct nbd_source *nbd = to_nbd(src);
    nbd_lanes_close(&nbd->lanes);
    qemu_nbd_stop(&nbd->server);
    free(nbd);
}

static const struct source_ops nbd_ops = {
    .name = "nbd",
    .extents = nbd_source_extents,
    .submit = nbd_source_submit,
    .poll_events = nbd_source_poll_events,
    .poll_dispatch = nbd_source_poll_dispatch,
    .close = nbd_source_close,
};
