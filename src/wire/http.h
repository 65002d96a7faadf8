/* HTTPS for everything that speaks it: SOAP, files of a datastore, exported disks.
 *
 * A blocking HTTP/1.1 client on libcurl with OpenSSL. One `struct http` belongs to one thread at a
 * time and keeps its connections for the next request to the same server. Different ones do not
 * know of each other.
 *
 * What it never does: follow a redirect (a 3xx is a status as any other), use a proxy from the
 * environment, read .netrc, speak below TLS 1.2 or (unless a client was made for it) without TLS,
 * take a user or password out of a URL, store a cookie on its own. Cookies and Authorization are
 * headers that the caller gives. The program must ignore SIGPIPE.
 *
 * Errors name the server as host:port and never the path, the query, a header or a body, because
 * those hold tickets and cookies.
 *   ERR_UNAVAILABLE  no connection, or it broke, or nothing came for too long: name, port, cause
 *   ERR_DENIED       the certificate is not the one expected; the text has both thumbprints
 *   ERR_INVALID      the URL or a header cannot be sent; the answer is larger than allowed, or no
 *                    HTTP
 *   ERR_CANCELLED    the request's `cancelled` said so
 * An answer of any status is a success; what 401 or 500 means is for the caller to say.
 */
#ifndef WIRE_HTTP_H
#define WIRE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"

#define HTTP_URL_MAX 8192          /* bytes of a URL */
#define HTTP_HEADERS_MAX 65536     /* bytes of all headers of one request or answer */
#define HTTP_RESPONSE_MAX 16777216 /* bytes of a body, when the request does not say */
#define HTTP_CONNECT_MS 30000      /* name, TCP and TLS together */
#define HTTP_STALL_MS 60000        /* not a byte for so long, when the request does not say */
#define HTTP_SHA1_TEXT_MAX 60      /* "AA:BB:..", 20 pairs, with the NUL */
#define HTTP_SHA256_TEXT_MAX 96    /* 32 pairs */

enum http_pin { HTTP_PIN_NONE, HTTP_PIN_SHA1, HTTP_PIN_SHA256 };

/* How a server proves who it is; http_new copies all of it. */
struct http_tls {
    const char *ca_file;    /* PEM; NULL: the CAs of the system */
    const char *thumbprint; /* 20 (SHA-1) or 32 (SHA-256) bytes in hex, any case, with colons or
                               without: exactly this certificate, and neither its CA nor its name
                               nor its dates are looked at. NULL: by CA and name. */
    bool legacy_ciphers;    /* old keys and signatures (OpenSSL's security level 1), for this server
                               only; still TLS 1.2 or newer */
    bool plain;             /* http:// is spoken as well, for a server that was named with it */
};

struct http_request {
    const char *method;         /* NULL: "GET" */
    const char *url;            /* "https://host[:port]/path[?query]", already encoded */
    const char *const *headers; /* "Name: value", NULL-terminated; or NULL. No line breaks. */
    const void *body;           /* stays the caller's until the request has ended; NULL: none */
    size_t body_len;
    int timeout_ms;            /* for all of it, connecting too; 0: none but the next */
    int stall_ms;              /* not a byte for so long; 0: HTTP_STALL_MS. A call that the server
                                  answers late on purpose (long polling) must say more than that. */
    size_t max_response_bytes; /* http_perform; 0: HTTP_RESPONSE_MAX */
    bool compressed;           /* gzip is welcome (SOAP) */
    /* It must not be done twice (a snapshot is made): goes over a new connection. Over a kept one
     * that turns out to be gone, a request is sent again without a word, and whether the server had
     * obeyed the first is not known. */
    bool once;
    bool (*cancelled)(void *arg); /* asked ten times a second; or NULL */
    void *cancelled_arg;
};

/* The headers of an answer, "Name\0value\0" after each other. */
struct http_headers {
    struct buf text;
};

struct http_response {
    int status;
    struct buf body; /* NUL-terminated behind its len, also when it is empty */
    struct http_headers headers;
};
#define HTTP_RESPONSE_INIT ((struct http_response){ 0 })
void http_response_free(struct http_response *response);
#define auto_http_response AUTO(http_response_free)

/* The last value of that name (any case), or NULL; it lives as long as the headers. */
const char *http_header(const struct http_headers *headers, const char *name);
/* One value after the other: *pos is 0 at first. NULL behind the last. For Set-Cookie. */
const char *http_header_next(const struct http_headers *headers, const char *name, size_t *pos);

struct http;

/* tls NULL: by the system's CAs. ERR_INVALID: the thumbprint is none. No connection yet. */
int http_new(const struct http_tls *tls, struct http **ret, struct err *err);
void http_free(struct http *http);
static inline void
http_cleanup(struct http **http)
{
    http_free(*http);
}
#define auto_http AUTO(http_cleanup)

/* Ask and get the whole answer. What *ret held before is freed; begin with HTTP_RESPONSE_INIT. */
int http_perform(struct http *http, const struct http_request *request, struct http_response *ret,
                 struct err *err);

/* on_data is called for the body, piece by piece as it comes, and *ret_status is set before the
 * first piece; a return below 0 ends the transfer with the error that it set. A body that ends
 * before its length, or before its last chunk, is ERR_UNAVAILABLE. */
int http_stream(struct http *http, const struct http_request *request,
                int (*on_data)(const void *data, size_t len, void *arg, struct err *err), void *arg,
                int *ret_status, struct err *err);

/* The body into the caller's memory. *ret_got is what came of it, at most len; a body that is
 * longer is ERR_INVALID. */
int http_read_into(struct http *http, const struct http_request *request, void *data, size_t len,
                   size_t *ret_got, int *ret_status, struct err *err);

/* The same in steps, for who wants a long body in pieces of his own: begin returns when the headers
 * are there; pull fills exactly len bytes, less (*ret_got) only at the end of the body; between two
 * pulls nothing is read beyond what the kernel buffers. end drops the connection if the body was
 * not read to its end. The request must live until then. No other request on this http between. */
int http_begin(struct http *http, const struct http_request *request, int *ret_status,
               struct err *err);
int http_pull(struct http *http, void *data, size_t len, size_t *ret_got, struct err *err);
void http_end(struct http *http);

/* Headers of the last answer of http_stream, http_read_into or http_begin, until the next request.
 */
const struct http_headers *http_last_headers(const struct http *http);

/* Forget the kept connections: the next request makes a new one. */
void http_drop_connections(struct http *http);

/* Who answers there? Makes a TLS connection, sends nothing through it, trusts nobody. */
struct http_certificate {
    char sha1[HTTP_SHA1_TEXT_MAX]; /* of the server's own certificate: "AA:BB:.." */
    char sha256[HTTP_SHA256_TEXT_MAX];
    bool trusted;  /* signed by a CA of tls (or of the system), for this name, and in its time */
    char why[256]; /* why not */
};
int http_peek_certificate(const char *host, unsigned port, const struct http_tls *tls,
                          struct http_certificate *ret, struct err *err);
int http_peek_thumbprints(const char *host, unsigned port, char sha1[HTTP_SHA1_TEXT_MAX],
                          char sha256[HTTP_SHA256_TEXT_MAX], struct err *err);

/* Which kind of thumbprint a text is; HTTP_PIN_NONE: it is none. ret gets its bytes (20 or 32) when
 * it is not NULL. */
enum http_pin http_thumbprint_parse(const char *text, uint8_t ret[32]);

#endif
