#include "model/job.h"

#include <stddef.h>
#include <string.h>

#include "base/checked.h"

struct naming {
    const char *name, *meaning;
};

static const struct naming statuses[N_JOB_STATUS] = {
    [JOB_QUEUED] = { "queued", "due, and waits for a place" },
    [JOB_RUNNING] = { "running", "a worker runs" },
    [JOB_WAITING] = { "waiting", "between two rounds, until its time has come" },
    [JOB_ASKING] = { "asking", "a person must answer its question" },
    [JOB_PAUSED] = { "paused", "until a person resumes it" },
    [JOB_RETRYING] = { "retrying", "after a failure that may pass, until its time has come" },
    [JOB_FAILED] = { "failed", "until a person retries or cancels it" },
    [JOB_CANCELLED] = { "cancelled", "ended: given up, and what it made is removed" },
    [JOB_DONE] = { "done", "ended: the machine has moved" },
};

static const struct naming verbs[N_JOB_VERB] = {
    [JOB_START] = { "start", "begin, or go on with what the same spec began" },
    [JOB_PAUSE] = { "pause", "stop at the next checkpoint and stay there" },
    [JOB_RESUME] = { "resume", "go on after a pause" },
    [JOB_FINALIZE] = { "finalize", "cut over at the end of the interval that runs" },
    [JOB_FINALIZE_NOW] = { "finalize-now", "cut over without waiting for the interval's end" },
    [JOB_CANCEL] = { "cancel", "give up, and remove what was made" },
    [JOB_RETRY] = { "retry", "try again after a failure, without waiting" },
    [JOB_SHUTDOWN] = { "shutdown", "answer how the source is shut down" },
    [JOB_LIMIT] = { "limit", "change the bandwidth that it may use" },
    [JOB_DELETE] = { "delete", "forget an ended one" },
};

static const struct naming events[JOB_EVENT_VERB] = {
    [JOB_EVENT_WORKER] = { "worker-started", "it got a place" },
    [JOB_EVENT_DUE] = { "due", "its time has come" },
    [JOB_EVENT_LOST] = { "worker-lost", "the daemon was started again and does not know how its "
                                        "worker ended" },
    [JOB_EVENT_WAIT] = { "wait", "a round has ended; the worker says when the next is due" },
    [JOB_EVENT_ASK] = { "ask", "the worker cannot go on without an answer" },
    [JOB_EVENT_PAUSED] = { "paused", "the worker has stopped as it was asked to" },
    [JOB_EVENT_CANCELLED] = { "cancelled", "the worker has cleaned up, or there was nothing yet" },
    [JOB_EVENT_DONE] = { "done", "the last stage has ended" },
    [JOB_EVENT_FAILED_RETRY] = { "failed-retry", "a failure that may pass by itself" },
    [JOB_EVENT_FAILED] = { "failed", "a failure that needs a person" },
};

struct rule {
    enum job_answer answer;
    const char *text;
};

#define ALLOWED                                                                                    \
    {                                                                                              \
        JOB_ALLOWED, ""                                                                            \
    }
#define ALREADY(text)                                                                              \
    {                                                                                              \
        JOB_ALREADY, text                                                                          \
    }
#define REFUSED(text)                                                                              \
    {                                                                                              \
        JOB_REFUSED, text                                                                          \
    }

#define IS_CANCELLED REFUSED("it was cancelled: start it again to migrate the machine anew")
#define IS_DONE REFUSED("it is done")
#define IS_FAILED(what) REFUSED("it has failed: retry it first, then " what)
#define IS_PAUSED(what) REFUSED("it is paused: resume it first, then " what)
#define NOT_FAILED(state) REFUSED("there is nothing to retry: " state)
#define NOT_ASKING(state) REFUSED("it asks nothing: " state)
#define NOT_ENDED REFUSED("it has not ended: cancel it first")

/* A finalize is refused where it would lie in wait: a machine must not be switched off by what was
 * asked for days ago. */
