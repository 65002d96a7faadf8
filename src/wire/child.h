/* A program of ours that does one task for us: started, told, heard, and told to stop.
 *
 * The child speaks wire/ipc on descriptor 3: hello, then events as they come, then one result. One
 * thread of the parent does all of it: in child_run, or step by step beside others.
 */
#ifndef WIRE_CHILD_H
#define WIRE_CHILD_H

#include <poll.h>

#include "base/err.h"
#include "base/log.h"
#include "wire/json.h"

enum child_wish {
    CHILD_GO_ON,
    CHILD_CANCEL, /* stop at the next good moment and give a result; sent once */
    CHILD_KILL,   /* stop now */
};

struct child_spec {
    const char *program;        /* "vmferry-copy": its file name, or a path with a / */
    const char *argument;       /* its only argument; NULL: none */
    const char *role;           /* what it says in its hello */
    const char *const *env_add; /* over our own environment; NULL: nothing */
    int stderr_fd;              /* 0: ours */
    int stdin_fd;               /* -1: /dev/null; stays ours */
    /* Each message that is not the result. Borrowed. May be NULL. */
    void (*event)(const json_t *msg, void *arg);
    /* Asked five times a second. May be NULL. */
    enum child_wish (*wish)(void *arg);
    /* A {"type": "need"} message: what is sent back, or NULL. Borrowed msg, owned answer. May be
     * NULL: needs are not answered. */
    json_t *(*answer)(const json_t *msg, void *arg);
    void *arg;
};

/* Run it to its end. Takes over start, also on failure. 0: *ret_result is its result, owned by the
 * caller. -1: what the child says of its failure; ERR_UNAVAILABLE with its status when it died
 * without a result; ERR_CANCELLED when it was killed on our wish; ERR_NOT_FOUND: not installed. */
int child_run(const struct child_spec *spec, json_t *start, json_t **ret_result, struct err *err);

/* The same in steps, for one that has other things to wait for. */
struct child;

/* Start it. Takes over start, also on failure. Of spec a copy is kept; what it points to must stay
 * until child_end, but for argument and env_add. The thread must outlive the child. Errors: could
 * not be started; ERR_NOT_FOUND. */
int child_start(const struct child_spec *spec, json_t *start, struct child **ret, struct err *err);

/* What to poll for until the next step, and when that is due at the latest (clock_now_ns). */
struct pollfd child_pollfd(const struct child *child);
int64_t child_due_ns(const struct child *child);

/* Do what is there to be done, without waiting: hear its messages (a few of many), ask for our
 * wish, notice its end. False: it has ended, and child_end is due. */
bool child_step(struct child *child);

/* Tell it something, e.g. a wish; takes over msg. Only while steps say that it runs. False: not
 * now, for it has not been told its task, is about to end, or does not listen; try again after the
 * next step. */
bool child_tell(struct child *child, json_t *msg);

/* What became of it, as child_run tells it, and free it. One that still runs is killed: then it
 * is ERR_CANCELLED. *ret_died_status (may be NULL): as waitpid gives it when it ended without a
 * result, else 0. */
int child_end(struct child *child, int *ret_died_status, json_t **ret_result, struct err *err);

/* Where a program of ours is (a name with a / is one already): beside the running one, in the
 * neighbouring folder of a build tree, or where it is installed. The caller frees *ret_path. */
int child_program_find(const char *program, char **ret_path, struct err *err);

/* The level of a {"type": "log"} message. An unknown word is LOG_LEVEL_INFO. */
enum log_level child_log_level(const json_t *msg);
const char *child_log_level_name(enum log_level level);

#endif
