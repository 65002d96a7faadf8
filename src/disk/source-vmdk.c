/* The streamOptimized VMDK as a source.
 *
 * Theory of operation: the stream has one reader at a time. A lane takes the lock, reads compressed
 * grains as long as they belong to one aligned window of a request's size, gives the lock on, and
 * inflates into its request while the next lane reads. Reading is a fraction of inflating, so a few
 * lanes keep all cores busy, and what was inflated goes from the same buffer to the target.
 *
 * Grains normally ascend, but a writer may send them in any order, and even one twice (the later
 * counts). A bit per grain says what came. A range that touches a cluster already stored is taken
 * alone: it waits until no other lane holds a range, and where grains are smaller than clusters,
 * what was stored is read back and completed.
 *
 * What never came is zero. A stream that cannot be shown to be whole is truncated, and an error.
 */
#include <errno.h>
#include <inttypes.h>
#include <libdeflate.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "disk/vmdk-stream.h"

#define STREAM_LANES_MAX 8 /* they inflate; what they hold is 3 MiB each */
#define LANE_COMPRESSED_BYTES (2 * REQUEST_BYTES)
#define STOP_POLL_NS (100 * NS_PER_MS) /* how soon a waiting lane notices that all is over */
#define GRAINS_PER_WINDOW (REQUEST_BYTES / VMDK_GRAIN_MIN)

struct grain {
    uint32_t start, len; /* in the lane's compressed bytes */
    uint64_t offset;     /* bytes into the disk */
};

/* What a lane has read and not yet inflated; only its thread touches it. */
struct vmdk_lane {
    struct libdeflate_decompressor *inflater;
    uint8_t *compressed;
    size_t used; /* bytes of it */
    size_t n_grains;
    struct grain grains[GRAINS_PER_WINDOW];
    uint64_t window; /* bytes; where the request begins */
    bool again;      /* touches clusters that were stored before */
    bool holds;      /* counted in n_holding; under the lock */
};

struct vmdk_source {
    struct source source;
    struct vmdk_header header;

    pthread_mutex_t lock; /* all that follows */
    pthread_cond_t changed;
    struct byte_input *in;
    uint8_t *seen; /* a bit a grain */
    uint64_t n_grains, n_seen;
    bool has_pending; /* a block's head was read ahead */
    struct vmdk_block pending;
    bool footer_seen;
    bool ended;
    bool alone;         /* a lane must be the only one: the others get nothing */
    bool others_hold;   /* n_holding > 0 */
    unsigned n_holding; /* lanes with a range that is not stored yet */
    struct err failed;  /* the stream broke: said to every lane */

    struct vmdk_lane lanes[STREAM_LANES_MAX];
};

static const struct source_ops vmdk_ops;
static void vmdk_close(struct source *src);
static int read_batch(struct vmdk_source *v, struct vmdk_lane *lane, struct err *err);
static void release_range(struct vmdk_source *v, struct vmdk_lane *lane);
static int wait_while(struct vmdk_source *v, const bool *flag, struct err *err);
static int inflate_batch(struct vmdk_source *v, unsigned lane_no, struct request *req,
                         struct err *err);

static struct vmdk_source *
to_vmdk(struct source *src)
{
    return (struct vmdk_source *)src;
}

static void
close_cleanup(struct vmdk_source **v)
{
    if (*v)
        vmdk_close(&(*v)->source);
}

int
source_vmdk_open(struct byte_input *in, const char *identity, struct source **ret, struct err *err)
{
    AUTO(close_cleanup) struct vmdk_source *v = calloc(1, sizeof *v);
    if (!v) {
        byte_input_close(in);
        return err_errno(err, ENOMEM, "VMDK");
    }
    v->in = in;
    pthread_mutex_init(&v->lock, NULL);
    cond_init_monotonic(&v->changed);
    if (vmdk_stream_begin(in, &v->header, err) < 0)
        return -1;
    v->source = (struct source){
        .ops = &vmdk_ops,
        .name = strdup(byte_input_name(in)),
        .bytes = v->header.capacity_bytes,
        .n_lanes = source_lanes_for_cpus(STREAM_LANES_MAX),
        .depth = 1,
    };
    /* With grains smaller than clusters a stored cluster may still miss some: a second reading
     * could not know which, so such a stream starts again from its beginning. A pipe does anyway.
     */
    if (byte_input_is_file(in) && v->header.grain_bytes >= CLUSTER_BYTES)
        snprintf(v->source.identity, sizeof v->source.identity, "vmdk %s", identity);
    v->n_grains = div_up(v->header.capacity_bytes, v->header.grain_bytes);
    v->seen = calloc(div_up(v->n_grains, 8), 1);
    if (!v->source.name || !v->seen)
        return err_errno(err, ENOMEM, "%s", byte_input_name(in));
    for (unsigned i = 0; i < v->source.n_lanes; i++) {
        v->lanes[i].inflater = libdeflate_alloc_decompressor();
        v->lanes[i].compressed = malloc(LANE_COMPRESSED_BYTES);
        if (!v->lanes[i].inflater || !v->lanes[i].compressed)
            return err_errno(err, ENOMEM, "%s", byte_input_name(in));
    }
    *ret = &TAKE_PTR(v)->source;
    return 0;
}

