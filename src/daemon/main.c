/* vmferryd: remembers, supervises, answers. On behalf of the process at descriptor 3, which is
 * 'vmferry serve', 'vmferry run', or a command that only looks.
 *
 * One thread and one event loop; nothing in it waits for anybody but the disk under the store. The
 * order of things is in daemon.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "base/checked.h"
#include "base/clock.h"
#include "daemon/daemon.h"
#include "daemon/folder.h"
#include "daemon/http.h"
#include "daemon/limits.h"
#include "daemon/link.h"
#include "daemon/note.h"
#include "daemon/supervise.h"
#include "daemon/tend.h"
#include "wire/child.h"

#define SOCKET_NAME "vmferryd.sock"
#define STOP_MAX_S 10
#define LAST_WORD_S 5
#define PRUNE_EVERY_S 3600
#define CONFIG_TEXT_MAX ((size_t)IPC_PACKET_MAX)

/* The program around the daemon. */
struct program {
    struct daemon daemon;
    struct link parent;
    struct http *http;
    sd_event_source *too_late, *prune;
    bool ready;
};

static int set_up(struct program *program, const json_t *start, struct err *err);
static void tear_down(struct program *program);
static int read_start(struct daemon *daemon, const json_t *start, struct err *err);
static int open_all(struct program *program, const json_t *start, struct err *err);
static int watch_signals(struct program *program, struct err *err);
static void stop(struct program *program);
static void on_parent(const json_t *msg, const struct err *why, void *arg);
static void log_to_parent(enum log_level level, const char *text, void *arg);

/* Until it is told to stop and all workers have ended. */
static int
run(struct program *program, struct err *err)
{
    auto_json json_t *start = NULL;
    if (ipc_child_begin(IPC_CHILD_FD, "daemon", &start, err) < 0)
        return -1;
    struct err failure = ERR_INIT;
    int r = set_up(program, start, &failure);
    json_decref(TAKE_PTR(start)); /* passwords are in it */
    while (r >= 0 && !(program->daemon.stopping && program->daemon.n_workers == 0)) {
        r = sd_event_run(program->daemon.event, UINT64_MAX);
        if (r < 0)
            err_errno(&failure, -r, "wait for events");
    }
    sd_notify(0, "STOPPING=1");
    tear_down(program);
    int sent = ipc_send_result(IPC_CHILD_FD, r < 0 ? &failure : NULL, NULL, err);
    if (sent < 0 && r >= 0)
        return 0; /* a parent that has gone is a way to stop */
    if (r < 0 && sent < 0)
        *err = failure;
    return r < 0 && sent < 0 ? -1 : r < 0 ? 1 : 0;
}

static int
set_up(struct program *program, const json_t *start, struct err *err)
{
    int fd = fcntl(IPC_CHILD_FD, F_DUPFD_CLOEXEC, IPC_CHILD_FD + 1);
    if (fd < 0)
        return err_errno(err, errno, "descriptor %d", IPC_CHILD_FD);
    fcntl(IPC_CHILD_FD, F_SETFD, FD_CLOEXEC);
    /* The last word to a parent that does not read is not waited for without end. */
    struct timeval patience = { .tv_sec = LAST_WORD_S };
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    int r = sd_event_new(&program->daemon.event);
    if (r < 0) {
        close(fd);
        return err_errno(err, -r, "make an event loop");
    }
    if (link_open(&program->parent, program->daemon.event, fd, on_parent, program, err) < 0 ||
        read_start(&program->daemon, start, err) < 0)
        return -1;
    if (open_all(program, start, err) < 0)
        return -1;
    auto_free char *socket = NULL;
    if (asprintf(&socket, "%s/%s", program->daemon.control_dir, SOCKET_NAME) < 0)
        return err_errno(err, ENOMEM, "%s", SOCKET_NAME);
    if (http_open(socket, program->daemon.event, api_answer, &program->daemon, &program->http,
                  err) < 0)
        return -1;
    program->ready = true;
    tend_soon(&program->daemon);
    sd_notify(0, "READY=1");
    return link_send(&program->parent, json_pack("{s:s, s:s}", "type", "ready", "socket", socket),
                     err);
}

static void
tear_down(struct program *program)
{
    struct daemon *daemon = &program->daemon;
    program->ready = false;
    http_close(program->http);
    supervise_kill_all(daemon);
    daemon->tend_soon = sd_event_source_disable_unref(daemon->tend_soon);
    sd_event_source_disable_unref(daemon->tend_at);
    sd_event_source_disable_unref(daemon->look_at_clock);
    sd_event_source_disable_unref(daemon->look_at_folders);
    sd_event_source_disable_unref(program->too_late);
    sd_event_source_disable_unref(program->prune);
    roster_free(daemon);
    store_close(daemon->store);
    config_free(&daemon->config);
    free(daemon->control_dir);
    free(daemon->worker);
    link_close(&program->parent);
    sd_event_unref(daemon->event);
}

/* ---- starting ---- */

