#include "wire/child.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/proc.h"
#include "wire/ipc.h"

#define TICK_NS (200 * NS_PER_MS)
#define LAST_WORDS_NS NS_PER_S /* between a closed socket and the end of the process */
#define END_GRACE_MS 10000     /* after the result */

static int converse(const struct child_spec *spec, struct proc *proc, int fd, json_t **ret_result,
                    struct err *err);

/* ---- one task ---- */

int
child_run(const struct child_spec *spec, json_t *start, json_t **ret_result, struct err *err)
{
    auto_json json_t *owned_start = start;
    auto_free char *path = NULL;
    if (child_program_find(spec->program, &path, err) < 0)
        return -1;
    int fds[2];
    if (ipc_pair(fds, err) < 0)
        return -1;
    auto_close int ours = fds[0];
    auto_close int theirs = fds[1];

    const char *argv[] = { path, spec->argument, NULL };
    struct proc_spec proc_spec = PROC_SPEC_INIT;
    proc_spec.argv = argv;
    proc_spec.env_add = spec->env_add;
    proc_spec.stdin_fd = spec->stdin_fd;
    proc_spec.stderr_fd = spec->stderr_fd > 0 ? spec->stderr_fd : STDERR_FILENO;
    proc_spec.fd3 = theirs;
    auto_proc struct proc proc = PROC_INIT;
    if (proc_start(&proc, &proc_spec, err) < 0)
        return -1;
    close(TAKE_FD(theirs));

    auto_json json_t *result = NULL;
    int r = ipc_parent_begin(ours, spec->role, TAKE_PTR(owned_start), err);
    if (r == 0)
        r = converse(spec, &proc, ours, &result, err);
    if (r < 0 && err->kind == ERR_UNAVAILABLE && proc_wait(&proc, clock_now_ns() + LAST_WORDS_NS)) {
        char status[PROC_STATUS_MAX];
        if (spec->died_status)
            *spec->died_status = proc.status;
        return err_set(err, ERR_UNAVAILABLE, "%s ended without a result: %s", spec->program,
                       proc_status_text(proc.status, status));
    }
    if (r < 0)
        return -1;
    if (!proc_wait(&proc, clock_now_ns() + END_GRACE_MS * NS_PER_MS))
        proc_done(&proc);
    if (!json_get_bool(result, "ok", false)) {
        json_to_err(json_object_get(result, "error"), err);
        return -1;
    }
    *ret_result = TAKE_PTR(result);
    return 0;
}

static int
converse(const struct child_spec *spec, struct proc *proc, int fd, json_t **ret_result,
         struct err *err)
{
    bool cancel_sent = false;
    for (;;) {
        auto_json json_t *msg = NULL;
        int r = ipc_recv(fd, clock_now_ns() + TICK_NS, &msg, err);
        if (r < 0)
            return -1;
        if (r > 0 && strcmp(ipc_type(msg), "result") == 0) {
            *ret_result = TAKE_PTR(msg);
            return 0;
        }
        if (r > 0 && spec->answer && strcmp(ipc_type(msg), "need") == 0) {
            json_t *answer = spec->answer(msg, spec->arg);
            struct err ignored = ERR_INIT; /* one that has just ended is noticed above */
            if (answer)
                ipc_send(fd, answer, &ignored);
        } else if (r > 0 && spec->event) {
            spec->event(msg, spec->arg);
        }
        enum child_wish wish = spec->wish ? spec->wish(spec->arg) : CHILD_GO_ON;
        if (wish == CHILD_KILL) {
            proc_done(proc);
            return err_set(err, ERR_CANCELLED, "stopped on request");
        }
        if (wish == CHILD_CANCEL && !cancel_sent) {
            /* One that has just ended cannot take it: its result is on the way. */
            struct err ignored = ERR_INIT;
            ipc_send(fd, json_pack("{s:s, s:s}", "type", "wish", "wish", "cancel"), &ignored);
            cancel_sent = true;
        }
    }
}

/* ---- where our programs are ---- */

int
child_program_find(const char *program, char **ret_path, struct err *err)
{
    /* Folders relative to that of the running program: an installation that was moved as a whole, a
     * build tree. */
    static const char *const near[] = { ".", "../libexec/vmferry", "../worker", "../copier" };
    if (strchr(program, '/')) {
        *ret_path = strdup(program);
        return *ret_path ? 0 : err_errno(err, ENOMEM, "%s", program);
    }
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len < 0)
        return err_set(err, ERR_UNAVAILABLE, "%s: cannot be found without /proc", program);
    self[len] = '\0';
    const char *dir = dirname(self);
    for (size_t i = 0; i <= ARRAY_LEN(near); i++) {
        char *path = NULL;
        int n = i < ARRAY_LEN(near) ? asprintf(&path, "%s/%s/%s", dir, near[i], program)
                                    : asprintf(&path, "%s/%s", VMFERRY_LIBEXECDIR, program);
        if (n < 0)
            return err_set(err, ERR_UNAVAILABLE, "%s: no memory", program);
        if (access(path, X_OK) == 0) {
            *ret_path = path;
            return 0;
        }
        free(path);
    }
    return err_set(err, ERR_NOT_FOUND,
                   "%s is neither beside this program in %s nor in %s: install vmferry whole",
                   program, dir, VMFERRY_LIBEXECDIR);
}

/* ---- its log ---- */

static const char *const level_names[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARNING] = "warning",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};

enum log_level
child_log_level(const json_t *msg)
{
    const char *name = json_get_str(msg, "level", "");
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
        if (strcmp(name, level_names[i]) == 0)
            return (enum log_level)i;
    return LOG_LEVEL_INFO;
}

const char *
child_log_level_name(enum log_level level)
{
    return level_names[level];
}
