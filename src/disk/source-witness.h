/* What a file was when it was opened, so that one sees later whether it still is that.
 *
 * Device, inode, size and time of change of the file, and of the files that a VMDK descriptor
 * names.
 */
#ifndef DISK_SOURCE_WITNESS_H
#define DISK_SOURCE_WITNESS_H

#include "disk/disk.h"

#define SOURCE_IDENTITY_MAX 192

struct source_witness;

/* fd stays the caller's; path is where it was opened. offset and bytes: the part that is read. */
int source_witness_open(int fd, const char *path, uint64_t offset, uint64_t bytes,
                        struct source_witness **ret, struct err *err);
void source_witness_close(struct source_witness *witness);

/* The same text = the same bytes. */
const char *source_witness_text(const struct source_witness *witness);

/* ERR_CONFLICT when it is no longer what it was. */
int source_witness_check(const struct source_witness *witness, struct err *err);

#endif
