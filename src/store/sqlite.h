/* The inside of the SQLite store, for the files sqlite-*.c: each statement is a line of one table,
 * is prepared when it is first needed and kept; each call of store.h is one transaction.
 */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/owner.h"
#include "store/sqlite-statement.h"
#include "store/store.h"

struct store {
    char *path; /* as SQLite has it: whole, without links */
    struct owner owner;
    sqlite3 *db;
    sqlite3_stmt *statements[N_SQL];
    /* What was given to a caller's function lies in a statement that the same call would reset. */
    bool listing;
};

/* A value for a "?" of a statement. A text that is NULL is NULL there, and the others are never. */
struct sql_value {
    enum { SQL_INTEGER, SQL_REAL, SQL_TEXT } type;
    int64_t integer;
    double real;
    const char *text;
};

#define INTEGER(v) ((struct sql_value){ .type = SQL_INTEGER, .integer = (int64_t)(v) })
#define REAL(v) ((struct sql_value){ .type = SQL_REAL, .real = (v) })
#define TEXT(v) ((struct sql_value){ .type = SQL_TEXT, .text = (v) })
#define NOTHING TEXT(NULL)
#define TEXT_OR_EMPTY(v) TEXT((v) ? (v) : "")

/* Bind the values ?1, ?2 ... and leave it before its first row; NULL on failure. The texts must
 * stay until sql_end. */
sqlite3_stmt *sql_start_n(struct store *store, enum sql sql, const struct sql_value *values,
                          size_t n, struct err *err);
#define sql_start(store, err, sql, ...)                                                            \
    sql_start_n(store, sql, (const struct sql_value[]){ __VA_ARGS__ },                             \
                sizeof((const struct sql_value[]){ __VA_ARGS__ }) / sizeof(struct sql_value), err)

/* 1: a row, 0: there is no more, -1. */
int sql_step(struct store *store, sqlite3_stmt *stmt, struct err *err);

/* Leaves a failed or finished or abandoned statement ready for the next start; NULL is fine. */
void sql_end(sqlite3_stmt *stmt);
static inline void
sql_cleanup(sqlite3_stmt **stmt)
{
    sql_end(*stmt);
}
#define auto_sql AUTO(sql_cleanup)

/* Start, step to the end, end. */
int sql_run_n(struct store *store, enum sql sql, const struct sql_value *values, size_t n,
              struct err *err);
#define sql_run(store, err, sql, ...)                                                              \
    sql_run_n(store, sql, (const struct sql_value[]){ __VA_ARGS__ },                               \
              sizeof((const struct sql_value[]){ __VA_ARGS__ }) / sizeof(struct sql_value), err)

/* Begin a transaction that writes; what a statement reads after it holds until sql_finish. */
int sql_begin(struct store *store, struct err *err);

/* End it: result 0 commits, -1 rolls back and leaves err. Returns -1 unless it was committed. */
int sql_finish(struct store *store, int result, struct err *err);

/* Texts of a row, lent by it. sql_text: NULL for '' (that is how an absent one is stored);
 * sql_string: never NULL, whatever is in the row. */
const char *sql_text(sqlite3_stmt *stmt, int column);
const char *sql_string(sqlite3_stmt *stmt, int column);

/* After the texts of a row were read: fails when there was no memory for one of them, which is then
 * not what is stored. */
int sql_whole(struct store *store, struct err *err);

/* The same, before it is given to a caller's function (set listing to false after that). */
int sql_lend(struct store *store, struct err *err);

/* A row that we cannot have written, or that could not be read for want of memory. Returns -1. */
int sql_damaged(struct store *store, const char *what, struct err *err);

struct sql_migration {
    int64_t n, fence;
    bool ended;
};

/* 1: there is one, 0: there is none, -1. */
int sql_migration_find(struct store *store, const char *id, struct sql_migration *ret,
                       struct err *err);

/* ERR_NOT_FOUND: there is none. */
int sql_migration_need(struct store *store, const char *id, struct sql_migration *ret,
                       struct err *err);

/* A new fence for a change of the migration, in a transaction, and its row number; refuses an old
 * fence as store_migration_update says. */
int sql_migration_claim(struct store *store, const char *id, int64_t fence, int64_t at,
                        int64_t *ret_n, struct err *err);

/* In a transaction, when stage `next` begins ("": none does): the one before has ended, and its
 * duration goes into the history. */
int sql_stage_ended(struct store *store, int64_t n, const char *next, int64_t at, struct err *err);

#endif