static int
vmdk_next(struct source *src, unsigned lane_no, struct request *req, struct err *err)
{
    struct vmdk_source *v = to_vmdk(src);
    struct vmdk_lane *lane = &v->lanes[lane_no];

    pthread_mutex_lock(&v->lock);
    release_range(v, lane);
    int r = wait_while(v, &v->alone, err);
    if (r == 0 && v->failed.kind != ERR_NONE) {
        *err = v->failed;
        r = -1;
    }
    lane->n_grains = 0;
    if (r == 0 && !v->ended && (r = read_batch(v, lane, err)) < 0)
        v->failed = *err;
    bool got = r == 0 && lane->n_grains > 0;
    if (got && lane->again) {
        v->alone = true;
        r = wait_while(v, &v->others_hold, err);
    }
    if (got) {
        lane->holds = true;
        v->n_holding++;
        v->others_hold = true;
    }
    pthread_mutex_unlock(&v->lock);
    if (r < 0 || !got)
        return r;
    return inflate_batch(v, lane_no, req, err) < 0 ? -1 : 1;
}

/* What the lane got last is stored. Under the lock, as the next two. */
static void
release_range(struct vmdk_source *v, struct vmdk_lane *lane)
{
    if (!lane->holds)
        return;
    if (lane->again)
        v->alone = false;
    lane->holds = false;
    v->others_hold = --v->n_holding > 0;
    pthread_cond_broadcast(&v->changed);
}

/* Wait until another lane has made *flag false, or the copy is stopped. */
static int
wait_while(struct vmdk_source *v, const bool *flag, struct err *err)
{
    while (*flag) {
        if (v->source.client->stopped(v->source.client_arg))
            return err_set(err, ERR_CANCELLED, "%s: copy was stopped", v->source.name);
        int64_t until_ns = clock_now_ns() + STOP_POLL_NS;
        struct timespec until = { .tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S };
        pthread_cond_timedwait(&v->changed, &v->lock, &until);
    }
    return 0;
}

/* ---- reading, under the lock ---- */

static bool
grain_seen(const struct vmdk_source *v, uint64_t grain)
{
    return v->seen[grain / 8] >> grain % 8 & 1;
}

static void
mark_seen(struct vmdk_source *v, uint64_t grain)
{
    v->n_seen += !grain_seen(v, grain);
    v->seen[grain / 8] |= (uint8_t)(1 << grain % 8);
}

/* Did anything of the clusters that this grain touches come before the present batch? */
static bool
touches_stored(const struct vmdk_source *v, const struct vmdk_lane *lane, uint64_t offset)
{
    uint64_t grain_bytes = v->header.grain_bytes;
    uint64_t begin = round_down(offset, CLUSTER_BYTES);
    uint64_t end = MIN(round_up(offset + grain_bytes, CLUSTER_BYTES), v->header.capacity_bytes);
    for (uint64_t at = begin; at < end; at += grain_bytes) {
        if (!grain_seen(v, at / grain_bytes))
            continue;
        bool in_batch = false;
        for (size_t i = 0; i < lane->n_grains; i++)
            in_batch |= lane->grains[i].offset == at;
        if (!in_batch)
            return true;
    }
    return false;
}

static bool
is_wanted(const struct vmdk_source *v, uint64_t offset)
{
    uint64_t end = MIN(offset + v->header.grain_bytes, v->header.capacity_bytes);
    for (uint64_t at = offset; at < end; at += CLUSTER_BYTES)
        if (v->source.client->wanted(v->source.client_arg, at / CLUSTER_BYTES))
            return true;
    return false;
}

