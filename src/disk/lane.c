#include "disk/lane.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* How soon a waiting lane notices a stop, or that another thread completed its request. */
#define WAIT_MS 100

static int start_request(struct lane *lane, struct err *err);
static int process_ready(struct lane *lane, struct err *err);
static int retire_written(struct lane *lane, struct err *err);
static int wait_for_io(struct lane *lane, struct err *err);

/* ---- lists ---- */

static void
list_init(struct request_list *list)
{
    list->first = NULL;
    list->last = &list->first;
    list->n = 0;
}

static void
list_push(struct request_list *list, struct request *req)
{
    req->next = NULL;
    *list->last = req;
    list->last = &req->next;
    list->n++;
}

static struct request *
list_pop(struct request_list *list)
{
    struct request *req = list->first;
    if (!req)
        return NULL;
    list->first = req->next;
    if (!list->first)
        list->last = &list->first;
    list->n--;
    return req;
}

static void
list_remove(struct request_list *list, struct request *req)
{
    struct request **p = &list->first;
    while (*p != req)
        p = &(*p)->next;
    *p = req->next;
    if (!req->next)
        list->last = p;
    list->n--;
}

static void
lane_push(struct lane *lane, struct request_list *list, struct request *req)
{
    pthread_mutex_lock(&lane->lock);
    list_push(list, req);
    pthread_mutex_unlock(&lane->lock);
}

static struct request *
lane_pop(struct lane *lane, struct request_list *list)
{
    pthread_mutex_lock(&lane->lock);
    struct request *req = list_pop(list);
    pthread_mutex_unlock(&lane->lock);
    return req;
}

/* ---- life ---- */

int
lane_init(struct lane *lane, struct copy *copy, unsigned number, unsigned depth, struct err *err)
{
    *lane = (struct lane){ .copy = copy, .number = number, .depth = depth };
    pthread_mutex_init(&lane->lock, NULL);
    list_init(&lane->free);
    list_init(&lane->reading);
    list_init(&lane->ready);
    list_init(&lane->writing);
    lane->requests = calloc(depth, sizeof *lane->requests);
    lane->buffers = aligned_alloc(IO_ALIGN, depth * REQUEST_BYTES);
    if (!lane->requests || !lane->buffers)
        return err_errno(err, ENOMEM, "%u buffers of a copy", depth);
    for (unsigned i = 0; i < depth; i++) {
        lane->requests[i].lane = lane;
        lane->requests[i].data = lane->buffers + i * REQUEST_BYTES;
        list_push(&lane->free, &lane->requests[i]);
    }
    return 0;
}

void
lane_done(struct lane *lane)
{
    free(lane->requests);
    free(lane->buffers);
    pthread_mutex_destroy(&lane->lock);
}

void
copy_fail(struct copy *copy, const struct err *err)
{
    pthread_mutex_lock(&copy->lock);
    if (copy->failed.kind == ERR_NONE)
        copy->failed = *err;
    pthread_mutex_unlock(&copy->lock);
}

bool
copy_is_stopped(struct copy *copy)
{
    pthread_mutex_lock(&copy->lock);
    bool failed = copy->failed.kind != ERR_NONE;
    pthread_mutex_unlock(&copy->lock);
    return failed || atomic_load(&copy->progress->stop);
}

static bool
lane_is_idle(struct lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    bool idle = lane->free.n == lane->depth;
    pthread_mutex_unlock(&lane->lock);
    return idle;
}

void *
lane_main(void *arg)
{
    struct lane *lane = arg;
    struct source *source = lane->copy->spec->source;
    struct err err = ERR_INIT;
    int r = 0;
    if (source->ops->begin)
        source->ops->begin(source, lane->number);
    while (r == 0 && !(lane->ended && lane_is_idle(lane))) {
        if (copy_is_stopped(lane->copy))
            break;
        r = lane->ended || !lane->free.first ? 0 : start_request(lane, &err);
        if (r == 0)
            r = process_ready(lane, &err);
        if (r == 0)
            r = retire_written(lane, &err);
        if (r == 0 && (lane->ended || !lane->free.first) && !lane_is_idle(lane))
            r = wait_for_io(lane, &err);
    }
    if (r < 0)
        copy_fail(lane->copy, &err);
    if (source->ops->end)
        source->ops->end(source, lane->number);
    return NULL;
}

/* ---- reading ---- */

