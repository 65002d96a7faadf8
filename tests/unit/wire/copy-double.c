/* A vmferry-copy, or a vmferry-copy-vddk, that does what the name of its source says:
 *
 * well        a little progress, then the result, whose data_bytes are the limit that it was given
 * stay        until it is told to stop
 * listen      tells each limit in its log; ends when it is told 7
 * ask         for a cookie, and gives it in its log
 * crash FILE  when FILE is not there: makes it and dies; else as `well`
 * die         each time
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "wire/ipc.h"

static struct err err;

static void
progress(int64_t done)
{
    ipc_send(IPC_CHILD_FD,
             json_pack("{s:s, s:s, s:I, s:I}", "type", "progress", "stage", "copy", "done_bytes",
                       (json_int_t)done, "total_bytes", (json_int_t)100),
             &err);
}

static void
say(const char *text)
{
    ipc_send(IPC_CHILD_FD,
             json_pack("{s:s, s:s, s:s}", "type", "log", "level", "info", "text", text), &err);
}

static int
end_well(const json_t *start)
{
    int64_t limit = json_get_int(start, "limit_bytes_s", -1);
    return ipc_send_result(IPC_CHILD_FD, NULL, json_pack("{s:I}", "data_bytes", (json_int_t)limit),
                           &err) < 0;
}

static int
listen_for(bool limits)
{
    for (;;) {
        auto_json json_t *msg = NULL;
        if (ipc_recv(IPC_CHILD_FD, -1, &msg, &err) != 1)
            return 1;
        const char *wish = json_get_str(msg, "wish", "");
        if (strcmp(wish, "cancel") == 0) {
            struct err failure = ERR_INIT;
            err_set(&failure, ERR_CANCELLED, "as you wish");
            return ipc_send_result(IPC_CHILD_FD, &failure, NULL, &err) < 0;
        }
        if (strcmp(wish, "cookie") == 0)
            say(json_get_str(msg, "cookie", "none"));
        if (strcmp(wish, "cookie") == 0)
            return ipc_send_result(IPC_CHILD_FD, NULL, NULL, &err) < 0;
        if (!limits || strcmp(wish, "limit") != 0)
            continue;
        auto_json json_t *limit = json_incref(json_object_get(msg, "limit_bytes_s"));
        auto_free char *text = json_dumps(limit, JSON_ENCODE_ANY);
        say(text);
        if (json_integer_value(limit) == 7)
            return ipc_send_result(IPC_CHILD_FD, NULL, NULL, &err) < 0;
    }
}

int
main(void)
{
    auto_json json_t *start = NULL;
    if (ipc_child_begin(IPC_CHILD_FD, "copy", &start, &err) < 0)
        return 1;
    const json_t *source = json_object_get(start, "source");
    const char *act = json_get_str(source, "uri", json_get_str(source, "path", ""));
    progress(10);
    if (strcmp(act, "stay") == 0 || strcmp(act, "listen") == 0)
        return listen_for(*act == 'l');
    if (strcmp(act, "ask") == 0) {
        ipc_send(IPC_CHILD_FD, json_pack("{s:s, s:s}", "type", "need", "what", "cookie"), &err);
        return listen_for(false);
    }
    if (strcmp(act, "die") == 0)
        raise(SIGABRT);
    if (strncmp(act, "crash ", 6) == 0 && access(act + 6, F_OK) < 0) {
        close(open(act + 6, O_CREAT | O_WRONLY, 0600));
        signal(SIGSEGV, SIG_DFL); /* a sanitizer would make an exit of it */
        raise(SIGSEGV);
    }
    progress(60);
    return end_well(start);
}
