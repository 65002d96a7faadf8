/* Reading an image again and comparing it with the map. */
#ifndef DISK_VERIFY_H
#define DISK_VERIFY_H

#include "disk/copy.h"

/* Every cluster of the image has the content that the map remembers. progress->done_bytes counts.
 * ERR_IO names the first extents that differ (the map no longer knows them then); ERR_INVALID when
 * the map does not know all of it. */
int verify_run(struct target *target, struct map *map, struct copy_progress *progress,
               struct err *err);

#endif
