#include "store/store.h"

#include <stdlib.h>
#include <string.h>

static const char *const object_states[STORE_OBJECT_STATES] = {
    [STORE_OBJECT_PLANNED] = "planned",
    [STORE_OBJECT_MADE] = "made",
    [STORE_OBJECT_GONE] = "gone",
};

void
store_migration_free(struct store_migration *migration)
{
    char *const texts[] = {
        migration->key,      migration->name,  migration->moref,    migration->uuid,
        migration->server,   migration->host,  migration->spec,     migration->job,
        migration->state,    migration->stage, migration->question, migration->error,
        migration->shutdown,
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        free(texts[i]);
    *migration = (struct store_migration){ 0 };
}

const char *
store_object_state_name(enum store_object_state state)
{
    return (unsigned)state < STORE_OBJECT_STATES ? object_states[state] : NULL;
}

bool
store_object_state_from_name(const char *name, enum store_object_state *ret_state)
{
    for (unsigned i = 0; name && i < STORE_OBJECT_STATES; i++)
        if (strcmp(object_states[i], name) == 0) {
            *ret_state = (enum store_object_state)i;
            return true;
        }
    return false;
}
