#include "store/schema.h"

#include <stdint.h>
#include <stdio.h>

#include "base/checked.h"
#include "store/sqlite-error.h"

#define PRAGMA_MAX 256

static int read_number(sqlite3 *db, const char *path, const char *sql, int64_t *number,
                       struct err *err);
static int run(sqlite3 *db, const char *path, const char *what, const char *sql, struct err *err);

/* What lists look at is in migration, in short rows; the long documents are beside it, so that ten
 * thousand finished migrations are a megabyte or two to look through and not a hundred. A text that
 * may be absent is '' then. `ended` repeats what the status says, for the index that keeps two
 * migrations off one machine. */
static const char *const steps[] = {
    "CREATE TABLE migration ("
    " n INTEGER PRIMARY KEY,"
    " id TEXT NOT NULL UNIQUE,"
    " fence INTEGER NOT NULL,"
    " key TEXT NOT NULL,"
    " status TEXT NOT NULL,"
    " ended INTEGER NOT NULL CHECK (ended IN (0, 1)),"
    " name TEXT NOT NULL,"
    " moref TEXT NOT NULL,"
    " uuid TEXT NOT NULL,"
    " server TEXT NOT NULL,"
    " host TEXT NOT NULL,"
    " stage TEXT NOT NULL,"
    " stage_at INTEGER NOT NULL,"
    " question TEXT NOT NULL,"
    " error TEXT NOT NULL CHECK (error = '' OR json_valid(error)),"
    " shutdown TEXT NOT NULL,"
    " finalize INTEGER NOT NULL,"
    " finalize_now INTEGER NOT NULL,"
    " paused INTEGER NOT NULL,"
    " cancel INTEGER NOT NULL,"
    " attempt INTEGER NOT NULL,"
    " created_at INTEGER NOT NULL,"
    " updated_at INTEGER NOT NULL,"
    " due_at INTEGER NOT NULL,"
    " started_at INTEGER NOT NULL,"
    " ended_at INTEGER NOT NULL"
    ") STRICT;"
    "CREATE UNIQUE INDEX migration_open ON migration (key) WHERE ended = 0;"
    "CREATE INDEX migration_status ON migration (status, n, name);"

    "CREATE TABLE document ("
    " migration INTEGER PRIMARY KEY REFERENCES migration ON DELETE CASCADE,"
    " spec TEXT NOT NULL CHECK (json_valid(spec) AND json_type(spec) = 'object'),"
    " job TEXT NOT NULL CHECK (json_valid(job) AND json_type(job) = 'object')"
    ") STRICT;"

    "CREATE TABLE state ("
    " migration INTEGER NOT NULL REFERENCES migration ON DELETE CASCADE,"
    " key TEXT NOT NULL,"
    " value TEXT NOT NULL CHECK (json_valid(value)),"
    " PRIMARY KEY (migration, key)"
    ") STRICT;"

    "CREATE TABLE disk ("
    " migration INTEGER NOT NULL REFERENCES migration ON DELETE CASCADE,"
    " key INTEGER NOT NULL,"
    " label TEXT NOT NULL,"
    " capacity_bytes INTEGER NOT NULL,"
    " image TEXT NOT NULL,"
    " PRIMARY KEY (migration, key)"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE round ("
    " migration INTEGER NOT NULL REFERENCES migration ON DELETE CASCADE,"
    " number INTEGER NOT NULL,"
    " kind TEXT NOT NULL,"
    " started_at INTEGER NOT NULL,"
    " seconds REAL NOT NULL,"
    " PRIMARY KEY (migration, number)"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE round_disk ("
    " migration INTEGER NOT NULL,"
    " number INTEGER NOT NULL,"
    " key INTEGER NOT NULL,"
    " areas INTEGER NOT NULL,"
    " changed_bytes INTEGER NOT NULL,"
    " read_bytes INTEGER NOT NULL,"
    " written_bytes INTEGER NOT NULL,"
    " whole INTEGER NOT NULL,"
    " why TEXT NOT NULL,"
    " PRIMARY KEY (migration, number, key),"
    " FOREIGN KEY (migration, number) REFERENCES round ON DELETE CASCADE"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE object ("
    " n INTEGER PRIMARY KEY,"
    " migration INTEGER NOT NULL REFERENCES migration ON DELETE CASCADE,"
    " kind TEXT NOT NULL,"
    " name TEXT NOT NULL,"
    " state TEXT NOT NULL CHECK (state IN ('planned', 'made', 'gone')),"
    " detail TEXT NOT NULL CHECK (detail = '' OR json_valid(detail)),"
    " changed_at INTEGER NOT NULL,"
    " UNIQUE (migration, kind, name)"
    ") STRICT;"
    "CREATE INDEX object_left ON object (kind) WHERE state <> 'gone';"

    "CREATE TABLE event ("
    " n INTEGER PRIMARY KEY AUTOINCREMENT,"
    " migration INTEGER REFERENCES migration ON DELETE CASCADE,"
    " at INTEGER NOT NULL,"
    " level TEXT NOT NULL,"
    " code TEXT NOT NULL,"
    " text TEXT NOT NULL"
    ") STRICT;"
    "CREATE INDEX event_migration ON event (migration);"

    "CREATE TABLE stage_time ("
    " n INTEGER PRIMARY KEY,"
    " stage TEXT NOT NULL,"
    " at INTEGER NOT NULL,"
    " seconds INTEGER NOT NULL"
    ") STRICT;"
    "CREATE INDEX stage_time_stage ON stage_time (stage);"

    "CREATE TABLE setting ("
    " key TEXT PRIMARY KEY,"
    " value TEXT NOT NULL CHECK (json_valid(value))"
    ") STRICT, WITHOUT ROWID;",
};

const struct schema schema_current = { steps, ARRAY_LEN(steps) };

int
schema_check(sqlite3 *db, const char *path, const struct schema *schema, struct err *err)
{
    int64_t tables, application, version;
    if (read_number(db, path, "SELECT count(*) FROM sqlite_schema", &tables, err) < 0 ||
        read_number(db, path, "PRAGMA application_id", &application, err) < 0 ||
        read_number(db, path, "PRAGMA user_version", &version, err) < 0)
        return -1;
    if (tables == 0 && application == 0 && version == 0)
        return 0; /* empty, as we have just made it */
    if (application != SCHEMA_APPLICATION_ID)
        return err_set(err, ERR_CONFLICT,
                       "%s: is a database of something else, not vmferry's: name another file",
                       path);
    if (version < 0 || (uint64_t)version > schema->n_steps)
        return err_set(err, ERR_CONFLICT,
                       "%s: was written by a newer vmferry (its schema is %lld, this vmferry knows "
                       "%zu): use that version, or name another file",
                       path, (long long)version, schema->n_steps);
    return 0;
}

int
schema_migrate(sqlite3 *db, const char *path, const struct schema *schema, struct err *err)
{
    int64_t version;
    if (read_number(db, path, "PRAGMA user_version", &version, err) < 0)
        return -1;
    for (size_t i = (size_t)version; i < schema->n_steps; i++) {
        char what[PRAGMA_MAX], mark[PRAGMA_MAX];
        snprintf(what, sizeof what, "bring its schema to version %zu", i + 1);
        snprintf(mark, sizeof mark, "PRAGMA application_id = %d; PRAGMA user_version = %zu; COMMIT",
                 SCHEMA_APPLICATION_ID, i + 1);
        if (run(db, path, what, "BEGIN IMMEDIATE", err) < 0)
            return -1;
        if (run(db, path, what, schema->steps[i], err) < 0 || run(db, path, what, mark, err) < 0) {
            if (!sqlite3_get_autocommit(db))
                sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
            return -1;
        }
    }
    return 0;
}

static int
read_number(sqlite3 *db, const char *path, const char *sql, int64_t *number, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int r = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (r == SQLITE_OK)
        r = sqlite3_step(stmt);
    *number = r == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    if (r != SQLITE_ROW)
        sqlite_error(db, r, path, "read its schema", err);
    sqlite3_finalize(stmt);
    return r == SQLITE_ROW ? 0 : -1;
}

static int
run(sqlite3 *db, const char *path, const char *what, const char *sql, struct err *err)
{
    int r = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return r == SQLITE_OK ? 0 : sqlite_error(db, r, path, what, err);
}
