#include "vmware/privilege.h"

#include <string.h>

#include "base/checked.h"
#include "vmware/property.h"

static const char what[] = "see what the user may do";

static void
take_answers(const struct soap_reply *reply, const char *const *ids, bool *ret_missing)
{
    for (size_t i = 0; ids[i]; i++)
        ret_missing[i] = true;
    const struct xml_node *privilege =
        xml_find(xml_child(reply->response, "returnval"), "privAvailability");
    for (; privilege; privilege = xml_next(privilege, "privAvailability")) {
        const char *id = xml_text_at(privilege, "privId");
        for (size_t i = 0; id && ids[i]; i++)
            if (strcmp(ids[i], id) == 0)
                ret_missing[i] = !text_bool(xml_text_at(privilege, "isGranted"));
    }
}

/* The question names the session, which may have been replaced since it was written. */
static int
ask_server(struct vmware_session *session, const char *type, const char *moref,
           const char *const *ids, bool *ret_missing, struct err *err)
{
    for (int tries = 1;; tries++) {
        auto_soap_message struct soap_message message = { 0 };
        auto_soap_reply struct soap_reply reply = { 0 };
        unsigned login = session->n_logins;
        struct soap_call call = { .what = what };
        call_begin(session, &message, "HasPrivilegeOnEntities", "AuthorizationManager",
                   session->at.rights);
        soap_ref(&message, "entity", type, moref);
        soap_text(&message, "sessionId", session->session_key);
        for (size_t i = 0; ids[i]; i++)
            soap_text(&message, "privId", ids[i]);
        int r = call_send(session, &message, &call, &reply, err);
        if (login != session->n_logins && tries == 1)
            continue;
        if (r == 0)
            take_answers(&reply, ids, ret_missing);
        return r;
    }
}

/* ---- by the roles of the user, where the server does not answer that ---- */

static bool
has_role(const struct xml_node *effective, const char *role)
{
    const struct xml_node *id = xml_child(effective, NULL);
    for (; id; id = id->next)
        if (role && strcmp(id->text, role) == 0)
            return true;
    return false;
}

static void
grant(const struct xml_node *role, const char *const *ids, bool *ret_missing)
{
    const struct xml_node *privilege = xml_child(role, "privilege");
    for (; privilege; privilege = xml_next(privilege, "privilege"))
        for (size_t i = 0; ids[i]; i++)
            if (strcmp(ids[i], privilege->text) == 0)
                ret_missing[i] = false;
}

static int
look_at_roles(struct vmware_session *session, const char *type, const char *moref,
              const char *const *ids, bool *ret_missing, struct err *err)
{
    static const char *const role_paths[] = { "roleList", NULL };
    static const char *const entity_paths[] = { "effectiveRole", NULL };
    auto_soap_reply struct soap_reply role_reply = { 0 }, entity_reply = { 0 };
    struct object roles, entity;
    if (property_read(session, "AuthorizationManager", session->at.rights, role_paths, what,
                      &role_reply, &roles, err) < 0 ||
        property_read(session, type, moref, entity_paths, what, &entity_reply, &entity, err) < 0)
        return -1;
    const struct xml_node *effective = object_get(&entity, "effectiveRole");
    const struct xml_node *role = xml_child(object_get(&roles, "roleList"), NULL);
    if (!effective || !role)
        return err_set(err, ERR_UNAVAILABLE, "%s: %s: the server does not tell", session->endpoint,
                       what);
    for (size_t i = 0; ids[i]; i++)
        ret_missing[i] = true;
    for (; role; role = role->next)
        if (has_role(effective, xml_text_at(role, "roleId")))
            grant(role, ids, ret_missing);
    return 0;
}

int
vmware_privileges_missing(struct vmware_session *session, const char *type, const char *moref,
                          const char *const *ids, bool *ret_missing, struct err *err)
{
    static const char *const unable[] = { "MethodNotFound", "NotImplemented", "NotSupported",
                                          "InvalidRequest" };
    size_t n = 0;
    while (ids[n])
        n++;
    if (n > VMWARE_PRIVILEGES_MAX)
        return err_set(err, ERR_BUG, "%zu privileges asked for at once", n);
    if (!*session->at.rights)
        return err_set(err, ERR_UNAVAILABLE, "%s: %s: the server does not tell", session->endpoint,
                       what);
    type = moref ? type : "Folder";
    moref = moref ? moref : session->at.root;
    if (ask_server(session, type, moref, ids, ret_missing, err) == 0)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(unable); i++)
        if (call_is_fault(session, unable[i]))
            return look_at_roles(session, type, moref, ids, ret_missing, err);
    return -1;
}
