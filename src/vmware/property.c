#include "vmware/property.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

#define RESTARTS_MAX 3

/* ---- looking into what was read ---- */

const char *
ref_type(const struct xml_node *ref)
{
    for (size_t i = 0; ref && i < ref->n_attrs; i++)
        if (strcmp(ref->attrs[i].name, "type") == 0 && !*ref->attrs[i].ns)
            return ref->attrs[i].value;
    return "";
}

bool
object_of(const struct xml_node *node, struct object *ret)
{
    const struct xml_node *obj = xml_child(node, "obj");
    *ret = (struct object){ .node = node };
    if (!obj || !*obj->text || strlen(ref_type(obj)) >= sizeof ret->type)
        return false;
    TEXT_TAKE(ret->type, ref_type(obj));
    return moref_take(ret->moref, obj->text);
}

/* Into an element by "a.b.c". */
static const struct xml_node *
descend(const struct xml_node *node, const char *path)
{
    while (node && *path) {
        char step[64];
        size_t len = strcspn(path, ".");
        if (len >= sizeof step)
            return NULL;
        memcpy(step, path, len);
        step[len] = '\0';
        node = xml_child(node, step);
        path += len + (path[len] == '.');
    }
    return node;
}

const struct xml_node *
object_get(const struct object *object, const char *path)
{
    const struct xml_node *set = xml_child(object->node, "propSet");
    for (; set; set = xml_next(set, "propSet")) {
        const char *name = xml_text_at(set, "name");
        size_t len = name ? strlen(name) : 0;
        if (len == 0 || strncmp(path, name, len) != 0)
            continue;
        if (path[len] == '\0')
            return xml_child(set, "val");
        if (path[len] == '.') {
            const struct xml_node *found = descend(xml_child(set, "val"), path + len + 1);
            if (found)
                return found;
        }
    }
    return NULL;
}

const char *
object_text(const struct object *object, const char *path)
{
    const struct xml_node *node = object_get(object, path);
    return node ? node->text : NULL;
}

bool
object_bool(const struct object *object, const char *path)
{
    return text_bool(object_text(object, path));
}

uint64_t
object_u64(const struct object *object, const char *path)
{
    return text_u64(object_text(object, path));
}

bool
text_bool(const char *text)
{
    return text && (strcmp(text, "true") == 0 || strcmp(text, "1") == 0);
}

uint64_t
text_u64(const char *text)
{
    if (!text || *text < '0' || *text > '9')
        return 0;
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    return errno || *end ? 0 : n;
}

int64_t
text_i64(const char *text)
{
    if (!text || !*text)
        return 0;
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    return errno || *end ? 0 : n;
}

/* ---- asking ---- */

struct asking {
    struct vmware_session *session;
    const struct property_set *sets;
    size_t n_sets;
    const struct ref *refs;
    size_t n_refs;
    bool view; /* refs[0] is a container view: all that it shows */
    const char *what;
    object_fn *each;
    void *arg;
    size_t n_dropped;
    char dropped[PROPERTY_PATHS_MAX][96]; /* paths that this server does not know */
    bool given;                           /* `each` has seen something */
    bool each_failed;
    struct seen *seen; /* NULL: nothing is looked for twice */
};

/* Hashes of the objects that were given to `each`, for when it begins anew. */
struct seen {
    uint64_t *slots; /* 0 free */
    size_t n, n_slots;
};

static void
seen_done(struct seen *seen)
{
    free(seen->slots);
}

static bool
seen_put(struct seen *seen, uint64_t hash)
{
    size_t slot = (size_t)hash & (seen->n_slots - 1);
    while (seen->slots[slot] && seen->slots[slot] != hash)
        slot = (slot + 1) & (seen->n_slots - 1);
    bool is_new = seen->slots[slot] == 0;
    seen->slots[slot] = hash;
    seen->n += is_new;
    return is_new;
}

/* Remember it: 1 it is new, 0 it was seen, -1 no memory. */
static int
seen_add(struct seen *seen, const struct object *object, struct err *err)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (const char *c = object->type; *c; c++)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
    for (const char *c = object->moref; *c; c++)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
    hash = hash ? hash : 1;
    if (seen->n_slots < 2 * (seen->n + 1)) {
        struct seen larger = { .n_slots = MAX(seen->n_slots * 2, (size_t)1024) };
        larger.slots = calloc(larger.n_slots, sizeof *larger.slots);
        if (!larger.slots)
            return err_errno(err, ENOMEM, "a list of objects");
        for (size_t i = 0; i < seen->n_slots; i++)
            if (seen->slots[i])
                seen_put(&larger, seen->slots[i]);
        seen_done(seen);
        *seen = larger;
    }
    return seen_put(seen, hash);
}

