/* The tables of the SQLite store, and how those of an older vmferry become those of this one.
 *
 * Step N makes version N out of version N-1; a step that was released is never changed. The version
 * of a database is its user_version, and its application_id says that it is a store of vmferry.
 * docs/formats/store.md describes what the steps amount to.
 */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include <sqlite3.h>
#include <stddef.h>

#include "base/err.h"

#define SCHEMA_APPLICATION_ID 0x766d6672 /* "vmfr" */

/* The SQL of each step, one or more statements without BEGIN and COMMIT. */
struct schema {
    const char *const *steps;
    size_t n_steps; /* so this is the version that they lead to */
};

extern const struct schema schema_current;

/* ERR_CONFLICT: path (for the text only) holds a database of something else, or a newer schema.
 * Nothing was changed then. Reads only. */
int schema_check(sqlite3 *db, const char *path, const struct schema *schema, struct err *err);

/* After schema_check: do the steps that are missing, each in one transaction: one that fails or is
 * killed has changed nothing, and those before it stay. */
int schema_migrate(sqlite3 *db, const char *path, const struct schema *schema, struct err *err);

#endif
