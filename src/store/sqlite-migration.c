/* Migrations in the SQLite store: made, found, listed, changed, deleted. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/checked.h"
#include "base/cleanup.h"
#include "store/check.h"
#include "store/sqlite.h"

/* Columns of MIGRATION_COLUMNS in sqlite-statement.c. */
enum column {
    COLUMN_N,
    COLUMN_ID,
    COLUMN_FENCE,
    COLUMN_KEY,
    COLUMN_STATUS,
    COLUMN_NAME,
    COLUMN_MOREF,
    COLUMN_UUID,
    COLUMN_SERVER,
    COLUMN_HOST,
    COLUMN_STAGE,
    COLUMN_QUESTION,
    COLUMN_ERROR,
    COLUMN_SHUTDOWN,
    COLUMN_FINALIZE,
    COLUMN_FINALIZE_NOW,
    COLUMN_PAUSED,
    COLUMN_CANCEL,
    COLUMN_ATTEMPT,
    COLUMN_CREATED_AT,
    COLUMN_UPDATED_AT,
    COLUMN_DUE_AT,
    COLUMN_STARTED_AT,
    COLUMN_ENDED_AT,
    COLUMN_ROUNDS,
};

static const struct {
    enum column column;
    size_t offset;
} text_columns[] = {
    { COLUMN_KEY, offsetof(struct store_migration, key) },
    { COLUMN_NAME, offsetof(struct store_migration, name) },
    { COLUMN_MOREF, offsetof(struct store_migration, moref) },
    { COLUMN_UUID, offsetof(struct store_migration, uuid) },
    { COLUMN_SERVER, offsetof(struct store_migration, server) },
    { COLUMN_HOST, offsetof(struct store_migration, host) },
    { COLUMN_STAGE, offsetof(struct store_migration, stage) },
    { COLUMN_QUESTION, offsetof(struct store_migration, question) },
    { COLUMN_ERROR, offsetof(struct store_migration, error) },
    { COLUMN_SHUTDOWN, offsetof(struct store_migration, shutdown) },
};

static int insert(struct store *store, const struct store_migration *migration, struct err *err);
static int refuse_same_id(struct store *store, const char *id, struct err *err);
static int refuse_same_key(struct store *store, const char *key, struct err *err);

int
store_migration_create(struct store *store, const struct store_migration *migration,
                       struct err *err)
{
    if (check_migration(migration, err) < 0 || sql_begin(store, err) < 0)
        return -1;
    return sql_finish(store, insert(store, migration, err), err);
}

static int
insert(struct store *store, const struct store_migration *m, struct err *err)
{
    bool ended = job_status_is_ended(m->status);
    if (refuse_same_id(store, m->id, err) < 0 ||
        (!ended && refuse_same_key(store, m->key, err) < 0))
        return -1;
    auto_sql sqlite3_stmt *stmt = sql_start(
        store, err, SQL_MIGRATION_CREATE, TEXT(m->id), TEXT(m->key),
        TEXT(job_status_name(m->status)), INTEGER(ended), TEXT_OR_EMPTY(m->name),
        TEXT_OR_EMPTY(m->moref), TEXT_OR_EMPTY(m->uuid), TEXT_OR_EMPTY(m->server),
        TEXT_OR_EMPTY(m->host), TEXT_OR_EMPTY(m->question), TEXT_OR_EMPTY(m->error),
        TEXT_OR_EMPTY(m->shutdown), INTEGER(m->finalize), INTEGER(m->finalize_now),
        INTEGER(m->paused), INTEGER(m->cancel), INTEGER(m->attempt), INTEGER(m->created_at),
        INTEGER(m->due_at), INTEGER(m->started_at), INTEGER(m->ended_at));
    int r = stmt ? sql_step(store, stmt, err) : -1;
    if (r < 0)
        return -1;
    int64_t n = sqlite3_column_int64(stmt, 0);
    if (sql_step(store, stmt, err) < 0)
        return -1;
    return sql_run(store, err, SQL_DOCUMENT_ADD, INTEGER(n), TEXT(m->spec), TEXT(m->job));
}

