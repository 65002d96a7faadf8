/* A wire/http whose answers are bytes of the fuzzer. */
#ifndef FUZZ_SOAP_DOUBLE_H
#define FUZZ_SOAP_DOUBLE_H

#include <stddef.h>
#include <stdint.h>

/* From here on the answers are these, separated by NUL bytes; one that begins with "!" has status
 * 500. When they are used up every request fails for good. */
void soap_double_feed(const uint8_t *data, size_t size);

#endif
