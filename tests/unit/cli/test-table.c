#include "cli/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct table_column columns[] = {
    { "NAME", 4, 8, false },
    { "CPUS", 3, 6, true },
    { "PATH", 6, 100, false },
};

/* What a table prints of pages of rows (a NULL first cell ends a page, two the list). */
static char *
print(unsigned screen, const char *const rows[][3])
{
    char *text = NULL;
    size_t len = 0;
    struct err err = ERR_INIT;
    struct table table;
    FILE *to = open_memstream(&text, &len);
    assert_non_null(to);
    table_init(&table, columns, 3, to, screen);
    for (size_t i = 0; rows[i][0] || rows[i + 1][0]; i++) {
        if (rows[i][0])
            assert_int_equal(table_add(&table, rows[i], &err), 0);
        else
            table_flush(&table);
    }
    table_flush(&table);
    table_free(&table);
    fclose(to);
    return text;
}

static void
assert_prints(unsigned screen, const char *const rows[][3], const char *wanted)
{
    char *text = print(screen, rows);
    assert_string_equal(text, wanted);
    free(text);
}

static void
columns_stand_under_their_titles(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        { "web01", "2", "/DC0/vm/web01" }, { "db", "16", "/db" }, { NULL }, { NULL }
    };
    assert_prints(0, rows,
                  "NAME   CPUS  PATH\n"
                  "web01     2  /DC0/vm/web01\n"
                  "db       16  /db\n");
}

static void
off_a_terminal_nothing_is_cut(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        { "a-very-long-name", "2", "/x" }, { "b", "2", "/y" }, { NULL }, { NULL }
    };
    assert_prints(0, rows,
                  "NAME      CPUS  PATH\n"
                  "a-very-long-name     2  /x\n"
                  "b            2  /y\n");
}

static void
on_a_terminal_a_row_is_a_line(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        { "a-very-long-name", "2", "/DC0/vm/long" }, { "b", "2", "/y" }, { NULL }, { NULL }
    };
    assert_prints(24, rows,
                  "NAME      CPUS  PATH\n"
                  "a-very-\xe2\x80\xa6     2  /DC0/vm\xe2\x80\xa6\n"
                  "b            2  /y\n");
    /* Too narrow for anything: the last column keeps its least width. */
    assert_prints(5, rows,
                  "NAME      CPUS  PATH\n"
                  "a-very-\xe2\x80\xa6     2  /DC0/\xe2\x80\xa6\n"
                  "b            2  /y\n");
}

static void
titles_come_once_and_widths_stay(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        { "a", "1", "/a" }, { NULL }, { "abcdef", "1", "/b" }, { NULL }, { NULL }
    };
    assert_prints(0, rows,
                  "NAME  CPUS  PATH\n"
                  "a        1  /a\n"
                  "abcdef     1  /b\n");
    static const char *const none[][3] = { { NULL }, { NULL } };
    assert_prints(80, none, "");
}

static void
letters_are_counted_not_bytes(void **state)
{
    (void)state;
    assert_int_equal(text_width("abc"), 3);
    assert_int_equal(text_width("gr\xc3\xbc\xc3\x9f"), 4);
    assert_int_equal(text_width("\xe6\x97\xa5\xe6\x9c\xac"), 4);
    assert_int_equal(text_width("\xff\xfe"), 2);
    assert_int_equal(text_width("\xe6\x97"), 2); /* cut short */
    static const char *const rows[][3] = {
        { "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\x97\xa5\xe6\x9c\xac", "1", "/x" },
        { NULL },
        { NULL }
    };
    assert_prints(60, rows,
                  "NAME      CPUS  PATH\n"
                  "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe2\x80\xa6      1  /x\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_stand_under_their_titles),
        cmocka_unit_test(off_a_terminal_nothing_is_cut),
        cmocka_unit_test(on_a_terminal_a_row_is_a_line),
        cmocka_unit_test(titles_come_once_and_widths_stay),
        cmocka_unit_test(letters_are_counted_not_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
