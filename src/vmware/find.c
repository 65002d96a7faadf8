#include "vmware/find.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "model/vm.h"
#include "vmware/machine-read.h"

static const char *const found_paths[] = { "name", "parent", "parentVApp", NULL };

struct search {
    struct vmware_session *session;
    struct names *names;
    const char *query;
    const struct entity *datacenter; /* NULL: anywhere */
    bool by_path;
    size_t n;                      /* that fit */
    struct vmware_found first;     /* of them */
    char list[ERR_TEXT_MAX - 256]; /* paths and morefs of the first ones */
};

void
vmware_found_free(struct vmware_found *found)
{
    free(found->name);
    free(found->path);
    free(found->datacenter_path);
    *found = (struct vmware_found){ 0 };
}

static void
search_done(struct search *search)
{
    vmware_found_free(&search->first);
    names_free(search->names);
}

/* ---- what fits ---- */

static int
describe(const struct search *search, const struct object *object, struct vmware_found *ret,
         struct err *err)
{
    char path[NAMES_PATH_MAX];
    const char *parent_type, *parent = machine_parent(object, &parent_type);
    const char *name = object_text(object, "name");
    name = name && *name ? name : object->moref;
    const struct entity *datacenter = names_datacenter(search->names, parent);
    memcpy(ret->moref, object->moref, sizeof ret->moref);
    names_path(search->names, parent, path);
    if (asprintf(&ret->path, "%s/%s", path, name) < 0)
        ret->path = NULL;
    path[0] = '\0';
    if (datacenter)
        names_path(search->names, datacenter->moref, path);
    ret->datacenter_path = strdup(path);
    ret->name = strdup(name);
    if (!ret->path || !ret->datacenter_path || !ret->name)
        return err_errno(err, ENOMEM, "a machine");
    name_decode(ret->name);
    return 0;
}

static int
take(struct search *search, const struct object *object, struct err *err)
{
    AUTO(vmware_found_free) struct vmware_found found = { 0 };
    if (search->n == 1 && strcmp(search->first.moref, object->moref) == 0)
        return 0; /* by another word of it */
    if (describe(search, object, &found, err) < 0)
        return -1;
    size_t at = strlen(search->list);
    if (search->n < VMWARE_FOUND_MAX)
        snprintf(search->list + at, sizeof search->list - at, "%s%s (%s)", at ? ", " : "",
                 found.path, found.moref);
    if (search->n++ == 0) {
        search->first = found;
        found = (struct vmware_found){ 0 };
    }
    return 0;
}

static bool
is_inside(const struct search *search, const struct object *object)
{
    const char *type;
    const char *parent = machine_parent(object, &type);
    const struct entity *datacenter = names_datacenter(search->names, parent);
    return !search->datacenter ||
           (datacenter && strcmp(datacenter->moref, search->datacenter->moref) == 0);
}

/* Of a path: the whole of it, or what follows a datacenter or its vm folder. */
static bool
is_path(const struct search *search, const char *path)
{
    const char *query = search->query + strspn(search->query, "/");
    path += strspn(path, "/");
    if (strcmp(query, path) == 0)
        return true;
    const char *vm = strstr(path, "/vm/");
    return vm && (strcmp(query, vm + 1) == 0 || strcmp(query, vm + 4) == 0);
}

static int
on_named(const struct object *object, void *arg, struct err *err)
{
    struct search *search = arg;
    const char *name = object_text(object, "name"), *type;
    char path[NAMES_PATH_MAX], text[NAMES_PATH_MAX + 1024];
    if (!name || !is_inside(search, object))
        return 0;
    if (search->by_path) {
        names_path(search->names, machine_parent(object, &type), path);
        snprintf(text, sizeof text, "%s/%s", path, name);
    } else {
        TEXT_TAKE(text, name);
    }
    bool fits = search->by_path ? is_path(search, text) : strcmp(search->query, text) == 0;
    if (!fits) {
        name_decode(text);
        fits = search->by_path ? is_path(search, text) : strcmp(search->query, text) == 0;
    }
    return fits ? take(search, object, err) : 0;
}

/* ---- ways to look ---- */

/* By reference; nothing when there is none. */
static int
try_moref(struct search *search, const char *moref, struct err *err)
{
    auto_soap_reply struct soap_reply reply = { 0 };
    struct object object;
    struct err why = ERR_INIT;
    if (property_read(search->session, "VirtualMachine", moref, found_paths, "find a machine",
                      &reply, &object, &why) < 0) {
        if (why.kind == ERR_NOT_FOUND || why.kind == ERR_INVALID)
            return 0;
        *err = why;
        return -1;
    }
    const char *type;
    struct ref parent = { .moref = machine_parent(&object, &type) };
    parent.type = type;
    if (*parent.moref && names_load_refs(search->names, &parent, 1, err) < 0)
        return -1;
    return is_inside(search, &object) ? take(search, &object, err) : 0;
}

