#include "wire/copy-client.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/checked.h"
#include "wire/ipc.h"

/* What the messages of one copy are turned into. */
struct listener {
    const struct copy_watch *watch;
    uint64_t done_bytes; /* the last that it said */
};

static json_t *start_message(const struct copy_request *request);
static int run_once(const struct copy_request *request, struct listener *listener,
                    int *ret_died_status, json_t **ret_result, struct err *err);
static bool worth_restarting(const struct copy_request *request, int died_status);
static void fill_result(const json_t *result, struct copy_result *ret_result);
static void take_event(const json_t *msg, void *arg);
static json_t *answer_need(const json_t *msg, void *arg);
static enum child_wish ask_wish(void *arg);
static void say(const struct listener *listener, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

int
copy_run(const struct copy_request *request, const struct copy_watch *watch,
         struct copy_result *ret_result, struct err *err)
{
    struct listener listener = { .watch = watch };
    unsigned restarts = 0, in_place = 0;
    for (;;) {
        auto_json json_t *result = NULL;
        uint64_t before_bytes = listener.done_bytes;
        int died_status = 0;
        if (run_once(request, &listener, &died_status, &result, err) == 0) {
            fill_result(result, ret_result);
            return 0;
        }
        if (!worth_restarting(request, died_status))
            return -1;
        in_place = listener.done_bytes > before_bytes ? 0 : in_place + 1;
        if (restarts == COPY_RESTARTS_MAX || in_place > COPY_RESTARTS_IN_PLACE_MAX)
            return err_prefix(err,
                              "%s: given up after %u new starts; the library in %s crashes: try "
                              "another version of it, or another transport",
                              request->remote->name, restarts, request->remote->libdir);
        restarts++;
        say(&listener, "%s: %s; starting it again (%u of %d), it goes on from %llu bytes",
            request->remote->name, err->text, restarts, COPY_RESTARTS_MAX,
            (unsigned long long)listener.done_bytes);
        *err = ERR_INIT;
    }
}

static bool
is_vddk(const struct copy_request *request)
{
    return request->remote && strcmp(request->remote->kind, "vddk") == 0;
}

/* Its private libraries are found where it looks for them, and by nobody else. The caller frees. */
static int
library_path(const struct copy_remote *remote, char **ret, struct err *err)
{
    if (!remote->libdir || remote->libdir[0] == '\0')
        return err_set(err, ERR_INVALID,
                       "%s: it is not known where VMware's disk library is: name the directory "
                       "that has lib64/libvixDiskLib.so.8 (vddk-libdir)",
                       remote->name);
    const char *old = getenv("LD_LIBRARY_PATH");
    if (asprintf(ret, "LD_LIBRARY_PATH=%s/lib64:%s%s%s", remote->libdir, remote->libdir,
                 old && *old ? ":" : "", old && *old ? old : "") < 0)
        return err_errno(err, ENOMEM, "%s", remote->name);
    return 0;
}

static int
run_once(const struct copy_request *request, struct listener *listener, int *ret_died_status,
         json_t **ret_result, struct err *err)
{
    auto_free char *path = NULL;
    if (is_vddk(request) && library_path(request->remote, &path, err) < 0)
        return -1;
    const char *const env_add[] = { path, NULL };
    struct child_spec spec = {
        .program = is_vddk(request) ? "vmferry-copy-vddk" : "vmferry-copy",
        .role = "copy",
        .env_add = env_add,
        .stdin_fd = request->stdin_fd,
        .event = take_event,
        .wish = ask_wish,
        .answer = answer_need,
        .arg = listener,
        .died_status = ret_died_status,
    };
    auto_json json_t *start = start_message(request);
    if (!start)
        return err_set(err, ERR_INVALID, "%s: a name here is not UTF-8",
                       request->remote       ? request->remote->name
                       : request->source_uri ? request->source_uri
                                             : request->target_uri);
    return child_run(&spec, TAKE_PTR(start), ret_result, err);
}

/* A crash, and not the end that somebody wished for. */
static bool
worth_restarting(const struct copy_request *request, int died_status)
{
    if (!is_vddk(request) || !WIFSIGNALED(died_status))
        return false;
    int signum = WTERMSIG(died_status);
    return signum != SIGTERM && signum != SIGINT && signum != SIGHUP && signum != SIGQUIT;
}

static void
fill_result(const json_t *result, struct copy_result *ret_result)
{
    *ret_result = (struct copy_result){
        .capacity_bytes = json_get_u64(result, "capacity_bytes", 0),
        .data_bytes = json_get_u64(result, "data_bytes", 0),
        .zero_bytes = json_get_u64(result, "zero_bytes", 0),
        .resumed_bytes = json_get_u64(result, "resumed_bytes", 0),
        .elapsed_ns = json_get_int(result, "elapsed_ns", 0),
        .has_digest = json_get_str(result, "stream_sha1", NULL) != NULL,
        .stream_bytes = json_get_u64(result, "stream_bytes", 0),
    };
    snprintf(ret_result->stream_sha1, sizeof ret_result->stream_sha1, "%s",
             json_get_str(result, "stream_sha1", ""));
    snprintf(ret_result->stream_sha256, sizeof ret_result->stream_sha256, "%s",
             json_get_str(result, "stream_sha256", ""));
}

void
copy_result_progress(const struct copy_result *result, struct copy_progress *ret_progress)
{
    double seconds = (double)result->elapsed_ns / 1e9;
    double bytes = (double)(result->data_bytes + result->zero_bytes);
    *ret_progress = (struct copy_progress){
        .stage = "copy",
        .done_bytes = result->capacity_bytes,
        .total_bytes = result->capacity_bytes,
        .data_bytes = result->data_bytes,
        .rate_bytes_s = seconds > 0 ? (uint64_t)(bytes / seconds) : 0,
        .eta_s = -1,
    };
}

static json_t *
file_source(const struct copy_request *r)
{
    return json_pack("{s:s, s:s?, s:s?, s:s?, s:s?, s:s?, s:I, s:I, s:b}", "kind", "file", "uri",
                     r->source_uri, "name", r->source_name, "identity", r->source_identity,
                     "format", r->source_format, "member", r->source_member, "window_offset",
                     (json_int_t)r->window_offset, "window_bytes", (json_int_t)r->window_bytes,
                     "gzip", r->gzip);
}

static json_t *
remote_source(const struct copy_remote *r)
{
    const char *identity = r->identity ? r->identity : "";
    if (strcmp(r->kind, "vddk") != 0)
        return json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:s?, s:s?, s:i}", "kind", r->kind, "name",
                         r->name, "identity", identity, "uri", r->uri, "cookie", r->cookie,
                         "thumbprint", r->thumbprint, "ca", r->ca, "connections",
                         (int)r->connections);
    return json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:s?, s:i, s:i, s:s?, s:s?, s:s?, s:s?, s:s?, "
                     "s:s?, s:s?, s:s?}",
                     "kind", r->kind, "name", r->name, "identity", identity, "libdir", r->libdir,
                     "config", r->config, "server", r->server, "port", (int)r->port, "nfc_port",
                     (int)r->nfc_port, "user", r->user, "password", r->password, "cookie",
                     r->cookie, "thumbprint", r->thumbprint, "vm", r->vm, "snapshot", r->snapshot,
                     "path", r->path, "transports", r->transports);
}

