#include "descriptor/image.h"

#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "descriptor/number.h"

#define SECTOR 512
#define HEAD_BYTES 4096
#define VMDK_MAX_TEXT ((uint64_t)1 << 20)
#define VMDK_MAX_EXTENTS 10000
#define QEMU_DESC_SECTORS ((uint64_t)20) /* block/vmdk.c, DESC_SIZE */

/* A file of a package that is being looked at. */
struct look {
    const struct package *package;
    const char *name;
    const struct package_file *file;
    const unsigned char *head; /* HEAD_BYTES, zeros after the end */
    size_t n_extents;
};

static int look_gzip(const struct look *look, struct image *image, struct err *err);
static int vmdk_header(const unsigned char *head, const char *name, struct image *image,
                       struct err *err);
static int look_vmdk_sparse(const struct look *look, struct image *image, struct err *err);
static int look_vmdk_text(struct look *look, struct image *image, struct err *err);
static int look_qcow2(const struct look *look, struct image *image, struct err *err);
static int look_vhd(const struct look *look, const unsigned char *footer, struct image *image,
                    struct err *err);
static int look_vdi(const struct look *look, struct image *image, struct err *err);
static int look_raw(const struct look *look, struct image *image, struct err *err);
static int check_extent(const char *kind, const char *name, void *arg, struct err *err);
static int read_text(const struct look *look, uint64_t offset, uint64_t bytes, char **ret_text,
                     struct err *err);

static uint32_t
le32_at(const unsigned char *data, size_t at)
{
    uint32_t number;
    memcpy(&number, data + at, sizeof number);
    return le32toh(number);
}

static uint64_t
le64_at(const unsigned char *data, size_t at)
{
    uint64_t number;
    memcpy(&number, data + at, sizeof number);
    return le64toh(number);
}

static uint64_t
be64_at(const unsigned char *data, size_t at)
{
    uint64_t number;
    memcpy(&number, data + at, sizeof number);
    return be64toh(number);
}

static uint32_t
be32_at(const unsigned char *data, size_t at)
{
    uint32_t number;
    memcpy(&number, data + at, sizeof number);
    return be32toh(number);
}

int
image_look(const struct package *package, const char *name, struct image *ret_image,
           struct err *err)
{
    auto_package_file struct package_file file = PACKAGE_FILE_INIT;
    if (package_open_file(package, name, &file, err) < 0)
        return -1;
    unsigned char head[HEAD_BYTES] = { 0 };
    size_t len = (size_t)MIN(file.bytes, (uint64_t)HEAD_BYTES);
    if (fd_pread_exact(file.fd, head, len, file.offset, name, err) < 0)
        return -1;
    struct look look = { .package = package, .name = name, .file = &file, .head = head };
    struct image image = { 0 };
    int r;
    if (memcmp(head, "\x1f\x8b\x08", 3) == 0) {
        r = look_gzip(&look, &image, err);
    } else if (memcmp(head, "KDMV", 4) == 0) {
        r = look_vmdk_sparse(&look, &image, err);
    } else if (memcmp(head, "# Disk Descripto", 16) == 0) {
        r = look_vmdk_text(&look, &image, err);
    } else if (memcmp(head, "QFI\xfb", 4) == 0) {
        r = look_qcow2(&look, &image, err);
    } else if (memcmp(head, "conectix", 8) == 0) {
        r = look_vhd(&look, head, &image, err);
    } else if (le32_at(head, 64) == 0xbeda107f) {
        r = look_vdi(&look, &image, err);
    } else if (memcmp(head, "COWD", 4) == 0) {
        r = err_set(err, ERR_INVALID,
                    "%s: an extent of an ESX snapshot or thin disk (COWD) without its descriptor: "
                    "export the machine again, or convert it with qemu-img",
                    name);
    } else if (memcmp(head, "vhdxfile", 8) == 0) {
        image.format = "vhdx"; /* QEMU itself refuses one with a parent */
        r = 0;
    } else {
        r = look_raw(&look, &image, err);
    }
    if (r < 0)
        return -1;
    *ret_image = image;
    return 0;
}

/* It is decoded as it streams, by us and not by QEMU; so what is in it must be what we decode, and
 * its references do not matter. */
