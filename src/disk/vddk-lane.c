#include "disk/vddk-lane.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "disk/vddk-log.h"

/* Failures in a row after which a read is given up, and the pauses before the next try. */
#define RETRIES_MAX 4
#define RECONNECTS_MAX 8
#define SHRINKS_MAX 10
#define PAUSE_FIRST_MS 250
#define PAUSE_MAX_MS 15000
#define PAUSE_LOOK_NS (100 * NS_PER_MS) /* how soon a stop is noticed */

/* What a round of ended reads asks for. */
struct trouble {
    enum vddk_remedy remedy;
    unsigned tries;
};

/* The lane whose thread this is. */
static _Thread_local struct vddk_lane *own_lane;

static int pump(struct vddk_lane *lane, struct err *err);

/* ---- lists ---- */

static void
queue_init(struct slot_queue *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
}

static void
queue_push(struct slot_queue *queue, struct slot *slot)
{
    slot->next = NULL;
    *queue->last = slot;
    queue->last = &slot->next;
}

static struct slot *
queue_pop(struct slot_queue *queue)
{
    struct slot *slot = queue->first;
    if (slot && !(queue->first = slot->next))
        queue->last = &queue->first;
    return slot;
}

static struct slot *
slot_take(struct vddk_lane *lane)
{
    struct slot *slot = lane->free;
    lane->free = slot->next;
    return slot;
}

static void
slot_release(struct slot *slot)
{
    slot->req = NULL;
    slot->next = slot->lane->free;
    slot->lane->free = slot;
}

/* ---- life ---- */

void
vddk_lane_init(struct vddk_lane *lane, struct vddk_session *session)
{
    *lane = (struct vddk_lane){ .session = session, .event_fd = -1 };
    pthread_mutex_init(&lane->lock, NULL);
}

int
vddk_lane_ready(struct vddk_lane *lane, unsigned depth, struct err *err)
{
    vddk_pace_init(&lane->pace, depth);
    queue_init(&lane->waiting);
    queue_init(&lane->ended);
    for (unsigned i = 0; i < depth * VDDK_SMALL_FACTOR; i++) {
        lane->slots[i].lane = lane;
        slot_release(&lane->slots[i]);
    }
    lane->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (lane->event_fd < 0)
        return err_errno(err, errno, "%s: make an eventfd", lane->session->access.name);
    return 0;
}

void
vddk_lane_done(struct vddk_lane *lane)
{
    vddk_disk_close(&lane->disk);
    if (lane->event_fd >= 0)
        close(lane->event_fd);
    pthread_mutex_destroy(&lane->lock);
}

void
vddk_lane_begin(struct vddk_lane *lane)
{
    own_lane = lane;
}

/* Also when all is well: its callbacks may have come and not returned yet. */
void
vddk_lane_end(struct vddk_lane *lane)
{
    if (lane->has_begun && lane->disk.handle)
        vddk_library()->api.wait(lane->disk.handle);
    own_lane = NULL;
}

struct vddk_lane *
vddk_lane_own(void)
{
    return own_lane;
}

/* ---- failures ---- */

static bool
is_stopped(const struct vddk_session *session)
{
    const struct stream_client *client = session->source->client;
    return client && client->stopped(session->source->client_arg);
}

int
vddk_pause(const struct vddk_session *session, unsigned tries, struct err *err)
{
    int64_t ms = PAUSE_FIRST_MS;
    for (unsigned i = 1; i < tries && ms < PAUSE_MAX_MS; i++)
        ms *= 2;
    int64_t until_ns = clock_now_ns() + MIN(ms, (int64_t)PAUSE_MAX_MS) * NS_PER_MS;
    for (int64_t now_ns = clock_now_ns(); now_ns < until_ns; now_ns = clock_now_ns()) {
        if (is_stopped(session))
            return err_set(err, ERR_CANCELLED, "%s: stopped while waiting to try again",
                           session->access.name);
        clock_sleep_until_ns(MIN(until_ns, now_ns + PAUSE_LOOK_NS));
    }
    return 0;
}

static bool
worth_trying(const struct trouble *trouble)
{
    switch (trouble->remedy) {
    case VDDK_RETRY:
        return trouble->tries <= RETRIES_MAX;
    case VDDK_RECONNECT:
        return trouble->tries <= RECONNECTS_MAX;
    case VDDK_SHRINK:
        return trouble->tries <= SHRINKS_MAX;
    case VDDK_GIVE_UP:
        break;
    }
    return false;
}

