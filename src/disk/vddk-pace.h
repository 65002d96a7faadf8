/* How much is asked for at once: less when the host has no memory for it, then slowly more again.
 *
 * The NFC server of an ESXi host has 32 to 96 MiB for all its clients, backups included. It refuses
 * what does not fit; the client halves what it has under way, first in number, then in size, and
 * grows back by a request after a stretch of reads that went well.
 */
#ifndef DISK_VDDK_PACE_H
#define DISK_VDDK_PACE_H

#include <stdbool.h>

#include "disk/disk.h"

#define PACE_PIECE_MIN CLUSTER_BYTES

/* So many bytes must go well before one step back up; twice as many after each refusal. */
#define PACE_CALM_BYTES (128 * MIB)
#define PACE_CALM_MAX_BYTES (8 * GIB)

struct vddk_pace {
    unsigned depth;  /* the most requests in flight ... */
    unsigned window; /* ... and now: 1 to depth */
    size_t piece;    /* bytes of one read now: PACE_PIECE_MIN to REQUEST_BYTES, a power of two */
    uint64_t calm_wanted_bytes;
    uint64_t calm_bytes; /* read without a refusal since the last step */
};

void vddk_pace_init(struct vddk_pace *pace, unsigned depth);

/* The host refused; false when it is as little as can be already. */
bool vddk_pace_shrink(struct vddk_pace *pace);

/* A read went well. */
void vddk_pace_note(struct vddk_pace *pace, size_t bytes);

#endif
