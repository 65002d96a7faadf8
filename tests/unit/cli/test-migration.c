#include "cli/migration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/checked.h"

#define NOW 1764468000

static json_t *
parse(const char *text)
{
    struct err err = ERR_INIT;
    json_t *json = json_parse_object(text, strlen(text), &err);
    assert_non_null(json);
    return json;
}

static void
reads_what_is_there(void **state)
{
    (void)state;
    auto_json json_t *json = parse(
        "{\"id\": \"4f1c0a9be2d7\", \"name\": \"web01\", \"moref\": \"vm-16\", \"server\": \"vc1\","
        " \"status\": \"waiting\", \"stage\": \"delta\", \"next_stage\": \"delta\","
        " \"overall_pct\": 62.5, \"rounds\": 4, \"due_at\": 1764468252, \"finalize\": true,"
        " \"error\": {\"kind\": \"io\", \"text\": \"x\"}, \"forecast\": {\"downtime_s\": 95}}");
    struct migration m;
    migration_read(json, &m);
    assert_string_equal(m.id, "4f1c0a9be2d7");
    assert_string_equal(m.name, "web01");
    assert_int_equal(m.status, JOB_WAITING);
    assert_int_equal(m.rounds, 4);
    assert_true(m.pct > 62.4 && m.pct < 62.6);
    assert_true(m.finalize && !m.finalize_now);
    assert_int_equal(m.downtime_s, 95);
    assert_string_equal(m.error, "x");
}

static void
nothing_is_not_started(void **state)
{
    (void)state;
    struct migration m;
    migration_read(NULL, &m);
    assert_string_equal(m.stage, "not_started");
    assert_string_equal(m.next_stage, "connecting_vcenter");
    assert_null(m.moref);
    assert_int_equal(m.downtime_s, -1);
}

static void
a_machine_that_was_not_found_has_the_name_it_is_looked_for_by(void **state)
{
    (void)state;
    static const struct {
        const char *json, *name;
    } cases[] = {
        { "{\"key\": \"vc1/name:web01\", \"name\": \"name:web01\"}", "web01" },
        { "{\"key\": \"vc1/path:/DC0/vm/a:b\", \"name\": null}", "/DC0/vm/a:b" },
        { "{\"key\": \"vc1/name:web01\", \"name\": \"a:b\"}", "a:b" },
        { "{\"id\": \"4f1c\"}", "4f1c" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_json json_t *json = parse(cases[i].json);
        struct migration m;
        migration_read(json, &m);
        assert_string_equal(m.name, cases[i].name);
    }
}

static void
each_status_has_its_words(void **state)
{
    (void)state;
    static const struct {
        const char *json, *text;
    } cases[] = {
        { "{\"status\": \"queued\"}", "queued" },
        { "{\"status\": \"running\", \"rounds\": 1}", "running, 1 round" },
        { "{\"status\": \"running\", \"rounds\": [{}, {}]}", "running, 2 rounds" },
        { "{\"status\": \"running\", \"finalize_now\": true}", "running, cutting over now" },
        { "{\"status\": \"waiting\", \"rounds\": 4, \"due_at\": 1764468252, "
          "\"forecast\": {\"downtime_s\": 95}}",
          "4 rounds, next in 4:12, downtime about 1:35" },
        { "{\"status\": \"waiting\", \"rounds\": 4, \"due_at\": 1}", "4 rounds, next at once" },
        { "{\"status\": \"waiting\", \"due_at\": 1764468030, \"finalize\": true}",
          "next in 30 s, cutting over after this round" },
        { "{\"status\": \"asking\", \"question\": \"shutdown\"}",
          "asks: the guest cannot be asked to shut down" },
        { "{\"status\": \"paused\", \"rounds\": 2}", "paused, 2 rounds" },
        { "{\"status\": \"retrying\", \"due_at\": 1764468059, \"error\": {\"text\": \"away\"}}",
          "tries again in 59 s, away" },
        { "{\"status\": \"failed\", \"error\": {\"text\": \"no room\"}}", "failed: no room" },
        { "{\"status\": \"cancelled\", \"created_at\": 100, \"ended_at\": 160}",
          "cancelled in 1:00" },
        { "{\"status\": \"done\", \"created_at\": 100, \"ended_at\": 4000, \"rounds\": 3,"
          " \"forecast\": {\"downtime_s\": 1}, \"objects\": ["
          "{\"kind\": \"power-off\", \"state\": \"made\", \"changed_at\": 3890},"
          "{\"kind\": \"start\", \"state\": \"made\", \"changed_at\": 3990}]}",
          "done in 1:05:00, 3 rounds, downtime 1:40" },
        /* What was expected is not what was. */
        { "{\"status\": \"done\", \"forecast\": {\"downtime_s\": 1}}", "done" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[MIGRATION_TEXT_MAX];
        auto_json json_t *json = parse(cases[i].json);
        struct migration m;
        migration_read(json, &m);
        assert_string_equal(migration_text(&m, NOW, text), cases[i].text);
    }
}

static void
the_downtime_lasts_to_the_end_where_nothing_was_started(void **state)
{
    (void)state;
    auto_json json_t *json =
        parse("{\"status\": \"done\", \"ended_at\": 4000, \"objects\": ["
              "{\"kind\": \"power-off\", \"state\": \"made\", \"changed_at\": 3890},"
              "{\"kind\": \"start\", \"state\": \"planned\", \"changed_at\": 3990}]}");
    struct migration m;
    migration_read(json, &m);
    assert_int_equal(m.downtime_s, 110);
}

static void
a_text_that_is_too_long_is_left_out(void **state)
{
    (void)state;
    char huge[2 * MIGRATION_TEXT_MAX], text[MIGRATION_TEXT_MAX];
    memset(huge, 'x', sizeof huge);
    huge[sizeof huge - 1] = '\0';
    auto_json json_t *json = json_pack("{s:s, s:I, s:{s:s}}", "status", "retrying", "due_at",
                                       (json_int_t)(NOW + 5), "error", "text", huge);
    struct migration m;
    migration_read(json, &m);
    assert_string_equal(migration_text(&m, NOW, text), "tries again in 5 s");
}

static void
a_forecast_says_what_it_is_made_of(void **state)
{
    (void)state;
    char text[MIGRATION_TEXT_MAX];
    auto_json json_t *json = parse(
        "{\"forecast\": {\"downtime_s\": 95, \"basis\": {\"shutdown_s\": 20, \"shutdown_from\": "
        "\"measured\", \"settle_s\": 15, \"delta_bytes\": 3145728, \"delta_s\": 3, \"convert_s\": "
        "57, \"convert_from\": \"history\"}}}");
    struct migration m;
    migration_read(json, &m);
    assert_string_equal(migration_basis(&m, text),
                        "shutdown 20 s (measured), settling 15 s, last round 3 s for 3.00 MiB, "
                        "conversion 57 s (history)");
    migration_read(NULL, &m);
    assert_string_equal(migration_basis(&m, text), "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_there),
        cmocka_unit_test(nothing_is_not_started),
        cmocka_unit_test(a_machine_that_was_not_found_has_the_name_it_is_looked_for_by),
        cmocka_unit_test(each_status_has_its_words),
        cmocka_unit_test(the_downtime_lasts_to_the_end_where_nothing_was_started),
        cmocka_unit_test(a_text_that_is_too_long_is_left_out),
        cmocka_unit_test(a_forecast_says_what_it_is_made_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