static int
refuse_same_id(struct store *store, const char *id, struct err *err)
{
    struct sql_migration there;
    int r = sql_migration_find(store, id, &there, err);
    return r == 1 ? err_set(err, ERR_CONFLICT, "%s: there is a migration of this id", id) : r;
}

/* The index migration_open would refuse it as well, without a name. */
static int
refuse_same_key(struct store *store, const char *key, struct err *err)
{
    auto_sql sqlite3_stmt *stmt = sql_start(store, err, SQL_MIGRATION_OPEN, TEXT(key));
    int r = stmt ? sql_step(store, stmt, err) : -1;
    if (r == 1)
        return err_set(err, ERR_CONFLICT, "%s: is being migrated already, by migration %s", key,
                       sql_string(stmt, 0));
    return r;
}

/* ---- reading ---- */

static int read_row(struct store *store, sqlite3_stmt *stmt, struct store_migration *ret,
                    struct err *err);
static int own_texts(struct store_migration *migration, struct err *err);
static int read_documents(struct store *store, int64_t n, struct store_migration *migration,
                          struct err *err);
static int read_state(struct store *store, int64_t n, char **ret_state, struct err *err);
static int add_state_key(struct store *store, sqlite3_stmt *stmt, struct buf *state,
                         struct err *err);

int
store_migration_get(struct store *store, const char *id, struct store_migration *ret_migration,
                    struct err *err)
{
    struct store_migration borrowed;
    auto_migration struct store_migration owned = { 0 };
    auto_sql sqlite3_stmt *stmt = sql_start(store, err, SQL_MIGRATION_GET, TEXT(id));
    int r = stmt ? sql_step(store, stmt, err) : -1;
    if (r == 0)
        return err_set(err, ERR_NOT_FOUND, "%s: there is no migration of this id", id);
    if (r < 0 || read_row(store, stmt, &borrowed, err) < 0 || sql_whole(store, err) < 0)
        return -1;
    owned = borrowed;
    int64_t n = sqlite3_column_int64(stmt, COLUMN_N);
    if (own_texts(&owned, err) < 0 || read_documents(store, n, &owned, err) < 0 ||
        read_state(store, n, &owned.state, err) < 0)
        return -1;
    *ret_migration = owned;
    owned = (struct store_migration){ 0 };
    return 0;
}

int
store_migration_find_key(struct store *store, const char *key,
                         struct store_migration *ret_migration, struct err *err)
{
    auto_sql sqlite3_stmt *stmt = sql_start(store, err, SQL_MIGRATION_OPEN, TEXT(key));
    int r = stmt ? sql_step(store, stmt, err) : -1;
    if (r == 0)
        return err_set(err, ERR_NOT_FOUND, "%s: there is no migration of it that has not ended",
                       key);
    if (r < 0)
        return -1;
    const char *id = sql_string(stmt, 0);
    return sql_whole(store, err) < 0 ? -1 : store_migration_get(store, id, ret_migration, err);
}

