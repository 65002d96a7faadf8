/* SQLite without memory: one of its allocations fails. What comes back is right or is an error, and
 * the store is none the worse for it. Some 5,500 allocations are made, most of them to make the
 * tables; of all of them (STRIDE 1) the test takes a minute. */
#include "base/checked.h"
#include "scratch.h"

#define STRIDE 23

static sqlite3_mem_methods real;
static unsigned left; /* allocations until one fails; 0: none does */
static bool failed;

static bool
fails_now(void)
{
    if (left == 0 || --left > 0)
        return false;
    failed = true;
    return true;
}

static void *
failing_malloc(int n)
{
    return fails_now() ? NULL : real.xMalloc(n);
}

static void *
failing_realloc(void *p, int n)
{
    return fails_now() ? NULL : real.xRealloc(p, n);
}

static int
take_migration(const struct store_migration *m, void *arg, struct err *e)
{
    (void)arg;
    (void)e;
    assert_string_equal(m->key, "vc1/a");
    assert_string_equal(m->name, "a");
    return 0;
}

static int
take_object(const struct store_object *object, void *arg, struct err *e)
{
    (void)arg;
    (void)e;
    assert_string_equal(object->name, "vmferry-1");
    assert_string_equal(object->detail, "{\"a\":1}");
    return 0;
}

static int
take_round(const struct store_round *round, void *arg, struct err *e)
{
    (void)arg;
    (void)e;
    assert_string_equal(round->kind, "base");
    assert_string_equal(round->disks[0].why, "first");
    return 0;
}

static int
take_event(const struct store_event *event, void *arg, struct err *e)
{
    (void)arg;
    (void)e;
    assert_string_equal(event->text, "text");
    return 0;
}

static const struct store_round_disk moved = { .key = 2000, .why = "first" };

/* All of it, as far as it gets. */
static int
work(void)
{
    auto_migration struct store_migration m = { 0 };
    auto_free char *limits = NULL;
    int64_t fence;
    const struct store_filter running = { .statuses = 1u << JOB_RUNNING };
    const struct store_event event = { .migration = "a", .level = "info", .text = "text" };
    const struct store_op ops[] = {
        { STORE_PUT, .put = { "version", "1" } },
        { STORE_STAGE, .stage = "delta" },
        { STORE_ROUND, .round = { 0, "base", 5, 1.5, &moved, 1 } },
        { STORE_OBJECT,
          .object = { NULL, "snapshot", "vmferry-1", STORE_OBJECT_MADE, "{\"a\":1}" } },
    };
    if (store_open(store_path, &store, &err) < 0 || create("a", JOB_RUNNING) < 0 ||
        store_journal(store, "a", 1, ops, ARRAY_LEN(ops), 5, &fence, &err) < 0 ||
        store_event_add(store, &event, NULL, &err) < 0 ||
        store_setting_put(store, "limits", "{}", &err) < 0 ||
        store_migration_list(store, &running, take_migration, NULL, &err) < 0 ||
        store_objects(store, "a", take_object, NULL, &err) < 0 ||
        store_rounds(store, "a", take_round, NULL, &err) < 0 ||
        store_events(store, NULL, 0, 0, take_event, NULL, &err) < 0 ||
        store_setting_get(store, "limits", &limits, &err) < 0)
        return -1;
    assert_string_equal(limits, "{}");
    if (store_migration_find_key(store, "vc1/a", &m, &err) < 0)
        return -1;
    assert_string_equal(m.spec, "{\"vm\": {\"name\": \"web01\"}}");
    assert_string_equal(m.state, "{\"version\":1}");
    assert_string_equal(m.stage, "delta");
    return 0;
}

/* What a failed call has left of the work; then the same store does the rest. */
static void
go_on(void)
{
    uint64_t counts[N_JOB_STATUS];
    if (!store)
        assert_ok(store_open(store_path, &store, &err));
    assert_ok(store_migration_count(store, counts, &err));
    if (counts[JOB_RUNNING] == 0)
        assert_ok(create("a", JOB_RUNNING));
    journal("a", (struct store_op){ STORE_PUT, .put = { "more", "1" } }, 5);
    set_status("a", JOB_DONE, 9);
    assert_ok(store_migration_delete(store, "a", &err));
}

static void
test_any_allocation_may_fail(void **state)
{
    (void)state;
    unsigned nth = 0, refused = 0;
    do {
        store_close(store);
        store = NULL;
        unlink(store_path);
        failed = false;
        left = nth += STRIDE;
        err = ERR_INIT;
        int r = work();
        left = 0;
        if (r < 0) {
            refused++;
            assert_true(failed);
            /* json_valid of SQLite 3.40 takes no memory for no JSON. */
            bool told = err.kind == ERR_UNAVAILABLE ||
                        (err.kind == ERR_INVALID && strstr(err.text, "must be JSON"));
            if (!told || !strstr(err.text, store_path))
                fail_msg("allocation %u: %d %s", nth, (int)err.kind, err.text);
        }
        if (failed)
            go_on();
    } while (failed);
    print_message("%u allocations, %u calls refused\n", nth, refused);
    assert_true(refused > 50);
}

int
main(void)
{
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real) != SQLITE_OK)
        return 1;
    sqlite3_mem_methods failing = real;
    failing.xMalloc = failing_malloc;
    failing.xRealloc = failing_realloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &failing) != SQLITE_OK ||
        sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) != SQLITE_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        scratch_test(test_any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
