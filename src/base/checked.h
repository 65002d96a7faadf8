/* Arithmetic on sizes that came from a file or from the network, and on the ones we align. */
#ifndef BASE_CHECKED_H
#define BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define TIB ((uint64_t)1 << 40)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
/* Each argument is evaluated once; the counter keeps nested uses apart. */
#define MIN(a, b) PICK_(<, a, b, __COUNTER__)
#define MAX(a, b) PICK_(>, a, b, __COUNTER__)
#define PICK_(op, a, b, n) PICK_NAMED_(op, a, b, n)
#define PICK_NAMED_(op, a, b, n)                                                                   \
    ({                                                                                             \
        __typeof__(a) pick_a_##n = (a);                                                            \
        __typeof__(b) pick_b_##n = (b);                                                            \
        pick_a_##n op pick_b_##n ? pick_a_##n : pick_b_##n;                                        \
    })

/* True when the result fits; *ret is set only then. */
static inline bool
checked_add(uint64_t a, uint64_t b, uint64_t *ret)
{
    uint64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *ret = sum;
    return true;
}

static inline bool
checked_mul(uint64_t a, uint64_t b, uint64_t *ret)
{
    uint64_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *ret = product;
    return true;
}

/* align must be a power of two. round_up saturates at the highest aligned value. */
static inline uint64_t
round_down(uint64_t n, uint64_t align)
{
    return n & ~(align - 1);
}

static inline uint64_t
round_up(uint64_t n, uint64_t align)
{
    return n > UINT64_MAX - (align - 1) ? round_down(UINT64_MAX, align)
                                        : round_down(n + align - 1, align);
}

static inline uint64_t
div_up(uint64_t n, uint64_t by)
{
    return n / by + (n % by != 0);
}

static inline bool
is_power_of_two(uint64_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

#endif
