#include "daemon/wish.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/daemon.h"
#include "daemon/folder.h"
#include "daemon/note.h"
#include "daemon/roster.h"
#include "daemon/supervise.h"
#include "daemon/tend.h"

static bool is_asked_already(const struct entry *entry, enum job_verb verb);
static int check_choice(const struct wish *wish, struct err *err);
static int put_down(struct entry *entry, const struct wish *wish, struct entry **ret_entry,
                    struct err *err);
static int put_limit_down(struct entry *entry, uint64_t limit_bytes_s, struct err *err);
static void tell_worker(struct entry *entry, const struct wish *wish);

int
wish_ask(struct entry *entry, const struct wish *wish, bool *ret_already, struct entry **ret_entry,
         struct err *err)
{
    const char *text;
    bool already = false;
    enum job_answer answer = job_verb_check(entry->status, wish->verb, &text);
    /* A worker that only looks whether its question has settled itself does not hide it. */
    if (wish->verb == JOB_SHUTDOWN && entry->asks)
        answer = JOB_ALLOWED;
    if (ret_entry)
        *ret_entry = entry;
    if (answer == JOB_REFUSED)
        return err_set(err, ERR_CONFLICT, "%s: %s", entry_text(entry), text);
    if (entry->owed)
        return err_set(err, ERR_UNAVAILABLE,
                       "%s: its last run has ended, which the store does not take (disk full?); "
                       "try again when it does",
                       entry_text(entry));
    already = answer == JOB_ALREADY || is_asked_already(entry, wish->verb);
    if (ret_already)
        *ret_already = already;
    if (already)
        return 0;
    if (wish->verb == JOB_LIMIT)
        return put_limit_down(entry, wish->limit_bytes_s, err);
    if (check_choice(wish, err) < 0)
        return -1;
    struct entry *left;
    if (put_down(entry, wish, &left, err) < 0)
        return -1;
    if (ret_entry)
        *ret_entry = left;
    if (left)
        tell_worker(left, wish);
    return 0;
}

/* A wish that a worker has not come to yet is in no status. */
static bool
is_asked_already(const struct entry *entry, enum job_verb verb)
{
    bool open = entry->status != JOB_FAILED && entry->status != JOB_PAUSED;
    switch (verb) {
    case JOB_PAUSE:
        return entry->paused;
    case JOB_RESUME:
        return !entry->paused && entry->status != JOB_PAUSED;
    case JOB_FINALIZE:
        return entry->finalize || entry->finalize_now;
    case JOB_FINALIZE_NOW:
        return entry->finalize_now;
    case JOB_CANCEL:
        return entry->cancel && open;
    default:
        return false;
    }
}

static int
check_choice(const struct wish *wish, struct err *err)
{
    const char *choice = wish->choice ? wish->choice : "";
    if (wish->verb == JOB_SHUTDOWN && strcmp(choice, "force") != 0 && strcmp(choice, "manual") != 0)
        return err_set(err, ERR_INVALID, "'choice': '%s' is neither force nor manual", choice);
    return 0;
}

/* What the verb itself changes, beside the status. */
static void
change_for(const struct entry *entry, const struct wish *wish, struct store_change *change)
{
    switch (wish->verb) {
    case JOB_PAUSE:
    case JOB_RESUME:
        change->has_paused = true;
        change->paused = wish->verb == JOB_PAUSE;
        break;
    case JOB_FINALIZE:
        change->has_finalize = change->finalize = true;
        break;
    case JOB_FINALIZE_NOW:
        change->has_finalize_now = change->finalize_now = true;
        break;
    case JOB_CANCEL:
        change->has_cancel = change->cancel = true;
        change->has_paused = change->has_attempt = true;
        break;
    case JOB_SHUTDOWN:
        change->has_shutdown = true;
        change->shutdown = wish->choice;
        break;
    case JOB_START:
        change->has_job = wish->job != NULL;
        change->job = wish->job;
        change->has_attempt = change->has_error = true;
        break;
    case JOB_RETRY:
        change->has_attempt = change->has_error = true;
        break;
    default:
        break;
    }
    /* What was asked is answered, or is asked again. */
    change->has_question = entry->asks && wish->verb != JOB_FINALIZE &&
                           wish->verb != JOB_FINALIZE_NOW && wish->verb != JOB_RESUME;
}

