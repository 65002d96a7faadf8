#include "cli/run-ask.h"

#include <ctype.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MAX 256

static void begin(struct run_ask *ask, struct batch *batch, struct batch_vm *vm);
static void end(struct run_ask *ask, struct batch *batch);
static int take_answer(struct run_ask *ask, struct batch *batch, struct err *err);

void
run_ask_init(struct run_ask *ask, const struct run_view *view)
{
    *ask = (struct run_ask){ .possible = view->out.live && isatty(STDIN_FILENO) };
}

static void
leave(struct batch *batch, struct batch_vm *vm)
{
    char text[1024];
    struct migration m;
    migration_read(vm->json, &m);
    vm->left_asking = true;
    snprintf(
        text, sizeof text,
        "%s; say 'vmferry shutdown force %s' (power it off) or 'vmferry shutdown done %s' (you "
        "have shut it down)",
        *m.question ? m.question : "it waits to be shut down", vm->id, vm->id);
    run_view_complain(batch->view, vm->name, text);
}

int
run_ask_step(struct run_ask *ask, struct batch *batch, struct err *err)
{
    if (ask->vm && batch_asking(batch) != ask->vm)
        end(ask, batch); /* answered elsewhere */
    struct batch_vm *vm = batch_asking(batch);
    if (!vm)
        return 0;
    if (!ask->possible)
        leave(batch, vm);
    else if (!ask->vm)
        begin(ask, batch, vm);
    else
        return take_answer(ask, batch, err);
    return 0;
}

static void
begin(struct run_ask *ask, struct batch *batch, struct batch_vm *vm)
{
    struct migration m;
    migration_read(vm->json, &m);
    ask->vm = vm;
    run_view_clear(batch->view);
    batch->view->held = true;
    fprintf(stderr,
            "%s: %s\n  [f]orce: power it off    [d]one: I have shut it down    [l]ater\n"
            "  how is %s to be shut down? ",
            vm->name, *m.question ? m.question : "it waits to be shut down", vm->name);
    fflush(stderr);
}

static void
end(struct run_ask *ask, struct batch *batch)
{
    fputc('\n', stderr);
    ask->vm = NULL;
    batch->view->held = false;
}

/* What was typed, or NULL when nothing was; "" at the end of the input. */
static const char *
typed(char line[ANSWER_MAX])
{
    struct pollfd pfd = { .fd = STDIN_FILENO, .events = POLLIN };
    if (poll(&pfd, 1, 0) <= 0)
        return NULL;
    ssize_t n = read(STDIN_FILENO, line, ANSWER_MAX - 1);
    if (n < 0)
        return NULL;
    line[n] = '\0';
    return line;
}

static int
take_answer(struct run_ask *ask, struct batch *batch, struct err *err)
{
    char line[ANSWER_MAX];
    struct err why = ERR_INIT;
    const char *text = typed(line);
    if (!text)
        return 0;
    if (*text == '\0')
        ask->possible = false;
    while (isspace((unsigned char)*text))
        text++;
    char first = (char)tolower((unsigned char)*text);
    if (first == 'l' || !ask->possible) {
        struct batch_vm *vm = ask->vm;
        end(ask, batch);
        leave(batch, vm);
        return 0;
    }
    if (first != 'f' && first != 'd') {
        fputs("  f, d or l: ", stderr);
        fflush(stderr);
        return 0;
    }
    struct batch_vm *vm = ask->vm;
    end(ask, batch);
    if (batch_answer(batch, vm, first == 'f' ? "force" : "manual", &why) == 0)
        return batch_poll(batch, err);
    /* It may have been answered elsewhere in this moment; if not, it is asked again. */
    run_view_complain(batch->view, vm->name, why.text);
    return batch_poll(batch, err);
}
