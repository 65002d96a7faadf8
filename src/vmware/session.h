/* A session with a vCenter or an ESXi host: the vSphere Web Services API (SOAP, vim25) over HTTPS.
 *
 * All calls of this folder block, and one session belongs to one thread at a time. Between two
 * calls nothing runs; who has nothing to ask for long calls vmware_keepalive now and then.
 *
 * Every call may find that the server has ended the session (it does so after 30 idle minutes, and
 * when it restarts). It then logs in again, once, and repeats what was refused; only a password
 * that is no longer right is seen by the caller, and is not tried again for five minutes, lest the
 * account be locked. What the server may just not be able to do now
 * (502, 503, a lost connection, TaskInProgress, ConcurrentAccess, HostCommunication) is tried again
 * with growing pauses, for calls whose repetition does no harm.
 *
 * Errors name the server, what was asked and of what, the server's fault by its type with its own
 * message, and what an administrator can do.
 *   ERR_DENIED       password, rights, certificate, licence of the host
 *   ERR_NOT_FOUND    an object that is not there, or no longer
 *   ERR_CONFLICT     not in this state: power, another task, a locked file
 *   ERR_UNAVAILABLE  not now, or not by this server
 *   ERR_INVALID      an answer that is none, or larger than anything sensible
 *   ERR_IO           the server says that reading or writing failed there
 *   ERR_CANCELLED    `cancelled` said so
 *
 * Managed object references ("vm-16", on ESXi "2", and for what belongs to the session
 * "session[52ab...]528c...") are text of at most 127 bytes.
 *
 * Sources: the published WSDL of vim25 and public clients of it.
 */
#ifndef VMWARE_SESSION_H
#define VMWARE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

#define VMWARE_MOREF_MAX 128 /* with the NUL */
#define VMWARE_DEFAULT_PORT 443

struct vmware_session;

/* What the server is expected to be. */
enum vmware_kind { VMWARE_ANY, VMWARE_VCENTER, VMWARE_ESXI };

/* Everything is copied by vmware_login. */
struct vmware_options {
    const char *host;       /* name or address, without brackets */
    unsigned port;          /* 0: 443 */
    const char *user;       /* "administrator@vsphere.local", "root" */
    const char *password;   /* kept, for logging in again; wiped at the end */
    const char *thumbprint; /* as in wire/http.h: exactly this certificate; NULL: by CA */
    const char *ca_file;    /* PEM; NULL: the CAs of the system */
    bool legacy_ciphers;
    enum vmware_kind expected;    /* ERR_INVALID with the way out when it is the other one */
    bool (*cancelled)(void *arg); /* asked ten times a second during every call; or NULL */
    void *cancelled_arg;
    const char *operation; /* put before the operationID that the server writes into its log, at
                              most 40 letters, digits, '-'; NULL: "vmferry" */
};

/* ERR_DENIED: user or password; the certificate. ERR_UNAVAILABLE: not reachable, too many
 * sessions. */
int vmware_login(const struct vmware_options *options, struct vmware_session **ret,
                 struct err *err);

/* Ends the session at the server too, as far as that works. NULL is fine. */
void vmware_logout(struct vmware_session *session);
static inline void
vmware_session_cleanup(struct vmware_session **session)
{
    vmware_logout(*session);
}
#define auto_vmware_session AUTO(vmware_session_cleanup)

/* Replace the one given at login; NULL: none. */
void vmware_set_cancelled(struct vmware_session *session, bool (*cancelled)(void *arg), void *arg);

/* Asks the server for its time when nothing was asked of it for five minutes; else does nothing.
 * Call it freely during copies that take hours: reading disks does not keep a session alive. */
int vmware_keepalive(struct vmware_session *session, struct err *err);

/* Who answers; "" where the server did not say. */
struct vmware_about {
    const char *full_name;     /* "VMware vCenter Server 8.0.2 build-22385739" */
    const char *version;       /* "8.0.2" */
    const char *build;         /* "22385739" */
    const char *api_version;   /* "8.0.2.0" */
    const char *instance_uuid; /* of a vCenter; "" for a host */
    const char *spoken;        /* the version we speak with it: "7.0" */
    bool vcenter;
};
/* Lives as long as the session. */
const struct vmware_about *vmware_about(const struct vmware_session *session);
bool vmware_is_vcenter(const struct vmware_session *session);

/* "host:port", for texts. */
const char *vmware_endpoint(const struct vmware_session *session);

/* The session as a header's value, "vmware_soap_session=...", for /folder and VDDK. A secret: free
 * it with secret_free (auto_secret). It is exactly what the server gave, quotes included. */
int vmware_cookie(struct vmware_session *session, char **ret, struct err *err);

/* The same after somebody was refused (401) with `refused` (NULL: he had none): when the session
 * has another cookie by now that is given, else it logs in again first. */
int vmware_cookie_renew(struct vmware_session *session, const char *refused, char **ret,
                        struct err *err);

/* The type of the server's fault of the call that failed last ("NoPermission", "FileFault"), ""
 * when it failed otherwise. For who must act on one; texts for people are in the error. */
const char *vmware_last_fault(const struct vmware_session *session);

#endif
