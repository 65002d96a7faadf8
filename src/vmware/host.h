/* The ESXi hosts. */
#ifndef VMWARE_HOST_H
#define VMWARE_HOST_H

#include "vmware/session.h"

/* Texts are "" where the server did not say, and good during the callback. */
struct vmware_host {
    const char *moref;
    const char *name;       /* as vCenter reaches it: a DNS name or an address */
    const char *connection; /* "connected", "disconnected", "notResponding" */
    bool connected;
    bool in_maintenance;
    const char *power;          /* "poweredOn", "standBy", ... */
    const char *full_name;      /* "VMware ESXi 8.0.2 build-22380479" */
    const char *version;        /* "8.0.2" */
    const char *build;          /* "22380479" */
    const char *ssl_thumbprint; /* as the server gives it, SHA-1 or SHA-256 with colons */
    const char *datacenter_path;
};

/* All hosts, or the one with that moref (NULL: all). ERR_NOT_FOUND for one that is not there. */
int vmware_hosts(struct vmware_session *session, const char *moref,
                 int (*each)(const struct vmware_host *host, void *arg, struct err *err), void *arg,
                 struct err *err);

/* Whether the licence lets this API change anything. A host with a free licence only reads
 * (RestrictedVersion); *ret_name (may be NULL, 128 bytes) is the licence's name. A server that does
 * not tell: full. */
int vmware_licence(struct vmware_session *session, bool *ret_read_only, char ret_name[128],
                   struct err *err);

#endif
