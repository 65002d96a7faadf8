#include "cloud-double.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "wire/http.h"

#define BODY_MAX ((size_t)1 << 20)

struct http {
    int unused;
};

static const struct cloud_answer *list;
static size_t n_list, at;
static struct buf sent = { .max = BODY_MAX };

void
cloud_play(const struct cloud_answer *answers, size_t n)
{
    assert_int_equal(at, n_list);
    list = answers;
    n_list = n;
    at = 0;
}

void
cloud_done(void)
{
    if (at != n_list)
        fail_msg("%zu of %zu answers were asked for; the next: %s", at, n_list, list[at].expect[0]);
}

const char *
cloud_last_request(void)
{
    return sent.data;
}

static void
add(struct buf *buf, const void *data, size_t len)
{
    struct err err = ERR_INIT;
    assert_int_equal(buf_add(buf, data, len, &err), 0);
}

static const struct cloud_answer *
next_answer(const struct http_request *request)
{
    buf_consume(&sent, sent.len);
    add(&sent, request->url, strlen(request->url));
    add(&sent, "\n", 1);
    add(&sent, request->body, request->body_len);
    assert_string_equal(request->method, "POST");
    if (at == n_list)
        fail_msg("a request too many: %s", sent.data);
    const struct cloud_answer *answer = &list[at++];
    for (size_t i = 0; i < CLOUD_EXPECT_MAX && answer->expect[i]; i++)
        if (!strstr(sent.data, answer->expect[i]))
            fail_msg("answer %zu: no \"%s\" in: %s", at - 1, answer->expect[i], sent.data);
    if (answer->forbid && strstr(sent.data, answer->forbid))
        fail_msg("answer %zu: \"%s\" in: %s", at - 1, answer->forbid, sent.data);
    return answer;
}

struct cloudstack *
cloud_new(void)
{
    struct cloudstack_options options = { .endpoint = "https://cloud.test:8443/client/api",
                                          .api_key = CLOUD_API_KEY,
                                          .secret_key = CLOUD_SECRET };
    struct cloudstack *cloud = NULL;
    struct err err = ERR_INIT;
    if (cloudstack_new(&options, &cloud, &err) < 0)
        fail_msg("%s", err.text);
    return cloud;
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
    (void)http;
    const struct cloud_answer *answer = next_answer(request);
    http_response_free(ret);
    *ret = HTTP_RESPONSE_INIT;
    if (answer->status == 0)
        return err_set(err, ERR_UNAVAILABLE, "cloud.test:8443: the connection broke");
    ret->status = answer->status;
    ret->body.max = BODY_MAX;
    ret->headers.text.max = BODY_MAX;
    if (answer->body)
        add(&ret->body, answer->body, strlen(answer->body));
    if (answer->header) {
        size_t name = strcspn(answer->header, ":");
        add(&ret->headers.text, answer->header, name);
        add(&ret->headers.text, "", 1);
        add(&ret->headers.text, answer->header + name + 2, strlen(answer->header + name + 2) + 1);
    }
    return 0;
}

const char *
http_header(const struct http_headers *headers, const char *name)
{
    const char *own = headers->text.data;
    return own && strcasecmp(own, name) == 0 ? own + strlen(own) + 1 : NULL;
}
