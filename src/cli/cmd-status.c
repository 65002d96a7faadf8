/* vmferry status: how far the migrations have come. */
#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cmd.h"
#include "cli/table.h"
#include "cli/targets.h"
#include "cli/terminal.h"

#define WATCH_NS (2 * NS_PER_S)
#define PAGE_ROWS 4096 /* of the table, at once */

struct status_args {
    struct selection_args selection;
    struct site_args site;
    bool json, watch, all, verbose;
};

#define FIELD(name) offsetof(struct status_args, name)

static const struct opt options[] = {
    SELECTION_OPTIONS(struct status_args),
    SITE_OPTIONS(struct status_args),
    { 'a', "all", NULL, OPT_BOOL, FIELD(all), "those that have ended, too" },
    { 'w', "watch", NULL, OPT_BOOL, FIELD(watch), "show it again and again, until interrupted" },
    { 0, "json", NULL, OPT_BOOL, FIELD(json), "an array with an object for each" },
    { 'v', "verbose", NULL, OPT_BOOL, FIELD(verbose),
      "more of each: disks, what a forecast is made of" },
    { 'h', "help", NULL, OPT_HELP, 0, "show this" },
    { 0 },
};

enum { ID, NAME, STATUS, STAGE, DONE, WHAT, N_COLUMNS };

static const struct table_column columns[N_COLUMNS] = {
    [ID] = { "ID", 4, 32, false },        [NAME] = { "NAME", 6, 32, false },
    [STATUS] = { "STATUS", 6, 9, false }, [STAGE] = { "STAGE", 5, 24, false },
    [DONE] = { "DONE", 4, 5, true },      [WHAT] = { "", 16, 4096, false },
};

struct status_view {
    const struct status_args *args;
    struct targets *targets;
    unsigned screen; /* columns of the terminal; 0: none */
};

static int show(const struct status_view *view, struct err *err);
static int show_again_and_again(struct status_view *view, struct err *err);

static enum exit_code
run(const struct cmd *cmd, int argc, char **argv)
{
    struct status_args args = { 0 };
    struct output out;
    struct err err = ERR_INIT;
    int first;
    enum exit_code code;
    if (!cmd_parse(cmd, argc, argv, &args, &first, &code))
        return code;
    setlocale(LC_CTYPE, ""); /* how wide a character is */
    output_init(&out, "vmferry: status", &(struct output_options){ .quiet = false });
    auto_targets struct targets targets = TARGETS_INIT;
    struct status_view view = {
        .args = &args,
        .targets = &targets,
        .screen = terminal_columns(STDOUT_FILENO),
    };
    int r = targets_read(&args.site, &args.selection, argv + first, &out, &targets, &err);
    if (r == 0 && args.watch)
        r = show_again_and_again(&view, &err);
    else if (r == 0) {
        r = targets_find(&targets, "look", args.all, &err);
        if (r == 0)
            r = show(&view, &err);
    }
    fflush(stdout);
    if (r < 0)
        output_failure(&out, &err);
    return r < 0 ? EXIT_FAILED : EXIT_DONE;
}

/* The daemon is let go of between two looks: one that only looks would be in the way of a `run`. */
static int
show_again_and_again(struct status_view *view, struct err *err)
{
    for (;;) {
        int64_t next_ns = clock_now_ns() + WATCH_NS;
        if (targets_find(view->targets, "look", view->args->all, err) < 0)
            return -1;
        if (view->screen > 0)
            fputs("\x1b[H\x1b[J", stdout); /* from the upper left corner on, clear */
        if (show(view, err) < 0)
            return -1;
        fflush(stdout);
        if (ferror(stdout))
            return err_set(err, ERR_IO, "stdout cannot be written");
        if (view->targets->daemon.ours)
            daemon_close(&view->targets->daemon);
        clock_sleep_until_ns(next_ns);
    }
}

/* ---- JSON ---- */

