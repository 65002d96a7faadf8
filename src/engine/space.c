#include "engine/space.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/checked.h"
#include "base/size.h"

/* What virt-v2v demands for its scratch files before it starts. */
#define CONVERSION_BYTES GIB

static void add_disk(const struct migration *m, size_t i, uint64_t *sure, uint64_t *most);

int
space_check(const struct migration *m, struct err *err)
{
    struct statvfs fs;
    if (statvfs(m->work.path, &fs) < 0)
        return err_errno(err, errno, "%s: ask for free space", m->work.path);
    uint64_t there = (uint64_t)fs.f_bavail * fs.f_frsize;
    uint64_t sure = m->job->convert ? CONVERSION_BYTES : 0, most = sure;
    for (size_t i = 0; i < m->vm->n_disks; i++)
        add_disk(m, i, &sure, &most);

    char free_text[SIZE_TEXT_MAX], need_text[SIZE_TEXT_MAX];
    size_format(there, free_text);
    if (sure > there)
        return err_set(err, ERR_IO, "%s: %s are free, at least %s are needed: make room there",
                       m->paths.dir, free_text, size_format(sure, need_text));
    if (most > there)
        migration_log(
            m, LOG_LEVEL_WARNING, "little-space",
            "%s: %s are free, up to %s may be needed, depending on how full the disks are",
            m->paths.dir, free_text, size_format(most, need_text));
    return 0;
}

static uint64_t
allocated_bytes(const char *path, const char *suffix)
{
    struct stat st;
    auto_free char *name = NULL;
    if (asprintf(&name, "%s%s", path, suffix) < 0)
        return 0;
    return stat(name, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

/* A disk that is complete needs nothing. A compressed stream holds no zeroes worth mentioning and
 * only grows; of other formats nothing is sure, for zeroes that they store are not copied. */
static void
add_disk(const struct migration *m, size_t i, uint64_t *sure, uint64_t *most)
{
    const struct vm_disk *disk = &m->vm->disks[i];
    struct stat st;
    if (stat(m->paths.disks[i], &st) == 0)
        return;
    uint64_t there = allocated_bytes(m->paths.disks[i], PART_SUFFIX);
    uint64_t whole = disk->capacity_bytes - MIN(disk->capacity_bytes, there);
    uint64_t least = 0;
    bool stream =
        disk->image.window_bytes && disk->image.format && strcmp(disk->image.format, "vmdk") == 0;
    if (m->job->preallocated)
        least = whole;
    else if (stream)
        least = disk->image.window_bytes - MIN(disk->image.window_bytes, there);
    /* Saturating: a sum of lies is only a warning or a refusal. */
    if (!checked_add(*sure, least, sure))
        *sure = UINT64_MAX;
    if (!checked_add(*most, MAX(whole, least), most))
        *most = UINT64_MAX;
}
