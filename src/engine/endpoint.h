/* The vCenter or ESXi of a start message ("endpoint", docs/protocol.md): who it must be, and the
 * session with it. */
#ifndef ENGINE_ENDPOINT_H
#define ENGINE_ENDPOINT_H

#include "vmware/session.h"
#include "wire/json.h"

/* Log in. A server without a thumbprint or CA in the message is one of the system's CAs', or kept
 * at its first use (wire/known-hosts.h). cancelled is asked during every call of the session.
 * ERR_INVALID names the key that is missing or wrong. */
int endpoint_login(const json_t *endpoint, bool (*cancelled)(void *arg), void *arg,
                   struct vmware_session **ret, struct err *err);

#endif
