#include "wire/json.h"

#include <inttypes.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static json_t *
parse(const char *text)
{
    struct err err = ERR_INIT;
    json_t *obj = json_parse_object(text, strlen(text), &err);
    if (!obj)
        fail_msg("%s: %s", text, err.text);
    return obj;
}

static void
getters_give_the_value_or_the_fallback(void **state)
{
    (void)state;
    auto_json json_t *obj =
        parse("{\"s\": \"text\", \"i\": -5, \"t\": true, \"n\": null, \"f\": 1.5}");
    assert_string_equal(json_get_str(obj, "s", "x"), "text");
    assert_string_equal(json_get_str(obj, "i", "x"), "x");
    assert_string_equal(json_get_str(obj, "n", "x"), "x");
    assert_null(json_get_str(obj, "missing", NULL));
    assert_int_equal(json_get_int(obj, "i", 9), -5);
    assert_int_equal(json_get_int(obj, "f", 9), 9);
    assert_int_equal(json_get_int(obj, "s", 9), 9);
    assert_true(json_get_bool(obj, "t", false));
    assert_true(json_get_bool(obj, "i", true));
    assert_false(json_get_bool(NULL, "t", false));
}

static void
sizes_survive_as_numbers_and_as_strings(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        uint64_t value;
    } cases[] = {
        { "{\"n\": 9007199254740993}", UINT64_C(9007199254740993) },
        { "{\"n\": \"9007199254740993\"}", UINT64_C(9007199254740993) },
        { "{\"n\": \"18446744073709551615\"}", UINT64_MAX },
        { "{\"n\": 0}", 0 },
        { "{\"n\": -1}", 42 },
        { "{\"n\": \"-1\"}", 42 },
        { "{\"n\": \"12x\"}", 42 },
        { "{\"n\": \" 12\"}", 42 },
        { "{\"n\": \"\"}", 42 },
        { "{\"n\": \"18446744073709551616\"}", 42 },
        { "{\"n\": 1.0}", 42 },
        { "{}", 42 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        auto_json json_t *obj = parse(cases[i].json);
        assert_int_equal(json_get_u64(obj, "n", 42), cases[i].value);
    }
}

static void
need_names_the_key(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_json json_t *obj = parse("{\"path\": 5, \"ok\": \"yes\"}");
    const char *text = "untouched";
    assert_int_equal(json_need_str(obj, "path", &text, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.text, "'path'"));
    assert_string_equal(text, "untouched");
    assert_int_equal(json_need_str(obj, "ok", &text, &err), 0);
    assert_string_equal(text, "yes");
}

static void
parser_refuses_what_is_no_object(void **state)
{
    (void)state;
    static const char *const cases[] = { "",
                                         "[]",
                                         "1",
                                         "\"text\"",
                                         "{",
                                         "{\"a\":1",
                                         "{\"a\":1}x",
                                         "{\"a\":1,\"a\":2}",
                                         "{\"a\":NaN}",
                                         "{\"a\":\"\\u0000\"}",
                                         "{\"a\":\"\xff\"}" };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = ERR_INIT;
        assert_null(json_parse_object(cases[i], strlen(cases[i]), &err));
        assert_int_equal(err.kind, ERR_INVALID);
    }
}

static void
nesting_is_bounded(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char text[60000];
    memcpy(text, "{\"a\":", 5);
    memset(text + 5, '[', sizeof text - 5);
    assert_null(json_parse_object(text, sizeof text, &err));
    assert_int_equal(err.kind, ERR_INVALID);
}

static void
errors_go_there_and_back(void **state)
{
    (void)state;
    struct err err = ERR_INIT, back = ERR_INIT;
    err_set(&err, ERR_CONFLICT, "in \"use\"\n");
    auto_json json_t *obj = json_from_err(&err);
    json_to_err(obj, &back);
    assert_int_equal(back.kind, ERR_CONFLICT);
    assert_string_equal(back.text, err.text);

    json_to_err(NULL, &back);
    assert_int_equal(back.kind, ERR_BUG);
    assert_string_not_equal(back.text, "");
}

/* A file's name may be any bytes; the error that carries it must arrive all the same. */
static void
text_that_is_not_utf8_arrives(void **state)
{
    (void)state;
    struct err err = ERR_INIT, back = ERR_INIT;
    err_set(&err, ERR_NOT_FOUND, "disk-\xe9.img: open");
    auto_json json_t *obj = json_from_err(&err);
    assert_non_null(obj);
    json_to_err(obj, &back);
    assert_int_equal(back.kind, ERR_NOT_FOUND);
    assert_string_equal(back.text, "disk-?.img: open");

    auto_json json_t *kept = json_text("caf\xc3\xa9");
    assert_string_equal(json_string_value(kept), "caf\xc3\xa9");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(getters_give_the_value_or_the_fallback),
        cmocka_unit_test(sizes_survive_as_numbers_and_as_strings),
        cmocka_unit_test(need_names_the_key),
        cmocka_unit_test(parser_refuses_what_is_no_object),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(errors_go_there_and_back),
        cmocka_unit_test(text_that_is_not_utf8_arrives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