static int
look_gzip(const struct look *look, struct image *image, struct err *err)
{
    unsigned char packed[HEAD_BYTES], head[SECTOR] = { 0 };
    z_stream z = { .next_in = packed, .next_out = head, .avail_out = sizeof head };
    z.avail_in = (uInt)MIN(look->file->bytes, (uint64_t)sizeof packed);
    memcpy(packed, look->head, z.avail_in);
    if (inflateInit2(&z, 15 + 16) != Z_OK)
        return err_errno(err, ENOMEM, "%s", look->name);
    int r = inflate(&z, Z_SYNC_FLUSH);
    inflateEnd(&z);
    if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
        return err_set(err, ERR_INVALID, "%s: damaged gzip data", look->name);
    if (memcmp(head, "KDMV", 4) != 0)
        return err_set(err, ERR_INVALID,
                       "%s: gzip-ed, and not a VMDK, so it cannot be read in place: unpack the "
                       "package, unpack this file (gunzip), take ovf:compression away and give the "
                       "directory",
                       look->name);
    image->gzip = true;
    return vmdk_header(head, look->name, image, err);
}

static int
vmdk_header(const unsigned char *head, const char *name, struct image *image, struct err *err)
{
    uint32_t version = le32_at(head, 4);
    uint64_t sectors = le64_at(head, 12);
    if (version < 1 || version > 3)
        return err_set(err, ERR_INVALID, "%s: VMDK of unknown version %" PRIu32, name, version);
    if (sectors == 0 || sectors > INT64_MAX / SECTOR)
        return err_set(err, ERR_INVALID, "%s: damaged VMDK: a capacity of %" PRIu64 " sectors",
                       name, sectors);
    image->format = "vmdk";
    image->capacity_bytes = sectors * SECTOR;
    return 0;
}

/* Hosted sparse and streamOptimized. The embedded descriptor matters: QEMU looks for a parent in
 * it, and with a capacity of 0 takes its extents. */
static int
look_vmdk_sparse(const struct look *look, struct image *image, struct err *err)
{
    uint64_t text_sector = le64_at(look->head, 28), text_sectors = le64_at(look->head, 36);
    if (vmdk_header(look->head, look->name, image, err) < 0)
        return -1;
    if (text_sector == 0)
        return 0;
    if (text_sectors > VMDK_MAX_TEXT / SECTOR || text_sector > INT64_MAX / SECTOR - text_sectors)
        return err_set(err, ERR_INVALID,
                       "%s: damaged VMDK: descriptor of %" PRIu64 " sectors at %" PRIu64,
                       look->name, text_sectors, text_sector);
    /* QEMU reads at least DESC_SIZE, whatever the header says. */
    uint64_t offset = text_sector * SECTOR;
    uint64_t bytes = MAX(text_sectors, QEMU_DESC_SECTORS) * SECTOR;
    if (look->file->bytes > offset)
        bytes = MIN(bytes, look->file->bytes - offset);
    auto_free char *text = NULL;
    if (read_text(look, offset, bytes, &text, err) < 0)
        return -1;
    uint64_t unused;
    return image_vmdk_text(text, look->name, NULL, NULL, &unused, err);
}

/* A descriptor of its own, its extents beside it. */
static int
look_vmdk_text(struct look *look, struct image *image, struct err *err)
{
    if (look->package->is_tar)
        return err_set(err, ERR_INVALID,
                       "%s: a VMDK in several files, which QEMU cannot read inside a tar: unpack "
                       "the OVA (tar -xf) and give the directory",
                       look->name);
    if (look->file->bytes > VMDK_MAX_TEXT)
        return err_set(err, ERR_INVALID, "%s: a VMDK descriptor of %" PRIu64 " bytes", look->name,
                       look->file->bytes);
    auto_free char *text = NULL;
    if (read_text(look, 0, look->file->bytes, &text, err) < 0)
        return -1;
    image->format = "vmdk";
    return image_vmdk_text(text, look->name, check_extent, look, &image->capacity_bytes, err);
}

static int
look_qcow2(const struct look *look, struct image *image, struct err *err)
{
    uint32_t version = be32_at(look->head, 4);
    uint64_t backing = be64_at(look->head, 8);
    uint64_t incompatible = version >= 3 ? be64_at(look->head, 72) : 0;
    if (backing != 0)
        return err_set(err, ERR_INVALID,
                       "%s: a qcow2 overlay; its backing file is not in the package: refused",
                       look->name);
    if (incompatible & 4)
        return err_set(err, ERR_INVALID, "%s: a qcow2 whose data lies in another file: refused",
                       look->name);
    image->format = "qcow2";
    image->capacity_bytes = be64_at(look->head, 24);
    return 0;
}

