#include "engine/transport.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "engine/check.h"

static const unsigned bits[] = {
    [JOB_TRANSPORT_AUTO] = 0,
    [JOB_TRANSPORT_VDDK] = CHECK_BY_VDDK,
    [JOB_TRANSPORT_HTTPS] = CHECK_BY_HTTPS,
    [JOB_TRANSPORT_EXPORT] = CHECK_BY_EXPORT,
    [JOB_TRANSPORT_SSH] = CHECK_BY_SSH,
};

static const char *const virtues[] = {
    [JOB_TRANSPORT_VDDK] = "it reads only what is allocated, and goes on where it was interrupted",
    [JOB_TRANSPORT_HTTPS] = "it needs nothing but the web port, and goes on where it was "
                            "interrupted",
    [JOB_TRANSPORT_EXPORT] = "it reads through every kind of disk and chain",
};

unsigned
transport_bit(enum job_transport transport)
{
    return bits[transport];
}

static int
check_asked(const struct transport_facts *facts, enum job_transport asked, struct err *err)
{
    const char *name = job_transport_name(asked);
    if (!(facts->possible & bits[asked])) {
        char can[64] = "";
        for (enum job_transport t = JOB_TRANSPORT_VDDK; t <= JOB_TRANSPORT_SSH; t++)
            if (facts->possible & bits[t])
                snprintf(can + strlen(can), sizeof can - strlen(can), "%s%s", *can ? ", " : "",
                         job_transport_name(t));
        return err_set(err, ERR_INVALID,
                       "%s: -it %s cannot read every disk of it as it is; what can: %s",
                       facts->machine, name, *can ? can : "nothing");
    }
    if (asked == JOB_TRANSPORT_VDDK && !facts->library)
        return err_set(err, ERR_NOT_FOUND, "-it vddk: %s", facts->library_why);
    return 0;
}

/* Why it is not taken; NULL: it can be. */
static const char *
obstacle(const struct transport_facts *facts, enum job_transport transport)
{
    if (!(facts->possible & bits[transport]))
        return "it cannot read every disk of this machine as it is";
    if (transport == JOB_TRANSPORT_VDDK && facts->vddk_failed)
        return facts->vddk_failed;
    if (transport == JOB_TRANSPORT_VDDK && !facts->library)
        return facts->library_why;
    if (transport == JOB_TRANSPORT_VDDK && !facts->nfc)
        return facts->nfc_why;
    return NULL;
}

int
transport_choose(const struct transport_facts *facts, enum job_transport asked,
                 enum job_transport *ret, char why[TRANSPORT_WHY_MAX], struct err *err)
{
    static const enum job_transport order[] = { JOB_TRANSPORT_VDDK, JOB_TRANSPORT_HTTPS,
                                                JOB_TRANSPORT_EXPORT };
    char passed[TRANSPORT_WHY_MAX - 200] = "";
    if (asked != JOB_TRANSPORT_AUTO) {
        if (check_asked(facts, asked, err) < 0)
            return -1;
        snprintf(why, TRANSPORT_WHY_MAX, "the disks are read by %s, as asked for",
                 job_transport_name(asked));
        *ret = asked;
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        const char *reason = obstacle(facts, order[i]);
        if (!reason) {
            snprintf(why, TRANSPORT_WHY_MAX, "the disks are read by %s: %s%s%s",
                     job_transport_name(order[i]), virtues[order[i]],
                     *passed ? "; passed over: " : "", passed);
            *ret = order[i];
            return 0;
        }
        size_t len = strlen(passed);
        snprintf(passed + len, sizeof passed - len, "%s%s (%s)", len ? ", " : "",
                 job_transport_name(order[i]), reason);
    }
    return err_set(err, ERR_INVALID, "%s: no transport can read every disk of it: %s",
                   facts->machine, passed);
}
