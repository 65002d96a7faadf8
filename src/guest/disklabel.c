/* Partition tables: which table a disk has, and where its partitions lie. What is in them is
 * disklabel-content.c, what follows from it disklabel-judge.c.
 *
 * Reads: sector 0, the GPT header and its entries (256 KiB at most), the backup header, one sector
 * for each logical partition, and for each of at most 128 partitions 5 KiB: below 1 MiB in all. */
#include "guest/disklabel.h"

#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "guest/disklabel-bytes.h"
#include "guest/disklabel-content.h"

#define MBR_TABLE 446
#define MBR_ENTRY 16
#define MBR_EXTENDED_MAX 60 /* what Linux follows, and more than anybody has */
#define GPT_ENTRIES_MAX_BYTES ((uint64_t)256 * 1024)
#define GPT_HEADER_MIN 92
#define GPT_ENTRY_MIN 128

/* In the order of their bytes on the disk (the first three groups are little-endian). */
static const struct {
    uint8_t guid[16];
    enum disklabel_use use;
} gpt_uses[] = {
    /* C12A7328-F81F-11D2-BA4B-00A0C93EC93B */
    { { 0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9,
        0x3b },
      USE_ESP },
    /* 21686148-6449-6E6F-744E-656564454649 */
    { { 0x48, 0x61, 0x68, 0x21, 0x49, 0x64, 0x6f, 0x6e, 0x74, 0x4e, 0x65, 0x65, 0x64, 0x45, 0x46,
        0x49 },
      USE_BIOS_BOOT },
    /* 5808C8AA-7E8F-42E0-85D2-E1E90434CFB3, AF9B60A0-1431-4F62-BC68-3311714A69AD */
    { { 0xaa, 0xc8, 0x08, 0x58, 0x8f, 0x7e, 0xe0, 0x42, 0x85, 0xd2, 0xe1, 0xe9, 0x04, 0x34, 0xcf,
        0xb3 },
      USE_LDM },
    { { 0xa0, 0x60, 0x9b, 0xaf, 0x31, 0x14, 0x62, 0x4f, 0xbc, 0x68, 0x33, 0x11, 0x71, 0x4a, 0x69,
        0xad },
      USE_LDM },
    /* E3C9E316-0B5C-4DB8-817D-F92DF00215AE */
    { { 0x16, 0xe3, 0xc9, 0xe3, 0x5c, 0x0b, 0xb8, 0x4d, 0x81, 0x7d, 0xf9, 0x2d, 0xf0, 0x02, 0x15,
        0xae },
      USE_MS_RESERVED },
    /* E75CAF8F-F680-4CEE-AFA3-B001E56EFC2D */
    { { 0x8f, 0xaf, 0x5c, 0xe7, 0x80, 0xf6, 0xee, 0x4c, 0xaf, 0xa3, 0xb0, 0x01, 0xe5, 0x6e, 0xfc,
        0x2d },
      USE_STORAGE_SPACES },
};

struct look {
    uint64_t size_bytes;
    disklabel_read_fn *read;
    void *arg;
    struct err *err;
    struct disklabel *label;
};

struct gpt_header {
    uint64_t entries_lba;
    uint32_t n_entries, entry_bytes, entries_crc;
};

static int look_mbr(struct look *look, const uint8_t *sector);
static int look_gpt(struct look *look);
static int look_contents(struct look *look);

int
disklabel_look(uint64_t size_bytes, disklabel_read_fn *read, void *arg, struct disklabel *ret_label,
               struct err *err)
{
    struct look look = {
        .size_bytes = size_bytes, .read = read, .arg = arg, .err = err, .label = ret_label
    };
    *ret_label = (struct disklabel){ .sector_bytes = 512 };
    uint8_t sector[512] = { 0 };
    if (size_bytes >= sizeof sector && read(arg, 0, sector, sizeof sector, err) < 0)
        return -1;
    ret_label->mbr_boot_code = !bytes_all_zero(sector, MBR_TABLE - 6);
    if (look_mbr(&look, sector) < 0)
        return -1;
    return look_contents(&look);
}

/* 1 read, 0 not on this disk, -1 failed. */
static int
read_at(struct look *look, uint64_t offset, void *data, size_t len)
{
    uint64_t end;
    if (!checked_add(offset, len, &end) || end > look->size_bytes)
        return 0;
    return look->read(look->arg, offset, data, len, look->err) < 0 ? -1 : 1;
}

