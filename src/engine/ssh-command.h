/* A command on another host, by ssh(1).
 *
 * The host's key must be a known one (known_hosts); nothing is ever asked at the terminal. With a
 * password vmferry-askpass gives it to ssh through a pipe.
 */
#ifndef ENGINE_SSH_COMMAND_H
#define ENGINE_SSH_COMMAND_H

#include <stdbool.h>

#include "base/buf.h"
#include "wire/nbdkit.h"

struct ssh_command {
    const struct ssh_host *host;
    bool accept_new;     /* a host that is not known yet is remembered, and so known from then on */
    const char *command; /* for the shell there; arguments quoted by ssh_quote */
    bool (*cancelled)(void *arg);
    void *arg;
};

/* Run it (two minutes at most) and append its stdout to out. ERR_DENIED: not let in, or the host's
 * key is not known or has changed, with the way out; ERR_UNAVAILABLE: no connection; ERR_NOT_FOUND:
 * the command failed, with its last line on stderr. */
int ssh_command_run(const struct ssh_command *command, struct buf *out, struct err *err);

/* Append text as one word for a POSIX shell. */
int ssh_quote(const char *text, struct buf *out, struct err *err);

#endif