/* The folder of the machine, with migration.log and the markers; NULL when there is none. */
static char *
folder_of(const struct status_view *view, const struct migration *m)
{
    char *path = NULL;
    struct stat st;
    if (!m->moref || asprintf(&path, "%s/%s_%s", view->targets->config.migration.control_dir,
                              m->name, m->moref) < 0)
        return NULL;
    char *name = path + strlen(path) - strlen(m->moref) - 1 - strlen(m->name);
    for (; *name; name++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", *name))
            *name = '_';
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return path;
    free(path);
    return NULL;
}

/* The keys of v2c-engine's `status --json`. */
static json_t *
json_row(const struct status_view *view, const struct selected *row)
{
    struct migration m;
    migration_read(row->json, &m);
    const char *store = row->json ? view->targets->config.store : NULL;
    auto_free char *folder = row->json ? folder_of(view, &m) : NULL;
    double pct = (double)(int64_t)(m.pct * 100 + 0.5) / 100;
    return json_pack("{s:s?, s:s, s:b, s:b, s:s, s:f, s:s?, s:s?, s:o}", "control_dir", folder,
                     "current_stage", m.stage, "finalize_now_requested", m.finalize_now,
                     "finalize_requested", m.finalize || m.finalize_now, "next_stage", m.next_stage,
                     "progress", pct, "state_file", store, "vm_moref", m.moref, "vm_name",
                     json_text(row->name));
}

/* All that the daemon says; "progress" is taken, so that of the disks has another name. */
static void
add_all_keys(json_t *row, const json_t *json)
{
    auto_json json_t *rest = json ? json_copy((json_t *)(uintptr_t)json) : NULL;
    if (!rest)
        return;
    json_object_set(row, "disks_progress", json_object_get(json, "progress"));
    if (json_is_array(json_object_get(json, "rounds"))) {
        json_object_set(row, "round_list", json_object_get(json, "rounds"));
        json_object_set_new(
            row, "rounds",
            json_integer((json_int_t)json_array_size(json_object_get(json, "rounds"))));
    }
    json_object_update_missing(row, rest);
}

static int
show_json(const struct status_view *view, struct err *err)
{
    auto_json json_t *array = json_array();
    bool all_keys = view->args->verbose || view->targets->selection.files.n == 0;
    for (size_t i = 0; i < view->targets->n; i++) {
        json_t *row = json_row(view, &view->targets->rows[i]);
        if (row && all_keys)
            add_all_keys(row, view->targets->rows[i].json);
        if (json_array_append_new(array, row) < 0)
            return err_set(err, ERR_UNAVAILABLE, "no memory for the answer");
    }
    size_t how = JSON_SORT_KEYS | JSON_REAL_PRECISION(8) |
                 (view->args->watch ? JSON_COMPACT : JSON_INDENT(2));
    auto_free char *text = json_dumps(array, how);
    if (!text)
        return err_set(err, ERR_UNAVAILABLE, "no memory for the answer");
    puts(text);
    return 0;
}

/* ---- lines as of v2c-engine ---- */

static void
show_more(const struct migration *m, const json_t *json)
{
    char text[MIGRATION_TEXT_MAX], line[PROGRESS_LINE_MAX];
    const json_t *disk;
    size_t i;
    printf("    id %s, %s\n", m->id, migration_text(m, clock_wall_s(), text));
    if (*migration_basis(m, text))
        printf("    the downtime: %s\n", text);
    json_array_foreach (json_object_get(json, "progress"), i, disk) {
        struct progress progress;
        progress_read(disk, &progress);
        progress_line_live(&progress, 100, line);
        printf("    %s\n", line);
    }
}

static void
show_lines(const struct status_view *view)
{
    for (size_t i = 0; i < view->targets->n; i++) {
        const struct selected *row = &view->targets->rows[i];
        struct migration m;
        migration_read(row->json, &m);
        printf("[status] vm=%s moref=%s current=%s next=%s finalize_requested=%s "
               "finalize_now_requested=%s progress=%.2f%%\n",
               row->name, m.moref ? m.moref : "<nil>", m.stage, m.next_stage,
               m.finalize || m.finalize_now ? "true" : "false", m.finalize_now ? "true" : "false",
               m.pct);
        if (view->args->verbose && row->json)
            show_more(&m, row->json);
    }
}

/* ---- a table ---- */

static int
show_table(const struct status_view *view, struct err *err)
{
    const struct targets *targets = view->targets;
    struct table table;
    int r = 0;
    if (targets->n == 0) {
        printf("No migrations%s.\n",
               view->args->all ? "" : " under way ('vmferry status --all' shows those that ended)");
        return 0;
    }
    table_init(&table, columns, N_COLUMNS, stdout, view->screen);
    for (size_t i = 0; r == 0 && i < targets->n; i++) {
        char done[16], text[MIGRATION_TEXT_MAX];
        struct migration m;
        migration_read(targets->rows[i].json, &m);
        snprintf(done, sizeof done, "%.0f%%", m.pct);
        const char *cells[N_COLUMNS] = {
            [ID] = m.id,
            [NAME] = targets->rows[i].name,
            [STATUS] = job_status_name(m.status),
            [STAGE] = m.stage,
            [DONE] = done,
            [WHAT] = migration_text(&m, clock_wall_s(), text),
        };
        r = table_add(&table, cells, err);
        if (i % PAGE_ROWS == PAGE_ROWS - 1)
            table_flush(&table);
    }
    table_flush(&table);
    table_free(&table);
    for (size_t i = 0; r == 0 && view->args->verbose && i < targets->n; i++) {
        struct migration m;
        migration_read(targets->rows[i].json, &m);
        printf("%s\n", targets->rows[i].name);
        show_more(&m, targets->rows[i].json);
    }
    return r;
}

static int
show(const struct status_view *view, struct err *err)
{
    if (view->args->json)
        return show_json(view, err);
    if (view->targets->selection.files.n == 0)
        return show_table(view, err);
    show_lines(view);
    return 0;
}

const struct cmd cmd_status = {
    .name = "status",
    .usage = "[MIGRATION|MACHINE|SPEC...]",
    .summary = "say how far migrations have come",
    .about =
        "Say how far migrations have come: all that have not ended, or those that are named by\n"
        "their id, by their machine, or by a spec. With a spec there is a line for each of its\n"
        "machines as v2c-engine prints it.",
    .options = { .opts = options, .one_dash = true },
    .run = run,
};
