/* The parent's side of an appliance: the servers of its disks, the child that runs it, its limits.
 */
#ifndef GUEST_APPLIANCE_H
#define GUEST_APPLIANCE_H

#include "guest/inspect.h"
#include "wire/json.h"
#include "wire/qemu-nbd.h"

/* One qemu-nbd for each image that has a path. */
struct disk_servers {
    size_t n;
    struct qemu_nbd *servers; /* socket NULL: an empty disk */
};

int disk_servers_start(struct disk_servers *ret, const struct vm_image *images, size_t n_images,
                       bool writable, struct err *err);
void disk_servers_stop(struct disk_servers *disks);
#define auto_disk_servers AUTO(disk_servers_stop)

/* Run one task of the role "inspect" on the disks. start holds what is particular to the task;
 * taken over. Its findings are added to report, its facts put over those there. With KVM, one that
 * hangs or dies before its appliance runs is tried again with TCG, and KVM forgotten; *accel is
 * then TCG. A writable task that got beyond that is not tried again. */
int appliance_run(const struct disk_servers *disks, const struct inspect_options *options,
                  json_t *start, struct guest_report *report, struct err *err);

#endif
