#include "base/size.h"

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <cmocka.h>

static void
parses_what_people_write(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {
        { "0", 0 },
        { "512", 512 },
        { "512B", 512 },
        { "64K", 65536 },
        { "64k", 65536 },
        { "64KB", 65536 },
        { "10MiB", 10 << 20 },
        { "1.5G", UINT64_C(3) << 29 },
        { "0.5k", 512 },
        { "2TB", UINT64_C(2) << 40 },
        { "3P", UINT64_C(3) << 50 },
        { "9007199254740993", UINT64_C(9007199254740993) }, /* 2^53 + 1: no double holds it */
        { "9223372036854775807", INT64_MAX },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = ERR_INIT;
        uint64_t bytes = 1;
        assert_int_equal(size_parse(cases[i].text, &bytes, &err), 0);
        assert_int_equal(bytes, cases[i].bytes);
    }
}

static void
refuses_the_rest(void **state)
{
    (void)state;
    static const char *const cases[] = { "",      "K",
                                         "-1",    "+1",
                                         " 1",    "1 K",
                                         "1KK",   "1X",
                                         "0x10",  "1e3",
                                         "1.K",   "1.5.5G",
                                         "nan",   "inf",
                                         "1Kx",   "1iB",
                                         "1,5G",  "9223372036854775808",
                                         "8192P", "99999999999999999999999",
                                         "1.5Gi?" };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = ERR_INIT;
        uint64_t bytes = 77;
        if (size_parse(cases[i], &bytes, &err) == 0)
            fail_msg("'%s' was taken for %llu", cases[i], (unsigned long long)bytes);
        assert_int_equal(err.kind, ERR_INVALID);
        assert_int_equal(bytes, 77);
    }
}

static void
formats_for_people(void **state)
{
    (void)state;
    char text[SIZE_TEXT_MAX];
    assert_string_equal(size_format(0, text), "0 B");
    assert_string_equal(size_format(1023, text), "1023 B");
    assert_string_equal(size_format(1024, text), "1.00 KiB");
    assert_string_equal(size_format(65536, text), "64.0 KiB");
    assert_string_equal(size_format(UINT64_C(3) << 29, text), "1.50 GiB");
    assert_string_equal(size_format(UINT64_MAX, text), "16384.0 PiB");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_what_people_write),
        cmocka_unit_test(refuses_the_rest),
        cmocka_unit_test(formats_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
