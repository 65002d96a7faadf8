#include "scratch.h"

#define DAY 86400

static int
list_id(const struct store_migration *m, void *arg, struct err *e)
{
    (void)arg;
    (void)e;
    assert_null(m->spec);
    assert_null(m->job);
    assert_null(m->state);
    list_word(m->id);
    return 0;
}

static const char *
list(struct store_filter filter)
{
    listed[0] = '\0';
    assert_ok(store_migration_list(store, &filter, list_id, NULL, &err));
    return listed;
}

static void
test_all_fields_come_back(void **state)
{
    (void)state;
    struct store_migration m = {
        .id = "4f1c0a9be2d7",
        .key = (char *)"vc1/web01",
        .name = (char *)"web'01\n\"x\" \xc3\xa4",
        .moref = (char *)"vm-16",
        .uuid = (char *)"4210",
        .server = (char *)"vc1",
        .host = (char *)"esx1",
        .spec = (char *)"{\"a\": [1, 2.50, \"x\"]}",
        .job = (char *)"{\"readers\": 4}",
        .question = (char *)"shutdown",
        .error = (char *)"{\"kind\":\"io\"}",
        .shutdown = (char *)"force",
        .status = JOB_ASKING,
        .finalize = true,
        .finalize_now = true,
        .paused = true,
        .cancel = true,
        .attempt = 7,
        .created_at = 10,
        .due_at = 20,
        .started_at = INT64_C(1) << 40,
        .ended_at = 40,
    };
    assert_ok(store_migration_create(store, &m, &err));
    store_reopen();
    auto_migration struct store_migration got = { 0 };
    assert_ok(store_migration_find_key(store, "vc1/web01", &got, &err));
    assert_string_equal(got.id, m.id);
    assert_string_equal(got.key, m.key);
    assert_string_equal(got.name, m.name);
    assert_string_equal(got.moref, m.moref);
    assert_string_equal(got.uuid, m.uuid);
    assert_string_equal(got.server, m.server);
    assert_string_equal(got.host, m.host);
    assert_string_equal(got.spec, m.spec);
    assert_string_equal(got.job, m.job);
    assert_string_equal(got.state, "{}");
    assert_null(got.stage);
    assert_string_equal(got.question, m.question);
    assert_string_equal(got.error, m.error);
    assert_string_equal(got.shutdown, m.shutdown);
    assert_int_equal(got.status, JOB_ASKING);
    assert_true(got.finalize && got.finalize_now && got.paused && got.cancel);
    assert_int_equal(got.attempt, 7);
    assert_int_equal(got.fence, 1);
    assert_int_equal(got.rounds, 0);
    assert_int_equal(got.created_at, 10);
    assert_int_equal(got.updated_at, 10);
    assert_int_equal(got.due_at, 20);
    assert_true(got.started_at == m.started_at);
    assert_int_equal(got.ended_at, 40);
}

static void
test_absent_texts_are_null(void **state)
{
    (void)state;
    struct store_migration m = { .id = "a",
                                 .key = (char *)"k",
                                 .spec = (char *)"{}",
                                 .job = (char *)"{}",
                                 .status = JOB_QUEUED };
    assert_ok(store_migration_create(store, &m, &err));
    auto_migration struct store_migration got = { 0 };
    assert_ok(store_migration_get(store, "a", &got, &err));
    assert_true(!got.name && !got.moref && !got.uuid && !got.server && !got.host);
    assert_true(!got.question && !got.error && !got.shutdown && !got.stage);
}

static void
test_refuses_what_is_no_migration(void **state)
{
    (void)state;
    const struct store_migration good = { .id = "a",
                                          .key = (char *)"k",
                                          .spec = (char *)"{}",
                                          .job = (char *)"{}",
                                          .status = JOB_QUEUED };
    struct store_migration m = good;
    m.spec = (char *)"{";
    assert_fails(store_migration_create(store, &m, &err), ERR_INVALID, "must be JSON");
    m.spec = (char *)"[]";
    assert_fails(store_migration_create(store, &m, &err), ERR_INVALID, "must be JSON");
    m.spec = NULL;
    assert_fails(store_migration_create(store, &m, &err), ERR_INVALID, "the spec is missing");
    m = good;
    m.error = (char *)"no";
    assert_fails(store_migration_create(store, &m, &err), ERR_INVALID, "must be JSON");
    m = good;
    m.key = NULL;
    assert_fails(store_migration_create(store, &m, &err), ERR_INVALID, "the key is empty");
    m = good;
    m.status = N_JOB_STATUS;
    assert_fails(store_migration_create(store, &m, &err), ERR_INVALID, "no such status");
    m = good;
    snprintf(m.id, sizeof m.id, "../etc");
    assert_fails(store_migration_create(store, &m, &err), ERR_INVALID, "../etc");
    auto_free char *text = malloc(STORE_TEXT_MAX + 2);
    assert_non_null(text);
    memset(text, ' ', STORE_TEXT_MAX + 1);
    text[STORE_TEXT_MAX + 1] = '\0';
    m = good;
    m.job = text;
    assert_fails(store_migration_create(store, &m, &err), ERR_INVALID, "longer than");
    text[0] = '{';
    text[STORE_TEXT_MAX - 1] = '}';
    text[STORE_TEXT_MAX] = '\0';
    assert_string_equal(list((struct store_filter){ 0 }), "");
    assert_ok(store_migration_create(store, &m, &err));
    auto_migration struct store_migration got = { 0 };
    assert_ok(store_migration_get(store, "a", &got, &err));
    assert_string_equal(got.job, text);
}

