/* The machine at its source, by whatever description the job names. */
#ifndef ENGINE_SOURCE_H
#define ENGINE_SOURCE_H

#include "engine/job.h"
#include "model/vm.h"

/* Fill vm, fresh from vm_new; every disk with an image has its format, unless it is gzip-ed. */
int source_describe(const struct job *job, struct vm *vm, struct err *err);

/* Whether all its disks can be read at random, not only from beginning to end. */
bool source_is_random_access(const struct vm *vm);

#endif
