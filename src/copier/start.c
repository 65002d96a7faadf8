#include "copier/start.h"

#include <limits.h>
#include <string.h>

static unsigned
get_unsigned(const json_t *obj, const char *key)
{
    return (unsigned)MIN(json_get_u64(obj, key, 0), (uint64_t)UINT_MAX);
}

/* The strings are those of the message. */
static void
fill_remote(struct job *job, const json_t *source, struct source_remote *ret)
{
    *ret = (struct source_remote){
        .name = ret->name,
        .identity = ret->identity,
        .uri = json_get_str(source, "uri", NULL),
        .cookie = json_get_str(source, "cookie", NULL),
        .thumbprint = json_get_str(source, "thumbprint", NULL),
        .ca = json_get_str(source, "ca", NULL),
        .connections = get_unsigned(source, "connections"),
        .libdir = json_get_str(source, "libdir", NULL),
        .config = json_get_str(source, "config", NULL),
        .server = json_get_str(source, "server", NULL),
        .port = get_unsigned(source, "port"),
        .nfc_port = get_unsigned(source, "nfc_port"),
        .user = json_get_str(source, "user", NULL),
        .password = json_get_str(source, "password", NULL),
        .vm = json_get_str(source, "vm", NULL),
        .snapshot = json_get_str(source, "snapshot", NULL),
        .path = json_get_str(source, "path", NULL),
        .transports = json_get_str(source, "transports", NULL),
        .renew = need_ask,
        .renew_arg = &job->need,
    };
}

void
start_source_spec(struct job *job, struct source_spec *ret)
{
    const json_t *source = json_object_get(job->start, "source");
    *ret = (struct source_spec){
        .kind = json_get_str(source, "kind", NULL),
        .uri = json_get_str(source, "uri", NULL),
        .format = json_get_str(source, "format", NULL),
        .member = json_get_str(source, "member", NULL),
        .window_offset = json_get_u64(source, "window_offset", 0),
        .window_bytes = json_get_u64(source, "window_bytes", 0),
        .gzip = json_get_bool(source, "gzip", false),
        .capacity_bytes = json_get_u64(job->start, "capacity_bytes", 0),
        .stop = &job->progress.stop,
    };
    ret->remote.name = json_get_str(source, "name", NULL);
    ret->remote.identity = json_get_str(source, "identity", NULL);
    if (ret->kind && strcmp(ret->kind, "file") != 0)
        fill_remote(job, source, &ret->remote);
}

void
start_wipe_secrets(json_t *start)
{
    json_t *source = json_object_get(start, "source");
    json_wipe_str(source, "password");
    json_wipe_str(source, "cookie");
    if (strcmp(json_get_str(source, "kind", ""), "export") == 0)
        json_wipe_str(source, "uri");
}