/* 1: the grain is in the batch, or skipped; 0: it belongs to the next batch. */
static int
take_grain(struct vmdk_source *v, struct vmdk_lane *lane, const struct vmdk_block *block,
           struct err *err)
{
    uint64_t window = round_down(block->offset, REQUEST_BYTES);
    uint64_t grain = block->offset / v->header.grain_bytes;
    bool again = touches_stored(v, lane, block->offset);
    if (lane->n_grains > 0 &&
        (window != lane->window || again != lane->again || lane->n_grains == GRAINS_PER_WINDOW ||
         lane->used + block->compressed_len > LANE_COMPRESSED_BYTES))
        return 0;
    uint64_t padding = vmdk_grain_padding(block->compressed_len);
    /* A grain of a cluster from an earlier run that comes twice must not be left at its first
     * form; with small grains there is no earlier run. */
    bool may_skip = v->header.grain_bytes < CLUSTER_BYTES || !grain_seen(v, grain);
    if (may_skip && !is_wanted(v, block->offset)) {
        mark_seen(v, grain);
        return byte_input_skip(v->in, block->compressed_len + padding, err) < 0 ? -1 : 1;
    }
    if (byte_input_read(v->in, lane->compressed + lane->used, block->compressed_len, err) < 0 ||
        byte_input_skip(v->in, padding, err) < 0)
        return -1;
    lane->window = window;
    lane->again = again;
    lane->grains[lane->n_grains++] =
        (struct grain){ (uint32_t)lane->used, block->compressed_len, block->offset };
    lane->used += block->compressed_len;
    mark_seen(v, grain);
    return 1;
}

static int
read_block(struct vmdk_source *v, struct vmdk_block *ret, struct err *err)
{
    if (v->has_pending) {
        *ret = v->pending;
        v->has_pending = false;
        return 0;
    }
    return vmdk_block_read(v->in, &v->header, ret, err);
}

/* The stream ended: is it all there? */
static int
check_end(const struct vmdk_source *v, enum vmdk_block_kind kind, struct err *err)
{
    const struct vmdk_header *header = &v->header;
    if (kind == VMDK_CUT && !(header->has_listed && v->n_seen == header->n_listed))
        return err_set(err, ERR_INVALID,
                       "%s: ends at byte %" PRIu64 " without its end marker: the file is truncated",
                       v->source.name, byte_input_position(v->in));
    if (header->has_listed && v->n_seen < header->n_listed)
        return err_set(err, ERR_INVALID,
                       "%s: holds %" PRIu64 " of the %" PRIu64
                       " grains that its tables list: the file is truncated or damaged",
                       v->source.name, v->n_seen, header->n_listed);
    if (header->has_footer && !v->footer_seen)
        return err_set(err, ERR_INVALID,
                       "%s: VMDK is damaged: it ends without the footer that its header announces",
                       v->source.name);
    return 1;
}

static int
read_batch(struct vmdk_source *v, struct vmdk_lane *lane, struct err *err)
{
    lane->used = 0;
    lane->again = false;
    while (!v->ended) {
        struct vmdk_block block;
        if (read_block(v, &block, err) < 0)
            return -1;
        int r = 1;
        switch (block.kind) {
        case VMDK_GRAIN:
            r = take_grain(v, lane, &block, err);
            break;
        case VMDK_METADATA:
            r = byte_input_skip(v->in, block.skip_bytes, err) < 0 ? -1 : 1;
            break;
        case VMDK_FOOTER:
            r = vmdk_footer_read(v->in, &v->header, err) < 0 ? -1 : 1;
            v->footer_seen = true;
            break;
        case VMDK_END:
        case VMDK_CUT:
            r = check_end(v, block.kind, err);
            v->ended = true;
            break;
        }
        if (r < 0)
            return -1;
        if (r == 0) {
            v->pending = block;
            v->has_pending = true;
            return 0;
        }
    }
    return 0;
}

/* ---- inflating, by the lane alone ---- */

static int
inflate_grain(struct vmdk_source *v, struct vmdk_lane *lane, const struct grain *grain,
              struct request *req, struct err *err)
{
    uint64_t grain_bytes = v->header.grain_bytes;
    uint64_t rest = v->header.capacity_bytes - grain->offset;
    uint8_t *to = req->data + (grain->offset - lane->window);
    size_t actual = 0;
    enum libdeflate_result r = libdeflate_zlib_decompress(
        lane->inflater, lane->compressed + grain->start, grain->len, to, grain_bytes, &actual);
    if (r != LIBDEFLATE_SUCCESS)
        return err_set(err, ERR_INVALID,
                       "%s: VMDK is damaged: the grain for disk offset %" PRIu64
                       " does not inflate (%s)",
                       v->source.name, grain->offset,
                       r == LIBDEFLATE_INSUFFICIENT_SPACE ? "it is too long" : "bad data");
    if (actual < MIN(grain_bytes, rest))
        return err_set(err, ERR_INVALID,
                       "%s: VMDK is damaged: the grain for disk offset %" PRIu64
                       " holds %zu bytes of %" PRIu64,
                       v->source.name, grain->offset, actual, MIN(grain_bytes, rest));
    return 0;
}

