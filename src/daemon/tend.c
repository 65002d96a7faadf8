#include "daemon/tend.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/clock.h"
#include "daemon/daemon.h"
#include "daemon/job-json.h"
#include "daemon/note.h"
#include "daemon/outcome.h"
#include "daemon/supervise.h"

/* When the store does not take that somebody's time has come. */
#define AGAIN_NS (5 * NS_PER_S)

/* The wall clock is looked at so often, and was set when it is off by more than what it may drift
 * and what its seconds are rounded by. */
#define CLOCK_EVERY_NS (2 * NS_PER_S)
#define CLOCK_SET_NS (5 * NS_PER_S)

static int on_tend_soon(sd_event_source *source, void *arg);
static int on_tend_at(sd_event_source *source, uint64_t usec, void *arg);
static int64_t wall_ahead_ns(void);
static int on_look_at_clock(sd_event_source *source, uint64_t usec, void *arg);
static void settle_owed(struct daemon *daemon);
static void queue_the_due(struct daemon *daemon);
static void start_workers(struct daemon *daemon);
static void share_out(struct daemon *daemon);
static void wake_at(struct daemon *daemon);

int
tend_open(struct daemon *daemon, struct err *err)
{
    int r = sd_event_add_defer(daemon->event, &daemon->tend_soon, on_tend_soon, daemon);
    if (r >= 0)
        r = sd_event_add_time(daemon->event, &daemon->tend_at, CLOCK_MONOTONIC, UINT64_MAX, 1000,
                              on_tend_at, daemon);
    daemon->wall_ahead_ns = wall_ahead_ns();
    if (r >= 0 && daemon->mode != DAEMON_LOOK)
        r = sd_event_add_time(daemon->event, &daemon->look_at_clock, CLOCK_MONOTONIC, 0, 0,
                              on_look_at_clock, daemon);
    return r < 0 ? err_errno(err, -r, "make a timer") : 0;
}

void
tend_soon(struct daemon *daemon)
{
    if (daemon->tend_soon)
        sd_event_source_set_enabled(daemon->tend_soon, SD_EVENT_ONESHOT);
}

static int
on_tend_soon(sd_event_source *source, void *arg)
{
    struct daemon *daemon = arg;
    (void)source;
    settle_owed(daemon);
    if (!daemon->stopping && daemon->mode != DAEMON_LOOK) {
        queue_the_due(daemon);
        start_workers(daemon);
    }
    share_out(daemon);
    wake_at(daemon);
    return 0;
}

static int
on_tend_at(sd_event_source *source, uint64_t usec, void *arg)
{
    (void)source;
    (void)usec;
    tend_soon(arg);
    return 0;
}

static int64_t
wall_ahead_ns(void)
{
    return clock_wall_s() * NS_PER_S - clock_now_ns();
}

