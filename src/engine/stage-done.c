/* done: the working folder goes. */
#include "engine/migration.h"

static int
run(struct migration *m, struct err *err)
{
    migration_say(m, "Finishing off");
    return workdir_remove(&m->work, err);
}

const struct stage stage_done = { .name = "done", .weight = 1, .run = run };
