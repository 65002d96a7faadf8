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
#define LAST_WORDS_NS NS_PER_S       /* between a closed socket and the end of the process */
#define END_GRACE_NS (10 * NS_PER_S) /* after the result */
#define MESSAGES_MAX 32              /* heard in one step: others want to be heard, too */

enum child_state {
    CHILD_GREETS,   /* its hello is waited for */
    CHILD_TALKS,    /* it has its task */
    CHILD_LEAVES,   /* its result is here, its end is waited for */
    CHILD_VANISHES, /* the socket is closed, and it gave no result */
    CHILD_HAS_ENDED,
};

struct child {
    struct child_spec spec;
    struct proc proc;
    int fd;
    enum child_state state;
    int64_t limit_ns; /* when the state has lasted too long; CHILD_TALKS: it may take any time */
    int64_t wish_ns;  /* when our wish is asked for again */
    json_t *start;    /* until it was sent */
    json_t *result;
    struct err failure; /* in place of a result */
    int died_status;
    bool cancel_sent;
};

static void child_free(struct child *child);
static void hear(struct child *child);
static void ask_wish(struct child *child);
static void see_end(struct child *child);

/* ---- one task ---- */

int
child_run(const struct child_spec *spec, json_t *start, json_t **ret_result, struct err *err)
{
    struct child *child;
    if (child_start(spec, start, &child, err) < 0)
        return -1;
    while (child_step(child)) {
        struct pollfd pfd = child_pollfd(child);
        poll(&pfd, 1, clock_poll_ms(child_due_ns(child)));
    }
    return child_end(child, NULL, ret_result, err);
}

static void
child_cleanup(struct child **child)
{
    child_free(*child);
}

int
child_start(const struct child_spec *spec, json_t *start, struct child **ret, struct err *err)
{
    auto_json json_t *owned_start = start;
    AUTO(child_cleanup) struct child *child = calloc(1, sizeof *child);
    if (!child)
        return err_errno(err, ENOMEM, "start %s", spec->program);
    child->spec = *spec;
    child->proc = PROC_INIT;
    child->fd = -1;
    child->start = TAKE_PTR(owned_start);
    auto_free char *path = NULL;
    if (child_program_find(spec->program, &path, err) < 0)
        return -1;
    int fds[2];
    if (ipc_pair(fds, err) < 0)
        return -1;
    child->fd = fds[0];
    auto_close int theirs = fds[1];

    const char *argv[] = { path, spec->argument, NULL };
    struct proc_spec proc_spec = PROC_SPEC_INIT;
    proc_spec.argv = argv;
    proc_spec.env_add = spec->env_add;
    proc_spec.stdin_fd = spec->stdin_fd;
    proc_spec.stderr_fd = spec->stderr_fd > 0 ? spec->stderr_fd : STDERR_FILENO;
    proc_spec.fd3 = theirs;
    if (proc_start(&child->proc, &proc_spec, err) < 0)
        return -1;
    child->limit_ns = clock_now_ns() + IPC_HELLO_NS;
    *ret = TAKE_PTR(child);
    return 0;
}

static void
child_free(struct child *child)
{
    if (!child)
        return;
    proc_done(&child->proc);
    if (child->fd >= 0)
        close(child->fd);
    json_decref(child->start);
    json_decref(child->result);
    free(child);
}

/* It may still say something. */
static bool
is_with_us(const struct child *child)
{
    return child->state == CHILD_GREETS || child->state == CHILD_TALKS;
}

struct pollfd
child_pollfd(const struct child *child)
{
    return (struct pollfd){ .fd = is_with_us(child) ? child->fd : child->proc.pidfd,
                            .events = POLLIN };
}

int64_t
child_due_ns(const struct child *child)
{
    return is_with_us(child) ? MIN(child->limit_ns, child->wish_ns) : child->limit_ns;
}

bool
child_step(struct child *child)
{
    hear(child);
    ask_wish(child);
    see_end(child);
    return child->state != CHILD_HAS_ENDED;
}

bool
child_tell(struct child *child, json_t *msg)
{
    auto_json json_t *owned = msg;
    struct err ignored = ERR_INIT; /* one that has just ended: the next step sees it */
    struct pollfd pfd = { .fd = child->fd, .events = POLLOUT };
    if (child->state != CHILD_TALKS || poll(&pfd, 1, 0) != 1 || !(pfd.revents & POLLOUT))
        return false;
    return ipc_send(child->fd, TAKE_PTR(owned), &ignored) == 0;
}

