#include "vmware/hold.h"

#include "http-double.h"

#include <string.h>

#include "base/clock.h"

static struct err err;
static struct vmware_session *session;
static bool said;
static char why[VMWARE_HOLD_WHY_MAX];

static int
setup(void **state)
{
    (void)state;
    err = ERR_INIT;
    why[0] = '\0';
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

#define GRANT(id, granted)                                                                         \
    "<privAvailability><privId>" id "</privId><isGranted>" granted "</isGranted></"                \
    "privAvailability>"
#define RIGHTS(disable, enable)                                                                    \
    {                                                                                              \
        .expect = { "<HasPrivilegeOnEntities xmlns=\"urn:vim25\">",                                \
                    "<entity type=\"VirtualMachine\">vm-1</entity>",                               \
                    "<privId>Global.DisableMethods</privId>",                                      \
                    "<privId>Global.EnableMethods</privId>" },                                     \
        .status = 200,                                                                             \
        .body = RESPONSE("HasPrivilegeOnEntities",                                                 \
                         "<returnval><entity type=\"VirtualMachine\">vm-1</entity>" GRANT(         \
                             "Global.DisableMethods", disable)                                     \
                             GRANT("Global.EnableMethods", enable) "</returnval>"),                \
    }
#define DISABLE(code, text)                                                                        \
    {                                                                                              \
        .expect = { "<DisableMethods xmlns=\"urn:internalvim25\">",                                \
                    "SOAPAction: \"urn:vim25/7.0\"",                                               \
                    "<entity type=\"VirtualMachine\">vm-1</entity>",                               \
                    "<method>RelocateVM_Task</method>",                                            \
                    "<reasonId>vmferry-7</reasonId>",                                              \
                    "<sourceId>vmferry-7</sourceId>" },                                            \
        .forbid = "sessionScope", .fresh = true, .status = code, .body = text,                     \
    }
#define ENABLE(code, text)                                                                         \
    {                                                                                              \
        .expect = { "<EnableMethods xmlns=\"urn:internalvim25\">",                                 \
                    "<entity type=\"VirtualMachine\">vm-1</entity>",                               \
                    "<method>RelocateVM_Task</method>", "<sourceId>vmferry-7</sourceId>" },        \
        .status = code, .body = text,                                                              \
    }
#define DISABLED(methods)                                                                          \
    {                                                                                              \
        .expect = { "<pathSet>disabledMethod</pathSet>" }, .status = 200,                          \
        .body = PROPERTIES(OBJECT("VirtualMachine", "vm-1",                                        \
                                  "<propSet><name>disabledMethod</name>"                           \
                                  "<val xsi:type=\"ArrayOfString\">" methods "</val></propSet>")), \
    }

static void
both_rights_are_needed(void **state)
{
    (void)state;
    static const struct exchange both[] = { RIGHTS("true", "true") };
    PLAY(both);
    assert_int_equal(vmware_hold_possible(session, "vm-1", &said, why, &err), 0);
    double_done();
    assert_true(said);
    static const struct exchange one[] = { RIGHTS("true", "false") };
    PLAY(one);
    assert_int_equal(vmware_hold_possible(session, "vm-1", &said, why, &err), 0);
    double_done();
    assert_false(said);
    assert_string_equal(why, "root lacks Global.EnableMethods");
    static const struct exchange none[] = { RIGHTS("false", "false") };
    PLAY(none);
    assert_int_equal(vmware_hold_possible(session, "vm-1", &said, why, &err), 0);
    double_done();
    assert_string_equal(why, "root lacks Global.DisableMethods and Global.EnableMethods");
}

static void
it_is_made_and_taken_back(void **state)
{
    (void)state;
    static const struct exchange list[] = {
        DISABLE(200, RESPONSE("DisableMethods", "")),
        ENABLE(200, RESPONSE("EnableMethods", "")),
    };
    PLAY(list);
    assert_int_equal(vmware_hold(session, "vm-1", "vmferry-7", &said, why, &err), 0);
    assert_true(said);
    assert_int_equal(vmware_hold_release(session, "vm-1", "vmferry-7", &err), 0);
    double_done();
}

static void
a_refusal_is_told_and_a_lost_answer_is_an_error(void **state)
{
    (void)state;
    static const struct exchange refused[] = {
        DISABLE(500, FAULT("MethodAlreadyDisabledFault", "held", "<sourceId>backup</sourceId>")),
    };
    PLAY(refused);
    assert_int_equal(vmware_hold(session, "vm-1", "vmferry-7", &said, why, &err), 0);
    double_done();
    assert_false(said);
    assert_non_null(strstr(why, "held"));
    static const struct exchange lost[] = { DISABLE(0, NULL) };
    PLAY(lost);
    assert_int_equal(vmware_hold(session, "vm-1", "vmferry-7", &said, why, &err), -1);
    double_done();
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
}

static void
what_is_not_held_need_not_be_let_go(void **state)
{
    (void)state;
    static const struct exchange gone[] = {
        ENABLE(500, FAULT("ManagedObjectNotFound", "no such machine", "")),
        ENABLE(500, FAULT("InvalidArgument", "not disabled", "")),
        DISABLED("<string>PowerOnVM_Task</string>"),
    };
    PLAY(gone);
    assert_int_equal(vmware_hold_release(session, "vm-1", "vmferry-7", &err), 0);
    assert_int_equal(vmware_hold_release(session, "vm-1", "vmferry-7", &err), 0);
    double_done();
    static const struct exchange stays[] = {
        ENABLE(500, FAULT("NoPermission", "no", "<privilegeId>Global.EnableMethods</privilegeId>")),
        DISABLED("<string>PowerOnVM_Task</string><string>RelocateVM_Task</string>"),
    };
    PLAY(stays);
    assert_int_equal(vmware_hold_release(session, "vm-1", "vmferry-7", &err), -1);
    double_done();
    assert_int_equal(err.kind, ERR_DENIED);
    assert_non_null(strstr(err.text, "Global.EnableMethods"));
    assert_string_equal(vmware_last_fault(session), "NoPermission");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_rights_are_needed, setup, teardown),
        cmocka_unit_test_setup_teardown(it_is_made_and_taken_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refusal_is_told_and_a_lost_answer_is_an_error, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_is_not_held_need_not_be_let_go, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
