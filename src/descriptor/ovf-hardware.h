/* The hardware of one machine in an OVF descriptor: its items, into a struct vm. */
#ifndef DESCRIPTOR_OVF_HARDWARE_H
#define DESCRIPTOR_OVF_HARDWARE_H

#include "descriptor/ovf.h"
#include "wire/xml.h"

/* An element of a section, by its kind: "DiskSection", "VirtualSystem", "VirtualHardwareSection"
 * ... either so called or, as in OVF 0.9 and oVirt, a Section or Content with that xsi:type. */
bool ovf_is_kind(const struct xml_node *node, const char *kind);
/* First child of that kind, and the next sibling. */
const struct xml_node *ovf_child(const struct xml_node *node, const char *kind);
const struct xml_node *ovf_next(const struct xml_node *node, const char *kind);

/* What the items refer to. */
struct ovf_scope {
    const struct xml_node *system;   /* the machine */
    const struct xml_node *hardware; /* its VirtualHardwareSection */
    const struct xml_node *disks;    /* the DiskSection; or NULL */
    const char *configuration;       /* the deployment option that is taken; or NULL */
    struct ovf *ovf;                 /* its files; its disks are filled */
    struct vm *vm;
};

/* CPUs, memory, controllers, disks, NICs, drives, firmware. */
int ovf_read_hardware(const struct ovf_scope *scope, struct err *err);

#endif
