/* vmferry finalize, cancel, pause, resume, retry, shutdown, limit: what is asked of migrations that
 * are under way. One table of verbs, one way through.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "cli/cmd.h"
#include "cli/interrupt.h"
#include "cli/targets.h"
#include "cli/texts.h"

#define POLL_NS (NS_PER_S / 2)

struct steer_args {
    struct selection_args selection;
    struct site_args site;
    bool now, cleanup;
};

#define FIELD(name) offsetof(struct steer_args, name)

#define HELP_OPTION                                                                                \
    {                                                                                              \
        'h', "help", NULL, OPT_HELP, 0, "show this"                                                \
    }

static const struct opt plain_options[] = {
    SELECTION_OPTIONS(struct steer_args),
    SITE_OPTIONS(struct steer_args),
    HELP_OPTION,
    { 0 },
};

static const struct opt finalize_options[] = {
    SELECTION_OPTIONS(struct steer_args),
    SITE_OPTIONS(struct steer_args),
    { 0, "now", NULL, OPT_BOOL, FIELD(now), "do not wait for the next round" },
    HELP_OPTION,
    { 0 },
};

static const struct opt cancel_options[] = {
    SELECTION_OPTIONS(struct steer_args),
    SITE_OPTIONS(struct steer_args),
    { 0, "cleanup", NULL, OPT_BOOL, FIELD(cleanup),
      "wait until all that it made is gone; without a vmferryd, start one for that" },
    HELP_OPTION,
    { 0 },
};

/* What is asked of each. */
struct steer_request {
    const struct cmd *cmd;
    const struct steer_args *args;
    struct output out;
    char verb[24];    /* of the API */
    size_t n_asked;   /* how many it was asked of */
    char asked[64];   /* "finalize-now", "shutdown force", "limit 200 MiB/s" */
    json_t *body;     /* NULL: nothing to say */
    bool only_asking; /* without a name those are meant that ask */
};

static int make_request(struct steer_request *request, char *const **words, struct err *err);
static enum exit_code steer(struct steer_request *request, struct targets *targets);
static enum exit_code limit_all(const struct steer_request *request, struct targets *targets,
                                const char *rate);
static int wait_for_end(struct steer_request *request, struct targets *targets, struct err *err);

static enum exit_code
run(const struct cmd *cmd, int argc, char **argv)
{
    struct steer_args args = { 0 };
    char name[64];
    struct err err = ERR_INIT;
    int first;
    enum exit_code code;
    if (!cmd_parse(cmd, argc, argv, &args, &first, &code))
        return code;
    struct steer_request request = { .cmd = cmd, .args = &args };
    snprintf(name, sizeof name, "vmferry: %s", cmd->name);
    output_init(&request.out, name, &(struct output_options){ .quiet = false });
    char *const *words = argv + first;
    if (make_request(&request, &words, &err) < 0)
        return cmd_usage_error(cmd, "%s", err.text);

    auto_json json_t *body = request.body;
    auto_targets struct targets targets = TARGETS_INIT;
    if (targets_read(&args.site, &args.selection, words, &request.out, &targets, &err) < 0) {
        output_failure(&request.out, &err);
        return EXIT_FAILED;
    }
    if (strcmp(request.verb, "limit") == 0 && selection_is_all(&targets.selection))
        return limit_all(&request, &targets, argv[first]);
    if (selection_is_all(&targets.selection) && !request.only_asking)
        return cmd_usage_error(cmd, "name a migration by its id, its machine, or --spec FILE");
    return steer(&request, &targets);
}

/* ---- what is asked ---- */

static int
shutdown_request(struct steer_request *request, const char *word, struct err *err)
{
    bool force = word && strcmp(word, "force") == 0;
    if (!force && (!word || strcmp(word, "done") != 0))
        return err_set(err, ERR_INVALID,
                       "say 'force' (power it off) or 'done' (you have shut it down), then which");
    snprintf(request->asked, sizeof request->asked, "shutdown %s", word);
    request->body = json_pack("{s:s}", "choice", force ? "force" : "manual");
    request->only_asking = true;
    return 0;
}

static int
limit_request(struct steer_request *request, const char *word, struct err *err)
{
    char rate[SIZE_TEXT_MAX];
    uint64_t bytes_s = 0;
    if (!word) /* it is shown */
        return 0;
    if (strcmp(word, "none") != 0 && size_parse(word, &bytes_s, err) < 0)
        return -1;
    if (bytes_s > 0)
        snprintf(request->asked, sizeof request->asked, "limit %s/s", size_format(bytes_s, rate));
    else
        snprintf(request->asked, sizeof request->asked, "limit none");
    request->body = json_pack("{s:I}", "limit_bytes_s", (json_int_t)bytes_s);
    return 0;
}

