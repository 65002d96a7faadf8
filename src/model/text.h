/* What a text consists of. */
#ifndef MODEL_TEXT_H
#define MODEL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Length of the part that is well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates). */
size_t text_utf8_len(const char *text);

/* Is there an ASCII control character in it? */
bool text_has_control(const char *text);

#endif