/* A session may have ended while the connection was down. */
static void
renew_cookie(struct vddk_session *session)
{
    auto_secret char *value = NULL;
    struct err why = ERR_INIT;
    if (session->renew("cookie", &value, session->renew_arg, &why) == 0)
        vddk_access_set_cookie(&session->access, value, &why);
    if (why.kind != ERR_NONE)
        log_info("%s: no new session: %s", session->access.name, why.text);
}

/* Close the disk and open it anew; nothing is under way on it. */
static int
reopen(struct vddk_lane *lane, struct trouble trouble, struct err *err)
{
    struct vddk_session *session = lane->session;
    /* Once; and while others have nothing open with the old one. */
    bool renewable = session->access.cookie && session->renew && session->n_open == 1;
    vddk_disk_close(&lane->disk);
    for (;; trouble.tries++) {
        if (vddk_pause(session, trouble.tries, err) < 0)
            return -1;
        struct err failure = ERR_INIT;
        enum vddk_remedy remedy;
        if (vddk_disk_open(&lane->disk, &session->access, &remedy, &failure) == 0)
            return 0;
        if (renewable) {
            renewable = false;
            renew_cookie(session);
        } else if (remedy == VDDK_GIVE_UP || !worth_trying(&trouble)) {
            *err = failure;
            return -1;
        }
    }
}

/* Reads that are under way go on when it is for memory; for all else there are none. */
static int
recover(struct vddk_lane *lane, const struct trouble *trouble, struct err *err)
{
    struct vddk_session *session = lane->session;
    if (trouble->remedy != VDDK_SHRINK) {
        log_info("%s: the disk is opened anew", session->access.name);
        return reopen(lane, *trouble, err);
    }
    if (vddk_pace_shrink(&lane->pace))
        log_info("%s: the host has no memory for so many reads: now %u of %zu KiB at once",
                 session->access.name, lane->pace.window, lane->pace.piece / KIB);
    return vddk_pause(session, trouble->tries, err);
}

/* ---- asynchronous reads ---- */

int
vddk_lane_submit(struct vddk_lane *lane, struct request *req, struct err *err)
{
    struct slot *slot = slot_take(lane);
    slot->req = req;
    slot->done = 0;
    slot->tries = 0;
    queue_push(&lane->waiting, slot);
    return pump(lane, err);
}

int
vddk_lane_dispatch(struct vddk_lane *lane, struct err *err)
{
    uint64_t count;
    if (read(lane->event_fd, &count, sizeof count) < 0 && errno != EAGAIN && errno != EINTR)
        return err_errno(err, errno, "%s: read an eventfd", lane->session->access.name);
    return pump(lane, err);
}

