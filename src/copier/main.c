/* vmferry-copy and vmferry-copy-vddk: one disk, from a source to a target, on behalf of the process
 * at descriptor 3. What the one can and the other cannot is in copier/program.h.
 *
 * Two threads besides those of the copy: this one talks to the parent, the other runs the job. When
 * the parent goes away, so does the copy (it is resumable). Some sources have to be prepared, and
 * cleared away, on the main thread while there is no other one.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/proc.h"
#include "copier/job.h"
#include "wire/ipc.h"

#define PROGRESS_NS (NS_PER_S / 5)
#define RATE_WINDOW 25 /* progress messages: 5 s */

struct job_thread {
    struct job job;
    pthread_t thread;
    _Atomic bool ended;
    int result;
    json_t *detail;
    struct err err;
};

/* Bytes done at the last few messages, for a rate that follows but does not jump. */
struct rate_meter {
    uint64_t bytes[RATE_WINDOW];
    int64_t at_ns[RATE_WINDOW];
    size_t n, next;
};

static void
log_to_parent(enum log_level level, const char *text, void *arg)
{
    static const char *const names[] = { "error", "warning", "info", "debug" };
    struct err ignored;
    (void)arg;
    ipc_send(
        IPC_CHILD_FD,
        json_pack("{s:s, s:s, s:o}", "type", "log", "level", names[level], "text", json_text(text)),
        &ignored);
}

static void *
job_main(void *arg)
{
    struct job_thread *t = arg;
    t->result = job_run(&t->job, &t->detail, &t->err);
    atomic_store(&t->ended, true);
    return NULL;
}

static uint64_t
meter_rate(struct rate_meter *m, uint64_t bytes)
{
    int64_t now_ns = clock_now_ns();
    size_t oldest = m->n < RATE_WINDOW ? 0 : m->next;
    uint64_t rate = 0;
    if (m->n > 0 && now_ns > m->at_ns[oldest] && bytes > m->bytes[oldest])
        rate = (uint64_t)((double)(bytes - m->bytes[oldest]) * (double)NS_PER_S /
                          (double)(now_ns - m->at_ns[oldest]));
    m->bytes[m->next] = bytes;
    m->at_ns[m->next] = now_ns;
    m->next = (m->next + 1) % RATE_WINDOW;
    m->n = MIN(m->n + 1, (size_t)RATE_WINDOW);
    return rate;
}

static int
send_progress(struct job *job, struct rate_meter *meter, struct err *err)
{
    enum job_stage stage = atomic_load(&job->stage);
    uint64_t total = atomic_load(&job->progress.total_bytes);
    /* A stream may bring again what was done. */
    uint64_t done = MIN(atomic_load(&job->progress.done_bytes), total);
    uint64_t rate = meter_rate(meter, done);
    if (total == 0)
        return 0;
    json_t *msg = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "type", "progress", "stage",
                            stage == JOB_STAGE_COPY ? "copy" : "verify", "done_bytes",
                            (json_int_t)done, "total_bytes", (json_int_t)total, "data_bytes",
                            (json_int_t)atomic_load(&job->progress.data_bytes), "rate_bytes_s",
                            (json_int_t)rate);
    if (msg && rate > 0)
        json_object_set_new(msg, "eta_s", json_integer((json_int_t)((total - done) / rate)));
    return ipc_send(IPC_CHILD_FD, msg, err);
}

static void
obey_wish(struct job *job, const json_t *msg)
{
    const char *wish = json_get_str(msg, "wish", "");
    if (strcmp(wish, "cancel") == 0)
        atomic_store(&job->progress.stop, true);
    else if (strcmp(wish, "limit") == 0)
        rate_set(&job->rate, json_get_u64(msg, "limit_bytes_s", 0));
    else if (need_answer(&job->need, msg))
        log_debug("there is a new %s", wish);
    else
        log_debug("unknown wish '%s'", wish);
}

/* Until the job has ended: wishes in, progress out. */
static void
talk(struct job_thread *t)
{
    struct rate_meter meter = { 0 };
    struct err err = ERR_INIT;
    int64_t next_ns = clock_now_ns() + PROGRESS_NS;
    bool parent_gone = false;
    while (!atomic_load(&t->ended)) {
        int64_t soon_ns = MIN(next_ns, clock_now_ns() + PROGRESS_NS / 10);
        if (parent_gone) {
            clock_sleep_until_ns(soon_ns);
            continue;
        }
        auto_json json_t *msg = NULL;
        int got = ipc_recv(IPC_CHILD_FD, soon_ns, &msg, &err);
        if (got > 0 && strcmp(ipc_type(msg), "wish") == 0)
            obey_wish(&t->job, msg);
        if (clock_now_ns() >= next_ns) {
            next_ns += PROGRESS_NS;
            if (send_progress(&t->job, &meter, &err) < 0)
                got = -1;
        }
        if (got < 0) {
            atomic_store(&t->job.progress.stop, true);
            parent_gone = true;
        }
    }
}

static int
run_job(struct job_thread *t)
{
    if (job_prepare(&t->job, &t->err) < 0)
        return -1;
    int r = pthread_create(&t->thread, NULL, job_main, t);
    if (r != 0)
        return err_errno(&t->err, r, "start a thread");
    talk(t);
    pthread_join(t->thread, NULL);
    return t->result;
}

static int
run(struct err *err)
{
    auto_json json_t *start = NULL;
    if (ipc_child_begin(IPC_CHILD_FD, "copy", &start, err) < 0)
        return -1;
    struct job_thread t = { .job = { .start = start } };
    rate_init(&t.job.rate, json_get_u64(start, "limit_bytes_s", 0));
    need_init(&t.job.need, &t.job.progress.stop);
    int r = run_job(&t);
    need_done(&t.job.need);
    rate_done(&t.job.rate);
    int sent = ipc_send_result(IPC_CHILD_FD, r < 0 ? &t.err : NULL, t.detail, err);
    /* After the result: what a foreign library does at its end cannot take it back. */
    job_finish(&t.job);
    if (sent < 0)
        return -1;
    return r < 0 ? 1 : 0;
}

int
main(void)
{
    struct err err = ERR_INIT;
    if (fcntl(IPC_CHILD_FD, F_GETFD) < 0) {
        fprintf(stderr, "%s: is started by vmferry; use 'vmferry copy'\n", copier_program.name);
        return 2;
    }
    proc_forbid_core(); /* passwords and cookies pass through here */
    json_wipe_freed();
    signal(SIGPIPE, SIG_IGN);
    log_setup(copier_program.name, LOG_LEVEL_INFO, log_to_parent, NULL);
    int r = run(&err);
    if (r < 0)
        fprintf(stderr, "%s: %s\n", copier_program.name, err.text);
    return r < 0 ? 1 : r;
}
