/* How inventory, check and doctor say what they find while they run, and are told to stop. */
#ifndef ENGINE_TALK_H
#define ENGINE_TALK_H

#include <stdbool.h>

#include "wire/json.h"

/* From the thread that runs the task. */
struct talk {
    /* Takes over message (docs/protocol.md); NULL, for want of memory, is nothing. */
    void (*say)(json_t *message, void *arg);
    bool (*cancelled)(void *arg);
    void *arg;
};

#endif
