/* The one place that starts programs.
 *
 * A child gets: no signal blocked or ignored, only the descriptors named here, its own process
 * group, SIGKILL when the thread that started it ends, no new privileges. It is watched by pidfd.
 * Start children from a thread that outlives them (the main thread).
 */
#ifndef BASE_PROC_H
#define BASE_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* From here on neither this process nor what it starts leaves its memory in a file, and no other of
 * the same user looks into it: for programs through which passwords pass. First thing in main. */
void proc_forbid_core(void);

struct proc_spec {
    const char *const *argv; /* NULL-terminated; argv[0] is looked for in PATH unless it has a / */
    const char *const
        *env_add; /* "NAME=value", NULL-terminated, over our own environment; or NULL */
    const char *const *env_drop; /* names removed from it, NULL-terminated; or NULL */
    const char *dir;             /* working directory, or NULL for ours */
    int stdin_fd;                /* -1: /dev/null */
    int stdout_fd;               /* -1: /dev/null */
    int stderr_fd;               /* -1: /dev/null */
    int fd3;                     /* becomes descriptor 3; -1: none */
    uint64_t memory_max_bytes;   /* RLIMIT_AS; 0: as ours */
    /* It starts programs that it does not take with it when it is killed: a guard of ours stands
     * between, and ends its whole process group when it or this process has ended. */
    bool guarded;
};

#define PROC_SPEC_INIT                                                                             \
    ((struct proc_spec){ .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .fd3 = -1 })

struct proc {
    pid_t pid;  /* 0: nothing runs */
    int pidfd;  /* readable when it has ended; -1 with pid 0 */
    int status; /* as waitpid gives it, after proc_wait */
};

#define PROC_INIT ((struct proc){ .pidfd = -1 })

/* ERR_NOT_FOUND names the program that is not installed. The descriptors in spec stay ours. */
int proc_start(struct proc *proc, const struct proc_spec *spec, struct err *err);

/* Wait until it ends or the deadline passes (clock_now_ns; negative: none). 1: ended, status set;
 * 0: still running; never fails on a started child. */
int proc_wait(struct proc *proc, int64_t deadline_ns);

/* Signal the whole process group of a running child. */
void proc_signal(const struct proc *proc, int signum);

/* SIGTERM, up to grace_ms for it to end, then SIGKILL; reaps it. Nothing running is fine. */
void proc_stop(struct proc *proc, int grace_ms);

/* Kill at once and reap: for cleanup by scope. */
void proc_done(struct proc *proc);
#define auto_proc AUTO(proc_done)

/* "exit status 3", "killed by signal 9 (Killed)" for a status. */
#define PROC_STATUS_MAX 64
const char *proc_status_text(int status, char text[PROC_STATUS_MAX]);

/* A line of a program's output, without its newline; stream is 1 or 2. */
typedef void proc_line_fn(int stream, const char *line, size_t len, void *arg);

#define PROC_LINE_MAX 65536 /* a longer line is given in pieces */

/* Run to the end, giving each line of stdout and stderr as it comes (\r ends a line too). 0 when it
 * exited 0. Otherwise ERR_UNAVAILABLE (time-out: it was killed; could not start: ERR_NOT_FOUND) or
 * ERR_IO with the program's name, its status and its last line on stderr. spec's stdout_fd and
 * stderr_fd are ignored. cancelled (may be NULL) is asked twice a second; true: killed,
 * ERR_CANCELLED. Whatever way it ends, what is left of its process group is killed. */
int proc_run(const struct proc_spec *spec, int64_t deadline_ns, proc_line_fn *line,
             bool (*cancelled)(void *arg), void *arg, struct err *err);

#endif