static void
test_one_open_migration_for_a_machine(void **state)
{
    (void)state;
    struct store_migration m = { .id = "b",
                                 .key = (char *)"vc1/a",
                                 .spec = (char *)"{}",
                                 .job = (char *)"{}",
                                 .status = JOB_QUEUED };
    assert_ok(create("a", JOB_FAILED));
    assert_fails(create("a", JOB_QUEUED), ERR_CONFLICT, "a: there is a migration of this id");
    assert_fails(store_migration_create(store, &m, &err), ERR_CONFLICT, "by migration a");
    set_status("a", JOB_CANCELLED, DAY);
    auto_migration struct store_migration got = { 0 };
    assert_fails(store_migration_find_key(store, "vc1/a", &got, &err), ERR_NOT_FOUND, "vc1/a");
    assert_ok(store_migration_create(store, &m, &err));
    assert_ok(store_migration_find_key(store, "vc1/a", &got, &err));
    assert_string_equal(got.id, "b");

    /* The old one cannot come back while the new one is there, and can when it has ended. */
    const struct store_change retry = { .has_status = true, .status = JOB_QUEUED };
    int64_t fence = 0;
    assert_fails(store_migration_update(store, "a", 2, &retry, DAY, &fence, &err), ERR_CONFLICT,
                 "by migration b");
    assert_int_equal(fence, 0);
    assert_int_equal(fence_of("a"), 2);
    set_status("b", JOB_DONE, DAY);
    assert_ok(store_migration_update(store, "a", 2, &retry, DAY, &fence, &err));
}

static void
test_change_touches_what_it_names(void **state)
{
    (void)state;
    int64_t fence = 0;
    assert_ok(create("a", JOB_QUEUED));
    const struct store_change all = {
        .has_status = true,
        .status = JOB_ASKING,
        .has_question = true,
        .question = "shutdown",
        .has_error = true,
        .error = "{}",
        .has_shutdown = true,
        .shutdown = "manual",
        .has_finalize = true,
        .finalize = true,
        .has_finalize_now = true,
        .finalize_now = true,
        .has_paused = true,
        .paused = true,
        .has_cancel = true,
        .cancel = true,
        .has_attempt = true,
        .attempt = 3,
        .has_due_at = true,
        .due_at = 1,
        .has_started_at = true,
        .started_at = 2,
        .has_ended_at = true,
        .ended_at = 3,
        .has_job = true,
        .job = "{\"limit\":1}",
    };
    assert_ok(store_migration_update(store, "a", 1, &all, DAY, &fence, &err));
    assert_int_equal(fence, 2);
    const struct store_change none = { 0 };
    assert_ok(store_migration_update(store, "a", 2, &none, 2 * DAY, &fence, &err));
    auto_migration struct store_migration m = { 0 };
    assert_ok(store_migration_get(store, "a", &m, &err));
    assert_int_equal(m.status, JOB_ASKING);
    assert_string_equal(m.question, "shutdown");
    assert_string_equal(m.error, "{}");
    assert_string_equal(m.shutdown, "manual");
    assert_string_equal(m.job, "{\"limit\":1}");
    assert_true(m.finalize && m.finalize_now && m.paused && m.cancel);
    assert_int_equal(m.attempt, 3);
    assert_int_equal(m.due_at, 1);
    assert_int_equal(m.started_at, 2);
    assert_int_equal(m.ended_at, 3);
    assert_int_equal(m.updated_at, 2 * DAY);
    assert_int_equal(m.fence, 3);

    struct store_change clear = all;
    clear.question = clear.error = clear.shutdown = NULL;
    clear.finalize = clear.finalize_now = clear.paused = clear.cancel = false;
    clear.attempt = 0;
    clear.due_at = 0;
    assert_ok(store_migration_update(store, "a", 3, &clear, DAY, &fence, &err));
    store_migration_free(&m);
    assert_ok(store_migration_get(store, "a", &m, &err));
    assert_true(!m.question && !m.error && !m.shutdown);
    assert_false(m.finalize || m.finalize_now || m.paused || m.cancel);
    assert_int_equal(m.attempt, 0);
    assert_int_equal(m.due_at, 0);
}

