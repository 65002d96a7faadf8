#include "model/field.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/checked.h"

struct item {
    char *key, *text;
    int64_t number;
};

struct inner {
    char *secret;
    enum tristate known;
};

struct thing {
    char *text;
    int64_t number, time;
    uint64_t size;
    enum tristate known;
    unsigned choice;
    struct text_list list;
    struct text_map pairs;
    bool has_inner;
    struct inner inner, plain;
    struct item *items;
    size_t n_items;
};

static int
check_lower(char *text, struct err *err)
{
    if (strcmp(text, "bad") == 0)
        return err_set(err, ERR_INVALID, "it is bad");
    if (text[0] == 'L')
        text[0] = 'l';
    return 0;
}

static const char *const colours[] = { "red", "Green", NULL };

static const struct field inner_fields[] = {
    { "secret", FIELD_SECRET, offsetof(struct inner, secret) },
    { "known", FIELD_TRISTATE, offsetof(struct inner, known), .fallback = "true" },
    { 0 },
};

static const struct field item_fields[] = {
    { "text", FIELD_TEXT, offsetof(struct item, text) },
    { "number", FIELD_INT, offsetof(struct item, number), .low = 0, .high = 9, .fallback = "7" },
    { 0 },
};

static const struct field fields[] = {
    { "text", FIELD_TEXT, offsetof(struct thing, text), .check = check_lower, .fallback = "Lost" },
    { "number", FIELD_INT, offsetof(struct thing, number), .low = -5, .high = 64, .fallback = "7" },
    { "time", FIELD_TIME, offsetof(struct thing, time) },
    { "size", FIELD_SIZE, offsetof(struct thing, size), .low = 1024, .high = 1 << 30 },
    { "known", FIELD_TRISTATE, offsetof(struct thing, known), .fallback = "no" },
    { "choice", FIELD_CHOICE, offsetof(struct thing, choice), .choices = colours,
      .fallback = "green" },
    { "list", FIELD_LIST, offsetof(struct thing, list), .high = 3, .check = check_lower },
    { "pairs", FIELD_PAIRS, offsetof(struct thing, pairs), .high = 3 },
    { "inner", FIELD_OBJECT, offsetof(struct thing, inner), .fields = inner_fields,
      .has_flag = true, .flag = offsetof(struct thing, has_inner) },
    { "plain", FIELD_OBJECT, offsetof(struct thing, plain), .fields = inner_fields },
    { "items", FIELD_OBJECTS, offsetof(struct thing, items), .high = 3, .fields = item_fields,
      .item_size = sizeof(struct item), .count = offsetof(struct thing, n_items),
      .check = check_lower },
    { 0 },
};

static int
read_thing(const char *text, struct thing *thing, struct err *err)
{
    auto_yaml struct yaml_node *root = NULL;
    const struct field_reading reading = { .name = "f.yaml" };
    if (yaml_tree_read(text, strlen(text), "f.yaml", &root, err) < 0)
        return -1;
    return field_read(fields, &reading, root, thing, err);
}

static void
read_good(const char *text, struct thing *thing)
{
    struct err err = ERR_INIT;
    if (read_thing(text, thing, &err) < 0)
        fail_msg("%s: %s", text, err.text);
}

static void
every_type_is_read(void **state)
{
    (void)state;
    struct thing thing = { 0 };
    read_good("text: 0815\n"
              "number: -5\n"
              "time: 2026-11-30T22:00\n"
              "size: 1.5K\n"
              "known: Yes\n"
              "choice: GREEN\n"
              "list: [7, true, '']\n"
              "pairs: {x: 1, 'y z': b, gone: ~}\n"
              "inner: {secret: \"a\\tb\"}\n"
              "items:\n"
              "  2: {text: two, number: 2}\n"
              "  Lone:\n",
              &thing);
    assert_string_equal(thing.text, "0815");
    assert_int_equal(thing.number, -5);
    assert_int_equal(thing.time, 1796076000);
    assert_int_equal(thing.size, 1536);
    assert_int_equal(thing.known, TRISTATE_YES);
    assert_int_equal(thing.choice, 2);
    assert_int_equal(thing.list.n, 2);
    assert_string_equal(thing.list.items[1], "true");
    assert_int_equal(thing.pairs.n, 2);
    assert_string_equal(text_map_get(&thing.pairs, "y z"), "b");
    assert_null(text_map_get(&thing.pairs, "gone"));
    assert_true(thing.has_inner);
    assert_string_equal(thing.inner.secret, "a\tb");
    assert_int_equal(thing.n_items, 2);
    assert_string_equal(thing.items[0].key, "2");
    assert_int_equal(thing.items[0].number, 2);
    assert_string_equal(thing.items[1].key, "lone");
    assert_null(thing.items[1].text);
    field_free(fields, &thing);
    assert_memory_equal(&thing, &(struct thing){ 0 }, sizeof thing);
}

