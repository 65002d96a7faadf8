/* What can be asked before anything is mounted: volume groups, the fallback boot loader, the state
 * that a Windows left its file system in. */
#include <string.h>

#include "guest/look.h"

/* What ntfs-3g.probe(8) answers. */
enum { NTFS_INCONSISTENT = 13, NTFS_HIBERNATED = 14, NTFS_UNCLEAN = 15 };

static void check_volume_groups(struct look *look);
static void check_fallback_loader(struct look *look);
static void check_ntfs(struct look *look);

void
inspect_volumes(struct look *look)
{
    check_volume_groups(look);
    check_fallback_loader(look);
    if (look->root && look->report.facts.type == GUEST_WINDOWS)
        check_ntfs(look);
}

static bool
root_is_in(const struct look *look, const char *vg)
{
    char prefix[256];
    int n = snprintf(prefix, sizeof prefix, "/dev/%s/", vg);
    return look->root && n > 0 && strncmp(look->root, prefix, (size_t)n) == 0;
}

/* lvm(8): the fourth letter of a group's attributes is p when a physical volume is missing. */
static void
check_volume_groups(struct look *look)
{
    struct guestfs_lvm_vg_list *groups = guestfs_vgs_full(look->g);
    for (uint32_t i = 0; groups && i < groups->len; i++) {
        const struct guestfs_lvm_vg *vg = &groups->val[i];
        if (strlen(vg->vg_attr) < 4 || vg->vg_attr[3] != 'p')
            continue;
        bool fatal = !look->root || root_is_in(look, vg->vg_name);
        guest_report_add(&look->report, fatal ? FINDING_ERROR : FINDING_WARNING, "lvm-disk-missing",
                         "volume group %.100s spans a disk that is not among those given: give all "
                         "disks of the machine",
                         vg->vg_name);
    }
    if (groups)
        guestfs_free_lvm_vg_list(groups);
}

/* The entries in the firmware's memory stay behind, so it will look for the one fixed name. esp is
 * what our own look at the labels found. */
static void
check_fallback_loader(struct look *look)
{
    const char *esp = json_get_str(look->start, "esp", NULL);
    if (!esp || guestfs_mount_ro(look->g, esp, "/") < 0)
        return;
    auto_free char *path = guestfs_case_sensitive_path(look->g, "/EFI/BOOT/BOOTX64.EFI");
    look->report.facts.uefi_fallback = path && guestfs_is_file(look->g, path) == 1;
    guestfs_umount_all(look->g);
    bool uefi = json_get_bool(look->start, "uefi", true);
    /* virt-v2v makes it for Windows, and from 2.12 on for Debian 12. */
    if (uefi && !look->report.facts.uefi_fallback && look->report.facts.type == GUEST_LINUX)
        guest_report_add(&look->report, FINDING_WARNING, "no-uefi-fallback",
                         "the guest has no EFI/BOOT/BOOTX64.EFI, and what its firmware remembers "
                         "stays behind: it may not start; install GRUB in it with --removable");
}

static void
check_ntfs(struct look *look)
{
    switch (guestfs_ntfs_3g_probe(look->g, 1, look->root)) {
    case NTFS_HIBERNATED:
        guest_report_add(&look->report, FINDING_ERROR, "hibernated",
                         "Windows is hibernated, or was shut down with Fast Startup: start it once "
                         "more and shut it down with 'shutdown /s /t 0'");
        break;
    case NTFS_UNCLEAN:
        guest_report_add(&look->report, FINDING_WARNING, "ntfs-unclean",
                         "Windows was not shut down cleanly: shut it down with 'shutdown /s /t 0'");
        break;
    case NTFS_INCONSISTENT:
        guest_report_add(&look->report, FINDING_ERROR, "ntfs-damaged",
                         "the file system of Windows is damaged: run chkdsk /f in it");
        break;
    default:
        break;
    }
}
