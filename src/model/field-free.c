/* The end of what a table describes. */
#include <stdlib.h>
#include <string.h>

#include "model/field-scalar.h"
#include "model/field.h"

static void free_items(const struct field *field, char *object);

void
field_free(const struct field *fields, void *object)
{
    for (const struct field *field = fields; field->key; field++) {
        char *member = (char *)object + field->offset;
        switch (field->type) {
        case FIELD_TEXT:
            free(*(char **)member);
            *(char **)member = NULL;
            break;
        case FIELD_SECRET:
            secret_free(*(char **)member);
            *(char **)member = NULL;
            break;
        case FIELD_LIST:
            text_list_free((struct text_list *)member);
            break;
        case FIELD_PAIRS:
            text_map_free((struct text_map *)member);
            break;
        case FIELD_OBJECT:
            field_free(field->fields, member);
            if (field->has_flag)
                *(bool *)((char *)object + field->flag) = false;
            break;
        case FIELD_OBJECTS:
            free_items(field, object);
            break;
        case FIELD_INT:
        case FIELD_SIZE:
        case FIELD_TIME:
            *(int64_t *)member = 0;
            break;
        case FIELD_TRISTATE:
        case FIELD_CHOICE:
            *(unsigned *)member = 0;
            break;
        }
    }
}

static void
free_items(const struct field *field, char *object)
{
    char **items = (char **)(object + field->offset);
    size_t *n = (size_t *)(object + field->count);
    for (size_t i = 0; i < *n; i++) {
        char *item = *items + i * field->item_size;
        field_free(field->fields, item);
        free(*(char **)item);
    }
    free(*items);
    *items = NULL;
    *n = 0;
}

void
field_wipe(const struct field *fields, void *object)
{
    for (const struct field *field = fields; field->key; field++) {
        char *member = (char *)object + field->offset;
        if (field->type == FIELD_SECRET) {
            secret_free(*(char **)member);
            *(char **)member = NULL;
        } else if (field->type == FIELD_OBJECT) {
            field_wipe(field->fields, member);
        } else if (field->type == FIELD_OBJECTS) {
            size_t n = *(size_t *)((char *)object + field->count);
            for (size_t i = 0; i < n; i++)
                field_wipe(field->fields, *(char **)member + i * field->item_size);
        }
    }
}
