#include "descriptor/package.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "descriptor/href.h"

static int open_directory(const char *path, struct package *package, struct err *err);
static int open_descriptor(const char *path, struct package *package, struct err *err);
static int open_tar(const char *path, struct package *package, struct err *err);
static int refuse_compressed(const char *path, const unsigned char *head, struct err *err);
static bool is_descriptor(const char *name);
static bool looks_like_xml(const unsigned char *head, size_t len);

/* Compressed containers, by their first bytes, and how to get out of them. */
static const struct {
    const char *magic;
    size_t len;
    const char *what, *way_out;
} compressed[] = {
    { "\x1f\x8b", 2, "gzip-ed", "mkdir DIR && tar -C DIR -xzf" },
    { "PK\x03\x04", 4, "a zip archive", "unzip -d DIR" },
    { "\xfd"
      "7zXZ",
      5, "xz-compressed", "mkdir DIR && tar -C DIR -xJf" },
    { "BZh", 3, "bzip2-compressed", "mkdir DIR && tar -C DIR -xjf" },
    { "\x28\xb5\x2f\xfd", 4, "zstd-compressed", "mkdir DIR && tar -C DIR --zstd -xf" },
    { "7z\xbc\xaf", 4, "a 7z archive", "7z x -oDIR" },
};

int
package_open(const char *path, struct package *ret_package, struct err *err)
{
    auto_package struct package package = PACKAGE_INIT;
    auto_free char *real = realpath(path, NULL);
    struct stat st;
    if (!real || stat(real, &st) < 0)
        return err_errno(err, errno, "%s", path);
    int r;
    if (S_ISDIR(st.st_mode))
        r = open_directory(real, &package, err);
    else if (!S_ISREG(st.st_mode))
        r = err_set(err, ERR_INVALID, "%s: neither a file nor a directory", path);
    else if (is_descriptor(path))
        r = open_descriptor(real, &package, err);
    else
        r = open_tar(real, &package, err);
    if (r < 0)
        return -1;
    *ret_package = package;
    package = PACKAGE_INIT;
    return 0;
}

static void
close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

static int
open_directory(const char *path, struct package *package, struct err *err)
{
    AUTO(close_dir) DIR *dir = opendir(path);
    if (!dir)
        return err_errno(err, errno, "%s", path);
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (!is_descriptor(entry->d_name))
            continue;
        if (package->ovf)
            return err_set(err, ERR_INVALID,
                           "%s: more than one descriptor (%s, %s): name the one you mean", path,
                           package->ovf, entry->d_name);
        package->ovf = strdup(entry->d_name);
        if (!package->ovf)
            return err_errno(err, ENOMEM, "%s", path);
    }
    if (!package->ovf)
        return err_set(err, ERR_NOT_FOUND, "%s: no .ovf file in this directory", path);
    package->path = strdup(path);
    package->prefix = strdup("");
    return package->path && package->prefix ? 0 : err_errno(err, ENOMEM, "%s", path);
}

static int
open_descriptor(const char *path, struct package *package, struct err *err)
{
    auto_free char *copy = strdup(path);
    if (!copy)
        return err_errno(err, ENOMEM, "%s", path);
    package->path = strdup(dirname(copy));
    package->prefix = strdup("");
    package->ovf = strdup(strrchr(path, '/') + 1);
    return package->path && package->prefix && package->ovf ? 0
                                                            : err_errno(err, ENOMEM, "%s", path);
}

static int
open_tar(const char *path, struct package *package, struct err *err)
{
    package->is_tar = true;
    package->path = strdup(path);
    package->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (!package->path || package->fd < 0)
        return err_errno(err, errno, "%s", path);
    unsigned char head[16] = { 0 };
    ssize_t len = fd_pread(package->fd, head, sizeof head, 0, path, err);
    if (len < 0 || refuse_compressed(path, head, err) < 0)
        return -1;
    if (looks_like_xml(head, (size_t)len))
        return err_set(err, ERR_INVALID,
                       "%s: looks like a descriptor; its name must then end in .ovf", path);
    if (tar_index_read(package->fd, path, &package->index, err) < 0)
        return -1;

    const char *found = NULL;
    for (size_t i = 0; i < package->index.n_members; i++) {
        const char *name = package->index.members[i].name;
        if (!is_descriptor(name))
            continue;
        if (found)
            return err_set(err, ERR_INVALID, "%s: more than one descriptor in it (%s, %s)", path,
                           found, name);
        found = name;
    }
    if (!found)
        return err_set(err, ERR_INVALID, "%s: no .ovf in this tar: it is not an OVA", path);
    const char *slash = strrchr(found, '/');
    size_t prefix = slash ? (size_t)(slash - found) + 1 : 0;
    package->prefix = strndup(found, prefix);
    package->ovf = strdup(found + prefix);
    return package->prefix && package->ovf ? 0 : err_errno(err, ENOMEM, "%s", path);
}

