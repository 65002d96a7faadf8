/* What may be stored, whichever database stores it: sizes, ranges and characters, as store.h says.
 * Whether a text is JSON is for the database to see. All are ERR_INVALID.
 */
#ifndef STORE_CHECK_H
#define STORE_CHECK_H

#include "store/store.h"

int check_id(const char *id, struct err *err);
/* what: for the text. NULL is fine for check_text. */
int check_name(const char *what, const char *name, struct err *err);
int check_text(const char *what, const char *text, struct err *err);
int check_migration(const struct store_migration *migration, struct err *err);
int check_change(const struct store_change *change, struct err *err);
int check_op(const struct store_op *op, struct err *err);
int check_event(const struct store_event *event, struct err *err);

#endif
