/* What a failure means for what was made so far. The one place that decides it. */
#ifndef ENGINE_SETTLE_H
#define ENGINE_SETTLE_H

#include "engine/migration.h"

enum settlement {
    SETTLE_KEEP, /* the same command goes on from it */
    SETTLE_UNDO, /* nothing of ours stays */
};

/* copying: the stage that failed is the one that copies; copies: there are copied bytes. */
enum settlement settle_decide(enum err_kind kind, bool copying, bool copies);

/* Decide, do it, and say it in the error's text. */
void settle(struct migration *m, struct err *err);

#endif
