/* What happened, for people: an event in the store, a line in the machine's migration.log, and for
 * what concerns the daemon itself, or went wrong, the log of this process.
 *
 * Nothing depends on it: what cannot be written is said once in the log of this process.
 */
#ifndef DAEMON_NOTE_H
#define DAEMON_NOTE_H

#include "base/log.h"

struct daemon;
struct entry;

/* code is stable and for programs; NULL: none. */
void note_migration(struct entry *entry, enum log_level level, const char *code, const char *fmt,
                    ...) __attribute__((format(printf, 4, 5)));
void note_daemon(struct daemon *daemon, enum log_level level, const char *code, const char *fmt,
                 ...) __attribute__((format(printf, 4, 5)));

/* Forget events that nobody will look at any more. */
void note_prune(struct daemon *daemon);

#endif
