#include "model/timestamp.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/checked.h"

static void
times_in_every_form(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t unix_s;
    } cases[] = {
        { "2026-11-30T22:00:00Z", 1796076000 },
        { "2026-11-30T22:00:00", 1796076000 },
        { "2026-11-30T22:00", 1796076000 },
        { "2026-11-30 22:00", 1796076000 },
        { "2026-11-30t22:00:00z", 1796076000 },
        { "2026-11-30T23:00:00+01:00", 1796076000 },
        { "2026-11-30T16:30:00-05:30", 1796076000 },
        { "2026-11-30T23:00+01:00", 1796076000 },
        { "2026-11-30T22:00:00.999999999Z", 1796076000 },
        { "2026-12-01T00:00:00+02:00", 1796076000 },
        { "2000-01-01T00:00:00Z", 946684800 },
        { "2000-02-29T00:00:00Z", 951782400 },
        { "2024-02-29T12:00:00Z", 1709208000 },
        { "2038-01-19T03:14:08Z", 2147483648 },
        { "2100-03-01T00:00:00Z", 4107542400 },
        { "9999-12-31T23:59:59Z", 253402300799 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        int64_t unix_s = 0;
        if (timestamp_parse(cases[i].text, &unix_s, &err) < 0)
            fail_msg("%s", err.text);
        assert_int_equal(unix_s, cases[i].unix_s);
    }
}

static void
what_is_no_time_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "now",
        "2026",
        "2026-11-30",
        "2026-11-30T22",
        "2026-11-30T22:00:",
        "2026-11-30T22:00:0",
        "2026-11-30T22:00:00.",
        "2026-11-30T22:00:00.Z",
        "2026-11-30T22:00:00Zulu",
        "2026-11-30T22:00:00+1",
        "2026-11-30T22:00:00+0100",
        "2026-11-30T22:00:00+24:00",
        "2026-11-30T22:00:00+01:60",
        "2026-11-30T22:00:00 +01:00",
        "2026-11-30T24:00:00Z",
        "2026-11-30T22:60:00Z",
        "2026-11-30T22:00:60Z",
        "2026-11-31T22:00:00Z",
        "2026-02-29T22:00:00Z",
        "2100-02-29T22:00:00Z",
        "2026-13-01T22:00:00Z",
        "2026-00-01T22:00:00Z",
        "2026-01-00T22:00:00Z",
        "1999-12-31T23:59:59Z",
        "26-11-30T22:00:00Z",
        " 2026-11-30T22:00:00Z",
        "2026-11-30T22:00:00Z ",
        "1796076000",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        int64_t unix_s = 7;
        if (timestamp_parse(cases[i], &unix_s, &err) == 0)
            fail_msg("'%s' was taken", cases[i]);
        assert_int_equal(err.kind, ERR_INVALID);
        assert_int_equal(unix_s, 7);
    }
}

/* Every day of four hundred years, which is the calendar's whole round. */
static void
what_is_written_is_read_again(void **state)
{
    (void)state;
    for (int64_t unix_s = 946684800 + 12345; unix_s < 946684800 + INT64_C(146097 * 86400);
         unix_s += 86400) {
        struct err err = ERR_INIT;
        char text[TIMESTAMP_MAX];
        int64_t again = 0;
        assert_int_equal(timestamp_parse(timestamp_format(unix_s, text), &again, &err), 0);
        assert_int_equal(again, unix_s);
    }
    char text[TIMESTAMP_MAX];
    assert_string_equal(timestamp_format(1796076000, text), "2026-11-30T22:00:00Z");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_in_every_form),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(what_is_written_is_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
