/* A libvirt on this host, looked at: for a doctor. */
#ifndef PLATFORM_LIBVIRT_H
#define PLATFORM_LIBVIRT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define LIBVIRT_MAX_POOLS 64

struct libvirt_pool {
    char *name;
    char *type; /* libvirt's word: "dir", "netfs", "logical" ... */
    char *dir;  /* where its volumes are files; NULL: they are none */
    bool active;
    const char *why; /* why no machine can arrive in it; static; NULL: one can */
};

struct libvirt_survey {
    char *uri;
    unsigned long version, driver_version; /* of the daemon, and of QEMU: 1000000 * major +
                                              1000 * minor + release */
    bool kvm;
    size_t n_pools;
    struct libvirt_pool pools[LIBVIRT_MAX_POOLS];
    size_t n_left_out; /* pools that found no room */
};

/* uri NULL: the usual one. ERR_UNAVAILABLE: nobody answers; ERR_DENIED; ERR_INVALID: a URI that can
 * be no destination. Free with libvirt_survey_free when it has succeeded. */
int libvirt_survey_make(const char *uri, struct libvirt_survey *ret, struct err *err);

void libvirt_survey_free(struct libvirt_survey *survey);

#endif
