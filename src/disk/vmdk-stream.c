#include "disk/vmdk-stream.h"

#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

#define FLAG_COMPRESSED (UINT32_C(1) << 16)
#define FLAG_MARKERS (UINT32_C(1) << 17)
#define COMPRESS_DEFLATE 1
#define GD_AT_END UINT64_MAX

#define GRAIN_HEAD_BYTES 12
#define TABLE_ENTRIES 512

enum marker {
    MARKER_EOS = 0,
    MARKER_GT = 1,
    MARKER_GD = 2,
    MARKER_FOOTER = 3,
    MARKER_PROGRESS = 4
};

static uint16_t
le16_at(const uint8_t *p)
{
    uint16_t n;
    memcpy(&n, p, sizeof n);
    return le16toh(n);
}

static uint32_t
le32_at(const uint8_t *p)
{
    uint32_t n;
    memcpy(&n, p, sizeof n);
    return le32toh(n);
}

static uint64_t
le64_at(const uint8_t *p)
{
    uint64_t n;
    memcpy(&n, p, sizeof n);
    return le64toh(n);
}

/* ---- header ---- */

bool
vmdk_is_stream(const uint8_t sector[VMDK_SECTOR])
{
    uint32_t flags = le32_at(sector + 8);
    return memcmp(sector, "KDMV", 4) == 0 && (flags & FLAG_COMPRESSED) && (flags & FLAG_MARKERS);
}

int
vmdk_header_parse(const uint8_t sector[VMDK_SECTOR], const char *name, struct vmdk_header *ret,
                  struct err *err)
{
    if (memcmp(sector, "KDMV", 4) != 0)
        return err_set(err, ERR_INVALID, "%s: not a VMDK: it does not begin with KDMV", name);
    if (!vmdk_is_stream(sector))
        return err_set(err, ERR_INVALID,
                       "%s: VMDK is not streamOptimized, so it cannot be read as a stream; give "
                       "it as a file",
                       name);
    uint32_t version = le32_at(sector + 4);
    if (version < 1 || version > 3)
        return err_set(err, ERR_INVALID, "%s: VMDK of version %" PRIu32 ", known are 1 to 3", name,
                       version);
    if (memcmp(sector + 73, "\n \r\n", 4) != 0)
        return err_set(err, ERR_INVALID,
                       "%s: VMDK was damaged by a transfer in text mode: fetch it again in binary",
                       name);
    if (le16_at(sector + 77) != COMPRESS_DEFLATE)
        return err_set(err, ERR_INVALID, "%s: VMDK uses compression %u, known is 1 (deflate)", name,
                       le16_at(sector + 77));

    uint64_t capacity = le64_at(sector + 12), grain = le64_at(sector + 20);
    uint64_t descriptor = le64_at(sector + 28), descriptor_len = le64_at(sector + 36);
    uint64_t overhead = le64_at(sector + 64);
    if (capacity == 0 || capacity > DISK_MAX_BYTES / VMDK_SECTOR)
        return err_set(err, ERR_INVALID, "%s: VMDK claims a disk of %" PRIu64 " sectors", name,
                       capacity);
    if (!is_power_of_two(grain) || grain < VMDK_GRAIN_MIN / VMDK_SECTOR ||
        grain > VMDK_GRAIN_MAX / VMDK_SECTOR)
        return err_set(err, ERR_INVALID, "%s: VMDK has grains of %" PRIu64 " sectors", name, grain);
    if (capacity / grain > VMDK_GRAINS_MAX)
        return err_set(err, ERR_INVALID,
                       "%s: VMDK of %" PRIu64 " sectors in grains of %" PRIu64 " has too many",
                       name, capacity, grain);
    if (overhead == 0 || overhead > VMDK_OVERHEAD_MAX / VMDK_SECTOR ||
        (descriptor && (descriptor_len > VMDK_DESCRIPTOR_MAX / VMDK_SECTOR ||
                        descriptor > overhead || descriptor_len > overhead - descriptor)))
        return err_set(err, ERR_INVALID, "%s: VMDK header is damaged: its parts overlap", name);
    *ret = (struct vmdk_header){
        .capacity_bytes = capacity * VMDK_SECTOR,
        .grain_bytes = grain * VMDK_SECTOR,
        .overhead_bytes = overhead * VMDK_SECTOR,
        .descriptor_offset = descriptor * VMDK_SECTOR,
        .descriptor_bytes = descriptor ? descriptor_len * VMDK_SECTOR : 0,
        .has_footer = le64_at(sector + 56) == GD_AT_END,
    };
    uint64_t directory = le64_at(sector + 56);
    if (!ret->has_footer && directory < overhead && le32_at(sector + 44) == TABLE_ENTRIES)
        ret->directory_offset = directory * VMDK_SECTOR;
    return 0;
}

