/* One thing of CloudStack's by its UUID or its exact name. For cloudstack-*.c only. */
#ifndef PLATFORM_CLOUDSTACK_FIND_H
#define PLATFORM_CLOUDSTACK_FIND_H

#include "platform/cloudstack-call.h"

struct cloudstack_kind {
    const char *noun;    /* "zone" */
    const char *command; /* "listZones" */
    const char *object;  /* what the answer calls the array: "zone" */
    /* Fields that hold a name, or stand for one. */
    const char *name, *other_name;
};

/* scope: what is asked for beside the id. *ret, the caller's, is the row. ERR_NOT_FOUND and
 * ERR_CONFLICT as of cloudstack.h. */
int cloudstack_find(struct cloudstack *cloud, const struct cloudstack_kind *kind,
                    const struct cloudstack_param *scope, size_t n_scope, const char *text,
                    json_t **ret, struct err *err);

/* A text of a row, cut to max bytes; "" when it is missing. */
void cloudstack_take(const json_t *row, const char *key, char *to, size_t max);
#define CLOUDSTACK_TAKE(row, key, to) cloudstack_take(row, key, to, sizeof(to))

/* The field has this word, in any case. */
bool cloudstack_is(const json_t *row, const char *key, const char *word);

#endif
