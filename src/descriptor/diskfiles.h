/* A machine made up from disk images alone, as virt-v2v's -i disk does. */
#ifndef DESCRIPTOR_DISKFILES_H
#define DESCRIPTOR_DISKFILES_H

#include <stddef.h>

#include "base/err.h"
#include "model/vm.h"

#define DISKFILES_MEMORY_BYTES ((uint64_t)2 << 30) /* what virt-v2v gives */

/* n paths of images (files, block devices or NBD URIs) in the guest's order, one format for all, or
 * NULL to look at each header later. The name comes from the first one's file name, without a known
 * suffix and without "-sda"; 2 GiB, 1 vCPU, SCSI disks, one NIC on the network "default".
 * Fills vm, fresh from vm_new. ERR_NOT_FOUND when a path is not there. */
int diskfiles_open(const char *const *paths, size_t n, const char *format, struct vm *vm,
                   struct err *err);

#endif
