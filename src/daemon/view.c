#include "daemon/view.h"

#include <errno.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/outcome.h"

static void set_text(json_t *view, const char *key, const char *text);
static void set_time(json_t *view, const char *key, int64_t at);
static void set_json(json_t *view, const char *key, const char *text);
static void add_what_is_owed(json_t *view, const struct entry *entry);
static json_t *progress_of(const struct entry *entry);

json_t *
view_migration(const struct daemon *daemon, const struct store_migration *m)
{
    const struct entry *entry = roster_find(daemon, m->id);
    const char *slash = strchr(m->key, '/');
    bool finalize = m->finalize || m->finalize_now;
    const char *stage = m->status == JOB_DONE ? job_stage_name(JOB_STAGE_DONE) : m->stage;
    json_t *view = json_pack("{s:s, s:s, s:b, s:b, s:b, s:b, s:i, s:i}", "id", m->id, "status",
                             job_status_name(m->status), "finalize", finalize, "finalize_now",
                             m->finalize_now, "paused", m->paused, "cancel", m->cancel, "rounds",
                             (int)m->rounds, "attempt", (int)m->attempt);
    if (!view)
        return NULL;
    set_text(view, "key", m->key);
    set_text(view, "name", m->name ? m->name : slash ? slash + 1 : m->key);
    set_text(view, "moref", m->moref);
    set_text(view, "uuid", m->uuid);
    set_text(view, "server", m->server);
    set_text(view, "host", m->host);
    set_text(view, "stage", stage ? stage : job_stage_name(JOB_STAGE_NOT_STARTED));
    set_text(view, "next_stage", job_next_stage(stage, finalize, entry ? entry->converts : true));
    set_text(view, "question", m->question);
    set_text(view, "shutdown", m->shutdown);
    set_json(view, "error", m->error);
    set_time(view, "created_at", m->created_at);
    set_time(view, "updated_at", m->updated_at);
    set_time(view, "started_at", m->started_at);
    set_time(view, "ended_at", m->ended_at);
    set_time(view, "due_at", m->due_at);
    double overall_pct = m->status == JOB_DONE ? 100 : entry ? entry->overall_pct : 0;
    json_object_set_new(view, "overall_pct", json_real(overall_pct));
    json_object_set_new(view, "limit_bytes_s",
                        json_integer(entry ? (json_int_t)entry->limit_bytes_s : 0));
    json_object_set_new(view, "forecast",
                        entry && entry->forecast ? json_incref(entry->forecast) : json_null());
    json_object_set_new(view, "progress", progress_of(entry));
    json_object_set_new(view, "folder",
                        entry && entry->folder ? json_text(entry->folder) : json_null());
    /* A worker that only looks whether the question has settled itself is nobody's business. */
    if (m->question && (m->status == JOB_QUEUED || m->status == JOB_RUNNING))
        set_text(view, "status", job_status_name(JOB_ASKING));
    if (entry && entry->owed)
        add_what_is_owed(view, entry);
    return view;
}

static void
set_text(json_t *view, const char *key, const char *text)
{
    json_object_set_new(view, key, text ? json_text(text) : json_null());
}

static void
set_time(json_t *view, const char *key, int64_t at)
{
    json_object_set_new(view, key, at ? json_integer(at) : json_null());
}

static void
set_json(json_t *view, const char *key, const char *text)
{
    struct err ignored = ERR_INIT;
    json_t *json = text ? json_parse_object(text, strlen(text), &ignored) : NULL;
    json_object_set_new(view, key, json ? json : json_null());
}

/* How its last run has ended is so, whether the store takes it or not. */
static void
add_what_is_owed(json_t *view, const struct entry *entry)
{
    enum job_status status;
    if (!job_event(entry->status, entry->owed->event, &status))
        return;
    set_text(view, "status", job_status_name(status));
    set_text(view, "question", entry->owed->question);
    set_json(view, "error", entry->owed->error);
}

/* Its last message about each disk. */
static json_t *
progress_of(const struct entry *entry)
{
    json_t *list = json_array();
    const char *disk;
    json_t *message;
    if (!entry || !entry->progress)
        return list;
    json_object_foreach (entry->progress, disk, message) {
        json_t *copy = json_copy(message);
        json_object_del(copy, "type");
        json_object_del(copy, "overall_pct");
        json_array_append_new(list, copy);
    }
    return list;
}

int
view_of_id(struct daemon *daemon, const char *id, json_t **ret, struct err *err)
{
    auto_migration struct store_migration m = { .fence = 0 };
    if (store_migration_get(daemon->store, id, &m, err) < 0)
        return -1;
    *ret = view_migration(daemon, &m);
    return *ret ? 0 : err_errno(err, ENOMEM, "%s", id);
}

/* ---- details ---- */

static int
add_disk(const struct store_disk *disk, void *arg, struct err *err)
{
    json_t *json = json_pack("{s:I, s:I}", "key", (json_int_t)disk->key, "capacity_bytes",
                             (json_int_t)disk->capacity_bytes);
    (void)err;
    set_text(json, "label", disk->label);
    set_text(json, "image", disk->image);
    json_array_append_new(arg, json);
    return 0;
}

static int
add_round(const struct store_round *round, void *arg, struct err *err)
{
    json_t *disks = json_array();
    (void)err;
    for (size_t i = 0; i < round->n_disks; i++) {
        const struct store_round_disk *disk = &round->disks[i];
        json_t *json =
            json_pack("{s:I, s:I, s:I, s:I, s:I, s:b}", "key", (json_int_t)disk->key, "areas",
                      (json_int_t)disk->areas, "changed_bytes", (json_int_t)disk->changed_bytes,
                      "read_bytes", (json_int_t)disk->read_bytes, "written_bytes",
                      (json_int_t)disk->written_bytes, "full", disk->full);
        set_text(json, "why", disk->why);
        json_array_append_new(disks, json);
    }
    json_t *json = json_pack("{s:i, s:f, s:o}", "number", (int)round->number, "seconds",
                             round->seconds, "disks", disks);
    set_text(json, "kind", round->kind);
    set_time(json, "started_at", round->started_at);
    json_array_append_new(arg, json);
    return 0;
}

static int
add_object(const struct store_object *object, void *arg, struct err *err)
{
    json_t *json = json_pack("{s:s}", "state", store_object_state_name(object->state));
    (void)err;
    set_text(json, "kind", object->kind);
    set_text(json, "name", object->name);
    set_json(json, "detail", object->detail);
    set_time(json, "changed_at", object->changed_at);
    json_array_append_new(arg, json);
    return 0;
}

int
view_add_details(struct daemon *daemon, const char *id, json_t *view, struct err *err)
{
    auto_json json_t *disks = json_array();
    auto_json json_t *rounds = json_array();
    auto_json json_t *objects = json_array();
    if (store_disks(daemon->store, id, add_disk, disks, err) < 0 ||
        store_rounds(daemon->store, id, add_round, rounds, err) < 0 ||
        store_objects(daemon->store, id, add_object, objects, err) < 0)
        return -1;
    if (json_object_set(view, "disks", disks) < 0 || json_object_set(view, "rounds", rounds) < 0 ||
        json_object_set(view, "objects", objects) < 0)
        return err_errno(err, ENOMEM, "%s", id);
    return 0;
}
