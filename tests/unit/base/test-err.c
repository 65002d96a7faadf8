#include "base/err.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

static void
set_fills_kind_and_text(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(err_set(&err, ERR_CONFLICT, "disk %d: in use", 3), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_string_equal(err.text, "disk 3: in use");
}

static void
kind_follows_from_errno(void **state)
{
    (void)state;
    static const struct {
        int errnum;
        enum err_kind kind;
    } cases[] = { { EINVAL, ERR_INVALID },     { ENOENT, ERR_NOT_FOUND },   { EACCES, ERR_DENIED },
                  { EEXIST, ERR_CONFLICT },    { ENOSPC, ERR_IO },          { EIO, ERR_IO },
                  { ENOMEM, ERR_UNAVAILABLE }, { ECANCELED, ERR_CANCELLED } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = ERR_INIT;
        assert_int_equal(err_errno(&err, cases[i].errnum, "a"), -1);
        assert_int_equal(err.kind, cases[i].kind);
    }
    struct err err = ERR_INIT;
    err_errno(&err, ENOSPC, "%s: write", "disk.img");
    assert_string_equal(err.text, "disk.img: write: No space left on device");
}

static void
prefix_keeps_the_kind(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    err_set(&err, ERR_DENIED, "wrong password");
    assert_int_equal(err_prefix(&err, "vCenter %s", "vc1"), -1);
    assert_int_equal(err.kind, ERR_DENIED);
    assert_string_equal(err.text, "vCenter vc1: wrong password");
}

static void
long_text_is_cut_and_says_so(void **state)
{
    (void)state;
    char text[2 * ERR_TEXT_MAX];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    struct err err = ERR_INIT;
    err_set(&err, ERR_IO, "%s", text);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
    assert_string_equal(err.text + ERR_TEXT_MAX - 4, "...");

    text[ERR_TEXT_MAX - 1] = '\0'; /* just fits */
    err_set(&err, ERR_IO, "%s", text);
    assert_string_equal(err.text, text);
}

static void
cut_does_not_split_a_character(void **state)
{
    (void)state;
    char text[2 * ERR_TEXT_MAX];
    for (size_t i = 0; i < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[sizeof text - 2] = '\0';
    struct err err = ERR_INIT;
    for (int shift = 0; shift < 2; shift++) {
        err_set(&err, ERR_IO, "%.*s%s", shift, "a", text);
        size_t len = strlen(err.text);
        assert_string_equal(err.text + len - 3, "...");
        assert_int_equal((unsigned char)err.text[len - 4], 0xa9);
    }
}

static void
kind_names_go_there_and_back(void **state)
{
    (void)state;
    for (int kind = ERR_NONE; kind <= ERR_BUG; kind++)
        assert_int_equal(err_kind_from_name(err_kind_name((enum err_kind)kind)), kind);
    assert_int_equal(err_kind_from_name("no such kind"), ERR_BUG);
    assert_int_equal(err_kind_from_name(NULL), ERR_BUG);
    assert_string_equal(err_kind_name((enum err_kind)1000), "bug");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_fills_kind_and_text),
        cmocka_unit_test(kind_follows_from_errno),
        cmocka_unit_test(prefix_keeps_the_kind),
        cmocka_unit_test(long_text_is_cut_and_says_so),
        cmocka_unit_test(cut_does_not_split_a_character),
        cmocka_unit_test(kind_names_go_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