/* What it points to is lent by the row. */
static int
read_row(struct store *store, sqlite3_stmt *stmt, struct store_migration *ret, struct err *err)
{
    struct store_migration m = {
        .fence = sqlite3_column_int64(stmt, COLUMN_FENCE),
        .finalize = sqlite3_column_int(stmt, COLUMN_FINALIZE),
        .finalize_now = sqlite3_column_int(stmt, COLUMN_FINALIZE_NOW),
        .paused = sqlite3_column_int(stmt, COLUMN_PAUSED),
        .cancel = sqlite3_column_int(stmt, COLUMN_CANCEL),
        .attempt = (unsigned)sqlite3_column_int64(stmt, COLUMN_ATTEMPT),
        .rounds = (unsigned)sqlite3_column_int64(stmt, COLUMN_ROUNDS),
        .created_at = sqlite3_column_int64(stmt, COLUMN_CREATED_AT),
        .updated_at = sqlite3_column_int64(stmt, COLUMN_UPDATED_AT),
        .due_at = sqlite3_column_int64(stmt, COLUMN_DUE_AT),
        .started_at = sqlite3_column_int64(stmt, COLUMN_STARTED_AT),
        .ended_at = sqlite3_column_int64(stmt, COLUMN_ENDED_AT),
    };
    if (!job_status_parse(sql_string(stmt, COLUMN_STATUS), &m.status))
        return sql_damaged(store, "a status that there is not", err);
    snprintf(m.id, sizeof m.id, "%s", sql_string(stmt, COLUMN_ID));
    for (size_t i = 0; i < ARRAY_LEN(text_columns); i++)
        *(char **)((char *)&m + text_columns[i].offset) =
            (char *)sql_text(stmt, text_columns[i].column);
    if (!m.key)
        return sql_damaged(store, "a migration without a key", err);
    *ret = m;
    return 0;
}

/* Copies of the texts that are lent; on failure there is none of the lent ones left, either. */
static int
own_texts(struct store_migration *migration, struct err *err)
{
    bool whole = true;
    for (size_t i = 0; i < ARRAY_LEN(text_columns); i++) {
        char **text = (char **)((char *)migration + text_columns[i].offset);
        if (*text) {
            *text = strdup(*text);
            whole = whole && *text;
        }
    }
    return whole ? 0 : err_errno(err, ENOMEM, "%s: read a migration", migration->id);
}

static int
read_documents(struct store *store, int64_t n, struct store_migration *migration, struct err *err)
{
    auto_sql sqlite3_stmt *stmt = sql_start(store, err, SQL_DOCUMENT_GET, INTEGER(n));
    int r = stmt ? sql_step(store, stmt, err) : -1;
    if (r == 0)
        return sql_damaged(store, "a migration without its documents", err);
    if (r < 0)
        return -1;
    migration->spec = strdup(sql_string(stmt, 0));
    migration->job = strdup(sql_string(stmt, 1));
    if (sql_whole(store, err) < 0)
        return -1;
    if (!migration->spec || !migration->job)
        return err_errno(err, ENOMEM, "%s: read a migration", migration->id);
    return 0;
}

/* Its rows are JSON as they are: keys without anything to escape, and values that were checked. */
static int
read_state(struct store *store, int64_t n, char **ret_state, struct err *err)
{
    auto_buf struct buf state = BUF_INIT(STORE_STATE_MAX);
    auto_sql sqlite3_stmt *stmt = sql_start(store, err, SQL_STATE_LIST, INTEGER(n));
    int r = stmt ? 0 : -1;
    while (r == 0 && (r = sql_step(store, stmt, err)) == 1)
        r = add_state_key(store, stmt, &state, err);
    if (r < 0 || buf_add_str(&state, state.len == 0 ? "{}" : "}", err) < 0)
        return -1;
    *ret_state = TAKE_PTR(state.data);
    return 0;
}

static int
add_state_key(struct store *store, sqlite3_stmt *stmt, struct buf *state, struct err *err)
{
    const char *key = sql_string(stmt, 0);
    if (sql_whole(store, err) < 0 || buf_add_str(state, state->len == 0 ? "{\"" : ",\"", err) < 0 ||
        buf_add_str(state, key, err) < 0 || buf_add_str(state, "\":", err) < 0)
        return -1;
    const char *value = sql_string(stmt, 1);
    return sql_whole(store, err) < 0 ? -1 : buf_add_str(state, value, err);
}

/* ---- listing ---- */

#define STATUSES_MAX 512                 /* bytes of all names in a JSON array */
#define PATTERN_MAX (2 * STORE_NAME_MAX) /* bytes of a glob, each of them escaped */

static int name_statuses(unsigned statuses, char ret[STATUSES_MAX], struct err *err);
static int make_pattern(const char *glob, char ret[PATTERN_MAX + 1], struct err *err);
static int list(struct store *store, sqlite3_stmt *stmt, store_migration_fn *each, void *arg,
                struct err *err);

