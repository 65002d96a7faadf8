/* Raw images: regular files and block devices. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "disk/direct-io.h"
#include "disk/target.h"

struct raw {
    struct target target;
    int fd;      /* through the page cache: a tail that is not aligned, holes, flush */
    int data_fd; /* direct where possible */
    bool device;
};

static int open_file(struct raw *raw, const struct target_spec *spec, struct err *err);
static int open_device(struct raw *raw, const struct target_spec *spec, struct err *err);
static void raw_close(struct target *tgt);
static const struct target_ops raw_ops;

static struct raw *
to_raw(struct target *tgt)
{
    return (struct raw *)tgt;
}

static void
close_cleanup(struct raw **raw)
{
    if (*raw)
        raw_close(&(*raw)->target);
}

int
target_raw_open(const struct target_spec *spec, struct target **ret, struct err *err)
{
    AUTO(close_cleanup) struct raw *raw = calloc(1, sizeof *raw);
    if (!raw)
        return err_errno(err, ENOMEM, "%s", spec->uri);
    raw->fd = raw->data_fd = -1;
    raw->target.ops = &raw_ops;
    raw->target.bytes = spec->bytes;
    raw->target.name = strdup(spec->uri);
    if (!raw->target.name)
        return err_errno(err, ENOMEM, "%s", spec->uri);

    struct stat st;
    raw->device = stat(spec->uri, &st) == 0 && S_ISBLK(st.st_mode);
    if ((raw->device ? open_device(raw, spec, err) : open_file(raw, spec, err)) < 0)
        return -1;
    if (target_identity_of(raw->fd, spec->uri, raw->target.identity, err) < 0)
        return -1;
    *ret = &TAKE_PTR(raw)->target;
    return 0;
}

static int
open_file(struct raw *raw, const struct target_spec *spec, struct err *err)
{
    raw->fd = open(spec->uri, O_RDWR | O_CLOEXEC | (spec->create ? O_CREAT : 0), 0666);
    if (raw->fd < 0)
        return err_errno(err, errno, "%s: open", spec->uri);
    if (fd_lock_image(raw->fd, spec->uri, err) < 0)
        return -1;
    struct stat st;
    if (fstat(raw->fd, &st) < 0)
        return err_errno(err, errno, "%s: stat", spec->uri);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_INVALID, "%s: not a regular file or block device", spec->uri);
    if (!spec->create && (uint64_t)st.st_size < spec->bytes)
        return err_set(err, ERR_INVALID,
                       "%s: target has %" PRIu64 " bytes, the source %" PRIu64
                       ": make it at least as large",
                       spec->uri, (uint64_t)st.st_size, spec->bytes);
    if (spec->create && (ftruncate(raw->fd, 0) < 0 || ftruncate(raw->fd, (off_t)spec->bytes) < 0))
        return err_errno(err, errno, "%s: make room for %" PRIu64 " bytes", spec->uri, spec->bytes);
    if (spec->create && spec->preallocate && fallocate(raw->fd, 0, 0, (off_t)spec->bytes) < 0)
        return err_errno(err, errno, "%s: reserve %" PRIu64 " bytes", spec->uri, spec->bytes);
    raw->target.zero_at_start = spec->create;
    bool direct;
    raw->data_fd = direct_open(raw->fd, spec->uri, &direct, err);
    return raw->data_fd < 0 ? -1 : 0;
}

static int
open_device(struct raw *raw, const struct target_spec *spec, struct err *err)
{
    /* O_EXCL on a block device: refused while it is mounted or part of something. */
    raw->fd = open(spec->uri, O_RDWR | O_EXCL | O_CLOEXEC);
    if (raw->fd < 0 && errno == EBUSY)
        return err_set(err, ERR_CONFLICT,
                       "%s: device is in use (mounted, or part of a volume group or array): "
                       "release it first",
                       spec->uri);
    if (raw->fd < 0)
        return err_errno(err, errno, "%s: open", spec->uri);
    if (fd_lock_image(raw->fd, spec->uri, err) < 0)
        return -1;
    uint64_t bytes = 0;
    if (ioctl(raw->fd, BLKGETSIZE64, &bytes) < 0)
        return err_errno(err, errno, "%s: ask for its size", spec->uri);
    if (bytes < spec->bytes)
        return err_set(err, ERR_INVALID,
                       "%s: target has %" PRIu64 " bytes, the source %" PRIu64
                       ": give a device at least as large",
                       spec->uri, bytes, spec->bytes);
    raw->data_fd = open(spec->uri, O_RDWR | O_DIRECT | O_CLOEXEC);
    if (raw->data_fd < 0)
        return err_errno(err, errno, "%s: open", spec->uri);
    return 0;
}

