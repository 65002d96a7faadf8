/* Numbers and units as descriptions of machines write them. */
#ifndef DESCRIPTOR_NUMBER_H
#define DESCRIPTOR_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Decimal digits, space around them allowed, up to UINT64_MAX; anything else (a sign, a fraction,
 * NULL) is ERR_INVALID with `what` and the text. */
int number_read(const char *text, const char *what, uint64_t *ret, struct err *err);

/* The same, but at most max. */
int number_read_max(const char *text, const char *what, uint64_t max, uint64_t *ret,
                    struct err *err);

/* How many bytes a unit of OVF is: "byte * 2^20", "byte*1024", "MegaBytes", "GB" (DSP0243 9.1 and
 * DSP0004 annex C; the words as VMware uses them, powers of 1024). ERR_INVALID names it. */
int number_unit(const char *unit, uint64_t *ret_bytes, struct err *err);

/* number of that unit in bytes; ERR_INVALID when it does not fit. */
int number_bytes(const char *text, const char *unit, const char *what, uint64_t *ret_bytes,
                 struct err *err);

/* "true", "yes", "on", "1": true; anything else, or NULL: false. */
bool number_is_true(const char *text);

#endif
