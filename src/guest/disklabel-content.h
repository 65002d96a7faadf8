/* What a partition holds, from its first sectors. */
#ifndef GUEST_DISKLABEL_CONTENT_H
#define GUEST_DISKLABEL_CONTENT_H

#include "guest/disklabel.h"

/* Fill content and what goes with it for the partition at part's offset; reads 5 KiB at most, never
 * past its end or the disk's. */
int disklabel_content(uint64_t disk_bytes, disklabel_read_fn *read, void *arg,
                      struct disklabel_part *part, struct err *err);

#endif