static bool
is_dropped(const struct asking *asking, const char *path)
{
    for (size_t i = 0; i < asking->n_dropped; i++)
        if (strcmp(asking->dropped[i], path) == 0)
            return true;
    return false;
}

static void
write_object_sets(const struct asking *asking, struct soap_message *message)
{
    for (size_t i = 0; i < asking->n_refs; i++) {
        soap_open(message, "objectSet", NULL);
        soap_ref(message, "obj", asking->refs[i].type, asking->refs[i].moref);
        soap_bool(message, "skip", asking->view);
        if (asking->view) {
            soap_open(message, "selectSet", "TraversalSpec");
            soap_text(message, "name", "view");
            soap_text(message, "type", "ContainerView");
            soap_text(message, "path", "view");
            soap_bool(message, "skip", false);
            soap_close(message);
        }
        soap_close(message);
    }
}

static void
write_spec(const struct asking *asking, struct soap_message *message, const char *name)
{
    soap_open(message, name, NULL);
    for (size_t i = 0; i < asking->n_sets; i++) {
        soap_open(message, "propSet", NULL);
        soap_text(message, "type", asking->sets[i].type);
        for (const char *const *path = asking->sets[i].paths; *path; path++)
            if (!is_dropped(asking, *path))
                soap_text(message, "pathSet", *path);
        soap_close(message);
    }
    write_object_sets(asking, message);
    soap_close(message);
}

static int
on_objects(const struct xml_node *node, void *arg, struct err *err)
{
    struct asking *asking = arg;
    struct object object;
    if (!object_of(node, &object))
        return err_set(err, ERR_INVALID, "%s: %s: an object without a name in the answer",
                       asking->session->endpoint, asking->what);
    asking->given = true;
    int is_new = asking->seen ? seen_add(asking->seen, &object, err) : 1;
    if (is_new <= 0)
        return is_new;
    if (asking->each(&object, asking->arg, err) == 0)
        return 0;
    asking->each_failed = true;
    return -1;
}

/* The path that the server does not know is left out from now on. */
static bool
drop_path(struct asking *asking)
{
    const char *path = asking->session->fault.property;
    if (!call_is_fault(asking->session, "InvalidProperty") || !*path || asking->given ||
        asking->n_dropped == PROPERTY_PATHS_MAX || is_dropped(asking, path))
        return false;
    TEXT_TAKE(asking->dropped[asking->n_dropped], path);
    asking->n_dropped++;
    return true;
}

static int
next_page(struct asking *asking, const char *token, struct soap_reply *reply, struct err *err)
{
    auto_soap_message struct soap_message message = { 0 };
    auto_soap_reply struct soap_reply page = { 0 };
    struct vmware_session *session = asking->session;
    struct soap_call call = {
        .what = asking->what, .cut = "objects", .on_cut = on_objects, .arg = asking
    };
    if (token) {
        call_begin(session, &message, "ContinueRetrievePropertiesEx", "PropertyCollector",
                   session->at.collector);
        soap_text(&message, "token", token);
    } else {
        call_begin(session, &message, "RetrievePropertiesEx", "PropertyCollector",
                   session->at.collector);
        write_spec(asking, &message, "specSet");
        soap_open(&message, "options", NULL);
        soap_int(&message, "maxObjects", PROPERTY_PAGE);
        soap_close(&message);
    }
    if (call_send(session, &message, &call, &page, err) < 0)
        return -1;
    soap_reply_free(reply);
    *reply = page;
    page = (struct soap_reply){ 0 };
    return 0;
}

static void
cancel_pages(struct vmware_session *session, const char *token)
{
    auto_soap_message struct soap_message message = { 0 };
    auto_soap_reply struct soap_reply reply = { 0 };
    struct err ignored = ERR_INIT;
    struct soap_call call = { .bare = true, .timeout_s = 10 };
    call_begin(session, &message, "CancelRetrievePropertiesEx", "PropertyCollector",
               session->at.collector);
    soap_text(&message, "token", token);
    call_send(session, &message, &call, &reply, &ignored);
}

