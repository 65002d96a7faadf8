/* Migrations: made, listed, shown, forgotten. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/checked.h"
#include "base/clock.h"
#include "daemon/api.h"
#include "daemon/daemon.h"
#include "daemon/job-json.h"
#include "daemon/note.h"
#include "daemon/view.h"
#include "daemon/wish.h"

#define LIST_DEFAULT 1000
#define LIST_MAX 10000
#define EVENTS_DEFAULT 1000
#define EVENTS_MAX 10000
#define TEXT_MAX ((size_t)4 << 20)
#define LIST_TEXT_MAX ((size_t)64 << 20)
#define ID_BYTES 6

/* What a body of POST /migrations asks for, read and merged. */
struct order {
    struct spec_list specs; /* one */
    struct buf key, spec;
    char *job;
};

static int order_read(struct daemon *daemon, const json_t *body, struct order *order,
                      struct err *err);
static void order_free(struct order *order);
static int read_overrides(const json_t *options, struct spec_overrides *ret, struct err *err);
static int go_on(struct daemon *daemon, const struct store_migration *found,
                 const struct order *order, json_t **ret_body, struct err *err);
static int begin(struct daemon *daemon, const struct order *order, json_t **ret_body,
                 struct err *err);

/* ---- made ---- */

int
api_create(struct daemon *daemon, const struct api_request *request, const char *id,
           const char *verb, struct api_reply *ret, struct err *err)
{
    AUTO(order_free)
    struct order order = {
        .key = BUF_INIT(STORE_NAME_MAX),
        .spec = BUF_INIT(TEXT_MAX),
    };
    auto_migration struct store_migration found = { .fence = 0 };
    (void)id;
    (void)verb;
    if (order_read(daemon, request->body, &order, err) < 0)
        return -1;
    if (store_migration_find_key(daemon->store, order.key.data, &found, err) == 0)
        return go_on(daemon, &found, &order, &ret->body, err);
    if (err->kind != ERR_NOT_FOUND)
        return -1;
    *err = ERR_INIT;
    ret->status = 201;
    return begin(daemon, &order, &ret->body, err);
}

static int
order_read(struct daemon *daemon, const json_t *body, struct order *order, struct err *err)
{
    static const char *const keys[] = { "spec", "options", NULL };
    const json_t *spec_json = json_object_get(body, "spec");
    if (!json_is_object(spec_json))
        return err_set(err, ERR_INVALID, "'spec' is missing or not an object");
    auto_free char *text = json_dumps(spec_json, 0);
    if (!text)
        return err_errno(err, ENOMEM, "spec");
    struct spec_overrides overrides = { 0 };
    if (api_body_keys(body, keys, err) < 0 ||
        read_overrides(json_object_get(body, "options"), &overrides, err) < 0 ||
        spec_read(text, strlen(text), "spec", false, &order->specs, err) < 0)
        return -1;
    if (order->specs.n != 1)
        return err_set(err, ERR_INVALID, "'spec' names %zu machines: ask for one at a time",
                       order->specs.n);
    struct spec *spec = &order->specs.items[0];
    if (spec_merge(&daemon->config, &overrides, spec, err) < 0 ||
        spec_key(spec, &daemon->config, &order->key, err) < 0 ||
        spec_write_json(spec, &order->spec, err) < 0)
        return -1;
    return job_json_make(spec, &daemon->config, &order->job, err);
}

static void
order_free(struct order *order)
{
    spec_list_free(&order->specs);
    buf_free(&order->key);
    buf_free(&order->spec);
    free(order->job);
}

static int
read_overrides(const json_t *options, struct spec_overrides *ret, struct err *err)
{
    static const char *const keys[] = { "readers", "parallel_disks", "run_virt_v2v", NULL };
    if (options && !json_is_object(options) && !json_is_null(options))
        return err_set(err, ERR_INVALID, "'options' is not an object");
    const json_t *convert = json_object_get(options, keys[2]);
    if (convert && !json_is_boolean(convert) && !json_is_null(convert))
        return err_set(err, ERR_INVALID, "'run_virt_v2v' is not true, false or null");
    if (json_is_boolean(convert))
        ret->run_virt_v2v = json_is_true(convert) ? TRISTATE_YES : TRISTATE_NO;
    if (api_body_keys(options, keys, err) < 0 ||
        api_body_int(options, keys[0], 0, SPEC_MAX_PARALLEL, 0, &ret->readers, err) < 0)
        return -1;
    return api_body_int(options, keys[1], 0, SPEC_MAX_PARALLEL_DISKS, 0, &ret->parallel_disks, err);
}

