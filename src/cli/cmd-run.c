/* vmferry run: migrate the machines of specs, and follow them until they have ended. */
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cmd.h"
#include "cli/daemon-client.h"
#include "cli/interrupt.h"
#include "cli/run-ask.h"
#include "cli/run-batch.h"
#include "cli/run-report.h"
#include "cli/run-view.h"
#include "cli/site.h"
#include "cli/spec-set.h"

#define TICK_NS (NS_PER_S / 2)
#define TICK_SHARE 4 /* at most one part in so many of the time is spent asking */
#define HAND_OVER_TRIES 5

struct run_args {
    struct opt_list specs;
    struct site_args site;
    unsigned readers, parallel_vms, parallel_disks;
    bool run_virt_v2v, override_run_virt_v2v;
    struct output_options output;
};

#define FIELD(name) offsetof(struct run_args, name)

static const struct opt options[] = {
    { 0, "spec", "FILE", OPT_LIST, FIELD(specs), "what to migrate, and where to" },
    SITE_OPTIONS(struct run_args),
    { 0, "parallel-vms", "N", OPT_COUNT, FIELD(parallel_vms), "machines at once (3)" },
    { 0, "parallel-disks", "N", OPT_COUNT, FIELD(parallel_disks),
      "disks of a machine at once (4)" },
    { 0, "readers", "N", OPT_COUNT, FIELD(readers), "accepted, without effect" },
    { 0, "run-virt-v2v", NULL, OPT_BOOL, FIELD(run_virt_v2v),
      "convert the guest, if the next is given" },
    { 0, "override-run-virt-v2v", NULL, OPT_BOOL, FIELD(override_run_virt_v2v),
      "whether to convert is said here, not by spec or config" },
    { 0, "json", NULL, OPT_BOOL, FIELD(output.json), "one JSON object per event" },
    { 'q', "quiet", NULL, OPT_BOOL, FIELD(output.quiet), "errors only" },
    { 'v', "verbose", NULL, OPT_BOOL, FIELD(output.verbose), "say more" },
    { 0, "no-color", NULL, OPT_BOOL, FIELD(output.no_color), "no colours" },
    { 'h', "help", NULL, OPT_HELP, 0, "show this" },
    { 0 },
};

struct run {
    const struct run_args *args;
    struct run_view view;
    struct config config;
    struct spec_set files;
    struct daemon_spec spec;
    struct daemon daemon;
    struct batch batch;
    bool stopping, interrupted;
};

static int prepare(struct run *run, const struct run_args *args, char *const *words,
                   struct err *err);
static int carry_out(struct run *run, struct err *err);
static enum exit_code end(struct run *run, int r, const struct err *err);

static enum exit_code
run(const struct cmd *cmd, int argc, char **argv)
{
    struct run_args args = { 0 };
    struct err err = ERR_INIT;
    int first;
    enum exit_code code;
    if (!cmd_parse(cmd, argc, argv, &args, &first, &code))
        return code;
    if (args.specs.n == 0 && first == argc)
        return cmd_usage_error(cmd, "name a spec: --spec FILE");
    setlocale(LC_CTYPE, ""); /* how wide a character is */
    struct run run = { .args = &args, .daemon = DAEMON_INIT };
    run_view_init(&run.view, &args.output, 0);
    int r = prepare(&run, &args, argv + first, &err);
    if (r == 0)
        r = carry_out(&run, &err);
    code = end(&run, r, &err);
    daemon_close(&run.daemon);
    batch_free(&run.batch);
    spec_set_free(&run.files);
    config_free(&run.config);
    return code;
}

/* ---- before ---- */

static json_t *
options_json(const struct run_args *args)
{
    json_t *json = json_object();
    if (args->readers > 0)
        json_object_set_new(json, "readers", json_integer(args->readers));
    if (args->parallel_disks > 0)
        json_object_set_new(json, "parallel_disks", json_integer(args->parallel_disks));
    if (args->override_run_virt_v2v)
        json_object_set_new(json, "run_virt_v2v", json_boolean(args->run_virt_v2v));
    return json;
}

static int
read_specs(struct run *run, const struct run_args *args, char *const *words, struct err *err)
{
    size_t n_words = 0;
    while (words[n_words])
        n_words++;
    auto_free const char **paths = calloc(args->specs.n + n_words + 1, sizeof *paths);
    if (!paths)
        return err_errno(err, ENOMEM, "specs");
    memcpy(paths, args->specs.values, args->specs.n * sizeof *paths);
    for (size_t i = 0; i < n_words; i++)
        paths[args->specs.n + i] = words[i];
    if (spec_set_read(paths, args->specs.n + n_words, args->site.lenient, &run->view.out,
                      &run->files, err) < 0)
        return -1;
    if (run->files.n == 0)
        return err_set(err, ERR_INVALID, "the specs name no machine");
    return spec_set_keys(&run->files, &run->config, err);
}

static int
prepare(struct run *run, const struct run_args *args, char *const *words, struct err *err)
{
    if (site_read(&args->site, &run->view.out, &run->config, err) < 0 ||
        read_specs(run, args, words, err) < 0)
        return -1;
    run->view.many = run->files.n > 1;
    if (args->parallel_vms > 0)
        run->config.migration.parallel_vms = args->parallel_vms;
    return batch_init(&run->batch, &run->files, options_json(args), &run->daemon, &run->view, err);
}

/* ---- secrets: only when we start the daemon ourselves ---- */

