/* Words of the command line as JSON. */
#ifndef CLI_TEXTS_H
#define CLI_TEXTS_H

#include "wire/json.h"

/* An array of n strings; NULL when one is not UTF-8, or without memory. */
json_t *texts_json(const char *const *texts, size_t n);

#endif
