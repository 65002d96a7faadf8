/* What one of the two copy programs can do that the other cannot.
 *
 * They are the same but for the libraries that they bring into their process: vmferry-copy has
 * libcurl, OpenSSL and libnbd (which has gnutls), vmferry-copy-vddk has VMware's library, which
 * comes with an OpenSSL, a libxml2 and a zlib of its own.
 */
#ifndef COPIER_PROGRAM_H
#define COPIER_PROGRAM_H

#include "disk/source.h"
#include "disk/target.h"

struct copier_program {
    const char *name;
    const struct source_kind *const *kinds; /* NULL-terminated */
    int (*open_nbd)(const struct target_spec *spec, struct target **ret,
                    struct err *err); /* or
                                         NULL */
};

/* Each program defines its own. */
extern const struct copier_program copier_program;

#endif
