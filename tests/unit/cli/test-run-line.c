#include "cli/run-line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/checked.h"
#include "cli/table.h"

#define NOW 1764468000

static const struct migration waiting = {
    .status = JOB_WAITING,
    .stage = "delta",
    .pct = 62.4,
    .rounds = 4,
    .due_at = NOW + 252,
    .downtime_s = 95,
    .question = "",
};

static const struct progress half = {
    .label = "scsi0:1",
    .stage = "base_copy",
    .done_bytes = GIB,
    .total_bytes = 2 * GIB,
    .rate_bytes_s = 100 * MIB,
    .eta_s = 75,
    .pct = -1,
};

static void
a_machine_is_a_line(void **state)
{
    (void)state;
    char text[RUN_LINE_MAX];
    assert_string_equal(run_line_machine("web01", &waiting, NOW, 120, text),
                        "web01                delta             62%  4 rounds, next in 4:12, "
                        "downtime about 1:35");
}

static void
a_long_name_is_cut(void **state)
{
    (void)state;
    char text[RUN_LINE_MAX];
    run_line_machine("a-very-long-name-of-a-machine", &waiting, NOW, 120, text);
    assert_memory_equal(text, "a-very-long-name-of\xe2\x80\xa6 delta", 28);
}

static void
no_line_passes_the_terminal(void **state)
{
    (void)state;
    char text[RUN_LINE_MAX];
    for (unsigned columns = 0; columns < 200; columns++) {
        assert_true(text_width(run_line_machine("gr\xc3\xbcn \xe6\x97\xa5\xe6\x9c\xac", &waiting,
                                                NOW, columns, text)) <=
                    (columns ? columns - 1 : 0));
        assert_true(text_width(run_line_disk(&half, columns, text)) <= (columns ? columns - 1 : 0));
    }
}

static void
nothing_moves_the_cursor(void **state)
{
    (void)state;
    char text[RUN_LINE_MAX];
    struct migration failed = waiting;
    failed.status = JOB_FAILED;
    failed.error = "one\ntwo\x1b[2J";
    run_line_machine("x\r\x7fy", &failed, NOW, 200, text);
    assert_null(strpbrk(text, "\r\n\x1b\x7f"));
    assert_non_null(strstr(text, "failed: one two"));
}

static void
a_disk_stands_under_its_machine(void **state)
{
    (void)state;
    char text[RUN_LINE_MAX];
    run_line_disk(&half, 60, text);
    assert_memory_equal(text, "  scsi0:1 ", 10);
    assert_non_null(strstr(text, " 50%"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_is_a_line),
        cmocka_unit_test(a_long_name_is_cut),
        cmocka_unit_test(no_line_passes_the_terminal),
        cmocka_unit_test(nothing_moves_the_cursor),
        cmocka_unit_test(a_disk_stands_under_its_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
