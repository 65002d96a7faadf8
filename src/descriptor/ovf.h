/* The descriptor of an OVF package, without its files.
 *
 * Source: DMTF DSP0243 versions 1.0 to 2.1.1 and the 0.9 draft that VMware shipped; the extensions
 * of VMware (vmw:), VirtualBox (vbox:) and oVirt as their exporters write them.
 */
#ifndef DESCRIPTOR_OVF_H
#define DESCRIPTOR_OVF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/vm.h"

#define OVF_MAX_FILES 4096
#define OVF_MAX_ITEMS 4096

/* A file that the package has. */
struct ovf_file {
    char *id;
    char *name;           /* decoded and checked: href.h */
    uint64_t bytes;       /* what it should have; 0: not said */
    uint64_t chunk_bytes; /* 0: in one piece; else in pieces NAME.000000000, NAME.000000001 ... */
    bool gzip;
};

struct ovf {
    size_t n_files;
    struct ovf_file *files;
    /* Of each disk of the machine, in the order in which vm->disks has them before sorting. */
    size_t n_disks;
    struct ovf_disk {
        const struct ovf_file *file; /* NULL: an empty disk */
        uint64_t unit_bytes;         /* the capacity was given in these: it may be rounded */
        const char *declared;        /* format that the descriptor claims, qemu's name; or NULL */
        bool sure; /* declared is to be believed (oVirt, whose raw volumes could hold anything) */
    } disks[VM_MAX_DISKS];
};

/* Read a descriptor: everything of vm (fresh from vm_new) but the disks' images, and not yet sorted
 * or checked. name is for the error's text. A package of several machines is ERR_INVALID with their
 * names. */
int ovf_parse(const char *text, size_t len, const char *name, struct vm *vm, struct ovf *ret_ovf,
              struct err *err);
void ovf_free(struct ovf *ovf);
#define auto_ovf AUTO(ovf_free)

#endif
