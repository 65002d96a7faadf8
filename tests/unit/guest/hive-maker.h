/* A Windows registry hive made from nothing, of one block of 8 KiB: keys with text and number
 * values, as far as a reader needs them. The format is that of hivex' lib/hivex-internal.h.
 *
 *     struct hive hive;
 *     hive_begin(&hive);
 *     uint32_t key = hive_path(&hive, "Control", "TimeZoneInformation", NULL);
 *     hive_dword(&hive, key, "RealTimeIsUniversal", 1);
 *     hive_end(&hive);   hive.bytes, HIVE_BYTES
 */
#ifndef TESTS_UNIT_GUEST_HIVE_MAKER_H
#define TESTS_UNIT_GUEST_HIVE_MAKER_H

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#define HIVE_HEAD 4096
#define HIVE_BLOCK 8192
#define HIVE_BYTES (HIVE_HEAD + HIVE_BLOCK)
#define HIVE_LIST_MAX 4 /* subkeys and values of one key */

/* Offsets are from the end of the head, as the format counts. */
struct hive {
    uint8_t bytes[HIVE_BYTES];
    uint32_t next, root;
};

static inline uint8_t *
hive_at(struct hive *hive, uint32_t offset)
{
    return hive->bytes + HIVE_HEAD + offset;
}

static inline void
hive_put32(uint8_t *p, uint32_t n)
{
    memcpy(p, &n, 4);
}

static inline uint32_t
hive_get32(const uint8_t *p)
{
    uint32_t n;
    memcpy(&n, p, 4);
    return n;
}

/* A cell in use has its size negated before its data. The offset is that of the size. */
static inline uint32_t
hive_cell(struct hive *hive, uint32_t bytes)
{
    uint32_t offset = hive->next, size = (bytes + 4 + 7) & ~7U;
    assert_true(offset + size + 8 <= HIVE_BLOCK);
    hive_put32(hive_at(hive, offset), -size);
    hive->next += size;
    return offset;
}

/* Fields of a key, from the start of its cell. */
enum {
    NK_PARENT = 20,
    NK_SUBKEYS = 24,
    NK_LIST = 32,
    NK_VALUES = 40,
    NK_VALUE_LIST = 44,
    NK_NAME = 80
};

static inline uint32_t
hive_new_key(struct hive *hive, uint32_t parent, const char *name, uint16_t flags)
{
    uint16_t len = (uint16_t)strlen(name);
    uint32_t list = hive_cell(hive, 4 + 8 * HIVE_LIST_MAX);
    memcpy(hive_at(hive, list) + 4, "lf", 2);
    uint32_t values = hive_cell(hive, 4 * HIVE_LIST_MAX);
    uint32_t key = hive_cell(hive, NK_NAME + len);
    uint8_t *p = hive_at(hive, key);
    memcpy(p + 4, "nk", 2);
    memcpy(p + 6, &flags, 2);
    hive_put32(p + NK_PARENT, parent);
    hive_put32(p + NK_LIST, list);
    hive_put32(p + 36, UINT32_MAX); /* no volatile subkeys */
    hive_put32(p + NK_VALUE_LIST, values);
    hive_put32(p + 48, UINT32_MAX); /* no security */
    hive_put32(p + 52, UINT32_MAX); /* no class */
    memcpy(p + 76, &len, 2);
    memcpy(p + NK_NAME, name, len);
    return key;
}

