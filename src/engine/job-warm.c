/* The part of a start message that only a daemon sends: a warm migration, and who remembers it. */
#include <inttypes.h>

#include "base/checked.h"
#include "engine/job.h"
#include "model/spec-fields.h"
#include "model/spec.h"

#define DEFAULT_INTERVAL_S 300
#define DEFAULT_FINALIZE_INTERVAL_S 30
#define DEFAULT_FINALIZE_WINDOW_S 600

static int
get_word(const json_t *obj, const char *key, const char *const *names, unsigned fallback,
         unsigned *ret, struct err *err)
{
    const char *word = json_get_str(obj, key, names[fallback]);
    if (!job_find_word(word, names, ret))
        return err_set(err, ERR_INVALID, "'warm.%s': no such word: %s", key, word);
    return 0;
}

static int
get_seconds(const json_t *obj, const char *key, int64_t least, int64_t fallback, int64_t *ret,
            struct err *err)
{
    int64_t seconds = json_get_int(obj, key, fallback);
    if (seconds != fallback && (seconds < least || seconds > SPEC_MAX_SECONDS))
        return err_set(err, ERR_INVALID,
                       "'warm.%s': %" PRId64 " is not between %" PRId64 " s and 366 days", key,
                       seconds, least);
    *ret = seconds;
    return 0;
}

static int
parse_words(const json_t *warm, struct job_warm *ret, struct err *err)
{
    unsigned shutdown, quiesce;
    if (get_word(warm, "shutdown", spec_shutdown_names, JOB_SHUTDOWN_AUTO, &shutdown, err) < 0 ||
        get_word(warm, "quiesce", spec_quiesce_names, JOB_QUIESCE_AUTO, &quiesce, err) < 0)
        return -1;
    ret->shutdown = (enum job_shutdown)shutdown;
    ret->quiesce = (enum job_quiesce)quiesce;
    return 0;
}

int
job_parse_warm(const json_t *start, struct job *job, struct err *err)
{
    const json_t *warm = json_object_get(start, "warm");
    struct job_warm *w = &job->warm;
    w->wanted = json_is_object(warm);
    job->id = json_get_str(start, "id", NULL);
    job->journal = json_get_bool(start, "journal", false);
    job->state = json_object_get(start, "state");
    const json_t *converting = json_object_get(json_object_get(start, "history"), "converting");
    job->convert_seconds = json_get_int(converting, "seconds", 0);
    job->attempt = (unsigned)MIN(json_get_u64(start, "attempt", 0), (uint64_t)1000);
    if (!w->wanted)
        return 0;
    if (job->input != JOB_INPUT_VSPHERE)
        return err_set(err, ERR_INVALID,
                       "'warm': only machines of a vCenter or an ESXi can be "
                       "moved while they run");
    w->finalize_at = json_get_int(warm, "finalize_at", 0);
    w->max_rounds = json_get_int(warm, "max_rounds", 0);
    w->max_downtime_s = json_get_int(warm, "max_downtime_s", 0);
    w->power_on_after_failure = json_get_bool(warm, "power_on_after_failure", true);
    if (get_seconds(warm, "interval_s", 0, DEFAULT_INTERVAL_S, &w->interval_s, err) < 0 ||
        get_seconds(warm, "finalize_interval_s", 0, DEFAULT_FINALIZE_INTERVAL_S,
                    &w->finalize_interval_s, err) < 0 ||
        get_seconds(warm, "finalize_window_s", 0, DEFAULT_FINALIZE_WINDOW_S, &w->finalize_window_s,
                    err) < 0 ||
        get_seconds(warm, "settle_s", 0, -1, &w->settle_s, err) < 0)
        return -1;
    return parse_words(warm, w, err);
}