static int
ask(struct asking *asking, struct err *err)
{
    auto_soap_reply struct soap_reply reply = { 0 };
    auto_free char *token = NULL;
    for (;;) {
        if (next_page(asking, token, &reply, err) < 0) {
            if (!token && drop_path(asking))
                continue;
            if (token && asking->each_failed)
                cancel_pages(asking->session, token);
            return -1;
        }
        const char *next = xml_text_at(reply.response, "returnval/token");
        free(TAKE_PTR(token));
        if (!next || !*next)
            return 0;
        if (!(token = strdup(next)))
            return err_errno(err, ENOMEM, "%s", asking->what);
    }
}

int
property_read_list(struct vmware_session *session, const struct ref *refs, size_t n_refs,
                   const struct property_set *sets, size_t n_sets, const char *what,
                   object_fn *each, void *arg, struct err *err)
{
    struct asking asking = { .session = session,
                             .sets = sets,
                             .n_sets = n_sets,
                             .refs = refs,
                             .n_refs = n_refs,
                             .what = what,
                             .each = each,
                             .arg = arg };
    return n_refs ? ask(&asking, err) : 0;
}

/* ---- one object: its answer is kept whole ---- */

int
property_read(struct vmware_session *session, const char *type, const char *moref,
              const char *const *paths, const char *what, struct soap_reply *reply,
              struct object *ret, struct err *err)
{
    struct property_set set = { type, paths };
    struct ref ref = { type, moref };
    struct asking asking = {
        .session = session, .sets = &set, .n_sets = 1, .refs = &ref, .n_refs = 1, .what = what
    };
    do {
        auto_soap_message struct soap_message message = { 0 };
        struct soap_call call = { .what = what };
        call_begin(session, &message, "RetrievePropertiesEx", "PropertyCollector",
                   session->at.collector);
        write_spec(&asking, &message, "specSet");
        soap_open(&message, "options", NULL);
        soap_close(&message);
        if (call_send(session, &message, &call, reply, err) == 0) {
            if (object_of(xml_find(reply->response, "returnval/objects"), ret))
                return 0;
            return err_set(err, ERR_NOT_FOUND, "%s: %s: the server gives nothing of %s %s",
                           session->endpoint, what, type, moref);
        }
    } while (drop_path(&asking));
    return -1;
}

/* ---- all objects of a type ---- */

static int
make_view(struct vmware_session *session, const char *container_type, const char *container,
          const struct asking *asking, char ret[VMWARE_MOREF_MAX], struct err *err)
{
    auto_soap_message struct soap_message message = { 0 };
    auto_soap_reply struct soap_reply reply = { 0 };
    struct soap_call call = { .what = asking->what };
    call_begin(session, &message, "CreateContainerView", "ViewManager", session->at.views);
    soap_ref(&message, "container", container ? container_type : "Folder",
             container ? container : session->at.root);
    for (size_t i = 0; i < asking->n_sets; i++)
        soap_text(&message, "type", asking->sets[i].type);
    soap_bool(&message, "recursive", true);
    if (call_send(session, &message, &call, &reply, err) < 0)
        return -1;
    return reply_moref(session, &reply, asking->what, ret, err);
}

static void
destroy_view(struct vmware_session *session, const char *view)
{
    struct err ignored = ERR_INIT;
    struct soap_call call = { .bare = true };
    struct fault fault = session->fault;
    call_plain(session, "DestroyView", "ContainerView", view, &call, NULL, &ignored);
    session->fault = fault;
}

int
property_read_all(struct vmware_session *session, const char *container_type, const char *container,
                  const struct property_set *sets, size_t n_sets, const char *what, object_fn *each,
                  void *arg, struct err *err)
{
    AUTO(seen_done) struct seen seen = { 0 };
    for (int restarts = 0;; restarts++) {
        unsigned login = session->n_logins;
        char view[VMWARE_MOREF_MAX];
        struct ref ref = { "ContainerView", view };
        struct asking asking = { .session = session,
                                 .sets = sets,
                                 .n_sets = n_sets,
                                 .refs = &ref,
                                 .n_refs = 1,
                                 .view = true,
                                 .seen = &seen,
                                 .what = what,
                                 .each = each,
                                 .arg = arg };
        if (make_view(session, container_type, container, &asking, view, err) < 0)
            return -1;
        int r = ask(&asking, err);
        /* View and pages went with the session. */
        bool lost = session->n_logins != login || call_is_fault(session, "NotAuthenticated");
        if (!lost)
            destroy_view(session, view);
        if (r == 0 || asking.each_failed || !lost || restarts == RESTARTS_MAX)
            return r;
    }
}
