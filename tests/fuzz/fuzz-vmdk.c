/* The streamOptimized VMDK, from its header to its end marker, as a copy reads it. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "disk/vmdk-stream.h"

/* A few hundred bytes can inflate to a thousand times as much; more than this teaches nothing. */
#define OUTPUT_MAX (64 * MIB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool
wants_all(void *arg, uint64_t cluster)
{
    (void)arg;
    (void)cluster;
    return true;
}

static int
reads_zero(void *arg, unsigned lane, uint64_t offset, void *data, size_t len, struct err *err)
{
    (void)arg;
    (void)lane;
    (void)offset;
    (void)err;
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)data)[i] = 0;
    return 0;
}

static bool
never_stops(void *arg)
{
    (void)arg;
    return false;
}

static const struct stream_client client = { wants_all, reads_zero, never_stops };

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct err err = ERR_INIT;
    struct byte_input *in;
    struct source *source;
    if (byte_input_memory(data, len, &in, &err) < 0 || source_vmdk_open(in, "", &source, &err) < 0)
        return 0;
    source->client = &client;
    auto_free uint8_t *buffer = aligned_alloc(IO_ALIGN, REQUEST_BYTES);
    struct request req = { .data = buffer };
    uint64_t output = 0;
    while (buffer && output < OUTPUT_MAX && source->ops->next(source, 0, &req, &err) == 1) {
        if (req.len == 0 || req.len > REQUEST_BYTES || req.offset >= source->bytes ||
            req.len > source->bytes - req.offset)
            abort();
        output += req.len;
    }
    source_close(source);
    return 0;
}
