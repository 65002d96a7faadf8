/* The machines of a vCenter or an ESXi, told in batches as the server gives them.
 *
 * The start message of the action "inventory" (docs/protocol.md):
 * {"action": "inventory", "endpoint": {...}, "filter": [WORD...]}
 */
#ifndef ENGINE_INVENTORY_H
#define ENGINE_INVENTORY_H

#include "engine/machine-filter.h"
#include "engine/talk.h"
#include "vmware/inventory.h"

/* Say {"type": "machines", ...} for each batch. 0: *ret_detail, owned by the caller, is
 * {"machines": N, "shown": N, "about": TEXT}. */
int inventory_run(const json_t *start, const struct talk *talk, json_t **ret_detail,
                  struct err *err);

/* What the filter looks at. */
void inventory_values(const struct vmware_summary *summary, const char *values[MACHINE_FIELDS]);

/* What can be told from the list alone, in a word or two: "ready", "cold only", "suspended". */
const char *inventory_readiness(const struct vmware_summary *summary);

/* "on", "off", "suspended"; "connected", "orphaned", ... */
const char *inventory_power_name(enum vmware_power power);
const char *inventory_connection_name(enum vmware_connection connection);

#endif
