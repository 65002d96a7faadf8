#include "vmware/names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

#define UP_MAX 64 /* levels of folders */
#define FIRST_SLOTS 1024
#define REFS_AT_ONCE 500

struct names {
    struct vmware_session *session;
    struct vmware_texts *texts;
    struct entity *list;
    size_t n, n_allocated;
    uint32_t *slots; /* index into list + 1, by hash of the moref; 0 free */
    size_t n_slots;  /* a power of two, at least twice n */
};

static const char *const place_paths[] = { "name", "parent", NULL };
static const char *const vapp_paths[] = { "name", "parentFolder", "parentVApp", NULL };
static const char *const network_paths[] = { "name", NULL };
static const char *const group_paths[] = { "name", "key", NULL };
static const char *const datastore_paths[] = {
    "name", "summary.type", "summary.freeSpace", "summary.capacity", "summary.accessible", NULL
};

static const struct property_set sets[] = {
    { "Folder", place_paths },
    { "Datacenter", place_paths },
    { "VirtualApp", vapp_paths },
    { "HostSystem", place_paths },
    { "ComputeResource", place_paths }, /* a host's parent */
    { "Datastore", datastore_paths },
    { "Network", network_paths },
    { "DistributedVirtualPortgroup", group_paths },
};
#define PLACE_SETS 5

int
names_new(struct vmware_session *session, struct names **ret, struct err *err)
{
    auto_names struct names *names = calloc(1, sizeof *names);
    if (!names)
        return err_errno(err, ENOMEM, "names");
    names->session = session;
    if (!(names->texts = texts_new(err)))
        return -1;
    *ret = TAKE_PTR(names);
    return 0;
}

void
names_free(struct names *names)
{
    if (!names)
        return;
    texts_free(names->texts);
    free(names->list);
    free(names->slots);
    free(names);
}

/* ---- the table ---- */

static size_t
slot_of(const struct names *names, const char *moref)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (const char *c = moref; *c; c++)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
    size_t slot = (size_t)(hash ^ (hash >> 32)) & (names->n_slots - 1);
    while (names->slots[slot] && strcmp(names->list[names->slots[slot] - 1].moref, moref) != 0)
        slot = (slot + 1) & (names->n_slots - 1);
    return slot;
}

const struct entity *
names_find(const struct names *names, const char *moref)
{
    if (!names->slots || !moref)
        return NULL;
    uint32_t index = names->slots[slot_of(names, moref)];
    return index ? &names->list[index - 1] : NULL;
}

const struct entity *
names_at(const struct names *names, size_t n)
{
    return n < names->n ? &names->list[n] : NULL;
}

const struct entity *
names_find_key(const struct names *names, const char *key)
{
    const struct entity *same = names_find(names, key); /* the usual case: the key is the moref */
    if (same && strcmp(same->key, key) == 0)
        return same;
    for (size_t i = 0; names->list && i < names->n; i++)
        if (*names->list[i].key && strcmp(names->list[i].key, key) == 0)
            return &names->list[i];
    return same;
}

static int
grow(struct names *names, struct err *err)
{
    if (names->n == NAMES_MAX)
        return err_set(err, ERR_INVALID, "%s: more than %d folders, hosts, datastores and networks",
                       names->session->endpoint, NAMES_MAX);
    if (names->n == names->n_allocated) {
        size_t n = MAX(names->n_allocated * 2, (size_t)64);
        struct entity *list = reallocarray(names->list, n, sizeof *list);
        if (!list)
            return err_errno(err, ENOMEM, "names");
        names->list = list;
        names->n_allocated = n;
    }
    if (names->n_slots >= 2 * (names->n + 1))
        return 0;
    size_t n_slots = MAX(names->n_slots * 2, (size_t)FIRST_SLOTS);
    uint32_t *slots = calloc(n_slots, sizeof *slots);
    if (!slots)
        return err_errno(err, ENOMEM, "names");
    free(names->slots);
    names->slots = slots;
    names->n_slots = n_slots;
    for (size_t i = 0; i < names->n; i++)
        names->slots[slot_of(names, names->list[i].moref)] = (uint32_t)i + 1;
    return 0;
}

int
names_add(struct names *names, const struct object *object, struct err *err)
{
    const struct xml_node *parent = object_get(object, "parent");
    parent = parent ? parent : object_get(object, "parentVApp");
    parent = parent ? parent : object_get(object, "parentFolder");
    struct entity entity = {
        .free_bytes = object_u64(object, "summary.freeSpace"),
        .capacity_bytes = object_u64(object, "summary.capacity"),
        .accessible = object_bool(object, "summary.accessible"),
    };
    const struct {
        const char *text, **to;
    } wanted[] = {
        { object->moref, &entity.moref },
        { object->type, &entity.type },
        { object_text(object, "name"), &entity.name },
        { parent ? parent->text : NULL, &entity.parent },
        { ref_type(parent), &entity.parent_type },
        { object_text(object, "key"), &entity.key },
        { object_text(object, "summary.type"), &entity.datastore_type },
    };
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        if (texts_add(names->texts, wanted[i].text ? wanted[i].text : "", wanted[i].to, err) < 0)
            return -1;
    if (grow(names, err) < 0)
        return -1;
    size_t slot = slot_of(names, entity.moref);
    if (names->slots[slot]) {
        names->list[names->slots[slot] - 1] = entity;
        return 0;
    }
    names->list[names->n++] = entity;
    names->slots[slot] = (uint32_t)names->n;
    return 0;
}

static int
on_object(const struct object *object, void *arg, struct err *err)
{
    return names_add(arg, object, err);
}

/* ---- filling it ---- */

