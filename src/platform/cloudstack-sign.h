/* Signing a call of CloudStack's API, as the management server checks it.
 *
 * The canonical form: every parameter sorted by its name as it is written, by bytes; name=value
 * joined with "&", the value percent-encoded with A-Z a-z 0-9 . - * _ left as they are ("~" is
 * not); all of it in lower case. The signature is the base64 of its HMAC-SHA1 under the secret key.
 * Source: CloudStack's ApiServer.verifyRequest and its developer guide, "How to sign an API call".
 */
#ifndef PLATFORM_CLOUDSTACK_SIGN_H
#define PLATFORM_CLOUDSTACK_SIGN_H

#include <stddef.h>

#include "base/buf.h"

#define CLOUDSTACK_MAX_PARAMS 512
#define CLOUDSTACK_NAME_MAX 128               /* bytes of a parameter's name, with the NUL */
#define CLOUDSTACK_VALUE_MAX ((size_t)32768)  /* bytes of a value, with the NUL */
#define CLOUDSTACK_BODY_MAX ((size_t)1 << 20) /* what the server takes at most */
#define CLOUDSTACK_SIGNATURE_MAX 29           /* 28 characters and the NUL */

/* UTF-8; a name is ASCII and goes with its brackets: "details[0].UEFI". Borrowed. */
struct cloudstack_param {
    const char *name, *value;
};

/* Sorts params. ERR_INVALID: a control character, a name that comes twice, or something is too
 * long. */
int cloudstack_canonical(struct cloudstack_param *params, size_t n, struct buf *buf,
                         struct err *err);

/* Sorts params, too. */
int cloudstack_sign(struct cloudstack_param *params, size_t n, const char *secret,
                    char ret[CLOUDSTACK_SIGNATURE_MAX], struct err *err);

/* Append text as a value of a form or of the canonical form: all but A-Z a-z 0-9 . - * _ is %XX. */
int cloudstack_encode(const char *text, struct buf *buf, struct err *err);

#endif
