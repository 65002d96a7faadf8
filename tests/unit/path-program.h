/* A program of the test's own that comes first in PATH: a script that does as the case says. */
#ifndef TEST_PATH_PROGRAM_H
#define TEST_PATH_PROGRAM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fd.h"

/* The private folder that is first in PATH between setup and teardown. */
static char *path_dir;

static int
path_program_setup(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char path[4096];
    if (dir_make_private(NULL, &path_dir, &err) < 0)
        return -1;
    snprintf(path, sizeof path, "%s:%s", path_dir, getenv("PATH"));
    return setenv("PATH", path, 1);
}

static int
path_program_teardown(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    int r = dir_remove(path_dir, &err);
    free(path_dir);
    return r;
}

static void
path_program_make(const char *name, const char *script)
{
    char path[512], text[2048];
    struct err err = ERR_INIT;
    snprintf(path, sizeof path, "%s/%s", path_dir, name);
    snprintf(text, sizeof text, "#!/bin/sh\n%s\n", script);
    assert_int_equal(file_write_atomic(path, text, strlen(text), 0755, &err), 0);
}

#endif
