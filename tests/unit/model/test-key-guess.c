#include "model/key-guess.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/checked.h"
#include "model/spec-fields.h"

static const struct field *
fields_under(const char *key)
{
    const struct field *field = spec_fields;
    while (strcmp(field->key, key) != 0)
        field++;
    return field->fields;
}

static void
what_was_meant(void **state)
{
    (void)state;
    static const struct {
        const char *under, *key, *want;
    } cases[] = {
        { "migration", "readrs", " (did you mean 'readers'?)" },
        { "migration", "Readers", " (did you mean 'readers'?)" },
        { "migration", "raeders", " (did you mean 'readers'?)" },
        { "migration", "delta_intervall", " (did you mean 'delta_interval'?)" },
        { "migration", "finalise_at", " (did you mean 'finalize_at'?)" },
        { "migration", "finalize_settle", " (did you mean 'finalize_settle_seconds'?)" },
        { "migration", "finalize_now_and_here", "" },
        { "migration", "pool", " (it belongs under 'target.libvirt')" },
        { "migration", "disks", " (it belongs at the top)" },
        { "migration", "moref", " (it belongs under 'vm')" },
        { "vm", "id", "" },
        { "vm", "", "" },
        { "vm", "a_key_that_is_longer_than_any_of_ours_ever_will_be", "" },
        { "target", "cloud_stack", " (did you mean 'cloudstack'?)" },
        { "conversion", "first-boot", " (did you mean 'first_boot'?)" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        auto_buf struct buf text = BUF_INIT(1024);
        assert_int_equal(buf_add_str(&text, "", &err), 0);
        assert_int_equal(
            key_guess(cases[i].key, fields_under(cases[i].under), spec_fields, &text, &err), 0);
        if (strcmp(text.data, cases[i].want) != 0)
            fail_msg("%s: '%s' instead of '%s'", cases[i].key, text.data, cases[i].want);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_meant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
