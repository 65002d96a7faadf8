#include "cli/run-view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/run-line.h"
#include "cli/terminal.h"
#include "cli/texts.h"

#define LOG_EVERY_NS (10 * NS_PER_S)
#define LOG_EVERY_PCT 5
#define DISKS_MAX 256
#define DEFAULT_COLUMNS 80
#define DEFAULT_ROWS 24
#define ROWS_KEPT 3 /* for the note, for what was left out, and for the cursor */

static bool differs(const json_t *a, const json_t *b, const char *key);
static void show_change(struct run_view *view, const struct batch_vm *vm, const json_t *before);
static void show_progress(struct run_view *view, struct batch_vm *vm);

void
run_view_init(struct run_view *view, const struct output_options *options, size_t n_machines)
{
    *view = (struct run_view){ .many = n_machines > 1 };
    output_init(&view->out, "vmferry: run", options);
}

/* ---- JSON ---- */

/* An event with what each has. Takes over the object. */
static void
emit(struct run_view *view, const struct batch_vm *vm, const char *type, json_t *event)
{
    auto_json json_t *owned = event;
    if (!view->out.options.json || !event)
        return;
    json_object_set_new(event, "type", json_string(type));
    json_object_set_new(event, "vm", json_text(vm->name));
    if (vm->id)
        json_object_set_new(event, "id", json_string(vm->id));
    output_event(&view->out, json_incref(event));
}

/* Some keys of the migration. */
static json_t *
excerpt(const json_t *from, const char *const *keys)
{
    json_t *to = json_object();
    for (; to && *keys; keys++)
        if (json_object_get(from, *keys))
            json_object_set(to, *keys, json_object_get(from, *keys));
    return to;
}

/* ---- lines ---- */

static bool
shows_lines(const struct run_view *view)
{
    return !view->out.options.quiet && !view->out.options.json;
}

/* "[2026-11-30 09:58:01] web01: TEXT" on stderr, as v2c-engine writes it. */
static void
put_line(struct run_view *view, int64_t at, const struct batch_vm *vm, const char *level,
         const char *text)
{
    char stamp[32];
    time_t seconds = (time_t)at;
    struct tm tm;
    bool known = strcmp(level, "error") == 0 || strcmp(level, "warning") == 0;
    gmtime_r(&seconds, &tm);
    strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", &tm);
    run_view_clear(view);
    fprintf(stderr, "[%s] %s%s%s%s%s\n", stamp, view->many ? vm->name : "", view->many ? ": " : "",
            known ? level : "", known ? ": " : "", text);
}

void
run_view_complain(struct run_view *view, const char *name, const char *text)
{
    run_view_clear(view);
    fflush(stdout);
    char prefix[TEXTS_PREFIX_MAX];
    fprintf(stderr, "%s: %s%s\n", view->out.name, name ? texts_prefix(name, text, prefix) : "",
            text);
}

/* ---- what happens ---- */

void
run_view_started(struct run_view *view, const struct batch_vm *vm, bool again)
{
    emit(view, vm, "started", json_pack("{s:s, s:b}", "spec", vm->entry->file, "resumed", again));
    if (!shows_lines(view))
        return;
    run_view_clear(view);
    fprintf(stderr, "[run] starting VM workflow: %s%s\n", vm->name,
            again ? " (it goes on where it was)" : "");
}

void
run_view_refused(struct run_view *view, const struct batch_vm *vm)
{
    emit(view, vm, "ended",
         json_pack("{s:s, s:o}", "status", "refused", "error", json_from_err(&vm->why)));
    run_view_complain(view, vm->name, vm->why.text);
}

void
run_view_event(struct run_view *view, const struct batch_vm *vm, const json_t *event)
{
    static const char *const keys[] = { "n", "level", "code", "text", NULL };
    const char *level = json_get_str(event, "level", "info");
    bool fine = strcmp(level, "debug") == 0;
    if (fine && !view->out.options.verbose)
        return;
    emit(view, vm, "log", excerpt(event, keys));
    if (shows_lines(view) && (!view->out.live || strcmp(level, "info") != 0))
        put_line(view, json_get_int(event, "at", clock_wall_s()), vm, level,
                 json_get_str(event, "text", ""));
}

