#include "vmware/hold.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "vmware/privilege.h"
#include "vmware/property.h"

static const char relocate[] = "RelocateVM_Task";

int
vmware_hold_possible(struct vmware_session *session, const char *machine_moref, bool *ret,
                     char ret_why[VMWARE_HOLD_WHY_MAX], struct err *err)
{
    static const char *const ids[] = { "Global.DisableMethods", "Global.EnableMethods", NULL };
    bool missing[ARRAY_LEN(ids)] = { false };
    struct err why = ERR_INIT;
    *ret = false;
    if (!session->about.vcenter) {
        snprintf(ret_why, VMWARE_HOLD_WHY_MAX, "a host by itself moves no disks");
        return 0;
    }
    if (vmware_privileges_missing(session, "VirtualMachine", machine_moref, ids, missing, &why) <
        0) {
        if (why.kind == ERR_CANCELLED) {
            *err = why;
            return -1;
        }
        snprintf(ret_why, VMWARE_HOLD_WHY_MAX, "it is not known whether the user may: %.200s",
                 why.text);
        return 0;
    }
    *ret = !missing[0] && !missing[1];
    if (!*ret)
        snprintf(ret_why, VMWARE_HOLD_WHY_MAX, "%.100s lacks %s%s%s", session->user,
                 missing[0] ? ids[0] : "", missing[0] && missing[1] ? " and " : "",
                 missing[1] ? ids[1] : "");
    return 0;
}

int
vmware_hold(struct vmware_session *session, const char *machine_moref, const char *name,
            bool *ret_held, char ret_why[VMWARE_HOLD_WHY_MAX], struct err *err)
{
    auto_soap_message struct soap_message message = { 0 };
    auto_soap_reply struct soap_reply reply = { 0 };
    struct err why = ERR_INIT;
    char what[200];
    snprintf(what, sizeof what, "hold off storage vMotion of %.63s", machine_moref);
    /* Sent twice it might be refused for being there already, which reads like somebody else's. */
    struct soap_call call = { .what = what, .once = true };
    call_begin(session, &message, "DisableMethods", "AuthorizationManager", session->at.rights);
    soap_ref(&message, "entity", "VirtualMachine", machine_moref);
    soap_open(&message, "method", NULL);
    soap_text(&message, "method", relocate);
    soap_text(&message, "reasonId", name);
    soap_close(&message);
    soap_text(&message, "sourceId", name);
    *ret_held = call_send(session, &message, &call, &reply, &why) == 0;
    if (*ret_held)
        return 0;
    if (!*session->fault.type) {
        *err = why;
        return -1;
    }
    snprintf(ret_why, VMWARE_HOLD_WHY_MAX, "%.250s", why.text);
    return 0;
}

static bool
is_switched_off(struct vmware_session *session, const char *machine_moref, const char *what)
{
    static const char *const paths[] = { "disabledMethod", NULL };
    auto_soap_reply struct soap_reply reply = { 0 };
    struct object object;
    struct err why = ERR_INIT;
    if (property_read(session, "VirtualMachine", machine_moref, paths, what, &reply, &object,
                      &why) < 0)
        return why.kind != ERR_NOT_FOUND;
    const struct xml_node *method = xml_child(object_get(&object, "disabledMethod"), "string");
    for (; method; method = xml_next(method, "string"))
        if (strcmp(method->text, relocate) == 0)
            return true;
    return false;
}

int
vmware_hold_release(struct vmware_session *session, const char *machine_moref, const char *name,
                    struct err *err)
{
    auto_soap_message struct soap_message message = { 0 };
    auto_soap_reply struct soap_reply reply = { 0 };
    struct err why = ERR_INIT;
    char what[200];
    snprintf(what, sizeof what, "allow storage vMotion of %.63s again (%.60s)", machine_moref,
             name);
    struct soap_call call = { .what = what };
    call_begin(session, &message, "EnableMethods", "AuthorizationManager", session->at.rights);
    soap_ref(&message, "entity", "VirtualMachine", machine_moref);
    soap_text(&message, "method", relocate);
    soap_text(&message, "sourceId", name);
    if (call_send(session, &message, &call, &reply, &why) == 0 || why.kind == ERR_NOT_FOUND)
        return 0;
    /* Refused perhaps because there is nothing to let go of: the answer before this one was lost.
     */
    struct fault fault = session->fault;
    if (*fault.type && !is_switched_off(session, machine_moref, what))
        return 0;
    session->fault = fault;
    *err = why;
    return -1;
}
