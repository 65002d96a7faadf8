/* delta: round after round, until it is time to switch over. Between two rounds nothing of us runs.
 */
#include <inttypes.h>

#include "base/checked.h"
#include "base/clock.h"
#include "engine/cutover.h"
#include "engine/forecast.h"
#include "engine/live.h"
#include "engine/round.h"

#define NEXT_AT "next_round_at" /* key of the state; unix time */

static int64_t left_s(const struct migration *m, int64_t now);
static bool is_time(const struct migration *m, int64_t now);
static bool is_ripe(const struct migration *m);
static int64_t interval_s(const struct job_warm *warm, int64_t now);
static int make_round(struct migration *m, struct err *err);

/* 0: it is time to switch over. At most one round, so that others may come between. */
static int
run(struct migration *m, struct err *err)
{
    const struct job_warm *warm = &m->job->warm;
    if (!warm->wanted || migration_is_copied(m) || cutover_is_begun(m))
        return 0;
    const struct engine_wishes *wishes = migration_wishes(m);
    int64_t now = clock_wall_s(), left = left_s(m, now);
    forecast_say(m);
    if (wishes->finalize_now || is_time(m, now) || (wishes->finalize && left <= 0) || is_ripe(m))
        return 0;
    if (left <= 0) {
        if (make_round(m, err) < 0)
            return -1;
        forecast_say(m);
        if (is_ripe(m))
            return 0;
        left = left_s(m, clock_wall_s());
    } else if (json_get_int(m->state.json, NEXT_AT, INT64_MAX) > now + left &&
               state_put(&m->state, NEXT_AT, json_integer(now + left), err) < 0) {
        return -1;
    }
    return migration_wait(m, left, "the next round is due in %" PRId64 " s", left);
}

/* Until the next round. A clock that was set back must not make it wait for years; run() then notes
 * the moment anew. */
static int64_t
left_s(const struct migration *m, int64_t now)
{
    int64_t most = interval_s(&m->job->warm, now);
    return MIN(json_get_int(m->state.json, NEXT_AT, now + most) - now, most);
}

/* Once: a cutover that was taken back waits for somebody. */
static bool
is_time(const struct migration *m, int64_t now)
{
    int64_t at = m->job->warm.finalize_at;
    return at && now >= at && json_get_int(m->state.json, CUTOVER_TRIED, 0) != at;
}

/* As the job says when that is; a cutover that was taken back waits for somebody. */
static bool
is_ripe(const struct migration *m)
{
    const struct job_warm *warm = &m->job->warm;
    int64_t deltas = json_get_int(m->state.json, ROUND_COUNT, 0) - 1;
    if (json_object_get(m->state.json, CUTOVER_TRIED) || deltas < 1)
        return false;
    return (warm->max_rounds && deltas >= warm->max_rounds) ||
           (warm->max_downtime_s && forecast_seconds(m) <= warm->max_downtime_s);
}

/* Near the time that was given they come more often, and one begins at that time. */
static int64_t
interval_s(const struct job_warm *warm, int64_t now)
{
    if (!warm->finalize_at || now >= warm->finalize_at)
        return warm->interval_s;
    int64_t left = MAX(warm->finalize_at - now, INT64_C(0));
    int64_t interval =
        left <= warm->finalize_window_s ? warm->finalize_interval_s : warm->interval_s;
    return MIN(interval, left);
}

static int
make_round(struct migration *m, struct err *err)
{
    if (m->source->live->refresh(m->source, err) < 0)
        return -1;
    migration_say(m, "Copying what changed");
    if (round_run(m, ROUND_DELTA, err) < 0)
        return -1;
    int64_t now = clock_wall_s();
    return state_put(&m->state, NEXT_AT, json_integer(now + interval_s(&m->job->warm, now)), err);
}

const struct stage stage_delta = { .name = "delta", .weight = 3, .run = run };
