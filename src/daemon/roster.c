#include "daemon/roster.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "daemon/daemon.h"
#include "daemon/folder.h"
#include "daemon/job-json.h"
#include "daemon/outcome.h"
#include "daemon/tend.h"

/* However long it has been queued, it need not count for more. */
#define AGE_MAX_S (INT64_C(365) * 24 * 3600)
#define BEFORE_ALL_NS (INT64_MIN / 2)

static int list_unended(struct daemon *daemon, json_t *ret_ids, struct err *err);
static int load_one(struct daemon *daemon, const char *id, struct err *err);
static int take_in(struct daemon *daemon, const struct store_migration *migration,
                   struct entry **ret_entry, struct err *err);
static size_t place_of(const struct roster *roster, const char *id);
static void take_out(struct entry *entry);
static void entry_free(struct entry *entry);
static bool is_urgent(const struct entry *entry);
static void queue_up(struct entry *entry, int64_t due_at, int64_t written_at);
static int set_text(char **field, const char *text, struct err *err);
static int check_nobody_moves(const struct entry *entry, const struct store_machine *machine,
                              struct err *err);
static void note_op(struct entry *entry, const struct store_op *op);

/* ---- from the store ---- */

int
roster_load(struct daemon *daemon, struct err *err)
{
    auto_json json_t *ids = json_array();
    if (!ids || list_unended(daemon, ids, err) < 0)
        return -1;
    for (size_t i = 0; i < json_array_size(ids); i++)
        if (load_one(daemon, json_string_value(json_array_get(ids, i)), err) < 0)
            return -1;
    return 0;
}

static int
remember_id(const struct store_migration *migration, void *arg, struct err *err)
{
    if (json_array_append_new(arg, json_string(migration->id)) < 0)
        return err_errno(err, ENOMEM, "%s", migration->id);
    return 0;
}

static int
list_unended(struct daemon *daemon, json_t *ret_ids, struct err *err)
{
    struct store_filter filter = { .limit = 0 };
    for (unsigned status = 0; status < N_JOB_STATUS; status++)
        if (!job_status_is_ended((enum job_status)status))
            filter.statuses |= 1U << status;
    return store_migration_list(daemon->store, &filter, remember_id, ret_ids, err);
}

static int
load_one(struct daemon *daemon, const char *id, struct err *err)
{
    auto_migration struct store_migration m = { .fence = 0 };
    struct entry *entry;
    if (store_migration_get(daemon->store, id, &m, err) < 0 || take_in(daemon, &m, &entry, err) < 0)
        return -1;
    if (m.status != JOB_RUNNING || daemon->mode == DAEMON_LOOK)
        return 0;
    struct store_change change = { .has_status = true, .has_due_at = true };
    change.due_at = clock_wall_s();
    if (roster_event(entry, JOB_EVENT_LOST, &change.status, err) < 0 ||
        roster_change(entry, &change, NULL, err) < 0)
        return -1;
    /* It had a place, and so it goes before those that waited for one. */
    entry->place.due_ns = BEFORE_ALL_NS;
    return 0;
}

/* What was asked for while it ran goes before what its spec says. */
static uint64_t
limit_of(struct daemon *daemon, const struct store_migration *m)
{
    char key[STORE_ID_MAX + 8];
    auto_free char *text = NULL;
    struct err ignored = ERR_INIT;
    snprintf(key, sizeof key, "limit.%s", m->id);
    if (store_setting_get(daemon->store, key, &text, &ignored) < 0 || !text)
        return job_json_bandwidth(m->job);
    return strtoull(text, NULL, 10);
}