static int
look_vhd(const struct look *look, const unsigned char *footer, struct image *image, struct err *err)
{
    uint32_t type = be32_at(footer, 60);
    if (type != 2 && type != 3)
        return err_set(err, ERR_INVALID,
                       "%s: a VHD of type %" PRIu32 " (4 is a differencing disk, whose parent is "
                       "not in the package): export the whole disk",
                       look->name, type);
    image->format = "vpc";
    /* QEMU may round the size by CHS: let it tell. */
    return 0;
}

static int
look_vdi(const struct look *look, struct image *image, struct err *err)
{
    uint32_t type = le32_at(look->head, 76);
    if (type != 1 && type != 2)
        return err_set(err, ERR_INVALID,
                       "%s: a VDI of type %" PRIu32 " (4 is a differencing image, whose parent is "
                       "not in the package): export the whole disk",
                       look->name, type);
    image->format = "vdi";
    image->capacity_bytes = le64_at(look->head, 368);
    return 0;
}

static int
look_raw(const struct look *look, struct image *image, struct err *err)
{
    unsigned char tail[SECTOR];
    size_t len = strlen(look->name);
    if (len > 4 && strcasecmp(look->name + len - 4, ".vhd") == 0 && look->file->bytes > SECTOR) {
        /* A fixed VHD is raw with a footer. */
        if (fd_pread_exact(look->file->fd, tail, sizeof tail,
                           look->file->offset + look->file->bytes - SECTOR, look->name, err) < 0)
            return -1;
        if (memcmp(tail, "conectix", 8) == 0)
            return look_vhd(look, tail, image, err);
    }
    image->format = "raw";
    image->capacity_bytes = look->file->bytes;
    return 0;
}

static int
read_text(const struct look *look, uint64_t offset, uint64_t bytes, char **ret_text,
          struct err *err)
{
    if (offset > look->file->bytes || bytes > look->file->bytes - offset)
        return err_set(err, ERR_INVALID,
                       "%s: truncated: its descriptor should reach to byte %" PRIu64
                       " but there are %" PRIu64,
                       look->name, offset + bytes, look->file->bytes);
    auto_free char *text = malloc(bytes + 1);
    if (!text)
        return err_errno(err, ENOMEM, "%s", look->name);
    if (fd_pread_exact(look->file->fd, text, bytes, look->file->offset + offset, look->name, err) <
        0)
        return -1;
    text[bytes] = '\0';
    *ret_text = TAKE_PTR(text);
    return 0;
}

/* The next word of *at into word, cut to max; its length. */
static size_t
next_word(const char **at, char *word, size_t max)
{
    while (isspace((unsigned char)**at))
        (*at)++;
    size_t len = 0;
    for (; **at && !isspace((unsigned char)**at); (*at)++)
        if (len < max - 1)
            word[len++] = **at;
    word[len] = '\0';
    return len;
}

/* `RW 4192256 SPARSE "disk-s001.vmdk"`, `RW 63 FLAT "disk-flat.vmdk" 0`, `RW 512 ZERO`, with any
 * space between, as QEMU takes it. Returns 1 when it was one. */
static int
extent_line(const char *line, const char *disk, char *kind, size_t kind_max, char *file,
            size_t file_max, uint64_t *ret_sectors, struct err *err)
{
    const char *at = line;
    char access[16], count[32];
    next_word(&at, access, sizeof access);
    if (strcmp(access, "NOACCESS") == 0)
        return err_set(err, ERR_INVALID, "%s: a VMDK extent that cannot be read: '%.80s'", disk,
                       line);
    if (strcmp(access, "RW") != 0 && strcmp(access, "RDONLY") != 0) /* so in streamOptimized */
        return 0;
    struct err none;
    next_word(&at, count, sizeof count);
    if (number_read(count, "", ret_sectors, &none) < 0 || next_word(&at, kind, kind_max) == 0)
        return err_set(err, ERR_INVALID, "%s: bad VMDK extent '%.80s'", disk, line);
    file[0] = '\0';
    const char *quote = strchr(at, '"');
    if (quote) {
        const char *end = strchr(quote + 1, '"');
        size_t len = end ? (size_t)(end - quote) - 1 : 0;
        if (len == 0 || len >= file_max)
            return err_set(err, ERR_INVALID, "%s: bad VMDK extent '%.80s'", disk, line);
        memcpy(file, quote + 1, len);
        file[len] = '\0';
    }
    return 1;
}

