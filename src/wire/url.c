#include "wire/url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"

#define PORT_MAX 65535

static int read_scheme(const char **at, struct url *url, struct err *err);
static int read_authority(const char *text, size_t len, struct url *url, struct err *err);
static int read_rest(const char *text, struct url *url, struct err *err);

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int
hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void
copy_lower(const char *from, size_t len, char *to)
{
    for (size_t i = 0; i < len; i++)
        to[i] = (char)(from[i] >= 'A' && from[i] <= 'Z' ? from[i] | 0x20 : from[i]);
    to[len] = '\0';
}

int
url_parse(const char *text, struct url *ret, struct err *err)
{
    auto_url struct url url = { 0 };
    if (strnlen(text, URL_MAX + 1) > URL_MAX)
        return err_set(err, ERR_INVALID, "URL: is longer than %d bytes", URL_MAX);
    for (const char *c = text; *c; c++)
        if (*c <= ' ' || *c > '~')
            return err_set(err, ERR_INVALID,
                           "URL: byte %zu is no visible ASCII character; write it as %%XX",
                           (size_t)(c - text) + 1);
    const char *at = text;
    if (read_scheme(&at, &url, err) < 0)
        return -1;
    size_t len = strcspn(at, "/?#");
    if (read_authority(at, len, &url, err) < 0 || read_rest(at + len, &url, err) < 0)
        return -1;
    *ret = url;
    url.path = url.query = NULL; /* handed on */
    return 0;
}

void
url_free(struct url *url)
{
    free(TAKE_PTR(url->path));
    free(TAKE_PTR(url->query));
}

static int
read_scheme(const char **at, struct url *url, struct err *err)
{
    const char *text = *at;
    size_t len = 0;
    while (is_letter(text[len]) ||
           (len > 0 && (is_digit(text[len]) || (text[len] && strchr("+-.", text[len])))))
        len++;
    if (len == 0 || len >= URL_SCHEME_MAX || strncmp(text + len, "://", 3) != 0)
        return err_set(err, ERR_INVALID, "URL: does not begin with a scheme such as https://");
    copy_lower(text, len, url->scheme);
    *at = text + len + 3;
    return 0;
}

static int
read_user(const char *text, size_t len, struct url *url, struct err *err)
{
    auto_free char *user = NULL;
    if (memchr(text, ':', len))
        return err_set(err, ERR_INVALID,
                       "%s URL: has a password in it, where others can read it; leave it out and "
                       "give it in a file",
                       url->scheme);
    if (url_decode(text, len, &user, err) < 0)
        return err_prefix(err, "%s URL: user", url->scheme);
    if (len == 0 || strlen(user) >= URL_USER_MAX)
        return err_set(err, ERR_INVALID, "%s URL: its user is empty or too long", url->scheme);
    snprintf(url->user, sizeof url->user, "%s", user);
    url->has_user = true;
    return 0;
}

static int
read_host(const char *text, size_t len, struct url *url, struct err *err)
{
    if (len == 0 || len >= URL_HOST_MAX)
        return err_set(err, ERR_INVALID, "%s URL: names no host, or too long a one", url->scheme);
    for (size_t i = 0; i < len; i++)
        if (!is_digit(text[i]) && !is_letter(text[i]) && !strchr("-._", text[i]))
            return err_set(err, ERR_INVALID, "%s URL: '%.*s' is no name of a host", url->scheme,
                           (int)len, text);
    copy_lower(text, len, url->host);
    return 0;
}

/* text begins behind the "["; *ret_len is up to and with the "]". */
static int
read_ipv6(const char *text, size_t len, struct url *url, size_t *ret_len, struct err *err)
{
    struct in6_addr unused;
    const char *end = memchr(text, ']', len);
    size_t n = end ? (size_t)(end - text) : 0;
    if (n > 0 && n < URL_HOST_MAX)
        copy_lower(text, n, url->host);
    if (n == 0 || n >= URL_HOST_MAX || inet_pton(AF_INET6, url->host, &unused) != 1)
        return err_set(err, ERR_INVALID, "%s URL: what is in [] is no IPv6 address", url->scheme);
    url->is_ipv6 = true;
    *ret_len = n + 1;
    return 0;
}

static int
read_port(const char *text, size_t len, struct url *url, struct err *err)
{
    unsigned port = 0;
    for (size_t i = 0; i < len && is_digit(text[i]) && port <= PORT_MAX; i++)
        port = port * 10 + (unsigned)(text[i] - '0');
    bool digits = len > 0 && len <= 5;
    for (size_t i = 0; i < len; i++)
        digits &= is_digit(text[i]);
    if (!digits || port == 0 || port > PORT_MAX)
        return err_set(err, ERR_INVALID, "%s URL of %s: the port must be 1 to %d", url->scheme,
                       url->host, PORT_MAX);
    url->port = port;
    return 0;
}

