/* What a migration says while it runs, and how it is told to stop. */
#ifndef ENGINE_WATCH_H
#define ENGINE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"

struct engine_progress {
    const char *stage;                /* "base_copy" ... */
    const char *disk;                 /* "sda", or what else is being worked on */
    uint64_t done_bytes, total_bytes; /* total 0: pct says how far */
    uint64_t data_bytes, rate_bytes_s;
    int64_t eta_s; /* -1: not known */
    int pct;       /* of this part of the work */
    int overall_pct;
};

/* From the thread that runs the engine. */
struct engine_watch {
    void (*stage)(const char *stage, const char *text, void *arg);
    void (*progress)(const struct engine_progress *progress, void *arg);
    /* code: stable word for a finding, or NULL. */
    void (*log)(enum log_level level, const char *code, const char *text, void *arg);
    bool (*cancelled)(void *arg);
    void *arg;
};

#endif
