/* guest_facts as JSON and back, for the state: looking into a guest takes many seconds. */
#ifndef ENGINE_FACTS_H
#define ENGINE_FACTS_H

#include "model/guest.h"
#include "wire/json.h"

json_t *facts_to_json(const struct guest_facts *facts);

/* False: not whole (memory). ret is good for guest_facts_free in any case. */
bool facts_from_json(const json_t *json, struct guest_facts *ret_facts);

#endif
