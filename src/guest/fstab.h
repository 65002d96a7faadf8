/* /etc/fstab and /etc/crypttab, as far as they name devices. Pure functions on text. */
#ifndef GUEST_FSTAB_H
#define GUEST_FSTAB_H

#include <stdbool.h>
#include <stddef.h>

#define FSTAB_WORD_MAX 256

struct fstab_entry {
    char device[FSTAB_WORD_MAX]; /* "/dev/sda1", "UUID=...", quotes removed */
    char where[FSTAB_WORD_MAX];
    char type[FSTAB_WORD_MAX];
    char options[FSTAB_WORD_MAX];
};

/* The next entry at *cursor, which moves on; false at the end. Comments, empty lines and entries
 * with a longer word are passed over. */
bool fstab_next(const char **cursor, struct fstab_entry *ret_entry);

/* "ro,noauto" has "noauto". */
bool fstab_has_option(const struct fstab_entry *entry, const char *option);

/* A name by which a disk is found only where it is now: /dev/disk/by-path, or by an id that its
 * serial number or its model at the source makes. virt-v2v does not rewrite these. */
bool fstab_is_place(const char *device);

#endif
