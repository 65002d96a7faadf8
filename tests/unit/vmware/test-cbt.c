#include "vmware/cbt.h"

#include "http-double.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"

static struct err err;
static struct vmware_session *session;
static char got[512]; /* "start+length " of each area */

static int
setup(void **state)
{
    (void)state;
    err = ERR_INIT;
    got[0] = '\0';
    clock_fake_ns(NS_PER_S);
    session = double_login();
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    double_logout(session);
    clock_fake_ns(-1);
    return 0;
}

static int
note(uint64_t start, uint64_t length, void *arg, struct err *ignored)
{
    (void)arg, (void)ignored;
    size_t at = strlen(got);
    snprintf(got + at, sizeof got - at, "%" PRIu64 "+%" PRIu64 " ", start, length);
    return 0;
}

#define CAPACITY 1000000

static int
ask(enum vmware_cbt_answer *answer, char why[512])
{
    struct vmware_cbt_query query = {
        .machine_moref = "vm-1",
        .snapshot_moref = "snapshot-1",
        .disk_key = 2000,
        .capacity_bytes = CAPACITY,
        .change_id = "52 de/1",
    };
    return vmware_cbt_areas(session, &query, note, NULL, answer, why, &err);
}

#define AREA(start, length)                                                                        \
    "<changedArea><start>" start "</start><length>" length "</length></changedArea>"
#define WINDOW(at, length, areas)                                                                  \
    {                                                                                              \
        .expect = { "<QueryChangedDiskAreas ", "<deviceKey>2000</deviceKey>",                      \
                    "<snapshot type=\"VirtualMachineSnapshot\">snapshot-1</snapshot>",             \
                    "<startOffset>" at "</startOffset>", "<changeId>52 de/1</changeId>" },         \
        .status = 200,                                                                             \
        .body =                                                                                    \
            RESPONSE("QueryChangedDiskAreas", "<returnval><startOffset>" at "</startOffset>"       \
                                              "<length>" length "</length>" areas "</returnval>"), \
    }

static void
windows_are_asked_for_until_all_is_covered(void **state)
{
    (void)state;
    enum vmware_cbt_answer answer;
    /* The second is empty, in the middle of the disk. Touching areas become one, over the border of
     * two windows too. The last one reaches beyond the end. */
    static const struct exchange list[] = {
        WINDOW("0", "400000", AREA("0", "512") AREA("512", "1024") AREA("399488", "512")),
        WINDOW("400000", "100000", ""),
        WINDOW("500000", "200000", AREA("699000", "1000")),
        WINDOW("700000", "400000", AREA("700000", "5000") AREA("999000", "90000")),
    };
    PLAY(list);
    assert_int_equal(ask(&answer, NULL), 0);
    double_done();
    assert_int_equal(answer, VMWARE_CBT_GIVEN);
    assert_string_equal(got, "0+1536 399488+512 699000+6000 999000+1000 ");
}

static void
nothing_changed(void **state)
{
    (void)state;
    enum vmware_cbt_answer answer;
    static const struct exchange list[] = { WINDOW("0", "1000000", "") };
    PLAY(list);
    assert_int_equal(ask(&answer, NULL), 0);
    double_done();
    assert_string_equal(got, "");
}

static void
answers_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const struct {
        struct exchange exchange;
        const char *why;
    } cases[] = {
        { WINDOW("0", "0", ""), "covers nothing more" },
        { WINDOW("0", "400000", AREA("399999", "2")), "outside of what it covers" },
        { WINDOW("0", "400000", AREA("500", "100") AREA("400", "10")), "overlap or go back" },
        { WINDOW("0", "400000", AREA("500", "100") AREA("599", "10")), "overlap or go back" },
        { WINDOW("0", "1000000", AREA("1000000", "10")), "outside of what it covers" },
        { WINDOW("0", "1000000", AREA("18446744073709551615", "10")), "beyond any disk" },
        { { .expect = { "QueryChanged" },
            .status = 200,
            .body = RESPONSE("QueryChangedDiskAreas", "<returnval><startOffset>5</startOffset>"
                                                      "<length>10</length></returnval>") },
          "leaves out what was asked for" },
        { { .expect = { "QueryChanged" },
            .status = 200,
            .body = RESPONSE("QueryChangedDiskAreas", "") },
          "does not say what it covers" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum vmware_cbt_answer answer;
        double_play(&cases[i].exchange, 1);
        assert_int_equal(ask(&answer, NULL), -1);
        double_done();
        assert_int_equal(err.kind, ERR_IO);
        if (!strstr(err.text, cases[i].why))
            fail_msg("no \"%s\" in: %s", cases[i].why, err.text);
    }
}

static void
a_reset_is_an_answer(void **state)
{
    (void)state;
    static const struct exchange cases[] = {
        { .expect = { "QueryChanged" },
          .status = 500,
          .body = FAULT("FileFault", "Error caused by file /vmfs/x-000001.vmdk",
                        "<file>/vmfs/x-000001.vmdk</file>") },
        { .expect = { "QueryChanged" },
          .status = 500,
          .body = FAULT("InvalidArgument", "A specified parameter was not correct",
                        "<invalidProperty>changeId</invalidProperty>") },
        { .expect = { "QueryChanged" },
          .status = 500,
          .body = FAULT("InvalidArgument", "x", "<invalidProperty>deviceKey</invalidProperty>") },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum vmware_cbt_answer answer;
        char why[512] = "";
        double_play(&cases[i], 1);
        assert_int_equal(ask(&answer, why), 0);
        double_done();
        assert_int_equal(answer, VMWARE_CBT_RESET);
        assert_non_null(strstr(why, i == 0 ? "x-000001" : i == 1 ? "changeId" : "deviceKey"));
    }
}

