/* What a migration says while it runs, what it asks to be remembered, and what is wished of it. */
#ifndef ENGINE_WATCH_H
#define ENGINE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "wire/json.h"

struct engine_progress {
    const char *stage;                /* "base_copy" ... */
    const char *disk;                 /* "sda", or what else is being worked on */
    uint64_t done_bytes, total_bytes; /* total 0: pct says how far */
    uint64_t data_bytes, rate_bytes_s;
    int64_t eta_s; /* -1: not known */
    int pct;       /* of this part of the work */
    int overall_pct;
};

/* What was done last with what is remembered: it is about to be done, it was done, or neither. */
enum engine_when { ENGINE_NOTE, ENGINE_BEGIN, ENGINE_DONE };

enum engine_answer { ENGINE_ANSWER_NONE, ENGINE_ANSWER_FORCE, ENGINE_ANSWER_DONE };

/* As they are now; a wish that came stays until the process ends. */
struct engine_wishes {
    bool cancel; /* give it up and leave nothing behind */
    bool pause;
    bool finalize;     /* cut over when the next round is due */
    bool finalize_now; /* cut over now */
    enum engine_answer shutdown;
    uint64_t limit_bytes_s; /* over all disks of the machine; 0: none */
};

/* From the thread that runs the engine. */
struct engine_watch {
    void (*stage)(const char *stage, const char *text, void *arg);
    void (*progress)(const struct engine_progress *progress, void *arg);
    /* code: stable word for a finding, or NULL. */
    void (*log)(enum log_level level, const char *code, const char *text, void *arg);
    /* Somebody wants it to stop, for a while or for good: the rest of the wishes says which. */
    bool (*cancelled)(void *arg);
    void *arg;

    /* The rest is there with a daemon (docs/protocol.md) and NULL without. */

    /* Have ops remembered, all or none, and come back when they are. Takes them over. */
    int (*journal)(enum engine_when when, const char *act, json_t *ops, void *arg, struct err *err);
    /* Takes over message. */
    void (*say)(json_t *message, void *arg);
    const struct engine_wishes *(*wishes)(void *arg);
    /* Slots: at most so many disks of one ESXi host are read at once. want replaces an earlier
     * want; granted is how many of them are ours now; freed gives some back. */
    void (*want)(const char *host, const char *priority, unsigned disks, void *arg);
    unsigned (*granted)(void *arg);
    void (*freed)(unsigned disks, void *arg);
};

#endif
