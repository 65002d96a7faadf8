/* Structs described by tables: a table has a row for each key of a YAML map, and reading, checking,
 * defaults, writing and freeing all go by it. The tables are spec-fields.c and config-fields.c.
 *
 * Zero is "not given" for every type. An empty text, `~` and `null` are nothing given, too; a map's
 * `key:` with nothing behind it is an empty map.
 */
#ifndef MODEL_FIELD_H
#define MODEL_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "model/textlist.h"
#include "model/yaml.h"

enum tristate { TRISTATE_UNSET, TRISTATE_NO, TRISTATE_YES };

#define FIELD_MAX_TEXT 4096    /* bytes of a text */
#define FIELD_MAX_WARNINGS 100 /* the last says that there are more */

enum field_type {
    FIELD_TEXT,     /* char *; a number or boolean is taken as it is written */
    FIELD_SECRET,   /* char *; the same, but in no error's text, and wiped when freed */
    FIELD_INT,      /* int64_t from low to high */
    FIELD_SIZE,     /* uint64_t bytes from low to high, "200MiB" or a number */
    FIELD_TIME,     /* int64_t unix seconds: see timestamp.h */
    FIELD_TRISTATE, /* enum tristate */
    FIELD_CHOICE,   /* unsigned or enum: 1 + index in choices */
    FIELD_LIST,     /* struct text_list, at most high texts */
    FIELD_PAIRS,    /* struct text_map, at most high pairs */
    FIELD_OBJECT,   /* a struct inside of this one: a map with the keys of fields */
    FIELD_OBJECTS,  /* pointer to items structs and their count: a map with any keys, at most high
                       of them; an item's first member is char *key */
};

struct field {
    const char *key; /* NULL ends a table */
    enum field_type type;
    size_t offset;
    int64_t low, high;
    const char *fallback;       /* the default, as it would be written; NULL: none */
    const char *const *choices; /* ends with NULL */
    /* FIELD_TEXT, FIELD_LIST, FIELD_PAIRS: is each text fit? FIELD_OBJECTS: is each key? It may
     * be changed, not lengthened. The error is a phrase without the key. */
    int (*check)(char *text, struct err *err);
    const struct field *fields; /* FIELD_OBJECT, FIELD_OBJECTS */
    bool has_flag;              /* FIELD_OBJECT: a bool at flag says that the key is there */
    size_t flag;
    size_t item_size, count; /* FIELD_OBJECTS: size of an item, offset of the size_t count */
};

/* What a reading goes by. */
struct field_reading {
    const char *name;           /* the file's, for errors */
    bool lenient;               /* what is not known is a warning */
    struct text_list *warnings; /* lenient only */
};

/* Read the map into the object, which is zero. ERR_INVALID: "NAME:LINE: KEY: ...", with the whole
 * path of the key ("migration.readers"). What was read before the error is there, to be freed. */
int field_read(const struct field *fields, const struct field_reading *reading,
               const struct yaml_node *map, void *object, struct err *err);

/* Set each scalar that is not given and has a fallback, in objects inside as well. */
int field_fill(const struct field *fields, void *object, struct err *err);

/* Is this, is anything given? */
bool field_given(const struct field *field, const void *object);
bool field_any(const struct field *fields, const void *object);

/* Append the object: what is given, in the order of the table. Reading it gives the same again. */
enum field_style { FIELD_JSON, FIELD_YAML };
int field_write(const struct field *fields, const void *object, enum field_style style,
                struct buf *buf, struct err *err);

/* Free what the object owns; it is zero afterwards, as far as the table knows it. */
void field_free(const struct field *fields, void *object);

/* Wipe and free the secrets alone. */
void field_wipe(const struct field *fields, void *object);

#endif
