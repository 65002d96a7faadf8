/* Packages for tests: a private directory, files in it, images with just a header. Include after
 * cmocka.h. */
#ifndef TESTS_UNIT_DESCRIPTOR_PACKAGE_MAKER_H
#define TESTS_UNIT_DESCRIPTOR_PACKAGE_MAKER_H

#include <endian.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "base/fd.h"

static inline char *
scratch_make(void)
{
    struct err err = ERR_INIT;
    char *dir = NULL, *real;
    if (dir_make_private(NULL, &dir, &err) < 0)
        fail_msg("%s", err.text);
    real = realpath(dir, NULL); /* what the readers give */
    assert_non_null(real);
    free(dir);
    return real;
}

static inline void
scratch_remove(char **dir)
{
    struct err err = ERR_INIT;
    if (*dir && dir_remove(*dir, &err) < 0)
        fail_msg("%s", err.text);
    free(*dir);
}
#define auto_scratch AUTO(scratch_remove)

/* "DIR/NAME" in one of a few static buffers. */
static inline const char *
path_in(const char *dir, const char *name)
{
    static char paths[4][512];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    assert_true(snprintf(path, sizeof paths[0], "%s/%s", dir, name) < (int)sizeof paths[0]);
    return path;
}

static inline void
put_file(const char *dir, const char *name, const void *data, size_t len)
{
    struct err err = ERR_INIT;
    if (file_write_atomic(path_in(dir, name), data, len, 0600, &err) < 0)
        fail_msg("%s", err.text);
}

static inline void
put_text(const char *dir, const char *name, const char *text)
{
    put_file(dir, name, text, strlen(text));
}

#define VMDK_BYTES 12288 /* header and a descriptor of 20 sectors, and some more */

/* A sparse VMDK's header with its descriptor. */
static inline void
make_vmdk(char data[VMDK_BYTES], uint64_t capacity_bytes, const char *descriptor)
{
    uint32_t version = htole32(3);
    uint64_t sectors = htole64(capacity_bytes / 512), one = htole64(1), twenty = htole64(20);
    memset(data, 0, VMDK_BYTES);
    memcpy(data, "KDMV", 4);
    memcpy(data + 4, &version, 4);
    memcpy(data + 12, &sectors, 8);
    memcpy(data + 28, &one, 8);
    memcpy(data + 36, &twenty, 8);
    memcpy(data + 512, descriptor, strlen(descriptor));
}

/* The same gzip-ed, into packed; its length. */
static inline size_t
make_gzip(unsigned char packed[VMDK_BYTES], const void *data, size_t len)
{
    z_stream z = { .next_in = (unsigned char *)(uintptr_t)data,
                   .avail_in = (uInt)len,
                   .next_out = packed,
                   .avail_out = VMDK_BYTES };
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out;
}

#define VMDK_TEXT                                                                                  \
    "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n"                         \
    "createType=\"streamOptimized\"\nRDONLY 2097152 SPARSE \"call-me-stream.vmdk\"\n"

#endif
