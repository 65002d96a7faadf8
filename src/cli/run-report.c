#include "cli/run-report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "cli/texts.h"

static void report_one(const struct batch_vm *vm, bool theirs);
static json_t *json_one(const struct batch_vm *vm);
static void sum_text(const struct batch_sum *sum, size_t n, char text[ERR_TEXT_MAX]);

enum exit_code
run_report(struct run_view *view, const struct batch *batch, bool interrupted, bool theirs)
{
    struct batch_sum sum;
    char text[ERR_TEXT_MAX];
    batch_count(batch, &sum);
    bool ok = sum.done == batch->n;
    run_view_clear(view);
    fflush(stderr);
    for (size_t i = 0; i < batch->n; i++)
        if (!view->out.options.quiet && !view->out.options.json)
            report_one(&batch->vms[i], theirs);
    fflush(stdout);
    sum_text(&sum, batch->n, text);

    auto_json json_t *machines = json_array();
    for (size_t i = 0; i < batch->n; i++)
        json_array_append_new(machines, json_one(&batch->vms[i]));
    enum err_kind kind = interrupted ? ERR_CANCELLED : sum.asking ? ERR_CONFLICT : ERR_UNAVAILABLE;
    json_t *error =
        ok ? json_null() : json_pack("{s:s, s:s}", "kind", err_kind_name(kind), "text", text);
    output_event(&view->out,
                 json_pack("{s:s, s:b, s:o, s:I, s:I, s:I, s:I, s:O}", "type", "result", "ok", ok,
                           "error", error, "done", (json_int_t)sum.done, "failed",
                           (json_int_t)sum.failed, "asking", (json_int_t)sum.asking, "open",
                           (json_int_t)sum.open, "machines", machines));
    if (!ok)
        run_view_complain(view, NULL, text);
    if (interrupted && !ok)
        return EXIT_INTERRUPTED;
    if (sum.asking > 0)
        return EXIT_WAITING;
    if (ok)
        return EXIT_DONE;
    return sum.done > 0 ? EXIT_SOME_FAILED : EXIT_FAILED;
}

static void
sum_text(const struct batch_sum *sum, size_t n, char text[ERR_TEXT_MAX])
{
    snprintf(text, ERR_TEXT_MAX, "of %zu machine%s %zu arrived, %zu failed", n, n == 1 ? "" : "s",
             sum->done, sum->failed);
    size_t len = strlen(text);
    if (sum->asking > 0)
        snprintf(text + len, ERR_TEXT_MAX - len, ", %zu wait%s for an answer", sum->asking,
                 sum->asking == 1 ? "s" : "");
    len = strlen(text);
    if (sum->open > 0)
        snprintf(text + len, ERR_TEXT_MAX - len, ", %zu %s not ended; the same command goes on",
                 sum->open, sum->open == 1 ? "has" : "have");
}

/* ---- what the journal says ---- */

/* What was made for the machine at its destination, and is to stay. */
static bool
is_of_target(const json_t *object)
{
    return migration_object_is(object, "domain", "made") ||
           migration_object_is(object, "file", "made");
}

/* What may still be at the source and should not. */
static bool
is_left(const json_t *object)
{
    static const char *const kinds[] = { "snapshot", "cbt", NULL };
    for (const char *const *kind = kinds; *kind; kind++)
        if (migration_object_is(object, *kind, "made") ||
            migration_object_is(object, *kind, "planned"))
            return true;
    return false;
}

/* An array of "KIND NAME". */
static json_t *
objects_of(const json_t *migration, bool (*which)(const json_t *object))
{
    json_t *names = json_array();
    const json_t *object;
    size_t i;
    json_array_foreach (json_object_get(migration, "objects"), i, object)
        if (which(object))
            json_array_append_new(names, json_sprintf("%s %s", json_get_str(object, "kind", ""),
                                                      json_get_str(object, "name", "")));
    return names;
}

/* ---- for programs ---- */

static json_t *
json_one(const struct batch_vm *vm)
{
    struct migration m;
    migration_read(vm->json, &m);
    json_t *error = json_object_get(vm->json, "error");
    json_t *one =
        json_pack("{s:o, s:s?, s:s?, s:s, s:I, s:o, s:o}", "vm", json_text(vm->name), "id", vm->id,
                  "moref", m.moref, "status", vm->refused ? "refused" : job_status_name(m.status),
                  "rounds", (json_int_t)m.rounds, "created", objects_of(vm->json, is_of_target),
                  "left", objects_of(vm->json, is_left));
    if (m.status == JOB_DONE && m.downtime_s >= 0)
        json_object_set_new(one, "downtime_s", json_integer(m.downtime_s));
    if (m.created_at && m.ended_at)
        json_object_set_new(one, "seconds", json_integer(m.ended_at - m.created_at));
    if (vm->refused)
        json_object_set_new(one, "error", json_from_err(&vm->why));
    else if (json_is_object(error))
        json_object_set(one, "error", error);
    return one;
}

/* ---- for people ---- */

static void
report_disks(const struct batch_vm *vm)
{
    char size[SIZE_TEXT_MAX];
    const json_t *disk;
    size_t i;
    json_array_foreach (json_object_get(vm->json, "disks"), i, disk)
        if (json_get_str(disk, "image", NULL))
            printf("    %-10s %s  %s\n", json_get_str(disk, "label", "?"),
                   size_format(json_get_u64(disk, "capacity_bytes", 0), size),
                   json_get_str(disk, "image", ""));
}

static void
report_list(const struct batch_vm *vm, const char *what, bool (*which)(const json_t *object))
{
    auto_json json_t *names = objects_of(vm->json, which);
    const json_t *name;
    size_t i;
    json_array_foreach (names, i, name)
        printf("    %s %s\n", what, json_string_value(name));
}

static void
report_one(const struct batch_vm *vm, bool theirs)
{
    char text[MIGRATION_TEXT_MAX], prefix[TEXTS_PREFIX_MAX];
    struct migration m;
    if (vm->refused || !vm->json) {
        const char *why = vm->refused ? vm->why.text : "not begun";
        printf("%s%s\n", texts_prefix(vm->name, why, prefix), why);
        return;
    }
    migration_read(vm->json, &m);
    printf("%s: %s\n", vm->name, migration_text(&m, clock_wall_s(), text));
    if (m.status == JOB_DONE) {
        report_disks(vm);
        report_list(vm, "created:", is_of_target);
    }
    if (job_status_is_ended(m.status) || m.status == JOB_FAILED)
        report_list(vm, "left at the source:", is_left);
    if (m.status == JOB_FAILED)
        printf("    the same run again, or 'vmferry retry %s', goes on; 'vmferry cancel --cleanup "
               "%s' takes back what there is\n",
               vm->id, vm->id);
    else if (m.status == JOB_ASKING)
        printf("    answer by 'vmferry shutdown force %s' or 'vmferry shutdown done %s'%s\n",
               vm->id, vm->id, theirs ? "" : ", then the same run again");
    else if (m.status == JOB_PAUSED)
        printf("    'vmferry resume %s' lets it go on%s\n", vm->id,
               theirs ? "" : ", then the same run again");
    else if (!job_status_is_ended(m.status))
        printf("    %s\n", theirs ? "vmferryd goes on with it" : "the same run again goes on");
}
