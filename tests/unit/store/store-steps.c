/* What tests do to a store from outside: each step is one call that changes it.
 *
 *   store-steps run PATH FROM TO    do the steps FROM to TO-1; after each its number, on a line
 *   store-steps dump PATH           all that is stored, as text
 *   store-steps measure PATH COUNT  fill it with so many finished migrations; milliseconds of calls
 *   store-steps count               how many steps there are
 *
 * An error is one line on standard error, "KIND: TEXT", and exit status 1.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "store/store.h"

#define T0 INT64_C(1764468000)

static struct store *store;
static struct err err = ERR_INIT;

static int64_t
fence_of(const char *id)
{
    auto_migration struct store_migration m = { 0 };
    return store_migration_get(store, id, &m, &err) == 0 ? m.fence : -1;
}

static int
create(const char *id, const char *name, enum job_status status, const char *spec)
{
    char key[64];
    snprintf(key, sizeof key, "vc1/%s", id);
    struct store_migration m = {
        .key = key,
        .name = (char *)name,
        .server = (char *)"vc1",
        .spec = (char *)spec,
        .job = (char *)"{\"readers\": 4}",
        .status = status,
        .created_at = T0,
    };
    snprintf(m.id, sizeof m.id, "%s", id);
    return store_migration_create(store, &m, &err);
}

static int
update(const char *id, struct store_change change, int64_t at)
{
    int64_t fence = fence_of(id);
    return fence < 0 ? -1 : store_migration_update(store, id, fence, &change, at, &fence, &err);
}

static int
journal(const struct store_op *ops, size_t n, int64_t at)
{
    int64_t fence = fence_of("m1");
    return fence < 0 ? -1 : store_journal(store, "m1", fence, ops, n, at, &fence, &err);
}

/* ---- the steps ---- */

#define LARGE_BYTES (200 * KIB)

/* {"x":"aaa..."} */
static const char *
large_text(char letter)
{
    static char text[LARGE_BYTES + 1];
    memset(text, letter, LARGE_BYTES);
    memcpy(text, "{\"x\":\"", 6);
    memcpy(text + LARGE_BYTES - 2, "\"}", 3);
    return text;
}

static const struct store_disk disks[] = {
    { 2000, "scsi0:0", UINT64_C(64) << 30, "/images/web01-sda" },
    { 2001, "scsi0:1", UINT64_C(128) << 30, NULL },
};
static const struct store_round_disk moved[] = {
    { .key = 2000, .read_bytes = 1 << 30, .written_bytes = 1 << 29, .full = true, .why = "first" },
    { .key = 2001, .areas = 12, .changed_bytes = 4096 },
};

static int
step_create(void)
{
    return create("m1", "web01", JOB_QUEUED, large_text('s'));
}

static int
step_create_other(void)
{
    return create("m2", "web02", JOB_QUEUED, "{}");
}

static int
step_run(void)
{
    return update("m1",
                  (struct store_change){ .has_status = true,
                                         .status = JOB_RUNNING,
                                         .has_started_at = true,
                                         .started_at = T0 + 1 },
                  T0 + 1);
}

static int
step_begin(void)
{
    const struct store_op ops[] = {
        { STORE_STAGE, .stage = "init" },
        { STORE_MACHINE, .machine = { "web01", "vm-16", "4210", NULL, "esx1", disks, 2 } },
        { STORE_PUT, .put = { "version", "1" } },
        { STORE_OBJECT, .object = { NULL, "snapshot", "vmferry-1", STORE_OBJECT_PLANNED, "{}" } },
    };
    return journal(ops, ARRAY_LEN(ops), T0 + 2);
}

static int
step_done(void)
{
    const struct store_op ops[] = {
        { STORE_OBJECT, .object = { NULL, "snapshot", "vmferry-1", STORE_OBJECT_MADE, NULL } },
        { STORE_PUT, .put = { "snapshot", "{\"moref\":\"snapshot-3\"}" } },
        { STORE_STAGE, .stage = "base_copy" },
    };
    return journal(ops, ARRAY_LEN(ops), T0 + 9);
}