static void
nothing_is_not_given(void **state)
{
    (void)state;
    struct thing thing = { 0 };
    read_good("text: ''\nnumber: ~\ntime: null\nsize:\nknown: ''\nchoice: \"\"\nlist:\npairs: ~\n"
              "inner: null\nplain: {}\nitems: {}\n",
              &thing);
    assert_false(field_any(fields, &thing));
    read_good("", &thing);
    assert_false(field_any(fields, &thing));
    read_good("inner:\n", &thing);
    assert_true(thing.has_inner);
    assert_true(field_any(fields, &thing));
    field_free(fields, &thing);
}

static void
booleans_in_every_spelling(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum tristate want;
    } cases[] = {
        { "true", TRISTATE_YES }, { "True", TRISTATE_YES },   { "TRUE", TRISTATE_YES },
        { "yes", TRISTATE_YES },  { "on", TRISTATE_YES },     { "y", TRISTATE_YES },
        { "false", TRISTATE_NO }, { "No", TRISTATE_NO },      { "OFF", TRISTATE_NO },
        { "n", TRISTATE_NO },     { "'true'", TRISTATE_YES }, { "~", TRISTATE_UNSET },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct thing thing = { 0 };
        char text[64];
        snprintf(text, sizeof text, "known: %s", cases[i].text);
        read_good(text, &thing);
        assert_int_equal(thing.known, cases[i].want);
    }
}

static void
errors_name_place_and_key(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "[]", "f.yaml:1: a map of keys and values belongs here, not a list" },
        { "text", "f.yaml:1: a map of keys and values belongs here, not a single value" },
        { "text: []", "f.yaml:1: text: a single value belongs here, not a list" },
        { "text: bad", "f.yaml:1: text: it is bad" },
        { "text: \"a\\nb\"", "f.yaml:1: text: a control character" },
        { "\nnumber: 65", "f.yaml:2: number: 65 is not from -5 to 64" },
        { "number: -6", "f.yaml:1: number: -6 is not from -5 to 64" },
        { "number: 99999999999999999999", "number: 99999999999999999999 is not from" },
        { "number: 1.5", "number: '1.5' is not a whole number" },
        { "number: 0x10", "number: '0x10' is not a whole number" },
        { "number: 010", "number: '010' is not a whole number" },
        { "number: 5s", "number: '5s' is not a whole number" },
        { "number: '-'", "number: '-' is not a whole number" },
        { "number: yes", "number: 'yes' is not a whole number" },
        { "time: tomorrow", "f.yaml:1: time: 'tomorrow' is no time" },
        { "size: 1023", "size: 1023 is not from 1.00 KiB to 1.00 GiB" },
        { "size: 2G", "size: 2G is not from" },
        { "size: fast", "size: 'fast' is not a size" },
        { "size: -1", "size: '-1' is not a size" },
        { "known: maybe", "known: 'maybe' is neither true nor false" },
        { "choice: blue", "choice: 'blue' is none of red, Green" },
        { "list: a", "list: a list belongs here, not a single value" },
        { "list: [a, b, c, d]", "list: 4 entries; 3 are the most" },
        { "list:\n- a\n- bad", "f.yaml:3: list: it is bad" },
        { "list: [[]]", "list: a single value belongs here, not a list" },
        { "pairs: [a]", "pairs: a map of keys and values belongs here, not a list" },
        { "pairs: {a: 1, b: 2, c: 3, d: 4}", "pairs: 4 entries; 3 are the most" },
        { "pairs: {a: {}}", "pairs: a single value belongs here, not a map" },
        { "pairs: {'': 1}", "pairs: an empty key" },
        { "pairs: {\"a\\nb\": 1}", "pairs: a control character in a key" },
        { "inner: [1]", "inner: a map of keys and values belongs here" },
        { "inner: ''", "inner: a map of keys and values belongs here" },
        { "inner: {\n  known: 3}", "f.yaml:2: inner.known: '3' is neither" },
        { "items: []", "items: a map of keys and values belongs here" },
        { "items: {a: {}, b: {}, c: {}, d: {}}", "items: 4 entries; 3 are the most" },
        { "items: {bad: {}}", "f.yaml:1: items.bad: it is bad" },
        { "items: {a: 1}", "items.a: a map of keys and values belongs here" },
        { "items: {a: {number: 10}}", "items.a.number: 10 is not from 0 to 9" },
        { "items: {a: {nmber: 1}}",
          "unknown key 'nmber' under 'items.a' (did you mean 'number'?)" },
        { "secret: x", "f.yaml:1: unknown key 'secret' (it belongs under 'inner')" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        struct thing thing = { 0 };
        if (read_thing(cases[i].text, &thing, &err) == 0)
            fail_msg("'%s' was taken", cases[i].text);
        assert_int_equal(err.kind, ERR_INVALID);
        if (!strstr(err.text, cases[i].want))
            fail_msg("'%s' does not say '%s'", err.text, cases[i].want);
        field_free(fields, &thing);
    }
}

