#include "wire/http.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "http-server.h"

static char sha1[HTTP_SHA1_TEXT_MAX], sha256[HTTP_SHA256_TEXT_MAX];

static const char *
url_at(unsigned port, const char *path)
{
    static char urls[4][256];
    static unsigned next;
    char *url = urls[next++ % 4];
    snprintf(url, sizeof urls[0], "https://127.0.0.1:%u%s", port, path);
    return url;
}

static const char *
url_of(const char *path)
{
    return url_at(test_server.port, path);
}

static struct http *
new_http(const struct http_tls *tls)
{
    struct http *http;
    struct err err = ERR_INIT;
    if (http_new(tls, &http, &err) < 0)
        fail_msg("%s", err.text);
    return http;
}

/* By the thumbprint of the usual server. */
static struct http *
new_pinned(void)
{
    return new_http(&(struct http_tls){ .thumbprint = sha256 });
}

static void
get(struct http *http, const char *path, struct http_response *ret)
{
    struct err err = ERR_INIT;
    if (http_perform(http, &(struct http_request){ .url = url_of(path) }, ret, &err) < 0)
        fail_msg("%s: %s", path, err.text);
}

static void
assert_fails(struct http *http, struct http_request request, enum err_kind kind, const char *text)
{
    struct err err = ERR_INIT;
    auto_http_response struct http_response response = HTTP_RESPONSE_INIT;
    assert_int_equal(http_perform(http, &request, &response, &err), -1);
    if (err.kind != kind || !strstr(err.text, text))
        fail_msg("wanted %s '%s', got %s '%s'", err_kind_name(kind), text, err_kind_name(err.kind),
                 err.text);
    assert_null(response.body.data);
}

static void
assert_pattern(const uint8_t *data, size_t len, size_t from)
{
    for (size_t i = 0; i < len; i++)
        if (data[i] != (from + i) % 251)
            fail_msg("byte %zu is %u", from + i, data[i]);
}

/* Which connection of the server's this client uses now. */
static unsigned
connection_of(struct http *http, unsigned *ret_requests)
{
    unsigned requests, number;
    auto_http_response struct http_response response = HTTP_RESPONSE_INIT;
    get(http, "/count", &response);
    assert_int_equal(sscanf(response.body.data, "%u %u", &requests, &number), 2);
    if (ret_requests)
        *ret_requests = requests;
    return number;
}