static int
step_event(void)
{
    const struct store_event event = { .migration = "m1", .at = T0, .level = "info", .text = "x" };
    return store_event_add(store, &event, NULL, &err);
}

static int
step_round(void)
{
    const struct store_op ops[] = {
        { STORE_ROUND, .round = { 0, "base", T0 + 9, 12.5, moved, 2 } },
        { STORE_STAGE, .stage = "delta" },
    };
    return journal(ops, ARRAY_LEN(ops), T0 + 60);
}

static int
step_large_state(void)
{
    const struct store_op op = { STORE_PUT, .put = { "large", large_text('l') } };
    return journal(&op, 1, T0 + 61);
}

static int
step_setting(void)
{
    return store_setting_put(store, "limits", "{\"disks_per_esxi\": 8}", &err);
}

static int
step_again(void)
{
    store_close(store);
    store = NULL;
    return 0;
}

static int
step_forget(void)
{
    const struct store_op ops[] = {
        { STORE_PUT, .put = { "large", NULL } },
        { STORE_ROUND, .round = { 0, "base", T0 + 9, 13.5, moved, 1 } },
        { STORE_OBJECT, .object = { NULL, "snapshot", "vmferry-1", STORE_OBJECT_GONE, NULL } },
    };
    return journal(ops, ARRAY_LEN(ops), T0 + 70);
}

static int
step_prune(void)
{
    return store_events_prune(store, 1, NULL, &err);
}

static int
step_finish(void)
{
    return update(
        "m1",
        (struct store_change){
            .has_status = true, .status = JOB_DONE, .has_ended_at = true, .ended_at = T0 + 99 },
        T0 + 99);
}

static int
step_cancel(void)
{
    return update("m2", (struct store_change){ .has_status = true, .status = JOB_CANCELLED }, T0);
}

static int
step_delete(void)
{
    return store_migration_delete(store, "m2", &err);
}

static int
step_no_setting(void)
{
    return store_setting_put(store, "limits", NULL, &err);
}

static int (*const steps[])(void) = {
    step_create, step_create_other, step_run,     step_begin,  step_done,       step_event,
    step_round,  step_large_state,  step_setting, step_event,  step_again,      step_forget,
    step_prune,  step_finish,       step_cancel,  step_delete, step_no_setting,
};

static int
run(const char *path, size_t from, size_t to)
{
    for (size_t i = from; i < to && i < ARRAY_LEN(steps); i++) {
        if ((!store && store_open(path, &store, &err) < 0) || steps[i]() < 0)
            return -1;
        printf("%zu\n", i);
        fflush(stdout);
    }
    return 0;
}

/* ---- dump ---- */

static int
dump_disk(const struct store_disk *disk, void *arg, struct err *e)
{
    (void)arg;
    (void)e;
    printf("  disk %" PRId64 " %s %" PRIu64 " %s\n", disk->key, disk->label, disk->capacity_bytes,
           disk->image ? disk->image : "-");
    return 0;
}

static int
dump_round(const struct store_round *round, void *arg, struct err *e)
{
    (void)arg;
    (void)e;
    printf("  round %u %s %" PRId64 " %g\n", round->number, round->kind, round->started_at,
           round->seconds);
    for (size_t i = 0; i < round->n_disks; i++) {
        const struct store_round_disk *disk = &round->disks[i];
        printf("    %" PRId64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %d %s\n", disk->key,
               disk->areas, disk->changed_bytes, disk->read_bytes, disk->written_bytes, disk->full,
               disk->why ? disk->why : "-");
    }
    return 0;
}

static int
dump_object(const struct store_object *object, void *arg, struct err *e)
{
    (void)arg;
    (void)e;
    printf("  object %s %s %s %s %" PRId64 "\n", object->kind, object->name,
           store_object_state_name(object->state), object->detail ? object->detail : "-",
           object->changed_at);
    return 0;
}

