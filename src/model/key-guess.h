/* What somebody meant who wrote a key that is none. */
#ifndef MODEL_KEY_GUESS_H
#define MODEL_KEY_GUESS_H

#include "model/field.h"

/* Append " (did you mean 'readers'?)", " (it belongs under 'migration')", or nothing. fields is the
 * table that does not have the key, root the one of the whole file. */
int key_guess(const char *key, const struct field *fields, const struct field *root,
              struct buf *buf, struct err *err);

#endif
