#include "engine/forecast.h"

#include "engine/cutover.h"
#include "engine/round.h"

/* Where nothing was measured. */
#define DEFAULT_SHUTDOWN_S 30
#define DEFAULT_CONVERT_S 120
#define DEFAULT_RATE_BYTES_S (INT64_C(100) << 20)

struct forecast {
    int64_t shutdown_s, settle_s, delta_bytes, rate_bytes_s, delta_s, convert_s;
    bool shutdown_known, rate_known, convert_known;
};

/* What the last round found in its interval is what the next will; more time brings more. */
static struct forecast
make_forecast(const struct migration *m)
{
    const json_t *state = m->state.json, *last = json_object_get(state, ROUND_LAST);
    const struct job *job = m->job;
    int64_t shutdown = json_get_int(state, CUTOVER_SHUTDOWN_S, -1);
    int64_t rate = json_get_int(state, ROUND_RATE, 0);
    struct forecast f = {
        .shutdown_known = shutdown >= 0,
        .rate_known = rate > 0,
        .convert_known = job->convert_seconds > 0,
        .shutdown_s = shutdown >= 0 ? shutdown : DEFAULT_SHUTDOWN_S,
        .settle_s = cutover_settle_s(m),
        .delta_bytes = json_get_int(last, "changed_bytes", 0),
        .rate_bytes_s = rate > 0 ? rate : DEFAULT_RATE_BYTES_S,
        .convert_s = job->convert_seconds > 0 ? job->convert_seconds : DEFAULT_CONVERT_S,
    };
    if (!job->convert)
        f.convert_s = 0;
    f.delta_s = f.delta_bytes / f.rate_bytes_s + 1;
    return f;
}

static int64_t
sum_of(const struct forecast *f)
{
    return f->shutdown_s + f->settle_s + f->delta_s + f->convert_s;
}

int64_t
forecast_seconds(const struct migration *m)
{
    struct forecast f = make_forecast(m);
    return sum_of(&f);
}

void
forecast_say(const struct migration *m)
{
    struct forecast f = make_forecast(m);
    if (!m->watch->say || !json_object_get(m->state.json, ROUND_LAST))
        return;
    json_t *basis = json_pack(
        "{s:I, s:s, s:I, s:I, s:I, s:s, s:I, s:I, s:s}", "shutdown_s", (json_int_t)f.shutdown_s,
        "shutdown_from", f.shutdown_known ? "measured" : "default", "settle_s",
        (json_int_t)f.settle_s, "delta_bytes", (json_int_t)f.delta_bytes, "rate_bytes_s",
        (json_int_t)f.rate_bytes_s, "rate_from", f.rate_known ? "measured" : "default", "delta_s",
        (json_int_t)f.delta_s, "convert_s", (json_int_t)f.convert_s, "convert_from",
        f.convert_known ? "history" : "default");
    m->watch->say(json_pack("{s:s, s:I, s:o}", "type", "forecast", "downtime_s",
                            (json_int_t)sum_of(&f), "basis", basis),
                  m->watch->arg);
}
