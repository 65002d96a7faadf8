/* A list of ranges, as --ranges takes it. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "disk/extent.h"

#define DISK_BYTES (1 * TIB + 512)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct err err = ERR_INIT;
    auto_free char *text = strndup((const char *)data, len);
    auto_extents struct extent_list list = { 0 };
    if (!text || ranges_parse(text, DISK_BYTES, &list, &err) < 0)
        return 0;
    for (size_t i = 0; i < list.n; i++) {
        const struct extent *e = &list.extents[i];
        uint64_t end = e->offset + e->len;
        if (e->len == 0 || e->offset % CLUSTER_BYTES != 0 || end > DISK_BYTES ||
            (end < DISK_BYTES && end % CLUSTER_BYTES != 0) ||
            (i > 0 && e->offset <= e[-1].offset + e[-1].len))
            abort();
    }
    return 0;
}
