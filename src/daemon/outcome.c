#include "daemon/outcome.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "daemon/daemon.h"
#include "daemon/folder.h"
#include "daemon/note.h"
#include "daemon/queue.h"
#include "daemon/tend.h"
#include "daemon/wish.h"

#define RETRY_DEFAULT_S 60
#define OWED_EVERY_NS (5 * NS_PER_S)

static int from_success(const json_t *result, bool cancel, struct outcome *ret, struct err *err);
static int from_failure(const json_t *result, bool cancel, struct outcome *ret, struct err *err);
static int set_error(struct outcome *outcome, const json_t *error, struct err *err);
static int store_it(struct entry *entry, const struct outcome *outcome, struct entry **ret_entry,
                    struct err *err);
static void tell(struct entry *entry, const struct outcome *outcome);

/* ---- from what was said ---- */

int
outcome_of_result(const json_t *result, bool cancel, struct outcome *ret, struct err *err)
{
    *ret = (struct outcome){ .event = JOB_EVENT_FAILED };
    return json_get_bool(result, "ok", false) ? from_success(result, cancel, ret, err)
                                              : from_failure(result, cancel, ret, err);
}

static int64_t
after_of(const json_t *result, int64_t fallback)
{
    int64_t after_s = json_get_int(result, "after_s", fallback);
    return MAX(MIN(after_s, OUTCOME_AFTER_MAX_S), (int64_t)0);
}

/* A result without an outcome is that of a machine that has moved. */
static int
from_success(const json_t *result, bool cancel, struct outcome *ret, struct err *err)
{
    static const struct {
        const char *name;
        enum job_event event;
    } outcomes[] = {
        { "done", JOB_EVENT_DONE },
        { "wait", JOB_EVENT_WAIT },
        { "ask", JOB_EVENT_ASK },
        { "paused", JOB_EVENT_PAUSED },
        { "cancelled", JOB_EVENT_CANCELLED },
    };
    const char *name = json_get_str(result, "outcome", "done");
    size_t i = 0;
    while (i < ARRAY_LEN(outcomes) && strcmp(outcomes[i].name, name) != 0)
        i++;
    if (i == ARRAY_LEN(outcomes)) {
        snprintf(ret->text, sizeof ret->text, "vmferry-worker: no such outcome: '%s'", name);
        auto_json json_t *error = json_pack("{s:s, s:s}", "kind", "bug", "text", ret->text);
        return set_error(ret, error, err);
    }
    ret->event = outcomes[i].event;
    /* One whose socket was closed may call it so. */
    ret->interrupted = ret->event == JOB_EVENT_CANCELLED && !cancel;
    ret->after_s = after_of(result, 0);
    const char *text = json_get_str(result, "text", json_get_str(result, "why", ""));
    snprintf(ret->text, sizeof ret->text, "%s", text);
    if (ret->event == JOB_EVENT_ASK) {
        ret->question = strdup(json_get_str(result, "question", "shutdown"));
        if (!ret->question)
            return err_errno(err, ENOMEM, "a question");
    }
    return 0;
}

static int
from_failure(const json_t *result, bool cancel, struct outcome *ret, struct err *err)
{
    struct err failure = ERR_INIT;
    json_to_err(json_object_get(result, "error"), &failure);
    snprintf(ret->text, sizeof ret->text, "%.500s", failure.text);
    if (failure.kind == ERR_CANCELLED) {
        ret->event = JOB_EVENT_CANCELLED;
        ret->interrupted = !cancel;
        return 0;
    }
    if (strcmp(json_get_str(result, "then", "fail"), "retry") == 0) {
        ret->event = JOB_EVENT_FAILED_RETRY;
        ret->after_s = after_of(result, RETRY_DEFAULT_S);
    }
    auto_json json_t *error = json_from_err(&failure);
    return set_error(ret, error, err);
}

int
outcome_of_death(const struct err *why, unsigned attempt, struct outcome *ret, struct err *err)
{
    bool again = attempt < OUTCOME_DEATHS_MAX;
    *ret = (struct outcome){ .event = again ? JOB_EVENT_FAILED_RETRY : JOB_EVENT_FAILED };
    ret->after_s = queue_backoff_s(attempt + 1);
    snprintf(ret->text, sizeof ret->text, "%.500s", why->text);
    auto_json json_t *error = json_from_err(why);
    return set_error(ret, error, err);
}

