/* A migration's files as the destination sees them. */
#ifndef ENGINE_PLACEMENT_H
#define ENGINE_PLACEMENT_H

#include "engine/migration.h"

/* Borrows the migration's paths. */
void placement_fill(const struct migration *m, struct placement *ret_placement);

#endif
