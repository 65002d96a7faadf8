/* `vmferry check`: every rule on every machine that is meant, and on what it needs around it.
 *
 * The start message of the action "check" (docs/protocol.md):
 * {"action": "check", "endpoint": {...}, "machines": [QUERY...], "filter": [WORD...],
 *  "mode": "any" | "cold" | "warm", "transport": "auto" | "vddk" | "https" | "export" | "ssh",
 *  "target": DIR | null, "nfc_port": PORT, "vddk": {"libdir": DIR | null},
 *  "specs": [SPEC...], "cloudstack": {...}}
 * The last two may be missing. specs are those of machines, one by one.
 */
#ifndef ENGINE_CHECK_RUN_H
#define ENGINE_CHECK_RUN_H

#include "engine/talk.h"

/* Say {"type": "finding", ...} for each finding and {"type": "machine", ...} after those of each
 * machine. 0: *ret_detail, owned by the caller, is {"machines": N, "blocked": N, "errors": N,
 * "warnings": N}. -1: the server could not be asked; what is wrong with a machine is no error. */
int check_run(const json_t *start, const struct talk *talk, json_t **ret_detail, struct err *err);

#endif
