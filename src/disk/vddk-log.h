/* What VMware's library says of itself: into our log, and the last words of it for an error's text.
 *
 * The library's own error codes say little ("Unknown error"); the cause stands in the line that it
 * logged just before. Any thread of the library may log.
 */
#ifndef DISK_VDDK_LOG_H
#define DISK_VDDK_LOG_H

#include <stddef.h>

#include "disk/vddk-abi.h"

vddk_log_fn vddk_log_info, vddk_log_warn, vddk_log_panic;

/* Where the log stands: what is said after this moment belongs to what is begun now. */
uint64_t vddk_log_mark(void);

/* The last lines since the mark that tell of trouble, newest last, joined by "; "; "" when there
 * are none. Cut to what fits. */
#define VDDK_LOG_TEXT_MAX 400
void vddk_log_since(uint64_t mark, char *text, size_t size);

/* Texts that are made "***" in all lines, NULL-terminated array that lives until the next call;
 * NULL: none. Shorter ones than VDDK_SECRET_MIN bytes are let through: they would hide half of the
 * alphabet. */
#define VDDK_SECRET_MIN 4
void vddk_log_hide(const char *const *secrets);

#endif
