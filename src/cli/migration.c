#include "cli/migration.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/size.h"
#include "cli/progress-line.h"

/* "HOST/name:web01" is all that is known of a machine which was not found yet; the daemon then
 * gives what is behind the slash as its name. */
static const char *
name_of(const json_t *json, const struct migration *m)
{
    const char *selector = m->key ? strchr(m->key, '/') : NULL;
    const char *name = json_get_str(json, "name", selector ? selector + 1 : m->id);
    const char *colon = strchr(name, ':');
    return selector && strcmp(name, selector + 1) == 0 && colon && colon[1] ? colon + 1 : name;
}

/* It is given as a code, of which there is one. */
static const char *
question_of(const json_t *json)
{
    const char *question = json_get_str(json, "question", "");
    if (strcmp(question, "shutdown") == 0)
        return "the guest cannot be asked to shut down";
    return question;
}

bool
migration_object_is(const json_t *object, const char *kind, const char *state)
{
    return strcmp(json_get_str(object, "kind", ""), kind) == 0 &&
           strcmp(json_get_str(object, "state", ""), state) == 0;
}

/* From the moment when the source was found off to the start of the target, or to the end where it
 * was not started. */
static int64_t
downtime_of(const json_t *migration)
{
    int64_t off = 0, on = json_get_int(migration, "ended_at", 0);
    const json_t *object;
    size_t i;
    json_array_foreach (json_object_get(migration, "objects"), i, object) {
        if (migration_object_is(object, "power-off", "made"))
            off = json_get_int(object, "changed_at", 0);
        if (migration_object_is(object, "start", "made"))
            on = json_get_int(object, "changed_at", on);
    }
    return off > 0 && on >= off ? on - off : -1;
}

void
migration_read(const json_t *json, struct migration *ret)
{
    const json_t *error = json_object_get(json, "error");
    const json_t *forecast = json_object_get(json, "forecast");
    const json_t *pct = json_object_get(json, "overall_pct");
    *ret = (struct migration){
        .id = json_get_str(json, "id", "?"),
        .key = json_get_str(json, "key", NULL),
        .moref = json_get_str(json, "moref", NULL),
        .server = json_get_str(json, "server", NULL),
        .stage = json_get_str(json, "stage", job_stage_name(JOB_STAGE_NOT_STARTED)),
        .pct = json_is_number(pct) ? json_number_value(pct) : 0,
        .finalize = json_get_bool(json, "finalize", false),
        .finalize_now = json_get_bool(json, "finalize_now", false),
        .created_at = json_get_int(json, "created_at", 0),
        .started_at = json_get_int(json, "started_at", 0),
        .ended_at = json_get_int(json, "ended_at", 0),
        .due_at = json_get_int(json, "due_at", 0),
        .rounds = json_get_int(json, "rounds", 0),
        .error_kind = json_get_str(error, "kind", NULL),
        .error = json_get_str(error, "text", NULL),
        .forecast = json_is_object(forecast) ? forecast : NULL,
        .downtime_s = json_get_int(forecast, "downtime_s", -1),
        .question = question_of(json),
    };
    if (json_is_array(json_object_get(json, "rounds"))) /* of one alone all is told */
        ret->rounds = (int64_t)json_array_size(json_object_get(json, "rounds"));
    ret->name = name_of(json, ret);
    ret->next_stage = json_get_str(json, "next_stage", job_next_stage(ret->stage, false, true));
    if (!job_status_parse(json_get_str(json, "status", NULL), &ret->status))
        ret->status = JOB_QUEUED;
    if (job_status_is_ended(ret->status))
        ret->downtime_s = downtime_of(json);
}

/* ---- words ---- */

struct words {
    char *text;
    size_t len;
};

