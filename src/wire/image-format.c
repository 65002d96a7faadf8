#include "wire/image-format.h"

#include <endian.h>
#include <string.h>

#include "base/checked.h"

#define QCOW2_SIZE_AT 24
#define VMDK_CAPACITY_AT 12 /* sectors */
#define VMDK_SECTOR_BYTES 512

static const struct {
    const char *format;
    size_t offset;
    const char *magic;
    size_t magic_len;
} magics[] = {
    { "vmdk", 0, "KDMV", 4 },
    { "vmdk", 0, "COWD", 4 },
    { "vmdk", 0, "\xbe\xba\xfe\xca\0\0\0\0", 8 }, /* seSparse */
    { "vmdk", 0, "# Disk DescriptorFile", 21 },
    { "qcow2", 0, "QFI\xfb", 4 },
    { "vhdx", 0, "vhdxfile", 8 },
    { "vpc", 0, "conectix", 8 },
    { "vdi", 64, "\x7f\x10\xda\xbe", 4 },
    { "qed", 0, "QED\0", 4 },
};

const char *
image_format_of(const uint8_t *head, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(magics); i++)
        if (magics[i].offset + magics[i].magic_len <= len &&
            memcmp(head + magics[i].offset, magics[i].magic, magics[i].magic_len) == 0)
            return magics[i].format;
    return "raw";
}

uint64_t
image_format_capacity(const uint8_t *head, size_t len)
{
    uint64_t number;
    if (len < IMAGE_FORMAT_HEAD_BYTES)
        return 0;
    if (memcmp(head, "QFI\xfb", 4) == 0) {
        memcpy(&number, head + QCOW2_SIZE_AT, sizeof number);
        return be64toh(number);
    }
    if (memcmp(head, "KDMV", 4) == 0) {
        memcpy(&number, head + VMDK_CAPACITY_AT, sizeof number);
        return checked_mul(le64toh(number), VMDK_SECTOR_BYTES, &number) ? number : 0;
    }
    return 0;
}
