#include "wire/json.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

const char *
json_get_str(const json_t *obj, const char *key, const char *fallback)
{
    const char *text = json_string_value(json_object_get(obj, key));
    return text ? text : fallback;
}

int64_t
json_get_int(const json_t *obj, const char *key, int64_t fallback)
{
    const json_t *value = json_object_get(obj, key);
    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

bool
json_get_bool(const json_t *obj, const char *key, bool fallback)
{
    const json_t *value = json_object_get(obj, key);
    return json_is_boolean(value) ? json_is_true(value) : fallback;
}

uint64_t
json_get_u64(const json_t *obj, const char *key, uint64_t fallback)
{
    const json_t *value = json_object_get(obj, key);
    if (json_is_integer(value) && json_integer_value(value) >= 0)
        return (uint64_t)json_integer_value(value);
    const char *text = json_string_value(value);
    if (!text || *text < '0' || *text > '9')
        return fallback;
    char *end;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' ? number : fallback;
}

int
json_need_str(const json_t *obj, const char *key, const char **ret, struct err *err)
{
    const char *text = json_string_value(json_object_get(obj, key));
    if (!text)
        return err_set(err, ERR_INVALID, "'%s' is missing or not a string", key);
    *ret = text;
    return 0;
}

static void
wipe_and_free(void *memory)
{
    if (memory)
        explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

void
json_wipe_freed(void)
{
    json_set_alloc_funcs(malloc, wipe_and_free);
}

void
json_wipe_str(json_t *obj, const char *key)
{
    json_t *value = json_object_get(obj, key);
    const char *text = json_string_value(value);
    if (!text)
        return;
    explicit_bzero((char *)(uintptr_t)text, json_string_length(value));
    json_object_set_new(obj, key, json_string(""));
}

json_t *
json_parse_object(const char *text, size_t len, struct err *err)
{
    json_error_t why;
    json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
    if (!json) {
        err_set(err, ERR_INVALID, "not JSON: %s at byte %d", why.text, why.position);
        return NULL;
    }
    if (!json_is_object(json)) {
        json_decref(json);
        err_set(err, ERR_INVALID, "not a JSON object");
        return NULL;
    }
    return json;
}

json_t *
json_text(const char *text)
{
    json_t *string = json_string(text);
    if (string)
        return string;
    auto_free char *ascii = strdup(text);
    for (char *c = ascii; c && *c; c++)
        if (*c & 0x80)
            *c = '?';
    return ascii ? json_string(ascii) : NULL;
}

json_t *
json_from_err(const struct err *err)
{
    return json_pack("{s:s, s:o}", "kind", err_kind_name(err->kind), "text", json_text(err->text));
}

void
json_to_err(const json_t *obj, struct err *ret_err)
{
    err_set(ret_err, err_kind_from_name(json_get_str(obj, "kind", "bug")), "%s",
            json_get_str(obj, "text", "no reason given"));
}
