/* done: nothing of ours stays at the source, and the working folder goes. */
#include "engine/live.h"
#include "engine/migration.h"

/* The machine runs elsewhere by now: what cannot be cleared away is said, and is no failure. */
static void
let_source_be(struct migration *m)
{
    struct err err = ERR_INIT;
    if (!m->job->warm.wanted)
        return;
    if (m->source->live->untrack(m->source, &m->state, &err) < 0 ||
        source_close(m->source, &m->state, true, &err) < 0)
        migration_log(m, LOG_LEVEL_WARNING, "left-behind", "%s", err.text);
}

static int
run(struct migration *m, struct err *err)
{
    migration_say(m, "Finishing off");
    let_source_be(m);
    return workdir_remove(&m->work, err);
}

const struct stage stage_done = { .name = "done", .weight = 1, .run = run };
