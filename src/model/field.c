#include "model/field.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/field-scalar.h"
#include "model/key-guess.h"
#include "model/text.h"

#define MAX_KEY 255 /* bytes of a key that is free */
#define MAX_PATH 512

/* Where a reading is. */
struct place {
    const struct field_reading *reading;
    const struct field *root;
    char path[MAX_PATH]; /* "migration.readers"; "" at the top */
};

static int read_map(const struct field *fields, struct place *place, const struct yaml_node *map,
                    void *object, struct err *err);
static int read_member(const struct field *field, struct place *place, const struct yaml_node *node,
                       void *object, struct err *err);
static int read_list(const struct field *field, const struct place *place,
                     const struct yaml_node *node, struct text_list *list, struct err *err);
static int read_pairs(const struct field *field, const struct place *place,
                      const struct yaml_node *node, struct text_map *map, struct err *err);
static int read_objects(const struct field *field, struct place *place,
                        const struct yaml_node *node, void *object, struct err *err);
static int unknown_key(const struct field *fields, const struct place *place,
                       const struct yaml_node *entry, struct err *err);

static void *
member_of(const void *object, size_t offset)
{
    return (char *)(uintptr_t)object + offset;
}

int
field_read(const struct field *fields, const struct field_reading *reading,
           const struct yaml_node *map, void *object, struct err *err)
{
    struct place place = { .reading = reading, .root = fields };
    return read_map(fields, &place, map, object, err);
}

/* "NAME:LINE: PATH: " before an error that is on its way. */
static int
at(const struct place *place, const struct yaml_node *node, struct err *err)
{
    if (place->path[0] == '\0')
        return err_prefix(err, "%s:%u", place->reading->name, node->line);
    return err_prefix(err, "%s:%u: %s", place->reading->name, node->line, place->path);
}

static int
need_kind(const struct place *place, const struct yaml_node *node, enum yaml_kind kind,
          struct err *err)
{
    static const char *const names[] = {
        [YAML_TEXT] = "a single value",
        [YAML_LIST] = "a list",
        [YAML_MAP] = "a map of keys and values",
    };
    if (node->kind == kind)
        return 0;
    err_set(err, ERR_INVALID, "%s belongs here, not %s", names[kind], names[node->kind]);
    return at(place, node, err);
}

/* Nothing given is an empty map. */
static int
read_map(const struct field *fields, struct place *place, const struct yaml_node *map, void *object,
         struct err *err)
{
    if (yaml_node_is_null(map))
        return 0;
    if (need_kind(place, map, YAML_MAP, err) < 0)
        return -1;
    size_t path_len = strlen(place->path);
    for (const struct yaml_node *entry = map->first; entry; entry = entry->next) {
        const struct field *field = fields;
        while (field->key && strcmp(field->key, entry->key) != 0)
            field++;
        if (!field->key) {
            if (unknown_key(fields, place, entry, err) < 0)
                return -1;
            continue;
        }
        snprintf(place->path + path_len, MAX_PATH - path_len, "%s%s", path_len ? "." : "",
                 entry->key);
        if (read_member(field, place, entry, object, err) < 0)
            return -1;
        place->path[path_len] = '\0';
    }
    return 0;
}

static int
more_unknown(const struct place *place, const struct yaml_node *entry, struct err *err)
{
    char text[ERR_TEXT_MAX];
    if (place->reading->warnings->n >= FIELD_MAX_WARNINGS)
        return 0;
    snprintf(text, sizeof text, "%s:%u: unknown key '%.80s', and perhaps more",
             place->reading->name, entry->line, entry->key);
    return text_list_add(place->reading->warnings, text, err);
}

static int
unknown_key(const struct field *fields, const struct place *place, const struct yaml_node *entry,
            struct err *err)
{
    auto_buf struct buf text = BUF_INIT(ERR_TEXT_MAX);
    if (place->reading->lenient && place->reading->warnings->n >= FIELD_MAX_WARNINGS - 1)
        return more_unknown(place, entry, err);
    if (buf_printf(&text, err, "%s:%u: unknown key '%.80s'", place->reading->name, entry->line,
                   entry->key) < 0 ||
        (place->path[0] && buf_printf(&text, err, " under '%s'", place->path) < 0) ||
        key_guess(entry->key, fields, place->root, &text, err) < 0)
        return -1;
    if (place->reading->lenient)
        return text_list_add(place->reading->warnings, text.data, err);
    return err_set(err, ERR_INVALID, "%s", text.data);
}

static int
read_scalar(const struct field *field, const struct place *place, const struct yaml_node *node,
            void *object, struct err *err)
{
    if (need_kind(place, node, YAML_TEXT, err) < 0)
        return -1;
    if (node->text[0] == '\0')
        return 0;
    return field_scalar_set(field, node->text, object, err) < 0 ? at(place, node, err) : 0;
}

static int
read_object(const struct field *field, struct place *place, const struct yaml_node *node,
            void *object, struct err *err)
{
    /* `libvirt:` asks for it, `"libvirt": null` does not. */
    if (field->has_flag)
        *(bool *)member_of(object, field->flag) = !yaml_node_is_null(node) || !node->text[0];
    return read_map(field->fields, place, node, member_of(object, field->offset), err);
}

static int
read_member(const struct field *field, struct place *place, const struct yaml_node *node,
            void *object, struct err *err)
{
    if (field->type == FIELD_OBJECT)
        return read_object(field, place, node, object, err);
    if (yaml_node_is_null(node))
        return 0;
    switch (field->type) {
    case FIELD_LIST:
        return read_list(field, place, node, member_of(object, field->offset), err);
    case FIELD_PAIRS:
        return read_pairs(field, place, node, member_of(object, field->offset), err);
    case FIELD_OBJECTS:
        return read_objects(field, place, node, object, err);
    default:
        return read_scalar(field, place, node, object, err);
    }
}

