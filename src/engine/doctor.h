/* Is this host fit to migrate machines? Looks at tools and their versions, libraries, acceleration,
 * memory, directories and servers, and says each effective setting and where it comes from.
 *
 * The start message of the action "doctor" (docs/protocol.md):
 * {"action": "doctor", "dirs": [DIR...], "hosts": ["NAME[:PORT]"...],
 *  "vddk": {"libdir": DIR | null, "transports": ... | null, "thumbprint": ... | null},
 *  "agent_properties": PATH | null, "libvirt": URI | null}
 */
#ifndef ENGINE_DOCTOR_H
#define ENGINE_DOCTOR_H

#include "base/err.h"
#include "engine/talk.h"

/* Say {"type": "finding", ...} for each thing looked at. 0: *ret_detail, owned by the caller, is
 * {"errors": N, "warnings": N}. -1: the start message is wrong (ERR_INVALID) or ERR_CANCELLED; what
 * is missing on the host is a finding, not an error. */
int doctor_run(const json_t *start, const struct talk *talk, json_t **ret_detail, struct err *err);

#endif
