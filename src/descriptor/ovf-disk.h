/* The disks of a machine in an OVF descriptor: which controller, which address, which file. */
#ifndef DESCRIPTOR_OVF_DISK_H
#define DESCRIPTOR_OVF_DISK_H

#include "descriptor/ovf-item.h"

/* Adds each disk item to vm and to ovf->disks. */
int ovf_read_disks(const struct ovf_scope *scope, const struct ovf_items *items, struct err *err);

#endif
