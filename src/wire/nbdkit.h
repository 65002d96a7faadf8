/* An nbdkit of our own with its ssh plugin: one file of a host that lets us in by SSH, served
 * read-only as NBD on a private unix socket.
 *
 * The host's key must be a known one: nbdkit's libssh looks into the same known_hosts as ssh(1). It
 * logs in with a key (the agent's, the usual files, or the one named) or with the password, which
 * it gets through a pipe.
 *
 * NBD: https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md
 */
#ifndef WIRE_NBDKIT_H
#define WIRE_NBDKIT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/proc.h"

/* A host that is spoken to by SSH. NULL: as ssh(1) does without it. */
struct ssh_host {
    const char *host;
    unsigned port; /* 0: 22, or what the configuration of ssh says */
    const char *user;
    const char *password;    /* a secret */
    const char *identity;    /* file of a private key, tried first */
    const char *known_hosts; /* file of host keys, instead of the usual ones */
};

struct nbdkit {
    struct proc proc;
    char *dir;      /* private, holds the socket */
    char *socket;   /* path of the unix socket */
    int stderr_fd;  /* what it said, a memory file; -1: not started */
    uint64_t bytes; /* size of the file */
};

#define NBDKIT_INIT ((struct nbdkit){ .proc = PROC_INIT, .stderr_fd = -1 })

#define NBDKIT_PEEK_MAX 65536

/* Start it, log in, open the file and read its first peek_len bytes (NBDKIT_PEEK_MAX at most; what
 * a shorter file lacks is zero) into peek (NULL: none, with 0). A minute at most. The error has the
 * words of nbdkit: ERR_DENIED when it was not let in or the host's key is not known. */
int nbdkit_ssh_start(struct nbdkit *kit, const struct ssh_host *host, const char *path, void *peek,
                     size_t peek_len, struct err *err);

/* What it complained of last, "" if of nothing; for the error of who read through it. */
#define NBDKIT_WORDS_MAX 512
void nbdkit_last_words(const struct nbdkit *kit, char text[NBDKIT_WORDS_MAX]);

/* Stop it and remove the socket and its directory. */
void nbdkit_stop(struct nbdkit *kit);
#define auto_nbdkit AUTO(nbdkit_stop)

#endif
