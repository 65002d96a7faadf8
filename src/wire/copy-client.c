#include "wire/copy-client.h"

#include <string.h>

#include "wire/ipc.h"

static json_t *start_message(const struct copy_request *request);
static void take_event(const json_t *msg, void *arg);
static enum child_wish ask_wish(void *arg);

int
copy_run(const struct copy_request *request, const struct copy_watch *watch,
         struct copy_result *ret_result, struct err *err)
{
    struct copy_watch listening = *watch;
    struct child_spec spec = {
        .program = "vmferry-copy",
        .role = "copy",
        .stdin_fd = request->stdin_fd,
        .event = take_event,
        .wish = ask_wish,
        .arg = &listening,
    };
    auto_json json_t *start = start_message(request);
    if (!start)
        return err_set(err, ERR_INVALID, "%s: a name here is not UTF-8",
                       request->source_uri ? request->source_uri : request->target_uri);
    auto_json json_t *result = NULL;
    if (child_run(&spec, TAKE_PTR(start), &result, err) < 0)
        return -1;
    *ret_result = (struct copy_result){
        .capacity_bytes = json_get_u64(result, "capacity_bytes", 0),
        .data_bytes = json_get_u64(result, "data_bytes", 0),
        .zero_bytes = json_get_u64(result, "zero_bytes", 0),
        .resumed_bytes = json_get_u64(result, "resumed_bytes", 0),
        .elapsed_ns = json_get_int(result, "elapsed_ns", 0),
    };
    return 0;
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
start_message(const struct copy_request *r)
{
    json_t *source = json_pack("{s:s?, s:s?, s:s?, s:I, s:I, s:b}", "uri", r->source_uri, "format",
                               r->source_format, "member", r->source_member, "window_offset",
                               (json_int_t)r->window_offset, "window_bytes",
                               (json_int_t)r->window_bytes, "gzip", r->gzip);
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
    const struct copy_watch *watch = arg;
    if (strcmp(ipc_type(msg), "progress") == 0 && watch->progress) {
        struct copy_progress progress = {
            .stage = json_get_str(msg, "stage", "copy"),
            .done_bytes = json_get_u64(msg, "done_bytes", 0),
            .total_bytes = json_get_u64(msg, "total_bytes", 0),
            .data_bytes = json_get_u64(msg, "data_bytes", 0),
            .rate_bytes_s = json_get_u64(msg, "rate_bytes_s", 0),
            .eta_s = json_get_int(msg, "eta_s", -1),
        };
        watch->progress(&progress, watch->arg);
    } else if (strcmp(ipc_type(msg), "log") == 0 && watch->log) {
        watch->log(child_log_level(msg), json_get_str(msg, "text", ""), watch->arg);
    }
}

static enum child_wish
ask_wish(void *arg)
{
    const struct copy_watch *watch = arg;
    return watch->wish ? watch->wish(watch->arg) : CHILD_GO_ON;
}