int
names_load(struct names *names, bool with_storage, struct err *err)
{
    return property_read_all(names->session, NULL, NULL, sets,
                             with_storage ? ARRAY_LEN(sets) : PLACE_SETS,
                             "list folders, datacenters and hosts", on_object, names, err);
}

/* One at a time, so that one that is out of sight does not hide the others. */
static int
load_apart(struct names *names, const struct ref *refs, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        struct err why = ERR_INIT;
        if (property_read_list(names->session, &refs[i], 1, sets, ARRAY_LEN(sets), "look up names",
                               on_object, names, &why) == 0)
            continue;
        if (why.kind != ERR_NOT_FOUND && !call_is_fault(names->session, "NoPermission")) {
            *err = why;
            return -1;
        }
    }
    return 0;
}

static int
load_list(struct names *names, const struct ref *refs, size_t n, struct err *err)
{
    struct err why = ERR_INIT;
    if (property_read_list(names->session, refs, n, sets, ARRAY_LEN(sets), "look up names",
                           on_object, names, &why) == 0)
        return 0;
    if (why.kind == ERR_NOT_FOUND || call_is_fault(names->session, "NoPermission"))
        return load_apart(names, refs, n, err);
    *err = why;
    return -1;
}

/* What nobody may see of what is above gets a place without a name, so that it is asked for once.
 */
static int
load_above(struct names *names, struct err *err)
{
    for (size_t i = 0; names->list && i < names->n; i++) { /* grows as it goes up */
        struct ref ref = { names->list[i].parent_type, names->list[i].parent };
        if (!*ref.moref || !*ref.type || names_find(names, ref.moref))
            continue;
        if (load_list(names, &ref, 1, err) < 0)
            return -1;
        struct object unseen = { .node = NULL };
        if (names_find(names, ref.moref))
            continue;
        TEXT_TAKE(unseen.type, ref.type);
        if (moref_take(unseen.moref, ref.moref) && names_add(names, &unseen, err) < 0)
            return -1;
    }
    return 0;
}

int
names_load_refs(struct names *names, const struct ref *refs, size_t n_refs, struct err *err)
{
    for (size_t i = 0; i < n_refs; i += REFS_AT_ONCE)
        if (load_list(names, refs + i, MIN(n_refs - i, (size_t)REFS_AT_ONCE), err) < 0)
            return -1;
    return load_above(names, err);
}

/* ---- places ---- */

const char *
names_path(const struct names *names, const char *moref, char path[NAMES_PATH_MAX])
{
    size_t at = NAMES_PATH_MAX - 1;
    path[at] = '\0';
    for (int up = 0; up < UP_MAX; up++) {
        const struct entity *entity = names_find(names, moref);
        /* The root folder has no place in a path; what nobody may see cannot have one. */
        if (!entity || !*entity->name || !*entity->parent) {
            memmove(path, path + at, NAMES_PATH_MAX - at);
            return path;
        }
        size_t len = strlen(entity->name);
        if (len + 1 > at)
            break;
        at -= len;
        memcpy(path + at, entity->name, len);
        path[--at] = '/';
        moref = entity->parent;
    }
    path[0] = '\0';
    return path;
}

const struct entity *
names_datacenter(const struct names *names, const char *moref)
{
    for (int up = 0; up < UP_MAX; up++) {
        const struct entity *entity = names_find(names, moref);
        if (!entity || strcmp(entity->type, "Datacenter") == 0)
            return entity;
        moref = entity->parent;
    }
    return NULL;
}

/* The same path, without slashes around it, with names as the API has them or decoded. */
static bool
leads_to(const char *given, const char *path)
{
    given += strspn(given, "/");
    path += strspn(path, "/");
    size_t len = strlen(path);
    if (strncmp(given, path, len) == 0 && (given[len] == '\0' || given[len] == '/'))
        return true;
    char decoded[NAMES_PATH_MAX];
    TEXT_TAKE(decoded, path);
    name_decode(decoded);
    len = strlen(decoded);
    return strncmp(given, decoded, len) == 0 && (given[len] == '\0' || given[len] == '/');
}

static bool
is_called(const char *given, const char *name)
{
    char decoded[NAMES_PATH_MAX];
    given += strspn(given, "/");
    TEXT_TAKE(decoded, name);
    name_decode(decoded);
    return strcmp(given, name) == 0 || strcmp(given, decoded) == 0;
}

int
names_choose_datacenter(const struct names *names, const char *given, const struct entity **ret,
                        struct err *err)
{
    const struct entity *best = NULL, *by_name = NULL, *entity;
    size_t best_len = 0, n_by_name = 0, n = 0;
    char path[NAMES_PATH_MAX], list[512] = "";
    for (size_t i = 0; (entity = names_at(names, i)); i++) {
        if (strcmp(entity->type, "Datacenter") != 0)
            continue;
        names_path(names, entity->moref, path);
        size_t at = strlen(list);
        if (n++ < 10)
            snprintf(list + at, sizeof list - at, "%s%.*s", at ? ", " : "", 200, path);
        if (leads_to(given, path) && strlen(path) > best_len) {
            best = entity;
            best_len = strlen(path);
        }
        if (is_called(given, entity->name)) {
            by_name = entity;
            n_by_name++;
        }
    }
    *ret = best ? best : by_name;
    if (best || n_by_name == 1)
        return 0;
    if (n_by_name > 1)
        return err_set(err, ERR_CONFLICT,
                       "%s: several datacenters are called %s: %s; give the path",
                       names->session->endpoint, given, list);
    return err_set(err, ERR_NOT_FOUND, "%s: no datacenter %s; there is %s",
                   names->session->endpoint, given, n ? list : "none that this user may see");
}
