/* A directory of a test's own, and programs and files in it. */
#ifndef TESTS_UNIT_GUEST_SCRATCH_H
#define TESTS_UNIT_GUEST_SCRATCH_H

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/proc.h"

static char *scratch;

static inline int
scratch_make(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    return dir_make_private(NULL, &scratch, &err);
}

static inline int
scratch_remove(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    int r = dir_remove(scratch, &err);
    free(scratch);
    scratch = NULL;
    return r;
}

/* The path of a name in it; good until the eighth call after. */
static inline const char *
scratch_path(const char *name)
{
    static char paths[8][4096];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", scratch, name);
    return path;
}

static inline const char *
scratch_write(const char *name, const char *text, mode_t mode)
{
    struct err err = ERR_INIT;
    const char *path = scratch_path(name);
    assert_int_equal(file_write_atomic(path, text, strlen(text), mode, &err), 0);
    return path;
}

static inline void
scratch_disk(const char *name, off_t bytes)
{
    int fd = open(scratch_path(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, bytes), 0);
    close(fd);
}

/* Run a shell command in it. False when it failed. */
static inline bool
scratch_try(const char *command)
{
    const char *argv[] = { "sh", "-c", command, NULL };
    struct proc_spec spec = PROC_SPEC_INIT;
    struct err err = ERR_INIT;
    spec.argv = argv;
    spec.dir = scratch;
    return proc_run(&spec, clock_now_ns() + 60 * NS_PER_S, NULL, NULL, NULL, &err) == 0;
}

static inline void
scratch_sh(const char *command)
{
    if (!scratch_try(command))
        fail_msg("command failed: %s", command);
}

/* Skip the test aloud where a program that it needs is missing. */
static inline void
require_program(const char *name)
{
    char command[128];
    snprintf(command, sizeof command, "PATH=$PATH:/sbin:/usr/sbin command -v %s", name);
    if (!scratch_try(command)) {
        print_message("skipped: %s is not installed\n", name);
        skip();
    }
}

#endif
