/* Errors.
 *
 * The caller gives a struct err; a function that fails fills it and returns -1 (or NULL), one that
 * succeeds leaves it alone. A function either returns an error or logs it, never both.
 *
 * The text is one lower-case phrase without a full stop: the thing, what was tried, the cause, and,
 * where a user can act, the way out. The kind says what anyone would do about it. It owns nothing,
 * so it can be copied and thrown away.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>

enum err_kind {
    ERR_NONE = 0,
    ERR_INVALID,     /* the input is wrong; trying again gives the same */
    ERR_DENIED,      /* not allowed: rights, password */
    ERR_NOT_FOUND,   /* it is not there */
    ERR_CONFLICT,    /* in use, exists already, not the state it must be in */
    ERR_UNAVAILABLE, /* not now: server away, time-out, tool missing; trying again may help */
    ERR_IO,          /* reading or writing failed: disk, network, no space */
    ERR_CANCELLED,   /* somebody asked for it */
    ERR_BUG,         /* we broke our own rule */
};

#define ERR_TEXT_MAX 1024

struct err {
    enum err_kind kind;
    char text[ERR_TEXT_MAX];
};

#define ERR_INIT ((struct err){ .kind = ERR_NONE })

/* Set the error and return -1, so that one line does both: return err_set(err, ERR_INVALID, ...).
 * A text that is too long is cut, with "..." at its end. */
int err_set(struct err *err, enum err_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same from an errno value: the kind follows from it, and ": strerror" is appended. */
int err_errno(struct err *err, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "context: " before the text of an error that is passing through. Returns -1. */
int err_prefix(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* So that compilers and analysers see that it is always -1. */
#define ERR_MINUS_ONE(call)                                                                        \
    ({                                                                                             \
        (void)call;                                                                                \
        -1;                                                                                        \
    })
#define err_set(...) ERR_MINUS_ONE((err_set)(__VA_ARGS__))
#define err_errno(...) ERR_MINUS_ONE((err_errno)(__VA_ARGS__))
#define err_prefix(...) ERR_MINUS_ONE((err_prefix)(__VA_ARGS__))

/* What a kind is called on the wire and in JSON ("invalid", "io", ...), and back; an unknown
 * name is ERR_BUG. */
const char *err_kind_name(enum err_kind kind);
enum err_kind err_kind_from_name(const char *name);

#endif
