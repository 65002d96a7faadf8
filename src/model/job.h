/* A migration's status, what may be asked of it in which status, and what follows from what
 * happens. One table each; the command line's answers, the API's 409s and docs/states.md all come
 * from here.
 */
#ifndef MODEL_JOB_H
#define MODEL_JOB_H

#include <stdbool.h>

/* In store and API by their names, never by number. */
enum job_status {
    JOB_QUEUED,    /* due, and waits for a place */
    JOB_RUNNING,   /* a worker runs */
    JOB_WAITING,   /* between two rounds, until due_at */
    JOB_ASKING,    /* a person must answer its question */
    JOB_PAUSED,    /* until a person resumes it */
    JOB_RETRYING,  /* after a failure that may pass, until due_at */
    JOB_FAILED,    /* until a person retries or cancels it */
    JOB_CANCELLED, /* ended */
    JOB_DONE,      /* ended */
    N_JOB_STATUS,
};

/* What a person asks for. */
enum job_verb {
    JOB_START, /* the same spec again */
    JOB_PAUSE,
    JOB_RESUME,
    JOB_FINALIZE,     /* cut over after the round that is due */
    JOB_FINALIZE_NOW, /* cut over at once */
    JOB_CANCEL,
    JOB_RETRY,
    JOB_SHUTDOWN, /* the answer to the question how the source is shut down */
    JOB_LIMIT,    /* change the bandwidth */
    JOB_DELETE,   /* forget an ended one */
    N_JOB_VERB,
};

enum job_answer {
    JOB_ALLOWED,
    JOB_ALREADY, /* it is so already: success, nothing to do */
    JOB_REFUSED,
};

/* What happens to a migration: what its worker says, time, and the verbs that were allowed. */
enum job_event {
    JOB_EVENT_WORKER, /* a worker was started for it */
    JOB_EVENT_DUE,    /* due_at has come, or a wish makes it due */
    JOB_EVENT_LOST,   /* the worker's end is unknown: the daemon was started again */
    /* results of the worker */
    JOB_EVENT_WAIT,
    JOB_EVENT_ASK,
    JOB_EVENT_PAUSED,
    JOB_EVENT_CANCELLED,
    JOB_EVENT_DONE,
    JOB_EVENT_FAILED_RETRY, /* it will try again by itself */
    JOB_EVENT_FAILED,       /* it will not */
    /* allowed verbs, in the order of enum job_verb */
    JOB_EVENT_VERB,
    N_JOB_EVENT = JOB_EVENT_VERB + N_JOB_VERB,
};

/* "queued", "finalize-now", "worker-started". */
const char *job_status_name(enum job_status status);
const char *job_verb_name(enum job_verb verb);
const char *job_event_name(enum job_event event);

/* What it means, a phrase for people and for docs/states.md. */
const char *job_status_meaning(enum job_status status);
const char *job_verb_meaning(enum job_verb verb);
const char *job_event_meaning(enum job_event event);

/* False: no such name, *ret is not touched. name may be NULL. */
bool job_status_parse(const char *name, enum job_status *ret);
bool job_verb_parse(const char *name, enum job_verb *ret);

/* May verb be asked of a migration in that status? *ret_text (which may be NULL) is for people, the
 * reason and the way out, "it is paused: resume it first"; "" when allowed.
 *
 * A wish that a running worker has not taken up yet is in no status: who keeps the wishes answers
 * `already` where one is there. */
enum job_answer job_verb_check(enum job_status status, enum job_verb verb, const char **ret_text);

/* The status after an event; for an allowed verb JOB_EVENT_VERB + verb. A verb that changes nothing
 * at once (a wish to a running worker) gives the same status. False: this cannot happen in that
 * status, *ret_next is not touched. */
bool job_event(enum job_status status, enum job_event event, enum job_status *ret_next);

/* Nothing moves it any more, and what it held is released: done, cancelled. (A failed one waits for
 * a person, and what it has made is still there.) */
bool job_status_is_ended(enum job_status status);

/* The stages, by the names that v2c-engine's users know. The first three are not in a state: they
 * are what is shown before there is one. */
enum job_stage {
    JOB_STAGE_NOT_STARTED,
    JOB_STAGE_CONNECTING_VCENTER,
    JOB_STAGE_FINDING_VM,
    JOB_STAGE_INIT,
    JOB_STAGE_DISCOVERING,
    JOB_STAGE_PREPARING,
    JOB_STAGE_ENABLING_CBT,
    JOB_STAGE_CREATING_BASE_SNAPSHOT,
    JOB_STAGE_BASE_COPY,
    JOB_STAGE_DELTA,
    JOB_STAGE_AWAITING_SHUTDOWN,
    JOB_STAGE_FINAL_SYNC,
    JOB_STAGE_CONVERTING,
    JOB_STAGE_IMPORT_ROOT_DISK,
    JOB_STAGE_IMPORT_DATA_DISK,
    JOB_STAGE_DONE,
    N_JOB_STAGE,
};

/* "base_copy", "awaiting_shutdown_action". */
const char *job_stage_name(enum job_stage stage);
bool job_stage_parse(const char *name, enum job_stage *ret);

/* What v2c-engine reports as next_stage: a stage's name, "Finalize", "Shutdown action", "none";
 * "unknown" for a stage that is none. stage NULL: not started. */
const char *job_next_stage(const char *stage, bool finalize_requested, bool run_virt_v2v);

#endif
