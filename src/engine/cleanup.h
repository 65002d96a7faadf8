/* Giving a migration up: nothing of ours stays, neither at the source nor where it would have
 * arrived. Each thing is looked for first, so that it can be done again. */
#ifndef ENGINE_CLEANUP_H
#define ENGINE_CLEANUP_H

#include "engine/migration.h"

/* The working folder is open and the state loaded. What could not be removed is in the error, and
 * stays in the journal. ERR_CONFLICT past the point where the machine runs elsewhere. */
int cleanup_run(struct migration *m, struct err *err);

#endif