static json_t *
start_message(const struct copy_request *r)
{
    json_t *source = r->remote ? remote_source(r->remote) : file_source(r);
    json_t *target = json_pack("{s:s, s:s, s:b}", "uri", r->target_uri, "format", r->target_format,
                               "preallocate", r->preallocate);
    return json_pack("{s:o, s:o, s:I, s:s?, s:s?, s:I, s:s, s:b, s:b}", "source", source, "target",
                     target, "capacity_bytes", (json_int_t)r->capacity_bytes, "map", r->map_path,
                     "ranges", r->ranges_path, "limit_bytes_s", (json_int_t)r->limit_bytes_s,
                     "verify", r->verify ? "full" : "none", "force", r->force, "keep_map",
                     r->keep_map);
}

static void
take_event(const json_t *msg, void *arg)
{
    struct listener *listener = arg;
    const struct copy_watch *watch = listener->watch;
    if (strcmp(ipc_type(msg), "progress") == 0) {
        struct copy_progress progress = {
            .stage = json_get_str(msg, "stage", "copy"),
            .done_bytes = json_get_u64(msg, "done_bytes", 0),
            .total_bytes = json_get_u64(msg, "total_bytes", 0),
            .data_bytes = json_get_u64(msg, "data_bytes", 0),
            .rate_bytes_s = json_get_u64(msg, "rate_bytes_s", 0),
            .eta_s = json_get_int(msg, "eta_s", -1),
        };
        listener->done_bytes = MAX(listener->done_bytes, progress.done_bytes);
        if (watch->progress)
            watch->progress(&progress, watch->arg);
    } else if (strcmp(ipc_type(msg), "log") == 0 && watch->log) {
        watch->log(child_log_level(msg), json_get_str(msg, "text", ""), watch->arg);
    }
}

static json_t *
answer_need(const json_t *msg, void *arg)
{
    const struct listener *listener = arg;
    const struct copy_watch *watch = listener->watch;
    const char *what = json_get_str(msg, "what", "");
    auto_secret char *value = NULL;
    struct err err = ERR_INIT;
    if (!watch->need)
        err_set(&err, ERR_DENIED, "no new %s can be had here", what);
    else if (watch->need(what, &value, watch->arg, &err) == 0)
        return json_pack("{s:s, s:s, s:s}", "type", "wish", "wish", what, what, value);
    return json_pack("{s:s, s:s, s:n, s:o}", "type", "wish", "wish", what, what, "error",
                     json_from_err(&err));
}

static enum child_wish
ask_wish(void *arg)
{
    const struct listener *listener = arg;
    const struct copy_watch *watch = listener->watch;
    return watch->wish ? watch->wish(watch->arg) : CHILD_GO_ON;
}

/* A warning of our own, in the log of the copy. */
static void
say(const struct listener *listener, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (listener->watch->log)
        listener->watch->log(LOG_LEVEL_WARNING, text, listener->watch->arg);
}
