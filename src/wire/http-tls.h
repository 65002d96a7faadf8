/* Whom a TLS connection is made with: what curl and OpenSSL are told, and what they saw.
 *
 * OpenSSL asks for its judgement in the middle of the handshake, before a byte of ours is sent: so
 * a wrong server never gets a cookie.
 */
#ifndef WIRE_HTTP_TLS_H
#define WIRE_HTTP_TLS_H

#include <curl/curl.h>

#include "wire/http.h"

struct http_judge {
    enum http_pin pin;
    uint8_t wanted[32];
    char *ca_file; /* NULL: the system's */
    bool legacy_ciphers, plain;

    /* Of the server that was last seen. */
    bool seen;
    bool refused; /* it was not the pinned one */
    char sha1[HTTP_SHA1_TEXT_MAX], sha256[HTTP_SHA256_TEXT_MAX];
    char why[128]; /* what OpenSSL has against the certificate; "": nothing */
};

int http_judge_init(struct http_judge *judge, const struct http_tls *tls, struct err *err);
void http_judge_done(struct http_judge *judge);

/* Set all options of a curl handle that concern TLS; the judge must outlive the handle. */
int http_judge_apply(struct http_judge *judge, CURL *easy, struct err *err);

/* The error for a handshake that failed because of the certificate; server is "host:port", what is
 * curl's own text. */
int http_judge_error(const struct http_judge *judge, const char *server, const char *what,
                     struct err *err);

#endif
