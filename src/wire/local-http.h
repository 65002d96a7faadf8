/* JSON over HTTP over a unix socket: how a command speaks with the vmferryd on this host.
 *
 * A blocking client on libcurl. There is no TLS here and no name is looked up: it connects to a
 * socket in the file system and to nothing else, and only when the socket belongs to this user or
 * to root. One `struct local_http` belongs to one thread at a time and keeps its connection.
 *
 * Errors name the socket.
 *   ERR_UNAVAILABLE  nobody listens there, or the answer broke off or did not come in time
 *   ERR_NOT_FOUND    there is no such socket
 *   ERR_DENIED       it is another user's, or may not be opened
 *   ERR_INVALID      the answer is no JSON object, or is too long; the path of the socket is
 *   ERR_CANCELLED    `cancelled` said so
 * An answer of any status is a success; what 409 means is for the caller to say.
 */
#ifndef WIRE_LOCAL_HTTP_H
#define WIRE_LOCAL_HTTP_H

#include "wire/json.h"

#define LOCAL_HTTP_REQUEST_MAX 2097152   /* bytes of a body that is sent */
#define LOCAL_HTTP_RESPONSE_MAX 16777216 /* bytes of a body that comes back */
#define LOCAL_HTTP_CONNECT_MS 2000
#define LOCAL_HTTP_TIMEOUT_MS 30000 /* for all of one request */

struct local_http;

/* No connection yet. cancelled (may be NULL) is asked about once a second while a request waits. */
int local_http_new(const char *socket_path, bool (*cancelled)(void *arg), void *arg,
                   struct local_http **ret, struct err *err);
void local_http_free(struct local_http *http);

/* path is "/api/v1/...", already encoded. body is borrowed; NULL: none is sent. *ret_body is owned
 * by the caller, an empty object when the answer has no body. */
int local_http_call(struct local_http *http, const char *method, const char *path,
                    const json_t *body, int *ret_status, json_t **ret_body, struct err *err);

static inline void
local_http_cleanup(struct local_http **http)
{
    local_http_free(*http);
}
#define auto_local_http AUTO(local_http_cleanup)

#endif
