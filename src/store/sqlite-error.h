/* What SQLite says, in our words. */
#ifndef STORE_SQLITE_ERROR_H
#define STORE_SQLITE_ERROR_H

#include <sqlite3.h>

#include "base/err.h"

/* "PATH: WHAT: cause and way out" for the result code of the call that has just failed on db, which
 * may be NULL. Returns -1. */
int sqlite_error(sqlite3 *db, int result, const char *path, const char *what, struct err *err);

/* "PATH: the database is damaged (WHY): way out". Returns -1. */
int sqlite_damaged(const char *path, const char *why, struct err *err);

#endif