static int
read_authority(const char *text, size_t len, struct url *url, struct err *err)
{
    const char *sign = memchr(text, '@', len);
    if (sign) {
        size_t user_len = (size_t)(sign - text);
        if (read_user(text, user_len, url, err) < 0)
            return -1;
        text = sign + 1;
        len -= user_len + 1;
    }
    size_t host_len;
    if (len > 0 && text[0] == '[') {
        if (read_ipv6(text + 1, len - 1, url, &host_len, err) < 0)
            return -1;
        host_len++;
    } else {
        const char *colon = memchr(text, ':', len);
        host_len = colon ? (size_t)(colon - text) : len;
        if (read_host(text, host_len, url, err) < 0)
            return -1;
    }
    if (host_len == len)
        return 0;
    if (text[host_len] != ':')
        return err_set(err, ERR_INVALID, "%s URL: something stands behind the host %s", url->scheme,
                       url->host);
    return read_port(text + host_len + 1, len - host_len - 1, url, err);
}

static int
check_escapes(const char *text, size_t len, const struct url *url, struct err *err)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] == '%' &&
            (i + 2 >= len || hex_value(text[i + 1]) < 0 || hex_value(text[i + 2]) < 0))
            return err_set(err, ERR_INVALID,
                           "%s URL of %s: has a %% without two hexadecimal digits behind it",
                           url->scheme, url->host);
    return 0;
}

static int
read_rest(const char *text, struct url *url, struct err *err)
{
    size_t path_len = strcspn(text, "?#");
    const char *query = text[path_len] == '?' ? text + path_len + 1 : NULL;
    if (strchr(text, '#'))
        return err_set(err, ERR_INVALID, "%s URL of %s: a # must be written as %%23", url->scheme,
                       url->host);
    if (check_escapes(text, strlen(text), url, err) < 0)
        return -1;
    url->path = strndup(text, path_len);
    url->query = query ? strdup(query) : NULL;
    if (!url->path || (query && !url->query))
        return err_errno(err, ENOMEM, "%s URL of %s", url->scheme, url->host);
    return 0;
}

int
url_query_get(const struct url *url, const char *name, char **ret, struct err *err)
{
    size_t name_len = strlen(name), len;
    *ret = NULL;
    for (const char *at = url->query; at; at = at[len] ? at + len + 1 : NULL) {
        len = strcspn(at, "&");
        if (len < name_len || memcmp(at, name, name_len) != 0)
            continue;
        if (len == name_len)
            return url_decode("", 0, ret, err);
        if (at[name_len] == '=')
            return url_decode(at + name_len + 1, len - name_len - 1, ret, err);
    }
    return 0;
}

int
url_encode(const char *text, enum url_keep keep, struct buf *buf, struct err *err)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = is_letter(*text) || is_digit(*text) || strchr("-._~", *text) ||
                     (keep == URL_KEEP_SLASH && c == '/');
        if ((plain ? buf_add(buf, text, 1, err) : buf_printf(buf, err, "%%%02X", c)) < 0)
            return -1;
    }
    return buf_add(buf, "", 0, err); /* so that an empty text is a string, too */
}

int
url_decode(const char *text, size_t len, char **ret, struct err *err)
{
    auto_free char *plain = malloc(len + 1);
    size_t n = 0;
    if (!plain)
        return err_errno(err, ENOMEM, "URL");
    for (size_t i = 0; i < len; i++) {
        plain[n] = text[i];
        if (text[i] == '%') {
            int high = i + 2 < len ? hex_value(text[i + 1]) : -1;
            int low = high < 0 ? -1 : hex_value(text[i + 2]);
            if (low < 0)
                return err_set(err, ERR_INVALID,
                               "has a %% without two hexadecimal digits behind it");
            plain[n] = (char)(high << 4 | low);
            i += 2;
        }
        if (plain[n++] == '\0')
            return err_set(err, ERR_INVALID, "has a zero byte in it");
    }
    plain[n] = '\0';
    *ret = TAKE_PTR(plain);
    return 0;
}

const char *
url_endpoint(const char *host, unsigned port, char text[URL_ENDPOINT_MAX])
{
    bool is_ipv6 = strchr(host, ':') != NULL;
    snprintf(text, URL_ENDPOINT_MAX, is_ipv6 ? "[%s]:%u" : "%s:%u", host, port);
    return text;
}
