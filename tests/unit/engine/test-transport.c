#include "engine/transport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/checked.h"
#include "engine/check.h"

static const struct transport_facts all = {
    .machine = "web01",
    .possible = CHECK_BY_ANY,
    .library = true,
    .library_why = "",
    .nfc = true,
    .nfc_why = "",
};

static enum job_transport
chosen(const struct transport_facts *facts, enum job_transport asked, const char *said)
{
    char why[TRANSPORT_WHY_MAX];
    enum job_transport transport = JOB_TRANSPORT_AUTO;
    struct err err = ERR_INIT;
    if (transport_choose(facts, asked, &transport, why, &err) < 0)
        fail_msg("%s", err.text);
    if (!strstr(why, said))
        fail_msg("'%s' is not in '%s'", said, why);
    return transport;
}

static void
refused(const struct transport_facts *facts, enum job_transport asked, const char *said)
{
    char why[TRANSPORT_WHY_MAX];
    enum job_transport transport;
    struct err err = ERR_INIT;
    assert_int_equal(transport_choose(facts, asked, &transport, why, &err), -1);
    if (!strstr(err.text, said))
        fail_msg("'%s' is not in '%s'", said, err.text);
}

static void
the_first_that_can_is_taken_and_the_others_are_named(void **state)
{
    (void)state;
    struct transport_facts facts = all;
    assert_int_equal(chosen(&facts, JOB_TRANSPORT_AUTO, "read by vddk"), JOB_TRANSPORT_VDDK);
    facts.nfc = false;
    facts.nfc_why = "esx1:902: refused";
    assert_int_equal(chosen(&facts, JOB_TRANSPORT_AUTO, "passed over: vddk (esx1:902: refused)"),
                     JOB_TRANSPORT_HTTPS);
    facts.library = false;
    facts.library_why = "no library";
    assert_int_equal(chosen(&facts, JOB_TRANSPORT_AUTO, "vddk (no library)"), JOB_TRANSPORT_HTTPS);
    facts = all;
    facts.vddk_failed = "VixError 1";
    assert_int_equal(chosen(&facts, JOB_TRANSPORT_AUTO, "passed over: vddk (VixError 1)"),
                     JOB_TRANSPORT_HTTPS);
    facts.possible = CHECK_BY_VDDK | CHECK_BY_SSH;
    refused(&facts, JOB_TRANSPORT_AUTO, "vddk (VixError 1)");
    facts = all;
    facts.possible = CHECK_BY_VDDK | CHECK_BY_EXPORT | CHECK_BY_SSH;
    facts.library = false;
    assert_int_equal(chosen(&facts, JOB_TRANSPORT_AUTO, "https (it cannot read every disk"),
                     JOB_TRANSPORT_EXPORT);
    facts.possible = CHECK_BY_SSH;
    refused(&facts, JOB_TRANSPORT_AUTO, "web01: no transport can read every disk");
}

static void
what_is_asked_for_is_taken_or_refused(void **state)
{
    (void)state;
    struct transport_facts facts = all;
    for (enum job_transport t = JOB_TRANSPORT_VDDK; t <= JOB_TRANSPORT_SSH; t++)
        assert_int_equal(chosen(&facts, t, "as asked for"), t);
    facts.possible = CHECK_BY_VDDK | CHECK_BY_EXPORT;
    refused(&facts, JOB_TRANSPORT_SSH,
            "-it ssh cannot read every disk of it as it is; what can: "
            "vddk, export");
    facts.possible = 0;
    refused(&facts, JOB_TRANSPORT_EXPORT, "what can: nothing");
    facts = all;
    facts.library = false;
    facts.library_why = "looked in vain";
    refused(&facts, JOB_TRANSPORT_VDDK, "-it vddk: looked in vain");
    facts = all;
    facts.nfc = false; /* another port, hotadd: it may work */
    assert_int_equal(chosen(&facts, JOB_TRANSPORT_VDDK, "as asked for"), JOB_TRANSPORT_VDDK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_that_can_is_taken_and_the_others_are_named),
        cmocka_unit_test(what_is_asked_for_is_taken_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
