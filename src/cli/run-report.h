/* What a `vmferry run` leaves, said at its end: of each machine what was created where, how long it
 * took and how long it was away, or the error with its way out. */
#ifndef CLI_RUN_REPORT_H
#define CLI_RUN_REPORT_H

#include "cli/cmd.h"
#include "cli/run-batch.h"
#include "cli/run-view.h"

/* interrupted: somebody stopped it. theirs: a daemon that goes on without us. Returns what to exit
 * with. */
enum exit_code run_report(struct run_view *view, const struct batch *batch, bool interrupted,
                          bool theirs);

#endif
