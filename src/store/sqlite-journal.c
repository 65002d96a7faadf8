/* The journal in the SQLite store: the operations of a worker, and reading what they made. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/vm.h"
#include "store/check.h"
#include "store/sqlite.h"

#define STAGE_TIMES_KEPT 100 /* of each stage */

static int do_all(struct store *store, const char *id, int64_t fence, const struct store_op *ops,
                  size_t n_ops, int64_t at, struct err *err);
static int do_op(struct store *store, int64_t n, const struct store_op *op, int64_t at,
                 struct err *err);
static int refuse_large_state(struct store *store, int64_t n, struct err *err);
static int put(struct store *store, int64_t n, const char *key, const char *value, struct err *err);
static int enter_stage(struct store *store, int64_t n, const char *stage, int64_t at,
                       struct err *err);
static int set_machine(struct store *store, int64_t n, const struct store_machine *machine,
                       struct err *err);
static int set_round(struct store *store, int64_t n, const struct store_round *round,
                     struct err *err);
static int set_object(struct store *store, int64_t n, const struct store_object *object, int64_t at,
                      struct err *err);

int
store_journal(struct store *store, const char *id, int64_t fence, const struct store_op *ops,
              size_t n_ops, int64_t at, int64_t *ret_fence, struct err *err)
{
    if (n_ops > STORE_OPS_MAX)
        return err_set(err, ERR_INVALID, "%zu operations at once: %d are the most", n_ops,
                       STORE_OPS_MAX);
    for (size_t i = 0; i < n_ops; i++)
        if (check_op(&ops[i], err) < 0)
            return err_prefix(err, "operation %zu", i + 1);
    if (sql_begin(store, err) < 0 ||
        sql_finish(store, do_all(store, id, fence, ops, n_ops, at, err), err) < 0)
        return -1;
    *ret_fence = fence + 1;
    return 0;
}

static int
do_all(struct store *store, const char *id, int64_t fence, const struct store_op *ops, size_t n_ops,
       int64_t at, struct err *err)
{
    int64_t n;
    if (sql_migration_claim(store, id, fence, at, &n, err) < 0)
        return -1;
    bool put_any = false;
    for (size_t i = 0; i < n_ops; i++) {
        put_any = put_any || ops[i].kind == STORE_PUT;
        if (do_op(store, n, &ops[i], at, err) < 0)
            return err->kind == ERR_INVALID ? err_prefix(err, "operation %zu", i + 1) : -1;
    }
    return put_any ? refuse_large_state(store, n, err) : 0;
}

static int
do_op(struct store *store, int64_t n, const struct store_op *op, int64_t at, struct err *err)
{
    switch (op->kind) {
    case STORE_PUT:
        return put(store, n, op->put.key, op->put.value, err);
    case STORE_STAGE:
        return enter_stage(store, n, op->stage, at, err);
    case STORE_MACHINE:
        return set_machine(store, n, &op->machine, err);
    case STORE_ROUND:
        return set_round(store, n, &op->round, err);
    case STORE_OBJECT:
        return set_object(store, n, &op->object, at, err);
    case STORE_CLEAR_WISHES:
        return sql_run(store, err, SQL_WISHES_CLEAR, INTEGER(n));
    }
    return err_set(err, ERR_BUG, "an operation that was not checked");
}

static int
put(struct store *store, int64_t n, const char *key, const char *value, struct err *err)
{
    if (!value || strcmp(value, "null") == 0)
        return sql_run(store, err, SQL_STATE_DROP, INTEGER(n), TEXT(key));
    return sql_run(store, err, SQL_STATE_PUT, INTEGER(n), TEXT(key), TEXT(value));
}

/* Or it could be stored and never be read. */
static int
refuse_large_state(struct store *store, int64_t n, struct err *err)
{
    auto_sql sqlite3_stmt *stmt = sql_start(store, err, SQL_STATE_SIZE, INTEGER(n));
    int r = stmt ? sql_step(store, stmt, err) : -1;
    if (r == 1 && sqlite3_column_int64(stmt, 0) > (int64_t)STORE_STATE_MAX)
        return err_set(err, ERR_INVALID, "the state is longer than %zu bytes", STORE_STATE_MAX);
    return r < 0 ? -1 : 0;
}

static int
enter_stage(struct store *store, int64_t n, const char *stage, int64_t at, struct err *err)
{
    if (sql_stage_ended(store, n, stage, at, err) < 0)
        return -1;
    return sql_run(store, err, SQL_STAGE_SET, INTEGER(n), TEXT(stage), INTEGER(at));
}

