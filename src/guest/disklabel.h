/* What lies on a disk, seen with our own eyes: partition tables and the first sectors of what is in
 * them. No appliance, a few dozen small reads, milliseconds.
 *
 * Every byte is a stranger's: tables are bounded, sums checked, nothing is followed twice. Sources:
 * UEFI specification 2.10 chapter 5 (GPT, protective MBR); ext4, XFS and btrfs on-disk format pages
 * of the Linux kernel's documentation; LUKS1 and LUKS2 on-disk formats; for LVM2, NTFS, BitLocker
 * and LDM the superblock probes of util-linux's libblkid.
 */
#ifndef GUEST_DISKLABEL_H
#define GUEST_DISKLABEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/guest.h"

#define DISKLABEL_MAX_PARTS 128 /* more are counted in n_dropped, not looked at */

enum disklabel_table { DISKLABEL_NONE, DISKLABEL_MBR, DISKLABEL_GPT };

enum disklabel_content {
    CONTENT_UNKNOWN,
    CONTENT_ZERO, /* nothing but zeroes where signatures are */
    CONTENT_NTFS,
    CONTENT_REFS,
    CONTENT_BITLOCKER,
    CONTENT_LUKS,
    CONTENT_XFS,
    CONTENT_EXT,
    CONTENT_BTRFS,
    CONTENT_LVM,
    CONTENT_SWAP,
    CONTENT_FAT,
    CONTENT_EXFAT,
    CONTENT_RAID, /* Linux software RAID with metadata 1.1 or 1.2 at its start */
};

/* What a partition is for, from its type. */
enum disklabel_use {
    USE_OTHER,
    USE_ESP,
    USE_BIOS_BOOT,
    USE_LDM,
    USE_MS_RESERVED,
    USE_STORAGE_SPACES,
    USE_EXTENDED,
};

struct disklabel_part {
    unsigned number; /* as the guest counts: 1 in sda1; 0: the whole disk, no table */
    uint64_t offset_bytes, size_bytes;
    enum disklabel_use use;
    bool active; /* MBR boot flag */
    enum disklabel_content content;
    unsigned luks_version;              /* 1, 2; 0 unless CONTENT_LUKS */
    bool space_known;                   /* ext only; XFS keeps its count in the log when mounted */
    uint64_t free_bytes, total_bytes;   /* with space_known */
    uint64_t free_inodes, total_inodes; /* with space_known */
    bool unclean;                       /* a journal that must be replayed (ext) */
};

struct disklabel {
    enum disklabel_table table;
    unsigned sector_bytes; /* 512 or 4096: what the table counts in */
    bool blank;            /* no table, and zeroes as far as we look */
    bool mbr_boot_code;    /* the first sector holds code, not zeroes, before the table */
    bool gpt_backup_used;  /* the primary table was bad */
    bool gpt_backup_bad;   /* the primary is good, the backup is not where or what it should be */
    bool gpt_damaged;      /* a protective MBR, but neither table is good */
    bool past_end;         /* a partition reaches past the end of the disk */
    bool ldm;              /* Windows dynamic disk */
    size_t n_parts, n_dropped;
    struct disklabel_part parts[DISKLABEL_MAX_PARTS];
};

/* Exactly len bytes at offset; offset + len never passes the size given. */
typedef int disklabel_read_fn(void *arg, uint64_t offset, void *data, size_t len, struct err *err);

/* Look at one disk of size_bytes. Fails only when reading fails; nonsense on the disk is a result.
 */
int disklabel_look(uint64_t size_bytes, disklabel_read_fn *read, void *arg,
                   struct disklabel *ret_label, struct err *err);

/* Conclusions over all disks of a machine, in the guest's order: findings into the report, and the
 * facts that labels alone give (has_esp, has_bios_boot, gpt). has_keys: keys for encrypted volumes
 * were given. */
void disklabel_judge(const struct disklabel *labels, size_t n_labels, bool has_keys,
                     struct guest_report *report);

const char *disklabel_content_name(enum disklabel_content content);

#endif
