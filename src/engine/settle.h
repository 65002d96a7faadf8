/* What a failure means for what was made so far. The one place that decides it. */
#ifndef ENGINE_SETTLE_H
#define ENGINE_SETTLE_H

#include "engine/migration.h"

enum settlement {
    SETTLE_KEEP, /* the same command goes on from it */
    SETTLE_UNDO, /* nothing of ours stays */
};

/* What there is when it fails. */
struct settle_facts {
    bool copying; /* the stage that failed is the one that copies */
    bool copies;  /* there are copied bytes ... */
    bool useless; /* ... that no other run could go on from: the source cannot say what they are of
                   */
    bool left;    /* something of ours is still at the source, and only the journal knows it */
};
enum settlement settle_decide(enum err_kind kind, const struct settle_facts *facts);

/* Of a warm migration: whether it is tried again by itself, and after how long; attempt counts the
 * failures in a row before this one. Otherwise somebody must say so. */
#define SETTLE_ATTEMPTS 5
#define SETTLE_PAUSE_S INT64_C(5)
bool settle_is_worth_a_retry(enum err_kind kind, unsigned attempt);
int64_t settle_pause_s(unsigned attempt);

/* Let the source go, decide, do it, and say it in the error's text. */
void settle(struct migration *m, struct err *err);

#endif
