#include "disk/qcow2-header.h"

#include <endian.h>
#include <inttypes.h>
#include <string.h>

#include "base/fd.h"

#define MAGIC 0x514649fb /* "QFI\xfb" */
#define VERSION 3
#define REFCOUNT_ORDER 4

/* As on disk, big endian. */
struct raw_header {
    uint32_t magic;
    uint32_t version;
    uint64_t backing_file_offset;
    uint32_t backing_file_size;
    uint32_t cluster_bits;
    uint64_t size;
    uint32_t crypt_method;
    uint32_t l1_size;
    uint64_t l1_table_offset;
    uint64_t refcount_table_offset;
    uint32_t refcount_table_clusters;
    uint32_t nb_snapshots;
    uint64_t snapshots_offset;
    uint64_t incompatible_features;
    uint64_t compatible_features;
    uint64_t autoclear_features;
    uint32_t refcount_order;
    uint32_t header_length;
};
_Static_assert(sizeof(struct raw_header) == 104, "as the format has it");

uint32_t
qcow2_l1_entries_for(uint64_t bytes)
{
    return (uint32_t)div_up(bytes, QCOW2_L2_SPAN_BYTES);
}

static bool
table_is_inside(uint64_t offset, uint64_t table_bytes, uint64_t file_bytes)
{
    return offset != 0 && offset % CLUSTER_BYTES == 0 && offset < file_bytes &&
           table_bytes <= file_bytes - offset;
}

/* NULL, or what about it we do not open. */
static const char *
unsupported_part(const struct raw_header *raw)
{
    if (be32toh(raw->version) != VERSION)
        return "it is not version 3";
    if (be32toh(raw->cluster_bits) != CLUSTER_BITS)
        return "its clusters are not 64 KiB";
    if (be32toh(raw->refcount_order) != REFCOUNT_ORDER)
        return "its refcounts are not 16 bits wide";
    if (raw->backing_file_offset)
        return "it has a backing file";
    if (raw->nb_snapshots)
        return "it has internal snapshots";
    if (raw->crypt_method)
        return "it is encrypted";
    if (be64toh(raw->incompatible_features) & ~QCOW2_INCOMPATIBLE_DIRTY)
        return "it uses features that are not supported here, or is marked corrupt";
    if (raw->autoclear_features)
        return "it holds persistent bitmaps";
    return NULL;
}

int
qcow2_header_read(int fd, uint64_t file_bytes, const char *name, struct qcow2_header *ret,
                  struct err *err)
{
    struct raw_header raw;
    if (fd_pread_exact(fd, &raw, sizeof raw, 0, name, err) < 0)
        return -1;
    if (be32toh(raw.magic) != MAGIC)
        return err_set(err, ERR_INVALID, "%s: not a qcow2 image", name);
    const char *why = unsupported_part(&raw);
    if (why)
        return err_set(err, ERR_INVALID,
                       "%s: qcow2 image cannot be written in place: %s; write to it through "
                       "qemu-nbd and an nbd+unix:// target instead",
                       name, why);
    struct qcow2_header header = {
        .bytes = be64toh(raw.size),
        .l1_entries = be32toh(raw.l1_size),
        .l1_offset = be64toh(raw.l1_table_offset),
        .refcount_table_offset = be64toh(raw.refcount_table_offset),
        .refcount_table_clusters = be32toh(raw.refcount_table_clusters),
        .dirty = be64toh(raw.incompatible_features) & QCOW2_INCOMPATIBLE_DIRTY,
    };
    if (header.bytes == 0 || header.bytes > DISK_MAX_BYTES || file_bytes > QCOW2_MAX_FILE_BYTES)
        return err_set(err, ERR_INVALID, "%s: qcow2 image of %" PRIu64 " bytes is out of range",
                       name, header.bytes);
    if (header.l1_entries < qcow2_l1_entries_for(header.bytes) ||
        header.l1_entries > qcow2_l1_entries_for(DISK_MAX_BYTES) ||
        !table_is_inside(header.l1_offset, (uint64_t)header.l1_entries * 8, file_bytes))
        return err_set(err, ERR_INVALID, "%s: qcow2 image is damaged: L1 table lies wrong", name);
    uint64_t table_bytes = (uint64_t)header.refcount_table_clusters * CLUSTER_BYTES;
    if (!header.dirty && !table_is_inside(header.refcount_table_offset, table_bytes, file_bytes))
        return err_set(err, ERR_INVALID, "%s: qcow2 image is damaged: refcount table lies wrong",
                       name);
    *ret = header;
    return 0;
}

int
qcow2_header_write(int fd, const struct qcow2_header *header, const char *name, struct err *err)
{
    /* The eight zero bytes behind it end the list of header extensions. */
    struct {
        struct raw_header raw;
        uint64_t end_of_extensions;
    } out = {
        .raw = {
            .magic = htobe32(MAGIC),
            .version = htobe32(VERSION),
            .cluster_bits = htobe32(CLUSTER_BITS),
            .size = htobe64(header->bytes),
            .l1_size = htobe32(header->l1_entries),
            .l1_table_offset = htobe64(header->l1_offset),
            .refcount_table_offset = htobe64(header->refcount_table_offset),
            .refcount_table_clusters = htobe32(header->refcount_table_clusters),
            .incompatible_features = htobe64(header->dirty ? QCOW2_INCOMPATIBLE_DIRTY : 0),
            .refcount_order = htobe32(REFCOUNT_ORDER),
            .header_length = htobe32(sizeof(struct raw_header)),
        },
    };
    return fd_pwrite(fd, &out, sizeof out, 0, name, err);
}
