#include "store/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "store/schema.h"
#include "store/sqlite-error.h"

#define BUSY_WAIT_MS 5000
#define ANSWER_MAX 256

static char *whole_path(const char *path, struct err *err);
static int make_file(const char *path, struct err *err);
static int connect(struct store *store, struct err *err);
static void harden(sqlite3 *db);
static int make_durable(struct store *store, struct err *err);
static int ask(struct store *store, const char *sql, char ret_answer[ANSWER_MAX], struct err *err);
static int look_through(struct store *store, struct err *err);

/* The file is named whole before anything else: SQLite and the lock must mean the same one, and no
 * name can be mistaken for one of SQLite's own (":memory:", "file:..."). Nothing opens the database
 * but SQLite, and that only once it is ours: closing any descriptor of it would drop the locks that
 * SQLite holds on it in this process. */
int
store_open(const char *path, struct store **ret_store, struct err *err)
{
    struct store *store = calloc(1, sizeof *store);
    if (!store)
        return err_errno(err, ENOMEM, "%s: open the store", path);
    store->owner = OWNER_INIT;
    store->path = whole_path(path, err);
    if (!store->path || owner_take(store->path, &store->owner, err) < 0 ||
        make_file(store->path, err) < 0 || connect(store, err) < 0) {
        bool was_unclean = store->owner.unclean;
        sqlite3_close(store->db);
        owner_release(&store->owner, !was_unclean);
        free(store->path);
        free(store);
        return -1;
    }
    *ret_store = store;
    return 0;
}

/* Without links; a file that is not there yet in a folder that is. NULL on failure. */
static char *
whole_path(const char *path, struct err *err)
{
    struct stat st;
    char *whole = realpath(path, NULL);
    if (whole) {
        if (stat(whole, &st) < 0)
            err_errno(err, errno, "%s", path);
        else if (!S_ISREG(st.st_mode))
            err_set(err, ERR_INVALID, "%s: is not a file: name one for the store", path);
        else
            return whole;
        free(whole);
        return NULL;
    }
    int why = errno;
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    auto_free char *parent = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    auto_free char *folder = parent && why == ENOENT && *name ? realpath(parent, NULL) : NULL;
    if (folder && asprintf(&whole, "%s/%s", folder, name) >= 0)
        return whole;
    err_errno(err, why, "%s: find the folder of the store", path);
    return NULL;
}

/* For its owner alone: it says which machines there are and where their disks go. */
static int
make_file(const char *path, struct err *err)
{
    struct stat st;
    if (lstat(path, &st) == 0)
        return stat(path, &st) == 0 ? 0 : err_errno(err, errno, "%s: open the store", path);
    auto_close int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return fd < 0 ? err_errno(err, errno, "%s: make the store", path) : 0;
}

static int
connect(struct store *store, struct err *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int r = sqlite3_open_v2(store->path, &store->db, flags, NULL);
    if (r != SQLITE_OK)
        return sqlite_error(store->db, r, store->path, "open", err);
    if (sqlite3_db_readonly(store->db, "main") == 1)
        return err_set(err, ERR_DENIED, "%s: the store cannot be written: see to its rights",
                       store->path);
    harden(store->db);
    sqlite3_busy_timeout(store->db, BUSY_WAIT_MS);
    if (schema_check(store->db, store->path, &schema_current, err) < 0 ||
        make_durable(store, err) < 0 || (store->owner.unclean && look_through(store, err) < 0))
        return -1;
    return schema_migrate(store->db, store->path, &schema_current, err);
}

/* A damaged or forged database has nothing that runs by itself. (The schema must be trusted as far
 * as json_valid in its CHECKs, which SQLite 3.40 does not count among the harmless functions.) */
