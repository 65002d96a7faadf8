/* What is said between a copy process and its parent, to and from C: docs/protocol.md, role copy.
 */
#ifndef WIRE_COPY_MESSAGE_H
#define WIRE_COPY_MESSAGE_H

#include "wire/copy-client.h"
#include "wire/json.h"

/* The start message of a request, with that limit in place of its own; the caller owns it.
 * ERR_INVALID: a name in it is not UTF-8. */
json_t *copy_start_message(const struct copy_request *request, uint64_t limit_bytes_s,
                           struct err *err);

/* Borrowed strings of the message. */
void copy_progress_of_message(const json_t *msg, struct copy_progress *ret);
void copy_result_of_message(const json_t *msg, struct copy_result *ret);

/* What the disk is called in errors and logs. Never NULL. */
const char *copy_request_name(const struct copy_request *request);

#endif
