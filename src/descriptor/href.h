/* Names of files inside a package, as OVF references and manifests write them. */
#ifndef DESCRIPTOR_HREF_H
#define DESCRIPTOR_HREF_H

#include "base/err.h"

#define HREF_MAX 1024 /* bytes of a name */

/* A relative name that stays where it is: not empty, no "..", no absolute path, nothing that a
 * program could take for a protocol or URL ("file:", "json:"), no control characters. ERR_INVALID
 * says what it is. */
int href_check_name(const char *name, struct err *err);

/* Undo the percent-encoding of a reference (what is no escape stays as it is), drop "./" before it,
 * and check the result. The caller frees it. */
int href_decode(const char *href, char **ret_name, struct err *err);

#endif
