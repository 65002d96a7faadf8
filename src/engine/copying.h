/* The disks of a machine through copy processes, several at once: what the base copy does, and each
 * round after it.
 *
 * At most job->parallel_disks, and with a daemon at most as many as it grants for the host that the
 * machine is on. The first failure stops the others, which can be gone on from.
 */
#ifndef ENGINE_COPYING_H
#define ENGINE_COPYING_H

#include "engine/migration.h"
#include "wire/copy-client.h"

enum copying_how {
    COPYING_WHOLE,   /* into a new image, or one that is half made */
    COPYING_RANGES,  /* these, into the image that is there */
    COPYING_COMPARE, /* read all, write what differs from the image's map */
};

struct copying_disk {
    bool wanted;
    enum copying_how how;
    char *ranges_path; /* owned; of COPYING_RANGES */
    char *stale_path;  /* owned; of COPYING_WHOLE: what a half made image has of an earlier moment
                          and needs again; NULL: it is of this moment, or there is none */
    enum copy_verify verify;

    bool done;
    struct copy_result result; /* when done */
};

struct copying {
    const char *priority; /* "base", "delta" or "final": who gets a slot first */
    bool keep_maps;       /* the map of each image stays, for rounds to come */
    struct copying_disk disks[VM_MAX_DISKS];
};

/* Run it: m->source is open. Adds to m->data_bytes. Free with copying_free in any case. */
int copying_run(struct migration *m, struct copying *copying, struct err *err);

void copying_free(struct copying *copying);
#define auto_copying AUTO(copying_free)

#endif
