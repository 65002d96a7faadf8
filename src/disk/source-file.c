/* Raw files and block devices, or a part of one (a member of a tar). And the disk that is empty. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "disk/direct-io.h"
#include "disk/source.h"

/* A lane copies at the speed of memory or keeps the disk busy with its one request; more than these
 * gained nothing on the disks measured (BENCHMARKING.md). */
#define FILE_LANES_MAX 4

struct file_source {
    struct source source;
    int fd;
    uint64_t offset; /* bytes; where the disk begins in the file ... */
    uint64_t bytes;  /* ... and how many of it there are */
    int direct_fd;
    atomic_bool direct; /* worth using: the file system can, and the disk begins on a page */
    struct cache_view cached;
    bool can_seek_data;
};

static const struct source_ops file_ops;

static struct file_source *
to_file(struct source *src)
{
    return (struct file_source *)src;
}

int
source_file_open(const char *name, struct file_window window, struct source **ret, struct err *err)
{
    auto_close int fd = window.fd;
    auto_free struct file_source *file = calloc(1, sizeof *file);
    auto_free char *copy = strdup(name);
    if (!file || !copy)
        return err_errno(err, ENOMEM, "%s", name);
    bool direct;
    auto_close int direct_fd = direct_open(fd, name, &direct, err);
    if (direct_fd < 0)
        return -1;
    file->offset = window.offset;
    file->bytes = window.bytes;
    file->source = (struct source){
        .ops = &file_ops,
        .name = TAKE_PTR(copy),
        .bytes = round_up(window.bytes, SECTOR_BYTES),
        .n_lanes = source_lanes_for_cpus(FILE_LANES_MAX),
        .depth = 1,
        .ask_bytes = REQUEST_BYTES, /* some file systems look at every page up to the next hole */
    };
    struct stat st;
    file->can_seek_data = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    posix_fadvise(fd, (off_t)window.offset, (off_t)window.bytes, POSIX_FADV_SEQUENTIAL);
    file->direct_fd = TAKE_FD(direct_fd);
    file->direct = direct && window.offset % IO_ALIGN == 0;
    if (file->direct)
        cache_view_open(&file->cached, fd, window.offset + window.bytes);
    file->fd = TAKE_FD(fd);
    *ret = &TAKE_PTR(file)->source;
    return 0;
}

static int
file_extents(struct source *src, uint64_t offset, uint64_t len, struct extent_list *ret,
             struct err *err)
{
    struct file_source *file = to_file(src);
    uint64_t end = offset + len;
    extent_clear(ret);
    if (!file->can_seek_data)
        return extent_add(ret, offset, len, false, err);
    off_t data = lseek(file->fd, (off_t)(file->offset + offset), SEEK_DATA);
    if (data < 0 && errno == ENXIO)
        return extent_add(ret, offset, len, true, err);
    if (data < 0) {
        file->can_seek_data = false;
        return extent_add(ret, offset, len, false, err);
    }
    uint64_t data_at = MIN((uint64_t)data - file->offset, end);
    if (data_at > offset && extent_add(ret, offset, data_at - offset, true, err) < 0)
        return -1;
    if (data_at == end)
        return 0;
    off_t hole = lseek(file->fd, data, SEEK_HOLE);
    uint64_t hole_at = hole < 0 ? end : MIN((uint64_t)hole - file->offset, end);
    return extent_add(ret, data_at, hole_at - data_at, false, err);
}

/* What is in the page cache comes from there, the rest past it. */
static int
file_source_read(struct source *src, unsigned lane, struct request *req, struct err *err)
{
    (void)lane;
    struct file_source *file = to_file(src);
    uint64_t offset = file->offset + req->offset;
    size_t len = (size_t)MIN((uint64_t)req->len, file->bytes - req->offset);
    size_t done = 0;
    memset(req->data + len, 0, req->len - len);
    if (atomic_load(&file->direct) && !cache_view_holds(&file->cached, offset, len)) {
        ssize_t n = pread(file->direct_fd, req->data, round_down(len, IO_ALIGN), (off_t)offset);
        if (n < 0 && errno == EINVAL)
            atomic_store(&file->direct, false); /* blocks larger than ours, or no real O_DIRECT */
        if (n > 0)
            done = (size_t)n;
    }
    /* All of it, or the rest; and an error of the device is met, and told, here. */
    return fd_pread_exact(file->fd, req->data + done, len - done, offset + done, src->name, err);
}

static void
file_close(struct source *src)
{
    struct file_source *file = to_file(src);
    cache_view_close(&file->cached);
    close(file->direct_fd);
    close(file->fd);
    free(src->name);
    free(src);
}

static const struct source_ops file_ops = {
    .name = "file",
    .extents = file_extents,
    .read = file_source_read,
    .close = file_close,
};

/* ---- nothing at all ---- */

static int
zero_extents(struct source *src, uint64_t offset, uint64_t len, struct extent_list *ret,
             struct err *err)
{
    (void)src;
    extent_clear(ret);
    return extent_add(ret, offset, len, true, err);
}

static int
zero_read(struct source *src, unsigned lane, struct request *req, struct err *err)
{
    (void)src;
    (void)lane;
    (void)err;
    memset(req->data, 0, req->len);
    return 0;
}

static void
zero_close(struct source *src)
{
    free(src->name);
    free(src);
}

static const struct source_ops zero_ops = {
    .name = "empty",
    .extents = zero_extents,
    .read = zero_read,
    .close = zero_close,
};

int
source_zero_open(uint64_t bytes, struct source **ret, struct err *err)
{
    auto_free struct source *src = calloc(1, sizeof *src);
    auto_free char *name = strdup("empty disk");
    if (!src || !name)
        return err_errno(err, ENOMEM, "empty disk");
    *src = (struct source){
        .ops = &zero_ops,
        .name = TAKE_PTR(name),
        .bytes = round_up(bytes, SECTOR_BYTES),
        .n_lanes = 1,
        .depth = 1,
    };
    snprintf(src->identity, sizeof src->identity, "empty %" PRIu64, bytes);
    *ret = TAKE_PTR(src);
    return 0;
}
