/* Lists of texts and maps from text to text, as a spec or a config holds them. They own what they
 * hold; all zero is an empty one. */
#ifndef MODEL_TEXTLIST_H
#define MODEL_TEXTLIST_H

#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

struct text_list {
    char **items;
    size_t n;
};

struct text_pair {
    char *key, *value;
};

struct text_map {
    struct text_pair *items; /* in the order in which they were written */
    size_t n;
};

/* Append a copy. ERR_UNAVAILABLE: no memory. */
int text_list_add(struct text_list *list, const char *text, struct err *err);
int text_map_add(struct text_map *map, const char *key, const char *value, struct err *err);

/* The value of key; NULL when there is none. */
const char *text_map_get(const struct text_map *map, const char *key);

/* What is left is empty. */
void text_list_free(struct text_list *list);
void text_map_free(struct text_map *map);
#define auto_text_list AUTO(text_list_free)

#endif