static void
long_texts_and_secrets_are_refused_without_showing_them(void **state)
{
    (void)state;
    static const char *const ways[] = { "text: %s", "inner: {secret: %s}", "list: [%s]" };
    char text[FIELD_MAX_TEXT + 2], yaml[sizeof text + 64];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct err err = ERR_INIT;
        struct thing thing = { 0 };
        int begin = (int)strcspn(ways[i], "%");
        snprintf(yaml, sizeof yaml, "%.*s%s%s", begin, ways[i], text, ways[i] + begin + 2);
        assert_int_equal(read_thing(yaml, &thing, &err), -1);
        assert_non_null(strstr(err.text, "longer than 4096 bytes"));
        assert_null(strstr(err.text, "xxx"));
        field_free(fields, &thing);
    }
}

static void
what_is_not_known_is_a_warning_when_lenient(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct thing thing = { 0 };
    auto_text_list struct text_list warnings = { 0 };
    auto_yaml struct yaml_node *root = NULL;
    static const char text[] = "txt: 1\nnumber: 3\ninner:\n  knwon: yes\n";
    const struct field_reading reading = { "f.yaml", true, &warnings };
    assert_int_equal(yaml_tree_read(text, strlen(text), "f.yaml", &root, &err), 0);
    assert_int_equal(field_read(fields, &reading, root, &thing, &err), 0);
    assert_int_equal(thing.number, 3);
    assert_int_equal(warnings.n, 2);
    assert_string_equal(warnings.items[0], "f.yaml:1: unknown key 'txt' (did you mean 'text'?)");
    assert_string_equal(warnings.items[1],
                        "f.yaml:4: unknown key 'knwon' under 'inner' (did you mean 'known'?)");
    field_free(fields, &thing);
}

static void
a_hundred_warnings_are_enough(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct thing thing = { 0 };
    auto_text_list struct text_list warnings = { 0 };
    auto_yaml struct yaml_node *root = NULL;
    auto_buf struct buf text = BUF_INIT(65536);
    const struct field_reading reading = { "f.yaml", true, &warnings };
    for (int i = 0; i < 200; i++)
        assert_int_equal(buf_printf(&text, &err, "zzz%d: 1\n", i), 0);
    assert_int_equal(yaml_tree_read(text.data, text.len, "f.yaml", &root, &err), 0);
    assert_int_equal(field_read(fields, &reading, root, &thing, &err), 0);
    assert_int_equal(warnings.n, FIELD_MAX_WARNINGS);
    assert_string_equal(warnings.items[FIELD_MAX_WARNINGS - 1],
                        "f.yaml:100: unknown key 'zzz99', and perhaps more");
}

static void
defaults_go_where_nothing_is(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct thing thing = { 0 };
    read_good("number: 3\nplain: {known: false}\nitems: {a: {}, b: {number: 2}}\n", &thing);
    assert_int_equal(field_fill(fields, &thing, &err), 0);
    assert_string_equal(thing.text, "lost");
    assert_int_equal(thing.number, 3);
    assert_int_equal(thing.known, TRISTATE_NO);
    assert_int_equal(thing.choice, 2);
    assert_int_equal(thing.plain.known, TRISTATE_NO);
    assert_int_equal(thing.items[0].number, 7);
    assert_int_equal(thing.items[1].number, 2);
    assert_int_equal(thing.inner.known, TRISTATE_UNSET); /* it is not there */
    thing.has_inner = true;
    assert_int_equal(field_fill(fields, &thing, &err), 0);
    assert_int_equal(thing.inner.known, TRISTATE_YES);
    field_free(fields, &thing);
}

