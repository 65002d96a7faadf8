/* What vmferryd remembers: migrations, what they did, what they have made outside, events,
 * settings.
 *
 * Every call is one transaction: when it returns 0 it is durable (a power cut included), when it
 * returns -1 nothing of it was stored, and a process killed in the middle of it has stored all or
 * nothing. (A call that got ERR_IO in a process that was killed next may have stored it all the
 * same: a disk that could not sync may still have written.) One process owns a store at a time, and
 * in it one thread at a time may call.
 *
 * Texts are UTF-8. Documents (spec, job, error, values of the state, of settings and details of
 * objects) are JSON texts; the store does not look into them, but refuses what is no JSON. No text
 * is longer than STORE_TEXT_MAX. Times are seconds since 1970, 0: none; the store has no clock, so
 * a change is told its time (`at`). There is no place for secrets here: keep them out of documents.
 *
 * Errors of all calls: ERR_IO (disk full, damaged, failing; the path is named), ERR_DENIED (cannot
 * be written), ERR_UNAVAILABLE (no memory, or another program holds the database locked for
 * longer than five seconds), ERR_INVALID (a text or number out of its range, no JSON). Others are
 * named at the call.
 *
 * Functions that list call `each` for one after the other. What it is given is lent to it until it
 * returns. It may not call the store (ERR_BUG); when it returns -1 the listing ends with its error.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "model/job.h"

#define STORE_ID_MAX 32                   /* characters of a migration's id */
#define STORE_NAME_MAX 1024               /* bytes of a name, key, kind, stage, label, code */
#define STORE_TEXT_MAX ((size_t)4 << 20)  /* bytes of a document or another long text */
#define STORE_STATE_MAX ((size_t)8 << 20) /* bytes of a migration's whole state */
#define STORE_OPS_MAX 1024                /* operations of one call of store_journal */

struct store;

/* Open the store at path, and make it if there is none (mode 0600; the folder must be there), with
 * the schema of this version. It is ours until store_close or the end of the process, whatever
 * ends it.
 * ERR_CONFLICT: another process owns it, and the text names its pid; or it was written by a newer
 * vmferry, or is no store of vmferry. ERR_NOT_FOUND: no such folder. */
int store_open(const char *path, struct store **ret_store, struct err *err);
void store_close(struct store *store);

/* ---- migrations ---- */

struct store_migration {
    char id[STORE_ID_MAX + 1]; /* letters, digits, '-' and '_' */
    int64_t fence;             /* 1 when made, another after each change */
    char *key;                 /* which machine: "server/selector" */
    char *name;                /* of the machine; NULL as long as unknown, so are the next four */
    char *moref, *uuid;
    char *server, *host;      /* vCenter, and the host it runs on */
    char *spec, *job, *state; /* JSON objects; NULL in listings */
    char *stage;              /* NULL before the first */
    char *question;           /* what a person is asked, NULL nothing */
    char *error;              /* JSON, NULL none */
    char *shutdown;           /* the operator's answer, NULL none */
    enum job_status status;
    bool finalize, finalize_now, paused, cancel;
    unsigned attempt;
    unsigned rounds; /* how many are stored */
    int64_t created_at, updated_at, due_at, started_at, ended_at;
};

/* Frees what it points to, not itself; fine on one that is all zero. */
void store_migration_free(struct store_migration *migration);
#define auto_migration AUTO(store_migration_free)

/* Store a new one. id, key, spec, job and status must be given; fence, state, stage and rounds are
 * ignored (it begins with fence 1, state {}, no stage), updated_at is created_at.
 * ERR_CONFLICT: there is one of this id, or one with this key that has not ended. */
int store_migration_create(struct store *store, const struct store_migration *migration,
                           struct err *err);

/* The caller frees *ret_migration. ERR_NOT_FOUND. */
int store_migration_get(struct store *store, const char *id, struct store_migration *ret_migration,
                        struct err *err);

/* The one with this key that has not ended (there is one at most). ERR_NOT_FOUND. */
int store_migration_find_key(struct store *store, const char *key,
                             struct store_migration *ret_migration, struct err *err);

/* All zero: all of them, in the order in which they were made. */
struct store_filter {
    unsigned statuses; /* bits 1 << status; 0: all */
    const char *name;  /* '*' any text, '?' any character, ASCII case does not matter; NULL: all */
    const char *after; /* only what comes after the one with this id; NULL: from the start */
    unsigned limit;    /* at most so many; 0: all */
    bool newest_first;
};

typedef int store_migration_fn(const struct store_migration *migration, void *arg, struct err *err);

/* Without spec, job and state. ERR_NOT_FOUND: there is none with the id `after`. */
int store_migration_list(struct store *store, const struct store_filter *filter,
                         store_migration_fn *each, void *arg, struct err *err);

/* How many are in each status. */
int store_migration_count(struct store *store, uint64_t ret_counts[N_JOB_STATUS], struct err *err);

/* What has its `has_` is changed. A text NULL: none. */
struct store_change {
    bool has_status, has_question, has_error, has_shutdown, has_finalize, has_finalize_now,
        has_paused, has_cancel, has_attempt, has_due_at, has_started_at, has_ended_at, has_job;
    enum job_status status;
    const char *question, *error, *shutdown;
    bool finalize, finalize_now, paused, cancel;
    unsigned attempt;
    int64_t due_at, started_at, ended_at;
    const char *job;
};

/* ERR_NOT_FOUND. ERR_CONFLICT: fence is not the stored one, so somebody changed it since it was
 * read; or the new status has not ended, and another one with this key has not either. */
