#include "platform/cloudstack-sign.h"

#include <nettle/base64.h>
#include <nettle/hmac.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define CANONICAL_MAX ((size_t)3 * CLOUDSTACK_BODY_MAX)

_Static_assert(BASE64_ENCODE_RAW_LENGTH(SHA1_DIGEST_SIZE) == CLOUDSTACK_SIGNATURE_MAX - 1,
               "a signature is a SHA-1 in base64");

static int check(const struct cloudstack_param *params, size_t n, struct err *err);
static int by_name(const void *a, const void *b);

int
cloudstack_canonical(struct cloudstack_param *params, size_t n, struct buf *buf, struct err *err)
{
    size_t from = buf->len;
    qsort(params, n, sizeof *params, by_name);
    if (check(params, n, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (buf_printf(buf, err, "%s%s=", i ? "&" : "", params[i].name) < 0 ||
            cloudstack_encode(params[i].value, buf, err) < 0)
            return -1;
    for (size_t i = from; i < buf->len; i++)
        if (buf->data[i] >= 'A' && buf->data[i] <= 'Z')
            buf->data[i] = (char)(buf->data[i] - 'A' + 'a');
    return 0;
}

static int
by_name(const void *a, const void *b)
{
    const struct cloudstack_param *one = a, *two = b;
    return strcmp(one->name, two->name);
}

/* The server answers such a call with an error that helps nobody. */
static int
check(const struct cloudstack_param *params, size_t n, struct err *err)
{
    if (n > CLOUDSTACK_MAX_PARAMS)
        return err_set(err, ERR_INVALID, "a call with %zu parameters: at most %d are sent", n,
                       CLOUDSTACK_MAX_PARAMS);
    for (size_t i = 0; i < n; i++) {
        const struct cloudstack_param *param = &params[i];
        if (i > 0 && strcmp(params[i - 1].name, param->name) == 0)
            return err_set(err, ERR_BUG, "parameter %.64s is given twice", param->name);
        if (strlen(param->name) >= CLOUDSTACK_NAME_MAX ||
            strlen(param->value) >= CLOUDSTACK_VALUE_MAX)
            return err_set(err, ERR_INVALID, "parameter %.64s: its name or value is too long",
                           param->name);
        for (const char *c = param->value; *c; c++)
            if ((unsigned char)*c < 0x20 || *c == 0x7f)
                return err_set(err, ERR_INVALID, "parameter %.64s: a control character in it",
                               param->name);
    }
    return 0;
}

static bool
is_left(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '*' || c == '_';
}

int
cloudstack_encode(const char *text, struct buf *buf, struct err *err)
{
    for (const char *c = text; *c; c++) {
        int r = is_left(*c) ? buf_add(buf, c, 1, err)
                            : buf_printf(buf, err, "%%%02X", (unsigned)(unsigned char)*c);
        if (r < 0)
            return -1;
    }
    return 0;
}

int
cloudstack_sign(struct cloudstack_param *params, size_t n, const char *secret,
                char ret[CLOUDSTACK_SIGNATURE_MAX], struct err *err)
{
    auto_buf struct buf canonical = BUF_INIT(CANONICAL_MAX);
    struct hmac_sha1_ctx hmac;
    uint8_t digest[SHA1_DIGEST_SIZE];
    if (cloudstack_canonical(params, n, &canonical, err) < 0)
        return -1;
    hmac_sha1_set_key(&hmac, strlen(secret), (const uint8_t *)secret);
    hmac_sha1_update(&hmac, canonical.len, (const uint8_t *)canonical.data);
    hmac_sha1_digest(&hmac, sizeof digest, digest);
    base64_encode_raw(ret, sizeof digest, digest);
    ret[CLOUDSTACK_SIGNATURE_MAX - 1] = '\0';
    explicit_bzero(&hmac, sizeof hmac);
    return 0;
}
