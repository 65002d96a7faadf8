#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/clock.h"

extern char **environ;

static void run_child(const struct proc_spec *spec, char **env, int report_fd, pid_t parent);

void
proc_forbid_core(void)
{
    /* 1 and not 0: Linux leaves 0 out of account where a program takes the dumps (core_pattern
     * begins with '|'), and makes no file of 1 byte either. It is what children inherit; exec takes
     * the other one from them. */
    static const struct rlimit none = { 1, 1 };
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
}

/* ---- environment ---- */

static bool
is_named(const char *entry, const char *name)
{
    size_t len = strcspn(name, "=");
    return strncmp(entry, name, len) == 0 && entry[len] == '=';
}

static bool
is_listed(const char *entry, const char *const *names)
{
    for (; names && *names; names++)
        if (is_named(entry, *names))
            return true;
    return false;
}

/* The strings stay where they are; only the array is new. */
static char **
build_env(const struct proc_spec *spec)
{
    size_t n = 0;
    for (char **e = environ; *e; e++)
        n++;
    for (const char *const *e = spec->env_add; e && *e; e++)
        n++;
    char **env = calloc(n + 1, sizeof *env);
    if (!env)
        return NULL;
    size_t used = 0;
    for (char **e = environ; *e; e++)
        if (!is_listed(*e, spec->env_add) && !is_listed(*e, spec->env_drop))
            env[used++] = *e;
    for (const char *const *e = spec->env_add; e && *e; e++)
        env[used++] = (char *)*e;
    return env;
}

/* ---- starting ---- */

int
proc_start(struct proc *proc, const struct proc_spec *spec, struct err *err)
{
    *proc = PROC_INIT;
    auto_free char **env = build_env(spec);
    if (!env)
        return err_errno(err, ENOMEM, "start %s", spec->argv[0]);

    /* The child reports a failed exec through this pipe; a successful one closes it. */
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0)
        return err_errno(err, errno, "start %s", spec->argv[0]);
    auto_close int report_read = report[0];
    auto_close int report_write = report[1];

    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        return err_errno(err, errno, "start %s", spec->argv[0]);
    if (pid == 0)
        run_child(spec, env, report_write, parent);

    close(TAKE_FD(report_write));
    int child_errno = 0;
    ssize_t n;
    do
        n = read(report_read, &child_errno, sizeof child_errno);
    while (n < 0 && errno == EINTR);
    if (n != 0) {
        waitpid(pid, NULL, 0);
        if (child_errno == ENOENT)
            return err_set(err, ERR_NOT_FOUND, "%s: program not found: is it installed?",
                           spec->argv[0]);
        return err_errno(err, child_errno, "start %s", spec->argv[0]);
    }
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        int saved = errno;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return err_errno(err, saved, "watch %s", spec->argv[0]);
    }
    fcntl(pidfd, F_SETFD, FD_CLOEXEC);
    *proc = (struct proc){ .pid = pid, .pidfd = pidfd };
    return 0;
}

/* A copy of fd (-1: of /dev/null) above the places that are about to be filled. */
static int
move_above_std(int fd)
{
    if (fd < 0 && (fd = open("/dev/null", O_RDWR | O_CLOEXEC)) < 0)
        return -1;
    return fcntl(fd, F_DUPFD_CLOEXEC, 10);
}

static void
end_group(int signum)
{
    (void)signum;
    kill(0, SIGKILL);
}

/* Fork once more and return in the new child, which goes on to be the program. The guard is the
 * leader of the group; when our parent dies it kills the group, itself included, and when the
 * program ends it ends what that left behind, and itself in the same way. */
static int
stand_guard(pid_t parent)
{
    struct sigaction on_parent_death = { .sa_handler = end_group };
    struct sigaction ignored = { .sa_handler = SIG_IGN }, usual = { .sa_handler = SIG_DFL };
    pid_t guard = getpid();
    if (sigaction(SIGUSR1, &on_parent_death, NULL) < 0 || prctl(PR_SET_PDEATHSIG, SIGUSR1) < 0)
        return -1;
    if (getppid() != parent)
        _exit(127);
    pid_t pid = fork();
    if (pid < 0)
        return -1;
    if (pid == 0) {
        sigaction(SIGUSR1, &usual, NULL);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
            return -1;
        if (getppid() != guard)
            _exit(127);
        return 0;
    }
    /* What the group is sent is for the program; the guard waits for what it makes of it. */
    sigaction(SIGTERM, &ignored, NULL);
    sigaction(SIGINT, &ignored, NULL);
    close_range(0, ~0U, 0);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    kill(0, SIGTERM);
    if (WIFSIGNALED(status)) {
        sigaction(WTERMSIG(status), &usual, NULL);
        raise(WTERMSIG(status));
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 127);
}