int store_migration_update(struct store *store, const char *id, int64_t fence,
                           const struct store_change *change, int64_t at, int64_t *ret_fence,
                           struct err *err);

/* With all that belongs to it; the durations of its stages stay. ERR_NOT_FOUND; ERR_CONFLICT: it
 * has not ended. What it has left in the world is forgotten with it: look at store_objects first.
 */
int store_migration_delete(struct store *store, const char *id, struct err *err);

/* ---- the journal: what a worker did ---- */

struct store_disk {
    int64_t key; /* VMware's device key */
    const char *label;
    uint64_t capacity_bytes;
    const char *image; /* where its bytes go; NULL unknown */
};

struct store_machine {
    const char *name, *moref, *uuid, *server, *host; /* NULL: as it was */
    const struct store_disk *disks;                  /* all that it has; they replace the stored */
    size_t n_disks;                                  /* at most VM_MAX_DISKS, each key once */
};

struct store_round_disk {
    int64_t key;
    uint64_t areas, changed_bytes, read_bytes, written_bytes; /* at most INT64_MAX each */
    bool full;                                                /* read as a whole ... */
    const char *why;                                          /* ... because; NULL */
};

struct store_round {
    unsigned number; /* one stored before under this number is replaced */
    const char *kind;
    int64_t started_at;
    double seconds;
    const struct store_round_disk *disks;
    size_t n_disks; /* at most VM_MAX_DISKS, each key once */
};

enum store_object_state {
    STORE_OBJECT_PLANNED, /* it may be there or not: look */
    STORE_OBJECT_MADE,
    STORE_OBJECT_GONE,
    STORE_OBJECT_STATES,
};

/* "planned", "made", "gone"; and back: false for another name. */
const char *store_object_state_name(enum store_object_state state);
bool store_object_state_from_name(const char *name, enum store_object_state *ret_state);

struct store_object {
    const char *migration; /* its id; given by listings, ignored in an operation */
    const char *kind, *name;
    enum store_object_state state;
    const char *detail; /* JSON; in an operation NULL: as it was */
    int64_t changed_at; /* given by listings, ignored in an operation */
};

enum store_op_kind {
    STORE_PUT,
    STORE_STAGE,
    STORE_MACHINE,
    STORE_ROUND,
    STORE_OBJECT,
    STORE_CLEAR_WISHES, /* finalize, finalize_now and shutdown are done with */
};

struct store_op {
    enum store_op_kind kind;
    union {
        /* A key of the state object (no quote, backslash or control character in it); value NULL or
         * "null": removed. */
        struct {
            const char *key, *value;
        } put;
        const char *stage; /* the one before ends now; its duration goes into the history */
        struct store_machine machine;
        struct store_round round;
        struct store_object object; /* unique by migration, kind, name */
    };
};

/* Do them all, in this order, or none. ERR_NOT_FOUND, ERR_CONFLICT as store_migration_update. */
int store_journal(struct store *store, const char *id, int64_t fence, const struct store_op *ops,
                  size_t n_ops, int64_t at, int64_t *ret_fence, struct err *err);

typedef int store_disk_fn(const struct store_disk *disk, void *arg, struct err *err);
typedef int store_round_fn(const struct store_round *round, void *arg, struct err *err);
typedef int store_object_fn(const struct store_object *object, void *arg, struct err *err);

/* Of one migration: disks by key, rounds by number, objects as they were first named. One that is
 * not there has none. */
int store_disks(struct store *store, const char *id, store_disk_fn *each, void *arg,
                struct err *err);
int store_rounds(struct store *store, const char *id, store_round_fn *each, void *arg,
                 struct err *err);
int store_objects(struct store *store, const char *id, store_object_fn *each, void *arg,
                  struct err *err);

/* Objects of this kind (NULL: any) that are planned or made, of migrations that have ended. */
int store_objects_left(struct store *store, const char *kind, store_object_fn *each, void *arg,
                       struct err *err);

/* Median, in seconds, of the latest durations of a stage (of 100 at most), and of how many: 0 when
 * there is none, and the median is 0 then. A stage counts that ran from its beginning to the next
 * one's, or to the end of the migration, without the migration being stopped in between. */
int store_stage_seconds(struct store *store, const char *stage, int64_t *ret_median_s,
                        unsigned *ret_n, struct err *err);

/* ---- events ---- */

struct store_event {
    int64_t n;             /* grows, never used again; given by the store */
    const char *migration; /* id; NULL: of vmferryd itself */
    int64_t at;
    const char *level, *code, *text; /* code may be NULL */
};

/* ERR_NOT_FOUND: no such migration. ret_n may be NULL. */
int store_event_add(struct store *store, const struct store_event *event, int64_t *ret_n,
                    struct err *err);

typedef int store_event_fn(const struct store_event *event, void *arg, struct err *err);

/* Those of a migration (NULL: all) with n > after, the oldest first, at most limit (0: all). */
int store_events(struct store *store, const char *id, int64_t after, unsigned limit,
                 store_event_fn *each, void *arg, struct err *err);

/* Forget all but the newest `keep`. ret_removed may be NULL. */
int store_events_prune(struct store *store, unsigned keep, uint64_t *ret_removed, struct err *err);

/* ---- settings ---- */

/* *ret_value (JSON; the caller frees it) is NULL where nothing was put. */
int store_setting_get(struct store *store, const char *key, char **ret_value, struct err *err);
/* NULL: removed. */
int store_setting_put(struct store *store, const char *key, const char *value, struct err *err);

#endif
