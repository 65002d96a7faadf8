#include "copier/need.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/checked.h"
#include "base/clock.h"
#include "wire/ipc.h"

/* How soon one that waits notices that the copy was stopped. */
#define LOOK_NS (100 * NS_PER_MS)

void
need_init(struct need *need, const atomic_bool *stop)
{
    *need = (struct need){ .stop = stop };
    pthread_mutex_init(&need->turn, NULL);
    pthread_mutex_init(&need->lock, NULL);
    cond_init_monotonic(&need->answered);
}

void
need_done(struct need *need)
{
    secret_free(need->value);
    pthread_cond_destroy(&need->answered);
    pthread_mutex_destroy(&need->lock);
    pthread_mutex_destroy(&need->turn);
}

/* With the lock held. */
static int
wait_for_answer(struct need *need, struct err *err)
{
    int64_t deadline_ns = clock_now_ns() + NEED_WAIT_S * NS_PER_S;
    while (!need->has_answer) {
        int64_t now_ns = clock_now_ns();
        if (atomic_load(need->stop))
            return err_set(err, ERR_CANCELLED, "stopped while waiting for a new %s", need->what);
        if (now_ns >= deadline_ns)
            return err_set(err, ERR_DENIED,
                           "the %s has expired and no new one came within %d s: check that the "
                           "user may still log in, then start the same command again",
                           need->what, NEED_WAIT_S);
        int64_t until_ns = MIN(deadline_ns, now_ns + LOOK_NS);
        struct timespec until = { .tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S };
        pthread_cond_timedwait(&need->answered, &need->lock, &until);
    }
    if (need->value)
        return 0;
    *err = need->refusal;
    return -1;
}

int
need_ask(const char *what, char **ret_value, void *arg, struct err *err)
{
    struct need *need = arg;
    pthread_mutex_lock(&need->turn);
    pthread_mutex_lock(&need->lock);
    secret_free(TAKE_PTR(need->value));
    need->has_answer = false;
    need->what = what;
    int r = ipc_send(IPC_CHILD_FD, json_pack("{s:s, s:s}", "type", "need", "what", what), err);
    if (r == 0)
        r = wait_for_answer(need, err);
    if (r == 0)
        *ret_value = TAKE_PTR(need->value);
    need->what = NULL;
    pthread_mutex_unlock(&need->lock);
    pthread_mutex_unlock(&need->turn);
    return r;
}

bool
need_answer(struct need *need, const json_t *msg)
{
    pthread_mutex_lock(&need->lock);
    bool wanted = need->what && strcmp(json_get_str(msg, "wish", ""), need->what) == 0;
    if (wanted && !need->has_answer) {
        const json_t *error = json_object_get(msg, "error");
        const char *value = json_get_str(msg, need->what, NULL);
        if (value && strlen(value) <= NEED_VALUE_MAX)
            need->value = strdup(value);
        if (json_is_object(error))
            json_to_err(error, &need->refusal);
        else
            err_set(&need->refusal, ERR_DENIED, "no new %s can be had", need->what);
        need->has_answer = true;
        pthread_cond_signal(&need->answered);
    }
    pthread_mutex_unlock(&need->lock);
    return wanted;
}
