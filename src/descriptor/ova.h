/* An OVF package: the machine it describes, and where the bytes of its disks lie.
 *
 * Source: DMTF DSP0243 (OVF 1.1.1, 2.1.1). Three forms of a package: an uncompressed tar (.ova),
 * read in place and never unpacked; a directory with one .ovf; the .ovf file itself, its files
 * beside it. Nothing outside the package is ever opened: references must be plain relative names,
 * and no link may lead out of the directory.
 */
#ifndef DESCRIPTOR_OVA_H
#define DESCRIPTOR_OVA_H

#include "base/err.h"
#include "model/vm.h"

/* Fill vm, fresh from vm_new; on failure it holds part of it and is only good for vm_free. Every
 * disk's image has an absolute path, a window when it is a member of a tar, its format, gzip; an
 * empty disk has no path. capacity_bytes is the image's own where its header tells, else the
 * descriptor's; a descriptor that promises less than the image holds is refused.
 *
 * ERR_NOT_FOUND: no such file, or one that the descriptor refers to is missing. ERR_INVALID: all
 * else that is wrong with the package; the text names the file in it. */
int ova_open(const char *path, struct vm *vm, struct err *err);

#endif