static const struct rule rules[N_JOB_VERB][N_JOB_STATUS] = {
    [JOB_START] = {
        [JOB_QUEUED] = ALREADY("it is started and waits for a place"),
        [JOB_RUNNING] = ALREADY("it is running"),
        [JOB_WAITING] = ALREADY("it is started and waits for its next round"),
        [JOB_ASKING] = ALREADY("it is started and waits for an answer"),
        [JOB_PAUSED] = REFUSED("it is paused: resume it"),
        [JOB_RETRYING] = ALREADY("it is started and will try again by itself"),
        [JOB_FAILED] = ALLOWED,
        [JOB_CANCELLED] = REFUSED("it was cancelled: a new migration takes its place"),
        [JOB_DONE] = REFUSED("it is done: a new migration takes its place"),
    },
    [JOB_PAUSE] = {
        [JOB_QUEUED] = ALLOWED,
        [JOB_RUNNING] = ALLOWED,
        [JOB_WAITING] = ALLOWED,
        [JOB_ASKING] = ALLOWED,
        [JOB_PAUSED] = ALREADY("it is paused"),
        [JOB_RETRYING] = ALLOWED,
        [JOB_FAILED] = REFUSED("it has failed and does nothing until it is retried"),
        [JOB_CANCELLED] = IS_CANCELLED,
        [JOB_DONE] = IS_DONE,
    },
    [JOB_RESUME] = {
        [JOB_QUEUED] = ALREADY("it is not paused; it waits for a place"),
        [JOB_RUNNING] = ALLOWED, /* takes a pause back that it has not come to */
        [JOB_WAITING] = ALREADY("it is not paused; it waits for its next round"),
        [JOB_ASKING] = ALREADY("it is not paused; it waits for an answer"),
        [JOB_PAUSED] = ALLOWED,
        [JOB_RETRYING] = ALREADY("it is not paused; it will try again by itself"),
        [JOB_FAILED] = REFUSED("it has failed: retry it"),
        [JOB_CANCELLED] = IS_CANCELLED,
        [JOB_DONE] = IS_DONE,
    },
    [JOB_FINALIZE] = {
        [JOB_QUEUED] = ALLOWED,
        [JOB_RUNNING] = ALLOWED,
        [JOB_WAITING] = ALLOWED,
        [JOB_ASKING] = ALREADY("it is cutting over and waits for an answer"),
        [JOB_PAUSED] = IS_PAUSED("finalize it"),
        [JOB_RETRYING] = ALLOWED,
        [JOB_FAILED] = IS_FAILED("finalize it"),
        [JOB_CANCELLED] = IS_CANCELLED,
        [JOB_DONE] = ALREADY("it is done"),
    },
    [JOB_FINALIZE_NOW] = {
        [JOB_QUEUED] = ALLOWED,
        [JOB_RUNNING] = ALLOWED,
        [JOB_WAITING] = ALLOWED,
        [JOB_ASKING] = ALREADY("it is cutting over and waits for an answer"),
        [JOB_PAUSED] = IS_PAUSED("finalize it"),
        [JOB_RETRYING] = ALLOWED,
        [JOB_FAILED] = IS_FAILED("finalize it"),
        [JOB_CANCELLED] = IS_CANCELLED,
        [JOB_DONE] = ALREADY("it is done"),
    },
    [JOB_CANCEL] = {
        [JOB_QUEUED] = ALLOWED,
        [JOB_RUNNING] = ALLOWED,
        [JOB_WAITING] = ALLOWED,
        [JOB_ASKING] = ALLOWED,
        [JOB_PAUSED] = ALLOWED,
        [JOB_RETRYING] = ALLOWED,
        [JOB_FAILED] = ALLOWED,
        [JOB_CANCELLED] = ALREADY("it was cancelled"),
        [JOB_DONE] = REFUSED("it is done: the machine has moved, there is nothing to give up"),
    },
    [JOB_RETRY] = {
        [JOB_QUEUED] = NOT_FAILED("it waits for a place"),
        [JOB_RUNNING] = NOT_FAILED("it is running"),
        [JOB_WAITING] = NOT_FAILED("it waits for its next round"),
        [JOB_ASKING] = NOT_FAILED("it waits for an answer"),
        [JOB_PAUSED] = NOT_FAILED("it is paused, resume it"),
        [JOB_RETRYING] = ALLOWED,
        [JOB_FAILED] = ALLOWED,
        [JOB_CANCELLED] = IS_CANCELLED,
        [JOB_DONE] = IS_DONE,
    },
    [JOB_SHUTDOWN] = {
        [JOB_QUEUED] = NOT_ASKING("it waits for a place"),
        [JOB_RUNNING] = NOT_ASKING("it is running"),
        [JOB_WAITING] = NOT_ASKING("it waits for its next round"),
        [JOB_ASKING] = ALLOWED,
        [JOB_PAUSED] = NOT_ASKING("it is paused, resume it"),
        [JOB_RETRYING] = NOT_ASKING("it will try again by itself"),
        [JOB_FAILED] = NOT_ASKING("it has failed, retry it"),
        [JOB_CANCELLED] = IS_CANCELLED,
        [JOB_DONE] = IS_DONE,
    },
    [JOB_LIMIT] = {
        [JOB_QUEUED] = ALLOWED,
        [JOB_RUNNING] = ALLOWED,
        [JOB_WAITING] = ALLOWED,
        [JOB_ASKING] = ALLOWED,
        [JOB_PAUSED] = ALLOWED,
        [JOB_RETRYING] = ALLOWED,
        [JOB_FAILED] = ALLOWED,
        [JOB_CANCELLED] = IS_CANCELLED,
        [JOB_DONE] = IS_DONE,
    },
    [JOB_DELETE] = {
        [JOB_QUEUED] = NOT_ENDED,
        [JOB_RUNNING] = NOT_ENDED,
        [JOB_WAITING] = NOT_ENDED,
        [JOB_ASKING] = NOT_ENDED,
        [JOB_PAUSED] = NOT_ENDED,
        [JOB_RETRYING] = NOT_ENDED,
        [JOB_FAILED] = REFUSED("it has failed and may have left things behind: cancel it first"),
        [JOB_CANCELLED] = ALLOWED,
        [JOB_DONE] = ALLOWED,
    },
};

