/* URLs, read strictly, and percent-encoding (RFC 3986).
 *
 * What is taken: SCHEME://[USER@]HOST[:PORT][/PATH][?QUERY] in visible ASCII. What is refused with
 * ERR_INVALID: anything else, a password in it (it would stand in shell histories and process
 * lists), a fragment, a bad escape, and whatever is longer than URL_MAX. The errors show no more of
 * a URL than its scheme and host, because the rest may hold a ticket.
 */
#ifndef WIRE_URL_H
#define WIRE_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/cleanup.h"

#define URL_MAX 8192     /* bytes of the text */
#define URL_HOST_MAX 256 /* with the NUL */
#define URL_USER_MAX 256
#define URL_SCHEME_MAX 16

struct url {
    char scheme[URL_SCHEME_MAX]; /* lower case */
    bool has_user;
    char user[URL_USER_MAX]; /* decoded */
    char host[URL_HOST_MAX]; /* lower case; an IPv6 address without its brackets */
    bool is_ipv6;
    unsigned port; /* 1 to 65535; 0: none given */
    char *path;    /* as it was encoded, begins with "/"; "" when there is none */
    char *query;   /* as it was encoded, without "?"; NULL when there is none */
};

int url_parse(const char *text, struct url *ret, struct err *err);
void url_free(struct url *url);
#define auto_url AUTO(url_free)

/* The value of the first `name=value` (or `name`: "") of the query, decoded ("+" stays "+"), into a
 * fresh string; *ret NULL: there is none. */
int url_query_get(const struct url *url, const char *name, char **ret, struct err *err);

/* Append text with every byte outside A-Z a-z 0-9 - . _ ~ as %XX. URL_KEEP_SLASH leaves "/" as it
 * is, for a path whose segments hold none. */
enum url_keep { URL_KEEP_NOTHING, URL_KEEP_SLASH };
int url_encode(const char *text, enum url_keep keep, struct buf *buf, struct err *err);

/* len bytes of text decoded into a fresh string. ERR_INVALID: a "%" without two hex digits, or a
 * NUL. */
int url_decode(const char *text, size_t len, char **ret, struct err *err);

/* "host:port", with brackets around an IPv6 address. */
#define URL_ENDPOINT_MAX (URL_HOST_MAX + 16)
const char *url_endpoint(const char *host, unsigned port, char text[URL_ENDPOINT_MAX]);

#endif
