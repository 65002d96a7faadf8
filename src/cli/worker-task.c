#include "cli/worker-task.h"

#include <stdio.h>

#include "cli/interrupt.h"

int
worker_task(json_t *start, void (*event)(const json_t *msg, void *arg), void *arg,
            json_t **ret_result, struct err *err)
{
    struct child_spec spec = {
        .program = "vmferry-worker",
        .role = "worker",
        .stdin_fd = -1,
        .event = event,
        .wish = interrupt_wish,
        .arg = arg,
    };
    interrupt_install();
    return child_run(&spec, start, ret_result, err);
}

enum exit_code
worker_task_failed(struct output *out, const struct err *err)
{
    fflush(stdout);
    output_failure(out, err);
    return err->kind == ERR_CANCELLED ? EXIT_INTERRUPTED : EXIT_FAILED;
}
