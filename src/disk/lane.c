#include "disk/lane.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "disk/compare.h"

/* How soon a waiting lane notices a stop, or that another thread completed its request. */
#define WAIT_MS 100

static int start_request(struct lane *lane, struct err *err);
static int process_ready(struct lane *lane, struct err *err);
static int retire_written(struct lane *lane, struct err *err);
static int begin_write(struct lane *lane, struct request *req, struct err *err);
static int take_if_different(struct lane *lane, struct request *req, struct err *err);
static int write_differing(struct lane *lane, struct err *err);
static void count_done(struct copy *copy, const struct request *req, size_t i);
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

static bool
lane_has(struct lane *lane, const struct request_list *list)
{
    pthread_mutex_lock(&lane->lock);
    bool has = list->n > 0;
    pthread_mutex_unlock(&lane->lock);
    return has;
}

/* ---- life ---- */

int
lane_init(struct lane *lane, struct copy *copy, unsigned number, unsigned depth,
          unsigned n_requests, struct err *err)
{
    *lane = (struct lane){
        .copy = copy,
        .number = number,
        .n_requests = n_requests,
        .n_clusters = depth * REQUEST_CLUSTERS,
    };
    pthread_mutex_init(&lane->lock, NULL);
    list_init(&lane->free);
    list_init(&lane->reading);
    list_init(&lane->ready);
    list_init(&lane->differing);
    list_init(&lane->writing);
    lane->requests = calloc(n_requests, sizeof *lane->requests);
    lane->buffers = aligned_alloc(IO_ALIGN, depth * REQUEST_BYTES);
    lane->taken = calloc(lane->n_clusters, sizeof *lane->taken);
    if (!lane->requests || !lane->buffers || !lane->taken)
        return err_errno(err, ENOMEM, "%u buffers of a copy", depth);
    for (unsigned i = 0; i < n_requests; i++) {
        lane->requests[i].lane = lane;
        list_push(&lane->free, &lane->requests[i]);
    }
    return 0;
}

void
lane_done(struct lane *lane)
{
    free(lane->requests);
    free(lane->buffers);
    free(lane->taken);
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
    bool idle = lane->free.n == lane->n_requests;
    pthread_mutex_unlock(&lane->lock);
    return idle;
}

static bool
cannot_start(struct lane *lane)
{
    return lane->ended || lane->full || !lane->free.first;
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
        r = cannot_start(lane) ? 0 : start_request(lane, &err);
        if (r == 0)
            r = process_ready(lane, &err);
        if (r == 0)
            r = retire_written(lane, &err);
        if (r == 0 && cannot_start(lane) && !lane_is_idle(lane))
            r = wait_for_io(lane, &err);
    }
    if (r < 0)
        copy_fail(lane->copy, &err);
    if (source->ops->end)
        source->ops->end(source, lane->number);
    return NULL;
}

/* Tell the plan below which offset the lane has nothing left to do: only a comparison remembers. */
static void
note_done(struct lane *lane)
{
    if (!lane->copy->spec->compare)
        return;
    uint64_t low = lane->run_at < lane->run_end ? lane->run_at : UINT64_MAX;
    const struct request_list *busy[] = { &lane->reading, &lane->ready, &lane->differing,
                                          &lane->writing };
    pthread_mutex_lock(&lane->lock);
    for (size_t i = 0; i < ARRAY_LEN(busy); i++)
        for (const struct request *req = busy[i]->first; req; req = req->next)
            low = MIN(low, req->offset);
    pthread_mutex_unlock(&lane->lock);
    plan_done_below(&lane->copy->plan, lane->number, low);
}

/* ---- room ---- */

/* Room for so many bytes, in blocks of 1, 2, 4 ... clusters at a multiple of their size, so that it
 * does not crumble. False: there is none until something has ended. */
static bool
take_room(struct lane *lane, struct request *req, size_t len)
{
    size_t n = 1, wanted = (size_t)div_up(len, CLUSTER_BYTES);
    while (n < wanted)
        n *= 2;
    for (size_t at = 0; at < lane->n_clusters; at += n)
        if (!memchr(lane->taken + at, true, n)) {
            memset(lane->taken + at, true, n);
            req->data = lane->buffers + at * CLUSTER_BYTES;
            req->room = n;
            return true;
        }
    lane->full = true;
    return false;
}

