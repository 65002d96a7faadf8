#include "guest/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"

static char *path_absolute(const char *path, struct err *err);
static int check_base(const char *base, struct err *err);
static int qemu_img(const char *const argv[], struct err *err);

/* qemu-img takes an absolute path as it is: no protocol, no option list, no argument is looked for
 * in it. So every name goes to it in that form. */

int
overlay_create(const char *base, const char *base_format, const char *overlay_path, struct err *err)
{
    struct stat st;
    if (lstat(overlay_path, &st) == 0)
        return err_set(err, ERR_CONFLICT, "%s: there is a file of this name already", overlay_path);
    auto_free char *overlay_abs = path_absolute(overlay_path, err);
    auto_free char *base_abs = path_absolute(base, err);
    if (!overlay_abs || !base_abs || check_base(base_abs, err) < 0)
        return -1;
    const char *argv[] = { "qemu-img",  "create", "-q",     "-f",        "qcow2", "-F",
                           base_format, "-b",     base_abs, overlay_abs, NULL };
    if (qemu_img(argv, err) < 0) {
        unlink(overlay_abs);
        return err_prefix(err, "%s: make an overlay", base);
    }
    return 0;
}

int
overlay_commit(const char *overlay_path, const char *base, struct err *err)
{
    auto_free char *overlay_abs = path_absolute(overlay_path, err);
    auto_free char *base_abs = path_absolute(base, err);
    if (!overlay_abs || !base_abs || check_base(base_abs, err) < 0)
        return -1;
    /* -d: the overlay keeps its content, for a second try. -b: into this base or not at all. */
    const char *argv[] = { "qemu-img", "commit", "-q",     "-d",        "-f",
                           "qcow2",    "-b",     base_abs, overlay_abs, NULL };
    if (qemu_img(argv, err) < 0)
        return err_prefix(err, "%s: write the conversion into the image", base);
    auto_close int fd = open(base_abs, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return err_errno(err, errno, "%s: sync", base);
    return 0;
}

int
overlay_drop(const char *overlay_path, struct err *err)
{
    if (unlink(overlay_path) < 0 && errno != ENOENT)
        return err_errno(err, errno, "%s: remove", overlay_path);
    return 0;
}

static char *
path_absolute(const char *path, struct err *err)
{
    char *out = NULL;
    if (*path == '/') {
        out = strdup(path);
    } else {
        auto_free char *dir = getcwd(NULL, 0);
        if (dir && asprintf(&out, "%s/%s", dir, path) < 0)
            out = NULL;
    }
    if (!out)
        err_errno(err, errno, "%s", path);
    return out;
}

static int
check_base(const char *base, struct err *err)
{
    struct stat st;
    if (stat(base, &st) < 0)
        return err_errno(err, errno, "%s", base);
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return err_set(err, ERR_INVALID, "%s: neither a file nor a block device", base);
    return 0;
}

static int
qemu_img(const char *const argv[], struct err *err)
{
    struct proc_spec spec = PROC_SPEC_INIT;
    spec.argv = argv;
    return proc_run(&spec, -1, NULL, NULL, NULL, err);
}
