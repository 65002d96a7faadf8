/* A URL as a user or a server gives it, and the escapes in it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_part(const char *part)
{
    for (; part && *part; part++)
        if (*part <= ' ' || *part > '~' || *part == '#')
            abort();
}

/* What was taken apart and put together again is the same. */
static void
check_again(const struct url *url)
{
    struct err err = ERR_INIT;
    auto_buf struct buf text = BUF_INIT(4 * URL_MAX);
    auto_url struct url again = { 0 };
    bool ok = buf_printf(&text, &err, "%s://", url->scheme) == 0;
    if (url->has_user)
        ok = ok && url_encode(url->user, URL_KEEP_NOTHING, &text, &err) == 0 &&
             buf_add_str(&text, "@", &err) == 0;
    ok = ok && buf_printf(&text, &err, url->is_ipv6 ? "[%s]" : "%s", url->host) == 0;
    if (url->port)
        ok = ok && buf_printf(&text, &err, ":%u", url->port) == 0;
    ok = ok && buf_printf(&text, &err, "%s%s%s", url->path, url->query ? "?" : "",
                          url->query ? url->query : "") == 0;
    if (!ok)
        abort();
    if (text.len > URL_MAX) /* the user takes more room when it is encoded */
        return;
    if (url_parse(text.data, &again, &err) < 0 || strcmp(again.host, url->host) != 0 ||
        strcmp(again.path, url->path) != 0 || again.port != url->port ||
        strcmp(again.user, url->user) != 0 || !again.query != !url->query)
        abort();
}

static void
check_query(const struct url *url)
{
    struct err err = ERR_INIT;
    auto_free char *value = NULL;
    if (url_query_get(url, "dsName", &value, &err) < 0 || !value)
        return;
    auto_buf struct buf text = BUF_INIT(4 * URL_MAX);
    auto_free char *back = NULL;
    if (url_encode(value, URL_KEEP_SLASH, &text, &err) < 0 ||
        url_decode(text.data, text.len, &back, &err) < 0 || strcmp(back, value) != 0)
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct err err = ERR_INIT;
    auto_free char *text = strndup((const char *)data, len);
    auto_url struct url url = { 0 };
    if (!text || url_parse(text, &url, &err) < 0)
        return 0;
    if (url.host[0] == '\0' || strlen(url.host) >= URL_HOST_MAX || url.port > 65535 ||
        (url.path[0] && url.path[0] != '/'))
        abort();
    check_part(url.host);
    check_part(url.path);
    check_part(url.query);
    check_again(&url);
    check_query(&url);
    return 0;
}
