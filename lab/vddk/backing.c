/* Where the bytes of a disk come from: a raw file, or an NBD server that merges a chain. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libnbd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"

#define DESCRIPTOR_MAX_BYTES (64 * 1024)
#define EXTENTS_WINDOW_BYTES (1024 * MIB)

static uint64_t read_descriptor(struct backing *backing, const char *path, char *text);

static uint64_t
code_of_errno(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return VIX_E_FILE_NOT_FOUND;
    case EACCES:
    case EPERM:
        return VIX_E_FILE_ACCESS_ERROR;
    case EROFS:
        return VIX_E_FILE_READ_ONLY;
    case ENOSPC:
        return VIX_E_DISK_FULL;
    case ENOMEM:
        return VIX_E_OUT_OF_MEMORY;
    default:
        return VIX_E_FILE_ERROR;
    }
}

/* ---- open ---- */

static struct backing *
backing_new(void)
{
    struct backing *backing = calloc(1, sizeof *backing);
    if (!backing)
        violation("no memory for a disk");
    backing->fd = -1;
    backing->sector_bytes = VIX_SECTOR_BYTES;
    backing->adapter_type = 3;
    backing->num_links = 1;
    return backing;
}

static uint64_t
open_file(struct backing *backing, const char *path, bool writable, off_t *ret_size)
{
    backing->fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    struct stat st;
    if (backing->fd < 0 || fstat(backing->fd, &st) < 0) {
        int error = errno;
        log_line(LOG_WARN, "Cannot open %s: %s", path, strerror(error));
        return code_of_errno(error);
    }
    if (S_ISDIR(st.st_mode)) {
        log_line(LOG_WARN, "%s is a directory", path);
        return VIX_E_INCORRECT_FILE_TYPE;
    }
    off_t size = S_ISBLK(st.st_mode) ? lseek(backing->fd, 0, SEEK_END) : st.st_size;
    backing->writable = writable;
    *ret_size = size;
    return VIX_OK;
}

uint64_t
backing_open(const char *path, bool writable, struct backing **ret)
{
    struct backing *backing = backing_new();
    off_t size = 0;
    uint64_t r = open_file(backing, path, writable, &size);
    char head[21] = "";
    if (r == VIX_OK && pread(backing->fd, head, 20, 0) < 0)
        r = code_of_errno(errno);
    if (r == VIX_OK && strncmp(head, "# Disk DescriptorFil", 20) == 0) {
        char *text = calloc(1, DESCRIPTOR_MAX_BYTES + 1);
        if (!text || pread(backing->fd, text, DESCRIPTOR_MAX_BYTES, 0) < 0)
            violation("%s: the descriptor cannot be read", path);
        close(backing->fd);
        backing->fd = -1;
        r = read_descriptor(backing, path, text);
        free(text);
    } else if (r == VIX_OK) {
        backing->sectors = (uint64_t)size / VIX_SECTOR_BYTES;
        if (memcmp(head, "KDMV", 4) == 0 || memcmp(head, "COWD", 4) == 0) {
            log_line(LOG_WARN, "%s: a sparse file of VMware; flat ones are read here", path);
            r = VIX_E_INCORRECT_FILE_TYPE;
        }
    }
    if (r == VIX_OK)
        *ret = backing;
    else
        backing_close(backing);
    return r;
}

uint64_t
backing_open_raw(const char *path, uint64_t sectors, struct backing **ret)
{
    struct backing *backing = backing_new();
    off_t size = 0;
    uint64_t r = open_file(backing, path, false, &size);
    if (r == VIX_OK && (uint64_t)size / VIX_SECTOR_BYTES < sectors)
        violation("%s has %lld bytes, the server says %llu sectors", path, (long long)size,
                  (unsigned long long)sectors);
    backing->sectors = sectors;
    if (r == VIX_OK)
        *ret = backing;
    else
        backing_close(backing);
    return r;
}

uint64_t
backing_open_nbd(const char *socket, unsigned lanes, uint64_t sectors, struct backing **ret)
{
    struct backing *backing = backing_new();
    backing->sectors = sectors;
    for (unsigned i = 0; i < lanes && i < LANES_MAX; i++) {
        struct nbd_handle *nbd = nbd_create();
        if (!nbd)
            violation("nbd_create: %s", nbd_get_error());
        backing->nbd[backing->n_nbd++] = nbd;
        if (nbd_add_meta_context(nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) < 0 ||
            nbd_connect_unix(nbd, socket) < 0) {
            log_line(LOG_WARN, "NBD_ClientOpen: %s", nbd_get_error());
            backing_close(backing);
            return VIX_E_FAIL;
        }
    }
    *ret = backing;
    return VIX_OK;
}

