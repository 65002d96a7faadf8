/* Theory of operation: one transfer at a time, driven by curl's multi interface so that it can be
 * left standing in the middle. The body goes from curl straight into the memory of whoever pulls;
 * when that is full the transfer is paused, curl keeps at most one piece (16 KiB) that it had read
 * already, the rest of that piece is kept in `spill`, and everything behind waits in the kernel and
 * then at the server. All ways of asking are built on begin, pull and end.
 */
#include "wire/http.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"
#include "base/clock.h"
#include "wire/http-tls.h"
#include "wire/url.h"

#define POLL_MS 100          /* how soon `cancelled` and the time limits are looked at */
#define CONNECTIONS_MAX 2L   /* kept by one client */
#define STREAM_PIECE 262144U /* bytes given to on_data at once, at most */
#define HTTPS_PORT 443
#define HTTP_PORT 80

struct http {
    CURL *easy;
    CURLM *multi;
    struct http_judge judge;
    char curl_text[CURL_ERROR_SIZE];

    const struct http_request *request; /* NULL: nothing under way */
    struct curl_slist *header_lines;
    char server[URL_ENDPOINT_MAX];
    int64_t deadline_ns; /* of all of it; -1: none */
    int64_t moved_ns;    /* when the last byte came */
    bool ended;          /* curl is through with it: result */
    CURLcode result;
    struct err failed; /* of a callback */

    int status;
    bool headers_complete;
    struct http_headers headers;

    uint8_t *to; /* where the body goes, and how much more of it is wanted */
    size_t room;
    bool paused;
    uint64_t body_bytes;
    size_t spill_at, spill_len;
    uint8_t spill[CURL_MAX_WRITE_SIZE];
};

static int start(struct http *http, const struct http_request *request, struct err *err);
static int step(struct http *http, struct err *err);
static int fail_transfer(const struct http *http, struct err *err);

/* ---- life ---- */

static void
init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

int
http_new(const struct http_tls *tls, struct http **ret, struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_curl);
    auto_http struct http *http = calloc(1, sizeof *http);
    if (!http)
        return err_errno(err, ENOMEM, "HTTPS client");
    http->headers.text.max = HTTP_HEADERS_MAX;
    http->easy = curl_easy_init();
    http->multi = curl_multi_init();
    if (!http->easy || !http->multi)
        return err_errno(err, ENOMEM, "HTTPS client");
    if (http_judge_init(&http->judge, tls, err) < 0)
        return -1;
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_MAX);
    *ret = TAKE_PTR(http);
    return 0;
}

void
http_free(struct http *http)
{
    if (!http)
        return;
    http_end(http);
    if (http->easy)
        curl_easy_cleanup(http->easy);
    if (http->multi)
        curl_multi_cleanup(http->multi);
    http_judge_done(&http->judge);
    buf_free(&http->headers.text);
    free(http);
}

void
http_drop_connections(struct http *http)
{
    http_end(http);
    CURLM *fresh = curl_multi_init();
    if (!fresh) /* they are then dropped when the server says so */
        return;
    curl_multi_setopt(fresh, CURLMOPT_MAXCONNECTS, CONNECTIONS_MAX);
    curl_multi_cleanup(http->multi);
    http->multi = fresh;
}

/* ---- begin, pull, end ---- */

int
http_begin(struct http *http, const struct http_request *request, int *ret_status, struct err *err)
{
    http_end(http);
    if (start(http, request, err) < 0)
        return -1;
    while (!http->headers_complete && !http->ended)
        if (step(http, err) < 0) {
            http_end(http);
            return -1;
        }
    if (!http->headers_complete || http->failed.kind != ERR_NONE) {
        int r = fail_transfer(http, err);
        http_end(http);
        return r;
    }
    *ret_status = http->status;
    return 0;
}

static void
take_spilled(struct http *http)
{
    size_t n = MIN(http->room, http->spill_len);
    if (n == 0)
        return;
    memcpy(http->to, http->spill + http->spill_at, n);
    http->to += n;
    http->room -= n;
    http->spill_at += n;
    http->spill_len -= n;
}

