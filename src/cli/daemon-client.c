#include "cli/daemon-client.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/site.h"
#include "wire/ipc.h"

#define API "/api/v1"
#define OPEN_NS (30 * NS_PER_S)   /* for another one to stop, or to answer */
#define ENDED_NS (10 * NS_PER_S)  /* between its last word and its end */
#define AGAIN_NS (NS_PER_S / 10)  /* between two tries */
#define READY_NS (120 * NS_PER_S) /* it may have a schema to migrate */
#define TICK_NS (NS_PER_S / 5)
#define CLOSE_NS (60 * NS_PER_S)
#define LOOK_CLOSE_NS (2 * NS_PER_S)

static int try_running(const struct daemon_spec *spec, struct daemon *ret, struct err *err);
static int wait_ready(struct daemon *daemon, struct err *err);
static int fail_by_status(int status, const json_t *body, struct err *err);
static int take_result(struct daemon *daemon, const json_t *msg, struct err *err);

static enum child_wish
wish_of(const struct daemon_spec *spec)
{
    return spec->wish ? spec->wish(spec->arg) : CHILD_GO_ON;
}

/* ---- find or start ---- */

int
daemon_open(const struct daemon_spec *spec, struct daemon *ret, struct err *err)
{
    int64_t deadline_ns = clock_now_ns() + OPEN_NS;
    bool prepared = false;
    for (;;) {
        struct err why = ERR_INIT;
        int r = try_running(spec, ret, &why);
        if (r < 0) {
            *err = why;
            return -1;
        }
        if (r > 0)
            return 0;
        if (why.kind == ERR_NONE) {
            if (!prepared && spec->prepare && spec->prepare(spec->arg, err) < 0)
                return -1;
            prepared = true;
            if (daemon_start(spec, ret, &why) == 0)
                return 0;
        }
        /* Somebody has it for a moment: a `status`, or one that has just been started. */
        if (why.kind != ERR_CONFLICT || clock_now_ns() >= deadline_ns ||
            wish_of(spec) != CHILD_GO_ON) {
            *err = why;
            return -1;
        }
        clock_sleep_until_ns(clock_now_ns() + AGAIN_NS);
    }
}

static int
socket_path(const struct config *config, char **ret, struct err *err)
{
    if (asprintf(ret, "%s/%s", config->migration.control_dir, DAEMON_SOCKET_NAME) < 0) {
        *ret = NULL;
        return err_errno(err, ENOMEM, "%s", DAEMON_SOCKET_NAME);
    }
    return 0;
}

static bool
killed(void *arg)
{
    return wish_of(arg) == CHILD_KILL;
}

static int
connect_to(const struct daemon_spec *spec, struct daemon *daemon, struct err *err)
{
    return local_http_new(daemon->socket, killed, (void *)(uintptr_t)spec, &daemon->http, err);
}

/* 1: one runs and does what is wanted; 0: none does, and err says why not to start one now, if
 * so. */
static int
try_running(const struct daemon_spec *spec, struct daemon *ret, struct err *err)
{
    auto_daemon struct daemon daemon = DAEMON_INIT;
    auto_json json_t *health = NULL;
    daemon.spec = spec;
    if (socket_path(spec->config, &daemon.socket, err) < 0 || connect_to(spec, &daemon, err) < 0)
        return -1;
    if (daemon_call(&daemon, "GET", "/health", NULL, NULL, &health, err) < 0) {
        if (err->kind != ERR_NOT_FOUND && err->kind != ERR_UNAVAILABLE)
            return -1;
        *err = ERR_INIT;
        return 0;
    }
    snprintf(daemon.mode, sizeof daemon.mode, "%s", json_get_str(health, "mode", ""));
    daemon.pid = json_get_int(health, "pid", 0);
    if (strcmp(daemon.mode, "look") == 0 && strcmp(spec->mode, "look") != 0) {
        err_set(err, ERR_CONFLICT,
                "%s: process %" PRId64 " has the store open to look at it: wait until it has ended",
                daemon.socket, daemon.pid);
        return 0;
    }
    if (json_get_bool(health, "stopping", false) && strcmp(spec->mode, "look") != 0) {
        err_set(err, ERR_CONFLICT, "%s: process %" PRId64 " is stopping: try again when it has",
                daemon.socket, daemon.pid);
        return 0;
    }
    *ret = daemon;
    daemon = DAEMON_INIT;
    return 1;
}

