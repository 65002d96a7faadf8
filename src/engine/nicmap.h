/* --mac, --network and --bridge: what each NIC is plugged into at the destination. */
#ifndef ENGINE_NICMAP_H
#define ENGINE_NICMAP_H

#include "engine/job.h"
#include "guest/domxml.h"
#include "model/vm.h"

struct nic_map {
    struct domxml_nic nics[VM_MAX_NICS];      /* the vm's, in its order; names are borrowed */
    const char *ip_macs[JOB_MAX_STRINGS + 1]; /* "MAC:ip:...", for virt-v2v; NULL-terminated */
};

/* By MAC first, then by the job's own map of networks, and else as virt-v2v decides: by the name of
 * the source's network or bridge, then the map without a name. An OVF does not tell networks from
 * bridges, so there both maps apply to every NIC. ERR_INVALID names the option that is malformed or
 * has no NIC. */
int nic_map_make(const struct job *job, const struct vm *vm, struct nic_map *ret_map,
                 struct err *err);

#endif
