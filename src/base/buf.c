#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

static int
reserve(struct buf *buf, size_t extra, struct err *err)
{
    if (extra > buf->max || buf->len > buf->max - extra)
        return err_set(err, ERR_INVALID, "more than %zu bytes", buf->max);
    size_t need = buf->len + extra + 1;
    if (need <= buf->cap)
        return 0;
    size_t cap = buf->cap ? buf->cap : 256;
    while (cap < need)
        cap *= 2;
    char *data = realloc(buf->data, cap);
    if (!data)
        return err_set(err, ERR_UNAVAILABLE, "no memory for %zu bytes", cap);
    buf->data = data;
    buf->cap = cap;
    return 0;
}

int
buf_add(struct buf *buf, const void *data, size_t len, struct err *err)
{
    if (reserve(buf, len, err) < 0)
        return -1;
    if (len > 0)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
    return 0;
}

int
buf_add_str(struct buf *buf, const char *str, struct err *err)
{
    return buf_add(buf, str, strlen(str), err);
}

int
buf_printf(struct buf *buf, struct err *err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len < 0)
        return err_set(err, ERR_BUG, "bad format");
    if (reserve(buf, (size_t)len, err) < 0)
        return -1;
    va_start(args, fmt);
    vsnprintf(buf->data + buf->len, (size_t)len + 1, fmt, args);
    va_end(args);
    buf->len += (size_t)len;
    return 0;
}

int
buf_read_fd(struct buf *buf, int fd, struct err *err)
{
    char chunk[16384];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "read");
        if (buf_add(buf, chunk, (size_t)n, err) < 0)
            return -1;
        if (n == 0)
            return 0;
    }
}

void
buf_consume(struct buf *buf, size_t n)
{
    if (n == 0)
        return;
    memmove(buf->data, buf->data + n, buf->len - n);
    buf->len -= n;
    buf->data[buf->len] = '\0';
}

void
buf_free(struct buf *buf)
{
    free(buf->data);
    buf->data = NULL;
    buf->len = buf->cap = 0;
}
