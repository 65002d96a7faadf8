/* The working folder of one migration, DIR/.vmferry-NAME: what is not finished lives there, and
 * nowhere else. It belongs to one process at a time.
 */
#ifndef ENGINE_WORKDIR_H
#define ENGINE_WORKDIR_H

#include <stdbool.h>

#include "base/err.h"

struct workdir {
    char *path; /* absolute; NULL: not open */
    int lock_fd;
    bool fresh; /* made by this run */
};

#define WORKDIR_INIT ((struct workdir){ .lock_fd = -1 })

/* Open it, or make it, 0700. ERR_CONFLICT while another process works in it, or when what has its
 * name is not a folder of ours. */
int workdir_open(const char *dir, const char *name, struct workdir *ret_work, struct err *err);

/* Remove all that is in it, and go on with it empty. */
int workdir_clear(struct workdir *work, struct err *err);

/* DIR/.vmferry-NAME/FILE into *ret_path, which the caller frees. */
int workdir_path(const struct workdir *work, const char *file, char **ret_path, struct err *err);

/* Remove it with all that is in it, and close it. */
int workdir_remove(struct workdir *work, struct err *err);

/* Let it be, for the next run. Not open is fine. */
void workdir_close(struct workdir *work);

#endif
