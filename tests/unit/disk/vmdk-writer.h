/* Writes streamOptimized VMDKs, right and wrong ones, into memory. Little endian hosts only, as the
 * tests of this room; numbers are in sectors, as in the format. */
#ifndef TEST_VMDK_WRITER_H
#define TEST_VMDK_WRITER_H

#include <zlib.h>

#include "disk/vmdk-stream.h"
#include "scratch.h"

#define WRITER_MAX (8 * MIB)

struct writer {
    uint8_t *data;
    size_t len;
    uint64_t capacity, grain;
};

static inline void
set_at(uint8_t *data, size_t at, uint64_t value, size_t len)
{
    memcpy(data + at, &value, len);
}

static inline void
writer_header(uint8_t sector[VMDK_SECTOR], uint64_t capacity, uint64_t grain)
{
    memset(sector, 0, VMDK_SECTOR);
    memcpy(sector, "KDMV", 4);
    set_at(sector, 4, 3, 4);
    set_at(sector, 8, 1 | 1 << 16 | 1 << 17, 4);
    set_at(sector, 12, capacity, 8);
    set_at(sector, 20, grain, 8);
    set_at(sector, 28, 1, 8); /* descriptor: sectors 1 and 2 */
    set_at(sector, 36, 2, 8);
    set_at(sector, 44, 512, 4);
    set_at(sector, 56, UINT64_MAX, 8); /* directory: told by the footer */
    set_at(sector, 64, 3, 8);          /* overhead */
    memcpy(sector + 73, "\n \r\n", 4);
    set_at(sector, 77, 1, 2);
}

static inline void
writer_add(struct writer *w, const void *data, size_t len)
{
    assert_true(w->len + round_up(len, VMDK_SECTOR) <= WRITER_MAX);
    memcpy(w->data + w->len, data, len);
    w->len += round_up(len, VMDK_SECTOR); /* zero: the buffer is */
}

static inline struct writer
writer_begin(uint64_t capacity, uint64_t grain, const char *descriptor)
{
    struct writer w = { .data = calloc(1, WRITER_MAX), .capacity = capacity, .grain = grain };
    uint8_t sector[VMDK_SECTOR], text[2 * VMDK_SECTOR] = { 0 };
    assert_non_null(w.data);
    writer_header(sector, capacity, grain);
    writer_add(&w, sector, sizeof sector);
    memcpy(text, descriptor, strlen(descriptor));
    writer_add(&w, text, sizeof text);
    return w;
}

static inline void
writer_raw_grain(struct writer *w, uint64_t lba, const void *compressed, uint32_t len)
{
    auto_free uint8_t *block = calloc(1, 12 + (size_t)len);
    set_at(block, 0, lba, 8);
    set_at(block, 8, len, 4);
    memcpy(block + 12, compressed, len);
    writer_add(w, block, 12 + (size_t)len);
}

static inline void
writer_grain(struct writer *w, uint64_t lba, const void *data, size_t len)
{
    uLongf compressed_len = compressBound(len);
    auto_free uint8_t *compressed = malloc(compressed_len);
    assert_int_equal(compress2(compressed, &compressed_len, data, len, 1), Z_OK);
    writer_raw_grain(w, lba, compressed, (uint32_t)compressed_len);
}

static inline void
writer_marker(struct writer *w, uint64_t sectors, uint32_t type)
{
    uint8_t sector[VMDK_SECTOR] = { 0 };
    set_at(sector, 0, sectors, 8);
    set_at(sector, 12, type, 4);
    writer_add(w, sector, sizeof sector);
}

static inline void
writer_end(struct writer *w)
{
    uint8_t sector[VMDK_SECTOR];
    writer_header(sector, w->capacity, w->grain);
    set_at(sector, 56, 10, 8);
    writer_marker(w, 1, 3);
    writer_add(w, sector, sizeof sector);
    writer_marker(w, 0, 0);
}

#endif
