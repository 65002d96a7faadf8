/* vmferry v2v: virt-v2v's command line. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "cli/cmd.h"
#include "cli/machine.h"
#include "cli/v2v.h"
#include "cli/worker-task.h"
#include "wire/ipc.h"

struct v2v_view {
    struct output out;
    FILE *machine; /* NULL: no --machine-readable */
};

static void take_event(const json_t *msg, void *arg);
static void show_result(struct v2v_view *view, json_t *result);

/* -v and -x go to the worker's log; its words come back as events. */
static enum exit_code
migrate(const struct v2v_args *args, struct v2v_view *view, char *const *operands)
{
    struct err err = ERR_INIT;
    auto_json json_t *job = NULL, *result = NULL;
    int r = v2v_job(args, operands, &job, &err);
    if (r == 0)
        r = worker_task(TAKE_PTR(job), take_event, view, &result, &err);
    output_progress_end(&view->out);
    if (r < 0) {
        machine_message(view->machine, "error", err.text);
        return worker_task_failed(&view->out, &err);
    }
    show_result(view, result);
    return EXIT_DONE;
}

static enum exit_code
run(const struct cmd *cmd, int argc, char **argv)
{
    struct v2v_args args = { 0 };
    struct v2v_view view = { 0 };
    struct err err = ERR_INIT;
    int first;
    enum exit_code code;
    if (!cmd_parse(cmd, argc, argv, &args, &first, &code))
        return code;
    bool linked = strcmp(argv[0], cmd->name) != 0;
    if (args.version) {
        printf("%s %s\n", linked ? "virt-v2v (vmferry)" : "vmferry", VMFERRY_VERSION);
        return EXIT_DONE;
    }
    if (args.machine_readable && machine_open(args.machine_readable, &view.machine, &err) < 0)
        return cmd_usage_error(cmd, "%s", err.text);
    if (view.machine && first == argc) {
        machine_print_features(view.machine);
        return EXIT_DONE;
    }
    if (v2v_print_input_options(&args))
        return EXIT_DONE;
    if (v2v_check(&args, argc - first, &err) < 0)
        return cmd_usage_error(cmd, "%s", err.text);
    output_init(&view.out, linked ? "virt-v2v" : "vmferry: v2v", &args.output_how);
    if (linked)
        view.out.failure = "error: ";
    return migrate(&args, &view, argv + first);
}

/* ---- what the worker says ---- */

static void
show_log(struct v2v_view *view, const json_t *msg)
{
    static const char *const types[] = { "error", "warning", "info", NULL };
    enum log_level level = child_log_level(msg);
    const char *text = json_get_str(msg, "text", "");
    if (!view->out.options.json)
        output_log(&view->out, level, text);
    else if (output_shows(&view->out, level))
        output_event(&view->out, json_deep_copy(msg));
    if (types[level])
        machine_message(view->machine, types[level], text);
}

static void
show_progress(struct v2v_view *view, const json_t *msg)
{
    struct progress progress;
    progress_read(msg, &progress);
    output_progress(&view->out, &progress);
}

static void
take_event(const json_t *msg, void *arg)
{
    struct v2v_view *view = arg;
    if (strcmp(ipc_type(msg), "stage") == 0) {
        const char *text = json_get_str(msg, "text", "");
        output_progress_end(&view->out);
        output_stage(&view->out, text);
        output_event(&view->out, json_deep_copy(msg));
        machine_message(view->machine, "message", text);
    } else if (strcmp(ipc_type(msg), "progress") == 0) {
        if (view->out.options.json)
            output_event(&view->out, json_deep_copy(msg));
        else
            show_progress(view, msg);
    } else if (strcmp(ipc_type(msg), "log") == 0) {
        show_log(view, msg);
    }
}

static void
show_summary(struct v2v_view *view, const json_t *result)
{
    char data[SIZE_TEXT_MAX], time[DURATION_TEXT_MAX];
    const char *xml = json_get_str(result, "xml", NULL);
    const char *domain = json_get_str(result, "domain", NULL);
    size_t n_disks = json_array_size(json_object_get(result, "disks"));
    size_format(json_get_u64(result, "data_bytes", 0), data);
    duration_text((clock_now_ns() - view->out.start_ns) / NS_PER_S, time);
    if (domain)
        output_text(&view->out,
                    "Done in %s: %zu disk%s (%s of data copied), defined in libvirt as %s", time,
                    n_disks, n_disks == 1 ? "" : "s", data, domain);
    else if (xml)
        output_text(&view->out, "Done in %s: %zu disk%s (%s of data copied) and %s", time, n_disks,
                    n_disks == 1 ? "" : "s", data, xml);
    else
        output_text(&view->out, "Done in %s: %s of data copied, nothing kept", time, data);
}

static void
show_result(struct v2v_view *view, json_t *result)
{
    const json_t *source = json_object_get(result, "source");
    if (source && !view->out.options.json)
        v2v_print_source(source);
    if (!source)
        show_summary(view, result);
    output_event(&view->out, json_incref(result));
}

const struct cmd cmd_v2v = {
    .name = "v2v",
    .usage = "-i MODE SOURCE... -o MODE [-os DIR]",
    .summary = "bring one machine to KVM, with virt-v2v's options",
    .about =
        "Copy the disks of one machine, convert the guest in them to KVM, and write its libvirt\n"
        "domain XML. The options are virt-v2v's; the same command given again goes on where an\n"
        "interrupted one stopped.",
    .options = { .opts = v2v_options, .one_dash = true, .shown_with_one = true },
    .run = run,
};
