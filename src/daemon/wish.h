/* What a person asks of a migration: checked against model/job's table, put down in the store, and
 * told to the worker if one runs. */
#ifndef DAEMON_WISH_H
#define DAEMON_WISH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "model/job.h"

struct entry;

struct wish {
    enum job_verb verb;     /* all but JOB_DELETE */
    const char *choice;     /* of JOB_SHUTDOWN: "force" or "manual" */
    uint64_t limit_bytes_s; /* of JOB_LIMIT */
    bool cleanup;           /* of JOB_CANCEL: the asker waits for it; nothing else differs */
    const char *job;        /* of JOB_START: its job anew, JSON; NULL: as it was */
};

/* ERR_CONFLICT: refused, and why. *ret_already: it is so already, and nothing was done. After a
 * cancellation the entry may be gone (*ret_entry NULL). The last two may be NULL. */
int wish_ask(struct entry *entry, const struct wish *wish, bool *ret_already,
             struct entry **ret_entry, struct err *err);

/* What it is asked for, bits 1 << verb, of JOB_CANCEL, JOB_PAUSE, JOB_FINALIZE, JOB_FINALIZE_NOW
 * and JOB_SHUTDOWN. */
unsigned wish_flags(const struct entry *entry);

/* After an outcome: what the worker which has ended may not have heard, because it was asked for
 * after its start (knew: the flags it was started with), is done now. */
void wish_go_on(struct entry *entry, unsigned knew);

#endif
