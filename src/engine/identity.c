#include "engine/identity.h"

#include <sys/stat.h>

#include "base/clock.h"

json_t *
identity_of_file(const struct vm_disk *disk)
{
    const struct vm_image *image = &disk->image;
    json_t *json = json_pack("{s:s?, s:s?, s:I, s:I, s:b, s:I}", "path", image->path, "format",
                             image->format, "window_offset", (json_int_t)image->window_offset,
                             "window_bytes", (json_int_t)image->window_bytes, "gzip", image->gzip,
                             "capacity_bytes", (json_int_t)disk->capacity_bytes);
    struct stat st;
    if (json && image->path && stat(image->path, &st) == 0 && S_ISREG(st.st_mode)) {
        json_int_t changed_ns = st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec;
        json_object_set_new(json, "file",
                            json_pack("{s:I, s:I, s:I}", "inode", (json_int_t)st.st_ino, "bytes",
                                      (json_int_t)st.st_size, "changed_ns", changed_ns));
    }
    return json;
}

json_t *
identity_of_copy(const struct source *src)
{
    const struct job *job = src->job;
    auto_json json_t *disks = json_array();
    for (size_t i = 0; i < src->vm->n_disks; i++)
        if (json_array_append_new(disks, source_disk_identity(src, i)) < 0)
            return NULL;
    return json_pack("{s:s, s:b, s:O}", "disk_format", job->disk_format, "preallocated",
                     job->preallocated, "disks", disks);
}

json_t *
identity_of_conversion(const struct job *job)
{
    auto_json json_t *macs = json_array();
    for (const char **mac = job->macs; *mac; mac++)
        if (json_array_append_new(macs, json_string(*mac)) < 0)
            return NULL;
    return json_pack("{s:b, s:s?, s:s?, s:b, s:O}", "wanted", job->convert, "root", job->root,
                     "block_driver", job->block_driver, "no_fstrim", job->no_fstrim, "macs", macs);
}
