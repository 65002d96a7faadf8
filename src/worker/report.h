/* The engine's words to the parent, as messages on descriptor 3; the parent's wishes back. */
#ifndef WORKER_REPORT_H
#define WORKER_REPORT_H

#include "engine/talk.h"
#include "engine/watch.h"

/* The watch to give to the engine. One thread. */
extern const struct engine_watch report_watch;

/* The same for a migration that a daemon remembers; report_begin, before it is used, takes the
 * wishes that came with the start message. */
extern const struct engine_watch report_daemon_watch;
void report_begin(const json_t *start);

/* The same for the tasks that say findings and machines. */
extern const struct talk report_talk;

/* log_setup's sink: log lines as messages. */
void report_log(enum log_level level, const char *text, void *arg);

#endif
