/* vmferry check: what would stop or hurt a migration, before it starts. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "cli/check-specs.h"
#include "cli/cmd.h"
#include "cli/endpoint.h"
#include "cli/findings.h"
#include "cli/output.h"
#include "cli/texts.h"
#include "cli/worker-task.h"
#include "wire/ipc.h"

struct check_args {
    struct endpoint_args endpoint;
    struct opt_list filters, specs;
    struct site_args site;
    const char *mode, *transport, *target, *vddk_libdir;
    unsigned nfc_port;
    struct output_options output;
};

#define FIELD(name) offsetof(struct check_args, name)

static const struct opt options[] = {
    ENDPOINT_OPTIONS(struct check_args),
    { 0, "filter", "[FIELD=]GLOB", OPT_LIST, FIELD(filters),
      "machines by web*, power=on, path=*/prod/*, host=, guest=, template=no" },
    { 0, "spec", "FILE", OPT_LIST, FIELD(specs),
      "the machines of a spec, and where they are to go, instead of a URL" },
    SITE_OPTIONS(struct check_args),
    { 0, "mode", "MODE", OPT_TEXT, FIELD(mode), "cold, warm or any (default)" },
    { 0, "it", "TRANSPORT", OPT_TEXT, FIELD(transport),
      "auto (default), vddk, https, export or ssh" },
    { 0, "os", "DIR", OPT_TEXT, FIELD(target), "where the disks will go: is there room?" },
    { 0, "vddk-libdir", "DIR", OPT_TEXT, FIELD(vddk_libdir), "where VDDK was unpacked" },
    { 0, "nfc-port", "PORT", OPT_NUMBER, FIELD(nfc_port), "port of the hosts for VDDK (902)" },
    { 0, "json", NULL, OPT_FLAG, FIELD(output.json), "one JSON object per finding and machine" },
    { 'q', "quiet", NULL, OPT_FLAG, FIELD(output.quiet), "errors and warnings only" },
    { 'v', "verbose", NULL, OPT_FLAG, FIELD(output.verbose), "say more" },
    { 0, "no-color", NULL, OPT_FLAG, FIELD(output.no_color), "no colours" },
    { 'h', "help", NULL, OPT_HELP, 0, "show this" },
    { 0 },
};

struct check_view {
    struct output out;
    bool quiet;
    char group[160]; /* moref of the machine, or "", whose heading stands there */
    bool any;
};

static int make_start(const struct check_args *args, char *const *operands, json_t **ret,
                      struct err *err);
static void take_event(const json_t *msg, void *arg);
static enum exit_code run_specs(const struct check_args *args, struct check_view *view);
static enum exit_code show_sum(struct check_view *view, const json_t *result);

/* NULL: good. */
static const char *
wrong_word(const char *text, const char *const *words)
{
    if (!text)
        return NULL;
    for (; *words; words++)
        if (strcmp(text, *words) == 0)
            return NULL;
    return text;
}

static bool
names_a_server(const struct check_args *args)
{
    const struct endpoint_args *e = &args->endpoint;
    return args->filters.n > 0 || e->server || e->user || e->password_file || e->datacenter ||
           e->thumbprint || e->ca;
}

static enum exit_code
run(const struct cmd *cmd, int argc, char **argv)
{
    static const char *const modes[] = { "any", "cold", "warm", NULL };
    static const char *const transports[] = { "auto", "vddk", "https", "export", "ssh", NULL };
    struct check_args args = { 0 };
    struct check_view view = { .any = false };
    struct err err = ERR_INIT;
    int first;
    enum exit_code code;
    if (!cmd_parse(cmd, argc, argv, &args, &first, &code))
        return code;
    if (wrong_word(args.mode, modes))
        return cmd_usage_error(cmd, "--mode %s: cold, warm or any", args.mode);
    if (wrong_word(args.transport, transports))
        return cmd_usage_error(cmd, "--it %s: auto, vddk, https, export or ssh", args.transport);
    if (args.nfc_port > 65535)
        return cmd_usage_error(cmd, "--nfc-port %u: a port is at most 65535", args.nfc_port);
    view.quiet = args.output.quiet;
    output_init(&view.out, "vmferry: check", &args.output);
    findings_init(&view.out);
    if (args.specs.n > 0 && (argv[first] || names_a_server(&args)))
        return cmd_usage_error(cmd, "--spec says which machines, and the config which vCenter: "
                                    "leave out URL, names, --filter and what is of a server");
    if (args.specs.n == 0 && (args.site.config || args.site.control_dir || args.site.lenient))
        return cmd_usage_error(cmd, "--config, --control-dir and --lenient go with --spec");
    if (args.specs.n > 0)
        return run_specs(&args, &view);
    json_t *start = NULL;
    if (make_start(&args, argv + first, &start, &err) < 0)
        return cmd_usage_error(cmd, "%s", err.text);
    auto_json json_t *result = NULL;
    if (worker_task(start, take_event, &view, &result, &err) < 0)
        return worker_task_failed(&view.out, &err);
    return show_sum(&view, result);
}

