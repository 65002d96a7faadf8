#include "model/yaml.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/checked.h"

static struct yaml_node *
read_good(const char *text)
{
    struct err err = ERR_INIT;
    struct yaml_node *root = NULL;
    if (yaml_tree_read(text, strlen(text), "a.yaml", &root, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    return root;
}

static void
assert_bad(const char *text, size_t len, const char *want)
{
    struct err err = ERR_INIT;
    struct yaml_node *root = NULL;
    assert_int_equal(yaml_tree_read(text, len, "a.yaml", &root, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    if (!strstr(err.text, want))
        fail_msg("'%s' does not say '%s'", err.text, want);
}

static void
a_tree_keeps_order_lines_and_quotes(void **state)
{
    (void)state;
    auto_yaml struct yaml_node *root = read_good("# a comment\n"
                                                 "b: true\n"
                                                 "a:\n"
                                                 "  - 'true'\n"
                                                 "  - x: |\n"
                                                 "      two\n"
                                                 "      lines\n");
    assert_int_equal(root->kind, YAML_MAP);
    assert_int_equal(root->n, 2);
    assert_string_equal(root->first->key, "b");
    assert_string_equal(root->first->text, "true");
    assert_true(root->first->plain);
    assert_int_equal(root->first->line, 2);
    const struct yaml_node *list = yaml_tree_get(root, "a");
    assert_int_equal(list->kind, YAML_LIST);
    assert_int_equal(list->line, 3);
    assert_int_equal(list->n, 2);
    assert_false(list->first->plain);
    assert_int_equal(list->first->line, 4);
    const struct yaml_node *text = yaml_tree_get(list->first->next, "x");
    assert_string_equal(text->text, "two\nlines\n");
    assert_null(yaml_tree_get(root, "c"));
    assert_null(yaml_tree_get(list, "a"));
}

static void
json_is_yaml(void **state)
{
    (void)state;
    auto_yaml struct yaml_node *root =
        read_good("{\"a\":\"x\\/\\u00fc\\n\",\n\t\"b\" : [1,2.5,null,true],\"c\":{}}\n");
    assert_string_equal(yaml_tree_get(root, "a")->text, "x/\xc3\xbc\n");
    const struct yaml_node *list = yaml_tree_get(root, "b");
    assert_int_equal(list->n, 4);
    assert_string_equal(list->first->text, "1");
    assert_true(yaml_node_is_null(list->first->next->next));
    assert_int_equal(yaml_tree_get(root, "c")->kind, YAML_MAP);
    assert_int_equal(yaml_tree_get(root, "c")->n, 0);
}

static void
nothing_is_a_plain_empty_text(void **state)
{
    (void)state;
    static const char *const texts[] = { "", "# only this\n", "---\n", "~", "null", "Null" };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        auto_yaml struct yaml_node *root = read_good(texts[i]);
        assert_true(yaml_node_is_null(root));
    }
    auto_yaml struct yaml_node *quoted = read_good("[\"\", 'null', !!str null, nUll, []]");
    for (const struct yaml_node *node = quoted->first; node; node = node->next)
        assert_false(yaml_node_is_null(node));
}

static void
bad_texts_are_refused_with_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "a: 1\nb: [1\n", "a.yaml:3: did not find expected" },
        { "a: 1\nb: 2\na: 3\n", "a.yaml:3: 'a' is given twice, first in line 1" },
        { "a: &x 1\n", "a.yaml:1: an anchor" },
        { "a: &x [1]\n", "a.yaml:1: an anchor" },
        { "a: &x {}\n", "a.yaml:1: an anchor" },
        { "a: *x\n", "a.yaml:1: an alias" },
        { "a: 1\nb: !!binary eA==\n", "a.yaml:2: a tag of one's own" },
        { "a: !mine {}\n", "a.yaml:1: a tag of one's own" },
        { "a: 1\n---\nb: 2\n", "a.yaml:2: a second document" },
        { "? [a]\n: 1\n", "a.yaml:1: a key is a text" },
        { "? {a: 1}\n: 1\n", "a.yaml:1: a key is a text" },
        { "a: 1\nb: \"x\\0y\"\n", "a.yaml:2: a NUL character" },
        { "\"a\\0b\": 1\n", "a.yaml:1: a NUL character" },
        { "a: 1\nb: \xff\n", "a.yaml:2: " },
        { "a: 1\n\nb: \x01\n", "a.yaml:3: control characters" },
        { "a: \"\\ud800\"\n", "a.yaml:1: " },
        { "a:\n\tb: 1\n", "a.yaml:2: " },
        { "a: b: c\n", "a.yaml:1: " },
        { "\"a", "a.yaml:1: " },
        { "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "deeper than" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_bad(cases[i].text, strlen(cases[i].text), cases[i].want);
    assert_bad("a: \0b", 5, "a.yaml:1: ");
}

static void
sixteen_levels_are_enough_for_everybody(void **state)
{
    (void)state;
    auto_yaml struct yaml_node *root = read_good("[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]");
    assert_int_equal(root->kind, YAML_LIST);
}

static void
what_is_too_much_is_refused(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf struct buf text = BUF_INIT(2 * YAML_MAX_BYTES);
    for (unsigned i = 0; i < YAML_MAX_NODES; i++)
        assert_int_equal(buf_add_str(&text, "- 1\n", &err), 0);
    assert_bad(text.data, text.len, "more entries than");
    auto_yaml struct yaml_node *root = NULL;
    assert_int_equal(yaml_tree_read(text.data, text.len - 4, "a", &root, &err), 0);
    assert_int_equal(root->n, YAML_MAX_NODES - 1);

    text.len = 0;
    for (unsigned i = 0; i < 1025; i++)
        assert_int_equal(buf_printf(&text, &err, "k%u: 1\n", i), 0);
    assert_bad(text.data, text.len, "a.yaml:1025: more keys than");

    text.len = 0;
    while (text.len <= YAML_MAX_BYTES)
        assert_int_equal(buf_add_str(&text, "# 0123456789\n", &err), 0);
    assert_bad(text.data, text.len, "1048576 are the most");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_keeps_order_lines_and_quotes),
        cmocka_unit_test(json_is_yaml),
        cmocka_unit_test(nothing_is_a_plain_empty_text),
        cmocka_unit_test(bad_texts_are_refused_with_their_line),
        cmocka_unit_test(sixteen_levels_are_enough_for_everybody),
        cmocka_unit_test(what_is_too_much_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
