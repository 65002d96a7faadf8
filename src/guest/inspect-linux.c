/* What a conversion needs of a Linux guest, and what it breaks. The rules are those of virt-v2v's
 * convert/convert_linux.ml and convert/convert.ml, asked before it runs. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/checked.h"
#include "guest/fstab.h"
#include "guest/look.h"
#include "guest/netid-guest.h"

#define ROOT_FREE_BYTES (100 * MIB)
#define ROOT_ONLY_FREE_BYTES (50 * MIB) /* a Linux without a /boot of its own */
#define OTHER_FREE_BYTES (10 * MIB)
#define BOOT_WISH_BYTES (100 * MIB) /* the new initrd and the old one beside it */
#define FREE_INODES 100

static void check_supported(struct look *look);
static void check_space(struct look *look);
static void check_boot_loader(struct look *look);
static void check_fstab(struct look *look);
static void check_kernels(struct look *look);
static void check_initrd_builder(struct look *look);
static void check_tools(struct look *look);
static void check_resolv_conf(struct look *look);
static void check_clock(struct look *look);

void
inspect_linux(struct look *look)
{
    check_supported(look);
    check_space(look);
    check_boot_loader(look);
    check_kernels(look);
    check_initrd_builder(look);
    check_fstab(look);
    check_resolv_conf(look);
    check_tools(look);
    check_clock(look);
    netid_note_names(look);
}

static void
check_supported(struct look *look)
{
    static const char *const known[] = {
        "fedora",       "rhel",        "centos",     "circle",    "scientificlinux",
        "redhat-based", "oraclelinux", "rocky",      "kylin",     "neokylin",
        "anolis",       "sles",        "suse-based", "opensuse",  "altlinux",
        "debian",       "ubuntu",      "linuxmint",  "kalilinux",
    };
    const struct guest_facts *facts = &look->report.facts;
    struct utsname host;
    if (facts->arch && uname(&host) == 0 && strcmp(facts->arch, host.machine) != 0 &&
        !(strcmp(facts->arch, "i386") == 0 && strcmp(host.machine, "x86_64") == 0))
        guest_report_add(&look->report, FINDING_ERROR, "foreign-arch",
                         "the guest is for %s and this host is %s: its programs cannot run here, "
                         "so it cannot be converted here",
                         facts->arch, host.machine);
    for (size_t i = 0; facts->distro && i < ARRAY_LEN(known); i++)
        if (strcmp(facts->distro, known[i]) == 0)
            return;
    guest_report_add(&look->report, FINDING_ERROR, "unsupported-os",
                     "virt-v2v cannot convert this Linux (%s): copy it with --no-convert; most "
                     "kernels have the virtio drivers already",
                     facts->distro ? facts->distro : "an unknown distribution");
}

static bool
has_mount(const struct look *look, const char *where)
{
    for (size_t i = 0; look->mounts[i] && look->mounts[i + 1]; i += 2)
        if (strcmp(look->mounts[i], where) == 0)
            return true;
    return false;
}

static void
check_space(struct look *look)
{
    for (size_t i = 0; look->mounts[i] && look->mounts[i + 1]; i += 2) {
        const char *where = look->mounts[i];
        struct guestfs_statvfs *fs = guestfs_statvfs(look->g, where);
        if (!fs)
            continue;
        uint64_t free_bytes = UINT64_MAX, need = OTHER_FREE_BYTES;
        if (strcmp(where, "/") == 0)
            need = has_mount(look, "/boot") ? ROOT_FREE_BYTES : ROOT_ONLY_FREE_BYTES;
        checked_mul((uint64_t)fs->bfree, (uint64_t)fs->bsize, &free_bytes);
        if (free_bytes < need)
            guest_report_add(&look->report, FINDING_ERROR, "no-free-space",
                             "%s has %" PRIu64 " MiB free and a conversion needs %" PRIu64
                             ": free some in the guest",
                             where, free_bytes / MIB, need / MIB);
        else if (strcmp(where, "/boot") == 0 && free_bytes < BOOT_WISH_BYTES)
            guest_report_add(&look->report, FINDING_WARNING, "little-boot-space",
                             "/boot has %" PRIu64
                             " MiB free, and a new initrd goes there: free 100",
                             free_bytes / MIB);
        if (fs->files > 0 && fs->ffree < FREE_INODES)
            guest_report_add(&look->report, FINDING_ERROR, "no-free-inodes",
                             "%s has %" PRId64 " free inodes and a conversion needs %d: remove "
                             "files in the guest",
                             where, fs->ffree, FREE_INODES);
        guestfs_free_statvfs(fs);
    }
}

