#include "disk/direct-io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#define ROOM_STEP_BYTES (256 * MIB)
/* Room is not reserved when less than this would stay free: it might be all that the image, its map
 * and its neighbours have. */
#define ROOM_SPARE_BYTES GIB

int
direct_open(int fd, const char *name, bool *ret_direct, struct err *err)
{
    char path[32];
    int mode = fcntl(fd, F_GETFL) & O_ACCMODE;
    struct statfs fs;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    bool in_memory = fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
    int second = in_memory ? -1 : open(path, mode | O_DIRECT | O_CLOEXEC);
    *ret_direct = second >= 0;
    if (second < 0)
        second = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (second < 0)
        return err_errno(err, errno, "%s: open", name);
    return second;
}

void
cache_drop(int fd)
{
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* an advice: where it is not heeded, so be it */
}

void
room_ahead_want(struct room_ahead *room, int fd, uint64_t bytes)
{
    if (!room->useful || bytes <= room->reached)
        return;
    uint64_t reach = round_up(bytes, ROOM_STEP_BYTES);
    struct statvfs fs;
    if (fstatvfs(fd, &fs) < 0 ||
        (uint64_t)fs.f_bavail * fs.f_frsize < reach - room->reached + ROOM_SPARE_BYTES ||
        fallocate(fd, 0, (off_t)room->reached, (off_t)(reach - room->reached)) < 0)
        room->useful = false;
    room->reached = reach;
}

void
cache_view_open(struct cache_view *view, int fd, uint64_t bytes)
{
    void *address = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    *view =
        (struct cache_view){ .address = address == MAP_FAILED ? NULL : address, .bytes = bytes };
}

void
cache_view_close(struct cache_view *view)
{
    if (view->address)
        munmap(view->address, view->bytes);
    view->address = NULL;
}

bool
cache_view_holds(const struct cache_view *view, uint64_t offset, size_t len)
{
    unsigned char pages[REQUEST_BYTES / IO_ALIGN];
    size_t n = len / IO_ALIGN, held = 0;
    if (!view->address || n == 0 || n > sizeof pages || offset % IO_ALIGN != 0 ||
        offset + len > view->bytes ||
        mincore((uint8_t *)view->address + offset, n * IO_ALIGN, pages) < 0)
        return false;
    for (size_t i = 0; i < n; i++)
        held += pages[i] & 1;
    return held > n / 2;
}

int
target_identity_of(int fd, const char *name, char ret[TARGET_IDENTITY_MAX], struct err *err)
{
    struct statx stx;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &stx) < 0)
        return err_errno(err, errno, "%s: stat", name);
    struct statx_timestamp born = { 0 };
    if (stx.stx_mask & STATX_BTIME)
        born = stx.stx_btime;
    snprintf(ret, TARGET_IDENTITY_MAX, "%x:%x:%" PRIu64 " %lld.%09u", (unsigned)stx.stx_dev_major,
             (unsigned)stx.stx_dev_minor, (uint64_t)stx.stx_ino, (long long)born.tv_sec,
             (unsigned)born.tv_nsec);
    return 0;
}