/* A zero range needs no buffer: done here and now. */
static int
store_zero(struct lane *lane, uint64_t offset, uint64_t len, struct err *err)
{
    struct copy *copy = lane->copy;
    struct target *target = copy->spec->target;
    if (!target->zero_at_start && target->ops->zero(target, lane->number, offset, len, err) < 0)
        return -1;
    struct checkpoint_entry entry = {
        .first = offset / CLUSTER_BYTES,
        .n = div_up(len, CLUSTER_BYTES),
        .zero = true,
    };
    if (checkpoint_add(&copy->checkpoint, &entry, 0, err) < 0)
        return -1;
    atomic_fetch_add(&copy->progress->zero_bytes, len);
    atomic_fetch_add(&copy->progress->done_bytes, len);
    return 0;
}

/* The next request of the lane's run. */
static int
take_of_run(struct lane *lane, struct request *req)
{
    req->offset = lane->run_at;
    req->len = (size_t)MIN(REQUEST_BYTES, lane->run_end - lane->run_at);
    req->run_end = lane->run_end;
    req->present = UINT32_MAX;
    lane->run_at += req->len;
    return 1;
}

/* The next range into req. 1: got one; 0: the end. */
static int
next_range(struct lane *lane, struct request *req, struct err *err)
{
    struct copy *copy = lane->copy;
    struct source *source = copy->spec->source;
    req->overwrites = false;
    if (source->ops->next && !copy->plan.only_zero)
        return source->ops->next(source, lane->number, req, err);
    if (lane->run_at < lane->run_end)
        return take_of_run(lane, req);
    for (;;) {
        uint64_t offset, len;
        int step = plan_next(&copy->plan, &offset, &len, err);
        if (step < 0)
            return -1;
        if (step == PLAN_END)
            return 0;
        if (step == PLAN_DATA) {
            lane->run_at = offset;
            lane->run_end = offset + len;
            return take_of_run(lane, req);
        }
        if (store_zero(lane, offset, len, err) < 0)
            return -1;
        if (copy_is_stopped(copy))
            return 0;
    }
}

static int
start_request(struct lane *lane, struct err *err)
{
    struct copy *copy = lane->copy;
    struct source *source = copy->spec->source;
    struct request *req = lane_pop(lane, &lane->free);
    int got = next_range(lane, req, err);
    if (got <= 0) {
        lane->ended = true;
        lane_push(lane, &lane->free, req);
        return got;
    }
    rate_wait(copy->spec->rate, request_present_bytes(req), &copy->progress->stop);
    req->err.kind = ERR_NONE;
    if (source->ops->next) {
        lane_push(lane, &lane->ready, req);
        return 0;
    }
    lane_push(lane, &lane->reading, req);
    if (source->ops->submit)
        return source->ops->submit(source, lane->number, req, err);
    if (source->ops->read(source, lane->number, req, err) < 0)
        return -1;
    request_read_done(req, 0, NULL);
    return 0;
}

void
request_read_done(struct request *req, int errnum, const char *what)
{
    struct lane *lane = req->lane;
    pthread_mutex_lock(&lane->lock);
    if (errnum)
        err_errno(&req->err, errnum, "%s: %s %zu bytes at %" PRIu64, lane->copy->spec->source->name,
                  what, req->len, req->offset);
    list_remove(&lane->reading, req);
    list_push(&lane->ready, req);
    pthread_mutex_unlock(&lane->lock);
}

/* ---- writing ---- */

/* Write clusters [i, end) of the request, which are all data or all zero. */
static int
store_run(struct lane *lane, struct request *req, size_t i, size_t end, bool zero, struct err *err)
{
    struct target *target = lane->copy->spec->target;
    size_t from = i * CLUSTER_BYTES;
    size_t len = MIN(end * CLUSTER_BYTES, req->len) - from;
    if (zero) {
        if (target->zero_at_start && !req->overwrites)
            return 0;
        return target->ops->zero(target, lane->number, req->offset + from, len, err);
    }
    if (target->ops->write)
        return target->ops->write(target, req->data + from, len, req->offset + from, err);
    pthread_mutex_lock(&lane->lock);
    req->pending++;
    pthread_mutex_unlock(&lane->lock);
    return target->ops->submit(target, lane->number, req, req->data + from, len, req->offset + from,
                               err);
}

static int
store_request(struct lane *lane, struct request *req, struct err *err)
{
    size_t n = request_clusters(req);
    /* qcow2 stores whole clusters: behind the end of the disk there is zero. */
    memset(req->data + req->len, 0, n * CLUSTER_BYTES - req->len);
    for (size_t i = 0; i < n; i++)
        if (req->present >> i & 1)
            req->hashes[i] =
                cluster_hash(req->data + i * CLUSTER_BYTES, request_cluster_len(req, i));

    size_t end;
    for (size_t i = 0; i < n; i = end) {
        bool present = req->present >> i & 1;
        bool zero = present && req->hashes[i] == CLUSTER_ZERO;
        for (end = i + 1; end < n; end++)
            if ((req->present >> end & 1) != present ||
                (present && (req->hashes[end] == CLUSTER_ZERO) != zero))
                break;
        if (present && store_run(lane, req, i, end, zero, err) < 0)
            return -1;
    }
    return 0;
}

