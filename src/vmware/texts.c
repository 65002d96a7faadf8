#include "vmware/texts.h"

#include <errno.h>
#include <stdalign.h>
#include <string.h>

#include "base/checked.h"

#define BLOCK_BYTES 4096

struct block {
    struct block *next;
    char data[];
};

struct vmware_texts {
    struct block *blocks;
    char *free;
    size_t free_bytes, taken_bytes;
};

struct vmware_texts *
texts_new(struct err *err)
{
    struct vmware_texts *texts = calloc(1, sizeof *texts);
    if (!texts)
        err_errno(err, ENOMEM, "texts");
    return texts;
}

void
texts_free(struct vmware_texts *texts)
{
    if (!texts)
        return;
    while (texts->blocks) {
        struct block *next = texts->blocks->next;
        free(texts->blocks);
        texts->blocks = next;
    }
    free(texts);
}

static char *
take(struct vmware_texts *texts, const char *text, struct err *err)
{
    size_t bytes = strlen(text) + 1;
    if (bytes > TEXTS_MAX_BYTES - texts->taken_bytes) {
        err_set(err, ERR_INVALID, "more than %zu bytes of text", TEXTS_MAX_BYTES);
        return NULL;
    }
    if (bytes > texts->free_bytes) {
        size_t size = MAX(bytes, (size_t)BLOCK_BYTES);
        struct block *block = malloc(sizeof *block + size);
        if (!block) {
            err_errno(err, ENOMEM, "texts");
            return NULL;
        }
        block->next = texts->blocks;
        texts->blocks = block;
        texts->free = block->data;
        texts->free_bytes = size;
    }
    char *own = texts->free;
    texts->free += bytes;
    texts->free_bytes -= bytes;
    texts->taken_bytes += bytes;
    memcpy(own, text, bytes);
    for (char *c = own; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
    return own;
}

int
texts_add(struct vmware_texts *texts, const char *text, const char **ret, struct err *err)
{
    const char *own = text && *text ? take(texts, text, err) : text;
    if (text && !own)
        return -1;
    *ret = text && !*text ? "" : own;
    return 0;
}

int
texts_add_name(struct vmware_texts *texts, const char *text, const char **ret, struct err *err)
{
    if (!text || !*text)
        return texts_add(texts, text, ret, err);
    char *own = take(texts, text, err);
    if (!own)
        return -1;
    name_decode(own);
    *ret = own;
    return 0;
}

void
name_decode(char *name)
{
    char *to = name;
    for (const char *from = name; *from; to++) {
        if (strncasecmp(from, "%2f", 3) == 0)
            *to = '/';
        else if (strncasecmp(from, "%5c", 3) == 0)
            *to = '\\';
        else if (strncmp(from, "%25", 3) == 0)
            *to = '%';
        else {
            *to = *from++;
            continue;
        }
        from += 3;
    }
    *to = '\0';
}
