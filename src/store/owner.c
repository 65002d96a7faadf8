#include "store/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"

#define PID_TEXT_MAX 32

static void read_pid(int fd, char text[PID_TEXT_MAX]);
static void write_pid(int fd);

int
owner_take(const char *path, struct owner *ret_owner, struct err *err)
{
    char pid[PID_TEXT_MAX];
    auto_free char *file = NULL;
    if (asprintf(&file, "%s-lock", path) < 0)
        return err_errno(err, ENOMEM, "%s", path);
    auto_close int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0)
        return err_errno(err, errno, "%s: open the lock of the store", file);
    int r = flock(fd, LOCK_EX | LOCK_NB);
    if (r < 0 && errno != EWOULDBLOCK)
        return err_errno(err, errno, "%s: lock", file);
    read_pid(fd, pid);
    if (r < 0)
        return err_set(err, ERR_CONFLICT, "%s: another vmferryd owns this store (%s%s)", path,
                       pid[0] ? "pid " : "its pid is not known", pid);
    write_pid(fd);
    *ret_owner = (struct owner){ .path = TAKE_PTR(file), .fd = TAKE_FD(fd), .unclean = pid[0] };
    return 0;
}

/* A number, or "" for anything else. */
static void
read_pid(int fd, char text[PID_TEXT_MAX])
{
    ssize_t n = pread(fd, text, PID_TEXT_MAX - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    text[strspn(text, "0123456789")] = '\0';
}

/* For people and for `unclean` only: a disk that is full must not keep anyone from looking at what
 * is stored. */
static void
write_pid(int fd)
{
    char text[PID_TEXT_MAX];
    int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)len, 0) == len)
        fsync(fd);
}

void
owner_release(struct owner *owner, bool clean)
{
    if (owner->fd >= 0 && clean && ftruncate(owner->fd, 0) == 0)
        fsync(owner->fd);
    if (owner->fd >= 0)
        close(owner->fd);
    free(owner->path);
    *owner = OWNER_INIT;
}
