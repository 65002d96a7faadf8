#include "vmware/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* The orders of the WSDL, apart from the table under test. */
static const char *const orders[][2] = {
    { "RetrieveServiceContent", "_this" },
    { "CurrentTime", "_this" },
    { "Login", "_this userName password locale?" },
    { "Logout", "_this" },
    { "CreateContainerView", "_this container type* recursive" },
    { "DestroyView", "_this" },
    { "FindByInventoryPath", "_this inventoryPath" },
    { "FindByUuid", "_this datacenter? uuid vmSearch instanceUuid?" },
    { "FindAllByUuid", "_this datacenter? uuid vmSearch instanceUuid?" },
    { "RetrievePropertiesEx", "_this specSet+:PropertyFilterSpec options:RetrieveOptions" },
    { "ContinueRetrievePropertiesEx", "_this token" },
    { "CancelRetrievePropertiesEx", "_this token" },
    { "CreateFilter", "_this spec:PropertyFilterSpec partialUpdates" },
    { "DestroyPropertyFilter", "_this" },
    { "WaitForUpdatesEx", "_this version? options?:WaitOptions" },
    { "PropertyFilterSpec",
      "propSet+:PropertySpec objectSet+:ObjectSpec reportMissingObjectsInResults?" },
    { "PropertySpec", "type all? pathSet*" },
    { "ObjectSpec", "obj skip? selectSet*:SelectionSpec" },
    { "SelectionSpec", "name?" },
    { "TraversalSpec", "name? type path skip? selectSet*:SelectionSpec" },
    { "RetrieveOptions", "maxObjects?" },
    { "WaitOptions", "maxWaitSeconds? maxObjectUpdates?" },
    { "CreateSnapshot_Task", "_this name description? memory quiesce" },
    { "RemoveSnapshot_Task", "_this removeChildren consolidate?" },
    { "ConsolidateVMDisks_Task", "_this" },
    { "ReconfigVM_Task", "_this spec:VirtualMachineConfigSpec" },
    { "VirtualMachineConfigSpec", "changeTrackingEnabled?" },
    { "QueryChangedDiskAreas", "_this snapshot? deviceKey startOffset changeId" },
    { "ShutdownGuest", "_this" },
    { "PowerOffVM_Task", "_this" },
    { "PowerOnVM_Task", "_this host?" },
    { "CancelTask", "_this" },
    { "ExportVm", "_this" },
    { "ExportSnapshot", "_this" },
    { "HttpNfcLeaseProgress", "_this percent" },
    { "HttpNfcLeaseComplete", "_this" },
    { "HttpNfcLeaseAbort", "_this fault?:LocalizedMethodFault" },
    { "HttpNfcLeaseGetManifest", "_this" },
    { "LocalizedMethodFault", "fault:MethodFault localizedMessage?" },
    { "MethodFault", "faultCause? faultMessage*" },
    { "SystemError", "faultCause? faultMessage* reason" },
    { "HasPrivilegeOnEntities", "_this entity+ sessionId privId*" },
    { "DisableMethods", "_this entity+ method+:DisabledMethodRequest sourceId sessionScope?" },
    { "DisabledMethodRequest", "method reasonId" },
    { "EnableMethods", "_this entity+ method+ sourceId" },
};

static void
the_table_has_the_orders_of_the_wsdl(void **state)
{
    (void)state;
    size_t n = sizeof orders / sizeof orders[0];
    for (size_t i = 0; i < n; i++) {
        const struct soap_type *type = soap_type_find(orders[i][0]);
        if (!type)
            fail_msg("%s is not in the table", orders[i][0]);
        assert_string_equal(type->fields, orders[i][1]);
    }
    assert_non_null(soap_type_at(n - 1));
    assert_null(soap_type_at(n)); /* none without a line above */
}

#define BEGIN(method)                                                                              \
    auto_soap_message struct soap_message m = { 0 };                                               \
    struct err err = ERR_INIT;                                                                     \
    soap_begin(&m, method, "op-1", "VirtualMachine", "vm-1")

static void
a_request_is_written_as_it_must_be(void **state)
{
    (void)state;
    BEGIN("CreateSnapshot_Task");
    soap_text(&m, "name", "a<b>&\"c");
    soap_text(&m, "description", NULL);
    soap_bool(&m, "memory", false);
    soap_bool(&m, "quiesce", true);
    assert_int_equal(soap_end(&m, &err), 0);
    assert_non_null(strstr(m.text.data, "<operationID>op-1</operationID>"));
    assert_non_null(strstr(m.text.data, "<CreateSnapshot_Task xmlns=\"urn:vim25\">"));
    assert_non_null(strstr(m.text.data, "<_this type=\"VirtualMachine\">vm-1</_this>"));
    assert_non_null(strstr(m.text.data, "<name>a&lt;b&gt;&amp;&quot;c</name>"));
    assert_null(strstr(m.text.data, "description"));
    assert_non_null(strstr(m.text.data, "<memory>false</memory>"));
}

