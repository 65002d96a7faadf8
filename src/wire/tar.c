#include "wire/tar.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/fd.h"

/* A tar file is a sequence of 512-byte headers, each followed by its member's data padded to 512
 * bytes; a block of zeros ends it. Headers of type x, g, L and K carry text for the header that
 * follows. */

#define TAR_BLOCK 512
#define TAR_MAX_EXTENDED ((uint64_t)1 << 20) /* bytes of one pax or GNU long name header */

/* POSIX.1-2017 pax, "ustar Interchange Format". */
struct ustar {
    char name[100];
    char mode[8], uid[8], gid[8];
    char size[12];
    char mtime[12];
    char checksum[8];
    char type;
    char linkname[100];
    char magic[8]; /* "ustar\0" "00"; GNU: "ustar  \0" */
    char uname[32], gname[32];
    char devmajor[8], devminor[8];
    char prefix[155];
    char pad[12];
};
_Static_assert(sizeof(struct ustar) == TAR_BLOCK, "a tar header is one block");

struct scan {
    int fd;
    const char *name;
    uint64_t file_bytes;
    uint64_t pos;
    size_t n_entries;
    size_t capacity; /* of index.members */
    struct tar_index index;

    /* What an extended header said about the next member. */
    char *next_name;
    bool next_has_size;
    uint64_t next_bytes;
};

static int scan_entry(struct scan *scan, const struct ustar *header, struct err *err);
static bool checksum_ok(const struct ustar *header);
static int number_read(const char *field, size_t len, uint64_t *ret);
static int extended_read(struct scan *scan, char type, uint64_t bytes, struct err *err);
static int pax_read(struct scan *scan, char *text, size_t len, struct err *err);
static int member_add(struct scan *scan, const struct ustar *header, uint64_t bytes,
                      struct err *err);
static char *member_name(const struct scan *scan, const struct ustar *header);
static int duplicates_check(const struct scan *scan, struct err *err);

static void
scan_done(struct scan *scan)
{
    tar_index_free(&scan->index);
    free(scan->next_name);
}

int
tar_index_read(int fd, const char *name, struct tar_index *ret_index, struct err *err)
{
    off_t end = lseek(fd, 0, SEEK_END);
    if (end < 0)
        return err_errno(err, errno, "%s: find its size", name);
    AUTO(scan_done) struct scan scan = { .fd = fd, .name = name, .file_bytes = (uint64_t)end };
    static const struct ustar zeros;
    while (scan.pos < scan.file_bytes) {
        struct ustar header;
        if (fd_pread_exact(fd, &header, sizeof header, scan.pos, name, err) < 0)
            return -1;
        if (memcmp(&header, &zeros, sizeof header) == 0)
            break;
        if (!checksum_ok(&header))
            return scan.pos == 0
                       ? err_set(err, ERR_INVALID, "%s: not a tar file", name)
                       : err_set(err, ERR_INVALID,
                                 "%s: damaged tar file: bad header checksum at byte %" PRIu64, name,
                                 scan.pos);
        scan.pos += TAR_BLOCK;
        if (scan_entry(&scan, &header, err) < 0)
            return -1;
    }
    if (duplicates_check(&scan, err) < 0)
        return -1;
    *ret_index = scan.index;
    scan.index = (struct tar_index){ 0 };
    return 0;
}

/* The sum of all bytes with the checksum itself taken as spaces; some old writers summed signed
 * chars. */
static bool
checksum_ok(const struct ustar *header)
{
    uint64_t stored;
    if (number_read(header->checksum, sizeof header->checksum, &stored) < 0)
        return false;
    const unsigned char *bytes = (const unsigned char *)header;
    int64_t sum = 0, signed_sum = 0;
    for (size_t i = 0; i < TAR_BLOCK; i++) {
        bool own = i >= offsetof(struct ustar, checksum) && i < offsetof(struct ustar, type);
        sum += own ? ' ' : bytes[i];
        signed_sum += own ? ' ' : (signed char)bytes[i];
    }
    return (int64_t)stored == sum || (int64_t)stored == signed_sum;
}

