#include "disk/copy.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "disk/lane.h"

/* Writes in flight on a lane whose target is asynchronous and whose source is not. */
#define WRITE_DEPTH 4u

static int run_lanes(struct copy *copy, struct err *err);
static void free_lanes(struct copy *copy);
static int finish(struct copy *copy, struct err *err);
static uint64_t known_below(const struct copy_spec *spec);
static uint64_t reached(void *arg);
static const struct stream_client stream_client;

int
copy_disk(const struct copy_spec *spec, struct copy_progress *progress, struct err *err)
{
    struct copy copy = { .spec = spec, .progress = progress };
    pthread_mutex_init(&copy.lock, NULL);
    uint64_t known_bytes;
    if (plan_init(&copy.plan, spec->source, spec->map, spec->ranges, known_below(spec), err) < 0 ||
        plan_known_bytes(&copy.plan, &known_bytes, err) < 0) {
        plan_done(&copy.plan);
        return -1;
    }
    atomic_store(&progress->known_bytes, known_bytes);
    atomic_store(&progress->done_bytes, known_bytes);
    atomic_store(&progress->total_bytes, plan_bytes(&copy.plan));
    spec->source->client = &stream_client;
    spec->source->client_arg = &copy;

    int r = checkpoint_start(&copy.checkpoint, spec->target, spec->map, err);
    if (r == 0) {
        /* A stream may come in any order, so that it is compared from its beginning each time. */
        if (spec->compare && !spec->source->ops->next)
            checkpoint_remember(&copy.checkpoint, reached, &copy);
        r = run_lanes(&copy, err);
        if (r == 0 && spec->source->ops->next) {
            /* The stream is at its end; what it did not bring is zero. */
            free_lanes(&copy);
            plan_rewind(&copy.plan);
            copy.plan.only_zero = true;
            r = run_lanes(&copy, err);
        }
        struct err last = ERR_INIT;
        if (checkpoint_finish(&copy.checkpoint, &last) < 0 && r == 0) {
            *err = last;
            r = -1;
        }
    }
    free_lanes(&copy);
    if (r == 0)
        r = finish(&copy, err);
    plan_done(&copy.plan);
    pthread_mutex_destroy(&copy.lock);
    return r;
}

static uint64_t
known_below(const struct copy_spec *spec)
{
    if (!spec->compare)
        return spec->resume ? UINT64_MAX : 0;
    return spec->source->ops->next ? 0 : map_info(spec->map)->compared_bytes;
}

static uint64_t
reached(void *arg)
{
    return plan_reached(&((struct copy *)arg)->plan);
}

static int
make_lanes(struct copy *copy, struct err *err)
{
    struct source *source = copy->spec->source;
    struct target *target = copy->spec->target;
    unsigned n = MAX(1u, MIN(source->n_lanes, (unsigned)MAX_LANES));
    if (target->max_lanes)
        n = MIN(n, target->max_lanes);
    /* A stream holds a range until it is stored, so it has one request a lane. */
    unsigned depth = source->ops->next     ? 1
                     : target->ops->submit ? MAX(source->depth, WRITE_DEPTH)
                                           : source->depth;
    unsigned n_requests = source->ops->next ? 1 : MAX(depth, source->small_depth);
    copy->lanes = calloc(n, sizeof *copy->lanes);
    if (!copy->lanes)
        return err_errno(err, ENOMEM, "lanes of a copy");
    for (; copy->n_lanes < n; copy->n_lanes++)
        if (lane_init(&copy->lanes[copy->n_lanes], copy, copy->n_lanes, depth, n_requests, err) <
            0) {
            lane_done(&copy->lanes[copy->n_lanes]);
            return -1;
        }
    return 0;
}

static void
free_lanes(struct copy *copy)
{
    for (unsigned i = 0; i < copy->n_lanes; i++)
        lane_done(&copy->lanes[i]);
    free(copy->lanes);
    copy->lanes = NULL;
    copy->n_lanes = 0;
}

static int
run_lanes(struct copy *copy, struct err *err)
{
    if (make_lanes(copy, err) < 0)
        return -1;
    unsigned started = 0;
    for (; started < copy->n_lanes; started++) {
        struct lane *lane = &copy->lanes[started];
        int r = pthread_create(&lane->thread, NULL, lane_main, lane);
        if (r == 0)
            continue;
        struct err failure = ERR_INIT;
        err_errno(&failure, r, "start a thread");
        copy_fail(copy, &failure);
        break;
    }
    for (unsigned i = 0; i < started; i++)
        pthread_join(copy->lanes[i].thread, NULL);
    if (copy->failed.kind != ERR_NONE) {
        *err = copy->failed;
        return -1;
    }
    if (atomic_load(&copy->progress->stop))
        return err_set(err, ERR_CANCELLED, "%s: copy was stopped", copy->spec->target->name);
    return 0;
}

static int
finish(struct copy *copy, struct err *err)
{
    struct source *source = copy->spec->source;
    struct target *target = copy->spec->target;
    if (source_check_unchanged(source, err) < 0)
        return -1;
    return target->ops->finish(target, err);
}

/* ---- what a stream asks ---- */

static bool
client_wanted(void *arg, uint64_t cluster)
{
    struct copy *copy = arg;
    struct err err = ERR_INIT;
    bool wanted = true; /* a map that cannot be read costs a second copy, no more */
    if (plan_wants(&copy->plan, cluster, &wanted, &err) < 0)
        return true;
    return wanted;
}

static int
client_read_back(void *arg, unsigned lane, uint64_t offset, void *data, size_t len, struct err *err)
{
    struct copy *copy = arg;
    struct target *target = copy->spec->target;
    for (size_t done = 0; done < len; done += CLUSTER_BYTES) {
        size_t now = (size_t)MIN(CLUSTER_BYTES, len - done);
        bool hole;
        uint8_t *to = (uint8_t *)data + done;
        if (target->ops->read(target, lane, to, now, offset + done, &hole, err) < 0)
            return -1;
        if (hole)
            for (size_t i = 0; i < now; i++)
                to[i] = 0;
    }
    return 0;
}

static bool
client_stopped(void *arg)
{
    return copy_is_stopped(arg);
}

static const struct stream_client stream_client = {
    .wanted = client_wanted,
    .read_back = client_read_back,
    .stopped = client_stopped,
};