/* Also when the place in the array cannot be had: then nothing was changed. */
static int
take_in(struct daemon *daemon, const struct store_migration *m, struct entry **ret_entry,
        struct err *err)
{
    struct roster *roster = &daemon->roster;
    if (roster->n == roster->cap) {
        size_t cap = roster->cap ? 2 * roster->cap : 64;
        struct entry **entries = reallocarray(roster->entries, cap, sizeof(struct entry *));
        if (!entries)
            return err_errno(err, ENOMEM, "%zu migrations", cap);
        roster->entries = entries;
        roster->cap = cap;
    }
    struct entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return err_errno(err, ENOMEM, "%s", m->id);
    entry->daemon = daemon;
    snprintf(entry->id, sizeof entry->id, "%s", m->id);
    entry->fence = m->fence;
    entry->status = m->status;
    entry->finalize = m->finalize;
    entry->finalize_now = m->finalize_now;
    entry->paused = m->paused;
    entry->cancel = m->cancel;
    entry->asks = m->question != NULL;
    entry->attempt = m->attempt;
    entry->created_at = m->created_at;
    entry->started_at = m->started_at;
    entry->converts = job_json_converts(m->job);
    entry->limit_bytes_s = limit_of(daemon, m);
    if (set_text(&entry->key, m->key, err) < 0 || set_text(&entry->name, m->name, err) < 0 ||
        set_text(&entry->moref, m->moref, err) < 0 ||
        set_text(&entry->server, m->server, err) < 0 ||
        set_text(&entry->stage, m->stage, err) < 0 ||
        set_text(&entry->shutdown, m->shutdown, err) < 0) {
        entry_free(entry);
        return -1;
    }
    size_t at = place_of(roster, m->id);
    memmove(roster->entries + at + 1, roster->entries + at,
            (roster->n - at) * sizeof(struct entry *));
    roster->entries[at] = entry;
    roster->n++;
    queue_add(&daemon->queue, &entry->place);
    queue_up(entry, m->due_at, m->updated_at);
    folder_find(entry);
    *ret_entry = entry;
    return 0;
}