static int
refuse_compressed(const char *path, const unsigned char *head, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(compressed); i++)
        if (memcmp(head, compressed[i].magic, compressed[i].len) == 0)
            return err_set(err, ERR_INVALID,
                           "%s: %s, so it cannot be read in place: unpack it (%s %s) and give the "
                           "directory",
                           path, compressed[i].what, compressed[i].way_out, path);
    return 0;
}

/* "._x.ovf" is what macOS puts beside x.ovf. */
static bool
is_descriptor(const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *base = slash ? slash + 1 : name;
    size_t len = strlen(base);
    return base[0] != '.' && len > 4 && strcasecmp(base + len - 4, ".ovf") == 0;
}

static bool
looks_like_xml(const unsigned char *head, size_t len)
{
    static const unsigned char bom[] = { 0xef, 0xbb, 0xbf };
    if (len > 3 && memcmp(head, bom, sizeof bom) == 0)
        head += sizeof bom;
    return len > 4 && (memcmp(head, "<?xml", 5) == 0 || memcmp(head, "<Env", 4) == 0);
}

void
package_close(struct package *package)
{
    free(package->path);
    free(package->prefix);
    free(package->ovf);
    tar_index_free(&package->index);
    cleanup_close(&package->fd);
    *package = PACKAGE_INIT;
}

bool
package_has(const struct package *package, const char *name)
{
    auto_package_file struct package_file file = PACKAGE_FILE_INIT;
    struct err err;
    return package_open_file(package, name, &file, &err) == 0;
}

static int
open_member(const struct package *package, const char *name, struct package_file *file,
            struct err *err)
{
    auto_free char *full = NULL;
    if (asprintf(&full, "%s%s", package->prefix, name) < 0) {
        full = NULL;
        return err_errno(err, ENOMEM, "%s", name);
    }
    const struct tar_member *member = tar_find(&package->index, full);
    if (!member)
        return err_set(err, ERR_NOT_FOUND, "%s: there is no %s in it", package->path, full);
    file->offset = member->offset;
    file->bytes = member->bytes;
    file->path = strdup(package->path);
    file->fd = fcntl(package->fd, F_DUPFD_CLOEXEC, 3);
    return file->path && file->fd >= 0 ? 0 : err_errno(err, errno, "%s", full);
}

/* realpath resolves every link, and what it gives must still lie below the directory. */
static int
open_in_directory(const struct package *package, const char *name, struct package_file *file,
                  struct err *err)
{
    auto_free char *full = NULL;
    if (asprintf(&full, "%s/%s", package->path, name) < 0) {
        full = NULL;
        return err_errno(err, ENOMEM, "%s", name);
    }
    file->path = realpath(full, NULL);
    if (!file->path)
        return err_errno(err, errno, "%s", full);
    size_t len = strcmp(package->path, "/") == 0 ? 0 : strlen(package->path);
    if (strncmp(file->path, package->path, len) != 0 || file->path[len] != '/')
        return err_set(err, ERR_INVALID, "%s: a link that leads out of the package, to %s: refused",
                       full, file->path);
    /* O_NONBLOCK: a FIFO must not hang us before we see what it is. */
    file->fd = open(file->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    if (file->fd < 0 || fstat(file->fd, &st) < 0)
        return err_errno(err, errno, "%s", full);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_INVALID, "%s: not a regular file", full);
    file->bytes = (uint64_t)st.st_size;
    return 0;
}

int
package_open_file(const struct package *package, const char *name, struct package_file *ret_file,
                  struct err *err)
{
    if (href_check_name(name, err) < 0)
        return -1;
    auto_package_file struct package_file file = PACKAGE_FILE_INIT;
    int r = package->is_tar ? open_member(package, name, &file, err)
                            : open_in_directory(package, name, &file, err);
    if (r < 0)
        return -1;
    *ret_file = file;
    file = PACKAGE_FILE_INIT;
    return 0;
}

void
package_file_close(struct package_file *file)
{
    free(file->path);
    cleanup_close(&file->fd);
    *file = PACKAGE_FILE_INIT;
}

int
package_read_file(const struct package *package, const char *name, size_t max, char **ret_text,
                  size_t *ret_len, struct err *err)
{
    auto_package_file struct package_file file = PACKAGE_FILE_INIT;
    if (package_open_file(package, name, &file, err) < 0)
        return -1;
    if (file.bytes > max)
        return err_set(err, ERR_INVALID, "%s: larger than the %zu bytes that are read", name, max);
    auto_free char *text = malloc(file.bytes + 1);
    if (!text)
        return err_errno(err, ENOMEM, "%s", name);
    if (fd_pread_exact(file.fd, text, file.bytes, file.offset, name, err) < 0)
        return -1;
    text[file.bytes] = '\0';
    *ret_text = TAKE_PTR(text);
    *ret_len = file.bytes;
    return 0;
}

char *
package_sibling(const struct package *package, const char *suffix)
{
    char *name;
    int base = (int)(strlen(package->ovf) - strlen(".ovf"));
    return asprintf(&name, "%.*s%s", base, package->ovf, suffix) < 0 ? NULL : name;
}
