/* Where VMware's disk library lies in a directory: the one search, for who loads it (disk/) and for
 * who says whether it is there (engine/). */
#ifndef WIRE_VDDK_FILE_H
#define WIRE_VDDK_FILE_H

#include <limits.h>
#include <stdbool.h>

#define VDDK_MAJOR_MIN 6 /* 6.5 is the first with VixDiskLib_Wait */
#define VDDK_MAJOR_MAX 9

/* The newest LIBDIR/lib64/libvixDiskLib.so.N or LIBDIR/libvixDiskLib.so.N that is there: its path,
 * links not followed, and N. false: there is none. */
bool vddk_file_find(const char *libdir, char ret_path[PATH_MAX], unsigned *ret_major);

#endif
