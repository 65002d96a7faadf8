/* What `vmferry run` shows: on a terminal a block of live lines, elsewhere the lines of v2c-engine,
 * or, with --json, one object per event (docs/events.md).
 */
#ifndef CLI_RUN_VIEW_H
#define CLI_RUN_VIEW_H

#include "cli/output.h"
#include "cli/run-batch.h"

struct run_view {
    struct output out;
    bool many;        /* machines: each line says which */
    bool held;        /* the block is not drawn: a question stands there */
    const char *note; /* the last line of the block; NULL: none */
    unsigned n_drawn; /* lines of the block on the terminal */
};

void run_view_init(struct run_view *view, const struct output_options *options, size_t n_machines);

/* The daemon took it, or had it already (again). */
void run_view_started(struct run_view *view, const struct batch_vm *vm, bool again);
void run_view_refused(struct run_view *view, const struct batch_vm *vm);

/* An event of the API. */
void run_view_event(struct run_view *view, const struct batch_vm *vm, const json_t *event);

/* vm->json is new; before (may be NULL) is the one of the last time. */
void run_view_change(struct run_view *view, struct batch_vm *vm, const json_t *before);

/* Draw the block of live lines again. Nothing without a terminal. */
void run_view_draw(struct run_view *view, const struct batch *batch);

/* Take the block away, so that other things can be printed. */
void run_view_clear(struct run_view *view);

/* "vmferry: run: NAME: TEXT" on stderr, whatever is shown otherwise. */
void run_view_complain(struct run_view *view, const char *name, const char *text);

#endif