/* The request has ended. */
static void
release(struct lane *lane, struct request *req)
{
    if (req->room > 0)
        memset(lane->taken + (size_t)(req->data - lane->buffers) / CLUSTER_BYTES, false, req->room);
    req->room = 0;
    lane->full = false;
    lane_push(lane, &lane->free, req);
}

/* ---- reading ---- */

/* It is about to be written. */
static int
note_written(struct copy *copy, uint64_t offset, uint64_t len, struct err *err)
{
    atomic_fetch_add(&copy->progress->written_bytes, len);
    struct written *written = copy->spec->written;
    return written ? written_add(written, offset / CLUSTER_BYTES, div_up(len, CLUSTER_BYTES), err)
                   : 0;
}

static int
zero_range(struct lane *lane, uint64_t offset, uint64_t len, struct err *err)
{
    struct copy *copy = lane->copy;
    struct target *target = copy->spec->target;
    if (!target->zero_at_start && (note_written(copy, offset, len, err) < 0 ||
                                   target->ops->zero(target, lane->number, offset, len, err) < 0))
        return -1;
    struct checkpoint_entry entry = {
        .first = offset / CLUSTER_BYTES,
        .n = div_up(len, CLUSTER_BYTES),
        .zero = true,
    };
    return checkpoint_add(&copy->checkpoint, &entry, 0, err);
}

/* Of a range that is zero at the source only what the map does not know to be so: all of a window
 * is forgotten first, with one flush. */
static int
zero_what_differs(struct lane *lane, uint64_t offset, uint64_t len, struct err *err)
{
    struct map *map = lane->copy->spec->map;
    uint64_t at = offset / CLUSTER_BYTES, end = div_up(offset + len, CLUSTER_BYTES), first, n;
    while (at < end) {
        uint64_t window = at, window_end = MIN(at + COMPARE_WINDOW, end);
        bool differs = false;
        int r;
        while (at < window_end &&
               (r = compare_not_zero(map, &at, window_end, &first, &n, err)) >= 0) {
            differs |= r > 0;
            if (r > 0 && map_fill(map, first, n, CLUSTER_UNKNOWN, err) < 0)
                return -1;
        }
        if (at < window_end || (differs && map_flush(map, err) < 0))
            return -1;
        for (uint64_t again = window; differs && again < window_end;) {
            if ((r = compare_not_zero(map, &again, window_end, &first, &n, err)) < 0)
                return -1;
            uint64_t from = first * CLUSTER_BYTES;
            if (r > 0 &&
                zero_range(lane, from, MIN(n * CLUSTER_BYTES, offset + len - from), err) < 0)
                return -1;
        }
    }
    return 0;
}

/* A zero range needs no buffer: done here and now. */
static int
store_zero(struct lane *lane, uint64_t offset, uint64_t len, struct err *err)
{
    struct copy *copy = lane->copy;
    if ((copy->spec->compare ? zero_what_differs : zero_range)(lane, offset, len, err) < 0)
        return -1;
    atomic_fetch_add(&copy->progress->zero_bytes, len);
    atomic_fetch_add(&copy->progress->done_bytes, len);
    return 0;
}

/* The next request of the lane's run; 0 without room for it. */
static int
take_of_run(struct lane *lane, struct request *req)
{
    size_t len = (size_t)MIN(REQUEST_BYTES, lane->run_end - lane->run_at);
    if (!take_room(lane, req, len))
        return 0;
    req->offset = lane->run_at;
    req->len = len;
    req->run_end = lane->run_end;
    req->present = UINT32_MAX;
    lane->run_at += req->len;
    return 1;
}

