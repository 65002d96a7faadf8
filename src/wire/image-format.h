/* What kind of disk image a file is, by its first bytes. Sources: QEMU docs/interop/qcow2.txt and
 * qed_spec.txt; VMware Virtual Disk Format 5.0; MS-VHDX; Microsoft VHD 1.0; VirtualBox VDICore.h.
 *
 * A raw disk can pretend to be anything, for whoever owned its guest wrote its first bytes: where
 * the user says the format, that is what counts.
 */
#ifndef WIRE_IMAGE_FORMAT_H
#define WIRE_IMAGE_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define IMAGE_FORMAT_HEAD_BYTES 512 /* enough to tell */

/* qemu's name; "raw" for what nothing else is. A fixed VHD, which shows itself only at its end, is
 * "raw" too. */
const char *image_format_of(const uint8_t *head, size_t len);

/* The virtual size in bytes, where these first bytes tell it (qcow2, sparse VMDK); else 0. */
uint64_t image_format_capacity(const uint8_t *head, size_t len);

#endif