/* By UUID: FindAllByUuid, or FindByUuid where that is not known. */
static int
ask_uuid(struct search *search, const char *method, const char *uuid, bool instance,
         struct soap_reply *reply, struct err *err)
{
    auto_soap_message struct soap_message message = { 0 };
    struct vmware_session *session = search->session;
    struct soap_call call = { .what = "find a machine by its UUID" };
    call_begin(session, &message, method, "SearchIndex", session->at.search);
    if (search->datacenter)
        soap_ref(&message, "datacenter", "Datacenter", search->datacenter->moref);
    soap_text(&message, "uuid", uuid);
    soap_bool(&message, "vmSearch", true);
    soap_bool(&message, "instanceUuid", instance);
    return call_send(session, &message, &call, reply, err);
}

static int
try_uuid(struct search *search, const char *uuid, bool instance, struct err *err)
{
    auto_soap_reply struct soap_reply reply = { 0 };
    if (ask_uuid(search, "FindAllByUuid", uuid, instance, &reply, err) < 0) {
        if (!call_is_fault(search->session, "MethodNotFound") &&
            !call_is_fault(search->session, "NotImplemented") &&
            !call_is_fault(search->session, "NotSupported"))
            return -1;
        if (ask_uuid(search, "FindByUuid", uuid, instance, &reply, err) < 0)
            return -1;
    }
    const struct xml_node *value = xml_child(reply.response, "returnval");
    for (; value; value = xml_next(value, "returnval"))
        if (*value->text && strlen(value->text) < VMWARE_MOREF_MAX &&
            try_moref(search, value->text, err) < 0)
            return -1;
    return 0;
}

static int
try_listing(struct search *search, bool by_path, struct err *err)
{
    struct property_set set = { "VirtualMachine", found_paths };
    search->by_path = by_path;
    return property_read_all(search->session, "Datacenter",
                             search->datacenter ? search->datacenter->moref : NULL, &set, 1,
                             "look for a machine", on_named, search, err);
}

/* "vm-16"; on a host a number; "moref=..." as VDDK has it. NULL: it does not look like one. */
static const char *
moref_in(const struct vmware_session *session, const char *query)
{
    bool said = strncmp(query, "moref=", 6) == 0;
    const char *moref = said ? query + 6 : query;
    const char *digits = strncmp(moref, "vm-", 3) == 0     ? moref + 3
                         : !session->about.vcenter || said ? moref
                                                           : "";
    size_t n = strspn(digits, "0123456789");
    bool looks = *digits && digits[n] == '\0';
    return (looks || said) && strlen(moref) < VMWARE_MOREF_MAX ? moref : NULL;
}

static int
look(struct search *search, struct err *err)
{
    char uuid[VM_UUID_MAX];
    struct err ignored = ERR_INIT;
    const char *moref = moref_in(search->session, search->query);
    if (moref && try_moref(search, moref, err) < 0)
        return -1;
    if (search->n == 0 && *search->session->at.search &&
        vm_uuid_parse(search->query, uuid, &ignored) == 0 &&
        (try_uuid(search, uuid, true, err) < 0 ||
         (search->n == 0 && try_uuid(search, uuid, false, err) < 0)))
        return -1;
    /* "vm-7", and on a host "7", may be another machine's name: who means the reference says
     * moref=. */
    bool both = search->n > 0 && moref == search->query;
    if (search->n > 0 && !both)
        return 0;
    struct names *names = search->names;
    if (names_load(names, false, err) < 0)
        return -1;
    if (both)
        return try_listing(search, false, err);
    if (strchr(search->query, '/') && try_listing(search, true, err) < 0)
        return -1;
    return search->n == 0 ? try_listing(search, false, err) : 0;
}

int
vmware_find(struct vmware_session *session, const char *query, const char *datacenter_path,
            struct vmware_found *ret, struct err *err)
{
    AUTO(search_done) struct search search = { .session = session, .query = query };
    if (!query || !*query)
        return err_set(err, ERR_INVALID, "%s: which machine? give its name, path, UUID or moref",
                       session->endpoint);
    if (names_new(session, &search.names, err) < 0)
        return -1;
    if (datacenter_path &&
        (names_load(search.names, false, err) < 0 ||
         names_choose_datacenter(search.names, datacenter_path, &search.datacenter, err) < 0))
        return -1;
    /* The table of names may move when it grows. */
    struct entity datacenter;
    if (search.datacenter) {
        datacenter = *search.datacenter;
        search.datacenter = &datacenter;
    }
    if (look(&search, err) < 0)
        return err_prefix(err, "machine %.200s", query);
    if (search.n == 1) {
        *ret = search.first;
        search.first = (struct vmware_found){ 0 };
        return 0;
    }
    if (search.n > 1)
        return err_set(err, ERR_CONFLICT,
                       "%s: %zu machines fit %.200s: %s%s; give the path of one, or its moref as "
                       "moref=...",
                       session->endpoint, search.n, query, search.list,
                       search.n > VMWARE_FOUND_MAX ? ", ..." : "");
    return err_set(err, ERR_NOT_FOUND,
                   "%s: no machine %.200s%s%s; it was looked for by moref, UUID, path and name; "
                   "'vmferry inventory' lists what this user may see",
                   session->endpoint, query, search.datacenter ? " in datacenter " : "",
                   search.datacenter ? search.datacenter->name : "");
}