static void
test_thumbprints(void **state)
{
    (void)state;
    uint8_t bytes[32];
    assert_int_equal(http_thumbprint_parse(sha1, bytes), HTTP_PIN_SHA1);
    assert_int_equal(http_thumbprint_parse(sha256, NULL), HTTP_PIN_SHA256);
    assert_int_equal(http_thumbprint_parse("000102030405060708090a0b0c0d0e0f1011fFFe", bytes),
                     HTTP_PIN_SHA1);
    assert_int_equal(bytes[1], 1);
    assert_int_equal(bytes[18], 0xff);
    assert_int_equal(bytes[19], 0xfe);
    static const char *const bad[] = { "",
                                       ":",
                                       "00",
                                       "zz",
                                       "0",
                                       "00:01:",
                                       "000102030405060708090a0b0c0d0e0f101112",
                                       "000102030405060708090a0b0c0d0e0f10111213 ",
                                       "00:0102030405060708090a0b0c0d0e0f10111213",
                                       "0:00102030405060708090a0b0c0d0e0f10111213" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(http_thumbprint_parse(bad[i], NULL), HTTP_PIN_NONE);
    struct http *http;
    struct err err = ERR_INIT;
    assert_int_equal(http_new(&(struct http_tls){ .thumbprint = "12:34" }, &http, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
}

static void
test_answer(void **state)
{
    (void)state;
    auto_http struct http *http = new_pinned();
    auto_http_response struct http_response response = HTTP_RESPONSE_INIT;
    get(http, "/continue", &response);
    assert_int_equal(response.status, 200);
    assert_string_equal(response.body.data, "hello");
    assert_string_equal(http_header(&response.headers, "X-TWICE"), "b");
    assert_null(http_header(&response.headers, "X-Twic"));
    size_t pos = 0;
    assert_string_equal(http_header_next(&response.headers, "set-cookie", &pos),
                        "vmware_soap_session=\"52ab\"; Path=/");
    assert_string_equal(http_header_next(&response.headers, "set-cookie", &pos), "other=1");
    assert_null(http_header_next(&response.headers, "set-cookie", &pos));
    get(http, "/redirect", &response);
    assert_int_equal(response.status, 302);
    assert_string_equal(response.body.data, "");
    get(http, "/nothing", &response);
    assert_int_equal(response.status, 404);
}

static void
test_methods(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_http struct http *http = new_pinned();
    auto_http_response struct http_response response = HTTP_RESPONSE_INIT;
    const char *headers[] = { "SOAPAction: urn:vim25/7.0", "Cookie: a=\"b\"", NULL };
    char body[3000];
    memset(body, 'x', sizeof body);
    struct http_request request = { .method = "POST",
                                    .url = url_of("/echo"),
                                    .headers = headers,
                                    .body = body,
                                    .body_len = sizeof body };
    assert_int_equal(http_perform(http, &request, &response, &err), 0);
    assert_non_null(strstr(response.body.data, "POST /echo HTTP/1.1\r\n"));
    assert_non_null(strstr(response.body.data, "\r\nSOAPAction: urn:vim25/7.0\r\n"));
    assert_non_null(strstr(response.body.data, "\r\nCookie: a=\"b\"\r\n"));
    assert_null(strstr(response.body.data, "Expect"));
    assert_null(strstr(response.body.data, "Accept-Encoding"));
    assert_non_null(strstr(response.body.data, "\r\n\r\nxxxx"));
    assert_int_equal(response.body.len,
                     strstr(response.body.data, "\r\n\r\n") + 4 - response.body.data + 3000);
    /* The next request is not a POST, and the headers are gone. */
    get(http, "/echo/%2e/../a%2525b?c=%2F", &response);
    assert_non_null(strstr(response.body.data, "GET /echo/%2e/../a%2525b?c=%2F HTTP/1.1\r\n"));
    assert_null(strstr(response.body.data, "SOAPAction"));
    request = (struct http_request){ .method = "HEAD", .url = url_of("/hello") };
    assert_int_equal(http_perform(http, &request, &response, &err), 0);
    assert_string_equal(http_header(&response.headers, "content-length"), "5");
    assert_int_equal(response.body.len, 0);
    request = (struct http_request){ .method = "PUT", .url = url_of("/echo"), .body = "" };
    assert_int_equal(http_perform(http, &request, &response, &err), 0);
    assert_non_null(strstr(response.body.data, "PUT /echo HTTP/1.1\r\n"));
}

static void
test_caps(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_http struct http *http = new_pinned();
    auto_http_response struct http_response response = HTTP_RESPONSE_INIT;
    struct http_request request = { .url = url_of("/bytes/100000"), .max_response_bytes = 99999 };
    assert_fails(http, request, ERR_INVALID, "more than 99999 bytes");
    request.max_response_bytes = 100000;
    assert_int_equal(http_perform(http, &request, &response, &err), 0);
    assert_int_equal(response.body.len, 100000);
    assert_pattern((uint8_t *)response.body.data, response.body.len, 0);
    request = (struct http_request){ .url = url_of("/gzip"), .max_response_bytes = 99999 };
    request.compressed = true;
    assert_fails(http, request, ERR_INVALID, "more than 99999 bytes");
    request.max_response_bytes = 100000;
    assert_int_equal(http_perform(http, &request, &response, &err), 0);
    assert_int_equal(response.body.len, 100000);
    get(http, "/gzip", &response);
    assert_string_equal(response.body.data, "not asked for");
    assert_fails(http, (struct http_request){ .url = url_of("/many-headers") }, ERR_INVALID,
                 "headers of its answer are too long");
}

static void
test_pins(void **state)
{
    (void)state;
    static const char wrong[] = "00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13";
    auto_http_response struct http_response response = HTTP_RESPONSE_INIT;
    char plain[HTTP_SHA1_TEXT_MAX];
    size_t n = 0;
    for (const char *c = sha1; *c; c++)
        if (*c != ':')
            plain[n++] = (char)(*c >= 'A' ? *c | 0x20 : *c);
    plain[n] = '\0';
    struct http_tls tls = { .thumbprint = plain };
    auto_http struct http *by_sha1 = new_http(&tls);
    get(by_sha1, "/hello", &response);

    unsigned before, after;
    connection_of(by_sha1, &before);
    auto_http struct http *other = new_http(&(struct http_tls){ .thumbprint = wrong });
    struct http_request request = { .url = url_of("/hello") };
    assert_fails(other, request, ERR_DENIED, wrong);
    assert_fails(other, request, ERR_DENIED, sha1);
    assert_fails(other, request, ERR_DENIED, "give the new thumbprint");
    connection_of(by_sha1, &after);
    assert_int_equal(after, before + 1); /* nothing was asked over that connection */
    /* A pin is looked at even where a CA would do. */
    tls = (struct http_tls){ .thumbprint = wrong, .ca_file = test_server_file("ca.pem") };
    auto_http struct http *both = new_http(&tls);
    assert_fails(both, request, ERR_DENIED, "SHA-1 thumbprint");
}

static void
test_authorities(void **state)
{
    (void)state;
    auto_http_response struct http_response response = HTTP_RESPONSE_INIT;
    auto_http struct http *by_ca =
        new_http(&(struct http_tls){ .ca_file = test_server_file("ca.pem") });
    get(by_ca, "/hello", &response);
    char url[64];
    /* Another name of the same address, which is not in the certificate. */
    snprintf(url, sizeof url, "https://0.0.0.0:%u/", test_server.port);
    struct http_request request = { .url = url };
    assert_fails(by_ca, request, ERR_DENIED, "0.0.0.0");
    auto_http struct http *by_system = new_http(NULL);
    request.url = url_of("/hello");
    assert_fails(by_system, request, ERR_DENIED, sha256);
    assert_fails(by_system, request, ERR_DENIED, "not trusted");
    auto_http struct http *no_file =
        new_http(&(struct http_tls){ .ca_file = test_server_file("nothing.pem") });
    assert_fails(no_file, request, ERR_INVALID, "nothing.pem cannot be read");
    snprintf(url, sizeof url, "https://nowhere.invalid:%u/", test_server.port);
    request.url = url;
    assert_fails(by_ca, request, ERR_UNAVAILABLE, "its name cannot be resolved");
}

static void
test_old_keys(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_http_response struct http_response response = HTTP_RESPONSE_INIT;
    struct http_tls tls = { .ca_file = test_server_file("ca.pem") };
    struct http_request request = { .url = url_at(test_server.old_port, "/hello") };
    auto_http struct http *strict = new_http(&tls);
    assert_fails(strict, request, ERR_DENIED, "too weak");
    tls.legacy_ciphers = true;
    auto_http struct http *lenient = new_http(&tls);
    assert_int_equal(http_perform(lenient, &request, &response, &err), 0);
    request.url = url_at(test_server.early_port, "/hello");
    assert_fails(lenient, request, ERR_UNAVAILABLE, "TLS");
    request.url = url_at(test_server.plain_port, "/hello");
    assert_fails(lenient, request, ERR_UNAVAILABLE, "does not speak TLS");
}

static void
test_no_connection(void **state)
{
    (void)state;
    auto_http struct http *http = new_pinned();
    auto_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof address;
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    unsigned port = ntohs(address.sin_port); /* bound, and nobody listens */
    char name[64];
    snprintf(name, sizeof name, "127.0.0.1:%u: the connection was refused", port);
    assert_fails(http, (struct http_request){ .url = url_at(port, "/secret") }, ERR_UNAVAILABLE,
                 name);
    /* Somebody listens, and accepts nobody. */
    assert_int_equal(listen(fd, 1), 0);
    struct http_request request = { .url = url_at(port, "/"), .timeout_ms = 300 };
    assert_fails(http, request, ERR_UNAVAILABLE, "did not answer within 1 s");
}

static void
test_proxy_is_not_used(void **state)
{
    (void)state;
    auto_http_response struct http_response response = HTTP_RESPONSE_INIT;
    setenv("https_proxy", "http://127.0.0.1:1/", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1/", 1);
    auto_http struct http *http = new_pinned();
    get(http, "/hello", &response);
    unsetenv("https_proxy");
    unsetenv("ALL_PROXY");
}

static void
test_bad_requests(void **state)
{
    (void)state;
    auto_http struct http *http = new_pinned();
    const char *split[] = { "Cookie: a\r\nX: y", NULL }, *nameless[] = { "Cookie", NULL };
    struct http_request request = { .url = url_of("/hello"), .headers = split };
    assert_fails(http, request, ERR_INVALID, "line break");
    request.headers = nameless;
    assert_fails(http, request, ERR_INVALID, "no name");
    assert_fails(http, (struct http_request){ .url = "http://127.0.0.1/" }, ERR_INVALID, "https");
    assert_fails(http, (struct http_request){ .url = "https://u@127.0.0.1/" }, ERR_INVALID, "user");
    assert_fails(http, (struct http_request){ .url = "https://u:secret@127.0.0.1/" }, ERR_INVALID,
                 "password");
    assert_fails(http, (struct http_request){ .url = "file:///etc/passwd" }, ERR_INVALID, "host");
}

static void
test_plain_only_when_told(void **state)
{
    (void)state;
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/hello", test_server.plain_port);
    auto_http struct http *strict = new_pinned();
    assert_fails(strict, (struct http_request){ .url = url }, ERR_INVALID, "only https");
    auto_http struct http *http =
        new_http(&(struct http_tls){ .thumbprint = sha256, .plain = true });
    auto_http_response struct http_response response = HTTP_RESPONSE_INIT;
    struct err err = ERR_INIT;
    if (http_perform(http, &(struct http_request){ .url = url }, &response, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(response.status, 400); /* what that server says to all that is not TLS */
    get(http, "/hello", &response);
    assert_string_equal(response.body.data, "hello");
}

static bool
is_cancelled(void *arg)
{
    return ++*(int *)arg > 2;
}

static void
test_waiting(void **state)
{
    (void)state;
    auto_http struct http *http = new_pinned();
    struct http_request request = { .url = url_of("/silent"), .stall_ms = 300 };
    assert_fails(http, request, ERR_UNAVAILABLE, "sent nothing for 0 s after 0 bytes");
    request.url = url_of("/stall");
    assert_fails(http, request, ERR_UNAVAILABLE, "after 10 bytes");
    request = (struct http_request){ .url = url_of("/stall"), .timeout_ms = 300 };
    assert_fails(http, request, ERR_UNAVAILABLE, "did not answer within 1 s");
    int asked = 0;
    request = (struct http_request){ .url = url_of("/silent"),
                                     .cancelled = is_cancelled,
                                     .cancelled_arg = &asked };
    assert_fails(http, request, ERR_CANCELLED, "cancelled");
}

static void
test_broken_answers(void **state)
{
    (void)state;
    auto_http struct http *http = new_pinned();
    static const char *const broken[] = { "/cut/100/10", "/cut/100/0", "/chunked/5000/cut",
                                          "/close" };
    for (size_t i = 0; i < ARRAY_LEN(broken); i++)
        assert_fails(http, (struct http_request){ .url = url_of(broken[i]) }, ERR_UNAVAILABLE,
                     "the connection broke after");
    assert_fails(http, (struct http_request){ .url = url_of("/garbage") }, ERR_INVALID,
                 "no HTTP server");
    auto_http_response struct http_response response = HTTP_RESPONSE_INIT;
    get(http, "/hello", &response);
}

struct sink {
    size_t got, fail_at;
};

static int
on_data(const void *data, size_t len, void *arg, struct err *err)
{
    struct sink *sink = arg;
    assert_pattern(data, len, sink->got);
    sink->got += len;
    if (sink->fail_at && sink->got >= sink->fail_at)
        return err_set(err, ERR_IO, "sink is full");
    return 0;
}

static void
test_stream(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    int status = 0;
    auto_http struct http *http = new_pinned();
    struct sink sink = { 0 };
    struct http_request request = { .url = url_of("/chunked/1000003") };
    assert_int_equal(http_stream(http, &request, on_data, &sink, &status, &err), 0);
    assert_int_equal(sink.got, 1000003);
    assert_int_equal(status, 200);
    unsigned number = connection_of(http, NULL);
    /* An exact multiple of a piece ends as well. */
    sink = (struct sink){ 0 };
    request.url = url_of("/bytes/524288");
    assert_int_equal(http_stream(http, &request, on_data, &sink, &status, &err), 0);
    assert_int_equal(sink.got, 524288);
    assert_string_equal(http_header(http_last_headers(http), "content-length"), "524288");
    assert_int_equal(connection_of(http, NULL), number);

    sink = (struct sink){ .fail_at = 1 };
    assert_int_equal(http_stream(http, &request, on_data, &sink, &status, &err), -1);
    assert_string_equal(err.text, "sink is full");
    sink = (struct sink){ 0 };
    request.url = url_of("/cut/1000000/600000");
    assert_int_equal(http_stream(http, &request, on_data, &sink, &status, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
}

static void
test_read_into(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    int status = 0;
    size_t got = 0;
    static uint8_t data[300000];
    auto_http struct http *http = new_pinned();
    struct http_request request = { .url = url_of("/bytes/300000") };
    assert_int_equal(http_read_into(http, &request, data, sizeof data, &got, &status, &err), 0);
    assert_int_equal(got, sizeof data);
    assert_pattern(data, sizeof data, 0);
    unsigned number = connection_of(http, NULL);
    request.url = url_of("/bytes/1234");
    assert_int_equal(http_read_into(http, &request, data, sizeof data, &got, &status, &err), 0);
    assert_int_equal(got, 1234);
    assert_int_equal(connection_of(http, NULL), number);
    request.url = url_of("/bytes/300001");
    assert_int_equal(http_read_into(http, &request, data, sizeof data, &got, &status, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    request.url = url_of("/cut/300000/299999");
    assert_int_equal(http_read_into(http, &request, data, sizeof data, &got, &status, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
}

static void
test_pieces(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    int status = 0;
    size_t got = 0;
    static uint8_t data[100000];
    auto_http struct http *http = new_pinned();
    unsigned number = connection_of(http, NULL);
    static const char *const paths[] = { "/bytes/3000000", "/chunked/3000000" };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct http_request request = { .url = url_of(paths[i]) };
        assert_int_equal(http_begin(http, &request, &status, &err), 0);
        size_t at = 0;
        for (size_t len = 1; at < 3000000; len = len * 7 % 99991 + 1) {
            assert_int_equal(http_pull(http, data, len, &got, &err), 0);
            assert_int_equal(got, MIN(len, 3000000 - at));
            assert_pattern(data, got, at);
            at += got;
        }
        assert_int_equal(http_pull(http, data, 1, &got, &err), 0);
        assert_int_equal(got, 0);
        http_end(http);
        http_end(http);
        assert_int_equal(connection_of(http, NULL), number); /* read to its end: kept */
    }
    struct http_request request = { .url = url_of("/bytes/65536") };
    assert_int_equal(http_begin(http, &request, &status, &err), 0);
    assert_int_equal(http_pull(http, data, 65536, &got, &err), 0);
    http_end(http);
    assert_int_equal(connection_of(http, NULL), number);

    request.url = url_of("/bytes/30000000");
    assert_int_equal(http_begin(http, &request, &status, &err), 0);
    assert_int_equal(http_pull(http, data, 100, &got, &err), 0);
    http_end(http); /* half-way: dropped */
    number = connection_of(http, NULL);
    http_drop_connections(http);
    assert_int_not_equal(connection_of(http, NULL), number);
}

static void
test_connection_that_went_away(void **state)
{
    (void)state;
    auto_http struct http *http = new_pinned();
    auto_http_response struct http_response response = HTTP_RESPONSE_INIT;
    for (int i = 0; i < 20; i++)
        get(http, "/once", &response);
}

/* A server that takes a request and goes away: was it obeyed? */
static void
test_once(void **state)
{
    (void)state;
    unsigned before, after;
    auto_http struct http *http = new_pinned();
    struct http_request request = {
        .method = "POST", .url = url_of("/close"), .body = "x", .body_len = 1, .once = true
    };
    connection_of(http, &before);
    assert_fails(http, request, ERR_UNAVAILABLE, "broke after 0 bytes");
    connection_of(http, &after);
    assert_int_equal(after, before + 2); /* it, and this question */
    /* What the flag is for. */
    request.once = false;
    assert_fails(http, request, ERR_UNAVAILABLE, "broke after 0 bytes");
    connection_of(http, &before);
    assert_int_equal(before, after + 3);
}

static void
on_line(int stream, const char *line, size_t len, void *arg)
{
    (void)stream;
    *(bool *)arg |= memmem(line, len, sha256, strlen(sha256)) != NULL;
}

static void
test_peek(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct http_certificate seen;
    struct http_tls tls = { .ca_file = test_server_file("ca.pem") };
    unsigned port = test_server.port;
    assert_int_equal(http_peek_certificate("127.0.0.1", port, NULL, &seen, &err), 0);
    assert_false(seen.trusted);
    assert_string_not_equal(seen.why, "");
    assert_int_equal(http_peek_certificate("127.0.0.1", port, &tls, &seen, &err), 0);
    assert_true(seen.trusted);
    assert_string_equal(seen.sha1, sha1);
    assert_string_equal(seen.sha256, sha256);
    /* The name counts, too: this one of the same address is not in the certificate. */
    assert_int_equal(http_peek_certificate("0.0.0.0", port, &tls, &seen, &err), 0);
    assert_false(seen.trusted);
    assert_non_null(strstr(seen.why, "0.0.0.0"));
    assert_int_equal(http_peek_certificate("127.0.0.1", test_server.plain_port, &tls, &seen, &err),
                     -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    /* What the openssl program says of it. */
    const char *argv[] = {
        "openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", test_server_file("leaf.pem"),
        NULL
    };
    struct proc_spec spec = PROC_SPEC_INIT;
    spec.argv = argv;
    bool same = false;
    assert_int_equal(proc_run(&spec, clock_now_ns() + 60 * NS_PER_S, on_line, NULL, &same, &err),
                     0);
    assert_true(same);
}

static int
start(void **state)
{
    struct err err = ERR_INIT;
    if (test_server_start(state) < 0)
        return -1;
    return http_peek_thumbprints("127.0.0.1", test_server.port, sha1, sha256, &err);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thumbprints),
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_pins),
        cmocka_unit_test(test_authorities),
        cmocka_unit_test(test_old_keys),
        cmocka_unit_test(test_no_connection),
        cmocka_unit_test(test_proxy_is_not_used),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_plain_only_when_told),
        cmocka_unit_test(test_waiting),
        cmocka_unit_test(test_broken_answers),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_read_into),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_connection_that_went_away),
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_peek),
    };
    if (argc != 2)
        return 2;
    test_server.script = argv[1];
    return cmocka_run_group_tests(tests, start, test_server_stop);
}
