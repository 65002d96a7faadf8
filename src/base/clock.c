#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <time.h>

static _Atomic int64_t fake_ns = -1;

int64_t
clock_now_ns(void)
{
    int64_t fake = atomic_load(&fake_ns);
    if (fake >= 0)
        return fake;
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

void
clock_sleep_until_ns(int64_t when_ns)
{
    int64_t fake = atomic_load(&fake_ns);
    if (fake >= 0) {
        while (fake < when_ns && !atomic_compare_exchange_weak(&fake_ns, &fake, when_ns))
            ;
        return;
    }
    struct timespec ts = { .tv_sec = when_ns / NS_PER_S, .tv_nsec = when_ns % NS_PER_S };
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
        ;
}

int
clock_poll_ms(int64_t deadline_ns)
{
    if (deadline_ns < 0)
        return -1;
    int64_t left_ns = deadline_ns - clock_now_ns();
    if (left_ns <= 0)
        return 0;
    int64_t ms = left_ns / NS_PER_MS + (left_ns % NS_PER_MS != 0);
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

void
cond_init_monotonic(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

int64_t
clock_wall_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return ts.tv_sec;
}

void
clock_fake_ns(int64_t now_ns)
{
    atomic_store(&fake_ns, now_ns);
}
