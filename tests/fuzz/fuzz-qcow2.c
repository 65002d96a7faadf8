/* A qcow2 image that is there, opened to be written in place.
 *
 * An image is mostly empty, so the input is what is not: the header, then records of 12 bytes, a
 * place (cluster, and which eight bytes of it; little endian) and eight bytes to put there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "disk/target.h"

#define SIZE_AT 24 /* of the virtual disk, in the header, big endian */
#define HEADER_BYTES 104
#define RECORD_BYTES 12
#define FILE_CLUSTERS 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
use(struct target *target)
{
    struct err err = ERR_INIT;
    auto_free uint8_t *cluster = aligned_alloc(IO_ALIGN, CLUSTER_BYTES);
    uint64_t last = round_down(target->bytes - 1, CLUSTER_BYTES);
    bool hole;
    if (!cluster)
        return;
    memset(cluster, 0x5a, CLUSTER_BYTES);
    if (target->ops->read(target, 0, cluster, CLUSTER_BYTES, 0, &hole, &err) < 0 ||
        target->ops->write(target, cluster, CLUSTER_BYTES, last, &err) < 0 ||
        target->ops->zero(target, 0, 0, CLUSTER_BYTES, &err) < 0 ||
        target->ops->write(target, cluster, CLUSTER_BYTES, 0, &err) < 0 ||
        target->ops->flush(target, &err) < 0)
        return;
    target->ops->finish(target, &err);
}

static int
write_image(int fd, const uint8_t *data, size_t len)
{
    struct err err = ERR_INIT;
    if (ftruncate(fd, FILE_CLUSTERS * CLUSTER_BYTES) < 0 ||
        fd_pwrite(fd, data, HEADER_BYTES, 0, "image", &err) < 0)
        return -1;
    for (size_t i = HEADER_BYTES; i + RECORD_BYTES <= len; i += RECORD_BYTES) {
        uint16_t cluster, eighth;
        memcpy(&cluster, data + i, sizeof cluster);
        memcpy(&eighth, data + i + 2, sizeof eighth);
        uint64_t offset = cluster % FILE_CLUSTERS * CLUSTER_BYTES + eighth % 8192 * 8;
        if (fd_pwrite(fd, data + i + 4, 8, offset, "image", &err) < 0)
            return -1;
    }
    return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct err err = ERR_INIT;
    char path[32];
    uint64_t bytes = 0;
    if (len < HEADER_BYTES)
        return 0;
    memcpy(&bytes, data + SIZE_AT, sizeof bytes);
    auto_close int fd = memfd_create("image", MFD_CLOEXEC);
    if (fd < 0 || write_image(fd, data, len) < 0)
        return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct target_spec spec = { .uri = path, .format = "qcow2", .bytes = __builtin_bswap64(bytes) };
    struct target *target;
    if (target_open(&spec, &target, &err) < 0)
        return 0;
    use(target);
    target_close(target);
    return 0;
}
