#include "descriptor/ova.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "descriptor/image.h"
#include "descriptor/ovf.h"
#include "descriptor/package.h"
#include "wire/xml.h"

static int resolve_disk(const struct package *package, const struct ovf_disk *more,
                        struct vm_disk *disk, struct err *err);
static int piece_name(const struct package *package, const struct ovf_file *file, char **ret_name,
                      struct err *err);
static int look(const struct package *package, const char *name, const struct ovf_disk *more,
                struct vm_disk *disk, struct err *err);
static int check_capacity(const char *name, uint64_t image_bytes, const struct ovf_disk *more,
                          struct vm_disk *disk, struct err *err);
static int set_window(const struct package *package, const char *name, const struct ovf_disk *more,
                      struct vm_disk *disk, struct err *err);

int
ova_open(const char *path, struct vm *vm, struct err *err)
{
    auto_package struct package package = PACKAGE_INIT;
    if (package_open(path, &package, err) < 0)
        return -1;
    auto_free char *text = NULL;
    size_t len;
    auto_ovf struct ovf ovf = { 0 };
    if (package_read_file(&package, package.ovf, XML_MAX_BYTES, &text, &len, err) < 0 ||
        ovf_parse(text, len, package.ovf, vm, &ovf, err) < 0)
        return err_prefix(err, "%s", path);
    for (size_t i = 0; i < vm->n_disks; i++)
        if (resolve_disk(&package, &ovf.disks[i], &vm->disks[i], err) < 0)
            return err_prefix(err, "%s", path);
    if (vm->n_disks == 0)
        return err_set(err, ERR_INVALID, "%s: the machine has no disks", path);
    vm_sort_disks(vm);
    if (vm_check(vm, err) < 0)
        return err_prefix(err, "%s", path);
    return 0;
}

static int
resolve_disk(const struct package *package, const struct ovf_disk *more, struct vm_disk *disk,
             struct err *err)
{
    if (!more->file)
        return 0;
    auto_free char *name = NULL;
    if (piece_name(package, more->file, &name, err) < 0 ||
        set_window(package, name, more, disk, err) < 0)
        return -1;
    return look(package, name, more, disk, err);
}

/* What the file is called. One in pieces (DSP0243 7.1) can be read in place only when there is no
 * second piece; old VMware exporters wrote such names without saying so. */
static int
piece_name(const struct package *package, const struct ovf_file *file, char **ret_name,
           struct err *err)
{
    auto_free char *first = NULL, *second = NULL;
    if (asprintf(&first, "%s.000000000", file->name) < 0)
        first = NULL;
    if (asprintf(&second, "%s.000000001", file->name) < 0)
        second = NULL;
    if (!first || !second)
        return err_errno(err, ENOMEM, "%s", file->name);
    bool pieces =
        (file->chunk_bytes > 0 || !package_has(package, file->name)) && package_has(package, first);
    if (pieces && package_has(package, second))
        return err_set(err, ERR_INVALID,
                       "%s is split into pieces (%s ...), which cannot be read in place: unpack "
                       "the package, join them (cat %s.0* > %s), take ovf:chunkSize away and give "
                       "the directory",
                       file->name, first, file->name, file->name);
    *ret_name = pieces ? TAKE_PTR(first) : strdup(file->name);
    return *ret_name ? 0 : err_errno(err, ENOMEM, "%s", file->name);
}

static int
set_window(const struct package *package, const char *name, const struct ovf_disk *more,
           struct vm_disk *disk, struct err *err)
{
    auto_package_file struct package_file file = PACKAGE_FILE_INIT;
    if (package_open_file(package, name, &file, err) < 0)
        return -1;
    if (file.bytes == 0)
        return err_set(err, ERR_INVALID, "%s: empty", name);
    /* oVirt says there what the disk occupies at the source, not how long the file is. */
    if (!more->sure && file.bytes < more->file->bytes)
        return err_set(err, ERR_INVALID,
                       "%s: has %" PRIu64 " bytes, should have %" PRIu64
                       ": truncated, download or export it again",
                       name, file.bytes, more->file->bytes);
    disk->image.path = TAKE_PTR(file.path);
    disk->image.window_offset = file.offset;
    disk->image.window_bytes = package->is_tar ? file.bytes : 0;
    return 0;
}

static int
look(const struct package *package, const char *name, const struct ovf_disk *more,
     struct vm_disk *disk, struct err *err)
{
    struct image image = { 0 };
    /* What is surely raw is not looked at: its first bytes belong to the guest. */
    if (more->sure && strcmp(more->declared, "raw") == 0)
        image.format = "raw";
    else if (image_look(package, name, &image, err) < 0)
        return -1;
    disk->image.gzip = image.gzip;
    if (vm_set_text(&disk->image.format, image.format, err) < 0)
        return -1;
    return check_capacity(name, image.capacity_bytes, more, disk, err);
}

/* A description rounds to its unit; beyond that it must not promise less than there is. */
static int
check_capacity(const char *name, uint64_t image_bytes, const struct ovf_disk *more,
               struct vm_disk *disk, struct err *err)
{
    if (image_bytes == 0)
        return 0;
    if (image_bytes > VM_MAX_DISK_BYTES)
        return err_set(err, ERR_INVALID,
                       "%s: a capacity of %" PRIu64 " bytes is more than the %" PRIu64
                       " that a disk can have",
                       name, image_bytes, VM_MAX_DISK_BYTES);
    if (disk->capacity_bytes && image_bytes > disk->capacity_bytes &&
        image_bytes - disk->capacity_bytes >= more->unit_bytes)
        return err_set(err, ERR_INVALID,
                       "%s: the image has %" PRIu64
                       " bytes of capacity, but the descriptor says %" PRIu64
                       ": one of them is wrong",
                       name, image_bytes, disk->capacity_bytes);
    disk->capacity_bytes = image_bytes;
    return 0;
}
