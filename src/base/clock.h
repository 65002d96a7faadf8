/* Time. Deadlines and rates use the monotonic clock only; tests set it. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <pthread.h>
#include <stdint.h>

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

/* Nanoseconds since some fixed moment; never goes back. */
int64_t clock_now_ns(void);

/* Sleep until that moment of clock_now_ns (returns at once when it has passed). A fake clock jumps
 * there instead. */
void clock_sleep_until_ns(int64_t when_ns);

/* Milliseconds left until a deadline, for poll(): 0 when it has passed, rounded up. A negative
 * deadline means "none" and gives -1. */
int clock_poll_ms(int64_t deadline_ns);

/* A condition variable whose timed waits take moments of this clock. */
void cond_init_monotonic(pthread_cond_t *cond);

/* Seconds since 1970 by the wall clock, for what people and other programs read and for what is
 * kept over a restart. It may jump: nothing is measured with it, and nothing waits for it. */
int64_t clock_wall_s(void);

/* Tests: from now on the clock stands at now_ns until moved again; negative: the real one. */
void clock_fake_ns(int64_t now_ns);

#endif