static struct disklabel_part *
add_part(struct look *look, unsigned number, uint64_t offset, uint64_t size, enum disklabel_use use)
{
    struct disklabel *label = look->label;
    if (label->n_parts == DISKLABEL_MAX_PARTS) {
        label->n_dropped++;
        return NULL;
    }
    struct disklabel_part *part = &label->parts[label->n_parts++];
    *part = (struct disklabel_part){
        .number = number, .offset_bytes = offset, .size_bytes = size, .use = use
    };
    if (offset >= look->size_bytes || size > look->size_bytes - offset)
        label->past_end = true;
    return part;
}

/* ---- MBR ---- */

struct mbr_entry {
    uint8_t status, type;
    uint32_t first, count; /* sectors of 512 bytes */
};

static struct mbr_entry
mbr_entry(const uint8_t *sector, unsigned i)
{
    const uint8_t *p = sector + MBR_TABLE + i * MBR_ENTRY;
    return (struct mbr_entry){
        .status = p[0], .type = p[4], .first = le32(p + 8), .count = le32(p + 12)
    };
}

static bool
is_extended(uint8_t type)
{
    return type == 0x05 || type == 0x0f || type == 0x85;
}

/* A file system without a table has the same signature at the sector's end; what tells them apart
 * is whether the four entries make sense. */
static bool
is_mbr(const struct look *look, const uint8_t *sector)
{
    unsigned used = 0;
    if (sector[510] != 0x55 || sector[511] != 0xaa)
        return false;
    for (unsigned i = 0; i < 4; i++) {
        struct mbr_entry e = mbr_entry(sector, i);
        if (e.status != 0 && e.status != 0x80)
            return false;
        if (e.type == 0)
            continue;
        if (e.first == 0 || e.first > look->size_bytes / 512)
            return false;
        used++;
    }
    return used > 0;
}

static enum disklabel_use
mbr_use(uint8_t type)
{
    return type == 0xef ? USE_ESP : type == 0x42 ? USE_LDM : USE_OTHER;
}

static bool
is_known_start(const struct look *look, uint64_t offset)
{
    for (size_t i = 0; i < look->label->n_parts; i++)
        if (look->label->parts[i].offset_bytes == offset)
            return true;
    return false;
}

/* The chain of extended boot records: each has one logical partition, relative to itself, and the
 * place of the next record, relative to the extended partition. */
static int
look_logical(struct look *look, uint64_t extended_first)
{
    uint64_t lba = extended_first;
    for (unsigned n = 0; n < MBR_EXTENDED_MAX; n++) {
        uint8_t sector[512];
        int r = read_at(look, lba * 512, sector, sizeof sector);
        if (r <= 0)
            return r;
        if (sector[510] != 0x55 || sector[511] != 0xaa)
            return 0;
        struct mbr_entry logical = mbr_entry(sector, 0), next = mbr_entry(sector, 1);
        uint64_t offset = (lba + logical.first) * 512;
        if (is_known_start(look, offset))
            return 0; /* a ring */
        if (logical.type != 0 && logical.count > 0 && logical.first > 0)
            add_part(look, 5 + n, offset, (uint64_t)logical.count * 512, mbr_use(logical.type));
        if (!is_extended(next.type) || next.first == 0)
            return 0;
        lba = extended_first + next.first;
    }
    return 0;
}

static int
look_mbr(struct look *look, const uint8_t *sector)
{
    if (!is_mbr(look, sector))
        return 0;
    for (unsigned i = 0; i < 4; i++)
        if (mbr_entry(sector, i).type == 0xee)
            return look_gpt(look);
    look->label->table = DISKLABEL_MBR;
    for (unsigned i = 0; i < 4; i++) {
        struct mbr_entry e = mbr_entry(sector, i);
        if (e.type == 0 || e.count == 0)
            continue;
        enum disklabel_use use = is_extended(e.type) ? USE_EXTENDED : mbr_use(e.type);
        struct disklabel_part *part =
            add_part(look, i + 1, (uint64_t)e.first * 512, (uint64_t)e.count * 512, use);
        part->active = e.status == 0x80;
        look->label->ldm |= use == USE_LDM;
        if (use == USE_EXTENDED && look_logical(look, e.first) < 0)
            return -1;
    }
    return 0;
}

/* ---- GPT ---- */

