/* vmferry inventory: the machines of a vCenter or an ESXi. */
#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/size.h"
#include "cli/cmd.h"
#include "cli/endpoint.h"
#include "cli/output.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/texts.h"
#include "cli/worker-task.h"
#include "wire/ipc.h"

struct inventory_args {
    struct endpoint_args endpoint;
    struct opt_list filters;
    struct output_options output;
};

#define FIELD(name) offsetof(struct inventory_args, name)

static const struct opt options[] = {
    ENDPOINT_OPTIONS(struct inventory_args),
    { 0, "filter", "[FIELD=]GLOB", OPT_LIST, FIELD(filters),
      "only these: web*, power=on, path=*/prod/*, host=, guest=, template=no" },
    { 0, "json", NULL, OPT_FLAG, FIELD(output.json), "one JSON object per machine" },
    { 'q', "quiet", NULL, OPT_FLAG, FIELD(output.quiet), "no sum at the end" },
    { 'v', "verbose", NULL, OPT_FLAG, FIELD(output.verbose), "say more" },
    { 0, "no-color", NULL, OPT_FLAG, FIELD(output.no_color), "no colours" },
    { 'h', "help", NULL, OPT_HELP, 0, "show this" },
    { 0 },
};

enum { NAME, POWER, CPUS, MEMORY, DISKS, SIZE, GUEST, READY, PATH, N_COLUMNS };

static const struct table_column columns[N_COLUMNS] = {
    [NAME] = { "NAME", 8, 32, false },    [POWER] = { "POWER", 3, 9, false },
    [CPUS] = { "CPUS", 3, 4, true },      [MEMORY] = { "MEMORY", 6, 10, true },
    [DISKS] = { "DISKS", 3, 5, true },    [SIZE] = { "SIZE", 6, 10, true },
    [GUEST] = { "GUEST", 5, 26, false },  [READY] = { "READINESS", 5, 24, false },
    [PATH] = { "PATH", 16, 4096, false },
};

struct inventory_view {
    struct output out;
    struct table table;
    struct err err; /* of printing */
};

static void take_event(const json_t *msg, void *arg);
static void show_sum(struct inventory_view *view, const json_t *result);

static int
make_start(const struct inventory_args *args, const char *url, json_t **ret, struct err *err)
{
    json_t *endpoint = NULL;
    if (endpoint_make(&args->endpoint, url, &endpoint, err) < 0)
        return -1;
    *ret = json_pack("{s:s, s:o, s:o}", "action", "inventory", "endpoint", endpoint, "filter",
                     texts_json(args->filters.values, args->filters.n));
    return *ret ? 0 : err_set(err, ERR_INVALID, "--filter: a word is not UTF-8");
}

static enum exit_code
run(const struct cmd *cmd, int argc, char **argv)
{
    struct inventory_args args = { 0 };
    struct inventory_view view = { .err = ERR_INIT };
    struct err err = ERR_INIT;
    int first;
    enum exit_code code;
    if (!cmd_parse(cmd, argc, argv, &args, &first, &code))
        return code;
    if (argc - first > 1)
        return cmd_usage_error(cmd, "'%s': one vCenter or ESXi at a time", argv[first + 1]);
    setlocale(LC_CTYPE, ""); /* how wide a character is */
    json_t *start = NULL;
    if (make_start(&args, argv[first], &start, &err) < 0)
        return cmd_usage_error(cmd, "%s", err.text);
    auto_json json_t *result = NULL;
    output_init(&view.out, "vmferry: inventory", &args.output);
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    table_init(&view.table, columns, N_COLUMNS, stdout, terminal_columns(STDOUT_FILENO));
    int r = worker_task(start, take_event, &view, &result, &err);
    if (r == 0 && view.err.kind != ERR_NONE) {
        err = view.err;
        r = -1;
    }
    table_free(&view.table);
    if (r < 0)
        return worker_task_failed(&view.out, &err);
    show_sum(&view, result);
    return EXIT_DONE;
}

static const char *
size_cell(const json_t *machine, const char *key, char text[SIZE_TEXT_MAX])
{
    uint64_t bytes = json_get_u64(machine, key, 0);
    if (bytes == 0)
        return "-";
    return size_format(bytes, text);
}

static const char *
number_cell(const json_t *machine, const char *key, char text[24])
{
    snprintf(text, 24, "%" PRIu64, json_get_u64(machine, key, 0));
    return text;
}

static const char *
text_cell(const json_t *machine, const char *key)
{
    const char *text = json_get_str(machine, key, "");
    return *text ? text : "-";
}

static void
add_row(struct inventory_view *view, const json_t *machine)
{
    char cpus[24], disks[24], memory[SIZE_TEXT_MAX], size[SIZE_TEXT_MAX];
    const char *cells[N_COLUMNS] = {
        [NAME] = text_cell(machine, "name"),
        [POWER] = text_cell(machine, "power"),
        [CPUS] = number_cell(machine, "cpus", cpus),
        [MEMORY] = size_cell(machine, "memory_bytes", memory),
        [DISKS] = number_cell(machine, "disks", disks),
        [SIZE] = size_cell(machine, "capacity_bytes", size),
        [GUEST] = text_cell(machine, "guest"),
        [READY] = text_cell(machine, "readiness"),
        [PATH] = text_cell(machine, "path"),
    };
    if (view->err.kind == ERR_NONE)
        table_add(&view->table, cells, &view->err);
}

static void
print_object(const json_t *machine)
{
    auto_json json_t *object = json_pack("{s:s}", "type", "machine");
    if (!object || json_object_update(object, (json_t *)machine) < 0)
        return;
    auto_free char *line = json_dumps(object, JSON_COMPACT);
    if (line)
        puts(line);
}

static void
take_event(const json_t *msg, void *arg)
{
    struct inventory_view *view = arg;
    size_t i;
    json_t *machine;
    if (strcmp(ipc_type(msg), "log") == 0) {
        fflush(stdout);
        output_log(&view->out, child_log_level(msg), json_get_str(msg, "text", ""));
        return;
    }
    json_array_foreach (json_object_get(msg, "machines"), i, machine) {
        if (view->out.options.json)
            print_object(machine);
        else
            add_row(view, machine);
    }
    table_flush(&view->table);
    fflush(stdout);
}

static void
show_sum(struct inventory_view *view, const json_t *result)
{
    int64_t all = json_get_int(result, "machines", 0), shown = json_get_int(result, "shown", 0);
    output_event(&view->out, json_deep_copy(result));
    if (shown == all)
        output_text(&view->out, "%s%" PRId64 " machine%s at %s", shown ? "\n" : "", all,
                    all == 1 ? "" : "s", json_get_str(result, "about", "the server"));
    else
        output_text(&view->out, "%s%" PRId64 " of %" PRId64 " machines at %s", shown ? "\n" : "",
                    shown, all, json_get_str(result, "about", "the server"));
    fflush(stdout);
}

const struct cmd cmd_inventory = {
    .name = "inventory",
    .usage = "vpx://USER@VCENTER[/DATACENTER]|esx://root@HOST",
    .summary = "list the machines of a vCenter or an ESXi",
    .about =
        "List the machines of a vCenter or an ESXi: power, CPUs, memory, disks and their size,\n"
        "the guest, whether they could be migrated as they are, and their path. 'vmferry\n"
        "check' says why one could not.",
    .options = { .opts = options },
    .run = run,
};
