#include "daemon/supervise.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/checked.h"
#include "base/clock.h"
#include "daemon/daemon.h"
#include "daemon/job-json.h"
#include "daemon/journal.h"
#include "daemon/note.h"
#include "daemon/outcome.h"
#include "daemon/tend.h"
#include "daemon/wish.h"
#include "model/vm.h"
#include "wire/child.h"

#define PROGRAM "vmferry-worker"
#define ROLE "worker"
#define HELLO_MAX_S 10
#define END_MAX_S 10 /* after its result, or after its socket was closed */

static int launch(struct worker *worker, struct err *err);
static int watch(struct worker *worker, int fd, struct err *err);
static void worker_free(struct worker *worker);
static void on_heard(const json_t *msg, const struct err *why, void *arg);
static int on_ended(sd_event_source *source, int fd, uint32_t revents, void *arg);
static int on_too_late(sd_event_source *source, uint64_t usec, void *arg);
static void wait_at_most(struct worker *worker, int64_t seconds);
static void give_up(struct worker *worker, const struct err *why);
static void greet(struct worker *worker, const json_t *msg);
static void act_on(struct worker *worker, const json_t *msg);
static struct outcome *outcome_of(struct worker *worker);

/* ---- starting ---- */

int
supervise_start(struct entry *entry, struct err *err)
{
    struct daemon *daemon = entry->daemon;
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return err_errno(err, ENOMEM, "start a worker");
    worker->daemon = daemon;
    worker->entry = entry;
    worker->proc = PROC_INIT;
    worker->link = LINK_INIT;
    worker->looks = entry->asks;
    struct store_change change = { .has_status = true, .has_started_at = true };
    change.started_at = entry->started_at ? entry->started_at : clock_wall_s();
    if (roster_event(entry, JOB_EVENT_WORKER, &change.status, err) < 0 ||
        job_json_start(entry, &worker->start, &worker->limit_bytes_s, err) < 0 ||
        launch(worker, err) < 0 || roster_change(entry, &change, NULL, err) < 0) {
        worker_free(worker);
        return -1;
    }
    entry->worker = worker;
    worker->next = daemon->workers;
    daemon->workers = worker;
    daemon->n_workers++;
    return 0;
}

/* It waits for our start message, so that nothing happens when the store does not take it. */
static int
launch(struct worker *worker, struct err *err)
{
    auto_free char *path = NULL;
    int fds[2];
    const char *program = worker->daemon->worker ? worker->daemon->worker : PROGRAM;
    if (child_program_find(program, &path, err) < 0 || ipc_pair(fds, err) < 0)
        return -1;
    auto_close int theirs = fds[1];
    const char *argv[] = { path, NULL };
    struct proc_spec spec = PROC_SPEC_INIT;
    spec.argv = argv;
    spec.stderr_fd = STDERR_FILENO;
    spec.fd3 = theirs;
    if (proc_start(&worker->proc, &spec, err) < 0) {
        close(fds[0]);
        return -1;
    }
    return watch(worker, fds[0], err);
}

/* Takes over fd. */
static int
watch(struct worker *worker, int fd, struct err *err)
{
    sd_event *event = worker->daemon->event;
    if (link_open(&worker->link, event, fd, on_heard, worker, err) < 0)
        return -1;
    int r = sd_event_add_io(event, &worker->on_end, worker->proc.pidfd, EPOLLIN, on_ended, worker);
    if (r >= 0)
        r = sd_event_add_time(event, &worker->too_late, CLOCK_MONOTONIC, UINT64_MAX, 0, on_too_late,
                              worker);
    if (r < 0)
        return err_errno(err, -r, "watch a worker");
    wait_at_most(worker, HELLO_MAX_S);
    return 0;
}

static void
worker_free(struct worker *worker)
{
    sd_event_source_disable_unref(worker->on_end);
    sd_event_source_disable_unref(worker->too_late);
    link_close(&worker->link);
    proc_done(&worker->proc);
    slots_leave(&worker->daemon->slots, &worker->slots);
    json_decref(worker->start);
    json_decref(worker->result);
    free(worker);
}

static void
wait_at_most(struct worker *worker, int64_t seconds)
{
    int64_t at_ns = clock_now_ns() + seconds * NS_PER_S;
    sd_event_source_set_time(worker->too_late, (uint64_t)(at_ns / 1000));
    sd_event_source_set_enabled(worker->too_late, SD_EVENT_ONESHOT);
}

static int
on_too_late(sd_event_source *source, uint64_t usec, void *arg)
{
    struct worker *worker = arg;
    struct err why = ERR_INIT;
    (void)source;
    (void)usec;
    err_set(&why, ERR_UNAVAILABLE, "%s: %s", PROGRAM,
            worker->start ? "said nothing after it was started"
                          : "did not end when its work had ended");
    give_up(worker, &why);
    return 0;
}

