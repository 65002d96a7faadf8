/* Connecting to NBD servers that do not answer. */
#include "disk/nbd-connection.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/checked.h"
#include "base/log.h"
#include "base/proc.h"
#include "scratch.h"

#define SERVER_MAX 8
#define LIMIT_NS (200 * NS_PER_MS)

/* What a server does with the connections that come, one letter each, the last one for all that
 * follow: 's'erved by nbdkit, 'm'ute, 'c'losed at once. */
struct server {
    const char *acts;
    int fd;
    pthread_t thread;
    atomic_uint n_taken;
    int held[SERVER_MAX];
    struct proc procs[SERVER_MAX];
};

static char warnings[4096];

static void
note_warning(enum log_level level, const char *text, void *arg)
{
    size_t len = strlen(warnings);
    (void)arg;
    if (level == LOG_LEVEL_WARNING)
        snprintf(warnings + len, sizeof warnings - len, "%s\n", text);
}

static void
serve(struct proc *proc, int fd)
{
    static const char *const argv[] = { "nbdkit", "-s", "memory", "1M", NULL };
    struct proc_spec spec = PROC_SPEC_INIT;
    struct err err = ERR_INIT;
    spec.argv = argv;
    spec.stdin_fd = spec.stdout_fd = fd;
    assert_ok(proc_start(proc, &spec, &err));
}

static void *
server_main(void *arg)
{
    struct server *server = arg;
    unsigned n = 0;
    int fd;
    while (n < SERVER_MAX && (fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        char act = server->acts[MIN((size_t)n, strlen(server->acts) - 1)];
        if (act == 's')
            serve(&server->procs[n], fd);
        if (act == 'm')
            server->held[n] = fd;
        else
            close(fd);
        atomic_store(&server->n_taken, ++n);
    }
    return NULL;
}

static void
server_start(struct server *server, const char *acts)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "nbd" };
    *server = (struct server){ .acts = acts };
    warnings[0] = '\0';
    for (size_t i = 0; i < SERVER_MAX; i++) {
        server->procs[i] = PROC_INIT;
        server->held[i] = -1;
    }
    server->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(listen(server->fd, SERVER_MAX), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, server_main, server), 0);
}

static void
server_stop(struct server *server)
{
    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    for (size_t i = 0; i < SERVER_MAX; i++) {
        proc_done(&server->procs[i]);
        if (server->held[i] >= 0)
            close(server->held[i]);
    }
    close(server->fd);
    unlink("nbd");
}

static int
open_lanes(struct nbd_lanes *lanes, int64_t limit_ns, const atomic_bool *stop, struct err *err)
{
    struct nbd_access access = {
        .uri = "nbd+unix:///?socket=nbd",
        .name = "the disk",
        .write = true,
        .limit_ns = limit_ns,
        .stop = stop,
    };
    return nbd_lanes_open(lanes, &access, err);
}

static void
need_nbdkit(void)
{
    static const char *const argv[] = { "nbdkit", "--version", NULL };
    struct proc_spec spec = PROC_SPEC_INIT;
    struct err err = ERR_INIT;
    auto_proc struct proc proc = PROC_INIT;
    spec.argv = argv;
    if (proc_start(&proc, &spec, &err) < 0)
        skip();
}

static void
test_server_that_takes_connections_and_is_mute(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct nbd_lanes lanes;
    struct server server;
    server_start(&server, "m");
    assert_fails(open_lanes(&lanes, LIMIT_NS, NULL, &err), ERR_UNAVAILABLE,
                 "the disk: the server took the connection and did not greet within 0.2 s, twice");
    assert_non_null(strstr(warnings, "within 0.2 s; trying once more"));
    nbd_lanes_close(&lanes);
    server_stop(&server);
    assert_int_equal(server.n_taken, 2);
}

static void
test_first_connection_is_mute(void **state)
{
    (void)state;
    need_nbdkit();
    struct err err = ERR_INIT;
    struct nbd_lanes lanes;
    struct server server;
    server_start(&server, "ms");
    /* The served ones get all the time that they want; the mute one takes some of it. */
    assert_ok(open_lanes(&lanes, 2 * NS_PER_S, NULL, &err));
    assert_int_equal(lanes.n, NBD_MAX_LANES);
    assert_int_equal(lanes.bytes, MIB);
    assert_ptr_not_equal(lanes.control, lanes.handles[0]);
    assert_non_null(strstr(warnings, "trying once more"));
    nbd_lanes_close(&lanes);
    server_stop(&server);
}

static void
test_further_connections_are_done_without(void **state)
{
    (void)state;
    need_nbdkit();
    static const struct {
        const char *acts;
        unsigned n;
        const char *warning;
    } cases[] = {
        { "sm", 1, "going on with 1 of 5 connections" },
        { "sc", 1, "going on with 1 of 5 connections" },
        { "sssm", 3, "going on with 3 of 5 connections" },
        { "ssssm", 4, "going on with 4 of 5 connections" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        struct nbd_lanes lanes;
        struct server server;
        char data[512] = "data";
        server_start(&server, cases[i].acts);
        assert_ok(open_lanes(&lanes, 2 * NS_PER_S, NULL, &err));
        assert_int_equal(lanes.n, cases[i].n);
        assert_ptr_equal(lanes.control, lanes.handles[0]);
        if (!strstr(warnings, cases[i].warning))
            fail_msg("%s: %s", cases[i].acts, warnings);
        assert_int_equal(nbd_pwrite(lanes.handles[0], data, sizeof data, 0, 0), 0);
        nbd_lanes_close(&lanes);
        server_stop(&server);
    }
}

static void
test_server_that_hangs_up(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct nbd_lanes lanes;
    struct server server;
    server_start(&server, "c");
    assert_int_equal(open_lanes(&lanes, 0, NULL, &err), -1);
    assert_string_not_equal(err.text, "");
    nbd_lanes_close(&lanes);
    server_stop(&server);
    assert_int_equal(server.n_taken, 1);
}

static void
test_stop_while_connecting(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct nbd_lanes lanes;
    struct server server;
    atomic_bool stop = true;
    server_start(&server, "m");
    assert_fails(open_lanes(&lanes, 0, &stop, &err), ERR_CANCELLED, "stopped while connecting");
    nbd_lanes_close(&lanes);
    server_stop(&server);
}

static void
test_server_that_does_not_say_goodbye(void **state)
{
    (void)state;
    need_nbdkit();
    struct err err = ERR_INIT;
    struct nbd_lanes lanes;
    struct server server;
    server_start(&server, "sc");
    assert_ok(open_lanes(&lanes, 2 * NS_PER_S, NULL, &err));
    assert_int_not_equal(atomic_load(&server.n_taken),
                         0); /* and what its thread did is seen here */
    proc_signal(&server.procs[0], SIGSTOP);
    int64_t begin_ns = clock_now_ns();
    nbd_lanes_close(&lanes);
    assert_true(clock_now_ns() - begin_ns < 20 * NS_PER_S);
    server_stop(&server);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server_that_takes_connections_and_is_mute),
        cmocka_unit_test(test_first_connection_is_mute),
        cmocka_unit_test(test_further_connections_are_done_without),
        cmocka_unit_test(test_server_that_hangs_up),
        cmocka_unit_test(test_stop_while_connecting),
        cmocka_unit_test(test_server_that_does_not_say_goodbye),
    };
    log_setup("test", LOG_LEVEL_WARNING, note_warning, NULL);
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
