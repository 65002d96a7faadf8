#include <inttypes.h>

#include "scratch.h"

#define T0 INT64_C(1764468000)

static int64_t fence;

static void
put(const char *id, const char *key, const char *value)
{
    journal(id, (struct store_op){ STORE_PUT, .put = { key, value } }, T0);
}

static void
enter(const char *id, const char *stage, int64_t at)
{
    journal(id, (struct store_op){ STORE_STAGE, .stage = stage }, at);
}

static void
test_state_is_one_object_of_its_keys(void **state)
{
    (void)state;
    assert_ok(create("a", JOB_RUNNING));
    assert_ok(create("b", JOB_RUNNING));
    put("a", "version", "1");
    put("a", "snapshot", "{\"moref\": \"snapshot-9\"}");
    put("a", "\xc3\xa4/2000", "\"x\\\"\\u0000\"");
    put("b", "version", "2");
    assert_state("a", "{\"snapshot\":{\"moref\": \"snapshot-9\"},\"version\":1,"
                      "\"\xc3\xa4/2000\":\"x\\\"\\u0000\"}");
    put("a", "version", "[3]");
    put("a", "snapshot", NULL);
    put("a", "\xc3\xa4/2000", "null");
    put("a", "never there", NULL);
    store_reopen();
    assert_state("a", "{\"version\":[3]}");
    assert_state("b", "{\"version\":2}");
}

static void
test_an_operation_that_fails_takes_all_with_it(void **state)
{
    (void)state;
    const struct store_op bad[] = {
        { STORE_PUT, .put = { "k", "{" } },
        { STORE_PUT, .put = { "k", "" } },
        { STORE_PUT, .put = { "k", "1 2" } },
        { STORE_PUT, .put = { "k\"", "1" } },
        { STORE_PUT, .put = { "k\\", "1" } },
        { STORE_PUT, .put = { "k\n", "1" } },
        { STORE_PUT, .put = { "", "1" } },
        { STORE_PUT, .put = { NULL, "1" } },
        { STORE_STAGE, .stage = NULL },
        { STORE_MACHINE,
          .machine = { .disks = (struct store_disk[]){ { 1, "a" }, { 2, "b" }, { 1, "c" } },
                       .n_disks = 3 } },
        { STORE_MACHINE,
          .machine = { .disks = (struct store_disk[]){ { 1, "a", UINT64_MAX } }, .n_disks = 1 } },
        { STORE_MACHINE, .machine = { .disks = NULL, .n_disks = 257 } },
        { STORE_ROUND, .round = { .kind = "delta", .seconds = -1 } },
        { STORE_ROUND, .round = { .kind = NULL } },
        { STORE_ROUND,
          .round = { .kind = "base",
                     .disks = (struct store_round_disk[]){ { .key = 1 }, { .key = 1 } },
                     .n_disks = 2 } },
        { STORE_OBJECT, .object = { "", "snapshot", "", STORE_OBJECT_MADE } },
        { STORE_OBJECT, .object = { "", "snapshot", "x", STORE_OBJECT_STATES } },
        { STORE_OBJECT, .object = { "", "snapshot", "x", STORE_OBJECT_MADE, "{]" } },
        { (enum store_op_kind)17 },
    };
    assert_ok(create("a", JOB_RUNNING));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct store_op ops[] = {
            { STORE_PUT, .put = { "first", "1" } },
            { STORE_STAGE, .stage = "delta" },
            bad[i],
        };
        assert_fails(store_journal(store, "a", 1, ops, 3, T0, &fence, &err), ERR_INVALID,
                     "operation 3: ");
    }
    auto_migration struct store_migration m = { 0 };
    assert_ok(store_migration_get(store, "a", &m, &err));
    assert_string_equal(m.state, "{}");
    assert_null(m.stage);
    assert_int_equal(m.fence, 1);
    assert_fails(store_journal(store, "a", 1, NULL, STORE_OPS_MAX + 1, T0, &fence, &err),
                 ERR_INVALID, "1025 operations");
}

static void
test_a_state_that_could_not_be_read_is_refused(void **state)
{
    (void)state;
    auto_free char *value = malloc(STORE_TEXT_MAX + 1);
    assert_non_null(value);
    memset(value, '1', STORE_TEXT_MAX);
    value[0] = value[STORE_TEXT_MAX - 1] = '"';
    value[STORE_TEXT_MAX] = '\0';
    assert_ok(create("a", JOB_RUNNING));
    put("a", "a", value);
    const struct store_op op = { STORE_PUT, .put = { "b", value } };
    assert_fails(store_journal(store, "a", 2, &op, 1, T0, &fence, &err), ERR_INVALID,
                 "the state is longer");

    /* To the byte: braces, two keys in quotes with a colon, a comma. */
    size_t left = STORE_STATE_MAX - STORE_TEXT_MAX - strlen("{\"a\":,\"b\":}") - 1;
    value[left - 1] = '"';
    value[left] = '\0';
    put("a", "b", value);
    auto_migration struct store_migration m = { 0 };
    assert_ok(store_migration_get(store, "a", &m, &err));
    assert_int_equal(strlen(m.state), STORE_STATE_MAX - 1);
}

