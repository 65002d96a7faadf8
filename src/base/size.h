/* Sizes as people write and read them. */
#ifndef BASE_SIZE_H
#define BASE_SIZE_H

#include <stdint.h>

#include "base/err.h"

/* "512", "64K", "10MiB", "1.5G", "2TB": bytes. K, M, G, T, P with or without "iB" or "B" are powers
 * of 1024, as in qemu-img. ERR_INVALID for anything else, negative or above INT64_MAX. */
int size_parse(const char *text, uint64_t *ret_bytes, struct err *err);

#define SIZE_TEXT_MAX 32

/* "1.50 GiB", "64.0 KiB", "12 B" into text; returns text. */
const char *size_format(uint64_t bytes, char text[SIZE_TEXT_MAX]);

#endif
