/* What can be done with a machine while it runs: it is frozen for a moment, asked for its changes,
 * and in the end switched off. Of a source that has it (struct source, `live`).
 *
 * A round is refresh, freeze, copies, thaw. What freeze makes at the source is in the journal
 * before it is made, and recall (engine/source.h) takes it up again after a crash.
 */
#ifndef ENGINE_LIVE_H
#define ENGINE_LIVE_H

#include "engine/source.h"

enum live_power { LIVE_OFF, LIVE_ON, LIVE_SUSPENDED };

enum live_answer {
    LIVE_AREAS, /* all areas that changed were given */
    LIVE_RESET, /* nobody knows what changed: compare the whole disk */
};

struct live_machine {
    const char *name, *moref, *uuid, *server;
    const char *host;      /* that reads the disks for us; slots are counted by it */
    const char *boot_time; /* of the running guest, as the source says it; "" */
    enum live_power power;
    bool tools; /* the guest can be asked to shut down */
    bool windows;
};

struct live_ops {
    /* How it is now: its power, and its disks, or, while they are frozen, those of that moment. */
    int (*refresh)(struct source *src, struct err *err);

    /* As of the last refresh; strings live until the next. */
    void (*machine)(const struct source *src, struct live_machine *ret);
    int (*disk_key)(const struct source *src, size_t disk);

    /* Have changes tracked, or find out that they cannot be, once; what was decided is in state. */
    int (*track)(struct source *src, struct state *state, struct err *err);
    /* Take tracking away again, if it was us who turned it on. */
    int (*untrack)(struct source *src, struct state *state, struct err *err);

    /* Hold the disks still. One that is frozen already stays so. */
    int (*freeze)(struct source *src, struct state *state, struct err *err);
    int (*thaw)(struct source *src, struct state *state, struct err *err);

    /* The moment at which a disk stands, while it is frozen, or off: what areas takes as since in a
     * later round. "": not tracked. */
    const char *(*epoch)(const struct source *src, size_t disk);
    /* What was written since that moment, in ascending order; each's error ends it. why (512 bytes)
     * is set with LIVE_RESET. */
    int (*areas)(struct source *src, size_t disk, const char *since,
                 int (*each)(uint64_t start, uint64_t length, void *arg, struct err *err),
                 void *arg, enum live_answer *ret, char why[512], struct err *err);

    /* Each waits for its end; what is so already is fine. shut_down: ERR_UNAVAILABLE when the guest
     * does not do it, or not in time. confirm_off: ERR_CONFLICT when it is not off, or comes back.
     */
    int (*shut_down)(struct source *src, struct err *err);
    int (*power_off)(struct source *src, struct err *err);
    int (*power_on)(struct source *src, struct err *err);
    int (*confirm_off)(struct source *src, int seconds, struct err *err);
};

/* Keys of the state that the source keeps. */
#define LIVE_TRACKING "tracking" /* {"on": bool, "by_us": bool, "why": TEXT} */

#endif
