/* The files of an OVF package, in a tar or in a directory.
 *
 * Names are relative to where the descriptor lies. Nothing outside the package is opened.
 */
#ifndef DESCRIPTOR_PACKAGE_H
#define DESCRIPTOR_PACKAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/tar.h"

struct package {
    char *path; /* absolute: of the tar, or of the directory */
    bool is_tar;
    int fd;                 /* of the tar; -1 for a directory */
    struct tar_index index; /* of the tar */
    char *prefix;           /* where in the tar the descriptor lies: "" or "dir/" */
    char *ovf;              /* name of the descriptor */
};

#define PACKAGE_INIT ((struct package){ .fd = -1 })

/* An open file of a package: bytes [offset, offset + bytes) of path. */
struct package_file {
    char *path;
    int fd;
    uint64_t offset, bytes;
};

#define PACKAGE_FILE_INIT ((struct package_file){ .fd = -1 })

/* path: an uncompressed tar, a directory with one .ovf, or an .ovf. ERR_INVALID for a compressed
 * tar, with the way out. */
int package_open(const char *path, struct package *ret_package, struct err *err);
void package_close(struct package *package);
#define auto_package AUTO(package_close)

/* Is there a file of that name? */
bool package_has(const struct package *package, const char *name);

/* name must have passed href_check_name. ERR_NOT_FOUND; ERR_INVALID when a link leads out of the
 * directory or it is no regular file. */
int package_open_file(const struct package *package, const char *name,
                      struct package_file *ret_file, struct err *err);
void package_file_close(struct package_file *file);
#define auto_package_file AUTO(package_file_close)

/* A whole small file; the caller frees it. */
int package_read_file(const struct package *package, const char *name, size_t max, char **ret_text,
                      size_t *ret_len, struct err *err);

/* The name of the descriptor with another suffix (".mf"), or NULL without memory; the caller frees
 * it. */
char *package_sibling(const struct package *package, const char *suffix);

#endif
