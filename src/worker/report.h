/* The engine's words to the parent, as messages on descriptor 3; the parent's wishes back. */
#ifndef WORKER_REPORT_H
#define WORKER_REPORT_H

#include "engine/talk.h"
#include "engine/watch.h"

/* The watch to give to the engine. One thread. */
extern const struct engine_watch report_watch;

/* The same for the tasks that say findings and machines. */
extern const struct talk report_talk;

/* log_setup's sink: log lines as messages. */
void report_log(enum log_level level, const char *text, void *arg);

#endif