static int
dump_event(const struct store_event *event, void *arg, struct err *e)
{
    (void)arg;
    (void)e;
    printf("event %" PRId64 " %s %" PRId64 " %s %s\n", event->n,
           event->migration ? event->migration : "-", event->at, event->level, event->text);
    return 0;
}

struct ids {
    size_t n;
    char ids[16][STORE_ID_MAX + 1];
};

static int
take_id(const struct store_migration *m, void *arg, struct err *e)
{
    struct ids *ids = arg;
    if (ids->n == ARRAY_LEN(ids->ids))
        return err_set(e, ERR_INVALID, "too many to dump");
    snprintf(ids->ids[ids->n++], STORE_ID_MAX + 1, "%s", m->id);
    return 0;
}

static int
dump_migration(const char *id)
{
    auto_migration struct store_migration m = { 0 };
    if (store_migration_get(store, id, &m, &err) < 0)
        return -1;
    printf("migration %s %s fence %" PRId64 " %s name %s moref %s host %s stage %s at %" PRId64
           " %" PRId64 " %" PRId64 "\n  %s\n  %s\n  %s\n",
           m.id, m.key, m.fence, job_status_name(m.status), m.name, m.moref ? m.moref : "-",
           m.host ? m.host : "-", m.stage ? m.stage : "-", m.updated_at, m.started_at, m.ended_at,
           m.spec, m.job, m.state);
    if (store_disks(store, id, dump_disk, NULL, &err) < 0 ||
        store_rounds(store, id, dump_round, NULL, &err) < 0)
        return -1;
    return store_objects(store, id, dump_object, NULL, &err);
}

static int
dump(const char *path)
{
    static const char *const stages[] = { "init", "base_copy", "delta" };
    const struct store_filter all = { 0 };
    struct ids ids = { 0 };
    auto_free char *limits = NULL;
    if (store_open(path, &store, &err) < 0 ||
        store_migration_list(store, &all, take_id, &ids, &err) < 0)
        return -1;
    for (size_t i = 0; i < ids.n; i++)
        if (dump_migration(ids.ids[i]) < 0)
            return -1;
    for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
        int64_t median;
        unsigned n;
        if (store_stage_seconds(store, stages[i], &median, &n, &err) < 0)
            return -1;
        printf("stage %s %u %" PRId64 "\n", stages[i], n, median);
    }
    if (store_events(store, NULL, 0, 0, dump_event, NULL, &err) < 0 ||
        store_setting_get(store, "limits", &limits, &err) < 0)
        return -1;
    printf("limits %s\n", limits ? limits : "-");
    return 0;
}

/* ---- measure ---- */

static int
count_migration(const struct store_migration *m, void *arg, struct err *e)
{
    (void)m;
    (void)e;
    ++*(unsigned *)arg;
    return 0;
}

static int
count_object(const struct store_object *object, void *arg, struct err *e)
{
    (void)object;
    (void)e;
    ++*(unsigned *)arg;
    return 0;
}

static int
fill(unsigned count)
{
    static char spec[4096];
    static const char *const hosts[] = { "esx1", "esx2" };
    memset(spec, 's', sizeof spec - 1);
    memcpy(spec, "{\"x\":\"", 6);
    memcpy(spec + sizeof spec - 3, "\"}", 3);
    for (unsigned i = 0; i < count; i++) {
        char id[16], name[16];
        int64_t fence;
        snprintf(id, sizeof id, "m%u", i);
        snprintf(name, sizeof name, "web%05u", i);
        const struct store_op ops[] = {
            { STORE_MACHINE, .machine = { name, id, NULL, NULL, hosts[i % 2], disks, 2 } },
            { STORE_ROUND, .round = { 0, "base", T0, 900, moved, 2 } },
            { STORE_ROUND, .round = { 1, "delta", T0, 90, moved, 2 } },
            { STORE_ROUND, .round = { 2, "final", T0, 9, moved, 2 } },
            { STORE_PUT, .put = { "version", "1" } },
            { STORE_OBJECT, .object = { NULL, "snapshot", id, STORE_OBJECT_GONE, NULL } },
            { STORE_OBJECT, .object = { NULL, "domain", name, STORE_OBJECT_MADE, NULL } },
        };
        const struct store_change ended = { .has_status = true, .status = JOB_DONE };
        const struct store_event event = { .migration = id, .level = "info", .text = "cut over" };
        if (create(id, name, JOB_RUNNING, spec) < 0 ||
            store_journal(store, id, 1, ops, ARRAY_LEN(ops), T0, &fence, &err) < 0 ||
            (i + 5 < count && store_migration_update(store, id, 2, &ended, T0, &fence, &err) < 0) ||
            store_event_add(store, &event, NULL, &err) < 0)
            return -1;
    }
    return 0;
}

