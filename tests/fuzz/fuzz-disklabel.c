/* The look at partition tables and superblocks. The input is a disk, its first bytes and its last:
 * what lies between reads as zero. Its size is in the first eight bytes.
 *
 * Held: no read outside of the disk, no more than 1 MiB of them, and what is found is in bounds. */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "guest/disklabel.h"

#define READ_MAX MIB
#define SIZE_BYTES 8

struct disk {
    const uint8_t *head, *tail;
    uint64_t half, size, total;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t
byte_at(const struct disk *disk, uint64_t offset)
{
    if (offset < disk->half)
        return disk->head[offset];
    if (offset >= disk->size - disk->half)
        return disk->tail[offset - (disk->size - disk->half)];
    return 0;
}

static int
read_disk(void *arg, uint64_t offset, void *data, size_t len, struct err *err)
{
    struct disk *disk = arg;
    (void)err;
    if (offset > disk->size || len > disk->size - offset)
        abort();
    disk->total += len;
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)data)[i] = byte_at(disk, offset + i);
    return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    struct disk disk = { 0 };
    static struct disklabel label;
    static struct guest_report report;
    if (size < SIZE_BYTES)
        return 0;
    memcpy(&disk.size, data, SIZE_BYTES);
    disk.half = (size - SIZE_BYTES) / 2;
    disk.size = MAX(disk.size, 2 * disk.half);
    disk.head = data + SIZE_BYTES;
    disk.tail = disk.head + disk.half;
    if (disklabel_look(disk.size, read_disk, &disk, &label, &err) < 0 || disk.total > READ_MAX ||
        label.n_parts > DISKLABEL_MAX_PARTS)
        abort();
    for (size_t i = 0; i < label.n_parts; i++) {
        const struct disklabel_part *part = &label.parts[i];
        if (!disklabel_content_name(part->content) ||
            (part->space_known && part->free_bytes > part->total_bytes))
            abort();
    }
    report = (struct guest_report){ 0 };
    disklabel_judge(&label, 1, false, &report);
    return 0;
}
