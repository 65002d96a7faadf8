#include "guest/fstab.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"

/* The word at *cursor, within the line, into ret; false if there is none or it is too long. */
static bool
next_word(const char **cursor, char ret[FSTAB_WORD_MAX])
{
    const char *p = *cursor + strspn(*cursor, " \t");
    size_t len = strcspn(p, " \t\n");
    *cursor = p + len;
    if (len == 0 || len >= FSTAB_WORD_MAX)
        return false;
    memcpy(ret, p, len);
    ret[len] = '\0';
    return true;
}

/* UUID="..." is allowed to have quotes. */
static void
drop_quotes(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++)
        if (*from != '"')
            *to++ = *from;
    *to = '\0';
}

bool
fstab_next(const char **cursor, struct fstab_entry *ret_entry)
{
    while (**cursor) {
        const char *line = *cursor;
        const char *end = line + strcspn(line, "\n");
        *cursor = *end ? end + 1 : end;
        line += strspn(line, " \t");
        *ret_entry = (struct fstab_entry){ 0 };
        if (*line == '#' || !next_word(&line, ret_entry->device) ||
            !next_word(&line, ret_entry->where))
            continue;
        drop_quotes(ret_entry->device);
        if (!ret_entry->device[0])
            continue;
        if (!next_word(&line, ret_entry->type) || !next_word(&line, ret_entry->options))
            snprintf(ret_entry->options, sizeof ret_entry->options, "defaults");
        return true;
    }
    return false;
}

bool
fstab_has_option(const struct fstab_entry *entry, const char *option)
{
    size_t len = strlen(option);
    for (const char *p = entry->options; *p; p += *p == ',') {
        size_t word = strcspn(p, ",");
        if (word == len && strncmp(p, option, len) == 0)
            return true;
        p += word;
    }
    return false;
}

bool
fstab_is_place(const char *device)
{
    static const char *const places[] = {
        "/dev/disk/by-path/",   "/dev/disk/by-id/scsi-", "/dev/disk/by-id/ata-",
        "/dev/disk/by-id/wwn-", "/dev/disk/by-id/nvme-", "/dev/disk/by-id/vmware",
    };
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        if (strncmp(device, places[i], strlen(places[i])) == 0)
            return true;
    return false;
}
