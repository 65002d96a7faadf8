#include "wire/http-tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"

#define SHA1_BYTES 20
#define SHA256_BYTES 32

static CURLcode prepare_context(CURL *easy, void *ssl_ctx, void *arg);

/* ---- thumbprints ---- */

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum http_pin
http_thumbprint_parse(const char *text, uint8_t ret[32])
{
    uint8_t bytes[SHA256_BYTES];
    size_t n = 0;
    bool colons = strchr(text, ':') != NULL;
    while (*text) {
        if (n > 0 && colons && *text++ != ':')
            return HTTP_PIN_NONE;
        int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);
        if (low < 0 || n == sizeof bytes)
            return HTTP_PIN_NONE;
        bytes[n++] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    if (n != SHA1_BYTES && n != SHA256_BYTES)
        return HTTP_PIN_NONE;
    if (ret)
        memcpy(ret, bytes, n);
    return n == SHA1_BYTES ? HTTP_PIN_SHA1 : HTTP_PIN_SHA256;
}

/* text has room for three characters a byte. */
static void
format_thumbprint(const uint8_t *bytes, size_t n, char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < n; i++) {
        text[3 * i] = digits[bytes[i] >> 4];
        text[3 * i + 1] = digits[bytes[i] & 15];
        text[3 * i + 2] = i + 1 < n ? ':' : '\0';
    }
}

/* ---- what is wanted ---- */

int
http_judge_init(struct http_judge *judge, const struct http_tls *tls, struct err *err)
{
    static const struct http_tls by_system;
    *judge = (struct http_judge){ 0 };
    if (!tls)
        tls = &by_system;
    if (tls->thumbprint) {
        judge->pin = http_thumbprint_parse(tls->thumbprint, judge->wanted);
        if (judge->pin == HTTP_PIN_NONE)
            return err_set(err, ERR_INVALID,
                           "thumbprint '%.100s': is none; it must be 20 bytes (SHA-1) or 32 bytes "
                           "(SHA-256) in hexadecimal, such as "
                           "openssl x509 -noout -fingerprint -sha256 prints",
                           tls->thumbprint);
    }
    judge->legacy_ciphers = tls->legacy_ciphers;
    judge->plain = tls->plain;
    if (tls->ca_file && !(judge->ca_file = strdup(tls->ca_file)))
        return err_errno(err, ENOMEM, "HTTPS client");
    return 0;
}

void
http_judge_done(struct http_judge *judge)
{
    free(TAKE_PTR(judge->ca_file));
}

int
http_judge_apply(struct http_judge *judge, CURL *easy, struct err *err)
{
    bool pinned = judge->pin != HTTP_PIN_NONE;
    CURLcode r = curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (r == CURLE_OK)
        r = curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, prepare_context);
    if (r == CURLE_OK)
        r = curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, judge);
    if (r == CURLE_OK && pinned) {
        /* The thumbprint names one certificate; a name or a CA adds nothing, and reading some
         * hundred CAs costs more than the handshake. */
        r = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
        curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    if (r == CURLE_OK && judge->ca_file && !pinned) {
        r = curl_easy_setopt(easy, CURLOPT_CAINFO, judge->ca_file);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    if (r == CURLE_OK && judge->legacy_ciphers)
        r = curl_easy_setopt(easy, CURLOPT_SSL_CIPHER_LIST, "DEFAULT@SECLEVEL=1");
    if (r != CURLE_OK)
        return err_set(err, ERR_UNAVAILABLE,
                       "HTTPS client: libcurl cannot do what is needed of it: %s; it must be the "
                       "one built with OpenSSL",
                       curl_easy_strerror(r));
    return 0;
}

/* ---- the judgement ---- */

/* In place of OpenSSL's own. 1: it may go on; 0: the handshake ends. */
static int
judge_certificate(X509_STORE_CTX *store, void *arg)
{
    struct http_judge *judge = arg;
    uint8_t sha1[EVP_MAX_MD_SIZE], sha256[EVP_MAX_MD_SIZE];
    unsigned n1 = 0, n256 = 0;
    X509 *leaf = X509_STORE_CTX_get0_cert(store);
    judge->seen = judge->refused = false;
    judge->why[0] = '\0';
    if (!leaf || !X509_digest(leaf, EVP_sha1(), sha1, &n1) ||
        !X509_digest(leaf, EVP_sha256(), sha256, &n256) || n1 != SHA1_BYTES ||
        n256 != SHA256_BYTES) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_UNSPECIFIED);
        return 0;
    }
    format_thumbprint(sha1, SHA1_BYTES, judge->sha1);
    format_thumbprint(sha256, SHA256_BYTES, judge->sha256);
    judge->seen = true;
    if (judge->pin == HTTP_PIN_NONE) {
        int ok = X509_verify_cert(store);
        if (ok <= 0)
            snprintf(judge->why, sizeof judge->why, "%s",
                     X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)));
        return ok > 0;
    }
    bool same = judge->pin == HTTP_PIN_SHA1 ? memcmp(sha1, judge->wanted, SHA1_BYTES) == 0
                                            : memcmp(sha256, judge->wanted, SHA256_BYTES) == 0;
    judge->refused = !same;
    X509_STORE_CTX_set_error(store, same ? X509_V_OK : X509_V_ERR_CERT_REJECTED);
    return same;
}

static CURLcode
prepare_context(CURL *easy, void *ssl_ctx, void *arg)
{
    (void)easy;
    SSL_CTX_set_cert_verify_callback(ssl_ctx, judge_certificate, arg);
    return CURLE_OK;
}

int
http_judge_error(const struct http_judge *judge, const char *server, const char *what,
                 struct err *err)
{
    if (judge->refused) {
        char wanted[HTTP_SHA256_TEXT_MAX];
        bool sha1 = judge->pin == HTTP_PIN_SHA1;
        format_thumbprint(judge->wanted, sha1 ? SHA1_BYTES : SHA256_BYTES, wanted);
        return err_set(err, ERR_DENIED,
                       "%s: shows another certificate than expected: its %s thumbprint is %s, "
                       "expected is %s; if the certificate was renewed, give the new thumbprint, "
                       "else something stands between here and the server",
                       server, sha1 ? "SHA-1" : "SHA-256", sha1 ? judge->sha1 : judge->sha256,
                       wanted);
    }
    if (!judge->seen)
        return err_set(err, ERR_DENIED, "%s: its certificate cannot be checked: %s", server, what);
    return err_set(err, ERR_DENIED,
                   "%s: its certificate is not trusted: %s; give the file of the CA that signed "
                   "it, or, once it was compared with what the server's administrator says, its "
                   "thumbprint (SHA-256 %s, SHA-1 %s)",
                   server, judge->why[0] ? judge->why : what, judge->sha256, judge->sha1);
}
