/* Is there a VDDK library (libvixDiskLib) on this host, and would it load? Looked at from outside:
 * nothing of it is loaded into this process.
 *
 * A library directory is what a VDDK package unpacks to: vmware-vix-disklib-distrib, with the
 * library in lib64/. The library exports no version; its file's name carries it, as in
 * libvixDiskLib.so.8.0.3.
 */
#ifndef ENGINE_VDDK_LIBRARY_H
#define ENGINE_VDDK_LIBRARY_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct vddk_library {
    char libdir[PATH_MAX]; /* "/opt/vmware-vix-disklib-distrib": for vddk-libdir */
    char path[PATH_MAX];   /* of the library in it, links resolved */
    char version[32];      /* "8.0.3", or only "8" */
    unsigned major;        /* 6 to 9 */
    bool plugin;           /* libdiskLibPlugin.so is there: hotadd and san may work */
};

/* Look in libdir; NULL: in the usual places, the newest wins. ERR_NOT_FOUND names the places;
 * ERR_INVALID: what is there is no library for this machine. */
int vddk_library_find(const char *libdir, struct vddk_library *ret, struct err *err);

/* Ask the dynamic linker, in a process of its own, whether everything it needs is there. Runs no
 * code of the library. ERR_INVALID lists what is missing; ERR_NOT_FOUND: no linker to ask. */
int vddk_library_check(const struct vddk_library *library, struct err *err);

/* The usual places, NULL after the last, and the search in such a list. */
extern const char *const vddk_library_places[];
int vddk_library_find_in(const char *const *places, struct vddk_library *ret, struct err *err);

#endif
