/* The machine in a libvirt: ours, somebody else's, or not there. Who made it is told by our element
 * in its metadata alone, which no rename or edit takes away. */
#ifndef PLATFORM_LIBVIRT_DOMAIN_H
#define PLATFORM_LIBVIRT_DOMAIN_H

#include "platform/libvirt-call.h"

#define LIBVIRT_METADATA_NS "urn:vmferry:migration:1"

/* These are talks (libvirt_talk_fn) about request->name, uuid and id; what they promise is said of
 * the operations of the same names in platform/platform.h. */
int libvirt_domain_look(virConnectPtr conn, struct libvirt_request *request, struct err *err);
int libvirt_domain_check(virConnectPtr conn, struct libvirt_request *request, struct err *err);
int libvirt_domain_define(virConnectPtr conn, struct libvirt_request *request, struct err *err);
int libvirt_domain_start(virConnectPtr conn, struct libvirt_request *request, struct err *err);
int libvirt_domain_undo(virConnectPtr conn, struct libvirt_request *request, struct err *err);

#endif
