/* What a worker asks to have remembered: begin, done and note, each one transaction, each answered.
 * docs/protocol.md has the messages. */
#ifndef DAEMON_JOURNAL_H
#define DAEMON_JOURNAL_H

#include <stdbool.h>

#include "base/err.h"
#include "wire/json.h"

struct entry;

/* True for the type of a message of the journal. */
bool journal_is_type(const char *type);

/* Store what it says. *ret_round: it ended a round. ERR_INVALID: an operation that is none. */
int journal_store(struct entry *entry, const json_t *msg, bool *ret_round, struct err *err);

#endif
