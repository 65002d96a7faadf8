/* A program of ours that does one task for us: started, told, heard, and told to stop.
 *
 * The child speaks wire/ipc on descriptor 3: hello, then events as they come, then one result. One
 * thread of the parent does all of it in child_run.
 */
#ifndef WIRE_CHILD_H
#define WIRE_CHILD_H

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
    int *died_status; /* NULL, or: set when it ended without a result, as waitpid gives it */
};

/* Run it to its end. Takes over start, also on failure. 0: *ret_result is its result, owned by the
 * caller. -1: what the child says of its failure; ERR_UNAVAILABLE with its status when it died
 * without a result; ERR_CANCELLED when it was killed on our wish; ERR_NOT_FOUND: not installed. */
int child_run(const struct child_spec *spec, json_t *start, json_t **ret_result, struct err *err);

/* Where a program of ours is (a name with a / is one already): beside the running one, in the
 * neighbouring folder of a build tree, or where it is installed. The caller frees *ret_path. */
int child_program_find(const char *program, char **ret_path, struct err *err);

/* The level of a {"type": "log"} message. An unknown word is LOG_LEVEL_INFO. */
enum log_level child_log_level(const json_t *msg);
const char *child_log_level_name(enum log_level level);

#endif