static int
put_down(struct entry *entry, const struct wish *wish, struct entry **ret_entry, struct err *err)
{
    struct daemon *daemon = entry->daemon;
    struct store_change change = { .has_status = true, .status = entry->status };
    bool stays = wish->verb == JOB_SHUTDOWN && entry->status != JOB_ASKING;
    if (!stays && roster_event(entry, JOB_EVENT_VERB + wish->verb, &change.status, err) < 0)
        return -1;
    change_for(entry, wish, &change);
    bool comes_back = change.status == JOB_QUEUED && entry->status != JOB_QUEUED;
    if (comes_back) {
        change.has_due_at = true;
        change.due_at = clock_wall_s();
        change.has_ended_at = entry->status == JOB_FAILED;
    }
    if (wish->verb == JOB_CANCEL && change.status == JOB_QUEUED && entry->started_at == 0 &&
        job_event(JOB_QUEUED, JOB_EVENT_CANCELLED, &change.status)) {
        /* Nothing was begun, so there is nothing to clean up. */
        change.has_ended_at = true;
        change.ended_at = clock_wall_s();
        folder_leave(entry);
    }
    if (wish->verb == JOB_CANCEL)
        entry->cleanup |= wish->cleanup;
    note_migration(entry, LOG_LEVEL_INFO, job_verb_name(wish->verb), "asked for: %s%s%s",
                   job_verb_name(wish->verb), wish->choice ? " " : "",
                   wish->choice ? wish->choice : "");
    if (roster_change(entry, &change, ret_entry, err) < 0)
        return -1;
    tend_soon(daemon);
    return 0;
}

static int
put_limit_down(struct entry *entry, uint64_t limit_bytes_s, struct err *err)
{
    char key[STORE_ID_MAX + 8], value[24];
    snprintf(key, sizeof key, "limit.%s", entry->id);
    snprintf(value, sizeof value, "%llu", (unsigned long long)limit_bytes_s);
    if (store_setting_put(entry->daemon->store, key, value, err) < 0)
        return -1;
    entry->limit_bytes_s = limit_bytes_s;
    tend_soon(entry->daemon);
    return 0;
}

static void
tell_worker(struct entry *entry, const struct wish *wish)
{
    if (!entry->worker)
        return;
    json_t *msg = json_pack("{s:s, s:s}", "type", "wish", "wish", job_verb_name(wish->verb));
    if (wish->verb == JOB_CANCEL && msg)
        json_object_set_new(msg, "cleanup", json_boolean(entry->cleanup));
    if (wish->verb == JOB_SHUTDOWN && msg)
        json_object_set_new(msg, "choice", json_string(wish->choice));
    supervise_tell(entry->worker, msg);
}

unsigned
wish_flags(const struct entry *entry)
{
    return (entry->cancel ? 1U << JOB_CANCEL : 0) | (entry->paused ? 1U << JOB_PAUSE : 0) |
           (entry->finalize ? 1U << JOB_FINALIZE : 0) |
           (entry->finalize_now ? 1U << JOB_FINALIZE_NOW : 0) |
           (entry->shutdown ? 1U << JOB_SHUTDOWN : 0);
}

void
wish_go_on(struct entry *entry, unsigned knew)
{
    enum job_verb verb;
    unsigned news = wish_flags(entry) & ~knew;
    if (news & (1U << JOB_CANCEL))
        verb = JOB_CANCEL;
    else if ((news & (1U << JOB_PAUSE)) && entry->status != JOB_PAUSED)
        verb = JOB_PAUSE;
    else if (entry->status == JOB_PAUSED && !entry->paused)
        verb = JOB_RESUME;
    else if (news & (1U << JOB_FINALIZE_NOW) && entry->status == JOB_WAITING)
        verb = JOB_FINALIZE_NOW;
    else if (news & (1U << JOB_SHUTDOWN) && entry->status == JOB_ASKING)
        verb = JOB_SHUTDOWN;
    else
        return;
    bool force = entry->shutdown && strcmp(entry->shutdown, "force") == 0;
    struct wish wish = { .verb = verb };
    struct err err = ERR_INIT;
    if (verb == JOB_SHUTDOWN)
        wish.choice = force ? "force" : "manual";
    if (job_verb_check(entry->status, verb, NULL) == JOB_ALLOWED &&
        put_down(entry, &wish, NULL, &err) < 0)
        log_error("%s: %s: %s", entry_text(entry), job_verb_name(verb), err.text);
}