static void
test_old_fence_changes_nothing(void **state)
{
    (void)state;
    const struct store_change change = {
        .has_status = true, .status = JOB_RUNNING, .has_job = true, .job = "{\"x\":1}"
    };
    const struct store_op op = { .kind = STORE_PUT, .put = { "k", "1" } };
    int64_t fence = 77;
    assert_ok(create("a", JOB_QUEUED));
    set_status("a", JOB_QUEUED, DAY);
    assert_fails(store_migration_update(store, "a", 1, &change, DAY, &fence, &err), ERR_CONFLICT,
                 "by fence 1, 2 is stored");
    assert_fails(store_migration_update(store, "a", 3, &change, DAY, &fence, &err), ERR_CONFLICT,
                 "changed meanwhile");
    assert_fails(store_journal(store, "a", 1, &op, 1, DAY, &fence, &err), ERR_CONFLICT, "a: was");
    assert_fails(store_migration_update(store, "b", 1, &change, DAY, &fence, &err), ERR_NOT_FOUND,
                 "b: there is no");
    assert_fails(store_journal(store, "b", 1, &op, 1, DAY, &fence, &err), ERR_NOT_FOUND, "b: ");
    assert_int_equal(fence, 77);
    auto_migration struct store_migration m = { 0 };
    assert_ok(store_migration_get(store, "a", &m, &err));
    assert_int_equal(m.status, JOB_QUEUED);
    assert_int_equal(m.fence, 2);
    assert_string_equal(m.job, "{}");
    assert_string_equal(m.state, "{}");
}

static void
test_refused_change_changes_nothing(void **state)
{
    (void)state;
    const struct store_change bad_error = {
        .has_status = true, .status = JOB_FAILED, .has_error = true, .error = "oops"
    };
    const struct store_change no_job = { .has_job = true };
    int64_t fence;
    assert_ok(create("a", JOB_QUEUED));
    assert_fails(store_migration_update(store, "a", 1, &bad_error, DAY, &fence, &err), ERR_INVALID,
                 "JSON");
    assert_fails(store_migration_update(store, "a", 1, &no_job, DAY, &fence, &err), ERR_INVALID,
                 "missing");
    assert_int_equal(status_of("a"), JOB_QUEUED);
    assert_int_equal(fence_of("a"), 1);
}

