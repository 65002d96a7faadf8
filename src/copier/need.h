/* Asking the parent for what it alone can get, and waiting for the answer. */
#ifndef COPIER_NEED_H
#define COPIER_NEED_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "wire/json.h"

/* So long a parent may take to log in again. */
#define NEED_WAIT_S 60

#define NEED_VALUE_MAX 8192 /* bytes of an answer */

struct need {
    const atomic_bool *stop; /* stop waiting */
    pthread_mutex_t turn;    /* one question at a time */
    pthread_mutex_t lock;    /* all that follows */
    pthread_cond_t answered;
    const char *what; /* that is waited for; NULL: nothing */
    char *value;      /* the answer, a secret; NULL: none, or a refusal */
    struct err refusal;
    bool has_answer;
};

void need_init(struct need *need, const atomic_bool *stop);
void need_done(struct need *need);

/* Ask and wait, for NEED_WAIT_S at most; the signature of source_remote.renew, arg is the struct
 * need. ERR_DENIED: nothing came in time; ERR_CANCELLED: stopped; or what the parent says. */
int need_ask(const char *what, char **ret_value, void *arg, struct err *err);

/* The thread that hears the parent: {"type": "wish", "wish": what, what: value, "error": ...} has
 * come. False when nobody asked for it. */
bool need_answer(struct need *need, const json_t *msg);

#endif
