/* -o local: NAME-sda, NAME-sdb ... and NAME.xml in a directory, as virt-v2v writes them. The XML
 * comes last: where it is, all is there. -o null: nothing. */
#include "platform/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

static int check_free(const char *path, struct err *err);
static int move_there(const char *made, const char *final, mode_t mode, struct err *err);
static int move_back(const char *made, const char *final, struct err *err);

int
files_check_dir(const struct placement *p, const char *what, struct err *err)
{
    struct stat st;
    if (stat(p->dir, &st) < 0)
        return err_errno(err, errno, "%s", what);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, ERR_INVALID, "%s: is not a directory", what);
    if (access(p->dir, W_OK | X_OK) < 0)
        return err_errno(err, errno, "%s: cannot be written to", what);
    return 0;
}

int
files_check_disks(const struct placement *p, struct err *err)
{
    for (size_t i = 0; i < p->n_disks; i++)
        if (check_free(p->disks[i].final, err) < 0)
            return -1;
    return 0;
}

static int
check_free(const char *path, struct err *err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : err_errno(err, errno, "%s", path);
    if (S_ISLNK(st.st_mode))
        return err_set(err, ERR_CONFLICT,
                       "%s: is a link; writing through it is not supported by this version of "
                       "vmferry: remove it",
                       path);
    return err_set(err, ERR_CONFLICT,
                   "%s: exists already: remove it or give the machine another name with -on", path);
}

int
files_place_disks(const struct placement *p, struct err *err)
{
    for (size_t i = 0; i < p->n_disks; i++)
        if (move_there(p->disks[i].made, p->disks[i].final, p->file_mode, err) < 0)
            return -1;
    return 0;
}

static bool
is_same_file(const char *a, const char *b)
{
    struct stat st_a, st_b;
    return stat(a, &st_a) == 0 && stat(b, &st_b) == 0 && st_a.st_dev == st_b.st_dev &&
           st_a.st_ino == st_b.st_ino;
}

/* Some file systems (NFS) have no rename that refuses to replace; there a link does, which a crash
 * may leave beside the old name. */
static int
rename_new(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno == EINVAL && link(from, to) == 0)
        return unlink(from);
    if (errno == EEXIST && is_same_file(from, to))
        return unlink(from);
    return -1;
}

static int
move_there(const char *made, const char *final, mode_t mode, struct err *err)
{
    if (access(made, F_OK) < 0 && access(final, F_OK) == 0)
        return 0; /* moved by the run before */
    auto_close int fd = open(made, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "%s: open", made);
    if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
        return err_errno(err, errno, "%s: sync", made);
    if (rename_new(made, final) < 0)
        return err_errno(err, errno, "%s: rename to %s", made, final);
    return dir_sync_of(final, err);
}

int
files_take_back_disks(const struct placement *p, struct err *err)
{
    for (size_t i = 0; i < p->n_disks; i++)
        if (move_back(p->disks[i].made, p->disks[i].final, err) < 0)
            return -1;
    return 0;
}

/* Where the made one is gone, what has the final name is it: the names were free. A link beside it
 * is left over from a rename that a crash has cut in two. */
static int
move_back(const char *made, const char *final, struct err *err)
{
    bool moved = access(made, F_OK) < 0 || is_same_file(made, final);
    if (!moved || access(final, F_OK) < 0)
        return 0;
    if (rename_new(final, made) < 0)
        return err_errno(err, errno, "%s: rename back to %s", final, made);
    return dir_sync_of(made, err) < 0 ? -1 : dir_sync_of(final, err);
}

/* ---- the tables ---- */

static int
local_check_dir(const struct placement *p, struct err *err)
{
    char what[PATH_MAX + 8];
    snprintf(what, sizeof what, "-os %s", p->dir);
    return files_check_dir(p, what, err);
}

static int
local_check_names(const struct placement *p, struct err *err)
{
    return files_check_disks(p, err) < 0 ? -1 : check_free(p->final_xml, err);
}

static int
local_place(const struct placement *p, struct err *err)
{
    return files_place_disks(p, err) < 0 ? -1
                                         : move_there(p->made_xml, p->final_xml, p->file_mode, err);
}

static int
local_take_back(const struct placement *p, struct err *err)
{
    return move_back(p->made_xml, p->final_xml, err) < 0 ? -1 : files_take_back_disks(p, err);
}

static int
null_check_dir(const struct placement *p, struct err *err)
{
    if (access(p->dir, W_OK | X_OK) < 0)
        return err_errno(err, errno, "%s: the directory for temporary files", p->dir);
    return 0;
}

static int
null_place(const struct placement *p, struct err *err)
{
    (void)p;
    (void)err;
    return 0;
}

const struct platform platform_local = {
    .name = "local",
    .keeps = true,
    .check_dir = local_check_dir,
    .check_names = local_check_names,
    .place = local_place,
    .take_back = local_take_back,
};

const struct platform platform_null = {
    .name = "null",
    .check_dir = null_check_dir,
    .place = null_place,
};
