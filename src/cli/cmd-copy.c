/* vmferry copy: one disk from here to there. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/size.h"
#include "cli/cmd.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "wire/copy-client.h"

struct copy_args {
    const char *source_format, *target_format, *member, *ranges, *map;
    uint64_t limit_bytes_s;
    bool gzip, compare, verify, force;
    struct output_options output;
};

#define FIELD(name) offsetof(struct copy_args, name)

static const struct opt options[] = {
    { 'f', "source-format", "FMT", OPT_TEXT, FIELD(source_format),
      "format of the source (default: look at its header)" },
    { 'O', "target-format", "FMT", OPT_TEXT, FIELD(target_format),
      "qcow2 or raw (default: by the target's name)" },
    { 0, "member", "NAME", OPT_TEXT, FIELD(member), "SOURCE is an OVA: copy this disk of it" },
    { 0, "gzip", NULL, OPT_FLAG, FIELD(gzip), "the source is gzip-ed" },
    { 0, "ranges", "FILE", OPT_TEXT, FIELD(ranges),
      "copy only these, lines of OFFSET LENGTH, into an image that is there" },
    { 0, "compare", NULL, OPT_FLAG, FIELD(compare),
      "write only what differs from an image that is there; needs its --map" },
    { 0, "map", "FILE", OPT_TEXT, FIELD(map), "keep the map of what was copied here" },
    { 0, "limit", "RATE", OPT_SIZE, FIELD(limit_bytes_s), "at most so many bytes a second: 200M" },
    { 0, "verify", NULL, OPT_FLAG, FIELD(verify), "read the target again and compare" },
    { 0, "force", NULL, OPT_FLAG, FIELD(force), "replace a target that is there" },
    { 0, "json", NULL, OPT_FLAG, FIELD(output.json), "one JSON object per event" },
    { 'q', "quiet", NULL, OPT_FLAG, FIELD(output.quiet), "no progress and no summary" },
    { 'v', "verbose", NULL, OPT_FLAG, FIELD(output.verbose), "say more" },
    { 0, "no-color", NULL, OPT_FLAG, FIELD(output.no_color), "no colours" },
    { 'h', "help", NULL, OPT_HELP, 0, "show this" },
    { 0 },
};

struct copy_view {
    struct output out;
    char label[64];
};

static const char *last_part(const char *path);
static const char *target_format(const char *target);
static void show_progress(const struct copy_progress *copied, void *arg);
static void show_complete(struct copy_view *copy, const struct copy_result *result);
static void show_log(enum log_level level, const char *text, void *arg);
static void show_result(struct output *out, const struct copy_result *result);

static enum exit_code
run(const struct cmd *cmd, int argc, char **argv)
{
    struct copy_args args = { 0 };
    int first;
    enum exit_code code;
    if (!cmd_parse(cmd, argc, argv, &args, &first, &code))
        return code;
    if (argc - first != 2)
        return cmd_usage_error(cmd, "give one SOURCE and one TARGET");
    const char *source = argv[first], *target = argv[first + 1];
    const char *format = args.target_format ? args.target_format : target_format(target);
    if (strcmp(format, "qcow2") != 0 && strcmp(format, "raw") != 0)
        return cmd_usage_error(cmd, "-O %s: a target is qcow2 or raw", format);

    if (args.compare && !args.map)
        return cmd_usage_error(cmd, "--compare: name the map of the image with --map");

    struct copy_request request = {
        .source_uri = source,
        .source_format = args.source_format,
        .source_member = args.member,
        .gzip = args.gzip,
        .stdin_fd = strcmp(source, "-") == 0 ? STDIN_FILENO : -1,
        .target_uri = target,
        .target_format = format,
        .map_path = args.map,
        .ranges_path = args.ranges,
        .compare = args.compare,
        .limit_bytes_s = args.limit_bytes_s,
        .verify = args.verify ? COPY_VERIFY_FULL : COPY_VERIFY_NONE,
        .force = args.force,
        .keep_map = args.map != NULL,
    };
    struct copy_view view;
    output_init(&view.out, "vmferry: copy", &args.output);
    snprintf(view.label, sizeof view.label, "%s", last_part(target));
    struct copy_watch watch = {
        .progress = show_progress,
        .log = show_log,
        .wish = interrupt_wish,
        .arg = &view,
    };
    struct copy_result result;
    struct err err = ERR_INIT;
    interrupt_install();
    if (copy_run(&request, &watch, &result, &err) < 0) {
        output_progress_end(&view.out);
        output_failure(&view.out, &err);
        return err.kind == ERR_CANCELLED ? EXIT_INTERRUPTED : EXIT_FAILED;
    }
    show_complete(&view, &result);
    show_result(&view.out, &result);
    return EXIT_DONE;
}

static const char *
last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* ".qcow2" says it; so do ".raw", ".img", a device and NBD. Anything else gets the better format.
 */
