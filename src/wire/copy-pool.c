#include "wire/copy-pool.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/checked.h"
#include "base/clock.h"
#include "wire/copy-message.h"
#include "wire/ipc.h"

/* One copy: what was asked for, and the process that is at it. */
struct copy_job {
    unsigned ticket;
    const struct copy_request *request;
    const struct copy_watch *watch;
    struct child *child; /* NULL: it has ended */
    bool cancelled;
    uint64_t limit_bytes_s; /* what the process knows of */

    uint64_t done_bytes;   /* the most that it said */
    uint64_t before_bytes; /* the same, when the process was started */
    unsigned restarts, in_place;

    struct copy_result result; /* when it has ended ... */
    struct err failure;        /* ... without this */
};

struct copy_pool {
    unsigned n, last_ticket;
    uint64_t limit_bytes_s;
    struct copy_job *jobs[COPY_POOL_MAX]; /* in the order of their start */
};

static uint64_t share_of(const struct copy_pool *pool, const struct copy_job *job);
static int start_child(struct copy_job *job, uint64_t limit_bytes_s, struct err *err);
static void settle(struct copy_pool *pool, struct copy_job *job);
static void tell_limits(struct copy_pool *pool);

/* ---- life ---- */

int
copy_pool_new(struct copy_pool **ret, struct err *err)
{
    *ret = calloc(1, sizeof **ret);
    return *ret ? 0 : err_errno(err, ENOMEM, "copies");
}

static void
job_free(struct copy_job *job)
{
    struct err ignored = ERR_INIT;
    json_t *result = NULL;
    if (job && job->child)
        child_end(job->child, NULL, &result, &ignored);
    json_decref(result);
    free(job);
}

static void
job_cleanup(struct copy_job **job)
{
    job_free(*job);
}

void
copy_pool_free(struct copy_pool *pool)
{
    for (unsigned i = 0; pool && i < pool->n; i++)
        job_free(pool->jobs[i]);
    free(pool);
}

int
copy_pool_start(struct copy_pool *pool, const struct copy_request *request,
                const struct copy_watch *watch, unsigned *ret_ticket, struct err *err)
{
    AUTO(job_cleanup) struct copy_job *job = calloc(1, sizeof *job);
    if (!job)
        return err_errno(err, ENOMEM, "%s", copy_request_name(request));
    if (pool->n == COPY_POOL_MAX)
        return err_set(err, ERR_CONFLICT, "%s: %d copies are there already",
                       copy_request_name(request), COPY_POOL_MAX);
    job->ticket = ++pool->last_ticket;
    job->request = request;
    job->watch = watch;
    pool->jobs[pool->n++] = job;
    if (start_child(job, share_of(pool, job), err) < 0) {
        pool->n--;
        return -1;
    }
    *ret_ticket = TAKE_PTR(job)->ticket;
    tell_limits(pool);
    return 0;
}

/* ---- steps ---- */

void
copy_pool_step(struct copy_pool *pool, int64_t deadline_ns)
{
    struct pollfd pfds[COPY_POOL_MAX];
    unsigned n = 0;
    for (unsigned i = 0; i < pool->n; i++) {
        const struct copy_job *job = pool->jobs[i];
        if (!job->child)
            return;
        int64_t due_ns = child_due_ns(job->child);
        deadline_ns = deadline_ns < 0 ? due_ns : MIN(deadline_ns, due_ns);
        pfds[n++] = child_pollfd(job->child);
    }
    if (n == 0)
        return;
    poll(pfds, n, clock_poll_ms(deadline_ns));
    for (unsigned i = 0; i < n; i++)
        if (!child_step(pool->jobs[i]->child))
            settle(pool, pool->jobs[i]);
    tell_limits(pool);
}

unsigned
copy_pool_running(const struct copy_pool *pool)
{
    unsigned n = 0;
    for (unsigned i = 0; i < pool->n; i++)
        n += pool->jobs[i]->child != NULL;
    return n;
}

bool
copy_pool_next_ended(struct copy_pool *pool, unsigned *ret_ticket, struct copy_result *ret_result,
                     struct err *ret_failure)
{
    unsigned i = 0;
    while (i < pool->n && pool->jobs[i]->child)
        i++;
    if (i == pool->n)
        return false;
    AUTO(job_cleanup) struct copy_job *job = pool->jobs[i];
    for (pool->n--; i < pool->n; i++)
        pool->jobs[i] = pool->jobs[i + 1];
    *ret_ticket = job->ticket;
    *ret_failure = job->failure;
    if (job->failure.kind == ERR_NONE)
        *ret_result = job->result;
    return true;
}

void
copy_pool_cancel(struct copy_pool *pool)
{
    for (unsigned i = 0; i < pool->n; i++)
        pool->jobs[i]->cancelled = true;
}

/* ---- the limit ---- */

void
copy_pool_limit(struct copy_pool *pool, uint64_t bytes_s)
{
    pool->limit_bytes_s = bytes_s;
    tell_limits(pool);
}

static uint64_t
share_of(const struct copy_pool *pool, const struct copy_job *job)
{
    uint64_t own = job->request->limit_bytes_s;
    if (!pool->limit_bytes_s)
        return own;
    unsigned n = copy_pool_running(pool) + !job->child; /* one that is about to start counts */
    uint64_t share = MAX(pool->limit_bytes_s / n, UINT64_C(1)); /* 0 would be no limit */
    return own ? MIN(own, share) : share;
}

/* Whom it concerns; one that cannot be told now is told after a later step. */
static void
tell_limits(struct copy_pool *pool)
{
    for (unsigned i = 0; i < pool->n; i++) {
        struct copy_job *job = pool->jobs[i];
        uint64_t share = share_of(pool, job);
        if (job->child && share != job->limit_bytes_s &&
            child_tell(job->child, json_pack("{s:s, s:s, s:I}", "type", "wish", "wish", "limit",
                                             "limit_bytes_s", (json_int_t)share)))
            job->limit_bytes_s = share;
    }
}

