/* vmferry serve: vmferryd in the foreground. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cmd.h"
#include "cli/daemon-client.h"
#include "cli/interrupt.h"
#include "cli/site.h"

#define TICK_NS (NS_PER_S / 2)

struct serve_args {
    struct site_args site;
    unsigned max_workers;
    struct output_options output;
};

#define FIELD(name) offsetof(struct serve_args, name)

static const struct opt options[] = {
    SITE_OPTIONS(struct serve_args),
    { 0, "max-workers", "N", OPT_COUNT, FIELD(max_workers),
      "machines at once (default: the config's migration.parallel_vms)" },
    { 'v', "verbose", NULL, OPT_FLAG, FIELD(output.verbose), "say more" },
    { 'h', "help", NULL, OPT_HELP, 0, "show this" },
    { 0, "listen", "ADDRESS", OPT_REFUSED, 0, "" },
    { 0, "allow-origins", "LIST", OPT_REFUSED, 0, "" },
    { 0, "engine-bin", "FILE", OPT_REFUSED, 0, "" },
    { 0, "specs-dir", "DIR", OPT_REFUSED, 0, "" },
    { 0, "workdir", "DIR", OPT_REFUSED, 0, "" },
    { 0 },
};

static int serve(const struct serve_args *args, struct output *out, struct err *err);

static enum exit_code
run(const struct cmd *cmd, int argc, char **argv)
{
    struct serve_args args = { 0 };
    struct output out;
    struct err err = ERR_INIT;
    int first;
    enum exit_code code;
    if (!cmd_parse(cmd, argc, argv, &args, &first, &code))
        return code;
    if (first < argc)
        return cmd_usage_error(cmd, "'%s': takes no arguments", argv[first]);
    output_init(&out, "vmferry: serve", &args.output);
    if (serve(&args, &out, &err) < 0) {
        output_failure(&out, &err);
        return err.kind == ERR_CANCELLED ? EXIT_INTERRUPTED : EXIT_FAILED;
    }
    return EXIT_DONE;
}

static void
pass_log(enum log_level level, const char *text, void *arg)
{
    output_log(arg, level, text);
}

static int
serve(const struct serve_args *args, struct output *out, struct err *err)
{
    auto_config struct config config = { 0 };
    if (site_read(&args->site, out, &config, err) < 0 || site_secrets(&config, err) < 0)
        return -1;
    if (args->max_workers > 0)
        config.migration.parallel_vms = args->max_workers;
    struct daemon_spec spec = {
        .mode = "serve",
        .config = &config,
        .log = pass_log,
        .wish = interrupt_wish,
        .arg = out,
    };
    auto_daemon struct daemon daemon = DAEMON_INIT;
    bool told = false;
    int r = 0;
    interrupt_install();
    if (daemon_start(&spec, &daemon, err) < 0)
        return -1;
    config_wipe(&config);
    fprintf(stderr, "[serve] API listening on %s (control_dir=%s)\n", daemon.socket,
            config.migration.control_dir);
    while (r == 0 && interrupt_wish(NULL) != CHILD_KILL) {
        if (interrupt_wish(NULL) == CHILD_CANCEL && !told) {
            output_log(out, LOG_LEVEL_WARNING,
                       "stopping at the next checkpoints; once more stops at once");
            daemon_ask_to_stop(&daemon);
            told = true;
        }
        r = daemon_listen(&daemon, clock_now_ns() + TICK_NS, err);
    }
    if (r == 0)
        return err_set(err, ERR_CANCELLED, "stopped on request");
    return r < 0 ? -1 : 0;
}

const struct cmd cmd_serve = {
    .name = "serve",
    .usage = "",
    .summary = "carry migrations out for others, in the foreground",
    .about =
        "Be the vmferryd of this host: carry out the migrations that 'vmferry run' brings, and\n"
        "go on with those that an earlier one has left. It listens on CONTROL_DIR/vmferryd.sock\n"
        "for this user and root. SIGTERM stops it; the migrations go on with the next one.",
    .options = { .opts = options, .one_dash = true, .refused_of = "v2c-engine" },
    .run = run,
};
