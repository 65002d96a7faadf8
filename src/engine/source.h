/* The machine at its source: what it is, and its disks while they are looked at and copied.
 *
 * In this order: new, describe; then, of a migration, recall (what an earlier run left there),
 * check, open, the disks one after another, close. What is open is closed by source_close alone,
 * on every way out; free is for memory and connections.
 *
 * A kind of source is a table of functions in a file source-NAME.c; a NULL entry is "nothing to
 * do", or what the comment says.
 */
#ifndef ENGINE_SOURCE_H
#define ENGINE_SOURCE_H

#include "base/buf.h"
#include "engine/job.h"
#include "engine/state.h"
#include "engine/watch.h"
#include "model/vm.h"
#include "wire/copy-client.h"

struct live_ops;

struct source {
    const struct source_ops *ops;
    const struct live_ops *live; /* NULL: it can only be moved while it is off */
    const struct job *job;
    const struct engine_watch *watch;
    struct vm *vm;
    bool deaf; /* nobody's wish to stop counts: something is being cleared away */
};

#define SOURCE_BAD_NONE SIZE_MAX
#define SOURCE_BAD_ALL (SIZE_MAX - 1)

struct source_ops {
    /* Go there and fill src->vm, fresh from vm_new; every disk with an image of ours to read has
     * its format, unless it is gzip-ed. */
    int (*describe)(struct source *src, struct err *err);

    /* What an earlier run of this migration left at the source, as its journal in state says: take
     * it up again, or remove it (with drop: always). */
    int (*recall)(struct source *src, struct state *state, bool drop, struct err *err);

    /* Can it be moved as it is now? The error is the reason and what to do; warnings are logged. */
    int (*check)(struct source *src, struct err *err);

    /* Which disk this is, whatever is in it. NULL: its file. NULL result: without memory. */
    json_t *(*disk_identity)(const struct source *src, size_t disk);

    /* A text that is another when the bytes of a disk are others, into ret; "": it cannot be told.
     * NULL: disk_identity says that, too. */
    int (*content)(struct source *src, struct buf *ret, struct err *err);

    /* Make the disks readable, and write into the journal what is made at the source before it is
     * made. NULL: they are. */
    int (*open)(struct source *src, struct state *state, struct err *err);

    /* Whether all disks can be read at random once it is open. NULL: unless one is gzip-ed. */
    bool (*is_random_access)(const struct source *src);

    /* Where a disk is read from once it is open. NULL: the image of the description. */
    void (*image)(const struct source *src, size_t disk, struct vm_image *ret);

    /* Begin with a disk: fill in what request says of the source. The strings live until its end.
     * NULL: from the image. */
    int (*begin_disk)(struct source *src, size_t disk, struct copy_request *request,
                      struct err *err);

    /* While a disk is copied, several times a second; pct of it is done. */
    void (*tick)(struct source *src, size_t disk, unsigned pct);

    /* As copy_watch.need. NULL: nothing can be had. */
    int (*need)(struct source *src, size_t disk, const char *what, char **ret_value,
                struct err *err);

    /* The disk has ended: copied as result says, or (NULL) failed with err, to which a cause may be
     * added. */
    int (*end_disk)(struct source *src, size_t disk, const struct copy_result *result,
                    struct err *err);

    /* The disk could not even be opened, as why says: true when there is another way to it, which
     * begin_disk takes from now on. NULL: there is none. */
    bool (*fall_back)(struct source *src, size_t disk, const struct err *why);

    /* All disks are copied. -1: disk *ret_bad (or SOURCE_BAD_...) is not what the source holds. */
    int (*finish)(struct source *src, size_t *ret_bad, struct err *err);

    /* All is done with them, or (complete false) it ends early: nothing of ours stays there. What
     * could not be removed stays in the journal. */
    int (*close)(struct source *src, struct state *state, bool complete, struct err *err);

    void (*free)(struct source *src);
};

/* Of the kind that the job names; vm, job and watch must outlive it. */
int source_new(const struct job *job, const struct engine_watch *watch, struct vm *vm,
               struct source **ret, struct err *err);
void source_free(struct source *src);

/* The functions above, by their names; NULL is fine as src where it says nothing. */
int source_describe(struct source *src, struct err *err);
int source_recall(struct source *src, struct state *state, bool drop, struct err *err);
int source_check(struct source *src, struct err *err);
json_t *source_disk_identity(const struct source *src, size_t disk);
bool source_has_content(const struct source *src);
int source_content(struct source *src, struct buf *ret, struct err *err);
int source_open(struct source *src, struct state *state, struct err *err);
bool source_is_random_access(const struct source *src);
void source_image(const struct source *src, size_t disk, struct vm_image *ret);
int source_begin_disk(struct source *src, size_t disk, struct copy_request *request,
                      struct err *err);
void source_tick(struct source *src, size_t disk, unsigned pct);
int source_need(struct source *src, size_t disk, const char *what, char **ret_value,
                struct err *err);
int source_end_disk(struct source *src, size_t disk, const struct copy_result *result,
                    struct err *err);
bool source_fall_back(struct source *src, size_t disk, const struct err *why);
int source_finish(struct source *src, size_t *ret_bad, struct err *err);
int source_close(struct source *src, struct state *state, bool complete, struct err *err);

/* Whether the journal names anything of ours at the source. */
#define SOURCE_HOLD                                                                                \
    "hold" /* key of the state, beside STATE_SOURCE: only between open and close                   \
            */
bool source_left_behind(const struct state *state);

/* Constructors, one a file. */
int source_file_new(struct source **ret, struct err *err);
int source_xen_new(struct source **ret, struct err *err);
int source_vsphere_new(struct source **ret, struct err *err);

/* For the kinds. */
bool source_cancelled(void *src);
void source_log(const struct source *src, enum log_level level, const char *code, const char *fmt,
                ...) __attribute__((format(printf, 4, 5)));

#endif
