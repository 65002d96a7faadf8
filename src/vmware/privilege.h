/* What the user of the session may do. */
#ifndef VMWARE_PRIVILEGE_H
#define VMWARE_PRIVILEGE_H

#include "vmware/session.h"

#define VMWARE_PRIVILEGES_MAX 64

/* Which of ids ("VirtualMachine.State.CreateSnapshot", ...; NULL-terminated, at most
 * VMWARE_PRIVILEGES_MAX) the user lacks on an entity. type: "VirtualMachine", "Datacenter",
 * "Datastore", "Folder"; moref NULL: the root folder. ret_missing has a place for each id.
 * ERR_UNAVAILABLE: this server has no way to tell. */
int vmware_privileges_missing(struct vmware_session *session, const char *type, const char *moref,
                              const char *const *ids, bool *ret_missing, struct err *err);

#endif
