/* Which NIC bears which of the names that a configuration uses. Pure. */
#ifndef GUEST_NETID_PLAN_H
#define GUEST_NETID_PLAN_H

#include "guest/netid-config.h"
#include "model/guest.h"
#include "model/vm.h"

struct netid_plan {
    size_t n;
    struct netid_rule rules[NETID_MAX_NAMES]; /* to be made */
};

/* Decide; what is left alone and what cannot be decided becomes a note. */
void netid_decide(const struct netid_config *config, const struct vm_nic *nics, size_t n_nics,
                  struct netid_plan *ret_plan, struct guest_report *notes);

/* The number after "ens" that a NIC in VMware's pciSlotNumber gets: the slot in the low ten bits,
 * the function of its port above them. 192 -> 192, 1184 -> 161. */
unsigned netid_slot_number(unsigned pci_slot);

/* The same number from a name: ens192; enp11s0 and eno16780032 by the bus they mean on VMware's
 * virtual hardware. False for a name that holds none. */
bool netid_slot_of_name(const char *name, unsigned *ret_slot);

#endif
