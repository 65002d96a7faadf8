#include "worker/report.h"

#include <stddef.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "wire/child.h"
#include "wire/ipc.h"

/* What came on the socket so far. */
static struct {
    bool gone; /* the parent */
    struct engine_wishes wishes;
    unsigned granted; /* slots that are ours */
    uint64_t seq;     /* of the last thing that was to be remembered */
} heard;

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

/* ---- wishes ---- */

static void
take_wish(const json_t *msg)
{
    struct engine_wishes *wishes = &heard.wishes;
    const char *wish = json_get_str(msg, "wish", "");
    if (strcmp(wish, "cancel") == 0)
        wishes->cancel = true;
    else if (strcmp(wish, "pause") == 0)
        wishes->pause = true;
    else if (strcmp(wish, "finalize") == 0)
        wishes->finalize = true;
    else if (strcmp(wish, "finalize-now") == 0)
        wishes->finalize_now = true;
    else if (strcmp(wish, "shutdown") == 0)
        wishes->shutdown = strcmp(json_get_str(msg, "choice", ""), "force") == 0
                               ? ENGINE_ANSWER_FORCE
                               : ENGINE_ANSWER_DONE;
    else if (strcmp(wish, "limit") == 0)
        wishes->limit_bytes_s = json_get_u64(msg, "limit_bytes_s", 0);
    else if (strcmp(wish, "grant") == 0)
        heard.granted += (unsigned)json_get_u64(msg, "disks", 0);
}

/* One packet, until the deadline. Gives back what is no wish; NULL: nothing came, or a wish. */
static json_t *
hear(int64_t deadline_ns, bool *ret_more)
{
    json_t *msg = NULL;
    struct err err = ERR_INIT;
    int r = heard.gone ? 0 : ipc_recv(IPC_CHILD_FD, deadline_ns, &msg, &err);
    *ret_more = r > 0;
    heard.gone |= r < 0;
    if (r <= 0 || strcmp(ipc_type(msg), "wish") != 0)
        return msg;
    take_wish(msg);
    json_decref(msg);
    return NULL;
}

/* Takes what lies on the socket, without waiting. */
static void
hear_all(void)
{
    bool more = true;
    while (more)
        json_decref(hear(clock_now_ns(), &more));
}

static bool
report_cancelled(void *arg)
{
    (void)arg;
    hear_all();
    return heard.gone || heard.wishes.cancel || heard.wishes.pause;
}

static const struct engine_wishes *
report_wishes(void *arg)
{
    (void)arg;
    hear_all();
    return &heard.wishes;
}

/* ---- what a daemon does for us ---- */

void
report_begin(const json_t *start)
{
    const json_t *wishes = json_object_get(start, "wishes");
    const char *shutdown = json_get_str(wishes, "shutdown", "");
    heard.wishes = (struct engine_wishes){
        .cancel = json_get_bool(wishes, "cancel", false),
        .pause = json_get_bool(wishes, "paused", false),
        .finalize = json_get_bool(wishes, "finalize", false),
        .finalize_now = json_get_bool(wishes, "finalize_now", false),
        .shutdown = strcmp(shutdown, "force") == 0    ? ENGINE_ANSWER_FORCE
                    : strcmp(shutdown, "manual") == 0 ? ENGINE_ANSWER_DONE
                                                      : ENGINE_ANSWER_NONE,
        .limit_bytes_s = json_get_u64(start, "limit_bytes_s", 0),
    };
}

/* Its answer may be that it could not; then nothing of it is remembered. */
static int
wait_for_ack(uint64_t seq, struct err *err)
{
    while (!heard.gone) {
        bool more;
        auto_json json_t *msg = hear(-1, &more);
        if (!msg || strcmp(ipc_type(msg), "ack") != 0 || json_get_u64(msg, "seq", 0) != seq)
            continue;
        const json_t *error = json_object_get(msg, "error");
        if (!json_is_object(error))
            return 0;
        json_to_err(error, err);
        return err_prefix(err, "remember what is being done");
    }
    return err_set(err, ERR_UNAVAILABLE, "the daemon has gone, so nothing more can be remembered");
}

static int
report_journal(enum engine_when when, const char *act, json_t *ops, void *arg, struct err *err)
{
    static const char *const types[] = {
        [ENGINE_NOTE] = "note", [ENGINE_BEGIN] = "begin", [ENGINE_DONE] = "done"
    };
    (void)arg;
    uint64_t seq = ++heard.seq;
    json_t *msg = json_pack("{s:s, s:I, s:s?, s:o}", "type", types[when], "seq", (json_int_t)seq,
                            "act", act, "ops", ops);
    if (ipc_send(IPC_CHILD_FD, msg, err) < 0)
        return -1;
    return wait_for_ack(seq, err);
}

static void
report_want(const char *host, const char *priority, unsigned disks, void *arg)
{
    (void)arg;
    send(json_pack("{s:s, s:s, s:s, s:i}", "type", "want", "host", host, "priority", priority,
                   "disks", (int)disks));
}

static unsigned
report_granted(void *arg)
{
    (void)arg;
    hear_all();
    return heard.granted;
}

static void
report_freed(unsigned disks, void *arg)
{
    (void)arg;
    heard.granted -= MIN(disks, heard.granted);
    send(json_pack("{s:s, s:i}", "type", "free", "disks", (int)disks));
}

const struct engine_watch report_watch = {
    .stage = report_stage,
    .progress = report_progress,
    .log = report_finding,
    .cancelled = report_cancelled,
};

const struct engine_watch report_daemon_watch = {
    .stage = report_stage,
    .progress = report_progress,
    .log = report_finding,
    .cancelled = report_cancelled,
    .journal = report_journal,
    .say = report_message,
    .wishes = report_wishes,
    .want = report_want,
    .granted = report_granted,
    .freed = report_freed,
};

const struct talk report_talk = {
    .say = report_message,
    .cancelled = report_cancelled,
};
