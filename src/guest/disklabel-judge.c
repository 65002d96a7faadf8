/* What follows from the labels of all disks of a machine, before anything slow is started.
 *
 * An error here says that no conversion can succeed, so it must be certain: it is given only when
 * everything on all disks is of a kind that holds no system that could be read. Whatever is in
 * doubt is left to the look with libguestfs. */
#include <inttypes.h>
#include <stdio.h>

#include "base/checked.h"
#include "guest/disklabel.h"

/* No Windows that virt-v2v converts fits into less; its boot and recovery partitions are smaller.
 */
#define WINDOWS_ROOT_MIN_BYTES (2 * GIB)
/* virt-v2v asks for this much on every file system it mounts ... */
#define FREE_MIN_BYTES (10 * MIB)
/* ... and smaller ones are no file systems of a running system. */
#define FREE_TOTAL_MIN_BYTES (64 * MIB)

struct census {
    size_t parts; /* with anything in them */
    size_t roots; /* could hold a system */
    size_t linux_crypt, bitlocker, ldm_disks;
    unsigned seen; /* a bit for each enum disklabel_content */
};

static void judge_disk(const struct disklabel *label, size_t disk, bool has_keys,
                       struct census *census, struct guest_report *report);
static void judge_all(const struct census *census, size_t n_labels, bool has_keys,
                      struct guest_report *report);
static void judge_boot_disk(const struct disklabel *labels, size_t n_labels,
                            struct guest_report *report);

void
disklabel_judge(const struct disklabel *labels, size_t n_labels, bool has_keys,
                struct guest_report *report)
{
    struct census census = { 0 };
    for (size_t i = 0; i < n_labels; i++)
        judge_disk(&labels[i], i, has_keys, &census, report);
    judge_boot_disk(labels, n_labels, report);
    judge_all(&census, n_labels, has_keys, report);
}

static bool
may_be_root(const struct disklabel_part *part)
{
    if (part->use == USE_ESP || part->use == USE_BIOS_BOOT || part->use == USE_MS_RESERVED ||
        part->use == USE_EXTENDED)
        return false;
    switch (part->content) {
    case CONTENT_NTFS:
        return part->size_bytes >= WINDOWS_ROOT_MIN_BYTES;
    case CONTENT_EXT:
    case CONTENT_XFS:
    case CONTENT_BTRFS:
    case CONTENT_LVM:
    case CONTENT_RAID:
    case CONTENT_UNKNOWN: /* what we do not know, libguestfs may */
        return true;
    default:
        return false;
    }
}

static void
judge_part(const struct disklabel_part *part, size_t disk, bool has_keys, struct census *census,
           struct guest_report *report)
{
    census->parts += part->content != CONTENT_ZERO && part->use != USE_EXTENDED;
    census->roots += may_be_root(part);
    census->seen |= 1U << part->content;
    if (part->content == CONTENT_LUKS) {
        census->linux_crypt++;
        census->roots += has_keys;
    }
    if (part->content == CONTENT_BITLOCKER) {
        census->bitlocker++;
        census->roots += has_keys;
    }
    if (part->content == CONTENT_REFS || part->use == USE_STORAGE_SPACES)
        guest_report_add(report, FINDING_WARNING, "windows-volume-as-is",
                         "disk %zu, partition %u: %s is not looked into and copied as it is",
                         disk + 1, part->number,
                         part->content == CONTENT_REFS ? "ReFS" : "Storage Spaces");
    if (part->space_known && part->total_bytes >= FREE_TOTAL_MIN_BYTES &&
        part->free_bytes < FREE_MIN_BYTES)
        guest_report_add(report, FINDING_WARNING, "little-free-space",
                         "disk %zu, partition %u: the file system has %" PRIu64
                         " MiB free; a conversion needs 10, and 100 where the system is: free some",
                         disk + 1, part->number, part->free_bytes / MIB);
}