int
http_pull(struct http *http, void *data, size_t len, size_t *ret_got, struct err *err)
{
    http->to = data;
    http->room = len;
    http->moved_ns = clock_now_ns();
    take_spilled(http);
    if (http->room > 0 && http->paused) {
        http->paused = false;
        curl_easy_pause(http->easy, CURLPAUSE_CONT);
    }
    int r = 0;
    while (r == 0 && http->room > 0 && !http->ended)
        r = step(http, err);
    size_t got = len - http->room;
    http->to = NULL;
    http->room = 0;
    if (r < 0)
        return -1;
    if (got < len && (http->result != CURLE_OK || http->failed.kind != ERR_NONE))
        return fail_transfer(http, err);
    *ret_got = got;
    return 0;
}

void
http_end(struct http *http)
{
    if (!http->request)
        return;
    /* The last byte may be here and its end not yet noticed: then the connection can be kept. */
    int running;
    if (!http->ended && !http->paused && http->headers_complete)
        curl_multi_perform(http->multi, &running);
    curl_multi_remove_handle(http->multi, http->easy);
    curl_slist_free_all(TAKE_PTR(http->header_lines));
    http->request = NULL;
    http->spill_len = 0;
}

const struct http_headers *
http_last_headers(const struct http *http)
{
    return &http->headers;
}

/* ---- ways of asking ---- */

void
http_response_free(struct http_response *response)
{
    buf_free(&response->body);
    buf_free(&response->headers.text);
}

static int
collect_body(struct http *http, struct buf *body, struct err *err)
{
    uint8_t piece[16384];
    struct err full = ERR_INIT;
    size_t got;
    do {
        if (http_pull(http, piece, sizeof piece, &got, err) < 0)
            return -1;
        if (buf_add(body, piece, got, &full) < 0)
            return err_set(err, full.kind, "%s: the answer is too long: %s", http->server,
                           full.text);
    } while (got == sizeof piece);
    return 0;
}

int
http_perform(struct http *http, const struct http_request *request, struct http_response *ret,
             struct err *err)
{
    size_t max = request->max_response_bytes;
    struct buf body = BUF_INIT(max ? max : HTTP_RESPONSE_MAX);
    http_response_free(ret);
    *ret = HTTP_RESPONSE_INIT;
    int status;
    if (http_begin(http, request, &status, err) < 0)
        return -1;
    int r = collect_body(http, &body, err);
    http_end(http);
    if (r < 0) {
        buf_free(&body);
        return -1;
    }
    ret->status = status;
    ret->body = body;
    ret->headers.text = http->headers.text; /* handed on */
    http->headers.text = BUF_INIT(HTTP_HEADERS_MAX);
    return 0;
}

int
http_stream(struct http *http, const struct http_request *request,
            int (*on_data)(const void *data, size_t len, void *arg, struct err *err), void *arg,
            int *ret_status, struct err *err)
{
    auto_free uint8_t *piece = malloc(STREAM_PIECE);
    if (!piece)
        return err_errno(err, ENOMEM, "HTTPS client");
    if (http_begin(http, request, ret_status, err) < 0)
        return -1;
    size_t got = 0;
    int r;
    do {
        r = http_pull(http, piece, STREAM_PIECE, &got, err);
        if (r == 0 && got > 0)
            r = on_data(piece, got, arg, err);
    } while (r >= 0 && got == STREAM_PIECE);
    http_end(http);
    return r < 0 ? -1 : 0;
}

int
http_read_into(struct http *http, const struct http_request *request, void *data, size_t len,
               size_t *ret_got, int *ret_status, struct err *err)
{
    uint8_t beyond;
    size_t got = 0, more = 0;
    if (http_begin(http, request, ret_status, err) < 0)
        return -1;
    int r = http_pull(http, data, len, &got, err);
    if (r == 0 && got == len)
        r = http_pull(http, &beyond, sizeof beyond, &more, err);
    http_end(http);
    if (r < 0)
        return -1;
    if (more > 0)
        return err_set(err, ERR_INVALID, "%s: sent more than the %zu bytes it was asked for",
                       http->server, len);
    *ret_got = got;
    return 0;
}

/* ---- headers ---- */

const char *
http_header_next(const struct http_headers *headers, const char *name, size_t *pos)
{
    const struct buf *text = &headers->text;
    while (*pos < text->len) {
        const char *here = text->data + *pos;
        const char *value = here + strlen(here) + 1;
        *pos = (size_t)(value - text->data) + strlen(value) + 1;
        if (strcasecmp(here, name) == 0)
            return value;
    }
    return NULL;
}

