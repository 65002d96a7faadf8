/* Where the members of a tar file lie, so that they can be read in place.
 *
 * ustar, GNU long names and base-256 sizes, pax path and size records. Source: POSIX.1-2017 pax,
 * GNU tar manual "Basic Tar Format". An OVA is such a file (DMTF DSP0243, 5.1).
 */
#ifndef WIRE_TAR_H
#define WIRE_TAR_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TAR_MAX_MEMBERS 10000
#define TAR_MAX_NAME 4096

struct tar_member {
    char *name;      /* as stored, a leading "./" removed */
    uint64_t offset; /* bytes from the start of the file to the member's data */
    uint64_t bytes;
};

struct tar_index {
    size_t n_members;
    struct tar_member *members; /* regular files only, in the order of the file */
};

/* name is for the error's text. ERR_INVALID for a bad checksum, a member that reaches past the end
 * of the file (names it: the file is truncated), too many members; a name used twice is refused. */
int tar_index_read(int fd, const char *name, struct tar_index *ret_index, struct err *err);
const struct tar_member *tar_find(const struct tar_index *index, const char *name);
void tar_index_free(struct tar_index *index);
#define auto_tar_index AUTO(tar_index_free)

#endif
