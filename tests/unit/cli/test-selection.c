#include "cli/selection.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/checked.h"

/* An earlier migration of web01 has ended; there are two machines db01; app01 has ended twice. */
static const char list_text[] =
    "{\"migrations\": ["
    "{\"id\": \"a1\", \"name\": \"web01\", \"moref\": \"vm-1\", \"server\": \"vc1\","
    " \"key\": \"vc1/name:web01\", \"status\": \"done\"},"
    "{\"id\": \"a2\", \"name\": \"web01\", \"moref\": \"vm-1\", \"server\": \"vc1\","
    " \"key\": \"vc1/name:web01\", \"status\": \"waiting\"},"
    "{\"id\": \"a3\", \"name\": \"db01\", \"moref\": \"vm-3\", \"server\": \"vc1\","
    " \"key\": \"vc1/moref:vm-3\", \"status\": \"running\"},"
    "{\"id\": \"a4\", \"name\": \"db01\", \"moref\": \"vm-3\", \"server\": \"vc2\","
    " \"key\": \"vc2/moref:vm-3\", \"status\": \"running\"},"
    "{\"id\": \"a5\", \"name\": \"app01\", \"moref\": \"vm-5\", \"server\": \"vc1\","
    " \"key\": \"vc1/name:app01\", \"status\": \"cancelled\"},"
    "{\"id\": \"a6\", \"name\": \"app01\", \"moref\": \"vm-5\", \"server\": \"vc1\","
    " \"key\": \"vc1/name:app01\", \"status\": \"done\"}]}";

static json_t *whole;

static int
setup(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    whole = json_parse_object(list_text, sizeof list_text - 1, &err);
    return whole ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    json_decref(whole);
    return 0;
}

/* The ids of what is picked, in their order, or the error. */
static const char *
picked(const struct selection *selection)
{
    static char ids[ERR_TEXT_MAX];
    struct err err = ERR_INIT;
    struct selected *rows = NULL;
    size_t n = 0, len = 0;
    if (selection_pick(selection, json_object_get(whole, "migrations"), &rows, &n, &err) < 0) {
        snprintf(ids, sizeof ids, "%s", err.text);
        return ids;
    }
    ids[0] = '\0';
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(ids + len, sizeof ids - len, "%s%s", i ? " " : "",
                                json_get_str(rows[i].json, "id", "-"));
    free(rows);
    return ids;
}

static void
words(void **state)
{
    (void)state;
    static const struct {
        const char *word, *ids;
    } cases[] = {
        { "a1", "a1" }, { "web01", "a2" }, { "app01", "a6" }, { "a5", "a5" }, { "a4", "a4" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *list[] = { cases[i].word, NULL };
        struct selection selection = { .words = list, .n_words = 1 };
        assert_string_equal(picked(&selection), cases[i].ids);
    }
}

static void
each_comes_once_and_in_order(void **state)
{
    (void)state;
    const char *list[] = { "web01", "a3", "a2", "app01", NULL };
    struct selection selection = { .words = list, .n_words = 4 };
    assert_string_equal(picked(&selection), "a6 a3 a2");
}

static void
a_name_of_two_machines_is_refused_with_both(void **state)
{
    (void)state;
    const char *list[] = { "db01", NULL };
    struct selection selection = { .words = list, .n_words = 1 };
    assert_non_null(strstr(picked(&selection), "a3 (vm-3), a4 (vm-3)"));
    struct selection by_moref = { .vm_ids = { .n = 1, .values = { "vm-3" } } };
    assert_non_null(strstr(picked(&by_moref), "several machines"));
}

static void
what_is_not_there_is_named(void **state)
{
    (void)state;
    struct selection selection = { .vms = { .n = 1, .values = { "web09" } } };
    assert_non_null(strstr(picked(&selection), "--vm web09"));
}

static void
all(void **state)
{
    (void)state;
    struct selection selection = { .n_words = 0 };
    assert_true(selection_is_all(&selection));
    assert_string_equal(picked(&selection), "a5 a6 a3 a4 a1 a2");
}

static void
specs_by_their_keys(void **state)
{
    (void)state;
    struct spec web = { .vm = { .name = (char *)"web01" } };
    struct spec db = { .vm = { .name = (char *)"db", .moref = (char *)"vm-3" } };
    struct spec fresh = { .vm = { .name = (char *)"new01" } };
    struct spec_entry entries[] = {
        { .file = "a", .spec = &web, .key = (char *)"vc1/name:web01" },
        { .file = "a", .spec = &db, .key = (char *)"vc2/moref:vm-3" },
        { .file = "a", .spec = &fresh, .key = (char *)"vc1/name:new01" },
    };
    struct selection selection = { .files = { .n = 3, .entries = entries } };
    assert_string_equal(picked(&selection), "a4 - a2");
    selection.vms = (struct opt_list){ .n = 1, .values = { "web01" } };
    assert_string_equal(picked(&selection), "a2");
    selection.vms = (struct opt_list){ .n = 0 };
    selection.vm_ids = (struct opt_list){ .n = 1, .values = { "vm-3" } };
    assert_string_equal(picked(&selection), "a4");
    selection.vm_ids.values[0] = "vm-9";
    assert_non_null(strstr(picked(&selection), "nothing is left"));
}

static void
a_word_is_a_spec_when_it_looks_like_one(void **state)
{
    (void)state;
    assert_true(spec_set_is_one("web01.yaml"));
    assert_true(spec_set_is_one("a.yml"));
    assert_true(spec_set_is_one("x/y"));
    assert_false(spec_set_is_one("web01"));
    assert_false(spec_set_is_one(".yaml"));
    assert_false(spec_set_is_one("4f1c0a9be2d7"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words),
        cmocka_unit_test(each_comes_once_and_in_order),
        cmocka_unit_test(a_name_of_two_machines_is_refused_with_both),
        cmocka_unit_test(what_is_not_there_is_named),
        cmocka_unit_test(all),
        cmocka_unit_test(specs_by_their_keys),
        cmocka_unit_test(a_word_is_a_spec_when_it_looks_like_one),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
