/* What can be asked of the daemon by /api/v1, wherever the question comes from.
 *
 * The routes are one table in api.c; docs/protocol.md has them with an example each. An error is
 * {"detail": TEXT, "code": CODE}, and its code is the name of its kind (base/err.h), "method" or
 * "too-large".
 */
#ifndef DAEMON_API_H
#define DAEMON_API_H

#include "base/err.h"
#include "wire/json.h"

struct daemon;

/* All borrowed, for as long as the call lasts. */
struct api_request {
    const char *method, *path;
    const json_t *body; /* an object; NULL: none came */
    /* The argument of that name after the '?'; NULL: not given. */
    const char *(*query)(const char *name, void *arg);
    void *query_arg;
};

struct api_reply {
    unsigned status;   /* of HTTP */
    json_t *body;      /* owned by who asked; NULL: no memory */
    char *text;        /* JSON that is written out already, in its place; owned by who asked */
    const char *allow; /* with 405: the methods there are */
};

typedef void api_answer_fn(const struct api_request *request, struct api_reply *ret_reply,
                           void *arg);

/* arg is the struct daemon. */
void api_answer(const struct api_request *request, struct api_reply *ret_reply, void *arg);

/* ---- for the files api-*.c ---- */

/* id is that of the path, "" where it has none. *ret comes with status 200 and without a body. With
 * -1 the status follows from the error. */
typedef int api_handler(struct daemon *daemon, const struct api_request *request, const char *id,
                        const char *verb, struct api_reply *ret, struct err *err);

api_handler api_create, api_list, api_show, api_events, api_delete; /* api-migrations.c */
api_handler api_verb;                                               /* api-verbs.c */
api_handler api_health, api_limits, api_limits_put;                 /* api-daemon.c */

/* A whole number among the arguments; fallback when it is not given. ERR_INVALID. */
int api_query_int(const struct api_request *request, const char *name, int64_t min, int64_t max,
                  int64_t fallback, int64_t *ret, struct err *err);

/* The same of the body. */
int api_body_int(const json_t *body, const char *key, int64_t min, int64_t max, int64_t fallback,
                 int64_t *ret, struct err *err);

/* ERR_INVALID when the body has a key that is not in the list (NULL-terminated). */
int api_body_keys(const json_t *body, const char *const *keys, struct err *err);

#endif
