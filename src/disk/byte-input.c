#include "disk/byte-input.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/cleanup.h"

#define CHUNK_BYTES (256 * KIB)
#define LOOK_MS 100 /* how soon one that waits for a pipe notices a stop */

struct byte_input {
    char *name;
    int fd; /* -1: memory */
    bool own_fd;
    bool is_file;                  /* pread at raw_offset; else read */
    uint64_t raw_offset, raw_left; /* of the file; raw_left UINT64_MAX for a pipe */
    const atomic_bool *stop;       /* of a pipe; or NULL */
    struct byte_giver giver;       /* in place of fd */

    /* What was read and not given out: of the raw bytes, and behind gzip. */
    uint8_t *raw;
    size_t raw_pos, raw_len;
    bool gzip;
    bool gzip_ended; /* at the end of a gzip member */
    z_stream z;
    uint8_t *plain;

    const uint8_t *next; /* what is to be given out: in raw, plain or memory */
    size_t left;
    uint64_t position;
};

static int
input_new(const char *name, bool gzip, struct byte_input **ret, struct err *err)
{
    struct byte_input *in = calloc(1, sizeof *in);
    if (!in)
        return err_errno(err, ENOMEM, "%s", name);
    in->fd = -1;
    in->name = strdup(name);
    in->raw = malloc(CHUNK_BYTES);
    in->plain = gzip ? malloc(CHUNK_BYTES) : NULL;
    bool z_failed = gzip && inflateInit2(&in->z, 15 + 16) != Z_OK;
    in->gzip = gzip && !z_failed;
    if (!in->name || !in->raw || (gzip && !in->plain) || z_failed) {
        byte_input_close(in);
        return err_errno(err, ENOMEM, "%s", name);
    }
    *ret = in;
    return 0;
}

int
byte_input_file(int fd, uint64_t offset, uint64_t bytes, const char *name, bool gzip,
                struct byte_input **ret, struct err *err)
{
    auto_close int owned = fd;
    if (input_new(name, gzip, ret, err) < 0)
        return -1;
    (*ret)->fd = TAKE_FD(owned);
    (*ret)->own_fd = true;
    (*ret)->is_file = true;
    (*ret)->raw_offset = offset;
    (*ret)->raw_left = bytes;
    posix_fadvise(fd, (off_t)offset, (off_t)bytes, POSIX_FADV_SEQUENTIAL);
    return 0;
}

int
byte_input_pipe(int fd, const char *name, bool gzip, const atomic_bool *stop,
                struct byte_input **ret, struct err *err)
{
    if (input_new(name, gzip, ret, err) < 0)
        return -1;
    (*ret)->fd = fd;
    (*ret)->stop = stop;
    (*ret)->raw_left = UINT64_MAX;
    return 0;
}

int
byte_input_given(const struct byte_giver *giver, const char *name, struct byte_input **ret,
                 struct err *err)
{
    if (input_new(name, false, ret, err) < 0)
        return -1;
    (*ret)->giver = *giver;
    return 0;
}

int
byte_input_memory(const void *data, size_t len, struct byte_input **ret, struct err *err)
{
    if (input_new("memory", false, ret, err) < 0)
        return -1;
    (*ret)->next = data;
    (*ret)->left = len;
    return 0;
}

void
byte_input_close(struct byte_input *in)
{
    if (!in)
        return;
    if (in->gzip)
        inflateEnd(&in->z);
    if (in->own_fd && in->fd >= 0)
        close(in->fd);
    free(in->raw);
    free(in->plain);
    free(in->name);
    free(in);
}

/* Until the pipe has something to read or is at its end. */
static int
wait_for_pipe(const struct byte_input *in, struct err *err)
{
    struct pollfd pfd = { .fd = in->fd, .events = POLLIN };
    int n;
    while ((n = poll(&pfd, 1, LOOK_MS)) <= 0) {
        if (n < 0 && errno != EINTR)
            return err_errno(err, errno, "%s: wait for data", in->name);
        if (atomic_load(in->stop))
            return err_set(err, ERR_CANCELLED, "%s: stopped while waiting for data", in->name);
    }
    return 0;
}

