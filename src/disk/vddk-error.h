/* What a VixError means: the kind, whether trying again helps and how, and the way out in words. */
#ifndef DISK_VDDK_ERROR_H
#define DISK_VDDK_ERROR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum vddk_remedy {
    VDDK_GIVE_UP,   /* the same again gives the same */
    VDDK_RETRY,     /* nobody knows; a read does no harm a few times more, on a disk opened anew */
    VDDK_RECONNECT, /* the connection broke: open the disk again, with patience */
    VDDK_SHRINK,    /* the host has no memory for this: ask for less, after a while */
};

/* What was being done; some codes mean another thing then. */
enum vddk_doing { VDDK_OPENING, VDDK_READING };

enum vddk_remedy vddk_error_remedy(uint64_t error, uint64_t log_mark);

/* "NAME: WHAT: the library's text (VixError N): way out; the library's last lines since log_mark".
 * Returns -1. */
int vddk_error_set(struct err *err, const char *name, const char *what, enum vddk_doing doing,
                   uint64_t error, uint64_t log_mark);

#endif
