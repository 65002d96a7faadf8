/* What lies on this host: an OVA, disk images, a libvirt domain's XML. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "descriptor/diskfiles.h"
#include "descriptor/libvirtxml.h"
#include "descriptor/ova.h"
#include "engine/source.h"
#include "wire/image-format.h"

static const struct source_ops file_ops;
static int look_at_header(struct vm_disk *disk, struct err *err);

int
source_file_new(struct source **ret, struct err *err)
{
    struct source *src = calloc(1, sizeof *src);
    if (!src)
        return err_errno(err, ENOMEM, "a source");
    src->ops = &file_ops;
    *ret = src;
    return 0;
}

static void
file_free(struct source *src)
{
    free(src);
}

static int
file_describe(struct source *src, struct err *err)
{
    const struct job *job = src->job;
    struct vm *vm = src->vm;
    int r;
    if (job->input == JOB_INPUT_OVA)
        r = ova_open(job->paths[0], vm, err);
    else if (job->input == JOB_INPUT_DISK)
        r = diskfiles_open(job->paths, job->n_paths, job->input_format, vm, err);
    else
        r = libvirtxml_read(job->paths[0], vm, err);
    for (size_t i = 0; r == 0 && i < vm->n_disks; i++)
        r = look_at_header(&vm->disks[i], err);
    return r;
}

/* Its format and, as far as a look at its first bytes tells, its size. */
static int
look_at_header(struct vm_disk *disk, struct err *err)
{
    struct vm_image *image = &disk->image;
    uint8_t head[IMAGE_FORMAT_HEAD_BYTES];
    struct stat st;
    if (!image->path || image->gzip || (image->format && disk->capacity_bytes))
        return 0;
    if (stat(image->path, &st) < 0)
        return image->format ? 0 : err_errno(err, errno, "%s", image->path); /* an NBD URI */
    auto_close int fd = open(image->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "%s: open", image->path);
    ssize_t n = fd_pread(fd, head, sizeof head, image->window_offset, image->path, err);
    if (n < 0)
        return -1;
    if (!image->format && vm_set_text(&image->format, image_format_of(head, (size_t)n), err) < 0)
        return -1;
    if (disk->capacity_bytes)
        return 0;
    if (strcmp(image->format, "raw") == 0)
        disk->capacity_bytes = image->window_bytes ? image->window_bytes : (uint64_t)st.st_size;
    else if (strcmp(image->format, image_format_of(head, (size_t)n)) == 0)
        disk->capacity_bytes = image_format_capacity(head, (size_t)n);
    return 0;
}

static const struct source_ops file_ops = {
    .describe = file_describe,
    .free = file_free,
};
