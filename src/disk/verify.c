#include "disk/verify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define VERIFY_THREADS 2u
#define SHOWN_MAX 4 /* extents named in the error */

struct verify {
    const struct verify_spec *spec;
    struct target *target;
    struct map *map;
    struct copy_progress *progress;
    uint64_t n_clusters;
    uint64_t edge;        /* clusters of the sample at each end ... */
    uint64_t stride;      /* ... and one of so many between them */
    pthread_mutex_t lock; /* all that follows */
    uint64_t next;        /* cluster */
    uint64_t dice;
    struct err failed;
    uint64_t differing; /* clusters */
    size_t n_shown;
    struct extent shown[SHOWN_MAX];
};

struct verify_thread {
    struct verify *verify;
    unsigned number;
    pthread_t thread;
};

static void choose_sample(struct verify *v);
static uint64_t chosen_bytes(const struct verify *v);
static void *thread_main(void *arg);
static int check_range(struct verify *v, unsigned lane, uint64_t first, uint64_t n, uint8_t *data,
                       struct err *err);

static int
describe(const struct verify *v, struct err *err)
{
    char list[256] = "";
    size_t len = 0;
    for (size_t i = 0; i < v->n_shown && len < sizeof list - 1; i++)
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%" PRIu64 "+%" PRIu64,
                                i ? ", " : "", v->shown[i].offset, v->shown[i].len);
    return err_set(err, ERR_IO,
                   "%s: verification failed: %" PRIu64
                   " clusters differ from what was copied, the first at %s (bytes, "
                   "offset+length): do not use this image; check its storage, then copy again",
                   v->target->name, v->differing, list);
}

int
verify_kind_of(const char *word, enum verify_kind *ret, struct err *err)
{
    static const char *const words[] = {
        [VERIFY_NONE] = "none",
        [VERIFY_FULL] = "full",
        [VERIFY_CHANGED] = "changed",
        [VERIFY_SAMPLE] = "sample",
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(word, words[i]) == 0) {
            *ret = (enum verify_kind)i;
            return 0;
        }
    return err_set(err, ERR_INVALID, "verify '%s': it is none, changed, sample or full", word);
}

int
verify_run(struct target *target, struct map *map, const struct verify_spec *spec,
           struct copy_progress *progress, struct err *err)
{
    struct verify v = {
        .spec = spec,
        .target = target,
        .map = map,
        .progress = progress,
        .n_clusters = div_up(target->bytes, CLUSTER_BYTES),
    };
    pthread_mutex_init(&v.lock, NULL);
    choose_sample(&v);
    if (target->ops->uncache)
        target->ops->uncache(target);
    atomic_store(&progress->total_bytes, chosen_bytes(&v));
    atomic_store(&progress->done_bytes, 0);
    struct verify_thread threads[VERIFY_THREADS];
    unsigned n = target->max_lanes ? MIN(target->max_lanes, VERIFY_THREADS) : VERIFY_THREADS;
    unsigned started = 0;
    for (; started < n; started++) {
        threads[started] = (struct verify_thread){ .verify = &v, .number = started };
        int r = pthread_create(&threads[started].thread, NULL, thread_main, &threads[started]);
        if (r != 0) {
            pthread_mutex_lock(&v.lock);
            err_errno(&v.failed, r, "start a thread");
            pthread_mutex_unlock(&v.lock);
            break;
        }
    }
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i].thread, NULL);
    pthread_mutex_destroy(&v.lock);
    if (v.failed.kind != ERR_NONE) {
        *err = v.failed;
        return -1;
    }
    if (atomic_load(&progress->stop))
        return err_set(err, ERR_CANCELLED, "%s: verification was stopped", target->name);
    return v.differing ? describe(&v, err) : 0;
}

/* ---- which clusters ---- */

static void
choose_sample(struct verify *v)
{
    v->edge = MIN(VERIFY_EDGE_BYTES / CLUSTER_BYTES, v->n_clusters);
    v->stride =
        MAX(MIN(v->n_clusters / VERIFY_SAMPLE_MIN, (uint64_t)VERIFY_SAMPLE_STRIDE), UINT64_C(1));
    v->dice = v->spec->seed;
}

/* xorshift64*: good enough to choose by. */
static uint64_t
throw_dice(struct verify *v, uint64_t sides)
{
    v->dice = v->dice ? v->dice : 1;
    v->dice ^= v->dice >> 12;
    v->dice ^= v->dice << 25;
    v->dice ^= v->dice >> 27;
    return (v->dice * UINT64_C(0x2545F4914F6CDD1D) >> 32) % sides;
}

/* The next of the sample from v->next on: an edge, or one cluster of the next stride. */
static bool
next_of_sample(struct verify *v, uint64_t *ret_first, uint64_t *ret_n)
{
    uint64_t last_edge = MAX(v->n_clusters - v->edge, v->edge); /* they may overlap */
    if (v->next >= v->n_clusters)
        return false;
    uint64_t end = v->next < v->edge ? v->edge : v->next < last_edge ? last_edge : v->n_clusters;
    *ret_first = v->next;
    *ret_n = end - v->next;
    if (v->next >= v->edge && v->next < last_edge) {
        uint64_t stride = MIN(v->stride, end - v->next);
        *ret_first = v->next + throw_dice(v, stride);
        *ret_n = 1;
        v->next += stride;
    } else {
        v->next = end;
    }
    return true;
}

