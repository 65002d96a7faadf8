/* The migrations that have not ended, in memory: what the store says of them, and what is known
 * only while this process lives (progress, forecast, the worker).
 *
 * A change is made in the store first; when that fails, nothing is changed here either. What has
 * ended is in the store alone.
 */
#ifndef DAEMON_ROSTER_H
#define DAEMON_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "daemon/queue.h"
#include "store/store.h"
#include "wire/json.h"

struct daemon;
struct worker;
struct outcome;

struct entry {
    struct queue_place place; /* first, so that a place is its entry */
    struct daemon *daemon;
    char id[STORE_ID_MAX + 1];
    int64_t fence;
    enum job_status status;
    char *key, *name, *moref, *server; /* name, moref NULL: not known yet */
    char *stage;                       /* NULL: before the first */
    char *shutdown;                    /* what a person answered; NULL: nothing */
    bool finalize, finalize_now, paused, cancel;
    bool asks; /* there is a question that nobody has answered; also while a worker looks whether it
                  has settled itself */
    unsigned attempt; /* failures in a row */
    int64_t created_at, started_at;

    bool converts;          /* a stage `converting` will come */
    bool cleanup;           /* who asked for the cancellation waits for it */
    uint64_t limit_bytes_s; /* its own; 0: none */
    char *folder;           /* path; NULL: there is none yet, or it cannot be had */
    bool folder_failed;     /* which was said */

    struct worker *worker; /* NULL: none runs */
    struct outcome *owed;  /* how its last worker ended, when the store did not take it yet */
    json_t *progress;      /* name of a disk -> the last message about it; NULL: none */
    json_t *forecast;      /* NULL: none */
    double overall_pct;
};

struct roster {
    struct entry **entries; /* by id */
    size_t n, cap;
};

/* Read all that have not ended. One that was running when the last vmferryd died is queued, and due
 * at once. */
int roster_load(struct daemon *daemon, struct err *err);
void roster_free(struct daemon *daemon);

/* NULL: no such migration, or it has ended. */
struct entry *roster_find(const struct daemon *daemon, const char *id);

/* Store a new one (as store_migration_create) and take it in. */
int roster_create(struct daemon *daemon, const struct store_migration *migration,
                  struct entry **ret_entry, struct err *err);

/* Store the change, then make it here. When the new status has ended the entry is freed, and
 * *ret_entry (which may be NULL) is NULL, else the entry. */
int roster_change(struct entry *entry, const struct store_change *change, struct entry **ret_entry,
                  struct err *err);

/* Where an event leads from its status; ERR_BUG where it leads nowhere. */
int roster_event(const struct entry *entry, enum job_event event, enum job_status *ret_status,
                 struct err *err);

/* Store these operations of its journal, and note here what they say. ERR_CONFLICT: another
 * migration moves the same machine. */
int roster_journal(struct entry *entry, const struct store_op *ops, size_t n_ops, struct err *err);

/* The name for texts: of the machine, or what was asked for. Borrowed. */
const char *entry_text(const struct entry *entry);

/* Drop what is known only while a worker runs. */
void entry_forget_progress(struct entry *entry);

#endif
