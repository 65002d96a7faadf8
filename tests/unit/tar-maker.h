/* Tar files for tests, byte by byte, so that they can be wrong on purpose. Include after cmocka.h.
 */
#ifndef TESTS_UNIT_TAR_MAKER_H
#define TESTS_UNIT_TAR_MAKER_H

#include <stdio.h>
#include <string.h>

#include "base/buf.h"

/* Write the sum of a header into it. */
static inline void
tar_fix_checksum(char *header)
{
    unsigned sum = 0;
    memset(header + 148, ' ', 8);
    for (int i = 0; i < 512; i++)
        sum += (unsigned char)header[i];
    snprintf(header + 148, 8, "%06o", sum);
}

/* A member whose size field holds these 12 bytes. */
static inline void
tar_add_sized(struct buf *tar, const char *name, char type, const void *data, size_t len,
              const char *size_field)
{
    struct err err = ERR_INIT;
    char header[512] = { 0 };
    static const char zeros[512];
    size_t size_len = (unsigned char)size_field[0] >= 0x80 ? 12 : strlen(size_field);
    snprintf(header, 100, "%s", name);
    memcpy(header + 100, "0000644", 7);
    memcpy(header + 124, size_field, size_len);
    header[156] = type;
    memcpy(header + 257, "ustar\00000", 8);
    tar_fix_checksum(header);
    assert_int_equal(buf_add(tar, header, sizeof header, &err), 0);
    assert_int_equal(buf_add(tar, data, len, &err), 0);
    assert_int_equal(buf_add(tar, zeros, (512 - len % 512) % 512, &err), 0);
}

static inline void
tar_add(struct buf *tar, const char *name, char type, const void *data, size_t len)
{
    char size[12];
    snprintf(size, sizeof size, "%011o", (unsigned)len);
    tar_add_sized(tar, name, type, data, len, size);
}

/* A pax header of one record for the member that follows. */
static inline void
tar_add_pax(struct buf *tar, const char *key, const char *value)
{
    char record[2048];
    int len = 0, before;
    do {
        before = len;
        len = snprintf(record, sizeof record, "%d %s=%s\n", before, key, value);
    } while (len != before);
    tar_add(tar, "PaxHeader", 'x', record, (size_t)len);
}

static inline void
tar_end(struct buf *tar)
{
    struct err err = ERR_INIT;
    static const char zeros[1024];
    assert_int_equal(buf_add(tar, zeros, sizeof zeros, &err), 0);
}

#endif
