#include "disk/vddk-log.h"

#include <stdio.h>

#include "base/checked.h"
#include "base/log.h"
#include "disk/vddk-error.h"
#include "scratch.h"

static char seen[32][512]; /* what our log got */
static enum log_level seen_level[32];
static size_t n_seen;

static void
take(enum log_level level, const char *text, void *arg)
{
    (void)arg;
    assert_true(n_seen < ARRAY_LEN(seen));
    snprintf(seen[n_seen], sizeof seen[0], "%s", text);
    seen_level[n_seen++] = level;
}

static int
begin(void **state)
{
    (void)state;
    log_setup("test", LOG_LEVEL_DEBUG, take, NULL);
    n_seen = 0;
    vddk_log_hide(NULL);
    return 0;
}

/* As the library calls it. */
static void __attribute__((format(printf, 2, 3))) say(vddk_log_fn *fn, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fn(fmt, ap);
    va_end(ap);
}

static void
test_levels_and_one_clean_line(void **state)
{
    (void)state;
    say(vddk_log_info, "opening %s\n", "a disk");
    say(vddk_log_warn, "first\nsecond\r\n");
    say(vddk_log_panic, "the end");
    say(vddk_log_warn, "\n");
    assert_int_equal(n_seen, 3);
    assert_string_equal(seen[0], "vddk: opening a disk");
    assert_int_equal(seen_level[0], LOG_LEVEL_DEBUG);
    assert_string_equal(seen[1], "vddk: first second");
    assert_int_equal(seen_level[1], LOG_LEVEL_INFO);
    assert_int_equal(seen_level[2], LOG_LEVEL_ERROR);
}

static void
test_calls_home_are_no_news(void **state)
{
    (void)state;
    char text[VDDK_LOG_TEXT_MAX];
    uint64_t mark = vddk_log_mark();
    say(vddk_log_panic, "VDDK_PhoneHome: cannot reach home");
    say(vddk_log_warn, "Get CEIP status failed: 42");
    vddk_log_since(mark, text, sizeof text);
    assert_string_equal(text, "");
    assert_int_equal(seen_level[0], LOG_LEVEL_DEBUG);
    assert_int_equal(seen_level[1], LOG_LEVEL_DEBUG);
}

static void
test_the_same_again_is_said_once(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        say(vddk_log_warn, "VixDiskLib[%d]: NFC error 5: no memory", 100 + i);
    say(vddk_log_warn, "VixDiskLib[1]: something else");
    size_t shown = 0;
    for (size_t i = 0; i < n_seen; i++)
        shown += seen_level[i] == LOG_LEVEL_INFO;
    assert_int_equal(shown, 2);
}

static void
test_the_last_words_since_a_moment(void **state)
{
    (void)state;
    char text[VDDK_LOG_TEXT_MAX], tiny[8];
    say(vddk_log_warn, "long ago");
    uint64_t mark = vddk_log_mark();
    vddk_log_since(mark, text, sizeof text);
    assert_string_equal(text, "");
    say(vddk_log_warn, "one");
    say(vddk_log_info, "all is well");
    say(vddk_log_info, "actual thumbprint=AA expected=BB");
    vddk_log_since(mark, text, sizeof text);
    assert_string_equal(text, "one; actual thumbprint=AA expected=BB");
    for (int i = 0; i < 16; i++)
        say(vddk_log_warn, "line %d", i % 7);
    vddk_log_since(mark, text, sizeof text);
    assert_string_equal(text, "line 0; line 1");
    vddk_log_since(mark, tiny, sizeof tiny);
    assert_string_equal(tiny, "line 0;");
}

static void
test_secrets_are_stars(void **state)
{
    (void)state;
    static const char *const secrets[] = { "hunter22", "abc", "cookie-of-a-session", NULL };
    char text[VDDK_LOG_TEXT_MAX];
    uint64_t mark = vddk_log_mark();
    vddk_log_hide(secrets);
    say(vddk_log_warn, "hunter22 and abchunter22x, cookie-of-a-session");
    vddk_log_since(mark, text, sizeof text);
    assert_string_equal(text, "*** and abc***x, ***");
    assert_string_equal(seen[0], "vddk: *** and abc***x, ***");
}

static void
test_a_line_of_any_length(void **state)
{
    (void)state;
    char text[VDDK_LOG_TEXT_MAX];
    auto_free char *line = malloc(100001);
    memset(line, 'x', 100000);
    line[100000] = '\0';
    uint64_t mark = vddk_log_mark();
    say(vddk_log_warn, "%s", line);
    vddk_log_since(mark, text, sizeof text);
    assert_true(strlen(text) < sizeof text && strlen(text) > 100);
}

/* What nobody has a code for is read from the last words. */
static void
test_errors_are_judged_with_the_log(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    uint64_t mark = vddk_log_mark();
    assert_int_equal(vddk_error_remedy(14011, mark), VDDK_RECONNECT);
    assert_int_equal(vddk_error_remedy(UINT64_C(7) << 32 | 14011, mark), VDDK_RECONNECT);
    assert_int_equal(vddk_error_remedy(1, mark), VDDK_RETRY);
    assert_int_equal(vddk_error_remedy(UINT64_C(16392) << 16 | 1, mark), VDDK_GIVE_UP);
    assert_int_equal(vddk_error_remedy(UINT64_C(16392) << 48 | 13, mark), VDDK_GIVE_UP);
    assert_fails(vddk_error_set(&err, "disk", "open", VDDK_OPENING, 1, mark), ERR_UNAVAILABLE,
                 "disk: open: no reason given (VixError 1): the library says no more");
    say(vddk_log_info, "NFC error 5: Failed to allocate the requested 24 bytes");
    assert_int_equal(vddk_error_remedy(1, mark), VDDK_SHRINK);
    assert_fails(vddk_error_set(&err, "disk", "read", VDDK_READING, 1, mark), ERR_UNAVAILABLE,
                 "no memory left");
    mark = vddk_log_mark();
    assert_int_equal(vddk_error_remedy(1, mark), VDDK_RETRY);
    say(vddk_log_info, "actual thumbprint=AA expected=BB");
    assert_fails(vddk_error_set(&err, "disk", "open", VDDK_OPENING, 1, mark), ERR_DENIED,
                 "expected=BB)");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_levels_and_one_clean_line, begin),
        cmocka_unit_test_setup(test_calls_home_are_no_news, begin),
        cmocka_unit_test_setup(test_the_same_again_is_said_once, begin),
        cmocka_unit_test_setup(test_the_last_words_since_a_moment, begin),
        cmocka_unit_test_setup(test_secrets_are_stars, begin),
        cmocka_unit_test_setup(test_a_line_of_any_length, begin),
        cmocka_unit_test_setup(test_errors_are_judged_with_the_log, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
