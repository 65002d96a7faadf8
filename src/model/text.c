#include "model/text.h"

#include <ctype.h>

size_t
text_utf8_len(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    while (*c) {
        unsigned more = *c < 0x80                 ? 0
                        : *c >= 0xc2 && *c < 0xe0 ? 1
                        : (*c & 0xf0) == 0xe0     ? 2
                        : *c >= 0xf0 && *c < 0xf5 ? 3
                                                  : 4;
        if (more == 4)
            break;
        for (unsigned i = 1; i <= more; i++)
            if ((c[i] & 0xc0) != 0x80)
                return (size_t)(c - (const unsigned char *)text);
        if ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] >= 0xa0) ||
            (c[0] == 0xf0 && c[1] < 0x90) || (c[0] == 0xf4 && c[1] >= 0x90))
            break;
        c += 1 + more;
    }
    return (size_t)(c - (const unsigned char *)text);
}

bool
text_has_control(const char *text)
{
    for (; *text; text++)
        if (iscntrl((unsigned char)*text))
            return true;
    return false;
}
