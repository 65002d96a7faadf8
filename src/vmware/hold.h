/* Holding a machine's disks where they are: no storage vMotion while they are read.
 *
 * vCenter switches RelocateVM_Task off for the machine under a name that we give, and on again when
 * that name asks for it. Nothing else ends it: neither the end of our session nor our own. So the
 * name is to be written down before. The calls are of the namespace urn:internalvim25, which public
 * clients (govmomi) speak; an ESXi host has neither them nor storage vMotion.
 */
#ifndef VMWARE_HOLD_H
#define VMWARE_HOLD_H

#include "vmware/session.h"

#define VMWARE_HOLD_NAME_MAX 50 /* bytes; as VMware's own library limits it */
#define VMWARE_HOLD_WHY_MAX 256

/* Whether this server can, and the user may both hold and let go (Global.DisableMethods and
 * Global.EnableMethods). false: why says so, in a phrase. */
int vmware_hold_possible(struct vmware_session *session, const char *machine_moref, bool *ret,
                         char ret_why[VMWARE_HOLD_WHY_MAX], struct err *err);

/* Hold it under that name. A refusal of the server is no error (ret_held false, why says it): the
 * machine can be read all the same. An error: nobody knows whether it is held. */
int vmware_hold(struct vmware_session *session, const char *machine_moref, const char *name,
                bool *ret_held, char ret_why[VMWARE_HOLD_WHY_MAX], struct err *err);

/* Let go. A machine that is gone, or is not held at all, is fine. */
int vmware_hold_release(struct vmware_session *session, const char *machine_moref, const char *name,
                        struct err *err);

#endif
