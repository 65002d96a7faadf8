/* vmferryd as a whole: what its files share. One thread, one event loop.
 *
 *   http -> api-* -> wish, roster      what people ask
 *   folder -> wish                     what marker files ask
 *   supervise -> link, journal, outcome  what workers say
 *   tend                               who runs, who reads, how fast: after each change
 *   roster -> store                    each change is in the store before it is true here
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "daemon/limits.h"
#include "daemon/queue.h"
#include "daemon/roster.h"
#include "daemon/slots.h"
#include "model/config.h"
#include "store/store.h"

enum daemon_mode {
    DAEMON_SERVE, /* until it is told to stop */
    DAEMON_RUN,   /* for one batch: its parent tells it to stop */
    DAEMON_LOOK,  /* answers, and takes wishes down, but starts no worker */
};

struct daemon {
    enum daemon_mode mode;
    bool stopping;
    sd_event *event;
    struct store *store;
    struct config config;
    char *control_dir;
    char *worker; /* program; NULL: the one that is installed with this */
    struct limits limits;
    struct roster roster;
    struct queue queue; /* of all in the roster */
    struct slots slots; /* of the workers that run */
    struct worker *workers;
    unsigned n_workers;
    int64_t owed_at_ns;    /* when to try again what the store did not take; 0: all is there */
    int64_t wall_ahead_ns; /* of clock_now_ns, when somebody last looked */
    sd_event_source *tend_soon, *tend_at, *look_at_clock; /* daemon/tend */
    sd_event_source *look_at_folders;                     /* daemon/folder */
};

#endif
