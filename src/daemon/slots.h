/* How many disks may be read from one ESXi host at a time, over all migrations, and who is next. No
 * I/O: the caller sends what is granted.
 *
 * Final deltas (a machine is down and waits) go before deltas, those before base copies; within one
 * kind it is first come, first served.
 */
#ifndef DAEMON_SLOTS_H
#define DAEMON_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum slot_priority { SLOT_FINAL, SLOT_DELTA, SLOT_BASE };

#define SLOT_HOST_MAX 256  /* bytes of a host's name, its NUL included */
#define SLOT_WANT_MAX 4096 /* disks */

/* One worker. Part of the worker's own struct; zeroed before its first want. */
struct slot_user {
    struct slot_user *next;
    bool joined; /* it has asked at least once */
    char host[SLOT_HOST_MAX];
    enum slot_priority priority;
    unsigned wanted; /* and not granted yet */
    unsigned held;
    uint64_t turn; /* of its want: who asked first */
};

struct slots {
    struct slot_user *first;
    uint64_t turns;
};

/* It wants so many disks of the host beyond those that it holds; this replaces what it has asked
 * for before. 0 disks: it wants no more. ERR_INVALID: a host or a number that is none. */
int slots_want(struct slots *slots, struct slot_user *user, const char *host,
               enum slot_priority priority, unsigned disks, struct err *err);

/* It holds so many less (never less than none). */
void slots_free(struct slot_user *user, unsigned disks);

/* It has ended. One that never asked is fine. */
void slots_leave(struct slots *slots, struct slot_user *user);

/* Grant one disk: who got it, or NULL when nobody can have one. per_host 0: no limit. */
struct slot_user *slots_grant(struct slots *slots, unsigned per_host);

/* The part of a bandwidth of total_bytes_s (0: no limit) for one who reads own of all disks that
 * are being read; one who reads none yet gets what it would have with one. 0 only for no limit. */
uint64_t slots_share(uint64_t total_bytes_s, unsigned all, unsigned own);

/* "final", "delta", "base"; false when it is none of them. */
bool slots_priority_from_name(const char *name, enum slot_priority *ret);

#endif
