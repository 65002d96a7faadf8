/* Network identity: an interface that the guest calls ens192 today is called so tomorrow.
 *
 * VMware gives a NIC a PCI slot from which the guest makes its name; on KVM the slot is another,
 * and a configuration that says "ens192" configures nothing. virt-v2v leaves that as it is. So the
 * names that the guest's configuration uses are found, each is given to the NIC that bears it, and
 * a rule by MAC address is written in the form that the guest's udev reads. The configuration
 * itself is never touched.
 */
#ifndef GUEST_NETID_H
#define GUEST_NETID_H

#include "guest/inspect.h"
#include "model/guest.h"
#include "model/vm.h"

/* Before or after the conversion. Look into the (overlaid) disks, decide, write the rules.
 * images are opened read-write: give overlays, in the guest's order. options: root (the device that
 * the inspection chose, facts.root, saves half the time), keys, accel, log_path, cancelled, step,
 * program are used. notes (initialised by this call) says what was done and what was not and why:
 * codes "netid-rule", "netid-unneeded", "netid-unmapped", "netid-unsupported". A guest whose names
 * do not change, that is not Linux, or whose configuration names no interface is left alone (0).
 * -1: it could not be looked at or written. */
int netid_apply(const struct vm_image *images, size_t n_images, const struct vm_nic *nics,
                size_t n_nics, const struct inspect_options *options,
                struct guest_report *ret_notes, struct err *err);

#endif