/* Takes what belongs to the verb from the words. */
static int
make_request(struct steer_request *request, char *const **words, struct err *err)
{
    const struct steer_args *args = request->args;
    const char *name = request->cmd->name;
    bool now = args->now;
    snprintf(request->verb, sizeof request->verb, "%s%s", name, now ? "-now" : "");
    snprintf(request->asked, sizeof request->asked, "%s", request->verb);
    int r = 0;
    bool has_word = strcmp(name, "shutdown") == 0 || strcmp(name, "limit") == 0;
    if (strcmp(name, "shutdown") == 0)
        r = shutdown_request(request, **words, err);
    else if (strcmp(name, "limit") == 0)
        r = limit_request(request, **words, err);
    else if (args->cleanup)
        request->body = json_pack("{s:b}", "cleanup", true);
    if (r == 0 && has_word && **words)
        (*words)++;
    return r;
}

/* ---- ask it ---- */

/* The lines of v2c-engine's `finalize`, and their like. */
static int
ask_one(struct steer_request *request, struct targets *targets, const struct selected *row,
        struct err *err)
{
    auto_json json_t *answer = NULL;
    auto_free char *path = NULL;
    struct migration m;
    char rest[64];
    if (!row->json)
        return err_set(err, ERR_NOT_FOUND, "has no migration: 'vmferry run' starts one");
    migration_read(row->json, &m);
    const char *moref = m.moref ? m.moref : "<nil>";
    if (m.status == JOB_DONE && strncmp(request->verb, "finalize", 8) == 0) {
        printf("[%s] vm=%s moref=%s stage=done already completed\n", request->cmd->name, row->name,
               moref);
        return 0;
    }
    snprintf(rest, sizeof rest, "/%s", request->verb);
    if (targets_path(m.id, rest, &path, err) < 0 ||
        daemon_call(&targets->daemon, "POST", path, request->body, NULL, &answer, err) < 0)
        return -1;
    request->n_asked++;
    printf("[%s] vm=%s moref=%s %s %srequested (%s)\n", request->cmd->name, row->name, moref,
           request->asked, json_get_bool(answer, "already", false) ? "already " : "", m.id);
    return 0;
}

/* Without a name the one that asks is meant, if there is one alone. */
static int
keep_asking(struct targets *targets, struct err *err)
{
    size_t kept = 0;
    for (size_t i = 0; i < targets->n; i++) {
        struct migration m;
        migration_read(targets->rows[i].json, &m);
        if (m.status == JOB_ASKING)
            targets->rows[kept++] = targets->rows[i];
    }
    targets->n = kept;
    if (kept == 0)
        return err_set(err, ERR_NOT_FOUND, "no migration asks for it");
    if (kept > 1)
        return err_set(err, ERR_INVALID, "%zu migrations ask for it: say which", kept);
    return 0;
}

static enum exit_code
steer(struct steer_request *request, struct targets *targets)
{
    struct err err = ERR_INIT;
    size_t failed = 0;
    bool carried_out = request->args->cleanup;
    if (carried_out)
        interrupt_install();
    int r = targets_find(targets, carried_out ? "run" : "look", true, &err);
    if (r == 0 && selection_is_all(&targets->selection))
        r = keep_asking(targets, &err);
    if (r < 0) {
        output_failure(&request->out, &err);
        return EXIT_FAILED;
    }
    for (size_t i = 0; i < targets->n; i++) {
        struct err why = ERR_INIT;
        char prefix[TEXTS_PREFIX_MAX];
        if (ask_one(request, targets, &targets->rows[i], &why) == 0)
            continue;
        fflush(stdout);
        fprintf(stderr, "%s: %s%s\n", request->out.name,
                texts_prefix(targets->rows[i].name, why.text, prefix), why.text);
        failed++;
    }
    fflush(stdout);
    if (failed == targets->n)
        return EXIT_FAILED;
    if (carried_out && wait_for_end(request, targets, &err) < 0) {
        output_failure(&request->out, &err);
        return err.kind == ERR_CANCELLED ? EXIT_INTERRUPTED : EXIT_FAILED;
    }
    if (request->n_asked > 0 && !carried_out && strcmp(targets->daemon.mode, "look") == 0)
        fprintf(stderr,
                "%s: no vmferryd carries it out now: it is noted, and done when 'vmferry run' or "
                "'vmferry serve' goes on with it\n",
                request->out.name);
    return failed ? EXIT_SOME_FAILED : EXIT_DONE;
}

/* ---- cancel --cleanup ---- */

static int
has_ended(struct targets *targets, const struct selected *row, bool *ret_ended, struct err *err)
{
    auto_json json_t *now = NULL;
    auto_free char *path = NULL;
    struct migration m;
    if (!row->json) {
        *ret_ended = true;
        return 0;
    }
    migration_read(row->json, &m);
    if (targets_path(m.id, "", &path, err) < 0 ||
        daemon_call(&targets->daemon, "GET", path, NULL, NULL, &now, err) < 0)
        return -1;
    migration_read(now, &m);
    if (m.status == JOB_FAILED)
        return err_set(err, err_kind_from_name(m.error_kind ? m.error_kind : "bug"), "%s: %s",
                       row->name, m.error ? m.error : "no reason given");
    *ret_ended = job_status_is_ended(m.status);
    return 0;
}

