/* A migration under way: what its stages share. */
#ifndef ENGINE_MIGRATION_H
#define ENGINE_MIGRATION_H

#include <sys/types.h>

#include "engine/job.h"
#include "engine/nicmap.h"
#include "engine/source.h"
#include "engine/state.h"
#include "engine/watch.h"
#include "engine/workdir.h"
#include "guest/accel.h"
#include "model/guest.h"
#include "model/vm.h"

/* The files of a migration; all absolute, owned. */
struct migration_paths {
    char *dir;        /* where the machine appears; of a platform that keeps nothing: for scratch */
    char *final_xml;  /* DIR/NAME.xml */
    char *xml;        /* the finished description, in the working folder */
    char *source_xml; /* for virt-v2v */
    char *convert_log, *inspect_log;
    char *disks[VM_MAX_DISKS]; /* copied images, in the working folder */
    char *maps[VM_MAX_DISKS];  /* of the images, as long as rounds are to come */
    char *overlays[VM_MAX_DISKS];
    char *final_disks[VM_MAX_DISKS]; /* DIR/NAME-sda */
};

/* How a run ends that did not fail. */
enum outcome_kind {
    OUTCOME_DONE,
    OUTCOME_WAIT,      /* until the next round is due */
    OUTCOME_ASK,       /* until somebody has answered */
    OUTCOME_PAUSED,    /* until somebody resumes it */
    OUTCOME_CANCELLED, /* nothing of ours is left */
};

struct outcome {
    enum outcome_kind kind;
    int64_t after_s;      /* WAIT, and ASK: how long until it is worth looking again */
    const char *question; /* ASK: its code; static */
    char text[512];       /* WAIT, ASK: for people */
};

struct migration {
    const struct job *job;
    const struct engine_watch *watch;
    mode_t file_mode;
    size_t stage; /* index of the stage that runs */
    bool copying; /* it is the one that copies */

    struct vm *vm; /* its name is that at the destination */
    struct source *source;
    struct nic_map nics;
    struct migration_paths paths;
    struct workdir work;
    struct state state;
    bool facts_known;
    struct guest_facts facts;
    bool accel_known;
    enum accel accel;
    uint64_t data_bytes; /* copied by this run, not zero */
    struct outcome outcome;
    bool retry; /* it failed, and is tried again by itself */
};

#define STAGE_WAITS 1

/* A stage of the journey, in a file stage-NAME.c. */
struct stage {
    const char *name;
    unsigned weight; /* its share of the progress */
    /* Looks first whether its effect is there already, so that running it again is safe.
     * STAGE_WAITS: the run ends here, and m->outcome says what is next. */
    int (*run)(struct migration *m, struct err *err);
};

extern const struct stage stage_init, stage_base_copy, stage_delta, stage_final_sync,
    stage_converting, stage_import, stage_done;

/* What is wished now; all false without a daemon. */
const struct engine_wishes *migration_wishes(const struct migration *m);

/* The machine and its images as they are, for the daemon. */
int migration_introduce(struct migration *m, struct err *err);

/* The run ends here; returns STAGE_WAITS. */
int migration_wait(struct migration *m, int64_t after_s, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int migration_ask(struct migration *m, const char *question, int64_t again_s, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Called between the steps of a stage: ERR_CANCELLED when somebody wants us to stop. */
int job_checkpoint(const struct migration *m, struct err *err);

/* As a callback: arg is the migration. */
bool migration_is_cancelled(void *arg);

/* "[  12.3] TEXT" */
void migration_say(const struct migration *m, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void migration_log(const struct migration *m, enum log_level level, const char *code,
                   const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Fills in the stage and the overall percentage. */
void migration_progress(const struct migration *m, struct engine_progress *progress);

/* What to accelerate with: asked for once, said in the log. */
int migration_accel(struct migration *m, struct err *err);

#define PART_SUFFIX ".part" /* vmferry-copy's, while an image is not complete */

/* Whether there is an image of that disk that is not complete. */
bool migration_has_part(const struct migration *m, size_t disk);

/* Whether the working folder holds anything that took time to copy. */
bool migration_has_copies(const struct migration *m);

/* Whether all disks are copied, so that nothing more is wanted of the source. */
bool migration_is_copied(const struct migration *m);

/* The firmware that the machine will have: its description's, or what its disks are made for. */
enum vm_firmware migration_firmware(const struct migration *m);

void migration_free(struct migration *m);
#define auto_migration AUTO(migration_free)

#endif