static int
set_error(struct outcome *outcome, const json_t *error, struct err *err)
{
    if (!json_is_object(error))
        return 0;
    outcome->error = json_dumps(error, JSON_COMPACT);
    return outcome->error ? 0 : err_errno(err, ENOMEM, "an error");
}

void
outcome_free(struct outcome *outcome)
{
    if (!outcome)
        return;
    free(outcome->question);
    free(outcome->error);
    free(outcome);
}

/* ---- into the store ---- */

void
outcome_apply(struct entry *entry, struct outcome *outcome)
{
    outcome_free(entry->owed);
    entry->owed = outcome;
    tell(entry, outcome);
    outcome_settle(entry);
}

void
outcome_settle(struct entry *entry)
{
    struct err err = ERR_INIT;
    struct outcome *outcome = entry->owed;
    struct daemon *daemon = entry->daemon;
    unsigned knew = outcome->knew;
    if (outcome->event == JOB_EVENT_DONE || outcome->event == JOB_EVENT_CANCELLED)
        folder_leave(entry);
    /* The entry is freed with what it owes when it has ended. */
    if (store_it(entry, outcome, &entry, &err) < 0) {
        log_error("%s: its end is not in the store yet: %s", entry_text(entry), err.text);
        entry->place.waits = false;
        daemon->owed_at_ns = clock_now_ns() + OWED_EVERY_NS;
        tend_soon(daemon);
        return;
    }
    if (!entry)
        return;
    outcome_free(TAKE_PTR(entry->owed));
    wish_go_on(entry, knew);
}

/* What was asked for before a failure that needs a person must not lie in wait: a machine is not
 * switched off by a wish of days ago. */
static int
store_it(struct entry *entry, const struct outcome *outcome, struct entry **ret_entry,
         struct err *err)
{
    int64_t now = clock_wall_s();
    struct store_change change = {
        .has_status = true,
        .has_error = true,
        .has_question = true,
        .has_attempt = true,
        .error = outcome->error,
        .question = outcome->question,
    };
    if (roster_event(entry, outcome->event, &change.status, err) < 0)
        return -1;
    bool failed = change.status == JOB_FAILED, retries = change.status == JOB_RETRYING;
    if (failed || retries)
        change.attempt = outcome->progressed ? 1 : entry->attempt + 1;
    change.has_finalize = change.has_finalize_now = failed;
    /* An old answer is no answer to what is asked now; one that came meanwhile is (wish_go_on). */
    bool answered = entry->shutdown && !(outcome->knew & (1U << JOB_SHUTDOWN));
    change.has_shutdown = failed || (change.status == JOB_ASKING && !answered);
    change.has_paused = failed;
    change.has_due_at = true;
    if (change.status == JOB_WAITING || retries ||
        (change.status == JOB_ASKING && outcome->after_s > 0))
        change.due_at = now + outcome->after_s;
    change.has_ended_at = true;
    if (failed || job_status_is_ended(change.status))
        change.ended_at = now;
    return roster_change(entry, &change, ret_entry, err);
}

static void
tell(struct entry *entry, const struct outcome *outcome)
{
    const char *text = outcome->text, *colon = text[0] ? ": " : "";
    switch (outcome->event) {
    case JOB_EVENT_DONE:
        note_migration(entry, LOG_LEVEL_INFO, "done", "the machine has moved");
        break;
    case JOB_EVENT_WAIT:
        note_migration(entry, LOG_LEVEL_INFO, "waiting",
                       "the next round is due in %" PRId64 " s%s%s", outcome->after_s, colon, text);
        break;
    case JOB_EVENT_ASK:
        if (!entry->asks) /* and not: still */
            note_migration(entry, LOG_LEVEL_WARNING, "asking", "waits for an answer%s%s", colon,
                           text);
        break;
    case JOB_EVENT_PAUSED:
        note_migration(entry, LOG_LEVEL_INFO, "paused", "paused");
        break;
    case JOB_EVENT_CANCELLED:
        note_migration(entry, LOG_LEVEL_INFO, "cancelled", "cancelled");
        break;
    case JOB_EVENT_FAILED_RETRY:
        note_migration(entry, LOG_LEVEL_WARNING, "retrying", "%s; will try again in %" PRId64 " s",
                       text, outcome->after_s);
        break;
    default:
        note_migration(entry, LOG_LEVEL_ERROR, "failed", "%s", text);
    }
}
