#include "cli/option.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/checked.h"

struct args {
    bool flag, either;
    const char *text, *maybe;
    uint64_t size;
    unsigned number, count;
    struct opt_list list;
};

#define FIELD(name) offsetof(struct args, name)

static const struct opt opts[] = {
    { 'f', "flag", NULL, OPT_FLAG, FIELD(flag), "a flag" },
    { 't', "text", "TEXT", OPT_TEXT, FIELD(text), "a text" },
    { 0, "maybe", "TEXT", OPT_MAYBE, FIELD(maybe), "a text or nothing" },
    { 0, "size", "SIZE", OPT_SIZE, FIELD(size), "a size" },
    { 0, "number", "N", OPT_NUMBER, FIELD(number), "a number" },
    { 0, "either", NULL, OPT_BOOL, FIELD(either), "true or false" },
    { 0, "count", "N", OPT_COUNT, FIELD(count), "a number or 0" },
    { 0, "os", "DIR", OPT_LIST, FIELD(list), "a list" },
    { 'o', "o", "MODE", OPT_TEXT, FIELD(text), "a letter that is a name" },
    { 0, "gone", "X", OPT_REFUSED, 0, "" },
    { 0, "other-flag", NULL, OPT_FLAG, FIELD(flag), NULL },
    { 'h', "help", NULL, OPT_HELP, 0, "help" },
    { 0 },
};
static const struct opt_table gnu = { .opts = opts };
static const struct opt_table v2v = { .opts = opts, .one_dash = true, .shown_with_one = true };

struct parsed {
    struct args args;
    int first;
    enum opt_outcome outcome;
    struct err err;
    const char *argv[32];
};