static int64_t start_ns;

static void
report(const char *what, unsigned n)
{
    printf("%s %u %.3f\n", what, n, (double)(clock_now_ns() - start_ns) / (double)NS_PER_MS);
    start_ns = clock_now_ns();
}

static int
measure_list(const char *what, struct store_filter filter)
{
    unsigned n = 0;
    int r = store_migration_list(store, &filter, count_migration, &n, &err);
    report(what, n);
    return r;
}

/* Lines of: what, how many, milliseconds. */
static int
measure(const char *path, unsigned count)
{
    uint64_t counts[N_JOB_STATUS];
    auto_migration struct store_migration m = { 0 };
    unsigned n = 0;
    const unsigned open = 1u << JOB_RUNNING | 1u << JOB_WAITING, ended = 1u << JOB_DONE;
    start_ns = clock_now_ns();
    if (store_open(path, &store, &err) < 0 || fill(count) < 0)
        return -1;
    report("fill", count);
    store_close(store);
    store = NULL;
    start_ns = clock_now_ns();
    if (store_open(path, &store, &err) < 0)
        return -1;
    report("open", 1);
    if (store_migration_count(store, counts, &err) < 0)
        return -1;
    report("count", (unsigned)counts[JOB_DONE]);
    if (measure_list("list-page", (struct store_filter){ .limit = 100 }) < 0 ||
        measure_list("list-last-page",
                     (struct store_filter){ .limit = 100, .newest_first = true }) < 0 ||
        measure_list("list-open", (struct store_filter){ .statuses = open }) < 0 ||
        measure_list("list-ended-page", (struct store_filter){ .statuses = ended, .limit = 100 }) <
            0 ||
        measure_list("list-name", (struct store_filter){ .name = "*42*", .limit = 100 }) < 0 ||
        measure_list("list-all", (struct store_filter){ 0 }) < 0)
        return -1;
    if (store_objects_left(store, "snapshot", count_object, &n, &err) < 0)
        return -1;
    report("objects-left", n);
    if (store_migration_get(store, "m42", &m, &err) < 0)
        return -1;
    report("get", 1);
    store_migration_free(&m);
    if (store_migration_find_key(store, "vc1/m9999", &m, &err) < 0 && err.kind != ERR_NOT_FOUND)
        return -1;
    report("find-key", 1);
    if (step_event() < 0)
        return -1;
    report("event", 1);
    return 0;
}

static int
usage(void)
{
    fprintf(stderr,
            "usage: store-steps run PATH FROM TO | dump PATH | measure PATH COUNT | count\n");
    return 2;
}

int
main(int argc, char **argv)
{
    int r;
    if (argc == 2 && strcmp(argv[1], "count") == 0)
        r = printf("%zu\n", ARRAY_LEN(steps)) > 0 ? 0 : -1;
    else if (argc == 5 && strcmp(argv[1], "run") == 0)
        r = run(argv[2], strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
    else if (argc == 3 && strcmp(argv[1], "dump") == 0)
        r = dump(argv[2]);
    else if (argc == 4 && strcmp(argv[1], "measure") == 0)
        r = measure(argv[2], (unsigned)strtoul(argv[3], NULL, 10));
    else
        return usage();
    store_close(store);
    if (r < 0)
        fprintf(stderr, "%s: %s\n", err_kind_name(err.kind), err.text);
    return r < 0;
}