void
backing_close(struct backing *backing)
{
    if (!backing)
        return;
    if (backing->fd >= 0)
        close(backing->fd);
    for (unsigned i = 0; i < backing->n_nbd; i++) {
        nbd_shutdown(backing->nbd[i], 0);
        nbd_close(backing->nbd[i]);
    }
    for (unsigned i = 0; i < backing->n_ddb; i++) {
        free(backing->ddb[i].key);
        free(backing->ddb[i].value);
    }
    free(backing->uuid);
    free(backing);
}

/* ---- the descriptor of a flat disk ---- */

static void
add_ddb(struct backing *backing, const char *key, const char *value)
{
    if (backing->n_ddb == DDB_MAX)
        return;
    backing->ddb[backing->n_ddb].key = strdup(key);
    backing->ddb[backing->n_ddb++].value = strdup(value);
    if (strcmp(key, "uuid") == 0 && !backing->uuid)
        backing->uuid = strdup(value);
    if (strcmp(key, "logicalSectorSize") == 0)
        backing->sector_bytes = (uint32_t)strtoul(value, NULL, 10);
    if (strcmp(key, "adapterType") == 0)
        backing->adapter_type = strcmp(value, "ide") == 0        ? 1
                                : strcmp(value, "buslogic") == 0 ? 2
                                                                 : 3;
}

static uint64_t
open_extent(struct backing *backing, const char *descriptor, const char *line)
{
    unsigned long long sectors;
    unsigned long long offset = 0;
    char type[16], name[1024], path[PATH_BYTES];
    if (backing->fd >= 0) {
        log_line(LOG_WARN, "%s: a disk of several extents", descriptor);
        return VIX_E_NOT_SUPPORTED;
    }
    int got = sscanf(line, "%*s %llu %15s \"%1023[^\"]\" %llu", &sectors, type, name, &offset);
    if (got < 3 || (strcmp(type, "VMFS") != 0 && strcmp(type, "FLAT") != 0)) {
        log_line(LOG_WARN, "%s: the extent \"%s\" is not flat", descriptor, line);
        return VIX_E_NOT_SUPPORTED;
    }
    const char *slash = strrchr(descriptor, '/');
    int dir_len = slash ? (int)(slash - descriptor + 1) : 0;
    snprintf(path, sizeof path, "%.*s%s", name[0] == '/' ? 0 : dir_len, descriptor, name);
    off_t size = 0;
    uint64_t r = open_file(backing, path, backing->writable, &size);
    if (r != VIX_OK)
        return r;
    backing->sectors = sectors;
    backing->offset_bytes = offset * VIX_SECTOR_BYTES;
    if ((uint64_t)size < backing->offset_bytes + sectors * VIX_SECTOR_BYTES) {
        log_line(LOG_WARN, "%s: shorter than its descriptor says", path);
        return VIX_E_FILE_ERROR;
    }
    return VIX_OK;
}

static uint64_t
read_descriptor_line(struct backing *backing, const char *path, char *line)
{
    while (isspace((unsigned char)*line))
        line++;
    if (strncmp(line, "RW ", 3) == 0 || strncmp(line, "RDONLY ", 7) == 0)
        return open_extent(backing, path, line);
    char key[128], value[256];
    if (sscanf(line, "parentCID=%127s", key) == 1 && strcasecmp(key, "ffffffff") != 0) {
        log_line(LOG_WARN, "%s: a link of a chain, whose parent cannot be opened here", path);
        return VIX_E_DISK_OPENPARENT;
    }
    if (sscanf(line, "ddb.%127[^ =] = \"%255[^\"]", key, value) == 2)
        add_ddb(backing, key, value);
    return VIX_OK;
}

static uint64_t
read_descriptor(struct backing *backing, const char *path, char *text)
{
    uint64_t r = VIX_OK;
    while (*text && r == VIX_OK) {
        size_t len = strcspn(text, "\r\n");
        char end = text[len];
        text[len] = '\0';
        r = read_descriptor_line(backing, path, text);
        text += len + (end != '\0');
    }
    if (r == VIX_OK && backing->fd < 0) {
        log_line(LOG_WARN, "%s: a descriptor without an extent", path);
        r = VIX_E_INCORRECT_FILE_TYPE;
    }
    return r;
}

/* ---- bytes ---- */

