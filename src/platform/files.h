/* The files of a machine in a directory: checks before they are made, and their way to their names.
 */
#ifndef PLATFORM_FILES_H
#define PLATFORM_FILES_H

#include "platform/platform.h"

/* Is placement->dir a directory that can be written to? what: how the user named it, for the
 * error's text. */
int files_check_dir(const struct placement *placement, const char *what, struct err *err);

/* ERR_CONFLICT when something has the final name of a disk. */
int files_check_disks(const struct placement *placement, struct err *err);

/* Move the disks to their final names, durably; nothing that is there is replaced. Called again
 * after a crash in it, it finishes. */
int files_place_disks(const struct placement *placement, struct err *err);

/* And back; disks that have not moved are left alone. */
int files_take_back_disks(const struct placement *placement, struct err *err);

#endif
