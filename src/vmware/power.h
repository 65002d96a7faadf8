/* Switching a machine off, and on. */
#ifndef VMWARE_POWER_H
#define VMWARE_POWER_H

#include "vmware/machine.h"
#include "vmware/session.h"

int vmware_power_state(struct vmware_session *session, const char *moref, enum vmware_power *ret,
                       struct err *err);

/* Ask the guest to shut down and wait until the machine is off. One that is off is fine.
 * ERR_UNAVAILABLE: VMware Tools do not run there, or it was not off after timeout_s (0: 5 minutes);
 * then it may still be on its way. ERR_CONFLICT: it is suspended, or waits for an answer. A server
 * that cannot be asked is ERR_IO: that says nothing about the guest. */
int vmware_shutdown_guest(struct vmware_session *session, const char *moref, int timeout_s,
                          struct err *err);

/* Pull the plug. One that is off is fine. */
int vmware_power_off(struct vmware_session *session, const char *moref, struct err *err);

/* One that is on is fine. */
int vmware_power_on(struct vmware_session *session, const char *moref, struct err *err);

/* See that it is off and stays so for stay_s seconds; ERR_CONFLICT when it is not or came back
 * (a guest that restarts, an HA cluster). */
int vmware_power_confirm_off(struct vmware_session *session, const char *moref, int stay_s,
                             struct err *err);

#endif
