/* The workers: started, told, heard, and missed when they die. Many at once, none of them waited
 * for. */
#ifndef DAEMON_SUPERVISE_H
#define DAEMON_SUPERVISE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/proc.h"
#include "daemon/link.h"
#include "daemon/slots.h"

struct daemon;
struct entry;

struct worker {
    struct slot_user slots; /* first, so that a user of slots is its worker */
    struct worker *next;
    struct daemon *daemon;
    struct entry *entry;
    struct proc proc;
    struct link link;
    sd_event_source *on_end, *too_late;
    json_t *start;          /* until it has said hello; secrets are in it */
    json_t *result;         /* NULL: it has not said one */
    struct err failure;     /* what was wrong with what it said; kind ERR_NONE: nothing */
    unsigned knew;          /* wishes that it was started with: bits 1 << verb */
    bool progressed;        /* it ended a round */
    bool looks;             /* it only looks whether a question has settled itself */
    unsigned granted;       /* disks that it has not been told of; within daemon/tend */
    uint64_t limit_bytes_s; /* that it was told last */
};

/* Start one for a queued migration, which is running then. -1: nothing was started and nothing was
 * changed. */
int supervise_start(struct entry *entry, struct err *err);

/* Say something to it; takes over msg. A worker that does not listen is noticed elsewhere. */
void supervise_tell(struct worker *worker, json_t *msg);

/* Ask all to stop where they can go on; then wait for their ends, each a result like another. */
void supervise_stop_all(struct daemon *daemon);

/* Kill what still runs. */
void supervise_kill_all(struct daemon *daemon);

#endif
