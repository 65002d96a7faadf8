#include "vmware/session.h"

#include "http-double.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "vmware/power.h"
#include "vmware/property.h"

static struct err err;

static int
setup(void **state)
{
    (void)state;
    err = ERR_INIT;
    clock_fake_ns(NS_PER_S);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    clock_fake_ns(-1);
    return 0;
}

static int
try_login(const struct exchange *list, size_t n, enum vmware_kind expected)
{
    struct vmware_options options = {
        .host = "vc.test", .user = "root", .password = "p&w", .expected = expected
    };
    struct vmware_session *session = NULL;
    double_play(list, n);
    int r = vmware_login(&options, &session, &err);
    double_done();
    assert_null(session);
    assert_null(strstr(err.text, "p&w"));
    return r;
}
#define TRY_LOGIN(list, expected) try_login(list, ARRAY_LEN(list), expected)

static void
the_newest_common_version_is_spoken(void **state)
{
    (void)state;
    struct vmware_session *session = double_login();
    assert_string_equal(vmware_about(session)->spoken, "7.0");
    assert_true(vmware_is_vcenter(session));
    assert_string_equal(vmware_about(session)->version, "8.0.2");
    assert_string_equal(vmware_endpoint(session), "vc.test:443");
    static const struct exchange call[] = { {
        .expect = { "SOAPAction: \"urn:vim25/7.0\"", "Cookie: vmware_soap_session=\"one\"\n",
                    "User-Agent: vmferry/", "<operationID>vmferry-" },
        .status = 200,
        .body = RESPONSE("CurrentTime", "<returnval>2026</returnval>"),
    } };
    clock_fake_ns(400 * NS_PER_S);
    PLAY(call);
    assert_int_equal(vmware_keepalive(session, &err), 0);
    double_done();
    /* Not asked again so soon. */
    assert_int_equal(vmware_keepalive(session, &err), 0);
    double_logout(session);
}

static void
the_cookie_is_kept_as_it_came(void **state)
{
    (void)state;
    struct vmware_session *session = double_login();
    auto_secret char *cookie = NULL, *renewed = NULL, *again = NULL;
    assert_int_equal(vmware_cookie(session, &cookie, &err), 0);
    assert_string_equal(cookie, "vmware_soap_session=\"one\"");
    static const struct exchange anew[] = { LOGIN_AS("two") };
    PLAY(anew);
    assert_int_equal(vmware_cookie_renew(session, cookie, &renewed, &err), 0);
    double_done();
    assert_string_equal(renewed, "vmware_soap_session=two");
    /* Somebody else had it renewed already. */
    assert_int_equal(vmware_cookie_renew(session, cookie, &again, &err), 0);
    assert_string_equal(again, "vmware_soap_session=two");
    double_logout(session);
}

static void
a_wrong_password_is_denied(void **state)
{
    (void)state;
    static const struct exchange list[] = {
        VERSIONS,
        CONTENT,
        { .expect = { "<Login " },
          .status = 500,
          .body = FAULT("InvalidLogin",
                        "Cannot complete login due to an incorrect user name or "
                        "password.",
                        "") },
    };
    assert_int_equal(TRY_LOGIN(list, VMWARE_ANY), -1);
    assert_int_equal(err.kind, ERR_DENIED);
    assert_non_null(strstr(err.text, "log in as root"));
    assert_non_null(strstr(err.text, "incorrect user name"));
    assert_non_null(strstr(err.text, "InvalidLogin"));
}

static void
a_host_is_no_vcenter(void **state)
{
    (void)state;
    static const struct exchange host[] = {
        VERSIONS,
        { .expect = { "<RetrieveServiceContent" }, .status = 200, .body = CONTENT_OF("HostAgent") },
    };
    static const struct exchange vcenter[] = { VERSIONS, CONTENT };
    assert_int_equal(TRY_LOGIN(host, VMWARE_VCENTER), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.text, "esx://"));
    assert_int_equal(TRY_LOGIN(vcenter, VMWARE_ESXI), -1);
    assert_non_null(strstr(err.text, "vpx://"));
}

