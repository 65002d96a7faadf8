#include "disk/checkpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

/* Entries of a batch: with single clusters this is the byte limit; zero ranges count too. */
#define BATCH_ENTRIES_MAX 2048

static void *thread_main(void *arg);
static int store_batch(struct checkpoint *cp, uint64_t reached, struct err *err);

int
checkpoint_start(struct checkpoint *cp, struct target *target, struct map *map, struct err *err)
{
    *cp = (struct checkpoint){ .target = target, .map = map };
    pthread_mutex_init(&cp->lock, NULL);
    cond_init_monotonic(&cp->changed);
    if (!map_is_durable(map))
        return 0;
    int r = pthread_create(&cp->thread, NULL, thread_main, cp);
    if (r != 0)
        return err_errno(err, r, "start a thread");
    cp->has_thread = true;
    return 0;
}

static int
enter(struct map *map, const struct checkpoint_entry *entry, struct err *err)
{
    return entry->zero ? map_fill(map, entry->first, entry->n, CLUSTER_ZERO, err)
                       : map_set(map, entry->first, (size_t)entry->n, entry->values, err);
}

static int
append(struct checkpoint_batch *batch, const struct checkpoint_entry *entry, uint64_t bytes,
       struct err *err)
{
    if (batch->n == batch->cap) {
        size_t cap = batch->cap ? batch->cap * 2 : 64;
        struct checkpoint_entry *entries = reallocarray(batch->entries, cap, sizeof *entries);
        if (!entries)
            return err_errno(err, ENOMEM, "list of written ranges");
        batch->entries = entries;
        batch->cap = cap;
    }
    batch->entries[batch->n++] = *entry;
    batch->bytes += bytes;
    return 0;
}

static bool
is_full(const struct checkpoint *cp)
{
    return cp->filling.bytes + cp->storing.bytes >= CHECKPOINT_LIMIT_BYTES ||
           cp->filling.n >= BATCH_ENTRIES_MAX;
}

static bool
is_due(const struct checkpoint *cp)
{
    return cp->closing || cp->draining || cp->filling.bytes >= CHECKPOINT_BYTES ||
           cp->filling.n >= BATCH_ENTRIES_MAX / 2;
}

int
checkpoint_add(struct checkpoint *cp, const struct checkpoint_entry *entry, uint64_t bytes,
               struct err *err)
{
    int r = 0;
    pthread_mutex_lock(&cp->lock);
    while (cp->has_thread && is_full(cp) && cp->failed.kind == ERR_NONE)
        pthread_cond_wait(&cp->changed, &cp->lock);
    if (cp->failed.kind != ERR_NONE) {
        *err = cp->failed;
        r = -1;
    } else if (!cp->has_thread) {
        r = enter(cp->map, entry, err);
    } else {
        r = append(&cp->filling, entry, bytes, err);
        if (r == 0 && is_due(cp))
            pthread_cond_broadcast(&cp->changed);
    }
    pthread_mutex_unlock(&cp->lock);
    return r;
}

void
checkpoint_remember(struct checkpoint *cp, uint64_t (*reached)(void *arg), void *arg)
{
    pthread_mutex_lock(&cp->lock);
    cp->reached = reached;
    cp->reached_arg = arg;
    pthread_mutex_unlock(&cp->lock);
}

int
checkpoint_drain(struct checkpoint *cp, struct err *err)
{
    int r = 0;
    pthread_mutex_lock(&cp->lock);
    while (cp->has_thread && cp->filling.n + cp->storing.n > 0 && cp->failed.kind == ERR_NONE) {
        cp->draining = true;
        pthread_cond_broadcast(&cp->changed);
        pthread_cond_wait(&cp->changed, &cp->lock);
    }
    if (cp->failed.kind != ERR_NONE) {
        *err = cp->failed;
        r = -1;
    }
    pthread_mutex_unlock(&cp->lock);
    return r;
}

static void *
thread_main(void *arg)
{
    struct checkpoint *cp = arg;
    struct timespec due;
    clock_gettime(CLOCK_MONOTONIC, &due);
    due.tv_sec += CHECKPOINT_NS / NS_PER_S;
    pthread_mutex_lock(&cp->lock);
    for (;;) {
        int waited = 0;
        while (!is_due(cp) && waited != ETIMEDOUT)
            waited = pthread_cond_timedwait(&cp->changed, &cp->lock, &due);
        bool closing = cp->closing;
        cp->draining = false;
        /* Before the batches change places: what was done up to there is in one of them. */
        uint64_t reached = cp->reached ? cp->reached(cp->reached_arg) : 0;
        struct checkpoint_batch batch = cp->filling;
        cp->filling = cp->storing;
        cp->storing = batch;
        struct err err = ERR_INIT;
        int r = 0;
        if (cp->storing.n > 0 || reached > map_info(cp->map)->compared_bytes) {
            pthread_mutex_unlock(&cp->lock);
            r = store_batch(cp, reached, &err);
            pthread_mutex_lock(&cp->lock);
        }
        cp->storing.n = 0;
        cp->storing.bytes = 0;
        if (r < 0)
            cp->failed = err;
        pthread_cond_broadcast(&cp->changed);
        if (closing || r < 0)
            break;
        clock_gettime(CLOCK_MONOTONIC, &due);
        due.tv_sec += CHECKPOINT_NS / NS_PER_S;
    }
    pthread_mutex_unlock(&cp->lock);
    return NULL;
}

/* The order is the whole point: image, flush, map, flush. */
static int
store_batch(struct checkpoint *cp, uint64_t reached, struct err *err)
{
    if (cp->storing.n > 0 && cp->target->ops->flush(cp->target, err) < 0)
        return -1;
    for (size_t i = 0; i < cp->storing.n; i++)
        if (enter(cp->map, &cp->storing.entries[i], err) < 0)
            return -1;
    if (!cp->reached)
        return map_flush(cp->map, err);
    struct map_info info = *map_info(cp->map);
    info.compared_bytes = MAX(info.compared_bytes, reached);
    return map_set_info(cp->map, &info, err);
}

int
checkpoint_finish(struct checkpoint *cp, struct err *err)
{
    if (cp->has_thread) {
        pthread_mutex_lock(&cp->lock);
        cp->closing = true;
        pthread_cond_broadcast(&cp->changed);
        pthread_mutex_unlock(&cp->lock);
        pthread_join(cp->thread, NULL);
    }
    int r = 0;
    if (cp->failed.kind != ERR_NONE) {
        *err = cp->failed;
        r = -1;
    } else if (!cp->has_thread) {
        r = cp->target->ops->flush(cp->target, err);
    }
    free(cp->filling.entries);
    free(cp->storing.entries);
    pthread_cond_destroy(&cp->changed);
    pthread_mutex_destroy(&cp->lock);
    return r;
}
