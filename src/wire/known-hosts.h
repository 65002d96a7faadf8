/* Trust on first use, for servers whose certificate no CA of this machine has signed (the usual one
 * of vCenter and ESXi).
 *
 * $XDG_STATE_HOME (~/.local/state)/vmferry/known_hosts, 0600, one server a line:
 *     host:port sha256:HEX
 * HEX is the SHA-256 thumbprint of the server's own certificate, 64 digits. Lines that begin with #
 * are left alone.
 */
#ifndef WIRE_KNOWN_HOSTS_H
#define WIRE_KNOWN_HOSTS_H

#include "wire/http.h"

#define KNOWN_HOSTS_MAX 1048576 /* bytes of the file */

/* What to trust from here on. */
struct known_host {
    bool pinned; /* use sha256 as http_tls.thumbprint; false: what was given suffices */
    bool is_new; /* it was not known before: a warning was logged */
    /* Both of the certificate that was seen; "" when nobody was asked. */
    char sha1[HTTP_SHA1_TEXT_MAX];
    char sha256[HTTP_SHA256_TEXT_MAX];
};

/* With a thumbprint or a CA given (tls may be NULL: none): nothing to do, nobody is asked. Else the
 * server's certificate is looked at: signed by one of the system's CAs: fine. Known and the same:
 * pinned. Not known: remembered, and pinned, with a warning in the log that names both thumbprints.
 * Known with another: ERR_DENIED with both and the way out. */
int known_hosts_check(const char *host, unsigned port, const struct http_tls *tls,
                      struct known_host *ret, struct err *err);

#endif
