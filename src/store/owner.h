/* Who owns a store: the process that holds the lock on the file PATH-lock, which has its pid in it.
 *
 * The lock (flock) ends with the process, whatever ends it. The file stays: were it removed, one
 * process could lock the file that is gone and another the one that is there.
 */
#ifndef STORE_OWNER_H
#define STORE_OWNER_H

#include <stdbool.h>

#include "base/err.h"

struct owner {
    char *path; /* of the lock file */
    int fd;
    bool unclean; /* the last owner ended without owner_release */
};

#define OWNER_INIT ((struct owner){ .fd = -1 })

/* ERR_CONFLICT: another process owns it; the text says which. */
int owner_take(const char *path, struct owner *ret_owner, struct err *err);

/* clean: the store was closed as it should be. Fine on OWNER_INIT. */
void owner_release(struct owner *owner, bool clean);

#endif
