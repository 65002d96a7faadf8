/* The journey of a machine: the stages in their order, and what is left when one fails. */
#ifndef ENGINE_RUN_H
#define ENGINE_RUN_H

#include <sys/types.h>

#include "base/err.h"
#include "engine/job.h"
#include "engine/watch.h"

/* Run a migration to its end, or as far as it goes now, or describe its source. file_mode: of the
 * files that are its result. 0: *ret_detail, owned by the caller, is the body of the result
 * (docs/protocol.md). -1: the error's text says what was kept and how to go on; with a daemon
 * *ret_detail, NULL before, says what is to become of it. */
int engine_run(const struct job *job, mode_t file_mode, const struct engine_watch *watch,
               json_t **ret_detail, struct err *err);

#endif