int
daemon_start(const struct daemon_spec *spec, struct daemon *ret, struct err *err)
{
    auto_daemon struct daemon daemon = DAEMON_INIT;
    auto_free char *path = NULL;
    int fds[2];
    daemon.spec = spec;
    daemon.ours = true;
    snprintf(daemon.mode, sizeof daemon.mode, "%s", spec->mode);
    if (child_program_find("vmferryd", &path, err) < 0 || ipc_pair(fds, err) < 0)
        return -1;
    daemon.fd = fds[0];
    auto_close int theirs = fds[1];
    const char *argv[] = { path, NULL };
    struct proc_spec proc_spec = PROC_SPEC_INIT;
    proc_spec.argv = argv;
    proc_spec.stderr_fd = STDERR_FILENO;
    proc_spec.fd3 = theirs;
    if (proc_start(&daemon.proc, &proc_spec, err) < 0)
        return -1;
    close(TAKE_FD(theirs));
    daemon.pid = daemon.proc.pid;

    json_t *config = site_json(spec->config, err);
    if (!config)
        return -1;
    json_t *start =
        json_pack("{s:s, s:o, s:s, s:s}", "mode", spec->mode, "config", config, "control_dir",
                  spec->config->migration.control_dir, "store", spec->config->store);
    if (!start)
        return err_set(err, ERR_BUG, "the start of vmferryd could not be built");
    if (ipc_parent_begin(daemon.fd, "daemon", start, err) < 0 || wait_ready(&daemon, err) < 0 ||
        connect_to(spec, &daemon, err) < 0)
        return -1;
    *ret = daemon;
    daemon = DAEMON_INIT;
    return 0;
}

static int
hear(struct daemon *daemon, const json_t *msg)
{
    const struct daemon_spec *spec = daemon->spec;
    if (strcmp(ipc_type(msg), "log") == 0 && spec->log)
        spec->log(child_log_level(msg), json_get_str(msg, "text", ""), spec->arg);
    return strcmp(ipc_type(msg), "result") == 0;
}

static int
wait_ready(struct daemon *daemon, struct err *err)
{
    int64_t deadline_ns = clock_now_ns() + READY_NS;
    while (clock_now_ns() < deadline_ns) {
        auto_json json_t *msg = NULL;
        int r = ipc_recv(daemon->fd, clock_now_ns() + TICK_NS, &msg, err);
        if (r < 0)
            return take_result(daemon, NULL, err);
        if (wish_of(daemon->spec) != CHILD_GO_ON)
            return err_set(err, ERR_CANCELLED, "stopped on request");
        if (r > 0 && hear(daemon, msg)) {
            if (take_result(daemon, msg, err) == 0)
                return err_set(err, ERR_UNAVAILABLE, "vmferryd ended at once");
            return -1;
        }
        if (r > 0 && strcmp(ipc_type(msg), "ready") == 0) {
            daemon->socket = strdup(json_get_str(msg, "socket", ""));
            return daemon->socket ? 0 : err_errno(err, ENOMEM, "vmferryd");
        }
    }
    return err_set(err, ERR_UNAVAILABLE, "vmferryd was not ready in time");
}

/* ---- ask ---- */

int
daemon_call(struct daemon *daemon, const char *method, const char *path, const json_t *body,
            int *ret_status, json_t **ret, struct err *err)
{
    auto_json json_t *answer = NULL, *nothing = NULL;
    auto_free char *whole = NULL;
    int status = 0;
    if (asprintf(&whole, API "%s", path) < 0) {
        whole = NULL;
        return err_errno(err, ENOMEM, "%s %s", method, path);
    }
    if (!body && strcmp(method, "GET") != 0)
        body = nothing = json_object();
    int r = local_http_call(daemon->http, method, whole, body, &status, &answer, err);
    daemon->mute = r < 0 && (err->kind == ERR_UNAVAILABLE || err->kind == ERR_NOT_FOUND);
    if (r < 0)
        return -1;
    if (ret_status)
        *ret_status = status;
    if (status < 200 || status > 299)
        return fail_by_status(status, answer, err);
    if (ret)
        *ret = TAKE_PTR(answer);
    return 0;
}