/* Octal text, or, with the first bit set, a big-endian binary number (GNU). */
static int
number_read(const char *field, size_t len, uint64_t *ret)
{
    uint64_t number = 0;
    if ((unsigned char)field[0] & 0x80) {
        if ((unsigned char)field[0] != 0x80)
            return -1; /* negative, or larger than any file */
        for (size_t i = 1; i < len; i++) {
            if (number >> 55)
                return -1;
            number = number << 8 | (unsigned char)field[i];
        }
        *ret = number;
        return 0;
    }
    size_t i = 0;
    while (i < len && field[i] == ' ')
        i++;
    for (; i < len && field[i] >= '0' && field[i] <= '7'; i++)
        number = number << 3 | (uint64_t)(field[i] - '0');
    for (; i < len; i++)
        if (field[i] != ' ' && field[i] != '\0')
            return -1;
    *ret = number;
    return 0;
}

static int
scan_entry(struct scan *scan, const struct ustar *header, struct err *err)
{
    if (++scan->n_entries > TAR_MAX_MEMBERS)
        return err_set(err, ERR_INVALID, "%s: more than %d members", scan->name, TAR_MAX_MEMBERS);
    uint64_t bytes;
    if (number_read(header->size, sizeof header->size, &bytes) < 0)
        return err_set(err, ERR_INVALID, "%s: damaged tar file: bad member size at byte %" PRIu64,
                       scan->name, scan->pos - TAR_BLOCK);
    char type = header->type;
    if (type == 'x' || type == 'g' || type == 'L' || type == 'K')
        return extended_read(scan, type, bytes, err);
    if (scan->next_has_size)
        bytes = scan->next_bytes;
    if (type == 'S')
        return err_set(err, ERR_INVALID,
                       "%s: member %.100s is stored sparse, which cannot be read in place: pack "
                       "the tar without --sparse",
                       scan->name, header->name);
    /* Links, devices and directories have no data, whatever their size field says. */
    bool has_data = type < '1' || type > '6';
    if (!has_data)
        bytes = 0;
    if (member_add(scan, header, bytes, err) < 0)
        return -1;
    free(TAKE_PTR(scan->next_name));
    scan->next_has_size = false;
    scan->pos += round_up(bytes, TAR_BLOCK);
    return 0;
}

static int
extended_read(struct scan *scan, char type, uint64_t bytes, struct err *err)
{
    if (bytes > TAR_MAX_EXTENDED)
        return err_set(err, ERR_INVALID, "%s: an extended tar header of %" PRIu64 " bytes",
                       scan->name, bytes);
    auto_free char *text = malloc(bytes + 1);
    if (!text)
        return err_errno(err, ENOMEM, "%s", scan->name);
    if (fd_pread_exact(scan->fd, text, bytes, scan->pos, scan->name, err) < 0)
        return -1;
    text[bytes] = '\0';
    scan->pos += round_up(bytes, TAR_BLOCK);
    if (type == 'x')
        return pax_read(scan, text, bytes, err);
    if (type == 'L') {
        free(scan->next_name);
        scan->next_name = TAKE_PTR(text);
    }
    /* g: defaults for all members, which cannot sensibly be a name or a size; K: a link's target */
    return 0;
}

/* Records "LENGTH KEY=VALUE\n", LENGTH being that of the whole record. */
static int
pax_read(struct scan *scan, char *text, size_t len, struct err *err)
{
    while (len > 0) {
        char *end;
        errno = 0;
        unsigned long long record = *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : 0;
        if (errno || record == 0 || record > len || *end != ' ' || text[record - 1] != '\n')
            return err_set(err, ERR_INVALID,
                           "%s: damaged tar file: bad pax header before byte %" PRIu64, scan->name,
                           scan->pos);
        text[record - 1] = '\0';
        const char *key = end + 1;
        if (strncmp(key, "path=", 5) == 0) {
            free(scan->next_name);
            scan->next_name = strdup(key + 5);
            if (!scan->next_name)
                return err_errno(err, ENOMEM, "%s", scan->name);
        } else if (strncmp(key, "size=", 5) == 0) {
            unsigned long long size =
                key[5] >= '0' && key[5] <= '9' ? strtoull(key + 5, &end, 10) : 0;
            if (errno || *end || end == key + 4 || key[5] == '\0' || size > INT64_MAX)
                return err_set(err, ERR_INVALID, "%s: damaged tar file: bad pax size '%.40s'",
                               scan->name, key + 5);
            scan->next_bytes = size;
            scan->next_has_size = true;
        } else if (strncmp(key, "GNU.sparse.", 11) == 0) {
            return err_set(err, ERR_INVALID,
                           "%s: a member is stored sparse, which cannot be read in place: pack the "
                           "tar without --sparse",
                           scan->name);
        }
        text += record;
        len -= record;
    }
    return 0;
}

