/* JSON by jansson, with the helpers that make reading a stranger's object safe and short.
 *
 * This header is the only way to jansson: include it, not <jansson.h>. Objects are reference
 * counted; auto_json drops one reference at the end of the scope.
 */
#ifndef WIRE_JSON_H
#define WIRE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

static inline void
json_cleanup(json_t **json)
{
    json_decref(*json);
}
#define auto_json AUTO(json_cleanup)

/* Borrowed from obj; fallback when the key is missing, null or of another type. */
const char *json_get_str(const json_t *obj, const char *key, const char *fallback);
int64_t json_get_int(const json_t *obj, const char *key, int64_t fallback);
bool json_get_bool(const json_t *obj, const char *key, bool fallback);

/* A non-negative integer or a decimal string of one (sizes above 2^53 survive as both). Missing:
 * fallback. */
uint64_t json_get_u64(const json_t *obj, const char *key, uint64_t fallback);

/* The reading that insists: ERR_INVALID names the key. */
int json_need_str(const json_t *obj, const char *key, const char **ret, struct err *err);

/* For a process through which secrets pass, before the first object: what jansson frees is wiped.
 */
void json_wipe_freed(void);

/* Overwrite a string that is a secret and was taken over; it is "" then. Missing: nothing. */
void json_wipe_str(json_t *obj, const char *key);

/* Parse len bytes as one object; nesting and size are bounded by jansson and by len. */
json_t *json_parse_object(const char *text, size_t len, struct err *err);

/* A string from text that may be anything: when it is not UTF-8 (a file's name need not be), its
 * bytes above 0x7f become '?'. NULL only without memory. */
json_t *json_text(const char *text);

/* An error as {"kind": ..., "text": ...} and back. */
json_t *json_from_err(const struct err *err);
void json_to_err(const json_t *obj, struct err *ret_err);

#endif
