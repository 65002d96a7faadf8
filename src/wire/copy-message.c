#include "wire/copy-message.h"

#include <stdio.h>
#include <string.h>

/* ---- what it is told ---- */

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

static const char *const verify_words[] = {
    [COPY_VERIFY_NONE] = "none",
    [COPY_VERIFY_FULL] = "full",
    [COPY_VERIFY_CHANGED] = "changed",
    [COPY_VERIFY_SAMPLE] = "sample",
};

json_t *
copy_start_message(const struct copy_request *r, uint64_t limit_bytes_s, struct err *err)
{
    json_t *source = r->remote ? remote_source(r->remote) : file_source(r);
    json_t *target = json_pack("{s:s, s:s, s:b}", "uri", r->target_uri, "format", r->target_format,
                               "preallocate", r->preallocate);
    json_t *start = json_pack(
        "{s:o, s:o, s:I, s:s?, s:s?, s:s?, s:b, s:b, s:s?, s:I, s:s, s:b, s:b}", "source", source,
        "target", target, "capacity_bytes", (json_int_t)r->capacity_bytes, "map", r->map_path,
        "ranges", r->ranges_path, "stale", r->stale_path, "supersede", r->supersede, "compare",
        r->compare, "change_id", r->change_id, "limit_bytes_s", (json_int_t)limit_bytes_s, "verify",
        verify_words[r->verify], "force", r->force, "keep_map", r->keep_map);
    if (!start)
        err_set(err, ERR_INVALID, "%s: a name here is not UTF-8", copy_request_name(r));
    return start;
}

const char *
copy_request_name(const struct copy_request *r)
{
    return r->remote ? r->remote->name : r->source_uri ? r->source_uri : r->target_uri;
}

/* ---- what it says ---- */

void
copy_progress_of_message(const json_t *msg, struct copy_progress *ret)
{
    *ret = (struct copy_progress){
        .stage = json_get_str(msg, "stage", "copy"),
        .done_bytes = json_get_u64(msg, "done_bytes", 0),
        .total_bytes = json_get_u64(msg, "total_bytes", 0),
        .data_bytes = json_get_u64(msg, "data_bytes", 0),
        .rate_bytes_s = json_get_u64(msg, "rate_bytes_s", 0),
        .eta_s = json_get_int(msg, "eta_s", -1),
    };
}

void
copy_result_of_message(const json_t *result, struct copy_result *ret_result)
{
    *ret_result = (struct copy_result){
        .capacity_bytes = json_get_u64(result, "capacity_bytes", 0),
        .data_bytes = json_get_u64(result, "data_bytes", 0),
        .zero_bytes = json_get_u64(result, "zero_bytes", 0),
        .resumed_bytes = json_get_u64(result, "resumed_bytes", 0),
        .read_bytes = json_get_u64(result, "read_bytes", 0),
        .written_bytes = json_get_u64(result, "written_bytes", 0),
        .verified_bytes = json_get_u64(result, "verified_bytes", 0),
        .elapsed_ns = json_get_int(result, "elapsed_ns", 0),
        .has_digest = json_get_str(result, "stream_sha1", NULL) != NULL,
        .stream_bytes = json_get_u64(result, "stream_bytes", 0),
    };
    snprintf(ret_result->change_id, sizeof ret_result->change_id, "%s",
             json_get_str(result, "change_id", ""));
    snprintf(ret_result->stream_sha1, sizeof ret_result->stream_sha1, "%s",
             json_get_str(result, "stream_sha1", ""));
    snprintf(ret_result->stream_sha256, sizeof ret_result->stream_sha256, "%s",
             json_get_str(result, "stream_sha256", ""));
}