static void
judge_disk(const struct disklabel *label, size_t disk, bool has_keys, struct census *census,
           struct guest_report *report)
{
    census->ldm_disks += label->ldm;
    if (label->blank)
        guest_report_add(report, FINDING_INFO, "blank-disk", "disk %zu is blank", disk + 1);
    if (label->gpt_damaged)
        guest_report_add(
            report, FINDING_WARNING, "partition-table-bad",
            "disk %zu: both of its GPT partition tables are damaged, nothing on it can "
            "be seen: mend it in the guest (gdisk), or copy it without a conversion",
            disk + 1);
    if (label->gpt_backup_used)
        guest_report_add(report, FINDING_WARNING, "partition-table-backup",
                         "disk %zu: the first GPT partition table is damaged, the one at its end "
                         "was read: mend it in the guest (gdisk)",
                         disk + 1);
    if (label->past_end)
        guest_report_add(report, FINDING_WARNING, "partition-past-end",
                         "disk %zu: a partition reaches past its end: is the image whole?",
                         disk + 1);
    if (label->sector_bytes == 4096)
        guest_report_add(report, FINDING_ERROR, "sectors-4096",
                         "disk %zu counts in sectors of 4096 bytes, which virt-v2v cannot show to "
                         "the conversion: copy it as it is with --no-convert",
                         disk + 1);
    if (label->n_dropped > 0)
        guest_report_add(report, FINDING_WARNING, "many-partitions",
                         "disk %zu: %zu partitions more than the %d that were looked at", disk + 1,
                         label->n_dropped, DISKLABEL_MAX_PARTS);
    for (size_t i = 0; i < label->n_parts && !label->blank; i++)
        judge_part(&label->parts[i], disk, has_keys, census, report);
}

/* The firmware starts from the first disk that has a table. */
static void
judge_boot_disk(const struct disklabel *labels, size_t n_labels, struct guest_report *report)
{
    const struct disklabel *boot = NULL;
    for (size_t i = 0; i < n_labels; i++) {
        if (labels[i].table != DISKLABEL_NONE && !boot)
            boot = &labels[i];
        for (size_t p = 0; p < labels[i].n_parts; p++) {
            report->facts.has_esp |= labels[i].parts[p].use == USE_ESP;
            report->facts.has_bios_boot |= labels[i].parts[p].use == USE_BIOS_BOOT;
        }
    }
    if (!boot)
        return;
    report->facts.gpt = boot->table == DISKLABEL_GPT;
    report->facts.has_bios_boot |= boot->table == DISKLABEL_MBR && boot->mbr_boot_code;
}

/* "ntfs, swap" */
static void
name_contents(unsigned seen, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (unsigned i = CONTENT_ZERO + 1; i <= CONTENT_RAID && used < size; i++)
        if (seen & 1U << i)
            used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "",
                                     disklabel_content_name((enum disklabel_content)i));
}

static void
judge_all(const struct census *census, size_t n_labels, bool has_keys, struct guest_report *report)
{
    char contents[128];
    if (census->ldm_disks > 0)
        guest_report_add(report, census->roots ? FINDING_WARNING : FINDING_ERROR, "dynamic-disk",
                         "%zu of the disks are Windows dynamic disks: data on them is copied as it "
                         "is, but a Windows that starts from one cannot be converted: turn it into "
                         "a basic disk, or use --no-convert",
                         census->ldm_disks);
    if (census->linux_crypt > 0 && !has_keys)
        guest_report_add(report, census->roots ? FINDING_WARNING : FINDING_ERROR, "luks-no-key",
                         "%zu LUKS volumes and no key: if the system is on one, give its "
                         "passphrase with --key",
                         census->linux_crypt);
    if (census->bitlocker > 0 && !has_keys)
        guest_report_add(report, census->roots ? FINDING_WARNING : FINDING_ERROR,
                         "bitlocker-no-key",
                         "%zu BitLocker volumes and no key: suspend BitLocker before the migration "
                         "('manage-bde -protectors -disable C:'), or give the recovery key with "
                         "--key",
                         census->bitlocker);
    if (census->roots > 0 || census->linux_crypt + census->bitlocker + census->ldm_disks > 0)
        return;
    name_contents(census->seen, contents, sizeof contents);
    if (census->parts == 0)
        guest_report_add(report, FINDING_ERROR, "disks-blank",
                         n_labels == 1 ? "the disk is blank" : "all disks are blank");
    else
        guest_report_add(report, FINDING_ERROR, "no-system",
                         "no partition could hold an operating system (there is: %s): is a disk "
                         "missing? copy it as it is with --no-convert",
                         contents);
}

const char *
disklabel_content_name(enum disklabel_content content)
{
    static const char *const names[] = {
        [CONTENT_UNKNOWN] = "unknown",
        [CONTENT_ZERO] = "zero",
        [CONTENT_NTFS] = "ntfs",
        [CONTENT_REFS] = "refs",
        [CONTENT_BITLOCKER] = "bitlocker",
        [CONTENT_LUKS] = "luks",
        [CONTENT_XFS] = "xfs",
        [CONTENT_EXT] = "ext",
        [CONTENT_BTRFS] = "btrfs",
        [CONTENT_LVM] = "lvm",
        [CONTENT_SWAP] = "swap",
        [CONTENT_FAT] = "fat",
        [CONTENT_EXFAT] = "exfat",
        [CONTENT_RAID] = "raid",
    };
    return names[content];
}
