/* The doctor: memory, and directories for images and scratch files. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/size.h"
#include "engine/doctor-probe.h"

#define CONVERSION_BYTES (2 * GIB) /* an appliance, its kernel and what it caches */
#define SCRATCH_BYTES GIB          /* what virt-v2v demands before it starts */
#define PROBE_BLOCK 4096
#define PROBE_HOLE (MIB)
#define FILE_MAX ((size_t)1 << 20)

/* ---- memory ---- */

/* "MemAvailable:   123 kB" */
static bool
read_available(uint64_t *ret_bytes)
{
    auto_free char *text = NULL;
    struct err ignored = ERR_INIT;
    uint64_t kib;
    if (file_read("/proc/meminfo", FILE_MAX, &text, NULL, &ignored) < 0)
        return false;
    const char *at = strstr(text, "MemAvailable:");
    return at && sscanf(at, "MemAvailable: %" SCNu64, &kib) == 1 &&
           checked_mul(kib, 1024, ret_bytes);
}

static bool
read_number(const char *dir, const char *name, uint64_t *ret)
{
    char path[PATH_MAX + 64];
    auto_free char *text = NULL;
    struct err ignored = ERR_INIT;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return file_read(path, 64, &text, NULL, &ignored) == 0 && sscanf(text, "%" SCNu64, ret) == 1;
}

/* What the control group that we are in (a container, a service) leaves us. */
static bool
read_group_limit(uint64_t *ret_bytes)
{
    char dir[PATH_MAX];
    auto_free char *text = NULL;
    struct err ignored = ERR_INIT;
    uint64_t most, used;
    if (file_read("/proc/self/cgroup", FILE_MAX, &text, NULL, &ignored) < 0)
        return false;
    const char *at = strstr(text, "0::/");
    if (!at)
        return false;
    at += strlen("0::");
    snprintf(dir, sizeof dir, "/sys/fs/cgroup%.*s", (int)MIN(strcspn(at, "\n"), (size_t)2048), at);
    if (!read_number(dir, "memory.max", &most) || !read_number(dir, "memory.current", &used))
        return false;
    *ret_bytes = most > used ? most - used : 0;
    return true;
}

void
doctor_host(struct doctor *d)
{
    uint64_t bytes, limit;
    char text[SIZE_TEXT_MAX];
    if (!read_available(&bytes))
        return;
    bool limited = read_group_limit(&limit) && limit < bytes;
    if (limited)
        bytes = limit;
    struct doctor_word word = { .group = "host", .code = "memory" };
    if (bytes < CONVERSION_BYTES) {
        word.level = bytes < CONVERSION_BYTES / 2 ? DOCTOR_ERROR : DOCTOR_WARNING;
        word.cause = "a conversion needs about 2 GiB, and each disk that is copied 64 MiB";
        word.cure = limited ? "raise the memory limit of this container or service"
                            : "stop something, or use a host with more memory";
    }
    doctor_say(d, &word, "memory: %s available%s", size_format(bytes, text),
               limited ? " within the limit of the control group" : "");
}

/* ---- directories ---- */

struct file_system {
    long type;
    const char *name;
    const char *warning; /* NULL: none */
};

static const struct file_system file_systems[] = {
    { EXT4_SUPER_MAGIC, "ext4", NULL },
    { XFS_SUPER_MAGIC, "xfs", NULL },
    { BTRFS_SUPER_MAGIC, "btrfs", NULL },
    { NFS_SUPER_MAGIC, "nfs", NULL },
    { OVERLAYFS_SUPER_MAGIC, "overlayfs", NULL },
    { TMPFS_MAGIC, "tmpfs", "what is kept there takes memory, and is gone after a restart" },
    { RAMFS_MAGIC, "ramfs", "what is kept there takes memory, and is gone after a restart" },
    { MSDOS_SUPER_MAGIC, "vfat", "files are at most 4 GiB and have no holes there" },
    { 0, NULL, NULL },
};

static const struct file_system *
file_system_of(const char *dir)
{
    struct statfs fs;
    const struct file_system *known = file_systems;
    if (statfs(dir, &fs) < 0)
        return &file_systems[ARRAY_LEN(file_systems) - 1];
    while (known->name && known->type != (long)fs.f_type)
        known++;
    return known;
}

struct features {
    bool direct, holes, punch;
};

