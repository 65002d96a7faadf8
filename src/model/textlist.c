#include "model/textlist.h"

#include <stdlib.h>
#include <string.h>

int
text_list_add(struct text_list *list, const char *text, struct err *err)
{
    char **items = reallocarray(list->items, list->n + 1, sizeof *items);
    if (!items)
        return err_set(err, ERR_UNAVAILABLE, "no memory");
    list->items = items;
    items[list->n] = strdup(text);
    if (!items[list->n])
        return err_set(err, ERR_UNAVAILABLE, "no memory");
    list->n++;
    return 0;
}

int
text_map_add(struct text_map *map, const char *key, const char *value, struct err *err)
{
    struct text_pair *items = reallocarray(map->items, map->n + 1, sizeof *items);
    if (!items)
        return err_set(err, ERR_UNAVAILABLE, "no memory");
    map->items = items;
    auto_free char *key_copy = strdup(key);
    auto_free char *value_copy = strdup(value);
    if (!key_copy || !value_copy)
        return err_set(err, ERR_UNAVAILABLE, "no memory");
    items[map->n++] = (struct text_pair){ TAKE_PTR(key_copy), TAKE_PTR(value_copy) };
    return 0;
}

const char *
text_map_get(const struct text_map *map, const char *key)
{
    for (size_t i = 0; i < map->n; i++)
        if (strcmp(map->items[i].key, key) == 0)
            return map->items[i].value;
    return NULL;
}

void
text_list_free(struct text_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct text_list){ 0 };
}

void
text_map_free(struct text_map *map)
{
    for (size_t i = 0; i < map->n; i++) {
        free(map->items[i].key);
        free(map->items[i].value);
    }
    free(map->items);
    *map = (struct text_map){ 0 };
}