static void
expect_bug(struct soap_message *m, const char *word)
{
    struct err err = ERR_INIT;
    assert_int_equal(soap_end(m, &err), -1);
    assert_int_equal(err.kind, ERR_BUG);
    if (!strstr(err.text, word))
        fail_msg("no \"%s\" in: %s", word, err.text);
}

static void
what_stands_in_the_wrong_place_is_refused(void **state)
{
    (void)state;
    BEGIN("CreateSnapshot_Task");
    (void)err;
    soap_text(&m, "name", "x");
    soap_bool(&m, "quiesce", true);
    soap_bool(&m, "memory", false);
    expect_bug(&m, "memory of CreateSnapshot_Task is missing");
}

static void
what_stands_too_late_is_refused(void **state)
{
    (void)state;
    BEGIN("FindByUuid");
    (void)err;
    soap_text(&m, "uuid", "x");
    soap_bool(&m, "vmSearch", true);
    soap_ref(&m, "datacenter", "Datacenter", "dc-1");
    expect_bug(&m, "datacenter of FindByUuid is unknown or stands too late");
}

static void
what_is_missing_at_the_end_is_refused(void **state)
{
    (void)state;
    BEGIN("QueryChangedDiskAreas");
    (void)err;
    soap_int(&m, "deviceKey", 2000);
    soap_int(&m, "startOffset", 0);
    expect_bug(&m, "changeId of QueryChangedDiskAreas is missing");
}

static void
what_is_there_twice_is_refused(void **state)
{
    (void)state;
    BEGIN("Login");
    (void)err;
    soap_text(&m, "userName", "a");
    soap_text(&m, "userName", "b");
    expect_bug(&m, "userName of Login is there twice");
}

static void
what_is_unknown_is_refused(void **state)
{
    (void)state;
    BEGIN("Logout");
    (void)err;
    soap_text(&m, "now", "b");
    expect_bug(&m, "now of Logout is unknown");
    auto_soap_message struct soap_message other = { 0 };
    soap_begin(&other, "DestroyAll", NULL, "VirtualMachine", "vm-1");
    expect_bug(&other, "DestroyAll");
}

static void
an_object_holds_its_own_order(void **state)
{
    (void)state;
    BEGIN("CreateFilter");
    soap_open(&m, "spec", NULL);
    soap_open(&m, "propSet", NULL);
    soap_text(&m, "type", "Task");
    soap_text(&m, "pathSet", "a");
    soap_text(&m, "pathSet", "b");
    soap_close(&m);
    soap_open(&m, "objectSet", NULL);
    soap_ref(&m, "obj", "Task", "task-1");
    soap_open(&m, "selectSet", "TraversalSpec");
    soap_text(&m, "type", "T");
    soap_text(&m, "path", "p");
    soap_close(&m);
    soap_close(&m);
    soap_close(&m);
    soap_bool(&m, "partialUpdates", false);
    assert_int_equal(soap_end(&m, &err), 0);
    assert_non_null(strstr(m.text.data, "<selectSet xsi:type=\"TraversalSpec\">"));
}

static void
an_object_that_is_not_whole_is_refused(void **state)
{
    (void)state;
    BEGIN("CreateFilter");
    (void)err;
    soap_open(&m, "spec", NULL);
    soap_open(&m, "propSet", NULL);
    soap_text(&m, "type", "Task");
    soap_close(&m);
    soap_close(&m);
    soap_bool(&m, "partialUpdates", false);
    expect_bug(&m, "objectSet of PropertyFilterSpec is missing");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_has_the_orders_of_the_wsdl),
        cmocka_unit_test(a_request_is_written_as_it_must_be),
        cmocka_unit_test(what_stands_in_the_wrong_place_is_refused),
        cmocka_unit_test(what_stands_too_late_is_refused),
        cmocka_unit_test(what_is_missing_at_the_end_is_refused),
        cmocka_unit_test(what_is_there_twice_is_refused),
        cmocka_unit_test(what_is_unknown_is_refused),
        cmocka_unit_test(an_object_holds_its_own_order),
        cmocka_unit_test(an_object_that_is_not_whole_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
