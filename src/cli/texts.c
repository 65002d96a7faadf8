#include "cli/texts.h"

#include <stdio.h>
#include <string.h>

json_t *
texts_json(const char *const *texts, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; array && i < n; i++)
        if (json_array_append_new(array, json_string(texts[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

const char *
texts_prefix(const char *name, const char *text, char prefix[TEXTS_PREFIX_MAX])
{
    size_t len = strlen(name);
    bool there = strncmp(text, name, len) == 0 && text[len] == ':';
    snprintf(prefix, TEXTS_PREFIX_MAX, "%s%s", there ? "" : name, there ? "" : ": ");
    return prefix;
}
