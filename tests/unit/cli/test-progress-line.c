#include "cli/progress-line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/checked.h"

static const struct progress half = {
    .label = "sda",
    .stage = "copy",
    .done_bytes = GIB,
    .total_bytes = 2 * GIB,
    .data_bytes = 512 * MIB,
    .rate_bytes_s = 100 * MIB,
    .eta_s = 75,
    .pct = -1,
};

static void
a_wide_terminal_shows_all(void **state)
{
    (void)state;
    char text[PROGRESS_LINE_MAX];
    progress_line_live(&half, 100, text);
    assert_string_equal(text, "sda [####################--------------------]  50%"
                              "  1.00 GiB/2.00 GiB    100.0 MiB/s  1:15 left");
}

static void
no_line_passes_the_terminal(void **state)
{
    (void)state;
    for (unsigned columns = 0; columns < 300; columns++) {
        char text[PROGRESS_LINE_MAX];
        progress_line_live(&half, columns, text);
        assert_true(strlen(text) <= (columns ? columns - 1 : 0));
    }
}

static void
a_narrow_terminal_loses_the_bar_first(void **state)
{
    (void)state;
    char text[PROGRESS_LINE_MAX];
    progress_line_live(&half, 60, text);
    assert_null(strchr(text, '['));
    assert_non_null(strstr(text, "1:15 left"));
    progress_line_live(&half, 20, text);
    assert_string_equal(text, "sda  50%  1.00 GiB/");
}

static void
the_bar_does_not_jump(void **state)
{
    (void)state;
    char early[PROGRESS_LINE_MAX], late[PROGRESS_LINE_MAX];
    struct progress p = half;
    progress_line_live(&p, 80, early);
    p.done_bytes = p.total_bytes;
    p.rate_bytes_s = 3 * GIB;
    p.eta_s = -1;
    progress_line_live(&p, 80, late);
    assert_int_equal(strchr(early, ']') - early, strchr(late, ']') - late);
}

static void
hundred_percent_means_done(void **state)
{
    (void)state;
    char text[PROGRESS_LINE_MAX];
    struct progress p = half;
    p.total_bytes = UINT64_MAX;
    p.done_bytes = UINT64_MAX - 1;
    progress_line_log(&p, text);
    assert_non_null(strstr(text, "progress=99%"));
    p.done_bytes = p.total_bytes;
    progress_line_log(&p, text);
    assert_non_null(strstr(text, "progress=100%"));
}

static void
a_log_line_has_every_number(void **state)
{
    (void)state;
    char text[PROGRESS_LINE_MAX];
    progress_line_log(&half, text);
    assert_string_equal(text, "[sda] copy progress=50% read=1073741824 written=536870912 "
                              "zero_skipped=536870912 speed=104.9MB/s eta=75s");
    struct progress p = { .label = "conversion", .stage = "converting", .eta_s = -1, .pct = 40 };
    progress_line_log(&p, text);
    assert_string_equal(text, "[conversion] converting progress=40%");
}

static void
durations(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        const char *text;
    } cases[] = { { -1, "" },        { 0, "0 s" },        { 59, "59 s" },       { 60, "1:00" },
                  { 3599, "59:59" }, { 3600, "1:00:00" }, { 90061, "25:01:01" } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[DURATION_TEXT_MAX];
        assert_string_equal(duration_text(cases[i].seconds, text), cases[i].text);
    }
}

static void
a_message_is_read_with_what_it_lacks(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    static const char text[] = "{\"disk\": \"sda\", \"done_bytes\": 5, \"total_bytes\": \"10\"}";
    auto_json json_t *json = json_parse_object(text, sizeof text - 1, &err);
    struct progress p;
    progress_read(json, &p);
    assert_string_equal(p.label, "sda");
    assert_string_equal(p.stage, "");
    assert_true(p.done_bytes == 5 && p.total_bytes == 10 && p.data_bytes == 0);
    assert_true(p.eta_s == -1 && p.pct == -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wide_terminal_shows_all),
        cmocka_unit_test(no_line_passes_the_terminal),
        cmocka_unit_test(a_narrow_terminal_loses_the_bar_first),
        cmocka_unit_test(the_bar_does_not_jump),
        cmocka_unit_test(hundred_percent_means_done),
        cmocka_unit_test(a_log_line_has_every_number),
        cmocka_unit_test(durations),
        cmocka_unit_test(a_message_is_read_with_what_it_lacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
