#include "disk/rate.h"

#include "base/clock.h"

/* Time that was not used is good for this much of a burst. */
#define BURST_NS (100 * NS_PER_MS)
#define LOOK_NS (100 * NS_PER_MS)

void
rate_init(struct rate *rate, uint64_t bytes_per_s)
{
    pthread_mutex_init(&rate->lock, NULL);
    rate->bytes_per_s = bytes_per_s;
    rate->next_ns = clock_now_ns();
}

void
rate_done(struct rate *rate)
{
    pthread_mutex_destroy(&rate->lock);
}

void
rate_set(struct rate *rate, uint64_t bytes_per_s)
{
    pthread_mutex_lock(&rate->lock);
    rate->bytes_per_s = bytes_per_s;
    rate->next_ns = clock_now_ns();
    pthread_mutex_unlock(&rate->lock);
}

void
rate_wait(struct rate *rate, uint64_t bytes, const atomic_bool *stop)
{
    pthread_mutex_lock(&rate->lock);
    int64_t now_ns = clock_now_ns(), start_ns = now_ns;
    if (rate->bytes_per_s) {
        start_ns = MAX(rate->next_ns, now_ns - BURST_NS);
        rate->next_ns =
            start_ns + (int64_t)((double)bytes * (double)NS_PER_S / (double)rate->bytes_per_s);
    }
    pthread_mutex_unlock(&rate->lock);
    while (now_ns < start_ns && !atomic_load(stop)) {
        clock_sleep_until_ns(MIN(start_ns, now_ns + LOOK_NS));
        now_ns = clock_now_ns();
        pthread_mutex_lock(&rate->lock);
        if (!rate->bytes_per_s ||
            rate->next_ns < start_ns) /* changed: no longer bound by the old */
            start_ns = now_ns;
        pthread_mutex_unlock(&rate->lock);
    }
}