/* The next range into req. 1: got one; 0: the end, or no room for one. */
static int
next_range(struct lane *lane, struct request *req, struct err *err)
{
    struct copy *copy = lane->copy;
    struct source *source = copy->spec->source;
    req->overwrites = false;
    if (source->ops->next && !copy->plan.only_zero)
        return !take_room(lane, req, REQUEST_BYTES)
                   ? 0
                   : source->ops->next(source, lane->number, req, err);
    if (lane->run_at < lane->run_end)
        return take_of_run(lane, req);
    for (;;) {
        uint64_t offset, len;
        int step = plan_next(&copy->plan, lane->number, &offset, &len, err);
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
        note_done(lane);
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
        bool full = lane->full;
        lane->ended = !full;
        release(lane, req);
        lane->full = full;
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
    if (zero && target->zero_at_start && !req->overwrites)
        return 0;
    if (note_written(lane->copy, req->offset + from, len, err) < 0)
        return -1;
    if (zero) {
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

static void
hash_request(struct request *req)
{
    size_t n = request_clusters(req);
    /* qcow2 stores whole clusters: behind the end of the disk there is zero. */
    memset(req->data + req->len, 0, n * CLUSTER_BYTES - req->len);
    for (size_t i = 0; i < n; i++)
        if (req->present >> i & 1)
            req->hashes[i] =
                cluster_hash(req->data + i * CLUSTER_BYTES, request_cluster_len(req, i));
}

static int
store_request(struct lane *lane, struct request *req, struct err *err)
{
    size_t n = request_clusters(req), end;
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
    if (req && req->err.kind != ERR_NONE) {
        *err = req->err;
        return -1;
    }
    if (req) {
        atomic_fetch_add(&lane->copy->progress->read_bytes, request_present_bytes(req));
        hash_request(req);
        if ((lane->copy->spec->compare ? take_if_different : begin_write)(lane, req, err) < 0)
            return -1;
    }
    /* One flush of the map for all that have come meanwhile. */
    bool wait = lane_has(lane, &lane->ready) && lane->differing.n <= lane->n_requests / 2;
    return lane->differing.n > 0 && !wait ? write_differing(lane, err) : 0;
}

static int
begin_write(struct lane *lane, struct request *req, struct err *err)
{
    req->pending = 1; /* ours, so that it does not end before all its writes have begun */
    lane_push(lane, &lane->writing, req);
    if (store_request(lane, req, err) < 0)
        return -1;
    request_write_done(req, 0, NULL);
    return 0;
}

/* What is equal is done. */
static int
take_if_different(struct lane *lane, struct request *req, struct err *err)
{
    struct copy *copy = lane->copy;
    uint32_t read = req->present;
    if (compare_request(copy->spec->map, req, err) < 0)
        return -1;
    for (size_t i = 0; i < request_clusters(req); i++)
        if ((read & ~req->present) >> i & 1 && !req->overwrites)
            count_done(copy, req, i);
    if (req->present) {
        lane_push(lane, &lane->differing, req);
        return 0;
    }
    release(lane, req);
    note_done(lane);
    return 0;
}

static int
write_differing(struct lane *lane, struct err *err)
{
    struct copy *copy = lane->copy;
    struct request *req;
    for (req = lane->differing.first; req; req = req->next)
        /* A stream brings a cluster again: the record of the first time must not come after this.
         */
        if ((req->overwrites && checkpoint_drain(&copy->checkpoint, err) < 0) ||
            compare_forget(copy->spec->map, req, err) < 0)
            return -1;
    if (map_flush(copy->spec->map, err) < 0)
        return -1;
    while ((req = lane_pop(lane, &lane->differing)))
        if (begin_write(lane, req, err) < 0)
            return -1;
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

static void
count_done(struct copy *copy, const struct request *req, size_t i)
{
    size_t len = request_cluster_len(req, i);
    struct copy_progress *progress = copy->progress;
    atomic_fetch_add(req->hashes[i] == CLUSTER_ZERO ? &progress->zero_bytes : &progress->data_bytes,
                     len);
    atomic_fetch_add(&progress->done_bytes, len);
}

/* Hand the request to the checkpoint, one entry for each run of present clusters. */
static int
report_request(struct lane *lane, const struct request *req, struct err *err)
{
    struct copy *copy = lane->copy;
    size_t n = request_clusters(req), end;
    for (size_t i = 0; i < n; i = end + 1) {
        struct checkpoint_entry entry = { .first = req->offset / CLUSTER_BYTES + i };
        uint64_t bytes = 0;
        for (end = i; end < n && (req->present >> end & 1); end++) {
            entry.values[entry.n++] = req->hashes[end];
            bytes += request_cluster_len(req, end);
        }
        if (entry.n > 0 && checkpoint_add(&copy->checkpoint, &entry, bytes, err) < 0)
            return -1;
        for (; i < end && !req->overwrites; i++) /* else counted when it came first */
            count_done(copy, req, i);
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
        release(lane, req);
        note_done(lane);
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
