#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"

/* Where QEMU puts its image locks: block/file-posix.c, RAW_LOCK_PERM_BASE and
 * RAW_LOCK_SHARED_BASE, one byte a permission. */
#define QEMU_LOCK_FIRST 100
#define QEMU_LOCK_COUNT 200

#define DIR_REMOVE_DEPTH_MAX 8

ssize_t
fd_pread(int fd, void *data, size_t len, uint64_t offset, const char *name, struct err *err)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = pread(fd, (char *)data + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "%s: read %zu bytes at %" PRIu64, name, len - done,
                             offset + done);
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

int
fd_pread_exact(int fd, void *data, size_t len, uint64_t offset, const char *name, struct err *err)
{
    ssize_t n = fd_pread(fd, data, len, offset, name, err);
    if (n < 0)
        return -1;
    if ((size_t)n < len)
        return err_set(err, ERR_INVALID, "%s: ends at byte %" PRIu64 ", %zu bytes too early", name,
                       offset + (uint64_t)n, len - (size_t)n);
    return 0;
}

int
fd_pwrite(int fd, const void *data, size_t len, uint64_t offset, const char *name, struct err *err)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = pwrite(fd, (const char *)data + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_errno(err, n == 0 ? ENOSPC : errno, "%s: write %zu bytes at %" PRIu64, name,
                             len - done, offset + done);
        done += (size_t)n;
    }
    return 0;
}

int
fd_write(int fd, const void *data, size_t len, const char *name, struct err *err)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = write(fd, (const char *)data + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_errno(err, n == 0 ? ENOSPC : errno, "%s: write", name);
        done += (size_t)n;
    }
    return 0;
}

int
file_read(const char *path, size_t max, char **ret_text, size_t *ret_len, struct err *err)
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "%s: open", path);
    auto_buf struct buf buf = BUF_INIT(max);
    if (buf_read_fd(&buf, fd, err) < 0)
        return err_prefix(err, "%s", path);
    *ret_text = TAKE_PTR(buf.data);
    if (ret_len)
        *ret_len = buf.len;
    return 0;
}

int
dir_sync_of(const char *path, struct err *err)
{
    auto_free char *copy = strdup(path);
    if (!copy)
        return err_errno(err, ENOMEM, "%s", path);
    const char *dir = dirname(copy);
    auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return err_errno(err, errno, "%s: sync directory", dir);
    return 0;
}

int
file_rename_durable(const char *from, const char *to, struct err *err)
{
    if (rename(from, to) < 0)
        return err_errno(err, errno, "%s: rename to %s", from, to);
    return dir_sync_of(to, err);
}

int
file_write_atomic(const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
    auto_free char *tmp = NULL;
    if (asprintf(&tmp, "%s.XXXXXX", path) < 0)
        return err_errno(err, ENOMEM, "%s", path);
    auto_close int fd = mkostemp(tmp, O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "%s: create", tmp);
    int r = fd_write(fd, data, len, path, err);
    if (r == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
        r = err_errno(err, errno, "%s: sync", tmp);
    if (r == 0)
        r = file_rename_durable(tmp, path, err);
    if (r < 0)
        unlink(tmp);
    return r;
}

int
dir_make_private(const char *parent, char **ret_path, struct err *err)
{
    if (!parent)
        parent = getenv("TMPDIR");
    if (!parent)
        parent = "/tmp";
    auto_free char *path = NULL;
    if (asprintf(&path, "%s/vmferry-XXXXXX", parent) < 0)
        return err_errno(err, ENOMEM, "%s", parent);
    if (!mkdtemp(path))
        return err_errno(err, errno, "%s: make a directory", parent);
    *ret_path = TAKE_PTR(path);
    return 0;
}

static void
close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

static int
remove_at(int parent_fd, const char *name, int depth, struct err *err)
{
    auto_close int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : err_errno(err, errno, "%s: open directory", name);
    AUTO(close_dir) DIR *dir = fdopendir(fd);
    if (!dir)
        return err_errno(err, errno, "%s: open directory", name);
    int dir_fd = TAKE_FD(fd);
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        const char *child = entry->d_name;
        if (strcmp(child, ".") == 0 || strcmp(child, "..") == 0)
            continue;
        if (unlinkat(dir_fd, child, 0) == 0)
            continue;
        if (errno != EISDIR || depth == 0)
            return err_errno(err, errno, "%s/%s: remove", name, child);
        if (remove_at(dir_fd, child, depth - 1, err) < 0)
            return -1;
    }
    if (unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return err_errno(err, errno, "%s: remove directory", name);
    return 0;
}

int
dir_remove(const char *path, struct err *err)
{
    return remove_at(AT_FDCWD, path, DIR_REMOVE_DEPTH_MAX, err);
}

int
fd_lock_image(int fd, const char *name, struct err *err)
{
    struct flock lock = {
        .l_type = F_WRLCK,
        .l_whence = SEEK_SET,
        .l_start = QEMU_LOCK_FIRST,
        .l_len = QEMU_LOCK_COUNT,
    };
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        return err_set(err, ERR_CONFLICT,
                       "%s: in use by another program (a running VM or another copy): stop that "
                       "first",
                       name);
    return err_errno(err, errno, "%s: lock", name);
}