/* Tried out on a file without a name. */
static int
try_features(const char *dir, struct features *ret, struct err *err)
{
    struct stat st;
    auto_free void *block = NULL;
    auto_free char *name = NULL;
    if (asprintf(&name, "%s/.vmferry-doctor-XXXXXX", dir) < 0) {
        name = NULL;
        return err_errno(err, ENOMEM, "%s", dir);
    }
    if (posix_memalign(&block, PROBE_BLOCK, PROBE_BLOCK) != 0)
        return err_errno(err, ENOMEM, "%s", dir);
    memset(block, 1, PROBE_BLOCK);
    auto_close int fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "%s: create a file", dir);
    auto_close int direct_fd = open(name, O_RDWR | O_DIRECT | O_CLOEXEC);
    unlink(name);
    if (fd_pwrite(fd, block, PROBE_BLOCK, PROBE_HOLE, dir, err) < 0)
        return -1;
    ret->direct = direct_fd >= 0 &&
                  pwrite(direct_fd, block, PROBE_BLOCK, 2 * PROBE_HOLE) == (ssize_t)PROBE_BLOCK;
    if (fsync(fd) < 0)
        return err_errno(err, errno, "%s: write a file", dir);
    off_t data = lseek(fd, 0, SEEK_DATA);
    ret->holes = data > 0 && fstat(fd, &st) == 0 && (uint64_t)st.st_blocks * 512 < PROBE_HOLE;
    ret->punch =
        fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PROBE_HOLE, PROBE_BLOCK) == 0;
    return 0;
}

static void
say_directory(struct doctor *d, const char *dir, enum doctor_level level, const char *code,
              const char *what, const char *cause, const char *cure)
{
    doctor_say(d,
               &(struct doctor_word){ .level = level,
                                      .group = "directories",
                                      .code = code,
                                      .value = dir,
                                      .cause = cause,
                                      .cure = cure },
               "%s", what);
}

static void
look_at_features(struct doctor *d, const char *dir)
{
    char what[PATH_MAX + 128];
    struct features features = { 0 };
    struct err err = ERR_INIT;
    const struct file_system *fs = file_system_of(dir);
    if (try_features(dir, &features, &err) < 0) {
        say_directory(d, dir, DOCTOR_ERROR, "directory", err.text, "images are written there",
                      "make it writable, or name another one");
        return;
    }
    snprintf(what, sizeof what, "%s: %s%sdirect I/O %s, holes %s, punching holes %s", dir,
             fs->name ? fs->name : "", fs->name ? "; " : "", features.direct ? "yes" : "no",
             features.holes ? "yes" : "no", features.punch ? "yes" : "no");
    bool good = features.direct && features.holes && features.punch && !fs->warning;
    const char *cause = fs->warning        ? fs->warning
                        : !features.holes  ? "images are stored with all their zeroes there"
                        : !features.punch  ? "space that a guest frees stays taken there"
                        : !features.direct ? "copies go through the page cache there, which takes "
                                             "memory and processor time"
                                           : NULL;
    say_directory(d, dir, good ? DOCTOR_OK : DOCTOR_WARNING, "file-system", what, cause,
                  good ? NULL : "use a local ext4 or xfs, or NFS 4.2, for images");
}

/* least: below that it cannot be worked with; 0: unknown. */
static bool
look_at_space(struct doctor *d, const char *dir, uint64_t least, const char *use)
{
    struct statvfs fs;
    struct stat st;
    char size[SIZE_TEXT_MAX], what[PATH_MAX + 128];
    if (stat(dir, &st) < 0 || statvfs(dir, &fs) < 0 || !S_ISDIR(st.st_mode) ||
        access(dir, W_OK | X_OK) < 0) {
        int why = stat(dir, &st) == 0 && !S_ISDIR(st.st_mode) ? ENOTDIR : errno;
        snprintf(what, sizeof what, "%s: %s", dir, strerror(why));
        say_directory(d, dir, DOCTOR_ERROR, "directory", what, use,
                      "make it, let this user write there, or name another one");
        return false;
    }
    uint64_t bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    snprintf(what, sizeof what, "%s: %s free%s", dir, size_format(bytes, size),
             least ? ", for scratch files" : "");
    bool tight = bytes < least;
    say_directory(d, dir, tight ? DOCTOR_ERROR : DOCTOR_OK, "space", what, tight ? use : NULL,
                  tight ? "make room there, or name another directory" : NULL);
    return true;
}

/* Where virt-v2v and libguestfs put what they need while they work; virt-v2v's own order. */
static const char *
scratch_dir(void)
{
    static const char *const names[] = { "VIRT_V2V_TMPDIR", "LIBGUESTFS_CACHEDIR", "TMPDIR" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *dir = getenv(names[i]);
        if (dir && *dir)
            return dir;
    }
    return "/var/tmp";
}

void
doctor_directories(struct doctor *d)
{
    size_t i;
    json_t *dir;
    look_at_space(d, scratch_dir(), SCRATCH_BYTES,
                  "a conversion keeps about 1 GiB of scratch files there");
    json_array_foreach (json_object_get(d->start, "dirs"), i, dir)
        if (look_at_space(d, json_string_value(dir), 0, "images are written there"))
            look_at_features(d, json_string_value(dir));
}