/* One request, or more that the map's directory knows to be zero. */
static bool
next_of_all(struct verify *v, uint64_t *ret_first, uint64_t *ret_n)
{
    if (v->next >= v->n_clusters)
        return false;
    uint64_t zero = map_zero_run(v->map, v->next, MAP_CHUNK_CLUSTERS);
    *ret_first = v->next;
    *ret_n = MAX(zero, MIN((uint64_t)REQUEST_CLUSTERS, v->n_clusters - v->next));
    v->next += *ret_n;
    return true;
}

static bool
next_of_written(struct verify *v, uint64_t *ret_first, uint64_t *ret_n)
{
    if (!written_next(v->spec->written, v->next, REQUEST_CLUSTERS, ret_first, ret_n))
        return false;
    v->next = *ret_first + *ret_n;
    return true;
}

/* For progress; the disk's last cluster may be shorter. */
static uint64_t
chosen_bytes(const struct verify *v)
{
    uint64_t n = v->n_clusters;
    if (v->spec->kind == VERIFY_CHANGED)
        n = written_count(v->spec->written);
    else if (v->spec->kind == VERIFY_SAMPLE && n > 2 * v->edge)
        n = 2 * v->edge + div_up(n - 2 * v->edge, v->stride);
    return MIN(n * CLUSTER_BYTES, v->target->bytes);
}

/* The next clusters to look at. */
static bool
take_range(struct verify *v, uint64_t *ret_first, uint64_t *ret_n)
{
    pthread_mutex_lock(&v->lock);
    bool more = v->failed.kind == ERR_NONE && !atomic_load(&v->progress->stop);
    if (more)
        more = (v->spec->kind == VERIFY_CHANGED  ? next_of_written
                : v->spec->kind == VERIFY_SAMPLE ? next_of_sample
                                                 : next_of_all)(v, ret_first, ret_n);
    pthread_mutex_unlock(&v->lock);
    return more;
}

/* ---- looking ---- */

static void *
thread_main(void *arg)
{
    struct verify_thread *thread = arg;
    struct verify *v = thread->verify;
    struct err err = ERR_INIT;
    auto_free uint8_t *data = aligned_alloc(IO_ALIGN, REQUEST_BYTES);
    int r = data ? 0 : err_errno(&err, ENOMEM, "buffer");
    uint64_t first, n;
    while (r == 0 && take_range(v, &first, &n)) {
        r = check_range(v, thread->number, first, n, data, &err);
        uint64_t begin = first * CLUSTER_BYTES;
        uint64_t end = MIN((first + n) * CLUSTER_BYTES, v->target->bytes);
        atomic_fetch_add(&v->progress->done_bytes, end - begin);
    }
    if (r < 0) {
        pthread_mutex_lock(&v->lock);
        v->failed = err;
        pthread_mutex_unlock(&v->lock);
    }
    return NULL;
}

/* The map forgets the cluster, so that the next copy does it again. */
static int
note_difference(struct verify *v, uint64_t cluster, size_t len, struct err *err)
{
    uint64_t offset = cluster * CLUSTER_BYTES;
    pthread_mutex_lock(&v->lock);
    int r = map_fill(v->map, cluster, 1, CLUSTER_UNKNOWN, err);
    v->differing++;
    struct extent *last = v->n_shown ? &v->shown[v->n_shown - 1] : NULL;
    if (last && last->offset + last->len == offset)
        last->len += len;
    else if (v->n_shown < SHOWN_MAX)
        v->shown[v->n_shown++] = (struct extent){ offset, len, false };
    pthread_mutex_unlock(&v->lock);
    return r;
}

static int
check_request(struct verify *v, unsigned lane, uint64_t first, size_t n, uint8_t *data,
              struct err *err)
{
    struct target *target = v->target;
    uint64_t expected[REQUEST_CLUSTERS];
    uint64_t offset = first * CLUSTER_BYTES;
    size_t len = (size_t)MIN(n * CLUSTER_BYTES, target->bytes - offset);
    bool hole;
    if (map_get(v->map, first, n, expected, err) < 0 ||
        target->ops->read(target, lane, data, len, offset, &hole, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        size_t cluster_len = (size_t)MIN(CLUSTER_BYTES, len - i * CLUSTER_BYTES);
        if (expected[i] == CLUSTER_UNKNOWN)
            return err_set(err, ERR_INVALID,
                           "%s: the map does not know the image at byte %" PRIu64
                           ": the copy was not finished",
                           target->name, (first + i) * CLUSTER_BYTES);
        uint64_t found = hole ? CLUSTER_ZERO : cluster_hash(data + i * CLUSTER_BYTES, cluster_len);
        if (found != expected[i] && note_difference(v, first + i, cluster_len, err) < 0)
            return -1;
    }
    return 0;
}

static int
check_range(struct verify *v, unsigned lane, uint64_t first, uint64_t n, uint8_t *data,
            struct err *err)
{
    struct target *target = v->target;
    uint64_t offset = first * CLUSTER_BYTES;
    uint64_t len = MIN(n * CLUSTER_BYTES, target->bytes - offset);
    if (n > REQUEST_CLUSTERS && target->ops->is_hole && target->ops->is_hole(target, offset, len))
        return 0;
    while (n > 0) {
        size_t now = (size_t)MIN(n, (uint64_t)REQUEST_CLUSTERS);
        if (check_request(v, lane, first, now, data, err) < 0)
            return -1;
        first += now;
        n -= now;
    }
    return 0;
}