static int
list_disk(const struct store_disk *disk, void *arg, struct err *e)
{
    char text[256];
    (void)arg;
    (void)e;
    snprintf(text, sizeof text, "%" PRId64 " %s %" PRIu64 " %s", disk->key, disk->label,
             disk->capacity_bytes, disk->image ? disk->image : "-");
    list_word(text);
    return 0;
}

static void
test_a_machine_replaces_disks_and_keeps_unknown_names(void **state)
{
    (void)state;
    const struct store_disk first[] = {
        { 2001, "scsi0:1", INT64_MAX, "/images/b" },
        { 2000, "scsi0:0", 1 << 20, NULL },
    };
    const struct store_disk second[] = { { 2000, "scsi0:0", 2 << 20, "/images/a" } };
    const struct store_op machine = { STORE_MACHINE, .machine = { "web01", "vm-16", "4210", "vc1",
                                                                  "esx1", first, 2 } };
    const struct store_op moved = { STORE_MACHINE,
                                    .machine = { .host = "esx2", .disks = second, .n_disks = 1 } };
    assert_ok(create("a", JOB_RUNNING));
    journal("a", machine, T0);
    listed[0] = '\0';
    assert_ok(store_disks(store, "a", list_disk, NULL, &err));
    assert_string_equal(listed, "2000 scsi0:0 1048576 -,"
                                "2001 scsi0:1 9223372036854775807 /images/b,");
    journal("a", moved, T0);
    listed[0] = '\0';
    assert_ok(store_disks(store, "a", list_disk, NULL, &err));
    assert_string_equal(listed, "2000 scsi0:0 2097152 /images/a,");
    auto_migration struct store_migration m = { 0 };
    assert_ok(store_migration_get(store, "a", &m, &err));
    assert_string_equal(m.name, "web01");
    assert_string_equal(m.moref, "vm-16");
    assert_string_equal(m.uuid, "4210");
    assert_string_equal(m.host, "esx2");
    listed[0] = '\0';
    assert_ok(store_disks(store, "nobody", list_disk, NULL, &err));
    assert_string_equal(listed, "");
}

static int
list_round(const struct store_round *round, void *arg, struct err *e)
{
    char text[256];
    (void)arg;
    (void)e;
    snprintf(text, sizeof text, "%u %s %" PRId64 " %.1f", round->number, round->kind,
             round->started_at, round->seconds);
    list_word(text);
    for (size_t i = 0; i < round->n_disks; i++) {
        const struct store_round_disk *disk = &round->disks[i];
        snprintf(text, sizeof text,
                 "%" PRId64 ":%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %s", disk->key,
                 disk->areas, disk->changed_bytes, disk->read_bytes, disk->written_bytes,
                 disk->full ? disk->why : "-");
        assert_int_equal(disk->full, disk->why != NULL);
        list_word(text);
    }
    return 0;
}

static void
test_rounds_with_their_disks(void **state)
{
    (void)state;
    const struct store_round_disk base[] = { { .key = 2000, 0, 0, 9, 8, true, "no changeId" },
                                             { .key = 2001, 0, 0, 7, 6, true, "first" } };
    const struct store_round_disk delta[] = { { .key = 2000, 12, 4, 3, 2, false, NULL } };
    const struct store_op ops[] = {
        { STORE_ROUND, .round = { 1, "delta", T0 + 1, 0.5, base, 2 } },
        { STORE_ROUND, .round = { 0, "base", T0, 12.5, base, 2 } },
        { STORE_ROUND, .round = { 1, "final", T0 + 2, 1, delta, 1 } }, /* once more */
        { STORE_ROUND, .round = { 2, "empty", T0 + 3, 0, NULL, 0 } },
    };
    assert_ok(create("a", JOB_RUNNING));
    assert_ok(store_journal(store, "a", 1, ops, 4, T0, &fence, &err));
    listed[0] = '\0';
    assert_ok(store_rounds(store, "a", list_round, NULL, &err));
    assert_string_equal(listed,
                        "0 base 1764468000 12.5,2000:0 0 9 8 no changeId,2001:0 0 7 6 first,"
                        "1 final 1764468002 1.0,2000:12 4 3 2 -,2 empty 1764468003 0.0,");
    auto_migration struct store_migration m = { 0 };
    assert_ok(store_migration_get(store, "a", &m, &err));
    assert_int_equal(m.rounds, 3);
}

static int
list_object(const struct store_object *object, void *arg, struct err *e)
{
    char text[256];
    (void)arg;
    (void)e;
    snprintf(text, sizeof text, "%s %s %s %s %s %" PRId64, object->migration, object->kind,
             object->name, store_object_state_name(object->state),
             object->detail ? object->detail : "-", object->changed_at - T0);
    list_word(text);
    return 0;
}

static void
object(const char *id, const char *kind, const char *name, enum store_object_state s,
       const char *detail, int64_t at)
{
    journal(id, (struct store_op){ STORE_OBJECT, .object = { NULL, kind, name, s, detail } }, at);
}

