/* The vmferryd that a command speaks with: the one that runs already, or a private one that is
 * started for it and ends with it.
 */
#ifndef CLI_DAEMON_CLIENT_H
#define CLI_DAEMON_CLIENT_H

#include "base/log.h"
#include "base/proc.h"
#include "model/config.h"
#include "wire/child.h"
#include "wire/local-http.h"

struct daemon_spec {
    const char *mode; /* "run": it carries migrations out; "look": it only has the store open */
    /* Filled, and with its secrets when mode is "run"; must live as long as the daemon. */
    const struct config *config;
    /* Called before a private one is started: the config gets its secrets. May be NULL. */
    int (*prepare)(void *arg, struct err *err);
    void (*log)(enum log_level level, const char *text, void *arg); /* what a private one says */
    enum child_wish (*wish)(void *arg); /* asked while we wait; may be NULL */
    void *arg;
};

struct daemon {
    const struct daemon_spec *spec;
    struct local_http *http;
    bool ours; /* private */
    bool mute; /* the last call had no answer */
    char mode[16];
    int64_t pid;
    char *socket;
    struct proc proc; /* of a private one, and our end of its descriptor 3 */
    int fd;
};
#define DAEMON_INIT ((struct daemon){ .proc = PROC_INIT, .fd = -1 })

/* Find or start it. One that only looks, or is stopping, is in the way of mode "run": it is given
 * half a minute to end. ERR_CONFLICT: it did not, or the store belongs to a process that cannot be
 * spoken with. */
int daemon_open(const struct daemon_spec *spec, struct daemon *ret, struct err *err);

/* Ask for path below /api/v1. body is borrowed; NULL: an empty one. An answer that is no success is
 * an error with the daemon's words: ERR_INVALID, ERR_NOT_FOUND, ERR_CONFLICT, ERR_BUG.
 * ERR_UNAVAILABLE or ERR_NOT_FOUND naming the socket: it has gone.
 * *ret_status (may be NULL) is what it answered with. */
int daemon_call(struct daemon *daemon, const char *method, const char *path, const json_t *body,
                int *ret_status, json_t **ret, struct err *err);

/* The last call failed because somebody else's daemon has gone, as that of a `vmferry run` does
 * when it is done: daemon_open finds or starts the next. False of our own, which must not go, and
 * of one that has answered, whatever that was. */
bool daemon_is_lost(const struct daemon *daemon);

/* Wait until the deadline (clock_now_ns) for what a private one says, and pass its log on. 0: the
 * deadline has passed, or somebody else's daemon has nothing to say; 1: it has ended well; -1: it
 * has ended otherwise. */
int daemon_listen(struct daemon *daemon, int64_t deadline_ns, struct err *err);

/* Tell a private one to stop at its next checkpoints; daemon_listen hears of its end. */
void daemon_ask_to_stop(struct daemon *daemon);

/* A private one is told to stop and waited for; on CHILD_KILL it is killed. One that only looks has
 * nothing to stop and ends at once. */
void daemon_close(struct daemon *daemon);
#define auto_daemon AUTO(daemon_close)

/* In the control directory: where one that runs listens. */
#define DAEMON_SOCKET_NAME "vmferryd.sock"

/* Start it with mode and config, a child on descriptor 3; ret->socket is where it listens. For
 * daemon_open and for `vmferry serve`. */
int daemon_start(const struct daemon_spec *spec, struct daemon *ret, struct err *err);

#endif