/* 1 good, 0 not, -1 failed. */
static int
read_gpt_header(struct look *look, uint64_t lba, unsigned sector_bytes, struct gpt_header *ret)
{
    uint8_t sector[512];
    int r = read_at(look, lba * sector_bytes, sector, sizeof sector);
    if (r <= 0)
        return r;
    uint32_t header_bytes = le32(sector + 12);
    if (memcmp(sector, "EFI PART", 8) != 0 || header_bytes < GPT_HEADER_MIN ||
        header_bytes > sizeof sector || le64(sector + 24) != lba)
        return 0;
    uint32_t crc = le32(sector + 16);
    memset(sector + 16, 0, 4);
    if (bytes_crc32(sector, header_bytes) != crc)
        return 0;
    *ret = (struct gpt_header){ .entries_lba = le64(sector + 72),
                                .n_entries = le32(sector + 80),
                                .entry_bytes = le32(sector + 84),
                                .entries_crc = le32(sector + 88) };
    uint64_t total;
    return ret->entry_bytes >= GPT_ENTRY_MIN && ret->entry_bytes % 8 == 0 &&
           checked_mul(ret->n_entries, ret->entry_bytes, &total) &&
           total <= GPT_ENTRIES_MAX_BYTES && total > 0;
}

static enum disklabel_use
gpt_use(const uint8_t *guid)
{
    for (size_t i = 0; i < ARRAY_LEN(gpt_uses); i++)
        if (memcmp(guid, gpt_uses[i].guid, 16) == 0)
            return gpt_uses[i].use;
    return USE_OTHER;
}

static void
add_gpt_part(struct look *look, unsigned number, const uint8_t *entry, unsigned sector_bytes)
{
    uint64_t first = le64(entry + 32), last = le64(entry + 40), count, offset, size;
    if (bytes_all_zero(entry, 16) || first > last || !checked_add(last - first, 1, &count) ||
        !checked_mul(first, sector_bytes, &offset) || !checked_mul(count, sector_bytes, &size))
        return;
    enum disklabel_use use = gpt_use(entry);
    look->label->ldm |= use == USE_LDM;
    add_part(look, number, offset, size, use);
}

/* 1 taken, 0 bad, -1 failed. */
static int
read_gpt_table(struct look *look, uint64_t lba, unsigned sector_bytes)
{
    struct gpt_header header;
    uint64_t offset;
    int r = read_gpt_header(look, lba, sector_bytes, &header);
    if (r <= 0 || !checked_mul(header.entries_lba, sector_bytes, &offset))
        return r < 0 ? -1 : 0;
    size_t total = (size_t)header.n_entries * header.entry_bytes;
    auto_free uint8_t *entries = malloc(total);
    if (!entries)
        return err_set(look->err, ERR_UNAVAILABLE, "no memory for a partition table");
    r = read_at(look, offset, entries, total);
    if (r <= 0 || bytes_crc32(entries, total) != header.entries_crc)
        return r < 0 ? -1 : 0;
    look->label->table = DISKLABEL_GPT;
    look->label->sector_bytes = sector_bytes;
    for (uint32_t i = 0; i < header.n_entries; i++)
        add_gpt_part(look, i + 1, entries + (size_t)i * header.entry_bytes, sector_bytes);
    return 1;
}

static int
look_gpt(struct look *look)
{
    static const unsigned sector_sizes[] = { 512, 4096 };
    for (size_t i = 0; i < ARRAY_LEN(sector_sizes); i++) {
        struct gpt_header backup;
        uint64_t n_sectors = look->size_bytes / sector_sizes[i];
        int r = n_sectors < 3 ? 0 : read_gpt_table(look, 1, sector_sizes[i]);
        if (r == 0)
            continue;
        if (r > 0)
            r = read_gpt_header(look, n_sectors - 1, sector_sizes[i], &backup);
        look->label->gpt_backup_bad = r == 0;
        return r < 0 ? -1 : 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(sector_sizes); i++) {
        uint64_t n_sectors = look->size_bytes / sector_sizes[i];
        int r = n_sectors < 3 ? 0 : read_gpt_table(look, n_sectors - 1, sector_sizes[i]);
        if (r == 0)
            continue;
        look->label->gpt_backup_used = true;
        return r < 0 ? -1 : 0;
    }
    look->label->gpt_damaged = true;
    return 0;
}

/* ---- what is in them ---- */

static int
look_contents(struct look *look)
{
    struct disklabel *label = look->label;
    if (label->table == DISKLABEL_NONE && !label->gpt_damaged) {
        add_part(look, 0, 0, look->size_bytes, USE_OTHER);
        if (disklabel_content(look->size_bytes, look->read, look->arg, &label->parts[0],
                              look->err) < 0)
            return -1;
        label->blank = label->parts[0].content == CONTENT_ZERO;
        return 0;
    }
    for (size_t i = 0; i < label->n_parts; i++) {
        struct disklabel_part *part = &label->parts[i];
        if (part->use != USE_EXTENDED &&
            disklabel_content(look->size_bytes, look->read, look->arg, part, look->err) < 0)
            return -1;
    }
    return 0;
}
