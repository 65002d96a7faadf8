/* Whole reads and writes, files that appear all at once, private directories, locks.
 *
 * Every function that takes a `name` uses it only for the error's text.
 */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* Read up to len bytes at offset, less only at the end of the file; the count read, or -1. */
ssize_t fd_pread(int fd, void *data, size_t len, uint64_t offset, const char *name,
                 struct err *err);
/* Exactly len bytes; an earlier end of the file is ERR_INVALID "... ends at ...". */
int fd_pread_exact(int fd, void *data, size_t len, uint64_t offset, const char *name,
                   struct err *err);
int fd_pwrite(int fd, const void *data, size_t len, uint64_t offset, const char *name,
              struct err *err);
int fd_write(int fd, const void *data, size_t len, const char *name, struct err *err);

/* A file of at most max bytes into a fresh NUL-terminated string the caller frees. */
int file_read(const char *path, size_t max, char **ret_text, size_t *ret_len, struct err *err);

/* Write a file so that under its name there is the whole content or what was there before:
 * temporary neighbour, fsync, rename, fsync of the directory. */
int file_write_atomic(const char *path, const void *data, size_t len, mode_t mode, struct err *err);

/* rename(from, to), then fsync of to's directory. Both on one file system. */
int file_rename_durable(const char *from, const char *to, struct err *err);

/* fsync the directory that holds path. */
int dir_sync_of(const char *path, struct err *err);

/* A new directory 0700 under parent (NULL: $TMPDIR or /tmp), "vmferry-XXXXXX"; the caller frees
 * the string and removes the directory with dir_remove. */
int dir_make_private(const char *parent, char **ret_path, struct err *err);

/* Remove a directory and the files in it, 8 levels deep at most; never follows a link. Nothing
 * there is fine. */
int dir_remove(const char *path, struct err *err);

/* Claim an image for writing with the byte-range locks that QEMU uses too (bytes 100 to 299), so
 * that a running QEMU and a copy of ours see each other. ERR_CONFLICT when it is in use. The lock
 * ends with the descriptor. */
int fd_lock_image(int fd, const char *name, struct err *err);

#endif