/* What a cluster holds before its grains are laid over it. */
static int
prepare_cluster(struct vmdk_source *v, unsigned lane_no, struct request *req, size_t cluster,
                struct err *err)
{
    const struct stream_client *client = v->source.client;
    uint8_t *data = req->data + cluster * CLUSTER_BYTES;
    size_t len = request_cluster_len(req, cluster);
    if (v->lanes[lane_no].again)
        return client->read_back(v->source.client_arg, lane_no,
                                 req->offset + cluster * CLUSTER_BYTES, data, len, err);
    memset(data, 0, len);
    return 0;
}

static int
inflate_batch(struct vmdk_source *v, unsigned lane_no, struct request *req, struct err *err)
{
    struct vmdk_lane *lane = &v->lanes[lane_no];
    uint64_t disk_bytes = v->header.capacity_bytes;
    req->offset = lane->window;
    req->len = (size_t)MIN(REQUEST_BYTES, disk_bytes - lane->window);
    req->present = 0;
    req->overwrites = lane->again;
    for (size_t i = 0; i < lane->n_grains; i++) {
        uint64_t from = lane->grains[i].offset - lane->window;
        uint64_t to = MIN(from + v->header.grain_bytes, (uint64_t)req->len);
        for (uint64_t c = from / CLUSTER_BYTES; c < div_up(to, CLUSTER_BYTES); c++)
            req->present |= UINT32_C(1) << c;
    }
    /* Whole grains fill whole clusters; smaller ones may leave some of a cluster to what was stored
     * before, or to zero. */
    if (v->header.grain_bytes < CLUSTER_BYTES) {
        for (size_t c = 0; c < request_clusters(req); c++)
            if ((req->present >> c & 1) && prepare_cluster(v, lane_no, req, c, err) < 0)
                return -1;
    }
    for (size_t i = 0; i < lane->n_grains; i++)
        if (inflate_grain(v, lane, &lane->grains[i], req, err) < 0)
            return -1;
    return 0;
}

/* The first grain from `grain` on, at most `end`, that came when it did not, or the other way.
 * Eight at a time where it can: a large disk has millions that never came. */
static uint64_t
next_change(const struct vmdk_source *v, uint64_t grain, uint64_t end)
{
    bool seen = grain_seen(v, grain);
    uint8_t alike = seen ? 0xff : 0;
    while (grain < end && grain_seen(v, grain) == seen) {
        bool whole = grain % 8 == 0 && v->seen[grain / 8] == alike;
        grain += whole ? 8 : 1;
    }
    return MIN(grain, end);
}

/* After the end of the stream: what never came is zero. */
static int
vmdk_extents(struct source *src, uint64_t offset, uint64_t len, struct extent_list *ret,
             struct err *err)
{
    struct vmdk_source *v = to_vmdk(src);
    uint64_t grain_bytes = v->header.grain_bytes;
    extent_clear(ret);
    if (!v->ended)
        return extent_add(ret, offset, len, false, err);
    uint64_t end = offset + len;
    while (offset < end && ret->n < 1024) {
        uint64_t grain = offset / grain_bytes;
        uint64_t change = next_change(v, grain, div_up(end, grain_bytes));
        uint64_t next = MIN(change * grain_bytes, end);
        if (extent_add(ret, offset, next - offset, !grain_seen(v, grain), err) < 0)
            return -1;
        offset = next;
    }
    return 0;
}

static void
vmdk_close(struct source *src)
{
    struct vmdk_source *v = to_vmdk(src);
    byte_input_close(v->in);
    for (unsigned i = 0; i < STREAM_LANES_MAX; i++) {
        if (v->lanes[i].inflater)
            libdeflate_free_decompressor(v->lanes[i].inflater);
        free(v->lanes[i].compressed);
    }
    pthread_mutex_destroy(&v->lock);
    pthread_cond_destroy(&v->changed);
    free(v->seen);
    free(src->name);
    free(v);
}

static const struct source_ops vmdk_ops = {
    .name = "vmdk stream",
    .extents = vmdk_extents,
    .next = vmdk_next,
    .close = vmdk_close,
};
