/* A migration as vmferryd tells of it, for reading; all strings are borrowed from its JSON. */
#ifndef CLI_MIGRATION_H
#define CLI_MIGRATION_H

#include <stdbool.h>
#include <stdint.h>

#include "model/job.h"
#include "wire/json.h"

struct migration {
    const char *id;
    const char *name; /* of the machine; what it was looked for by, as long as unknown */
    const char *moref, *server, *key; /* NULL: unknown */
    enum job_status status;
    const char *stage; /* "not_started" before the first */
    const char *next_stage;
    double pct; /* of the whole journey, 0 to 100 */
    bool finalize, finalize_now;
    int64_t created_at, started_at, ended_at, due_at; /* unix seconds; 0: none */
    int64_t rounds;
    const char *question;           /* what a person is asked, "" when nothing */
    const char *error_kind, *error; /* NULL: none */
    int64_t downtime_s;     /* expected; of one that is done, as it was, where its objects are
                             * there; -1: unknown */
    const json_t *forecast; /* NULL: none */
};

void migration_read(const json_t *json, struct migration *ret);

/* Whether an object of its journal is of that kind, and in that state. */
bool migration_object_is(const json_t *object, const char *kind, const char *state);

/* What is said of it in one line, of at most MIGRATION_TEXT_MAX bytes, at the moment now (unix
 * seconds): "round 4, next in 4:12, downtime about 1:35", "asks: ...", "failed: ...". */
#define MIGRATION_TEXT_MAX 2048
const char *migration_text(const struct migration *migration, int64_t now,
                           char text[MIGRATION_TEXT_MAX]);

/* What a forecast of the downtime is made of: "shutdown 20 s (default), last round 9 s for 1.20
 * GiB, conversion 1:00 (default)"; "" without one. */
const char *migration_basis(const struct migration *migration, char text[MIGRATION_TEXT_MAX]);

#endif