bool
daemon_is_lost(const struct daemon *daemon)
{
    return daemon->mute && !daemon->ours;
}

static int
fail_by_status(int status, const json_t *body, struct err *err)
{
    static const struct {
        int status;
        enum err_kind kind;
    } kinds[] = {
        { 400, ERR_INVALID },     { 401, ERR_DENIED },   { 403, ERR_DENIED },
        { 404, ERR_NOT_FOUND },   { 409, ERR_CONFLICT }, { 413, ERR_INVALID },
        { 503, ERR_UNAVAILABLE }, { 0, ERR_BUG },
    };
    size_t i = 0;
    while (kinds[i].status != 0 && kinds[i].status != status)
        i++;
    const char *detail = json_get_str(body, "detail", NULL);
    if (!detail)
        return err_set(err, kinds[i].kind, "vmferryd answered with status %d", status);
    return err_set(err, kinds[i].kind, "%s", detail);
}

/* ---- listen, stop ---- */

int
daemon_listen(struct daemon *daemon, int64_t deadline_ns, struct err *err)
{
    if (!daemon->ours) {
        poll(NULL, 0, clock_poll_ms(deadline_ns)); /* unlike a sleep, ended by a signal */
        return 0;
    }
    for (;;) {
        auto_json json_t *msg = NULL;
        int r = ipc_recv(daemon->fd, deadline_ns, &msg, err);
        if (r < 0)
            return take_result(daemon, NULL, err);
        if (r == 0)
            return 0;
        if (hear(daemon, msg))
            return take_result(daemon, msg, err) < 0 ? -1 : 1;
    }
}

/* Its last word, or, with NULL, that there was none. It has ended then, or is about to. */
static int
take_result(struct daemon *daemon, const json_t *msg, struct err *err)
{
    char status[PROC_STATUS_MAX];
    bool ended = proc_wait(&daemon->proc, clock_now_ns() + ENDED_NS);
    proc_done(&daemon->proc);
    close(TAKE_FD(daemon->fd));
    if (msg && json_get_bool(msg, "ok", false))
        return 0;
    if (msg) {
        json_to_err(json_object_get(msg, "error"), err);
        return -1;
    }
    return err_set(err, ERR_UNAVAILABLE, "vmferryd ended without a result: %s",
                   ended ? proc_status_text(daemon->proc.status, status) : "it was killed");
}

void
daemon_ask_to_stop(struct daemon *daemon)
{
    struct err ignored = ERR_INIT; /* one that has just ended is heard of by daemon_listen */
    if (daemon->fd >= 0)
        ipc_send(daemon->fd, json_pack("{s:s, s:s}", "type", "wish", "wish", "stop"), &ignored);
}

void
daemon_close(struct daemon *daemon)
{
    struct err ignored = ERR_INIT;
    if (daemon->fd >= 0 && strcmp(daemon->mode, "look") == 0) {
        close(TAKE_FD(daemon->fd));
        proc_wait(&daemon->proc, clock_now_ns() + LOOK_CLOSE_NS);
    } else if (daemon->fd >= 0 && daemon->http) { /* it was ready */
        int64_t deadline_ns = clock_now_ns() + CLOSE_NS;
        daemon_ask_to_stop(daemon);
        while (daemon->fd >= 0 && clock_now_ns() < deadline_ns &&
               wish_of(daemon->spec) != CHILD_KILL)
            daemon_listen(daemon, clock_now_ns() + TICK_NS, &ignored);
    }
    cleanup_close(&daemon->fd);
    proc_done(&daemon->proc);
    local_http_free(daemon->http);
    free(daemon->socket);
    *daemon = DAEMON_INIT;
}
