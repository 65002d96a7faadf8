/* The server of http-server.py, for the length of a group of tests. */
#ifndef TEST_HTTP_SERVER_H
#define TEST_HTTP_SERVER_H

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/proc.h"

struct test_server {
    const char *script;
    char *dir; /* ca.pem and leaf.pem are there */
    struct proc proc;
    int keep_alive; /* its standard input */
    unsigned port, old_port, early_port, plain_port;
};

static struct test_server test_server = { .proc = PROC_INIT, .keep_alive = -1 };

static int
test_server_start(void **state)
{
    struct err err = ERR_INIT;
    int in[2], out[2];
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    if (dir_make_private(NULL, &test_server.dir, &err) < 0 || pipe2(in, O_CLOEXEC) < 0 ||
        pipe2(out, O_CLOEXEC) < 0)
        return -1;
    const char *argv[] = { "/usr/bin/python3", test_server.script, test_server.dir, NULL };
    struct proc_spec spec = PROC_SPEC_INIT;
    spec.argv = argv;
    spec.stdin_fd = in[0];
    spec.stdout_fd = out[1];
    spec.stderr_fd = STDERR_FILENO;
    int r = proc_start(&test_server.proc, &spec, &err);
    test_server.keep_alive = in[1];
    close(in[0]);
    close(out[1]);
    FILE *line = fdopen(out[0], "r");
    if (r < 0 || fscanf(line, "%u %u %u %u", &test_server.port, &test_server.old_port,
                        &test_server.early_port, &test_server.plain_port) != 4)
        return -1;
    fclose(line);
    return 0;
}

static int
test_server_stop(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    close(TAKE_FD(test_server.keep_alive));
    proc_stop(&test_server.proc, 5000);
    dir_remove(test_server.dir, &err);
    free(TAKE_PTR(test_server.dir));
    return 0;
}

/* A file beside the certificates; the text is overwritten by the next call. */
static inline const char *
test_server_file(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", test_server.dir, name);
    return path;
}

#endif
