/* Where a machine arrives. Each kind of destination is one table of operations. */
#ifndef PLATFORM_PLATFORM_H
#define PLATFORM_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "model/vm.h"

struct placement_disk {
    const char *made;  /* the finished image, on the destination's file system */
    const char *final; /* where it belongs */
};

/* What is to be placed. Paths are absolute. */
struct placement {
    const char *dir;  /* of -os; the working directory of a destination that keeps nothing */
    const char *name; /* of the machine */
    mode_t file_mode; /* of the files that appear: 0666 without the caller's umask */
    size_t n_disks;
    struct placement_disk disks[VM_MAX_DISKS];
    const char *made_xml; /* the machine's description, finished */
    const char *final_xml;
};

struct platform {
    const char *name; /* as -o says it */
    bool keeps;       /* false: nothing remains */

    /* Before anything is started: can anything be put there at all? Looks at dir only. */
    int (*check_dir)(const struct placement *placement, struct err *err);

    /* Is there something already under the final names? NULL: it has none. */
    int (*check_names)(const struct placement *placement, struct err *err);

    /* Put everything where it belongs, durably. Called again after a crash in it, it finishes. */
    int (*place)(const struct placement *placement, struct err *err);
};

extern const struct platform platform_local, platform_null;

/* "local", "null"; NULL: no such destination. */
const struct platform *platform_find(const char *name);

#endif