int
sql_stage_ended(struct store *store, int64_t n, const char *next, int64_t at, struct err *err)
{
    auto_sql sqlite3_stmt *stmt =
        sql_start(store, err, SQL_STAGE_TIME_ADD, INTEGER(n), INTEGER(at), TEXT(next));
    int r = stmt ? sql_step(store, stmt, err) : -1;
    if (r <= 0)
        return r;
    auto_free char *stage = strdup(sql_string(stmt, 0));
    if (!stage)
        return err_errno(err, ENOMEM, "%s: note how long a stage took", store->path);
    if (sql_step(store, stmt, err) < 0)
        return -1;
    return sql_run(store, err, SQL_STAGE_TIME_PRUNE, TEXT(stage), INTEGER(STAGE_TIMES_KEPT));
}

static int
set_machine(struct store *store, int64_t n, const struct store_machine *machine, struct err *err)
{
    if (sql_run(store, err, SQL_MACHINE_SET, INTEGER(n), TEXT(machine->name), TEXT(machine->moref),
                TEXT(machine->uuid), TEXT(machine->server), TEXT(machine->host)) < 0 ||
        sql_run(store, err, SQL_DISK_CLEAR, INTEGER(n)) < 0)
        return -1;
    for (size_t i = 0; i < machine->n_disks; i++) {
        const struct store_disk *disk = &machine->disks[i];
        if (sql_run(store, err, SQL_DISK_ADD, INTEGER(n), INTEGER(disk->key), TEXT(disk->label),
                    INTEGER(disk->capacity_bytes), TEXT_OR_EMPTY(disk->image)) < 0)
            return -1;
    }
    return 0;
}

static int
set_round(struct store *store, int64_t n, const struct store_round *round, struct err *err)
{
    if (sql_run(store, err, SQL_ROUND_CLEAR, INTEGER(n), INTEGER(round->number)) < 0 ||
        sql_run(store, err, SQL_ROUND_ADD, INTEGER(n), INTEGER(round->number), TEXT(round->kind),
                INTEGER(round->started_at), REAL(round->seconds)) < 0)
        return -1;
    for (size_t i = 0; i < round->n_disks; i++) {
        const struct store_round_disk *disk = &round->disks[i];
        if (sql_run(store, err, SQL_ROUND_DISK_ADD, INTEGER(n), INTEGER(round->number),
                    INTEGER(disk->key), INTEGER(disk->areas), INTEGER(disk->changed_bytes),
                    INTEGER(disk->read_bytes), INTEGER(disk->written_bytes), INTEGER(disk->full),
                    TEXT_OR_EMPTY(disk->why)) < 0)
            return -1;
    }
    return 0;
}

static int
set_object(struct store *store, int64_t n, const struct store_object *object, int64_t at,
           struct err *err)
{
    return sql_run(store, err, SQL_OBJECT_PUT, INTEGER(n), TEXT(object->kind), TEXT(object->name),
                   TEXT(store_object_state_name(object->state)), TEXT(object->detail), INTEGER(at));
}

/* ---- reading ---- */

/* The disks of a round, which are given as one array; their reasons are copies. */
struct round_disks {
    struct store_round_disk disks[VM_MAX_DISKS];
    char *why[VM_MAX_DISKS];
    size_t n;
};

static int list_rounds(struct store *store, sqlite3_stmt *stmt, struct round_disks *disks,
                       store_round_fn *each, void *arg, struct err *err);
static int read_round_disks(struct store *store, int64_t n, int64_t number,
                            struct round_disks *disks, struct err *err);
static void clear_round_disks(struct round_disks *disks);
static int list_objects(struct store *store, sqlite3_stmt *stmt, store_object_fn *each, void *arg,
                        struct err *err);

int
store_disks(struct store *store, const char *id, store_disk_fn *each, void *arg, struct err *err)
{
    auto_sql sqlite3_stmt *stmt = sql_start(store, err, SQL_DISK_LIST, TEXT(id));
    int r = stmt ? 1 : -1;
    while (r == 1 && (r = sql_step(store, stmt, err)) == 1) {
        const struct store_disk disk = {
            .key = sqlite3_column_int64(stmt, 0),
            .label = sql_string(stmt, 1),
            .capacity_bytes = (uint64_t)sqlite3_column_int64(stmt, 2),
            .image = sql_text(stmt, 3),
        };
        if (sql_lend(store, err) < 0)
            return -1;
        r = each(&disk, arg, err) < 0 ? -1 : 1;
        store->listing = false;
    }
    return r;
}

int
store_rounds(struct store *store, const char *id, store_round_fn *each, void *arg, struct err *err)
{
    auto_sql sqlite3_stmt *stmt = sql_start(store, err, SQL_ROUND_LIST, TEXT(id));
    struct round_disks *disks = stmt ? calloc(1, sizeof *disks) : NULL;
    if (!stmt)
        return -1;
    if (!disks)
        return err_errno(err, ENOMEM, "%s: list the rounds", store->path);
    int r = list_rounds(store, stmt, disks, each, arg, err);
    clear_round_disks(disks);
    free(disks);
    return r;
}