const char *
http_header(const struct http_headers *headers, const char *name)
{
    const char *last = NULL, *value;
    for (size_t pos = 0; (value = http_header_next(headers, name, &pos));)
        last = value;
    return last;
}

/* ---- what curl calls ---- */

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int
add_header(struct http *http, const char *line, size_t len, struct err *err)
{
    const char *colon = memchr(line, ':', len);
    if (!colon || memchr(line, '\0', len))
        return 0; /* curl refuses what is dangerous of these */
    const char *value = colon + 1, *end = line + len;
    while (value < end && is_blank(*value))
        value++;
    while (end > value && is_blank(end[-1]))
        end--;
    struct buf *text = &http->headers.text;
    if (buf_add(text, line, (size_t)(colon - line), err) < 0 || buf_add(text, "", 1, err) < 0 ||
        buf_add(text, value, (size_t)(end - value), err) < 0 || buf_add(text, "", 1, err) < 0)
        return -1;
    return 0;
}

static size_t
on_header(char *line, size_t size, size_t n, void *arg)
{
    struct http *http = arg;
    size_t len = size * n;
    struct err err = ERR_INIT;
    http->moved_ns = clock_now_ns();
    if (http->headers_complete) /* behind the last chunk of a body */
        return len;
    if (len > 5 && memcmp(line, "HTTP/", 5) == 0) {
        long status = 0;
        curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
        http->status = (int)status;
        http->headers.text.len = 0;
        return len;
    }
    if (is_blank(line[0])) {
        http->headers_complete = http->status >= 200;
        return len;
    }
    if (add_header(http, line, len, &err) < 0) {
        err_set(&http->failed, ERR_INVALID, "%s: the headers of its answer are too long: %s",
                http->server, err.text);
        return 0;
    }
    return len;
}

static size_t
on_body(char *data, size_t size, size_t n, void *arg)
{
    struct http *http = arg;
    size_t len = size * n;
    if (len > sizeof http->spill) /* curl promises that it is not */
        return 0;
    if (http->room == 0) {
        http->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    http->moved_ns = clock_now_ns();
    http->body_bytes += len;
    size_t now = MIN(len, http->room);
    memcpy(http->to, data, now);
    http->to += now;
    http->room -= now;
    memcpy(http->spill, data + now, len - now);
    http->spill_at = 0;
    http->spill_len = len - now;
    return len;
}

/* ---- starting ---- */

static bool
has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

static int
add_header_line(struct curl_slist **list, const char *line, struct err *err)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (!longer)
        return err_errno(err, ENOMEM, "HTTPS client");
    *list = longer;
    return 0;
}

static int
make_headers(struct http *http, struct err *err)
{
    const char *const *line = http->request->headers;
    size_t bytes = 0;
    /* No waiting for "100 Continue": what is sent is small. */
    if (add_header_line(&http->header_lines, "Expect:", err) < 0)
        return -1;
    for (; line && *line; line++) {
        bytes += strlen(*line);
        if (has_control(*line) || !strchr(*line, ':') || bytes > HTTP_HEADERS_MAX)
            return err_set(err, ERR_INVALID,
                           "%s: a header for it has a line break or control character in it, no "
                           "name, or is too long",
                           http->server);
        if (add_header_line(&http->header_lines, *line, err) < 0)
            return -1;
    }
    return 0;
}

static int
check_url(struct http *http, const char *text, struct err *err)
{
    auto_url struct url url = { 0 };
    if (url_parse(text, &url, err) < 0)
        return -1;
    bool plain = http->judge.plain && strcmp(url.scheme, "http") == 0;
    url_endpoint(url.host, url.port ? url.port : plain ? HTTP_PORT : HTTPS_PORT, http->server);
    if (strcmp(url.scheme, "https") != 0 && !plain)
        return err_set(err, ERR_INVALID, "%s: only https:// is spoken, not %s://", http->server,
                       url.scheme);
    if (url.has_user)
        return err_set(err, ERR_INVALID, "%s: its URL must not hold a user", http->server);
    return 0;
}