static const char whole[] =
    "text: \"say \\\"\\u2028 \\\\ \\x85\\uFEFF\\uFFFE \xc3\xbc \xf0\x9f\x98\x80\"\n"
    "number: -3\ntime: 2026-11-30T22:00:01Z\nsize: 2048\nknown: false\nchoice: red\n"
    "list: ['a, b', \"#c\", ': d']\n"
    "pairs: {'x: y': ' 1 ', '#z': \"\\\"\"}\n"
    "inner: {secret: \"\\x01\\x7f\\r\\n\"}\n"
    "items: {'1': {}, 'b\"': {text: \"\\u200b\", number: 9}}\n";

static void
what_is_written_is_read_again(void **state)
{
    (void)state;
    static const enum field_style styles[] = { FIELD_JSON, FIELD_YAML };
    for (size_t i = 0; i < ARRAY_LEN(styles); i++) {
        struct err err = ERR_INIT;
        struct thing thing = { 0 }, again = { 0 };
        auto_buf struct buf text = BUF_INIT(65536), second = BUF_INIT(65536);
        read_good(whole, &thing);
        assert_int_equal(field_write(fields, &thing, styles[i], &text, &err), 0);
        assert_int_equal(strchr(text.data, '\n') != NULL, styles[i] == FIELD_YAML);
        read_good(text.data, &again);
        assert_string_equal(again.text, thing.text);
        assert_string_equal(again.inner.secret, "\x01\x7f\r\n");
        assert_int_equal(again.time, thing.time);
        assert_string_equal(text_map_get(&again.pairs, "x: y"), " 1 ");
        assert_int_equal(again.items[1].number, 9);
        assert_int_equal(field_write(fields, &again, styles[i], &second, &err), 0);
        assert_string_equal(second.data, text.data);
        field_free(fields, &thing);
        field_free(fields, &again);
    }
}

static void
what_is_written_looks_like_this(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct thing thing = { 0 };
    auto_buf struct buf text = BUF_INIT(65536);
    assert_int_equal(field_write(fields, &thing, FIELD_JSON, &text, &err), 0);
    assert_string_equal(text.data, "{}");
    text.len = 0;
    assert_int_equal(field_write(fields, &thing, FIELD_YAML, &text, &err), 0);
    assert_string_equal(text.data, "{}\n");
    read_good("inner:\nlist: [a, b]\nnumber: 5\nitems: {x: {number: 1}, y: {}}", &thing);
    text.len = 0;
    assert_int_equal(field_write(fields, &thing, FIELD_JSON, &text, &err), 0);
    assert_string_equal(text.data, "{\"number\":5,\"list\":[\"a\",\"b\"],\"inner\":{},"
                                   "\"items\":{\"x\":{\"number\":1},\"y\":{}}}");
    text.len = 0;
    assert_int_equal(field_write(fields, &thing, FIELD_YAML, &text, &err), 0);
    assert_string_equal(text.data, "number: 5\n"
                                   "list: [\"a\",\"b\"]\n"
                                   "inner: {}\n"
                                   "items:\n"
                                   "  \"x\":\n"
                                   "    number: 1\n"
                                   "  \"y\": {}\n");
    struct buf small = BUF_INIT(20);
    assert_int_equal(field_write(fields, &thing, FIELD_JSON, &small, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    buf_free(&small);
    field_free(fields, &thing);
}

static void
secrets_are_wiped_and_all_else_stays(void **state)
{
    (void)state;
    struct thing thing = { 0 };
    read_good("text: here\ninner: {secret: x, known: true}\nplain: {secret: y}", &thing);
    field_wipe(fields, &thing);
    assert_null(thing.inner.secret);
    assert_null(thing.plain.secret);
    assert_string_equal(thing.text, "here");
    assert_int_equal(thing.inner.known, TRISTATE_YES);
    field_free(fields, &thing);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_read),
        cmocka_unit_test(nothing_is_not_given),
        cmocka_unit_test(booleans_in_every_spelling),
        cmocka_unit_test(errors_name_place_and_key),
        cmocka_unit_test(long_texts_and_secrets_are_refused_without_showing_them),
        cmocka_unit_test(what_is_not_known_is_a_warning_when_lenient),
        cmocka_unit_test(a_hundred_warnings_are_enough),
        cmocka_unit_test(defaults_go_where_nothing_is),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(what_is_written_looks_like_this),
        cmocka_unit_test(secrets_are_wiped_and_all_else_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
