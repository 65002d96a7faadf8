/* A caller of copy_run for tests: one request as JSON on stdin, what happens as JSON lines on
 * stdout.
 *
 * {"remote": {...}, "target": [URI, FORMAT], "cookie": what a need is answered with}
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/checked.h"
#include "wire/copy-client.h"
#include "wire/json.h"

static void
print_log(enum log_level level, const char *text, void *arg)
{
    (void)arg;
    auto_json json_t *line = json_pack("{s:s}", child_log_level_name(level), text);
    json_dumpf(line, stdout, JSON_COMPACT);
    printf("\n");
    fflush(stdout);
}

static int
give_cookie(const char *what, char **ret_value, void *arg, struct err *err)
{
    const char *cookie = json_get_str(arg, what, NULL);
    print_log(LOG_LEVEL_INFO, what, NULL);
    if (!cookie)
        return err_set(err, ERR_DENIED, "no %s for a driver", what);
    *ret_value = strdup(cookie);
    return 0;
}

static const char *
get(const json_t *obj, const char *key)
{
    return json_get_str(obj, key, NULL);
}

int
main(void)
{
    struct err err = ERR_INIT;
    auto_buf struct buf text = BUF_INIT(64 * KIB);
    if (buf_read_fd(&text, STDIN_FILENO, &err) < 0)
        return 2;
    auto_json json_t *job = json_parse_object(text.data, text.len, &err);
    const json_t *r = json_object_get(job, "remote"), *target = json_object_get(job, "target");
    struct copy_remote remote = {
        .kind = get(r, "kind"),
        .name = get(r, "name"),
        .identity = get(r, "identity"),
        .libdir = get(r, "libdir"),
        .config = get(r, "config"),
        .server = get(r, "server"),
        .port = (unsigned)json_get_u64(r, "port", 0),
        .nfc_port = (unsigned)json_get_u64(r, "nfc_port", 0),
        .user = get(r, "user"),
        .password = get(r, "password"),
        .cookie = get(r, "cookie"),
        .thumbprint = get(r, "thumbprint"),
        .vm = get(r, "vm"),
        .snapshot = get(r, "snapshot"),
        .path = get(r, "path"),
    };
    struct copy_request request = COPY_REQUEST_INIT;
    request.remote = &remote;
    request.target_uri = json_string_value(json_array_get(target, 0));
    request.target_format = json_string_value(json_array_get(target, 1));
    struct copy_watch watch = { .log = print_log, .need = give_cookie, .arg = job };
    struct copy_result result;
    if (copy_run(&request, &watch, &result, &err) < 0) {
        print_log(LOG_LEVEL_ERROR, err.text, NULL);
        printf("{\"kind\":\"%s\"}\n", err_kind_name(err.kind));
        return 1;
    }
    printf("{\"resumed_bytes\":%" PRIu64 ",\"capacity_bytes\":%" PRIu64 "}\n", result.resumed_bytes,
           result.capacity_bytes);
    return 0;
}
