/* The child's side: one appliance with a machine's disks in it, one system found and mounted.
 *
 * Only files that include this one call libguestfs, and they run only in the child of inspect.h:
 * a call that hangs is ended by killing the process. libguestfs' handle is not for several threads,
 * and none is made.
 */
#ifndef GUEST_LOOK_H
#define GUEST_LOOK_H

#include <guestfs.h>
#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "model/guest.h"
#include "wire/json.h"

#define LOOK_MAX_CRYPT 32

struct look {
    guestfs_h *g;
    int ipc_fd;
    const json_t *start; /* the task, borrowed */
    bool writable;
    size_t n_locked; /* encrypted volumes that no key opened ... */
    size_t n_opened; /* ... and the devices of those that one did */
    char *opened[LOOK_MAX_CRYPT];
    char **roots;  /* all systems found, NULL-terminated */
    char *root;    /* the chosen one, NULL: none; in roots */
    char **mounts; /* pairs mount point, device; shortest mount point first */
    struct guest_report report;
};

/* Start the appliance and open what is encrypted with the keys there are. */
int look_open(struct look *look, struct err *err);

/* Find systems, choose one and fill the facts that inspection gives. None, or one that cannot be
 * chosen, is a finding and leaves root NULL. -1: the appliance failed. */
int look_find(struct look *look, struct err *err);

/* Mount the chosen system as it would itself. What cannot be mounted is a finding; the root that
 * cannot leaves root NULL. */
int look_mount(struct look *look, struct err *err);

/* Unmount and stop the appliance, so that what was written is in the disks. */
int look_shut(struct look *look, struct err *err);

void look_free(struct look *look);

/* Say what comes next; also tells the parent that the child is alive. */
void look_step(struct look *look, const char *step, const char *text);

/* A small text file of the guest, NULL when it is not there, not a file, not readable or larger
 * than LOOK_FILE_MAX. The caller frees it. */
char *look_read(struct look *look, const char *path);
#define LOOK_FILE_MAX ((int64_t)1 << 20)

/* The names that a shell pattern gives in the guest, NULL-terminated, never NULL itself unless
 * memory lacks; free with strv_free. */
char **look_glob(struct look *look, const char *pattern);
bool look_exists(struct look *look, const char *pattern);

/* Fails with libguestfs' own words. */
int look_error(struct look *look, struct err *err, const char *what);

void strv_free(char ***strv);
#define auto_strv AUTO(strv_free)

/* Checks of a mounted system. */
void inspect_linux(struct look *look);
void inspect_windows(struct look *look);
/* Before anything is mounted. */
void inspect_volumes(struct look *look);

#endif
