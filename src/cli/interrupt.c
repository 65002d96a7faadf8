#include "cli/interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t n_signals;

static void
count(int signum)
{
    (void)signum;
    if (n_signals < 2)
        n_signals++;
}

void
interrupt_install(void)
{
    struct sigaction action = { .sa_handler = count };
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

enum child_wish
interrupt_wish(void *arg)
{
    (void)arg;
    return n_signals == 0 ? CHILD_GO_ON : n_signals == 1 ? CHILD_CANCEL : CHILD_KILL;
}
