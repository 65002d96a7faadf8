/* How a worker has ended, and what that makes of its migration. Pure but for outcome_apply; the
 * time is given. */
#ifndef DAEMON_OUTCOME_H
#define DAEMON_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "model/job.h"
#include "wire/json.h"

struct entry;

struct outcome {
    enum job_event event; /* JOB_EVENT_WAIT ... JOB_EVENT_FAILED */
    bool interrupted;     /* it was stopped, and has not come to any end: it goes on as it was */
    int64_t after_s;      /* WAIT, FAILED_RETRY: when the next is due; ASK: when to look whether it
                             has settled itself, 0: never */
    char *question;       /* ASK; owned */
    char *error;          /* JSON {kind, text}, owned; NULL: none */
    char text[512];       /* for people */
    unsigned knew;        /* wishes that the worker was started with: bits 1 << verb */
    bool progressed;      /* it ended a round: failures are counted anew */
};

#define OUTCOME_AFTER_MAX_S (INT64_C(30) * 24 * 3600)
#define OUTCOME_DEATHS_MAX 10 /* in a row; then a person is needed */

/* From its result message. cancel: it was asked to. ERR_UNAVAILABLE: no memory. */
int outcome_of_result(const json_t *result, bool cancel, struct outcome *ret, struct err *err);

/* It ended without one; attempt failures in a row came before. */
int outcome_of_death(const struct err *why, unsigned attempt, struct outcome *ret, struct err *err);

void outcome_free(struct outcome *outcome);

/* Put it into the store and into the entry, which may be freed by it; takes over outcome. What the
 * store does not take is owed by the entry, and is tried again by outcome_settle. */
void outcome_apply(struct entry *entry, struct outcome *outcome);
void outcome_settle(struct entry *entry);

#endif
