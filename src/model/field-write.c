/* Writing what a table describes: JSON on one line, or YAML with a key per line. */
#include "model/field-scalar.h"
#include "model/field.h"

#define INDENT 2

struct writer {
    struct buf *buf;
    enum field_style style;
    unsigned depth;
    bool first; /* no comma before the next key */
};

static int write_members(const struct field *fields, const void *object, struct writer *writer,
                         struct err *err);
static int write_member(const struct field *field, const void *object, struct writer *writer,
                        struct err *err);

int
field_write(const struct field *fields, const void *object, enum field_style style, struct buf *buf,
            struct err *err)
{
    struct writer writer = { .buf = buf, .style = style, .first = true };
    if (style == FIELD_JSON)
        return buf_add_str(buf, "{", err) < 0 || write_members(fields, object, &writer, err) < 0
                   ? -1
                   : buf_add_str(buf, "}", err);
    if (!field_any(fields, object))
        return buf_add_str(buf, "{}\n", err);
    return write_members(fields, object, &writer, err);
}

static const void *
member_of(const void *object, size_t offset)
{
    return (const char *)object + offset;
}

/* The key, and all that stands before a value. name_is_free: it is somebody's name, not ours. */
static int
write_key(struct writer *writer, const char *key, bool name_is_free, struct err *err)
{
    if (writer->style == FIELD_YAML) {
        if (buf_printf(writer->buf, err, "%*s", (int)writer->depth * INDENT, "") < 0)
            return -1;
    } else if (!writer->first && buf_add_str(writer->buf, ",", err) < 0)
        return -1;
    writer->first = false;
    if (writer->style == FIELD_YAML && !name_is_free) {
        if (buf_add_str(writer->buf, key, err) < 0)
            return -1;
    } else if (field_quote(key, writer->buf, err) < 0)
        return -1;
    return buf_add_str(writer->buf, ":", err);
}

/* A single value after its key. */
static int
begin_value(struct writer *writer, struct err *err)
{
    return writer->style == FIELD_YAML ? buf_add_str(writer->buf, " ", err) : 0;
}

static int
end_value(struct writer *writer, struct err *err)
{
    return writer->style == FIELD_YAML ? buf_add_str(writer->buf, "\n", err) : 0;
}

static int
begin_map(struct writer *writer, struct err *err)
{
    writer->depth++;
    writer->first = true;
    return buf_add_str(writer->buf, writer->style == FIELD_YAML ? "\n" : "{", err);
}

static int
end_map(struct writer *writer, struct err *err)
{
    writer->depth--;
    writer->first = false;
    return writer->style == FIELD_YAML ? 0 : buf_add_str(writer->buf, "}", err);
}

static int
write_empty_map(struct writer *writer, struct err *err)
{
    return buf_add_str(writer->buf, writer->style == FIELD_YAML ? " {}\n" : "{}", err);
}

static int
write_members(const struct field *fields, const void *object, struct writer *writer,
              struct err *err)
{
    for (const struct field *field = fields; field->key; field++)
        if (write_member(field, object, writer, err) < 0)
            return -1;
    return 0;
}

static int
write_object(const struct field *fields, const void *object, struct writer *writer, struct err *err)
{
    if (!field_any(fields, object))
        return write_empty_map(writer, err);
    if (begin_map(writer, err) < 0 || write_members(fields, object, writer, err) < 0)
        return -1;
    return end_map(writer, err);
}

static int
write_list(const struct text_list *list, struct writer *writer, struct err *err)
{
    if (begin_value(writer, err) < 0 || buf_add_str(writer->buf, "[", err) < 0)
        return -1;
    for (size_t i = 0; i < list->n; i++)
        if ((i && buf_add_str(writer->buf, ",", err) < 0) ||
            field_quote(list->items[i], writer->buf, err) < 0)
            return -1;
    return buf_add_str(writer->buf, "]", err) < 0 ? -1 : end_value(writer, err);
}

static int
write_pairs(const struct text_map *map, struct writer *writer, struct err *err)
{
    if (begin_map(writer, err) < 0)
        return -1;
    for (size_t i = 0; i < map->n; i++)
        if (write_key(writer, map->items[i].key, true, err) < 0 || begin_value(writer, err) < 0 ||
            field_quote(map->items[i].value, writer->buf, err) < 0 || end_value(writer, err) < 0)
            return -1;
    return end_map(writer, err);
}

static int
write_objects(const struct field *field, const void *object, struct writer *writer, struct err *err)
{
    const char *items = *(char *const *)member_of(object, field->offset);
    size_t n = *(const size_t *)member_of(object, field->count);
    if (begin_map(writer, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        const char *item = items + i * field->item_size;
        if (write_key(writer, *(char *const *)item, true, err) < 0 ||
            write_object(field->fields, item, writer, err) < 0)
            return -1;
    }
    return end_map(writer, err);
}

/* Nothing where nothing is given. */
static int
write_member(const struct field *field, const void *object, struct writer *writer, struct err *err)
{
    const void *member = member_of(object, field->offset);
    if (!field_given(field, object))
        return 0;
    if (write_key(writer, field->key, false, err) < 0)
        return -1;
    switch (field->type) {
    case FIELD_OBJECT:
        return write_object(field->fields, member, writer, err);
    case FIELD_OBJECTS:
        return write_objects(field, object, writer, err);
    case FIELD_LIST:
        return write_list(member, writer, err);
    case FIELD_PAIRS:
        return write_pairs(member, writer, err);
    default:
        return begin_value(writer, err) < 0 ||
                       field_scalar_write(field, object, writer->buf, err) < 0
                   ? -1
                   : end_value(writer, err);
    }
}
