#include "descriptor/diskfiles.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "descriptor/local-path.h"

/* Longer ones that end like shorter ones come first. */
static const char *const suffixes[] = {
    "-flat.vmdk", ".img", ".raw", ".qcow2", ".vmdk", ".vhdx", ".vhd", ".vdi",
};

static int add_disk(const char *path, const char *format, struct vm *vm, struct err *err);
static int set_name(const char *path, struct vm *vm, struct err *err);

int
diskfiles_open(const char *const *paths, size_t n, const char *format, struct vm *vm,
               struct err *err)
{
    if (n == 0)
        return err_set(err, ERR_INVALID, "no disk image is named");
    for (size_t i = 0; i < n; i++)
        if (add_disk(paths[i], format, vm, err) < 0)
            return -1;
    if (set_name(paths[0], vm, err) < 0)
        return -1;
    vm->memory_bytes = DISKFILES_MEMORY_BYTES;
    struct vm_nic *nic = vm_add_nic(vm, err);
    if (!nic || vm_set_text(&nic->network, "default", err) < 0)
        return -1;
    vm_sort_disks(vm);
    if (vm_check(vm, err) < 0)
        return err_prefix(err, "%s", paths[0]);
    return 0;
}

static int
add_disk(const char *path, const char *format, struct vm *vm, struct err *err)
{
    unsigned unit = (unsigned)vm->n_disks;
    struct vm_disk *disk = vm_add_disk(vm, err);
    if (!disk)
        return -1;
    disk->bus = VM_BUS_SCSI;
    disk->unit = unit;
    if (format && vm_set_text(&disk->image.format, format, err) < 0)
        return -1;
    if (local_path_is_nbd(path)) {
        disk->image.path = strdup(path);
        if (!disk->image.path)
            return err_errno(err, ENOMEM, "%s", path);
        return format ? 0 : vm_set_text(&disk->image.format, "raw", err);
    }
    struct stat st;
    if (stat(path, &st) < 0)
        return err_errno(err, errno, "%s", path);
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return err_set(err, ERR_INVALID, "%s: neither a file nor a block device", path);
    return local_path_absolute(path, NULL, &disk->image.path, err);
}

/* virt-v2v: the file's name without what only says that it is an image. */
static int
set_name(const char *path, struct vm *vm, struct err *err)
{
    if (local_path_is_nbd(path))
        return vm_set_name(vm, "disk", err);
    const char *slash = strrchr(path, '/');
    auto_free char *name = strdup(slash ? slash + 1 : path);
    if (!name)
        return err_errno(err, ENOMEM, "%s", path);
    size_t len = strlen(name);
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        size_t suffix = strlen(suffixes[i]);
        if (len > suffix && strcasecmp(name + len - suffix, suffixes[i]) == 0) {
            name[len -= suffix] = '\0';
            break;
        }
    }
    if (len > 4 && strcmp(name + len - 4, "-sda") == 0)
        name[len - 4] = '\0';
    return vm_set_name(vm, name, err);
}
