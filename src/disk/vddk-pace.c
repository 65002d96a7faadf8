#include "disk/vddk-pace.h"

void
vddk_pace_init(struct vddk_pace *pace, unsigned depth)
{
    *pace = (struct vddk_pace){
        .depth = depth,
        .window = depth,
        .piece = REQUEST_BYTES,
        .calm_wanted_bytes = PACE_CALM_BYTES,
    };
}

bool
vddk_pace_shrink(struct vddk_pace *pace)
{
    pace->calm_bytes = 0;
    pace->calm_wanted_bytes = MIN(pace->calm_wanted_bytes * 2, PACE_CALM_MAX_BYTES);
    if (pace->window > 1)
        pace->window /= 2;
    else if (pace->piece > PACE_PIECE_MIN)
        pace->piece /= 2;
    else
        return false;
    return true;
}

void
vddk_pace_note(struct vddk_pace *pace, size_t bytes)
{
    if (pace->window == pace->depth && pace->piece == REQUEST_BYTES)
        return;
    pace->calm_bytes += bytes;
    if (pace->calm_bytes < pace->calm_wanted_bytes)
        return;
    pace->calm_bytes = 0;
    if (pace->piece < REQUEST_BYTES)
        pace->piece *= 2;
    else
        pace->window++;
}
