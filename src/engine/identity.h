/* Are the bytes that an earlier run left the ones that this run would make? */
#ifndef ENGINE_IDENTITY_H
#define ENGINE_IDENTITY_H

#include "engine/source.h"

/* What the copies are made from and how: each disk as its source knows it. NULL without memory. */
json_t *identity_of_copy(const struct source *src);

/* Of a disk that is a file here: its place, size, and its file's inode, size and time of change. */
json_t *identity_of_file(const struct vm_disk *disk);

/* What the conversion was asked for, as far as it changes the guest. */
json_t *identity_of_conversion(const struct job *job);

#endif
