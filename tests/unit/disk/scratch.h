/* What the tests of this room share: a directory to work in, numbers that follow from a seed. */
#ifndef TEST_SCRATCH_H
#define TEST_SCRATCH_H

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/fd.h"

#include "../assert-err.h"

/* For cmocka's setup and teardown: each test works in a private directory of its own. */
static inline int
scratch_enter(void **state)
{
    struct err err = ERR_INIT;
    char *dir = NULL;
    if (dir_make_private(NULL, &dir, &err) < 0 || chdir(dir) < 0)
        return -1;
    *state = dir;
    return 0;
}

static inline int
scratch_leave(void **state)
{
    struct err err = ERR_INIT;
    auto_free char *dir = *state;
    return chdir("/") < 0 ? -1 : dir_remove(dir, &err);
}

/* splitmix64: the same numbers on every machine. */
static inline uint64_t
next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

#endif