/* ---- what a process says ---- */

static void
take_event(const json_t *msg, void *arg)
{
    struct copy_job *job = arg;
    const struct copy_watch *watch = job->watch;
    if (strcmp(ipc_type(msg), "progress") == 0) {
        struct copy_progress progress;
        copy_progress_of_message(msg, &progress);
        job->done_bytes = MAX(job->done_bytes, progress.done_bytes);
        if (watch->progress)
            watch->progress(&progress, watch->arg);
    } else if (strcmp(ipc_type(msg), "log") == 0 && watch->log) {
        watch->log(child_log_level(msg), json_get_str(msg, "text", ""), watch->arg);
    }
}

static json_t *
answer_need(const json_t *msg, void *arg)
{
    const struct copy_watch *watch = ((const struct copy_job *)arg)->watch;
    const char *what = json_get_str(msg, "what", "");
    auto_secret char *value = NULL;
    struct err err = ERR_INIT;
    if (!watch->need)
        err_set(&err, ERR_DENIED, "no new %s can be had here", what);
    else if (watch->need(what, &value, watch->arg, &err) == 0)
        return json_pack("{s:s, s:s, s:s}", "type", "wish", "wish", what, what, value);
    return json_pack("{s:s, s:s, s:n, s:o}", "type", "wish", "wish", what, what, "error",
                     json_from_err(&err));
}

static enum child_wish
ask_wish(void *arg)
{
    const struct copy_job *job = arg;
    enum child_wish wish = job->watch->wish ? job->watch->wish(job->watch->arg) : CHILD_GO_ON;
    return wish == CHILD_GO_ON && job->cancelled ? CHILD_CANCEL : wish;
}

/* ---- starting, and starting again ---- */

static bool
is_vddk(const struct copy_request *request)
{
    return request->remote && strcmp(request->remote->kind, "vddk") == 0;
}

/* Its private libraries are found where it looks for them, and by nobody else. The caller frees. */
static int
library_path(const struct copy_remote *remote, char **ret, struct err *err)
{
    if (!remote->libdir || remote->libdir[0] == '\0')
        return err_set(err, ERR_INVALID,
                       "%s: it is not known where VMware's disk library is: name the directory "
                       "that has lib64/libvixDiskLib.so.8 (vddk-libdir)",
                       remote->name);
    const char *old = getenv("LD_LIBRARY_PATH");
    if (asprintf(ret, "LD_LIBRARY_PATH=%s/lib64:%s%s%s", remote->libdir, remote->libdir,
                 old && *old ? ":" : "", old && *old ? old : "") < 0)
        return err_errno(err, ENOMEM, "%s", remote->name);
    return 0;
}

static int
start_child(struct copy_job *job, uint64_t limit_bytes_s, struct err *err)
{
    const struct copy_request *request = job->request;
    auto_free char *path = NULL;
    if (is_vddk(request) && library_path(request->remote, &path, err) < 0)
        return -1;
    const char *const env_add[] = { path, NULL };
    struct child_spec spec = {
        .program = is_vddk(request) ? "vmferry-copy-vddk" : "vmferry-copy",
        .role = "copy",
        .env_add = env_add,
        .stdin_fd = request->stdin_fd,
        .event = take_event,
        .wish = ask_wish,
        .answer = answer_need,
        .arg = job,
    };
    auto_json json_t *start = copy_start_message(request, limit_bytes_s, err);
    if (!start)
        return -1;
    job->limit_bytes_s = limit_bytes_s;
    job->before_bytes = job->done_bytes;
    return child_start(&spec, TAKE_PTR(start), &job->child, err);
}

/* A crash, and not the end that somebody wished for. */
static bool
worth_restarting(const struct copy_request *request, int died_status)
{
    if (!is_vddk(request) || !WIFSIGNALED(died_status))
        return false;
    int signum = WTERMSIG(died_status);
    return signum != SIGTERM && signum != SIGINT && signum != SIGHUP && signum != SIGQUIT;
}

/* A warning of our own, in the log of the copy. */
__attribute__((format(printf, 2, 3))) static void
say(const struct copy_job *job, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (job->watch->log)
        job->watch->log(LOG_LEVEL_WARNING, text, job->watch->arg);
}

/* 0: it runs again. */
static int
restart(const struct copy_pool *pool, struct copy_job *job, struct err *err)
{
    const struct copy_remote *remote = job->request->remote;
    job->in_place = job->done_bytes > job->before_bytes ? 0 : job->in_place + 1;
    if (job->restarts == COPY_RESTARTS_MAX || job->in_place > COPY_RESTARTS_IN_PLACE_MAX)
        return err_prefix(err,
                          "%s: given up after %u new starts; the library in %s crashes: try "
                          "another version of it, or another transport",
                          remote->name, job->restarts, remote->libdir);
    job->restarts++;
    say(job, "%s: %s; starting it again (%u of %d), it goes on from %llu bytes", remote->name,
        err->text, job->restarts, COPY_RESTARTS_MAX, (unsigned long long)job->done_bytes);
    *err = ERR_INIT;
    return start_child(job, share_of(pool, job), err);
}

/* A process has ended: what that means for its copy. */
static void
settle(struct copy_pool *pool, struct copy_job *job)
{
    auto_json json_t *result = NULL;
    int died_status;
    if (child_end(TAKE_PTR(job->child), &died_status, &result, &job->failure) == 0)
        copy_result_of_message(result, &job->result);
    else if (worth_restarting(job->request, died_status) && !job->cancelled)
        restart(pool, job, &job->failure);
}
