#include "base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

struct heard {
    int lines;
    enum log_level level;
    char text[4096];
};

static void
hear(enum log_level level, const char *text, void *arg)
{
    struct heard *heard = arg;
    heard->lines++;
    heard->level = level;
    snprintf(heard->text, sizeof heard->text, "%s", text);
}

static void
only_up_to_the_level_asked_for(void **state)
{
    (void)state;
    struct heard heard = { 0 };
    log_setup("test", LOG_LEVEL_INFO, hear, &heard);
    log_debug("not shown");
    assert_int_equal(heard.lines, 0);
    log_info("disk %d", 2);
    assert_int_equal(heard.lines, 1);
    assert_int_equal(heard.level, LOG_LEVEL_INFO);
    assert_string_equal(heard.text, "disk 2");
    log_error("gone");
    assert_int_equal(heard.level, LOG_LEVEL_ERROR);
}

static void
long_line_is_cut(void **state)
{
    (void)state;
    struct heard heard = { 0 };
    log_setup("test", LOG_LEVEL_INFO, hear, &heard);
    char text[3000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    log_info("%s", text);
    assert_int_equal(strlen(heard.text), 2047);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_up_to_the_level_asked_for),
        cmocka_unit_test(long_line_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
