#include "engine/machine-filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *const web[MACHINE_FIELDS] = {
    [MACHINE_NAME] = "web01",      [MACHINE_PATH] = "/DC0/vm/prod/web01",
    [MACHINE_HOST] = "esx1.lab",   [MACHINE_GUEST] = "Debian GNU/Linux 12 (64-bit)",
    [MACHINE_DATACENTER] = "/DC0", [MACHINE_POWER] = "on",
    [MACHINE_TEMPLATE] = "no",
};

static bool
matches(const char *words, const char *const values[MACHINE_FIELDS])
{
    struct machine_filter filter;
    struct err err = ERR_INIT;
    auto_json json_t *json = json_loads(words, 0, NULL);
    assert_non_null(json);
    assert_int_equal(machine_filter_parse(json, &filter, &err), 0);
    return machine_filter_matches(&filter, values);
}

static void
words_of_one_field_add_and_fields_narrow(void **state)
{
    (void)state;
    assert_true(matches("[]", web));
    assert_true(matches("[\"web*\"]", web));
    assert_true(matches("[\"WEB0?\"]", web));
    assert_false(matches("[\"web\"]", web));
    assert_true(matches("[\"db*\", \"web*\"]", web));
    assert_true(matches("[\"name=web01\", \"power=on\"]", web));
    assert_false(matches("[\"web*\", \"power=off\"]", web));
    assert_true(matches("[\"path=*/prod/*\"]", web));
    assert_true(matches("[\"host=esx1*\", \"guest=*debian*\", \"template=no\"]", web));
    assert_false(matches("[\"datacenter=/DC1\"]", web));
    assert_true(matches("[\"power=off\", \"power=ON\"]", web));
    assert_false(matches("[\"shape=round\"]", web)); /* a name, as it is no field */
    static const char *const odd[MACHINE_FIELDS] = { [MACHINE_NAME] = "shape=round" };
    assert_true(matches("[\"shape=round\"]", odd));
    assert_false(matches("[\"host=*x*\"]", odd));
    assert_true(matches("[\"host=*\"]", odd));
}

static void
what_is_no_word_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *words, *complaint;
    } cases[] = {
        { "[1]", "no word" },
        { "[\"\"]", "no word" },
        { "{}", "not a list" },
        { "[\"power=up\"]", "on, off or suspended" },
        { "[\"template=maybe\"]", "yes or no" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct machine_filter filter;
        struct err err = ERR_INIT;
        auto_json json_t *json = json_loads(cases[i].words, 0, NULL);
        assert_int_equal(machine_filter_parse(json, &filter, &err), -1);
        assert_int_equal(err.kind, ERR_INVALID);
        assert_non_null(strstr(err.text, cases[i].complaint));
    }
    auto_json json_t *many = json_array();
    for (int i = 0; i <= MACHINE_FILTER_MAX; i++)
        json_array_append_new(many, json_string("x"));
    struct machine_filter filter;
    struct err err = ERR_INIT;
    assert_int_equal(machine_filter_parse(many, &filter, &err), -1);
    json_array_remove(many, 0);
    assert_int_equal(machine_filter_parse(many, &filter, &err), 0);
    assert_int_equal(machine_filter_parse(NULL, &filter, &err), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_of_one_field_add_and_fields_narrow),
        cmocka_unit_test(what_is_no_word_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