static void
a_server_that_is_something_else_is_refused(void **state)
{
    (void)state;
    static const struct exchange page[] = {
        { .expect = { "vimServiceVersions" }, .status = 200, .body = "<html><body/></html>" },
    };
    static const struct exchange text[] = {
        { .expect = { "vimServiceVersions" }, .status = 200, .body = "hello" },
    };
    static const struct exchange old[] = {
        { .expect = { "vimServiceVersions" },
          .status = 200,
          .body = "<namespaces><namespace><name>urn:vim25</name><version>4.1</version></namespace>"
                  "</namespaces>" },
    };
    assert_int_equal(TRY_LOGIN(page, VMWARE_ANY), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_int_equal(TRY_LOGIN(text, VMWARE_ANY), -1);
    assert_non_null(strstr(err.text, "is that a vCenter"));
    assert_int_equal(TRY_LOGIN(old, VMWARE_ANY), -1);
    assert_non_null(strstr(err.text, "too old"));
}

static void
entities_are_refused(void **state)
{
    (void)state;
    static const struct exchange list[] = {
        VERSIONS,
        { .expect = { "<RetrieveServiceContent" },
          .status = 200,
          .body = "<!DOCTYPE x [<!ENTITY a \"b\">]><x>&a;</x>" },
    };
    assert_int_equal(TRY_LOGIN(list, VMWARE_ANY), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.text, "DOCTYPE"));
}

#define POWER_PATHS                                                                                \
    .expect = { "<RetrievePropertiesEx ", "<obj type=\"VirtualMachine\">vm-1</obj>",               \
                "<pathSet>runtime.powerState</pathSet>" }
#define IS_ON PROPERTIES(OBJECT("VirtualMachine", "vm-1", SET("runtime.powerState", "poweredOn")))
#define NOT_AUTHENTICATED FAULT("NotAuthenticated", "The session is not authenticated.", "")

static void
an_ended_session_is_begun_anew_once(void **state)
{
    (void)state;
    enum vmware_power power;
    struct vmware_session *session = double_login();
    static const struct exchange list[] = {
        { POWER_PATHS, .status = 500, .body = NOT_AUTHENTICATED },
        LOGIN_AS("two"),
        { .expect = { "Cookie: vmware_soap_session=two\n", "runtime.powerState" },
          .status = 200,
          .body = IS_ON },
    };
    PLAY(list);
    assert_int_equal(vmware_power_state(session, "vm-1", &power, &err), 0);
    assert_int_equal(power, VMWARE_POWERED_ON);
    double_done();
    static const struct exchange twice[] = {
        { POWER_PATHS, .status = 500, .body = NOT_AUTHENTICATED },
        LOGIN_AS("three"),
        { POWER_PATHS, .status = 500, .body = NOT_AUTHENTICATED },
    };
    PLAY(twice);
    assert_int_equal(vmware_power_state(session, "vm-1", &power, &err), -1);
    assert_int_equal(err.kind, ERR_DENIED);
    double_done();
    double_logout(session);
}

static void
a_password_that_changed_meanwhile_is_said(void **state)
{
    (void)state;
    enum vmware_power power;
    struct vmware_session *session = double_login();
    static const struct exchange list[] = {
        { POWER_PATHS, .status = 500, .body = NOT_AUTHENTICATED },
        { .expect = { "<Login " }, .status = 500, .body = FAULT("InvalidLogin", "no", "") },
    };
    PLAY(list);
    assert_int_equal(vmware_power_state(session, "vm-1", &power, &err), -1);
    double_done();
    assert_int_equal(err.kind, ERR_DENIED);
    assert_string_equal(vmware_last_fault(session), "InvalidLogin");
    /* Not tried again with each call: that locks the account. */
    static const struct exchange again[] = {
        { POWER_PATHS, .status = 500, .body = NOT_AUTHENTICATED },
    };
    for (int i = 0; i < 3; i++) {
        PLAY(again);
        assert_int_equal(vmware_power_state(session, "vm-1", &power, &err), -1);
        double_done();
        assert_int_equal(err.kind, ERR_DENIED);
        assert_non_null(strstr(err.text, "InvalidLogin"));
        assert_string_equal(vmware_last_fault(session), "InvalidLogin");
    }
    auto_secret char *cookie = NULL;
    assert_int_equal(vmware_cookie(session, &cookie, &err), -1);
    assert_int_equal(vmware_cookie_renew(session, "old", &cookie, &err), -1);
    clock_fake_ns(clock_now_ns() + 301 * NS_PER_S);
    static const struct exchange after[] = {
        { POWER_PATHS, .status = 500, .body = NOT_AUTHENTICATED },
        LOGIN_AS("two"),
        { POWER_PATHS, .status = 200, .body = IS_ON },
    };
    PLAY(after);
    assert_int_equal(vmware_power_state(session, "vm-1", &power, &err), 0);
    double_done();
    assert_int_equal(vmware_cookie_renew(session, NULL, &cookie, &err), 0);
    assert_string_equal(cookie, "vmware_soap_session=two");
    double_logout(session);
}

