/* The throw-away layer over an image in which everything happens that can fail half-way.
 *
 * A qcow2 file beside or away from its base. Nothing is written to the base before overlay_commit.
 * All by qemu-img; any path works (commas, colons, spaces, leading dashes), an NBD URI does not.
 */
#ifndef GUEST_OVERLAY_H
#define GUEST_OVERLAY_H

#include "base/err.h"

/* Make overlay_path (must not exist: ERR_CONFLICT) over base, whose format is qemu's name for it
 * ("raw", "qcow2") and is never guessed. */
int overlay_create(const char *base, const char *base_format, const char *overlay_path,
                   struct err *err);

/* Write what the overlay holds into base, the path given at its creation, and sync base to the
 * disk. The overlay stays; after a failure the same call can be made again, for it still holds
 * everything. */
int overlay_commit(const char *overlay_path, const char *base, struct err *err);

/* Remove the overlay; one that is not there is fine. */
int overlay_drop(const char *overlay_path, struct err *err);

#endif
