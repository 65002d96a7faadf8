/* Cleanup by scope.
 *
 * A variable marked with one of these frees what it holds when its scope ends, on every way out.
 * TAKE_PTR and TAKE_FD hand the thing on and leave nothing to clean up behind.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

/* AUTO(fn): call fn(&variable) at the end of the scope; fn takes a pointer to the variable. */
#define AUTO(fn) __attribute__((cleanup(fn), unused))

static inline void
cleanup_free(void *pp)
{
    free(*(void **)pp);
}

static inline void
cleanup_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#define auto_free AUTO(cleanup_free)
#define auto_close AUTO(cleanup_close)

#define TAKE_PTR(p)                                                                                \
    ({                                                                                             \
        __typeof__(p) taken_ = (p);                                                                \
        (p) = NULL;                                                                                \
        taken_;                                                                                    \
    })

#define TAKE_FD(fd)                                                                                \
    ({                                                                                             \
        int taken_ = (fd);                                                                         \
        (fd) = -1;                                                                                 \
        taken_;                                                                                    \
    })

#endif
