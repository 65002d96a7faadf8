/* The child's side of network identity: reading the guest's configuration, writing the rules. */
#ifndef GUEST_NETID_GUEST_H
#define GUEST_NETID_GUEST_H

#include "guest/look.h"

/* A note for the inspection: which names it will be about. */
void netid_note_names(struct look *look);

/* The task "netid": start has nics [{mac, pci_slot}]. The system is mounted for writing. */
int netid_in_guest(struct look *look, struct err *err);

#endif
