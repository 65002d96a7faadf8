/* Calls that must succeed, or fail so. There is a `struct err err` where they are used. */
#ifndef TEST_ASSERT_ERR_H
#define TEST_ASSERT_ERR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) < 0)                                                                            \
            fail_msg("%s: %s", #call, err.text);                                                   \
    } while (0)

#define assert_fails(call, wanted_kind, words)                                                     \
    do {                                                                                           \
        err = ERR_INIT;                                                                            \
        if ((call) >= 0)                                                                           \
            fail_msg("%s did not fail", #call);                                                    \
        if (err.kind != (wanted_kind) || !strstr(err.text, (words)))                               \
            fail_msg("%s failed otherwise: %d %s", #call, (int)err.kind, err.text);                \
    } while (0)

#endif