/* ---- descriptor ---- */

static const char *
line_starting(const char *text, const char *start)
{
    size_t len = strlen(start);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncasecmp(line, start, len) == 0)
            return line + len;
    }
    return NULL;
}

static int
check_descriptor(const char *text, const struct vmdk_header *header, const char *name,
                 struct err *err)
{
    const char *parent = line_starting(text, "parentCID=");
    if (parent && strncasecmp(parent, "ffffffff", 8) != 0)
        return err_set(err, ERR_INVALID,
                       "%s: VMDK holds only the changes since a snapshot (its parent is %.8s): "
                       "export the machine without snapshots",
                       name, parent);
    const char *extent = line_starting(text, "RW ");
    if (!extent)
        extent = line_starting(text, "RDONLY ");
    if (!extent)
        return 0;
    uint64_t sectors = strtoull(extent, NULL, 10);
    if (sectors != header->capacity_bytes / VMDK_SECTOR)
        return err_set(err, ERR_INVALID,
                       "%s: VMDK contradicts itself: header %" PRIu64 " sectors, descriptor "
                       "%" PRIu64,
                       name, header->capacity_bytes / VMDK_SECTOR, sectors);
    return 0;
}

static int read_tables(struct byte_input *in, struct vmdk_header *header, struct err *err);

int
vmdk_stream_begin(struct byte_input *in, struct vmdk_header *ret, struct err *err)
{
    const char *name = byte_input_name(in);
    uint8_t sector[VMDK_SECTOR];
    struct vmdk_header header;
    if (byte_input_read(in, sector, sizeof sector, err) < 0 ||
        vmdk_header_parse(sector, name, &header, err) < 0)
        return -1;
    if (header.descriptor_bytes && header.descriptor_offset >= VMDK_SECTOR) {
        auto_free char *text = malloc(header.descriptor_bytes + 1);
        if (!text)
            return err_set(err, ERR_UNAVAILABLE, "%s: no memory for its descriptor", name);
        if (byte_input_skip(in, header.descriptor_offset - VMDK_SECTOR, err) < 0 ||
            byte_input_read(in, text, header.descriptor_bytes, err) < 0)
            return -1;
        text[header.descriptor_bytes] = '\0';
        if (check_descriptor(text, &header, name, err) < 0)
            return -1;
    }
    if (read_tables(in, &header, err) < 0)
        return -1;
    uint64_t position = byte_input_position(in);
    if (header.overhead_bytes < position)
        return err_set(err, ERR_INVALID, "%s: VMDK header is damaged: its parts overlap", name);
    if (byte_input_skip(in, header.overhead_bytes - position, err) < 0)
        return -1;
    *ret = header;
    return 0;
}

/* Is a piece of that size, at this byte, still ahead and within the overhead? */
static bool
lies_ahead(const struct byte_input *in, const struct vmdk_header *header, uint64_t offset,
           uint64_t bytes)
{
    return offset >= byte_input_position(in) && offset <= header->overhead_bytes &&
           bytes <= header->overhead_bytes - offset;
}

/* Count the grains that the tables in front list. Tables that do not lie in the order of the
 * directory are not looked into: the stream must then have its end marker. */
static int
read_tables(struct byte_input *in, struct vmdk_header *header, struct err *err)
{
    uint64_t n_tables = div_up(header->capacity_bytes, header->grain_bytes * TABLE_ENTRIES);
    uint64_t offset = header->directory_offset, directory_bytes = n_tables * sizeof(uint32_t);
    if (offset == 0 || directory_bytes > VMDK_DIRECTORY_MAX ||
        !lies_ahead(in, header, offset, directory_bytes))
        return 0;
    auto_free uint8_t *directory = malloc(directory_bytes);
    if (!directory)
        return err_set(err, ERR_UNAVAILABLE, "%s: no memory for its tables", byte_input_name(in));
    if (byte_input_skip(in, offset - byte_input_position(in), err) < 0 ||
        byte_input_read(in, directory, directory_bytes, err) < 0)
        return -1;
    uint64_t listed = 0;
    for (uint64_t t = 0; t < n_tables; t++) {
        uint8_t table[TABLE_ENTRIES * sizeof(uint32_t)];
        offset = (uint64_t)le32_at(directory + t * sizeof(uint32_t)) * VMDK_SECTOR;
        if (offset == 0)
            continue;
        if (!lies_ahead(in, header, offset, sizeof table))
            return 0;
        if (byte_input_skip(in, offset - byte_input_position(in), err) < 0 ||
            byte_input_read(in, table, sizeof table, err) < 0)
            return -1;
        for (size_t i = 0; i < TABLE_ENTRIES; i++) /* 1: a grain of zeroes that is not stored */
            listed += le32_at(table + i * sizeof(uint32_t)) > 1;
    }
    header->has_listed = true;
    header->n_listed = listed;
    return 0;
}