static int
member_add(struct scan *scan, const struct ustar *header, uint64_t bytes, struct err *err)
{
    auto_free char *name = member_name(scan, header);
    if (!name)
        return err_errno(err, ENOMEM, "%s", scan->name);
    if (strlen(name) > TAR_MAX_NAME)
        return err_set(err, ERR_INVALID, "%s: a member's name is longer than %d bytes", scan->name,
                       TAR_MAX_NAME);
    if (scan->pos > scan->file_bytes || bytes > scan->file_bytes - scan->pos)
        return err_set(err, ERR_INVALID,
                       "%s: truncated: member %.200s should reach to byte %" PRIu64
                       " but the file has %" PRIu64,
                       scan->name, name, scan->pos + bytes, scan->file_bytes);
    if (header->type != '0' && header->type != '\0' && header->type != '7')
        return 0;
    struct tar_index *index = &scan->index;
    if (index->n_members == scan->capacity) {
        size_t capacity = scan->capacity ? scan->capacity * 2 : 16;
        void *members = reallocarray(index->members, capacity, sizeof *index->members);
        if (!members)
            return err_errno(err, ENOMEM, "%s", scan->name);
        index->members = members;
        scan->capacity = capacity;
    }
    index->members[index->n_members++] = (struct tar_member){
        .name = TAKE_PTR(name),
        .offset = scan->pos,
        .bytes = bytes,
    };
    return 0;
}

/* From an extended header, or name with the prefix of ustar (GNU uses that field otherwise). */
static char *
member_name(const struct scan *scan, const struct ustar *header)
{
    char text[sizeof header->prefix + 1 + sizeof header->name + 1];
    const char *name = scan->next_name;
    if (!name) {
        size_t prefix = memcmp(header->magic, "ustar\0", 6) == 0
                            ? strnlen(header->prefix, sizeof header->prefix)
                            : 0;
        size_t len = strnlen(header->name, sizeof header->name);
        memcpy(text, header->prefix, prefix);
        size_t at = prefix;
        if (prefix > 0)
            text[at++] = '/';
        memcpy(text + at, header->name, len);
        text[at + len] = '\0';
        name = text;
    }
    while (name[0] == '.' && name[1] == '/')
        name += 2;
    return strdup(name);
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
duplicates_check(const struct scan *scan, struct err *err)
{
    size_t n = scan->index.n_members;
    auto_free const char **names = calloc(n + 1, sizeof *names);
    if (!names)
        return err_errno(err, ENOMEM, "%s", scan->name);
    for (size_t i = 0; i < n; i++)
        names[i] = scan->index.members[i].name;
    qsort(names, n, sizeof *names, compare_names);
    for (size_t i = 1; i < n; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            return err_set(err, ERR_INVALID, "%s: two members are called %.200s", scan->name,
                           names[i]);
    return 0;
}

const struct tar_member *
tar_find(const struct tar_index *index, const char *name)
{
    for (size_t i = 0; i < index->n_members; i++)
        if (strcmp(index->members[i].name, name) == 0)
            return &index->members[i];
    return NULL;
}

void
tar_index_free(struct tar_index *index)
{
    for (size_t i = 0; i < index->n_members; i++)
        free(index->members[i].name);
    free(index->members);
    *index = (struct tar_index){ 0 };
}
