#include "guest/disklabel-content.h"

#include <string.h>

#include "base/checked.h"
#include "guest/disklabel-bytes.h"

#define HEAD_BYTES 4608 /* to the RAID superblock at 4096 and a bit */
#define BTRFS_SUPER ((uint64_t)64 * 1024)
#define EXT_SUPER 1024
#define EXT_LOG_BLOCK_MAX 6 /* 64 KiB */
#define SWAP_MAGIC 4086     /* the end of a 4 KiB page */

/* A magic number at a fixed place of the head. */
static const struct {
    enum disklabel_content content;
    uint16_t offset;
    uint8_t len;
    const char *magic;
} magics[] = {
    { CONTENT_BITLOCKER, 3, 8, "-FVE-FS-" },
    /* BitLocker To Go looks like FAT but for its GUID. */
    { CONTENT_BITLOCKER, 424, 16,
      "\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01" },
    { CONTENT_NTFS, 3, 8, "NTFS    " },
    { CONTENT_EXFAT, 3, 8, "EXFAT   " },
    { CONTENT_REFS, 3, 5, "ReFS\0" },
    { CONTENT_LUKS, 0, 6, "LUKS\xba\xbe" },
    { CONTENT_XFS, 0, 4, "XFSB" },
    { CONTENT_LVM, 0 * 512, 8, "LABELONE" },
    { CONTENT_LVM, 1 * 512, 8, "LABELONE" },
    { CONTENT_LVM, 2 * 512, 8, "LABELONE" },
    { CONTENT_LVM, 3 * 512, 8, "LABELONE" },
    { CONTENT_RAID, 0, 4, "\xfc\x4e\x2b\xa9" },
    { CONTENT_RAID, 4096, 4, "\xfc\x4e\x2b\xa9" },
    { CONTENT_EXT, EXT_SUPER + 56, 2, "\x53\xef" },
    { CONTENT_SWAP, SWAP_MAGIC, 10, "SWAPSPACE2" },
    { CONTENT_SWAP, SWAP_MAGIC, 10, "SWAP-SPACE" },
    { CONTENT_FAT, 54, 3, "FAT" },
    { CONTENT_FAT, 82, 5, "FAT32" },
};

static void read_ext(const uint8_t *super, struct disklabel_part *part);

int
disklabel_content(uint64_t disk_bytes, disklabel_read_fn *read, void *arg,
                  struct disklabel_part *part, struct err *err)
{
    uint8_t head[HEAD_BYTES] = { 0 };
    if (disk_bytes > 0 && part->offset_bytes >= disk_bytes)
        return 0;
    uint64_t here = MIN(part->size_bytes, disk_bytes - part->offset_bytes);
    size_t len = (size_t)MIN((uint64_t)sizeof head, here);
    if (len > 0 && read(arg, part->offset_bytes, head, len, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(magics) && part->content == CONTENT_UNKNOWN; i++)
        if (memcmp(head + magics[i].offset, magics[i].magic, magics[i].len) == 0)
            part->content = magics[i].content;
    if (part->content == CONTENT_LUKS)
        part->luks_version = be16(head + 6);
    if (part->content == CONTENT_EXT)
        read_ext(head + EXT_SUPER, part);
    if (part->content != CONTENT_UNKNOWN || here < BTRFS_SUPER + 72)
        goto zero;

    uint8_t btrfs[72];
    if (read(arg, part->offset_bytes + BTRFS_SUPER, btrfs, sizeof btrfs, err) < 0)
        return -1;
    if (memcmp(btrfs + 64, "_BHRfS_M", 8) == 0)
        part->content = CONTENT_BTRFS;
zero:
    if (part->content == CONTENT_UNKNOWN && bytes_all_zero(head, len))
        part->content = CONTENT_ZERO;
    return 0;
}

/* The counts are those of the last clean unmount or commit, near enough to warn by. */
static void
read_ext(const uint8_t *super, struct disklabel_part *part)
{
    uint32_t log_block = le32(super + 24);
    if (log_block > EXT_LOG_BLOCK_MAX)
        return;
    uint64_t block_bytes = (uint64_t)1024 << log_block;
    uint32_t incompat = le32(super + 96);
    uint64_t blocks = le32(super + 4), free_blocks = le32(super + 12);
    if (incompat & 0x80) { /* 64bit */
        blocks |= (uint64_t)le32(super + 0x150) << 32;
        free_blocks |= (uint64_t)le32(super + 0x158) << 32;
    }
    part->unclean = (incompat & 4) != 0; /* recover */
    if (free_blocks > blocks || !checked_mul(blocks, block_bytes, &part->total_bytes))
        return;
    part->space_known = true;
    part->free_bytes = free_blocks * block_bytes;
    part->total_inodes = le32(super);
    part->free_inodes = le32(super + 16);
}