/* Words up to NULL. */
static int
parse(const struct opt_table *table, struct parsed *p, const char *const *words)
{
    int argc = 1;
    *p = (struct parsed){ .argv = { "test" } };
    for (; *words; words++)
        p->argv[argc++] = *words;
    return opt_parse(table, argc, (char **)p->argv, &p->args, &p->first, &p->outcome, &p->err);
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void
values_go_where_the_table_says(void **state)
{
    (void)state;
    struct parsed p;
    assert_int_equal(parse(&gnu, &p,
                           WORDS("a", "-f", "-tone", "--text=two", "--size", "4K", "--number", "7",
                                 "b", "--os", "x", "--os=y")),
                     0);
    assert_true(p.args.flag);
    assert_string_equal(p.args.text, "two");
    assert_true(p.args.size == 4 * KIB);
    assert_int_equal(p.args.number, 7);
    assert_int_equal(p.args.list.n, 2);
    assert_string_equal(p.args.list.values[1], "y");
    assert_null(p.args.list.values[2]);
    assert_null(p.args.maybe);
    assert_string_equal(p.argv[p.first], "a");
    assert_string_equal(p.argv[p.first + 1], "b");
}

static void
a_value_may_be_left_out_where_it_may(void **state)
{
    (void)state;
    struct parsed p;
    assert_int_equal(parse(&gnu, &p, WORDS("--maybe")), 0);
    assert_string_equal(p.args.maybe, "");
    assert_int_equal(parse(&gnu, &p, WORDS("--maybe=x")), 0);
    assert_string_equal(p.args.maybe, "x");
}

static void
either_is_what_the_last_one_says(void **state)
{
    (void)state;
    struct parsed p;
    assert_int_equal(parse(&gnu, &p, WORDS("--either")), 0);
    assert_true(p.args.either);
    assert_int_equal(parse(&v2v, &p, WORDS("-either=true", "--either=False")), 0);
    assert_false(p.args.either);
}

static void
a_count_of_0_is_as_good_as_none(void **state)
{
    (void)state;
    struct parsed p;
    assert_int_equal(parse(&gnu, &p, WORDS("--count=0")), 0);
    assert_int_equal(p.args.count, 0);
    assert_int_equal(parse(&gnu, &p, WORDS("--count", "12")), 0);
    assert_int_equal(p.args.count, 12);
}

static void
one_dash_is_enough_for_virt_v2v(void **state)
{
    (void)state;
    struct parsed p;
    assert_int_equal(parse(&v2v, &p, WORDS("-o", "local", "-os", "dir", "--flag")), 0);
    assert_string_equal(p.args.text, "local");
    assert_string_equal(p.args.list.values[0], "dir");
    assert_true(p.args.flag);
    assert_int_equal(parse(&v2v, &p, WORDS("-size", "1M")), 0);
    assert_true(p.args.size == MIB);
}

static void
help_is_an_outcome(void **state)
{
    (void)state;
    struct parsed p;
    assert_int_equal(parse(&gnu, &p, WORDS("--help")), 0);
    assert_int_equal(p.outcome, OPT_SHOW_HELP);
}

static void
a_complaint_names_the_option(void **state)
{
    (void)state;
    static const struct {
        const struct opt_table *table;
        const char *words[4];
        const char *text;
    } cases[] = {
        { &gnu, { "--nope" }, "unknown or ambiguous option '--nope'" },
        { &gnu, { "-fz" }, "unknown or ambiguous option '-z'" },
        { &v2v, { "-nope" }, "unknown or ambiguous option '-nope'" },
        { &gnu, { "--text" }, "option '--text' needs a value" },
        { &gnu, { "-t" }, "option '-t' needs a value" },
        { &gnu, { "--flag=1" }, "option '--flag=1' takes no value" },
        { &gnu, { "--size", "x" }, "--size: 'x' is not a size" },
        { &gnu, { "--number", "0" }, "--number: '0' is not a number" },
        { &gnu, { "--number", "-1" }, "--number: '-1' is not a number" },
        { &gnu, { "--number", "9999999999999999999" }, "is not a number" },
        { &gnu, { "--count", "-1" }, "--count: '-1' is not a number from 0" },
        { &gnu, { "--either=maybe" }, "--either: 'maybe' is neither true nor false" },
        { &gnu, { "--gone", "x" }, "--gone is not supported by this version of vmferry" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct parsed p;
        assert_int_equal(parse(cases[i].table, &p, cases[i].words), -1);
        assert_int_equal(p.err.kind, ERR_INVALID);
        assert_non_null(strstr(p.err.text, cases[i].text));
    }
}

static void
a_list_has_an_end(void **state)
{
    (void)state;
    const char *argv[OPT_LIST_MAX + 3] = { "test" };
    struct args args = { 0 };
    struct err err = ERR_INIT;
    enum opt_outcome outcome;
    int first;
    for (int i = 1; i <= OPT_LIST_MAX + 1; i++)
        argv[i] = "--os=x";
    assert_int_equal(
        opt_parse(&gnu, OPT_LIST_MAX + 1, (char **)argv, &args, &first, &outcome, &err), 0);
    args = (struct args){ 0 };
    assert_int_equal(
        opt_parse(&gnu, OPT_LIST_MAX + 2, (char **)argv, &args, &first, &outcome, &err), -1);
}

static void
help_shows_what_there_is(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);
    opt_print_help(&v2v, to);
    fclose(to);
    assert_non_null(strstr(text, "  -f, --flag                a flag\n"));
    assert_non_null(strstr(text, "  -os DIR                   a list\n"));
    assert_non_null(strstr(text, "  -o MODE                   a letter"));
    assert_non_null(strstr(text, "--maybe=TEXT"));
    assert_non_null(strstr(text, "refused by name:\n  --gone\n"));
    assert_null(strstr(text, "other-flag"));
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_go_where_the_table_says),
        cmocka_unit_test(a_value_may_be_left_out_where_it_may),
        cmocka_unit_test(either_is_what_the_last_one_says),
        cmocka_unit_test(a_count_of_0_is_as_good_as_none),
        cmocka_unit_test(one_dash_is_enough_for_virt_v2v),
        cmocka_unit_test(help_is_an_outcome),
        cmocka_unit_test(a_complaint_names_the_option),
        cmocka_unit_test(a_list_has_an_end),
        cmocka_unit_test(help_shows_what_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