static void
check_boot_loader(struct look *look)
{
    static const char *const configs[] = {
        "/boot/grub2/grub.cfg",      "/boot/grub/grub.cfg",   "/boot/grub/menu.lst",
        "/boot/grub/grub.conf",      "/boot/grub2/grub2.cfg", "/boot/efi/EFI/*/grub.cfg",
        "/boot/efi/EFI/*/grub.conf",
    };
    for (size_t i = 0; i < ARRAY_LEN(configs); i++)
        if (look_exists(look, configs[i]))
            return;
    guest_report_add(&look->report, FINDING_ERROR, "no-grub",
                     "the guest has no GRUB configuration; virt-v2v knows no other boot loader: "
                     "copy it with --no-convert");
}

/* ---- fstab and kin ---- */

static bool
device_is_here(struct look *look, const char *device)
{
    auto_free char *found = NULL;
    if (strncmp(device, "UUID=", 5) == 0)
        found = guestfs_findfs_uuid(look->g, device + 5);
    else if (strncmp(device, "LABEL=", 6) == 0)
        found = guestfs_findfs_label(look->g, device + 6);
    else
        return true;
    return found != NULL;
}

static void
check_fstab(struct look *look)
{
    auto_free char *text = look_read(look, "/etc/fstab");
    const char *cursor = text ? text : "";
    struct fstab_entry entry;
    while (fstab_next(&cursor, &entry)) {
        if (fstab_is_place(entry.device))
            guest_report_add(&look->report, FINDING_WARNING, "fstab-by-path",
                             "/etc/fstab finds %s by %s, which is another name after the move: use "
                             "its UUID",
                             entry.where, entry.device);
        bool optional = fstab_has_option(&entry, "nofail") || fstab_has_option(&entry, "noauto");
        if (!optional && !device_is_here(look, entry.device))
            guest_report_add(&look->report, FINDING_WARNING, "fstab-absent",
                             "/etc/fstab mounts %s from %s, which is on none of the disks: the "
                             "guest will wait for it when it starts; is a disk missing?",
                             entry.where, entry.device);
    }
    auto_free char *crypttab = look_read(look, "/etc/crypttab");
    cursor = crypttab ? crypttab : "";
    while (fstab_next(&cursor, &entry)) /* name, device */
        if (fstab_is_place(entry.where))
            guest_report_add(&look->report, FINDING_WARNING, "crypttab-by-path",
                             "/etc/crypttab opens %s by %s, which is another name after the move: "
                             "use its UUID",
                             entry.device, entry.where);
    auto_free char *resume = look_read(look, "/etc/initramfs-tools/conf.d/resume");
    if (resume && strncmp(resume, "RESUME=", 7) == 0 && fstab_is_place(resume + 7))
        guest_report_add(&look->report, FINDING_WARNING, "resume-by-path",
                         "the initramfs resumes by a device name that is another after the move: "
                         "use its UUID in /etc/initramfs-tools/conf.d/resume");
}

/* ---- kernel and initrd ---- */

static bool
kernel_has(struct look *look, const char *dir, const char *builtin, const char *folder,
           const char *module)
{
    char path[512];
    snprintf(path, sizeof path, "%s/kernel/drivers/%s/%s.ko*", dir, folder, module);
    if (look_exists(look, path))
        return true;
    snprintf(path, sizeof path, "/%s.ko", module);
    return builtin && strstr(builtin, path);
}

