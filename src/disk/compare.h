/* Copying only what differs from what an image holds, as its map remembers it.
 *
 * The map must never claim what is not in the image, and here, unlike in a list of ranges, the old
 * records cannot all be forgotten at the beginning: they are what is compared with. So each cluster
 * goes through
 *
 *   record forgotten -> map flushed -> written -> image flushed -> new record -> map flushed
 *
 * A crash at any point leaves a record that is true, or none. Without the first step a cluster
 * could hold half of the new content under the old record; a later run would then pass it over if
 * the source had gone back to the old content by then. The flush of the first step is one for all
 * requests of a lane that wait for it.
 *
 * How far a comparison has come cannot be seen in the records, since what is equal is known before
 * and after: the map's info has it (checkpoint_remember). What is unknown below it was written and
 * not flushed when a run ended, and is done again.
 */
#ifndef DISK_COMPARE_H
#define DISK_COMPARE_H

#include "disk/map.h"

/* A request that was read and hashed: the bits of clusters that the map knows to be so already are
 * taken from req->present. */
int compare_request(struct map *map, struct request *req, struct err *err);

/* Forget the records of the clusters that are present. Not flushed. */
int compare_forget(struct map *map, const struct request *req, struct err *err);

/* The next run of clusters in [*at, end) that the map does not know to be zero; within one
 * request's COMPARE_WINDOW clusters. *at moves behind it, or to the end of what was looked at.
 * 1: *ret_first and *ret_n are set; 0: none up to *at. */
#define COMPARE_WINDOW 1024u
int compare_not_zero(struct map *map, uint64_t *at, uint64_t end, uint64_t *ret_first,
                     uint64_t *ret_n, struct err *err);

#endif