/* The rest is for on_ended. The first reason counts. */
static void
give_up(struct worker *worker, const struct err *why)
{
    if (worker->failure.kind == ERR_NONE)
        worker->failure = *why;
    proc_signal(&worker->proc, SIGKILL);
}

/* ---- hearing ---- */

static void
on_heard(const json_t *msg, const struct err *why, void *arg)
{
    struct worker *worker = arg;
    if (!msg && why->kind == ERR_UNAVAILABLE)
        wait_at_most(worker, END_MAX_S);
    else if (!msg)
        give_up(worker, why);
    else if (worker->start)
        greet(worker, msg);
    else if (!worker->result)
        act_on(worker, msg);
}

/* With what has been asked for since it was launched. */
static void
tell_start(struct worker *worker, struct err *err)
{
    worker->knew = wish_flags(worker->entry);
    if (json_object_set_new(worker->start, "wishes", job_json_wishes(worker->entry)) < 0)
        err_errno(err, ENOMEM, "start %s", PROGRAM);
    else
        link_send(&worker->link, TAKE_PTR(worker->start), err);
}

static void
greet(struct worker *worker, const json_t *msg)
{
    struct err err = ERR_INIT;
    int64_t version = json_get_int(msg, "version", 0);
    if (strcmp(ipc_type(msg), "hello") != 0 || strcmp(json_get_str(msg, "role", ""), ROLE) != 0)
        err_set(&err, ERR_INVALID, "%s: does not say hello as a worker does", PROGRAM);
    else if (version != IPC_VERSION)
        err_set(&err, ERR_INVALID,
                "%s: speaks version %" PRId64 " of the protocol and this program %d: install both "
                "from one release",
                PROGRAM, version, IPC_VERSION);
    else
        tell_start(worker, &err);
    if (err.kind != ERR_NONE) {
        give_up(worker, &err);
        return;
    }
    sd_event_source_set_enabled(worker->too_late, SD_EVENT_OFF);
    tend_soon(worker->daemon);
}

static void
hear_journal(struct worker *worker, const json_t *msg)
{
    struct err err = ERR_INIT;
    json_t *ack =
        json_pack("{s:s, s:I}", "type", "ack", "seq", (json_int_t)json_get_int(msg, "seq", 0));
    if (journal_store(worker->entry, msg, &worker->progressed, &err) < 0) {
        log_warning("%s: not remembered: %s", entry_text(worker->entry), err.text);
        if (ack)
            json_object_set_new(ack, "error", json_from_err(&err));
    }
    supervise_tell(worker, ack);
}

static void
hear_want(struct worker *worker, const json_t *msg)
{
    struct err err = ERR_INIT;
    enum slot_priority priority = SLOT_DELTA;
    const char *name = json_get_str(msg, "priority", "delta");
    int64_t disks = json_get_int(msg, "disks", -1);
    if (!slots_priority_from_name(name, &priority))
        err_set(&err, ERR_INVALID, "wants disks with a priority '%s', which is none", name);
    else if (disks < 0 || disks > SLOT_WANT_MAX)
        err_set(&err, ERR_INVALID, "wants %" PRId64 " disks", disks);
    else
        slots_want(&worker->daemon->slots, &worker->slots, json_get_str(msg, "host", ""), priority,
                   (unsigned)disks, &err);
    if (err.kind != ERR_NONE)
        give_up(worker, &err);
    else
        tend_soon(worker->daemon);
}

static void
hear_free(struct worker *worker, const json_t *msg)
{
    int64_t disks = json_get_int(msg, "disks", 1);
    slots_free(&worker->slots, (unsigned)MAX(MIN(disks, (int64_t)SLOT_WANT_MAX), (int64_t)0));
    tend_soon(worker->daemon);
}

static void
hear_progress(struct worker *worker, const json_t *msg)
{
    struct entry *entry = worker->entry;
    const char *disk = json_get_str(msg, "disk", "");
    const json_t *pct = json_object_get(msg, "overall_pct");
    if (json_is_number(pct))
        entry->overall_pct = MAX(MIN(json_number_value(pct), 100.0), 0.0);
    if (!entry->progress)
        entry->progress = json_object();
    if (json_object_size(entry->progress) < VM_MAX_DISKS || json_object_get(entry->progress, disk))
        json_object_set(entry->progress, disk, (json_t *)msg);
}

/* One that looks every few seconds whether somebody has done what was asked of him does not fill
 * the log with that. */
static bool
tells_something(const struct worker *worker)
{
    return !worker->looks || !worker->entry->asks;
}

static void
hear_stage(struct worker *worker, const json_t *msg)
{
    struct entry *entry = worker->entry;
    const char *stage = json_get_str(msg, "stage", "");
    json_decref(TAKE_PTR(entry->progress));
    if (tells_something(worker))
        note_migration(entry, LOG_LEVEL_INFO, "stage", "%s: %s", stage,
                       json_get_str(msg, "text", ""));
}

