#include "platform/platform.h"

#include <string.h>

const struct platform *
platform_find(const char *name)
{
    static const struct platform *const all[] = {
        &platform_local,
        &platform_libvirt,
        &platform_null,
        NULL,
    };
    for (const struct platform *const *p = all; *p; p++)
        if (strcmp((*p)->name, name) == 0)
            return *p;
    return NULL;
}
