#include "model/guest.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void
findings_end_with_a_note_that_there_are_more(void **state)
{
    (void)state;
    static struct guest_report report;
    for (int i = 0; i < GUEST_MAX_FINDINGS; i++)
        guest_report_add(&report, FINDING_INFO, "code", "text %d", i);
    assert_int_equal(report.n_findings, GUEST_MAX_FINDINGS);
    assert_string_equal(report.findings[7].text, "text 7");
    assert_string_equal(report.findings[GUEST_MAX_FINDINGS - 1].code, "code");

    guest_report_add(&report, FINDING_ERROR, "no-free-space", "full");
    guest_report_add(&report, FINDING_INFO, "code", "one more");
    assert_int_equal(report.n_findings, GUEST_MAX_FINDINGS);
    const struct finding *last = &report.findings[GUEST_MAX_FINDINGS - 1];
    assert_string_equal(last->code, "more-findings");
    assert_int_equal(last->level, FINDING_ERROR);
}

static void
long_texts_are_cut(void **state)
{
    (void)state;
    static struct guest_report report;
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    guest_report_add(&report, FINDING_WARNING, text, "%s", text);
    assert_int_equal(strlen(report.findings[0].text), sizeof report.findings[0].text - 1);
    assert_int_equal(strlen(report.findings[0].code), sizeof report.findings[0].code - 1);
}

static void
facts_are_freed_and_empty_afterwards(void **state)
{
    (void)state;
    struct guest_facts facts = {
        .type = GUEST_LINUX, .distro = strdup("debian"), .root = strdup("/dev/sda1"), .gpt = true
    };
    guest_facts_free(&facts);
    assert_null(facts.distro);
    assert_null(facts.root);
    assert_int_equal(facts.type, GUEST_UNKNOWN);
    guest_facts_free(&facts);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(findings_end_with_a_note_that_there_are_more),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(facts_are_freed_and_empty_afterwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
