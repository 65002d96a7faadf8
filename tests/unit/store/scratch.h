/* A store in a folder of its own for each test, and what is put into it. */
#ifndef TESTS_UNIT_STORE_SCRATCH_H
#define TESTS_UNIT_STORE_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "store/store.h"

#include "../assert-err.h"

static struct err err;
static struct store *store;
static char *scratch_dir;
static char store_path[256];

static inline void
store_reopen(void)
{
    store_close(store);
    store = NULL;
    assert_ok(store_open(store_path, &store, &err));
}

static inline int
scratch_setup(void **state)
{
    (void)state;
    err = ERR_INIT;
    if (dir_make_private("/dev/shm", &scratch_dir, &err) < 0)
        return -1;
    snprintf(store_path, sizeof store_path, "%s/vmferry.db", scratch_dir);
    int r = store_open(store_path, &store, &err);
    if (r < 0)
        print_error("%s\n", err.text);
    return r;
}

static inline int
scratch_teardown(void **state)
{
    (void)state;
    store_close(store);
    store = NULL;
    dir_remove(scratch_dir, &err);
    free(scratch_dir);
    return 0;
}

#define scratch_test(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

/* A migration as the API makes one; key is "vc1/" and the id. */
static inline int
create(const char *id, enum job_status status)
{
    char key[64];
    snprintf(key, sizeof key, "vc1/%s", id);
    struct store_migration m = {
        .key = key,
        .name = (char *)id,
        .server = (char *)"vc1",
        .spec = (char *)"{\"vm\": {\"name\": \"web01\"}}",
        .job = (char *)"{}",
        .status = status,
        .created_at = 1764468000,
    };
    snprintf(m.id, sizeof m.id, "%s", id);
    return store_migration_create(store, &m, &err);
}

static inline enum job_status
status_of(const char *id)
{
    auto_migration struct store_migration m = { 0 };
    assert_ok(store_migration_get(store, id, &m, &err));
    return m.status;
}

static inline int64_t
fence_of(const char *id)
{
    auto_migration struct store_migration m = { 0 };
    assert_ok(store_migration_get(store, id, &m, &err));
    return m.fence;
}

static inline void
assert_state(const char *id, const char *wanted)
{
    auto_migration struct store_migration m = { 0 };
    assert_ok(store_migration_get(store, id, &m, &err));
    assert_string_equal(m.state, wanted);
}

static inline void
set_status(const char *id, enum job_status status, int64_t at)
{
    int64_t fence;
    const struct store_change change = { .has_status = true, .status = status };
    assert_ok(store_migration_update(store, id, fence_of(id), &change, at, &fence, &err));
}

static inline void
journal(const char *id, struct store_op op, int64_t at)
{
    int64_t fence;
    assert_ok(store_journal(store, id, fence_of(id), &op, 1, at, &fence, &err));
}

/* One number out of the database, while no store is open (or beside one that is). */
static inline int64_t
scratch_number(const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_open(store_path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return number;
}

/* Change the database behind the store's back, while no store is open. */
static inline void
scratch_do(const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(store_path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* What the functions that list give, a word and a comma each. */
static char listed[4096];

static inline void
list_word(const char *word)
{
    size_t len = strlen(listed);
    snprintf(listed + len, sizeof listed - len, "%s,", word);
}

#endif