static void
test_lists_by_status_name_and_page(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        enum job_status status;
    } made[] = {
        { "web01", JOB_DONE }, { "db_1", JOB_RUNNING }, { "WEB02", JOB_WAITING },
        { "dbx1", JOB_DONE },  { "w-eb", JOB_RUNNING }, { "app", JOB_CANCELLED },
    };
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++)
        assert_ok(create(made[i].id, made[i].status));
    const unsigned open = 1u << JOB_RUNNING | 1u << JOB_WAITING;
    const struct {
        struct store_filter filter;
        const char *wanted;
    } cases[] = {
        { { 0 }, "web01,db_1,WEB02,dbx1,w-eb,app," },
        { { .newest_first = true }, "app,w-eb,dbx1,WEB02,db_1,web01," },
        { { .limit = 2 }, "web01,db_1," },
        { { .limit = 2, .after = "db_1" }, "WEB02,dbx1," },
        { { .after = "app" }, "" },
        { { .limit = 2, .after = "WEB02", .newest_first = true }, "db_1,web01," },
        { { .statuses = open }, "db_1,WEB02,w-eb," },
        { { .statuses = open, .newest_first = true }, "w-eb,WEB02,db_1," },
        { { .statuses = open, .limit = 1, .after = "db_1" }, "WEB02," },
        { { .statuses = open, .after = "dbx1" }, "w-eb," },
        { { .statuses = 1u << JOB_PAUSED }, "" },
        { { .statuses = 1u << JOB_DONE, .limit = 1, .newest_first = true }, "dbx1," },
        { { .name = "web*" }, "web01,WEB02," },
        { { .name = "*", .statuses = open, .limit = 2 }, "db_1,WEB02," },
        { { .name = "db_1" }, "db_1," },
        { { .name = "db?1" }, "db_1,dbx1," },
        { { .name = "*b*", .statuses = 1u << JOB_DONE }, "web01,dbx1," },
        { { .name = "w%" }, "" },
        { { .name = "[w]*" }, "" },
        { { .name = "\\*" }, "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(list(cases[i].filter), cases[i].wanted);
    const struct store_filter nowhere = { .after = "gone" };
    assert_fails(store_migration_list(store, &nowhere, list_id, NULL, &err), ERR_NOT_FOUND, "gone");
    const struct store_filter empty = { .name = "" };
    assert_fails(store_migration_list(store, &empty, list_id, NULL, &err), ERR_INVALID, "pattern");

    uint64_t counts[N_JOB_STATUS];
    assert_ok(store_migration_count(store, counts, &err));
    assert_int_equal(counts[JOB_DONE], 2);
    assert_int_equal(counts[JOB_RUNNING], 2);
    assert_int_equal(counts[JOB_CANCELLED], 1);
    assert_int_equal(counts[JOB_QUEUED], 0);
}

static int
call_back(const struct store_migration *m, void *arg, struct err *e)
{
    struct store_migration got;
    int64_t fence;
    const struct store_change change = { 0 };
    (void)arg;
    assert_int_equal(store_migration_update(store, m->id, 1, &change, DAY, &fence, e), -1);
    assert_int_equal(e->kind, ERR_BUG);
    return store_migration_get(store, m->id, &got, e);
}

static int
stop_at_second(const struct store_migration *m, void *arg, struct err *e)
{
    int *n = arg;
    return ++*n == 2 ? err_set(e, ERR_CANCELLED, "enough at %s", m->id) : 0;
}

static void
test_listing_ends_with_its_callers_error(void **state)
{
    (void)state;
    int n = 0;
    const struct store_filter all = { 0 };
    for (int i = 0; i < 3; i++) {
        char id[8];
        snprintf(id, sizeof id, "m%d", i);
        assert_ok(create(id, JOB_QUEUED));
    }
    assert_fails(store_migration_list(store, &all, call_back, NULL, &err), ERR_BUG,
                 "out of a listing");
    assert_fails(store_migration_list(store, &all, stop_at_second, &n, &err), ERR_CANCELLED,
                 "enough at m1");
    assert_int_equal(n, 2);
    set_status("m0", JOB_RUNNING, DAY); /* and the store works on */
}

static void
test_delete_takes_all_of_it(void **state)
{
    (void)state;
    int64_t n;
    assert_ok(create("a", JOB_QUEUED));
    assert_ok(create("b", JOB_QUEUED));
    const struct store_disk disk = { .key = 2000, .label = "scsi0:0" };
    const struct store_round_disk moved = { .key = 2000 };
    for (int i = 0; i < 2; i++) {
        const char *id = i ? "b" : "a";
        journal(id, (struct store_op){ STORE_PUT, .put = { "k", "1" } }, DAY);
        journal(id, (struct store_op){ STORE_MACHINE, .machine = { .disks = &disk, .n_disks = 1 } },
                DAY);
        journal(id,
                (struct store_op){ STORE_ROUND,
                                   .round = { .kind = "base", .disks = &moved, .n_disks = 1 } },
                DAY);
        journal(id, (struct store_op){ STORE_OBJECT, .object = { .kind = "file", .name = "f" } },
                DAY);
        const struct store_event event = { .migration = id, .level = "info", .text = "t" };
        assert_ok(store_event_add(store, &event, &n, &err));
    }
    assert_fails(store_migration_delete(store, "a", &err), ERR_CONFLICT, "has not ended");
    set_status("a", JOB_DONE, DAY);
    assert_ok(store_migration_delete(store, "a", &err));
    assert_fails(store_migration_delete(store, "a", &err), ERR_NOT_FOUND, "a: ");
    assert_string_equal(list((struct store_filter){ 0 }), "b,");
    store_close(store);
    store = NULL;
    for (size_t i = 0; i < 7; i++) {
        static const char *const tables[] = { "migration",  "document", "state", "disk",
                                              "round_disk", "object",   "event" };
        char sql[64];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", tables[i]);
        assert_int_equal(scratch_number(sql), 1);
    }
    assert_ok(store_open(store_path, &store, &err));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_all_fields_come_back),
        scratch_test(test_absent_texts_are_null),
        scratch_test(test_refuses_what_is_no_migration),
        scratch_test(test_one_open_migration_for_a_machine),
        scratch_test(test_change_touches_what_it_names),
        scratch_test(test_old_fence_changes_nothing),
        scratch_test(test_refused_change_changes_nothing),
        scratch_test(test_lists_by_status_name_and_page),
        scratch_test(test_listing_ends_with_its_callers_error),
        scratch_test(test_delete_takes_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