/* Refill raw; its length is 0 at the end. */
static int
fill_raw(struct byte_input *in, struct err *err)
{
    in->raw_pos = in->raw_len = 0;
    if (in->giver.give)
        return in->giver.give(in->giver.arg, in->raw, CHUNK_BYTES, &in->raw_len, err);
    size_t want = (size_t)MIN(in->raw_left, CHUNK_BYTES);
    if (want == 0 || in->fd < 0)
        return 0;
    if (in->stop && wait_for_pipe(in, err) < 0)
        return -1;
    ssize_t n;
    do
        n = in->is_file ? pread(in->fd, in->raw, want, (off_t)in->raw_offset)
                        : read(in->fd, in->raw, want);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_errno(err, errno, "%s: read at byte %" PRIu64, in->name, in->raw_offset);
    in->raw_len = (size_t)n;
    in->raw_offset += (uint64_t)n;
    if (in->is_file)
        in->raw_left -= (uint64_t)n;
    return 0;
}

static int
fill_from_gzip(struct byte_input *in, struct err *err)
{
    in->z.next_out = in->plain;
    in->z.avail_out = CHUNK_BYTES;
    while (in->z.avail_out == CHUNK_BYTES) {
        if (in->raw_pos == in->raw_len && fill_raw(in, err) < 0)
            return -1;
        if (in->raw_len == 0)
            return in->gzip_ended
                       ? 0
                       : err_set(err, ERR_INVALID, "%s: gzip data is truncated", in->name);
        if (in->gzip_ended && inflateReset(&in->z) != Z_OK) /* a further gzip member */
            return err_set(err, ERR_BUG, "%s: gzip state", in->name);
        in->gzip_ended = false;
        in->z.next_in = in->raw + in->raw_pos;
        in->z.avail_in = (uInt)(in->raw_len - in->raw_pos);
        int r = inflate(&in->z, Z_NO_FLUSH);
        in->raw_pos = in->raw_len - in->z.avail_in;
        if (r != Z_OK && r != Z_STREAM_END)
            return err_set(err, ERR_INVALID, "%s: gzip data is damaged before byte %" PRIu64,
                           in->name, in->raw_offset);
        in->gzip_ended = r == Z_STREAM_END;
    }
    in->next = in->plain;
    in->left = CHUNK_BYTES - in->z.avail_out;
    return 0;
}

/* After it, left is 0 only at the end. */
static int
fill(struct byte_input *in, struct err *err)
{
    if (in->left > 0)
        return 0;
    if (in->gzip)
        return fill_from_gzip(in, err);
    if (fill_raw(in, err) < 0)
        return -1;
    in->next = in->raw;
    in->left = in->raw_len;
    return 0;
}

/* Give out up to len bytes; fails at the end. */
static int
take(struct byte_input *in, uint64_t len, const uint8_t **ret, size_t *ret_len, struct err *err)
{
    if (fill(in, err) < 0)
        return -1;
    if (in->left == 0)
        return err_set(err, ERR_INVALID,
                       "%s: ends at byte %" PRIu64 " in the middle of its data: the file is "
                       "truncated",
                       in->name, in->position);
    *ret = in->next;
    *ret_len = (size_t)MIN(len, (uint64_t)in->left);
    in->next += *ret_len;
    in->left -= *ret_len;
    in->position += *ret_len;
    return 0;
}

int
byte_input_read(struct byte_input *in, void *data, size_t len, struct err *err)
{
    const uint8_t *from;
    size_t now;
    for (uint8_t *to = data; len > 0; to += now, len -= now) {
        if (take(in, len, &from, &now, err) < 0)
            return -1;
        memcpy(to, from, now);
    }
    return 0;
}

int
byte_input_skip(struct byte_input *in, uint64_t len, struct err *err)
{
    const uint8_t *unused;
    size_t now;
    for (; len > 0; len -= now) {
        if (in->left == 0 && byte_input_is_file(in) && len <= in->raw_left) {
            in->raw_offset += len;
            in->raw_left -= len;
            in->position += len;
            return 0;
        }
        if (take(in, len, &unused, &now, err) < 0)
            return -1;
    }
    return 0;
}

int
byte_input_at_end(struct byte_input *in, struct err *err)
{
    return fill(in, err) < 0 ? -1 : in->left == 0;
}

uint64_t
byte_input_position(const struct byte_input *in)
{
    return in->position;
}

const char *
byte_input_name(const struct byte_input *in)
{
    return in->name;
}

bool
byte_input_is_file(const struct byte_input *in)
{
    return in->is_file && !in->gzip;
}
