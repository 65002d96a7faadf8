#include "store/schema.h"

#include "base/checked.h"
#include "scratch.h"
#include "store/sqlite-statement.h"

static sqlite3 *db;

static int
setup(void **state)
{
    (void)state;
    err = ERR_INIT;
    return sqlite3_open(":memory:", &db) == SQLITE_OK ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    return sqlite3_close(db) == SQLITE_OK ? 0 : -1;
}

static int64_t
number(const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

static const char *const first_steps[] = {
    "CREATE TABLE a (x TEXT); INSERT INTO a VALUES ('kept')",
    "CREATE TABLE b (y TEXT); INSERT INTO b SELECT x FROM a",
    "CREATE TABLE c (z TEXT); INSERT INTO c VALUES (1); SELECT no_such_function()",
};
static const char *const right_steps[] = { "", "", "CREATE TABLE c (z TEXT)" };

static const struct schema one = { first_steps, 1 }, two = { first_steps, 2 },
                           three = { first_steps, 3 }, repaired = { right_steps, 3 };

static void
test_each_step_once_and_whole(void **state)
{
    (void)state;
    assert_ok(schema_check(db, "x.db", &one, &err));
    assert_ok(schema_migrate(db, "x.db", &one, &err));
    assert_int_equal(number("PRAGMA user_version"), 1);
    assert_int_equal(number("PRAGMA application_id"), SCHEMA_APPLICATION_ID);

    assert_ok(schema_check(db, "x.db", &two, &err));
    assert_ok(schema_migrate(db, "x.db", &two, &err));
    assert_ok(schema_migrate(db, "x.db", &two, &err));
    assert_int_equal(number("SELECT count(*) FROM b WHERE y = 'kept'"), 1);

    assert_fails(schema_migrate(db, "x.db", &three, &err), ERR_IO,
                 "x.db: the database is damaged (no such function");
    assert_int_equal(number("PRAGMA user_version"), 2);
    assert_int_equal(number("SELECT count(*) FROM sqlite_schema WHERE name = 'c'"), 0);
    assert_true(sqlite3_get_autocommit(db));

    assert_ok(schema_migrate(db, "x.db", &repaired, &err));
    assert_int_equal(number("PRAGMA user_version"), 3);
    assert_fails(schema_check(db, "x.db", &two, &err), ERR_CONFLICT,
                 "its schema is 3, this vmferry knows 2");
}

/* With ten thousand migrations nothing may look at every row of a table. What looks through a whole
 * index counts, or takes a part of the index that is there for it; to prune, as many events are
 * passed over as are kept. */
static void
check_plan(enum sql sql, const char *detail)
{
    if (strstr(detail, "SCAN ") && !strstr(detail, "INDEX") && sql != SQL_EVENT_PRUNE)
        fail_msg("%s: %s", sql_statement_text(sql), detail);
}

static void
test_no_statement_reads_a_whole_table(void **state)
{
    (void)state;
    assert_ok(schema_migrate(db, "x.db", &schema_current, &err));
    for (int sql = 0; sql < N_SQL; sql++) {
        char text[2048];
        sqlite3_stmt *stmt = NULL;
        assert_non_null(sql_statement_text((enum sql)sql));
        snprintf(text, sizeof text, "EXPLAIN QUERY PLAN %s", sql_statement_text((enum sql)sql));
        if (sqlite3_prepare_v2(db, text, -1, &stmt, NULL) != SQLITE_OK)
            fail_msg("%s: %s", text, sqlite3_errmsg(db));
        while (sqlite3_step(stmt) == SQLITE_ROW)
            check_plan((enum sql)sql, (const char *)sqlite3_column_text(stmt, 3));
        sqlite3_finalize(stmt);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_step_once_and_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_statement_reads_a_whole_table, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