/* There is one of this machine that has not ended. The spec may have other intervals now; another
 * target would be another migration. */
static int
go_on(struct daemon *daemon, const struct store_migration *found, const struct order *order,
      json_t **ret_body, struct err *err)
{
    struct entry *entry = roster_find(daemon, found->id);
    if (!entry)
        return err_set(err, ERR_BUG, "%s: is in the store and not in memory", found->id);
    if (job_json_same_machine(found->job, order->job, err) < 0)
        return err_prefix(err, "%s", entry_text(entry));
    /* Who has held it had a reason, which a spec handed in once more does not know. */
    if (entry->status == JOB_PAUSED)
        return err_set(err, ERR_CONFLICT, "%s: it is paused: 'vmferry resume %s' lets it go on",
                       entry_text(entry), entry->id);
    struct wish wish = { .verb = JOB_START, .job = order->job };
    struct store_change change = { .has_job = true, .job = order->job };
    bool already; /* if not, the wish brings the job */
    if (wish_ask(entry, &wish, &already, NULL, err) < 0)
        return -1;
    if (already && strcmp(found->job, order->job) != 0 &&
        roster_change(entry, &change, NULL, err) < 0)
        return -1;
    return view_of_id(daemon, found->id, ret_body, err);
}

static int
new_id(char ret_id[STORE_ID_MAX + 1], struct err *err)
{
    unsigned char bytes[ID_BYTES];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return err_errno(err, errno, "random bytes");
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(ret_id + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}

/* Until the machine was found it is called what it was called in the spec; a path by its end. */
static const char *
first_name(const struct spec *spec)
{
    const char *name = spec->vm.name ? spec->vm.name : spec->vm.path;
    const char *slash = name && name[0] == '/' ? strrchr(name, '/') : NULL;
    return slash && slash[1] ? slash + 1 : name;
}

static int
begin(struct daemon *daemon, const struct order *order, json_t **ret_body, struct err *err)
{
    const struct spec *spec = &order->specs.items[0];
    struct store_migration m = { .status = JOB_QUEUED };
    size_t server_len = strcspn(order->key.data, "/");
    auto_free char *server = strndup(order->key.data, server_len);
    struct entry *entry;
    if (!server)
        return err_errno(err, ENOMEM, "%s", order->key.data);
    if (new_id(m.id, err) < 0)
        return -1;
    m.key = order->key.data;
    m.name = (char *)first_name(spec);
    m.moref = spec->vm.moref;
    m.server = server;
    m.spec = order->spec.data;
    m.job = order->job;
    m.created_at = m.due_at = clock_wall_s();
    if (roster_create(daemon, &m, &entry, err) < 0)
        return -1;
    note_migration(entry, LOG_LEVEL_INFO, "created", "begun");
    return view_of_id(daemon, m.id, ret_body, err);
}

/* ---- listed ---- */

/* Written out one by one: a list of all that ever ended is not built a second time in memory. */
struct listing {
    const struct daemon *daemon;
    struct buf text;
    unsigned n, limit;
    char last[STORE_ID_MAX + 1];
    bool more;
};

/* One more than is wanted is asked for: so it is known whether there is more. */
static int
list_one(const struct store_migration *migration, void *arg, struct err *err)
{
    struct listing *listing = arg;
    listing->more = listing->n == listing->limit;
    if (listing->more)
        return 0;
    auto_json json_t *view = view_migration(listing->daemon, migration);
    auto_free char *text = view ? json_dumps(view, JSON_COMPACT) : NULL;
    if (!text)
        return err_errno(err, ENOMEM, "a list of migrations");
    snprintf(listing->last, sizeof listing->last, "%s", migration->id);
    return buf_printf(&listing->text, err, "%s%s", listing->n++ ? "," : "", text);
}

static void
listing_free(struct listing *listing)
{
    buf_free(&listing->text);
}

/* "running,waiting" */
static int
read_statuses(const char *text, unsigned *ret_statuses, struct err *err)
{
    while (text && *text) {
        enum job_status status;
        char name[24];
        size_t len = strcspn(text, ",");
        snprintf(name, sizeof name, "%.*s", (int)MIN(len, sizeof name - 1), text);
        if (!job_status_parse(name, &status))
            return err_set(err, ERR_INVALID, "'status': there is no status '%s'", name);
        *ret_statuses |= 1U << status;
        text += len + (text[len] == ',');
    }
    return 0;
}

int
api_list(struct daemon *daemon, const struct api_request *request, const char *id, const char *verb,
         struct api_reply *ret, struct err *err)
{
    struct store_filter filter = {
        .name = request->query("name", request->query_arg),
        .after = request->query("after", request->query_arg),
    };
    int64_t limit;
    (void)id;
    (void)verb;
    if (read_statuses(request->query("status", request->query_arg), &filter.statuses, err) < 0 ||
        api_query_int(request, "limit", 1, LIST_MAX, LIST_DEFAULT, &limit, err) < 0)
        return -1;
    AUTO(listing_free) struct listing listing = { .daemon = daemon, .limit = (unsigned)limit };
    listing.text = BUF_INIT(LIST_TEXT_MAX);
    filter.limit = listing.limit + 1;
    int r = buf_add_str(&listing.text, "{\"migrations\":[", err);
    if (r == 0)
        r = store_migration_list(daemon->store, &filter, list_one, &listing, err);
    if (r == 0)
        r = listing.more ? buf_printf(&listing.text, err, "],\"next\":\"%s\"}", listing.last)
                         : buf_add_str(&listing.text, "],\"next\":null}", err);
    if (r == 0)
        ret->text = TAKE_PTR(listing.text.data);
    return r;
}

/* ---- shown ---- */

int
api_show(struct daemon *daemon, const struct api_request *request, const char *id, const char *verb,
         struct api_reply *ret, struct err *err)
{
    (void)request;
    (void)verb;
    auto_json json_t *view = NULL;
    if (view_of_id(daemon, id, &view, err) < 0 || view_add_details(daemon, id, view, err) < 0)
        return -1;
    ret->body = TAKE_PTR(view);
    return 0;
}

static int
list_event(const struct store_event *event, void *arg, struct err *err)
{
    json_t *json = json_pack("{s:I, s:I, s:s, s:s?, s:o}", "n", (json_int_t)event->n, "at",
                             (json_int_t)event->at, "level", event->level, "code", event->code,
                             "text", json_text(event->text));
    if (!json || json_array_append_new(arg, json) < 0)
        return err_errno(err, ENOMEM, "a list of events");
    return 0;
}

int
api_events(struct daemon *daemon, const struct api_request *request, const char *id,
           const char *verb, struct api_reply *ret, struct err *err)
{
    int64_t after, limit;
    (void)verb;
    if (api_query_int(request, "after", 0, INT64_MAX, 0, &after, err) < 0 ||
        api_query_int(request, "limit", 1, EVENTS_MAX, EVENTS_DEFAULT, &limit, err) < 0)
        return -1;
    auto_migration struct store_migration m = { .fence = 0 };
    auto_json json_t *events = json_array();
    if (!events ||
        (!roster_find(daemon, id) && store_migration_get(daemon->store, id, &m, err) < 0) ||
        store_events(daemon->store, id, after, (unsigned)limit, list_event, events, err) < 0)
        return -1;
    ret->body = json_pack("{s:O}", "events", events);
    return ret->body ? 0 : err_errno(err, ENOMEM, "a list of events");
}

/* ---- forgotten ---- */

static int
name_left(const struct store_object *object, void *arg, struct err *err)
{
    (void)arg;
    if (object->state == STORE_OBJECT_GONE || strcmp(object->kind, "power-off") == 0 ||
        strcmp(object->kind, "power-on") == 0 || strcmp(object->kind, "start") == 0)
        return 0;
    return err_set(err, ERR_CONFLICT,
                   "the %s %s was made for it and may be there still, which nobody would know then",
                   object->kind, object->name);
}

int
api_delete(struct daemon *daemon, const struct api_request *request, const char *id,
           const char *verb, struct api_reply *ret, struct err *err)
{
    auto_migration struct store_migration m = { .fence = 0 };
    const char *text;
    char key[STORE_ID_MAX + 8];
    (void)request;
    (void)verb;
    if (store_migration_get(daemon->store, id, &m, err) < 0)
        return -1;
    if (job_verb_check(m.status, JOB_DELETE, &text) != JOB_ALLOWED)
        return err_set(err, ERR_CONFLICT, "%s: %s", m.name ? m.name : m.key, text);
    /* What a machine that has moved is made of is meant to stay. */
    if (m.status == JOB_CANCELLED && store_objects(daemon->store, id, name_left, NULL, err) < 0)
        return err_prefix(err, "%s", m.name ? m.name : m.key);
    snprintf(key, sizeof key, "limit.%s", id);
    if (store_migration_delete(daemon->store, id, err) < 0 ||
        store_setting_put(daemon->store, key, NULL, err) < 0)
        return -1;
    ret->body = json_pack("{s:b}", "deleted", 1);
    return ret->body ? 0 : err_errno(err, ENOMEM, "%s", id);
}