static void
other_faults_are_none(void **state)
{
    (void)state;
    enum vmware_cbt_answer answer;
    static const struct exchange gone[] = { {
        .expect = { "QueryChanged" },
        .status = 500,
        .body = FAULT("ManagedObjectNotFound", "x",
                      "<obj type=\"VirtualMachineSnapshot\">snapshot-1</obj>"),
    } };
    PLAY(gone);
    assert_int_equal(ask(&answer, NULL), -1);
    double_done();
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    static const struct exchange offset[] = { {
        .expect = { "QueryChanged" },
        .status = 500,
        .body = FAULT("InvalidArgument", "x", "<invalidProperty>startOffset</invalidProperty>"),
    } };
    PLAY(offset);
    assert_int_equal(ask(&answer, NULL), -1);
    double_done();
    assert_int_equal(err.kind, ERR_INVALID);
}

static void
change_ids_are_compared_with_care(void **state)
{
    (void)state;
    assert_true(vmware_change_id_follows("52 de/81", "52 de/81"));
    assert_true(vmware_change_id_follows("52 de/81", "52 DE/100"));
    assert_false(vmware_change_id_follows("52 de/81", "52 de/80"));
    assert_false(vmware_change_id_follows("52 de/81", "52 df/82"));
    assert_false(vmware_change_id_follows("52 de/81", "52 de 0/82"));
    assert_false(vmware_change_id_follows("", "52 de/82"));
    assert_false(vmware_change_id_follows("52 de/81", ""));
    assert_false(vmware_change_id_follows("52 de/81", "52 de/"));
    assert_false(vmware_change_id_follows("52 de/81", "52 de/9x"));
    assert_false(vmware_change_id_follows("/1", "/2"));
    assert_false(vmware_change_id_follows(NULL, "52 de/82"));
    assert_false(vmware_change_id_follows("*", "*"));
}

/* ---- turning it on ---- */

#define TRACKING(on, more)                                                                         \
    {                                                                                              \
        .expect = { "config.changeTrackingEnabled" }, .status = 200,                               \
        .body = PROPERTIES(OBJECT("VirtualMachine", "vm-1",                                        \
                                  SET("config.changeTrackingEnabled", on)                          \
                                      SET("capability.changeTrackingSupported", "true") more)),    \
    }
#define RECONFIGURED                                                                               \
    {                                                                                              \
        .expect = { "<ReconfigVM_Task ", "<changeTrackingEnabled>true</changeTrackingEnabled>" },  \
        .status = 200, .body = REF("ReconfigVM_Task", "Task", "task-1"),                           \
    }
#define TASK(state)                                                                                \
    {                                                                                              \
        .expect = { "<obj type=\"Task\">task-1</obj>", "info.state" }, .status = 200,              \
        .body = PROPERTIES(OBJECT("Task", "task-1", SET("info.state", state))),                    \
    }
#define SNAPSHOT                                                                                   \
    "<propSet><name>snapshot</name><val><rootSnapshotList><snapshot>s-1</snapshot>"                \
    "</rootSnapshotList></val></propSet>"

static void
tracking_is_turned_on_and_looked_at(void **state)
{
    (void)state;
    bool now = false;
    static const struct exchange list[] = { TRACKING("false", ""), RECONFIGURED, TASK("success"),
                                            TRACKING("true", "") };
    PLAY(list);
    assert_int_equal(vmware_cbt_enable(session, "vm-1", &now, &err), 0);
    double_done();
    assert_true(now);
    static const struct exchange on[] = { TRACKING("true", SNAPSHOT) };
    PLAY(on);
    assert_int_equal(vmware_cbt_enable(session, "vm-1", &now, &err), 0);
    double_done();
    assert_false(now);
}

static void
tracking_is_not_turned_on_under_snapshots(void **state)
{
    (void)state;
    bool now;
    static const struct exchange list[] = { TRACKING("false", SNAPSHOT) };
    PLAY(list);
    assert_int_equal(vmware_cbt_enable(session, "vm-1", &now, &err), -1);
    double_done();
    assert_int_equal(err.kind, ERR_CONFLICT);
    static const struct exchange still[] = { TRACKING("false", ""), RECONFIGURED, TASK("success"),
                                             TRACKING("false", "") };
    PLAY(still);
    assert_int_equal(vmware_cbt_enable(session, "vm-1", &now, &err), -1);
    double_done();
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(windows_are_asked_for_until_all_is_covered),
        TEST(nothing_changed),
        TEST(answers_that_make_no_sense_are_refused),
        TEST(a_reset_is_an_answer),
        TEST(other_faults_are_none),
        TEST(change_ids_are_compared_with_care),
        TEST(tracking_is_turned_on_and_looked_at),
        TEST(tracking_is_not_turned_on_under_snapshots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