static int
make_start(const struct check_args *args, char *const *operands, json_t **ret, struct err *err)
{
    const char *url = NULL;
    size_t n = 0;
    json_t *endpoint = NULL;
    if (*operands && endpoint_is_url(*operands))
        url = *operands++;
    while (operands[n])
        n++;
    if (endpoint_make(&args->endpoint, url, &endpoint, err) < 0)
        return -1;
    *ret = json_pack(
        "{s:s, s:o, s:o, s:o, s:s, s:s, s:s?, s:i, s:{s:s?}}", "action", "check", "endpoint",
        endpoint, "machines", texts_json((const char *const *)operands, n), "filter",
        texts_json(args->filters.values, args->filters.n), "mode", args->mode ? args->mode : "any",
        "transport", args->transport ? args->transport : "auto", "target", args->target, "nfc_port",
        args->nfc_port ? (int)args->nfc_port : 902, "vddk", "libdir", args->vddk_libdir);
    return *ret ? 0 : err_set(err, ERR_INVALID, "a name on the command line is not UTF-8");
}

/* ---- specs ---- */

static void
add_sums(json_t *sums, const json_t *result)
{
    static const char *const keys[] = { "machines", "blocked", "errors", "warnings" };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        json_object_set_new(
            sums, keys[i],
            json_integer(json_get_int(sums, keys[i], 0) + json_get_int(result, keys[i], 0)));
}

static enum exit_code
run_specs(const struct check_args *args, struct check_view *view)
{
    const struct check_words words = { args->mode, args->transport, args->target, args->vddk_libdir,
                                       args->nfc_port };
    struct check_specs specs = { .done = NULL };
    struct err err = ERR_INIT;
    auto_json json_t *sums = json_pack("{s:s, s:b}", "type", "result", "ok", 1);
    json_t *start = NULL;
    int r = check_specs_read(&args->specs, &args->site, &view->out, &specs, &err);
    while (r == 0 && (r = check_specs_next(&specs, &words, &start, &err)) > 0) {
        auto_json json_t *result = NULL;
        r = worker_task(start, take_event, view, &result, &err);
        add_sums(sums, result);
    }
    check_specs_free(&specs);
    return r < 0 ? worker_task_failed(&view->out, &err) : show_sum(view, sums);
}

/* ---- what the worker says ---- */

static void
show_heading(struct check_view *view, const json_t *msg)
{
    const char *machine = json_get_str(msg, "machine", "");
    if (view->any && strcmp(view->group, machine) == 0)
        return;
    snprintf(view->group, sizeof view->group, "%s", machine);
    printf("%s%s\n", view->any ? "\n" : "",
           *machine ? json_get_str(msg, "path", machine) : json_get_str(msg, "path", "the site"));
    view->any = true;
}

/* Where the two ways differ, it is said which one is meant. */
static const char *
way_of(const json_t *msg)
{
    const char *cold = json_get_str(msg, "cold", "none"), *warm = json_get_str(msg, "warm", "none");
    if (strcmp(cold, warm) == 0)
        return NULL;
    if (strcmp(cold, "none") == 0)
        return "warm";
    if (strcmp(warm, "none") == 0)
        return "cold";
    return strcmp(warm, "error") == 0   ? "an error for warm"
           : strcmp(cold, "error") == 0 ? "an error for cold"
                                        : NULL;
}

