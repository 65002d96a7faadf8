/* Events and settings in the SQLite store. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "store/check.h"
#include "store/sqlite.h"

static int add(struct store *store, const struct store_event *event, int64_t *ret_n,
               struct err *err);
static int list(struct store *store, sqlite3_stmt *stmt, store_event_fn *each, void *arg,
                struct err *err);

int
store_event_add(struct store *store, const struct store_event *event, int64_t *ret_n,
                struct err *err)
{
    int64_t n = 0;
    if (check_event(event, err) < 0 || sql_begin(store, err) < 0 ||
        sql_finish(store, add(store, event, &n, err), err) < 0)
        return -1;
    if (ret_n)
        *ret_n = n;
    return 0;
}

static int
add(struct store *store, const struct store_event *event, int64_t *ret_n, struct err *err)
{
    struct sql_migration of = { 0 };
    if (event->migration && sql_migration_need(store, event->migration, &of, err) < 0)
        return -1;
    auto_sql sqlite3_stmt *stmt = sql_start(
        store, err, SQL_EVENT_ADD, event->migration ? INTEGER(of.n) : NOTHING, INTEGER(event->at),
        TEXT(event->level), TEXT_OR_EMPTY(event->code), TEXT(event->text));
    int r = stmt ? sql_step(store, stmt, err) : -1;
    if (r < 0)
        return -1;
    *ret_n = sqlite3_column_int64(stmt, 0);
    return sql_step(store, stmt, err);
}

int
store_events(struct store *store, const char *id, int64_t after, unsigned limit,
             store_event_fn *each, void *arg, struct err *err)
{
    int64_t most = limit ? (int64_t)limit : -1;
    auto_sql sqlite3_stmt *stmt =
        id ? sql_start(store, err, SQL_EVENT_LIST, TEXT(id), INTEGER(after), INTEGER(most))
           : sql_start(store, err, SQL_EVENT_LIST_ALL, INTEGER(after), INTEGER(most));
    return stmt ? list(store, stmt, each, arg, err) : -1;
}

static int
list(struct store *store, sqlite3_stmt *stmt, store_event_fn *each, void *arg, struct err *err)
{
    int r;
    while ((r = sql_step(store, stmt, err)) == 1) {
        const struct store_event event = {
            .n = sqlite3_column_int64(stmt, 0),
            .migration = sql_text(stmt, 1),
            .at = sqlite3_column_int64(stmt, 2),
            .level = sql_string(stmt, 3),
            .code = sql_text(stmt, 4),
            .text = sql_string(stmt, 5),
        };
        if (sql_lend(store, err) < 0)
            return -1;
        r = each(&event, arg, err);
        store->listing = false;
        if (r < 0)
            return -1;
    }
    return r;
}

int
store_events_prune(struct store *store, unsigned keep, uint64_t *ret_removed, struct err *err)
{
    if (sql_begin(store, err) < 0)
        return -1;
    int r = sql_run(store, err, SQL_EVENT_PRUNE, INTEGER(keep));
    uint64_t removed = r == 0 ? (uint64_t)sqlite3_changes64(store->db) : 0;
    if (sql_finish(store, r, err) < 0)
        return -1;
    if (ret_removed)
        *ret_removed = removed;
    return 0;
}

int
store_setting_get(struct store *store, const char *key, char **ret_value, struct err *err)
{
    auto_sql sqlite3_stmt *stmt = sql_start(store, err, SQL_SETTING_GET, TEXT(key));
    int r = stmt ? sql_step(store, stmt, err) : -1;
    if (r < 0)
        return -1;
    auto_free char *value = r == 1 ? strdup(sql_string(stmt, 0)) : NULL;
    if (r == 1 && sql_whole(store, err) < 0)
        return -1;
    if (r == 1 && !value)
        return err_errno(err, ENOMEM, "%s: read a setting", store->path);
    *ret_value = TAKE_PTR(value);
    return 0;
}

int
store_setting_put(struct store *store, const char *key, const char *value, struct err *err)
{
    if (check_name("the key of a setting", key, err) < 0 ||
        check_text("the value of a setting", value, err) < 0 || sql_begin(store, err) < 0)
        return -1;
    int r = value ? sql_run(store, err, SQL_SETTING_PUT, TEXT(key), TEXT(value))
                  : sql_run(store, err, SQL_SETTING_DROP, TEXT(key));
    return sql_finish(store, r, err);
}