static void
passing_trouble_is_waited_for(void **state)
{
    (void)state;
    enum vmware_power power;
    struct vmware_session *session = double_login();
    static const struct exchange list[] = {
        { POWER_PATHS, .status = 503, .body = "<html>busy" },
        { POWER_PATHS, .status = 0 },
        { POWER_PATHS, .status = 500, .body = FAULT("HostCommunication", "x", "") },
        { POWER_PATHS, .status = 200, .body = IS_ON },
    };
    PLAY(list);
    int64_t before_ns = clock_now_ns();
    assert_int_equal(vmware_power_state(session, "vm-1", &power, &err), 0);
    double_done();
    assert_int_equal((clock_now_ns() - before_ns) / NS_PER_MS, 500 + 1000 + 2000);
    static const struct exchange forever[] = {
        { POWER_PATHS, .status = 503 }, { POWER_PATHS, .status = 503 },
        { POWER_PATHS, .status = 503 }, { POWER_PATHS, .status = 503 },
        { POWER_PATHS, .status = 503 },
    };
    PLAY(forever);
    assert_int_equal(vmware_power_state(session, "vm-1", &power, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "503"));
    double_done();
    double_logout(session);
}

static void
other_trouble_is_not_waited_for(void **state)
{
    (void)state;
    enum vmware_power power;
    struct vmware_session *session = double_login();
    static const struct exchange denied[] = { {
        POWER_PATHS,
        .status = 500,
        .body = FAULT("NoPermission", "Permission to perform this operation was denied.",
                      "<object type=\"VirtualMachine\">vm-1</object>"
                      "<privilegeId>System.Read</privilegeId>"),
    } };
    PLAY(denied);
    assert_int_equal(vmware_power_state(session, "vm-1", &power, &err), -1);
    assert_int_equal(err.kind, ERR_DENIED);
    assert_non_null(
        strstr(err.text, "root needs the privilege System.Read on VirtualMachine vm-1"));
    double_done();
    static const struct exchange proxy[] = { { POWER_PATHS, .status = 403, .body = "no" } };
    PLAY(proxy);
    assert_int_equal(vmware_power_state(session, "vm-1", &power, &err), -1);
    assert_int_equal(err.kind, ERR_DENIED);
    double_done();
    static const struct exchange broken[] = { { POWER_PATHS, .status = 200, .body = "<a><b>" } };
    PLAY(broken);
    assert_int_equal(vmware_power_state(session, "vm-1", &power, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    double_done();
    double_logout(session);
}

static bool
is_cancelled(void *arg)
{
    return *(bool *)arg;
}

static void
what_is_cancelled_ends_and_still_logs_out(void **state)
{
    (void)state;
    enum vmware_power power;
    bool cancelled = true;
    struct vmware_session *session = double_login();
    vmware_set_cancelled(session, is_cancelled, &cancelled);
    static const struct exchange list[] = { { POWER_PATHS, .status = 200, .body = IS_ON } };
    PLAY(list);
    assert_int_equal(vmware_power_state(session, "vm-1", &power, &err), -1);
    double_done();
    assert_int_equal(err.kind, ERR_CANCELLED);
    double_logout(session);
}

/* ---- properties ---- */

static size_t n_seen;
static char seen[8][VMWARE_MOREF_MAX];

static int
see(const struct object *object, void *arg, struct err *ignored)
{
    (void)arg, (void)ignored;
    assert_true(n_seen < ARRAY_LEN(seen));
    memcpy(seen[n_seen++], object->moref, VMWARE_MOREF_MAX);
    return 0;
}

#define VIEW(moref)                                                                                \
    {                                                                                              \
        .expect = { "<CreateContainerView ", "<container type=\"Folder\">group-d1</container>",    \
                    "<type>VirtualMachine</type>", "<recursive>true</recursive>" },                \
        .status = 200, .body = REF("CreateContainerView", "ContainerView", moref),                 \
    }
#define DESTROYED                                                                                  \
    {                                                                                              \
        .expect = { "<DestroyView " }, .status = 200, .body = RESPONSE("DestroyView", ""),         \
    }
static const char *const paths[] = { "name", "config.new", NULL };
static const struct property_set set = { "VirtualMachine", paths };

static int
read_all(struct vmware_session *session)
{
    n_seen = 0;
    return property_read_all(session, NULL, NULL, &set, 1, "list", see, NULL, &err);
}

static void
pages_are_followed_to_their_end(void **state)
{
    (void)state;
    struct vmware_session *session = double_login();
    static const struct exchange list[] = {
        VIEW("session[5]a"),
        { .expect = { "<RetrievePropertiesEx ", "<maxObjects>100</maxObjects>",
                      "<obj type=\"ContainerView\">session[5]a</obj>", "<pathSet>config.new" },
          .status = 200,
          .body = PROPERTIES("<token>t&amp;1</token>" OBJECT("VirtualMachine", "vm-1", "")
                                 OBJECT("VirtualMachine", "vm-2", "")) },
        { .expect = { "<ContinueRetrievePropertiesEx ", "<token>t&amp;1</token>" },
          .status = 200,
          .body = RESPONSE("ContinueRetrievePropertiesEx",
                           "<returnval>" OBJECT("VirtualMachine", "vm-3", "") "</returnval>") },
        DESTROYED,
    };
    PLAY(list);
    assert_int_equal(read_all(session), 0);
    double_done();
    assert_int_equal(n_seen, 3);
    assert_string_equal(seen[2], "vm-3");
    double_logout(session);
}

static void
nothing_is_no_error(void **state)
{
    (void)state;
    struct vmware_session *session = double_login();
    static const struct exchange list[] = {
        VIEW("v"),
        { .expect = { "<RetrievePropertiesEx " },
          .status = 200,
          .body = RESPONSE("RetrievePropertiesEx", "") },
        DESTROYED,
    };
    PLAY(list);
    assert_int_equal(read_all(session), 0);
    double_done();
    assert_int_equal(n_seen, 0);
    double_logout(session);
}

static void
a_property_the_server_does_not_know_is_left_out(void **state)
{
    (void)state;
    struct vmware_session *session = double_login();
    static const struct exchange list[] = {
        VIEW("v"),
        { .expect = { "<RetrievePropertiesEx ", "<pathSet>config.new" },
          .status = 500,
          .body = FAULT("InvalidProperty", "", "<name>config.new</name>") },
        { .expect = { "<RetrievePropertiesEx ", "<pathSet>name" },
          .forbid = "config.new",
          .status = 200,
          .body = PROPERTIES(OBJECT("VirtualMachine", "vm-1", "")) },
        DESTROYED,
    };
    PLAY(list);
    assert_int_equal(read_all(session), 0);
    double_done();
    assert_int_equal(n_seen, 1);
    double_logout(session);
}

static void
a_listing_that_loses_its_session_begins_anew(void **state)
{
    (void)state;
    struct vmware_session *session = double_login();
    static const struct exchange list[] = {
        VIEW("v"),
        { .expect = { "<RetrievePropertiesEx " },
          .status = 200,
          .body = PROPERTIES("<token>t</token>" OBJECT("VirtualMachine", "vm-1", "")) },
        { .expect = { "<ContinueRetrievePropertiesEx " },
          .status = 500,
          .body = NOT_AUTHENTICATED },
        LOGIN_AS("two"),
        { .expect = { "<ContinueRetrievePropertiesEx " },
          .status = 500,
          .body = FAULT("InvalidArgument", "", "<invalidProperty>token</invalidProperty>") },
        VIEW("w"),
        { .expect = { "<RetrievePropertiesEx ", "<obj type=\"ContainerView\">w</obj>" },
          .status = 200,
          .body = PROPERTIES(OBJECT("VirtualMachine", "vm-1", "")
                                 OBJECT("VirtualMachine", "vm-2", "")) },
        DESTROYED,
    };
    PLAY(list);
    assert_int_equal(read_all(session), 0);
    double_done();
    assert_int_equal(n_seen, 2);
    assert_string_equal(seen[1], "vm-2");
    double_logout(session);
}

static void
values_are_found_above_and_below_what_was_asked(void **state)
{
    (void)state;
    static const char text[] =
        "<objects><obj type=\"VirtualMachine\">vm-1</obj><propSet><name>config</name><val>"
        "<hardware><numCPU>4</numCPU></hardware></val></propSet>" SET("config.uuid",
                                                                      "u") "</objects>";
    auto_xml_doc struct xml_doc *doc = NULL;
    struct object object;
    assert_int_equal(xml_parse("<a xmlns:xsi='x'/>", 18, "t", &doc, &err), 0);
    xml_doc_free(TAKE_PTR(doc));
    char whole[1024];
    snprintf(whole, sizeof whole, "<x xmlns:xsi=\"%s\">%s</x>", NS_XSI, text);
    assert_int_equal(xml_parse(whole, strlen(whole), "t", &doc, &err), 0);
    assert_true(object_of(xml_root(doc)->first_child, &object));
    assert_int_equal(object_u64(&object, "config.hardware.numCPU"), 4);
    assert_string_equal(object_text(&object, "config.uuid"), "u");
    assert_null(object_text(&object, "config.name"));
    assert_null(object_text(&object, "configuration"));
    assert_string_equal(object.moref, "vm-1");
}

static void
types_are_told_by_namespace(void **state)
{
    (void)state;
    static const char text[] = "<x xmlns:XMLSchema-instance=\"" NS_XSI "\" xmlns:o=\"urn:other\">"
                               "<a type=\"Plain\" XMLSchema-instance:type=\"xsd:Real\"/>"
                               "<b o:type=\"Other\"/></x>";
    auto_xml_doc struct xml_doc *doc = NULL;
    assert_int_equal(xml_parse(text, strlen(text), "t", &doc, &err), 0);
    assert_string_equal(xsi_type(xml_find(xml_root(doc), "a")), "Real");
    assert_string_equal(ref_type(xml_find(xml_root(doc), "a")), "Plain");
    assert_null(xsi_type(xml_find(xml_root(doc), "b")));
    assert_string_equal(ref_type(xml_find(xml_root(doc), "b")), "");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_newest_common_version_is_spoken),
        TEST(the_cookie_is_kept_as_it_came),
        TEST(a_wrong_password_is_denied),
        TEST(a_host_is_no_vcenter),
        TEST(a_server_that_is_something_else_is_refused),
        TEST(entities_are_refused),
        TEST(an_ended_session_is_begun_anew_once),
        TEST(a_password_that_changed_meanwhile_is_said),
        TEST(passing_trouble_is_waited_for),
        TEST(other_trouble_is_not_waited_for),
        TEST(what_is_cancelled_ends_and_still_logs_out),
        TEST(pages_are_followed_to_their_end),
        TEST(nothing_is_no_error),
        TEST(a_property_the_server_does_not_know_is_left_out),
        TEST(a_listing_that_loses_its_session_begins_anew),
        TEST(values_are_found_above_and_below_what_was_asked),
        TEST(types_are_told_by_namespace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
