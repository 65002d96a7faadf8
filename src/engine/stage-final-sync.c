/* final_sync: the source goes off and stays off, and what it wrote last is copied. */
#include "engine/cutover.h"
#include "engine/live.h"
#include "engine/round.h"

/* What a round that did not end has frozen is of before: the last one reads what the machine left
 * when it went off. */
static int
thaw_left_over(struct migration *m, struct err *err)
{
    if (!source_left_behind(&m->state))
        return 0;
    return source_recall(m->source, &m->state, true, err);
}

/* A machine that came back while it was read (a cluster that keeps it up) has made the last round
 * worthless, but for what the next one copies again. */
static int
check_still(struct migration *m, struct err *err)
{
    size_t bad = SOURCE_BAD_NONE;
    return source_finish(m->source, &bad, err);
}

static int
run(struct migration *m, struct err *err)
{
    if (!m->job->warm.wanted)
        return 0;
    if (migration_is_copied(m))
        return cutover_check_off(m, err) < 0 ? -1 : source_close(m->source, &m->state, true, err);
    int r = thaw_left_over(m, err);
    if (r == 0)
        r = cutover_switch_off(m, err);
    if (r != 0)
        return r;
    migration_say(m, "Waiting until the source has settled");
    const struct live_ops *live = m->source->live;
    if (live->confirm_off(m->source, cutover_settle_s(m), err) < 0 ||
        live->refresh(m->source, err) < 0)
        return -1;
    migration_say(m, "Copying what changed last");
    if (round_run(m, ROUND_FINAL, err) < 0 || check_still(m, err) < 0 ||
        state_mark(&m->state, STATE_COPIED, err) < 0)
        return -1;
    return source_close(m->source, &m->state, true, err);
}

const struct stage stage_final_sync = { .name = "final_sync", .weight = 2, .run = run };
