#include "engine/cleanup.h"

#include <unistd.h>

#include "engine/cutover.h"
#include "engine/live.h"
#include "engine/placement.h"

/* What has its last name already, and the machine none: nobody else can have made it, for the names
 * were free. */
static void
remove_placed(const struct migration *m)
{
    for (size_t i = 0; i < m->vm->n_disks; i++)
        if (access(m->paths.disks[i], F_OK) < 0)
            unlink(m->paths.final_disks[i]);
}

int
cleanup_run(struct migration *m, struct err *err)
{
    struct placement placement;
    const struct live_ops *live = m->source->live;
    bool on;
    if (cutover_is_final(m))
        return err_set(
            err, ERR_CONFLICT,
            "%s: has arrived already, so the migration can no longer be given up: remove "
            "the new machine there, and switch the old one on yourself, if you want it "
            "back",
            m->vm->name);
    m->source->deaf = true;
    migration_say(m, "Clearing away");
    placement_fill(m, &placement);
    if (m->job->platform->undo && m->job->platform->undo(&placement, err) < 0)
        return -1;
    if (state_is(&m->state, STATE_PLACING))
        remove_placed(m);
    if (live &&
        (cutover_take_back(m, &on, err) < 0 || source_recall(m->source, &m->state, true, err) < 0 ||
         live->untrack(m->source, &m->state, err) < 0))
        return -1;
    if (source_close(m->source, &m->state, false, err) < 0)
        return -1;
    return workdir_remove(&m->work, err);
}
