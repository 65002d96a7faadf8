/* streamOptimized VMDK: header, descriptor and markers.
 *
 * Source: VMware "Virtual Disk Format 5.0" technical note; layout checked against what vCenter
 * exports and what qemu-img writes. All numbers little endian, a sector is 512 bytes.
 *
 * A stream is a header sector, a descriptor, and from the overhead on a row of blocks that begin on
 * sectors: a grain (12 bytes of head, a zlib stream, padding) or a marker sector with the number of
 * metadata sectors behind it. That nothing is missing is proved by the footer and the end marker,
 * or, where the tables lie in front (as qemu-img writes it, with no end marker), by the grains they
 * list.
 */
#ifndef DISK_VMDK_STREAM_H
#define DISK_VMDK_STREAM_H

#include "disk/byte-input.h"
#include "disk/source.h"

#define VMDK_SECTOR 512

/* Grain sizes we take; VMware writes 64 KiB. */
#define VMDK_GRAIN_MIN (4 * KIB)
#define VMDK_GRAIN_MAX REQUEST_BYTES
#define VMDK_GRAINS_MAX (UINT64_C(1) << 30) /* 64 TiB of the usual size; a bit each is kept */
#define VMDK_DESCRIPTOR_MAX (1 * MIB)
#define VMDK_OVERHEAD_MAX (9 * GIB)        /* descriptor and, where they lie in front, tables */
#define VMDK_DIRECTORY_MAX (16 * MIB)      /* of tables in front, that we look into */
#define VMDK_METADATA_SECTORS_MAX 0x200000 /* behind one marker */

/* Room for a grain that does not compress: twice its size is more than deflate ever needs. */
#define VMDK_COMPRESSED_MAX(grain_bytes) (2 * (grain_bytes))

struct vmdk_header {
    uint64_t capacity_bytes;
    uint64_t grain_bytes;
    uint64_t overhead_bytes;    /* where the blocks begin */
    uint64_t descriptor_offset; /* bytes, 0: none */
    uint64_t descriptor_bytes;
    bool has_footer;           /* the grain directory's place is told at the end ... */
    uint64_t directory_offset; /* ... or in front: bytes */
    bool has_listed;           /* tables in front were read (vmdk_stream_begin): ... */
    uint64_t n_listed;         /* ... grains that they list */
};

/* True for a header sector (at least 512 bytes) of a compressed stream with markers. */
bool vmdk_is_stream(const uint8_t sector[VMDK_SECTOR]);

/* Check and take apart; name is for the error. */
int vmdk_header_parse(const uint8_t sector[VMDK_SECTOR], const char *name, struct vmdk_header *ret,
                      struct err *err);

/* Read header, descriptor and tables in front, and go to the first block. ERR_INVALID when the
 * descriptor tells another size or a parent. */
int vmdk_stream_begin(struct byte_input *in, struct vmdk_header *ret, struct err *err);

/* VMDK_CUT: the input ended where a block should begin. */
enum vmdk_block_kind { VMDK_GRAIN, VMDK_METADATA, VMDK_FOOTER, VMDK_END, VMDK_CUT };

struct vmdk_block {
    enum vmdk_block_kind kind;
    uint64_t offset;         /* of a grain: bytes into the disk */
    uint32_t compressed_len; /* of a grain: bytes */
    uint64_t skip_bytes;     /* of metadata: what follows the marker */
};

/* The head of the next block. For a grain, compressed_len bytes and then vmdk_padding() bytes
 * follow; for metadata, skip_bytes. */
int vmdk_block_read(struct byte_input *in, const struct vmdk_header *header, struct vmdk_block *ret,
                    struct err *err);
uint64_t vmdk_grain_padding(uint32_t compressed_len);

/* Check the footer that follows its marker against the header. */
int vmdk_footer_read(struct byte_input *in, const struct vmdk_header *header, struct err *err);

/* The source; takes the input over, also on failure. identity as in struct source; it is kept only
 * when the stream can be resumed. */
int source_vmdk_open(struct byte_input *in, const char *identity, struct source **ret,
                     struct err *err);

#endif
