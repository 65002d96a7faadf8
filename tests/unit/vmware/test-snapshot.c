#include "vmware/snapshot.h"

#include "http-double.h"

#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "vmware/power.h"
#include "vmware/task.h"

static struct err err;
static struct vmware_session *session;
static struct vmware_snapshot_made made;

static int
setup(void **state)
{
    (void)state;
    err = ERR_INIT;
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

#define NODE(moref, name, more)                                                                    \
    "<snapshot type=\"VirtualMachineSnapshot\">" moref "</snapshot><name>" name "</name>" more
#define ROOT(moref, name, more) "<rootSnapshotList>" NODE(moref, name, more) "</rootSnapshotList>"
#define CHILD(moref, name, more)                                                                   \
    "<childSnapshotList>" NODE(moref, name, more) "</childSnapshotList>"
#define TREE_MORE(roots, more)                                                                     \
    {                                                                                              \
        .expect = { "<obj type=\"VirtualMachine\">vm-1</obj>", "<pathSet>snapshot</pathSet>" },    \
        .status = 200,                                                                             \
        .body = PROPERTIES(OBJECT("VirtualMachine", "vm-1",                                        \
                                  "<propSet><name>snapshot</name><val>" roots                      \
                                  "</val></propSet>" more)),                                       \
    }
#define TREE(roots) TREE_MORE(roots, "")
#define NONE                                                                                       \
    {                                                                                              \
        .expect = { "<pathSet>snapshot</pathSet>" }, .status = 200,                                \
        .body = PROPERTIES(OBJECT("VirtualMachine", "vm-1", SET("name", "x"))),                    \
    }
#define CREATE_ANSWER(quiesce, code, text)                                                         \
    {                                                                                              \
        .expect = { "<CreateSnapshot_Task ", "<name>vmferry-7</name>", "<memory>false</memory>",   \
                    "<quiesce>" quiesce "</quiesce>" },                                            \
        .fresh = true, .status = code, .body = text,                                               \
    }
#define CREATE(quiesce) CREATE_ANSWER(quiesce, 200, REF("CreateSnapshot_Task", "Task", "task-1"))
#define TASK_DONE(result)                                                                          \
    {                                                                                              \
        .expect = { "<obj type=\"Task\">task-1</obj>", "info.result" }, .status = 200,             \
        .body = PROPERTIES(OBJECT("Task", "task-1", SET("info.state", "success") result)),         \
    }
#define TASK_MADE                                                                                  \
    TASK_DONE("<propSet><name>info.result</name><val type=\"VirtualMachineSnapshot\">"             \
              "snapshot-9</val></propSet>")
#define TASK_FAILED(type, message)                                                                 \
    {                                                                                              \
        .expect = { "<obj type=\"Task\">task-1</obj>" }, .status = 200,                            \
        .body = PROPERTIES(OBJECT(                                                                 \
            "Task", "task-1",                                                                      \
            SET("info.state", "error") "<propSet><name>info.error</name><val>"                     \
                                       "<fault xsi:type=\"" type "\"/><localizedMessage>" message  \
                                       "</localizedMessage></val></propSet>")),                    \
    }

#define TASK_RUNS(percent)                                                                         \
    {                                                                                              \
        .expect = { "<obj type=\"Task\">task-1</obj>" }, .status = 200,                            \
        .body = PROPERTIES(                                                                        \
            OBJECT("Task", "task-1", SET("info.state", "running") SET("info.progress", percent))), \
    }

static int
create(enum vmware_quiesce quiesce)
{
    return vmware_snapshot_create(session, "vm-1", "vmferry-7", "d", quiesce, &made, &err);
}

static void
one_is_made(void **state)
{
    (void)state;
    static const struct exchange list[] = { NONE, CREATE("false"), TASK_MADE };
    PLAY(list);
    assert_int_equal(create(VMWARE_QUIESCE_NO), 0);
    double_done();
    assert_string_equal(made.moref, "snapshot-9");
    assert_false(made.found || made.quiesced);
}

static void
one_that_is_there_is_taken(void **state)
{
    (void)state;
    static const struct exchange list[] = {
        TREE(ROOT("s-1", "x", CHILD("s-2", "vmferry-7", "")) ROOT("s-3", "y", "")),
    };
    PLAY(list);
    assert_int_equal(create(VMWARE_QUIESCE_NO), 0);
    double_done();
    assert_true(made.found);
    assert_string_equal(made.moref, "s-2");
}

static void
a_guest_that_cannot_be_quiesced(void **state)
{
    (void)state;
    static const struct exchange list[] = {
        NONE,
        CREATE("true"),
        TASK_FAILED("ApplicationQuiesceFault", "the guest did not answer"),
        CREATE("false"),
        TASK_MADE,
    };
    PLAY(list);
    assert_int_equal(create(VMWARE_QUIESCE_TRY), 0);
    double_done();
    assert_false(made.quiesced);
    assert_string_equal(made.why_not, "the guest did not answer");
    static const struct exchange must[] = {
        NONE,
        CREATE("true"),
        TASK_FAILED("ApplicationQuiesceFault", "the guest did not answer"),
    };
    PLAY(must);
    assert_int_equal(create(VMWARE_QUIESCE_MUST), -1);
    double_done();
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_non_null(strstr(err.text, "the guest did not answer (ApplicationQuiesceFault)"));
}

static void
a_lost_answer_makes_no_second_one(void **state)
{
    (void)state;
    static const struct exchange there[] = {
        NONE,
        CREATE_ANSWER("false", 0, NULL),
        TREE(ROOT("s-1", "vmferry-7", "")),
    };
    PLAY(there);
    assert_int_equal(create(VMWARE_QUIESCE_NO), 0);
    double_done();
    assert_string_equal(made.moref, "s-1");
    /* A proxy's page in place of the answer says as little as none. */
    static const struct exchange page[] = {
        NONE,
        CREATE_ANSWER("false", 200, "<html><body>welcome</body></html>"),
        TREE(ROOT("s-1", "vmferry-7", "")),
    };
    PLAY(page);
    assert_int_equal(create(VMWARE_QUIESCE_NO), 0);
    double_done();
    assert_string_equal(made.moref, "s-1");
    static const struct exchange nowhere[] = { NONE, CREATE_ANSWER("false", 0, NULL), NONE };
    PLAY(nowhere);
    assert_int_equal(create(VMWARE_QUIESCE_NO), -1);
    double_done();
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
}

#define RECENT                                                                                     \
    TREE_MORE("", "<propSet><name>recentTask</name><val><ManagedObjectReference type=\"Task\">"    \
                  "task-5</ManagedObjectReference></val></propSet>")

static void
one_that_could_not_be_watched_is_looked_for(void **state)
{
    (void)state;
    static const struct exchange denied[] = {
        NONE,
        CREATE("false"),
        TASK_RUNS("0"),
        { .expect = { "<CreateFilter " },
          .status = 500,
          .body = FAULT("NoPermission", "no", "<privilegeId>System.View</privilegeId>") },
        TREE(ROOT("s-1", "vmferry-7", "")),
    };
    PLAY(denied);
    assert_int_equal(create(VMWARE_QUIESCE_NO), 0);
    double_done();
    assert_string_equal(made.moref, "s-1");
    static const struct exchange nowhere[] = {
        NONE,
        CREATE("false"),
        TASK_RUNS("0"),
        { .expect = { "<CreateFilter " },
          .status = 500,
          .body = FAULT("NoPermission", "no", "<privilegeId>System.View</privilegeId>") },
        NONE,
    };
    PLAY(nowhere);
    assert_int_equal(create(VMWARE_QUIESCE_NO), -1);
    double_done();
    assert_string_equal(vmware_last_fault(session), "");
}

static void
one_that_is_being_made_is_waited_for(void **state)
{
    (void)state;
    static const struct exchange list[] = {
        NONE,
        CREATE_ANSWER("false", 502, "proxy"),
        RECENT,
        { .expect = { "<obj type=\"Task\">task-5</obj>", "info.descriptionId" },
          .status = 200,
          .body = PROPERTIES(OBJECT("Task", "task-5",
                                    SET("info.state", "running") SET(
                                        "info.descriptionId", "VirtualMachine.createSnapshot"))) },
        { .expect = { "<obj type=\"Task\">task-5</obj>", "info.result" },
          .status = 200,
          .body = PROPERTIES(OBJECT("Task", "task-5", SET("info.state", "success"))) },
        TREE(ROOT("s-1", "vmferry-7", "")),
    };
    PLAY(list);
    assert_int_equal(create(VMWARE_QUIESCE_NO), 0);
    double_done();
    assert_string_equal(made.moref, "s-1");
}

#define TASK_LOST                                                                                  \
    {                                                                                              \
        .expect = { "<obj type=\"Task\">task-5</obj>" }, .status = 0,                              \
    }

static void
nothing_is_made_while_it_is_not_known_what_is_being_made(void **state)
{
    (void)state;
    static const struct exchange list[] = { RECENT,    TASK_LOST, TASK_LOST,
                                            TASK_LOST, TASK_LOST, TASK_LOST };
    PLAY(list);
    assert_int_equal(create(VMWARE_QUIESCE_NO), -1);
    double_done();
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
}

static void
another_task_is_waited_for(void **state)
{
    (void)state;
    static const struct exchange list[] = {
        NONE,
        CREATE("false"),
        TASK_FAILED("TaskInProgress", "busy"),
        NONE,
        CREATE_ANSWER("false", 500, FAULT("TaskInProgress", "busy", "")),
        NONE,
        CREATE("false"),
        TASK_MADE,
    };
    PLAY(list);
    assert_int_equal(create(VMWARE_QUIESCE_NO), 0);
    double_done();
}

static void
a_free_licence_is_said(void **state)
{
    (void)state;
    static const struct exchange list[] = {
        NONE,
        CREATE_ANSWER("false", 500, FAULT("RestrictedVersion", "Current license prohibits it", "")),
    };
    PLAY(list);
    assert_int_equal(create(VMWARE_QUIESCE_NO), -1);
    double_done();
    assert_int_equal(err.kind, ERR_DENIED);
    assert_non_null(strstr(err.text, "the free one of ESXi"));
}

/* ---- removing ---- */

#define REMOVE                                                                                     \
    {                                                                                              \
        .expect = { "<RemoveSnapshot_Task ", "<_this type=\"VirtualMachineSnapshot\">s-2</_this>", \
                    "<removeChildren>false</removeChildren>", "<consolidate>true</consolidate>" }, \
        .fresh = true, .status = 200, .body = REF("RemoveSnapshot_Task", "Task", "task-1"),        \
    }
#define OURS TREE(ROOT("s-1", "x", CHILD("s-2", "vmferry-7", "")))

static int
remove_it(const char *name)
{
    return vmware_snapshot_remove(session, "vm-1", "s-2", name, &err);
}

static void
ours_is_removed_and_disks_consolidated(void **state)
{
    (void)state;
    static const struct exchange list[] = {
        OURS,
        REMOVE,
        TASK_DONE(""),
        TREE_MORE(ROOT("s-1", "x", ""), SET("runtime.consolidationNeeded", "true")),
        { .expect = { "<ConsolidateVMDisks_Task " },
          .status = 200,
          .body = REF("ConsolidateVMDisks_Task", "Task", "task-1") },
        TASK_DONE(""),
    };
    PLAY(list);
    assert_int_equal(remove_it("vmferry-7"), 0);
    double_done();
}

static void
one_that_is_gone_is_fine(void **state)
{
    (void)state;
    static const struct exchange list[] = { TREE(ROOT("s-1", "x", "")) };
    PLAY(list);
    assert_int_equal(remove_it("vmferry-7"), 0);
    double_done();
    static const struct exchange meanwhile[] = {
        OURS,
        { .expect = { "<RemoveSnapshot_Task " },
          .status = 500,
          .body = FAULT("ManagedObjectNotFound", "gone", "") },
        NONE,
    };
    PLAY(meanwhile);
    assert_int_equal(remove_it(NULL), 0);
    double_done();
}

static void
those_of_others_are_left_alone(void **state)
{
    (void)state;
    static const struct exchange theirs[] = { TREE(ROOT("s-2", "nightly backup", "")) };
    PLAY(theirs);
    assert_int_equal(remove_it(NULL), -1);
    double_done();
    assert_int_equal(err.kind, ERR_CONFLICT);
    static const struct exchange other[] = { OURS };
    PLAY(other);
    assert_int_equal(remove_it("vmferry-8"), -1);
    double_done();
    assert_int_equal(
        vmware_snapshot_create(session, "vm-1", "backup", "", VMWARE_QUIESCE_NO, &made, &err), -1);
    assert_int_equal(err.kind, ERR_BUG);
}

static void
ours_are_found_in_the_tree(void **state)
{
    (void)state;
    static struct vmware_snapshot_ours ours[VMWARE_SNAPSHOTS_OURS_MAX];
    size_t n;
    static const struct exchange list[] = {
        TREE(ROOT("s-1", "vmferry-1",
                  CHILD("s-2", "b", CHILD("s-3", "vmferry-2", "")) CHILD("s-4", "vmferry-3", ""))
                 ROOT("s-5", "not vmferry-4", "")
                     ROOT("s-6", "vmferry-5", "<createTime>2026</createTime>")),
    };
    PLAY(list);
    assert_int_equal(vmware_snapshot_find(session, "vm-1", NULL, ours, &n, &err), 0);
    double_done();
    assert_int_equal(n, 4);
    assert_string_equal(ours[0].moref, "s-1");
    assert_string_equal(ours[1].moref, "s-3");
    assert_string_equal(ours[2].moref, "s-4");
    assert_string_equal(ours[3].name, "vmferry-5");
    assert_string_equal(ours[3].created, "2026");
}

/* ---- waiting and power ---- */

static void
note_percent(unsigned percent, void *arg)
{
    unsigned *sum = arg;
    *sum += percent;
}

static void
updates_are_waited_for(void **state)
{
    (void)state;
    unsigned sum = 0;
    struct vmware_task_watch watch = { .progress = note_percent, .arg = &sum };
    static const struct exchange list[] = {
        TASK_RUNS("0"),
        { .expect = { "<CreateFilter ", "<obj type=\"Task\">task-1</obj>",
                      "<partialUpdates>false</partialUpdates>" },
          .status = 200,
          .body = REF("CreateFilter", "PropertyFilter", "session[1]filter") },
        { .expect = { "<WaitForUpdatesEx ", "<version></version>",
                      "<maxWaitSeconds>30</maxWaitSeconds>" },
          .status = 200,
          .body = RESPONSE("WaitForUpdatesEx", "<returnval><version>5</version></returnval>") },
        TASK_RUNS("40"),
        { .expect = { "<WaitForUpdatesEx ", "<version>5</version>" },
          .status = 200,
          .body = RESPONSE("WaitForUpdatesEx", "") },
        TASK_DONE(""),
        { .expect = { "<DestroyPropertyFilter ", "session[1]filter" },
          .status = 200,
          .body = RESPONSE("DestroyPropertyFilter", "") },
    };
    PLAY(list);
    assert_int_equal(vmware_task_wait(session, "task-1", "wait", &watch, NULL, &err), 0);
    double_done();
    assert_int_equal(sum, 40);
}

static void
without_updates_it_is_polled(void **state)
{
    (void)state;
    static const struct exchange list[] = {
        TASK_RUNS("0"),
        { .expect = { "<CreateFilter " }, .status = 500, .body = FAULT("NotSupported", "", "") },
        TASK_RUNS("0"),
        { .expect = { "<CreateFilter " }, .status = 500, .body = FAULT("NotSupported", "", "") },
        TASK_RUNS("0"),
        TASK_DONE(""),
    };
    int64_t before_ns = clock_now_ns();
    PLAY(list);
    assert_int_equal(vmware_task_wait(session, "task-1", "wait", NULL, NULL, &err), 0);
    double_done();
    assert_int_equal((clock_now_ns() - before_ns) / NS_PER_S, 3);
}

static void
a_time_limit_is_held(void **state)
{
    (void)state;
    struct vmware_task_watch watch = { .timeout_s = 2 };
    static const struct exchange list[] = {
        TASK_RUNS("0"),
        { .expect = { "<CreateFilter " }, .status = 500, .body = FAULT("NotSupported", "", "") },
        TASK_RUNS("0"),
        { .expect = { "<CreateFilter " }, .status = 500, .body = FAULT("NotSupported", "", "") },
        TASK_RUNS("0"),
    };
    PLAY(list);
    assert_int_equal(vmware_task_wait(session, "task-1", "wait", &watch, NULL, &err), -1);
    double_done();
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
}

#define POWER(state)                                                                               \
    {                                                                                              \
        .expect = { "runtime.powerState" }, .status = 200,                                         \
        .body = PROPERTIES(OBJECT("VirtualMachine", "vm-1", SET("runtime.powerState", state))),    \
    }

static void
off_must_stay_off(void **state)
{
    (void)state;
    static const struct exchange stays[] = { POWER("poweredOff"), POWER("poweredOff"),
                                             POWER("poweredOff") };
    PLAY(stays);
    assert_int_equal(vmware_power_confirm_off(session, "vm-1", 2, &err), 0);
    double_done();
    static const struct exchange back[] = { POWER("poweredOff"), POWER("poweredOn") };
    PLAY(back);
    assert_int_equal(vmware_power_confirm_off(session, "vm-1", 2, &err), -1);
    double_done();
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_non_null(strstr(err.text, "came back"));
}

static void
a_guest_without_tools_is_not_shut_down(void **state)
{
    (void)state;
    static const struct exchange list[] = {
        POWER("poweredOn"),
        { .expect = { "<ShutdownGuest " },
          .status = 500,
          .body = FAULT("ToolsUnavailable", "not running", "") },
    };
    PLAY(list);
    assert_int_equal(vmware_shutdown_guest(session, "vm-1", 0, &err), -1);
    double_done();
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    static const struct exchange question[] = {
        POWER("poweredOn"),
        { .expect = { "<ShutdownGuest " }, .status = 200, .body = RESPONSE("ShutdownGuest", "") },
        { .expect = { "runtime.question" },
          .status = 200,
          .body = PROPERTIES(
              OBJECT("VirtualMachine", "vm-1",
                     SET("runtime.powerState",
                         "poweredOn") "<propSet><name>runtime.question</name><val><id>1</id>"
                                      "<text>moved or copied?</text></val></propSet>")) },
    };
    PLAY(question);
    assert_int_equal(vmware_shutdown_guest(session, "vm-1", 0, &err), -1);
    double_done();
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_non_null(strstr(err.text, "moved or copied?"));
}

static void
a_server_that_is_away_says_nothing_of_the_guest(void **state)
{
    (void)state;
#define LOST                                                                                       \
    {                                                                                              \
        .expect = { "<ShutdownGuest " }                                                            \
    }
    static const struct exchange lost[] = { POWER("poweredOn"), LOST, LOST, LOST, LOST, LOST };
    PLAY(lost);
    assert_int_equal(vmware_shutdown_guest(session, "vm-1", 0, &err), -1);
    double_done();
    assert_int_equal(err.kind, ERR_IO);
#define AWAY                                                                                       \
    {                                                                                              \
        .expect = { "runtime.question" }, .status = 503                                            \
    }
    static const struct exchange away[] = {
        POWER("poweredOn"),
        { .expect = { "<ShutdownGuest " }, .status = 200, .body = RESPONSE("ShutdownGuest", "") },
        AWAY,
        AWAY,
        AWAY,
        AWAY,
        AWAY,
    };
    PLAY(away);
    assert_int_equal(vmware_shutdown_guest(session, "vm-1", 0, &err), -1);
    double_done();
    assert_int_equal(err.kind, ERR_IO);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(one_is_made),
        TEST(one_that_is_there_is_taken),
        TEST(a_guest_that_cannot_be_quiesced),
        TEST(a_lost_answer_makes_no_second_one),
        TEST(one_that_could_not_be_watched_is_looked_for),
        TEST(one_that_is_being_made_is_waited_for),
        TEST(nothing_is_made_while_it_is_not_known_what_is_being_made),
        TEST(another_task_is_waited_for),
        TEST(a_free_licence_is_said),
        TEST(ours_is_removed_and_disks_consolidated),
        TEST(one_that_is_gone_is_fine),
        TEST(those_of_others_are_left_alone),
        TEST(ours_are_found_in_the_tree),
        TEST(updates_are_waited_for),
        TEST(without_updates_it_is_polled),
        TEST(a_time_limit_is_held),
        TEST(off_must_stay_off),
        TEST(a_guest_without_tools_is_not_shut_down),
        TEST(a_server_that_is_away_says_nothing_of_the_guest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