/* Add to what is there, after ", "; what does not fit is left out. */
static void __attribute__((format(printf, 2, 3))) say(struct words *words, const char *fmt, ...)
{
    size_t room = MIGRATION_TEXT_MAX - words->len;
    int comma = snprintf(words->text + words->len, room, "%s", words->len ? ", " : "");
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(words->text + words->len + comma, room - MIN((size_t)comma, room), fmt, args);
    va_end(args);
    size_t added = (size_t)comma + (size_t)MAX(n, 0);
    if (added < room)
        words->len += added;
    words->text[words->len] = '\0';
}

static void
say_rounds(struct words *words, const struct migration *m)
{
    if (m->rounds > 0)
        say(words, "%" PRId64 " round%s", m->rounds, m->rounds == 1 ? "" : "s");
}

static void
say_due(struct words *words, const char *what, const struct migration *m, int64_t now)
{
    char left[DURATION_TEXT_MAX];
    if (m->due_at > now)
        say(words, "%s in %s", what, duration_text(m->due_at - now, left));
    else
        say(words, "%s at once", what);
}

static void
say_forecast(struct words *words, const struct migration *m)
{
    char text[DURATION_TEXT_MAX];
    if (m->downtime_s >= 0)
        say(words, "downtime about %s", duration_text(m->downtime_s, text));
    if (m->finalize || m->finalize_now)
        say(words, m->finalize_now ? "cutting over now" : "cutting over after this round");
}

static void
say_end(struct words *words, const struct migration *m)
{
    char text[DURATION_TEXT_MAX];
    int64_t from = m->started_at ? m->started_at : m->created_at;
    if (from && m->ended_at >= from)
        say(words, "%s in %s", job_status_name(m->status), duration_text(m->ended_at - from, text));
    else
        say(words, "%s", job_status_name(m->status));
    say_rounds(words, m);
    if (m->status == JOB_DONE && m->downtime_s >= 0)
        say(words, "downtime %s", duration_text(m->downtime_s, text));
}

const char *
migration_text(const struct migration *m, int64_t now, char text[MIGRATION_TEXT_MAX])
{
    struct words words = { .text = text };
    text[0] = '\0';
    switch (m->status) {
    case JOB_WAITING:
        say_rounds(&words, m);
        say_due(&words, "next", m, now);
        say_forecast(&words, m);
        break;
    case JOB_ASKING:
        say(&words, "asks: %s", m->question);
        break;
    case JOB_RETRYING:
        say_due(&words, "tries again", m, now);
        if (m->error)
            say(&words, "%s", m->error);
        break;
    case JOB_FAILED:
        say(&words, "failed: %s", m->error ? m->error : "no reason given");
        break;
    case JOB_CANCELLED:
    case JOB_DONE:
        say_end(&words, m);
        break;
    case JOB_QUEUED:
    case JOB_PAUSED:
    case JOB_RUNNING:
    default:
        say(&words, "%s", job_status_name(m->status));
        say_rounds(&words, m);
        say_forecast(&words, m);
        break;
    }
    return text;
}

const char *
migration_basis(const struct migration *m, char text[MIGRATION_TEXT_MAX])
{
    struct words words = { .text = text };
    const json_t *basis = json_object_get(m->forecast, "basis");
    char duration[DURATION_TEXT_MAX], size[SIZE_TEXT_MAX];
    text[0] = '\0';
    if (!basis)
        return text;
    say(&words, "shutdown %s (%s)", duration_text(json_get_int(basis, "shutdown_s", 0), duration),
        json_get_str(basis, "shutdown_from", "default"));
    if (json_get_int(basis, "settle_s", 0) > 0)
        say(&words, "settling %s", duration_text(json_get_int(basis, "settle_s", 0), duration));
    say(&words, "last round %s for %s", duration_text(json_get_int(basis, "delta_s", 0), duration),
        size_format(json_get_u64(basis, "delta_bytes", 0), size));
    if (json_get_int(basis, "convert_s", 0) > 0)
        say(&words, "conversion %s (%s)",
            duration_text(json_get_int(basis, "convert_s", 0), duration),
            json_get_str(basis, "convert_from", "default"));
    return text;
}