/* One of them: so that the next read is begun before the next one is looked at, and reads that came
 * all at once do not go out all at once again. */
static int
process_ready(struct lane *lane, struct err *err)
{
    struct request *req = lane_pop(lane, &lane->ready);
    if (!req)
        return 0;
    if (req->err.kind != ERR_NONE) {
        *err = req->err;
        return -1;
    }
    atomic_fetch_add(&lane->copy->progress->read_bytes, request_present_bytes(req));
    req->pending = 1; /* ours, so that it does not end before all its writes have begun */
    lane_push(lane, &lane->writing, req);
    if (store_request(lane, req, err) < 0)
        return -1;
    request_write_done(req, 0, NULL);
    return 0;
}

void
request_write_done(struct request *req, int errnum, const char *what)
{
    struct lane *lane = req->lane;
    pthread_mutex_lock(&lane->lock);
    if (errnum && req->err.kind == ERR_NONE)
        err_errno(&req->err, errnum, "%s: %s at %" PRIu64, lane->copy->spec->target->name, what,
                  req->offset);
    req->pending--;
    pthread_mutex_unlock(&lane->lock);
}

/* Hand the request to the checkpoint, one entry for each run of present clusters. */
static int
report_request(struct lane *lane, const struct request *req, struct err *err)
{
    struct copy *copy = lane->copy;
    size_t n = request_clusters(req), end;
    for (size_t i = 0; i < n; i = end + 1) {
        struct checkpoint_entry entry = { .first = req->offset / CLUSTER_BYTES + i };
        uint64_t data = 0, zero = 0;
        for (end = i; end < n && (req->present >> end & 1); end++) {
            size_t len = request_cluster_len(req, end);
            entry.values[entry.n++] = req->hashes[end];
            *(req->hashes[end] == CLUSTER_ZERO ? &zero : &data) += len;
        }
        if (entry.n == 0)
            continue;
        if (checkpoint_add(&copy->checkpoint, &entry, data + zero, err) < 0)
            return -1;
        if (req->overwrites)
            continue; /* counted when it came first */
        atomic_fetch_add(&copy->progress->data_bytes, data);
        atomic_fetch_add(&copy->progress->zero_bytes, zero);
        atomic_fetch_add(&copy->progress->done_bytes, data + zero);
    }
    return 0;
}

static int
retire_written(struct lane *lane, struct err *err)
{
    for (;;) {
        pthread_mutex_lock(&lane->lock);
        struct request *req = lane->writing.first;
        while (req && req->pending > 0)
            req = req->next;
        if (req)
            list_remove(&lane->writing, req);
        pthread_mutex_unlock(&lane->lock);
        if (!req)
            return 0;
        if (req->err.kind != ERR_NONE) {
            *err = req->err;
            return -1;
        }
        if (report_request(lane, req, err) < 0)
            return -1;
        lane_push(lane, &lane->free, req);
    }
}

/* ---- waiting ---- */

static int
wait_for_io(struct lane *lane, struct err *err)
{
    struct source *source = lane->copy->spec->source;
    struct target *target = lane->copy->spec->target;
    struct pollfd pfd[2] = { { .fd = -1 }, { .fd = -1 } };
    pthread_mutex_lock(&lane->lock);
    bool reading = lane->reading.n > 0, writing = lane->writing.n > 0;
    bool ready = lane->ready.n > 0;
    for (struct request *req = lane->writing.first; req; req = req->next)
        ready |= req->pending == 0;
    pthread_mutex_unlock(&lane->lock);
    if (ready || (!reading && !writing))
        return 0;
    if (reading && source->ops->poll_events(source, lane->number, &pfd[0], err) < 0)
        return -1;
    if (writing && target->ops->poll_events(target, lane->number, &pfd[1], err) < 0)
        return -1;
    if (poll(pfd, 2, WAIT_MS) < 0 && errno != EINTR)
        return err_errno(err, errno, "wait for data");
    if (pfd[0].revents && source->ops->poll_dispatch(source, lane->number, pfd[0].revents, err) < 0)
        return -1;
    if (pfd[1].revents && target->ops->poll_dispatch(target, lane->number, pfd[1].revents, err) < 0)
        return -1;
    return 0;
}