/* Somebody waits for a moment of the wall clock, which may come sooner than was thought. */
static int
on_look_at_clock(sd_event_source *source, uint64_t usec, void *arg)
{
    struct daemon *daemon = arg;
    int64_t now_ns = clock_now_ns(), ahead_ns = wall_ahead_ns();
    (void)usec;
    if (llabs(ahead_ns - daemon->wall_ahead_ns) > CLOCK_SET_NS) {
        log_info("the clock was set by %" PRId64 " s",
                 (ahead_ns - daemon->wall_ahead_ns) / NS_PER_S);
        daemon->wall_ahead_ns = ahead_ns;
        queue_clock_set(&daemon->queue, clock_wall_s(), now_ns);
        tend_soon(daemon);
    }
    sd_event_source_set_time(source, (uint64_t)((now_ns + CLOCK_EVERY_NS) / 1000));
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* From the end: what has ended leaves the array. */
static void
settle_owed(struct daemon *daemon)
{
    if (daemon->owed_at_ns == 0 || clock_now_ns() < daemon->owed_at_ns)
        return;
    daemon->owed_at_ns = 0;
    for (size_t i = daemon->roster.n; i > 0; i--)
        if (daemon->roster.entries[i - 1]->owed)
            outcome_settle(daemon->roster.entries[i - 1]);
}

static void
queue_the_due(struct daemon *daemon)
{
    int64_t now_ns = clock_now_ns();
    for (size_t i = 0; i < daemon->roster.n; i++) {
        struct entry *entry = daemon->roster.entries[i];
        struct err err = ERR_INIT;
        if (!entry->place.waits || entry->place.due_ns > now_ns || entry->status == JOB_QUEUED)
            continue;
        struct store_change change = { .has_status = true };
        if (roster_event(entry, JOB_EVENT_DUE, &change.status, &err) < 0 ||
            roster_change(entry, &change, NULL, &err) < 0) {
            log_error("%s: is due, and stays as it is: %s", entry_text(entry), err.text);
            entry->place.due_ns = now_ns + AGAIN_NS;
        }
    }
}

static void
start_workers(struct daemon *daemon)
{
    while (daemon->n_workers < (uint64_t)daemon->limits.parallel_vms) {
        struct entry *entry = (struct entry *)queue_next(&daemon->queue, clock_now_ns());
        struct err err = ERR_INIT, ignored = ERR_INIT;
        if (!entry)
            return;
        if (supervise_start(entry, &err) == 0)
            continue;
        entry->place.waits = false; /* whatever comes now, it is not tried again at once */
        struct outcome *outcome = calloc(1, sizeof *outcome);
        /* A config without a password does not get one by waiting. */
        bool may_pass = err.kind != ERR_INVALID && err.kind != ERR_DENIED;
        unsigned attempt = may_pass ? entry->attempt : OUTCOME_DEATHS_MAX;
        if (outcome && outcome_of_death(&err, attempt, outcome, &ignored) == 0)
            outcome_apply(entry, outcome);
        else
            outcome_free(outcome);
    }
}

/* Who gets more disks makes the others slower, and those are told first. */
static void
share_out(struct daemon *daemon)
{
    for (;;) {
        struct slot_user *user =
            slots_grant(&daemon->slots, (unsigned)daemon->limits.disks_per_esxi);
        if (!user)
            break;
        ((struct worker *)user)->granted++;
    }
    unsigned all = 0;
    for (const struct worker *worker = daemon->workers; worker; worker = worker->next)
        all += worker->slots.joined ? worker->slots.held : 1;
    for (struct worker *worker = daemon->workers; worker; worker = worker->next) {
        unsigned own = worker->slots.joined ? worker->slots.held : 1;
        uint64_t share = slots_share(daemon->limits.bandwidth_bytes_s, all, own);
        uint64_t limit = job_json_limit(worker->entry->limit_bytes_s, share);
        if (worker->start || limit == worker->limit_bytes_s)
            continue;
        worker->limit_bytes_s = limit;
        supervise_tell(worker, json_pack("{s:s, s:s, s:I}", "type", "wish", "wish", "limit",
                                         "limit_bytes_s", (json_int_t)limit));
    }
    for (struct worker *worker = daemon->workers; worker; worker = worker->next) {
        if (worker->granted > 0)
            supervise_tell(worker, json_pack("{s:s, s:s, s:i}", "type", "wish", "wish", "grant",
                                             "disks", (int)worker->granted));
        worker->granted = 0;
    }
}

static void
wake_at(struct daemon *daemon)
{
    int64_t wake_ns = queue_wake_ns(&daemon->queue, clock_now_ns());
    if (daemon->owed_at_ns > 0 && (wake_ns < 0 || daemon->owed_at_ns < wake_ns))
        wake_ns = daemon->owed_at_ns;
    if (wake_ns < 0) {
        sd_event_source_set_enabled(daemon->tend_at, SD_EVENT_OFF);
        return;
    }
    sd_event_source_set_time(daemon->tend_at, (uint64_t)(wake_ns / 1000) + 1);
    sd_event_source_set_enabled(daemon->tend_at, SD_EVENT_ONESHOT);
}
