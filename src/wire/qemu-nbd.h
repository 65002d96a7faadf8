/* A qemu-nbd of our own that serves one image on a private unix socket.
 *
 * It is how every format that we do not read ourselves is read, and how the inspection sees a
 * source before it is copied.
 */
#ifndef WIRE_QEMU_NBD_H
#define WIRE_QEMU_NBD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/proc.h"

struct qemu_nbd_image {
    const char *path;
    const char *format;     /* qemu's name; compulsory: guessing at a stranger's bytes is a hole */
    uint64_t window_offset; /* bytes; the image is this part of path ... */
    uint64_t window_bytes;  /* ... 0: all of it */
    bool writable;
};

struct qemu_nbd {
    struct proc proc;
    char *dir;    /* private, holds the socket */
    char *socket; /* path of the unix socket */
};

#define QEMU_NBD_INIT ((struct qemu_nbd){ .proc = PROC_INIT })

/* Start it and wait until it answers (30 s at most). Up to 16 connections. Fails with what qemu-nbd
 * said. Read-only unless writable. */
int qemu_nbd_start(struct qemu_nbd *nbd, const struct qemu_nbd_image *image, struct err *err);

/* Stop it and remove the socket and its directory. */
void qemu_nbd_stop(struct qemu_nbd *nbd);
#define auto_qemu_nbd AUTO(qemu_nbd_stop)

#endif