static const char *
target_format(const char *target)
{
    static const char *const raw_names[] = { ".raw", ".img", NULL };
    static const char *const raw_schemes[] = { "nbd:", "nbds:", "nbd+unix:", "nbds+unix:", NULL };
    for (const char *const *scheme = raw_schemes; *scheme; scheme++)
        if (strncmp(target, *scheme, strlen(*scheme)) == 0)
            return "raw";
    for (const char *const *name = raw_names; *name; name++) {
        size_t len = strlen(target), suffix = strlen(*name);
        if (len > suffix && strcmp(target + len - suffix, *name) == 0)
            return "raw";
    }
    struct stat st;
    return stat(target, &st) == 0 && S_ISBLK(st.st_mode) ? "raw" : "qcow2";
}

static void
show_progress(const struct copy_progress *copied, void *arg)
{
    struct copy_view *copy = arg;
    struct progress progress = {
        .label = copy->label,
        .stage = copied->stage,
        .done_bytes = copied->done_bytes,
        .total_bytes = copied->total_bytes,
        .data_bytes = copied->data_bytes,
        .rate_bytes_s = copied->rate_bytes_s,
        .eta_s = copied->eta_s,
    };
    output_progress(&copy->out, &progress);
}

static void
show_complete(struct copy_view *copy, const struct copy_result *result)
{
    struct copy_progress all;
    copy_result_progress(result, &all);
    if (copy->out.live)
        show_progress(&all, copy);
}

static void
show_log(enum log_level level, const char *text, void *arg)
{
    struct copy_view *copy = arg;
    output_log(&copy->out, level, text);
}

static void
show_result(struct output *out, const struct copy_result *r)
{
    char size[SIZE_TEXT_MAX], data[SIZE_TEXT_MAX], zero[SIZE_TEXT_MAX], rate[SIZE_TEXT_MAX],
        before[SIZE_TEXT_MAX];
    double seconds = (double)r->elapsed_ns / 1e9;
    uint64_t now_bytes = r->data_bytes + r->zero_bytes;
    uint64_t rate_bytes_s = seconds > 0 ? (uint64_t)((double)now_bytes / seconds) : 0;
    output_progress_end(out);
    output_text(out, "%s: %s data, %s zero, in %.1f s, %s/s%s%s",
                size_format(r->capacity_bytes, size), size_format(r->data_bytes, data),
                size_format(r->zero_bytes, zero), seconds, size_format(rate_bytes_s, rate),
                r->resumed_bytes ? "; resumed after " : "",
                r->resumed_bytes ? size_format(r->resumed_bytes, before) : "");
    output_event(out,
                 json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "type", "result", "ok",
                           true, "capacity_bytes", (json_int_t)r->capacity_bytes, "data_bytes",
                           (json_int_t)r->data_bytes, "zero_bytes", (json_int_t)r->zero_bytes,
                           "resumed_bytes", (json_int_t)r->resumed_bytes, "read_bytes",
                           (json_int_t)r->read_bytes, "written_bytes", (json_int_t)r->written_bytes,
                           "elapsed_ns", (json_int_t)r->elapsed_ns));
}

const struct cmd cmd_copy = {
    .name = "copy",
    .usage = "SOURCE TARGET",
    .summary = "copy one disk, from any format to qcow2 or raw",
    .about = "Copy one disk. SOURCE is a file or block device in any format that qemu knows, an\n"
             "NBD URI, or - for a streamOptimized VMDK on stdin. TARGET is a file, a block device\n"
             "or an NBD URI. A copy that was interrupted goes on when the same command is given\n"
             "again; TARGET gets its name when it is complete.",
    .options = { .opts = options },
    .run = run,
};
