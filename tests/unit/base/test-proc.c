#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"

#define ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define SH(script) ARGV("sh", "-c", script)
#define LONG_TIME (20 * NS_PER_S) /* for what happens at once unless something is broken */

/* What a program printed on both streams, a line "1:text" or "2:text" each. */
struct output {
    struct buf text;
    size_t longest;
};

#define OUTPUT_INIT ((struct output){ .text = BUF_INIT(1 << 20) })

static void
output_free(struct output *output)
{
    buf_free(&output->text);
}

static void
keep_line(int stream, const char *line, size_t len, void *arg)
{
    struct output *output = arg;
    struct err err = ERR_INIT;
    assert_int_equal(strlen(line), len);
    if (len > output->longest)
        output->longest = len;
    if (len < 1000)
        assert_int_equal(buf_printf(&output->text, &err, "%d:%s\n", stream, line), 0);
}

static int
run_spec(struct proc_spec spec, struct output *output, struct err *err)
{
    return proc_run(&spec, clock_now_ns() + LONG_TIME, keep_line, NULL, output, err);
}

static void
assert_prints(const char *const *argv, const char *expected)
{
    struct err err = ERR_INIT;
    AUTO(output_free) struct output output = OUTPUT_INIT;
    struct proc_spec spec = PROC_SPEC_INIT;
    spec.argv = argv;
    if (run_spec(spec, &output, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(output.text.data ? output.text.data : "", expected);
}

static void
lines_end_in_newline_or_return(void **state)
{
    (void)state;
    assert_prints(ARGV("printf", "a\\nb\\n\\nlast"), "1:a\n1:b\n1:\n1:last\n");
    assert_prints(ARGV("printf", "10%%\\r20%%\\r\\ndone\\r\\n"), "1:10%\n1:20%\n1:done\n");
    assert_prints(SH("echo out; exec >&-; echo err >&2"), "1:out\n2:err\n");
    assert_prints(ARGV("true"), "");
}

static void
long_line_comes_in_pieces(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    AUTO(output_free) struct output output = OUTPUT_INIT;
    struct proc_spec spec = PROC_SPEC_INIT;
    spec.argv = SH("head -c 200000 /dev/zero | tr '\\0' x; echo; echo after");
    assert_int_equal(run_spec(spec, &output, &err), 0);
    assert_int_equal(output.longest, PROC_LINE_MAX - 1);
    assert_string_equal(output.text.data, "1:after\n");
}

static void
failure_has_the_name_the_status_and_the_last_words(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct proc_spec spec = PROC_SPEC_INIT;
    spec.argv = SH("echo first >&2; echo 'no such disk' >&2; exit 3");
    AUTO(output_free) struct output output = OUTPUT_INIT;
    assert_int_equal(run_spec(spec, &output, &err), -1);
    assert_int_equal(err.kind, ERR_IO);
    assert_string_equal(err.text, "sh: exit status 3: no such disk");
}

static void
program_that_is_not_there(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct proc proc = { .pid = 77 };
    struct proc_spec spec = PROC_SPEC_INIT;
    spec.argv = ARGV("no-such-program-here");
    assert_int_equal(proc_start(&proc, &spec, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "no-such-program-here"));
    assert_int_equal(proc.pid, 0);
    proc_done(&proc); /* nothing runs: fine */

    spec.argv = ARGV("true");
    spec.dir = "/proc/self/fd/none";
    assert_int_equal(proc_start(&proc, &spec, &err), -1);
    spec.argv = ARGV("/dev/null");
    spec.dir = NULL;
    assert_int_equal(proc_start(&proc, &spec, &err), -1);
    assert_int_equal(err.kind, ERR_DENIED);
}

static void
status_in_words(void **state)
{
    (void)state;
    char text[PROC_STATUS_MAX];
    assert_string_equal(proc_status_text(3 << 8, text), "exit status 3");
    assert_string_equal(proc_status_text(SIGKILL, text), "killed by signal 9 (Killed)");
}

static void
child_has_only_the_descriptors_named(void **state)
{
    (void)state;
    auto_close int leaked = open("/dev/zero", O_RDONLY); /* without O_CLOEXEC, on purpose */
    auto_close int given = open("/dev/full", O_RDWR | O_CLOEXEC);
    /* -L: the descriptor with which the shell reads the directory is gone by then. */
    const char *list = "cd /proc/$$/fd; for f in *; do "
                       "if [ $f -gt 2 -a -L $f ]; then echo $f; readlink $f; fi; done";
    assert_prints(SH(list), "");

    struct err err = ERR_INIT;
    AUTO(output_free) struct output output = OUTPUT_INIT;
    struct proc_spec spec = PROC_SPEC_INIT;
    spec.argv = SH(list);
    spec.fd3 = given;
    assert_int_equal(run_spec(spec, &output, &err), 0);
    assert_string_equal(output.text.data, "1:3\n1:/dev/full\n");
}

/* A daemon may have been started with its own 0, 1 and 2 closed. */
static void
child_has_its_standard_streams_when_ours_are_closed(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    int saved[3];
    for (int i = 0; i < 3; i++)
        saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 20);
    for (int i = 0; i < 3; i++)
        close(i);
    AUTO(output_free) struct output output = OUTPUT_INIT;
    struct proc_spec spec = PROC_SPEC_INIT;
    spec.argv = SH("readlink /proc/$$/fd/0; echo err >&2");
    int r = run_spec(spec, &output, &err);
    for (int i = 0; i < 3; i++)
        dup2(saved[i], i);
    for (int i = 0; i < 3; i++)
        close(saved[i]);
    assert_int_equal(r, 0);
    assert_non_null(strstr(output.text.data, "1:/dev/null\n"));
    assert_non_null(strstr(output.text.data, "2:err\n"));
}

static void
environment_is_ours_plus_and_minus(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    setenv("TEST_KEPT", "kept", 1);
    setenv("TEST_SECRET", "secret", 1);
    setenv("TEST_SECRET_TOO", "longer name", 1);
    setenv("TEST_CHANGED", "before", 1);
    AUTO(output_free) struct output output = OUTPUT_INIT;
    struct proc_spec spec = PROC_SPEC_INIT;
    spec.argv = SH("env | grep ^TEST_ | sort");
    spec.env_add = ARGV("TEST_CHANGED=after", "TEST_NEW=new");
    spec.env_drop = ARGV("TEST_SECRET");
    assert_int_equal(run_spec(spec, &output, &err), 0);
    assert_string_equal(output.text.data, "1:TEST_CHANGED=after\n1:TEST_KEPT=kept\n"
                                          "1:TEST_NEW=new\n1:TEST_SECRET_TOO=longer name\n");
}

static void
child_has_clean_signals_its_own_group_and_no_new_privileges(void **state)
{
    (void)state;
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    signal(SIGPIPE, SIG_IGN);
    /* 32 and 33 are glibc's own; it lets nobody change them. */
    assert_prints(SH("while read key value; do case $key in "
                     "SigBlk:|SigIgn:) echo $key $((0x$value & ~0x180000000));; "
                     "NoNewPrivs:) echo $key $value;; esac; done < /proc/self/status"),
                  "1:SigBlk: 0\n1:SigIgn: 0\n1:NoNewPrivs: 1\n");
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    assert_prints(SH("set -- $(cat /proc/self/stat); [ $5 = $$ ] && echo leader"), "1:leader\n");
}

static void
memory_has_a_limit(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    AUTO(output_free) struct output output = OUTPUT_INIT;
    struct proc_spec spec = PROC_SPEC_INIT;
    spec.argv = SH("ulimit -v");
    spec.memory_max_bytes = UINT64_C(512) << 20;
    assert_int_equal(run_spec(spec, &output, &err), 0);
    assert_string_equal(output.text.data, "1:524288\n");
}

/* True when the descriptor reaches its end in time: nobody holds the other side. */
static bool
ends_in_time(int fd)
{
    struct pollfd pfd = { .fd = fd, .events = POLLIN };
    int64_t deadline_ns = clock_now_ns() + LONG_TIME;
    char byte;
    while (poll(&pfd, 1, clock_poll_ms(deadline_ns)) == 1)
        if (read(fd, &byte, 1) <= 0)
            return true;
    return false;
}

static void
deadline_kills_with_all_descendants(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    int held[2];
    assert_int_equal(pipe2(held, O_CLOEXEC), 0);
    struct proc_spec spec = PROC_SPEC_INIT;
    spec.argv = SH("sh -c 'trap \"\" TERM; while :; do read x < /dev/zero; done' & wait");
    spec.fd3 = held[1];
    int64_t start_ns = clock_now_ns();
    assert_int_equal(proc_run(&spec, start_ns + 200 * NS_PER_MS, NULL, NULL, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "time"));
    assert_true(clock_now_ns() - start_ns >= 200 * NS_PER_MS);
    close(held[1]);
    assert_true(ends_in_time(held[0]));
    close(held[0]);
}

static bool
cancelled_when_it_has_spoken(void *arg)
{
    const struct output *output = arg;
    return output->text.len > 0;
}

static void
cancelling_kills(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    AUTO(output_free) struct output output = OUTPUT_INIT;
    struct proc_spec spec = PROC_SPEC_INIT;
    spec.argv = SH("echo started; exec cat <&0");
    int in[2];
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    spec.stdin_fd = in[0];
    assert_int_equal(proc_run(&spec, -1, keep_line, cancelled_when_it_has_spoken, &output, &err),
                     -1);
    assert_int_equal(err.kind, ERR_CANCELLED);
    close(in[0]);
    close(in[1]);
}

/* A program that leaves something behind which holds its output open does not hang us. */
static void
leftovers_are_killed_and_not_waited_for(void **state)
{
    (void)state;
    assert_prints(SH("cat /dev/zero >/dev/null & echo done"), "1:done\n");
    int64_t start_ns = clock_now_ns();
    /* The substitution ends when the stray, out of the group by then, has closed its output. */
    assert_prints(SH("exec 4>&1; export TEST_PID=$PPID; x=$(setsid sh -c 'echo out of reach >&4; "
                     "exec tail -f --pid=$TEST_PID /dev/null >&4' &); echo done"),
                  "1:out of reach\n1:done\n");
    assert_true(clock_now_ns() - start_ns < LONG_TIME);
}

static void
stop_asks_first_and_kills_then(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    int out[2];
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    char byte;
    struct proc_spec spec = PROC_SPEC_INIT;
    spec.stdout_fd = out[1];
    struct proc proc;

    spec.argv = SH("trap 'exit 7' TERM; echo; while :; do :; done");
    assert_int_equal(proc_start(&proc, &spec, &err), 0);
    assert_int_equal(read(out[0], &byte, 1), 1);
    assert_int_equal(proc_wait(&proc, clock_now_ns()), 0);
    proc_stop(&proc, 20000);
    assert_true(WIFEXITED(proc.status) && WEXITSTATUS(proc.status) == 7);
    assert_int_equal(proc.pid, 0);
    assert_int_equal(proc_wait(&proc, -1), 1);

    spec.argv = SH("trap '' TERM; echo; while :; do :; done");
    assert_int_equal(proc_start(&proc, &spec, &err), 0);
    assert_int_equal(read(out[0], &byte, 1), 1);
    proc_stop(&proc, 50);
    assert_true(WIFSIGNALED(proc.status) && WTERMSIG(proc.status) == SIGKILL);
    close(out[0]);
    close(out[1]);
}

/* A parent is killed; what it has started, which holds the pipe, must die with it. */
static void
assert_dies_with_parent(const char *role)
{
    struct err err = ERR_INIT;
    int held[2];
    assert_int_equal(pipe2(held, O_CLOEXEC), 0);
    struct proc_spec spec = PROC_SPEC_INIT;
    spec.argv = ARGV("/proc/self/exe", role);
    spec.fd3 = held[1];
    auto_proc struct proc parent = PROC_INIT;
    assert_int_equal(proc_start(&parent, &spec, &err), 0);
    close(held[1]);
    char byte;
    assert_int_equal(read(held[0], &byte, 1), 1); /* the last of its descendants is there */
    kill(parent.pid, SIGKILL);
    assert_true(ends_in_time(held[0]));
    close(held[0]);
}

static void
child_dies_with_its_parent(void **state)
{
    (void)state;
    assert_dies_with_parent("parent");
}

static void
guarded_descendants_die_with_the_parent(void **state)
{
    (void)state;
    assert_dies_with_parent("guarding parent");
}

#define SPEAK_AND_STAY "echo >&3; while :; do read x < /dev/zero; done"

/* The role of the parent: one program that holds descriptor 3, itself or by a program of its own.
 */
static int
be_the_parent(bool guarding)
{
    struct err err = ERR_INIT;
    struct proc_spec spec = PROC_SPEC_INIT;
    spec.argv = guarding ? SH("sh -c '" SPEAK_AND_STAY "' & wait") : SH(SPEAK_AND_STAY);
    spec.guarded = guarding;
    spec.fd3 = 3;
    struct proc proc;
    if (proc_start(&proc, &spec, &err) < 0)
        return 1;
    close(3);
    proc_wait(&proc, -1);
    return 0;
}

static int
status_of(const char *script, int stop_grace_ms)
{
    struct err err = ERR_INIT;
    int out[2];
    char byte;
    struct proc_spec spec = PROC_SPEC_INIT;
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    spec.argv = SH(script);
    spec.guarded = true;
    spec.stdout_fd = out[1];
    struct proc proc;
    assert_int_equal(proc_start(&proc, &spec, &err), 0);
    close(out[1]);
    assert_int_equal(read(out[0], &byte, 1), 1);
    if (stop_grace_ms >= 0)
        proc_stop(&proc, stop_grace_ms);
    else
        assert_int_equal(proc_wait(&proc, clock_now_ns() + LONG_TIME), 1);
    assert_true(ends_in_time(out[0])); /* nothing that it has started is left */
    close(out[0]);
    return proc.status;
}

static void
guard_passes_the_status_on_and_leaves_nothing(void **state)
{
    (void)state;
    int status = status_of("cat /dev/zero >/dev/null & echo; exit 7", -1);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    status = status_of("cat /dev/zero >/dev/null & echo; kill -SEGV $$", -1);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    status = status_of("trap 'exit 5' TERM; echo; while :; do :; done", 20000);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 5);
    status = status_of("trap '' TERM; echo; while :; do :; done", 50);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

int
main(int argc, char **argv)
{
    if (argc == 2)
        return be_the_parent(strcmp(argv[1], "guarding parent") == 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_end_in_newline_or_return),
        cmocka_unit_test(long_line_comes_in_pieces),
        cmocka_unit_test(failure_has_the_name_the_status_and_the_last_words),
        cmocka_unit_test(program_that_is_not_there),
        cmocka_unit_test(status_in_words),
        cmocka_unit_test(child_has_only_the_descriptors_named),
        cmocka_unit_test(child_has_its_standard_streams_when_ours_are_closed),
        cmocka_unit_test(environment_is_ours_plus_and_minus),
        cmocka_unit_test(child_has_clean_signals_its_own_group_and_no_new_privileges),
        cmocka_unit_test(memory_has_a_limit),
        cmocka_unit_test(deadline_kills_with_all_descendants),
        cmocka_unit_test(cancelling_kills),
        cmocka_unit_test(leftovers_are_killed_and_not_waited_for),
        cmocka_unit_test(stop_asks_first_and_kills_then),
        cmocka_unit_test(child_dies_with_its_parent),
        cmocka_unit_test(guarded_descendants_die_with_the_parent),
        cmocka_unit_test(guard_passes_the_status_on_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