/* Any thread. */
static void
note_answer(struct slot *slot, uint64_t error)
{
    struct vddk_lane *lane = slot->lane;
    uint64_t one = 1;
    pthread_mutex_lock(&lane->lock);
    bool first = !slot->answered;
    if (first) {
        slot->answered = true;
        slot->error = error;
        queue_push(&lane->ended, slot);
    }
    pthread_mutex_unlock(&lane->lock);
    /* The lane itself looks at the list after its call; others have to wake it. A counter that is
     * full (EAGAIN) wakes it, too. */
    if (!first || own_lane == lane)
        return;
    while (write(lane->event_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

static void
on_read(void *data, uint64_t error)
{
    note_answer(data, error);
}

/* The library refuses by what it returns, and then there is no callback; and it may say that it is
 * done at once without one. */
static void
begin_read(struct slot *slot)
{
    struct vddk_lane *lane = slot->lane;
    const struct vddk_api *api = &vddk_library()->api;
    slot->piece = MIN(lane->pace.piece, slot->req->len - slot->done);
    slot->mark = vddk_log_mark();
    pthread_mutex_lock(&lane->lock);
    slot->answered = false;
    pthread_mutex_unlock(&lane->lock);
    lane->in_flight++;
    lane->in_flight_bytes += slot->piece;
    lane->has_begun = true;
    uint64_t error =
        api->read_async(lane->disk.handle, (slot->req->offset + slot->done) / SECTOR_BYTES,
                        slot->piece / SECTOR_BYTES, slot->req->data + slot->done, on_read, slot);
    if (VDDK_CODE(error) == VDDK_ASYNC)
        return;
    if (VDDK_CODE(error) == VDDK_OK)
        api->wait(lane->disk.handle); /* or the callback could come when the slot is another's */
    note_answer(slot, error);
}

/* One read has ended: hand on its request, or what to do about it. */
static int
settle_slot(struct slot *slot, struct trouble *trouble, struct err *err)
{
    struct vddk_lane *lane = slot->lane;
    lane->in_flight--;
    lane->in_flight_bytes -= slot->piece;
    if (VDDK_CODE(slot->error) != VDDK_OK) {
        struct trouble mine = {
            .remedy = vddk_error_remedy(slot->error, slot->mark),
            .tries = ++slot->tries,
        };
        if (!worth_trying(&mine)) {
            char what[64];
            snprintf(what, sizeof what, "read %zu bytes at %" PRIu64, slot->piece,
                     slot->req->offset + slot->done);
            return vddk_error_set(err, lane->session->access.name, what, VDDK_READING, slot->error,
                                  slot->mark);
        }
        trouble->tries = MAX(trouble->tries, mine.tries);
        /* Where there is both, the handle goes first. */
        if (trouble->remedy == VDDK_GIVE_UP || trouble->remedy == VDDK_SHRINK)
            trouble->remedy = mine.remedy;
        queue_push(&lane->waiting, slot);
        return 0;
    }
    slot->tries = 0;
    slot->done += slot->piece;
    vddk_pace_note(&lane->pace, slot->piece);
    if (slot->done < slot->req->len) {
        queue_push(&lane->waiting, slot);
        return 0;
    }
    request_read_done(slot->req, 0, NULL);
    slot_release(slot);
    return 0;
}

static int
settle_ended(struct vddk_lane *lane, struct trouble *trouble, struct err *err)
{
    pthread_mutex_lock(&lane->lock);
    struct slot *slot = lane->ended.first;
    queue_init(&lane->ended);
    pthread_mutex_unlock(&lane->lock);
    while (slot) {
        struct slot *next = slot->next;
        if (settle_slot(slot, trouble, err) < 0)
            return -1;
        slot = next;
    }
    return 0;
}

/* The pace is that of whole reads; of short ones there may be more, with no more bytes. */
static bool
may_begin(const struct vddk_lane *lane)
{
    const struct slot *slot = lane->waiting.first;
    if (!slot)
        return false;
    size_t piece = MIN(lane->pace.piece, slot->req->len - slot->done);
    return lane->in_flight == 0 ||
           (lane->in_flight < lane->pace.window * VDDK_SMALL_FACTOR &&
            lane->in_flight_bytes + piece <= lane->pace.window * lane->pace.piece);
}

/* Hand on what has ended, begin what waits, cure what failed. */
static int
pump(struct vddk_lane *lane, struct err *err)
{
    for (;;) {
        struct trouble trouble = { .remedy = VDDK_GIVE_UP };
        if (settle_ended(lane, &trouble, err) < 0)
            return -1;
        if (trouble.remedy == VDDK_RETRY || trouble.remedy == VDDK_RECONNECT) {
            vddk_library()->api.wait(lane->disk.handle);
            if (settle_ended(lane, &trouble, err) < 0)
                return -1;
        }
        if (trouble.remedy != VDDK_GIVE_UP) {
            if (recover(lane, &trouble, err) < 0)
                return -1;
            continue;
        }
        if (!may_begin(lane))
            return 0;
        begin_read(queue_pop(&lane->waiting));
    }
}

/* ---- reads that wait ---- */

int
vddk_lane_read(struct vddk_lane *lane, struct request *req, struct err *err)
{
    const struct vddk_api *api = &vddk_library()->api;
    struct trouble trouble = { .tries = 0 };
    size_t piece;
    for (size_t done = 0; done < req->len; done += piece) {
        piece = MIN(lane->pace.piece, req->len - done);
        uint64_t mark = vddk_log_mark();
        uint64_t error = api->read(lane->disk.handle, (req->offset + done) / SECTOR_BYTES,
                                   piece / SECTOR_BYTES, req->data + done);
        if (VDDK_CODE(error) == VDDK_OK) {
            trouble.tries = 0;
            vddk_pace_note(&lane->pace, piece);
            continue;
        }
        trouble.remedy = vddk_error_remedy(error, mark);
        trouble.tries++;
        if (!worth_trying(&trouble)) {
            char what[64];
            snprintf(what, sizeof what, "read %zu bytes at %" PRIu64, piece, req->offset + done);
            return vddk_error_set(err, lane->session->access.name, what, VDDK_READING, error, mark);
        }
        if (recover(lane, &trouble, err) < 0)
            return -1;
        piece = 0;
    }
    return 0;
}
