/* VMware's disk library in this process: found, loaded, initialised, and ended.
 *
 * There is one in a process. It comes with libraries of its own (OpenSSL, libxml2, zlib, libstdc++)
 * which must be found before the system's by its plugins: whoever starts this process puts its
 * directory into LD_LIBRARY_PATH. It starts threads, so it is initialised by the main thread before
 * there is another one, and nothing is forked after that.
 */
#ifndef DISK_VDDK_LIBRARY_H
#define DISK_VDDK_LIBRARY_H

#include <stdbool.h>

#include "base/err.h"
#include "disk/vddk-abi.h"

/* The library that vddk_library_load has loaded. */
struct vddk_library {
    struct vddk_api api;
    char *file; /* "libvixDiskLib.so.8.0.3", its name without links; it knows no other version */
    bool can_async; /* ReadAsync is there, returns before it is done, and can be waited for */
    bool can_query; /* QueryAllocatedBlocks and FreeBlockList are there */
};

/* Main thread, alone. libdir is what holds lib64/libvixDiskLib.so.N or that file itself; the newest
 * N wins (wire/vddk-file.h). config_file may be NULL. ERR_NOT_FOUND: there is
 * none; ERR_INVALID: it cannot be loaded, is no such library, or does not start. */
int vddk_library_load(const char *libdir, const char *config_file, struct err *err);

/* After a load that succeeded; any thread. */
const struct vddk_library *vddk_library(void);

/* Main thread, alone again, everything closed. Nothing loaded: nothing to do. */
void vddk_library_end(void);

#endif