int
child_end(struct child *child, int *ret_died_status, json_t **ret_result, struct err *err)
{
    AUTO(child_cleanup) struct child *owned = child;
    if (ret_died_status)
        *ret_died_status = child->died_status;
    if (child->state != CHILD_HAS_ENDED)
        return err_set(err, ERR_CANCELLED, "stopped on request");
    if (!child->result) {
        *err = child->failure;
        return -1;
    }
    if (!json_get_bool(child->result, "ok", false)) {
        json_to_err(json_object_get(child->result, "error"), err);
        return -1;
    }
    *ret_result = TAKE_PTR(child->result);
    return 0;
}

/* ---- what it says ---- */

static void
give_up(struct child *child, const struct err *why)
{
    child->failure = *why;
    proc_done(&child->proc);
    child->state = CHILD_HAS_ENDED;
}

/* One that has closed its socket without a result is about to end, and its status says more. */
static void
take_failure(struct child *child, const struct err *why)
{
    if (why->kind != ERR_UNAVAILABLE) {
        give_up(child, why);
        return;
    }
    child->failure = *why;
    child->state = CHILD_VANISHES;
    child->limit_ns = clock_now_ns() + LAST_WORDS_NS;
}

static void
take_message(struct child *child, json_t *msg)
{
    const struct child_spec *spec = &child->spec;
    struct err err = ERR_INIT;
    if (child->state == CHILD_GREETS) {
        child->state = CHILD_TALKS;
        child->limit_ns = INT64_MAX;
        if (ipc_parent_greeted(child->fd, msg, spec->role, TAKE_PTR(child->start), &err) < 0)
            take_failure(child, &err);
    } else if (strcmp(ipc_type(msg), "result") == 0) {
        child->result = json_incref(msg);
        child->state = CHILD_LEAVES;
        child->limit_ns = clock_now_ns() + END_GRACE_NS;
    } else if (spec->answer && strcmp(ipc_type(msg), "need") == 0) {
        json_t *answer = spec->answer(msg, spec->arg);
        if (answer)
            ipc_send(child->fd, answer, &err); /* one that has just ended is noticed anyhow */
    } else if (spec->event) {
        spec->event(msg, spec->arg);
    }
}

static void
hear(struct child *child)
{
    int r = 1;
    for (int i = 0; i < MESSAGES_MAX && r > 0; i++) {
        auto_json json_t *msg = NULL;
        struct err err = ERR_INIT;
        if (!is_with_us(child))
            return;
        r = ipc_recv(child->fd, clock_now_ns(), &msg, &err);
        if (r > 0)
            take_message(child, msg);
        if (r < 0 && child->state == CHILD_GREETS)
            err_prefix(&err, "start of %s", child->spec.role);
        if (r < 0)
            take_failure(child, &err);
    }
}

static void
ask_wish(struct child *child)
{
    const struct child_spec *spec = &child->spec;
    if (!is_with_us(child))
        return;
    child->wish_ns = clock_now_ns() + TICK_NS;
    enum child_wish wish = spec->wish ? spec->wish(spec->arg) : CHILD_GO_ON;
    if (wish == CHILD_KILL) {
        struct err err = ERR_INIT;
        err_set(&err, ERR_CANCELLED, "stopped on request");
        give_up(child, &err);
    }
    if (wish == CHILD_CANCEL && !child->cancel_sent)
        child->cancel_sent =
            child_tell(child, json_pack("{s:s, s:s}", "type", "wish", "wish", "cancel"));
}

/* ---- its end ---- */

static void
see_end(struct child *child)
{
    char status[PROC_STATUS_MAX];
    bool late = clock_now_ns() >= child->limit_ns;
    if (child->state == CHILD_GREETS && late) {
        err_set(&child->failure, ERR_UNAVAILABLE, "start of %s: no 'hello' came in time",
                child->spec.role);
        child->state = CHILD_VANISHES; /* as far as we are concerned */
    }
    if (child->state != CHILD_LEAVES && child->state != CHILD_VANISHES)
        return;
    bool gone = proc_wait(&child->proc, clock_now_ns());
    if (!gone && !late)
        return;
    if (child->state == CHILD_VANISHES && gone) {
        child->died_status = child->proc.status;
        err_set(&child->failure, ERR_UNAVAILABLE, "%s ended without a result: %s",
                child->spec.program, proc_status_text(child->proc.status, status));
    }
    proc_done(&child->proc);
    child->state = CHILD_HAS_ENDED;
}

/* ---- where our programs are ---- */

int
child_program_find(const char *program, char **ret_path, struct err *err)
{
    /* Folders relative to that of the running program: an installation that was moved as a whole, a
     * build tree. */
    static const char *const near[] = { ".", "../libexec/vmferry", "../worker", "../copier",
                                        "../daemon" };
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