/* The next status and one more; 0: cannot happen. */
#define TO(status) ((status) + 1)

static const unsigned char transitions[N_JOB_EVENT][N_JOB_STATUS] = {
    [JOB_EVENT_WORKER] = { [JOB_QUEUED] = TO(JOB_RUNNING) },
    /* of an asking one: to see whether it has settled itself */
    [JOB_EVENT_DUE] = { [JOB_WAITING] = TO(JOB_QUEUED),
                        [JOB_ASKING] = TO(JOB_QUEUED),
                        [JOB_RETRYING] = TO(JOB_QUEUED) },
    [JOB_EVENT_LOST] = { [JOB_RUNNING] = TO(JOB_QUEUED) },
    [JOB_EVENT_WAIT] = { [JOB_RUNNING] = TO(JOB_WAITING) },
    [JOB_EVENT_ASK] = { [JOB_RUNNING] = TO(JOB_ASKING) },
    [JOB_EVENT_PAUSED] = { [JOB_RUNNING] = TO(JOB_PAUSED) },
    [JOB_EVENT_CANCELLED] = { [JOB_QUEUED] = TO(JOB_CANCELLED), [JOB_RUNNING] = TO(JOB_CANCELLED) },
    [JOB_EVENT_DONE] = { [JOB_RUNNING] = TO(JOB_DONE) },
    /* of a queued one: its worker could not be started */
    [JOB_EVENT_FAILED_RETRY] = { [JOB_QUEUED] = TO(JOB_RETRYING), [JOB_RUNNING] = TO(JOB_RETRYING) },
    [JOB_EVENT_FAILED] = { [JOB_QUEUED] = TO(JOB_FAILED), [JOB_RUNNING] = TO(JOB_FAILED) },
    [JOB_EVENT_VERB + JOB_START] = { [JOB_FAILED] = TO(JOB_QUEUED) },
    [JOB_EVENT_VERB + JOB_PAUSE] = {
        [JOB_QUEUED] = TO(JOB_PAUSED),
        [JOB_RUNNING] = TO(JOB_RUNNING),
        [JOB_WAITING] = TO(JOB_PAUSED),
        [JOB_ASKING] = TO(JOB_PAUSED), /* it asks again when it is resumed */
        [JOB_RETRYING] = TO(JOB_PAUSED),
    },
    [JOB_EVENT_VERB + JOB_RESUME] = {
        [JOB_RUNNING] = TO(JOB_RUNNING),
        [JOB_PAUSED] = TO(JOB_QUEUED),
    },
    [JOB_EVENT_VERB + JOB_FINALIZE] = {
        [JOB_QUEUED] = TO(JOB_QUEUED),
        [JOB_RUNNING] = TO(JOB_RUNNING),
        [JOB_WAITING] = TO(JOB_WAITING),
        [JOB_RETRYING] = TO(JOB_RETRYING),
    },
    [JOB_EVENT_VERB + JOB_FINALIZE_NOW] = {
        [JOB_QUEUED] = TO(JOB_QUEUED),
        [JOB_RUNNING] = TO(JOB_RUNNING),
        [JOB_WAITING] = TO(JOB_QUEUED),
        [JOB_RETRYING] = TO(JOB_QUEUED),
    },
    /* a worker cleans up */
    [JOB_EVENT_VERB + JOB_CANCEL] = {
        [JOB_QUEUED] = TO(JOB_QUEUED),
        [JOB_RUNNING] = TO(JOB_RUNNING),
        [JOB_WAITING] = TO(JOB_QUEUED),
        [JOB_ASKING] = TO(JOB_QUEUED),
        [JOB_PAUSED] = TO(JOB_QUEUED),
        [JOB_RETRYING] = TO(JOB_QUEUED),
        [JOB_FAILED] = TO(JOB_QUEUED),
    },
    [JOB_EVENT_VERB + JOB_RETRY] = {
        [JOB_RETRYING] = TO(JOB_QUEUED),
        [JOB_FAILED] = TO(JOB_QUEUED),
    },
    [JOB_EVENT_VERB + JOB_SHUTDOWN] = { [JOB_ASKING] = TO(JOB_QUEUED) },
    [JOB_EVENT_VERB + JOB_LIMIT] = {
        [JOB_QUEUED] = TO(JOB_QUEUED),
        [JOB_RUNNING] = TO(JOB_RUNNING),
        [JOB_WAITING] = TO(JOB_WAITING),
        [JOB_ASKING] = TO(JOB_ASKING),
        [JOB_PAUSED] = TO(JOB_PAUSED),
        [JOB_RETRYING] = TO(JOB_RETRYING),
        [JOB_FAILED] = TO(JOB_FAILED),
    },
    [JOB_EVENT_VERB + JOB_DELETE] = {
        [JOB_CANCELLED] = TO(JOB_CANCELLED),
        [JOB_DONE] = TO(JOB_DONE),
    },
};

