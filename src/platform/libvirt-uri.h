/* Which libvirt can be a destination: one on this host, for the disks are written as files.
 * Source: https://libvirt.org/uri.html
 */
#ifndef PLATFORM_LIBVIRT_URI_H
#define PLATFORM_LIBVIRT_URI_H

#include "base/err.h"

#define LIBVIRT_URI_USUAL "qemu:///system"

/* uri itself; of NULL what LIBVIRT_DEFAULT_URI says, and without it the usual one. */
const char *libvirt_uri_or_usual(const char *uri);

/* qemu:///system, qemu:///session, qemu+unix:///system?socket=PATH, and those of libvirt's own test
 * driver. ERR_INVALID says why another one is refused; the text shows no more of it than its
 * scheme, for a password may stand in the rest. */
int libvirt_uri_check(const char *uri, struct err *err);

#endif