/* ---- blocks ---- */

uint64_t
vmdk_grain_padding(uint32_t compressed_len)
{
    uint64_t len = (uint64_t)compressed_len + GRAIN_HEAD_BYTES;
    return round_up(len, VMDK_SECTOR) - len;
}

static int
grain_from(const struct vmdk_header *header, uint64_t sector, uint32_t len, uint64_t position,
           const char *name, struct vmdk_block *ret, struct err *err)
{
    uint64_t offset = sector * VMDK_SECTOR;
    if (sector >= header->capacity_bytes / VMDK_SECTOR || offset % header->grain_bytes != 0)
        return err_set(err, ERR_INVALID,
                       "%s: VMDK is damaged at byte %" PRIu64 ": a grain for sector %" PRIu64
                       " of %" PRIu64,
                       name, position, sector, header->capacity_bytes / VMDK_SECTOR);
    if (len > VMDK_COMPRESSED_MAX(header->grain_bytes))
        return err_set(err, ERR_INVALID,
                       "%s: VMDK is damaged at byte %" PRIu64 ": a grain of %" PRIu32
                       " compressed bytes",
                       name, position, len);
    *ret = (struct vmdk_block){ .kind = VMDK_GRAIN, .offset = offset, .compressed_len = len };
    return 0;
}

int
vmdk_block_read(struct byte_input *in, const struct vmdk_header *header, struct vmdk_block *ret,
                struct err *err)
{
    const char *name = byte_input_name(in);
    uint64_t position = byte_input_position(in);
    int at_end = byte_input_at_end(in, err);
    if (at_end < 0)
        return -1;
    if (at_end) {
        *ret = (struct vmdk_block){ .kind = VMDK_CUT };
        return 0;
    }
    uint8_t head[GRAIN_HEAD_BYTES];
    if (byte_input_read(in, head, sizeof head, err) < 0)
        return -1;
    uint64_t value = le64_at(head);
    uint32_t len = le32_at(head + 8);
    if (len != 0)
        return grain_from(header, value, len, position, name, ret, err);

    uint8_t rest[VMDK_SECTOR - GRAIN_HEAD_BYTES];
    if (byte_input_read(in, rest, sizeof rest, err) < 0)
        return -1;
    uint32_t type = le32_at(rest);
    if (type > MARKER_PROGRESS || value > VMDK_METADATA_SECTORS_MAX)
        return err_set(err, ERR_INVALID,
                       "%s: VMDK is damaged at byte %" PRIu64 ": marker %" PRIu32 " with %" PRIu64
                       " sectors",
                       name, position, type, value);
    *ret = (struct vmdk_block){
        .kind = type == MARKER_EOS      ? VMDK_END
                : type == MARKER_FOOTER ? VMDK_FOOTER
                                        : VMDK_METADATA,
        .skip_bytes = value * VMDK_SECTOR,
    };
    if (ret->kind == VMDK_FOOTER && value != 1)
        return err_set(err, ERR_INVALID, "%s: VMDK is damaged: a footer of %" PRIu64 " sectors",
                       name, value);
    return 0;
}

int
vmdk_footer_read(struct byte_input *in, const struct vmdk_header *header, struct err *err)
{
    uint8_t sector[VMDK_SECTOR];
    struct vmdk_header footer;
    const char *name = byte_input_name(in);
    if (byte_input_read(in, sector, sizeof sector, err) < 0 ||
        vmdk_header_parse(sector, name, &footer, err) < 0)
        return err_prefix(err, "footer");
    if (footer.capacity_bytes != header->capacity_bytes ||
        footer.grain_bytes != header->grain_bytes)
        return err_set(err, ERR_INVALID, "%s: VMDK is damaged: header and footer differ", name);
    return 0;
}