static int
wait_for_end(struct steer_request *request, struct targets *targets, struct err *err)
{
    for (size_t i = 0; i < targets->n;) {
        bool ended = false;
        if (interrupt_wish(NULL) != CHILD_GO_ON)
            return err_set(err, ERR_CANCELLED, "interrupted; the same command goes on");
        if (has_ended(targets, &targets->rows[i], &ended, err) < 0) {
            if (!daemon_is_lost(&targets->daemon))
                return -1;
            *err = ERR_INIT;
            if (targets_find(targets, "run", true, err) < 0)
                return -1;
            i = 0;
            continue;
        }
        if (ended) {
            printf("[%s] vm=%s ended\n", request->cmd->name, targets->rows[i].name);
            i++;
            continue;
        }
        int r = daemon_listen(&targets->daemon, clock_now_ns() + POLL_NS, err);
        if (r != 0)
            return r < 0 ? -1 : err_set(err, ERR_UNAVAILABLE, "vmferryd ended too early");
    }
    return 0;
}

/* ---- the limit of all together ---- */

static enum exit_code
limit_all(const struct steer_request *request, struct targets *targets, const char *rate)
{
    auto_json json_t *limits = NULL, *change = NULL;
    char text[SIZE_TEXT_MAX];
    struct err err = ERR_INIT;
    int r = targets_open(targets, "look", &err);
    if (r == 0 && rate) {
        change = json_pack("{s:O}", "bandwidth_bytes_s",
                           json_object_get(request->body, "limit_bytes_s"));
        r = daemon_call(&targets->daemon, "PUT", "/limits", change, NULL, NULL, &err);
    }
    if (r == 0)
        r = daemon_call(&targets->daemon, "GET", "/limits", NULL, NULL, &limits, &err);
    if (r < 0) {
        output_failure((struct output *)(uintptr_t)&request->out, &err);
        return EXIT_FAILED;
    }
    uint64_t bytes_s = json_get_u64(limits, "bandwidth_bytes_s", 0);
    printf("[limit] all migrations together: %s%s, %" PRIu64 " machines at once, %" PRIu64
           " disks of an ESXi host at once\n",
           bytes_s ? size_format(bytes_s, text) : "no limit", bytes_s ? "/s" : "",
           json_get_u64(limits, "parallel_vms", 0), json_get_u64(limits, "disks_per_esxi", 0));
    return EXIT_DONE;
}

/* ---- the commands ---- */

#define WHICH "MIGRATION|MACHINE|SPEC..."

const struct cmd cmd_finalize = {
    .name = "finalize",
    .usage = WHICH,
    .summary = "cut over after the next round, or now",
    .about =
        "Ask for the cutover: the source is shut down, the last changes are copied, the guest is\n"
        "converted, and the machine is there. It does not wait for it.",
    .options = { .opts = finalize_options, .one_dash = true },
    .run = run,
};

const struct cmd cmd_cancel = {
    .name = "cancel",
    .usage = WHICH,
    .summary = "end a migration and take away what it made",
    .about =
        "End a migration: snapshots and images of it are removed, and the source runs on, or is\n"
        "switched on again.",
    .options = { .opts = cancel_options, .one_dash = true },
    .run = run,
};

const struct cmd cmd_pause = {
    .name = "pause",
    .usage = WHICH,
    .summary = "hold a migration until it is resumed",
    .about = "Hold a migration at its next checkpoint, until 'vmferry resume'.",
    .options = { .opts = plain_options, .one_dash = true },
    .run = run,
};

const struct cmd cmd_resume = {
    .name = "resume",
    .usage = WHICH,
    .summary = "go on with one that was paused",
    .about = "Go on with a migration that was paused.",
    .options = { .opts = plain_options, .one_dash = true },
    .run = run,
};

const struct cmd cmd_retry = {
    .name = "retry",
    .usage = WHICH,
    .summary = "go on with one that failed",
    .about =
        "Go on with a migration that failed, from where it was, or at once with one that would\n"
        "try again by itself.",
    .options = { .opts = plain_options, .one_dash = true },
    .run = run,
};

const struct cmd cmd_shutdown = {
    .name = "shutdown",
    .usage = "force|done [MIGRATION|MACHINE|SPEC...]",
    .summary = "answer how the source is shut down",
    .about =
        "Answer a migration that asks how its source is to be shut down: 'force' powers it off,\n"
        "'done' says that you have shut it down. Without a name the one that asks is meant.",
    .options = { .opts = plain_options, .one_dash = true },
    .run = run,
};

const struct cmd cmd_limit = {
    .name = "limit",
    .usage = "[RATE|none [MIGRATION|MACHINE|SPEC...]]",
    .summary = "say how many bytes a second may be copied",
    .about =
        "Limit what is read, by the second: of the migrations named, or of all together. Without\n"
        "a rate the limits are shown.",
    .options = { .opts = plain_options, .one_dash = true },
    .run = run,
};