static void
show_finding(struct check_view *view, const json_t *msg)
{
    const char *level = json_get_str(msg, "level", "");
    const char *subject = json_get_str(msg, "subject", "");
    const char *what = json_get_str(msg, "what", "");
    auto_free char *both = NULL;
    if (view->quiet && strcmp(level, "error") != 0 && strcmp(level, "warning") != 0)
        return;
    if (*subject && asprintf(&both, "%s: %s", subject, what) >= 0)
        what = both;
    else
        both = NULL;
    show_heading(view, msg);
    struct finding_text text = {
        .level = level,
        .what = what,
        .note = way_of(msg),
        .cause = json_get_str(msg, "cause", NULL),
        .cure = json_get_str(msg, "cure", NULL),
    };
    finding_print(&view->out, &text);
}

/* The codes of what stops it, for what was said elsewhere: of its host, or of all. */
static void
print_reasons(const json_t *codes)
{
    size_t i;
    json_t *code;
    json_array_foreach (codes, i, code)
        printf("%s%s", i ? ", " : " (", json_string_value(code));
    if (i)
        putchar(')');
}

static void
show_machine(struct check_view *view, const json_t *msg)
{
    bool cold = json_get_bool(msg, "cold", false), warm = json_get_bool(msg, "warm", false);
    const char *verdict = cold && warm ? "can be migrated, cold and warm"
                          : cold       ? "can be migrated cold, not warm"
                          : warm       ? "can be migrated warm, not cold"
                                       : "cannot be migrated as it is";
    if (view->quiet && cold && warm)
        return;
    show_heading(view, msg);
    printf("  => %s", json_get_str(msg, "failure", verdict));
    print_reasons(json_object_get(msg, "stopped_by"));
    putchar('\n');
}

static void
take_event(const json_t *msg, void *arg)
{
    struct check_view *view = arg;
    bool finding = strcmp(ipc_type(msg), "finding") == 0;
    bool machine = strcmp(ipc_type(msg), "machine") == 0;
    if (strcmp(ipc_type(msg), "log") == 0) {
        fflush(stdout);
        output_log(&view->out, child_log_level(msg), json_get_str(msg, "text", ""));
    } else if (view->out.options.json && (finding || machine)) {
        output_event(&view->out, json_deep_copy(msg));
    } else if (finding) {
        show_finding(view, msg);
    } else if (machine) {
        show_machine(view, msg);
    }
}

static enum exit_code
show_sum(struct check_view *view, const json_t *result)
{
    int64_t machines = json_get_int(result, "machines", 0);
    int64_t blocked = json_get_int(result, "blocked", 0);
    char sum[FINDINGS_SUM_MAX];
    findings_sum(json_get_int(result, "errors", 0), json_get_int(result, "warnings", 0), sum);
    output_event(&view->out, json_deep_copy(result));
    if (blocked == 0) {
        output_text(&view->out, "%s%" PRId64 " machine%s: nothing stops %s; %s",
                    view->any ? "\n" : "", machines, machines == 1 ? "" : "s",
                    machines == 1 ? "it" : "them", sum);
        return EXIT_DONE;
    }
    fflush(stdout);
    fprintf(stderr,
            "%s: %" PRId64 " of %" PRId64 " machine%s cannot be migrated as %s: %s; each "
            "cure is said above\n",
            view->out.name, blocked, machines, machines == 1 ? "" : "s",
            blocked == 1 ? "it is" : "they are", sum);
    return blocked < machines ? EXIT_SOME_FAILED : EXIT_FAILED;
}

const struct cmd cmd_check = {
    .name = "check",
    .usage = "vpx://USER@VCENTER[/DATACENTER]|esx://root@HOST [MACHINE...] | --spec FILE",
    .summary = "say what would stop or hurt a migration",
    .about = "Look at machines (by name, path, UUID or moref; without any: at all) for what would\n"
             "stop or hurt a migration, each with its cause and its cure, and at what it needs:\n"
             "privileges, names and ports of the hosts, room; with a spec, also at the CloudStack\n"
             "that it names.",
    .options = { .opts = options },
    .run = run,
};
