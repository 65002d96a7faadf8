/* A machine from a libvirt domain XML. Source: https://libvirt.org/formatdomain.html */
#ifndef DESCRIPTOR_LIBVIRTXML_H
#define DESCRIPTOR_LIBVIRTXML_H

#include <stddef.h>

#include "base/err.h"
#include "model/vm.h"

/* Fill vm, fresh from vm_new; on failure it is only good for vm_free. Disks may be of type file (a
 * relative path is relative to the XML), block, or network with protocol nbd (path is then an NBD
 * URI); another type is refused by name. CD-ROM and floppy drives are left out (the first counted
 * in n_cdroms), host devices too. */
int libvirtxml_read(const char *path, struct vm *vm, struct err *err);

/* The same from memory; dir is what relative file paths are relative to. */
int libvirtxml_parse(const char *text, size_t len, const char *name, const char *dir, struct vm *vm,
                     struct err *err);

#endif