static const char *const stages[N_JOB_STAGE] = {
    [JOB_STAGE_NOT_STARTED] = "not_started",
    [JOB_STAGE_CONNECTING_VCENTER] = "connecting_vcenter",
    [JOB_STAGE_FINDING_VM] = "finding_vm",
    [JOB_STAGE_INIT] = "init",
    [JOB_STAGE_DISCOVERING] = "discovering_vmware_disks",
    [JOB_STAGE_PREPARING] = "preparing_target_storage",
    [JOB_STAGE_ENABLING_CBT] = "enabling_cbt",
    [JOB_STAGE_CREATING_BASE_SNAPSHOT] = "creating_base_snapshot",
    [JOB_STAGE_BASE_COPY] = "base_copy",
    [JOB_STAGE_DELTA] = "delta",
    [JOB_STAGE_AWAITING_SHUTDOWN] = "awaiting_shutdown_action",
    [JOB_STAGE_FINAL_SYNC] = "final_sync",
    [JOB_STAGE_CONVERTING] = "converting",
    [JOB_STAGE_IMPORT_ROOT_DISK] = "import_root_disk",
    [JOB_STAGE_IMPORT_DATA_DISK] = "import_data_disk",
    [JOB_STAGE_DONE] = "done",
};

static const struct naming *
naming_of_event(enum job_event event)
{
    return event < JOB_EVENT_VERB ? &events[event] : &verbs[event - JOB_EVENT_VERB];
}

