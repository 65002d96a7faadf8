/* The conversation between a process and its child on descriptor 3.
 *
 * A SOCK_SEQPACKET pair, one JSON object a packet, each with a "type". The child speaks first:
 * hello with its version; another version than ours is refused. docs/protocol.md lists the types
 * with an example each. Any thread may send; one thread receives.
 */
#ifndef WIRE_IPC_H
#define WIRE_IPC_H

#include "base/clock.h"
#include "wire/json.h"

#define IPC_VERSION 1
#define IPC_PACKET_MAX 65536 /* bytes of JSON */
#define IPC_CHILD_FD 3
#define IPC_HELLO_NS (10 * NS_PER_S) /* for a hello or a start to come */

/* A pair of sockets: [0] stays, [1] goes to the child (proc_spec.fd3). Close-on-exec. */
int ipc_pair(int ret_fds[2], struct err *err);

/* Send one object; takes over the reference to msg, also on failure. A NULL msg (a json_pack that
 * failed) is ERR_BUG. A full socket waits; a closed one is ERR_UNAVAILABLE. */
int ipc_send(int fd, json_t *msg, struct err *err);

/* Wait for one object until the deadline (clock_now_ns; negative: none). 1: *ret_msg is owned by
 * the caller; 0: the deadline passed; -1: error, ERR_UNAVAILABLE when the other side has gone,
 * ERR_INVALID for a packet that is no object with a "type" or larger than IPC_PACKET_MAX. */
int ipc_recv(int fd, int64_t deadline_ns, json_t **ret_msg, struct err *err);

/* The "type" of a received object; never NULL. */
const char *ipc_type(const json_t *msg);

/* Child: send hello, receive start. Parent: receive hello within 10 s and check it, send start
 * (takes over the reference). */
int ipc_child_begin(int fd, const char *role, json_t **ret_start, struct err *err);
int ipc_parent_begin(int fd, const char *role, json_t *start, struct err *err);

/* A parent that received the first message by itself: is it the hello of that role and our version
 * (else ERR_INVALID)? Then start goes out (takes over the reference). */
int ipc_parent_greeted(int fd, const json_t *hello, const char *role, json_t *start,
                       struct err *err);

/* Child: the last word, {"type": "result", "ok": true, ...detail} or {"ok": false, "error": ...}.
 * Takes over detail (may be NULL). */
int ipc_send_result(int fd, const struct err *failure, json_t *detail, struct err *err);

#endif