static int
list_rounds(struct store *store, sqlite3_stmt *stmt, struct round_disks *disks,
            store_round_fn *each, void *arg, struct err *err)
{
    int r;
    while ((r = sql_step(store, stmt, err)) == 1) {
        int64_t number = sqlite3_column_int64(stmt, 1);
        clear_round_disks(disks);
        if (read_round_disks(store, sqlite3_column_int64(stmt, 0), number, disks, err) < 0)
            return -1;
        const struct store_round round = {
            .number = (unsigned)number,
            .kind = sql_string(stmt, 2),
            .started_at = sqlite3_column_int64(stmt, 3),
            .seconds = sqlite3_column_double(stmt, 4),
            .disks = disks->disks,
            .n_disks = disks->n,
        };
        if (sql_lend(store, err) < 0)
            return -1;
        r = each(&round, arg, err);
        store->listing = false;
        if (r < 0)
            return -1;
    }
    return r;
}

static int
read_round_disks(struct store *store, int64_t n, int64_t number, struct round_disks *disks,
                 struct err *err)
{
    auto_sql sqlite3_stmt *stmt =
        sql_start(store, err, SQL_ROUND_DISK_LIST, INTEGER(n), INTEGER(number));
    int r = stmt ? 1 : -1;
    while (r == 1 && (r = sql_step(store, stmt, err)) == 1) {
        if (disks->n == VM_MAX_DISKS)
            return sql_damaged(store, "a round of too many disks", err);
        const char *why = sql_text(stmt, 6);
        char *copy = why ? strdup(why) : NULL;
        if (why && !copy)
            return err_errno(err, ENOMEM, "%s: list the rounds", store->path);
        disks->why[disks->n] = copy;
        disks->disks[disks->n++] = (struct store_round_disk){
            .key = sqlite3_column_int64(stmt, 0),
            .areas = (uint64_t)sqlite3_column_int64(stmt, 1),
            .changed_bytes = (uint64_t)sqlite3_column_int64(stmt, 2),
            .read_bytes = (uint64_t)sqlite3_column_int64(stmt, 3),
            .written_bytes = (uint64_t)sqlite3_column_int64(stmt, 4),
            .full = sqlite3_column_int(stmt, 5),
            .why = copy,
        };
    }
    return r;
}

static void
clear_round_disks(struct round_disks *disks)
{
    for (size_t i = 0; i < disks->n; i++)
        free(disks->why[i]);
    disks->n = 0;
}

int
store_objects(struct store *store, const char *id, store_object_fn *each, void *arg,
              struct err *err)
{
    auto_sql sqlite3_stmt *stmt = sql_start(store, err, SQL_OBJECT_LIST, TEXT(id));
    return stmt ? list_objects(store, stmt, each, arg, err) : -1;
}

int
store_objects_left(struct store *store, const char *kind, store_object_fn *each, void *arg,
                   struct err *err)
{
    auto_sql sqlite3_stmt *stmt = kind ? sql_start(store, err, SQL_OBJECT_LEFT_KIND, TEXT(kind))
                                       : sql_start_n(store, SQL_OBJECT_LEFT, NULL, 0, err);
    return stmt ? list_objects(store, stmt, each, arg, err) : -1;
}

static int
list_objects(struct store *store, sqlite3_stmt *stmt, store_object_fn *each, void *arg,
             struct err *err)
{
    int r;
    while ((r = sql_step(store, stmt, err)) == 1) {
        struct store_object object = {
            .migration = sql_string(stmt, 0),
            .kind = sql_string(stmt, 1),
            .name = sql_string(stmt, 2),
            .detail = sql_text(stmt, 4),
            .changed_at = sqlite3_column_int64(stmt, 5),
        };
        if (!store_object_state_from_name(sql_string(stmt, 3), &object.state))
            return sql_damaged(store, "a state of an object that there is not", err);
        if (sql_lend(store, err) < 0)
            return -1;
        r = each(&object, arg, err);
        store->listing = false;
        if (r < 0)
            return -1;
    }
    return r;
}

static int compare_seconds(const void *a, const void *b);

int
store_stage_seconds(struct store *store, const char *stage, int64_t *ret_median_s, unsigned *ret_n,
                    struct err *err)
{
    int64_t seconds[STAGE_TIMES_KEPT];
    unsigned n = 0;
    auto_sql sqlite3_stmt *stmt =
        sql_start(store, err, SQL_STAGE_TIME_LIST, TEXT(stage), INTEGER(STAGE_TIMES_KEPT));
    int r = stmt ? 1 : -1;
    while (r == 1 && n < STAGE_TIMES_KEPT && (r = sql_step(store, stmt, err)) == 1)
        seconds[n++] = sqlite3_column_int64(stmt, 0);
    if (r < 0)
        return -1;
    qsort(seconds, n, sizeof seconds[0], compare_seconds);
    *ret_median_s = n == 0 ? 0 : (seconds[(n - 1) / 2] + seconds[n / 2]) / 2;
    *ret_n = n;
    return 0;
}

static int
compare_seconds(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}