static int
read_start(struct daemon *daemon, const json_t *start, struct err *err)
{
    static const char *const modes[] = {
        [DAEMON_SERVE] = "serve",
        [DAEMON_RUN] = "run",
        [DAEMON_LOOK] = "look",
    };
    const char *mode, *control_dir, *worker = json_get_str(start, "worker", NULL);
    if (json_need_str(start, "mode", &mode, err) < 0 ||
        json_need_str(start, "control_dir", &control_dir, err) < 0)
        return -1;
    size_t i = 0;
    while (i < ARRAY_LEN(modes) && strcmp(modes[i], mode) != 0)
        i++;
    if (i == ARRAY_LEN(modes))
        return err_set(err, ERR_INVALID, "'mode': no such mode: %s", mode);
    daemon->mode = (enum daemon_mode)i;
    daemon->control_dir = strdup(control_dir);
    daemon->worker = worker ? strdup(worker) : NULL;
    /* The config is read by its own reader, which takes JSON as it takes YAML. */
    auto_secret char *text = json_dumps(json_object_get(start, "config"), JSON_COMPACT);
    if (!text || !daemon->control_dir)
        return err_set(err, ERR_INVALID, "'config' is missing");
    if (config_read(text, strlen(text), "config", false, &daemon->config, err) < 0)
        return -1;
    return config_fill_defaults(&daemon->config, err);
}

/* The store is first: who owns it owns all else. */
static int
open_all(struct program *program, const json_t *start, struct err *err)
{
    struct daemon *daemon = &program->daemon;
    const char *store;
    if (json_need_str(start, "store", &store, err) < 0)
        return -1;
    if (mkdir(daemon->control_dir, 0755) < 0 && errno != EEXIST)
        return err_errno(err, errno, "%s: make the folder (migration.control_dir)",
                         daemon->control_dir);
    if (store_open(store, &daemon->store, err) < 0 || limits_load(daemon, err) < 0 ||
        tend_open(daemon, err) < 0 || watch_signals(program, err) < 0 ||
        roster_load(daemon, err) < 0)
        return -1;
    return daemon->mode == DAEMON_LOOK ? 0 : folder_watch(daemon, err);
}

/* ---- stopping ---- */

static int
on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *arg)
{
    (void)source;
    (void)info;
    stop(arg);
    return 0;
}

static int
on_prune(sd_event_source *source, uint64_t usec, void *arg)
{
    struct program *program = arg;
    (void)usec;
    note_prune(&program->daemon);
    uint64_t now_us = (uint64_t)(clock_now_ns() / 1000);
    sd_event_source_set_time(source, now_us + UINT64_C(1000000) * PRUNE_EVERY_S);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int
on_too_late(sd_event_source *source, uint64_t usec, void *arg)
{
    struct program *program = arg;
    (void)source;
    (void)usec;
    supervise_kill_all(&program->daemon);
    return 0;
}

static int
watch_signals(struct program *program, struct err *err)
{
    sd_event *event = program->daemon.event;
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    int r = sd_event_add_signal(event, NULL, SIGTERM, on_signal, program);
    if (r >= 0)
        r = sd_event_add_signal(event, NULL, SIGINT, on_signal, program);
    if (r >= 0)
        r = sd_event_add_time(event, &program->too_late, CLOCK_MONOTONIC, UINT64_MAX, 0,
                              on_too_late, program);
    if (r >= 0)
        r = sd_event_add_time(event, &program->prune, CLOCK_MONOTONIC, 0, 0, on_prune, program);
    return r < 0 ? err_errno(err, -r, "watch signals") : 0;
}

/* Workers come to their next checkpoint; what has not by then is killed. Either way their
 * migrations stay as they are in the store, and go on when vmferryd is started again. */
static void
stop(struct program *program)
{
    struct daemon *daemon = &program->daemon;
    if (daemon->stopping)
        return;
    daemon->stopping = true;
    supervise_stop_all(daemon);
    uint64_t at_us = (uint64_t)(clock_now_ns() / 1000) + UINT64_C(1000000) * STOP_MAX_S;
    sd_event_source_set_time(program->too_late, at_us);
    sd_event_source_set_enabled(program->too_late, SD_EVENT_ONESHOT);
}

static void
on_parent(const json_t *msg, const struct err *why, void *arg)
{
    (void)why;
    if (!msg ||
        (strcmp(ipc_type(msg), "wish") == 0 && strcmp(json_get_str(msg, "wish", ""), "stop") == 0))
        stop(arg);
}

static void
log_to_parent(enum log_level level, const char *text, void *arg)
{
    struct program *program = arg;
    struct err ignored = ERR_INIT;
    json_t *msg = json_pack("{s:s, s:s, s:o}", "type", "log", "level", child_log_level_name(level),
                            "text", json_text(text));
    if (!program->ready || link_send(&program->parent, msg, &ignored) < 0)
        fprintf(stderr, "vmferryd: %s\n", text);
}

int
main(void)
{
    struct program program = { .parent = LINK_INIT };
    struct err err = ERR_INIT;
    if (fcntl(IPC_CHILD_FD, F_GETFD) < 0) {
        fprintf(stderr, "vmferryd: is started by vmferry; use 'vmferry serve'\n");
        return 2;
    }
    /* Passwords pass through here: no core dump, no ptrace by the same user. */
    json_wipe_freed();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error like another */
    proc_forbid_core();
    log_setup("vmferryd", LOG_LEVEL_INFO, log_to_parent, &program);
    int r = run(&program, &err);
    if (r < 0)
        fprintf(stderr, "vmferryd: %s\n", err.text);
    return r < 0 ? 1 : r;
}
