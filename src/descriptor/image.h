/* What the image in a package is, by its header, and that it stands alone.
 *
 * A package comes from a stranger, and its images are later opened by QEMU, which follows the
 * references that some formats can hold (a backing file, the extents of a VMDK). So every reference
 * that leads out of the package is refused here.
 *
 * Sources: VMware Virtual Disk Format 5.0; QEMU docs/interop/qcow2.txt; Microsoft VHD 1.0 and
 * MS-VHDX; VirtualBox VDICore.h.
 */
#ifndef DESCRIPTOR_IMAGE_H
#define DESCRIPTOR_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "descriptor/package.h"

struct image {
    const char *format;      /* qemu's name */
    bool gzip;               /* and behind that: only a VMDK is taken so */
    uint64_t capacity_bytes; /* of the virtual disk; 0: the header does not tell */
};

/* Look at the file called name of the package. ERR_INVALID names what is refused and the way out.
 */
int image_look(const struct package *package, const char *name, struct image *ret_image,
               struct err *err);

/* For image_look and for tests: a VMDK descriptor's text. Sum of its extents, and that it has no
 * parent. extent is called for each extent's file name (NULL: not called); its kind is "FLAT",
 * "SPARSE" ... */
typedef int image_extent_fn(const char *kind, const char *name, void *arg, struct err *err);
int image_vmdk_text(const char *text, const char *name, image_extent_fn *extent, void *arg,
                    uint64_t *ret_capacity_bytes, struct err *err);

#endif
