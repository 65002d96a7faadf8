/* Are the bytes that an earlier run left the ones that this run would make? */
#ifndef ENGINE_IDENTITY_H
#define ENGINE_IDENTITY_H

#include "engine/job.h"
#include "model/vm.h"
#include "wire/json.h"

/* What the copies are made from and how: each disk's place, size, and its file's inode, size and
 * time of change. NULL without memory. */
json_t *identity_of_copy(const struct job *job, const struct vm *vm);

/* What the conversion was asked for, as far as it changes the guest. */
json_t *identity_of_conversion(const struct job *job);

#endif
