#include "base/proc.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define LONG_MS 20000 /* for what happens at once unless something is broken */

/* A program that starts another, says both numbers, and waits for ever or ends. */
#define AND_WAIT "tail -f /dev/null & echo $$ $!; exec tail -f /dev/null"
#define AND_END(how) "tail -f /dev/null & echo $$ $!; " how

struct pair {
    int fds[2]; /* pidfd of the program and of what it started */
};

static int
start(struct proc *proc, const char *script, int stdout_fd)
{
    struct err err = ERR_INIT;
    const char *argv[] = { "sh", "-c", script, NULL };
    struct proc_spec spec = PROC_SPEC_INIT;
    spec.argv = argv;
    spec.stdout_fd = stdout_fd;
    spec.guarded = true;
    return proc_start(proc, &spec, &err);
}

/* Watch the two that a script named. */
static struct pair
watch_pair(int fd)
{
    char text[64] = "";
    size_t len = 0;
    int pids[2];
    while (!strchr(text, '\n')) {
        ssize_t n = read(fd, text + len, sizeof text - 1 - len);
        assert_true(n > 0);
        len += (size_t)n;
    }
    assert_int_equal(sscanf(text, "%d %d", &pids[0], &pids[1]), 2);
    struct pair pair;
    for (int i = 0; i < 2; i++)
        pair.fds[i] = (int)syscall(SYS_pidfd_open, pids[i], 0);
    return pair;
}

/* pidfd_open fails for one that has ended and been waited for already. */
static void
assert_ends(int pidfd)
{
    struct pollfd pfd = { .fd = pidfd, .events = POLLIN };
    if (pidfd < 0)
        return;
    assert_int_equal(poll(&pfd, 1, LONG_MS), 1);
    close(pidfd);
}

static void
all_end_with_the_parent(void **state)
{
    (void)state;
    int out[2];
    assert_int_equal(pipe(out), 0);
    pid_t parent = fork();
    assert_true(parent >= 0);
    if (parent == 0) {
        struct proc proc;
        if (start(&proc, AND_WAIT, out[1]) < 0)
            _exit(1);
        for (;;)
            pause();
    }
    struct pair pair = watch_pair(out[0]);
    assert_true(pair.fds[0] >= 0 && pair.fds[1] >= 0);
    assert_int_equal(kill(parent, SIGKILL), 0);
    assert_ends(pair.fds[0]);
    assert_ends(pair.fds[1]);
    waitpid(parent, NULL, 0);
    close(out[0]);
    close(out[1]);
}

static void
all_end_when_it_is_stopped(void **state)
{
    (void)state;
    int out[2];
    assert_int_equal(pipe(out), 0);
    struct proc proc;
    assert_int_equal(start(&proc, AND_WAIT, out[1]), 0);
    struct pair pair = watch_pair(out[0]);
    assert_true(pair.fds[0] >= 0 && pair.fds[1] >= 0);
    proc_stop(&proc, LONG_MS);
    assert_true(WIFSIGNALED(proc.status) && WTERMSIG(proc.status) == SIGTERM);
    assert_ends(pair.fds[0]);
    assert_ends(pair.fds[1]);
    close(out[0]);
    close(out[1]);
}

static void
what_it_leaves_ends_with_it(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        int exit_status, signum;
    } cases[] = {
        { AND_END("exit 0"), 0, 0 },
        { AND_END("exit 7"), 7, 0 },
        { AND_END("kill -ABRT $$"), 0, SIGABRT },
        { AND_END("kill -KILL $$"), 0, SIGKILL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int out[2];
        assert_int_equal(pipe(out), 0);
        struct proc proc;
        assert_int_equal(start(&proc, cases[i].script, out[1]), 0);
        struct pair pair = watch_pair(out[0]);
        assert_int_equal(proc_wait(&proc, clock_now_ns() + LONG_MS * NS_PER_MS), 1);
        if (cases[i].signum)
            assert_true(WIFSIGNALED(proc.status) && WTERMSIG(proc.status) == cases[i].signum);
        else
            assert_true(WIFEXITED(proc.status) && WEXITSTATUS(proc.status) == cases[i].exit_status);
        assert_ends(pair.fds[0]);
        assert_ends(pair.fds[1]);
        close(out[0]);
        close(out[1]);
    }
}

static void
a_missing_program_is_named_as_ever(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    const char *argv[] = { "vmferry-no-such-program", NULL };
    struct proc_spec spec = PROC_SPEC_INIT;
    spec.argv = argv;
    spec.guarded = true;
    struct proc proc;
    assert_int_equal(proc_start(&proc, &spec, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_end_with_the_parent),
        cmocka_unit_test(all_end_when_it_is_stopped),
        cmocka_unit_test(what_it_leaves_ends_with_it),
        cmocka_unit_test(a_missing_program_is_named_as_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
