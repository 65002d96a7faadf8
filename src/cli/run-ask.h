/* The question how a source is shut down, asked at the terminal while all else goes on. */
#ifndef CLI_RUN_ASK_H
#define CLI_RUN_ASK_H

#include "cli/run-batch.h"
#include "cli/run-view.h"

struct run_ask {
    bool possible;       /* there is somebody to ask */
    struct batch_vm *vm; /* whose question stands on the terminal; NULL: none */
};

void run_ask_init(struct run_ask *ask, const struct run_view *view);

/* Ask what is to be asked, take an answer that has been typed. Without a terminal those that ask
 * are left, with a line that says what to type elsewhere. Never waits. -1: the daemon cannot be
 * spoken with. */
int run_ask_step(struct run_ask *ask, struct batch *batch, struct err *err);

#endif
