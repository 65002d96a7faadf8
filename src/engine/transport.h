/* How the disks of a machine are read from vSphere: chosen, and said why. No I/O here. */
#ifndef ENGINE_TRANSPORT_H
#define ENGINE_TRANSPORT_H

#include <stdbool.h>

#include "base/err.h"
#include "engine/job.h"

struct transport_facts {
    const char *machine;     /* name, for texts */
    unsigned possible;       /* CHECK_BY_*: those that can read every disk (check_transports) */
    bool library;            /* a VDDK library was found ... */
    const char *library_why; /* ... or why not */
    bool nfc;                /* the port where hosts serve disks to it answers ... */
    const char *nfc_why;     /* ... or why not */
    const char *vddk_failed; /* it was tried and could not open a disk: why; NULL: it was not */
};

#define TRANSPORT_WHY_MAX 1024

/* asked AUTO: VDDK if there is a library and the port answers, else HTTPS, else an export; SSH is
 * never chosen unasked. why: the reason, and what was passed over and why. ERR_INVALID: nothing
 * that may be used can read every disk. */
int transport_choose(const struct transport_facts *facts, enum job_transport asked,
                     enum job_transport *ret, char why[TRANSPORT_WHY_MAX], struct err *err);

/* CHECK_BY_* of one; AUTO: 0. */
unsigned transport_bit(enum job_transport transport);

#endif
