#include "http-double.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/checked.h"
#include "vmware/session.h"
#include "wire/http.h"

#define PIECE_BYTES 97 /* answers come in small pieces, cut anywhere */

struct http {
    struct http_headers headers;
};

static const struct exchange *list;
static size_t n_list, at;
static struct buf sent = { .max = 1 << 20 };

void
double_play(const struct exchange *exchanges, size_t n)
{
    assert_int_equal(at, n_list);
    list = exchanges;
    n_list = n;
    at = 0;
}

void
double_done(void)
{
    if (at != n_list)
        fail_msg("%zu of %zu exchanges happened; the next: %s", at, n_list, list[at].expect[0]);
}

const char *
double_last_request(void)
{
    return sent.data;
}

static void
add(struct buf *buf, const void *data, size_t len)
{
    struct err err = ERR_INIT;
    assert_int_equal(buf_add(buf, data, len, &err), 0);
}

static void
add_str(struct buf *buf, const char *text)
{
    add(buf, text, strlen(text));
}

static void
note_request(const struct http_request *request)
{
    sent.len = 0;
    add_str(&sent, request->method ? request->method : "GET");
    add_str(&sent, " ");
    add_str(&sent, request->url);
    for (const char *const *header = request->headers; header && *header; header++) {
        add_str(&sent, "\n");
        add_str(&sent, *header);
    }
    add_str(&sent, "\n\n");
    add(&sent, request->body, request->body_len);
}

/* "Name: value\n" into the form of struct http_headers. */
static void
set_headers(struct http_headers *headers, const char *text)
{
    headers->text.max = HTTP_HEADERS_MAX;
    headers->text.len = 0;
    while (text && *text) {
        size_t name = strcspn(text, ":"), line = strcspn(text, "\n");
        add(&headers->text, text, name);
        add(&headers->text, "", 1);
        add(&headers->text, text + name + 2, line - name - 2);
        add(&headers->text, "", 1);
        text += line + 1;
    }
}

static const struct exchange *
next_exchange(struct http *http, const struct http_request *request)
{
    note_request(request);
    if (at == n_list)
        fail_msg("a request too many: %s", sent.data);
    const struct exchange *exchange = &list[at++];
    for (size_t i = 0; i < DOUBLE_EXPECT_MAX && exchange->expect[i]; i++)
        if (!strstr(sent.data, exchange->expect[i]))
            fail_msg("exchange %zu: no \"%s\" in: %s", at - 1, exchange->expect[i], sent.data);
    if (exchange->forbid && strstr(sent.data, exchange->forbid))
        fail_msg("exchange %zu: \"%s\" in: %s", at - 1, exchange->forbid, sent.data);
    if (exchange->fresh && !request->once)
        fail_msg("exchange %zu: may be sent twice: %s", at - 1, sent.data);
    set_headers(&http->headers, exchange->headers);
    return exchange;
}

/* ---- what wire/http has ---- */

int
http_new(const struct http_tls *tls, struct http **ret, struct err *err)
{
    (void)tls, (void)err;
    *ret = calloc(1, sizeof **ret);
    assert_non_null(*ret);
    return 0;
}

void
http_free(struct http *http)
{
    if (!http)
        return;
    buf_free(&http->headers.text);
    buf_free(&sent);
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
    const struct exchange *exchange = next_exchange(http, request);
    http_response_free(ret);
    *ret = HTTP_RESPONSE_INIT;
    if (exchange->status == 0)
        return err_set(err, ERR_UNAVAILABLE, "vc.test:443: the connection broke");
    ret->status = exchange->status;
    ret->body.max = 1 << 20;
    add_str(&ret->body, exchange->body ? exchange->body : "");
    set_headers(&ret->headers, exchange->headers);
    return 0;
}

int
http_stream(struct http *http, const struct http_request *request,
            int (*on_data)(const void *data, size_t len, void *arg, struct err *err), void *arg,
            int *ret_status, struct err *err)
{
    const struct exchange *exchange = next_exchange(http, request);
    if (request->cancelled && request->cancelled(request->cancelled_arg))
        return err_set(err, ERR_CANCELLED, "vc.test:443: cancelled");
    *ret_status = exchange->status;
    size_t len = exchange->body ? strlen(exchange->body) : 0;
    for (size_t pos = 0; pos < len; pos += PIECE_BYTES)
        if (on_data(exchange->body + pos, MIN(len - pos, (size_t)PIECE_BYTES), arg, err) < 0)
            return -1;
    if (exchange->status == 0)
        return err_set(err, ERR_UNAVAILABLE, "vc.test:443: the connection broke");
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
    while (*pos < headers->text.len) {
        const char *own = headers->text.data + *pos;
        const char *value = own + strlen(own) + 1;
        *pos = (size_t)(value - headers->text.data) + strlen(value) + 1;
        if (strcasecmp(own, name) == 0)
            return value;
    }
    return NULL;
}

const char *
http_header(const struct http_headers *headers, const char *name)
{
    size_t pos = 0;
    const char *last = NULL;
    for (const char *value; (value = http_header_next(headers, name, &pos));)
        last = value;
    return last;
}

struct vmware_session *
double_login(void)
{
    static const struct exchange first[] = { VERSIONS, CONTENT, LOGIN };
    struct vmware_options options = { .host = "vc.test", .user = "root", .password = "p&w" };
    struct vmware_session *session = NULL;
    struct err err = ERR_INIT;
    PLAY(first);
    if (vmware_login(&options, &session, &err) < 0)
        fail_msg("%s", err.text);
    double_done();
    return session;
}

void
double_logout(struct vmware_session *session)
{
    static const struct exchange last[] = { LOGOUT };
    PLAY(last);
    vmware_logout(session);
    double_done();
}