const char *
job_status_name(enum job_status status)
{
    return statuses[status].name;
}

const char *
job_status_meaning(enum job_status status)
{
    return statuses[status].meaning;
}

const char *
job_verb_name(enum job_verb verb)
{
    return verbs[verb].name;
}

const char *
job_verb_meaning(enum job_verb verb)
{
    return verbs[verb].meaning;
}

const char *
job_event_name(enum job_event event)
{
    return naming_of_event(event)->name;
}

const char *
job_event_meaning(enum job_event event)
{
    return naming_of_event(event)->meaning;
}

/* The place of name in a table of n; n: not there. */
static size_t
naming_find(const struct naming *namings, size_t n, const char *name)
{
    size_t i = name ? 0 : n;
    while (i < n && strcmp(namings[i].name, name) != 0)
        i++;
    return i;
}

bool
job_status_parse(const char *name, enum job_status *ret)
{
    size_t found = naming_find(statuses, N_JOB_STATUS, name);
    if (found == N_JOB_STATUS)
        return false;
    *ret = (enum job_status)found;
    return true;
}

bool
job_verb_parse(const char *name, enum job_verb *ret)
{
    size_t found = naming_find(verbs, N_JOB_VERB, name);
    if (found == N_JOB_VERB)
        return false;
    *ret = (enum job_verb)found;
    return true;
}

enum job_answer
job_verb_check(enum job_status status, enum job_verb verb, const char **ret_text)
{
    const struct rule *rule = &rules[verb][status];
    if (ret_text)
        *ret_text = rule->text;
    return rule->answer;
}

bool
job_event(enum job_status status, enum job_event event, enum job_status *ret_next)
{
    unsigned next = transitions[event][status];
    if (next == 0)
        return false;
    *ret_next = (enum job_status)(next - 1);
    return true;
}

bool
job_status_is_ended(enum job_status status)
{
    return status == JOB_CANCELLED || status == JOB_DONE;
}

const char *
job_stage_name(enum job_stage stage)
{
    return stages[stage];
}

bool
job_stage_parse(const char *name, enum job_stage *ret)
{
    for (size_t i = 0; name && i < ARRAY_LEN(stages); i++) {
        if (strcmp(stages[i], name) != 0)
            continue;
        *ret = (enum job_stage)i;
        return true;
    }
    return false;
}

const char *
job_next_stage(const char *stage, bool finalize_requested, bool run_virt_v2v)
{
    enum job_stage at = JOB_STAGE_NOT_STARTED;
    if (stage && !job_stage_parse(stage, &at))
        return "unknown";
    switch (at) {
    case JOB_STAGE_INIT:
        return stages[JOB_STAGE_DISCOVERING];
    case JOB_STAGE_DELTA:
        return finalize_requested ? "Finalize" : stages[JOB_STAGE_DELTA];
    case JOB_STAGE_AWAITING_SHUTDOWN:
        return "Shutdown action";
    case JOB_STAGE_FINAL_SYNC:
        return stages[run_virt_v2v ? JOB_STAGE_CONVERTING : JOB_STAGE_IMPORT_ROOT_DISK];
    case JOB_STAGE_FINDING_VM:
        return stages[JOB_STAGE_DISCOVERING];
    case JOB_STAGE_DONE:
        return "none";
    default:
        return stages[at + 1];
    }
}
