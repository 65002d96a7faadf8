/* vmferry doctor: is this host fit? */
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/findings.h"
#include "cli/output.h"
#include "cli/texts.h"
#include "cli/worker-task.h"
#include "wire/ipc.h"

struct doctor_args {
    struct opt_list hosts;
    const char *vddk_libdir, *vddk_transports, *vddk_thumbprint;
    const char *agent_properties, *libvirt;
    struct output_options output;
};

#define FIELD(name) offsetof(struct doctor_args, name)

static const struct opt options[] = {
    { 0, "host", "NAME[:PORT]", OPT_LIST, FIELD(hosts),
      "does this name resolve, do its ports (443 and 902) answer?" },
    { 0, "vddk-libdir", "DIR", OPT_TEXT, FIELD(vddk_libdir), "where VDDK was unpacked" },
    { 0, "vddk-transports", "LIST", OPT_TEXT, FIELD(vddk_transports), "nbdssl:nbd and the like" },
    { 0, "vddk-thumbprint", "SHA1", OPT_TEXT, FIELD(vddk_thumbprint),
      "thumbprint of the vCenter's certificate" },
    { 0, "agent-properties", "FILE", OPT_TEXT, FIELD(agent_properties),
      "of a CloudStack agent (default: /etc/cloudstack/agent/agent.properties)" },
    { 0, "libvirt", "URI", OPT_TEXT, FIELD(libvirt),
      "the libvirt that machines are to be defined in (default: qemu:///system)" },
    { 0, "json", NULL, OPT_FLAG, FIELD(output.json), "one JSON object per finding" },
    { 'q', "quiet", NULL, OPT_FLAG, FIELD(output.quiet), "only what is not well" },
    { 0, "no-color", NULL, OPT_FLAG, FIELD(output.no_color), "no colours" },
    { 'h', "help", NULL, OPT_HELP, 0, "show this" },
    { 0 },
};

struct doctor_view {
    struct output out;
    bool quiet;
    char group[32]; /* whose heading stands there */
};

static json_t *make_start(const struct doctor_args *args, char *const *dirs);
static void take_event(const json_t *msg, void *arg);
static enum exit_code show_sum(struct doctor_view *view, const json_t *result);

static enum exit_code
run(const struct cmd *cmd, int argc, char **argv)
{
    struct doctor_args args = { 0 };
    struct doctor_view view = { .quiet = false };
    int first;
    enum exit_code code;
    if (!cmd_parse(cmd, argc, argv, &args, &first, &code))
        return code;
    view.quiet = args.output.quiet;
    json_t *start = make_start(&args, argv + first);
    if (!start)
        return cmd_usage_error(cmd, "a name on the command line is not UTF-8");
    struct err err = ERR_INIT;
    auto_json json_t *result = NULL;
    output_init(&view.out, "vmferry: doctor", &args.output);
    findings_init(&view.out);
    if (worker_task(start, take_event, &view, &result, &err) < 0)
        return worker_task_failed(&view.out, &err);
    return show_sum(&view, result);
}

static json_t *
make_start(const struct doctor_args *args, char *const *dirs)
{
    size_t n_dirs = 0;
    while (dirs[n_dirs])
        n_dirs++;
    return json_pack("{s:s, s:o, s:o, s:{s:s?, s:s?, s:s?}, s:s?, s:s?}", "action", "doctor",
                     "dirs", texts_json((const char *const *)dirs, n_dirs), "hosts",
                     texts_json(args->hosts.values, args->hosts.n), "vddk", "libdir",
                     args->vddk_libdir, "transports", args->vddk_transports, "thumbprint",
                     args->vddk_thumbprint, "agent_properties", args->agent_properties, "libvirt",
                     args->libvirt);
}

static void
take_event(const json_t *msg, void *arg)
{
    struct doctor_view *view = arg;
    if (strcmp(ipc_type(msg), "log") == 0) {
        output_log(&view->out, child_log_level(msg), json_get_str(msg, "text", ""));
        return;
    }
    if (strcmp(ipc_type(msg), "finding") != 0)
        return;
    output_event(&view->out, json_deep_copy(msg));
    const char *level = json_get_str(msg, "level", "");
    const char *group = json_get_str(msg, "group", "");
    if (view->out.options.json || (view->quiet && strcmp(level, "ok") == 0))
        return;
    if (strcmp(view->group, group) != 0) {
        printf("%s%s\n", *view->group ? "\n" : "", group);
        snprintf(view->group, sizeof view->group, "%s", group);
    }
    struct finding_text text = {
        .level = level,
        .what = json_get_str(msg, "what", ""),
        .note = json_get_str(msg, "origin", NULL),
        .cause = json_get_str(msg, "cause", NULL),
        .cure = json_get_str(msg, "cure", NULL),
    };
    finding_print(&view->out, &text);
}

static enum exit_code
show_sum(struct doctor_view *view, const json_t *result)
{
    int64_t errors = json_get_int(result, "errors", 0);
    int64_t warnings = json_get_int(result, "warnings", 0);
    char sum[FINDINGS_SUM_MAX];
    findings_sum(errors, warnings, sum);
    output_event(&view->out, json_deep_copy(result));
    if (*view->group)
        output_text(&view->out, "%s", "");
    if (errors == 0) {
        output_text(&view->out, "This host is fit%s%s.", warnings ? "; " : "", warnings ? sum : "");
        return EXIT_DONE;
    }
    fflush(stdout);
    fprintf(stderr, "%s: this host is not fit: %s; each cure is said above\n", view->out.name, sum);
    return EXIT_FAILED;
}

const struct cmd cmd_doctor = {
    .name = "doctor",
    .usage = "[DIRECTORY...]",
    .summary = "is this host fit: tools, libraries, room, ports",
    .about = "Look whether this host can migrate machines: programs and their versions, VDDK,\n"
             "what Windows guests need, acceleration, memory, the directories named (room, direct\n"
             "I/O, holes), libvirt and its pools, and the servers named. Each setting is shown "
             "with where it comes from.",
    .options = { .opts = options },
    .run = run,
};
