/* A growing run of bytes with a ceiling. There is no buffer without a maximum.
 *
 * data is always NUL-terminated once something was added (the NUL is not counted in len), so that
 * text can be used as a string. The buffer owns data.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>

#include "base/err.h"

struct buf {
    char *data;
    size_t len;
    size_t cap;
    size_t max; /* bytes; adding more than this fails */
};

#define BUF_INIT(max_bytes) ((struct buf){ .max = (max_bytes) })

/* All fail with ERR_INVALID when max would be passed, ERR_UNAVAILABLE without memory; the content
 * is then unchanged. */
int buf_add(struct buf *buf, const void *data, size_t len, struct err *err);
int buf_add_str(struct buf *buf, const char *str, struct err *err);
int buf_printf(struct buf *buf, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Read a file, from where fd stands to its end, into the buffer. */
int buf_read_fd(struct buf *buf, int fd, struct err *err);

/* Drop the first n bytes (n <= len). */
void buf_consume(struct buf *buf, size_t n);

void buf_free(struct buf *buf);
#define auto_buf AUTO(buf_free)

#endif
