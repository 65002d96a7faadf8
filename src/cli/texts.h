/* Words of the command line as JSON. */
#ifndef CLI_TEXTS_H
#define CLI_TEXTS_H

#include "wire/json.h"

/* An array of n strings; NULL when one is not UTF-8, or without memory. */
json_t *texts_json(const char *const *texts, size_t n);

/* What stands before the text of an error about name: "NAME: ", or nothing when the text begins so
 * itself. Into prefix; returns prefix. */
#define TEXTS_PREFIX_MAX 1024
const char *texts_prefix(const char *name, const char *text, char prefix[TEXTS_PREFIX_MAX]);

#endif
