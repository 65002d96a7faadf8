#include "engine/cleanup.h"

#include "engine/cutover.h"
#include "engine/live.h"
#include "engine/placement.h"

int
cleanup_run(struct migration *m, struct err *err)
{
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
    if (placement_take_back(m, err) < 0)
        return -1;
    if (live &&
        (cutover_take_back(m, &on, err) < 0 || source_recall(m->source, &m->state, true, err) < 0 ||
         live->untrack(m->source, &m->state, err) < 0))
        return -1;
    if (source_close(m->source, &m->state, false, err) < 0)
        return -1;
    return workdir_remove(&m->work, err);
}
