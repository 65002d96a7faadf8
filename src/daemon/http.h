/* HTTP on a unix socket, by libmicrohttpd in the daemon's own event loop: no thread, nothing that
 * waits. What a request means is said by daemon/api; here is only how it comes and goes.
 *
 * A client has the user id of this process, or is root, or is told so with 403. Bodies are at most
 * HTTP_BODY_MAX bytes, the head of a request at most 32 KiB; there are at most 64 connections, and
 * one on which nothing happens for 30 s is closed.
 */
#ifndef DAEMON_HTTP_H
#define DAEMON_HTTP_H

#include <systemd/sd-event.h>

#include "base/err.h"
#include "daemon/api.h"

#define HTTP_BODY_MAX ((size_t)2 << 20)

struct http;

/* Listen at path (mode 0600), and answer with `answer`. What a dead process has left there is
 * replaced. ERR_CONFLICT: somebody answers there; ERR_INVALID: a path too long for a socket. */
int http_open(const char *path, sd_event *event, api_answer_fn *answer, void *arg,
              struct http **ret_http, struct err *err);

/* Stop, and remove the socket. NULL is fine. */
void http_close(struct http *http);

#endif
