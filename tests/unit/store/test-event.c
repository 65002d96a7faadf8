#include <inttypes.h>

#include "scratch.h"

static int64_t
add(const char *id, const char *code, const char *text)
{
    int64_t n = 0;
    const struct store_event event = {
        .migration = id, .at = 5, .level = "warning", .code = code, .text = text
    };
    assert_ok(store_event_add(store, &event, &n, &err));
    return n;
}

static int
list_event(const struct store_event *event, void *arg, struct err *e)
{
    char text[256];
    (void)arg;
    (void)e;
    snprintf(text, sizeof text, "%" PRId64 " %s %" PRId64 " %s %s %s", event->n,
             event->migration ? event->migration : "-", event->at, event->level,
             event->code ? event->code : "-", event->text);
    list_word(text);
    return 0;
}

static const char *
events(const char *id, int64_t after, unsigned limit)
{
    listed[0] = '\0';
    assert_ok(store_events(store, id, after, limit, list_event, NULL, &err));
    return listed;
}

static void
test_events_of_one_and_of_all(void **state)
{
    (void)state;
    assert_ok(create("a", JOB_RUNNING));
    assert_ok(create("b", JOB_RUNNING));
    assert_int_equal(add("a", "cbt", "x"), 1);
    add(NULL, NULL, "started");
    add("b", NULL, "");
    add("a", NULL, "y");
    assert_string_equal(events(NULL, 0, 0), "1 a 5 warning cbt x,2 - 5 warning - started,"
                                            "3 b 5 warning - ,4 a 5 warning - y,");
    assert_string_equal(events("a", 0, 0), "1 a 5 warning cbt x,4 a 5 warning - y,");
    assert_string_equal(events("a", 0, 1), "1 a 5 warning cbt x,");
    assert_string_equal(events("a", 1, 0), "4 a 5 warning - y,");
    assert_string_equal(events(NULL, 2, 1), "3 b 5 warning - ,");
    assert_string_equal(events("nobody", 0, 0), "");
}

static void
test_refuses_events_of_nobody(void **state)
{
    (void)state;
    const struct store_event nobody = { .migration = "x", .level = "info", .text = "t" };
    const struct store_event no_level = { .text = "t" };
    const struct store_event no_text = { .level = "info" };
    assert_fails(store_event_add(store, &nobody, NULL, &err), ERR_NOT_FOUND, "x: ");
    assert_fails(store_event_add(store, &no_level, NULL, &err), ERR_INVALID, "level");
    assert_fails(store_event_add(store, &no_text, NULL, &err), ERR_INVALID, "text");
    assert_string_equal(events(NULL, 0, 0), "");
}

static void
test_prune_keeps_the_newest_and_their_numbers(void **state)
{
    (void)state;
    uint64_t removed = 77;
    for (int i = 0; i < 5; i++)
        add(NULL, NULL, "e");
    assert_ok(store_events_prune(store, 5, &removed, &err));
    assert_int_equal(removed, 0);
    assert_ok(store_events_prune(store, 2, &removed, &err));
    assert_int_equal(removed, 3);
    assert_string_equal(events(NULL, 0, 0), "4 - 5 warning - e,5 - 5 warning - e,");
    assert_ok(store_events_prune(store, 0, NULL, &err));
    assert_string_equal(events(NULL, 0, 0), "");
    store_reopen();
    assert_int_equal(add(NULL, NULL, "e"), 6); /* who asks for what is after 5 gets it */
}

static void
assert_setting(const char *key, const char *wanted)
{
    auto_free char *value = NULL;
    assert_ok(store_setting_get(store, key, &value, &err));
    if (wanted)
        assert_string_equal(value, wanted);
    else
        assert_null(value);
}

static void
test_settings(void **state)
{
    (void)state;
    assert_setting("limits", NULL);
    assert_ok(store_setting_put(store, "limits", "{\"disks_per_esxi\": 8}", &err));
    assert_ok(store_setting_put(store, "other", "1", &err));
    assert_setting("limits", "{\"disks_per_esxi\": 8}");
    assert_ok(store_setting_put(store, "limits", "[]", &err));
    assert_fails(store_setting_put(store, "limits", "{", &err), ERR_INVALID, "JSON");
    assert_fails(store_setting_put(store, "", "1", &err), ERR_INVALID, "key");
    store_reopen();
    assert_setting("limits", "[]");
    assert_ok(store_setting_put(store, "limits", NULL, &err));
    assert_ok(store_setting_put(store, "limits", NULL, &err));
    assert_setting("limits", NULL);
    assert_setting("other", "1");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_events_of_one_and_of_all),
        scratch_test(test_refuses_events_of_nobody),
        scratch_test(test_prune_keeps_the_newest_and_their_numbers),
        scratch_test(test_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