static void
hear_log(struct worker *worker, const json_t *msg)
{
    enum log_level level = child_log_level(msg);
    const char *text = json_get_str(msg, "text", "");
    if (level != LOG_LEVEL_DEBUG && (level != LOG_LEVEL_INFO || tells_something(worker)))
        note_migration(worker->entry, level, json_get_str(msg, "code", NULL), "%s", text);
}

static void
hear_forecast(struct worker *worker, const json_t *msg)
{
    struct entry *entry = worker->entry;
    json_decref(TAKE_PTR(entry->forecast));
    entry->forecast = json_copy((json_t *)msg);
    json_object_del(entry->forecast, "type");
}

static void
hear_result(struct worker *worker, const json_t *msg)
{
    worker->result = json_incref((json_t *)msg);
    wait_at_most(worker, END_MAX_S);
}

static void
act_on(struct worker *worker, const json_t *msg)
{
    static const struct {
        const char *type;
        void (*hear)(struct worker *worker, const json_t *msg);
    } types[] = {
        { "begin", hear_journal }, { "done", hear_journal }, { "note", hear_journal },
        { "want", hear_want },     { "free", hear_free },    { "progress", hear_progress },
        { "stage", hear_stage },   { "log", hear_log },      { "forecast", hear_forecast },
        { "result", hear_result },
    };
    const char *type = ipc_type(msg);
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (strcmp(type, types[i].type) == 0) {
            types[i].hear(worker, msg);
            return;
        }
    log_debug("%s: '%s' from its worker: not known", entry_text(worker->entry), type);
}

void
supervise_tell(struct worker *worker, json_t *msg)
{
    struct err err = ERR_INIT;
    /* Before its start nothing is said: all will be in there (tell_start). What is to stop hears no
     * more. */
    if (worker->start || worker->daemon->stopping) {
        json_decref(msg);
        return;
    }
    if (link_send(&worker->link, msg, &err) < 0 && err.kind == ERR_BUG)
        log_error("%s: %s", entry_text(worker->entry), err.text);
    else if (err.kind != ERR_NONE && worker->link.source)
        give_up(worker, &err);
}

/* ---- its end ---- */

static int
on_ended(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
    struct worker *worker = arg;
    struct daemon *daemon = worker->daemon;
    struct entry *entry = worker->entry;
    (void)source;
    (void)fd;
    (void)revents;
    /* Its last words may still lie there. */
    link_drain(&worker->link);
    if (!proc_wait(&worker->proc, clock_now_ns()))
        return 0;
    struct outcome *outcome = outcome_of(worker);
    for (struct worker **at = &daemon->workers; *at; at = &(*at)->next)
        if (*at == worker) {
            *at = worker->next;
            break;
        }
    daemon->n_workers--;
    entry->worker = NULL;
    json_decref(TAKE_PTR(entry->progress));
    worker_free(worker);
    if (outcome)
        outcome_apply(entry, outcome);
    tend_soon(daemon);
    return 0;
}

/* NULL: nothing is to be noted, it goes on as it was when vmferryd is started again. */
static struct outcome *
outcome_of(struct worker *worker)
{
    const struct entry *entry = worker->entry;
    struct outcome *outcome = calloc(1, sizeof *outcome);
    struct err err = ERR_INIT;
    char status[PROC_STATUS_MAX];
    int r = outcome ? 0 : err_errno(&err, ENOMEM, "the end of a worker");
    if (r == 0 && worker->result)
        r = outcome_of_result(worker->result, entry->cancel, outcome, &err);
    bool lost = r < 0 || !worker->result || outcome->interrupted;
    bool failed =
        lost || outcome->event == JOB_EVENT_FAILED || outcome->event == JOB_EVENT_FAILED_RETRY;
    if (!outcome || (worker->daemon->stopping && failed)) {
        outcome_free(outcome);
        return NULL;
    }
    if (lost) {
        if (worker->failure.kind == ERR_NONE)
            err_set(&worker->failure, ERR_UNAVAILABLE, "%s ended without a result: %s", PROGRAM,
                    proc_status_text(worker->proc.status, status));
        free(outcome->question);
        free(outcome->error);
        unsigned attempt = worker->progressed ? 0 : entry->attempt;
        outcome_of_death(&worker->failure, attempt, outcome, &err);
    }
    outcome->knew = worker->knew;
    outcome->progressed = worker->progressed;
    return outcome;
}

void
supervise_stop_all(struct daemon *daemon)
{
    for (struct worker *worker = daemon->workers; worker; worker = worker->next)
        link_hang_up(&worker->link);
}

void
supervise_kill_all(struct daemon *daemon)
{
    while (daemon->workers) {
        struct worker *worker = daemon->workers;
        daemon->workers = worker->next;
        worker->entry->worker = NULL;
        worker_free(worker);
    }
    daemon->n_workers = 0;
}