static const char *
left(const char *kind)
{
    listed[0] = '\0';
    assert_ok(store_objects_left(store, kind, list_object, NULL, &err));
    return listed;
}

static void
test_objects_are_known_before_and_after(void **state)
{
    (void)state;
    assert_ok(create("a", JOB_RUNNING));
    assert_ok(create("b", JOB_RUNNING));
    object("a", "snapshot", "vmferry-1", STORE_OBJECT_PLANNED, "{\"vm\":1}", T0);
    object("a", "domain", "web01", STORE_OBJECT_PLANNED, NULL, T0 + 1);
    object("a", "snapshot", "vmferry-1", STORE_OBJECT_MADE, NULL, T0 + 2);
    object("a", "snapshot", "vmferry-2", STORE_OBJECT_MADE, NULL, T0 + 3);
    object("a", "domain", "web01", STORE_OBJECT_MADE, "{}", T0 + 4);
    object("b", "snapshot", "vmferry-1", STORE_OBJECT_MADE, NULL, T0 + 5);
    object("a", "snapshot", "vmferry-2", STORE_OBJECT_GONE, NULL, T0 + 6);
    listed[0] = '\0';
    assert_ok(store_objects(store, "a", list_object, NULL, &err));
    assert_string_equal(listed, "a snapshot vmferry-1 made {\"vm\":1} 2,a domain web01 made {} 4,"
                                "a snapshot vmferry-2 gone - 6,");
    assert_string_equal(left(NULL), "");
    set_status("b", JOB_CANCELLED, T0);
    assert_string_equal(left(NULL), "b snapshot vmferry-1 made - 5,");
    set_status("a", JOB_DONE, T0);
    assert_string_equal(left("domain"), "a domain web01 made {} 4,");
    assert_string_equal(left("snapshot"),
                        "a snapshot vmferry-1 made {\"vm\":1} 2,b snapshot vmferry-1 made - 5,");
    assert_string_equal(left("file"), "");
    object("a", "snapshot", "vmferry-1", STORE_OBJECT_GONE, NULL, T0 + 7);
    assert_string_equal(left(NULL), "a domain web01 made {} 4,b snapshot vmferry-1 made - 5,");
}

static void
assert_seconds(const char *stage, unsigned wanted_n, int64_t wanted_median)
{
    unsigned n;
    int64_t median;
    assert_ok(store_stage_seconds(store, stage, &median, &n, &err));
    assert_int_equal(n, wanted_n);
    assert_int_equal(median, wanted_median);
}

static void
test_stages_that_ran_through_make_history(void **state)
{
    (void)state;
    assert_ok(create("a", JOB_RUNNING));
    assert_seconds("converting", 0, 0);
    enter("a", "delta", T0);
    enter("a", "converting", T0 + 10);
    assert_seconds("delta", 1, 10);
    set_status("a", JOB_RUNNING, T0 + 20); /* no stop */
    enter("a", "import_root_disk", T0 + 70);
    assert_seconds("converting", 1, 60);
    set_status("a", JOB_DONE, T0 + 75); /* the last one ends with it */
    assert_seconds("import_root_disk", 1, 5);
    set_status("a", JOB_DONE, T0 + 99);
    assert_seconds("import_root_disk", 1, 5);
    store_migration_delete(store, "a", &err);
    assert_seconds("converting", 1, 60);

    assert_ok(create("b", JOB_RUNNING));
    enter("b", "converting", T0);
    set_status("b", JOB_RETRYING, T0 + 5); /* stopped in between */
    set_status("b", JOB_RUNNING, T0 + 1000);
    enter("b", "import_root_disk", T0 + 1100);
    assert_seconds("converting", 1, 60);
    enter("b", "converting", T0 + 2000);
    enter("b", "converting", T0 + 2500); /* from its beginning */
    enter("b", "done", T0 + 2540);
    assert_seconds("converting", 2, 50);
    enter("b", "converting", T0);
    enter("b", "done", T0 - 5); /* the clock went back */
    assert_seconds("converting", 2, 50);
}

static void
test_history_is_of_the_latest(void **state)
{
    (void)state;
    int64_t at = T0;
    assert_ok(create("a", JOB_RUNNING));
    for (int i = 0; i < 130; i++) {
        enter("a", "converting", at);
        enter("a", "other", at += i < 30 ? 1000 : i);
        at++;
    }
    assert_seconds("converting", 100, 79); /* of 30 to 129, 79.5 */
    assert_int_equal(scratch_number("SELECT count(*) FROM stage_time"), 200);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_state_is_one_object_of_its_keys),
        scratch_test(test_an_operation_that_fails_takes_all_with_it),
        scratch_test(test_a_state_that_could_not_be_read_is_refused),
        scratch_test(test_a_machine_replaces_disks_and_keeps_unknown_names),
        scratch_test(test_rounds_with_their_disks),
        scratch_test(test_objects_are_known_before_and_after),
        scratch_test(test_stages_that_ran_through_make_history),
        scratch_test(test_history_is_of_the_latest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
