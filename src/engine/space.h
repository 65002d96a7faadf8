/* Is there room for the disks, as far as can be known before they are read? */
#ifndef ENGINE_SPACE_H
#define ENGINE_SPACE_H

#include "engine/migration.h"

/* ERR_IO when it cannot fit; a warning when it may not. What an earlier run copied counts. */
int space_check(const struct migration *m, struct err *err);

#endif
