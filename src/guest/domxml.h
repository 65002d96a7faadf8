/* The machine as a libvirt domain. Source: https://libvirt.org/formatdomain.html
 *
 * Two writers: one for the machine at its destination, of a quality to boot in production, and one
 * that only tells virt-v2v-in-place what it works on.
 */
#ifndef GUEST_DOMXML_H
#define GUEST_DOMXML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "model/guest.h"
#include "model/vm.h"

#define DOMXML_MAX_BYTES ((size_t)1 << 20) /* a good maximum for ret */

/* Where a disk of the machine has come to. */
struct domxml_disk {
    const char *path;   /* absolute */
    const char *format; /* raw or qcow2 */
    bool block;         /* a block device, not a file */
    bool no_direct;     /* its file system refuses O_DIRECT (tmpfs): leave the host's cache on */
};

/* What a NIC is plugged into at the destination. */
struct domxml_nic {
    const char *network; /* name of a libvirt network, or of a bridge */
    bool bridge;
};

struct domxml_spec {
    const struct vm *vm;
    const char *name;                /* NULL: vm's */
    const struct guest_facts *facts; /* NULL: the guest was not looked at */
    const struct domxml_disk *disks; /* vm->n_disks, in vm's order */
    const struct domxml_nic *nics;   /* vm->n_nics, in vm's order; NULL: as at the source */
    bool emulated;                   /* type='qemu': the host has no KVM */
    bool no_virtio; /* the guest has no virtio drivers: SATA, e1000e, and no virtio devices */
    enum vm_firmware firmware; /* what the machine boots with, as decided: vm's, or by its disks */
    const char *mark_ns, *mark_id; /* an element of ours in the metadata: its namespace, and the id
                                      of the migration; NULL: none */
};

/* For the destination. Adds to ret. */
int domxml_write(const struct domxml_spec *spec, struct buf *ret, struct err *err);

/* For virt-v2v-in-place -i libvirtxml: the disks at spec's paths on the bus that they had at the
 * source, so that it maps /dev/sdX to /dev/vdX as the guest knew them. nics, emulated, no_virtio
 * are not looked at. */
int domxml_write_source(const struct domxml_spec *spec, struct buf *ret, struct err *err);

#endif