int
store_migration_list(struct store *store, const struct store_filter *filter,
                     store_migration_fn *each, void *arg, struct err *err)
{
    char statuses[STATUSES_MAX], pattern[PATTERN_MAX + 1];
    struct sql_migration after = { .n = filter->newest_first ? INT64_MAX : 0 };
    if (name_statuses(filter->statuses, statuses, err) < 0 ||
        (filter->name && make_pattern(filter->name, pattern, err) < 0) ||
        (filter->after && sql_migration_need(store, filter->after, &after, err) < 0))
        return -1;
    const struct sql_value values[] = {
        INTEGER(after.n),
        TEXT(filter->name ? pattern : NULL),
        INTEGER(filter->limit ? (int64_t)filter->limit : -1),
        TEXT(statuses),
    };
    enum sql all = filter->newest_first ? SQL_MIGRATION_LIST_NEWEST : SQL_MIGRATION_LIST;
    enum sql some =
        filter->newest_first ? SQL_MIGRATION_LIST_STATUS_NEWEST : SQL_MIGRATION_LIST_STATUS;
    auto_sql sqlite3_stmt *stmt = filter->statuses ? sql_start_n(store, some, values, 4, err)
                                                   : sql_start_n(store, all, values, 3, err);
    return stmt ? list(store, stmt, each, arg, err) : -1;
}

static int
name_statuses(unsigned statuses, char ret[STATUSES_MAX], struct err *err)
{
    auto_buf struct buf names = BUF_INIT(STATUSES_MAX - 1);
    if (buf_add_str(&names, "[", err) < 0)
        return -1;
    for (unsigned i = 0; i < N_JOB_STATUS; i++)
        if ((statuses & (1u << i)) && buf_printf(&names, err, "%s\"%s\"", names.len > 1 ? "," : "",
                                                 job_status_name((enum job_status)i)) < 0)
            return -1;
    snprintf(ret, STATUSES_MAX, "%s]", names.data);
    return 0;
}

/* The same as a pattern for LIKE with the escape '\'. */
static int
make_pattern(const char *glob, char ret[PATTERN_MAX + 1], struct err *err)
{
    if (check_name("the pattern of a name", glob, err) < 0)
        return -1;
    size_t len = 0;
    for (const char *c = glob; *c; c++) {
        if (*c == '%' || *c == '_' || *c == '\\')
            ret[len++] = '\\';
        ret[len++] = *c == '*' ? '%' : *c == '?' ? '_' : *c;
    }
    ret[len] = '\0';
    return 0;
}

static int
list(struct store *store, sqlite3_stmt *stmt, store_migration_fn *each, void *arg, struct err *err)
{
    struct store_migration lent;
    int r;
    while ((r = sql_step(store, stmt, err)) == 1) {
        if (read_row(store, stmt, &lent, err) < 0 || sql_lend(store, err) < 0)
            return -1;
        r = each(&lent, arg, err);
        store->listing = false;
        if (r < 0)
            return -1;
    }
    return r;
}

int
store_migration_count(struct store *store, uint64_t ret_counts[N_JOB_STATUS], struct err *err)
{
    uint64_t counts[N_JOB_STATUS] = { 0 };
    auto_sql sqlite3_stmt *stmt = sql_start_n(store, SQL_MIGRATION_COUNT, NULL, 0, err);
    int r = stmt ? 1 : -1;
    while (r == 1 && (r = sql_step(store, stmt, err)) == 1) {
        enum job_status status;
        if (!job_status_parse(sql_string(stmt, 0), &status))
            return sql_damaged(store, "a status that there is not", err);
        counts[status] = (uint64_t)sqlite3_column_int64(stmt, 1);
    }
    if (r == 0)
        memcpy(ret_counts, counts, sizeof counts);
    return r;
}

/* ---- changing ---- */

