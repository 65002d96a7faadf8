/* Stands in for wire/http at link time: a management server that says what the test wrote down, and
 * notes what it was asked. */
#ifndef TEST_CLOUD_DOUBLE_H
#define TEST_CLOUD_DOUBLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "platform/cloudstack.h"

#define CLOUD_EXPECT_MAX 5

struct cloud_answer {
    const char *expect[CLOUD_EXPECT_MAX]; /* all in "url\nbody" */
    const char *forbid;                   /* not in it; or NULL */
    int status;                           /* 0: the connection breaks */
    const char *header;                   /* "Name: value"; or NULL */
    const char *body;
};

/* From here on these, in this order. They must outlive the test. */
void cloud_play(const struct cloud_answer *answers, size_t n);
#define PLAY(list) cloud_play(list, sizeof(list) / sizeof(list[0]))

/* All were asked for. */
void cloud_done(void);

/* The last request: "url\nbody". */
const char *cloud_last_request(void);

/* https://cloud.test:8443/client/api with the keys of the vectors. */
#define CLOUD_API_KEY "mZ7-Kq_A1bTestKeyForVectors00"
#define CLOUD_SECRET "Sx9-TestSecret_ForVectors-7f3Q"
struct cloudstack *cloud_new(void);

#endif
