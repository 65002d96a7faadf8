#include "daemon/queue.h"

#include <stddef.h>

#include "base/checked.h"
#include "base/clock.h"

#define BACKOFF_FIRST_S 1
#define BACKOFF_MAX_S 300

static bool is_before(const struct queue_place *a, const struct queue_place *b);

void
queue_add(struct queue *queue, struct queue_place *place)
{
    place->turn = queue->turns++;
    place->next = queue->first;
    queue->first = place;
}

void
queue_remove(struct queue *queue, struct queue_place *place)
{
    for (struct queue_place **at = &queue->first; *at; at = &(*at)->next)
        if (*at == place) {
            *at = place->next;
            return;
        }
}

int64_t
queue_due_ns(int64_t due_at, int64_t written_at, int64_t wall_s, int64_t now_ns)
{
    int64_t left_s = due_at - wall_s;
    int64_t at_most_s = MAX(due_at - written_at, (int64_t)0);
    left_s = MAX(MIN(left_s, at_most_s), (int64_t)0);
    left_s = MIN(left_s, (INT64_MAX - now_ns) / NS_PER_S);
    return now_ns + left_s * NS_PER_S;
}

void
queue_clock_set(struct queue *queue, int64_t wall_s, int64_t now_ns)
{
    for (struct queue_place *place = queue->first; place; place = place->next)
        if (place->waits && place->due_at > 0)
            place->due_ns =
                MIN(place->due_ns, queue_due_ns(place->due_at, place->written_at, wall_s, now_ns));
}

struct queue_place *
queue_next(const struct queue *queue, int64_t now_ns)
{
    struct queue_place *next = NULL;
    for (struct queue_place *place = queue->first; place; place = place->next)
        if (place->waits && place->due_ns <= now_ns && (!next || is_before(place, next)))
            next = place;
    return next;
}

static bool
is_before(const struct queue_place *a, const struct queue_place *b)
{
    if (a->urgent != b->urgent)
        return a->urgent;
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->turn < b->turn;
}

int64_t
queue_wake_ns(const struct queue *queue, int64_t now_ns)
{
    int64_t wake_ns = -1;
    for (const struct queue_place *place = queue->first; place; place = place->next)
        if (place->waits && place->due_ns > now_ns && (wake_ns < 0 || place->due_ns < wake_ns))
            wake_ns = place->due_ns;
    return wake_ns;
}

int64_t
queue_backoff_s(unsigned n)
{
    int64_t s = BACKOFF_FIRST_S;
    for (unsigned i = 1; i < n && s < BACKOFF_MAX_S; i++)
        s *= 2;
    return MIN(s, (int64_t)BACKOFF_MAX_S);
}
