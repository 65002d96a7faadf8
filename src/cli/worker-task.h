/* A command that is one task of vmferry-worker: begun, heard to its end, and ended. */
#ifndef CLI_WORKER_TASK_H
#define CLI_WORKER_TASK_H

#include "cli/cmd.h"
#include "cli/output.h"

/* Run the task that start describes, SIGINT and SIGTERM being wishes to it from now on. Takes over
 * start. event gets each message that is not the result. 0: *ret_result is the caller's. -1: as of
 * child_run. */
int worker_task(json_t *start, void (*event)(const json_t *msg, void *arg), void *arg,
                json_t **ret_result, struct err *err);

/* Say the failure of a task; returns what to exit with. */
enum exit_code worker_task_failed(struct output *out, const struct err *err);

#endif
