/* Moments as people write them. */
#ifndef MODEL_TIMESTAMP_H
#define MODEL_TIMESTAMP_H

#include <stdint.h>

#include "base/err.h"

/* "2026-11-30T22:00:00+01:00" (RFC 3339), or without a zone, which is then UTC, or without seconds;
 * a space in the place of the T and a fraction of a second, which is dropped, are fine. Years from
 * 2000 to 9999. Unix seconds, or ERR_INVALID. */
int timestamp_parse(const char *text, int64_t *ret_unix_s, struct err *err);

#define TIMESTAMP_MAX 32

/* "2026-11-30T21:00:00Z" into text; returns text. The same range. */
const char *timestamp_format(int64_t unix_s, char text[TIMESTAMP_MAX]);

#endif