static int
add_secrets(void *arg, struct err *err)
{
    struct run *run = arg;
    if (site_secrets(&run->config, err) < 0)
        return -1;
    for (size_t i = 0; i < run->files.n; i++) {
        const struct config_vcenter *vcenter =
            config_vcenter(&run->config, run->files.entries[i].spec->source.vcenter, err);
        if (!vcenter || site_ask_password(vcenter, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- the daemon ---- */

static void
pass_log(enum log_level level, const char *text, void *arg)
{
    struct run *run = arg;
    for (size_t i = 0; i < run->batch.n; i++) {
        size_t len = strlen(run->batch.vms[i].name);
        if (strncmp(text, run->batch.vms[i].name, len) == 0 && text[len] == ':')
            return; /* it is among its events, too */
    }
    run_view_clear(&run->view);
    output_log(&run->view.out, level, text);
}

static int
hand_over_once(struct run *run, struct err *err)
{
    daemon_close(&run->daemon);
    if (daemon_open(&run->spec, &run->daemon, err) < 0)
        return -1;
    if (run->daemon.ours) /* it is never started a second time */
        config_wipe(&run->config);
    else if (run->args->parallel_vms > 0)
        output_log(
            &run->view.out, LOG_LEVEL_WARNING,
            "--parallel-vms is for a vmferryd of its own; the one that runs keeps its limit");
    return batch_post(&run->batch, err);
}

/* One that is about to end may still answer, and be gone before it has taken all of the specs. */
static int
hand_over(struct run *run, struct err *err)
{
    int r = hand_over_once(run, err);
    for (unsigned i = 1; r < 0 && i < HAND_OVER_TRIES && daemon_is_lost(&run->daemon); i++) {
        *err = ERR_INIT;
        r = hand_over_once(run, err);
    }
    return r;
}

/* The first SIGINT. Someone else's daemon goes on without us. */
static bool
begin_to_stop(struct run *run)
{
    run->interrupted = true;
    if (!run->daemon.ours)
        return false;
    run->stopping = true;
    run->view.note = "stopping at the next checkpoint; Ctrl-C again stops at once";
    run->view.held = false;
    run_view_clear(&run->view);
    if (!run->view.out.live && !run->view.out.options.quiet)
        run_view_complain(&run->view, NULL, run->view.note);
    daemon_ask_to_stop(&run->daemon);
    return true;
}

/* The daemon has gone. A private one must not; another one may have been restarted. */
static int
recover(struct run *run, struct err *err)
{
    if (run->stopping)
        return 0;
    if (!daemon_is_lost(&run->daemon))
        return -1;
    *err = ERR_INIT;
    return hand_over(run, err);
}

static int
look(struct run *run, struct run_ask *ask, struct err *err)
{
    int r = batch_poll(&run->batch, err);
    if (r == 0 && !run->stopping)
        r = run_ask_step(ask, &run->batch, err);
    if (r < 0 && recover(run, err) < 0)
        return -1;
    run_view_draw(&run->view, &run->batch);
    return 0;
}

static int
follow(struct run *run, struct err *err)
{
    struct run_ask ask;
    run_ask_init(&ask, &run->view);
    for (;;) {
        int64_t begin_ns = clock_now_ns();
        if (look(run, &ask, err) < 0)
            return -1;
        if (batch_is_over(&run->batch) && !run->stopping)
            return 0;
        int64_t pause_ns = (clock_now_ns() - begin_ns) * TICK_SHARE;
        int64_t next_ns = clock_now_ns() + (pause_ns > TICK_NS ? pause_ns : TICK_NS);
        int r = daemon_listen(&run->daemon, next_ns, err);
        if (r != 0 && run->stopping)
            return 0;
        if (r != 0)
            return r < 0 ? -1 : err_set(err, ERR_UNAVAILABLE, "vmferryd ended too early");
        enum child_wish wish = interrupt_wish(NULL);
        if (wish == CHILD_KILL)
            return 0;
        if (wish == CHILD_CANCEL && !run->stopping && !begin_to_stop(run))
            return 0;
    }
}

static int
carry_out(struct run *run, struct err *err)
{
    run->spec = (struct daemon_spec){
        .mode = "run",
        .config = &run->config,
        .prepare = add_secrets,
        .log = pass_log,
        .wish = interrupt_wish,
        .arg = run,
    };
    interrupt_install();
    int r = hand_over(run, err);
    return r == 0 ? follow(run, err) : r;
}

/* ---- after ---- */

static enum exit_code
end(struct run *run, int r, const struct err *err)
{
    bool theirs = run->daemon.http && !run->daemon.ours;
    run_view_clear(&run->view);
    if (interrupt_wish(NULL) != CHILD_GO_ON || (r < 0 && err->kind == ERR_CANCELLED))
        run->interrupted = true;
    if (r < 0) {
        output_failure(&run->view.out, err);
        return run->interrupted ? EXIT_INTERRUPTED : EXIT_FAILED;
    }
    if (!theirs && !run->stopping)
        daemon_close(&run->daemon);
    return run_report(&run->view, &run->batch, run->interrupted, theirs);
}

const struct cmd cmd_run = {
    .name = "run",
    .usage = "--spec FILE... [SPEC...]",
    .summary = "migrate machines while they run, as specs say",
    .about =
        "Migrate the machines of one or more specs: copy their disks while they run, follow their\n"
        "changes round by round, cut over when told ('vmferry finalize', or the spec's\n"
        "finalize_at), convert the guests and define them. Ends when all have ended. The same\n"
        "command again goes on where an interrupted one stopped.",
    .options = { .opts = options, .one_dash = true },
    .run = run,
};
