#include "daemon/slots.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"

static unsigned held_of(const struct slots *slots, const char *host);
static bool is_before(const struct slot_user *a, const struct slot_user *b);

int
slots_want(struct slots *slots, struct slot_user *user, const char *host,
           enum slot_priority priority, unsigned disks, struct err *err)
{
    if (strlen(host) >= sizeof user->host)
        return err_set(err, ERR_INVALID, "a host's name of %zu bytes", strlen(host));
    if (disks > SLOT_WANT_MAX)
        return err_set(err, ERR_INVALID, "%u disks at once are more than %d", disks, SLOT_WANT_MAX);
    if (!user->joined) {
        user->joined = true;
        user->next = slots->first;
        slots->first = user;
    }
    /* Who only changes the number keeps its turn. */
    bool keeps_turn = user->wanted > 0 && user->priority == priority && !strcmp(user->host, host);
    if (!keeps_turn)
        user->turn = ++slots->turns;
    snprintf(user->host, sizeof user->host, "%s", host);
    user->priority = priority;
    user->wanted = disks;
    return 0;
}

void
slots_free(struct slot_user *user, unsigned disks)
{
    user->held -= MIN(disks, user->held);
}

void
slots_leave(struct slots *slots, struct slot_user *user)
{
    for (struct slot_user **at = &slots->first; *at; at = &(*at)->next)
        if (*at == user) {
            *at = user->next;
            break;
        }
    *user = (struct slot_user){ .joined = false };
}

struct slot_user *
slots_grant(struct slots *slots, unsigned per_host)
{
    struct slot_user *best = NULL;
    for (struct slot_user *user = slots->first; user; user = user->next)
        if (user->wanted > 0 && (per_host == 0 || held_of(slots, user->host) < per_host) &&
            (!best || is_before(user, best)))
            best = user;
    if (best) {
        best->wanted--;
        best->held++;
    }
    return best;
}

/* Names of hosts are compared as DNS does. */
static unsigned
held_of(const struct slots *slots, const char *host)
{
    unsigned held = 0;
    for (const struct slot_user *user = slots->first; user; user = user->next)
        if (strcasecmp(user->host, host) == 0)
            held += user->held;
    return held;
}

static bool
is_before(const struct slot_user *a, const struct slot_user *b)
{
    if (a->priority != b->priority)
        return a->priority < b->priority;
    return a->turn < b->turn;
}

uint64_t
slots_share(uint64_t total_bytes_s, unsigned all, unsigned own)
{
    if (total_bytes_s == 0)
        return 0;
    if (own == 0) {
        own = 1;
        all++;
    }
    /* Not total * own / all, which may be too large for the type. */
    uint64_t share = total_bytes_s / all * own + total_bytes_s % all * own / all;
    return MAX(share, (uint64_t)1);
}

bool
slots_priority_from_name(const char *name, enum slot_priority *ret)
{
    static const char *const names[] = {
        [SLOT_FINAL] = "final",
        [SLOT_DELTA] = "delta",
        [SLOT_BASE] = "base",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(name, names[i]) == 0) {
            *ret = (enum slot_priority)i;
            return true;
        }
    return false;
}
