#include "soap-double.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "wire/http.h"

#define PIECE_BYTES 61

struct http {
    struct http_headers headers;
};

static const uint8_t *feed;
static size_t feed_len;
static const char cookie[] = "Set-Cookie\0vmware_soap_session=x";

void
soap_double_feed(const uint8_t *data, size_t size)
{
    feed = data;
    feed_len = size;
}

/* The next answer, cut off the feed. */
static int
next_answer(const uint8_t **ret, size_t *ret_len, int *ret_status, struct err *err)
{
    if (feed_len == 0)
        return err_set(err, ERR_INVALID, "no more answers");
    const uint8_t *end = memchr(feed, 0, feed_len);
    size_t len = end ? (size_t)(end - feed) : feed_len, used = end ? len + 1 : len;
    bool failed = len > 0 && feed[0] == '!';
    *ret = feed + failed;
    *ret_len = len - failed;
    *ret_status = failed ? 500 : 200;
    feed += used;
    feed_len -= used;
    return 0;
}

int
http_new(const struct http_tls *tls, struct http **ret, struct err *err)
{
    (void)tls;
    struct http *http = calloc(1, sizeof *http);
    if (!http)
        return err_set(err, ERR_UNAVAILABLE, "no memory");
    http->headers.text = BUF_INIT(4096);
    if (buf_add(&http->headers.text, cookie, sizeof cookie, err) < 0) {
        http_free(http);
        return -1;
    }
    *ret = http;
    return 0;
}

void
http_free(struct http *http)
{
    if (http)
        buf_free(&http->headers.text);
    free(http);
}

void
http_response_free(struct http_response *response)
{
    buf_free(&response->body);
    buf_free(&response->headers.text);
}

int
http_perform(struct http *http, const struct http_request *request, struct http_response *ret,
             struct err *err)
{
    const uint8_t *answer;
    size_t len;
    (void)http;
    http_response_free(ret);
    *ret = HTTP_RESPONSE_INIT;
    if (next_answer(&answer, &len, &ret->status, err) < 0)
        return -1;
    ret->body.max = request->max_response_bytes ? request->max_response_bytes : HTTP_RESPONSE_MAX;
    return buf_add(&ret->body, answer, len, err);
}

int
http_stream(struct http *http, const struct http_request *request,
            int (*on_data)(const void *data, size_t len, void *arg, struct err *err), void *arg,
            int *ret_status, struct err *err)
{
    const uint8_t *answer;
    size_t len;
    (void)http, (void)request;
    if (next_answer(&answer, &len, ret_status, err) < 0)
        return -1;
    for (size_t at = 0; at < len; at += PIECE_BYTES)
        if (on_data(answer + at, MIN(len - at, (size_t)PIECE_BYTES), arg, err) < 0)
            return -1;
    return 0;
}

const struct http_headers *
http_last_headers(const struct http *http)
{
    return &http->headers;
}

const char *
http_header_next(const struct http_headers *headers, const char *name, size_t *pos)
{
    if (*pos > 0 || strcasecmp(name, "Set-Cookie") != 0 || headers->text.len == 0)
        return NULL;
    *pos = headers->text.len;
    return headers->text.data + strlen("Set-Cookie") + 1;
}

const char *
http_header(const struct http_headers *headers, const char *name)
{
    size_t pos = 0;
    return http_header_next(headers, name, &pos);
}
