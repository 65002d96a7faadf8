#include "engine/workdir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define LOCK_FILE "lock"
#define LOCK_TRIES 5

static int make_or_check(const char *path, bool *ret_fresh, struct err *err);
static int lock(const char *path, int *ret_fd, struct err *err);

int
workdir_open(const char *dir, const char *name, struct workdir *ret_work, struct err *err)
{
    auto_free char *path = NULL;
    if (asprintf(&path, "%s/.vmferry-%s", dir, name) < 0)
        return err_errno(err, ENOMEM, "%s", dir);
    bool fresh = false;
    auto_close int fd = -1;
    if (make_or_check(path, &fresh, err) < 0 || lock(path, &fd, err) < 0)
        return -1;
    *ret_work = (struct workdir){ .path = TAKE_PTR(path), .lock_fd = TAKE_FD(fd), .fresh = fresh };
    return 0;
}

int
workdir_clear(struct workdir *work, struct err *err)
{
    bool fresh = false;
    if (dir_remove(work->path, err) < 0)
        return -1;
    close(TAKE_FD(work->lock_fd));
    if (make_or_check(work->path, &fresh, err) < 0 || lock(work->path, &work->lock_fd, err) < 0)
        return -1;
    work->fresh = fresh;
    return 0;
}

/* The name can be guessed and the place may be public: a link or a stranger's folder is refused. */
static int
make_or_check(const char *path, bool *ret_fresh, struct err *err)
{
    struct stat st;
    if (mkdir(path, 0700) == 0) {
        *ret_fresh = true;
        return 0;
    }
    if (errno != EEXIST)
        return err_errno(err, errno, "%s: make the working folder", path);
    if (lstat(path, &st) < 0)
        return err_errno(err, errno, "%s", path);
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
        return err_set(err, ERR_CONFLICT,
                       "%s: is not a private folder of this user: remove it, it is in the way of "
                       "vmferry's working folder",
                       path);
    *ret_fresh = false;
    return 0;
}

/* The lock counts only if the file is still there under its name: its last owner may have removed
 * the folder between our open and our flock. */
static int
lock(const char *path, int *ret_fd, struct err *err)
{
    auto_free char *file = NULL;
    if (asprintf(&file, "%s/" LOCK_FILE, path) < 0)
        return err_errno(err, ENOMEM, "%s", path);
    for (int i = 0; i < LOCK_TRIES; i++) {
        struct stat named, locked;
        auto_close int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
            return err_errno(err, errno, "%s: open", file);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
            return errno == EWOULDBLOCK
                       ? err_set(err, ERR_CONFLICT,
                                 "%s: another migration of this name is running: wait for it, or "
                                 "give this machine another name with -on",
                                 path)
                       : err_errno(err, errno, "%s: lock", file);
        if (fstat(fd, &locked) == 0 && stat(file, &named) == 0 && named.st_ino == locked.st_ino) {
            *ret_fd = TAKE_FD(fd);
            return 0;
        }
    }
    return err_set(err, ERR_CONFLICT, "%s: appears and disappears: something else works in it",
                   path);
}

int
workdir_path(const struct workdir *work, const char *file, char **ret_path, struct err *err)
{
    if (asprintf(ret_path, "%s/%s", work->path, file) < 0) {
        *ret_path = NULL;
        return err_errno(err, ENOMEM, "%s", work->path);
    }
    return 0;
}

int
workdir_remove(struct workdir *work, struct err *err)
{
    int r = work->path ? dir_remove(work->path, err) : 0;
    workdir_close(work);
    return r;
}

void
workdir_close(struct workdir *work)
{
    free(work->path);
    if (work->lock_fd >= 0)
        close(work->lock_fd);
    *work = WORKDIR_INIT;
}