uint64_t
backing_read(struct backing *backing, unsigned lane, void *buf, uint64_t len, uint64_t offset)
{
    if (backing->fd < 0) {
        if (nbd_pread(backing->nbd[lane % backing->n_nbd], buf, len, offset, 0) == 0)
            return VIX_OK;
        log_line(LOG_WARN, "NfcFssrvr_DiskIo: %s", nbd_get_error());
        return VIX_E_HOST_TCP_CONN_LOST;
    }
    uint8_t *at = buf;
    off_t from = (off_t)(backing->offset_bytes + offset);
    while (len > 0) {
        ssize_t got = pread(backing->fd, at, len, from);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EFAULT)
            violation("the buffer of a read was given back before the read was complete");
        if (got <= 0)
            return got < 0 ? code_of_errno(errno) : VIX_E_FILE_ERROR;
        at += got;
        from += got;
        len -= (uint64_t)got;
    }
    return VIX_OK;
}

uint64_t
backing_write(struct backing *backing, const void *buf, uint64_t len, uint64_t offset)
{
    if (!backing->writable)
        return VIX_E_FILE_READ_ONLY;
    const uint8_t *at = buf;
    off_t to = (off_t)(backing->offset_bytes + offset);
    while (len > 0) {
        ssize_t put = pwrite(backing->fd, at, len, to);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return code_of_errno(put < 0 ? errno : EIO);
        at += put;
        to += put;
        len -= (uint64_t)put;
    }
    return VIX_OK;
}

uint64_t
backing_flush(struct backing *backing)
{
    if (backing->writable && fsync(backing->fd) < 0)
        return code_of_errno(errno);
    return VIX_OK;
}

/* ---- allocation ---- */

struct marking {
    void (*mark)(void *arg, uint64_t offset, uint64_t len);
    void *arg;
    uint64_t end; /* of the question */
    uint64_t at;  /* how far the answer goes */
};

static int
on_extents(void *user_data, const char *metacontext, uint64_t offset, uint32_t *entries,
           size_t n_entries, int *error)
{
    struct marking *marking = user_data;
    (void)metacontext;
    (void)error;
    for (size_t i = 0; i + 1 < n_entries; i += 2) {
        bool hole = entries[i + 1] & LIBNBD_STATE_HOLE && entries[i + 1] & LIBNBD_STATE_ZERO;
        uint64_t end = offset + entries[i];
        if (end > marking->end) /* the server may say more than it was asked */
            end = marking->end;
        if (!hole && end > offset)
            marking->mark(marking->arg, offset, end - offset);
        offset = end;
    }
    marking->at = offset;
    return 0;
}

static uint64_t
nbd_allocation(struct backing *backing, uint64_t offset, uint64_t len, struct marking *marking)
{
    uint64_t end = offset + len;
    marking->at = offset;
    while (marking->at < end) {
        uint64_t from = marking->at;
        uint64_t n = end - from < EXTENTS_WINDOW_BYTES ? end - from : EXTENTS_WINDOW_BYTES;
        nbd_extent_callback callback = { .callback = on_extents, .user_data = marking };
        if (nbd_block_status(backing->nbd[0], n, from, callback, 0) < 0 || marking->at <= from) {
            log_line(LOG_WARN, "DiskLibBlockListOpen: %s", nbd_get_error());
            return VIX_E_FAIL;
        }
    }
    return VIX_OK;
}

static uint64_t
file_allocation(struct backing *backing, uint64_t offset, uint64_t len, struct marking *marking)
{
    uint64_t base = backing->offset_bytes;
    uint64_t end = base + offset + len;
    uint64_t at = base + offset;
    while (at < end) {
        off_t data = lseek(backing->fd, (off_t)at, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            return VIX_OK; /* the rest is a hole */
        off_t hole = data < 0 ? -1 : lseek(backing->fd, data, SEEK_HOLE);
        if (data < 0 || hole < 0)
            return code_of_errno(errno);
        if ((uint64_t)data >= end)
            return VIX_OK;
        at = (uint64_t)hole < end ? (uint64_t)hole : end;
        marking->mark(marking->arg, (uint64_t)data - base, at - (uint64_t)data);
    }
    return VIX_OK;
}

uint64_t
backing_allocation(struct backing *backing, uint64_t offset, uint64_t len,
                   void (*mark)(void *arg, uint64_t offset, uint64_t len), void *arg)
{
    struct marking marking = { mark, arg, offset + len, offset };
    if (backing->fd >= 0)
        return file_allocation(backing, offset, len, &marking);
    return nbd_allocation(backing, offset, len, &marking);
}