static inline uint32_t
hive_key(struct hive *hive, uint32_t parent, const char *name)
{
    uint8_t *p = hive_at(hive, parent);
    uint32_t n = hive_get32(p + NK_SUBKEYS);
    uint8_t *list = hive_at(hive, hive_get32(p + NK_LIST));
    for (uint32_t i = 0; i < n; i++) {
        uint32_t key = hive_get32(list + 8 + 8 * i);
        uint8_t *k = hive_at(hive, key);
        if (k[76] == strlen(name) && memcmp(k + NK_NAME, name, k[76]) == 0)
            return key;
    }
    assert_true(n < HIVE_LIST_MAX);
    uint32_t key = hive_new_key(hive, parent, name, 0x20);
    uint16_t count = (uint16_t)(n + 1);
    hive_put32(p + NK_SUBKEYS, count);
    memcpy(list + 6, &count, 2);
    hive_put32(list + 8 + 8 * n, key);
    memcpy(list + 12 + 8 * n, name, strnlen(name, 4));
    return key;
}

/* The key below the root by this path, made where it is not there; NULL ends the path. */
static inline uint32_t
hive_path(struct hive *hive, ...)
{
    va_list args;
    uint32_t key = hive->root;
    va_start(args, hive);
    for (const char *name; (name = va_arg(args, const char *));)
        key = hive_key(hive, key, name);
    va_end(args);
    return key;
}

static inline void
hive_value(struct hive *hive, uint32_t key, const char *name, uint32_t type, const void *data,
           uint32_t bytes)
{
    uint16_t len = (uint16_t)strlen(name), plain = 1;
    uint32_t value = hive_cell(hive, 20 + len), place = 0;
    if (bytes > 4) {
        place = hive_cell(hive, bytes);
        memcpy(hive_at(hive, place) + 4, data, bytes);
    } else {
        memcpy(&place, data, bytes); /* short data stands where its place would */
        bytes |= 0x80000000;
    }
    uint8_t *p = hive_at(hive, value);
    memcpy(p + 4, "vk", 2);
    memcpy(p + 6, &len, 2);
    hive_put32(p + 8, bytes);
    hive_put32(p + 12, place);
    hive_put32(p + 16, type);
    memcpy(p + 20, &plain, 2);
    memcpy(p + 24, name, len);

    uint8_t *k = hive_at(hive, key);
    uint32_t n = hive_get32(k + NK_VALUES);
    assert_true(n < HIVE_LIST_MAX);
    hive_put32(k + NK_VALUES, n + 1);
    hive_put32(hive_at(hive, hive_get32(k + NK_VALUE_LIST)) + 4 + 4 * n, value);
}

static inline void
hive_dword(struct hive *hive, uint32_t key, const char *name, uint32_t number)
{
    hive_value(hive, key, name, 4, &number, 4);
}

/* ASCII text, kept as UTF-16. */
static inline void
hive_text(struct hive *hive, uint32_t key, const char *name, const char *text)
{
    uint8_t wide[128] = { 0 };
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++)
        wide[2 * i] = (uint8_t)text[i];
    hive_value(hive, key, name, 1, wide, (uint32_t)(2 * len + 2));
}

static inline void
hive_begin(struct hive *hive)
{
    memset(hive, 0, sizeof *hive);
    hive->next = 32; /* after the block's own head */
    memcpy(hive_at(hive, 0), "hbin", 4);
    hive_put32(hive_at(hive, 8), HIVE_BLOCK);
    hive->root = hive_new_key(hive, 0, "$$$PROTO.HIV", 0x2c);
}

static inline void
hive_end(struct hive *hive)
{
    uint8_t *p = hive->bytes;
    uint32_t sum = 0;
    hive_put32(hive_at(hive, hive->next), HIVE_BLOCK - hive->next); /* the rest is free */
    memcpy(p, "regf", 4);
    hive_put32(p + 4, 1);
    hive_put32(p + 8, 1);
    hive_put32(p + 20, 1); /* version 1.3 */
    hive_put32(p + 24, 3);
    hive_put32(p + 32, 1);
    hive_put32(p + 36, hive->root);
    hive_put32(p + 40, HIVE_BLOCK);
    hive_put32(p + 44, 1);
    for (int i = 0; i < 508; i += 4)
        sum ^= hive_get32(p + i);
    hive_put32(p + 508, sum);
}

#endif