static void
check_kernels(struct look *look)
{
    struct guest_facts *facts = &look->report.facts;
    auto_strv char **deps = look_glob(look, "/lib/modules/*/modules.dep");
    for (char **dep = deps; dep && *dep; dep++) {
        char path[512];
        *strrchr(*dep, '/') = '\0';
        snprintf(path, sizeof path, "%.400s/modules.builtin", *dep);
        auto_free char *builtin = look_read(look, path);
        facts->virtio_block |= kernel_has(look, *dep, builtin, "block", "virtio_blk") ||
                               kernel_has(look, *dep, builtin, "scsi", "virtio_scsi");
        facts->virtio_net |= kernel_has(look, *dep, builtin, "net", "virtio_net");
    }
    if (!deps || !deps[0])
        guest_report_add(&look->report, FINDING_ERROR, "no-kernel",
                         "there is no kernel in /lib/modules: is a disk of the guest missing?");
    else if (!facts->virtio_block || !facts->virtio_net)
        guest_report_add(&look->report, FINDING_WARNING, "no-virtio",
                         "no kernel of the guest has the virtio drivers for %s: it will run with "
                         "slow emulated devices; install a newer kernel",
                         facts->virtio_block ? "the network"
                         : facts->virtio_net ? "disks"
                                             : "disks and the network");
}

static void
check_initrd_builder(struct look *look)
{
    static const char *const builders[] = {
        "/usr/bin/dracut",        "/usr/sbin/dracut",      "/sbin/dracut",
        "/sbin/mkinitrd",         "/usr/bin/mkinitrd",     "/usr/sbin/update-initramfs",
        "/sbin/update-initramfs", "/usr/sbin/make-initrd", "/sbin/make-initrd",
    };
    auto_free char *manager = guestfs_inspect_get_package_management(look->g, look->root);
    if (!manager || strcmp(manager, "unknown") == 0)
        guest_report_add(&look->report, FINDING_WARNING, "no-package-manager",
                         "its package manager is not known: VMware's tools will stay in the guest");
    for (size_t i = 0; i < ARRAY_LEN(builders); i++)
        if (look_exists(look, builders[i]))
            return;
    guest_report_add(&look->report, FINDING_ERROR, "no-initrd-builder",
                     "the guest has no program to build an initrd with virtio drivers: install "
                     "dracut (or initramfs-tools, mkinitrd) in it");
}

/* ---- the rest ---- */

static void
check_resolv_conf(struct look *look)
{
    static const char path[] = "/etc/resolv.conf";
    if (guestfs_is_file(look->g, path) != 1)
        return;
    /* Fails on file systems that have no such flags. */
    auto_free char *attrs = guestfs_get_e2attrs(look->g, path);
    if (attrs && strchr(attrs, 'i'))
        guest_report_add(&look->report, FINDING_WARNING, "resolv-conf-immutable",
                         "/etc/resolv.conf is immutable, over which older virt-v2v stumbles: "
                         "remove the flag with chattr -i");
}

static void
check_tools(struct look *look)
{
    if (look_exists(look, "/usr/bin/vmware-uninstall-tools.pl"))
        guest_report_add(&look->report, FINDING_INFO, "vmware-tools",
                         "VMware Tools were installed from VMware's archive; their own script "
                         "removes them");
    struct guestfs_application2_list *apps =
        guestfs_inspect_list_applications2(look->g, look->root);
    for (uint32_t i = 0; apps && i < apps->len; i++) {
        const char *name = apps->val[i].app2_name;
        if (strcmp(name, "open-vm-tools") == 0 || strncmp(name, "VMwareTools", 11) == 0)
            guest_report_add(&look->report, FINDING_INFO, "vmware-tools", "%s %s will be removed",
                             name, apps->val[i].app2_version);
    }
    if (apps)
        guestfs_free_application2_list(apps);
}

/* /etc/adjtime says LOCAL in its third line when the hardware clock is in local time. */
static void
check_clock(struct look *look)
{
    auto_free char *text = look_read(look, "/etc/adjtime");
    look->report.facts.rtc_localtime = text && strstr(text, "\nLOCAL");
}
