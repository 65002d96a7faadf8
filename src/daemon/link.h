/* One end of a conversation of wire/ipc in an event loop: it never waits for the other side.
 *
 * What cannot be sent at once is kept, in order, and sent when there is room. A side that does not
 * read what it is told is given up when more than LINK_KEPT_MAX messages are kept for it.
 */
#ifndef DAEMON_LINK_H
#define DAEMON_LINK_H

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/err.h"
#include "wire/ipc.h"

#define LINK_KEPT_MAX 1024

/* A message (borrowed), or, with msg NULL, that the other side has gone or speaks no sense (why).
 * After that nothing more comes. */
typedef void link_fn(const json_t *msg, const struct err *why, void *arg);

struct link {
    int fd; /* -1: closed */
    sd_event_source *source;
    json_t *kept;
    link_fn *heard;
    void *arg;
};

#define LINK_INIT ((struct link){ .fd = -1 })

/* Takes over fd, also on failure. The link must not move. */
int link_open(struct link *link, sd_event *event, int fd, link_fn *heard, void *arg,
              struct err *err);

/* Takes over msg. ERR_UNAVAILABLE: the other side has gone or does not read; ERR_BUG: no message,
 * or one that is too large. */
int link_send(struct link *link, json_t *msg, struct err *err);

/* Hear all that lies on the socket. */
void link_drain(struct link *link);

/* Say that nothing more will come from here; the other side can still speak. */
void link_hang_up(struct link *link);

/* A closed one is fine. From within heard, too. */
void link_close(struct link *link);

#endif