void
run_view_change(struct run_view *view, struct batch_vm *vm, const json_t *before)
{
    show_change(view, vm, before);
    if (!vm->over && differs(before, vm->json, "progress"))
        show_progress(view, vm);
}

static bool
differs(const json_t *a, const json_t *b, const char *key)
{
    const json_t *one = json_object_get(a, key), *two = json_object_get(b, key);
    if (json_is_null(one))
        one = NULL;
    if (json_is_null(two))
        two = NULL;
    return one || two ? !json_equal(one, two) : false;
}

static void
show_stage(struct run_view *view, const struct batch_vm *vm, const struct migration *m)
{
    static const char *const keys[] = { "stage", "next_stage", "moref", NULL };
    char text[128];
    emit(view, vm, "stage", excerpt(vm->json, keys));
    if (!shows_lines(view) || view->out.live)
        return;
    snprintf(text, sizeof text, "stage %s, next %s", m->stage, m->next_stage);
    put_line(view, clock_wall_s(), vm, "", text);
}

static void
show_status(struct run_view *view, const struct batch_vm *vm, const struct migration *m)
{
    static const char *const keys[] = { "status", "due_at",   "rounds",       "question",
                                        "error",  "finalize", "finalize_now", NULL };
    char text[MIGRATION_TEXT_MAX];
    if (!vm->over) {
        auto_json json_t *event = excerpt(vm->json, keys);
        json_object_set_new(event, "rounds", json_integer(m->rounds));
        emit(view, vm, m->status == JOB_ASKING ? "question" : "status", json_incref(event));
    }
    bool passing = m->status == JOB_RUNNING || m->status == JOB_QUEUED;
    if (shows_lines(view) && !view->out.live && !passing && !vm->over)
        put_line(view, clock_wall_s(), vm, "", migration_text(m, clock_wall_s(), text));
}

static void
show_end(struct run_view *view, const struct batch_vm *vm, const struct migration *m)
{
    static const char *const keys[] = { "status", "error", "rounds", "moref", NULL };
    auto_json json_t *event = excerpt(vm->json, keys);
    json_object_set_new(event, "rounds", json_integer(m->rounds));
    emit(view, vm, "ended", json_incref(event));
    if (!shows_lines(view))
        return;
    run_view_clear(view);
    if (m->status == JOB_DONE)
        fprintf(stderr, "[run] completed VM workflow: %s\n", vm->name);
    else
        fprintf(stderr, "[run] %s VM workflow: %s\n", job_status_name(m->status), vm->name);
}

static void
show_change(struct run_view *view, const struct batch_vm *vm, const json_t *before)
{
    struct migration m;
    migration_read(vm->json, &m);
    if (differs(before, vm->json, "stage"))
        show_stage(view, vm, &m);
    if (differs(before, vm->json, "forecast") && m.forecast)
        emit(view, vm, "forecast", json_deep_copy(m.forecast));
    if (differs(before, vm->json, "status"))
        show_status(view, vm, &m);
    if (vm->over)
        show_end(view, vm, &m);
}

/* ---- progress ---- */

static struct batch_disk *
disk_of(struct batch_vm *vm, const char *label)
{
    for (size_t i = 0; i < vm->n_disks; i++)
        if (strcmp(vm->disks[i].label, label) == 0)
            return &vm->disks[i];
    struct batch_disk *grown =
        vm->n_disks < DISKS_MAX ? reallocarray(vm->disks, vm->n_disks + 1, sizeof *grown) : NULL;
    if (!grown)
        return NULL;
    vm->disks = grown;
    struct batch_disk *disk = &grown[vm->n_disks++];
    *disk = (struct batch_disk){ .pct = -1 };
    snprintf(disk->label, sizeof disk->label, "%s", label);
    return disk;
}

static int
percent(const struct progress *p)
{
    if (p->total_bytes > 0)
        return (int)((double)p->done_bytes / (double)p->total_bytes * 100);
    return p->pct;
}

