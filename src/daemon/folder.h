/* The folder of each machine, CONTROL_DIR/NAME_MOREF/, as v2c-engine's users and their scripts know
 * it: migration.log, spec.yaml, and the marker files by which a migration is steered.
 *
 * It is there from when the machine's reference is known until somebody removes it. A marker is
 * honoured once: it is removed first, and its wish is put down then, so that what a crash leaves
 * behind never switches off a machine a second time. One that is older than its migration is
 * removed and not honoured.
 */
#ifndef DAEMON_FOLDER_H
#define DAEMON_FOLDER_H

#include <stdint.h>

#include "base/err.h"

struct daemon;
struct entry;

/* Begin to look for markers, every two seconds. */
int folder_watch(struct daemon *daemon, struct err *err);

/* Make the folder of a migration, when its machine is known, and put into its log what has happened
 * before. What fails is noted: a migration goes on without. */
void folder_find(struct entry *entry);

/* A line in migration.log; `at` in unix seconds. Nothing when there is no folder. */
void folder_log(struct entry *entry, int64_t at, const char *text);

/* Look now. */
void folder_look(struct entry *entry);

/* The migration has ended: markers that were not honoured are for nobody. */
void folder_leave(struct entry *entry);

/* A name as a part of a path: what is not a letter, a digit, '.', '_' or '-' becomes '_'. At most
 * 200 bytes of it. */
#define FOLDER_SAFE_MAX 201
const char *folder_safe_name(const char *name, char text[FOLDER_SAFE_MAX]);

#endif
