/* The live lines of `vmferry run`, as text. No I/O here. */
#ifndef CLI_RUN_LINE_H
#define CLI_RUN_LINE_H

#include "cli/migration.h"
#include "cli/progress-line.h"

#define RUN_LINE_MAX 4096

/* "web01   delta  62%  4 rounds, next in 4:12, downtime about 1:35": one line for a machine, at
 * the moment now (unix seconds); at most columns - 1 characters, cut with an ellipsis. name is what
 * the person called it. Control characters in texts become blanks. */
const char *run_line_machine(const char *name, const struct migration *migration, int64_t now,
                             unsigned columns, char text[RUN_LINE_MAX]);

/* One line for a disk of it, indented. */
const char *run_line_disk(const struct progress *progress, unsigned columns,
                          char text[RUN_LINE_MAX]);

#endif
