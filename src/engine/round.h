/* A round: the machine stands still for a moment, and what is in its disks at that moment comes
 * into the images. The first one is the base copy; the last one is read from a machine that is off.
 *
 * The moment at which an image stands (its epoch) is remembered when every byte of the round is
 * durable in all images, and only then; a round that did not end is run again from the epochs
 * before it. An epoch speaks of one disk of one size: where the source cannot say what was written
 * since, or the map of the image is gone, the disk is read whole.
 */
#ifndef ENGINE_ROUND_H
#define ENGINE_ROUND_H

#include "engine/migration.h"

enum round_kind { ROUND_BASE, ROUND_DELTA, ROUND_FINAL };

/* Keys of the state. */
/* The one under way: {"number": N, "kind": WORD, "started_at": S}, and once the machine stands
 * still "moment", the name of that, and "epochs" as below, which become those of the images when it
 * ends.
 */
#define ROUND_STATE "round"
#define ROUND_EPOCHS "epochs"     /* {"2000": {"epoch": TEXT, "capacity_bytes": N}} */
#define ROUND_COUNT "rounds"      /* how many have ended */
#define ROUND_LAST "last_round"   /* of the last one: {"ended_at", "seconds", "changed_bytes"} */
#define ROUND_RATE "rate_bytes_s" /* measured in rounds and the base copy */

/* Run one to its end. The source is thawed after it, unless it failed; then recall or close do it.
 * An interrupted one is gone on with. */
int round_run(struct migration *m, enum round_kind kind, struct err *err);

/* Whether every disk of the machine has an image and an epoch. */
bool round_has_base(const struct migration *m);

#endif