/* After fork: async-signal-safe calls only. Never returns. */
static void
run_child(const struct proc_spec *spec, char **env, int report_fd, pid_t parent)
{
    struct sigaction default_action = { .sa_handler = SIG_DFL };
    sigset_t none;
    sigemptyset(&none);
    for (int signum = 1; signum < NSIG; signum++)
        sigaction(signum, &default_action, NULL);
    sigprocmask(SIG_SETMASK, &none, NULL);

    if (setpgid(0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        goto failed;
    if (getppid() != parent)
        _exit(127);

    /* First all out of the way of 0 to 3, then each into its place. */
    int wanted[4] = { spec->stdin_fd, spec->stdout_fd, spec->stderr_fd, spec->fd3 };
    int moved[4] = { -1, -1, -1, -1 };
    int report = fcntl(report_fd, F_DUPFD_CLOEXEC, 10);
    if (report < 0)
        goto failed;
    report_fd = report;
    for (int i = 0; i < 4; i++)
        if (i < 3 || wanted[i] >= 0)
            if ((moved[i] = move_above_std(wanted[i])) < 0)
                goto failed;
    for (int i = 0; i < 4; i++)
        if (moved[i] >= 0 && dup2(moved[i], i) < 0)
            goto failed;
    if (close_range(wanted[3] >= 0 ? 4 : 3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        goto failed;

    if (spec->memory_max_bytes) {
        struct rlimit limit = { spec->memory_max_bytes, spec->memory_max_bytes };
        if (setrlimit(RLIMIT_AS, &limit) < 0)
            goto failed;
    }
    if ((spec->dir && chdir(spec->dir) < 0) || (spec->guarded && stand_guard(parent) < 0))
        goto failed;
    execvpe(spec->argv[0], (char **)spec->argv, env);
failed:;
    int saved = errno;
    ssize_t ignored = write(report_fd, &saved, sizeof saved);
    (void)ignored;
    _exit(127);
}

/* ---- watching ---- */

int
proc_wait(struct proc *proc, int64_t deadline_ns)
{
    if (proc->pid == 0)
        return 1;
    struct pollfd pfd = { .fd = proc->pidfd, .events = POLLIN };
    int n;
    do
        n = poll(&pfd, 1, clock_poll_ms(deadline_ns));
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return 0;
    while (waitpid(proc->pid, &proc->status, 0) < 0 && errno == EINTR)
        ;
    close(proc->pidfd);
    proc->pid = 0;
    proc->pidfd = -1;
    return 1;
}

void
proc_signal(const struct proc *proc, int signum)
{
    if (proc->pid > 0)
        kill(-proc->pid, signum);
}

void
proc_stop(struct proc *proc, int grace_ms)
{
    if (proc->pid == 0)
        return;
    proc_signal(proc, SIGTERM);
    if (!proc_wait(proc, clock_now_ns() + grace_ms * NS_PER_MS))
        proc_done(proc);
}

void
proc_done(struct proc *proc)
{
    proc_signal(proc, SIGKILL);
    proc_wait(proc, -1);
}

const char *
proc_status_text(int status, char text[PROC_STATUS_MAX])
{
    if (WIFSIGNALED(status))
        snprintf(text, PROC_STATUS_MAX, "killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(text, PROC_STATUS_MAX, "exit status %d", WEXITSTATUS(status));
    return text;
}

/* ---- running to the end ---- */

struct line_reader {
    int fd; /* -1: at its end */
    int stream;
    bool given; /* what stands before was given already; a newline now only ends it */
    size_t len;
    char text[PROC_LINE_MAX];
};

/* What a program said last on stderr: the best guess at why it failed. */
#define LAST_WORDS_MAX 512

static void
give_line(int stream, char *text, size_t len, proc_line_fn *line, void *arg, char *last)
{
    char saved = text[len];
    text[len] = '\0';
    if (len > 0 && stream == 2)
        snprintf(last, LAST_WORDS_MAX, "%.*s", LAST_WORDS_MAX - 1, text);
    if (line)
        line(stream, text, len, arg);
    text[len] = saved;
}

static void
read_lines(struct line_reader *r, proc_line_fn *line, void *arg, char *last)
{
    ssize_t n = read(r->fd, r->text + r->len, sizeof r->text - 1 - r->len);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        if (r->len > 0)
            give_line(r->stream, r->text, r->len, line, arg, last);
        close(TAKE_FD(r->fd));
        return;
    }
    size_t end = r->len + (size_t)n, start = 0;
    for (size_t i = r->len; i < end; i++) {
        if (r->text[i] != '\n' && r->text[i] != '\r')
            continue;
        if (i > start || (r->text[i] == '\n' && !r->given))
            give_line(r->stream, r->text + start, i - start, line, arg, last);
        r->given = r->text[i] == '\r';
        start = i + 1;
    }
    r->len = end - start;
    memmove(r->text, r->text + start, r->len);
    if (r->len == sizeof r->text - 1) {
        give_line(r->stream, r->text, r->len, line, arg, last);
        r->given = true;
        r->len = 0;
    }
}

#define CANCEL_POLL_NS (NS_PER_S / 2)
#define STRAGGLER_NS NS_PER_S

struct run {
    const char *name;
    struct proc proc;
    struct line_reader *readers; /* two */
    proc_line_fn *line;
    bool (*cancelled)(void *arg);
    void *arg;
    char last[LAST_WORDS_MAX];
};

static int
timed_out(const struct run *run, struct err *err)
{
    return err_set(err, ERR_UNAVAILABLE, "%s: did not end in time and was stopped", run->name);
}

/* Read until both streams are at their end. What the program has started in its group dies with it;
 * what keeps a stream open from outside the group is waited for a second only. */
static int
pump(struct run *run, int64_t deadline_ns, struct err *err)
{
    bool ended = false;
    while (run->readers[0].fd >= 0 || run->readers[1].fd >= 0) {
        int64_t now_ns = clock_now_ns();
        if (run->cancelled && run->cancelled(run->arg))
            return err_set(err, ERR_CANCELLED, "%s: stopped on request", run->name);
        if (deadline_ns >= 0 && now_ns >= deadline_ns)
            return timed_out(run, err);
        int64_t wake_ns = run->cancelled ? now_ns + CANCEL_POLL_NS : deadline_ns;
        if (ended)
            wake_ns = now_ns + STRAGGLER_NS;
        if (deadline_ns >= 0 && deadline_ns < wake_ns)
            wake_ns = deadline_ns;
        struct pollfd pfd[3] = { { .fd = run->readers[0].fd, .events = POLLIN },
                                 { .fd = run->readers[1].fd, .events = POLLIN },
                                 { .fd = ended ? -1 : run->proc.pidfd, .events = POLLIN } };
        int n = poll(pfd, 3, clock_poll_ms(wake_ns));
        if (n == 0 && ended)
            break;
        for (int i = 0; n > 0 && i < 2; i++)
            if (pfd[i].revents)
                read_lines(&run->readers[i], run->line, run->arg, run->last);
        if (n > 0 && pfd[2].revents) {
            ended = true;
            proc_signal(&run->proc, SIGKILL);
        }
    }
    return proc_wait(&run->proc, deadline_ns) ? 0 : timed_out(run, err);
}

static void
run_done(struct run *run)
{
    proc_done(&run->proc);
    for (int i = 0; run->readers && i < 2; i++)
        if (run->readers[i].fd >= 0)
            close(run->readers[i].fd);
    free(run->readers);
}

int
proc_run(const struct proc_spec *spec, int64_t deadline_ns, proc_line_fn *line,
         bool (*cancelled)(void *arg), void *arg, struct err *err)
{
    const char *name = spec->argv[0];
    AUTO(run_done) struct run run = { .name = name, .proc = PROC_INIT };
    run.line = line;
    run.cancelled = cancelled;
    run.arg = arg;
    run.readers = calloc(2, sizeof *run.readers);
    if (!run.readers)
        return err_errno(err, ENOMEM, "start %s", name);
    run.readers[0] = (struct line_reader){ .fd = -1, .stream = 1 };
    run.readers[1] = (struct line_reader){ .fd = -1, .stream = 2 };

    int out[2], errs[2];
    if (pipe2(out, O_CLOEXEC) < 0)
        return err_errno(err, errno, "start %s", name);
    run.readers[0].fd = out[0];
    auto_close int out_write = out[1];
    if (pipe2(errs, O_CLOEXEC) < 0)
        return err_errno(err, errno, "start %s", name);
    run.readers[1].fd = errs[0];
    auto_close int err_write = errs[1];

    struct proc_spec piped = *spec;
    piped.stdout_fd = out_write;
    piped.stderr_fd = err_write;
    if (proc_start(&run.proc, &piped, err) < 0)
        return -1;
    close(TAKE_FD(out_write));
    close(TAKE_FD(err_write));

    if (pump(&run, deadline_ns, err) < 0)
        return -1;
    int status = run.proc.status;
    if (status == 0)
        return 0;
    char text[PROC_STATUS_MAX];
    return err_set(err, ERR_IO, "%s: %s%s%s", name, proc_status_text(status, text),
                   run.last[0] ? ": " : "", run.last);
}
