/* All machines of a vCenter or host, a page at a time.
 *
 * The server's answers are read as they arrive: what is held is the names of folders, datacenters,
 * hosts and vApps, and one machine.
 */
#ifndef VMWARE_INVENTORY_H
#define VMWARE_INVENTORY_H

#include "vmware/machine.h"
#include "vmware/session.h"

/* One machine, in short. Texts are UTF-8, "" where the server did not say, good during the
 * callback. */
struct vmware_summary {
    const char *moref;
    const char *name;            /* with %2f, %5c and %25 decoded */
    const char *path;            /* "/DC0/vm/prod/web01", segments as the API has them (%2f kept) */
    const char *datacenter_path; /* "/Folder/DC0" */
    const char *uuid;            /* of the BIOS, lower case */
    const char *instance_uuid;
    const char *guest; /* full name: "Debian GNU/Linux 12 (64-bit)"; what Tools say, else as set */
    const char *guest_id;
    const char *host_moref, *host_name;
    enum vmware_power power;
    enum vmware_connection connection;
    bool template;
    bool config_present; /* false: none of the figures below */
    bool tools_running;
    bool uefi;
    unsigned n_cpus;
    uint64_t memory_bytes;
    unsigned hw_version; /* 19 for vmx-19; 0 unknown */
    unsigned n_disks;
    uint64_t capacity_bytes;  /* of all disks; 0 without_devices */
    uint64_t committed_bytes; /* what its files take on the datastores */
    unsigned n_snapshots;
    const char *annotation;
};

struct vmware_inventory_options {
    const char *datacenter_path; /* only this one; NULL: all */
    bool without_devices;        /* leave out capacity_bytes: a tenth of the bytes to transfer */
};

/* In the server's order. A callback that returns below 0 ends it with the error that it set. A
 * machine that appears or vanishes meanwhile may be missing; none comes twice. options may be
 * NULL. */
int vmware_inventory(struct vmware_session *session, const struct vmware_inventory_options *options,
                     int (*each)(const struct vmware_summary *summary, void *arg, struct err *err),
                     void *arg, struct err *err);

/* The same with everything that is known of each machine, for looking at many at once. The machine
 * is freed after the callback. */
int vmware_machines(struct vmware_session *session, const char *datacenter_path,
                    int (*each)(const struct vmware_machine *machine, void *arg, struct err *err),
                    void *arg, struct err *err);

#endif