/* At most every 10 s, or every 5 points of progress, as v2c-engine does. */
static void
log_progress(struct run_view *view, struct batch_vm *vm, const struct progress *progress)
{
    struct batch_disk *disk = disk_of(vm, progress->label);
    int64_t now_ns = clock_now_ns();
    int pct = percent(progress);
    char text[PROGRESS_LINE_MAX], label[256];
    if (!disk || (disk->pct >= 0 && abs(pct - disk->pct) < LOG_EVERY_PCT &&
                  now_ns - disk->at_ns < LOG_EVERY_NS))
        return;
    disk->pct = pct;
    disk->at_ns = now_ns;
    struct progress named = *progress;
    snprintf(label, sizeof label, "%s %s", vm->name, progress->label);
    if (view->many)
        named.label = label;
    progress_line_log(&named, text);
    fprintf(stderr, "%s\n", text);
}

static void
show_progress(struct run_view *view, struct batch_vm *vm)
{
    json_t *each;
    size_t i;
    json_array_foreach (json_object_get(vm->json, "progress"), i, each) {
        struct progress progress;
        auto_json json_t *disk = json_deep_copy(each);
        if (disk && !json_object_get(disk, "stage"))
            json_object_set(disk, "stage", json_object_get(vm->json, "stage"));
        progress_read(disk, &progress);
        emit(view, vm, "progress", json_incref(disk));
        if (shows_lines(view) && !view->out.live)
            log_progress(view, vm, &progress);
    }
}

/* ---- the block of live lines ---- */

void
run_view_clear(struct run_view *view)
{
    if (view->n_drawn > 0)
        fprintf(stderr, "\r\x1b[%uA\x1b[J", view->n_drawn);
    view->n_drawn = 0;
    fflush(stderr);
}

struct canvas {
    unsigned columns, rows; /* of rows, what may still be drawn */
    unsigned n;
    size_t left_out;
};

static void
draw(struct canvas *canvas, const char *text)
{
    if (canvas->rows == 0) {
        canvas->left_out++;
        return;
    }
    canvas->rows--;
    canvas->n++;
    fprintf(stderr, "%s\x1b[K\n", text);
}

static void
draw_vm(struct canvas *canvas, const struct batch_vm *vm)
{
    char text[RUN_LINE_MAX];
    struct migration m;
    const json_t *disk;
    size_t i;
    migration_read(vm->json, &m);
    draw(canvas, run_line_machine(vm->name, &m, clock_wall_s(), canvas->columns, text));
    if (m.status != JOB_RUNNING)
        return;
    json_array_foreach (json_object_get(vm->json, "progress"), i, disk) {
        struct progress progress;
        progress_read(disk, &progress);
        draw(canvas, run_line_disk(&progress, canvas->columns, text));
    }
}

void
run_view_draw(struct run_view *view, const struct batch *batch)
{
    unsigned columns = terminal_columns(STDERR_FILENO), rows = terminal_rows(STDERR_FILENO);
    if (!view->out.live || view->held)
        return;
    if (columns == 0)
        columns = DEFAULT_COLUMNS;
    if (rows == 0)
        rows = DEFAULT_ROWS;
    struct canvas canvas = { .columns = columns, .rows = rows > ROWS_KEPT ? rows - ROWS_KEPT : 0 };
    if (view->n_drawn > 0)
        fprintf(stderr, "\r\x1b[%uA", view->n_drawn);
    for (size_t i = 0; i < batch->n; i++)
        if (batch->vms[i].json && !batch->vms[i].over)
            draw_vm(&canvas, &batch->vms[i]);
    if (canvas.left_out > 0) {
        fprintf(stderr, "... and %zu more lines\x1b[K\n", canvas.left_out);
        canvas.n++;
    }
    if (view->note) {
        fprintf(stderr, "%.*s\x1b[K\n", (int)columns - 1, view->note);
        canvas.n++;
    }
    fputs("\x1b[J", stderr);
    fflush(stderr);
    view->n_drawn = canvas.n;
}
