/* How long things take: latency, bandwidth and memory of the link to a host. */
#include <errno.h>
#include <time.h>

#include "library.h"

uint64_t
now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

void
wait_until_ns(uint64_t when)
{
    if (when <= now_ns())
        return;
    struct timespec t = { (time_t)(when / NS_PER_S), (long)(when % NS_PER_S) };
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}

static uint64_t
jitter_ns(void)
{
    static _Atomic uint64_t state = 88172645463325252ULL;
    if (settings.jitter_ns == 0)
        return 0;
    uint64_t x = atomic_fetch_add(&state, 0x9e3779b97f4a7c15ULL);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return (x ^ (x >> 31)) % settings.jitter_ns;
}

static uint64_t
transfer_ns(uint64_t len, uint64_t bandwidth)
{
    return (uint64_t)((__uint128_t)len * NS_PER_S / bandwidth);
}

uint64_t
line_due_ns(struct host_line *line, uint64_t len)
{
    uint64_t now = now_ns();
    uint64_t latency =
        line->latency_ns > settings.latency_ns ? line->latency_ns : settings.latency_ns;
    uint64_t due = latency == 0 && settings.jitter_ns == 0 ? 0 : now + latency + jitter_ns();
    uint64_t bandwidth = line->bandwidth;
    if (settings.bandwidth && (!bandwidth || settings.bandwidth < bandwidth))
        bandwidth = settings.bandwidth;
    if (bandwidth == 0)
        return due;
    uint64_t took = transfer_ns(len, bandwidth);
    uint64_t free_at = atomic_load(&line->free_at_ns);
    uint64_t end;
    do
        end = (free_at > now ? free_at : now) + took;
    while (!atomic_compare_exchange_weak(&line->free_at_ns, &free_at, end));
    return end > due ? end : due;
}

bool
line_take(struct host_line *line, unsigned slot, uint64_t len)
{
    uint64_t sum = 0;
    uint64_t limit = line->memory_bytes;
    if (settings.nfc_memory_bytes && (!limit || settings.nfc_memory_bytes < limit))
        limit = settings.nfc_memory_bytes;
    atomic_fetch_add(&line->used_bytes[slot], len);
    if (limit == 0)
        return true;
    for (unsigned i = 0; i < HOST_LINE_SLOTS; i++)
        sum += atomic_load_explicit(&line->used_bytes[i], memory_order_relaxed);
    if (sum <= limit)
        return true;
    line_give(line, slot, len);
    return false;
}

void
line_give(struct host_line *line, unsigned slot, uint64_t len)
{
    /* Never below nothing: the server empties the slot of a client that it takes for gone. */
    uint64_t used = atomic_load(&line->used_bytes[slot]);
    while (
        !atomic_compare_exchange_weak(&line->used_bytes[slot], &used, used > len ? used - len : 0))
        ;
}
