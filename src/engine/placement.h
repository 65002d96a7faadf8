/* A migration as the destination sees it. */
#ifndef ENGINE_PLACEMENT_H
#define ENGINE_PLACEMENT_H

#include "engine/migration.h"

/* Borrows the migration's strings. */
void placement_fill(const struct migration *m, struct placement *ret_placement);

/* The directory of a pool, into a fresh string; NULL when the job names a directory or needs none.
 */
int placement_find_dir(const struct migration *m, char **ret_dir, struct err *err);

/* Have an id for the migration, in its state when the job brings none: what is made at the
 * destination is known by it. */
int placement_ensure_id(struct migration *m, struct err *err);

/* Have nothing of the machine at the destination any more: no definition, and every file where it
 * was made; STATE_PLACING goes with it. Nothing placed yet is fine. ERR_CONFLICT: the new machine
 * runs; then nothing was touched. */
int placement_take_back(struct migration *m, struct err *err);

/* Must the machine do without hardware acceleration at the destination? Says so in the log. */
int placement_is_emulated(struct migration *m, bool *ret_emulated, struct err *err);

#endif