/* Where it is, or belongs. */
static size_t
place_of(const struct roster *roster, const char *id)
{
    size_t low = 0, high = roster->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(roster->entries[middle]->id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct entry *
roster_find(const struct daemon *daemon, const char *id)
{
    const struct roster *roster = &daemon->roster;
    size_t at = place_of(roster, id);
    return at < roster->n && strcmp(roster->entries[at]->id, id) == 0 ? roster->entries[at] : NULL;
}

void
roster_free(struct daemon *daemon)
{
    for (size_t i = 0; i < daemon->roster.n; i++)
        entry_free(daemon->roster.entries[i]);
    free(daemon->roster.entries);
    daemon->roster = (struct roster){ .n = 0 };
    daemon->queue = (struct queue){ .first = NULL };
}

static void
take_out(struct entry *entry)
{
    struct roster *roster = &entry->daemon->roster;
    size_t at = place_of(roster, entry->id);
    roster->n--;
    memmove(roster->entries + at, roster->entries + at + 1,
            (roster->n - at) * sizeof(struct entry *));
    queue_remove(&entry->daemon->queue, &entry->place);
    entry_free(entry);
}

static void
entry_free(struct entry *entry)
{
    free(entry->key);
    free(entry->name);
    free(entry->moref);
    free(entry->server);
    free(entry->stage);
    free(entry->shutdown);
    free(entry->folder);
    outcome_free(entry->owed);
    entry_forget_progress(entry);
    free(entry);
}

/* ---- changes ---- */

int
roster_create(struct daemon *daemon, const struct store_migration *migration,
              struct entry **ret_entry, struct err *err)
{
    if (store_migration_create(daemon->store, migration, err) < 0)
        return -1;
    struct store_migration made = *migration;
    made.fence = 1;
    made.updated_at = made.created_at;
    if (take_in(daemon, &made, ret_entry, err) < 0)
        return -1;
    tend_soon(daemon);
    return 0;
}

int
roster_event(const struct entry *entry, enum job_event event, enum job_status *ret_status,
             struct err *err)
{
    if (job_event(entry->status, event, ret_status))
        return 0;
    return err_set(err, ERR_BUG, "%s: '%s' cannot happen to one that is %s", entry_text(entry),
                   job_event_name(event), job_status_name(entry->status));
}

int
roster_change(struct entry *entry, const struct store_change *change, struct entry **ret_entry,
              struct err *err)
{
    int64_t now = clock_wall_s();
    auto_free char *shutdown = NULL;
    if (change->has_shutdown && set_text(&shutdown, change->shutdown, err) < 0)
        return -1;
    if (store_migration_update(entry->daemon->store, entry->id, entry->fence, change, now,
                               &entry->fence, err) < 0)
        return -1;
    tend_soon(entry->daemon);
    if (change->has_finalize)
        entry->finalize = change->finalize;
    if (change->has_finalize_now)
        entry->finalize_now = change->finalize_now;
    if (change->has_paused)
        entry->paused = change->paused;
    if (change->has_cancel)
        entry->cancel = change->cancel;
    if (change->has_question)
        entry->asks = change->question != NULL;
    if (change->has_attempt)
        entry->attempt = change->attempt;
    if (change->has_started_at)
        entry->started_at = change->started_at;
    if (change->has_shutdown) {
        free(entry->shutdown);
        entry->shutdown = TAKE_PTR(shutdown);
    }
    if (change->has_status)
        entry->status = change->status;
    bool ended = job_status_is_ended(entry->status);
    if (ended)
        take_out(entry);
    else if (change->has_status || change->has_due_at)
        queue_up(entry, change->has_due_at ? change->due_at : 0, now);
    if (!ended)
        entry->place.urgent = is_urgent(entry);
    if (ret_entry)
        *ret_entry = ended ? NULL : entry;
    return 0;
}

static bool
is_urgent(const struct entry *entry)
{
    return entry->cancel || entry->finalize || entry->finalize_now;
}

/* A due moment that is not given stays as it was. Among those that are queued it only says who came
 * first. */
static void
queue_up(struct entry *entry, int64_t due_at, int64_t written_at)
{
    struct queue_place *place = &entry->place;
    int64_t now_ns = clock_now_ns(), wall_s = clock_wall_s();
    bool queued = entry->status == JOB_QUEUED;
    place->waits = queued || entry->status == JOB_WAITING || entry->status == JOB_RETRYING ||
                   (entry->status == JOB_ASKING && due_at > 0);
    place->urgent = is_urgent(entry);
    if (queued || due_at > 0) {
        place->due_at = queued ? 0 : due_at;
        place->written_at = written_at;
    }
    if (queued && due_at > 0)
        place->due_ns = now_ns - MIN(MAX(wall_s - due_at, (int64_t)0), AGE_MAX_S) * NS_PER_S;
    else if (queued)
        place->due_ns = MIN(place->due_ns, now_ns);
    else if (due_at > 0)
        place->due_ns = queue_due_ns(due_at, written_at, wall_s, now_ns);
}

static int
set_text(char **field, const char *text, struct err *err)
{
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy)
        return err_errno(err, ENOMEM, "a text of %zu bytes", strlen(text));
    free(*field);
    *field = copy;
    return 0;
}

/* ---- the journal ---- */

int
roster_journal(struct entry *entry, const struct store_op *ops, size_t n_ops, struct err *err)
{
    for (size_t i = 0; i < n_ops; i++)
        if (ops[i].kind == STORE_MACHINE && check_nobody_moves(entry, &ops[i].machine, err) < 0)
            return -1;
    if (store_journal(entry->daemon->store, entry->id, entry->fence, ops, n_ops, clock_wall_s(),
                      &entry->fence, err) < 0)
        return -1;
    for (size_t i = 0; i < n_ops; i++)
        note_op(entry, &ops[i]);
    return 0;
}

/* Two specs may name one machine in two ways, which is known only when it was looked at. */
static int
check_nobody_moves(const struct entry *entry, const struct store_machine *machine, struct err *err)
{
    const struct roster *roster = &entry->daemon->roster;
    const char *moref = machine->moref ? machine->moref : "";
    const char *server = machine->server ? machine->server : entry->server;
    for (size_t i = 0; i < roster->n; i++) {
        const struct entry *other = roster->entries[i];
        if (other != entry && other->moref && other->server && server && other->started_at > 0 &&
            strcmp(other->moref, moref) == 0 && strcasecmp(other->server, server) == 0)
            return err_set(err, ERR_CONFLICT,
                           "%s (%s) is moved by migration %s already, which has not ended: cancel "
                           "one of the two",
                           entry_text(other), moref, other->id);
    }
    return 0;
}

/* Without memory the old text stays until the store is read again. */
static void
note_op(struct entry *entry, const struct store_op *op)
{
    struct err ignored = ERR_INIT;
    if (op->kind == STORE_STAGE) {
        set_text(&entry->stage, op->stage, &ignored);
    } else if (op->kind == STORE_MACHINE) {
        if (op->machine.name)
            set_text(&entry->name, op->machine.name, &ignored);
        if (op->machine.moref)
            set_text(&entry->moref, op->machine.moref, &ignored);
        if (op->machine.server)
            set_text(&entry->server, op->machine.server, &ignored);
        folder_find(entry);
    } else if (op->kind == STORE_CLEAR_WISHES) {
        entry->finalize = entry->finalize_now = false;
        set_text(&entry->shutdown, NULL, &ignored);
    }
}

/* ---- texts ---- */

const char *
entry_text(const struct entry *entry)
{
    return entry->name ? entry->name : entry->key;
}

void
entry_forget_progress(struct entry *entry)
{
    json_decref(TAKE_PTR(entry->progress));
    json_decref(TAKE_PTR(entry->forecast));
}