static int change_it(struct store *store, const char *id, int64_t fence,
                     const struct store_change *change, int64_t at, struct err *err);
static int refuse_second_open(struct store *store, const char *id, enum job_status status,
                              struct err *err);
static int delete_it(struct store *store, const char *id, struct err *err);

int
store_migration_update(struct store *store, const char *id, int64_t fence,
                       const struct store_change *change, int64_t at, int64_t *ret_fence,
                       struct err *err)
{
    if (check_change(change, err) < 0 || sql_begin(store, err) < 0 ||
        sql_finish(store, change_it(store, id, fence, change, at, err), err) < 0)
        return -1;
    *ret_fence = fence + 1;
    return 0;
}

/* NULL (keep) unless has; a text that is absent is ''. */
#define NUMBER_IF(has, v) ((has) ? INTEGER(v) : NOTHING)
#define TEXT_IF(has, v) TEXT((has) ? ((v) ? (v) : "") : NULL)

static int
change_it(struct store *store, const char *id, int64_t fence, const struct store_change *c,
          int64_t at, struct err *err)
{
    int64_t n;
    if (sql_migration_claim(store, id, fence, at, &n, err) < 0 ||
        (c->has_status && refuse_second_open(store, id, c->status, err) < 0))
        return -1;
    if (c->has_status && c->status == JOB_DONE && sql_stage_ended(store, n, "", at, err) < 0)
        return -1;
    if (c->has_status && c->status != JOB_RUNNING &&
        sql_run(store, err, SQL_STAGE_STOP, INTEGER(n)) < 0)
        return -1;
    if (c->has_job && sql_run(store, err, SQL_DOCUMENT_JOB, INTEGER(n), TEXT(c->job)) < 0)
        return -1;
    return sql_run(store, err, SQL_MIGRATION_CHANGE, INTEGER(n),
                   TEXT(c->has_status ? job_status_name(c->status) : NULL),
                   NUMBER_IF(c->has_status, job_status_is_ended(c->status)),
                   TEXT_IF(c->has_question, c->question), TEXT_IF(c->has_error, c->error),
                   TEXT_IF(c->has_shutdown, c->shutdown), NUMBER_IF(c->has_finalize, c->finalize),
                   NUMBER_IF(c->has_finalize_now, c->finalize_now),
                   NUMBER_IF(c->has_paused, c->paused), NUMBER_IF(c->has_cancel, c->cancel),
                   NUMBER_IF(c->has_attempt, c->attempt), NUMBER_IF(c->has_due_at, c->due_at),
                   NUMBER_IF(c->has_started_at, c->started_at),
                   NUMBER_IF(c->has_ended_at, c->ended_at));
}

/* One that had ended and goes on finds that another one may have its machine now. */
static int
refuse_second_open(struct store *store, const char *id, enum job_status status, struct err *err)
{
    struct sql_migration stored;
    if (job_status_is_ended(status))
        return 0;
    if (sql_migration_need(store, id, &stored, err) < 0)
        return -1;
    if (!stored.ended)
        return 0;
    auto_sql sqlite3_stmt *stmt = sql_start(store, err, SQL_MIGRATION_GET, TEXT(id));
    int r = stmt ? sql_step(store, stmt, err) : -1;
    return r == 1 ? refuse_same_key(store, sql_string(stmt, COLUMN_KEY), err) : r;
}

int
store_migration_delete(struct store *store, const char *id, struct err *err)
{
    if (sql_begin(store, err) < 0)
        return -1;
    return sql_finish(store, delete_it(store, id, err), err);
}

static int
delete_it(struct store *store, const char *id, struct err *err)
{
    struct sql_migration stored;
    if (sql_migration_need(store, id, &stored, err) < 0)
        return -1;
    if (!stored.ended)
        return err_set(err, ERR_CONFLICT, "%s: has not ended: cancel it before it is deleted", id);
    return sql_run(store, err, SQL_MIGRATION_DELETE, INTEGER(stored.n));
}
