#include "descriptor/number.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/checked.h"

static void
numbers_are_decimal_and_whole(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t number;
    } good[] = {
        { "0", 0 },
        { " 42\n", 42 },
        { "007", 7 },
        { "18446744073709551615", UINT64_MAX },
    };
    static const char *const bad[] = { "",
                                       " ",
                                       "-1",
                                       "+1",
                                       "1.5",
                                       "1e3",
                                       "0x10",
                                       "1 2",
                                       "ten",
                                       "18446744073709551616",
                                       "99999999999999999999999",
                                       "${x}" };
    struct err err = ERR_INIT;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        uint64_t number;
        assert_int_equal(number_read(good[i].text, "n", &number, &err), 0);
        assert_int_equal(number, good[i].number);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint64_t number = 77;
        assert_int_equal(number_read(bad[i], "the size", &number, &err), -1);
        assert_int_equal(number, 77);
        assert_memory_equal(err.text, "the size", 8);
    }
    uint64_t number;
    assert_int_equal(number_read(NULL, "the size", &number, &err), -1);
    assert_string_equal(err.text, "the size is missing");
    assert_int_equal(number_read_max("7", "n", 7, &number, &err), 0);
    assert_int_equal(number_read_max("8", "n", 7, &number, &err), -1);
}

static void
units_of_every_exporter_are_known(void **state)
{
    (void)state;
    static const struct {
        const char *unit;
        uint64_t bytes;
    } good[] = {
        { "byte", 1 },
        { "bytes", 1 },
        { "byte * 2^20", MIB },
        { "byte*2^30", GIB },
        { "Byte * 2 ^ 10", KIB },
        { "byte * 1024 * 1024", MIB },
        { "MegaBytes", MIB },
        { "MB", MIB },
        { "GigaBytes", GIB },
        { "KiloBytes", KIB },
        { "TB", TIB },
        { "byte * 10^6", 1000000 },
        { "byte * 2^40", TIB },
        { "mebibyte", MIB },
    };
    static const char *const bad[] = { "",
                                       "hertz * 10^6",
                                       "byte * 2^64",
                                       "byte *",
                                       "byte 2^20",
                                       "byte * x",
                                       "byte * 0",
                                       "byte * 2^",
                                       "byte * 99999999999999999999",
                                       "parsecs",
                                       "byte * 2^20 * 2^20 * 2^20 * 2^20" };
    struct err err = ERR_INIT;
    uint64_t bytes;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (number_unit(good[i].unit, &bytes, &err) < 0)
            fail_msg("%s", err.text);
        assert_int_equal(bytes, good[i].bytes);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (number_unit(bad[i], &bytes, &err) == 0)
            fail_msg("unit '%s' was taken as %" PRIu64, bad[i], bytes);
}

static void
a_product_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    uint64_t bytes;
    assert_int_equal(number_bytes("4", "byte * 2^30", "memory", &bytes, &err), 0);
    assert_int_equal(bytes, 4 * GIB);
    assert_int_equal(number_bytes("17179869184", "byte * 2^30", "memory", &bytes, &err), -1);
    assert_non_null(strstr(err.text, "too large"));
    assert_int_equal(number_bytes("1", "parsecs", "memory", &bytes, &err), -1);
    assert_string_equal(err.text, "memory: unknown unit 'parsecs'");
}

static void
truth_has_few_words(void **state)
{
    (void)state;
    assert_true(number_is_true("true"));
    assert_true(number_is_true("TRUE"));
    assert_true(number_is_true("yes"));
    assert_true(number_is_true("1"));
    assert_false(number_is_true("false"));
    assert_false(number_is_true(""));
    assert_false(number_is_true(NULL));
    assert_false(number_is_true("truely"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_decimal_and_whole),
        cmocka_unit_test(units_of_every_exporter_are_known),
        cmocka_unit_test(a_product_that_does_not_fit_is_refused),
        cmocka_unit_test(truth_has_few_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