static int
check_count(const struct field *field, const struct place *place, const struct yaml_node *node,
            struct err *err)
{
    if (node->n <= (size_t)field->high)
        return 0;
    err_set(err, ERR_INVALID, "%zu entries; %lld are the most", node->n, (long long)field->high);
    return at(place, node, err);
}

static int
read_list(const struct field *field, const struct place *place, const struct yaml_node *node,
          struct text_list *list, struct err *err)
{
    if (need_kind(place, node, YAML_LIST, err) < 0 || check_count(field, place, node, err) < 0)
        return -1;
    for (const struct yaml_node *entry = node->first; entry; entry = entry->next) {
        auto_free char *text = NULL;
        if (need_kind(place, entry, YAML_TEXT, err) < 0)
            return -1;
        if (entry->text[0] == '\0' || yaml_node_is_null(entry))
            continue;
        if (field_text_copy(field, entry->text, &text, err) < 0)
            return at(place, entry, err);
        if (text_list_add(list, text, err) < 0)
            return -1;
    }
    return 0;
}

/* A key that is free is a name of somebody's. */
static int
check_free_key(const struct place *place, const struct yaml_node *entry, struct err *err)
{
    if (entry->key[0] == '\0')
        err_set(err, ERR_INVALID, "an empty key");
    else if (strlen(entry->key) > MAX_KEY)
        err_set(err, ERR_INVALID, "a key longer than %d bytes", MAX_KEY);
    else if (text_has_control(entry->key))
        err_set(err, ERR_INVALID, "a control character in a key");
    else
        return 0;
    return at(place, entry, err);
}

static int
read_pairs(const struct field *field, const struct place *place, const struct yaml_node *node,
           struct text_map *map, struct err *err)
{
    if (need_kind(place, node, YAML_MAP, err) < 0 || check_count(field, place, node, err) < 0)
        return -1;
    for (const struct yaml_node *entry = node->first; entry; entry = entry->next) {
        auto_free char *text = NULL;
        if (check_free_key(place, entry, err) < 0 || need_kind(place, entry, YAML_TEXT, err) < 0)
            return -1;
        if (entry->text[0] == '\0' || yaml_node_is_null(entry))
            continue;
        if (field_text_copy(field, entry->text, &text, err) < 0)
            return at(place, entry, err);
        if (text_map_add(map, entry->key, text, err) < 0)
            return -1;
    }
    return 0;
}

/* A new item at the end, zero but for its key. */
static void *
add_item(const struct field *field, const char *key, void *object, struct err *err)
{
    char **items = member_of(object, field->offset);
    size_t *n = member_of(object, field->count);
    char *grown = reallocarray(*items, *n + 1, field->item_size);
    if (!grown) {
        err_set(err, ERR_UNAVAILABLE, "no memory");
        return NULL;
    }
    *items = grown;
    char *item = grown + *n * field->item_size;
    memset(item, 0, field->item_size);
    char *copy = strdup(key);
    if (!copy) {
        err_set(err, ERR_UNAVAILABLE, "no memory");
        return NULL;
    }
    memcpy(item, &copy, sizeof copy);
    ++*n;
    return item;
}

static int
read_objects(const struct field *field, struct place *place, const struct yaml_node *node,
             void *object, struct err *err)
{
    if (need_kind(place, node, YAML_MAP, err) < 0 || check_count(field, place, node, err) < 0)
        return -1;
    size_t path_len = strlen(place->path);
    for (const struct yaml_node *entry = node->first; entry; entry = entry->next) {
        if (check_free_key(place, entry, err) < 0)
            return -1;
        void *item = add_item(field, entry->key, object, err);
        if (!item)
            return -1;
        snprintf(place->path + path_len, MAX_PATH - path_len, ".%s", entry->key);
        if (field->check && field->check(*(char **)item, err) < 0)
            return at(place, entry, err);
        if (read_map(field->fields, place, entry, item, err) < 0)
            return -1;
        place->path[path_len] = '\0';
    }
    return 0;
}

int
field_fill(const struct field *fields, void *object, struct err *err)
{
    for (const struct field *field = fields; field->key; field++) {
        if (field->type == FIELD_OBJECT) {
            if (field->has_flag && !*(bool *)member_of(object, field->flag))
                continue;
            if (field_fill(field->fields, member_of(object, field->offset), err) < 0)
                return -1;
        } else if (field->type == FIELD_OBJECTS) {
            char *items = *(char **)member_of(object, field->offset);
            size_t n = *(size_t *)member_of(object, field->count);
            for (size_t i = 0; i < n; i++)
                if (field_fill(field->fields, items + i * field->item_size, err) < 0)
                    return -1;
        } else if (field->fallback && !field_scalar_given(field, object) &&
                   field_scalar_set(field, field->fallback, object, err) < 0)
            return err_prefix(err, "%s", field->key);
    }
    return 0;
}

bool
field_given(const struct field *field, const void *object)
{
    const void *member = member_of(object, field->offset);
    switch (field->type) {
    case FIELD_OBJECT:
        return field->has_flag ? *(bool *)member_of(object, field->flag)
                               : field_any(field->fields, member);
    case FIELD_LIST:
        return ((const struct text_list *)member)->n > 0;
    case FIELD_PAIRS:
        return ((const struct text_map *)member)->n > 0;
    case FIELD_OBJECTS:
        return *(size_t *)member_of(object, field->count) > 0;
    default:
        return field_scalar_given(field, object);
    }
}

bool
field_any(const struct field *fields, const void *object)
{
    for (const struct field *field = fields; field->key; field++)
        if (field_given(field, object))
            return true;
    return false;
}
