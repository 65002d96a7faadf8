/* The specs of `vmferry check --spec`, as tasks for the worker: one for all those that go from the
 * same vCenter by the same way. */
#ifndef CLI_CHECK_SPECS_H
#define CLI_CHECK_SPECS_H

#include "cli/site.h"
#include "cli/spec-set.h"

/* What the command line says over all specs; NULL and 0: nothing. */
struct check_words {
    const char *mode, *transport, *target, *vddk_libdir;
    unsigned nfc_port;
};

struct check_specs {
    struct config config;
    struct spec_set set;
    bool *done; /* parallel to set.entries */
};

/* Read specs, config and secrets, asking for the password of a vCenter where nothing gives it.
 * Warnings go to out. *ret must be zero before, and is to be freed in any case. */
int check_specs_read(const struct opt_list *paths, const struct site_args *site, struct output *out,
                     struct check_specs *ret, struct err *err);

/* 1: *ret_start, owned by the caller, is the next task's message (docs/protocol.md). 0: there is
 * none left. */
int check_specs_next(struct check_specs *specs, const struct check_words *words, json_t **ret_start,
                     struct err *err);

void check_specs_free(struct check_specs *specs);

#endif