static void
harden(sqlite3 *db)
{
    static const struct {
        int option, value;
    } options[] = {
        { SQLITE_DBCONFIG_ENABLE_FKEY, 1 },    { SQLITE_DBCONFIG_DEFENSIVE, 1 },
        { SQLITE_DBCONFIG_ENABLE_TRIGGER, 0 }, { SQLITE_DBCONFIG_ENABLE_VIEW, 0 },
        { SQLITE_DBCONFIG_DQS_DML, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        sqlite3_db_config(db, options[i].option, options[i].value, NULL);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, (int)(4 * STORE_TEXT_MAX));
}

static int
make_durable(struct store *store, struct err *err)
{
    char answer[ANSWER_MAX];
    if (ask(store, "PRAGMA journal_mode = wal", answer, err) < 0)
        return -1;
    if (strcmp(answer, "wal") != 0)
        return err_set(err, ERR_IO,
                       "%s: its file system cannot do what the store needs (WAL): put it on a "
                       "local one",
                       store->path);
    return ask(store,
               "PRAGMA synchronous = full; PRAGMA temp_store = memory; PRAGMA cell_size_check = on;"
               "PRAGMA journal_size_limit = 8388608",
               answer, err);
}

static int
take_answer(void *answer, int n, char **values, char **names)
{
    (void)names;
    snprintf(answer, ANSWER_MAX, "%s", n > 0 && values[0] ? values[0] : "");
    return 0;
}

/* The last answer to the statements, as text. */
static int
ask(struct store *store, const char *sql, char ret_answer[ANSWER_MAX], struct err *err)
{
    ret_answer[0] = '\0';
    int r = sqlite3_exec(store->db, sql, take_answer, ret_answer, NULL);
    return r == SQLITE_OK ? 0 : sqlite_error(store->db, r, store->path, "open", err);
}

/* Who was killed, or lost power, may have left more than SQLite's journal puts right: a disk that
 * lied about a flush. Better said now than half-way through a migration. */
static int
look_through(struct store *store, struct err *err)
{
    char answer[ANSWER_MAX];
    if (ask(store, "PRAGMA quick_check(1)", answer, err) < 0)
        return -1;
    return strcmp(answer, "ok") == 0 ? 0 : sqlite_damaged(store->path, answer, err);
}

void
store_close(struct store *store)
{
    if (!store)
        return;
    for (size_t i = 0; i < N_SQL; i++)
        sqlite3_finalize(store->statements[i]);
    bool clean = sqlite3_close(store->db) == SQLITE_OK;
    owner_release(&store->owner, clean);
    free(store->path);
    free(store);
}

/* ---- statements ---- */

static sqlite3_stmt *prepare(struct store *store, enum sql sql, struct err *err);
static int bind(sqlite3_stmt *stmt, int at, const struct sql_value *value);

sqlite3_stmt *
sql_start_n(struct store *store, enum sql sql, const struct sql_value *values, size_t n,
            struct err *err)
{
    if (store->listing) {
        err_set(err, ERR_BUG, "%s: the store was called out of a listing", store->path);
        return NULL;
    }
    sqlite3_stmt *stmt = prepare(store, sql, err);
    if (!stmt)
        return NULL;
    if ((size_t)sqlite3_bind_parameter_count(stmt) != n) {
        err_set(err, ERR_BUG, "%s: %zu values for: %s", store->path, n, sql_statement_text(sql));
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        int r = bind(stmt, (int)i + 1, &values[i]);
        if (r != SQLITE_OK) {
            sqlite_error(store->db, r, store->path, "give a value", err);
            sql_end(stmt);
            return NULL;
        }
    }
    return stmt;
}

static sqlite3_stmt *
prepare(struct store *store, enum sql sql, struct err *err)
{
    sqlite3_stmt **stmt = &store->statements[sql];
    if (*stmt)
        return *stmt;
    int r = sqlite3_prepare_v3(store->db, sql_statement_text(sql), -1, SQLITE_PREPARE_PERSISTENT,
                               stmt, NULL);
    if (r != SQLITE_OK)
        sqlite_error(store->db, r, store->path, "prepare a statement", err);
    return *stmt;
}

static int
bind(sqlite3_stmt *stmt, int at, const struct sql_value *value)
{
    switch (value->type) {
    case SQL_INTEGER:
        return sqlite3_bind_int64(stmt, at, value->integer);
    case SQL_REAL:
        return sqlite3_bind_double(stmt, at, value->real);
    case SQL_TEXT:
        break;
    }
    return sqlite3_bind_text(stmt, at, value->text, -1, SQLITE_STATIC);
}

int
sql_step(struct store *store, sqlite3_stmt *stmt, struct err *err)
{
    errno = 0;
    int r = sqlite3_step(stmt);
    if (r == SQLITE_ROW || r == SQLITE_DONE)
        return r == SQLITE_ROW;
    int errnum = errno;
    /* Of a COMMIT SQLite says that it only reads, and keeps no errno. */
    bool commits = stmt == store->statements[SQL_COMMIT];
    bool reads = sqlite3_stmt_readonly(stmt) && !commits;
    if (commits && (r & 0xff) == SQLITE_IOERR && errnum)
        return err_set(err, ERR_IO, "%s: write to the store: %s", store->path, strerror(errnum));
    return sqlite_error(store->db, r, store->path, reads ? "read the store" : "write to the store",
                        err);
}

void
sql_end(sqlite3_stmt *stmt)
{
    if (!stmt)
        return;
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
}

int
sql_run_n(struct store *store, enum sql sql, const struct sql_value *values, size_t n,
          struct err *err)
{
    auto_sql sqlite3_stmt *stmt = sql_start_n(store, sql, values, n, err);
    int r = stmt ? 1 : -1;
    while (r == 1)
        r = sql_step(store, stmt, err);
    return r;
}

int
sql_whole(struct store *store, struct err *err)
{
    if (sqlite3_errcode(store->db) == SQLITE_NOMEM)
        return sqlite_error(store->db, SQLITE_NOMEM, store->path, "read the store", err);
    return 0;
}

int
sql_lend(struct store *store, struct err *err)
{
    if (sql_whole(store, err) < 0)
        return -1;
    store->listing = true;
    return 0;
}

const char *
sql_string(sqlite3_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return text ? text : "";
}

const char *
sql_text(sqlite3_stmt *stmt, int column)
{
    const char *text = sql_string(stmt, column);
    return *text ? text : NULL;
}

int
sql_damaged(struct store *store, const char *what, struct err *err)
{
    if (sql_whole(store, err) < 0)
        return -1;
    return sqlite_damaged(store->path, what, err);
}

/* ---- transactions ---- */

static void roll_back(struct store *store);

int
sql_begin(struct store *store, struct err *err)
{
    roll_back(store); /* one that could not be, for want of memory */
    return sql_run_n(store, SQL_BEGIN, NULL, 0, err);
}

int
sql_finish(struct store *store, int result, struct err *err)
{
    /* SQLite has rolled back by itself after an error that somebody did not pass on. */
    if (result == 0 && sqlite3_get_autocommit(store->db))
        return err_set(err, ERR_BUG, "%s: a failed change was taken for done", store->path);
    if (result == 0)
        result = sql_run_n(store, SQL_COMMIT, NULL, 0, err);
    if (result != 0)
        roll_back(store);
    return result == 0 ? 0 : -1;
}

/* A COMMIT that failed leaves its transaction open; other failures may have ended it. */
static void
roll_back(struct store *store)
{
    struct err ignored = ERR_INIT;
    if (!sqlite3_get_autocommit(store->db))
        sql_run_n(store, SQL_ROLLBACK, NULL, 0, &ignored);
}

int
sql_migration_find(struct store *store, const char *id, struct sql_migration *ret, struct err *err)
{
    auto_sql sqlite3_stmt *stmt = sql_start(store, err, SQL_MIGRATION_FIND, TEXT(id));
    int r = stmt ? sql_step(store, stmt, err) : -1;
    if (r == 1)
        *ret = (struct sql_migration){
            .n = sqlite3_column_int64(stmt, 0),
            .fence = sqlite3_column_int64(stmt, 1),
            .ended = sqlite3_column_int(stmt, 2),
        };
    return r;
}

int
sql_migration_need(struct store *store, const char *id, struct sql_migration *ret, struct err *err)
{
    int r = sql_migration_find(store, id, ret, err);
    if (r == 0)
        return err_set(err, ERR_NOT_FOUND, "%s: there is no migration of this id", id);
    return r == 1 ? 0 : -1;
}

int
sql_migration_claim(struct store *store, const char *id, int64_t fence, int64_t at, int64_t *ret_n,
                    struct err *err)
{
    struct sql_migration stored;
    if (sql_migration_need(store, id, &stored, err) < 0)
        return -1;
    if (stored.fence != fence)
        return err_set(err, ERR_CONFLICT,
                       "%s: was changed meanwhile (by fence %" PRId64 ", %" PRId64 " is stored): "
                       "look at it again",
                       id, fence, stored.fence);
    if (sql_run(store, err, SQL_MIGRATION_CLAIM, INTEGER(stored.n), INTEGER(fence), INTEGER(at)) <
        0)
        return -1;
    *ret_n = stored.n;
    return 0;
}