static int
raw_write(struct target *tgt, const void *data, size_t len, uint64_t offset, struct err *err)
{
    struct raw *raw = to_raw(tgt);
    size_t aligned = (size_t)round_down(len, IO_ALIGN);
    if (aligned > 0 && fd_pwrite(raw->data_fd, data, aligned, offset, tgt->name, err) < 0)
        return -1;
    if (aligned == len)
        return 0;
    return fd_pwrite(raw->fd, (const uint8_t *)data + aligned, len - aligned, offset + aligned,
                     tgt->name, err);
}

static int
write_zeroes(struct raw *raw, uint64_t offset, uint64_t len, struct err *err)
{
    auto_free void *zeroes = aligned_alloc(IO_ALIGN, REQUEST_BYTES);
    if (!zeroes)
        return err_errno(err, ENOMEM, "%s", raw->target.name);
    memset(zeroes, 0, REQUEST_BYTES);
    while (len > 0) {
        size_t now = (size_t)MIN(len, REQUEST_BYTES);
        if (raw_write(&raw->target, zeroes, now, offset, err) < 0)
            return -1;
        offset += now;
        len -= now;
    }
    return 0;
}

static int
raw_zero(struct target *tgt, unsigned lane, uint64_t offset, uint64_t len, struct err *err)
{
    (void)lane;
    struct raw *raw = to_raw(tgt);
    if (fallocate(raw->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len) ==
        0)
        return 0;
    if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)
        return err_errno(err, errno, "%s: zero %" PRIu64 " bytes at %" PRIu64, tgt->name, len,
                         offset);
    return write_zeroes(raw, offset, len, err);
}

static bool
raw_is_hole(struct target *tgt, uint64_t offset, uint64_t len)
{
    struct raw *raw = to_raw(tgt);
    if (raw->device)
        return false;
    off_t data = lseek(raw->fd, (off_t)offset, SEEK_DATA);
    return data < 0 ? errno == ENXIO : (uint64_t)data >= offset + len;
}

static int
raw_read(struct target *tgt, unsigned lane, void *data, size_t len, uint64_t offset, bool *ret_hole,
         struct err *err)
{
    (void)lane;
    struct raw *raw = to_raw(tgt);
    *ret_hole = raw_is_hole(tgt, offset, len);
    if (*ret_hole)
        return 0;
    size_t aligned = (size_t)round_down(len, IO_ALIGN);
    if (aligned > 0 && fd_pread_exact(raw->data_fd, data, aligned, offset, tgt->name, err) < 0)
        return -1;
    if (aligned == len)
        return 0;
    return fd_pread_exact(raw->fd, (uint8_t *)data + aligned, len - aligned, offset + aligned,
                          tgt->name, err);
}

static void
raw_uncache(struct target *tgt)
{
    cache_drop(to_raw(tgt)->fd);
}

static int
raw_flush(struct target *tgt, struct err *err)
{
    if (fdatasync(to_raw(tgt)->fd) < 0)
        return err_errno(err, errno, "%s: flush", tgt->name);
    return 0;
}

static void
raw_close(struct target *tgt)
{
    struct raw *raw = to_raw(tgt);
    if (raw->data_fd >= 0)
        close(raw->data_fd);
    if (raw->fd >= 0)
        close(raw->fd);
    free(tgt->name);
    free(raw);
}

static const struct target_ops raw_ops = {
    .name = "raw",
    .write = raw_write,
    .zero = raw_zero,
    .read = raw_read,
    .is_hole = raw_is_hole,
    .uncache = raw_uncache,
    .flush = raw_flush,
    .finish = raw_flush,
    .close = raw_close,
};