static void
set_method(CURL *easy, const struct http_request *request)
{
    const char *method = request->method ? request->method : "GET";
    if (request->body) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body);
    } else if (strcmp(method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
}

static void
set_options(struct http *http)
{
    CURL *easy = http->easy;
    const struct http_request *request = http->request;
    curl_easy_setopt(easy, CURLOPT_URL, request->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, http->judge.plain ? "https,http" : "https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "vmferry/" VMFERRY_VERSION);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, http->curl_text);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, http->header_lines);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, http);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, http);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)CURL_MAX_WRITE_SIZE);
    if (request->compressed)
        curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    if (request->once)
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    set_method(easy, request);
}

static void
forget_answer(struct http *http)
{
    http->ended = http->paused = http->headers_complete = false;
    http->result = CURLE_OK;
    http->failed.kind = ERR_NONE;
    http->status = 0;
    http->headers.text.len = 0;
    http->to = NULL;
    http->room = 0;
    http->body_bytes = 0;
    http->spill_len = 0;
    http->curl_text[0] = '\0';
}

static int
start(struct http *http, const struct http_request *request, struct err *err)
{
    forget_answer(http);
    if (check_url(http, request->url, err) < 0)
        return -1;
    int64_t now_ns = clock_now_ns();
    http->request = request;
    http->moved_ns = now_ns;
    http->deadline_ns = request->timeout_ms > 0 ? now_ns + request->timeout_ms * NS_PER_MS : -1;
    curl_easy_reset(http->easy);
    int r = make_headers(http, err);
    if (r == 0) {
        set_options(http);
        r = http_judge_apply(&http->judge, http->easy, err);
    }
    if (r == 0 && curl_multi_add_handle(http->multi, http->easy) != CURLM_OK)
        r = err_errno(err, ENOMEM, "HTTPS client");
    if (r < 0) {
        curl_slist_free_all(TAKE_PTR(http->header_lines));
        http->request = NULL;
    }
    return r;
}

/* ---- moving ---- */

static int
check_limits(const struct http *http, struct err *err)
{
    const struct http_request *request = http->request;
    int64_t now_ns = clock_now_ns();
    int64_t stall_ms = request->stall_ms > 0 ? request->stall_ms : HTTP_STALL_MS;
    if (request->cancelled && request->cancelled(request->cancelled_arg))
        return err_set(err, ERR_CANCELLED, "%s: the request was cancelled", http->server);
    if (http->deadline_ns >= 0 && now_ns >= http->deadline_ns)
        return err_set(err, ERR_UNAVAILABLE,
                       "%s: did not answer within %d s; see whether it is overloaded, and try "
                       "again",
                       http->server, (request->timeout_ms + 999) / 1000);
    if (now_ns - http->moved_ns >= stall_ms * NS_PER_MS)
        return err_set(err, ERR_UNAVAILABLE,
                       "%s: sent nothing for %d s after %llu bytes of its answer; see whether it "
                       "is overloaded or the network broken, and try again",
                       http->server, (int)(stall_ms / 1000), (unsigned long long)http->body_bytes);
    return 0;
}

/* Let curl do what it can, and wait for more if more is wanted. */
static int
step(struct http *http, struct err *err)
{
    int running = 0, left;
    CURLMcode r = curl_multi_perform(http->multi, &running);
    for (CURLMsg *msg; (msg = curl_multi_info_read(http->multi, &left));)
        if (msg->msg == CURLMSG_DONE) {
            http->ended = true;
            http->result = msg->data.result;
        }
    if (http->ended)
        return 0;
    if (r == CURLM_OK && (http->room > 0 || !http->headers_complete))
        r = curl_multi_poll(http->multi, NULL, 0, POLL_MS, NULL);
    if (r != CURLM_OK)
        return err_set(err, ERR_UNAVAILABLE, "%s: wait for the network: %s", http->server,
                       curl_multi_strerror(r));
    return check_limits(http, err);
}

/* ---- what went wrong ---- */

static int
fail_connect(const struct http *http, struct err *err)
{
    long errnum = 0;
    curl_easy_getinfo(http->easy, CURLINFO_OS_ERRNO, &errnum);
    if (errnum == ECONNREFUSED)
        return err_set(err, ERR_UNAVAILABLE,
                       "%s: the connection was refused: nothing listens on that port there, or a "
                       "firewall rejects it; check host and port",
                       http->server);
    return err_set(err, ERR_UNAVAILABLE,
                   "%s: cannot be connected to: %s; check host and port, and the way there",
                   http->server, errnum ? strerror((int)errnum) : http->curl_text);
}

static int
fail_handshake(const struct http *http, const char *what, struct err *err)
{
    if (http->judge.refused)
        return http_judge_error(&http->judge, http->server, what, err);
    const char *way_out = "";
    if (strstr(what, "too small") || strstr(what, "too weak"))
        way_out = "; its keys are too old to be secure: renew its certificate, or allow legacy "
                  "ciphers for this server";
    else if (strstr(what, "wrong version number"))
        way_out = "; what listens there does not speak TLS: check the port";
    else if (strstr(what, "unsupported protocol") || strstr(what, "protocol version"))
        way_out = "; it does not speak TLS 1.2 or newer";
    return err_set(err, ERR_UNAVAILABLE, "%s: no TLS connection can be made: %s%s", http->server,
                   what, way_out);
}

/* Of a transfer that curl or a callback gave up. */
static int
fail_transfer(const struct http *http, struct err *err)
{
    const char *server = http->server;
    const char *what = http->curl_text[0] ? http->curl_text : curl_easy_strerror(http->result);
    if (http->failed.kind != ERR_NONE) {
        *err = http->failed;
        return -1;
    }
    switch (http->result) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return err_set(err, ERR_UNAVAILABLE,
                       "%s: its name cannot be resolved; check the name, and the name servers of "
                       "this machine",
                       server);
    case CURLE_COULDNT_CONNECT:
        return fail_connect(http, err);
    case CURLE_OPERATION_TIMEDOUT:
        return err_set(err, ERR_UNAVAILABLE,
                       "%s: no connection within %d s; check that it runs, and that no firewall "
                       "on the way drops what is sent to this port",
                       server, HTTP_CONNECT_MS / 1000);
    case CURLE_PEER_FAILED_VERIFICATION:
        return http_judge_error(&http->judge, server, what, err);
    case CURLE_SSL_CACERT_BADFILE:
        return err_set(err, ERR_INVALID, "%s: the file of CAs %s cannot be read: %s", server,
                       http->judge.ca_file ? http->judge.ca_file : "of this system", what);
    case CURLE_SSL_CONNECT_ERROR:
        return fail_handshake(http, what, err);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        return err_set(err, ERR_INVALID,
                       "%s: what answers is no HTTP server: %s; check host and port", server, what);
    case CURLE_BAD_CONTENT_ENCODING:
        return err_set(err, ERR_INVALID, "%s: the answer is damaged: %s", server, what);
    default:
        return err_set(err, ERR_UNAVAILABLE,
                       "%s: the connection broke after %llu bytes of the answer: %s; try again",
                       server, (unsigned long long)http->body_bytes, what);
    }
}

/* ---- who answers ---- */

int
http_peek_certificate(const char *host, unsigned port, const struct http_tls *tls,
                      struct http_certificate *ret, struct err *err)
{
    struct http_tls by_ca = tls ? *tls : (struct http_tls){ 0 };
    by_ca.thumbprint = NULL;
    auto_http struct http *http = NULL;
    char endpoint[URL_ENDPOINT_MAX], url[URL_ENDPOINT_MAX + 16];
    url_endpoint(host, port, endpoint);
    snprintf(url, sizeof url, "https://%s/", endpoint);
    struct http_request request = { .url = url };
    if (http_new(&by_ca, &http, err) < 0 || start(http, &request, err) < 0)
        return -1;
    curl_easy_setopt(http->easy, CURLOPT_CONNECT_ONLY, 1L);
    while (!http->ended)
        if (step(http, err) < 0)
            return -1;
    const struct http_judge *judge = &http->judge;
    bool trusted = http->result == CURLE_OK;
    if (!judge->seen || (!trusted && http->result != CURLE_PEER_FAILED_VERIFICATION))
        return fail_transfer(http, err);
    *ret = (struct http_certificate){ .trusted = trusted };
    snprintf(ret->sha1, sizeof ret->sha1, "%s", judge->sha1);
    snprintf(ret->sha256, sizeof ret->sha256, "%s", judge->sha256);
    if (!trusted)
        snprintf(ret->why, sizeof ret->why, "%s", judge->why[0] ? judge->why : http->curl_text);
    return 0;
}

int
http_peek_thumbprints(const char *host, unsigned port, char sha1[HTTP_SHA1_TEXT_MAX],
                      char sha256[HTTP_SHA256_TEXT_MAX], struct err *err)
{
    struct http_certificate seen;
    if (http_peek_certificate(host, port, NULL, &seen, err) < 0)
        return -1;
    memcpy(sha1, seen.sha1, sizeof seen.sha1);
    memcpy(sha256, seen.sha256, sizeof seen.sha256);
    return 0;
}