/* One line of the text without space before it, NUL-terminated; false at the end. */
static bool
next_line(const char **at, char *line, size_t max)
{
    while (isspace((unsigned char)**at))
        (*at)++;
    size_t len = strcspn(*at, "\r\n");
    if (len == 0)
        return false;
    size_t use = MIN(len, max - 1);
    memcpy(line, *at, use);
    line[use] = '\0';
    *at += len;
    return true;
}

int
image_vmdk_text(const char *text, const char *name, image_extent_fn *extent, void *arg,
                uint64_t *ret_capacity_bytes, struct err *err)
{
    char line[1024] = "", kind[32], file[512];
    uint64_t sum = 0;
    /* QEMU takes the hint wherever in the text it stands. */
    bool delta = strcasestr(text, "parentFileNameHint");
    for (const char *at = text; next_line(&at, line, sizeof line);) {
        /* The CID of no parent has all bits set. */
        delta |= strncasecmp(line, "parentCID", 9) == 0 && !strcasestr(line, "ffffffff");
        if (delta)
            return err_set(err, ERR_INVALID,
                           "%s: a VMDK snapshot delta, whose parent is not in the package: "
                           "consolidate the machine's snapshots and export it again",
                           name);
        uint64_t sectors, bytes;
        int r = extent_line(line, name, kind, sizeof kind, file, sizeof file, &sectors, err);
        if (r < 0)
            return -1;
        if (r == 0)
            continue;
        if (!checked_mul(sectors, SECTOR, &bytes) || !checked_add(sum, bytes, &sum) ||
            sum > INT64_MAX)
            return err_set(err, ERR_INVALID, "%s: VMDK extents too large: '%.80s'", name, line);
        if (extent && extent(kind, file, arg, err) < 0)
            return -1;
    }
    *ret_capacity_bytes = sum;
    return 0;
}

/* An extent is a plain name beside the descriptor, and has no descriptor of its own. */
static int
check_extent(const char *kind, const char *name, void *arg, struct err *err)
{
    struct look *look = arg;
    static const char *const known[] = { "FLAT",       "SPARSE",   "VMFS",
                                         "VMFSSPARSE", "SESPARSE", "VMFSTHIN" };
    if (++look->n_extents > VMDK_MAX_EXTENTS)
        return err_set(err, ERR_INVALID, "%s: more than %d extents", look->name, VMDK_MAX_EXTENTS);
    if (strcmp(kind, "ZERO") == 0)
        return 0;
    bool is_known = false;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        is_known = is_known || strcmp(kind, known[i]) == 0;
    if (!is_known)
        return err_set(err, ERR_INVALID, "%s: a VMDK extent of kind %s is not supported",
                       look->name, kind);
    if (strchr(name, '/'))
        return err_set(err, ERR_INVALID,
                       "%s: its extent '%.200s' is not a plain name in the same directory: refused",
                       look->name, name);

    /* Names in it count from where it lies itself. */
    const char *slash = strrchr(look->name, '/');
    char full[2048];
    snprintf(full, sizeof full, "%.*s%s", slash ? (int)(slash - look->name) + 1 : 0, look->name,
             name);
    auto_package_file struct package_file file = PACKAGE_FILE_INIT;
    if (package_open_file(look->package, full, &file, err) < 0)
        return err_prefix(err, "%s: its extent", look->name);
    unsigned char head[SECTOR] = { 0 };
    if (fd_pread(file.fd, head, sizeof head, file.offset, full, err) < 0)
        return -1;
    /* A capacity of 0 would make QEMU read a descriptor inside it. */
    if (strcmp(kind, "SPARSE") == 0 && (memcmp(head, "KDMV", 4) != 0 || le64_at(head, 12) == 0))
        return err_set(err, ERR_INVALID, "%s: its extent %s is not a sparse VMDK", look->name,
                       name);
    return 0;
}
