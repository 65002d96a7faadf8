/* Cleanup by scope.
 *
 * A variable marked with one of these frees what it holds when its scope ends, on every way out.
 * TAKE_PTR and TAKE_FD hand the thing on and leave nothing to clean up behind.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdlib.h>
#include <string.h>
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

/* A password, a cookie, a ticket: nothing of it stays in memory that is freed. NULL is fine. */
static inline void
secret_free(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

static inline void
cleanup_secret(char **pp)
{
    secret_free(*pp);
}

#define auto_free AUTO(cleanup_free)
#define auto_close AUTO(cleanup_close)
#define auto_secret AUTO(cleanup_secret)

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
