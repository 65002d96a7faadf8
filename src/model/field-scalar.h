/* One value of a table's row, from text and to text. */
#ifndef MODEL_FIELD_SCALAR_H
#define MODEL_FIELD_SCALAR_H

#include "model/field.h"

/* FIELD_TEXT to FIELD_CHOICE; all others hold several values. */
bool field_is_scalar(const struct field *field);

/* Set the member of object from text. The error is a phrase without the key, and without the text
 * of a secret. */
int field_scalar_set(const struct field *field, const char *text, void *object, struct err *err);

bool field_scalar_given(const struct field *field, const void *object);

/* Append it as JSON; it is given. */
int field_scalar_write(const struct field *field, const void *object, struct buf *buf,
                       struct err *err);

/* A text that may stand in a list, a map, or in a FIELD_TEXT: a fresh copy, checked. */
int field_text_copy(const struct field *field, const char *text, char **ret, struct err *err);

/* Append text in quotes, so that JSON's readers and YAML's give it back as it is. */
int field_quote(const char *text, struct buf *buf, struct err *err);

#endif
