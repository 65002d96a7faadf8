#include "worker/report.h"

#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "wire/child.h"
#include "wire/ipc.h"

static bool cancelled;

/* A parent that has gone cannot be told so; it is noticed when its wishes are asked for. */
static void
send(json_t *msg)
{
    struct err ignored = ERR_INIT;
    ipc_send(IPC_CHILD_FD, msg, &ignored);
}

static void
report_message(json_t *message, void *arg)
{
    (void)arg;
    if (message)
        send(message);
}

static void
report_stage(const char *stage, const char *text, void *arg)
{
    (void)arg;
    send(json_pack("{s:s, s:s, s:s}", "type", "stage", "stage", stage, "text", text));
}

static void
report_progress(const struct engine_progress *p, void *arg)
{
    (void)arg;
    json_t *msg = json_pack("{s:s, s:s, s:s, s:i, s:i}", "type", "progress", "stage", p->stage,
                            "disk", p->disk, "pct", p->pct, "overall_pct", p->overall_pct);
    if (msg && p->total_bytes) {
        json_object_set_new(msg, "done_bytes", json_integer((json_int_t)p->done_bytes));
        json_object_set_new(msg, "total_bytes", json_integer((json_int_t)p->total_bytes));
        json_object_set_new(msg, "data_bytes", json_integer((json_int_t)p->data_bytes));
        json_object_set_new(msg, "rate_bytes_s", json_integer((json_int_t)p->rate_bytes_s));
    }
    if (msg && p->eta_s >= 0)
        json_object_set_new(msg, "eta_s", json_integer(p->eta_s));
    send(msg);
}

static void
report_finding(enum log_level level, const char *code, const char *text, void *arg)
{
    (void)arg;
    json_t *msg = json_pack("{s:s, s:s, s:s}", "type", "log", "level", child_log_level_name(level),
                            "text", text);
    if (msg && code)
        json_object_set_new(msg, "code", json_string(code));
    send(msg);
}

void
report_log(enum log_level level, const char *text, void *arg)
{
    report_finding(level, NULL, text, arg);
}

/* Takes what lies on the socket, without waiting. */
static bool
report_cancelled(void *arg)
{
    (void)arg;
    while (!cancelled) {
        auto_json json_t *msg = NULL;
        struct err err = ERR_INIT;
        int r = ipc_recv(IPC_CHILD_FD, clock_now_ns(), &msg, &err);
        if (r == 0)
            break;
        cancelled = r < 0 || (strcmp(ipc_type(msg), "wish") == 0 &&
                              strcmp(json_get_str(msg, "wish", ""), "cancel") == 0);
    }
    return cancelled;
}

const struct engine_watch report_watch = {
    .stage = report_stage,
    .progress = report_progress,
    .log = report_finding,
    .cancelled = report_cancelled,
};

const struct talk report_talk = {
    .say = report_message,
    .cancelled = report_cancelled,
};
