/* The text that describes a VMDK on a datastore, as whoever may write there wrote it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vmware/datastore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is let through adds up, and leads to no other folder by a name that climbs. */
static void
check(const struct vmware_descriptor *descriptor)
{
    uint64_t sum = 0;
    if (descriptor->n_extents == 0 || descriptor->n_extents > VMWARE_EXTENTS_MAX)
        abort();
    for (size_t i = 0; i < descriptor->n_extents; i++) {
        const struct vmware_extent *extent = &descriptor->extents[i];
        if (__builtin_add_overflow(sum, extent->bytes, &sum) || extent->bytes % 512 != 0)
            abort();
        if (extent->file && strstr(extent->file, "/../"))
            abort();
    }
    if (sum != descriptor->capacity_bytes)
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct err err = ERR_INIT;
    auto_free char *text = strndup((const char *)data, len);
    auto_vmware_descriptor struct vmware_descriptor *descriptor = NULL;
    if (text && vmware_descriptor_parse(text, "[ds 1] web01/web01.vmdk", &descriptor, &err) == 0)
        check(descriptor);
    return 0;
}
