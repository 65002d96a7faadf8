#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"

/* Here are the functions behind the macros. */
#undef err_set
#undef err_errno
#undef err_prefix

static const char *const kind_names[] = {
    [ERR_NONE] = "none",
    [ERR_INVALID] = "invalid",
    [ERR_DENIED] = "denied",
    [ERR_NOT_FOUND] = "not-found",
    [ERR_CONFLICT] = "conflict",
    [ERR_UNAVAILABLE] = "unavailable",
    [ERR_IO] = "io",
    [ERR_CANCELLED] = "cancelled",
    [ERR_BUG] = "bug",
};

/* Where a text was cut it ends in dots, and not in half a UTF-8 character. */
static void
mark_cut(struct err *err, int wanted)
{
    static const char dots[] = "...";
    if (wanted < ERR_TEXT_MAX)
        return;
    size_t at = ERR_TEXT_MAX - sizeof dots;
    while (at > 0 && (err->text[at] & 0xc0) == 0x80)
        at--;
    memcpy(err->text + at, dots, sizeof dots);
}

static enum err_kind
kind_of_errno(int errnum)
{
    switch (errnum) {
    case EINVAL:
    case ENAMETOOLONG:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
        return ERR_INVALID;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_DENIED;
    case ENOENT:
        return ERR_NOT_FOUND;
    case EEXIST:
    case EBUSY:
    case ETXTBSY:
        return ERR_CONFLICT;
    case EAGAIN:
    case ETIMEDOUT:
    case ECONNREFUSED:
    case ECONNRESET:
    case ENOMEM:
        return ERR_UNAVAILABLE;
    case ECANCELED:
        return ERR_CANCELLED;
    default:
        return ERR_IO;
    }
}

int
err_set(struct err *err, enum err_kind kind, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    err->kind = kind;
    mark_cut(err, vsnprintf(err->text, sizeof err->text, fmt, args));
    va_end(args);
    return -1;
}

int
err_errno(struct err *err, int errnum, const char *fmt, ...)
{
    char what[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return err_set(err, kind_of_errno(errnum), "%s: %s", what, strerror(errnum));
}

int
err_prefix(struct err *err, const char *fmt, ...)
{
    char before[ERR_TEXT_MAX], rest[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(before, sizeof before, fmt, args);
    va_end(args);
    memcpy(rest, err->text, sizeof rest);
    return err_set(err, err->kind, "%s: %s", before, rest);
}

const char *
err_kind_name(enum err_kind kind)
{
    return (size_t)kind < ARRAY_LEN(kind_names) ? kind_names[kind] : "bug";
}

enum err_kind
err_kind_from_name(const char *name)
{
    for (size_t i = 0; name && i < ARRAY_LEN(kind_names); i++)
        if (strcmp(kind_names[i], name) == 0)
            return (enum err_kind)i;
    return ERR_BUG;
}
